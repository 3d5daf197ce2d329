/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image-fixture.h"
#include "sparse.h"
#include "template-archive.h"
#include "template-key.h"
#include "template-store.h"

#define MEMORY ((goffset)64 << 20)

/* ---- entries to test with
 * --------------------------------------------------------------------------- */

/* Of SIZE, holes but for TEXT at OFFSET. */
static int
memory_with(const char *text, goffset offset, goffset size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
    return fd;
}

static TemplateAbout *
about(const char *lab, const char *accel)
{
    TemplateAbout *made = template_about_new();
    template_inputs_add(made->inputs, "hostbed", "test");
    template_inputs_add(made->inputs, "accelerator", accel);
    template_inputs_add(made->inputs, "lab", lab);
    made->key = template_inputs_key(made->inputs);
    made->lab = g_strdup(lab);
    made->host = g_strdup("l1");
    made->emulator = g_strdup("/usr/bin/qemu");
    made->kernel = g_strdup("6.1");
    made->nonce = g_strdup("0123");
    made->made = g_strdup("2026-11-21T18:15:38Z");
    return made;
}

static TemplateWriter *
fill(const char *lab, const char *accel)
{
    TemplateWriter *writer = template_writer_new(about(lab, accel), NULL);
    g_auto(AutoFd) state = memory_with("state", 0, 5);
    g_auto(AutoFd) memory = memory_with(lab, 12345678, MEMORY);
    assert_non_null(writer);
    assert_true(template_writer_copy(writer, "state", state, 5, NULL));
    assert_true(template_writer_copy(writer, "memory-0", memory, MEMORY, NULL));
    return writer;
}

/* The key of an entry, owned by the caller. */
static char *
make_for(const char *lab, const char *accel)
{
    g_autoptr(TemplateWriter) writer = fill(lab, accel);
    assert_true(template_writer_commit(writer, NULL));
    return g_strdup(writer->about->key);
}

static char *
make(const char *lab)
{
    return make_for(lab, "tcg");
}

static char *
file_of(const char *key, const char *name)
{
    return g_build_filename(g_get_user_cache_dir(), "hostbed", TEMPLATE_STORE_KIND, key,
                            name, NULL);
}

static int
empty_store(void **state)
{
    g_autofree char *path = file_of("", NULL);
    cache_remove_tree(path);
    g_unsetenv("HOSTBED_TEMPLATES_MAX");
    return 0;
}

static guint
count_folders(void)
{
    guint count = 0;
    g_autofree char *path = file_of("", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}

/* ---- the store
 * ------------------------------------------------------------------------------------ */

static void
what_was_kept_is_found(void **state)
{
    g_autofree char *key = make("a");
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

static void
another_key_finds_nothing(void **state)
{
    g_autofree char *key = make("a");
    g_autoptr(GError) error = NULL;
    key[0] = key[0] == '0' ? '1' : '0';
    assert_null(template_store_open(key, &error));
    assert_null(error);
    assert_false(template_store_remove(key));
    assert_false(template_store_remove("../kernels"));
}

static void
assert_damaged(const char *key, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(template_store_open(key, &error));
    assert_non_null(error);
    assert_non_null(strstr(error->message, words));
    assert_int_equal(template_store_prune(G_MAXINT64, NULL), 1);
    assert_int_equal(count_folders(), 0);
}

static void
what_was_written_to_is_damaged(void **state)
{
    static const char *const names[] = {"state", "memory-0", TEMPLATE_ABOUT_FILE};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *key = make("a");
        g_autofree char *path = file_of(key, names[i]);
        assert_int_equal(chmod(path, 0600), 0);
        g_auto(AutoFd) fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        assert_damaged(key, "was written to");
    }
}

static void
what_was_cut_is_damaged(void **state)
{
    g_autofree char *key = make("a");
    g_autofree char *path = file_of(key, "memory-0");
    assert_int_equal(truncate(path, 4096), 0);
    assert_damaged(key, "another size");
}

static void
what_lacks_a_file_is_damaged(void **state)
{
    static const char *const names[] = {"state", "memory-0", TEMPLATE_ABOUT_FILE};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *key = make("a");
        g_autofree char *path = file_of(key, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_damaged(key, names[i]);
    }
}

static void
what_others_may_write_to_is_damaged(void **state)
{
    g_autofree char *key = make("a");
    g_autofree char *path = file_of(key, "state");
    assert_int_equal(chmod(path, 0622), 0);
    assert_damaged(key, "this user's alone");
}

static void
a_link_is_no_file_of_it(void **state)
{
    g_autofree char *key = make("a");
    g_autofree char *path = file_of(key, "state");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_damaged(key, "state");
}

static void
what_is_under_another_key_is_damaged(void **state)
{
    g_autofree char *key = make("a");
    g_autofree char *other = g_strnfill(64, 'e');
    g_autofree char *from = file_of(key, NULL);
    g_autofree char *to = file_of(other, NULL);
    assert_int_equal(rename(from, to), 0);
    assert_damaged(other, "another template");
}

/* A process that may open no more files says nothing of a template. */
static void
what_cannot_be_opened_now_stays(void **state)
{
    g_autofree char *key = make("a");
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
        template_store_prune(G_MAXINT64, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(count_folders(), 1);
    }
    assert_non_null(stored);
    assert_in_range(refused, 3, 99);
}

static void
a_list_keeps_nothing_open(void **state)
{
    g_autofree char *a = make("a"), *b = make("b");
    guint before = count_descriptors();
    g_autoptr(GPtrArray) list = template_store_list();
    assert_int_equal(list->len, 2);
    assert_int_equal(count_descriptors(), before);
}

static void
who_has_it_open_keeps_it(void **state)
{
    g_autofree char *key = make("a");
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
    g_autoptr(TemplateWriter) first = fill("a", "tcg");
    g_autoptr(TemplateWriter) second = fill("a", "tcg");
    assert_true(template_writer_commit(first, NULL));
    assert_true(template_writer_commit(second, NULL));
    g_clear_pointer(&second, template_writer_free);
    g_autoptr(StoredTemplate) stored = template_store_open(first->about->key, NULL);
    assert_non_null(stored);
    assert_int_equal(count_folders(), 1);
}

static void
what_is_not_committed_is_gone(void **state)
{
    template_writer_free(fill("a", "tcg"));
    assert_int_equal(count_folders(), 0);
}

static void
what_a_killed_maker_left_goes(void **state)
{
    pid_t maker = fork();
    if (maker == 0) {
        fill("a", "tcg");
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_folders(), 1);
    g_autoptr(GPtrArray) list = template_store_list();
    assert_int_equal(list->len, 0);
    /* One that was made a moment ago may not be locked yet. */
    g_autofree char *path = file_of("", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autofree char *left = file_of(g_dir_read_name(dir), NULL);
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, left, long_ago, 0), 0);
    template_store_prune(G_MAXINT64, NULL);
    assert_int_equal(count_folders(), 0);
}

static void
set_used(const char *key, time_t when)
{
    g_autofree char *path = file_of(key, TEMPLATE_ABOUT_FILE);
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_nsec = UTIME_OMIT}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
what_was_used_longest_ago_goes_first(void **state)
{
    g_autofree char *a = make("a"), *b = make("b"), *c = make("c");
    set_used(a, 2000);
    set_used(b, 1000);
    set_used(c, 3000);
    g_autoptr(GPtrArray) list = template_store_list();
    assert_string_equal(((StoredTemplate *)list->pdata[0])->about->lab, "c");
    gint64 one = ((StoredTemplate *)list->pdata[0])->bytes;
    /* Looking at them is no use. */
    assert_int_equal(((StoredTemplate *)list->pdata[2])->used, 1000);
    assert_int_equal(template_store_prune(one * 2, NULL), 1);
    g_autoptr(StoredTemplate) gone = template_store_open(b, NULL);
    assert_null(gone);
    g_autoptr(StoredTemplate) used = template_store_open(a, NULL);
    assert_non_null(used);
    assert_int_equal(template_store_prune(one, NULL), 1); /* c: a was just used */
    g_autoptr(StoredTemplate) stays = template_store_open(a, NULL);
    assert_non_null(stays);
    assert_int_equal(template_store_prune(0, a), 0);
    assert_int_equal(template_store_prune(0, NULL), 1);
}

static void
what_is_too_large_is_not_kept(void **state)
{
    g_autoptr(GError) error = NULL;
    g_setenv("HOSTBED_TEMPLATES_MAX", "4 KiB", TRUE);
    g_autoptr(TemplateWriter) writer = template_writer_new(about("a", "tcg"), NULL);
    g_auto(AutoFd) memory = memory_with("xx", 4095, MEMORY); /* on two pages */
    assert_false(template_writer_copy(writer, "memory-0", memory, MEMORY, &error));
    assert_non_null(strstr(error->message, "HOSTBED_TEMPLATES_MAX"));
    g_clear_error(&error);
    g_setenv("HOSTBED_TEMPLATES_MAX", "much", TRUE);
    assert_int_equal(template_store_maximum(&error), -1);
    assert_true(g_error_matches(error, HB_ERROR, HB_USAGE));
}

/* ---- what a key is made of
 * --------------------------------------------------------------------------- */

static void
names_and_values_do_not_run_into_each_other(void **state)
{
    g_autoptr(GPtrArray) one = template_inputs_new();
    g_autoptr(GPtrArray) other = template_inputs_new();
    template_inputs_add(one, "a", "bc");
    template_inputs_add(other, "ab", "c");
    g_autofree char *key = template_inputs_key(one);
    g_autofree char *another = template_inputs_key(other);
    assert_string_not_equal(key, another);
}

static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: GenuineIntel\n"
                              "cpu family\t: 6\nmodel\t\t: 85\nmodel name\t: A CPU\n"
                              "stepping\t: 7\nmicrocode\t: 0x1\nflags\t\t: fpu vme\n\n"
                              "processor\t: 1\nmicrocode\t: 0x2\n";

static void
under_kvm_the_machine_counts(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_machine(here, cpuinfo, "6.1");
    assert_string_equal(template_inputs_find(here, "machine microcode"), "0x1");
    template_inputs_add(inputs, "accelerator", "kvm");
    template_inputs_add_machine(inputs, cpuinfo, "6.1");
    assert_null(template_inputs_obstacle(inputs, here));
    static const struct {
        const char *from, *to, *words;
    } others[] = {
        {"0x1", "0x9", "microcode is '0x1'; here it is '0x9'"},
        {"A CPU", "Another", "model name is 'A CPU'; here it is 'Another'"},
        {"fpu vme", "fpu", "flags is 'fpu vme'; here it is 'fpu'"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_auto(GStrv) parts = g_strsplit(cpuinfo, others[i].from, 2);
        g_autofree char *text = g_strjoinv(others[i].to, parts);
        g_autoptr(GPtrArray) there = template_inputs_new();
        template_inputs_add_machine(there, text, "6.1");
        g_autofree char *obstacle = template_inputs_obstacle(inputs, there);
        assert_non_null(strstr(obstacle, others[i].words));
    }
    g_autoptr(GPtrArray) newer = template_inputs_new();
    template_inputs_add_machine(newer, cpuinfo, "6.2");
    g_autofree char *obstacle = template_inputs_obstacle(inputs, newer);
    assert_non_null(strstr(obstacle, "kernel is '6.1'; here it is '6.2'"));
}

static void
how_kvm_is_set_counts(void **state)
{
    static const char *const files[][2] = {{"kvm_intel/parameters/nested", "Y\n"},
                                           {"kvm_intel/parameters/ept", "N\n"},
                                           {"kvm/parameters/tdp_mmu", "Y\n"},
                                           {"other/parameters/nested", "Y\n"}};
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *name = g_build_filename("modules", files[i][0], NULL);
        g_free(fake_write_text(*state, name, files[i][1]));
    }
    g_autofree char *modules = g_build_filename(*state, "modules", NULL);
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_kvm(inputs, modules);
    assert_string_equal(template_inputs_find(inputs, "machine KVM"),
                        "kvm/tdp_mmu=Y kvm_intel/ept=N kvm_intel/nested=Y");
}

/* Not even in an error message. */
static void
an_archives_words_are_made_fit_to_print(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add(inputs, "accelerator", "kvm");
    template_inputs_add(inputs, "machine model", "\033[2Jx");
    template_inputs_add(here, "machine model", "85");
    g_autofree char *obstacle = template_inputs_obstacle(inputs, here);
    assert_non_null(strstr(obstacle, "'?[2Jx'; here it is '85'"));
}

static void
under_emulation_it_does_not(void **state)
{
    g_autoptr(GPtrArray) here = template_inputs_new();
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    template_inputs_add_machine(here, cpuinfo, "6.1");
    template_inputs_add(inputs, "accelerator", "tcg");
    assert_null(template_inputs_obstacle(inputs, here));
}

/* ---- sparse files
 * --------------------------------------------------------------------------------- */

static void
a_checksum_is_of_bytes_and_not_of_holes(void **state)
{
    g_auto(AutoFd) holes = memory_with("text", 1 << 20, 4 << 20);
    g_auto(AutoFd) full = memory_with("text", 1 << 20, 4 << 20);
    g_auto(AutoFd) moved = memory_with("text", 2 << 20, 4 << 20);
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
    g_autofree char *key = make("a");
    g_auto(AutoFd) archive = export_of(key);
    struct stat st;
    assert_int_equal(fstat(archive, &st), 0);
    assert_in_range(st.st_size, 1, 20000);
    empty_store(NULL);
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
    assert_int_equal(count_folders(), 1);
}

static void
a_damaged_one_makes_way(void **state)
{
    g_autofree char *key = make("a");
    g_auto(AutoFd) archive = export_of(key);
    g_autofree char *path = file_of(key, "memory-0");
    assert_int_equal(truncate(path, 4096), 0);
    g_autofree char *imported = template_import(archive, NULL);
    assert_string_equal(imported, key);
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    assert_non_null(stored);
    assert_int_equal(count_folders(), 1);
}

static void
a_link_makes_way_too(void **state)
{
    g_autofree char *key = make("a");
    g_autofree char *path = file_of(key, NULL);
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
    assert_int_equal(count_folders(), 0);
}

static void
one_that_is_cut_is_refused(void **state)
{
    g_autofree char *key = make("a");
    g_auto(AutoFd) archive = export_of(key);
    off_t size = lseek(archive, 0, SEEK_END);
    empty_store(NULL);
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
    g_autofree char *key = make("a");
    g_autoptr(StoredTemplate) stored = template_store_open(key, NULL);
    g_autofree char *text = template_about_to_json(stored->about);
    empty_store(NULL);
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
         {"memory-0", NULL, MEMORY, NULL, NULL},
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
        {"\"size\" : 5", "\"size\" : -5", "a template does not have"},
        {"\"size\" : 5", "\"size\" : 9223372036854775807", "a template does not have"},
        {"\"size\" : 5", "\"size\" : \"5\"", "a template does not have"},
        {"\"checksum\" : \"", "\"checksum\" : \"x", "a template does not have"},
        {"\"nonce\" : \"0123\"", "\"nonce\" : 5", "lacks something"},
        {"\"inputs\" : [", "\"inputs\" : [ 5,", "without name or value"},
        {"\"inputs\"", "\"outputs\"", "key that is not that of its inputs"},
        {"\"files\"", "\"folders\"", "names no state"},
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
    g_autofree char *bytes = g_strnfill(MEMORY, 'x');
    const Member full[] = {
        {TEMPLATE_ABOUT_FILE, json, (goffset)strlen(json), NULL, NULL},
        {"state", "state", 5, NULL, NULL},
        {"memory-0", bytes, MEMORY, NULL, NULL},
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
    g_autofree char *bytes = g_strnfill(MEMORY, 'x');
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
    archive_entry_set_size(entry, MEMORY);
    for (goffset at = 0; at < MEMORY; at += 16384)
        archive_entry_sparse_add_entry(entry, at, 1);
    assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(writer, bytes, MEMORY), MEMORY);
    assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
    g_setenv("HOSTBED_TEMPLATES_MAX", "1 MiB", TRUE);
    assert_refused(archive, HB_INFRASTRUCTURE, "HOSTBED_TEMPLATES_MAX");
}

static void
what_is_no_archive_is_refused(void **state)
{
    g_auto(AutoFd) text = memory_with("hello", 0, 5);
    assert_refused(text, HB_USAGE, "");
    g_auto(AutoFd) nothing = memory_with("", 0, 0);
    assert_refused(nothing, HB_USAGE, "");
}

static void
another_machines_kvm_is_refused(void **state)
{
    g_autofree char *key = make_for("a", "kvm"); /* on no machine at all */
    g_auto(AutoFd) archive = export_of(key);
    empty_store(NULL);
    assert_refused(archive, HB_UNSUPPORTED, "made under KVM on another machine");
}

#define TEST(name) cmocka_unit_test_setup(name, empty_store)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_kept_is_found),
        TEST(another_key_finds_nothing),
        TEST(what_was_written_to_is_damaged),
        TEST(what_was_cut_is_damaged),
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
        TEST(names_and_values_do_not_run_into_each_other),
        TEST(under_kvm_the_machine_counts),
        TEST(how_kvm_is_set_counts),
        TEST(an_archives_words_are_made_fit_to_print),
        TEST(under_emulation_it_does_not),
        TEST(a_checksum_is_of_bytes_and_not_of_holes),
        TEST(an_archive_becomes_the_same_template),
        TEST(a_damaged_one_makes_way),
        TEST(a_link_makes_way_too),
        TEST(one_that_is_cut_is_refused),
        TEST(members_must_be_those_of_a_template),
        TEST(what_it_says_of_itself_must_be_true),
        TEST(floods_are_refused),
        TEST(scattered_bytes_count_as_pages),
        TEST(what_is_no_archive_is_refused),
        TEST(another_machines_kvm_is_refused),
    };
    return cmocka_run_group_tests_name("template-store", tests, fake_root_setup,
                                       fake_root_teardown);
}
