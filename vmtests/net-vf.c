/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net-vf.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES 65536

typedef struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    char attributes[128];
} Request;

static Request
request_of(int type, int flags, int index)
{
    return (Request){
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                   .nlmsg_type = (uint16_t)type,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                   .nlmsg_seq = 1},
        .link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
    };
}

/* Appends an attribute; returns it, so that its length can be that of what it nests. */
static struct rtattr *
append(Request *request, unsigned short type, const void *value, size_t length)
{
    struct rtattr *attribute =
        (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(length);
    if (length > 0)
        memcpy(RTA_DATA(attribute), value, length);
    request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) +
                                           RTA_ALIGN(attribute->rta_len));
    return attribute;
}

static void
end_nest(const Request *request, struct rtattr *attribute)
{
    attribute->rta_len = (unsigned short)((const char *)request +
                                          request->header.nlmsg_len - (char *)attribute);
}

/* Returns the length of the answer, or a negative errno, which may be the answer's. */
static ssize_t
call(const Request *request, char *answer)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ssize_t length = -1;
    if (fd >= 0 && send(fd, request, request->header.nlmsg_len, 0) >= 0)
        length = recv(fd, answer, ANSWER_BYTES, 0);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return -error;
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    if (!NLMSG_OK(header, (size_t)length))
        return -EPROTO;
    const struct nlmsgerr *failure = NLMSG_DATA(header);
    if (header->nlmsg_type == NLMSG_ERROR && failure->error != 0)
        return failure->error;
    return length;
}

int
net_vf_set_mac(int index, unsigned number, const unsigned char mac[6])
{
    Request request = request_of(RTM_SETLINK, NLM_F_ACK, index);
    struct ifla_vf_mac value = {.vf = number};
    memcpy(value.mac, mac, 6);
    struct rtattr *list = append(&request, IFLA_VFINFO_LIST, NULL, 0);
    struct rtattr *info = append(&request, IFLA_VF_INFO, NULL, 0);
    append(&request, IFLA_VF_MAC, &value, sizeof value);
    end_nest(&request, info);
    end_nest(&request, list);
    char *answer = malloc(ANSWER_BYTES);
    ssize_t result = answer ? call(&request, answer) : -ENOMEM;
    free(answer);
    return result < 0 ? (int)result : 0;
}

/* The attribute TYPE among LENGTH bytes of them, or NULL. */
static struct rtattr *
find(struct rtattr *at, size_t length, unsigned short type)
{
    for (int left = (int)length; RTA_OK(at, left); at = RTA_NEXT(at, left))
        if ((at->rta_type & ~NLA_F_NESTED) == type)
            return at;
    return NULL;
}

static int
mac_in_list(struct rtattr *list, unsigned number, unsigned char mac[6])
{
    int left = (int)RTA_PAYLOAD(list);
    for (struct rtattr *info = RTA_DATA(list); RTA_OK(info, left);
         info = RTA_NEXT(info, left)) {
        struct rtattr *found = find(RTA_DATA(info), RTA_PAYLOAD(info), IFLA_VF_MAC);
        const struct ifla_vf_mac *value = found ? RTA_DATA(found) : NULL;
        if (value && value->vf == number) {
            memcpy(mac, value->mac, 6);
            return 0;
        }
    }
    return -ENOENT;
}

int
net_vf_mac(int index, unsigned number, unsigned char mac[6])
{
    Request request = request_of(RTM_GETLINK, 0, index);
    uint32_t mask = RTEXT_FILTER_VF;
    append(&request, IFLA_EXT_MASK, &mask, sizeof mask);
    char *answer = malloc(ANSWER_BYTES);
    ssize_t length = answer ? call(&request, answer) : -ENOMEM;
    int result = (int)length;
    if (length >= 0) {
        const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
        const struct ifinfomsg *link = NLMSG_DATA(header);
        struct rtattr *list =
            find(IFLA_RTA(link), IFLA_PAYLOAD(header), IFLA_VFINFO_LIST);
        result = list ? mac_in_list(list, number, mac) : -ENOENT;
    }
    free(answer);
    return result;
}
