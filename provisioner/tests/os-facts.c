/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Facts of operating systems as they are read: a recorded one, and JSON that lies.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "error.h"
#include "json-line.h"
#include "os-facts.h"

#define GIB ((gint64)1 << 30)

static OsFacts *
read_facts(const char *json, GError **error)
{
    g_autoptr(JsonObject) object = json_line_parse_object(json, strlen(json));
    assert_non_null(object);
    return os_facts_from_json(object, error);
}

static void
a_recorded_system_is_known(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(
        g_getenv("HOSTBED_SOURCE_DIR"), "provisioner/tests/oses/debian12.json", NULL);
    g_autoptr(OsFacts) facts = os_facts_load(path, &error);
    if (!facts)
        fail_msg("%s", error->message);
    assert_string_equal(facts->id, "http://debian.org/debian/12");
    assert_string_equal(os_facts_word(facts), "debian12");
    assert_string_equal(facts->name, "Debian 12");
    assert_string_equal(facts->eol_date, "2028-06-30");
    assert_int_equal(facts->minimum.memory_bytes, GIB);
    assert_int_equal(facts->recommended.memory_bytes, 2 * GIB);
    assert_int_equal(facts->recommended.cpus, OS_UNKNOWN);
    assert_int_equal(facts->firmware, OS_FIRMWARE_BIOS | OS_FIRMWARE_EFI);
    assert_string_equal(os_find_device(facts->devices, 0x8086, 0x10d3)->name, "e1000e");
    assert_non_null(os_find_device(facts->devices, 0x8086, 0x10c9));
    assert_non_null(os_find_device(facts->lacking, 0x1af4, 0x1057));
    const OsImageSource *image = facts->images->pdata[0];
    assert_string_equal(image->variant, "generic");
    assert_string_equal(image->format, "qcow2");
    assert_true(image->cloud_init);
}

static void
what_is_missing_is_unknown(void **state)
{
    g_autoptr(OsFacts) facts =
        read_facts("{\"id\":\"http://a.example/b/1\",\"name\":\"B\"}", NULL);
    assert_non_null(facts);
    assert_string_equal(os_facts_word(facts), "http://a.example/b/1");
    assert_string_equal(facts->version, "");
    assert_int_equal(facts->minimum.memory_bytes, OS_UNKNOWN);
    assert_int_equal(facts->minimum.cpus, OS_UNKNOWN);
    assert_int_equal(facts->firmware, 0);
    assert_int_equal(facts->devices->len, 0);
    assert_null(os_find_device(facts->devices, 0, 0));
}

/* Each is put into an object that is right otherwise. */
static void
what_is_malformed_is_refused(void **state)
{
    static const struct {
        const char *member, *fault;
    } wrong[] = {
        {"\"id\":7", "id"},
        {"\"id\":\"\"", "id"},
        {"\"name\":null", "name"},
        {"\"name\":\"a\\u001b[2J\"", "name"},
        {"\"version\":[]", "version"},
        {"\"short-ids\":{}", "short-ids"},
        {"\"short-ids\":[1]", "short-ids"},
        {"\"short-ids\":[null]", "short-ids"},
        {"\"minimum\":1", "minimum"},
        {"\"minimum\":{\"memory-bytes\":-1}", "memory-bytes"},
        {"\"minimum\":{\"memory-bytes\":1.5}", "memory-bytes"},
        {"\"minimum\":{\"cpus\":4294967296}", "cpus"},
        {"\"recommended\":{\"storage-bytes\":\"9\"}", "storage-bytes"},
        {"\"firmware\":\"bios\"", "firmware"},
        {"\"firmware-lacking\":[[]]", "firmware-lacking"},
        {"\"devices\":[7]", "devices"},
        {"\"devices\":[{\"name\":\"x\"}]", "pci"},
        {"\"devices\":[{\"pci\":\"8086:10d3x\",\"name\":\"x\"}]", "pci"},
        {"\"devices\":[{\"pci\":\"8086:-0d3\",\"name\":\"x\"}]", "pci"},
        {"\"lacking\":[{\"pci\":\"8086:10d3\"}]", "name"},
        {"\"images\":[{\"format\":\"qcow2\"}]", "url"},
        {"\"images\":[{\"url\":\"u\",\"format\":\"f\",\"cloud-init\":1}]", "cloud-init"},
        {"\"trees\":[{}]", "url"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *json = g_strdup_printf(
            "{\"id\":\"http://a.example/b/1\",\"name\":\"B\",%s}", wrong[i].member);
        g_autofree char *said =
            g_strdup_printf("system: %s is missing or malformed", wrong[i].fault);
        g_autoptr(OsFacts) facts = read_facts(json, &error);
        if (facts)
            fail_msg("%s was taken", json);
        assert_int_equal(error->code, HB_INFRASTRUCTURE);
        if (!strstr(error->message, said))
            fail_msg("%s: %s", json, error->message);
    }
}

static void
lists_and_texts_are_bounded(void **state)
{
    g_autoptr(GError) error = NULL;
    GString *json = g_string_new("{\"id\":\"http://a.example/b/1\",\"name\":\"B\","
                                 "\"short-ids\":[\"a\"");
    for (guint i = 0; i < 5000; i++)
        g_string_append(json, ",\"a\"");
    g_string_append(json, "]}");
    assert_null(read_facts(json->str, &error));
    assert_non_null(strstr(error->message, "short-ids"));
    g_clear_error(&error);

    g_string_assign(json, "{\"id\":\"http://a.example/b/1\",\"name\":\"");
    for (guint i = 0; i < 5000; i++)
        g_string_append_c(json, 'n');
    g_string_append(json, "\"}");
    assert_null(read_facts(json->str, &error));
    assert_non_null(strstr(error->message, "name"));
    g_string_free(json, TRUE);
}

static void
a_file_that_is_none_is_refused(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(os_facts_load("/nonexistent/facts.json", &error));
    g_clear_error(&error);
    g_autofree char *path =
        g_build_filename(g_getenv("HOSTBED_SOURCE_DIR"), "configure.ac", NULL);
    assert_null(os_facts_load(path, &error));
    assert_non_null(strstr(error->message, "a JSON object"));
}

static char *
hint_of(const char *const *names)
{
    g_autoptr(OsAnswer) answer = g_new0(OsAnswer, 1);
    answer->nearest = g_ptr_array_new_with_free_func(g_free);
    for (; *names; names++)
        g_ptr_array_add(answer->nearest, g_strdup(*names));
    return os_answer_hint(answer);
}

static void
names_are_hinted_at(void **state)
{
    g_autofree char *none = hint_of((const char *const[]){NULL});
    g_autofree char *one = hint_of((const char *const[]){"debian12", NULL});
    g_autofree char *three = hint_of((const char *const[]){"a", "b", "c", NULL});
    assert_string_equal(none, "'hostbed os' lists all");
    assert_string_equal(one, "did you mean debian12?");
    assert_string_equal(three, "did you mean a, b or c?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_system_is_known),
        cmocka_unit_test(what_is_missing_is_unknown),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(lists_and_texts_are_bounded),
        cmocka_unit_test(a_file_that_is_none_is_refused),
        cmocka_unit_test(names_are_hinted_at),
    };
    return cmocka_run_group_tests_name("os-facts", tests, NULL, NULL);
}
