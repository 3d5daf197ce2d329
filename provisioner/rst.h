/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The project's documents (reStructuredText) as text for a terminal: as much of that
 * language as they use. What is not understood is printed as it stands.
 */
#pragma once

#include <glib.h>

/* DOCUMENT's lines from the title TITLE on, up to the next of the same rank or higher;
 * owned by the caller. Case, and what marks a title's words, do not count. NULL: there is
 * no such title. */
char *rst_section(const char *document, const char *title);
/* All titles of DOCUMENT without their marks, in order; GPtrArray of char *. */
GPtrArray *rst_titles(const char *document);

/* DOCUMENT, or a section, for COLUMNS; owned by the caller. With STYLED, strong words and
 * titles have the terminal's sequences around them. */
char *rst_to_text(const char *document, guint columns, gboolean styled);

/* One line of words without their marks, as rst_to_text() has it; rst-words.c. */
char *rst_words(const char *text, gboolean styled);
/* TEXT in lines of at most COLUMNS, the first after FIRST, the others after REST. */
void rst_wrap(GString *out, const char *text, const char *first, const char *rest,
              guint columns);
