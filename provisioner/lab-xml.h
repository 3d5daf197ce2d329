/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hostile bytes → a small tree of elements that know their lines. This is the only file
 * of the language that talks to libxml2. It knows XML and the namespace, not what a lab
 * means. No DOCTYPE, no entity but XML's own five, no network; size, depth and number are
 * bounded, so time and memory are, too.
 */
#pragma once

#include <glib.h>

#include "findings.h"

#define LAB_NAMESPACE "urn:hostbed:lab:1"

/* Bounds of the input, so that hostbed stays below 32 MiB whatever it is given. 128 cells
 * with every distance and attribute written out fit. */
#define LAB_XML_MAX_BYTES (2 * 1024 * 1024)
#define LAB_XML_MAX_ELEMENTS 25000
#define LAB_XML_MAX_ALL_ATTRIBUTES 60000
#define LAB_XML_MAX_DEPTH 32
#define LAB_XML_MAX_ATTRIBUTES 64 /* of one element */

typedef struct {
    char *name; /* as written, with its prefix if it has one */
    char *value;
    FilePos pos;
    gboolean asked; /* somebody wanted it, so it is known */
} LabXmlAttribute;

typedef struct LabXml LabXml;
struct LabXml {
    char *name;            /* as written */
    gboolean is_foreign;   /* not in LAB_NAMESPACE */
    guint number;          /* from 1, in the order of the file */
    FilePos pos;           /* of its '<' */
    LabXml *parent;        /* borrowed */
    GPtrArray *attributes; /* LabXmlAttribute; NULL: none */
    GPtrArray *children;   /* LabXml; NULL: none */
    GString *text;    /* all character data directly inside, or NULL if only blanks */
    FilePos text_pos; /* of its first character that is not blank */
    GString *blanks;  /* what stands before that; or NULL */

    guint
        weight; /* what a copy costs: 1, and 1 for every 64 bytes of attributes or text */

    /* For lab-parse: how often this element was made into something so far, of which
     * `count` in this place. */
    guint copies;
    guint copy, count;
    gboolean has_unknown; /* an element stands in it that nobody knows */
    GPtrArray *asked; /* const char *: the attributes that it may have; NULL: none yet */
};

void lab_xml_free(LabXml *element);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabXml, lab_xml_free)

/* The root element, or NULL with a finding. FILE is interned. */
LabXml *
lab_xml_read(const char *text, gsize length, const char *file, Findings *findings);

/* TEXT made fit for a message: one line, printable, not long. Owned by the caller. */
char *lab_xml_quote(const char *text);
