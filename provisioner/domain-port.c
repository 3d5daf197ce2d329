/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-port.h"

#include <errno.h>
#include <sys/socket.h>

#include "domain-frames.h"
#include "domain-stream.h"
#include "libvirt-alias.h"

/* So much may wait for hostbed, or for libvirt. */
#define HELD_MAX (1024 * 1024)
#define CHUNK (256 * 1024)

typedef struct {
    virStreamPtr out, in; /* NULL: it has ended */
    int fd, watch;
    gboolean fd_ended;
    gboolean is_full; /* hostbed takes no frame now */
    gsize excess;     /* bytes of frames that are lost if so */
    GByteArray *came, *to_send;
    void (*broken)(gpointer user_data);
    gpointer user_data;
    guint8 chunk[CHUNK];
} DomainPort;

/* What comes out of the domain is always asked for: nothing else keeps libvirt's library
 * from holding it without a bound. */
static void
update(DomainPort *port)
{
    int events = 0;
    if (!port->fd_ended && port->in && port->to_send->len < HELD_MAX)
        events |= VIR_EVENT_HANDLE_READABLE;
    if (!port->fd_ended && port->is_full)
        events |= VIR_EVENT_HANDLE_WRITABLE;
    virEventUpdateHandle(port->watch, events);
    if (port->in)
        virStreamEventUpdateCallback(
            port->in, port->to_send->len > 0 ? VIR_STREAM_EVENT_WRITABLE : 0);
}

/* ---- out of the domain
 * ------------------------------------------------------------------------ */

/* A frame for which there is no room is lost, as it would be on a wire. */
static gboolean
give(const guint8 *frame, gsize length, gpointer user_data)
{
    DomainPort *port = user_data;
    if (port->fd_ended)
        return TRUE;
    ssize_t sent = send(port->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    port->is_full = sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR);
    if (!port->is_full)
        return TRUE;
    gboolean is_lost = port->excess > 0;
    port->excess -= MIN(port->excess, length);
    return is_lost;
}

static void
give_all(DomainPort *port)
{
    port->is_full = FALSE;
    port->excess = port->came->len > HELD_MAX ? port->came->len - HELD_MAX : 0;
    if (domain_frames_take(port->came, give, port))
        return;
    domain_stream_end(&port->out);
    g_byte_array_set_size(port->came, 0);
    port->broken(port->user_data);
}

static void
on_out(virStreamPtr stream, int events, void *opaque)
{
    DomainPort *port = opaque;
    int n = 0;
    while (port->out &&
           (n = virStreamRecv(stream, (char *)port->chunk, sizeof port->chunk)) > 0) {
        g_byte_array_append(port->came, port->chunk, (guint)n);
        give_all(port);
    }
    if (n != DOMAIN_STREAM_NOT_NOW)
        domain_stream_end(&port->out);
    update(port);
}

/* ---- to the domain
 * ---------------------------------------------------------------------------- */

static void
send_all(DomainPort *port)
{
    gsize done = 0;
    int n = 0;
    while (port->in && done < port->to_send->len && n >= 0) {
        n = virStreamSend(port->in, (const char *)port->to_send->data + done,
                          port->to_send->len - done);
        if (n > 0)
            done += (gsize)n;
        else if (n != DOMAIN_STREAM_NOT_NOW)
            domain_stream_end(&port->in);
    }
    g_byte_array_remove_range(port->to_send, 0, (guint)done);
}

static void
on_in(virStreamPtr stream, int events, void *opaque)
{
    DomainPort *port = opaque;
    if (events & VIR_STREAM_EVENT_WRITABLE)
        send_all(port);
    if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
        domain_stream_end(&port->in);
    update(port);
}

static void
take_frames(DomainPort *port)
{
    while (port->to_send->len < HELD_MAX) {
        ssize_t n = recv(port->fd, port->chunk, sizeof port->chunk, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            port->fd_ended = TRUE;
        if (n < 0)
            return;
        if (n <= DOMAIN_FRAME_MAX)
            domain_frames_put(port->to_send, port->chunk, (gsize)n);
    }
}

static void
on_fd(int watch, int fd, int events, void *opaque)
{
    DomainPort *port = opaque;
    if (events & VIR_EVENT_HANDLE_WRITABLE)
        give_all(port);
    if (events & VIR_EVENT_HANDLE_READABLE) {
        take_frames(port);
        send_all(port);
    }
    if (events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP))
        port->fd_ended = TRUE;
    update(port);
}

/* ---- their life
 * ------------------------------------------------------------------------------- */

static void
port_free(gpointer data)
{
    DomainPort *port = data;
    if (port->watch >= 0)
        virEventRemoveHandle(port->watch);
    domain_stream_end(&port->out);
    domain_stream_end(&port->in);
    g_byte_array_unref(port->came);
    g_byte_array_unref(port->to_send);
    g_free(port);
}

static virStreamPtr
open_channel(virConnectPtr connection, virDomainPtr domain, guint index, gboolean out)
{
    g_autofree char *alias = libvirt_alias_of_port(index, out);
    virStreamPtr stream = virStreamNew(connection, VIR_STREAM_NONBLOCK);
    if (stream && virDomainOpenChannel(domain, alias, stream, 0) == 0)
        return stream;
    if (stream)
        virStreamFree(stream);
    return NULL;
}

static gboolean
watch_port(DomainPort *port)
{
    port->watch =
        virEventAddHandle(port->fd, VIR_EVENT_HANDLE_READABLE, on_fd, port, NULL);
    return port->watch >= 0 &&
           virStreamEventAddCallback(port->out, VIR_STREAM_EVENT_READABLE, on_out, port,
                                     NULL) == 0 &&
           virStreamEventAddCallback(port->in, 0, on_in, port, NULL) == 0;
}

GPtrArray *
domain_ports_open(virConnectPtr connection, virDomainPtr domain, const char *const *fds,
                  void (*broken)(gpointer user_data), gpointer user_data)
{
    g_autoptr(GPtrArray) ports = g_ptr_array_new_with_free_func(port_free);
    for (guint i = 0; fds && fds[i]; i++) {
        DomainPort *port = g_new0(DomainPort, 1);
        g_ptr_array_add(ports, port);
        port->watch = -1;
        port->fd = (int)g_ascii_strtoll(fds[i], NULL, 10);
        port->broken = broken;
        port->user_data = user_data;
        port->came = g_byte_array_new();
        port->to_send = g_byte_array_new();
        port->out = open_channel(connection, domain, i, TRUE);
        port->in = port->out ? open_channel(connection, domain, i, FALSE) : NULL;
        if (!port->in || !watch_port(port))
            return NULL;
    }
    return g_steal_pointer(&ports);
}
