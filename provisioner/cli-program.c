/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-program.h"

#include <string.h>

#include "cli.h"

typedef struct {
    const char *name;
    GOptionArg arg;
    gsize offset; /* in CliProgram */
    const char *help, *value;
} ProgramOption;

static const ProgramOption program_options[] = {
    {"bind", G_OPTION_ARG_STRING_ARRAY, G_STRUCT_OFFSET(CliProgram, bind),
     "Bind functions to vfio-pci before the program starts; may be repeated",
     "FUNCTIONS"},
    {"with", G_OPTION_ARG_FILENAME_ARRAY, G_STRUCT_OFFSET(CliProgram, with),
     "Put another program into the host, with its libraries; may be repeated", "PROGRAM"},
    {"copy", G_OPTION_ARG_FILENAME_ARRAY, G_STRUCT_OFFSET(CliProgram, copies),
     "Put a file or folder into the host; may be repeated", "PATH[:TARGET]"},
    {"env", G_OPTION_ARG_STRING_ARRAY, G_STRUCT_OFFSET(CliProgram, env),
     "Set a variable for the program; without a value: as it is here", "NAME[=VALUE]"},
    {"chdir", G_OPTION_ARG_FILENAME, G_STRUCT_OFFSET(CliProgram, chdir),
     "Start the program in this folder of the host", "DIR"},
    {"out", G_OPTION_ARG_FILENAME, G_STRUCT_OFFSET(CliProgram, out),
     "Bring what the program leaves in $HOSTBED_OUT here", "DIR"},
};

/* Where the option's value is: a char * or a GStrv. */
static gpointer *
place(const CliProgram *program, const ProgramOption *option)
{
    return (gpointer *)(gpointer)((char *)program + option->offset);
}

static gboolean
is_array(const ProgramOption *option)
{
    return option->arg == G_OPTION_ARG_STRING_ARRAY ||
           option->arg == G_OPTION_ARG_FILENAME_ARRAY;
}

void
cli_program_clear(CliProgram *program)
{
    for (guint i = 0; i < G_N_ELEMENTS(program_options); i++) {
        const ProgramOption *option = &program_options[i];
        g_clear_pointer(place(program, option),
                        is_array(option) ? (GDestroyNotify)g_strfreev : g_free);
    }
}

GOptionEntry *
cli_program_entries(const GOptionEntry *own, CliProgram *program)
{
    GArray *entries = g_array_new(TRUE, FALSE, sizeof(GOptionEntry));
    for (; own->long_name; own++)
        g_array_append_val(entries, *own);
    for (guint i = 0; i < G_N_ELEMENTS(program_options); i++) {
        const ProgramOption *option = &program_options[i];
        const GOptionEntry entry = {.long_name = option->name,
                                    .arg = option->arg,
                                    .arg_data = place(program, option),
                                    .description = option->help,
                                    .arg_description = option->value};
        g_array_append_val(entries, entry);
    }
    return (GOptionEntry *)(gpointer)g_array_free(entries, FALSE);
}

gboolean
cli_program_check(CliProgram *program, int *status)
{
    for (char **word = program->env; word && *word; word++) {
        if (**word != '\0' && **word != '=')
            continue;
        *status = cli_fail_with(HB_USAGE,
                                "--env '%s' names no variable; it takes NAME=VALUE, or "
                                "NAME for the value that it has here",
                                *word);
        return FALSE;
    }
    if (program->chdir) {
        char *path = g_canonicalize_filename(program->chdir, NULL);
        g_free(program->chdir);
        program->chdir = path;
    }
    return TRUE;
}

gboolean
cli_program_is_absent(const CliProgram *program, const char *name)
{
    return !program->chdir && strchr(name, '/') && !g_path_is_absolute(name) &&
           !g_file_test(name, G_FILE_TEST_IS_REGULAR);
}

const char *
cli_program_given(const CliProgram *program)
{
    for (guint i = 0; i < G_N_ELEMENTS(program_options); i++)
        if (*place(program, &program_options[i]))
            return program_options[i].name;
    return NULL;
}

GStrv
cli_program_words(const CliProgram *program)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    for (guint i = 0; i < G_N_ELEMENTS(program_options); i++) {
        const ProgramOption *option = &program_options[i];
        gpointer *at = place(program, option);
        char *const one[] = {is_array(option) ? NULL : *at, NULL};
        char *const *values = is_array(option) ? *at : one;
        for (; values && *values; values++) {
            g_autofree char *word = g_strdup_printf("--%s=%s", option->name, *values);
            g_strv_builder_add(words, word);
        }
    }
    return g_strv_builder_end(words);
}

GStrv
cli_program_environment(const CliProgram *program)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (char **word = program->env; word && *word; word++) {
        gboolean is_whole = strchr(*word, '=') != NULL;
        const char *value = is_whole ? NULL : g_getenv(*word);
        g_autofree char *whole =
            is_whole ? g_strdup(*word) : g_strconcat(*word, "=", value, NULL);
        if (is_whole || value)
            g_strv_builder_add(builder, whole);
    }
    return g_strv_builder_end(builder);
}
