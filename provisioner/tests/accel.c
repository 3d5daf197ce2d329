/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "accel.h"
#include "emulator.h"
#include "error.h"

static void
names_are_the_options(void **state)
{
    Accel accel;
    assert_true(accel_from_name("kvm", &accel));
    assert_int_equal(accel, ACCEL_KVM);
    assert_string_equal(accel_name(ACCEL_AUTO), "auto");
    assert_false(accel_from_name("KVM", &accel));
    assert_false(accel_from_name(NULL, &accel));
}

/* The guest can come to its end: otherwise a failing proof would say nothing about KVM.
 */
static void
the_proof_succeeds_under_emulation(void **state)
{
    g_autofree char *emulator = emulator_find(NULL, NULL), *reason = NULL;
    if (!emulator)
        skip();
    gboolean proved = FALSE;
    /* A busy machine may need more than the two seconds, but not each time. */
    for (int i = 0; i < 5 && !proved; i++) {
        g_free(reason);
        proved = accel_prove(ACCEL_TCG, emulator, &reason);
    }
    if (!proved)
        fail_msg("%s", reason);
    assert_non_null(strstr(reason, "ran to its end"));
}

static void
programs_that_end_prove_nothing(void **state)
{
    g_autofree char *reason = NULL, *absent = NULL;
    assert_false(accel_prove(ACCEL_TCG, "/bin/true", &reason));
    assert_non_null(strstr(reason, "status 0"));
    assert_false(accel_prove(ACCEL_TCG, "/nonexistent/qemu", &absent));
    assert_non_null(strstr(absent, "cannot start"));
}

static void
the_proof_has_a_limit(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("hostbed-accel-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "emulator", NULL), *reason = NULL;
    assert_true(g_file_set_contents_full(path, "#!/bin/sh\nsleep 60\n", -1,
                                         G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    gint64 started = g_get_monotonic_time();
    assert_false(accel_prove(ACCEL_KVM, path, &reason));
    assert_non_null(strstr(reason, "within 2 seconds"));
    assert_true(g_get_monotonic_time() - started < 8 * G_USEC_PER_SEC);
    g_unlink(path);
    g_rmdir(folder);
}

/* Whatever the caller does meanwhile, the verdict is there two seconds after the
 * beginning. */
static void
a_verdict_can_be_awaited_later(void **state)
{
    g_autofree char *emulator = emulator_find(NULL, NULL);
    if (!emulator)
        skip();
    gint64 started = g_get_monotonic_time();
    g_autoptr(AccelProof) proof = accel_begin(ACCEL_AUTO, emulator);
    g_autoptr(AccelProof) unused = accel_begin(ACCEL_AUTO, emulator);
    g_usleep(300 * 1000);
    g_autoptr(AccelVerdict) verdict = accel_end(proof, NULL);
    assert_true(verdict->accel == ACCEL_KVM || verdict->accel == ACCEL_TCG);
    assert_true(*verdict->reason != '\0');
    assert_true(g_get_monotonic_time() - started < 4 * G_USEC_PER_SEC);
}

static void
kvm_is_never_replaced_silently(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AccelVerdict) none = accel_decide(ACCEL_KVM, "/bin/true", &error);
    assert_null(none);
    assert_int_equal(hb_error_status(error), HB_UNSUPPORTED);
    assert_non_null(strstr(error->message, "/dev/kvm"));

    g_autoptr(AccelVerdict) emulated = accel_decide(ACCEL_AUTO, "/bin/true", NULL);
    assert_int_equal(emulated->accel, ACCEL_TCG);
    assert_non_null(strstr(emulated->reason, "/dev/kvm"));
    g_autoptr(AccelVerdict) asked = accel_decide(ACCEL_TCG, "/bin/true", NULL);
    assert_int_equal(asked->accel, ACCEL_TCG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_options),
        cmocka_unit_test(the_proof_succeeds_under_emulation),
        cmocka_unit_test(programs_that_end_prove_nothing),
        cmocka_unit_test(the_proof_has_a_limit),
        cmocka_unit_test(a_verdict_can_be_awaited_later),
        cmocka_unit_test(kvm_is_never_replaced_silently),
    };
    return cmocka_run_group_tests_name("accel", tests, NULL, NULL);
}
