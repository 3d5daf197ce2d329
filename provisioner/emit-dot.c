/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → a graph for Graphviz: cells are clusters, functions are nodes with the colour of
 * their IOMMU group, an edge leads from a bridge to what is below it.
 */
#include "emit-words.h"
#include "emit.h"

/* A quoted string of the DOT language (graphviz.org/doc/info/lang.html): only the quote
 * and the backslash mean something in it. */
static void
append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
}

static void
append_node(GString *out, const PlanFunction *function)
{
    g_autofree char *address = emit_short_address(function->address);
    g_autofree char *detail = emit_function_detail(function);
    g_autofree char *label =
        g_strdup_printf("%s %s%s%s", address, function->driver ? function->driver : "",
                        function->driver && *detail ? ", " : "", detail);
    g_string_append_printf(out, "    \"%s\" [label=", address);
    append_quoted(out, label);
    if (function->group != PLAN_NONE)
        g_string_append_printf(
            out, ", fillcolor=\"%.3f 0.15 1.0\", tooltip=\"IOMMU group %d\"",
            function->group * 137 % 360 / 360.0, function->group);
    g_string_append(out, "];\n");
}

static void
append_below(GString *out, const PlanFunction *function)
{
    append_node(out, function);
    g_autofree char *from = emit_short_address(function->address);
    for (guint i = 0; i < function->children->len; i++) {
        const PlanFunction *child = g_ptr_array_index(function->children, i);
        append_below(out, child);
        g_autofree char *to = emit_short_address(child->address);
        g_string_append_printf(out, "    \"%s\" -> \"%s\";\n", from, to);
    }
}

static void
append_root(GString *out, const PlanRoot *root)
{
    g_string_append_printf(out, "    \"bus %02x\" [shape=plain];\n", root->bus);
    for (guint i = 0; i < root->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(root->functions, i);
        if (function->role == PLAN_EXPANDER)
            continue;
        append_below(out, function);
        g_autofree char *to = emit_short_address(function->address);
        g_string_append_printf(out, "    \"bus %02x\" -> \"%s\";\n", root->bus, to);
    }
}

static void
append_cluster(GString *out, const Plan *plan, int cell, const char *title)
{
    g_string_append_printf(out, "  subgraph cluster_%d {\n    label=", cell + 1);
    append_quoted(out, title);
    g_string_append(out, ";\n");
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (root->cell == cell)
            append_root(out, root);
    }
    g_string_append(out, "  }\n");
}

void
emit_dot(const Plan *plan, GString *out)
{
    g_autofree char *name = g_strdup_printf("%s/%s", plan->lab_name, plan->host_id);
    g_string_append(out, "digraph ");
    append_quoted(out, name);
    g_string_append(out,
                    " {\n  rankdir=LR;\n"
                    "  node [shape=box, style=\"filled,rounded\", fillcolor=white, "
                    "fontname=\"DejaVu Sans\", fontsize=10];\n"
                    "  graph [fontname=\"DejaVu Sans\", style=rounded, color=gray60];\n");
    for (guint i = 0; i < plan->cells->len; i++) {
        g_autofree char *title = emit_cell_title(g_ptr_array_index(plan->cells, i));
        append_cluster(out, plan, (int)i, title);
    }
    append_cluster(out, plan, PLAN_NONE, "near to no cell");
    g_string_append(out, "}\n");
}
