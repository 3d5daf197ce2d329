/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bare-clone LOG-DIR CLONE-LOG-DIR COUNT: starts the emulator as in LOG-DIR, where
 * hostbed started a host for a template, saves its state beside its memory, and restores
 * it COUNT times as in CLONE-LOG-DIR. Prints for each the milliseconds from spawn to its
 * agent's answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bare-host.h"

#define CAPABILITIES                                                                     \
    "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":["        \
    "{\"capability\":\"events\",\"state\":true},"                                        \
    "{\"capability\":\"x-ignore-shared\",\"state\":true}]}}"
#define GETFD "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}"
#define MOVE(command) "{\"execute\":\"" command "\",\"arguments\":{\"uri\":\"fd:state\"}}"
#define MOVED "\"status\": \"completed\""

static void
save(BareHost *host, int state)
{
    bare_tell(host, "{\"execute\":\"stop\"}" CAPABILITIES, -1);
    bare_tell(host, GETFD, state);
    bare_tell(host, MOVE("migrate"), -1);
    bare_wait_monitor(host, MOVED);
}

static BareHost *
restore(char **command, const GArray *memory, int state)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", state);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        bare_die(g_strerror(errno));
    BareHost *host = bare_host_new(command, memory);
    bare_tell(host, CAPABILITIES, -1);
    bare_tell(host, GETFD, fd);
    bare_tell(host, MOVE("migrate-incoming"), -1);
    bare_wait_monitor(host, MOVED);
    bare_tell(host, "{\"execute\":\"cont\"}", -1);
    close(fd);
    bare_greet(host);
    return host;
}

int
main(int argc, char **argv)
{
    if (argc != 4)
        bare_die("usage: bare-clone LOG-DIR CLONE-LOG-DIR COUNT");
    g_auto(GStrv) command = bare_command(argv[1]);
    g_auto(GStrv) clone_command = bare_command(argv[2]);
    g_autoptr(GArray) memory = bare_memory(command);
    int state = memfd_create("bare-state", MFD_CLOEXEC);
    BareHost *host = bare_host_new(command, memory);
    bare_tell(host, "{\"execute\":\"cont\"}", -1);
    bare_wait_hello(host);
    save(host, state);
    bare_host_free(host);
    for (int i = 0; i < atoi(argv[3]); i++) {
        gint64 started = g_get_monotonic_time();
        BareHost *clone = restore(clone_command, memory, state);
        printf("%" G_GINT64_FORMAT "\n", (g_get_monotonic_time() - started) / 1000);
        fflush(stdout);
        bare_host_free(clone);
    }
    return 0;
}
