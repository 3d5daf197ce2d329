/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory that comes to a host that is up, and leaves it.
 */
#include <string.h>

#include "error.h"
#include "lab-change.h"
#include "lab-check.h"
#include "nearest.h"
#include "units.h"

#define ID_MAX 64

/* What was asked for; words that were not given are NULL. Borrowed. */
typedef struct {
    const char *size, *cell, *id;
} Asked;

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, HB_ERROR, HB_USAGE, message);
    return FALSE;
}

gboolean
lab_change_is_memory(const char *const *words)
{
    return words[0] && g_str_equal(words[0], "memory");
}

/* "size=256 MiB" */
static gboolean
read_word(Asked *asked, const char *word, GError **error)
{
    static const char *const names[] = {"size", "cell", "id", NULL};
    const char **const values[] = {&asked->size, &asked->cell, &asked->id};
    const char *equals = strchr(word, '=');
    g_autofree char *name = g_strndup(word, equals ? (gsize)(equals - word) : 0);
    if (!equals || equals == word)
        return fail(error, "'%s' is no attribute with its value, as in size=256MiB",
                    word);
    for (gsize i = 0; names[i]; i++) {
        if (!g_str_equal(name, names[i]))
            continue;
        if (*values[i])
            return fail(error, "%s is there twice", name);
        *values[i] = equals + 1;
        return TRUE;
    }
    g_autofree char *hint =
        nearest_hint(nearest_name(name, names), "it has size, cell and id");
    return fail(error, "memory has no %s; %s", name, hint);
}

/* ---- the cell
 * ------------------------------------------------------------------------------------ */

static gboolean
is_cell(const LabCell *cell, guint index, const char *name)
{
    g_autofree char *number = g_strdup_printf("%u", index);
    return g_str_equal(name, number) || g_str_equal(name, cell->id);
}

/* NAME may be NULL: the first one whose node is there without what is plugged. */
static gboolean
find_cell(const LabHost *host, const char *name, int *index, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < host->cells->len; i++) {
        const LabCell *cell = host->cells->pdata[i];
        *index = (int)i;
        if (name ? is_cell(cell, i, name) : cell->cpus->len || cell->memory_bytes)
            return TRUE;
        g_ptr_array_add(names, cell->id);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *all = g_strjoinv(", ", (GStrv)names->pdata);
    g_autofree char *there =
        g_strdup_printf("it has %s, which may be called by number, from 0", all);
    const char *meant =
        name ? nearest_name(name, (const char *const *)names->pdata) : NULL;
    g_autofree char *hint = nearest_hint(meant, there);
    return fail(error, "the host has no cell '%s'; %s", name ? name : "", hint);
}

/* ---- the name
 * ------------------------------------------------------------------------------------ */

static gboolean
is_cell_id(const LabHost *host, const char *id)
{
    for (guint i = 0; i < host->cells->len; i++)
        if (g_str_equal(((const LabCell *)host->cells->pdata[i])->id, id))
            return TRUE;
    return FALSE;
}

/* By what has it, or NULL. */
static const char *
who_is(const LabHost *host, const char *id)
{
    const LabNode *node = lab_change_find(host, id);
    if (node)
        return lab_kind_name(node->kind);
    return is_cell_id(host, id) ? "cell" : NULL;
}

static gboolean
is_id(const char *text)
{
    gsize length = strlen(text);
    return g_ascii_isalpha(*text) && length <= ID_MAX &&
           strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-") == length;
}

/* Owned by the caller; NULL: ERROR. */
static char *
choose_id(const LabHost *host, const char *asked, GError **error)
{
    if (asked && !is_id(asked)) {
        fail(error,
             "'%s' is no name: a letter, then letters, digits, '.', '_' and '-', at most "
             "%d in all",
             asked, ID_MAX);
        return NULL;
    }
    if (asked && lab_check_is_machines(asked)) {
        fail(error, "the id '%s' is taken by the machine itself; choose another", asked);
        return NULL;
    }
    if (asked && who_is(host, asked)) {
        fail(error, "the host has a %s of that name already: %s", who_is(host, asked),
             asked);
        return NULL;
    }
    if (asked)
        return g_strdup(asked);
    for (guint i = 0;; i++) {
        g_autofree char *id = g_strdup_printf("memory%u", i);
        if (!who_is(host, id) && !lab_change_find_memory(host, id))
            return g_steal_pointer(&id);
    }
}

/* ---- the memory
 * ------------------------------------------------------------------------------------ */

LabMemory *
lab_change_memory(const LabHost *host, const char *const *words, GError **error)
{
    int cell = 0;
    gint64 size_bytes;
    Asked asked = {NULL, NULL, NULL};
    for (const char *const *word = words + 1; *word; word++)
        if (!read_word(&asked, *word, error))
            return NULL;
    if (!asked.size) {
        fail(error, "say how much memory: size=256MiB");
        return NULL;
    }
    if (!units_parse_size(asked.size, &size_bytes, error)) {
        g_prefix_error(error, "size='%s' ", asked.size);
        return NULL;
    }
    g_autofree char *id = find_cell(host, asked.cell, &cell, error)
                              ? choose_id(host, asked.id, error)
                              : NULL;
    if (!id)
        return NULL;
    const LabMemory *there = lab_change_find_memory(host, id);
    if (there && !asked.cell)
        cell = there->cell;
    LabMemory *memory = g_new0(LabMemory, 1);
    *memory = (LabMemory){g_steal_pointer(&id), cell, size_bytes};
    return memory;
}

static gboolean
find(const LabHost *host, const char *id, guint *index)
{
    for (*index = 0; *index < host->memory->len; ++*index)
        if (g_str_equal(((const LabMemory *)host->memory->pdata[*index])->id, id))
            return TRUE;
    return FALSE;
}

LabMemory *
lab_change_find_memory(const LabHost *host, const char *id)
{
    guint index;
    return find(host, id, &index) ? host->memory->pdata[index] : NULL;
}

LabMemory *
lab_change_unplug_memory(LabHost *host, const char *id)
{
    guint index;
    return find(host, id, &index) ? g_ptr_array_steal_index(host->memory, index) : NULL;
}
