/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed os: which operating systems labs can name, and what is known of one.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "json-line.h"
#include "os-lookup.h"
#include "printable.h"
#include "units.h"

#define TEXT_MAX 4096

static void
print_json(JsonNode *node)
{
    g_autofree char *text = json_to_string(node, TRUE);
    puts(text);
    json_node_unref(node);
}

/* Databases are other people's. */
static char *
shown(const char *text)
{
    return printable(text, strlen(text), TEXT_MAX);
}

/* ---- all of them ------------------------------------------------------------------ */

static const char *
text_of(JsonObject *object, const char *name)
{
    return json_object_get_string_member_with_default(object, name, "");
}

static void
print_line(JsonObject *system)
{
    const char *short_id = text_of(system, "short-id");
    g_autofree char *word = shown(*short_id ? short_id : text_of(system, "id"));
    g_autofree char *name = shown(text_of(system, "name"));
    gboolean has_image = json_object_get_int_member_with_default(system, "images", 0) > 0;
    printf("%-24s %s%s\n", word, name, has_image ? " (image)" : "");
}

static int
list(gboolean json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonArray) systems = os_lookup_all(&error);
    if (!systems)
        return cli_fail(error);
    if (json) {
        JsonNode *node = json_node_new(JSON_NODE_ARRAY);
        json_node_set_array(node, systems);
        print_json(node);
        return HB_OK;
    }
    for (guint i = 0; i < json_array_get_length(systems); i++) {
        JsonObject *system = json_line_element(systems, i);
        if (system)
            print_line(system);
    }
    return HB_OK;
}

/* ---- one of them ------------------------------------------------------------------ */

static void G_GNUC_PRINTF(2, 3) print_fact(const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *line = shown(text);
    if (*line)
        printf("  %-12s %s\n", what, line);
}

static void
print_resources(const char *what, const OsResources *resources)
{
    GString *text = g_string_new(NULL);
    if (resources->memory_bytes != OS_UNKNOWN) {
        g_autofree char *memory = units_size_text(resources->memory_bytes);
        g_string_append_printf(text, "%s of memory", memory);
    }
    if (resources->cpus != OS_UNKNOWN)
        g_string_append_printf(text, "%s%d CPU%s", text->len ? ", " : "", resources->cpus,
                               resources->cpus == 1 ? "" : "s");
    if (resources->storage_bytes != OS_UNKNOWN) {
        g_autofree char *storage = units_size_text(resources->storage_bytes);
        g_string_append_printf(text, "%s%s of storage", text->len ? ", " : "", storage);
    }
    print_fact(what, "%s", text->str);
    g_string_free(text, TRUE);
}

static void
print_firmware(const char *what, guint kinds)
{
    print_fact(what, "%s%s%s", kinds & OS_FIRMWARE_BIOS ? "BIOS" : "",
               kinds == (OS_FIRMWARE_BIOS | OS_FIRMWARE_EFI) ? ", " : "",
               kinds & OS_FIRMWARE_EFI ? "EFI" : "");
}

static void
print_devices(const char *what, const GPtrArray *devices)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < devices->len; i++) {
        const OsDevice *device = devices->pdata[i];
        g_string_append_printf(text, "%s%s (%04x:%04x)", i ? ", " : "", device->name,
                               device->vendor, device->product);
    }
    print_fact(what, "%s", text->str);
    g_string_free(text, TRUE);
}

static void
print_facts(const OsFacts *facts)
{
    g_autofree char *name = shown(facts->name);
    puts(name);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    for (guint i = 0; i < facts->short_ids->len; i++)
        g_ptr_array_add(words, facts->short_ids->pdata[i]);
    g_ptr_array_add(words, NULL);
    g_autofree char *short_ids = g_strjoinv(", ", (char **)words->pdata);
    print_fact("os", "%s", short_ids);
    print_fact("id", "%s", facts->id);
    print_fact("released", "%s", facts->release_date);
    print_fact("ends", "%s", facts->eol_date);
    print_resources("needs", &facts->minimum);
    print_resources("recommended", &facts->recommended);
    print_firmware("boots by", facts->firmware);
    print_firmware("not by", facts->firmware_lacking);
    print_devices("drivers", facts->devices);
    print_devices("none for", facts->lacking);
    for (guint i = 0; i < facts->images->len; i++) {
        const OsImageSource *image = facts->images->pdata[i];
        print_fact("image", "%s (%s%s%s%s)", image->url, image->format,
                   *image->variant ? ", " : "", image->variant,
                   image->cloud_init ? ", cloud-init" : "");
    }
    for (guint i = 0; i < facts->trees->len; i++)
        print_fact("tree", "%s", ((const OsTree *)facts->trees->pdata[i])->url);
}

static int
show(const char *word, gboolean json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = os_lookup_json(word, &error);
    g_autoptr(OsFacts) facts = object ? os_facts_from_json(object, &error) : NULL;
    if (!facts)
        return cli_fail(error);
    if (json) {
        JsonNode *node = json_node_new(JSON_NODE_OBJECT);
        json_node_set_object(node, object);
        print_json(node);
    } else {
        print_facts(facts);
    }
    return HB_OK;
}

int
cmd_os(int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    int status = HB_OK;
    if (!cli_parse("os", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc > 2)
        return cli_fail_with(HB_USAGE, "os takes one operating system; see 'hostbed os "
                                       "--help'");
    if (argc == 2 && !g_utf8_validate(argv[1], -1, NULL))
        return cli_fail_with(HB_USAGE,
                             "no operating system has a name that is not UTF-8; "
                             "'hostbed os' lists all");
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    status = argc == 2 ? show(argv[1], json) : list(json);
    return cli_was_interrupted(interrupt) ? HB_INTERRUPTED : status;
}
