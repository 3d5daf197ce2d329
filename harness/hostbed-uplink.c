/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The uplink of one network, as uplink-order.h has it: frames that uplink-filter.h lets
 * pass are libslirp's, which makes connections of this unprivileged process of them. A
 * process of its own, since what it reads is hostile; it ends with who started it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "segments.h"
#include "uplink-order.h"
#include "uplink-relay.h"

#define PORT STDIN_FILENO
/* The machine may get other addresses. */
#define OWN_US G_USEC_PER_SEC
/* Frames before others get their turn. */
#define TURN_FRAMES 64

typedef struct {
    UplinkPolicy policy;
    Slirp *slirp;
    GArray *fds; /* struct pollfd: the port's first */
    gint64 own_us;
    guint8 frame[SEGMENT_FRAME_MAX + 1];
} Uplink;

/* ---- frames
 * -----------------------------------------------------------------------------------
 */

static ssize_t
send_frame(const void *frame, size_t length, void *opaque)
{
    if (uplink_filter_out(frame, length))
        (void)!send(PORT, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return (ssize_t)length; /* one that has no room is lost, as on any wire */
}

static void
add_own(UplinkPolicy *policy, const struct sockaddr *address)
{
    if (address && address->sa_family == AF_INET)
        g_array_append_val(policy->own4, ((const struct sockaddr_in *)address)->sin_addr);
    if (address && address->sa_family == AF_INET6)
        g_array_append_val(policy->own6,
                           ((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* FALSE: they are not known, and nothing may pass that could lead to them. */
static gboolean
know_own(Uplink *uplink)
{
    gint64 now = g_get_monotonic_time();
    struct ifaddrs *list = NULL;
    if (!uplink->policy.nat || (uplink->own_us > 0 && now - uplink->own_us < OWN_US))
        return TRUE;
    if (getifaddrs(&list) != 0)
        return FALSE;
    g_array_set_size(uplink->policy.own4, 0);
    g_array_set_size(uplink->policy.own6, 0);
    for (const struct ifaddrs *one = list; one; one = one->ifa_next)
        add_own(&uplink->policy, one->ifa_addr);
    freeifaddrs(list);
    uplink->own_us = now;
    return TRUE;
}

static void
take_frame(Uplink *uplink, gsize length)
{
    guint8 refusal[UPLINK_REFUSAL_BYTES];
    if (length > SEGMENT_FRAME_MAX ||
        !uplink_filter_is_for(&uplink->policy, uplink->frame, length) ||
        !know_own(uplink))
        return;
    if (uplink_filter_in(&uplink->policy, uplink->frame, length)) {
        slirp_input(uplink->slirp, uplink->frame, (int)length);
        return;
    }
    gsize refused = uplink_filter_refuse(uplink->frame, length, refusal);
    if (refused > 0)
        send_frame(refusal, refused, uplink);
}

static void
take_frames(Uplink *uplink)
{
    for (guint i = 0; i < TURN_FRAMES; i++) {
        ssize_t length =
            recv(PORT, uplink->frame, sizeof uplink->frame, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0)
            return;
        take_frame(uplink, (gsize)length);
    }
}

/* ---- what libslirp asks for
 * -----------------------------------------------------------------------------------
 */

static void
ignore_error(const char *text, void *opaque)
{
}

static int64_t
clock_ns(void *opaque)
{
    return g_get_monotonic_time() * 1000;
}

/* Its only timer is that of advertisements as a router, which nobody would hear. */
static void *
new_timer(SlirpTimerId id, void *timer_opaque, void *opaque)
{
    return opaque;
}

static void
free_timer(void *timer, void *opaque)
{
}

static void
set_timer(void *timer, int64_t expire_ms, void *opaque)
{
}

static void
ignore_fd(int fd, void *opaque)
{
}

static void
ignore_notice(void *opaque)
{
}

static const SlirpCb callbacks = {.send_packet = send_frame,
                                  .guest_error = ignore_error,
                                  .clock_get_ns = clock_ns,
                                  .timer_new_opaque = new_timer,
                                  .timer_free = free_timer,
                                  .timer_mod = set_timer,
                                  .register_poll_fd = ignore_fd,
                                  .unregister_poll_fd = ignore_fd,
                                  .notify = ignore_notice};

/* ---- the loop
 * -----------------------------------------------------------------------------------
 */

static const struct {
    int slirp;
    short poll;
} flags[] = {{SLIRP_POLL_IN, POLLIN},
             {SLIRP_POLL_OUT, POLLOUT},
             {SLIRP_POLL_PRI, POLLPRI},
             {SLIRP_POLL_ERR, POLLERR},
             {SLIRP_POLL_HUP, POLLHUP}};

static int
add_fd(int fd, int events, void *opaque)
{
    GArray *fds = opaque;
    struct pollfd one = {.fd = fd};
    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++)
        if (events & flags[i].slirp)
            one.events |= flags[i].poll;
    g_array_append_val(fds, one);
    return (int)fds->len - 1;
}

static int
events_of(int index, void *opaque)
{
    const struct pollfd *one = &g_array_index((GArray *)opaque, struct pollfd, index);
    int events = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++)
        if (one->revents & flags[i].poll)
            events |= flags[i].slirp;
    return events;
}

static void
turn(Uplink *uplink)
{
    uint32_t timeout_ms = UINT32_MAX;
    g_array_set_size(uplink->fds, 0);
    add_fd(PORT, SLIRP_POLL_IN, uplink->fds);
    slirp_pollfds_fill(uplink->slirp, &timeout_ms, add_fd, uplink->fds);
    int ready = poll((struct pollfd *)(void *)uplink->fds->data, uplink->fds->len,
                     timeout_ms > G_MAXINT ? -1 : (int)timeout_ms);
    if (ready > 0 && g_array_index(uplink->fds, struct pollfd, 0).revents)
        take_frames(uplink);
    slirp_pollfds_poll(uplink->slirp, ready < 0, events_of, uplink->fds);
}

/* ---- the start
 * -----------------------------------------------------------------------------------
 */

static Slirp *
new_slirp(Uplink *uplink)
{
    const UplinkPolicy *policy = &uplink->policy;
    SlirpConfig config = {.version = 4,
                          .restricted = !policy->nat,
                          .in_enabled = true,
                          .vnetwork = policy->network,
                          .vnetmask = policy->mask,
                          .vhost = policy->gateway,
                          .vnameserver = policy->dns,
                          .vdhcp_start = policy->door,
                          .in6_enabled = policy->nat,
                          .vprefix_addr6 = policy->prefix,
                          .vprefix_len = (uint8_t)policy->prefix_bits,
                          .vhost6 = policy->gateway6,
                          .vnameserver6 = policy->gateway6,
                          .disable_host_loopback = true,
                          .disable_dns = !policy->nat,
                          .disable_dhcp = true};
    config.vnameserver6.s6_addr[15]--;
    return slirp_new(&config, &callbacks, uplink);
}

/* Puts the place in the lab before what is wrong there. */
static gboolean
fail_at(JsonObject *passage, GError *reason, GError **error)
{
    const char *where = json_line_string(passage, "where");
    g_propagate_prefixed_error(error, reason, "%s: ", where ? where : "?");
    return FALSE;
}

static gboolean
add_service(Uplink *uplink, JsonObject *service, GError **error)
{
    GError *reason = NULL;
    const char *to = json_line_string(service, "to");
    int port = (int)json_line_int(service, "port", 0);
    g_autofree char *path = uplink_relay_new(to ? to : "", &reason);
    if (path && slirp_add_unix(uplink->slirp, path, &uplink->policy.door, port) == 0)
        return TRUE;
    if (!reason)
        reason = g_error_new(HB_ERROR, HB_INFRASTRUCTURE,
                             "the service at port %d cannot be there", port);
    return fail_at(service, reason, error);
}

static gboolean
add_forward(Uplink *uplink, JsonObject *forward, GError **error)
{
    struct sockaddr_in from, guest = {.sin_family = AF_INET};
    const char *to = json_line_string(forward, "to");
    const char *address = json_line_string(forward, "guest");
    guest.sin_port = htons((guint16)json_line_int(forward, "port", 0));
    errno = EINVAL;
    if (to && uplink_order_address(to, &from) && address &&
        inet_pton(AF_INET, address, &guest.sin_addr) == 1 &&
        slirp_add_hostxfwd(uplink->slirp, (struct sockaddr *)&from, sizeof from,
                           (struct sockaddr *)&guest, sizeof guest, 0) == 0)
        return TRUE;
    GError *reason = NULL;
    if (errno == EADDRINUSE)
        reason =
            g_error_new(HB_ERROR, HB_INFRASTRUCTURE,
                        "%s is taken already on this machine; take another port", to);
    else
        reason = g_error_new(HB_ERROR, HB_INFRASTRUCTURE, "%s cannot be had: %s", to,
                             g_strerror(errno));
    return fail_at(forward, reason, error);
}

static gboolean
add_all(Uplink *uplink, JsonObject *order, const char *name,
        gboolean (*add)(Uplink *, JsonObject *, GError **), GError **error)
{
    JsonArray *array = uplink_order_passages(order, name);
    for (guint i = 0; array && i < json_array_get_length(array); i++)
        if (!add(uplink, json_array_get_object_element(array, i), error))
            return FALSE;
    return TRUE;
}

static gboolean
begin(Uplink *uplink, const char *text, GError **error)
{
    g_autoptr(JsonObject) order = json_line_parse_object(text, strlen(text));
    uplink_policy_init(&uplink->policy);
    uplink->fds = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    if (!order || !uplink_order_policy(order, &uplink->policy)) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "this program is started by hostbed, which gives it an "
                            "order in JSON");
        return FALSE;
    }
    uplink->slirp = new_slirp(uplink);
    return add_all(uplink, order, "services", add_service, error) &&
           add_all(uplink, order, "forwards", add_forward, error);
}

static void
say(const GError *error)
{
    JsonObject *line = json_object_new();
    if (!error)
        json_object_set_boolean_member(line, "ready", TRUE);
    else {
        json_object_set_string_member(line, "error", error->message);
        json_object_set_int_member(line, "status", (gint64)hb_error_status(error));
    }
    json_line_write(STDOUT_FILENO, line);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* which is nobody's */
}

/* It writes no files, and what it starts has no more rights than it has. */
static void
give_up_rights(void)
{
    const struct rlimit none = {0};
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int
main(int argc, char **argv)
{
    static Uplink uplink;
    g_autoptr(GError) error = NULL;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (!begin(&uplink, argc > 1 ? argv[1] : "", &error)) {
        say(error);
        return (int)hb_error_status(error);
    }
    give_up_rights();
    say(NULL);
    for (;;)
        turn(&uplink);
}
