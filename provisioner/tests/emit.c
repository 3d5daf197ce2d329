/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <libxml/xpathInternals.h>

#include "autoptr.h"
#include "emit-parts.h"
#include "emit.h"
#include "plan-fixture.h"

/* What an author might write to break out of a line, a string, an option or an element.
 */
#define HOSTILE "a,b=c \"d\" 'e' <f/> &g; \\h\ni"

static const EmitRuntime no_runtime = {.qmp_fd = -1, .agent_fd = -1, .console_fd = -1};

/* The value behind the first NAME in ARGS, or NULL. */
static const char *
value_of(GStrv args, const char *name)
{
    for (guint i = 0; args[i]; i++)
        if (strcmp(args[i], name) == 0)
            return args[i + 1];
    return NULL;
}

static guint
count_of(GStrv args, const char *name)
{
    guint count = 0;
    for (guint i = 0; args[i]; i++)
        count += strcmp(args[i], name) == 0;
    return count;
}

/* The -device with this id, parsed. */
static JsonNode *
device_of(GStrv args, const char *id)
{
    for (guint i = 0; args[i]; i++) {
        if (strcmp(args[i], "-device") != 0)
            continue;
        JsonNode *node = json_from_string(args[i + 1], NULL);
        assert_non_null(node);
        JsonObject *object = json_node_get_object(node);
        if (g_strcmp0(json_object_get_string_member_with_default(object, "id", NULL),
                      id) == 0)
            return node;
        json_node_unref(node);
    }
    fail_msg("no -device has the id %s", id);
    return NULL;
}

static void
cpu_lists_are_the_kernels(void **state)
{
    g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autofree char *none = emit_cpu_list(cpus);
    assert_string_equal(none, "none");
    const guint numbers[] = {0, 1, 2, 4, 6, 7, 300};
    g_array_append_vals(cpus, numbers, G_N_ELEMENTS(numbers));
    g_autofree char *some = emit_cpu_list(cpus);
    assert_string_equal(some, "0-2,4,6-7,300");
}

static void
devices_stand_where_the_plan_has_them(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_auto(GStrv) args = emit_qemu_args(plan, &no_runtime);

    assert_true(
        g_str_has_prefix(value_of(args, "-device"), "{\"driver\":\"intel-iommu\""));
    g_autoptr(JsonNode) port = device_of(args, "x2.p2");
    JsonObject *object = json_node_get_object(port);
    assert_string_equal(json_object_get_string_member(object, "driver"), "ioh3420");
    assert_string_equal(json_object_get_string_member(object, "bus"), "x2");
    assert_string_equal(json_object_get_string_member(object, "addr"), "02.0");
    g_autoptr(JsonNode) nic = device_of(args, "x2.n2");
    object = json_node_get_object(nic);
    assert_string_equal(json_object_get_string_member(object, "romfile"), "");
    assert_false(json_object_has_member(object, "netdev"));
    assert_int_equal(count_of(args, "-netdev"), 0);
    assert_int_equal(count_of(args, "-numa"), 3);
}

static void
what_a_start_leaves_out_is_left_out(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_auto(GStrv) args = emit_qemu_args(plan, &no_runtime);

    assert_int_equal(count_of(args, "-chardev") + count_of(args, "-mon") +
                         count_of(args, "-serial") + count_of(args, "-kernel") +
                         count_of(args, "-append") + count_of(args, "-accel") +
                         count_of(args, "-sandbox"),
                     0);
    for (guint i = 0; args[i]; i++) {
        assert_null(strstr(args[i], "virtserialport"));
        assert_null(strchr(args[i], '@'));
    }
}

/* Each network's hub gets a port with a file, and frames lead nowhere from there. */
static void
networks_are_captured(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    EmitRuntime runtime = no_runtime;
    runtime.capture_dir = "/logs/a,b";
    g_auto(GStrv) none = emit_qemu_args(plan, &runtime);
    assert_int_equal(count_of(none, "-netdev"), 0);

    static const char *const networks[] = {"wire", "fabric", "wire"};
    for (guint i = 0, n = 0; i < plan->functions->len && n < 3; i++) {
        PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->mac)
            function->network = g_strdup(networks[n++]);
    }
    g_auto(GStrv) silent = emit_qemu_args(plan, &no_runtime);
    assert_int_equal(count_of(silent, "-netdev"), 3);
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);
    g_autofree char *all = g_strjoinv("\n", args);
    assert_int_equal(count_of(args, "-netdev"), 3 + 2 * 3);
    static const char *const wanted[] = {
        "\"id\":\"hostbed-capture-0\",\"hubid\":0,\"netdev\":\"hostbed-sink-0\"}",
        "\"id\":\"hostbed-capture-1\",\"hubid\":1,\"netdev\":\"hostbed-sink-1\"}",
        "\"id\":\"hostbed-sink-1\",\"hubid\":3}",
        "\"netdev\":\"hostbed-capture-0\",\"file\":\"/logs/a,b/fabric.pcap\"",
        "\"netdev\":\"hostbed-capture-1\",\"file\":\"/logs/a,b/wire.pcap\"",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        if (!strstr(all, wanted[i]))
            fail_msg("there is no %s", wanted[i]);
}

/* What joins hosts is a port of ours, and the segment captures it; the rest stays in the
 * emulator. */
static void
ports_of_joining_networks_are_descriptors(void **state)
{
    static const char *const networks[] = {"fabric", "wire", "fabric"};
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    EmitRuntime runtime = no_runtime;
    runtime.capture_dir = "/logs";
    for (guint i = 0, n = 0; i < plan->functions->len && n < 3; i++) {
        PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (!function->mac)
            continue;
        function->network = g_strdup(networks[n++]);
        function->joined = n != 2;
    }
    for (int fd = 41; fd <= 42; fd++)
        g_array_append_val(fds, fd);
    g_auto(GStrv) alone = emit_qemu_args(plan, &runtime);
    assert_int_equal(count_of(alone, "-netdev"), 3 + 2 * 3);
    runtime.port_fds = fds;
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);
    g_autofree char *all = g_strjoinv("\n", args);
    assert_int_equal(count_of(args, "-netdev"), 3 + 3);
    assert_non_null(strstr(all, "\"local\":{\"type\":\"fd\",\"str\":\"41\"}"));
    assert_non_null(strstr(all, "\"local\":{\"type\":\"fd\",\"str\":\"42\"}"));
    assert_non_null(strstr(all, "/logs/wire.pcap"));
    assert_null(strstr(all, "/logs/fabric.pcap"));
}

static void
a_start_names_its_files_and_descriptors(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    const int numbers[] = {21, 22, 23};
    g_array_append_vals(fds, numbers, 3);
    const EmitRuntime runtime = {
        .accel = "tcg",
        .firmware_file = "/fw/" HOSTILE,
        .kernel = HOSTILE,
        .initrd = "/initrd",
        .cmdline_extra = "extra",
        .qmp_fd = 10,
        .agent_fd = 11,
        .console_fd = 12,
        .memory_fds = fds,
        .sandbox = TRUE,
    };
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);

    assert_string_equal(value_of(args, "-kernel"), HOSTILE);
    assert_true(g_str_has_suffix(value_of(args, "-append"), " extra"));
    assert_string_equal(value_of(args, "-chardev"), "socket,id=hostbed-qmp,fd=10");
    assert_non_null(
        strstr(value_of(args, "-object"), "\"mem-path\":\"/proc/self/fd/21\""));
    assert_non_null(strstr(value_of(args, "-machine"), ",pflash0=hostbed-firmware"));
    g_autoptr(JsonNode) drive = json_from_string(value_of(args, "-blockdev"), NULL);
    JsonObject *file = json_object_get_object_member(json_node_get_object(drive), "file");
    assert_string_equal(json_object_get_string_member(file, "filename"), "/fw/" HOSTILE);
}

/* What a start under ACCEL says to OPTION. */
static char *
word_with(const Plan *plan, const char *accel, const char *option)
{
    const EmitRuntime runtime = {
        .accel = accel, .kernel = "/k", .qmp_fd = 10, .agent_fd = 11, .console_fd = 12};
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);
    return g_strdup(value_of(args, option));
}

static void
emulation_has_words_of_its_own(void **state)
{
    const struct {
        const char *option, *word;
    } words[] = {
        {"-accel", ",thread=single"}, {"-machine", ",smm=off"}, {"-append", "lpj="}};
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *emulated = word_with(plan, "tcg", words[i].option);
        g_autofree char *real = word_with(plan, "kvm", words[i].option);
        assert_non_null(strstr(emulated, words[i].word));
        assert_null(strstr(real, words[i].word));
    }
}

static void
efi_keeps_system_management_mode(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    LabHost *host = g_ptr_array_index(lab->hosts, 0);
    host->firmware = LAB_FIRMWARE_EFI;
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *machine = word_with(plan, "tcg", "-machine");
    assert_null(strstr(machine, "smm"));
}

/* A lab whose every free text is hostile. */
static Lab *
hostile_lab(void)
{
    Lab *lab = fixture_lab();
    LabHost *host = fixture_host(lab);
    LabCell *cell = fixture_cell(host, 0, 1, 512 << 20);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "x");
    LabNode *nvme =
        fixture_node(fixture_node(expander, LAB_PORT, "p_.-q"), LAB_NVME, "d");
    nvme->serial = g_strdup("s,\"<&'");
    g_free(lab->name);
    lab->name = g_strdup(HOSTILE);
    host->kernel = g_strdup(HOSTILE);
    host->cmdline = g_strdup(HOSTILE);
    g_ptr_array_add(host->qemu_args,
                    lab_property_new(HOSTILE, NULL, (FilePos){"test.xml", 1}));
    return lab;
}

static void
hostile_words_stay_one_argument(void **state)
{
    g_autoptr(Lab) lab = hostile_lab();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    EmitRuntime runtime = no_runtime;
    runtime.kernel = "k";
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);

    assert_true(g_str_has_prefix(value_of(args, "-name"), "guest=a,,b=c \"d\""));
    assert_true(g_str_has_suffix(value_of(args, "-append"), HOSTILE));
    assert_string_equal(args[g_strv_length(args) - 1], HOSTILE);
    g_autoptr(JsonNode) nvme = device_of(args, "d");
    assert_string_equal(
        json_object_get_string_member(json_node_get_object(nvme), "serial"), "s,\"<&'");

    /* What is printed for people is read back by a shell as the same words. */
    g_autofree char *text = fixture_text(plan, "qemu");
    g_auto(GStrv) words = NULL;
    assert_true(g_shell_parse_argv(text, NULL, &words, NULL));
    assert_string_equal(words[g_strv_length(words) - 1], HOSTILE);
    assert_string_equal(value_of(words, "-name"), value_of(args, "-name"));
    assert_string_equal(value_of(words, "-append"), value_of(args, "-append"));
}

static char *
xpath_string(xmlDoc *document, const char *path)
{
    g_autoptr(xmlXPathContext) context = xmlXPathNewContext(document);
    xmlXPathRegisterNs(context, BAD_CAST "q",
                       BAD_CAST "http://libvirt.org/schemas/domain/qemu/1.0");
    xmlXPathRegisterNs(context, BAD_CAST "l", BAD_CAST "urn:hostbed:lab:1");
    xmlXPathRegisterNs(context, BAD_CAST "h", BAD_CAST "urn:hostbed:host:1");
    g_autoptr(xmlXPathObject) object = xmlXPathEvalExpression(BAD_CAST path, context);
    assert_non_null(object);
    g_autoptr(xmlChar) text = xmlXPathCastToString(object);
    return g_strdup((const char *)text);
}

static xmlDoc *
domain_of(const Plan *plan)
{
    g_autofree char *text = fixture_text(plan, "libvirt");
    xmlDoc *document =
        xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    return document;
}

static void
assert_xpath(xmlDoc *document, const char *path, const char *expected)
{
    g_autofree char *found = xpath_string(document, path);
    assert_string_equal(found, expected);
}

static void
hostile_words_stay_in_their_element(void **state)
{
    g_autoptr(Lab) lab = hostile_lab();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);

    assert_xpath(domain, "/domain/name", HOSTILE "-l1");
    assert_xpath(domain, "/domain/os/kernel", HOSTILE);
    assert_xpath(domain, "/domain/os/cmdline", plan->cmdline);
    assert_xpath(domain, "//h:host/h:cmdline", plan->cmdline);
    assert_xpath(domain, "string(//q:commandline/q:arg[last()]/@value)", HOSTILE);
}

static void
aliases_are_kept_apart(void **state)
{
    g_autoptr(Lab) lab = hostile_lab();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);

    assert_xpath(domain, "string(//controller[@model='pcie-root-port']/alias/@name)",
                 "ua-p-u_--q");
    /* A device that libvirt has no word for is plugged into the port by that name. */
    g_autofree char *device =
        xpath_string(domain, "string(//q:arg[contains(@value,'\"nvme\"')]/@value)");
    assert_non_null(strstr(device, "\"bus\":\"ua-p-u_--q\""));
}

static void
the_lab_is_in_the_domain(void **state)
{
    static const char source[] = "<lab xmlns='urn:hostbed:lab:1' name='n'><host/></lab>";
    g_autoptr(Lab) lab = fixture_article();
    lab->source = g_bytes_new_static(source, strlen(source));
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);

    assert_xpath(domain, "string(/domain/metadata/l:lab/@name)", "n");
    assert_xpath(domain, "count(/domain/metadata/l:lab/l:host)", "1");
    assert_xpath(domain, "count(//interface)", "9");
    assert_xpath(domain, "count(//q:property[@name='netdev'][@type='remove'])", "9");
    assert_xpath(domain, "string(//interface[1]/address/@bus)", "0x4");
}

static void
libvirt_refuses_by_name(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    LabCell *cell = g_ptr_array_index(fixture_host(lab)->cells, 2);
    cell->memory_bytes = 0;
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(Findings) findings = findings_new();
    emit_libvirt_check(plan, findings);
    assert_int_equal(findings_count(findings, FINDING_UNSUPPORTED), 1);
    assert_string_equal(findings_get(findings, 0)->check, "libvirt-memory");
}

static void
the_manifest_is_sorted_and_has_each_fact_once(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *text = fixture_text(plan, "manifest");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    guint count = g_strv_length(lines);
    assert_true(g_str_has_suffix(text, "\n"));
    for (guint i = 1; i + 1 < count; i++)
        assert_true(strcmp(lines[i - 1], lines[i]) < 0);
    static const char *const facts[] = {
        "cpus 0-7",
        "group 0000:dc:02.0 0000:df:00.0",
        "iommu model intel",
        "node 0 cpus 0-3",
        "node 1 distance 1 10",
        "node 1 distance 2 20",
        "node 2 memory 2000 MiB",
        "pci 0000:b5:00.0 parent 0000:b4:00.0",
        "pci 0000:b5:00.0 node 0",
        "pci 0000:b5:00.0 local-cpus 0-3",
        "pci 0000:b5:00.0 id 8086:10d3",
        "pci 0000:00:00.0 parent root",
        "pci 0000:00:00.0 node -1",
        "pci 0000:00:00.0 local-cpus 0-7",
    };
    for (guint i = 0; i < G_N_ELEMENTS(facts); i++)
        if (!g_strv_contains((const char *const *)lines, facts[i]))
            fail_msg("the manifest has no line '%s'", facts[i]);
    g_autofree char *mac =
        g_strdup_printf("\npci 0000:b5:00.0 mac %s\n", plan_function(plan, "x0.n0")->mac);
    assert_non_null(strstr(text, mac));
}

static LabInterconnect *
link_new(gboolean is_bandwidth, int initiator, int target, const char *type, gint64 value)
{
    LabInterconnect *link = g_new0(LabInterconnect, 1);
    *link = (LabInterconnect){is_bandwidth,   initiator, target,         0,
                              g_strdup(type), value,     {"test.xml", 1}};
    return link;
}

/* Cells 0 and 1 have CPUs, cell 2 only memory, which cell 1 reaches faster. */
static Lab *
attributes_lab(void)
{
    Lab *lab = fixture_lab();
    LabHost *host = fixture_host(lab);
    fixture_cell(host, 0, 1, 512 << 20);
    fixture_cell(host, 1, 1, 512 << 20);
    fixture_cell(host, 2, 0, 512 << 20);
    for (int initiator = 0; initiator < 2; initiator++)
        for (int target = 0; target < 3; target++) {
            gint64 value = initiator == target ? 5 : initiator == 1 ? 10 : 20;
            g_ptr_array_add(host->interconnects,
                            link_new(FALSE, initiator, target, "access", value));
        }
    g_ptr_array_add(host->interconnects, link_new(TRUE, 1, 2, "read", 300 << 20));
    return lab;
}

static void
the_nearest_cpus_of_memory_are_foretold(void **state)
{
    g_autoptr(Lab) lab = attributes_lab();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *text = fixture_text(plan, "manifest");

    assert_non_null(strstr(text, "node 0 access0 initiators 0\n"));
    assert_non_null(strstr(text, "node 0 access0 read-latency 5\n"));
    assert_non_null(strstr(text, "node 2 access0 initiators 1\n"));
    assert_non_null(strstr(text, "node 2 access0 read-latency 10\n"));
    assert_non_null(strstr(text, "node 2 access0 write-latency 10\n"));
    assert_non_null(strstr(text, "node 2 access0 read-bandwidth 300\n"));
    assert_null(strstr(text, "write-bandwidth"));
}

static void
libvirt_hears_of_each_link_once(void **state)
{
    g_autoptr(Lab) lab = attributes_lab();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(xmlDoc) domain = domain_of(plan);

    assert_xpath(domain, "count(//interconnects/*)", "6");
    assert_xpath(domain, "count(//interconnects/*[@initiator='1'][@target='0'])", "0");
    assert_xpath(domain, "count(//q:arg[contains(@value, 'initiator=1,target=0')])", "1");
}

static void
the_tree_draws_what_hangs_where(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *text = fixture_text(plan, "tree");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++)
        assert_false(g_str_has_suffix(lines[i], " "));
    assert_non_null(strstr(text, "├─ cell 2, node 2: CPUs 6-7, 2000 MiB\n"));
    assert_non_null(strstr(text, "df:00.0  e1000e"));
    assert_non_null(strstr(text, "hostbed's channel"));
}

static void
the_tree_moves_no_cursor(void **state)
{
    g_autoptr(Lab) lab = hostile_lab();
    LabHost *host = fixture_host(lab);
    g_free(host->cmdline);
    host->cmdline = g_strdup("\x1b[2J\n\x1b]0;title\x07");
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *text = fixture_text(plan, "tree");
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\x07'));
    assert_non_null(strstr(text, "TAINTED"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_lists_are_the_kernels),
        cmocka_unit_test(devices_stand_where_the_plan_has_them),
        cmocka_unit_test(what_a_start_leaves_out_is_left_out),
        cmocka_unit_test(networks_are_captured),
        cmocka_unit_test(ports_of_joining_networks_are_descriptors),
        cmocka_unit_test(a_start_names_its_files_and_descriptors),
        cmocka_unit_test(emulation_has_words_of_its_own),
        cmocka_unit_test(efi_keeps_system_management_mode),
        cmocka_unit_test(hostile_words_stay_one_argument),
        cmocka_unit_test(hostile_words_stay_in_their_element),
        cmocka_unit_test(aliases_are_kept_apart),
        cmocka_unit_test(the_lab_is_in_the_domain),
        cmocka_unit_test(libvirt_refuses_by_name),
        cmocka_unit_test(the_manifest_is_sorted_and_has_each_fact_once),
        cmocka_unit_test(the_nearest_cpus_of_memory_are_foretold),
        cmocka_unit_test(libvirt_hears_of_each_link_once),
        cmocka_unit_test(the_tree_draws_what_hangs_where),
        cmocka_unit_test(the_tree_moves_no_cursor),
    };
    return cmocka_run_group_tests_name("emit", tests, fixture_emulator_setup,
                                       fixture_emulator_teardown);
}
