/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed: argv → the table of commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli-help.h"
#include "cli.h"
#include "cmd-live.h"
#include "resources.h"
#include "config.h"

/* A command is a row here and a file cmd-NAME.c. */
const Command commands[] = {
    {"doctor", "[--json]", "what this machine can do, and what is missing for more",
     cmd_doctor},
    {"check", "LAB…", "parse, validate and plan labs; say what they need", cmd_check},
    {"show", "LAB", "draw a host, or write it for the emulator or libvirt", cmd_show},
    {"run", "LAB -- COMMAND [ARGUMENT…]",
     "one command in a throw-away host; its output and exit status are the command's",
     cmd_run},
    {"test", "[SELECTION…] LAB…",
     "check hosts against their labs, and run suites in them", cmd_test},
    {"up", "LAB [HOST…]", "start hosts that stay until they are taken down", cmd_up},
    {"down", "LAB…", "end labs that are up, and clear what is left of dead ones",
     cmd_down},
    {"list", "[--json]", "what is up, since when, and how to get in", cmd_list},
    {"exec", "HOST [-- COMMAND [ARGUMENT…]]",
     "a command in a host that is up, or a shell", cmd_exec},
    {"ssh", "HOST [-- COMMAND [ARGUMENT…]]",
     "log in by ssh to a host that is up, where it has an ssh server", cmd_ssh},
    {"ssh-config", "[LAB…]", "what ssh, scp and Ansible need to reach hosts that are up",
     cmd_ssh_config},
    {"verify", "HOST", "compare a host that is up with its manifest once more",
     cmd_verify},
    {"plug",
     "[--expander BUS|NAME | --port NAME] HOST nic|nvme|device|memory [NAME=VALUE…]",
     "put a device or memory into a host that is up", cmd_plug,
     .words = "What can come, with attributes of the lab language:\n"
              "  nic       model=MODEL mac=MAC network=NAME id=NAME\n"
              "  nvme      size=SIZE serial=NAME id=NAME\n"
              "  device    model=MODEL id=NAME\n"
              "  memory    size=SIZE cell=NAME id=NAME\n"},
    {"unplug", "HOST DEVICE|MEMORY",
     "have a host that is up give a device or memory back", cmd_unplug},
    {"pause", "HOST", "have a host that is up stand still", cmd_pause},
    {"resume", "HOST", "have it go on", cmd_resume},
    {"reset", "HOST", "press the reset button of a host that is up", cmd_reset},
    {"power", "HOST on|off|button|reset", "cut a host's power, or give it back",
     cmd_power},
    {"link", "HOST [NIC up|down|loss=PERCENT]", "pull a NIC's cable, or put it back",
     cmd_link},
    {"disk",
     "HOST [DISK error=REQUESTS [sector=NUMBER] "
     "[once=on]|error=off|suspend=POINT|resume]",
     "have requests of a disk fail or stand still", cmd_disk,
     .words = "REQUESTS: read, write, flush or all; off ends all errors\n"
              "POINT: read or write, before anything is done; written, when it is, but\n"
              "  nobody has been told; flush. 'resume' has what stands still go on\n"},
    {"save", "HOST [NAME]", "write down what a host that is up is, to come back to it",
     cmd_save},
    {"restore", "HOST NAME", "have a host be again what was saved of it", cmd_restore},
    {"nmi", "HOST", "send a non-maskable interrupt to a host that is up", cmd_nmi},
    {"console", "HOST", "the console of a host that is up, to be read and typed at",
     cmd_console},
    {"log", "HOST", "what a host that is up and its emulator have said, in order of time",
     cmd_log},
    {"qmp", "HOST COMMAND [JSON]", "one command to the emulator of a host that is up",
     cmd_qmp},
    {"os", "[--json] [ID]", "operating systems that labs can name, or what one needs",
     cmd_os},
    {"image", "COMMAND [ARGUMENT…]", "kernels and disk images for hosts", cmd_image,
     image_commands},
    {"template", "COMMAND [ARGUMENT…]",
     "hosts that are kept, frozen, for test --keep, run --warm and up --warm",
     cmd_template, template_commands},
    {NULL},
};

static int
run(int argc, char **argv)
{
    if (argc < 2) {
        cli_help_print(stderr);
        return HB_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0)
        return cmd_help(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0) {
        puts(PACKAGE_STRING);
        return HB_OK;
    }
    g_autoptr(GError) error = NULL;
    if (!resources_check_wish(&error))
        return cli_fail(error);
    const Command *command = cli_command(name);
    return command ? command->run(argc - 1, argv + 1) : cli_help_unknown_command(name);
}

/* Without one of the three, the next file to be opened would be taken for it. Standard
 * output stays one that cannot be written, so that what a command says is not lost
 * without a word; where standard error is missing nobody can be told anyway. */
static void
open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) < 0)
            _exit(HB_INFRASTRUCTURE);
}

/* What was printed may still be on its way, and find no room. */
static int
end_output(int status)
{
    errno = 0;
    gboolean flushed = fflush(stdout) == 0;
    if (flushed && !ferror(stdout))
        return status;
    int output_status =
        cli_fail_with(HB_INFRASTRUCTURE, "standard output cannot be written: %s",
                      flushed ? "a part of it is lost" : g_strerror(errno));
    return status == HB_OK ? output_status : status;
}

int
main(int argc, char **argv)
{
    open_standard_streams();
    setlocale(LC_ALL, "");
    g_set_prgname("hostbed");
    if (argc > 0 && strcmp(argv[0], SUPERVISOR_NAME) == 0)
        return cmd_up_serve();
    return end_output(run(argc, argv));
}
