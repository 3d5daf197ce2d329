/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Cells: CPUs, memory, huge pages, distances, caches; the slots of the host for more
 * memory; and the interconnects between cells.
 */
#include <string.h>

#include "lab-parse.h"
#include "units.h"

/* ---- references to cells -------------------------------------------------------- */

/* The cell named in ATTRIBUTE, by number or id; *CELL is set when all cells are known. */
static void
refer_to_cell(LabParser *parser, LabXml *element, const char *attribute, int *cell)
{
    *cell = 0;
    const char *text = lab_attr_needed(parser, element, attribute);
    if (!text)
        return;
    gboolean is_number =
        *text && strlen(text) <= 6 && strspn(text, "0123456789") == strlen(text);
    if (!is_number && !lab_is_id(text)) {
        lab_attr_wrong(parser, element, attribute,
                       "is neither the number nor the id of a cell");
        return;
    }
    LabReference *reference = g_new0(LabReference, 1);
    reference->cell = cell;
    reference->name = g_strdup(text);
    reference->pos = lab_attr_pos(element, attribute);
    g_ptr_array_add(parser->references, reference);
}

/* The index of the cell NAME + 1; 0 if there is none. */
static guint
find_cell(GHashTable *numbers, guint count, const char *name)
{
    if (!g_ascii_isdigit(*name))
        return GPOINTER_TO_UINT(g_hash_table_lookup(numbers, name));
    guint64 number = g_ascii_strtoull(name, NULL, 10);
    return number < count ? (guint)number + 1 : 0;
}

/* Where a cell may be missing because of another fault, that one is told. */
static void
refuse_reference(LabParser *parser, const LabHost *host, const LabReference *reference)
{
    const guint outer = parser->part;
    const gboolean may_follow = parser->faulty & (LAB_PART_HOST | LAB_PART_CELLS);
    parser->part = LAB_PART_DISTANCES | LAB_PART_ATTRIBUTES;
    if (!may_follow)
        lab_say(parser, reference->pos, "cell-reference",
                "there is no cell '%s'; cells are named by their id or by number, 0 to "
                "%u",
                reference->name, MAX(host->cells->len, 1) - 1);
    parser->part = outer;
}

void
lab_resolve_cells(LabParser *parser, LabHost *host)
{
    g_autoptr(GHashTable) numbers = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < host->cells->len; i++)
        g_hash_table_insert(numbers,
                            ((const LabCell *)g_ptr_array_index(host->cells, i))->id,
                            GUINT_TO_POINTER(i + 1));
    for (guint i = 0; i < parser->references->len; i++) {
        const LabReference *reference = g_ptr_array_index(parser->references, i);
        guint cell = find_cell(numbers, host->cells->len, reference->name);
        if (cell == 0)
            refuse_reference(parser, host, reference);
        *reference->cell = (int)MAX(cell, 1) - 1;
    }
    g_ptr_array_set_size(parser->references, 0);
}

/* ---- what is in a cell ---------------------------------------------------------- */

static void
parse_hugepages(LabParser *parser, LabXml *element, gpointer cell)
{
    static const char *const sizes[] = {"2 MiB", "1 GiB", NULL};
    LabHugepages *pages = g_new0(LabHugepages, 1);
    pages->pos = element->pos;
    if (lab_attr_needed(parser, element, "size") &&
        lab_attr_size(parser, element, "size", &pages->page_bytes) &&
        pages->page_bytes != 2 << 20 && pages->page_bytes != 1 << 30) {
        int index = 0;
        lab_attr_choice(parser, element, "size", sizes, &index);
    }
    if (lab_attr_needed(parser, element, "count"))
        lab_attr_number(parser, element, "count", 1, G_MAXINT32, &pages->count);
    lab_no_children(parser, element);
    g_ptr_array_add(((LabCell *)cell)->hugepages, pages);
}

static void
parse_sibling(LabParser *parser, LabXml *element, gpointer cell)
{
    LabDistance *distance = g_new0(LabDistance, 1);
    distance->pos = element->pos;
    g_ptr_array_add(((LabCell *)cell)->distances, distance);
    refer_to_cell(parser, element, "id", &distance->cell);
    if (lab_attr_needed(parser, element, "value"))
        lab_attr_int(parser, element, "value", 10, 255, &distance->value);
    lab_no_children(parser, element);
}

static void
parse_distances(LabParser *parser, LabXml *element, gpointer cell)
{
    static const LabChild children[] = {{"sibling", parse_sibling}, {NULL}};
    lab_children(parser, element, children, cell);
}

static char *
read_choice(LabParser *parser, LabXml *element, const char *name,
            const char *const *names)
{
    int index = 0;
    lab_attr_needed(parser, element, name);
    lab_attr_choice(parser, element, name, names, &index);
    return g_strdup(names[index]);
}

static void
parse_cache(LabParser *parser, LabXml *element, gpointer cell)
{
    static const char *const associativities[] = {"none", "direct", "full", NULL};
    static const char *const policies[] = {"none", "writeback", "writethrough", NULL};
    LabCache *cache = g_new0(LabCache, 1);
    cache->pos = element->pos;
    cache->level = 1;
    if (lab_attr_needed(parser, element, "level"))
        lab_attr_int(parser, element, "level", 1, 3, &cache->level);
    cache->associativity = read_choice(parser, element, "associativity", associativities);
    cache->policy = read_choice(parser, element, "policy", policies);
    if (lab_attr_needed(parser, element, "size"))
        lab_attr_size(parser, element, "size", &cache->size_bytes);
    if (lab_attr_needed(parser, element, "line"))
        lab_attr_size(parser, element, "line", &cache->line_bytes);
    lab_no_children(parser, element);
    g_ptr_array_add(((LabCell *)cell)->caches, cache);
}

/* ---- the cell ------------------------------------------------------------------- */

/* Whether TEXT has the form of a list, though it may mean nothing: the schema cannot tell
 * that a range runs backwards. */
static gboolean
is_cpu_list(const char *text)
{
    return g_regex_match_simple(
        "^(\\^?[0-9]+|[0-9]+-[0-9]+)(,(\\^?[0-9]+|[0-9]+-[0-9]+))*$", text,
        G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT);
}

/* "0-1+": each copy takes the next CPUs, as many as the list is wide. */
static void
read_cpus(LabParser *parser, LabXml *element, LabCell *cell)
{
    const char *text = lab_attr(parser, element, "cpus");
    if (!text)
        return;
    gboolean counts_up = g_str_has_suffix(text, "+");
    g_autofree char *plain = g_strndup(text, strlen(text) - counts_up);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) cpus = units_parse_cpus(plain, LAB_MAX_CPU, &error);
    if (!cpus) {
        g_autofree char *quoted = lab_xml_quote(text);
        lab_say(parser, lab_attr_pos(element, "cpus"),
                is_cpu_list(plain) ? "cpus" : "schema", "<%s>: cpus='%s' %s",
                element->name, quoted, error->message);
        return;
    }
    parser->cpus += cpus->len;
    if (parser->cpus > LAB_MAX_CPUS) {
        lab_say(parser, lab_attr_pos(element, "cpus"), "cpus",
                "the cells of the lab name more than %d CPUs; no machine has so many",
                LAB_MAX_CPUS);
        return;
    }
    guint width =
        g_array_index(cpus, guint, cpus->len - 1) + 1 - g_array_index(cpus, guint, 0);
    guint shift = counts_up ? element->copies * width : 0;
    for (guint i = 0; i < cpus->len; i++) {
        guint cpu = g_array_index(cpus, guint, i) + shift;
        g_array_append_val(cell->cpus, cpu);
    }
}

/* libvirt's cells have a number as id. It is welcome if it is the cell's number; then the
 * id is the default. */
static char *
cell_id(LabParser *parser, LabXml *element, guint index)
{
    const char *text = lab_attr(parser, element, "id");
    gboolean is_number = text && *text && strspn(text, "0123456789") == strlen(text);
    if (!is_number)
        return lab_attr_id(parser, element, "id", "cell", index);
    if (element->count > 1 || strlen(text) > 6 ||
        g_ascii_strtoull(text, NULL, 10) != index)
        lab_say(
            parser, lab_attr_pos(element, "id"), "cell-number",
            "<cell id='%s'> is cell %u: cells are numbered from 0 in the order written; "
            "leave id out or give it a name",
            text, index);
    return g_strdup_printf("cell%u", index);
}

static void
parse_cell_node(LabParser *parser, LabXml *element, gpointer data)
{
    LabCell *cell = data;
    LabNodePlace place = {cell->nodes, NULL, cell->id};
    lab_parse_node(parser, element, &place);
}

void
lab_parse_cell(LabParser *parser, LabXml *element, gpointer data)
{
    static const LabChild children[] = {
        {"hugepages", parse_hugepages, .part = LAB_PART_HUGEPAGES},
        {"distances", parse_distances, .once = TRUE, .part = LAB_PART_DISTANCES},
        {"cache", parse_cache, .part = LAB_PART_ATTRIBUTES},
        {"expander", parse_cell_node, .counted = TRUE, .part = LAB_PART_NODES},
        {NULL},
    };
    LabHost *host = data;
    g_autofree char *id = cell_id(parser, element, host->cells->len);
    LabCell *cell = lab_cell_new(id);
    cell->pos = element->pos;
    cell->element = element->number;
    g_ptr_array_add(host->cells, cell);
    read_cpus(parser, element, cell);
    lab_attr_size_unit(parser, element, "memory", &cell->memory_bytes);
    lab_children(parser, element, children, cell);
}

/* ---- slots ---------------------------------------------------------------------- */

void
lab_parse_max_memory(LabParser *parser, LabXml *element, gpointer data)
{
    LabHost *host = data;
    host->max_memory_pos = element->pos;
    if (lab_attr_needed(parser, element, "slots"))
        lab_attr_int(parser, element, "slots", 1, G_MAXINT32, &host->memory_slots);
    if (lab_attr_needed(parser, element, "size"))
        lab_attr_size(parser, element, "size", &host->max_memory_bytes);
    lab_no_children(parser, element);
}

/* ---- interconnects -------------------------------------------------------------- */

static LabInterconnect *
new_interconnect(LabParser *parser, LabXml *element, LabHost *host)
{
    static const char *const types[] = {"access", "read", "write", NULL};
    LabInterconnect *interconnect = g_new0(LabInterconnect, 1);
    g_ptr_array_add(host->interconnects, interconnect);
    interconnect->pos = element->pos;
    refer_to_cell(parser, element, "initiator", &interconnect->initiator);
    refer_to_cell(parser, element, "target", &interconnect->target);
    lab_attr_int(parser, element, "cache", 1, 3, &interconnect->cache);
    interconnect->type = read_choice(parser, element, "type", types);
    return interconnect;
}

static void
parse_latency(LabParser *parser, LabXml *element, gpointer host)
{
    LabInterconnect *interconnect = new_interconnect(parser, element, host);
    if (lab_attr_needed(parser, element,
                        "value")) /* HMAT's entry has 16 bits, FFFF is reserved */
        lab_attr_number(parser, element, "value", 1, G_MAXINT32, &interconnect->value);
    lab_no_children(parser, element);
}

static void
parse_bandwidth(LabParser *parser, LabXml *element, gpointer host)
{
    LabInterconnect *interconnect = new_interconnect(parser, element, host);
    interconnect->is_bandwidth = TRUE;
    if (lab_attr_needed(parser, element, "value"))
        lab_attr_size_unit(parser, element, "value", &interconnect->value);
    lab_no_children(parser, element);
}

void
lab_parse_interconnects(LabParser *parser, LabXml *element, gpointer host)
{
    static const LabChild children[] = {
        {"latency", parse_latency}, {"bandwidth", parse_bandwidth}, {NULL}};
    lab_children(parser, element, children, host);
}
