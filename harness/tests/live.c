/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is known of labs that are up: names, states, folders.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "json-line.h"
#include "live-call.h"
#include "live-dir.h"
#include "live-names.h"

/* ---- names
 * ------------------------------------------------------------------------------------------
 */

static void
add_lab(GPtrArray *labs, const char *name, const char *const *hosts)
{
    LiveLab *lab = live_lab_new(name);
    for (; *hosts; hosts++)
        g_ptr_array_add(lab->hosts, live_host_new(*hosts));
    g_ptr_array_add(labs, lab);
}

static GPtrArray *
some_labs(void)
{
    static const char *const pair[] = {"compute0", "compute1", NULL};
    static const char *const twin[] = {"compute1", "storage", NULL};
    static const char *const single[] = {"l1", NULL};
    GPtrArray *labs = g_ptr_array_new_with_free_func((GDestroyNotify)live_lab_free);
    add_lab(labs, "pair", pair);
    add_lab(labs, "single", single);
    add_lab(labs, "storage", single);
    add_lab(labs, "twin", twin);
    return labs;
}

/* NAME means LAB/HOST. */
static void
assert_means(const char *name, const char *whole)
{
    g_autoptr(GPtrArray) labs = some_labs();
    LiveName found;
    g_autoptr(GError) error = NULL;
    assert_true(live_name_host(labs, name, &found, &error));
    g_autofree char *is = g_strconcat(found.lab->name, "/", found.host->name, NULL);
    assert_string_equal(is, whole);
}

static void
assert_means_nothing(const char *name, const char *message)
{
    g_autoptr(GPtrArray) labs = some_labs();
    LiveName found;
    g_autoptr(GError) error = NULL;
    assert_false(live_name_host(labs, name, &found, &error));
    assert_int_equal(error->code, HB_USAGE);
    assert_string_equal(error->message, message);
}

static void
names_mean_hosts(void **state)
{
    assert_means("compute0", "pair/compute0");
    assert_means("pair/compute1", "pair/compute1");
    assert_means("twin/compute1", "twin/compute1");
    assert_means("single", "single/l1");
    assert_means("single/l1", "single/l1");
}

static void
names_that_mean_none_or_several_are_told(void **state)
{
    assert_means_nothing("compute1",
                         "'compute1' may be each of pair/compute1, twin/compute1; say "
                         "which");
    assert_means_nothing("l1", "'l1' may be each of single/l1, storage/l1; say which");
    assert_means_nothing("storage", "'storage' may be each of storage/l1, twin/storage; "
                                    "say which");
    assert_means_nothing("pair", "'pair' is a lab of 2 hosts; name one of them, as in "
                                 "pair/compute0");
    assert_means_nothing("compte0", "no host 'compte0' is up; did you mean compute0?");
    assert_means_nothing("pair/compute2",
                         "no host 'pair/compute2' is up; did you mean pair/compute0?");
    assert_means_nothing("x", "no host 'x' is up; there are pair/compute0, "
                              "pair/compute1, single/l1, storage/l1, twin/compute1, "
                              "twin/storage");
}

static void
short_names_are_no_others(void **state)
{
    g_autoptr(GPtrArray) labs = some_labs();
    const LiveLab *pair = labs->pdata[0], *single = labs->pdata[1];
    g_autofree char *own = live_name_of(labs, pair, pair->hosts->pdata[0]);
    g_autofree char *shared = live_name_of(labs, pair, pair->hosts->pdata[1]);
    g_autofree char *same = live_name_of(labs, single, single->hosts->pdata[0]);
    assert_string_equal(own, "compute0");
    assert_string_equal(shared, "pair/compute1");
    assert_string_equal(same, "single/l1");
}

static void
labs_that_are_not_up_may_be_mistakes(void **state)
{
    g_autoptr(GPtrArray) labs = some_labs();
    gboolean is_mistake;
    g_autofree char *near = live_name_no_lab(labs, "singel", &is_mistake);
    assert_true(is_mistake);
    assert_string_equal(near, "no lab 'singel' is up; did you mean single?");
    g_autofree char *host = live_name_no_lab(labs, "compute0", &is_mistake);
    assert_true(is_mistake);
    assert_non_null(strstr(host, "hostbed down pair"));
    g_autofree char *none = live_name_no_lab(labs, "berrange-2017", &is_mistake);
    assert_false(is_mistake);
    assert_non_null(live_name_lab(labs, "twin"));
    assert_null(live_name_lab(labs, "compute0"));
}

/* ---- states
 * -----------------------------------------------------------------------------------------
 */

static void
states_are_read_as_they_were_written(void **state)
{
    g_autoptr(LiveLab) lab = live_lab_new("pair");
    lab->file = g_strdup("/labs/\"odd\".xml");
    lab->boot = live_boot_id();
    lab->connect = g_strdup("qemu:///session");
    lab->pid = 4711;
    g_ptr_array_add(lab->hosts, live_host_new("one"));
    g_ptr_array_add(lab->hosts, live_host_new("other"));
    LiveHost *other = lab->hosts->pdata[1];
    other->pid = 4712;
    live_host_add_forward(other, "127.0.0.1:2222", 22);
    const GError panic = {HB_ERROR, HB_GUEST_PANIC, (char *)(uintptr_t) "it\npanicked"};
    live_host_fail(other, &panic);
    g_autoptr(JsonNode) node = live_lab_to_json(lab);
    g_autofree char *text = json_to_string(node, TRUE);
    g_autoptr(LiveLab) read = live_lab_parse(text, strlen(text));
    assert_non_null(read);
    assert_string_equal(read->name, "pair");
    assert_string_equal(read->file, lab->file);
    assert_string_equal(read->connect, "qemu:///session");
    assert_int_equal(read->pid, 4711);
    assert_int_equal(read->hosts->len, 2);
    LiveHost *host = live_lab_host(read, "other");
    assert_int_equal(host->state, LIVE_FAILED);
    assert_int_equal(host->pid, 0);
    assert_string_equal(host->reason, "it\npanicked");
    assert_int_equal(host->status, HB_GUEST_PANIC);
    assert_int_equal(host->forwards->len, 1);
    assert_string_equal(((LiveForward *)host->forwards->pdata[0])->to, "127.0.0.1:2222");
    assert_int_equal(((LiveForward *)host->forwards->pdata[0])->port, 22);
    assert_int_equal(live_lab_host(read, "one")->state, LIVE_STARTING);
}

static void
what_is_no_state_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"lab\": 1, \"hosts\": []}",
        "{\"lab\": \"a\"}",
        "{\"lab\": \"a\", \"hosts\": [1]}",
        "{\"lab\": \"a\", \"hosts\": [{\"host\": \"b\"}]}",
        "{\"lab\": \"a\", \"hosts\": [{\"host\": \"b\", \"state\": \"odd\"}]}",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_null(live_lab_parse(texts[i], strlen(texts[i])));
    static const char least[] = "{\"lab\": \"a\", \"hosts\": [], \"pid\": -1}";
    g_autoptr(LiveLab) lab = live_lab_parse(least, strlen(least));
    assert_non_null(lab);
    assert_int_equal(lab->pid, 0);
    static const char odd[] =
        "{\"lab\": \"a\", \"hosts\": [{\"host\": \"b\", \"state\": \"up\", "
        "\"forwards\": [1, {}, {\"to\": 2}, {\"to\": \"x\", \"port\": []}]}]}";
    g_autoptr(LiveLab) forwards = live_lab_parse(odd, strlen(odd));
    assert_int_equal(((LiveHost *)forwards->hosts->pdata[0])->forwards->len, 1);
}

/* ---- folders
 * ----------------------------------------------------------------------------------------
 */

static int
make_runtime(void **state)
{
    char *folder = g_dir_make_tmp("hostbed-live.XXXXXX", NULL);
    g_setenv("XDG_RUNTIME_DIR", folder, TRUE);
    *state = folder;
    return folder ? 0 : -1;
}

static int
remove_runtime(void **state)
{
    cache_remove_tree(*state);
    g_free(*state);
    return 0;
}

static void
one_has_a_lab(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(live_dir(FALSE, &error));
    assert_null(error);
    g_autofree char *dir = live_dir(TRUE, NULL);
    assert_true(g_str_has_prefix(dir, *state));
    assert_false(live_is_held(dir, "lab"));
    LivePlace *place = live_place_take(dir, "lab", &error);
    assert_non_null(place);
    assert_true(live_is_held(dir, "lab"));
    assert_null(live_place_take(dir, "lab", &error));
    assert_int_equal(error->code, HB_FAIL);
    assert_false(live_clear(dir, "lab", NULL));
    int fd = live_connect(dir, "lab", NULL);
    assert_true(fd >= 0);
    close(fd);
    live_place_leave(place);
    g_auto(GStrv) labs = live_labs(dir);
    assert_null(labs[0]);
    assert_int_equal(live_connect(dir, "lab", NULL), -1);
}

/* The only lab that is known. */
static LiveLab *
only_lab(GPtrArray **labs)
{
    *labs = live_lab_read_all(NULL);
    assert_int_equal((*labs)->len, 1);
    return (*labs)->pdata[0];
}

static void
what_became_of_a_lab_is_told(void **state)
{
    g_autofree char *dir = live_dir(TRUE, NULL);
    LivePlace *place = live_place_take(dir, "lab", NULL);
    g_autofree char *path = g_strdup(place->path);
    {
        g_autoptr(GPtrArray) labs = NULL;
        assert_null(only_lab(&labs)->dead);
    }
    close(place->listener);
    close(place->lock);
    {
        g_autoptr(GPtrArray) labs = NULL;
        assert_non_null(strstr(only_lab(&labs)->dead, "before it wrote down"));
    }
    g_autoptr(LiveLab) lab = live_lab_new("lab");
    lab->boot = live_boot_id();
    assert_true(live_lab_write(lab, path, NULL));
    {
        g_autoptr(GPtrArray) labs = NULL;
        assert_string_equal(only_lab(&labs)->dead, "its supervisor was killed");
    }
    g_free(lab->boot);
    lab->boot = g_strdup("another");
    assert_true(live_lab_write(lab, path, NULL));
    {
        g_autoptr(GPtrArray) labs = NULL;
        assert_string_equal(only_lab(&labs)->dead, "the machine was restarted");
    }
    /* A name that is another one's proves nothing. */
    g_free(lab->name);
    lab->name = g_strdup("other");
    assert_true(live_lab_write(lab, path, NULL));
    {
        g_autoptr(GPtrArray) labs = NULL;
        assert_string_equal(only_lab(&labs)->name, "lab");
    }
    assert_true(live_clear(dir, "lab", NULL));
    assert_false(live_clear(dir, "lab", NULL));
    g_free(place->dir);
    g_free(place->path);
    g_free(place);
}

/* WHAT is in the place of the folder of all labs. */
static void
assert_refused(const char *why)
{
    g_autoptr(GError) error = NULL;
    assert_null(live_dir(TRUE, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, why));
    g_clear_error(&error);
    assert_null(live_lab_read_all(&error));
    assert_non_null(error);
}

static void
folders_that_others_made_are_refused(void **state)
{
    g_autofree char *path = g_build_filename(*state, "hostbed", NULL);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_refused("it is no folder");
    unlink(path);
    assert_true(g_file_set_contents(path, "", 0, NULL));
    assert_refused("it is no folder");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0770), 0);
    assert_refused("others may look into it");
    if (getuid() == 0) {
        assert_int_equal(chmod(path, 0700), 0);
        assert_int_equal(chown(path, 1, 1), 0);
        assert_refused("it is another user's");
    }
}

/* ---- calls
 * ------------------------------------------------------------------------------------------
 */

static void
note_event(const char *event, const char *text, gpointer user_data)
{
    g_string_append_printf(user_data, "%s=%s;", event, text);
}

/* What is said before the answer to a request on *FD; the answer, or ERROR. */
static JsonObject *
call_one_who_says(const char *says, GString *events, int *fd, GError **error)
{
    int fds[2];
    const LiveCall call = {.event = note_event, .user_data = events};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(write(fds[1], says, strlen(says)), (ssize_t)strlen(says));
    shutdown(fds[1], SHUT_WR);
    JsonObject *answer = live_call(fds[0], live_call_request("up", NULL), &call, error);
    close(fds[1]);
    *fd = fds[0];
    return answer;
}

static void
answers_end_where_other_protocols_begin(void **state)
{
    int fd;
    char rest[8] = "";
    g_autoptr(GString) events = g_string_new(NULL);
    g_autoptr(JsonObject) answer =
        call_one_who_says("{\"event\":\"step\",\"text\":\"a\"}\n{\"odd\":1}\n"
                          "{\"answer\":{\"x\":3}}\n\1\2\n",
                          events, &fd, NULL);
    assert_non_null(answer);
    assert_int_equal(json_line_int(answer, "x", 0), 3);
    assert_string_equal(events->str, "step=a;");
    assert_int_equal(read(fd, rest, sizeof rest), 3);
    assert_int_equal(rest[0], 1);
    close(fd);
}

static void
errors_are_the_supervisors(void **state)
{
    static const struct {
        const char *says, *message;
        int code;
    } cases[] = {
        {"{\"error\":\"no\",\"status\":5}\n", "no", HB_GUEST_PANIC},
        {"{\"error\":\"no\",\"status\":5000}\n", "no", HB_INFRASTRUCTURE},
        {"nonsense\n", "the lab's supervisor said what is no answer", HB_FAIL},
        {"{\"answer\":", "the lab's supervisor ended", HB_FAIL},
        {"", "the lab's supervisor ended", HB_FAIL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        int fd;
        g_autoptr(GString) events = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        assert_null(call_one_who_says(cases[i].says, events, &fd, &error));
        assert_string_equal(error->message, cases[i].message);
        assert_int_equal(error->code, cases[i].code);
        close(fd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_mean_hosts),
        cmocka_unit_test(names_that_mean_none_or_several_are_told),
        cmocka_unit_test(short_names_are_no_others),
        cmocka_unit_test(labs_that_are_not_up_may_be_mistakes),
        cmocka_unit_test(states_are_read_as_they_were_written),
        cmocka_unit_test(what_is_no_state_is_none),
        cmocka_unit_test_setup_teardown(one_has_a_lab, make_runtime, remove_runtime),
        cmocka_unit_test_setup_teardown(what_became_of_a_lab_is_told, make_runtime,
                                        remove_runtime),
        cmocka_unit_test_setup_teardown(folders_that_others_made_are_refused,
                                        make_runtime, remove_runtime),
        cmocka_unit_test(answers_end_where_other_protocols_begin),
        cmocka_unit_test(errors_are_the_supervisors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
