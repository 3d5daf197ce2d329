/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the lab-parse*.c files share, and nobody else includes: reading attributes and
 * children of an element with findings for whatever is not as the language wants it.
 * "schema" findings are exactly those that topologies/lab.rng also makes.
 */
#pragma once

#include "lab-xml.h"
#include "lab.h"

/* Bounds of what counts may make of a small file. */
#define LAB_MAX_COUNT 1024
#define LAB_MAX_COPIES 8192   /* elements that may have a count, in a lab */
#define LAB_MAX_WEIGHT 400000 /* all elements with their attributes; see LabXml */
#define LAB_MAX_CPU 4095
#define LAB_MAX_CPUS 65536 /* numbers in all lists of CPUs of a lab */
#define LAB_MAX_ID 64
#define LAB_MAX_OS 200 /* characters in the name of an operating system */
#define LAB_MAX_FINDINGS 100

/* A cell named by a distance or an interconnect, possibly before it was read. */
typedef struct {
    int *cell; /* borrowed from the LabDistance or LabInterconnect that wants to know */
    char *name;
    FilePos pos;
} LabReference;

typedef struct {
    Findings *findings;
    GHashTable
        *told;    /* set of char *: findings already made; copies do not repeat them */
    guint copies; /* elements that may have a count, so far */
    guint weight; /* of all elements so far, copies included */
    guint cpus;   /* numbers in lists of CPUs so far */
    guint part;   /* LabPart that is being read */
    guint faulty; /* LabPart: of what was read so far, where something is wrong */
    gboolean exhausted;    /* a budget is used up: the rest is not read */
    GPtrArray *references; /* LabReference of the host that is being read */
} LabParser;

/* ---- findings ------------------------------------------------------------------- */

void lab_say(LabParser *parser, FilePos pos, const char *check, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* NAMES (ends with NULL) for a sentence, owned by the caller. */
char *lab_list_of(const char *const *names);

/* ---- attributes: each returns TRUE if it is there and right; then *VALUE was set
 * -------------- */

/* The value without blanks around it, or NULL; valid as long as ELEMENT. */
const char *lab_attr(LabParser *parser, LabXml *element, const char *name);
/* The same; an attribute that is missing is a finding. */
const char *lab_attr_needed(LabParser *parser, LabXml *element, const char *name);
/* Needed, and untouched: blanks may matter to the emulator. */
const char *lab_attr_raw(LabParser *parser, LabXml *element, const char *name);
FilePos lab_attr_pos(const LabXml *element, const char *name);
/* What is wrong with the value of the attribute NAME. */
void lab_attr_wrong(LabParser *parser, const LabXml *element, const char *name,
                    const char *what);

/* Decimal numbers. */
gboolean lab_attr_int(LabParser *parser, LabXml *element, const char *name, int minimum,
                      int maximum, int *value);
gboolean lab_attr_number(LabParser *parser, LabXml *element, const char *name,
                         gint64 minimum, gint64 maximum, gint64 *value);
/* Numbers of PCI, which people also write as 0x…. */
gboolean lab_attr_pci(LabParser *parser, LabXml *element, const char *name, int minimum,
                      int maximum, int *value);
gboolean
lab_attr_size(LabParser *parser, LabXml *element, const char *name, gint64 *value);
/* The same, where the unit may also stand in the attribute `unit`, as in libvirt. */
gboolean
lab_attr_size_unit(LabParser *parser, LabXml *element, const char *name, gint64 *value);
gboolean
lab_attr_switch(LabParser *parser, LabXml *element, const char *name, LabSwitch *value);
/* One of NAMES (ends with NULL); its index. */
gboolean lab_attr_choice(LabParser *parser, LabXml *element, const char *name,
                         const char *const *names, int *value);
/* A copy of the value that may not be empty; *VALUE is replaced. */
gboolean
lab_attr_text(LabParser *parser, LabXml *element, const char *name, char **value);
/* The same, of letters, digits, '.', '_' and '-' only, as an emulator's model is. */
gboolean
lab_attr_word(LabParser *parser, LabXml *element, const char *name, char **value);

/* Letters, digits, '.', '_', '-', a letter first, at most LAB_MAX_ID. */
gboolean lab_is_id(const char *text);
/* The element's id in attribute ATTRIBUTE, with the rules of `count` and '+';
 * DEFAULT_STEM and the number INDEX if there is none. Owned by the caller, never NULL. */
char *lab_attr_id(LabParser *parser, LabXml *element, const char *attribute,
                  const char *default_stem, guint index);

/* ---- elements (lab-parse-element.c) --------------------------------------------- */

typedef struct {
    const char *name;
    void (*parse)(LabParser *parser, LabXml *element, gpointer parent);
    gboolean once;    /* at most one in its parent */
    gboolean counted; /* it may have `count`; parse() is called for each copy */
    guint part;       /* LabPart that it is; 0: that of its parent */
} LabChild;

/* Calls the parser of each child. CHILDREN ends with name NULL. To be called when all
 * attributes of ELEMENT were asked for: those that nobody wanted are findings. */
void lab_children(LabParser *parser, LabXml *element, const LabChild *children,
                  gpointer parent);
/* For an element without children. */
void lab_no_children(LabParser *parser, LabXml *element);
/* Text directly in ELEMENT is a finding. Called by the two above. */
void lab_no_text(LabParser *parser, LabXml *element);

/* A relative PATH is meant from the folder of the lab FILE; from the current one where
 * the lab comes from a stream or, "-", from standard input. Owned by the caller. */
char *lab_path_beside(const char *file, const char *path);

/* ---- parts of a lab and a host, one file each
 * --------------------------------------------- */

void lab_parse_network(LabParser *parser, LabXml *element, gpointer lab);
void lab_parse_image(LabParser *parser, LabXml *element, gpointer host);
void lab_parse_cell(LabParser *parser, LabXml *element, gpointer host);
void lab_parse_max_memory(LabParser *parser, LabXml *element, gpointer host);
void lab_parse_interconnects(LabParser *parser, LabXml *element, gpointer host);
void lab_resolve_cells(LabParser *parser, LabHost *host);

/* PARENT is a LabNodePlace. */
typedef struct {
    GPtrArray *list;       /* LabNode: where the new one goes */
    LabNode *parent;       /* or NULL */
    const char *id_prefix; /* or NULL */
} LabNodePlace;
void lab_parse_node(LabParser *parser, LabXml *element, gpointer place);
void lab_parse_property(LabParser *parser, LabXml *element, gpointer list);
