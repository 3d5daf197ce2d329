/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The making of images, with a hostbed-guestfs that is played: a script.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "os-image-parts.h"

/* Does as it is told, and counts that it was asked. */
#define MAKES                                                                            \
    "#!/bin/sh\n"                                                                        \
    "order=$(cat)\n"                                                                     \
    "echo \"$order\" >>\"$PLAYED/orders\"\n"                                             \
    "folder=$(echo \"$order\" | sed 's/.*\"folder\":\"\\([^\"]*\\)\".*/\\1/')\n"         \
    "echo disk >\"$folder/disk.qcow2\"; echo kernel >\"$folder/kernel\"\n"               \
    "echo '{\"event\":\"progress\",\"what\":\"playing\",\"done\":1,\"total\":2}'\n"      \
    "echo '{\"answer\":{\"os\":\"debian12\",\"name\":\"Played\",\"release\":\"6.1\","    \
    "\"root\":\"root=UUID=1 rw\",\"initrd\":false,\"loader\":false,\"capacity\":1}}'\n"
#define FAILS                                                                            \
    "#!/bin/sh\ncat >/dev/null\n"                                                        \
    "echo '{\"error\":\"the disk is mad\",\"status\":2}'\nexit 2\n"

static void
play(const char *root, const char *script)
{
    g_autofree char *path = fake_write_text(root, "libexec/hostbed-guestfs", script);
    g_autofree char *folder = g_build_filename(root, "libexec", NULL);
    assert_int_equal(g_chmod(path, 0700), 0);
    g_setenv("HOSTBED_LIBEXEC_DIR", folder, TRUE);
    g_setenv("PLAYED", root, TRUE);
}

typedef struct {
    char *base, *agent;
    GPtrArray *steps;
    OsImageRequest request;
} Fixture;

static void
fixture_clear(Fixture *fixture)
{
    g_free(fixture->base);
    g_free(fixture->agent);
    g_ptr_array_unref(fixture->steps);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void
fixture_init(Fixture *fixture, const char *root)
{
    g_autofree char *content = g_strnfill(1 << 16, 'b');
    fixture->base = fake_write_text(root, "base.raw", content);
    fixture->agent = fake_write_text(root, "agent", "agent");
    fixture->steps = g_ptr_array_new_with_free_func((GDestroyNotify)lab_step_free);
    fixture->request = (OsImageRequest){
        .from = fixture->base,
        .size_bytes = LAB_AUTO,
        .steps = fixture->steps,
        .agent = fixture->agent,
        .emulator = "/usr/bin/true",
        .force_tcg = TRUE,
    };
}

static guint
count_lines(const char *root, const char *name)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    g_autofree char *text = NULL;
    guint count = 0;
    if (g_file_get_contents(path, &text, NULL, NULL))
        for (const char *c = text; *c; c++)
            count += *c == '\n';
    return count;
}

static void
count_event(JsonObject *event, gpointer user_data)
{
    (*(guint *)user_data)++;
}

static void
an_image_is_made_once(void **state)
{
    g_auto(Fixture) fixture = {0};
    guint events = 0;
    fixture_init(&fixture, *state);
    play(*state, MAKES);
    g_autoptr(GError) error = NULL;
    g_autoptr(OsImage) image =
        os_image_prepare(&fixture.request, count_event, &events, NULL, &error);
    if (!image)
        fail_msg("%s", error->message);
    assert_string_equal(image->name, "Played");
    assert_string_equal(image->from, fixture.base);
    assert_int_equal(events, 1);
    g_autoptr(OsImage) again = os_image_prepare(&fixture.request, NULL, NULL, NULL, NULL);
    assert_string_equal(again->key, image->key);
    assert_int_equal(count_lines(*state, "orders"), 1);
    /* One that was written to is made anew. */
    g_chmod(image->disk, 0600);
    assert_true(g_file_set_contents(image->disk, "other", -1, NULL));
    g_autoptr(OsImage) anew = os_image_prepare(&fixture.request, NULL, NULL, NULL, NULL);
    assert_non_null(anew);
    assert_int_equal(count_lines(*state, "orders"), 2);
    g_clear_pointer(&anew, os_image_free);
    assert_true(os_image_remove(image->key, NULL));
}

/* Who has another image made goes on as soon as it is told that somebody waits. */
static void
let_go(JsonObject *event, gpointer user_data)
{
    int *lock = user_data;
    const char *what = json_object_get_string_member(event, "what");
    if (*lock < 0 || !strstr(what, "waiting for another hostbed"))
        return;
    close(*lock);
    *lock = -1;
}

static void
one_image_is_made_at_a_time(void **state)
{
    g_auto(Fixture) fixture = {0};
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture, *state);
    play(*state, MAKES);
    g_autofree char *dir = cache_dir(OS_IMAGE_KIND, NULL);
    int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    OsImage *image = os_image_prepare(&fixture.request, let_go, &lock, NULL, &error);
    if (!image)
        fail_msg("%s", error->message);
    assert_int_equal(lock, -1);
    g_autofree char *key = g_strdup(image->key);
    os_image_free(image);
    assert_true(os_image_remove(key, NULL));
}

static void
what_fails_leaves_nothing(void **state)
{
    g_auto(Fixture) fixture = {0};
    fixture_init(&fixture, *state);
    play(*state, FAILS);
    g_autoptr(GError) error = NULL;
    assert_null(os_image_prepare(&fixture.request, NULL, NULL, NULL, &error));
    assert_string_equal(error->message, "the disk is mad");
    assert_int_equal(hb_error_status(error), HB_USAGE);
    g_autofree char *folder = os_image_folder("");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    assert_null(g_dir_read_name(dir));
}

/* The key of REQUEST, which differs from all before. */
static void
expect_new(GHashTable *keys, const OsImageRequest *request)
{
    g_autoptr(GError) error = NULL;
    char *key = os_image_key(request, &error);
    if (!key)
        fail_msg("%s", error->message);
    assert_true(g_hash_table_add(keys, key));
}

static LabStep *
add_step(Fixture *fixture, LabStepKind kind, const char *path, const char *text)
{
    LabStep *step = lab_step_new(kind);
    step->path = g_strdup(path);
    step->text = g_strdup(text);
    g_ptr_array_add(fixture->steps, step);
    return step;
}

static void
what_changes_meanwhile_is_no_image(void **state)
{
    g_auto(Fixture) fixture = {0};
    fixture_init(&fixture, *state);
    play(*state, MAKES "echo more >>\"$PLAYED/base.raw\"\n");
    fixture.request.cmdline = "changing";
    g_autofree char *key = os_image_key(&fixture.request, NULL);
    g_autofree char *place = os_image_folder(key);
    g_autoptr(GError) error = NULL;
    assert_null(os_image_prepare(&fixture.request, NULL, NULL, NULL, &error));
    assert_non_null(strstr(error->message, "has changed while"));
    assert_false(g_file_test(place, G_FILE_TEST_EXISTS));
}

static void
a_maximum_that_is_none_removes_nothing(void **state)
{
    g_auto(Fixture) fixture = {0};
    fixture_init(&fixture, *state);
    play(*state, MAKES);
    fixture.request.cmdline = "one";
    g_autoptr(OsImage) image = os_image_prepare(&fixture.request, NULL, NULL, NULL, NULL);
    assert_non_null(image);
    g_autofree char *path = g_strdup(image->path);
    g_clear_pointer(&image, os_image_free); /* one in use would stay */
    g_setenv("HOSTBED_IMAGES_MAX", "16G", TRUE);
    fixture.request.cmdline = "two";
    g_autoptr(GError) error = NULL;
    assert_null(os_image_prepare(&fixture.request, NULL, NULL, NULL, &error));
    g_unsetenv("HOSTBED_IMAGES_MAX");
    assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
    assert_non_null(strstr(error->message, "HOSTBED_IMAGES_MAX"));
    assert_int_equal(hb_error_status(error), HB_USAGE);
}

static void
all_that_goes_in_makes_another(void **state)
{
    g_auto(Fixture) fixture = {0};
    g_autoptr(GHashTable) keys =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    fixture_init(&fixture, *state);
    OsImageRequest *request = &fixture.request;
    expect_new(keys, request);
    request->size_bytes = (gint64)16 << 30;
    expect_new(keys, request);
    request->cmdline = "hugepages=4";
    expect_new(keys, request);
    request->loader = TRUE;
    expect_new(keys, request);
    add_step(&fixture, LAB_STEP_WRITE, "/a", "one");
    expect_new(keys, request);
    LabStep *link = add_step(&fixture, LAB_STEP_LINK, "/a", "one");
    expect_new(keys, request);
    link->mode = 0600;
    expect_new(keys, request);
    g_autofree char *key = fake_write_text(*state, "key.pub", "ssh-ed25519 AAAA me\n");
    request->ssh_key = key;
    expect_new(keys, request);
    g_free(fake_write_text(*state, "agent", "another agent"));
    expect_new(keys, request);
    g_autofree char *other = g_strnfill(1 << 16, 'c');
    g_free(fake_write_text(*state, "base.raw", other));
    expect_new(keys, request);
}

/* Words of two steps, or of one, that would be the same text if they were only written
 * one after the other. */
static void
no_other_steps_have_the_same_key(void **state)
{
    static const struct {
        const char *path, *text;
    } steps[] = {
        {"/a 420 b", "c"},
        {"/a", "b 420 c"},
        {"/a\" \"b", "c"},
        {"/a", "b\" \"c"},
        {"/a", "b\nstep 1 420 - \"/c\" \"d"},
        {"/a", ""},
        {"/a", NULL},
        {"/a", "-"},
        {"", "/a"},
        {"/a\\", "b"},
        {"/a", "\\b"},
        {"/a", "\303\244"},
        {"/a", "\\303\\244"},
    };
    g_auto(Fixture) fixture = {0};
    g_autoptr(GHashTable) keys =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    fixture_init(&fixture, *state);
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        add_step(&fixture, LAB_STEP_WRITE, steps[i].path, steps[i].text)->mode = 0644;
        expect_new(keys, &fixture.request);
        g_ptr_array_set_size(fixture.steps, 0);
    }
    add_step(&fixture, LAB_STEP_WRITE, "/a", "b")->mode = 0644;
    add_step(&fixture, LAB_STEP_WRITE, "/c", "d")->mode = 0644;
    expect_new(keys, &fixture.request);
    fixture.request.mirror = "http://a\nssh \"x";
    expect_new(keys, &fixture.request);
    fixture.request.mirror = "http://a";
    expect_new(keys, &fixture.request);
}

static void
expect_refused(const OsImageRequest *request, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *key = os_image_key(request, &error);
    assert_null(key);
    assert_int_equal(hb_error_status(error), HB_USAGE);
    if (!strstr(error->message, words))
        fail_msg("'%s' is not in: %s", words, error->message);
}

static void
what_nobody_means_is_refused(void **state)
{
    g_auto(Fixture) fixture = {0};
    fixture_init(&fixture, *state);
    g_autofree char *secret = fake_write_text(
        *state, "id", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END\n");
    fixture.request.ssh_key = secret;
    expect_refused(&fixture.request, "no public ssh key");
    fixture.request.ssh_key = "/dev/zero";
    expect_refused(&fixture.request, "no regular file");
    /* Orders are in JSON, and so in UTF-8. */
    g_autofree char *latin =
        fake_write_text(*state, "latin", "ssh-ed25519 AAAA caf\xe9\n");
    fixture.request.ssh_key = latin;
    expect_refused(&fixture.request, "no public ssh key");
    fixture.request.ssh_key = NULL;
    add_step(&fixture, LAB_STEP_PACKAGE, NULL, "tcpdump");
    expect_refused(&fixture.request, "'tcpdump' needs a <mirror>");
    fixture.request.from = "nothing-of-the-kind";
    expect_refused(&fixture.request, "there is no recipe");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_made_once),
        cmocka_unit_test(one_image_is_made_at_a_time),
        cmocka_unit_test(what_fails_leaves_nothing),
        cmocka_unit_test(what_changes_meanwhile_is_no_image),
        cmocka_unit_test(a_maximum_that_is_none_removes_nothing),
        cmocka_unit_test(all_that_goes_in_makes_another),
        cmocka_unit_test(no_other_steps_have_the_same_key),
        cmocka_unit_test(what_nobody_means_is_refused),
    };
    return cmocka_run_group_tests_name("os-image-prepare", tests, fake_root_setup,
                                       fake_root_teardown);
}
