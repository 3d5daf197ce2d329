/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "doctor.h"
#include "error.h"

static GPtrArray *
sample(void)
{
    GPtrArray *items = doctor_items_new();
    JsonObject *facts = json_object_new();
    json_object_set_boolean_member(facts, "usable", FALSE);
    doctor_add(items, DOCTOR_LIMITED, "kvm", g_strdup("there is no /dev/kvm"), NULL,
               facts);
    doctor_add(items, DOCTOR_OK, "emulator", g_strdup("/bin/q is QEMU 1.2.3"), NULL,
               NULL);
    return items;
}

static void
a_line_each_and_colour_only_if_asked(void **state)
{
    g_autoptr(GPtrArray) items = sample();
    doctor_add(items, DOCTOR_MISSING, "kernel", g_strdup("none"), g_strdup("install one"),
               NULL);
    g_autofree char *plain = doctor_to_text(items, FALSE);
    assert_string_equal(plain, "limited kvm         there is no /dev/kvm\n"
                               "ok      emulator    /bin/q is QEMU 1.2.3\n"
                               "missing kernel      none\n"
                               "                    install one\n");
    g_autofree char *coloured = doctor_to_text(items, TRUE);
    assert_non_null(strstr(coloured, "\033[31mmissing \033[0m"));
}

static void
only_what_is_missing_fails(void **state)
{
    g_autoptr(GPtrArray) items = sample();
    assert_int_equal(doctor_status(items), HB_OK);
    doctor_add(items, DOCTOR_MISSING, "emulator", g_strdup("x"), NULL, NULL)->status =
        HB_UNSUPPORTED;
    doctor_add(items, DOCTOR_MISSING, "kernel", g_strdup("y"), NULL, NULL);
    assert_int_equal(doctor_status(items), HB_UNSUPPORTED);
}

static void
json_is_whole(void **state)
{
    g_autoptr(GPtrArray) items = sample();
    g_autofree char *text = doctor_to_json(items);
    g_autoptr(JsonNode) root = json_from_string(text, NULL);
    JsonObject *object = json_node_get_object(root);
    assert_true(json_object_get_boolean_member(object, "usable"));
    JsonArray *array = json_object_get_array_member(object, "items");
    assert_int_equal(json_array_get_length(array), 2);
    JsonObject *kvm = json_array_get_object_element(array, 0);
    assert_string_equal(json_object_get_string_member(kvm, "state"), "limited");
    JsonObject *facts = json_object_get_object_member(kvm, "facts");
    assert_false(json_object_get_boolean_member(facts, "usable"));
}

static const DoctorItem *
find(GPtrArray *items, const char *name)
{
    for (guint i = 0; i < items->len; i++) {
        const DoctorItem *item = g_ptr_array_index(items, i);
        if (strcmp(item->name, name) == 0)
            return item;
    }
    fail_msg("there is no item %s", name);
    return NULL;
}

static void
a_bad_emulator_is_told(void **state)
{
    g_autoptr(GPtrArray) items = doctor_examine("/nonexistent/qemu", NULL, ACCEL_AUTO);
    const DoctorItem *emulator = find(items, "emulator");
    assert_int_equal(emulator->state, DOCTOR_MISSING);
    assert_non_null(strstr(emulator->text, "/nonexistent/qemu does not exist"));
    /* What else there is does not make it well. */
    for (guint i = 0; i < items->len; i++)
        if (g_str_equal(((DoctorItem *)items->pdata[i])->name, "emulator"))
            assert_ptr_equal(items->pdata[i], emulator);
    assert_int_equal(find(items, "kvm")->state, DOCTOR_LIMITED);
    assert_int_equal(doctor_status(items), HB_INFRASTRUCTURE);
    find(items, "memory");
    find(items, "hugepages");
    find(items, "libguestfs");
    find(items, "libcurl");
    find(items, "libosinfo");
}

static void
what_is_not_well_has_a_remedy(void **state)
{
    static const char *const emulators[] = {"/nonexistent/qemu", "/bin/false", NULL};
    for (guint i = 0; i < G_N_ELEMENTS(emulators); i++) {
        g_autoptr(GPtrArray) items =
            doctor_examine(emulators[i], "/nonexistent/kernel", ACCEL_AUTO);
        assert_int_equal(find(items, "kernel")->state, DOCTOR_MISSING);
        for (guint j = 0; j < items->len; j++) {
            const DoctorItem *item = items->pdata[j];
            if (item->state != DOCTOR_OK && !item->remedy)
                fail_msg("%s: '%s' has no remedy", item->name, item->text);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_each_and_colour_only_if_asked),
        cmocka_unit_test(only_what_is_missing_fails),
        cmocka_unit_test(json_is_whole),
        cmocka_unit_test(a_bad_emulator_is_told),
        cmocka_unit_test(what_is_not_well_has_a_remedy),
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
