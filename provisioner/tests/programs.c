/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "programs.h"

static char *
add_library(const char *root, const char *path, const char *const *needed)
{
    g_autoptr(GBytes) library = fake_elf(&(FakeElf){.needed = needed});
    return fake_write(root, path, library);
}

static void
check_refused(const char *source, const char *words)
{
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    g_autoptr(GError) error = NULL;
    assert_false(programs_add(programs, source, NULL, &error));
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
this_machines_shell_is_whole(void **state)
{
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    g_autofree char *shell = programs_find("sh");
    assert_non_null(shell);
    assert_true(programs_add(programs, shell, NULL, NULL));
    assert_true(initramfs_has(image, "/bin/sh"));
    assert_null(programs_find("no-such-program-anywhere"));
    assert_null(programs_find("/no/such/program"));
}

static void
needs_may_come_alone(void **state)
{
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    g_autofree char *shell = programs_find("sh");
    g_autofree char *line = g_strdup_printf("#!%s\n", shell);
    g_autoptr(GBytes) text = g_bytes_new(line, strlen(line));
    g_autofree char *script = fake_write(*state, "a/needs", text);
    assert_true(programs_add_needs(programs, script, NULL));
    assert_true(initramfs_has(image, shell));
    assert_false(initramfs_has(image, script));
    assert_false(initramfs_has(image, "/usr/bin/needs"));
    /* And the program after all, for another reason. */
    assert_true(programs_add(programs, script, NULL, NULL));
    assert_true(initramfs_has(image, script));
}

static void
libraries_are_found_from_the_program(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const program_needs[] = {"libone.so", NULL};
    static const char *const one_needs[] = {"libtwo.so", NULL};
    g_autofree char *two = add_library(*state, "a/lib/libtwo.so", nothing);
    g_autoptr(GBytes) one_elf =
        fake_elf(&(FakeElf){.needed = one_needs, .runpath = "${ORIGIN}:/nowhere"});
    g_autofree char *one = fake_write(*state, "a/lib/libone.so", one_elf);
    g_autoptr(GBytes) program_elf =
        fake_elf(&(FakeElf){.needed = program_needs, .runpath = "$ORIGIN/../lib"});
    g_autofree char *program = fake_write(*state, "a/bin/tool", program_elf);

    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    g_autoptr(GError) error = NULL;
    assert_true(programs_add(programs, program, NULL, &error));
    assert_true(initramfs_has(image, program));
    assert_true(initramfs_has(image, one));
    assert_true(initramfs_has(image, two));
    assert_true(initramfs_has(image, "/bin/tool"));
    assert_int_equal(unlink(two), 0);
    check_refused(program, "needs the library libtwo.so");
}

static void
libraries_may_need_each_other(void **state)
{
    static const char *const left_needs[] = {"libright.so", NULL};
    static const char *const right_needs[] = {"libleft.so", NULL};
    g_autoptr(GBytes) left =
        fake_elf(&(FakeElf){.needed = left_needs, .runpath = "$ORIGIN"});
    g_autoptr(GBytes) right =
        fake_elf(&(FakeElf){.needed = right_needs, .runpath = "$ORIGIN"});
    g_autofree char *left_path = fake_write(*state, "ring/libleft.so", left);
    g_autofree char *right_path = fake_write(*state, "ring/libright.so", right);
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    assert_true(programs_add(programs, left_path, NULL, NULL));
    assert_true(initramfs_has(image, right_path));
}

static void
scripts_bring_their_interpreters(void **state)
{
    g_autofree char *script =
        fake_write_text(*state, "script", "#! /usr/bin/env  sh\necho\n");
    g_autoptr(Initramfs) image = initramfs_new();
    g_autoptr(Programs) programs = programs_new(image);
    assert_true(programs_add(programs, script, "/opt/script", NULL));
    assert_true(initramfs_has(image, "/opt/script"));
    assert_true(initramfs_has(image, "/usr/bin/env"));
    assert_true(initramfs_has(image, "/bin/sh"));

    /* As a shell does it. */
    g_autofree char *plain = fake_write_text(*state, "plain", "echo plain\n");
    g_autofree char *nothing = fake_write_text(*state, "nothing", "");
    g_autoptr(Initramfs) shells = initramfs_new();
    g_autoptr(Programs) more = programs_new(shells);
    assert_true(programs_add(more, plain, "/opt/plain", NULL));
    assert_true(initramfs_has(shells, "/bin/sh"));
    assert_true(programs_add(more, nothing, "/opt/nothing", NULL));
    assert_true(initramfs_has(shells, "/opt/nothing"));

    g_autofree char *gone = fake_write_text(*state, "gone", "#!/no/such/shell\n");
    check_refused(gone, "needs the interpreter /no/such/shell");
    g_autofree char *path = g_build_filename(*state, "loop", NULL);
    g_autofree char *text = g_strdup_printf("#!%s\n", path);
    g_free(fake_write_text(*state, "loop", text));
    g_autoptr(GError) error = NULL;
    programs_add(programs, path, NULL, &error); /* comes to an end */
}

static void
what_is_no_program_is_refused(void **state)
{
    g_autoptr(GBytes) elf = fake_elf(&(FakeElf){.interpreter = "/no/such/ld.so"});
    g_autofree char *lost = fake_write(*state, "lost", elf);
    g_autoptr(GBytes) bytes = g_bytes_new_static("hello\0there", 11);
    g_autofree char *data = fake_write(*state, "data", bytes);
    g_autofree char *cut = fake_write_text(*state, "cut", "\177ELF\2\1\1");
    check_refused(lost, "needs the dynamic linker /no/such/ld.so");
    check_refused(data, "neither ELF nor a script");
    check_refused(cut, "not a whole ELF file");
    check_refused("/no/such/file", "cannot read the program");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machines_shell_is_whole),
        cmocka_unit_test(needs_may_come_alone),
        cmocka_unit_test(libraries_are_found_from_the_program),
        cmocka_unit_test(libraries_may_need_each_other),
        cmocka_unit_test(scripts_bring_their_interpreters),
        cmocka_unit_test(what_is_no_program_is_refused),
    };
    return cmocka_run_group_tests_name("programs", tests, fake_root_setup,
                                       fake_root_teardown);
}
