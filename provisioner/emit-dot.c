/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → a graph for Graphviz: cells are clusters, functions are nodes with the colour of
 * their IOMMU group, an edge leads from a bridge to what is below it.
 */
#include "emit-words.h"
#include "emit.h"

/* What stands between the quotes of a string of the DOT language
 * (graphviz.org/doc/info/lang.html): only the quote and the backslash mean something in
 * it. */
static char *
quote(const char *text)
{
    GString *quoted = g_string_new(NULL);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(quoted, '\\');
        g_string_append_c(quoted, *p);
    }
    return g_string_free(quoted, FALSE);
}

static void
append_quoted(GString *out, const char *text)
{
    g_autofree char *quoted = quote(text);
    g_string_append_printf(out, "\"%s\"", quoted);
}

/* Takes LINE; an empty one is left out. */
static void
add_line(GString *text, char *line)
{
    if (*line)
        g_string_append_printf(text, "%s%s", text->len > 0 ? "\n" : "", line);
    g_free(line);
}

static void
append_node(GString *out, const PlanFunction *function, const char *above)
{
    g_autofree char *address = emit_short_address(function->address);
    g_autofree char *model = emit_function_model(function);
    g_autoptr(GString) label = g_string_new(NULL);
    add_line(label, emit_short_id(function, above));
    add_line(label, g_strdup_printf("%s %s", address, model));
    add_line(label, emit_function_detail(function));
    add_line(label, emit_group(function->group));
    g_string_append_printf(out, "    \"%s\" [label=", address);
    append_quoted(out, label->str);
    if (function->id) {
        g_string_append(out, ", tooltip=");
        append_quoted(out, function->id);
    }
    if (function->group != PLAN_NONE)
        g_string_append_printf(out, ", fillcolor=\"%.3f 0.15 1.0\"",
                               function->group * 137 % 360 / 360.0);
    g_string_append(out, "];\n");
}

/* The functions on a bus, and all below them, with an edge from FROM to each. */
static void
append_below(GString *out, const GPtrArray *functions, const char *from,
             const char *above)
{
    for (guint i = 0; i < functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->role == PLAN_EXPANDER)
            continue; /* it stands with what it leads to */
        g_autofree char *address = emit_short_address(function->address);
        append_node(out, function, above);
        g_string_append_printf(out, "    \"%s\" -> \"%s\";\n", from, address);
        append_below(out, function->children, address, function->id);
    }
}

static void
append_root(GString *out, const PlanRoot *root, const char *above)
{
    if (!root->expander) {
        g_string_append(out, "    \"root bus 00\" [shape=plain];\n");
        append_below(out, root->functions, "root bus 00", NULL);
        return;
    }
    g_autofree char *address = emit_short_address(root->expander->address);
    append_node(out, root->expander, above);
    append_below(out, root->functions, address, root->expander->id);
}

/* CELL is NULL for what belongs to none. */
static void
append_cluster(GString *out, const Plan *plan, const PlanCell *cell)
{
    int index = cell ? cell->index : PLAN_NONE;
    g_autofree char *title = cell ? emit_cell_title(cell) : g_strdup("near to no cell");
    g_string_append_printf(out, "  subgraph cluster_%d {\n    label=", index + 1);
    append_quoted(out, title);
    g_string_append(out, ";\n");
    gboolean is_empty = TRUE;
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (root->cell != index)
            continue;
        append_root(out, root, cell ? cell->id : NULL);
        is_empty = FALSE;
    }
    /* Graphviz leaves out a cluster without a node. */
    if (is_empty)
        g_string_append_printf(out, "    \"empty %d\" [style=invis, label=\"\"];\n",
                               index + 1);
    g_string_append(out, "  }\n");
}

/* A node whose lines start at the left, in letters of one width. Takes TEXT, which may be
 * NULL. */
static void
append_table(GString *out, const char *name, char *text)
{
    if (text) {
        g_autofree char *quoted = quote(text);
        g_auto(GStrv) lines = g_strsplit(quoted, "\n", -1);
        g_autofree char *label = g_strjoinv("\\l", lines);
        g_string_append_printf(
            out, "  %s [style=filled, fontname=\"DejaVu Sans Mono\", label=\"%s\"];\n",
            name, label);
    }
    g_free(text);
}

void
emit_dot(const Plan *plan, GString *out)
{
    g_autofree char *name = g_strdup_printf("%s/%s", plan->lab_name, plan->host_id);
    g_autofree char *title = emit_host_title(plan);
    g_autofree char *detail = emit_host_detail(plan);
    g_autofree char *label = g_strdup_printf("%s\n%s", title, detail);
    g_string_append(out, "digraph ");
    append_quoted(out, name);
    g_string_append(out, " {\n  label=");
    append_quoted(out, label);
    g_string_append(out,
                    ";\n  labelloc=t;\n  rankdir=LR;\n"
                    "  node [shape=box, style=\"filled,rounded\", fillcolor=white, "
                    "fontname=\"DejaVu Sans\", fontsize=10];\n"
                    "  graph [fontname=\"DejaVu Sans\", style=rounded, color=gray60];\n");
    for (guint i = 0; i < plan->cells->len; i++)
        append_cluster(out, plan, g_ptr_array_index(plan->cells, i));
    append_cluster(out, plan, NULL);
    append_table(out, "distances", emit_distances(plan));
    append_table(out, "attributes", emit_attributes(plan));
    g_string_append(out, "}\n");
}
