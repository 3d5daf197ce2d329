/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "accel-memory.h"
#include "accel.h"
#include "emulator.h"
#include "error.h"
#include "image-fixture.h"

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

/* ---- what is remembered
 * --------------------------------------------------------------------- */

/* A program at *PATH in a folder of its own that adds a line to "PATH.count" and fails.
 */
static void
make_emulator(const char *folder, char **path)
{
    g_free(*path);
    *path = g_build_filename(folder, "emulator", NULL);
    assert_true(g_file_set_contents_full(*path,
                                         "#!/bin/sh\necho >>\"$0.count\"\nexit 1\n", -1,
                                         G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static gsize
count_starts(const char *emulator)
{
    g_autofree char *path = g_strconcat(emulator, ".count", NULL), *text = NULL;
    gsize length = 0;
    if (g_file_get_contents(path, &text, &length, NULL))
        g_unlink(path);
    return length;
}

static void
a_failure_is_remembered_while_nothing_changes(void **state)
{
    const char *folder = *state;
    g_autofree char *emulator = NULL, *device = g_build_filename(folder, "device", NULL);
    make_emulator(folder, &emulator);
    assert_true(g_file_set_contents(device, "", 0, NULL));
    assert_null(accel_recall(emulator, device, 5000));
    accel_remember(emulator, device, 5000, "it hangs");
    g_autofree char *known = accel_recall(emulator, device, 5000 + 3599);
    assert_string_equal(known, "it hangs (seen 59 min ago; hostbed doctor tries again)");

    g_autofree char *old = accel_recall(emulator, device, 5000 + 3600);
    g_autofree char *future = accel_recall(emulator, device, 4999);
    g_autofree char *no_device = accel_recall(emulator, "/nonexistent/kvm", 5000);
    assert_null(old);
    assert_null(future);
    assert_null(no_device);
}

static void
another_device_or_emulator_is_tried(void **state)
{
    const char *folder = *state;
    g_autofree char *emulator = NULL, *device = g_build_filename(folder, "device", NULL);
    make_emulator(folder, &emulator);
    assert_true(g_file_set_contents(device, "", 0, NULL));
    accel_remember(emulator, device, 5000, "it hangs");
    g_usleep(20 * 1000);
    assert_int_equal(g_chmod(device, 0600), 0);
    g_autofree char *changed = accel_recall(emulator, device, 5000);
    assert_null(changed);

    accel_remember(emulator, device, 5000, "it hangs");
    g_usleep(20 * 1000);
    make_emulator(folder, &emulator);
    g_autofree char *rebuilt = accel_recall(emulator, device, 5000);
    assert_null(rebuilt);

    accel_remember(emulator, device, 5000, "it hangs");
    accel_forget(emulator, device);
    g_autofree char *forgotten = accel_recall(emulator, device, 5000);
    assert_null(forgotten);
}

/* Who asks for KVM, or for a verdict on it, gets a proof each time. */
static void
only_an_automatic_choice_remembers(void **state)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autofree char *emulator = NULL;
    if (fd < 0)
        skip();
    close(fd);
    make_emulator(*state, &emulator);
    g_autoptr(AccelProof) first = accel_begin(ACCEL_AUTO, emulator);
    g_autoptr(AccelVerdict) proved = accel_end(first, NULL);
    assert_int_equal(proved->accel, ACCEL_TCG);
    g_clear_pointer(&first, accel_proof_free); /* and what may still be starting */
    assert_true(count_starts(emulator) > 0);

    g_autoptr(AccelProof) second = accel_begin(ACCEL_AUTO, emulator);
    g_autoptr(AccelVerdict) recalled = accel_end(second, NULL);
    assert_int_equal(recalled->accel, ACCEL_TCG);
    assert_non_null(strstr(recalled->reason, "ended with status 1"));
    assert_non_null(strstr(recalled->reason, "min ago"));
    assert_int_equal(count_starts(emulator),
                     1); /* asked for its version: it is a script */

    g_autoptr(AccelProof) asked = accel_begin(ACCEL_KVM, emulator);
    g_autoptr(AccelVerdict) none = accel_end(asked, NULL);
    assert_null(none);
    assert_true(count_starts(emulator) > 1);
    g_autoptr(AccelVerdict) decided = accel_decide(ACCEL_AUTO, emulator, NULL);
    assert_null(strstr(decided->reason, "min ago"));
    assert_true(count_starts(emulator) > 1);
}

static gboolean
on_time(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_REMOVE;
}

/* And what was not tried to its end is not remembered. */
static void
an_interrupt_ends_the_proof(void **state)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        skip();
    close(fd);
    g_autofree char *mute = g_build_filename(*state, "mute", NULL);
    assert_true(g_file_set_contents_full(mute, "#!/bin/sh\n[ $# = 1 ] || sleep 60\n", -1,
                                         G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(AccelProof) proof = accel_begin(ACCEL_AUTO, mute);
    g_cancellable_push_current(interrupt);
    g_timeout_add(50, on_time, interrupt);
    g_autoptr(AccelVerdict) verdict = accel_end(proof, &error);
    g_cancellable_pop_current(interrupt);
    assert_null(verdict);
    assert_int_equal(hb_error_status(error), HB_INTERRUPTED);
    g_autofree char *known = accel_recall(mute, "/dev/kvm", accel_memory_clock());
    assert_null(known);
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
        cmocka_unit_test(a_failure_is_remembered_while_nothing_changes),
        cmocka_unit_test(another_device_or_emulator_is_tried),
        cmocka_unit_test(only_an_automatic_choice_remembers),
        cmocka_unit_test(an_interrupt_ends_the_proof),
    };
    return cmocka_run_group_tests_name("accel", tests, fake_root_setup,
                                       fake_root_teardown);
}
