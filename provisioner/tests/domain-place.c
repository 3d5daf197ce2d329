/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "domain-place.h"
#include "error.h"

static void
only_the_own_session_reads_the_users_files(void **state)
{
    static const char *const own[] = {"qemu:///session", "qemu+unix:///session",
                                      "qemu:///session?mode=legacy"};
    static const char *const others[] = {
        "qemu:///system",
        "qemu+ssh://host/session",
        "qemu://host/session",
        "qemu+unix:///session?socket=/run/elsewhere",
        "qemu+tcp://127.0.0.1/session",
        "qemu+ssh:///session",
        "no address",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(own); i++)
        assert_true(domain_place_is_own(own[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(domain_place_is_own(others[i]));
}

static char *
put_below(const char *file, gboolean is_written, gpointer folder, GError **error)
{
    if (folder)
        return g_strconcat(folder, file, NULL);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no room for %s", file);
    return NULL;
}

static void
what_it_boots_from_is_elsewhere(void **state)
{
    static const char *const xml =
        "<domain><os><type>hvm</type><kernel>/k&amp;1</kernel><initrd>/i</initrd>"
        "<cmdline>/k</cmdline></os><devices><kernel>/k</kernel></devices></domain>";
    g_autoptr(GError) error = NULL;
    g_autofree char *placed = domain_place_files(xml, put_below, "/<there>", &error);
    assert_null(error);
    assert_string_equal(
        placed, "<domain><os><type>hvm</type><kernel>/&lt;there&gt;/k&amp;1</kernel>"
                "<initrd>/&lt;there&gt;/i</initrd>"
                "<cmdline>/k</cmdline></os><devices><kernel>/k</kernel></devices>"
                "</domain>");
    assert_null(domain_place_files(xml, put_below, NULL, &error));
    assert_string_equal(error->message, "no room for /k&1");
}

static char *
tell_fd(const char *file, gboolean is_written, gpointer user_data, GError **error)
{
    return g_strdup_printf("\"<%d%s", domain_place_fd(file), is_written ? "+" : "");
}

static void
so_is_each_file_of_its_disk(void **state)
{
    static const char *const xml =
        "<domain><devices><disk><source file=\"/proc/self/fd/12\"/><backingStore>"
        "<source file=\"/a/disk\"/><backingStore/></backingStore></disk>"
        "<other><source file=\"/proc/self/fd/12\"/></other></devices></domain>";
    g_autoptr(GError) error = NULL;
    g_autofree char *placed = domain_place_files(xml, tell_fd, NULL, &error);
    assert_null(error);
    assert_string_equal(
        placed, "<domain><devices><disk><source file=\"&quot;&lt;12+\"/><backingStore>"
                "<source file=\"&quot;&lt;-1\"/><backingStore/></backingStore></disk>"
                "<other><source file=\"/proc/self/fd/12\"/></other></devices></domain>");
    assert_int_equal(domain_place_fd("/proc/self/fd/"), -1);
    assert_int_equal(domain_place_fd("/proc/self/fd/1/../maps"), -1);
    assert_int_equal(domain_place_fd("/proc/self/fd/99999999999"), -1);
}

static void
a_domain_tells_what_it_needs(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainNeeds) needs =
        domain_needs_new("<domain type='qemu'><name>lab-l1</name><os "
                         "firmware='efi'><nvram>/n</nvram><type "
                         "machine='pc-q35-7.2'>hvm</type></os>"
                         "<devices><emulator>/bin/e</emulator></devices></domain>",
                         &error);
    assert_non_null(needs);
    assert_string_equal(needs->name, "lab-l1");
    assert_string_equal(needs->firmware, "efi");
    assert_string_equal(needs->nvram, "/n");
    assert_string_equal(needs->type, "qemu");
    assert_string_equal(needs->machine, "pc-q35-7.2");
    assert_string_equal(needs->emulator, "/bin/e");
    assert_null(domain_needs_new("no XML", &error));
    assert_non_null(error);
}

static void
a_domain_is_called_by_a_uuid(void **state)
{
    g_autofree char *placed = domain_place_uuid("<domain><name>n</name></domain>", "a-b");
    assert_string_equal(placed, "<domain><name>n</name><uuid>a-b</uuid></domain>");
    g_autofree char *none = domain_place_uuid("no XML", "a-b");
    assert_string_equal(none, "no XML");
}

static void
volumes_and_pools_are_described(void **state)
{
    g_autofree char *volume = domain_volume_xml("hostbed-<1>", 4096);
    assert_string_equal(
        volume, "<volume><name>hostbed-&lt;1&gt;</name><capacity unit=\"bytes\">4096"
                "</capacity><allocation>0</allocation><target><format type=\"raw\"/>"
                "</target></volume>");
    g_autofree char *pool = domain_pool_xml("hostbed", "/a&b");
    assert_string_equal(pool, "<pool type=\"dir\"><name>hostbed</name><target>"
                              "<path>/a&amp;b</path><permissions><mode>0711</mode>"
                              "</permissions></target></pool>");
    assert_true(domain_pool_has_files(pool));
    assert_true(domain_pool_has_files("<pool type='netfs'/>"));
    assert_false(domain_pool_has_files("<pool type='rbd'/>"));
    assert_false(domain_pool_has_files("<pool/>"));
    assert_false(domain_pool_has_files("none"));
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
only_our_volumes_are_ours(void **state)
{
    static const char *const others[] = {
        "disk.qcow2",        "hostbed-", "hostbed-disk",  "hostbed-" DIGEST "0",
        "x-hostbed-" DIGEST, DIGEST,     "hostbed-disk-", "hostbed-disk-1",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *xml = g_strdup_printf(
            "<volume><name>%s</name><target><timestamps><mtime>7</mtime></timestamps>"
            "</target></volume>",
            others[i]);
        assert_null(domain_file_of_volume(xml));
    }
    DomainFile *file = domain_file_of_volume(
        "<volume type='file'><name>hostbed-" DIGEST "</name>"
        "<allocation unit='bytes'>4096</allocation><target><timestamps>"
        "<atime>9</atime><mtime>1700000000.25</mtime></timestamps></target></volume>");
    assert_non_null(file);
    assert_string_equal(file->name, "hostbed-" DIGEST);
    assert_true(file->used_s == 1700000000.25);
    assert_int_equal(file->bytes, 4096);
    assert_false(file->is_disk);
    domain_file_free(file);
    g_autofree char *name = domain_file_disk_name("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
    g_autofree char *xml =
        g_strdup_printf("<volume><name>%s</name><target><timestamps><mtime>7</mtime>"
                        "</timestamps></target></volume>",
                        name);
    file = domain_file_of_volume(xml);
    assert_true(file->is_disk);
    assert_string_equal(file->name, name);
    domain_file_free(file);
    /* Of one without a time it is not known. */
    assert_null(
        domain_file_of_volume("<volume><name>hostbed-" DIGEST "</name></volume>"));
}

static void
add(GPtrArray *files, const char *name, double used_s)
{
    DomainFile *file = g_new0(DomainFile, 1);
    file->name = g_strdup(name);
    file->used_s = used_s;
    g_ptr_array_add(files, file);
}

static void
files_go_that_were_not_used_for_long(void **state)
{
    const double now = 1.7e9, day = 86400;
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)domain_file_free);
    assert_int_equal(domain_files_to_keep(files), 0);
    add(files, "old", now - 31 * day);
    add(files, "new", now);
    add(files, "older", now - 300 * day);
    add(files, "last month's", now - 29 * day);
    assert_int_equal(domain_files_to_keep(files), 2);
    assert_string_equal(((DomainFile *)files->pdata[0])->name, "new");
    assert_string_equal(((DomainFile *)files->pdata[1])->name, "last month's");
}

/* But none that somebody else may be about to use. */
static void
files_go_that_are_too_many(void **state)
{
    const double now = 1.7e9;
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)domain_file_free);
    for (guint i = 0; i < 20; i++)
        add(files, "at the same time", now - i);
    assert_int_equal(domain_files_to_keep(files), 20);
    add(files, "yesterday", now - 86400);
    assert_int_equal(domain_files_to_keep(files), 20);
    g_ptr_array_set_size(files, 0);
    for (guint i = 0; i < 20; i++)
        add(files, "one a day", now - 86400.0 * i);
    assert_int_equal(domain_files_to_keep(files), 16);
}

static void
files_go_that_are_too_large(void **state)
{
    const double now = 1.7e9, day = 86400;
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)domain_file_free);
    static const struct {
        const char *name;
        guint64 gib;
    } each[] = {{"now", 20}, {"yesterday's kernel", 0}, {"yesterday's image", 1}};
    for (guint i = 0; i < G_N_ELEMENTS(each); i++) {
        add(files, each[i].name, i == 0 ? now : now - day);
        ((DomainFile *)files->pdata[i])->bytes = each[i].gib << 30;
    }
    /* What is used now is more than all may be, and nothing else stays. */
    assert_int_equal(domain_files_to_keep(files), 1);
    ((DomainFile *)files->pdata[0])->bytes = (guint64)15 << 30;
    assert_int_equal(domain_files_to_keep(files), 3);
}

/* Who was killed before its host ran left it, or is about to have it opened. */
static void
disks_go_that_nobody_is_starting(void **state)
{
    const double now = 1.7e9;
    g_autoptr(GPtrArray) files =
        g_ptr_array_new_with_free_func((GDestroyNotify)domain_file_free);
    add(files, "left", now - 4000);
    add(files, "a kernel", now - 4000);
    add(files, "starting", now);
    ((DomainFile *)files->pdata[0])->is_disk = TRUE;
    ((DomainFile *)files->pdata[2])->is_disk = TRUE;
    assert_int_equal(domain_files_to_keep(files), 2);
    assert_string_equal(((DomainFile *)files->pdata[0])->name, "starting");
    assert_string_equal(((DomainFile *)files->pdata[1])->name, "a kernel");
    assert_string_equal(((DomainFile *)files->pdata[2])->name, "left");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_own_session_reads_the_users_files),
        cmocka_unit_test(what_it_boots_from_is_elsewhere),
        cmocka_unit_test(so_is_each_file_of_its_disk),
        cmocka_unit_test(a_domain_tells_what_it_needs),
        cmocka_unit_test(a_domain_is_called_by_a_uuid),
        cmocka_unit_test(volumes_and_pools_are_described),
        cmocka_unit_test(only_our_volumes_are_ours),
        cmocka_unit_test(files_go_that_were_not_used_for_long),
        cmocka_unit_test(files_go_that_are_too_many),
        cmocka_unit_test(files_go_that_are_too_large),
        cmocka_unit_test(disks_go_that_nobody_is_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
