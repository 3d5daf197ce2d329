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

/* The text of the first step of an image in which BODY stands. */
static void
assert_text(const char *body, const char *expected)
{
    g_autofree char *text = g_strconcat("<lab xmlns='urn:hostbed:lab:1' name='t'><host>"
                                        "<image><write path='/a'>",
                                        body,
                                        "</write></image><cell cpus='0' memory='64 MiB'/>"
                                        "</host></lab>",
                                        NULL);
    g_autoptr(Lab) lab = must_parse(text);
    const LabImage *image = host(lab, 0)->image;
    assert_non_null(image);
    const LabStep *step = g_ptr_array_index(image->steps, 0);
    assert_string_equal(step->text, expected);
}

static void
reads_text_as_it_is_meant(void **state)
{
    assert_text("", "");
    assert_text("  ", "");
    assert_text("one", "one");
    assert_text("  one  ", "  one  ");
    assert_text("\none\n", "one\n");
    assert_text("\n    if a\n      b\n\n    end\n  ", "if a\n  b\n\nend\n");
    assert_text("\n\tone\n\t two\n", "one\n two\n");
    assert_text("\n\tone\n  two\n", "\tone\n  two\n");
    assert_text("\n   &lt;a&gt;\n   <![CDATA[<b> &amp;]]>\n", "<a>\n<b> &amp;\n");
    assert_text("\n  one\n  two", "one\ntwo");
    assert_text("\n\n  one\n", "\none\n");
}

static void
reads_an_image(void **state)
{
    g_autoptr(Lab) lab = must_parse(
        LAB("<host count='2'><image from='a/b' size='1 GiB' boot='loader'><copy from='c' "
            "to='/c' mode='4755'/><first-boot>x</first-boot><ssh-key path='/k'/></image>"
            "<cell cpus='0' memory='64 MiB'/></host>"));
    for (guint i = 0; i < 2; i++) {
        const LabImage *image = host(lab, i)->image;
        assert_string_equal(image->from, "a/b");
        assert_int_equal(image->size_bytes, 1 << 30);
        assert_true(image->loader);
        assert_string_equal(image->ssh_key, "/k");
        assert_int_equal(image->steps->len, 2);
        const LabStep *copy = g_ptr_array_index(image->steps, 0);
        const LabStep *script = g_ptr_array_index(image->steps, 1);
        assert_int_equal(copy->kind, LAB_STEP_COPY);
        assert_string_equal(copy->path, "/c");
        assert_int_equal(copy->mode, 04755);
        assert_int_equal(script->kind, LAB_STEP_FIRST_BOOT);
        assert_string_equal(script->text, "x");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_article),
        cmocka_unit_test(counts_up_ids_and_macs),
        cmocka_unit_test(reads_text_as_it_is_meant),
        cmocka_unit_test(reads_an_image),
    };
    return cmocka_run_group_tests_name("lab-parse", tests, NULL, NULL);
}
