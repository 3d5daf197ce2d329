/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#define OUTPUT_MAX (1 << 20)
#define BUFFERS 4
#define SAID_MAX 1000
/* xmllint's, where nothing is found. */
#define XMLLINT_EMPTY 10

/* A file in memory, so that neither side waits for the other. */
static int
memory_with(const char *text)
{
    int fd = memfd_create("hostbed", MFD_CLOEXEC);
    size_t length = text ? strlen(text) : 0;
    if (fd < 0 || write(fd, text, length) != (ssize_t)length ||
        lseek(fd, 0, SEEK_SET) != 0)
        fail_msg("there is no memory for what a program is to read: %s", strerror(errno));
    return fd;
}

static const char *
content_of(int fd)
{
    static char *buffers[BUFFERS];
    static unsigned next;
    char **buffer = &buffers[next++ % BUFFERS];
    if (!*buffer)
        *buffer = malloc(OUTPUT_MAX + 1);
    ssize_t length = *buffer ? pread(fd, *buffer, OUTPUT_MAX, 0) : -1;
    close(fd);
    if (length < 0)
        fail_msg("what a program printed cannot be read: %s", strerror(errno));
    (*buffer)[length] = '\0';
    return *buffer;
}

static void
become(const char *const *argv, int input, int output, int errors)
{
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int
run(const char *const *argv, const char *input, const char **output, const char **errors)
{
    int in = memory_with(input), out = memory_with(NULL), err = memory_with(NULL);
    int status = 127 << 8;
    pid_t child = fork();
    if (child == 0)
        become(argv, in, out, err);
    if (child < 0 || waitpid(child, &status, 0) < 0)
        fail_msg("'%s' cannot be run: %s", argv[0], strerror(errno));
    close(in);
    *output = content_of(out);
    *errors = content_of(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *
command_run(const char *const *argv, const char *input, int *status)
{
    const char *output, *errors;
    *status = run(argv, input, &output, &errors);
    return output;
}

static void
fail_command(const char *const *argv, int status, const char *errors)
{
    char line[300] = "";
    for (size_t used = 0; *argv && used < sizeof line; argv++)
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s",
                                 used > 0 ? " " : "", *argv);
    /* What went wrong is often not in the first line ("Failed to create domain"). */
    size_t said = strlen(errors);
    while (said > 0 && errors[said - 1] == '\n')
        said--;
    fail_msg("'%s' ended with status %d and said \"%.*s\"", line, status,
             said > SAID_MAX ? SAID_MAX : (int)said, errors);
}

const char *
command_output(const char *const *argv, const char *input)
{
    const char *output, *errors;
    int status = run(argv, input, &output, &errors);
    if (status != 0)
        fail_command(argv, status, errors);
    return output;
}

int
command_exists(const char *name)
{
    int status;
    const char *const argv[] = {"sh", "-c", "command -v \"$0\"", name, NULL};
    command_run(argv, NULL, &status);
    return status == 0;
}

/* ---- XML
 * ------------------------------------------------------------------------------------------
 */

static const char *
find(const char *xml, const char *format, va_list args)
{
    char expression[500];
    const char *const argv[] = {"xmllint", "--nonet", "--xpath", expression, "-", NULL};
    const char *output, *errors;
    vsnprintf(expression, sizeof expression, format, args);
    int status = run(argv, xml, &output, &errors);
    if (status != 0 && status != XMLLINT_EMPTY)
        fail_command(argv, status, errors);
    return output;
}

const char *
xml_find(const char *xml, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *found = find(xml, format, args);
    va_end(args);
    return found;
}

int
xml_numbers(long *numbers, int maximum, const char *xml, const char *format, ...)
{
    va_list args;
    int count = 0;
    va_start(args, format);
    const char *at = find(xml, format, args);
    va_end(args);
    /* NAME="VALUE", one after the other. */
    while (count < maximum && (at = strchr(at, '"'))) {
        numbers[count++] = strtol(at + 1, NULL, 0);
        at = strchr(at + 1, '"');
        at = at ? at + 1 : "";
    }
    return count;
}
