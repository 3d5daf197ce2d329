/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What one line of TAP says, whatever came before it: results, plans, their directives.
 * Part of tap.c.
 */
#pragma once

#include <glib.h>

typedef enum {
    TAP_DIRECTIVE_NONE,
    TAP_DIRECTIVE_SKIP,
    TAP_DIRECTIVE_TODO,
} TapDirective;

typedef struct {
    gboolean ok;
    gint64 number; /* -1: none was written */
    char *name;    /* may be empty */
    TapDirective directive;
    char *reason; /* the directive's; may be empty */
} TapPoint;

void tap_point_clear(TapPoint *point);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TapPoint, tap_point_clear)

/* "ok 1 - name # SKIP reason": fills POINT, which is all zero. FALSE: not a result. */
gboolean tap_line_point(const char *line, TapPoint *point);
/* "1..N": COUNT is at most G_MAXINT32. SKIP_REASON, which is NULL, is set for
 * "1..0 # SKIP reason" and is the caller's. FALSE: not a plan. */
gboolean tap_line_plan(const char *line, gint64 *count, char **skip_reason);
void tap_line_skip_blanks(const char **p);
