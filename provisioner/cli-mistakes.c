/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What GLib has refused of a command line, in our words: an option that is not there,
 * with the one that is probably meant, and a value that is no number.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"

/* An option on the command line. */
typedef struct {
    const GOptionEntry *entry; /* NULL: there is none of this name */
    const char *word;          /* as it was written */
    const char *value;         /* NULL: it takes none, or has none */
} Given;

/* NAME: without its dashes; LENGTH of it, since "=VALUE" may follow. */
static const GOptionEntry *
find_long(const GOptionEntry *const *tables, const char *name, gsize length)
{
    for (; *tables; tables++)
        for (const GOptionEntry *entry = *tables; entry->long_name; entry++)
            if (strlen(entry->long_name) == length &&
                strncmp(entry->long_name, name, length) == 0)
                return entry;
    return NULL;
}

static const GOptionEntry *
find_short(const GOptionEntry *const *tables, char letter)
{
    for (; *tables; tables++)
        for (const GOptionEntry *entry = *tables; entry->long_name; entry++)
            if (entry->short_name == letter)
                return entry;
    return NULL;
}

/* The option WORD; its value may stand in NEXT (or NULL), as which *TAKES_NEXT. FALSE: it
 * is none. Several in one word (-tv) are known by the first that is not there. */
static gboolean
read_option(const GOptionEntry *const *tables, const char *word, const char *next,
            Given *given, gboolean *takes_next)
{
    *takes_next = FALSE;
    if (word[0] != '-' || word[1] == '\0')
        return FALSE;
    gboolean is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    const char *equals = is_long ? strchr(name, '=') : NULL;
    gsize length = equals ? (gsize)(equals - name) : strlen(name);
    *given = (Given){.word = word};
    if (is_long)
        given->entry = find_long(tables, name, length);
    else
        for (gsize i = 0; i < length && (i == 0 || given->entry); i++)
            given->entry = find_short(tables, name[i]);
    *takes_next = given->entry && given->entry->arg != G_OPTION_ARG_NONE && !equals;
    given->value = equals ? equals + 1 : *takes_next ? next : NULL;
    return TRUE;
}

static gboolean
is_number(const GOptionEntry *entry, const char *value)
{
    char *end;
    errno = 0;
    if (entry->arg == G_OPTION_ARG_DOUBLE)
        g_ascii_strtod(value, &end);
    else if (entry->arg == G_OPTION_ARG_INT) {
        gint64 number = g_ascii_strtoll(value, &end, 0);
        if (number < G_MININT || number > G_MAXINT)
            return FALSE;
    } else
        return TRUE;
    return *value && *end == '\0' && errno == 0;
}

static char *
no_such_option(const GOptionEntry *const *tables, const char *word, const char *command)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *name = g_strndup(word, strcspn(word, "="));
    g_autofree char *otherwise =
        g_strdup_printf("'hostbed %s --help' lists them", command);
    for (; *tables; tables++)
        for (const GOptionEntry *entry = *tables; entry->long_name; entry++)
            if (!(entry->flags & G_OPTION_FLAG_HIDDEN))
                g_ptr_array_add(names, (gpointer)entry->long_name);
    g_ptr_array_add(names, NULL);
    const char *near = g_str_has_prefix(name, "--")
                           ? nearest_name(name + 2, (const char *const *)names->pdata)
                           : NULL;
    g_autofree char *meant = near ? g_strconcat("--", near, NULL) : NULL;
    g_autofree char *hint = nearest_hint(meant, otherwise);
    return g_strdup_printf("there is no option %s; %s", name, hint);
}

char *
cli_option_mistake(const GOptionEntry *const *tables, int argc, char *const *argv,
                   const char *command)
{
    for (int i = 1; i < argc; i++) {
        Given given;
        gboolean takes_next;
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!read_option(tables, argv[i], next, &given, &takes_next))
            continue;
        if (!given.entry)
            return no_such_option(tables, given.word, command);
        if (given.value && !is_number(given.entry, given.value))
            return g_strdup_printf("--%s takes %s; '%s' is none", given.entry->long_name,
                                   given.entry->arg == G_OPTION_ARG_DOUBLE
                                       ? "seconds, such as 90"
                                       : "a whole number, such as 4",
                                   given.value);
        i += takes_next;
    }
    return NULL;
}
