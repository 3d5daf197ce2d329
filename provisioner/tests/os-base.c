/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "os-base.h"
#include "os-recipe.h"

static char *
file_of(const char *root, const char *name, const void *head, gsize length, gsize offset)
{
    g_autofree char *data = g_malloc0(1 << 16);
    memcpy(data + offset, head, length);
    g_autoptr(GBytes) bytes = g_bytes_new(data, 1 << 16);
    return fake_write(root, name, bytes);
}

static void
expect_kind(const char *path, OsBaseKind kind)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OsBase) base = os_base_find(path, &error);
    assert_non_null(base);
    assert_int_equal(base->kind, kind);
}

static void
expect_refused(const char *path, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(os_base_find(path, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    if (!strstr(error->message, words) || !strstr(error->message, path))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
its_first_bytes_tell_what_it_is(void **state)
{
    const char *root = *state;
    g_autofree char *raw = file_of(root, "raw", "\x55\xaa", 2, 510);
    g_autofree char *gzip = file_of(root, "gzip", "\x1f\x8b", 2, 0);
    g_autofree char *zstd = file_of(root, "zstd", "\x28\xb5\x2f\xfd", 4, 0);
    g_autofree char *tar = file_of(root, "tar", "ustar", 5, 257);
    expect_kind(raw, OS_BASE_RAW);
    expect_kind(gzip, OS_BASE_TAR);
    expect_kind(zstd, OS_BASE_TAR);
    expect_kind(tar, OS_BASE_TAR);
    expect_kind(root, OS_BASE_FOLDER);
}

static void
what_is_none_is_refused(void **state)
{
    const char *root = *state;
    g_autofree char *vmdk = file_of(root, "vmdk", "KDMV", 4, 0);
    g_autofree char *iso = file_of(root, "iso", "CD001", 5, 32769);
    g_autofree char *small = fake_write_text(root, "small", "hello");
    g_autofree char *pipe = g_build_filename(root, "pipe", NULL);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    expect_refused(vmdk, "VMDK");
    expect_refused(iso, "installation medium");
    expect_refused(small, "too small");
    expect_refused(pipe, "neither a file nor a folder");
    expect_refused("/nonexistent/disk", "cannot be read");
}

typedef struct {
    guint8 bytes[1 << 16];
} Qcow2;

static void
put32(Qcow2 *disk, gsize offset, guint32 value)
{
    value = GUINT32_TO_BE(value);
    memcpy(disk->bytes + offset, &value, sizeof value);
}

/* A header of version 3 with nothing behind it but an empty table. */
static Qcow2 *
new_qcow2(void)
{
    Qcow2 *disk = g_new0(Qcow2, 1);
    memcpy(disk->bytes, "QFI\xfb", 4);
    put32(disk, 4, 3);
    put32(disk, 20, 12);        /* clusters of 4 KiB */
    put32(disk, 24 + 4, 65536); /* capacity */
    put32(disk, 36, 1);         /* one entry of the first table, */
    put32(disk, 40 + 4, 8192);  /* which is there */
    put32(disk, 48 + 4, 4096);  /* the table of reference counts, */
    put32(disk, 56, 1);         /* of one cluster */
    put32(disk, 96, 4);
    put32(disk, 100, 104);
    put32(disk, 4096 + 4, 12288);
    for (gsize i = 0; i < 4; i++)
        disk->bytes[12288 + 2 * i + 1] = 1;
    return disk;
}

static char *
write_qcow2(const char *root, const char *name, const Qcow2 *disk)
{
    g_autoptr(GBytes) bytes = g_bytes_new(disk->bytes, sizeof disk->bytes);
    return fake_write(root, name, bytes);
}

static void
a_plain_qcow2_is_a_base(void **state)
{
    g_autofree Qcow2 *disk = new_qcow2();
    g_autofree char *path = write_qcow2(*state, "plain.qcow2", disk);
    expect_kind(path, OS_BASE_QCOW2);
}

/* None of the files that it names may be opened by anybody. */
static void
one_that_refers_to_others_is_refused(void **state)
{
    const char *root = *state;
    g_autofree Qcow2 *disk = new_qcow2();
    put32(disk, 8 + 4, 1024);
    put32(disk, 16, 11);
    memcpy(disk->bytes + 1024, "/etc/shadow", 11);
    g_autofree char *backed = write_qcow2(root, "backed.qcow2", disk);
    expect_refused(backed, "/etc/shadow");

    g_autofree Qcow2 *other = new_qcow2();
    put32(other, 72 + 4, 1 << 2);
    g_autofree char *external = write_qcow2(root, "external.qcow2", other);
    expect_refused(external, "in another file");
}

static void
a_damaged_one_is_refused(void **state)
{
    const char *root = *state;
    g_autofree Qcow2 *disk = new_qcow2();
    put32(disk, 72 + 4, 1 << 1);
    g_autofree char *corrupt = write_qcow2(root, "corrupt.qcow2", disk);
    expect_refused(corrupt, "damaged");
    put32(disk, 72 + 4, 0);
    put32(disk, 20, 99);
    g_autofree char *mad = write_qcow2(root, "mad.qcow2", disk);
    expect_refused(mad, "damaged");
}

static void
a_digest_is_of_content_and_of_names(void **state)
{
    const char *root = *state;
    g_autofree char *folder = g_build_filename(root, "digest", NULL);
    g_autofree char *file = fake_write_text(folder, "a", "one");
    g_autofree char *of_file = os_base_digest(file, NULL);
    g_autofree char *of_folder = os_base_digest(folder, NULL);
    g_autofree char *again = os_base_digest(folder, NULL);
    assert_string_equal(of_folder, again);
    g_autofree char *other = fake_write_text(folder, "b", "two");
    g_autofree char *with_more = os_base_digest(folder, NULL);
    assert_string_not_equal(of_folder, with_more);
    g_autofree char *of_other = os_base_digest(other, NULL);
    assert_string_not_equal(of_file, of_other);
}

static void
what_never_ends_is_not_read(void **state)
{
    g_autoptr(GError) error = NULL;
    alarm(10); /* who reads it all the same is ended */
    assert_null(os_base_digest("/dev/zero", &error));
    alarm(0);
    assert_non_null(strstr(error->message, "no regular file"));
    assert_int_equal(hb_error_status(error), HB_USAGE);
}

static void
who_reads_hears_of_an_interrupt(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autofree char *file = fake_write_text(*state, "large", "large");
    g_cancellable_push_current(cancellable);
    g_idle_add_once((GSourceOnceFunc)g_cancellable_cancel, cancellable);
    assert_null(os_base_digest(file, &error));
    g_cancellable_pop_current(cancellable);
    assert_int_equal(hb_error_status(error), HB_INTERRUPTED);
}

/* ---- recipes
 * ---------------------------------------------------------------------------------------
 */

static void
write_recipe(const char *root, const char *name, const char *text)
{
    g_autofree char *file = g_strconcat(name, ".recipe", NULL);
    g_free(fake_write_text(root, file, text));
}

static void
expect_no_recipe(const char *id, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(os_recipe_load(id, &error));
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
    assert_int_equal(hb_error_status(error), HB_USAGE);
}

static void
a_recipe_has_what_it_comes_from(void **state)
{
    g_autofree char *folder = g_build_filename(*state, "recipes", NULL);
    g_setenv("HOSTBED_RECIPES_DIR", folder, TRUE);
    write_recipe(
        folder, "base",
        "[recipe]\nname=Base\ndebian=bookworm\nos=debian12\npackages=a;b\nsize=4 GiB\n");
    write_recipe(folder, "more", "[recipe]\nfrom=base\npackages=b;c d\n");
    write_recipe(folder, "itself", "[recipe]\nfrom=itself\ndebian=x\n");
    write_recipe(folder, "wrong", "[recipe]\ndebian=x\npackage=y\n");
    write_recipe(folder, "nothing", "[recipe]\npackages=y\n");
    write_recipe(folder, "latin", "[recipe]\ndebian=x\npackages=caf\xe9\n");
    write_recipe(folder, "glob", "[recipe]\ndebian=x\nexclude=/usr/share/doc/\\*\n");
    write_recipe(folder, "large", "[recipe]\ndebian=x\nsize=much\n");
    g_autoptr(OsRecipe) recipe = os_recipe_load("more", NULL);
    assert_non_null(recipe);
    assert_string_equal(recipe->debian, "bookworm");
    assert_string_equal(recipe->os, "debian12");
    assert_int_equal(recipe->packages->len, 4);
    assert_string_equal(recipe->packages->pdata[3], "d");
    assert_int_equal(recipe->size_bytes, (gint64)4 << 30);
    expect_no_recipe("itself", "comes from itself");
    expect_no_recipe("wrong", "did you mean packages?");
    expect_no_recipe("nothing", "debian=bookworm");
    expect_no_recipe("latin", "UTF-8");
    expect_no_recipe("glob", "exclude");
    expect_no_recipe("large", "size 'much'");
    expect_no_recipe("moer", "did you mean more?");
    expect_no_recipe("../recipes/base", "there is no recipe");
}

/* From c0, which comes from nothing, to c9. */
static void
recipes_come_from_eight_at_most(void **state)
{
    g_autofree char *folder = g_build_filename(*state, "recipes", NULL);
    write_recipe(folder, "c0", "[recipe]\ndebian=bookworm\n");
    for (guint i = 1; i < 10; i++) {
        g_autofree char *name = g_strdup_printf("c%u", i);
        g_autofree char *text = g_strdup_printf("[recipe]\nfrom=c%u\n", i - 1);
        write_recipe(folder, name, text);
    }
    g_autoptr(OsRecipe) recipe = os_recipe_load("c8", NULL);
    assert_non_null(recipe);
    assert_string_equal(recipe->debian, "bookworm");
    expect_no_recipe("c9", "from too many");
}

static void
its_digest_is_of_what_is_built(void **state)
{
    g_autoptr(OsRecipe) base = os_recipe_load("base", NULL);
    g_autoptr(OsRecipe) more = os_recipe_load("more", NULL);
    g_autofree char *a = os_recipe_digest(base, NULL);
    g_autofree char *b = os_recipe_digest(more, NULL);
    g_autofree char *c = os_recipe_digest(base, "http://mirror.example/debian");
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_first_bytes_tell_what_it_is),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(a_plain_qcow2_is_a_base),
        cmocka_unit_test(one_that_refers_to_others_is_refused),
        cmocka_unit_test(a_damaged_one_is_refused),
        cmocka_unit_test(a_digest_is_of_content_and_of_names),
        cmocka_unit_test(what_never_ends_is_not_read),
        cmocka_unit_test(who_reads_hears_of_an_interrupt),
        cmocka_unit_test(a_recipe_has_what_it_comes_from),
        cmocka_unit_test(recipes_come_from_eight_at_most),
        cmocka_unit_test(its_digest_is_of_what_is_built),
    };
    return cmocka_run_group_tests_name("os-base", tests, fake_root_setup,
                                       fake_root_teardown);
}
