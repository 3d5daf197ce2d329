/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The domain that is started, beside the one that is only written (emit.c).
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <string.h>

#include "autoptr.h"
#include "domain-lab.h"
#include "emit.h"
#include "error.h"
#include "plan-fixture.h"

/* Neither XML nor UTF-8. */
static const char source[] = "<lab>\r\n\xe9 ]]></lab>\n";

static const char *const more_args[] = {"-more", "a<b", NULL};
static const EmitDomain start = {
    .accel = "tcg",
    .emulator = "/the/emulator",
    .kernel = "/the/kernel",
    .initrd = "/the/initrd",
    .cmdline_extra = "extra=1",
    .more_args = more_args,
};

static void
assert_xpath(xmlDoc *document, const char *path, const char *expected)
{
    g_autoptr(xmlXPathContext) context = xmlXPathNewContext(document);
    xmlXPathRegisterNs(context, BAD_CAST "q",
                       BAD_CAST "http://libvirt.org/schemas/domain/qemu/1.0");
    xmlXPathRegisterNs(context, BAD_CAST "h", BAD_CAST "urn:hostbed:host:1");
    g_autoptr(xmlXPathObject) object = xmlXPathEvalExpression(BAD_CAST path, context);
    assert_non_null(object);
    g_autoptr(xmlChar) text = xmlXPathCastToString(object);
    assert_string_equal((const char *)text, expected);
}

static xmlDoc *
domain_by(const Plan *plan, const EmitDomain *way)
{
    g_autoptr(GString) text = g_string_new(NULL);
    emit_libvirt_domain(plan, way, text);
    xmlDoc *document =
        xmlReadMemory(text->str, (int)text->len, NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    return document;
}

static xmlDoc *
domain_of(const Plan *plan)
{
    return domain_by(plan, &start);
}

static void
it_names_what_is_started(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);
    g_autofree char *cmdline = g_strjoin(" ", plan->tcg_cmdline, plan->cmdline,
                                         plan->direct_cmdline, "extra=1", NULL);
    assert_xpath(domain, "string(/domain/@type)", "qemu");
    assert_xpath(domain, "/domain/devices/emulator", "/the/emulator");
    assert_xpath(domain, "/domain/os/kernel", "/the/kernel");
    assert_xpath(domain, "/domain/os/initrd", "/the/initrd");
    assert_xpath(domain, "/domain/os/cmdline", cmdline);
    assert_xpath(domain, "string(//q:arg[last()]/@value)", "a<b");
}

/* The host of an image, which has a boot loader. */
static Plan *
plan_image(Lab *lab, gboolean loader, const Emulator *emulator)
{
    LabHost *host = fixture_host(lab);
    host->image = lab_image_new();
    host->image->from = g_strdup("deb-recipe");
    host->image->loader = loader;
    return fixture_plan(lab, emulator);
}

static void
an_image_has_each_of_its_files(void **state)
{
    static const char *const files[] = {"/base", "/middle", "/own<", NULL};
    EmitDomain way = start;
    way.root_words = "root=UUID=1 rw";
    way.disk_files = files;
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = plan_image(lab, FALSE, *state);
    g_autoptr(xmlDoc) domain = domain_by(plan, &way);
    assert_xpath(domain, "count(/domain/devices/disk)", "1");
    assert_xpath(domain, "string(//disk/source/@file)", "/own<");
    assert_xpath(domain, "string(//disk/driver/@cache)", "unsafe");
    assert_xpath(domain, "string(//disk/backingStore/source/@file)", "/middle");
    assert_xpath(domain, "string(//disk/backingStore/format/@type)", "qcow2");
    assert_xpath(domain, "string(//disk/backingStore/backingStore/source/@file)",
                 "/base");
    assert_xpath(domain, "count(//disk//backingStore)", "3");
    assert_xpath(domain, "count(//disk//backingStore[not(*)][not(@*)])", "1");
    assert_xpath(domain, "substring-after(/domain/os/cmdline, ' root=')",
                 "UUID=1 rw extra=1");
}

static void
a_boot_loader_has_its_kernel(void **state)
{
    static const char *const files[] = {"/base", "/own", NULL};
    EmitDomain way = start;
    way.kernel = way.initrd = NULL;
    way.disk_files = files;
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = plan_image(lab, TRUE, *state);
    g_autoptr(xmlDoc) domain = domain_by(plan, &way);
    assert_xpath(domain, "count(/domain/os/*[not(self::type)])", "0");
    assert_xpath(domain, "string(//disk/boot/@order)", "1");
}

static void
it_has_the_bytes_of_the_lab(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    lab->source = g_bytes_new_static(source, strlen(source));
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);
    g_autofree char *text = g_base64_encode((const guchar *)source, strlen(source));
    assert_xpath(domain, "/domain/metadata/h:host/h:source[@encoding='base64']", text);

    g_autoptr(GString) xml = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    emit_libvirt_domain(plan, &start, xml);
    g_autoptr(GBytes) found = domain_lab_source(xml->str, "d", &error);
    g_assert_no_error(error);
    assert_int_equal(g_bytes_compare(found, lab->source), 0);
}

static void
other_domains_have_no_lab(void **state)
{
    static const char *const texts[] = {
        "",
        "no XML",
        "<domain/>",
        "<domain><metadata/></domain>",
        "<domain><metadata><host xmlns='urn:hostbed:host:1'><source encoding='base64'/>"
        "</host></metadata></domain>",
        "<domain><metadata><host xmlns='urn:other'><source encoding='base64'>QQ=="
        "</source></host></metadata></domain>"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(domain_lab_source(texts[i], "other", &error));
        assert_true(g_error_matches(error, HB_ERROR, HB_USAGE));
        assert_non_null(strstr(error->message, "domain other has no lab"));
    }
}

/* Without libvirt's networks. */
static void
networks_are_the_emulators(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    guint nics = 0;
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        if (function->mac && nics++ < 2)
            function->network = g_strdup("fabric");
    }
    g_autoptr(xmlDoc) domain = domain_of(plan);
    assert_xpath(domain, "count(//interface[@type='user'])", "9");
    assert_xpath(domain, "count(//interface/source)", "0");
    assert_xpath(domain, "count(//q:arg[contains(@value,'\"hubport\"')])", "2");
    assert_xpath(domain, "count(//q:property[@name='netdev'][@type='string'])", "2");
    assert_xpath(domain, "count(//q:property[@name='netdev'][@type='remove'])", "7");
}

/* libvirt's own would not take one. */
static void
nics_that_libvirt_does_not_know_have_networks(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Findings) written = findings_new();
    PlanFunction *nic = NULL;
    for (guint i = 0; !nic; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        nic = function->mac ? function : NULL;
    }
    g_free(nic->driver);
    nic->driver = g_strdup("igb");
    nic->network = g_strdup("fabric");
    emit_libvirt_check(plan, written);
    assert_false(findings_ok(written));
    emit_libvirt_check_domain(plan, findings);
    assert_true(findings_ok(findings));
    g_autoptr(xmlDoc) domain = domain_of(plan);
    assert_xpath(domain, "count(//interface)", "8");
    assert_xpath(domain,
                 "count(//q:arg[contains(@value,'\"driver\":\"igb\"')]"
                 "[contains(@value,'\"netdev\":\"hostbed-net-')])",
                 "1");
}

static xmlDoc *
joined_domain_of(const Plan *plan)
{
    EmitDomain joined = start;
    g_autoptr(GString) text = g_string_new(NULL);
    joined.has_ports = TRUE;
    joined.capture_dir = "/logs";
    emit_libvirt_domain(plan, &joined, text);
    return xmlReadMemory(text->str, (int)text->len, NULL, NULL, XML_PARSE_NONET);
}

/* Each of the first NICs has a channel for either direction, of which the guest sees
 * nothing; a network of the host's own stays in the emulator, which captures it. */
static void
nics_that_join_hosts_have_channels(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    for (guint i = 0, nics = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        if (!function->mac || nics++ > 2)
            continue;
        function->network = g_strdup(nics == 3 ? "own" : "fabric");
        function->joined = nics != 3;
    }
    g_autoptr(xmlDoc) alone = domain_of(plan);
    assert_xpath(alone, "count(//channel)", "1");
    g_autoptr(xmlDoc) domain = joined_domain_of(plan);
    assert_xpath(domain, "count(//channel[@type='unix'])", "5");
    assert_xpath(domain, "count(//q:arg[contains(@value,'\"hubport\"')])", "6");
    assert_xpath(domain, "count(//q:property[@value='nvme-subsys'])", "4");
    assert_xpath(domain, "count(//q:property[@name='chardev'][@type='remove'])", "4");
    g_autoptr(GPtrArray) joined = plan_joined(plan);
    assert_int_equal(joined->len, 2);
    assert_xpath(domain, "count(//q:arg[contains(@value,'\"filter-dump\"')])", "1");
    assert_xpath(domain, "count(//q:arg[contains(@value,'\"file\":\"/logs/own.pcap\"')])",
                 "1");
    for (guint i = 0; i < joined->len; i++) {
        const PlanFunction *nic = joined->pdata[i];
        g_autofree char *path = g_strdup_printf(
            "count(//q:arg[contains(@value,'\"netdev\":\"hostbed-net-%s\",')]"
            "[contains(@value,'\"rx\",\"outdev\":\"charua-net-out-%u\"') or "
            "contains(@value,'\"tx\",\"indev\":\"charua-net-in-%u\"')])",
            nic->id, i, i);
        assert_xpath(domain, path, "2");
    }
}

/* More channels than one controller has ports for would change the machine. */
static void
nics_that_join_hosts_are_not_too_many(void **state)
{
    g_autoptr(Lab) lab = fixture_lab();
    LabCell *cell = fixture_cell(fixture_host(lab), 0, 1, 1 << 30);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "expander");
    for (int i = 0; i < 15; i++) {
        g_autofree char *port = g_strdup_printf("p%d", i);
        g_autofree char *nic = g_strdup_printf("n%d", i);
        /* They have no I/O BAR, of which there could not be so many. */
        fixture_node(fixture_node(expander, LAB_PORT, port), LAB_NIC, nic)->model =
            g_strdup("virtio");
    }
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        function->network = function->mac ? g_strdup("fabric") : NULL;
        function->joined = function->mac != NULL;
    }
    g_autoptr(Findings) too_many = findings_new();
    g_autoptr(Findings) enough = findings_new();
    emit_libvirt_check_domain(plan, too_many);
    assert_false(findings_ok(too_many));
    g_autoptr(GPtrArray) joined = plan_joined(plan);
    assert_int_equal(joined->len, 15);
    PlanFunction *one = joined->pdata[0];
    one->joined = FALSE;
    emit_libvirt_check_domain(plan, enough);
    assert_true(findings_ok(enough));
}

static int
set_up(void **state)
{
    int status = fixture_emulator_setup(state);
    if (status == 0)
        fixture_add_image_disk(*state);
    return status;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_names_what_is_started),
        cmocka_unit_test(an_image_has_each_of_its_files),
        cmocka_unit_test(a_boot_loader_has_its_kernel),
        cmocka_unit_test(it_has_the_bytes_of_the_lab),
        cmocka_unit_test(other_domains_have_no_lab),
        cmocka_unit_test(networks_are_the_emulators),
        cmocka_unit_test(nics_that_libvirt_does_not_know_have_networks),
        cmocka_unit_test(nics_that_join_hosts_have_channels),
        cmocka_unit_test(nics_that_join_hosts_are_not_too_many),
    };
    return cmocka_run_group_tests_name("emit-domain", tests, set_up,
                                       fixture_emulator_teardown);
}
