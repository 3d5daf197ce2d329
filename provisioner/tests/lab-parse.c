/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lab.h"

#define LAB(body) "<lab xmlns='urn:hostbed:lab:1' name='t'>" body "</lab>"

static Lab *
must_parse(const char *text)
{
    g_autoptr(Findings) findings = findings_new();
    Lab *lab = lab_parse_text(text, strlen(text), "t.xml", findings);
    g_autofree char *said = findings_to_text(findings);
    assert_string_equal(said, "");
    assert_non_null(lab);
    return lab;
}

static const LabHost *
host(const Lab *lab, guint index)
{
    assert_true(index < lab->hosts->len);
    return g_ptr_array_index(lab->hosts, index);
}

static const LabCell *
cell(const Lab *lab, guint index)
{
    assert_true(index < host(lab, 0)->cells->len);
    return g_ptr_array_index(host(lab, 0)->cells, index);
}

static const LabNode *
child(const GPtrArray *nodes, guint index)
{
    assert_true(index < nodes->len);
    return g_ptr_array_index(nodes, index);
}

static void
reads_the_article(void **state)
{
    g_autofree char *filename = g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"),
                                                 "topologies", "berrange-2017.xml", NULL);
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_file(filename, findings);
    assert_non_null(lab);
    assert_int_equal(findings_total(findings), 0);
    assert_string_equal(lab->name, "berrange-2017");
    assert_int_equal(host(lab, 0)->iommu.model, LAB_IOMMU_INTEL);
    assert_int_equal(host(lab, 0)->cells->len, 3);
    assert_int_equal(cell(lab, 0)->memory_bytes, 4096000LL * 1024);
    assert_int_equal(cell(lab, 0)->cpus->len, 4);
    assert_int_equal(g_array_index(cell(lab, 2)->cpus, guint, 1), 7);

    static const char *const last_macs[] = {"52:54:00:7e:6e:c8", "52:54:00:7e:6e:d8",
                                            "52:54:00:7e:6e:e8"};
    for (guint i = 0; i < 3; i++) {
        const LabNode *expander = child(cell(lab, i)->nodes, 0);
        assert_int_equal(expander->bus, 180 + 20 * (int)i);
        assert_int_equal(expander->children->len, 3);
        const LabNode *nic = child(child(expander->children, 2)->children, 0);
        assert_string_equal(nic->mac, last_macs[i]);
        g_autofree char *id = g_strdup_printf("cell%u.expander0.port2.nic0", i);
        assert_string_equal(nic->id, id);
    }
}

static void
counts_up_ids_and_macs(void **state)
{
    g_autoptr(Lab) lab = must_parse(
        LAB("<host name='h' count='2'><cell cpus='0-1+' memory='64 MiB' count='2'>"
            "<expander id='x+'><port id='p' count='2'><nic mac='52:54:00:00:00:fE+' "
            "id='eth7+'/></port></expander></cell></host>"));
    assert_string_equal(host(lab, 1)->id, "h1");
    assert_int_equal(g_array_index(cell(lab, 1)->cpus, guint, 0), 2);
    const LabNode *expander = child(cell(lab, 1)->nodes, 0);
    assert_string_equal(expander->id, "x1");
    const LabNode *port = child(expander->children, 1);
    assert_string_equal(port->id, "p1");
    assert_ptr_equal(port->parent, expander);
    const LabNode *nic = child(port->children, 0);
    assert_string_equal(nic->id, "eth10");
    assert_string_equal(nic->mac, "52:54:00:00:01:01");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_article),
        cmocka_unit_test(counts_up_ids_and_macs),
    };
    return cmocka_run_group_tests_name("lab-parse", tests, NULL, NULL);
}
