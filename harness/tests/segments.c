/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Segments, and emulators that the test plays: the other ends of their ports.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "error.h"
#include "segments.h"

static const char *const names[] = {"fabric", "storage", NULL};
static const char *const ports[] = {"a/nic0", "b/nic0", "c/nic0"};

/* Three ports on fabric, one on storage. */
typedef struct {
    Segments *segments;
    int fabric[3], storage;
} Scene;

/* Nothing that is to come takes so long. */
static void
set_limit(int fd)
{
    const struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static Scene *
scene_new(void)
{
    Scene *scene = g_new0(Scene, 1);
    scene->segments = segments_new(names);
    for (guint i = 0; i < 3; i++) {
        scene->fabric[i] = segments_connect(scene->segments, "fabric", ports[i], NULL);
        set_limit(scene->fabric[i]);
    }
    scene->storage = segments_connect(scene->segments, "storage", "a/nic1", NULL);
    set_limit(scene->storage);
    return scene;
}

static void
scene_free(Scene *scene)
{
    segments_free(scene->segments);
    for (guint i = 0; i < 3; i++)
        if (scene->fabric[i] >= 0)
            close(scene->fabric[i]);
    close(scene->storage);
    g_free(scene);
}

static int
setup(void **state)
{
    *state = scene_new();
    return 0;
}

static int
teardown(void **state)
{
    scene_free(*state);
    return 0;
}

/* ---- frames
 * -------------------------------------------------------------------------------------
 */

/* The frame NUMBER, of LENGTH bytes. */
static void
send_frame(int fd, guint32 number, gsize length)
{
    static guint8 frame[SEGMENT_FRAME_MAX + 10];
    memset(frame, (int)(number & 0xff), sizeof frame);
    memcpy(frame + 6, &number, sizeof number);
    assert_int_equal(send(fd, frame, length, 0), length);
}

/* The number of the next frame, whose length is to be LENGTH. */
static guint32
receive_frame(int fd, gsize length)
{
    static guint8 frame[SEGMENT_FRAME_MAX + 10];
    guint32 number;
    assert_int_equal(recv(fd, frame, sizeof frame, 0), length);
    memcpy(&number, frame + 6, sizeof number);
    return number;
}

static void
assert_nothing_came(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static SegmentCounts
count(const Scene *scene, const char *network)
{
    SegmentCounts counts;
    assert_true(segments_count(scene->segments, network, &counts));
    return counts;
}

/* All that was sent before this has been moved when it comes back, since a port's frames
 * stay in order: it sends one more by FROM, which comes out at TO. */
static void
pass_marker(int from, int to)
{
    send_frame(from, G_MAXUINT32, 60);
    while (receive_frame(to, 60) != G_MAXUINT32)
        ;
}

/* ---- cases
 * --------------------------------------------------------------------------------------
 */

static void
ports_come_and_go(void **state)
{
    Scene *scene = *state;
    assert_true(segments_has(scene->segments, "fabric"));
    assert_false(segments_has(scene->segments, "fabrics"));
    int late = segments_connect(scene->segments, "fabric", "late", NULL);
    send_frame(scene->fabric[0], 1, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 1);
    assert_int_equal(receive_frame(scene->fabric[2], 60), 1);
    assert_int_equal(receive_frame(late, 60), 1);
    segments_disconnect(scene->segments, "fabric", "late");
    segments_disconnect(scene->segments, "fabric", "late");
    segments_disconnect(scene->segments, "fabrics", "late");
    assert_false(segments_set_port_loss(scene->segments, "fabric", "late", 1, 1));
    send_frame(scene->fabric[0], 2, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 2);
    assert_int_equal(count(scene, "fabric").dropped, 0);
    /* Who waited for frames of it until then has let go of it. */
    assert_int_equal(send(late, "", 1, MSG_NOSIGNAL), -1);
    close(late);
}

static void
frames_go_to_all_others(void **state)
{
    Scene *scene = *state;
    send_frame(scene->fabric[0], 1, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 1);
    assert_int_equal(receive_frame(scene->fabric[2], 60), 1);
    send_frame(scene->fabric[2], 2, SEGMENT_FRAME_MAX);
    assert_int_equal(receive_frame(scene->fabric[0], SEGMENT_FRAME_MAX), 2);
    assert_int_equal(receive_frame(scene->fabric[1], SEGMENT_FRAME_MAX), 2);
    assert_nothing_came(scene->fabric[2]);
}

static void
networks_do_not_hear_each_other(void **state)
{
    Scene *scene = *state;
    for (guint32 i = 0; i < 100; i++)
        send_frame(scene->fabric[0], i, 60);
    send_frame(scene->storage, 7, 60);
    for (guint32 i = 0; i < 100; i++)
        assert_int_equal(receive_frame(scene->fabric[1], 60), i);
    pass_marker(scene->fabric[0], scene->fabric[1]);
    assert_nothing_came(scene->fabric[1]);
    assert_nothing_came(scene->storage);
    assert_int_equal(count(scene, "fabric").frames, 101);
}

static void
what_is_no_frame_is_refused(void **state)
{
    Scene *scene = *state;
    send_frame(scene->fabric[0], 1, 0);
    send_frame(scene->fabric[0], 1, SEGMENT_FRAME_MIN - 1);
    send_frame(scene->fabric[0], 1, SEGMENT_FRAME_MAX + 1);
    send_frame(scene->fabric[0], 1, SEGMENT_FRAME_MAX + 10);
    send_frame(scene->fabric[0], 2, SEGMENT_FRAME_MIN);
    assert_int_equal(receive_frame(scene->fabric[1], SEGMENT_FRAME_MIN), 2);
    assert_int_equal(count(scene, "fabric").refused, 4);
    assert_int_equal(count(scene, "fabric").frames, 1);
}

/* One that reads nothing keeps nobody waiting, and costs a bounded number of frames. */
static void
a_flood_is_dropped_where_nobody_reads(void **state)
{
    Scene *scene = *state;
    const guint32 flood = 4 * SEGMENT_QUEUE_FRAMES;
    for (guint32 i = 0; i < flood; i++) {
        send_frame(scene->fabric[0], i, 1514);
        assert_int_equal(receive_frame(scene->fabric[1], 1514), i);
    }
    SegmentCounts counts = count(scene, "fabric");
    assert_int_equal(counts.frames, flood);
    assert_true(counts.dropped > 0);
    guint64 kept = flood - counts.dropped;
    assert_true(kept >= SEGMENT_QUEUE_FRAMES);
    assert_true(kept < 2 * SEGMENT_QUEUE_FRAMES);
    for (guint32 i = 0; i < kept; i++)
        assert_int_equal(receive_frame(scene->fabric[2], 1514), i);
    pass_marker(scene->fabric[0], scene->fabric[2]);
}

static void
an_emulator_that_is_gone_is_nobody(void **state)
{
    Scene *scene = *state;
    close(scene->fabric[2]);
    scene->fabric[2] = -1;
    send_frame(scene->fabric[0], 1, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 1);
    pass_marker(scene->fabric[0], scene->fabric[1]);
    assert_true(count(scene, "fabric").dropped >= 1);
    /* The next one has the same port. */
    scene->fabric[2] = segments_connect(scene->segments, "fabric", ports[2], NULL);
    set_limit(scene->fabric[2]);
    send_frame(scene->fabric[0], 2, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 2);
    assert_int_equal(receive_frame(scene->fabric[2], 60), 2);
}

/* Which of TOTAL frames get through, as text. */
static char *
losses(Scene *scene, guint per_mille, guint64 seed, guint32 total)
{
    GString *text = g_string_new(NULL);
    assert_true(segments_set_loss(scene->segments, "fabric", per_mille, seed));
    for (guint32 i = 0; i < total; i++)
        send_frame(scene->fabric[0], i, 60);
    assert_true(segments_set_loss(scene->segments, "storage", 1000, 1));
    guint64 before;
    do { /* the last ones are on their way */
        before = count(scene, "fabric").frames;
        g_thread_yield();
    } while (before < total);
    SegmentCounts counts = count(scene, "fabric");
    for (guint64 i = 0; i < counts.delivered; i++) {
        guint8 frame[100];
        guint32 number;
        if (recv(scene->fabric[1], frame, sizeof frame, MSG_DONTWAIT) < 0)
            break;
        memcpy(&number, frame + 6, sizeof number);
        g_string_append_printf(text, "%u ", number);
    }
    return g_string_free(text, FALSE);
}

static void
losses_are_as_asked_and_the_same_again(void **state)
{
    g_autofree char *first = losses(*state, 250, 42, 200);
    SegmentCounts counts = count(*state, "fabric");
    assert_int_equal(counts.lost + counts.delivered, 400);
    /* 100 of 400 are expected, with a deviation of 8.7 */
    assert_true(counts.lost > 56 && counts.lost < 144);
    Scene *again = scene_new(), *other = scene_new(), *none = scene_new();
    g_autofree char *second = losses(again, 250, 42, 200);
    g_autofree char *third = losses(other, 250, 43, 200);
    g_autofree char *fourth = losses(none, 1000, 42, 200);
    assert_string_equal(fourth, "");
    assert_string_equal(first, second);
    assert_string_not_equal(first, third);
    assert_int_equal(count(none, "fabric").delivered, 0);
    assert_false(segments_set_loss(none->segments, "nothing", 1, 1));
    scene_free(again);
    scene_free(other);
    scene_free(none);
}

/* Frames that wait, and those that nobody has read yet, are there in other segments. */
static void
what_is_held_goes_on_elsewhere(void **state)
{
    Scene *scene = *state;
    send_frame(scene->fabric[0], 1, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 1);
    segments_hold(scene->segments);
    assert_false(segments_settle(scene->segments, 1)); /* the third has not read it */
    assert_int_equal(receive_frame(scene->fabric[2], 60), 1);
    assert_true(segments_settle(scene->segments, 20000));
    for (guint32 i = 2; i < 10; i++)
        send_frame(scene->fabric[0], i, 60);
    segments_set_loss(scene->segments, "storage", 1000, 1);
    g_autoptr(GBytes) frozen = segments_state(scene->segments);
    assert_nothing_came(scene->fabric[1]);

    Scene *clone = scene_new();
    g_autoptr(GError) error = NULL;
    assert_true(segments_restore(clone->segments, frozen, &error));
    assert_nothing_came(clone->fabric[1]);
    segments_release(clone->segments);
    for (guint32 i = 2; i < 10; i++) {
        assert_int_equal(receive_frame(clone->fabric[1], 60), i);
        assert_int_equal(receive_frame(clone->fabric[2], 60), i);
    }
    assert_int_equal(count(clone, "fabric").frames, 9);
    assert_nothing_came(scene->fabric[1]);
    segments_release(scene->segments);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 2);
    scene_free(clone);
}

static void
a_state_of_others_is_refused(void **state)
{
    static const char *const other_names[] = {"other", NULL};
    Scene *scene = *state;
    segments_hold(scene->segments);
    g_autoptr(GBytes) frozen = segments_state(scene->segments);
    g_autoptr(Segments) others = segments_new(other_names);
    g_autoptr(GError) error = NULL;
    assert_false(segments_restore(others, frozen, &error));
    assert_non_null(strstr(error->message, "not of these hosts"));
    assert_int_equal(error->code, HB_FAIL);
}

static void
assert_refused(GVariant *taken)
{
    Scene *scene = scene_new();
    g_autoptr(GVariant) state = g_variant_ref_sink(taken);
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(state);
    g_autoptr(GError) error = NULL;
    assert_false(segments_restore(scene->segments, bytes, &error));
    assert_non_null(strstr(error->message, "not of these hosts"));
    segments_release(scene->segments);
    pass_marker(scene->fabric[0], scene->fabric[1]);
    assert_nothing_came(scene->fabric[1]);
    assert_int_equal(count(scene, "fabric").frames, 1);
    scene_free(scene);
}

/* A state of one frame too many or so: FRAMES of LENGTH bytes wait for the port NAME,
 * which is the last of fabric's. */
static GVariant *
state_with(const char *segment, guint per_mille, const char *name, guint frames,
           gsize length)
{
    g_autofree guint8 *frame = g_malloc0(length + 1);
    GVariantBuilder queue, none;
    g_variant_builder_init(&queue, G_VARIANT_TYPE("aay"));
    g_variant_builder_init(&none, G_VARIANT_TYPE("aay"));
    GVariant *empty = g_variant_builder_end(&none);
    for (guint i = 0; i < frames; i++)
        g_variant_builder_add_value(
            &queue, g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, frame, length, 1));
    return g_variant_new_parsed("@a(sut(ttttt)a(saay)) [('fabric', 0, 1, (1, 1, 0, 0, "
                                "0), [(%s, %@aay), (%s, %@aay), (%s, %@aay)]),"
                                " (%s, %u, 1, (0, 0, 0, 0, 0), [('a/nic1', %@aay)])]",
                                ports[0], empty, ports[1], empty, name,
                                g_variant_builder_end(&queue), segment, per_mille, empty);
}

/* What was kept on a disk, or came with an archive. */
static void
a_state_that_cannot_be_is_refused(void **state)
{
    Scene *scene = *state;
    g_autoptr(GVariant) right = g_variant_ref_sink(
        state_with("storage", 1000, ports[2], SEGMENT_QUEUE_FRAMES, SEGMENT_FRAME_MIN));
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(right);
    assert_true(segments_restore(scene->segments, bytes, NULL));
    segments_release(scene->segments);
    for (guint i = 0; i < SEGMENT_QUEUE_FRAMES; i++)
        receive_frame(scene->fabric[2], SEGMENT_FRAME_MIN);
    assert_refused(state_with("other", 0, ports[2], 1, 60));
    assert_refused(state_with("storage", 1001, ports[2], 1, 60));
    assert_refused(state_with("storage", 0, "other", 1, 60));
    assert_refused(state_with("storage", 0, ports[1], 1, 60));
    assert_refused(state_with("storage", 0, ports[2], SEGMENT_QUEUE_FRAMES + 1, 60));
    assert_refused(state_with("storage", 0, ports[2], 1, SEGMENT_FRAME_MIN - 1));
    assert_refused(state_with("storage", 0, ports[2], 1, SEGMENT_FRAME_MAX + 1));
    assert_refused(state_with("storage", 0, ports[2],
                              SEGMENT_QUEUE_BYTES / SEGMENT_FRAME_MAX + 1,
                              SEGMENT_FRAME_MAX));
}

/* Each byte of a state that was good, changed, and each end of it. */
static void
a_damaged_state_does_no_harm(void **state)
{
    Scene *scene = *state;
    segments_hold(scene->segments);
    send_frame(scene->fabric[0], 1, 60);
    g_autoptr(GBytes) frozen = segments_state(scene->segments);
    gsize length;
    const guint8 *bytes = g_bytes_get_data(frozen, &length);
    for (gsize i = 0; i < length; i++) {
        g_autofree guint8 *changed = g_memdup2(bytes, length);
        changed[i] ^= 0xff;
        g_autoptr(GBytes) other = g_bytes_new(changed, length);
        g_autoptr(GBytes) cut = g_bytes_new(bytes, i);
        Scene *first = scene_new(), *second = scene_new();
        segments_restore(first->segments, other, NULL); /* some bytes may be anything */
        assert_false(segments_restore(second->segments, cut, NULL));
        scene_free(first);
        scene_free(second);
    }
}

static void
frames_are_captured(void **state)
{
    Scene *scene = *state;
    g_autofree char *dir = g_dir_make_tmp("hostbed-segments.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "fabric.pcap", NULL), *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gsize length = 0;
    guint32 magic;
    assert_true(segments_capture(scene->segments, "fabric", path, &error));
    for (guint32 i = 0; i < 3; i++) {
        send_frame(scene->fabric[i], i, 60 + i);
        assert_int_equal(receive_frame(scene->fabric[(i + 1) % 3], 60 + i), i);
        assert_int_equal(receive_frame(scene->fabric[(i + 2) % 3], 60 + i), i);
    }
    assert_true(g_file_get_contents(path, &bytes, &length, NULL));
    memcpy(&magic, bytes, sizeof magic);
    assert_int_equal(magic, 0xa1b2c3d4);
    assert_int_equal(length, 24 + 3 * 16 + 60 + 61 + 62);
    for (guint32 i = 0, at = 24; i < 3; i++) {
        guint32 sizes[2], number;
        memcpy(sizes, bytes + at + 8, sizeof sizes);
        memcpy(&number, bytes + at + 16 + 6, sizeof number);
        assert_int_equal(sizes[0], 60 + i);
        assert_int_equal(sizes[1], 60 + i);
        assert_int_equal(number, i);
        at += 16 + 60 + i;
    }
    assert_false(segments_capture(scene->segments, "fabric", dir, &error));
    g_unlink(path);
    g_rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Frames of the others pass. */
static void
a_port_loses_what_comes_and_goes(void **state)
{
    const Scene *scene = *state;
    SegmentCounts counts;
    assert_false(segments_set_port_loss(scene->segments, "fabric", "d/nic0", 1000, 1));
    assert_false(segments_set_port_loss(scene->segments, "nothing", ports[0], 1000, 1));
    assert_true(segments_set_port_loss(scene->segments, "fabric", ports[0], 1000, 1));
    assert_int_equal(segments_port_loss(scene->segments, "fabric", ports[0]), 1000);
    assert_int_equal(segments_port_loss(scene->segments, "fabric", ports[1]), 0);
    send_frame(scene->fabric[0], 1, 60);
    send_frame(scene->fabric[1], 2, 60);
    assert_int_equal(receive_frame(scene->fabric[2], 60), 2);
    assert_true(segments_set_port_loss(scene->segments, "fabric", ports[0], 0, 1));
    send_frame(scene->fabric[2], 3, 60);
    assert_int_equal(receive_frame(scene->fabric[0], 60), 3);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 3);
    send_frame(scene->fabric[0], 4, 60);
    assert_int_equal(receive_frame(scene->fabric[1], 60), 4);
    segments_count(scene->segments, "fabric", &counts);
    assert_int_equal(counts.lost, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ports_come_and_go),
        TEST(frames_go_to_all_others),
        TEST(networks_do_not_hear_each_other),
        TEST(what_is_no_frame_is_refused),
        TEST(a_flood_is_dropped_where_nobody_reads),
        TEST(an_emulator_that_is_gone_is_nobody),
        TEST(losses_are_as_asked_and_the_same_again),
        TEST(a_port_loses_what_comes_and_goes),
        TEST(what_is_held_goes_on_elsewhere),
        TEST(a_state_of_others_is_refused),
        TEST(a_state_that_cannot_be_is_refused),
        TEST(a_damaged_state_does_no_harm),
        TEST(frames_are_captured),
    };
    return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
