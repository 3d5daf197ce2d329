/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tap-levels.h"

#include "tap-line.h"
#include "tap.h"

typedef struct {
    guint indent;
    gint64 planned; /* -1: no plan yet */
    guint count, failed;
    gboolean broken; /* a second plan, or a number that was there before */
} Level;

GArray *
tap_levels_new(void)
{
    return g_array_new(FALSE, TRUE, sizeof(Level));
}

gboolean
tap_levels_close(GArray *levels, guint depth)
{
    gboolean wrong = FALSE;
    while (levels->len > depth) {
        Level level = g_array_index(levels, Level, levels->len - 1);
        g_array_set_size(levels, levels->len - 1);
        wrong |= level.failed || level.broken || level.planned != (gint64)level.count;
    }
    return wrong;
}

/* The level that a line indented by INDENT belongs to; what is deeper ends before it. */
static Level *
level_at(GArray *levels, guint indent)
{
    guint depth = 0;
    while (depth < levels->len && g_array_index(levels, Level, depth).indent < indent)
        depth++;
    depth = MIN(depth, TAP_DEPTH_MAX - 1);
    gboolean known =
        depth < levels->len && g_array_index(levels, Level, depth).indent <= indent;
    gboolean wrong = tap_levels_close(levels, known ? depth + 1 : depth);
    if (!known) {
        Level level = {.indent = indent, .planned = -1};
        g_array_append_val(levels, level);
    }
    Level *level = &g_array_index(levels, Level, depth);
    level->broken |= wrong;
    return level;
}

void
tap_levels_read(GArray *levels, const char *text, guint indent)
{
    g_auto(TapPoint) point = {0};
    g_autofree char *skip_reason = NULL;
    gint64 count;
    if (tap_line_plan(text, &count, &skip_reason)) {
        Level *level = level_at(levels, indent);
        level->broken |= level->planned >= 0;
        level->planned = count;
    } else if (tap_line_point(text, &point) && point.number >= 0) {
        Level *level = level_at(levels, indent);
        level->count++;
        level->broken |= point.number != (gint64)level->count;
        level->failed += !point.ok && point.directive == TAP_DIRECTIVE_NONE;
    } else if (g_str_has_prefix(text, "Bail out!")) {
        level_at(levels, indent)->broken = TRUE;
    }
}
