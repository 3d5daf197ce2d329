/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Templates as archives: what is exported is imported as the same, and what is not whole,
 * or not what it says, is refused.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image-fixture.h"
#include "template-fixture.h"
#include "sparse.h"
#include "template-archive.h"
#include "template-key.h"

/* ---- sparse files
 * --------------------------------------------------------------------------------- */

static void
a_checksum_is_of_bytes_and_not_of_holes(void **state)
{
    g_auto(AutoFd) holes = fake_memory("text", 1 << 20, 4 << 20);
    g_auto(AutoFd) full = fake_memory("text", 1 << 20, 4 << 20);
    g_auto(AutoFd) moved = fake_memory("text", 2 << 20, 4 << 20);
    static const char zeroes[1 << 20];
    assert_int_equal(pwrite(full, zeroes, sizeof zeroes, 0), sizeof zeroes);
    goffset bytes = 0;
    g_autofree char *one = sparse_copy(holes, -1, 4 << 20, &bytes, NULL);
    g_autofree char *two = sparse_copy(full, -1, 4 << 20, NULL, NULL);
    g_autofree char *three = sparse_copy(moved, -1, 4 << 20, NULL, NULL);
    assert_string_equal(one, two);
    assert_string_not_equal(one, three);
    assert_int_equal(bytes, 4096);
}

/* ---- archives
 * --------------------------------------------------------------------------------------
 */

static int
export_of(const char *key)
{
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_non_null(stored);
    assert_true(template_export(stored, fd, NULL));
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void
an_archive_becomes_the_same_template(void **state)
{
    g_autofree char *key = fake_template("a");
    g_auto(AutoFd) archive = export_of(key);
    struct stat st;
    assert_int_equal(fstat(archive, &st), 0);
    assert_in_range(st.st_size, 1, 20000);
    empty_templates(NULL);
    g_autofree char *imported = template_import(archive, NULL);
    assert_string_equal(imported, key);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
    assert_in_range(stored->bytes, 1, 1 << 20);
    char byte = 0;
    assert_int_equal(pread(g_array_index(stored->fds, int, 1), &byte, 1, 12345678), 1);
    assert_int_equal(byte, 'a');
    g_auto(AutoFd) again = export_of(key);
    g_autofree char *there = template_import(again, NULL);
    assert_string_equal(there, key);
    assert_int_equal(count_templates(), 1);
}

/* As clones leave it that have read holes of it, on a tmpfs. */
static void
holes_that_are_filled_change_nothing(void **state)
{
    static const char zeroes[1 << 16];
    g_autofree char *key = fake_template("a");
    g_auto(AutoFd) before = export_of(key);
    g_autofree char *path = template_path(key, "memory-0");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(chmod(path, 0600), 0);
    g_auto(AutoFd) memory = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(memory, zeroes, sizeof zeroes, 1 << 20), sizeof zeroes);
    const struct timespec mark[] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(memory, mark), 0);
    assert_int_equal(chmod(path, 0400), 0);
    g_auto(AutoFd) after = export_of(key);
    off_t size = lseek(before, 0, SEEK_END);
    assert_int_equal(lseek(after, 0, SEEK_END), size);
    g_autofree char *one = g_malloc((gsize)size), *other = g_malloc((gsize)size);
    assert_int_equal(pread(before, one, (size_t)size, 0), size);
    assert_int_equal(pread(after, other, (size_t)size, 0), size);
    assert_memory_equal(one, other, (size_t)size);
}

static void
one_that_cannot_be_written_is_told(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    g_autoptr(GError) error = NULL;
    g_auto(AutoFd) full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_false(template_export(stored, full, &error));
    assert_int_equal(hb_error_status(error), HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, "No space left on device"));
}

static void
several_hosts_go_together(void **state)
{
    g_autoptr(TemplateWriter) writer = fake_lab_writer("a");
    assert_true(template_writer_commit(writer, NULL));
    const char *key = writer->about->key;
    g_auto(AutoFd) archive = export_of(key);
    empty_templates(NULL);
    g_autofree char *imported = template_import(archive, NULL);
    assert_string_equal(imported, key);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
    assert_int_equal(stored->about->peers->len, 1);
    char byte = 0;
    assert_int_equal(pread(g_array_index(stored->fds, int, 3), &byte, 1, 4096), 1);
    assert_int_equal(byte, 'o');
}

static void
a_damaged_one_makes_way(void **state)
{
    g_autofree char *key = fake_template("a");
    g_auto(AutoFd) archive = export_of(key);
    g_autofree char *path = template_path(key, "memory-0");
    assert_int_equal(truncate(path, 4096), 0);
    g_autofree char *imported = template_import(archive, NULL);
    assert_string_equal(imported, key);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
    assert_int_equal(count_templates(), 1);
}

static void
a_link_makes_way_too(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autofree char *path = template_path(key, NULL);
    g_auto(AutoFd) archive = export_of(key);
    assert_true(template_store_remove(key));
    assert_int_equal(symlink("/etc", path), 0);
    g_autofree char *imported = template_import(archive, NULL);
    assert_string_equal(imported, key);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
}

static void
assert_refused(int archive, HbStatus status, const char *words)
{
    g_autoptr(GError) error = NULL;
    lseek(archive, 0, SEEK_SET);
    assert_null(template_import(archive, &error));
    assert_non_null(error);
    assert_int_equal(hb_error_status(error), status);
    if (!strstr(error->message, words))
        fail_msg("'%s' does not say '%s'", error->message, words);
    assert_int_equal(count_templates(), 0);
}

static void
one_that_is_cut_is_refused(void **state)
{
    g_autofree char *key = fake_template("a");
    g_auto(AutoFd) archive = export_of(key);
    off_t size = lseek(archive, 0, SEEK_END);
    empty_templates(NULL);
    for (off_t end = 0; end < size - 8; end += MAX(size / 50, 1)) {
        g_auto(AutoFd) cut = memfd_create("cut", MFD_CLOEXEC);
        g_autofree char *bytes = g_malloc((gsize)size);
        assert_int_equal(pread(archive, bytes, (size_t)end, 0), end);
        assert_int_equal(write(cut, bytes, (size_t)end), end);
        assert_refused(cut, HB_USAGE, "");
    }
}

/* One member of a forged archive. */
typedef struct {
    const char *name;
    const void *data; /* NULL: SIZE zeroes */
    goffset size;
    const char *symlink, *hardlink;
} Member;

static void
add_member(struct archive *archive, const Member *member)
{
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_entry_set_pathname(entry, member->name);
    archive_entry_set_filetype(entry, member->symlink ? AE_IFLNK : AE_IFREG);
    if (member->symlink)
        archive_entry_set_symlink(entry, member->symlink);
    if (member->hardlink)
        archive_entry_set_hardlink(entry, member->hardlink);
    archive_entry_set_size(entry, member->size);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    g_autofree char *zeroes = member->data ? NULL : g_malloc0((gsize)member->size);
    if (member->size > 0)
        archive_write_data(archive, member->data ? member->data : zeroes,
                           (size_t)member->size);
}

static int
forge(const Member *members, guint count)
{
    int fd = memfd_create("forged", MFD_CLOEXEC);
    g_autoptr(ArchiveWriter) archive = archive_write_new();
    archive_write_set_format_pax(archive);
    assert_int_equal(archive_write_open_fd(archive, fd), ARCHIVE_OK);
    for (guint i = 0; i < count; i++)
        add_member(archive, &members[i]);
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    return fd;
}

/* What template.json of an entry says, with FROM (or nothing) replaced by TO. */
static char *
about_text(const char *from, const char *to)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    g_autofree char *text = template_about_to_json(stored->about);
    empty_templates(NULL);
    if (!from)
        return g_steal_pointer(&text);
    assert_non_null(strstr(text, from));
    g_auto(GStrv) parts = g_strsplit(text, from, 2);
    return g_strjoinv(to, parts);
}

static void
members_must_be_those_of_a_template(void **state)
{
    g_autofree char *json = about_text(NULL, NULL);
    const Member good = {TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json), NULL, NULL};
    static const Member right = {"state", "state", 5, NULL, NULL};
    static const struct {
        Member second, third;
        const char *words;
    } wrong[] = {
        {{"../state", "state", 5, NULL, NULL}, {0}, "state is not where"},
        {{"/etc/passwd", "state", 5, NULL, NULL}, {0}, "state is not where"},
        {{"memory-0", "state", 5, NULL, NULL}, {0}, "state is not where"},
        {{"state", NULL, 0, "/etc/passwd", NULL}, {0}, "state is not where"},
        {{"state", NULL, 0, NULL, "template.json"}, {0}, "state is not where"},
        {{"state", "stat", 4, NULL, NULL}, {0}, "state has another size"},
        {{"state", "statesta", 8, NULL, NULL}, {0}, "state has another size"},
        {{"state", "State", 5, NULL, NULL}, {0}, "state is damaged"},
        {{"state", "state", 5, NULL, NULL},
         {"memory-0", NULL, 1 << 20, NULL, NULL},
         "memory-0 has another size"},
        {{"state", "state", 5, NULL, NULL},
         {"memory-0", NULL, FAKE_MEMORY, NULL, NULL},
         "memory-0 is damaged"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        const Member members[] = {good, wrong[i].second, wrong[i].third};
        g_auto(AutoFd) archive = forge(members, wrong[i].third.name ? 3 : 2);
        assert_refused(archive, HB_USAGE, wrong[i].words);
    }
    const Member early[] = {right, good};
    g_auto(AutoFd) archive = forge(early, 2);
    assert_refused(archive, HB_USAGE, "template.json is not where");
    const Member only[] = {good, right};
    g_auto(AutoFd) shorter = forge(only, 2);
    assert_refused(shorter, HB_USAGE, "memory-0 is missing");
}

static void
nothing_else_may_be_in_it(void **state)
{
    g_autofree char *key = fake_template("a");
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    g_autofree char *json = template_about_to_json(stored->about);
    g_autofree char *memory = g_malloc(FAKE_MEMORY);
    int fd = g_array_index(stored->fds, int, 1);
    assert_int_equal(pread(fd, memory, FAKE_MEMORY, 0), FAKE_MEMORY);
    empty_templates(NULL);
    const Member members[] = {
        {TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json), NULL, NULL},
        {"state", "state", 5, NULL, NULL},
        {"memory-0", memory, FAKE_MEMORY, NULL, NULL},
        {"more", "more", 4, NULL, NULL},
    };
    g_auto(AutoFd) longer = forge(members, 4);
    assert_refused(longer, HB_USAGE, "'more' is none that it names");
    g_auto(AutoFd) whole = forge(members, 3);
    lseek(whole, 0, SEEK_SET);
    g_autofree char *imported = template_import(whole, NULL);
    assert_string_equal(imported, key);
}

static void
what_it_says_of_itself_must_be_true(void **state)
{
    static const struct {
        const char *from, *to, *words;
    } lies[] = {
        {"\"tcg\"", "\"kvm\"", "key that is not that of its inputs"},
        {"\"key\" : \"", "\"key\" : \"../", "key that is none"},
        {"\"format\" : 1", "\"format\" : 2", "another form"},
        {"\"state\"", "\"../../state\"", "a template does not have"},
        {"\"memory-0\"", "\"memory-1\"", "a template does not have"},
        {"\"memory-0\"", "\"disk-0\"", "a template does not have"},
        {"\"size\" : 5", "\"size\" : -5", "a template does not have"},
        {"\"size\" : 5", "\"size\" : 9223372036854775807", "a template does not have"},
        {"\"size\" : 5", "\"size\" : \"5\"", "a template does not have"},
        {"\"checksum\" : \"", "\"checksum\" : \"x", "a template does not have"},
        {"\"nonce\" : \"0123\"", "\"nonce\" : 5", "lacks something"},
        {"\"inputs\" : [", "\"inputs\" : [ 5,", "without name or value"},
        {"\"inputs\"", "\"outputs\"", "key that is not that of its inputs"},
        {"\"files\"", "\"folders\"", "names no state"},
        {"\"lab\" : \"a\"", "\"lab\" : \"b\"", "names another lab or host"},
        {"\"host\" : \"l1\"", "\"host\" : \"l2\"", "names another lab or host"},
        {"\"files\"", "\"peers\":[{\"host\":\"l2\",\"nonce\":\"1\"}],\"files\"",
         "names no state"},
        {"\"files\"", "\"peers\":[{\"host\":\"liar\",\"nonce\":\"1\"}],\"files\"",
         "names another lab or host"},
        {"{", "[", "no JSON object"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_autofree char *json = about_text(lies[i].from, lies[i].to);
        const Member members[] = {
            {TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json), NULL, NULL}};
        g_auto(AutoFd) archive = forge(members, 1);
        assert_refused(archive, HB_USAGE, lies[i].words);
    }
}

/* BEFORE, FILL again and again, AFTER, and then what is nested: the parser must not see
 * it.
 */
static void
assert_nested_refused(const char *before, char fill, const char *after)
{
    g_autofree char *between = g_strnfill(500000, fill);
    g_autofree char *deep = g_strnfill(500000, '[');
    g_autofree char *text = g_strconcat(before, between, after, deep, NULL);
    const Member only[] = {
        {TEMPLATE_ABOUT_FILE, text, (goffset)strlen(text), NULL, NULL}};
    g_auto(AutoFd) archive = forge(only, 1);
    assert_refused(archive, HB_USAGE, "no JSON object");
}

static void
floods_are_refused(void **state)
{
    g_autofree char *deep = g_strnfill(500000, '[');
    const Member nested[] = {{TEMPLATE_ABOUT_FILE, deep, 500000, NULL, NULL}};
    g_auto(AutoFd) first = forge(nested, 1);
    assert_refused(first, HB_USAGE, "no JSON object");
    assert_nested_refused("{\"x\":\"", ']', "\",\"y\":");
    assert_nested_refused("{\"x\\\"\":\"", ']', "\",\"y\":");
    assert_nested_refused("{'\"':", ' ', "");
    assert_nested_refused("{/*\"*/\"x\":", ' ', "");
    const Member large[] = {{TEMPLATE_ABOUT_FILE, NULL, 2 << 20, NULL, NULL}};
    g_auto(AutoFd) second = forge(large, 1);
    assert_refused(second, HB_USAGE, "too large");
    g_autofree char *json = about_text(NULL, NULL);
    g_autofree char *bytes = g_strnfill(FAKE_MEMORY, 'x');
    const Member full[] = {
        {TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json), NULL, NULL},
        {"state", "state", 5, NULL, NULL},
        {"memory-0", bytes, FAKE_MEMORY, NULL, NULL},
    };
    g_auto(AutoFd) third = forge(full, 3);
    g_setenv("HOSTBED_TEMPLATES_MAX", "1 MiB", TRUE);
    assert_refused(third, HB_INFRASTRUCTURE, "HOSTBED_TEMPLATES_MAX");
}

/* A byte here and there takes a page each. */
static void
scattered_bytes_count_as_pages(void **state)
{
    g_autofree char *json = about_text(NULL, NULL);
    g_autofree char *bytes = g_strnfill(FAKE_MEMORY, 'x');
    const Member about[] = {{TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json)},
                            {"state", "state", 5}};
    g_auto(AutoFd) archive = memfd_create("forged", MFD_CLOEXEC);
    g_autoptr(ArchiveWriter) writer = archive_write_new();
    archive_write_set_format_pax(writer);
    assert_int_equal(archive_write_open_fd(writer, archive), ARCHIVE_OK);
    add_member(writer, &about[0]);
    add_member(writer, &about[1]);
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_entry_set_pathname(entry, "memory-0");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, FAKE_MEMORY);
    for (goffset at = 0; at < FAKE_MEMORY; at += 16384)
        archive_entry_sparse_add_entry(entry, at, 1);
    assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(writer, bytes, FAKE_MEMORY), FAKE_MEMORY);
    assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
    g_setenv("HOSTBED_TEMPLATES_MAX", "1 MiB", TRUE);
    assert_refused(archive, HB_INFRASTRUCTURE, "HOSTBED_TEMPLATES_MAX");
}

static void
what_is_no_archive_is_refused(void **state)
{
    g_auto(AutoFd) text = fake_memory("hello", 0, 5);
    assert_refused(text, HB_USAGE, "");
    g_auto(AutoFd) nothing = fake_memory("", 0, 0);
    assert_refused(nothing, HB_USAGE, "");
}

static void
another_machines_kvm_is_refused(void **state)
{
    g_autofree char *key = fake_template_for("a", "kvm"); /* on no machine at all */
    g_auto(AutoFd) archive = export_of(key);
    empty_templates(NULL);
    assert_refused(archive, HB_UNSUPPORTED, "made under KVM on another machine");
}

#define TEST(name) cmocka_unit_test_setup(name, empty_templates)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_checksum_is_of_bytes_and_not_of_holes),
        TEST(an_archive_becomes_the_same_template),
        TEST(holes_that_are_filled_change_nothing),
        TEST(one_that_cannot_be_written_is_told),
        TEST(several_hosts_go_together),
        TEST(a_damaged_one_makes_way),
        TEST(a_link_makes_way_too),
        TEST(one_that_is_cut_is_refused),
        TEST(members_must_be_those_of_a_template),
        TEST(nothing_else_may_be_in_it),
        TEST(what_it_says_of_itself_must_be_true),
        TEST(floods_are_refused),
        TEST(scattered_bytes_count_as_pages),
        TEST(what_is_no_archive_is_refused),
        TEST(another_machines_kvm_is_refused),
    };
    return cmocka_run_group_tests_name("template-archive", tests, fake_root_setup,
                                       fake_root_teardown);
}
