/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a command is told what was bound for it: its environment, and place-holders in its
 * arguments.
 */
#include <string.h>

#include "bind.h"
#include "error.h"

#define MARK "{bind:"

typedef struct {
    const char *name;
    char *(*value)(const Binding *binding);
} Field;

static char *
address(const Binding *binding)
{
    char buffer[PCI_ADDRESS_SIZE];
    return g_strdup(pci_address_text(binding->function->address, buffer));
}

static char *
group(const Binding *binding)
{
    return g_strdup_printf("%" G_GINT64_FORMAT, binding->group);
}

static char *
node(const Binding *binding)
{
    return g_strdup_printf("%d", binding->function->node);
}

static char *
interface(const Binding *binding)
{
    return g_strdup(binding->interface ? binding->interface : "");
}

static char *
id(const Binding *binding)
{
    return g_strdup(binding->function->id ? binding->function->id : "");
}

static char *
cell(const Binding *binding)
{
    return g_strdup(binding->cell ? binding->cell : "");
}

static char *
model(const Binding *binding)
{
    const PlanFunction *function = binding->function;
    return function->driver
               ? g_strdup(function->driver)
               : g_strdup_printf("%04x:%04x", function->vendor, function->device);
}

static const Field fields[] = {
    {"address", address}, {"group", group}, {"node", node},   {"interface", interface},
    {"id", id},           {"cell", cell},   {"model", model},
};

static char *
all_addresses(const Bindings *bindings, const char *separator)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < bindings->asked; i++) {
        g_autofree char *one = address(bindings->all->pdata[i]);
        g_string_append_printf(text, "%s%s", i > 0 ? separator : "", one);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- place-holders
 * ------------------------------------------------------------------------------------ */

/* NAME: what stands between "{bind:" and "}". NULL: it is none of ours. */
static char *
value_of(const Bindings *bindings, const char *name)
{
    char *end;
    if (strcmp(name, "addresses") == 0 && bindings->asked > 0)
        return all_addresses(bindings, ",");
    if (!g_ascii_isdigit(*name))
        return NULL;
    guint64 number = g_ascii_strtoull(name, &end, 10);
    if (*end != '.' || number < 1 || number > bindings->asked)
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(fields[i].name, end + 1) == 0)
            return fields[i].value(bindings->all->pdata[number - 1]);
    return NULL;
}

static char *
field_names(void)
{
    g_autoptr(GString) text = g_string_new(fields[0].name);
    for (guint i = 1; i < G_N_ELEMENTS(fields); i++)
        g_string_append_printf(text, ", %s", fields[i].name);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
fail_place_holder(const Bindings *bindings, const char *text, GError **error)
{
    g_autofree char *names = field_names();
    if (bindings->asked == 0)
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the command has the place-holder %s, and no --bind was given", text);
    else
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s is no place-holder: there are " MARK "addresses} and " MARK
                    "N.FIELD}, with N from 1 to %u and for FIELD %s",
                    text, bindings->asked, names);
}

static char *
fill_word(const Bindings *bindings, const char *word, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *mark;
    while ((mark = strstr(word, MARK))) {
        const char *end = strchr(mark, '}');
        gsize length = end ? (gsize)(end - mark) + 1 : strlen(mark);
        g_autofree char *whole = g_strndup(mark, length);
        g_autofree char *name =
            end ? g_strndup(mark + strlen(MARK), length - strlen(MARK) - 1) : NULL;
        g_autofree char *value = name ? value_of(bindings, name) : NULL;
        if (!value) {
            fail_place_holder(bindings, whole, error);
            return NULL;
        }
        g_string_append_len(text, word, mark - word);
        g_string_append(text, value);
        word = mark + length;
    }
    g_string_append(text, word);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

GStrv
bindings_fill(const Bindings *bindings, const char *const *words, GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (; *words; words++) {
        g_autofree char *filled = fill_word(bindings, *words, error);
        if (!filled)
            return NULL;
        g_strv_builder_add(builder, filled);
    }
    return g_strv_builder_end(builder);
}

/* ---- the environment
 * ---------------------------------------------------------------------------------- */

static void add_word(GStrvBuilder *builder, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
add_word(GStrvBuilder *builder, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *word = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_strv_builder_add(builder, word);
}

GStrv
bindings_environment(const Bindings *bindings)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (bindings->asked == 0)
        return g_strv_builder_end(builder);
    g_autofree char *addresses = all_addresses(bindings, " ");
    add_word(builder, "HOSTBED_BIND_COUNT=%u", bindings->asked);
    add_word(builder, "HOSTBED_BIND_ADDRESSES=%s", addresses);
    for (guint i = 0; i < bindings->asked; i++) {
        for (guint j = 0; j < G_N_ELEMENTS(fields); j++) {
            g_autofree char *name = g_ascii_strup(fields[j].name, -1);
            g_autofree char *value = fields[j].value(bindings->all->pdata[i]);
            add_word(builder, "HOSTBED_BIND_%u_%s=%s", i + 1, name, value);
        }
    }
    return g_strv_builder_end(builder);
}

/* ---- all functions
 * ------------------------------------------------------------------------------------ */

char *
bindings_list(const Bindings *bindings)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < bindings->names->len; i++) {
        const Binding *binding = bindings->names->pdata[i];
        g_autofree char *first = address(binding);
        g_string_append(text, first);
        for (guint j = 1; j < G_N_ELEMENTS(fields); j++) {
            g_autofree char *value = fields[j].value(binding);
            if (fields[j].value != group && *value)
                g_string_append_printf(text, " %s=%s", fields[j].name, value);
        }
        g_string_append_c(text, '\n');
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
