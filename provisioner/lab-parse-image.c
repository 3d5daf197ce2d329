/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * <image> → LabImage: what the host boots, and what is done to it before. Whether paths
 * and addresses are such is looked at by lab-check-image.c.
 */
#include <string.h>

#include "lab-parse.h"

/* ---- text ----------------------------------------------------------------------- */

/* The blanks that all lines of TEXT begin with that are not blank. */
static gsize
common_indent(char *const *lines)
{
    gsize common = G_MAXSIZE;
    const char *first = NULL;
    for (; *lines; lines++) {
        gsize indent = strspn(*lines, " \t");
        if ((*lines)[indent] == '\0')
            continue;
        common = MIN(common, indent);
        first = first ? first : *lines;
        while (common > 0 && strncmp(first, *lines, common) != 0)
            common--;
    }
    return first ? common : 0;
}

/* What the author means who indents text as its element is: it begins in the line after
 * the start tag, without the blanks that all its lines have, and ends where the line of
 * the end tag begins. */
static char *
plain_text(const GString *written)
{
    if (!written)
        return g_strdup("");
    const char *text = written->str;
    const char *begin = text + strspn(text, " \t");
    if (*begin != '\n')
        return g_strdup(text);
    g_auto(GStrv) lines = g_strsplit(begin + 1, "\n", -1);
    gsize indent = common_indent(lines);
    GString *plain = g_string_new(NULL);
    for (guint i = 0; lines[i]; i++) {
        gsize blanks = strspn(lines[i], " \t");
        gboolean is_blank = lines[i][blanks] == '\0';
        if (is_blank && !lines[i + 1])
            break; /* the line of the end tag */
        g_string_append(plain, is_blank ? "" : lines[i] + indent);
        if (lines[i + 1])
            g_string_append_c(plain, '\n');
    }
    return g_string_free(plain, FALSE);
}

/* For an element that may hold text, and no elements. It is read again for each copy of
 * the host, so the text stays. */
static char *
take_text(LabParser *parser, LabXml *element)
{
    GString *text = g_steal_pointer(&element->text);
    lab_no_children(parser, element);
    element->text = text;
    return plain_text(text);
}

/* ---- steps ---------------------------------------------------------------------- */

static LabStep *
add_step(LabImage *image, const LabXml *element, LabStepKind kind)
{
    LabStep *step = lab_step_new(kind);
    step->pos = element->pos;
    g_ptr_array_add(image->steps, step);
    return step;
}

/* "0644" and the like: up to four octal digits, and zeros before them. */
static void
read_mode(LabParser *parser, LabXml *element, int *mode)
{
    const char *text = lab_attr(parser, element, "mode");
    if (!text)
        return;
    gsize length = strlen(text);
    if (length < 3 || length > 5 || strspn(text, "01234567") != length ||
        (length == 5 && *text != '0'))
        lab_attr_wrong(parser, element, "mode",
                       "is not a file's mode: three or four octal digits, as in 0644");
    else
        *mode = (int)g_ascii_strtoll(text, NULL, 8);
}

/* FALSE: it is not there, which was said. */
static gboolean
needed_text(LabParser *parser, LabXml *element, const char *name, char **value)
{
    return lab_attr_needed(parser, element, name) != NULL &&
           lab_attr_text(parser, element, name, value);
}

/* A path of this machine, from the folder of the lab file if it is relative. */
static void
needed_file(LabParser *parser, LabXml *element, const char *name, char **value)
{
    g_autofree char *path = NULL;
    if (!needed_text(parser, element, name, &path))
        return;
    g_free(*value);
    *value = lab_path_beside(element->pos.file, path);
}

static void
parse_copy(LabParser *parser, LabXml *element, gpointer image)
{
    LabStep *step = add_step(image, element, LAB_STEP_COPY);
    needed_file(parser, element, "from", &step->from);
    needed_text(parser, element, "to", &step->path);
    read_mode(parser, element, &step->mode);
    lab_no_children(parser, element);
}

static void
parse_write(LabParser *parser, LabXml *element, gpointer image)
{
    LabStep *step = add_step(image, element, LAB_STEP_WRITE);
    needed_text(parser, element, "path", &step->path);
    read_mode(parser, element, &step->mode);
    step->text = take_text(parser, element);
}

static void
parse_link(LabParser *parser, LabXml *element, gpointer image)
{
    LabStep *step = add_step(image, element, LAB_STEP_LINK);
    needed_text(parser, element, "path", &step->path);
    needed_text(parser, element, "to", &step->text);
    lab_no_children(parser, element);
}

static void
parse_first_boot(LabParser *parser, LabXml *element, gpointer image)
{
    LabStep *step = add_step(image, element, LAB_STEP_FIRST_BOOT);
    step->text = take_text(parser, element);
}

static void
parse_package(LabParser *parser, LabXml *element, gpointer image)
{
    LabStep *step = add_step(image, element, LAB_STEP_PACKAGE);
    needed_text(parser, element, "name", &step->text);
    lab_no_children(parser, element);
}

/* ---- the rest ------------------------------------------------------------------- */

static void
parse_mirror(LabParser *parser, LabXml *element, gpointer data)
{
    LabImage *image = data;
    needed_text(parser, element, "url", &image->mirror);
    lab_no_children(parser, element);
}

static void
parse_proxy(LabParser *parser, LabXml *element, gpointer data)
{
    LabImage *image = data;
    needed_text(parser, element, "url", &image->proxy);
    lab_no_children(parser, element);
}

static void
parse_ssh_key(LabParser *parser, LabXml *element, gpointer data)
{
    LabImage *image = data;
    needed_file(parser, element, "path", &image->ssh_key);
    lab_no_children(parser, element);
}

/* What has no '/' is the name of a recipe. */
static void
read_from(LabParser *parser, LabXml *element, LabImage *image)
{
    g_autofree char *from = NULL;
    if (!lab_attr_text(parser, element, "from", &from))
        return;
    image->from =
        strchr(from, '/') ? lab_path_beside(element->pos.file, from) : g_strdup(from);
}

void
lab_parse_image(LabParser *parser, LabXml *element, gpointer data)
{
    static const char *const boots[] = {"kernel", "loader", NULL};
    static const LabChild children[] = {
        {"copy", parse_copy},
        {"write", parse_write},
        {"link", parse_link},
        {"first-boot", parse_first_boot},
        {"package", parse_package},
        {"mirror", parse_mirror, .once = TRUE},
        {"proxy", parse_proxy, .once = TRUE},
        {"ssh-key", parse_ssh_key, .once = TRUE},
        {NULL},
    };
    LabHost *host = data;
    g_clear_pointer(&host->image, lab_image_unref);
    LabImage *image = host->image = lab_image_new();
    image->pos = element->pos;
    read_from(parser, element, image);
    lab_attr_size(parser, element, "size", &image->size_bytes);
    int boot = 0;
    if (lab_attr_choice(parser, element, "boot", boots, &boot))
        image->loader = boot == 1;
    lab_children(parser, element, children, image);
}
