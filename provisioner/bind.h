/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Functions of a host that a command finds bound to vfio-pci: which ones a selector
 * means, whether they can be had, and the words by which the command is told. Pure: all
 * of it follows from the plan, but for the numbers of the groups, which the host's kernel
 * gives.
 *
 * A selector is
 *
 *     WHAT[@CELL][:COUNT]
 *
 * WHAT is a class (bind_classes), an element's id, a model, or an address ("0000:b5:00.0"
 * or "b5:00.0", which is that function whatever else is said). CELL is a cell's id, or
 * its number in the lab, or "none". COUNT is a number, by default 1, or "all". Functions
 * are taken in the order of their addresses, each once.
 */
#pragma once

#include <glib.h>

#include "plan.h"

/* The module that takes functions; it brings what else VFIO needs. */
#define BIND_MODULE "vfio-pci"

typedef struct {
    const PlanFunction *function; /* borrowed from the plan */
    char *cell;                   /* id of its cell, or NULL */
    char *interface; /* of its network interface before it is bound: "eth2"; or NULL */
    gboolean asked;  /* else only its group is */
    gint64 group;    /* the host's kernel's number for it; PLAN_NONE: not known yet */
} Binding;

typedef struct {
    GPtrArray *all;   /* Binding: the asked ones in the order they were asked for, then
                         those that share their groups */
    guint asked;      /* the number of the former */
    GPtrArray *names; /* Binding: every function of the plan that a selector can mean */
} Bindings;

/* The words for classes, NULL at the end. */
extern const char *const bind_classes[];

/* What SELECTORS (NULL: none) mean in PLAN, which must live longer. HB_USAGE: they mean
 * nothing, or less than they ask for, or a group cannot be had whole. */
Bindings *bindings_new(const Plan *plan, const char *const *selectors, GError **error);
void bindings_free(Bindings *bindings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bindings, bindings_free)

/* The addresses of all that must be bound, NULL at the end. */
GStrv bindings_addresses(const Bindings *bindings);
/* Takes what the host says of its groups: "ADDRESS GROUP" a line, one for each address.
 * TEXT is hostile. */
gboolean bindings_take_groups(Bindings *bindings, const char *text, GError **error);

/* ---- bind-words.c */

/* WORDS with place-holders filled in: {bind:N.FIELD} and {bind:addresses}. HB_USAGE for
 * one that begins with "{bind:" and is none of these; other braces mean nothing. */
GStrv bindings_fill(const Bindings *bindings, const char *const *words, GError **error);
/* HOSTBED_BIND_… as "NAME=VALUE"; nothing where nothing was asked for. */
GStrv bindings_environment(const Bindings *bindings);
/* All functions of the plan, one a line. */
char *bindings_list(const Bindings *bindings);
