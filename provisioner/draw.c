/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sizes are made bottom up, with each box at 0,0 and its children placed in it; then one
 * walk moves all to their place in the picture.
 */
#include "draw.h"

#include "emit-words.h"

#define BOX_WIDTH 186   /* of a function: an address and a MAC fit */
#define TEXT_MAX 27     /* characters of a line that fit into it */
#define BOX_HEIGHT 40   /* two lines of text */
#define TITLE_HEIGHT 24 /* of an area or a bus */
#define HOST_HEIGHT 62  /* of the picture's title, two lines */
#define GAP 10          /* between boxes */
#define GROUP_MARGIN 4  /* between a group's frame and its members */
#define ROW_WIDTH 1440  /* a row of ports is broken behind it */

static DrawBox *
box_new(DrawKind kind, int width, int height)
{
    DrawBox *box = g_new0(DrawBox, 1);
    box->kind = kind;
    box->width = width;
    box->height = height;
    box->group = PLAN_NONE;
    box->children = g_ptr_array_new_with_free_func((GDestroyNotify)draw_box_free);
    return box;
}

void
draw_box_free(DrawBox *box)
{
    g_free(box->title);
    g_free(box->detail);
    g_ptr_array_unref(box->children);
    g_free(box);
}

static void
put(DrawBox *parent, DrawBox *child, int x, int y)
{
    child->x = x;
    child->y = y;
    g_ptr_array_add(parent->children, child);
    parent->width = MAX(parent->width, x + child->width);
    parent->height = MAX(parent->height, y + child->height);
}

/* ---- functions
 * ------------------------------------------------------------------------------ */

/* Whether FUNCTION and all below it are in GROUP. */
static gboolean
is_all_in(const PlanFunction *function, int group)
{
    if (function->group != group)
        return FALSE;
    for (guint i = 0; i < function->children->len; i++)
        if (!is_all_in(g_ptr_array_index(function->children, i), group))
            return FALSE;
    return TRUE;
}

/* As much of TEXT as fits into a box. */
static char *
fitting(const char *text)
{
    if (g_utf8_strlen(text, -1) <= TEXT_MAX)
        return g_strdup(text);
    g_autofree char *start = g_utf8_substring(text, 0, TEXT_MAX - 1);
    return g_strconcat(start, "…", NULL);
}

static DrawBox *
function_card(const PlanFunction *function, const char *above)
{
    DrawBox *card = box_new(DRAW_FUNCTION, BOX_WIDTH, BOX_HEIGHT);
    g_autofree char *address = emit_short_address(function->address);
    /* A MAC fills the second line, so the network goes into the first. */
    g_autofree char *detail =
        function->network ? g_strdup(function->mac) : emit_function_detail(function);
    g_autofree char *id = emit_short_id(function, above);
    g_autofree char *text =
        g_strdup_printf("%s  %s", address, detail && *detail ? detail : id);
    g_autofree char *title = g_strdup_printf(
        "%s%s%s", function->driver ? function->driver : "built in",
        function->network ? " on " : "", function->network ? function->network : "");
    card->title = fitting(title);
    card->detail = fitting(text);
    card->group = function->group;
    card->is_bridge = function->secondary != PLAN_NONE;
    return card;
}

static void put_row(DrawBox *parent, const GPtrArray *functions, int x, int y, int around,
                    const char *above);

/* A function and all below it: endpoints in a column, bridges in rows. AROUND is the
 * group whose frame already surrounds it. */
static DrawBox *
function_tree(const PlanFunction *function, int around, const char *above)
{
    DrawBox *tree = box_new(DRAW_GROUP, 0, 0);
    gboolean has_frame = function->group != PLAN_NONE && function->group != around;
    if (has_frame)
        tree->group = around = function->group;
    int margin = has_frame ? GROUP_MARGIN : 0;
    int tree_margin = margin;
    gboolean is_uniform = is_all_in(function, function->group);
    DrawBox *card = function_card(function, above);
    put(tree, card, margin, margin);
    tree->width += margin;
    tree->height += margin;
    if (function->children->len == 0)
        return tree;

    /* The frame ends below the card when what follows is in other groups. */
    DrawBox *whole = tree;
    int y = tree->height + GAP / 2;
    if (has_frame && !is_uniform) {
        whole = box_new(DRAW_GROUP, 0, 0);
        put(whole, tree, 0, 0);
        y = whole->height + GAP / 2;
        margin = 0;
        around = PLAN_NONE;
    }
    put_row(whole, function->children, margin, y, around, function->id);
    /* A bridge is as wide as what it leads to. */
    int wider =
        whole->width - margin - card->x - card->width - (whole == tree ? 0 : tree_margin);
    if (wider > 0) {
        card->width += wider;
        tree->width = MAX(tree->width, card->x + card->width + tree_margin);
    }
    whole->width += margin;
    whole->height += margin;
    return whole;
}

/* How many of FUNCTIONS from AT on are in one group with all below them. */
static guint
count_together(const GPtrArray *functions, guint at)
{
    const PlanFunction *first = g_ptr_array_index(functions, at);
    guint end = at;
    while (end < functions->len && first->group != PLAN_NONE &&
           is_all_in(g_ptr_array_index(functions, end), first->group))
        end++;
    return MAX(end - at, 1);
}

/* Members of one group that stand side by side, in one frame. */
static DrawBox *
framed(const GPtrArray *functions, guint at, guint count, int around, gboolean column,
       const char *above)
{
    const PlanFunction *first = g_ptr_array_index(functions, at);
    if (count == 1)
        return function_tree(first, around, above);
    gboolean has_frame = first->group != around;
    int margin = has_frame ? GROUP_MARGIN : 0;
    DrawBox *frame = box_new(DRAW_GROUP, 0, 0);
    frame->group = has_frame ? first->group : PLAN_NONE;
    int x = margin, y = margin;
    for (guint i = at; i < at + count; i++) {
        DrawBox *tree =
            function_tree(g_ptr_array_index(functions, i), first->group, above);
        put(frame, tree, x, y);
        if (column)
            y = frame->height + GAP / 2;
        else
            x = frame->width + GAP;
    }
    frame->width += margin;
    frame->height += margin;
    return frame;
}

static gboolean
is_shown(const PlanFunction *function)
{
    return function->role != PLAN_EXPANDER; /* its bus is drawn in its cell */
}

/* Endpoints go below each other, bridges beside each other, broken into rows. */
static void
put_row(DrawBox *parent, const GPtrArray *all, int left, int top, int around,
        const char *above)
{
    g_autoptr(GPtrArray) functions = g_ptr_array_new();
    gboolean column = TRUE;
    for (guint i = 0; i < all->len; i++) {
        PlanFunction *function = g_ptr_array_index(all, i);
        if (!is_shown(function))
            continue;
        g_ptr_array_add(functions, function);
        column = column && function->secondary == PLAN_NONE && function->parent;
    }
    int x = left, y = top, below = top;
    for (guint i = 0; i < functions->len;) {
        guint count = count_together(functions, i);
        DrawBox *tree = framed(functions, i, count, around, column, above);
        if (!column && x > left && x + tree->width > ROW_WIDTH) {
            x = left;
            y = below + GAP;
        }
        put(parent, tree, x, y);
        below = MAX(below, y + tree->height);
        if (column)
            y = below + GAP / 2;
        else
            x += tree->width + GAP;
        i += count;
    }
}

/* ---- buses, cells, the host
 * -------------------------------------------------------------------- */

static DrawBox *
root_box(const PlanRoot *root)
{
    DrawBox *box = box_new(DRAW_BUS, 2 * BOX_WIDTH, TITLE_HEIGHT);
    const char *above = NULL;
    if (root->expander) {
        g_autofree char *range =
            emit_bus_range(root->expander->secondary, root->expander->subordinate);
        g_autofree char *address = emit_short_address(root->expander->address);
        box->title = g_strdup_printf("%s  ·  expander at %s", range, address);
        above = root->expander->id;
    } else {
        box->title = g_strdup("bus 00");
    }
    put_row(box, root->functions, GAP, TITLE_HEIGHT + GAP / 2, PLAN_NONE, above);
    box->width += GAP;
    box->height += GAP;
    return box;
}

static DrawBox *
area_box(const Plan *plan, int cell, const char *title)
{
    DrawBox *area = box_new(DRAW_AREA, (int)(g_utf8_strlen(title, -1) * 8) + 2 * GAP,
                            TITLE_HEIGHT + GAP);
    area->title = g_strdup(title);
    int y = TITLE_HEIGHT + GAP;
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (root->cell != cell)
            continue;
        put(area, root_box(root), GAP, y);
        y = area->height + GAP;
    }
    area->width += GAP;
    area->height += GAP;
    return area;
}

/* Areas beside each other as long as they fit a row. */
static void
put_areas(DrawBox *host, GPtrArray *areas)
{
    int x = GAP, y = HOST_HEIGHT, below = HOST_HEIGHT;
    while (areas->len > 0) {
        DrawBox *area = g_ptr_array_steal_index(areas, 0);
        if (x > GAP && x + area->width > ROW_WIDTH + 4 * GAP) {
            x = GAP;
            y = below + GAP;
        }
        put(host, area, x, y);
        x += area->width + GAP;
        below = MAX(below, y + area->height);
    }
}

static void
move(DrawBox *box, int x, int y)
{
    box->x += x;
    box->y += y;
    for (guint i = 0; i < box->children->len; i++)
        move(g_ptr_array_index(box->children, i), box->x, box->y);
}

static const char *
plural(guint count)
{
    return count == 1 ? "" : "s";
}

static char *
host_detail(const Plan *plan)
{
    g_autofree char *memory = emit_size_text(plan->memory_bytes);
    GString *text = g_string_new(NULL);
    g_string_printf(text, "%s  ·  %u CPU%s  ·  %s in %u cell%s  ·  ", plan->machine,
                    plan->cpu_count, plural(plan->cpu_count), memory, plan->cells->len,
                    plural(plan->cells->len));
    if (plan->iommu.model == LAB_IOMMU_NONE)
        g_string_append(text, "no IOMMU");
    else
        g_string_append_printf(text, "%s IOMMU, %u group%s (dashed)",
                               lab_iommu_model_name(plan->iommu.model), plan->groups->len,
                               plural(plan->groups->len));
    if (plan->tainted)
        g_string_append(text, "  ·  tainted by raw arguments");
    return g_string_free(text, FALSE);
}

DrawBox *
draw_plan(const Plan *plan)
{
    DrawBox *host = box_new(DRAW_HOST, 600, HOST_HEIGHT);
    host->title = g_strdup_printf("%s: host %s", plan->lab_name, plan->host_id);
    host->detail = host_detail(plan);
    host->width = MAX(host->width, (int)g_utf8_strlen(host->title, -1) * 13);
    g_autoptr(GPtrArray) areas =
        g_ptr_array_new_with_free_func((GDestroyNotify)draw_box_free);
    for (guint i = 0; i < plan->cells->len; i++) {
        g_autofree char *title = emit_cell_title(g_ptr_array_index(plan->cells, i));
        g_ptr_array_add(areas, area_box(plan, (int)i, title));
    }
    g_ptr_array_add(areas, area_box(plan, PLAN_NONE, "near to no cell"));
    put_areas(host, areas);
    host->width += GAP;
    host->height += GAP;
    move(host, 0, 0);
    return host;
}
