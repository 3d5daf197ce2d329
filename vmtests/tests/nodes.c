/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which nodes the suites try, on a recorded host of which some have room.
 */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/hostbed-nodes-XXXXXX";

static void
put(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static void
put_node(int node, int free_kib)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "sys/devices/system/node/node%d/meminfo", node);
    snprintf(text, sizeof text, "Node %d MemFree: %d kB\n", node, free_kib);
    put(path, text);
}

/* Of four nodes 0 and 2 have room, and 1 and 3 have not. */
static int
start(void **state)
{
    char manifest[256];
    assert_non_null(mkdtemp(root));
    put("manifest", "node 0 cpus 0\nnode 0 memory 64\nnode 1 cpus 1\nnode 1 memory 64\n"
                    "node 2 cpus none\nnode 2 memory 64\nnode 3 cpus 2-3\n");
    for (int node = 0; node < 4; node++)
        put_node(node, node % 2 ? 4096 : 65536);
    snprintf(manifest, sizeof manifest, "%s/manifest", root);
    setenv("HOSTBED_MANIFEST", manifest, 1);
    setenv("HOSTBED_ROOT", root, 1);
    return 0;
}

static int
end(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static int called;

static bool
has_room(int node, const Fact *fact)
{
    called++;
    return node_has_room(node);
}

static bool
is_no_use(int node, const Fact *fact)
{
    called++;
    return false;
}

static void
only_what_was_tried_counts(void **state)
{
    called = 0;
    assert_int_equal(try_nodes(ALL_NODES, has_room), 2);
    assert_int_equal(called, 4);
    assert_int_equal(try_nodes(ALL_NODES, is_no_use), 0);
    assert_int_equal(called, 8);
}

static void
no_more_are_tried_than_asked(void **state)
{
    called = 0;
    assert_int_equal(try_nodes(1, has_room), 1);
    assert_int_equal(called, 1);
}

static void
nodes_with_room_are_a_set(void **state)
{
    int count;
    NodeMask roomy = nodes_with_room(&count);
    assert_int_equal(count, 2);
    for (int node = 0; node < ALL_NODES; node++)
        assert_int_equal(mask_has(&roomy, node), node == 0 || node == 2);
    assert_int_equal(next_node_with_room(0), 2);
    assert_int_equal(next_node_with_room(2), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_tried_counts),
        cmocka_unit_test(no_more_are_tried_than_asked),
        cmocka_unit_test(nodes_with_room_are_a_set),
    };
    return cmocka_run_group_tests_name("nodes", tests, start, end);
}
