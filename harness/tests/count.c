/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that asks what frames there were, and the files of an emulator, which the test
 * writes.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "count-wire.h"
#include "count.h"
#include "emit.h"

typedef struct {
    char *dir;
    PlanFunction functions[3];
    Plan plan;
    Requests *requests;
} Scene;

static int
setup(void **state)
{
    static const char *const networks[] = {"wire", NULL, "fabric"};
    Scene *scene = g_new0(Scene, 1);
    scene->dir = g_dir_make_tmp("hostbed-count.XXXXXX", NULL);
    scene->plan.functions = g_ptr_array_new();
    for (int i = 0; i < 3; i++) {
        scene->functions[i].network = (char *)networks[i];
        g_ptr_array_add(scene->plan.functions, &scene->functions[i]);
    }
    scene->requests = counts_requests(&scene->plan, scene->dir);
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    Scene *scene = *state;
    for (int i = 0; i < 3; i += 2) {
        g_autofree char *file =
            emit_capture_file(scene->dir, scene->functions[i].network);
        g_unlink(file);
    }
    g_rmdir(scene->dir);
    requests_free(scene->requests);
    g_ptr_array_unref(scene->plan.functions);
    g_free(scene->dir);
    g_free(scene);
    return 0;
}

/* Adds to what was captured of a network. */
static void
captured(const Scene *scene, const char *network, const void *bytes, gsize length)
{
    g_autofree char *path = emit_capture_file(scene->dir, network);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void
begins(const Scene *scene, const char *network)
{
    static const guint32 header[6] = {0xa1b2c3d4u, 2 | 4 << 16, 0, 0, 65536, 1};
    captured(scene, network, header, sizeof header);
}

static void
frame_passes(const Scene *scene, const char *network, const char *frame)
{
    const guint32 record[4] = {7, 8, (guint32)strlen(frame), (guint32)strlen(frame)};
    captured(scene, network, record, sizeof record);
    captured(scene, network, frame, strlen(frame));
}

/* What is answered when the suite prints LINE. */
static void
answered(const Scene *scene, const char *line, const char *answer)
{
    char buffer[4096];
    Requests *requests = scene->requests;
    requests_hear(requests, (const guint8 *)line, strlen(line));
    gssize got = read(requests_fd(requests), buffer, sizeof buffer - 1);
    assert_true(got > 0);
    buffer[got] = '\0';
    assert_string_equal(buffer, answer);
}

static void
counted(const Scene *scene, const char *network, guint frames, guint64 sum)
{
    g_autofree char *line = g_strdup_printf("# hostbed: count %s\n", network);
    g_autofree char *answer = g_strdup_printf(
        "%s counted %u %016" G_GINT64_MODIFIER "x\n", network, frames, sum);
    answered(scene, line, answer);
}

static guint64
sum_of(guint64 sum, const char *frame)
{
    return count_sum(sum, (const unsigned char *)frame, strlen(frame));
}

static void
frames_are_counted_since_the_last_time(void **state)
{
    const Scene *scene = *state;
    begins(scene, "wire");
    begins(scene, "fabric");
    counted(scene, "wire", 0, COUNT_SUM_START);
    frame_passes(scene, "wire", "one");
    frame_passes(scene, "fabric", "another's");
    frame_passes(scene, "wire", "two");
    counted(scene, "wire", 2, sum_of(sum_of(COUNT_SUM_START, "one"), "two"));
    counted(scene, "wire", 0, COUNT_SUM_START);
    frame_passes(scene, "wire", "");
    counted(scene, "wire", 1, sum_of(COUNT_SUM_START, ""));
    counted(scene, "fabric", 1, sum_of(COUNT_SUM_START, "another's"));
}

static void
what_is_in_them_makes_the_sum(void **state)
{
    assert_int_equal(sum_of(COUNT_SUM_START, "a"),
                     G_GUINT64_CONSTANT(0xd0a378186726fc5f));
    assert_true(sum_of(sum_of(COUNT_SUM_START, "ab"), "c") !=
                sum_of(sum_of(COUNT_SUM_START, "a"), "bc"));
    assert_true(sum_of(sum_of(COUNT_SUM_START, "a"), "b") !=
                sum_of(sum_of(COUNT_SUM_START, "b"), "a"));
}

/* A frame of which not all was written is counted when it is whole. */
static void
half_a_frame_is_left(void **state)
{
    const Scene *scene = *state;
    static const guint32 record[4] = {0, 0, 4, 4};
    begins(scene, "wire");
    frame_passes(scene, "wire", "one");
    captured(scene, "wire", record, sizeof record);
    captured(scene, "wire", "tw", 2);
    counted(scene, "wire", 1, sum_of(COUNT_SUM_START, "one"));
    captured(scene, "wire", "o!", 2);
    counted(scene, "wire", 1, sum_of(COUNT_SUM_START, "two!"));
}

static void
a_file_that_is_none_is_refused(void **state)
{
    const Scene *scene = *state;
    static const guint32 huge[4] = {0, 0, EMIT_CAPTURE_MAX + 1, 60};
    answered(
        scene, "# hostbed: count wire\n",
        "wire refused what was captured cannot be read: No such file or directory\n");
    captured(scene, "wire", "noise and more of it, long enough", 33);
    answered(scene, "# hostbed: count wire\n",
             "wire refused what was captured cannot be read: it is damaged\n");
    begins(scene, "fabric");
    captured(scene, "fabric", huge, sizeof huge);
    answered(scene, "# hostbed: count fabric\n",
             "fabric refused what was captured cannot be read: it is damaged\n");
}

static void
only_what_the_plan_has(void **state)
{
    const Scene *scene = *state;
    static const char *const wrong[] = {"count",       "count ",      "count ../wire",
                                        "count wires", "count wire ", "plug wire"};
    begins(scene, "wire");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *line = g_strdup_printf("# hostbed: %s\n", wrong[i]);
        answered(scene, line, "? refused one can count the networks of the host\n");
    }
}

static void
networks_are_named(void **state)
{
    Scene *scene = *state;
    g_autofree char *some = counts_environment(&scene->plan);
    assert_string_equal(some, "HOSTBED_COUNTED=fabric wire");
    scene->functions[0].network = scene->functions[2].network = NULL;
    assert_null(counts_environment(&scene->plan));
    scene->functions[0].network = (char *)"wire";
    scene->functions[2].network = (char *)"fabric";
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_are_counted_since_the_last_time),
        TEST(what_is_in_them_makes_the_sum),
        TEST(half_a_frame_is_left),
        TEST(a_file_that_is_none_is_refused),
        TEST(only_what_the_plan_has),
        TEST(networks_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
