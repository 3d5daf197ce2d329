/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is wrong with a lab. Parser, checks and planner report all that they find, not the
 * first; each finding names the check that made it and the place in the lab file that it
 * is about. A finding that is an error refuses the lab; a warning or a note does not.
 */
#pragma once

#include <glib.h>

/* A place in a file. The file name is interned (g_intern_string) and never freed;
 * line 0 means "the file as a whole", file NULL means "no file" (a lab made by a
 * program). */
typedef struct {
    const char *file;
    int line;
} FilePos;

typedef enum {
    FINDING_ERROR,       /* the lab cannot exist or means nothing: exit status HB_USAGE */
    FINDING_UNSUPPORTED, /* fine elsewhere, not with this emulator: HB_UNSUPPORTED */
    FINDING_WARNING,     /* will work, probably not as meant */
    FINDING_NOTE, /* what a choice costs: "8 NICs on one port share one IOMMU group" */
} FindingLevel;

const char *finding_level_name(FindingLevel level); /* "error", "unsupported", … */

typedef struct {
    FindingLevel level;
    FilePos pos;
    const char *check; /* static or interned: "schema", "bus-range", … */
    char *message;     /* one sentence, what is wrong and what would be right */
    guint more;        /* further copies of the element of which the same was found */
} Finding;

typedef struct Findings Findings;

Findings *findings_new(void);
void findings_free(Findings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Findings, findings_free)

/* Copies of an element (count="8") are one finding: what on the same line differs from
 * another only by numbers, as ids and addresses do, is counted in that one. */
void findings_add(Findings *findings, FindingLevel level, FilePos pos, const char *check,
                  const char *format, ...) G_GNUC_PRINTF(5, 6);

guint findings_count(const Findings *findings, FindingLevel level);
guint findings_total(const Findings *findings);
/* In order of file and line, then of discovery, whatever order they were added in. */
const Finding *findings_get(const Findings *findings, guint index);

/* TRUE if the lab may be used: no FINDING_ERROR and no FINDING_UNSUPPORTED. */
gboolean findings_ok(const Findings *findings);

/* Its message, and of copies how many more there are. Owned by the caller. */
char *finding_text(const Finding *finding);

/* "FILE:LINE: error: MESSAGE [CHECK]\n" for each one, as compilers print, and of copies
 * how many more there are. The result is owned by the caller. */
char *findings_to_text(const Findings *findings);
