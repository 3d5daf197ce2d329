/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file name → its bytes, bounded. Only a regular file or standard input: opening a
 * named pipe or a terminal would wait for somebody, and a folder has no bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab-parse.h"

static void say(Findings *findings, const char *filename, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
say(Findings *findings, const char *filename, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    findings_add(findings, FINDING_ERROR, (FilePos){g_intern_string(filename), 0}, "file",
                 "%s", message);
}

/* What a file is when it is no regular file, or NULL. */
static const char *
other_kind(mode_t mode)
{
    return S_ISREG(mode)    ? NULL
           : S_ISDIR(mode)  ? "a folder; name a file in it"
           : S_ISFIFO(mode) ? "a named pipe; use - to read a lab from standard input"
                            : "a device or a socket; name a file";
}

static int
open_file(const char *filename, Findings *findings)
{
    int fd = open(filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
        return -1;
    }
    struct stat status;
    if (fstat(fd, &status) != 0) {
        say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
        close(fd);
        return -1;
    }
    const char *kind = other_kind(status.st_mode);
    if (kind) {
        say(findings, filename, "the lab cannot be read: this is %s", kind);
        close(fd);
        return -1;
    }
    return fd;
}

/* At most one byte more than a lab may have: lab_xml_read() refuses it then. */
static GString *
read_bounded(int fd, const char *filename, Findings *findings)
{
    GString *text = g_string_new(NULL);
    char buffer[64 * 1024];
    while (text->len <= LAB_XML_MAX_BYTES) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0)
            return text;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
            g_string_free(text, TRUE);
            return NULL;
        }
        g_string_append_len(text, buffer, got);
    }
    return text;
}

Lab *
lab_parse_file(const char *filename, Findings *findings)
{
    gboolean is_stdin = strcmp(filename, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open_file(filename, findings);
    if (fd < 0)
        return NULL;
    g_autoptr(GString) text = read_bounded(fd, filename, findings);
    if (!is_stdin)
        close(fd);
    return text ? lab_parse_text(text->str, text->len, filename, findings) : NULL;
}
