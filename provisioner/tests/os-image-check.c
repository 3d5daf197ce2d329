/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What an image is to be made from and is not there is found at the line that names it.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cache.h"
#include "lab.h"
#include "os-image.h"

/* A folder with what labs name, and recipes; owned by the caller. */
static char *
make_folder(void)
{
    char *folder = g_dir_make_tmp("hostbed-image-check.XXXXXX", NULL);
    assert_non_null(folder);
    static const char *const files[] = {"disk.qcow2", "key.pub", "there"};
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(folder, files[i], NULL);
        assert_true(g_file_set_contents(path, "", 0, NULL));
    }
    g_autofree char *recipe = g_build_filename(folder, "small.recipe", NULL);
    assert_true(g_file_set_contents(
        recipe, "[recipe]\nname=Small\ndebian=bookworm\npackages=dash\n", -1, NULL));
    g_setenv("HOSTBED_RECIPES_DIR", folder, TRUE);
    return folder;
}

/* What is found of a lab in FOLDER with this <image>, which begins in its third line. */
static char *
found(const char *folder, const char *image)
{
    g_autofree char *file = g_build_filename(folder, "lab.xml", NULL);
    g_autofree char *text =
        g_strdup_printf("<lab xmlns=\"urn:hostbed:lab:1\" name=\"x\">\n<host>\n%s\n"
                        "<cell cpus=\"0\" memory=\"512 MiB\"/></host></lab>\n",
                        image);
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(text, strlen(text), file, findings);
    assert_non_null(lab);
    assert_int_equal(findings_total(findings), 0);
    os_image_check(((const LabHost *)lab->hosts->pdata[0])->image, FINDING_ERROR,
                   findings);
    g_autofree char *all = findings_to_text(findings);
    g_autoptr(GString) named = g_string_new(all);
    g_string_replace(named, folder, "HERE", 0);
    return g_string_free(g_steal_pointer(&named), FALSE);
}

static void
what_is_there_is_no_finding(void **state)
{
    g_autofree char *folder = make_folder();
    g_autofree char *file =
        found(folder, "<image from=\"./disk.qcow2\"><ssh-key path=\"key.pub\"/>"
                      "<copy from=\"there\" to=\"/x\"/></image>");
    assert_string_equal(file, "");
    g_autofree char *recipe = found(folder, "<image from=\"small\"/>");
    assert_string_equal(recipe, "");
    cache_remove_tree(folder);
}

static void
what_is_not_is_told_with_its_line(void **state)
{
    g_autofree char *folder = make_folder();
    g_autofree char *file =
        found(folder, "<image from=\"./disc.qcow2\">\n"
                      "<copy from=\"there\" to=\"/x\"/>\n"
                      "<copy from=\"../x/not/y\" to=\"/y\"/></image>");
    assert_non_null(strstr(file, "lab.xml:3: error: HERE/disc.qcow2 cannot be read: "
                                 "No such file or directory [image-source]\n"));
    assert_non_null(strstr(file, "lab.xml:5: error: "));
    assert_null(strstr(file, "lab.xml:4:"));
    assert_null(strstr(file, ".."));
    g_autofree char *key =
        found(folder, "<image from=\"small\"><ssh-key path=\"none.pub\"/></image>");
    assert_non_null(strstr(key, "lab.xml:3: error: HERE/none.pub cannot be read"));
    g_autofree char *recipe = found(folder, "<image from=\"smal\"/>");
    assert_string_equal(recipe,
                        "HERE/lab.xml:3: error: there is no recipe 'smal'; did you "
                        "mean small? [image-source]\n");
    cache_remove_tree(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_no_finding),
        cmocka_unit_test(what_is_not_is_told_with_its_line),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
