/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → the machine as a person would draw it: cells, below each the buses, ports and
 * devices that hang off it, in aligned columns. Made to be read, and to be pasted into a
 * bug report.
 */
#include <string.h>

#include "emit-parts.h"
#include "emit-words.h"
#include "emit.h"
#include "printable.h"

enum {
    COLUMN_NAME,
    COLUMN_ADDRESS,
    COLUMN_MODEL,
    COLUMN_DETAIL,
    COLUMN_GROUP,
    COLUMNS,
};

/* A line of the drawing: a heading (one cell, as wide as it likes) or a function. */
typedef struct {
    char *branches; /* "│  ├─ " */
    char *column[COLUMNS];
} Row;

/* The drawing while it grows: rows, and the branches that lead to the one being added. */
typedef struct {
    const Plan *plan;
    GPtrArray *rows; /* Row */
    GString *stem;   /* what stands before a child of the current element */
} Drawing;

static void
row_free(gpointer data)
{
    Row *row = data;
    g_free(row->branches);
    for (int i = 0; i < COLUMNS; i++)
        g_free(row->column[i]);
    g_free(row);
}

/* Nothing that an author wrote may move the cursor. */
static char *
shown(const char *text)
{
    return printable(text, strlen(text), 4096);
}

/* Takes NAME. */
static Row *
draw(Drawing *drawing, gboolean is_last, char *name)
{
    Row *row = g_new0(Row, 1);
    row->branches = g_strconcat(drawing->stem->str, is_last ? "└─ " : "├─ ", NULL);
    row->column[COLUMN_NAME] = name;
    g_ptr_array_add(drawing->rows, row);
    return row;
}

/* Between these two, rows are children of the row before. */
static gsize
descend(Drawing *drawing, gboolean parent_is_last)
{
    gsize length = drawing->stem->len;
    g_string_append(drawing->stem, parent_is_last ? "   " : "│  ");
    return length;
}

static void
ascend(Drawing *drawing, gsize length)
{
    g_string_truncate(drawing->stem, length);
}

/* ---- functions
 * ----------------------------------------------------------------------------- */

static Row *
draw_function(Drawing *drawing, const PlanFunction *function, gboolean is_last,
              const char *above)
{
    Row *row = draw(drawing, is_last, emit_short_id(function, above));
    row->column[COLUMN_ADDRESS] = emit_short_address(function->address);
    g_autofree char *model = emit_function_model(function);
    row->column[COLUMN_MODEL] = shown(model);
    row->column[COLUMN_DETAIL] = emit_function_detail(function);
    row->column[COLUMN_GROUP] = emit_group(function->group);
    return row;
}

/* What FUNCTION leads to, and so on to the leaves. The depth is bounded by the 256 buses.
 */
static void
draw_below(Drawing *drawing, const PlanFunction *function, gboolean is_last)
{
    gsize stem = descend(drawing, is_last);
    for (guint i = 0; i < function->children->len; i++) {
        const PlanFunction *child = g_ptr_array_index(function->children, i);
        gboolean child_is_last = i + 1 == function->children->len;
        draw_function(drawing, child, child_is_last, function->id);
        draw_below(drawing, child, child_is_last);
    }
    ascend(drawing, stem);
}

static void
draw_root(Drawing *drawing, const PlanRoot *root, gboolean is_last, const char *above)
{
    if (root->expander)
        draw_function(drawing, root->expander, is_last, above);
    else
        draw(drawing, is_last, g_strdup("root bus 00, near to no node"));
    gsize stem = descend(drawing, is_last);
    const char *id = root->expander ? root->expander->id : NULL;
    guint last = root->functions->len;
    /* An expander's function sits on the root bus, but is drawn where its own bus
     * belongs. */
    for (guint i = 0; i < root->functions->len; i++)
        if (((const PlanFunction *)g_ptr_array_index(root->functions, i))->role !=
            PLAN_EXPANDER)
            last = i;
    for (guint i = 0; i < root->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(root->functions, i);
        if (function->role == PLAN_EXPANDER)
            continue;
        draw_function(drawing, function, i == last, id);
        draw_below(drawing, function, i == last);
    }
    ascend(drawing, stem);
}

/* ---- cells
 * --------------------------------------------------------------------------------- */

static GPtrArray *
roots_of(const Plan *plan, int cell)
{
    GPtrArray *roots = g_ptr_array_new();
    for (guint i = 0; i < plan->roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (root->cell == cell)
            g_ptr_array_add(roots, root);
    }
    return roots;
}

static void
draw_cell(Drawing *drawing, const PlanCell *cell)
{
    draw(drawing, FALSE, emit_cell_title(cell));
    g_autoptr(GPtrArray) roots = roots_of(drawing->plan, cell->index);
    gsize stem = descend(drawing, FALSE);
    for (guint i = 0; i < roots->len; i++)
        draw_root(drawing, g_ptr_array_index(roots, i), i + 1 == roots->len, cell->id);
    ascend(drawing, stem);
}

static void
draw_machine(Drawing *drawing)
{
    for (guint i = 0; i < drawing->plan->cells->len; i++)
        draw_cell(drawing, g_ptr_array_index(drawing->plan->cells, i));
    g_autoptr(GPtrArray) roots = roots_of(drawing->plan, PLAN_NONE);
    for (guint i = 0; i < roots->len; i++)
        draw_root(drawing, g_ptr_array_index(roots, i), i + 1 == roots->len, NULL);
}

/* ---- the text
 * ------------------------------------------------------------------------------ */

static int
width_of(const Row *row, int column)
{
    int width = row->column[column] ? (int)g_utf8_strlen(row->column[column], -1) : 0;
    return column == COLUMN_NAME ? width + (int)g_utf8_strlen(row->branches, -1) : width;
}

static void
measure(const GPtrArray *rows, int widths[COLUMNS])
{
    memset(widths, 0, sizeof(int) * COLUMNS);
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);
        for (int column = 0; row->column[COLUMN_ADDRESS] && column < COLUMNS; column++)
            widths[column] = MAX(widths[column], width_of(row, column));
    }
}

static void
append_row(GString *out, const Row *row, const int widths[COLUMNS])
{
    gsize end = 0; /* behind the last word, so that no line ends in blanks */
    int pad = 0;
    g_string_append(out, row->branches);
    for (int column = 0; column < COLUMNS; column++) {
        const char *text = row->column[column];
        if (text && *text) {
            for (; pad > 0; pad--)
                g_string_append_c(out, ' ');
            g_string_append(out, text);
            end = out->len;
        }
        pad += widths[column] - width_of(row, column) + 2;
    }
    g_string_truncate(out, end);
    g_string_append_c(out, '\n');
}

static void
append_cpus(GString *out, const Plan *plan)
{
    const struct {
        int count;
        const char *noun;
    } levels[] = {{plan->sockets, "socket"},
                  {plan->dies, "die"},
                  {plan->cores, "core"},
                  {plan->threads, "thread"}};
    g_autofree char *model = shown(plan->cpu_model);
    g_string_append_printf(out, "  CPUs      %u, %s", plan->cpu_count, model);
    for (guint i = 0; i < plan->cpu_features->len; i++) {
        const LabCpuFeature *feature = g_ptr_array_index(plan->cpu_features, i);
        g_autofree char *name = shown(feature->name);
        g_string_append_printf(out, " %c%s", feature->disabled ? '-' : '+', name);
    }
    const char *separator = ": ";
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        gboolean is_dull =
            levels[i].count == 1 && (i == 1 || i == 3); /* one die, one thread */
        if (is_dull)
            continue;
        g_autofree char *text = emit_counted((guint)levels[i].count, levels[i].noun);
        g_string_append_printf(out, "%s%s", separator, text);
        separator = " of ";
    }
    g_string_append_c(out, '\n');
}

static void
append_iommu(GString *out, const PlanIommu *iommu)
{
    const struct {
        const char *words;
        LabSwitch value;
    } options[] = {
        {"interrupt remapping", iommu->intremap}, {"caching mode", iommu->caching_mode},
        {"device IOTLB", iommu->iotlb},           {"x2APIC", iommu->eim},
        {"scalable mode", iommu->scalable},       {"snoop control", iommu->snoop_control},
        {"DMA drain", iommu->dma_drain},          {"pass-through", iommu->pass_through},
    };
    if (iommu->model == LAB_IOMMU_NONE) {
        g_string_append(out, "  IOMMU     none\n");
        return;
    }
    g_string_append_printf(out, "  IOMMU     %s", lab_iommu_model_name(iommu->model));
    if (iommu->aw_bits > 0)
        g_string_append_printf(out, ", %d bits", iommu->aw_bits);
    for (guint i = 0; i < G_N_ELEMENTS(options); i++)
        if (options[i].value == LAB_ON)
            g_string_append_printf(out, ", %s", options[i].words);
    g_string_append_c(out, '\n');
}

static void
append_slots(GString *out, const Plan *plan)
{
    if (plan->memory_slots > 0) {
        g_autofree char *maximum = emit_size_text(plan->max_memory_bytes);
        g_autofree char *slots = emit_counted((guint)plan->memory_slots, "slot");
        g_string_append_printf(out, ", up to %s by %s", maximum, slots);
    }
    g_string_append_c(out, '\n');
}

static void
append_title(GString *out, const Plan *plan)
{
    g_autofree char *lab = shown(plan->lab_name);
    g_autofree char *host = shown(plan->host_id);
    g_autofree char *machine = shown(plan->machine);
    g_autofree char *memory = emit_size_text(plan->memory_bytes);
    g_autofree char *cells = emit_counted(plan->cells->len, "cell");
    g_autofree char *cmdline = shown(plan->cmdline);
    g_string_append_printf(out, "%s: host %s\n", lab, host);
    g_string_append_printf(out, "  machine   %s, %s\n", machine,
                           plan->firmware == LAB_FIRMWARE_EFI ? "EFI" : "BIOS");
    if (plan->os) {
        g_autofree char *os = shown(plan->os_name ? plan->os_name : plan->os);
        g_string_append_printf(out, "  system    %s\n", os);
    }
    append_cpus(out, plan);
    g_string_append_printf(out, "  memory    %s in %s", memory, cells);
    append_slots(out, plan);
    append_iommu(out, &plan->iommu);
    if (plan->groups->len > 0)
        g_string_append_printf(out,
                               "  groups    %u, which Linux numbers in its own way\n",
                               plan->groups->len);
    if (plan->kernel) {
        g_autofree char *kernel = shown(plan->kernel);
        g_string_append_printf(out, "  kernel    %s\n", kernel);
    }
    g_string_append_printf(out, "  cmdline   %s\n", cmdline);
    for (guint i = 0; i < plan->raw_args->len; i++) {
        g_autofree char *arg = shown(g_ptr_array_index(plan->raw_args, i));
        g_string_append_printf(out, "  %s %s\n", i ? "         " : "TAINTED by", arg);
    }
}

/* Takes TABLE, which may be NULL. */
static void
append_table(GString *out, char *table)
{
    if (table)
        g_string_append_printf(out, "\n%s", table);
    g_free(table);
}

void
emit_tree(const Plan *plan, GString *out)
{
    Drawing drawing = {
        .plan = plan,
        .rows = g_ptr_array_new_with_free_func(row_free),
        .stem = g_string_new(NULL),
    };
    int widths[COLUMNS];
    draw_machine(&drawing);
    measure(drawing.rows, widths);
    append_title(out, plan);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < drawing.rows->len; i++)
        append_row(out, g_ptr_array_index(drawing.rows, i), widths);
    append_table(out, emit_distances(plan));
    append_table(out, emit_attributes(plan));
    append_table(out, emit_names(plan));
    append_table(out, emit_uplinks(plan));
    g_string_free(drawing.stem, TRUE);
    g_ptr_array_unref(drawing.rows);
}
