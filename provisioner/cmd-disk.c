/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed disk: requests of a host's disks fail, or stand still.
 */
#include <stdio.h>
#include <string.h>

#include "cli-json.h"
#include "cmd-live.h"
#include "disk-faults.h"
#include "json-line.h"
#include "nearest.h"
#include "units.h"

static const char usage[] =
    "name a host that is up, a disk of it, and what it is to do: hostbed disk HOST DISK "
    "error=read|write|flush|all [sector=NUMBER] [once=on], error=off, "
    "suspend=read|write|written|flush, or resume; hostbed disk HOST tells its disks";

/* ---- what is asked
 * ------------------------------------------------------------------------------------------
 */

/* VALUE is none of WHAT, which there are, and perhaps OFF. Owned by the caller. */
static char *
none_of(const char *what, const char *value, const char *const *there, gboolean off)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (; *there; there++)
        g_ptr_array_add(names, (gpointer)*there);
    if (off)
        g_ptr_array_add(names, (gpointer) "off");
    g_ptr_array_add(names, NULL);
    g_autofree char *hint = nearest_or_all(value, names, NULL);
    return g_strdup_printf("%s '%s'; %s", what, value, hint);
}

/* These return what is wrong with VALUE, owned by the caller; NULL: nothing. */

static char *
set_error(JsonObject *request, const char *value)
{
    DiskRequest on;
    json_object_set_string_member(request, "error", value);
    if (g_str_equal(value, "off") || disk_request_parse(value, &on))
        return NULL;
    return none_of("no requests are called", value, disk_request_names(), TRUE);
}

static char *
set_suspend(JsonObject *request, const char *value)
{
    DiskPoint point;
    json_object_set_string_member(request, "suspend", value);
    if (disk_point_parse(value, &point))
        return NULL;
    return none_of("requests do not stand still at", value, disk_point_names(), FALSE);
}

static char *
set_sector(JsonObject *request, const char *value)
{
    guint64 sector;
    if (!g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64 / DISK_SECTOR_BYTES, &sector,
                                    NULL))
        return g_strdup_printf("'%s' is no number of a sector, of which the first is 0",
                               value);
    json_object_set_int_member(request, "sector", (gint64)sector);
    return NULL;
}

static char *
set_once(JsonObject *request, const char *value)
{
    json_object_set_boolean_member(request, "once", g_str_equal(value, "on"));
    if (g_str_equal(value, "on") || g_str_equal(value, "off"))
        return NULL;
    return g_strdup_printf("'%s' is neither once=on nor once=off", value);
}

static char *
unknown_word(const char *word)
{
    static const char *const known[] = {
        "error=", "suspend=", "sector=", "once=", "resume", NULL};
    const gsize length = strcspn(word, "=");
    g_autofree char *name = g_strndup(word, word[length] ? length + 1 : length);
    g_autofree char *hint = nearest_hint(
        nearest_name(name, known),
        "it is told error=REQUESTS, with sector=NUMBER and once=on, suspend=POINT, or "
        "resume");
    return g_strdup_printf("'%s' is nothing that a disk does; %s", word, hint);
}

/* One word of the command line. */
static char *
read_word(JsonObject *request, const char *word)
{
    static const struct {
        const char *prefix;
        char *(*set)(JsonObject *request, const char *value);
    } words[] = {
        {"error=", set_error},
        {"suspend=", set_suspend},
        {"sector=", set_sector},
        {"once=", set_once},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_str_has_prefix(word, words[i].prefix))
            return words[i].set(request, word + strlen(words[i].prefix));
    if (!g_str_equal(word, "resume"))
        return unknown_word(word);
    json_object_set_boolean_member(request, "resume", TRUE);
    return NULL;
}

/* Whether WORD says what one before it has said, "error=read error=write". */
static gboolean
is_said(JsonObject *request, const char *word)
{
    g_autofree char *member = g_strndup(word, strcspn(word, "="));
    return json_object_has_member(request, member);
}

/* Why what was said does not go together; NULL: it does. */
static const char *
what_is_wrong(JsonObject *request)
{
    static const char *const one_of[] = {"error", "suspend", "resume"};
    guint count = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(one_of); i++)
        count += json_object_has_member(request, one_of[i]);
    const char *error = json_line_string(request, "error");
    const gboolean more = json_object_has_member(request, "sector") ||
                          json_object_has_member(request, "once");
    if (count > 1)
        return "error, suspend and resume: one of them at a time";
    if (more && g_strcmp0(error, "off") == 0)
        return "error=off ends all errors of the disk; leave sector and once out";
    if (more && !error)
        return "sector and once belong to error=read|write|flush|all";
    return NULL;
}

/* ---- what is told
 * ------------------------------------------------------------------------------------------
 */

static void
add_errors(GString *text, JsonObject *disk)
{
    JsonArray *errors = json_line_array(disk, "errors");
    for (guint i = 0; errors && i < json_array_get_length(errors); i++) {
        JsonObject *error = json_line_element(errors, i);
        g_string_append_printf(text, "%serror=%s", text->len > 0 ? ", " : "",
                               json_line_string(error, "on"));
        if (json_object_has_member(error, "sector"))
            g_string_append_printf(text, " sector=%" G_GINT64_FORMAT,
                                   json_line_int(error, "sector", 0));
        if (json_object_get_boolean_member_with_default(error, "once", FALSE))
            g_string_append(text, " once=on");
    }
}

/* "error=read sector=8, suspend=write", owned by the caller. */
static char *
faults_text(JsonObject *disk)
{
    GString *text = g_string_new(NULL);
    JsonArray *suspends = json_line_array(disk, "suspends");
    add_errors(text, disk);
    for (guint i = 0; suspends && i < json_array_get_length(suspends); i++)
        g_string_append_printf(text, "%ssuspend=%s", text->len > 0 ? ", " : "",
                               json_array_get_string_element(suspends, i));
    if (text->len == 0)
        g_string_append(text, "no faults");
    return g_string_free(text, FALSE);
}

static void
print_disk(JsonObject *disk)
{
    g_autofree char *faults = faults_text(disk);
    g_autofree char *size = units_about_text((guint64)json_line_int(disk, "bytes", 0));
    printf("%-32s %s  %10s  %s\n", json_line_string(disk, "device"),
           json_line_string(disk, "address"), size, faults);
}

static void
print_disks(const char *host, JsonObject *answer)
{
    JsonArray *disks = json_line_array(answer, "disks");
    if (!disks || json_array_get_length(disks) == 0)
        fprintf(stderr, "hostbed: %s has no disks\n", host);
    for (guint i = 0; disks && i < json_array_get_length(disks); i++)
        print_disk(json_line_element(disks, i));
}

static void
print_change(const char *host, JsonObject *answer, gboolean resumes)
{
    const char *device = json_line_string(answer, "device");
    const gboolean already =
        json_object_get_boolean_member_with_default(answer, "already", FALSE);
    g_autofree char *faults = faults_text(answer);
    if (already && resumes)
        printf("%s: nothing of the disk %s stands still\n", host, device);
    else
        printf("%s: the disk %s has %s%s\n", host, device, faults,
               already ? " already" : "");
}

/* ---- the command
 * ------------------------------------------------------------------------------------------
 */

/* Owned by the caller. NULL: what was said is none, and STATUS is to be exited with. */
static JsonObject *
read_request(int argc, char **argv, int *status)
{
    g_autoptr(JsonObject) request = live_call_request("disk", NULL);
    for (int i = 3; i < argc; i++) {
        g_autofree char *mistake = is_said(request, argv[i])
                                       ? g_strdup_printf("'%s': say that once", argv[i])
                                       : read_word(request, argv[i]);
        if (!mistake)
            continue;
        *status = cli_fail_with(HB_USAGE, "%s", mistake);
        return NULL;
    }
    const char *wrong = argc < 2 ? usage : what_is_wrong(request);
    if (wrong) {
        *status = cli_fail_with(HB_USAGE, "%s", wrong);
        return NULL;
    }
    if (argc > 2)
        json_object_set_string_member(request, "device", argv[2]);
    if (argc == 3)
        json_object_set_boolean_member(request, "look", TRUE);
    return g_steal_pointer(&request);
}

int
cmd_disk(int argc, char **argv)
{
    int status;
    gboolean json = FALSE;
    g_autoptr(JsonObject) answer = NULL;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Tell as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("disk", &argc, &argv, entries, NULL, &status))
        return status;
    JsonObject *request = read_request(argc, argv, &status);
    if (!request || !cmd_live_answer(argv[1], request, &answer, &status))
        return status;
    if (json)
        cli_print_json(g_steal_pointer(&answer));
    else if (argc == 2)
        print_disks(argv[1], answer);
    else if (argc == 3)
        print_disk(answer);
    else
        print_change(argv[1], answer, g_str_equal(argv[3], "resume"));
    return HB_OK;
}
