/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed template: hosts that are kept, frozen, for `test --keep`, `run --warm` and
 * `up --warm`. Each of its commands is a row here and a function in cmd-template-*.c.
 */
#include "cmd-template.h"

const Command template_commands[] = {
    {"export", "[-o FILE] KEY", "write a template as an archive", cmd_template_export},
    {"import", "[FILE]", "take what was exported, from FILE or standard input",
     cmd_template_import},
    {"key", "[--warm] [OPTION…] LAB… [-- COMMAND [ARGUMENT…]]",
     "the keys that the templates of labs' hosts have", cmd_template_key},
    {"list", "[--json]", "the templates that are kept", cmd_template_list},
    {"prune", "[--max SIZE]",
     "remove what is damaged or was left half made, and what was used longest ago",
     cmd_template_prune},
    {"rm", "KEY…", "remove templates", cmd_template_rm},
    {NULL},
};

int
cmd_template(int argc, char **argv)
{
    return cli_run_command_of("template", argc, argv);
}
