/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs the checks; those of names, which concern lab and host as a whole, stand here.
 */
#include "lab-check.h"

#include <string.h>

#define MAX_FINDINGS 100

void
lab_check_say(LabCheck *check, FilePos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    check->said = TRUE;
    guint told = g_hash_table_size(check->told);
    if (told > MAX_FINDINGS ||
        !g_hash_table_add(check->told, g_strdup_printf("%d:%s", pos.line, message)))
        return;
    if (told == MAX_FINDINGS)
        findings_add(
            check->findings, FINDING_ERROR, (FilePos){pos.file, 0}, check->name,
            "more than %d things are wrong; correct the first ones and try again",
            MAX_FINDINGS);
    else
        findings_add(check->findings, FINDING_ERROR, pos, check->name, "%s", message);
}

/* ---- the lab -------------------------------------------------------------------- */

static void
check_host_names(LabCheck *check)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->lab->hosts->len; i++) {
        const LabHost *host = g_ptr_array_index(check->lab->hosts, i);
        if (!g_hash_table_add(seen, host->id))
            lab_check_say(
                check, host->pos,
                "another host has the name '%s' already; give each its own, or end "
                "the name of one with count in '+'",
                host->id);
    }
}

static void
check_networks(LabCheck *check)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->lab->networks->len; i++) {
        const LabNetwork *network = g_ptr_array_index(check->lab->networks, i);
        if (!g_hash_table_add(seen, network->id))
            lab_check_say(check, network->pos,
                          "another network has the id '%s' already; give each its own",
                          network->id);
    }
}

/* Of PASSAGES, those that have the place of another one. */
static void
check_passages(LabCheck *check, const GPtrArray *passages, GHashTable *seen,
               gboolean by_port)
{
    for (guint i = 0; i < passages->len; i++) {
        const LabPassage *passage = passages->pdata[i];
        g_autofree char *place =
            by_port ? g_strdup_printf("port %d", passage->port) : g_strdup(passage->to);
        if (!g_hash_table_contains(seen, place))
            g_hash_table_add(seen, g_steal_pointer(&place));
        else
            lab_check_say(check, passage->pos, "%s leads elsewhere already; take another",
                          place);
    }
}

static void
check_uplinks(LabCheck *check)
{
    g_autoptr(GHashTable) taken =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < check->lab->networks->len; i++) {
        const LabNetwork *network = check->lab->networks->pdata[i];
        g_autoptr(GHashTable) ports =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        check_passages(check, network->services, ports, TRUE);
        check_passages(check, network->forwards, taken, FALSE);
        if (network->has_uplink && network->nat != LAB_ON && network->services->len == 0)
            lab_check_say(check, network->uplink_pos,
                          "the uplink leads nowhere; write a <service>, or nat='on' for "
                          "all that is outside");
    }
}

static const LabCheckRow lab_checks[] = {
    {"host-name", check_host_names, LAB_PART_LAB | LAB_PART_HOST},
    {"network", check_networks, LAB_PART_NETWORKS},
    {"uplink", check_uplinks, LAB_PART_NETWORKS},
    {NULL},
};

/* ---- ids in a host -------------------------------------------------------------- */

/* The bus behind a port is called as the port. */
gboolean
lab_check_is_machines(const char *id)
{
    return strcmp(id, "pcie.0") == 0 || g_str_has_prefix(id, "hostbed");
}

/* What has an id. */
typedef struct {
    const char *id;
    FilePos pos;
    guint element;
} Named;

/* FALSE: the id is not its own, and that was said. */
static gboolean
check_id(LabCheck *check, GHashTable *seen, Named named)
{
    if (lab_check_is_machines(named.id)) {
        lab_check_say(check, named.pos,
                      "the id '%s' is taken by the machine itself; choose another",
                      named.id);
        return FALSE;
    }
    const Named *other = g_hash_table_lookup(seen, named.id);
    if (!other) {
        g_hash_table_insert(seen, (gpointer)named.id, g_memdup2(&named, sizeof named));
        return TRUE;
    }
    if (other->element == named.element)
        lab_check_say(
            check, named.pos,
            "copies of this element share the id '%s'; end the id in '+' to count up, "
            "or leave it out",
            named.id);
    else
        lab_check_say(
            check, named.pos,
            "the id '%s' is that of the element in line %d already; an id names one "
            "element of the host",
            named.id, other->pos.line);
    return FALSE;
}

/* An id that was not written begins with that of the element around it, whose fault it
 * shares. */
static gboolean
follows(const GHashTable *faulty, const char *id)
{
    const char *dot = strrchr(id, '.');
    g_autofree char *around = dot ? g_strndup(id, (gsize)(dot - id)) : NULL;
    return around && g_hash_table_contains((GHashTable *)faulty, around);
}

static void
check_ids(LabCheck *check)
{
    g_autoptr(GHashTable) seen =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_autoptr(GHashTable) faulty = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->host->cells->len; i++) {
        const LabCell *cell = g_ptr_array_index(check->host->cells, i);
        if (!check_id(check, seen, (Named){cell->id, cell->pos, cell->element}))
            g_hash_table_add(faulty, cell->id);
    }
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(check->nodes, i);
        if (follows(faulty, node->id) ||
            !check_id(check, seen, (Named){node->id, node->pos, node->element}))
            g_hash_table_add(faulty, node->id);
    }
}

/* ---- the kernel ----------------------------------------------------------------- */

/* A character reference brings even a line end through XML. Linux would take it for part
 * of a word, and whoever shows the line would break it. */
static void
check_cmdline(LabCheck *check)
{
    const char *text = check->host->cmdline;
    for (; text && *text; text = g_utf8_next_char(text)) {
        gunichar character = g_utf8_get_char(text);
        if (!g_unichar_iscntrl(character))
            continue;
        lab_check_say(check, check->host->kernel_pos,
                      "cmdline has the control character U+%04X; part its words by "
                      "spaces",
                      character);
        return;
    }
}

static const LabCheckRow host_checks[] = {
    {"id", check_ids, LAB_PART_HOST | LAB_PART_CELLS | LAB_PART_NODES, LAB_PART_NODES},
    {"command-line", check_cmdline},
    {NULL},
};

/* ---- all of them ---------------------------------------------------------------- */

static void
collect_nodes(const GPtrArray *nodes, GPtrArray *all)
{
    for (guint i = 0; i < nodes->len; i++) {
        LabNode *node = g_ptr_array_index(nodes, i);
        g_ptr_array_add(all, node);
        collect_nodes(node->children, all);
    }
}

static GPtrArray *
all_nodes(const LabHost *host)
{
    GPtrArray *all = g_ptr_array_new();
    for (guint i = 0; i < host->cells->len; i++)
        collect_nodes(((const LabCell *)g_ptr_array_index(host->cells, i))->nodes, all);
    collect_nodes(host->nodes, all);
    return all;
}

/* The parts of ROWS that found something, of which none that needs a FAULTY part runs. */
static guint
run(LabCheck *check, const LabCheckRow *rows, guint faulty)
{
    guint wrong = 0;
    for (; rows->name; rows++) {
        if (rows->needs & faulty)
            continue;
        check->name = rows->name;
        check->said = FALSE;
        rows->run(check);
        wrong |= check->said ? rows->part : 0;
    }
    return wrong;
}

static guint
faulty_parts(const Lab *lab)
{
    guint faulty = lab->faulty;
    for (guint i = 0; i < lab->hosts->len; i++)
        faulty |= ((const LabHost *)g_ptr_array_index(lab->hosts, i))->faulty;
    return faulty;
}

guint
lab_check(const Lab *lab, Findings *findings)
{
    g_autoptr(GHashTable) told =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) macs = g_hash_table_new(g_str_hash, g_str_equal);
    LabCheck check = {.lab = lab, .findings = findings, .told = told, .macs = macs};
    guint wrong = run(&check, lab_checks, faulty_parts(lab));
    for (guint i = 0; i < lab->hosts->len; i++) {
        check.host = g_ptr_array_index(lab->hosts, i);
        const guint faulty = lab->faulty | check.host->faulty;
        g_autoptr(GPtrArray) nodes = all_nodes(check.host);
        check.nodes = nodes;
        wrong |= run(&check, host_checks, faulty);
        wrong |= run(&check, lab_checks_cells, faulty);
        wrong |= run(&check, lab_checks_attributes, faulty);
        wrong |= run(&check, lab_checks_pci, faulty);
        wrong |= run(&check, lab_checks_image, faulty);
    }
    return wrong;
}
