/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed help: commands, and topics, whose text is that of the documents, which are in
 * the program (docs/documents.gresource.xml). Sections of documents are topics, too, by
 * their titles: an element of the lab language, a suite.
 */
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli-help.h"
#include "nearest.h"
#include "rst.h"

#define COLUMNS_MOST 100
#define COLUMNS_ELSEWHERE 80
#define SECTIONS_MOST 3

typedef struct {
    const char *name, *summary;
    const char *document;                /* without its ending */
    const char *sections[SECTIONS_MOST]; /* titles; none: all of it */
} Topic;

static const Topic topics[] = {
    {"lab-language", "what a lab file can say, element by element", "lab-language"},
    {"networks",
     "networks of a lab, and hosts that they join",
     "lab-language",
     {"network"}},
    {"limits", "machines that cannot exist, and why", "limits"},
    {"suites", "what each suite and case proves", "suites"},
    {"manifest", "the facts of a host that are checked", "manifest"},
    {"hosts", "hosts that stay: up, exec, plug, log, down", "living-with-hosts"},
    {"memory",
     "memory that comes to a host that is up, and leaves it",
     "living-with-hosts",
     {"Memory that comes and goes"}},
    {"programs", "your own tests in hosts, from any build system", "wrapper"},
    {"bind",
     "functions on vfio-pci for a command",
     "hostbed",
     {"Functions for a command"}},
    {"templates",
     "frozen hosts, their clones, and those that are kept",
     "hostbed",
     {"Templates", "Clones at the same time", "Templates that are kept"}},
    {"images", "distributions in hosts: recipes, disks, steps of your own",
     "operating-systems"},
    {"micro-image", "what is in a host without a distribution", "image"},
    {"options",
     "options of all commands that plan or start hosts",
     "hostbed",
     {"OPTIONS OF ALL COMMANDS THAT PLAN OR START HOSTS"}},
    {"exit-status", "what the statuses mean", "hostbed", {"EXIT STATUS"}},
    {"environment", "variables that count", "hostbed", {"ENVIRONMENT"}},
    {"logs", "what is kept of a host for a person to read", "hostbed", {"LOGS"}},
    {"probes", "static probes for perf, bpftrace, SystemTap and gdb", "probes"},
    {"article", "the article that it grew from, step by step", "article"},
    {"facts", "what was measured, and the traps", "facts"},
    {"architecture", "how the program is made", "architecture"},
};

/* ---- documents
 * --------------------------------------------------------------------------------------
 */

/* Owned by the caller. */
static char *
read_document(const char *name)
{
    g_autofree char *path = g_strdup_printf("/hostbed/docs/%s.rst", name);
    g_autoptr(GBytes) bytes =
        g_resources_lookup_data(path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
    gsize length = 0;
    const char *text = bytes ? g_bytes_get_data(bytes, &length) : NULL;
    return g_strndup(text ? text : "", length);
}

static char *
text_of_topic(const Topic *topic)
{
    g_autofree char *document = read_document(topic->document);
    if (!topic->sections[0])
        return g_steal_pointer(&document);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < SECTIONS_MOST && topic->sections[i]; i++) {
        g_autofree char *section = rst_section(document, topic->sections[i]);
        g_string_append(text, section ? section : "");
    }
    return g_strdup(text->str);
}

/* By its name, or that of its document. */
static const Topic *
find_topic(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(topics); i++)
        if (g_ascii_strcasecmp(topics[i].name, name) == 0 ||
            (!topics[i].sections[0] && g_ascii_strcasecmp(topics[i].document, name) == 0))
            return &topics[i];
    return NULL;
}

/* Those of whose sections the titles are topics. */
static const char *const with_sections[] = {
    "lab-language", "suites", "operating-systems", "living-with-hosts", "hostbed", NULL};

static char *
text_of_section(const char *title)
{
    char *text = NULL;
    for (const char *const *name = with_sections; *name && !text; name++) {
        g_autofree char *document = read_document(*name);
        text = rst_section(document, title);
    }
    return text;
}

/* ---- showing
 * ----------------------------------------------------------------------------------------
 */

static guint
columns(void)
{
    struct winsize size;
    gboolean known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20;
    return known ? MIN(size.ws_col - 1u, COLUMNS_MOST) : COLUMNS_ELSEWHERE;
}

/* Of sh(1). */
#define STATUS_NO_PROGRAM 127

/* On a terminal by the user's pager, as man(1) does it. FALSE: there is none. */
static gboolean
show_in_pager(const char *text)
{
    const char *set = g_getenv("PAGER");
    g_autofree char *less = set ? NULL : g_find_program_in_path("less");
    const char *pager = set ? set : less ? "less -FRX" : "";
    if (!cli_rewrites_lines(STDOUT_FILENO) || *pager == '\0' || g_str_equal(pager, "cat"))
        return FALSE;
    FILE *out = popen(pager, "we");
    if (!out)
        return FALSE;
    signal(SIGPIPE, SIG_IGN); /* who has seen enough leaves it */
    fputs(text, out);
    int status = pclose(out);
    return !WIFEXITED(status) || WEXITSTATUS(status) != STATUS_NO_PROGRAM;
}

static int
show(const char *document)
{
    g_autofree char *text = rst_to_text(document, columns(), cli_colour(STDOUT_FILENO));
    if (!show_in_pager(text))
        fputs(text, stdout);
    return HB_OK;
}

/* ---- what there is
 * ------------------------------------------------------------------------------------
 */

void
cli_help_print(FILE *out)
{
    fputs("Usage: hostbed COMMAND [ARGUMENT…]\n\n"
          "A virtual machine that its operating system takes for a real NUMA/IOMMU "
          "server.\n\n"
          "Commands:\n",
          out);
    for (const Command *command = commands; command->name; command++)
        fprintf(out, "  %-12s %s\n", command->name, command->summary);
    fputs("\nTopics:\n", out);
    for (gsize i = 0; i < G_N_ELEMENTS(topics); i++)
        fprintf(out, "  %-12s %s\n", topics[i].name, topics[i].summary);
    fputs("\n'hostbed help COMMAND' has the options of a command, 'hostbed help TOPIC' "
          "tells of a topic,\nof an element of the lab language ('hostbed help nic') or "
          "of a suite; hostbed(1) tells all.\n",
          out);
}

/* All that help can be asked for; its words are the documents'. */
static GPtrArray *
all_names(gboolean with_titles)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const Command *command = commands; command->name; command++)
        g_ptr_array_add(names, g_strdup(command->name));
    for (gsize i = 0; i < G_N_ELEMENTS(topics); i++)
        g_ptr_array_add(names, g_strdup(topics[i].name));
    for (const char *const *name = with_sections; with_titles && *name; name++) {
        g_autofree char *document = read_document(*name);
        g_autoptr(GPtrArray) titles = rst_titles(document);
        g_ptr_array_extend_and_steal(names, g_steal_pointer(&titles));
    }
    g_ptr_array_add(names, NULL);
    return names;
}

int
cli_help_unknown_command(const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *topic = find_topic(name)
                                 ? g_strdup_printf("'hostbed help %s' tells of it", name)
                                 : g_strdup("'hostbed help' lists them");
    for (const Command *command = commands; command->name; command++)
        g_ptr_array_add(names, (gpointer)command->name);
    g_ptr_array_add(names, NULL);
    const char *meant =
        find_topic(name) ? NULL : nearest_name(name, (const char *const *)names->pdata);
    g_autofree char *hint = nearest_hint(meant, topic);
    return cli_fail_with(HB_USAGE, "there is no command '%s'; %s", name, hint);
}

static int
unknown_topic(const char *name)
{
    g_autoptr(GPtrArray) names = all_names(TRUE);
    const char *meant = nearest_name(name, (const char *const *)names->pdata);
    g_autofree char *hint = nearest_hint(meant, "'hostbed help' lists them");
    return cli_fail_with(HB_USAGE, "there is no command or topic '%s'; %s", name, hint);
}

/* WORDS are a command, one and a command of its own, or a topic. */
static int
help_of(char **words)
{
    g_autofree char *whole = g_strjoinv(" ", words);
    g_autofree char *dashed = g_strjoinv("-", words);
    const Command *command = cli_command(whole);
    const Topic *topic = command ? NULL : find_topic(dashed);
    char *help_argv[] = {words[0], (char *)"--help", NULL};
    if (command)
        return command->run(2, help_argv);
    g_autofree char *text = topic ? text_of_topic(topic) : text_of_section(whole);
    return text ? show(text) : unknown_topic(whole);
}

int
cmd_help(int argc, char **argv)
{
    if (argc > 1 && !g_str_equal(argv[1], "--help") && !g_str_equal(argv[1], "-h"))
        return help_of(argv + 1);
    cli_help_print(stdout);
    return HB_OK;
}
