/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sizes are made bottom up, with each box at 0,0 and its children placed in it; then one
 * walk moves all to their place in the picture.
 */
#include "draw.h"

#include "emit-words.h"

#define BOX_WIDTH 186   /* of a function: an address and a MAC fit */
#define TEXT_MAX 27     /* characters of a line that fit into it */
#define BOX_HEIGHT 54   /* three lines of text */
#define TITLE_HEIGHT 24 /* of an area or a bus */
#define HOST_HEIGHT 62  /* of the picture's title, two lines */
#define GAP 10          /* between boxes */
#define GROUP_MARGIN 4  /* between a group's frame and its members */
#define GROUP_HEAD 18   /* above them, for its name */
#define TABLE_LINE 16   /* height of a line of a table */
#define LETTER 8        /* width of one, in a title or a table; they are not measured */
#define SMALL_LETTER 6  /* in the title of a bus */
#define ROW_WIDTH 1440  /* a row of ports is broken behind it */

static DrawBox *
box_new(DrawKind kind, int width, int height)
{
    DrawBox *box = g_new0(DrawBox, 1);
    box->kind = kind;
    box->width = width;
    box->height = height;
    box->group = PLAN_NONE;
    box->lines = g_ptr_array_new_with_free_func(g_free);
    box->children = g_ptr_array_new_with_free_func((GDestroyNotify)draw_box_free);
    return box;
}

void
draw_box_free(DrawBox *box)
{
    g_free(box->title);
    g_ptr_array_unref(box->lines);
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
    g_autofree char *id = emit_short_id(function, above);
    g_autofree char *driver = emit_function_model(function);
    g_autofree char *address = emit_short_address(function->address);
    /* A MAC fills its line, so the network goes into that of the model. */
    g_autofree char *detail =
        function->network ? g_strdup(function->mac) : emit_function_detail(function);
    g_autofree char *model =
        g_strdup_printf("%s%s%s", driver, function->network ? " on " : "",
                        function->network ? function->network : "");
    g_autofree char *place =
        g_strdup_printf("%s%s%s", address, *detail ? "  " : "", detail);
    card->title = fitting(id);
    g_ptr_array_add(card->lines, fitting(model));
    g_ptr_array_add(card->lines, fitting(place));
    card->name = function->id;
    card->group = function->group;
    card->is_bridge = function->secondary != PLAN_NONE;
    return card;
}

/* The frame of GROUP; of PLAN_NONE it is not seen. */
static DrawBox *
group_box(int group)
{
    DrawBox *box = box_new(DRAW_GROUP, 0, 0);
    box->group = group;
    if (group != PLAN_NONE)
        box->title = emit_group(group);
    return box;
}

static void put_row(DrawBox *parent, const GPtrArray *functions, int x, int y, int around,
                    const char *above);

/* A function and all below it: endpoints in a column, bridges in rows. AROUND is the
 * group whose frame already surrounds it. */
static DrawBox *
function_tree(const PlanFunction *function, int around, const char *above)
{
    gboolean has_frame = function->group != PLAN_NONE && function->group != around;
    DrawBox *tree = group_box(has_frame ? function->group : PLAN_NONE);
    if (has_frame)
        around = function->group;
    int margin = has_frame ? GROUP_MARGIN : 0;
    int tree_margin = margin;
    gboolean is_uniform = is_all_in(function, function->group);
    DrawBox *card = function_card(function, above);
    put(tree, card, margin, has_frame ? GROUP_HEAD : 0);
    tree->width += margin;
    tree->height += margin;
    if (function->children->len == 0)
        return tree;

    /* The frame ends below the card when what follows is in other groups. */
    DrawBox *whole = tree;
    int y = tree->height + GAP / 2;
    if (has_frame && !is_uniform) {
        whole = group_box(PLAN_NONE);
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
    DrawBox *frame = group_box(has_frame ? first->group : PLAN_NONE);
    int x = margin, y = has_frame ? GROUP_HEAD : 0;
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

/* "expander0  ·  00:02.0 pxb-pcie  ·  buses 20-21  ·  group 1" */
static char *
expander_title(const PlanFunction *expander, const char *above)
{
    g_autofree char *id = emit_short_id(expander, above);
    g_autofree char *address = emit_short_address(expander->address);
    g_autofree char *model = emit_function_model(expander);
    g_autofree char *range = emit_function_detail(expander);
    g_autofree char *group = emit_group(expander->group);
    return g_strdup_printf("%s  ·  %s %s  ·  %s%s%s", id, address, model, range,
                           *group ? "  ·  " : "", group);
}

/* LETTER: width of one, in the title's size. */
static int
title_width(const char *title, int letter)
{
    return (int)g_utf8_strlen(title, -1) * letter + 2 * GAP;
}

static DrawBox *
root_box(const PlanRoot *root, const char *above)
{
    DrawBox *box = box_new(DRAW_BUS, 2 * BOX_WIDTH, TITLE_HEIGHT);
    box->title =
        root->expander ? expander_title(root->expander, above) : g_strdup("root bus 00");
    box->width = MAX(box->width, title_width(box->title, SMALL_LETTER));
    put_row(box, root->functions, GAP, TITLE_HEIGHT + GAP / 2, PLAN_NONE,
            root->expander ? root->expander->id : NULL);
    box->width += GAP;
    box->height += GAP;
    return box;
}

/* CELL is NULL for what belongs to none. */
static DrawBox *
area_box(const Plan *plan, const PlanCell *cell)
{
    DrawBox *area = box_new(DRAW_AREA, 0, TITLE_HEIGHT + GAP);
    area->title = cell ? emit_cell_title(cell) : g_strdup("near to no cell");
    area->width = title_width(area->title, LETTER);
    int y = TITLE_HEIGHT + GAP;
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (root->cell != (cell ? cell->index : PLAN_NONE))
            continue;
        put(area, root_box(root, cell ? cell->id : NULL), GAP, y);
        y = area->height + GAP;
    }
    area->width += GAP;
    area->height += GAP;
    return area;
}

/* The lines of TEXT, the first as its title. */
static DrawBox *
table_box(const char *text)
{
    DrawBox *table = box_new(DRAW_AREA, 0, TITLE_HEIGHT);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    table->title = g_strdup(lines[0]);
    table->width = title_width(table->title, LETTER);
    for (char **line = lines + 1; *line && **line; line++) {
        table->width = MAX(table->width, title_width(*line, LETTER));
        table->height += TABLE_LINE;
        g_ptr_array_add(table->lines, g_strdup(*line));
    }
    table->height += GAP;
    return table;
}

/* Takes TEXT, which may be NULL. */
static void
add_table(GPtrArray *areas, char *text)
{
    if (text)
        g_ptr_array_add(areas, table_box(text));
    g_free(text);
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

DrawBox *
draw_plan(const Plan *plan)
{
    DrawBox *host = box_new(DRAW_HOST, 600, HOST_HEIGHT);
    host->title = emit_host_title(plan);
    g_ptr_array_add(host->lines, emit_host_detail(plan));
    host->width = MAX(host->width, (int)g_utf8_strlen(host->title, -1) * 13);
    g_autoptr(GPtrArray) areas =
        g_ptr_array_new_with_free_func((GDestroyNotify)draw_box_free);
    for (guint i = 0; i < plan->cells->len; i++)
        g_ptr_array_add(areas, area_box(plan, g_ptr_array_index(plan->cells, i)));
    g_ptr_array_add(areas, area_box(plan, NULL));
    add_table(areas, emit_distances(plan));
    add_table(areas, emit_attributes(plan));
    put_areas(host, areas);
    host->width += GAP;
    host->height += GAP;
    move(host, 0, 0);
    return host;
}
