/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite network share: who is on which network, and means to talk
 * to him. network-hosts.c knows the hosts, network-talk.c talks, network-serve.c answers.
 */
#pragma once

#include "net.h"
#include "suite.h"

#include <netinet/in.h>

#define NAME_MAX_BYTES 65 /* of a host or a network, with its end */
#define TOKEN_BYTES 17    /* sixteen hexadecimal digits */

/* A host on a network, as LINK_JOINED says. */
typedef struct {
    char host[NAME_MAX_BYTES], network[NAME_MAX_BYTES];
    char ipv4[INET_ADDRSTRLEN], ipv6[INET6_ADDRSTRLEN];
    char name[2 * NAME_MAX_BYTES]; /* "HOST.NETWORK" */
} Joined;

/* ---- network-hosts.c */

/* Those of the TEXT of LINK_JOINED; returns how many, at most MAXIMUM. */
int joined_parse(const char *text, Joined *list, int maximum);
/* Calls EACH for every host but this one on each network. Skips the case if there is
 * none. */
void each_peer(void (*each)(const Joined *peer));
/* This host's own entry on the network. */
const Joined *joined_self(const char *network);
/* The interface that has the address of SELF; FALSE: none has. */
bool interface_of(const Joined *self, NetInterface *interface);
/* The PCI address of its function. */
const char *function_on(const char *network);

/* ---- network-talk.c */

/* The port at which peers answer: a connection whose first byte is 'e' gets all that
 * follows back; one that begins by 'c' and a token, the number of frames with that token
 * in decimal digits. */
#define ANSWER_PORT 7007

void token_new(char token[TOKEN_BYTES]);
/* A question and its answer (ICMP) with PEER over its network alone. FALSE: there was no
 * answer for MS milliseconds. */
bool ping(const Joined *peer, int family, int ms);
/* A connection to the port NUMBER of NAME (a host), with addresses of FAMILY or of any
 * (0); -1: it cannot be had, and errno. */
int connect_to(const char *name, int family, int number);
/* Sends LENGTH bytes and takes them back. FALSE: what came was other, or less. */
bool echo(int fd, const unsigned char *bytes, size_t length);

/* A socket for frames of NET_ETHERTYPE on the interface, or (NULL) on all. */
int frames_open(const NetInterface *interface);
/* Sends one with the payload TEXT to all on the network. */
void frames_send(int fd, const NetInterface *from, const char *text);
/* The payload of the next that another one has sent, and the index of the interface that
 * it came by. FALSE: there was none for MS milliseconds. */
bool frames_next(int fd, char text[256], int *interface, int ms);

/* ---- network-serve.c */

/* Answers others on the networks of JOINED (LINK_JOINED's text): returns the exit status
 * once a process does. */
int serve_start(const char *joined);
/* Connects to all peers, uses each connection once, and keeps them; nothing if they are
 * kept already. */
void hold_connections(void);
/* Data goes there and back over each of them. Returns how many there are, or -1: it did
 * not. */
int use_connections(void);
/* Keeps them no more. */
void drop_connections(void);
