/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite asks of the harness, and what it is answered, in the form of
 * vmtests/ask-wire.h: lines are found in what it prints, answers are its standard input.
 * What the lines say is for whoever obeys them (plug.h, count.h, …), and hostile.
 */
#pragma once

#include <glib.h>

typedef struct Requests Requests;

/* Those of one kind; STATE is what is kept to obey them. */
typedef struct {
    /* LINE is what follows the prefix. */
    void (*obey)(const char *line, gpointer state);
    gboolean (*settle)(gpointer state); /* NULL: nothing is changed by them */
    void (*free)(gpointer state);
} RequestsKind;

/* Takes STATE. */
Requests *requests_new(const RequestsKind *kind, gpointer state);
/* Only once requests_settle() was called, or when the host has ended. */
void requests_free(Requests *requests);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Requests, requests_free)

/* The suite's standard input. */
int requests_fd(const Requests *requests);
/* What it printed on its standard output. */
void requests_hear(Requests *requests, const guint8 *data, gsize length);
/* How many requests it made. */
guint requests_count(const Requests *requests);
/* "ABOUT WORD MORE"; MORE may be NULL. It is never waited for a suite that does not read:
 * it loses answers. */
void requests_answer(Requests *requests, const char *about, const char *word,
                     const char *more);
/* Nothing more is heard of the host. FALSE: something is not as it was at its start, or
 * an answer is still to come, so that the host has to be ended. */
gboolean requests_settle(const Requests *requests);
