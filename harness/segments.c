/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "segments-private.h"

/* Frames of one port, before others get their turn. */
#define TURN_FRAMES 64
#define SETTLE_STEP_US 1000

/* pcap, as the emulator writes it: in the machine's own order of bytes. */
typedef struct {
    guint32 magic;
    guint16 major, minor;
    guint32 zone, accuracy, frame_max, link_type;
} PcapHeader;
#define PCAP_MAGIC 0xa1b2c3d4u
#define PCAP_ETHERNET 1
typedef struct {
    guint32 seconds, microseconds;
    guint32 kept, length;
} PcapRecord;

/* ---- one frame
 * ----------------------------------------------------------------------------------- */

/* A step of splitmix64, whose numbers are independent enough for losses. */
static guint64
next_random(guint64 *state)
{
    guint64 z = *state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static gboolean
falls_out(guint per_mille, guint64 *random)
{
    return per_mille > 0 && next_random(random) % 1000 < per_mille;
}

static void
watch_room(const Port *port)
{
    gboolean waits = port->queue.length > 0 && !port->segments->held;
    g_source_modify_unix_fd(port->source, port->tag,
                            waits ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

/* FALSE: there is no room for it now. One whose emulator is gone is dropped. */
static gboolean
deliver(const Port *port, const void *frame, gsize length)
{
    SegmentCounts *counts = &port->segment->counts;
    ssize_t sent;
    do
        sent = send(port->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return FALSE;
    if (sent < 0)
        counts->dropped++;
    else
        counts->delivered++;
    return TRUE;
}

void
port_enqueue(Port *port, GBytes *frame)
{
    gsize length = g_bytes_get_size(frame);
    if (port->queue.length >= SEGMENT_QUEUE_FRAMES ||
        port->queued + length > SEGMENT_QUEUE_BYTES) {
        port->segment->counts.dropped++;
        return;
    }
    g_queue_push_tail(&port->queue, g_bytes_ref(frame));
    port->queued += length;
}

static void
flush(Port *port)
{
    while (!port->segments->held && port->queue.length > 0) {
        gsize length;
        GBytes *frame = port->queue.head->data;
        const void *bytes = g_bytes_get_data(frame, &length);
        if (!deliver(port, bytes, length))
            break;
        port->queued -= length;
        g_bytes_unref(g_queue_pop_head(&port->queue));
    }
    watch_room(port);
}

/* *KEPT: the frame, once it has to be kept for some port. */
static void
pass(Port *port, const void *frame, gsize length, GBytes **kept)
{
    Segment *segment = port->segment;
    if (falls_out(segment->per_mille, &segment->random) ||
        falls_out(port->per_mille, &port->random)) {
        segment->counts.lost++;
        return;
    }
    if (!port->segments->held && port->queue.length == 0 && deliver(port, frame, length))
        return;
    if (!*kept)
        *kept = g_bytes_new(frame, length);
    port_enqueue(port, *kept);
    watch_room(port);
}

static void
capture(Segment *segment, const void *frame, gsize length)
{
    gint64 now = g_get_real_time();
    const PcapRecord record = {(guint32)(now / G_USEC_PER_SEC),
                               (guint32)(now % G_USEC_PER_SEC), (guint32)length,
                               (guint32)length};
    if (fwrite(&record, sizeof record, 1, segment->capture) != 1 ||
        fwrite(frame, length, 1, segment->capture) != 1 || fflush(segment->capture) != 0)
        g_clear_pointer(&segment->capture, fclose); /* it ends here: the disk is full */
}

static void
repeat(Port *from, const void *frame, gsize length)
{
    Segment *segment = from->segment;
    g_autoptr(GBytes) kept = NULL;
    if (length < SEGMENT_FRAME_MIN || length > SEGMENT_FRAME_MAX) {
        segment->counts.refused++;
        return;
    }
    segment->counts.frames++;
    if (falls_out(from->per_mille, &from->random)) {
        segment->counts.lost++;
        return;
    }
    if (segment->capture)
        capture(segment, frame, length);
    for (guint i = 0; i < segment->ports->len; i++) {
        Port *port = segment->ports->pdata[i];
        if (port != from)
            pass(port, frame, length, &kept);
    }
}

gboolean
port_take(Port *port, guint limit)
{
    guint8 *frame = port->segments->frame;
    for (guint i = 0; i < limit; i++) {
        ssize_t length =
            recv(port->fd, frame, sizeof port->segments->frame, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return TRUE;
        repeat(port, frame, (gsize)length);
    }
    return FALSE;
}

/* ---- ports
 * ------------------------------------------------------------------------------------------
 */

typedef struct {
    GSource source;
    Segments *segments;
    Port *port; /* is gone when the source was destroyed */
} PortSource;

static gboolean
on_ready(GSource *source, GSourceFunc callback G_GNUC_UNUSED,
         gpointer user_data G_GNUC_UNUSED)
{
    PortSource *ready = (PortSource *)source;
    Segments *segments = ready->segments;
    g_mutex_lock(&segments->lock);
    /* Another thread may have taken it away while this one waited for the lock. */
    if (!g_source_is_destroyed(source)) {
        flush(ready->port);
        port_take(ready->port, TURN_FRAMES);
    }
    g_mutex_unlock(&segments->lock);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs port_functions = {.dispatch = on_ready};

static void
port_free(gpointer data)
{
    Port *port = data;
    g_source_destroy(port->source);
    g_source_unref(port->source);
    g_queue_clear_full(&port->queue, (GDestroyNotify)g_bytes_unref);
    close(port->fd);
    g_free(port->name);
    g_free(port);
}

static void
forget_port(const Segment *segment, const char *name)
{
    for (guint i = 0; i < segment->ports->len; i++) {
        const Port *port = segment->ports->pdata[i];
        if (g_str_equal(port->name, name)) {
            g_ptr_array_remove_index(segment->ports, i);
            return;
        }
    }
}

static void
add_port(Segments *segments, Segment *segment, const char *name, int fd)
{
    Port *port = g_new0(Port, 1);
    port->segments = segments;
    port->segment = segment;
    port->name = g_strdup(name);
    port->fd = fd;
    g_queue_init(&port->queue);
    port->source = g_source_new(&port_functions, sizeof(PortSource));
    ((PortSource *)port->source)->segments = segments;
    ((PortSource *)port->source)->port = port;
    port->tag = g_source_add_unix_fd(port->source, fd, G_IO_IN);
    g_source_attach(port->source, segments->context);
    g_ptr_array_add(segment->ports, port);
}

int
segments_connect(Segments *segments, const char *network, const char *port,
                 GError **error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "cannot make a port of network '%s': %s", network, g_strerror(errno));
        return -1;
    }
    g_mutex_lock(&segments->lock);
    Segment *segment = segments_find(segments, network);
    g_assert(segment);
    forget_port(segment, port);
    add_port(segments, segment, port, ends[0]);
    g_mutex_unlock(&segments->lock);
    return ends[1];
}

void
segments_disconnect(Segments *segments, const char *network, const char *port)
{
    g_mutex_lock(&segments->lock);
    const Segment *segment = segments_find(segments, network);
    if (segment)
        forget_port(segment, port);
    g_mutex_unlock(&segments->lock);
}

gboolean
segments_has(Segments *segments, const char *network)
{
    g_mutex_lock(&segments->lock);
    const Segment *segment = segments_find(segments, network);
    g_mutex_unlock(&segments->lock);
    return segment != NULL;
}

/* ---- their life
 * -------------------------------------------------------------------------------------
 */

static gpointer
work(gpointer data)
{
    Segments *segments = data;
    g_main_context_push_thread_default(segments->context);
    g_main_loop_run(segments->loop);
    g_main_context_pop_thread_default(segments->context);
    return NULL;
}

static void
segment_free(gpointer data)
{
    Segment *segment = data;
    g_ptr_array_unref(segment->ports);
    if (segment->capture)
        fclose(segment->capture);
    g_free(segment->name);
    g_free(segment);
}

Segments *
segments_new(const char *const *names)
{
    Segments *segments = g_new0(Segments, 1);
    g_mutex_init(&segments->lock);
    segments->list = g_ptr_array_new_with_free_func(segment_free);
    for (; *names; names++) {
        Segment *segment = g_new0(Segment, 1);
        segment->name = g_strdup(*names);
        segment->ports = g_ptr_array_new_with_free_func(port_free);
        g_ptr_array_add(segments->list, segment);
    }
    segments->context = g_main_context_new();
    segments->loop = g_main_loop_new(segments->context, FALSE);
    segments->thread = g_thread_new("segments", work, segments);
    return segments;
}

static gboolean
on_end(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

void
segments_free(Segments *segments)
{
    if (!segments)
        return;
    /* A source: the thread may not run the loop yet. */
    g_main_context_invoke(segments->context, on_end, segments->loop);
    g_thread_join(segments->thread);
    g_ptr_array_unref(segments->list);
    g_main_loop_unref(segments->loop);
    g_main_context_unref(segments->context);
    g_mutex_clear(&segments->lock);
    g_free(segments);
}

/* ---- what is asked of them
 * ------------------------------------------------------------------------ */

Segment *
segments_find(Segments *segments, const char *network)
{
    for (guint i = 0; i < segments->list->len; i++) {
        Segment *segment = segments->list->pdata[i];
        if (g_str_equal(segment->name, network))
            return segment;
    }
    return NULL;
}

gboolean
segments_capture(Segments *segments, const char *network, const char *path,
                 GError **error)
{
    const PcapHeader header = {.magic = PCAP_MAGIC,
                               .major = 2,
                               .minor = 4,
                               .frame_max = SEGMENT_FRAME_MAX,
                               .link_type = PCAP_ETHERNET};
    FILE *file = fopen(path, "we");
    if (!file || fwrite(&header, sizeof header, 1, file) != 1 || fflush(file) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot write %s: %s", path,
                    g_strerror(errno));
        if (file)
            fclose(file);
        return FALSE;
    }
    g_mutex_lock(&segments->lock);
    Segment *segment = segments_find(segments, network);
    if (segment->capture)
        fclose(segment->capture);
    segment->capture = file;
    g_mutex_unlock(&segments->lock);
    return TRUE;
}

gboolean
segments_set_loss(Segments *segments, const char *network, guint per_mille, guint64 seed)
{
    g_mutex_lock(&segments->lock);
    Segment *segment = segments_find(segments, network);
    if (segment) {
        segment->per_mille = per_mille;
        segment->random = seed;
    }
    g_mutex_unlock(&segments->lock);
    return segment != NULL;
}

static Port *
find_port(Segments *segments, const char *network, const char *name)
{
    const Segment *segment = segments_find(segments, network);
    for (guint i = 0; segment && i < segment->ports->len; i++) {
        Port *port = segment->ports->pdata[i];
        if (g_str_equal(port->name, name))
            return port;
    }
    return NULL;
}

gboolean
segments_set_port_loss(Segments *segments, const char *network, const char *port,
                       guint per_mille, guint64 seed)
{
    g_mutex_lock(&segments->lock);
    Port *found = find_port(segments, network, port);
    if (found) {
        found->per_mille = per_mille;
        found->random = seed;
    }
    g_mutex_unlock(&segments->lock);
    return found != NULL;
}

guint
segments_port_loss(Segments *segments, const char *network, const char *port)
{
    g_mutex_lock(&segments->lock);
    const Port *found = find_port(segments, network, port);
    guint per_mille = found ? found->per_mille : 0;
    g_mutex_unlock(&segments->lock);
    return per_mille;
}

gboolean
segments_count(Segments *segments, const char *network, SegmentCounts *counts)
{
    g_mutex_lock(&segments->lock);
    const Segment *segment = segments_find(segments, network);
    if (segment)
        *counts = segment->counts;
    g_mutex_unlock(&segments->lock);
    return segment != NULL;
}

void
segments_hold(Segments *segments)
{
    g_mutex_lock(&segments->lock);
    segments->held = TRUE;
    g_mutex_unlock(&segments->lock);
}

static void
each_port(Segments *segments, void (*act)(Port *port, gpointer user_data),
          gpointer user_data)
{
    for (guint i = 0; i < segments->list->len; i++) {
        const Segment *segment = segments->list->pdata[i];
        for (guint j = 0; j < segment->ports->len; j++)
            act(segment->ports->pdata[j], user_data);
    }
}

static void
look_for_untaken(Port *port, gpointer untaken)
{
    int bytes = 0;
    if (ioctl(port->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0)
        *(gboolean *)untaken = TRUE;
}

/* No event tells that a socket was emptied: it is looked at again and again. */
gboolean
segments_settle(Segments *segments, guint limit_ms)
{
    gint64 end = g_get_monotonic_time() + (gint64)limit_ms * 1000;
    for (;;) {
        gboolean untaken = FALSE;
        g_mutex_lock(&segments->lock);
        each_port(segments, look_for_untaken, &untaken);
        g_mutex_unlock(&segments->lock);
        if (!untaken || g_get_monotonic_time() >= end)
            return !untaken;
        g_usleep(SETTLE_STEP_US);
    }
}

static void
flush_port(Port *port, gpointer user_data G_GNUC_UNUSED)
{
    flush(port);
}

void
segments_release(Segments *segments)
{
    g_mutex_lock(&segments->lock);
    segments->held = FALSE;
    each_port(segments, flush_port, NULL);
    g_mutex_unlock(&segments->lock);
}
