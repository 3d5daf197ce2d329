/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The folder of kept templates: entries appear whole, and what is damaged is none.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image-fixture.h"
#include "template-fixture.h"

static void
what_was_kept_is_found(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(GError) error = NULL;
    g_autoptr(StoredTemplate) stored = template_store_open(key, &error);
    assert_non_null(stored);
    assert_string_equal(stored->about->lab, "a");
    assert_string_equal(stored->about->nonce, "0123");
    assert_int_equal(stored->fds->len, 2);
    char text[6] = "";
    assert_int_equal(pread(g_array_index(stored->fds, int, 0), text, 5, 0), 5);
    assert_string_equal(text, "state");
    assert_int_equal(pread(g_array_index(stored->fds, int, 1), text, 1, 12345678), 1);
    assert_int_equal(text[0], 'a');
    assert_in_range(stored->bytes, 1, 1 << 20); /* the holes stayed holes */
}

/* What was written above an image, layer by layer. */
static void
disks_are_kept_behind_memory(void **state)
{
    g_autoptr(TemplateWriter) writer = fake_template_writer("disks", "tcg");
    g_auto(AutoFd) below = fake_memory("below", 0, 5);
    g_auto(AutoFd) above = fake_memory("above", 0, 5);
    assert_true(template_writer_copy(writer, "disk-0", below, 5, NULL));
    assert_true(template_writer_copy(writer, "disk-1", above, 5, NULL));
    assert_true(template_writer_commit(writer, NULL));
    g_autoptr(StoredTemplate) stored = template_store_open(writer->about->key, NULL);
    assert_non_null(stored);
    assert_int_equal(stored->fds->len, 4);
    char text[6] = "";
    assert_int_equal(pread(g_array_index(stored->fds, int, 3), text, 5, 0), 5);
    assert_string_equal(text, "above");
    assert_int_equal(fcntl(g_array_index(stored->fds, int, 3), F_GETFL) & O_ACCMODE,
                     O_RDONLY);
}

/* What is read of an entry whose files are called NAMES, of a host with so many peers. */
static TemplateAbout *
about_with(const char *const *names, guint peers, GError **error)
{
    g_autoptr(TemplateAbout) about = fake_about("places", "tcg");
    for (guint i = 0; i < peers; i++)
        template_about_add_peer(about, "other", "0");
    for (gsize i = 0; names[i]; i++) {
        TemplateFile *file = g_new0(TemplateFile, 1);
        file->name = g_strdup(names[i]);
        file->checksum = g_strnfill(64, '0');
        file->size = 1;
        g_ptr_array_add(about->files, file);
    }
    g_autofree char *json = template_about_to_json(about);
    return template_about_from_json(json, strlen(json), error);
}

#define OWN "state", "memory-0"
#define PEER(n) "peer-" #n "-state", "peer-" #n "-memory-0"
#define UNKNOWN "a template does not have"
#define MISSING "names no state"

static void
files_have_their_places(void **state)
{
    static const struct {
        guint peers;
        const char *names[9], *words;
    } wrong[] = {
        {0, {NULL}, MISSING},
        {0, {"state"}, MISSING},
        {0, {"memory-0"}, UNKNOWN},
        {0, {"state", "disk-0"}, UNKNOWN},
        {0, {OWN, "disk-1"}, UNKNOWN},
        {0, {OWN, "disk-0", "memory-1"}, UNKNOWN},
        {0, {OWN, "disk-0", "disk-0"}, UNKNOWN},
        {0, {OWN, "networks"}, UNKNOWN},
        {0, {OWN, PEER(1)}, UNKNOWN},
        {1, {OWN}, MISSING},
        {1, {OWN, "networks"}, UNKNOWN},
        {1, {OWN, PEER(1)}, MISSING},
        {1, {OWN, PEER(2), "networks"}, UNKNOWN},
        {1, {OWN, OWN, "networks"}, UNKNOWN},
        {1, {"state", PEER(1), "networks"}, UNKNOWN},
        {1, {OWN, "peer-1-state", "networks"}, UNKNOWN},
        {1, {OWN, "peer-1-state", "memory-1", "networks"}, UNKNOWN},
        {1, {OWN, PEER(1), "networks", "networks"}, UNKNOWN},
        {1, {OWN, PEER(1), PEER(2), "networks"}, UNKNOWN},
        {2, {OWN, PEER(1), "networks"}, UNKNOWN},
        {1, {OWN, PEER(1), "peer-1-networks"}, UNKNOWN},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(about_with(wrong[i].names, wrong[i].peers, &error));
        assert_non_null(strstr(error->message, wrong[i].words));
    }
    static const char *const right[] = {
        OWN,        "memory-1", "disk-0", PEER(1), "peer-1-disk-0", "peer-1-disk-1",
        "networks", NULL};
    g_autoptr(TemplateAbout) about = about_with(right, 1, NULL);
    guint first = 0;
    assert_non_null(about);
    assert_int_equal(template_about_files_of(about, 0, &first), 4);
    assert_int_equal(first, 0);
    assert_int_equal(template_about_files_of(about, 1, &first), 4);
    assert_int_equal(first, 4);
    assert_int_equal(template_about_files_of(about, 2, &first), 0);
}

static void
several_hosts_are_one_entry(void **state)
{
    g_autoptr(TemplateWriter) writer = fake_lab_writer("a");
    assert_true(template_writer_commit(writer, NULL));
    g_autoptr(StoredTemplate) stored = template_store_open(writer->about->key, NULL);
    assert_non_null(stored);
    assert_int_equal(count_templates(), 1);
    assert_int_equal(stored->about->peers->len, 1);
    const TemplatePeer *peer = stored->about->peers->pdata[0];
    assert_string_equal(peer->host, "l2");
    assert_string_equal(peer->nonce, "4567");
    assert_int_equal(stored->fds->len, 5);
    char text[7] = "";
    assert_int_equal(pread(g_array_index(stored->fds, int, 4), text, 6, 0), 6);
    assert_string_equal(text, "frames");
}

/* How many are gone. */
static guint
prune(gint64 maximum, const char *keep)
{
    g_autoptr(GPtrArray) removed = template_store_prune(maximum, keep);
    return removed->len;
}

static void
assert_damaged(const char *key, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(template_store_open(key, &error));
    assert_non_null(error);
    assert_non_null(strstr(error->message, words));
    g_autoptr(GPtrArray) list = template_store_damaged();
    assert_int_equal(list->len, 1);
    const DamagedTemplate *damaged = list->pdata[0];
    assert_string_equal(damaged->key, key);
    assert_string_equal(damaged->trouble, error->message);
    g_autoptr(GPtrArray) removed = template_store_prune(G_MAXINT64, NULL);
    assert_int_equal(removed->len, 1);
    assert_non_null(strstr(removed->pdata[0], words));
    assert_int_equal(count_templates(), 0);
}

static void
what_lacks_a_part_of_a_peer_is_damaged(void **state)
{
    static const char *const names[] = {"peer-1-state", "peer-1-memory-0", "networks"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(TemplateWriter) writer = fake_lab_writer("a");
        assert_true(template_writer_commit(writer, NULL));
        g_autofree char *path = template_path(writer->about->key, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_damaged(writer->about->key, names[i]);
    }
}

static void
peers_must_be_told_as_they_are(void **state)
{
    static const char *const lies[][2] = {
        {"\"peers\" : [", "\"peers\" : 5, \"hosts\" : ["},
        {"\"nonce\" : \"4567\"", "\"nonce\" : 5"},
        {"\"host\" : \"l2\"", "\"name\" : \"l2\""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_autoptr(TemplateWriter) writer = fake_lab_writer("a");
        g_autofree char *json = template_about_to_json(writer->about);
        g_auto(GStrv) parts = g_strsplit(json, lies[i][0], 2);
        g_autofree char *lie = g_strjoinv(lies[i][1], parts);
        g_autoptr(GError) error = NULL;
        assert_string_not_equal(json, lie);
        assert_null(template_about_from_json(lie, strlen(lie), &error));
        assert_non_null(strstr(error->message, "peer"));
    }
}

/* It could not be read again. */
static void
what_takes_too_many_words_is_not_kept(void **state)
{
    g_autoptr(TemplateWriter) writer = fake_template_writer("a", "tcg");
    g_autoptr(GError) error = NULL;
    g_free(writer->about->lab);
    writer->about->lab = g_strnfill(TEMPLATE_ABOUT_MAX, 'a');
    assert_false(template_writer_commit(writer, &error));
    assert_true(g_error_matches(error, HB_ERROR, HB_UNSUPPORTED));
    g_clear_pointer(&writer, template_writer_free);
    assert_int_equal(count_templates(), 0);
}

static void
another_key_finds_nothing(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(GError) error = NULL;
    key[0] = key[0] == '0' ? '1' : '0';
    assert_null(template_store_open(key, &error));
    assert_null(error);
    assert_false(template_store_remove(key));
    assert_false(template_store_remove("../kernels"));
}

static void
what_was_written_to_is_damaged(void **state)
{
    static const char *const names[] = {"state", "memory-0", TEMPLATE_ABOUT_FILE};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *key = fake_template("a");
        g_autofree char *path = template_path(key, names[i]);
        assert_int_equal(chmod(path, 0600), 0);
        g_auto(AutoFd) fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        assert_damaged(key, "was written to");
    }
}

static void
what_was_cut_is_damaged(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autofree char *path = template_path(key, "memory-0");
    assert_int_equal(truncate(path, 4096), 0);
    assert_damaged(key, "another size");
}

static void
what_lacks_a_file_is_damaged(void **state)
{
    static const char *const names[] = {"state", "memory-0", TEMPLATE_ABOUT_FILE};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *key = fake_template("a");
        g_autofree char *path = template_path(key, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_damaged(key, names[i]);
    }
}

static void
what_others_may_write_to_is_damaged(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autofree char *path = template_path(key, "state");
    assert_int_equal(chmod(path, 0622), 0);
    assert_damaged(key, "this user's alone");
}

static void
a_link_is_no_file_of_it(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autofree char *path = template_path(key, "state");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_damaged(key, "state");
}

static void
what_is_under_another_key_is_damaged(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autofree char *other = g_strnfill(64, 'e');
    g_autofree char *from = template_path(key, NULL);
    g_autofree char *to = template_path(other, NULL);
    assert_int_equal(rename(from, to), 0);
    assert_damaged(other, "another template");
}

/* A process that may open no more files says nothing of a template. */
static void
what_cannot_be_opened_now_stays(void **state)
{
    g_autofree char *key = fake_template("a");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    /* One more at a time, so that each of its files is once the one that is too much. */
    g_autoptr(StoredTemplate) stored = NULL;
    guint refused = 0;
    for (guint more = 0; !stored && more < 100; more++) {
        const struct rlimit few = {more, before.rlim_max};
        g_autoptr(GError) error = NULL;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        stored = template_store_open(key, &error);
        assert_true(stored || template_store_is_passing(error));
        refused += !stored;
        prune(G_MAXINT64, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(count_templates(), 1);
    }
    assert_non_null(stored);
    assert_in_range(refused, 3, 99);
}

static void
a_list_keeps_nothing_open(void **state)
{
    g_autofree char *a = fake_template("a"), *b = fake_template("b");
    guint before = count_descriptors();
    g_autoptr(GPtrArray) list = template_store_list();
    assert_int_equal(list->len, 2);
    assert_int_equal(count_descriptors(), before);
}

static void
who_has_it_open_keeps_it(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_true(template_store_remove(key));
    g_autoptr(GError) error = NULL;
    assert_null(template_store_open(key, &error));
    assert_null(error);
    /* As the emulator does it. */
    g_autofree char *path =
        g_strdup_printf("/proc/self/fd/%d", g_array_index(stored->fds, int, 1));
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC);
    char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, 12345678), 1);
    assert_int_equal(byte, 'a');
}

static void
of_two_makers_one_is_enough(void **state)
{
    g_autoptr(TemplateWriter) first = fake_template_writer("a", "tcg");
    g_autoptr(TemplateWriter) second = fake_template_writer("a", "tcg");
    assert_true(template_writer_commit(first, NULL));
    assert_true(template_writer_commit(second, NULL));
    g_clear_pointer(&second, template_writer_free);
    g_autoptr(StoredTemplate) stored = template_store_open(first->about->key, NULL);
    assert_non_null(stored);
    assert_int_equal(count_templates(), 1);
}

static void
what_is_not_committed_is_gone(void **state)
{
    template_writer_free(fake_template_writer("a", "tcg"));
    assert_int_equal(count_templates(), 0);
}

static void
what_a_killed_maker_left_goes(void **state)
{
    pid_t maker = fork();
    if (maker == 0) {
        fake_template_writer("a", "tcg");
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_templates(), 1);
    g_autoptr(GPtrArray) list = template_store_list();
    assert_int_equal(list->len, 0);
    /* One that was made a moment ago may not be locked yet. */
    g_autofree char *path = template_path("", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autofree char *left = template_path(g_dir_read_name(dir), NULL);
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, left, long_ago, 0), 0);
    prune(G_MAXINT64, NULL);
    assert_int_equal(count_templates(), 0);
}

static void
set_used(const char *key, time_t when)
{
    g_autofree char *path = template_path(key, TEMPLATE_ABOUT_FILE);
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_nsec = UTIME_OMIT}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
what_was_used_longest_ago_goes_first(void **state)
{
    g_autofree char *a = fake_template("a"), *b = fake_template("b"),
                    *c = fake_template("c");
    set_used(a, 2000);
    set_used(b, 1000);
    set_used(c, 3000);
    g_autoptr(GPtrArray) list = template_store_list();
    assert_string_equal(((StoredTemplate *)list->pdata[0])->about->lab, "c");
    gint64 one = ((StoredTemplate *)list->pdata[0])->bytes;
    /* Looking at them is no use. */
    assert_int_equal(((StoredTemplate *)list->pdata[2])->used, 1000);
    assert_int_equal(prune(one * 2, NULL), 1);
    g_autoptr(StoredTemplate) gone = template_store_open(b, NULL);
    assert_null(gone);
    g_autoptr(StoredTemplate) used = template_store_open(a, NULL);
    assert_non_null(used);
    assert_int_equal(prune(one, NULL), 1); /* c: a was just used */
    g_autoptr(StoredTemplate) stays = template_store_open(a, NULL);
    assert_non_null(stays);
    assert_int_equal(prune(0, a), 0);
    assert_int_equal(prune(0, NULL), 1);
}

static void
what_is_too_large_is_not_kept(void **state)
{
    g_autoptr(GError) error = NULL;
    g_setenv("HOSTBED_TEMPLATES_MAX", "4 KiB", TRUE);
    g_autoptr(TemplateWriter) writer = template_writer_new(fake_about("a", "tcg"), NULL);
    g_auto(AutoFd) memory = fake_memory("xx", 4095, FAKE_MEMORY); /* on two pages */
    assert_false(template_writer_copy(writer, "memory-0", memory, FAKE_MEMORY, &error));
    assert_non_null(strstr(error->message, "HOSTBED_TEMPLATES_MAX"));
    g_clear_error(&error);
    g_setenv("HOSTBED_TEMPLATES_MAX", "much", TRUE);
    assert_int_equal(template_store_maximum(&error), -1);
    assert_true(g_error_matches(error, HB_ERROR, HB_USAGE));
}

#define TEST(name) cmocka_unit_test_setup(name, empty_templates)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_kept_is_found),
        TEST(another_key_finds_nothing),
        TEST(what_was_written_to_is_damaged),
        TEST(what_was_cut_is_damaged),
        TEST(disks_are_kept_behind_memory),
        TEST(files_have_their_places),
        TEST(several_hosts_are_one_entry),
        TEST(what_lacks_a_part_of_a_peer_is_damaged),
        TEST(peers_must_be_told_as_they_are),
        TEST(what_takes_too_many_words_is_not_kept),
        TEST(what_lacks_a_file_is_damaged),
        TEST(what_others_may_write_to_is_damaged),
        TEST(a_link_is_no_file_of_it),
        TEST(what_is_under_another_key_is_damaged),
        TEST(what_cannot_be_opened_now_stays),
        TEST(a_list_keeps_nothing_open),
        TEST(who_has_it_open_keeps_it),
        TEST(of_two_makers_one_is_enough),
        TEST(what_is_not_committed_is_gone),
        TEST(what_a_killed_maker_left_goes),
        TEST(what_was_used_longest_ago_goes_first),
        TEST(what_is_too_large_is_not_kept),
    };
    return cmocka_run_group_tests_name("template-store", tests, fake_root_setup,
                                       fake_root_teardown);
}
