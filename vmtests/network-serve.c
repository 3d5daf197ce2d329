/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The process that outlives the program, and answers in each peer; and connections that
 * the host of the suite keeps.
 */
#include "network-suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <fcntl.h>

#define CLIENTS_MAX 64
#define OWN_MAX 64
#define TOKENS_MAX 256
#define HOLD_BYTES 32768

/* ---- who answers
 * -------------------------------------------------------------------------------------
 */

/* Interfaces of the networks that this host is on, the latter's names, and what it is
 * called. */
typedef struct {
    int count;
    Joined joined[OWN_MAX];
    NetInterface interfaces[OWN_MAX];
    int frames, listener;
    int clients[CLIENTS_MAX]; /* those that get all back; -1: none */
    struct {
        char token[TOKEN_BYTES];
        unsigned count;
    } tokens[TOKENS_MAX];
} Server;

static unsigned *
count_of(Server *server, const char *token)
{
    int i = 0;
    while (i < TOKENS_MAX - 1 && server->tokens[i].token[0] &&
           strcmp(server->tokens[i].token, token) != 0)
        i++;
    snprintf(server->tokens[i].token, TOKEN_BYTES, "%s", token);
    return &server->tokens[i].count;
}

static const Joined *
network_behind(const Server *server, int interface)
{
    for (int i = 0; i < server->count; i++)
        if (server->interfaces[i].index == interface)
            return &server->joined[i];
    return NULL;
}

/* "ask TOKEN" is told on all networks: "heard TOKEN HOST ARRIVED LEAVES"; "count TOKEN"
 * is counted. */
static void
answer_frames(Server *server)
{
    char text[256], token[TOKEN_BYTES], answer[256];
    int interface;
    while (frames_next(server->frames, text, &interface, 0)) {
        const Joined *arrived = network_behind(server, interface);
        if (!arrived) /* another NIC of this host has the same */
            continue;
        if (sscanf(text, "count %16s", token) == 1)
            ++*count_of(server, token);
        if (sscanf(text, "ask %16s", token) != 1)
            continue;
        for (int i = 0; i < server->count; i++) {
            snprintf(answer, sizeof answer, "heard %s %s %s %s", token, arrived->host,
                     arrived->network, server->joined[i].network);
            frames_send(server->frames, &server->interfaces[i], answer);
        }
    }
}

/* The first byte of a connection says what it is for. */
static void
take_client(Server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    char byte = 0, token[TOKEN_BYTES] = "", answer[16];
    if (fd < 0 || recv(fd, &byte, 1, 0) != 1)
        byte = 0;
    if (byte == 'c' && recv(fd, token, TOKEN_BYTES - 1, MSG_WAITALL) == TOKEN_BYTES - 1) {
        answer_frames(server);
        snprintf(answer, sizeof answer, "%u\n", *count_of(server, token));
        (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    for (int i = 0; byte == 'e' && i < CLIENTS_MAX; i++)
        if (server->clients[i] < 0) {
            server->clients[i] = fd;
            return;
        }
    if (fd >= 0)
        close(fd);
}

/* Whoever does not take back what he sends keeps the others waiting. */
static void
give_back(int *client)
{
    char bytes[4096];
    ssize_t count = recv(*client, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    for (ssize_t sent = 0, more; count > 0 && sent < count; sent += more) {
        more = send(*client, bytes + sent, (size_t)(count - sent), MSG_NOSIGNAL);
        if (more < 0)
            count = 0;
    }
    if (count > 0)
        return;
    close(*client);
    *client = -1;
}

__attribute__((noreturn)) static void
serve(Server *server)
{
    struct pollfd wait[CLIENTS_MAX + 2];
    for (;;) {
        wait[0] = (struct pollfd){.fd = server->frames, .events = POLLIN};
        wait[1] = (struct pollfd){.fd = server->listener, .events = POLLIN};
        for (int i = 0; i < CLIENTS_MAX; i++)
            wait[i + 2] = (struct pollfd){.fd = server->clients[i], .events = POLLIN};
        poll(wait, CLIENTS_MAX + 2, -1);
        answer_frames(server);
        for (int i = 0; i < CLIENTS_MAX; i++)
            if (server->clients[i] >= 0 && wait[i + 2].revents)
                give_back(&server->clients[i]);
        if (wait[1].revents)
            take_client(server);
    }
}

/* FALSE: another process answers already, or none can. */
static bool
open_listener(Server *server)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_port = htons(ANSWER_PORT)};
    server->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(server->listener, (const struct sockaddr *)&address, sizeof address) ==
               0 &&
           listen(server->listener, 16) == 0;
}

/* Nobody waits for it any more. */
static void
leave_parent(void)
{
    int null = open("/dev/null", O_RDWR);
    setsid();
    signal(SIGHUP, SIG_IGN);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close(null);
}

int
serve_start(const char *joined)
{
    static Server server;
    static Joined all[OWN_MAX];
    int count = joined_parse(joined, all, OWN_MAX);
    for (int i = 0; i < count; i++)
        if (interface_of(&all[i], &server.interfaces[server.count]))
            server.joined[server.count++] = all[i];
    memset(server.clients, 0xff, sizeof server.clients);
    if (!open_listener(&server))
        return errno == EADDRINUSE ? 0 : 1;
    server.frames = frames_open(NULL);
    pid_t child = server.frames < 0 ? -1 : fork();
    if (child == 0) {
        leave_parent();
        serve(&server);
    }
    return child > 0 ? 0 : 1;
}

/* ---- connections that are kept
 * ----------------------------------------------------------------------------- */

static int kept[CLIENTS_MAX], kept_count;

static void
keep_connection(const Joined *peer)
{
    if (kept_count == CLIENTS_MAX)
        return;
    int fd = connect_to(peer->name, AF_INET, ANSWER_PORT);
    if (fd < 0)
        fail_msg("there is no connection to %s: %s", peer->name, strerror(errno));
    if (send(fd, "e", 1, MSG_NOSIGNAL) != 1 || !echo(fd, (const unsigned char *)"x", 1))
        fail_msg("%s does not answer on a connection", peer->name);
    kept[kept_count++] = fd;
}

static bool
use_all(void)
{
    static unsigned char bytes[HOLD_BYTES];
    for (int i = 0; i < kept_count; i++) {
        memset(bytes, i + 1, sizeof bytes);
        if (!echo(kept[i], bytes, sizeof bytes))
            return false;
    }
    return true;
}

void
hold_connections(void)
{
    if (kept_count == 0)
        each_peer(keep_connection);
}

int
use_connections(void)
{
    return use_all() ? kept_count : -1;
}

void
drop_connections(void)
{
    while (kept_count > 0)
        close(kept[--kept_count]);
}
