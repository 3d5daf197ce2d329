/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks of <image>: sizes, paths in the image and on this machine, addresses, names of
 * packages. What is written there ends in scripts and in other programs' orders, so each
 * is held to what it can be.
 */
#include "lab-check.h"
#include "lab-xml.h"

#include <string.h>

#define MIB ((gint64)1024 * 1024)
#define SIZE_MIN (64 * MIB)
#define SIZE_MAX_BYTES (64 * 1024 * 1024 * MIB) /* 64 TiB: ext4 has 16, xfs more */
#define STEPS_MAX 1000
#define PATH_MAX_BYTES 4095
#define NAME_MAX_BYTES 255 /* of a path's part: Linux's NAME_MAX */
#define URL_MAX_BYTES 2000

gboolean
lab_image_is_size(gint64 bytes)
{
    return bytes >= SIZE_MIN && bytes <= SIZE_MAX_BYTES && bytes % MIB == 0;
}

static gboolean
has_control(const char *text)
{
    for (; *text; text = g_utf8_next_char(text))
        if (g_unichar_iscntrl(g_utf8_get_char(text)))
            return TRUE;
    return FALSE;
}

/* What is wrong with PATH in an image, or NULL. */
static const char *
path_fault(const char *path)
{
    if (*path != '/')
        return "is not absolute; begin it with '/'";
    if (strlen(path) > PATH_MAX_BYTES)
        return "is longer than the 4095 bytes that a path may have";
    if (has_control(path))
        return "has a control character";
    if (path[strspn(path, "/")] == '\0')
        return "is the root of the image; name a file or folder in it";
    g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
    for (guint i = 0; parts[i]; i++) {
        if (strcmp(parts[i], "..") == 0 || strcmp(parts[i], ".") == 0)
            return "has a part '.' or '..'; write where it leads";
        if (strlen(parts[i]) > NAME_MAX_BYTES)
            return "has a part of more than 255 bytes";
        if (*parts[i] == '\0' && parts[i + 1])
            return "has two '/' side by side; write one";
    }
    return NULL;
}

/* Says FAULT (or NULL: nothing) of the VALUE of what is called NAME. */
static void
say_fault(LabCheck *check, FilePos pos, const char *name, const char *value,
          const char *fault)
{
    if (!fault)
        return;
    g_autofree char *quoted = lab_xml_quote(value);
    lab_check_say(check, pos, "%s='%s' %s", name, quoted, fault);
}

/* What is wrong with a path of this machine. */
static const char *
file_fault(const char *path)
{
    if (strlen(path) > PATH_MAX_BYTES)
        return "is longer than the 4095 bytes that a path may have";
    return has_control(path) ? "has a control character" : NULL;
}

static const char *
package_fault(const char *name)
{
    static const char others[] = "+.:_~=-";
    gboolean ok = g_ascii_isalnum(*name) && strlen(name) <= NAME_MAX_BYTES;
    for (const char *at = name; ok && *at; at++)
        ok = g_ascii_isalnum(*at) || strchr(others, *at);
    return ok ? NULL
              : "is not the name of a package: letters, digits and +.:_~=- behind a "
                "letter or digit";
}

static const char *
url_fault(const char *url)
{
    if (!g_str_has_prefix(url, "http://") && !g_str_has_prefix(url, "https://"))
        return "is not an address that begins with http:// or https://";
    if (strlen(url) > URL_MAX_BYTES)
        return "is longer than 2000 bytes";
    for (const char *at = url; *at; at++)
        if (!g_ascii_isalnum(*at) && !strchr("-._~:/?#[]@!$&()*+,;=%", *at))
            return "has a character that no address has; write it as %XX";
    return NULL;
}

static void
check_step(LabCheck *check, const LabStep *step)
{
    FilePos pos = step->pos;
    if (step->from)
        say_fault(check, pos, "from", step->from, file_fault(step->from));
    if (step->path)
        say_fault(check, pos, step->kind == LAB_STEP_COPY ? "to" : "path", step->path,
                  path_fault(step->path));
    if (step->kind == LAB_STEP_LINK && step->text)
        say_fault(check, pos, "to", step->text, file_fault(step->text));
    if (step->kind == LAB_STEP_PACKAGE && step->text)
        say_fault(check, pos, "name", step->text, package_fault(step->text));
    if (step->kind == LAB_STEP_FIRST_BOOT && *step->text == '\0')
        lab_check_say(check, pos,
                      "<first-boot> holds no script; write one, or leave it "
                      "out");
}

static void
check_steps(LabCheck *check)
{
    const LabImage *image = check->host->image;
    if (!image)
        return;
    gboolean has_script = FALSE;
    for (guint i = 0; i < image->steps->len && i < STEPS_MAX; i++) {
        const LabStep *step = g_ptr_array_index(image->steps, i);
        check_step(check, step);
        if (step->kind == LAB_STEP_FIRST_BOOT && has_script)
            lab_check_say(check, step->pos,
                          "an image has one script for its first boot; write both into "
                          "one <first-boot>");
        has_script |= step->kind == LAB_STEP_FIRST_BOOT;
    }
    if (image->steps->len > STEPS_MAX)
        lab_check_say(check, image->pos,
                      "<image> has %u steps; at most %d are done, a folder can be copied "
                      "as a whole",
                      image->steps->len, STEPS_MAX);
}

static void
check_image(LabCheck *check)
{
    const LabImage *image = check->host->image;
    if (!image)
        return;
    if (image->from)
        say_fault(check, image->pos, "from", image->from, file_fault(image->from));
    if (!image->from && (!check->host->os || strcmp(check->host->os, OS_HOSTBED) == 0))
        lab_check_say(check, image->pos,
                      "nothing says what the image is made from; write from='…', or name "
                      "the host's system with os='…'");
    if (image->size_bytes != LAB_AUTO && !lab_image_is_size(image->size_bytes))
        lab_check_say(check, image->pos,
                      "a disk has a size of whole MiB, from 64 MiB to 64 TiB; leave size "
                      "out for that of the image");
    if (image->mirror)
        say_fault(check, image->pos, "mirror", image->mirror, url_fault(image->mirror));
    if (image->proxy)
        say_fault(check, image->pos, "proxy", image->proxy, url_fault(image->proxy));
    if (image->ssh_key)
        say_fault(check, image->pos, "ssh-key", image->ssh_key,
                  file_fault(image->ssh_key));
}

/* Its own kernel is the one that finds its modules. */
static void
check_kernel(LabCheck *check)
{
    const LabHost *host = check->host;
    if (host->image && host->kernel)
        lab_check_say(check, host->kernel_pos,
                      "a host with an <image> boots the kernel in that image, whose "
                      "modules fit; leave path out");
}

static void
check_os(LabCheck *check)
{
    const LabHost *host = check->host;
    if (host->image && g_strcmp0(host->os, OS_HOSTBED) == 0)
        lab_check_say(check, host->image->pos,
                      "os='" OS_HOSTBED
                      "' is the micro image, and an <image> is another; "
                      "leave one of them out");
}

const LabCheckRow lab_checks_image[] = {
    {"image", check_image, LAB_PART_IMAGE},
    {"image-step", check_steps, LAB_PART_IMAGE},
    {"image-kernel", check_kernel, LAB_PART_IMAGE | LAB_PART_BOOT},
    {"image-os", check_os, LAB_PART_IMAGE | LAB_PART_HOST},
    {NULL},
};
