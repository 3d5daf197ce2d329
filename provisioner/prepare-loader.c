/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The kernel's command line as the image's own boot loader gives it: in the settings from
 * which its files are made, and in those files as they are now.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* On every host; its plan's own words come with the order. */
#define WORDS "intel_iommu=on console=tty0 console=ttyS0"

/* Appended to lines that begin with KEYWORD (after blanks); TRUE: there was one. */
static gboolean
append_to_lines(GString *text, const char *keyword, const char *words)
{
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    gboolean found = FALSE;
    for (char **line = lines; *line; line++) {
        const char *word = *line + strspn(*line, " \t");
        gsize length = strlen(keyword);
        if (strncmp(word, keyword, length) != 0 ||
            (word[length] != ' ' && word[length] != '\t'))
            continue;
        char *longer = g_strconcat(g_strchomp(*line), " ", words, NULL);
        g_free(*line);
        *line = longer;
        found = TRUE;
    }
    g_autofree char *joined = g_strjoinv("\n", lines);
    g_string_assign(text, joined);
    return found;
}

/* A menu that nobody sees is not waited for. */
static void
drop_timeout(GString *text)
{
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *at = strstr(*line, "set timeout=");
        if (!at)
            continue;
        char *changed = g_strdup_printf("%.*sset timeout=0", (int)(at - *line), *line);
        g_free(*line);
        *line = changed;
    }
    g_autofree char *joined = g_strjoinv("\n", lines);
    g_string_assign(text, joined);
}

typedef struct {
    const char *pattern; /* of files of the image */
    const char *keyword; /* of lines that the words belong to */
} LoaderFile;

/* GRUB's own menu, the entries that its blscfg and systemd-boot read, and syslinux's. */
static const LoaderFile files[] = {
    {"/boot/grub/grub.cfg", "linux"},           {"/boot/grub2/grub.cfg", "linux"},
    {"/boot/loader/entries/*.conf", "options"}, {"/boot/extlinux.conf", "APPEND"},
    {"/boot/extlinux/extlinux.conf", "append"},
};

static gboolean
change_file(Prepare *prepare, const char *path, const char *keyword, const char *words,
            GError **error)
{
    g_autofree char *before = prepare_read(prepare, path);
    if (!before)
        return TRUE;
    g_autoptr(GString) text = g_string_new(before);
    if (append_to_lines(text, keyword, words) || g_str_equal(keyword, "linux"))
        prepare->has_loader = TRUE;
    drop_timeout(text);
    return g_str_equal(before, text->str) ||
           prepare_write(prepare, path, text->str, error);
}

static gboolean
change_files(Prepare *prepare, const char *words, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_auto(GStrv) found = guestfs_glob_expand(prepare->g, files[i].pattern);
        for (char **path = found; path && *path; path++)
            if (!change_file(prepare, *path, files[i].keyword, words, error))
                return FALSE;
    }
    return TRUE;
}

/* For menus that the system will make itself. */
static gboolean
change_settings(Prepare *prepare, const char *words, GError **error)
{
    g_autofree char *text = prepare_read(prepare, "/etc/default/grub");
    if (!text)
        return TRUE;
    g_autofree char *longer =
        g_strdup_printf("%s\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"\n"
                        "GRUB_TIMEOUT=0\n",
                        text, words);
    return prepare_write(prepare, "/etc/default/grub", longer, error);
}

gboolean
prepare_loader(Prepare *prepare, GError **error)
{
    const char *more = prepare_text(prepare, "cmdline");
    g_autofree char *words = g_strconcat(WORDS, more ? " " : "", more, NULL);
    gboolean is_needed =
        json_object_get_boolean_member_with_default(prepare->order, "loader", FALSE);
    if (!prepare->is_ours &&
        (!change_files(prepare, words, error) || !change_settings(prepare, words, error)))
        return FALSE;
    return prepare->has_loader || !is_needed ||
           prepare_refuse(prepare, HB_USAGE, error,
                          "has no boot loader that hostbed knows (GRUB, systemd-boot's "
                          "entries, extlinux); with boot=\"kernel\" none is needed");
}
