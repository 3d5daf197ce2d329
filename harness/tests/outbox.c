/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Results as an honest host sends them, and as a hostile one would.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "outbox.h"
#include "wire.h"

typedef struct {
    char *root; /* with "box", where results go, and "outside" beside it */
    char *box, *secret;
    Outbox *outbox;
    GByteArray *records;
} Fixture;

static int
setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->root = g_dir_make_tmp("hostbed-outbox-XXXXXX", NULL);
    f->box = g_build_filename(f->root, "box", NULL);
    f->secret = g_build_filename(f->root, "outside", NULL);
    f->outbox = outbox_open(f->box, NULL);
    f->records = g_byte_array_new();
    assert_true(g_file_set_contents(f->secret, "untouched", -1, NULL));
    assert_non_null(f->outbox);
    *state = f;
    return 0;
}

static void
run(const char *const *argv)
{
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                             NULL, NULL, NULL, NULL));
}

static int
teardown(void **state)
{
    Fixture *f = *state;
    run((const char *const[]){"rm", "-rf", f->root, NULL});
    outbox_free(f->outbox);
    g_byte_array_unref(f->records);
    g_free(f->root);
    g_free(f->box);
    g_free(f->secret);
    g_free(f);
    return 0;
}

static void
put_raw(Fixture *f, char type, guint mode, guint64 size, const char *name,
        gsize name_length)
{
    guint8 head[HB_OUT_HEADER] = {(guint8)type, 0, name_length & 255,
                                  (guint8)(name_length >> 8)};
    guint32 mode_le = GUINT32_TO_LE(mode);
    guint64 size_le = GUINT64_TO_LE(size);
    memcpy(head + 4, &mode_le, 4);
    memcpy(head + 8, &size_le, 8);
    g_byte_array_append(f->records, head, sizeof head);
    g_byte_array_append(f->records, (const guint8 *)name, (guint)name_length);
}

static void
put(Fixture *f, char type, const char *name, const char *content)
{
    put_raw(f, type, 0644, strlen(content), name, strlen(name));
    g_byte_array_append(f->records, (const guint8 *)content, (guint)strlen(content));
}

static gboolean
deliver(Fixture *f, gsize piece, GError **error)
{
    for (gsize at = 0; at < f->records->len; at += piece)
        outbox_feed(f->outbox, f->records->data + at,
                    MIN(piece, (gsize)f->records->len - at));
    return outbox_finish(f->outbox, error);
}

static void
assert_delivered(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    put(f, HB_OUT_END, "", "");
    if (!deliver(f, 4096, &error))
        fail_msg("%s", error->message);
}

static void
assert_content(const Fixture *f, const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(f->box, name, NULL);
    g_autofree char *content = NULL;
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    assert_string_equal(content, expected);
}

static void
assert_untouched(const Fixture *f)
{
    g_autofree char *content = NULL;
    g_autoptr(GDir) dir = g_dir_open(f->root, 0, NULL);
    guint count = 0;
    while (g_dir_read_name(dir))
        count++;
    assert_int_equal(count, 2);
    assert_true(g_file_get_contents(f->secret, &content, NULL, NULL));
    assert_string_equal(content, "untouched");
}

static void
assert_left(const Fixture *f, guint count)
{
    g_autofree char *left = outbox_left(f->outbox);
    g_autofree char *number = g_strdup_printf("%u of the results were left out", count);
    assert_non_null(left);
    assert_true(g_str_has_prefix(left, number));
    for (const char *at = left; *at; at++)
        assert_true((guchar)*at >= 0x20);
}

/* ---- as it should be
 * ---------------------------------------------------------------------------------- */

static void
files_and_folders_arrive_in_any_pieces(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FOLDER, "a", "");
    put(f, HB_OUT_FOLDER, "a/b", "");
    put(f, HB_OUT_FILE, "a/b/one", "first");
    put(f, HB_OUT_FILE, "two", "");
    put(f, HB_OUT_FILE, "\xc3\xa4 -b", "third\n");
    put(f, HB_OUT_END, "", "");
    assert_true(deliver(f, 1, NULL));
    assert_content(f, "a/b/one", "first");
    assert_content(f, "two", "");
    assert_content(f, "\xc3\xa4 -b", "third\n");
    assert_int_equal(outbox_count(f->outbox), 5);
    assert_null(outbox_left(f->outbox));
}

static void
results_of_the_last_time_are_replaced(void **state)
{
    Fixture *f = *state;
    g_autofree char *old = g_build_filename(f->box, "log", NULL);
    g_autofree char *other = g_build_filename(f->root, "box", "same", NULL);
    assert_true(g_file_set_contents(old, "a longer old one", -1, NULL));
    assert_int_equal(link(old, other), 0);
    put(f, HB_OUT_FILE, "log", "new");
    assert_delivered(f);
    assert_content(f, "log", "new");
    assert_content(f, "same", "a longer old one");
}

static void
core_dumps_are_named(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FOLDER, "sub", "");
    put(f, HB_OUT_FILE, "core.prog.17", "x");
    put(f, HB_OUT_FILE, "sub/core.no", "x");
    assert_delivered(f);
    assert_int_equal(outbox_cores(f->outbox)->len, 1);
    assert_true(g_str_has_suffix(outbox_cores(f->outbox)->pdata[0], "/box/core.prog.17"));
}

static void
programs_may_be_run_but_not_as_another(void **state)
{
    Fixture *f = *state;
    struct stat st;
    g_autofree char *path = g_build_filename(f->box, "p", NULL);
    put_raw(f, HB_OUT_FILE, 07755, 0, "p", 1);
    assert_delivered(f);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07100, 0100);
}

/* The folder SOURCE as the agent packs it. */
static void
pack(Fixture *f, const char *source)
{
    const char *build = g_getenv("HOSTBED_BUILD_DIR");
    g_autofree char *agent =
        g_build_filename(build ? build : ".", "vmtests/tests/plain-agent", NULL);
    const char *const argv[] = {agent, "--pack", source, NULL};
    g_autoptr(GSubprocess) process =
        g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE, NULL);
    g_autoptr(GBytes) records = NULL;
    assert_non_null(process);
    assert_true(g_subprocess_communicate(process, NULL, NULL, &records, NULL, NULL));
    assert_true(g_subprocess_get_successful(process));
    gsize length;
    const guint8 *data = g_bytes_get_data(records, &length);
    g_byte_array_append(f->records, data, (guint)length);
}

static void
what_the_agent_packs_arrives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *source = g_dir_make_tmp("hostbed-pack-XXXXXX", NULL);
    g_autofree char *script = g_strdup_printf(
        "cd %s && mkdir -p a/b empty && echo one >a/b/c && : >none && chmod 755 none && "
        "ln -s /etc/passwd link && ln -s /etc dir && mkfifo fifo && "
        "head -c 300000 /dev/zero >zeros",
        source);
    run((const char *const[]){"sh", "-c", script, NULL});
    pack(f, source);
    run((const char *const[]){"rm", "-rf", source, NULL});
    if (!deliver(f, 1000, &error))
        fail_msg("%s", error->message);
    assert_content(f, "a/b/c", "one\n");
    assert_content(f, "none", "");
    assert_int_equal(outbox_count(f->outbox), 6);
    assert_left(f, 3);
    g_autofree char *zeros = g_build_filename(f->box, "zeros", NULL);
    struct stat st;
    assert_int_equal(stat(zeros, &st), 0);
    assert_int_equal(st.st_size, 300000);
}

/* ---- names
 * ------------------------------------------------------------------------------------------
 */

static void
no_name_leads_out(void **state)
{
    Fixture *f = *state;
    g_autofree char *absolute = g_strdup(f->secret);
    const char *const names[] = {
        "../outside", "/../outside", "a/../../outside", "..",    ".", "", "a//b", "/etc",
        "./x",        "a/",          absolute,          "../new"};
    put(f, HB_OUT_FOLDER, "a", "");
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        put(f, HB_OUT_FILE, names[i], "evil");
    put(f, HB_OUT_FOLDER, "../folder", "");
    assert_delivered(f);
    assert_untouched(f);
    assert_left(f, G_N_ELEMENTS(names) + 1);
    assert_int_equal(outbox_count(f->outbox), 1);
}

static void
names_that_deceive_are_left_out(void **state)
{
    Fixture *f = *state;
    g_autofree char *long_name = g_strnfill(256, 'x');
    put(f, HB_OUT_FILE, "a\033[2Jb", "x");
    put(f, HB_OUT_FILE, "a\nb", "x");
    put(f, HB_OUT_FILE, long_name, "x");
    put_raw(f, HB_OUT_FILE, 0644, 0, "nul\0x", 5);
    assert_delivered(f);
    assert_left(f, 4);
    assert_int_equal(outbox_count(f->outbox), 0);
}

static void
links_that_lie_there_are_not_followed(void **state)
{
    Fixture *f = *state;
    g_autofree char *file = g_build_filename(f->box, "file", NULL);
    g_autofree char *folder = g_build_filename(f->box, "folder", NULL);
    assert_int_equal(symlink("../outside", file), 0);
    assert_int_equal(symlink("..", folder), 0);
    put(f, HB_OUT_FILE, "file", "new");
    put(f, HB_OUT_FOLDER, "folder", "");
    put(f, HB_OUT_FILE, "folder/outside", "evil");
    put(f, HB_OUT_FILE, "folder/new", "evil");
    assert_delivered(f);
    assert_untouched(f);
    assert_content(f, "file", "new"); /* no link any more */
    assert_left(f, 3);
}

static void
links_and_devices_stay_in_the_host(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_LEFT, "link", "");
    put(f, HB_OUT_FILE, "kept", "x");
    assert_delivered(f);
    assert_left(f, 1);
    assert_content(f, "kept", "x");
}

static void
a_file_is_no_folder_and_no_folder_a_file(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FILE, "x", "file");
    put(f, HB_OUT_FILE, "x/y", "evil");
    put(f, HB_OUT_FOLDER, "x", "");
    put(f, HB_OUT_FOLDER, "d", "");
    put(f, HB_OUT_FILE, "d", "evil");
    put(f, HB_OUT_FILE, "missing/y", "evil");
    assert_delivered(f);
    assert_content(f, "x", "file");
    assert_left(f, 4);
}

/* ---- sizes and forms
 * -------------------------------------------------------------------------------- */

static void
assert_broken(Fixture *f, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_false(deliver(f, 4096, &error));
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
too_much_is_refused(void **state)
{
    Fixture *f = *state;
    outbox_set_limits(f->outbox, 2 << 20, 100);
    put(f, HB_OUT_FILE, "small", "x");
    put_raw(f, HB_OUT_FILE, 0644, 2 << 20, "big", 3);
    assert_broken(f, "larger than 2 MiB");
    assert_content(f, "small", "x");
}

static void
a_size_beyond_all_numbers_is_refused(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FILE, "small", "x");
    put_raw(f, HB_OUT_FILE, 0644, G_MAXUINT64, "big", 3);
    assert_broken(f, "larger than 1024 MiB");
}

static void
too_many_are_refused(void **state)
{
    Fixture *f = *state;
    outbox_set_limits(f->outbox, 1 << 20, 3);
    for (guint i = 0; i < 4; i++)
        put(f, HB_OUT_LEFT, "x", "");
    put(f, HB_OUT_END, "", "");
    assert_broken(f, "more than 3 files");
}

static void
what_is_no_record_is_refused(void **state)
{
    Fixture *f = *state;
    g_byte_array_append(f->records, (const guint8 *)"Hello, I am a program!", 22);
    assert_broken(f, "do not come as the agent sends them");
}

static void
a_name_of_any_length_is_refused(void **state)
{
    Fixture *f = *state;
    g_autofree char *name = g_strnfill(60000, 'x');
    put_raw(f, HB_OUT_FILE, 0644, 0, name, 60000);
    assert_broken(f, "do not come as the agent sends them");
}

static void
an_end_is_an_end(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FILE, "x", "x");
    put(f, HB_OUT_END, "", "");
    put(f, HB_OUT_FILE, "y", "y");
    assert_broken(f, "after their end");
}

static void
results_without_an_end_are_not_whole(void **state)
{
    Fixture *f = *state;
    put(f, HB_OUT_FILE, "x", "x");
    assert_broken(f, "end in the middle");
}

/* Bytes changed at random in what would be right. */
static void
nothing_that_is_sent_leads_out(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = g_rand_new_with_seed(20171118);
    put(f, HB_OUT_FOLDER, "a", "");
    put(f, HB_OUT_FILE, "a/../../outside", "evil");
    put(f, HB_OUT_FILE, "a/bb/../../../new", "evil");
    put(f, HB_OUT_FILE, "x", "some more");
    put(f, HB_OUT_END, "", "");
    for (guint i = 0; i < 3000; i++) {
        g_autofree guint8 *bytes = g_memdup2(f->records->data, f->records->len);
        for (gint32 n = g_rand_int_range(rand, 1, 4); n > 0; n--)
            bytes[g_rand_int_range(rand, 0, (gint32)f->records->len)] =
                (guint8) "./\0\1df\377 "[g_rand_int_range(rand, 0, 8)];
        outbox_free(f->outbox);
        f->outbox = outbox_open(f->box, NULL);
        outbox_feed(f->outbox, bytes, f->records->len);
        outbox_finish(f->outbox, NULL);
    }
    assert_untouched(f);
}

static void
a_folder_that_cannot_be_is_told(void **state)
{
    Fixture *f = *state;
    g_autoptr(GError) error = NULL;
    assert_null(outbox_open(f->secret, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(files_and_folders_arrive_in_any_pieces),
        T(results_of_the_last_time_are_replaced),
        T(core_dumps_are_named),
        T(programs_may_be_run_but_not_as_another),
        T(what_the_agent_packs_arrives),
        T(no_name_leads_out),
        T(names_that_deceive_are_left_out),
        T(links_that_lie_there_are_not_followed),
        T(links_and_devices_stay_in_the_host),
        T(a_file_is_no_folder_and_no_folder_a_file),
        T(too_much_is_refused),
        T(a_size_beyond_all_numbers_is_refused),
        T(too_many_are_refused),
        T(what_is_no_record_is_refused),
        T(a_name_of_any_length_is_refused),
        T(an_end_is_an_end),
        T(results_without_an_end_are_not_whole),
        T(nothing_that_is_sent_leads_out),
        T(a_folder_that_cannot_be_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
