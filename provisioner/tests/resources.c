/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache.h"
#include "resources.h"

#define MIB ((gint64)1024 * 1024)

static void
write_file(const char *root, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* A machine with 1000 MiB, of which 800 are available. */
static int
set_up(void **state)
{
    char *root = g_dir_make_tmp("hostbed-resources-XXXXXX", NULL);
    write_file(
        root, "proc/meminfo",
        "MemTotal:        1024000 kB\nMemFree: 1 kB\nMemAvailable:     819200 kB\n");
    *state = root;
    return 0;
}

static int
tear_down(void **state)
{
    cache_remove_tree(*state);
    g_free(*state);
    return 0;
}

static void
without_groups_the_machine_counts(void **state)
{
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->machine_bytes, 1000 * MIB);
    assert_int_equal(resources->usable_bytes, 800 * MIB);
    assert_int_equal(resources->group_bytes, -1);
    assert_true(resources->cpus >= 1);
}

static void
a_parent_group_limits(void **state)
{
    write_file(*state, "proc/self/cgroup", "0::/user.slice/mine\n");
    write_file(*state, "sys/fs/cgroup/user.slice/mine/memory.max", "max\n");
    write_file(*state, "sys/fs/cgroup/user.slice/memory.max", "314572800\n");
    write_file(*state, "sys/fs/cgroup/user.slice/memory.current", "209715200\n");
    write_file(*state, "sys/fs/cgroup/user.slice/memory.stat",
               "anon 1\nactive_file 3\ninactive_file 104857600\n");
    write_file(*state, "sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->group_bytes, 200 * MIB);
    assert_int_equal(resources->usable_bytes, 200 * MIB);
    assert_int_equal(resources->cpus, 1);
}

static void
the_root_of_a_container_limits(void **state)
{
    write_file(*state, "proc/self/cgroup", "0::/../../not/here\n");
    write_file(*state, "sys/fs/cgroup/memory.max", "104857600\n");
    write_file(*state, "sys/fs/cgroup/memory.current", "4194304\n");
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->usable_bytes, 96 * MIB);
}

static void
old_groups_limit_too(void **state)
{
    write_file(*state, "proc/self/cgroup",
               "4:memory,hugetlb:/job\n1:cpu,cpuacct:/job\n0::/\n");
    write_file(*state, "sys/fs/cgroup/memory/memory.limit_in_bytes",
               "9223372036854771712\n");
    write_file(*state, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "52428800\n");
    write_file(*state, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "10485760\n");
    write_file(*state, "sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 0\n");
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->usable_bytes, 40 * MIB);
}

static void
nonsense_is_no_limit(void **state)
{
    write_file(*state, "proc/self/cgroup", "x\n::\n0:memory\n\n7:memory:job\n");
    write_file(*state, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "12\n");
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->usable_bytes, 800 * MIB);
}

static void
huge_pages_by_size(void **state)
{
    write_file(*state, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    write_file(*state, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n");
    write_file(*state, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n");
    g_autoptr(Resources) resources = resources_read(*state);
    assert_int_equal(resources->hugepages->len, 2);
    ResourcesHugepages *small =
        &g_array_index(resources->hugepages, ResourcesHugepages, 0);
    assert_int_equal(small->page_bytes, 2 * MIB);
    assert_int_equal(small->total, 64);
    assert_int_equal(small->free, 60);
}

static void
a_wish_counts(void **state)
{
    g_setenv("HOSTBED_MEMORY", "96 GiB", TRUE);
    g_autoptr(Resources) resources = resources_read(*state);
    assert_true(resources->is_wish);
    assert_int_equal(resources->usable_bytes, 96 * 1024 * MIB);
    g_setenv("HOSTBED_MEMORY", "much", TRUE);
    g_autoptr(GError) error = NULL;
    assert_false(resources_check_wish(&error));
    assert_true(g_str_has_prefix(error->message, "HOSTBED_MEMORY 'much' is not a size;"));
    g_autoptr(Resources) others = resources_read(*state);
    assert_false(others->is_wish);
    assert_int_equal(others->usable_bytes, 800 * MIB);
    g_setenv("HOSTBED_MEMORY", "0 GiB", TRUE);
    assert_false(resources_check_wish(NULL));
    g_unsetenv("HOSTBED_MEMORY");
    assert_true(resources_check_wish(NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_groups_the_machine_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_parent_group_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_root_of_a_container_limits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(old_groups_limit_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_no_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_pages_by_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wish_counts, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("resources", tests, NULL, NULL);
}
