/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The order of network interfaces, of a recorded host and of written trees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "interfaces.h"
#include "sysfs.h"
#include "tree.h"

typedef void Look(int root, GString *seen);

/* What LOOK sees in a host whose tree is TEXT. */
static char *
look_at(const char *text, Look *look)
{
    g_autofree char *folder = g_dir_make_tmp("hostbed-interfaces-XXXXXX", NULL);
    assert_non_null(folder);
    FILE *in = fmemopen((char *)text, strlen(text), "r");
    assert_int_equal(tree_unpack(in, folder), 0);
    fclose(in);
    int root = sysfs_open(folder);
    g_autoptr(GString) seen = g_string_new(NULL);
    look(root, seen);
    close(root);
    const char *argv[] = {"rm", "-rf", folder, NULL};
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                             NULL, NULL, NULL, NULL));
    return g_strdup(seen->str);
}

/* The names in order, with blanks between. */
static void
see_order(int root, GString *seen)
{
    Interfaces interfaces = interfaces_in_order(root);
    for (size_t i = 0; i < interfaces.count; i++)
        g_string_append_printf(seen, "%s%s", i > 0 ? " " : "", interfaces.names[i]);
    interfaces_clear(&interfaces);
}

static void
check(const char *text, const char *expected)
{
    g_autofree char *names = look_at(text, see_order);
    assert_string_equal(names, expected);
}

/* Linux met the article's buses from the last to the first. */
static void
a_recorded_host_has_them_by_address(void **state)
{
    g_autofree char *path = g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"),
                                             "vmtests/recorded/berrange-2017.tree", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error))
        fail_msg("%s", error->message);
    check(text, "eth6 eth7 eth8 eth3 eth4 eth5 eth0 eth1 eth2");
}

#define FUNCTION(path, address)                                                          \
    "l sys/bus/pci/devices/" address " ../../../devices/" path address "\n"
#define INTERFACE(path, name) "f sys/devices/" path "/net/" name "/address\n 00\n"

static void
addresses_count_to_the_last_digit(void **state)
{
    check(FUNCTION("x/", "0000:0a:02.0") FUNCTION("x/", "0000:0a:01.7")
              FUNCTION("x/", "10000:00:00.0") FUNCTION("x/", "ffff:ff:1f.7")
                  INTERFACE("x/0000:0a:02.0", "a") INTERFACE("x/0000:0a:01.7", "b")
                      INTERFACE("x/10000:00:00.0", "c") INTERFACE("x/ffff:ff:1f.7", "d"),
          "b a d c");
}

static void
virtio_has_its_place_too(void **state)
{
    check(FUNCTION("x/", "0000:01:00.0") FUNCTION("x/", "0000:02:00.0")
              FUNCTION("x/", "0000:03:00.0") INTERFACE("x/0000:01:00.0", "late")
                  INTERFACE("x/0000:02:00.0/virtio11", "early")
                      INTERFACE("x/0000:03:00.0", "last"),
          "late early last");
}

static void
append_place(const char *function, const char *folder, const char *name, void *user_data)
{
    g_string_append_printf(user_data, "%s %s %s;", function, folder, name);
}

static void
see_places(int root, GString *seen)
{
    interfaces_visit(root, "0000:01:00.0", append_place, seen);
    interfaces_visit(root, "0000:02:00.0", append_place, seen);
    interfaces_visit(root, "0000:03:00.0", append_place, seen);
    interfaces_visit(root, "0000:04:00.0", append_place, seen);
}

/* A folder that only begins like a virtio device's is none. */
static void
each_is_seen_in_its_place(void **state)
{
    g_autofree char *places = look_at(
        FUNCTION("x/", "0000:01:00.0") FUNCTION("x/", "0000:02:00.0")
            FUNCTION("x/", "0000:03:00.0") INTERFACE("x/0000:01:00.0", "a")
                INTERFACE("x/0000:01:00.0", "b") INTERFACE("x/0000:02:00.0/virtio11", "c")
                    INTERFACE("x/0000:03:00.0/virtiofs", "d"),
        see_places);
    assert_string_equal(places, "0000:01:00.0 net a;0000:01:00.0 net b;"
                                "0000:02:00.0 virtio11/net c;");
}

static void
virtual_functions_come_last(void **state)
{
    check(FUNCTION("x/", "0000:01:00.0") FUNCTION("x/", "0000:01:10.0")
              FUNCTION("x/", "0000:02:00.0") INTERFACE("x/0000:01:00.0", "one")
                  INTERFACE("x/0000:01:10.0", "virtual") INTERFACE(
                      "x/0000:02:00.0", "two") "l sys/devices/x/0000:01:10.0/physfn "
                                               "../0000:01:00.0\n",
          "one two virtual");
}

static void
without_any_there_is_nothing(void **state)
{
    check("f sys/class/net/lo/address\n 00\n", "");
    Interfaces interfaces = interfaces_in_order(-1);
    assert_int_equal(interfaces.count, 0);
    interfaces_clear(&interfaces);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_host_has_them_by_address),
        cmocka_unit_test(addresses_count_to_the_last_digit),
        cmocka_unit_test(virtio_has_its_place_too),
        cmocka_unit_test(each_is_seen_in_its_place),
        cmocka_unit_test(virtual_functions_come_last),
        cmocka_unit_test(without_any_there_is_nothing),
    };
    return cmocka_run_group_tests_name("interfaces", tests, NULL, NULL);
}
