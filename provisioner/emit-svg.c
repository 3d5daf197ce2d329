/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → a picture. Where things stand is draw.c's; here are colours and letters.
 */
#include "autoptr.h"
#include "draw.h"
#include "emit.h"

/* A style for each kind of box. Groups get a colour each, all equally far from the last.
 */
static const char style[] =
    "text{font:12px 'DejaVu Sans',Verdana,sans-serif;fill:#1f2933}"
    ".small{font-size:11px;fill:#52606d}"
    ".head{font-size:20px;font-weight:bold}"
    ".title{font-weight:bold}"
    ".columns{font-family:'DejaVu Sans Mono',monospace}"
    ".host{fill:#ffffff}"
    ".area{fill:#eef2f6;stroke:#9fb3c8}"
    ".bus{fill:#ffffff;stroke:#bcccdc}"
    ".bridge{fill:#ffffff;stroke:#7b8794}"
    ".device{fill:#ffffff;stroke:#334e68;stroke-width:1.5}"
    ".frame{stroke-dasharray:5 3;stroke-width:1.5}";

static void attribute(xmlTextWriter *writer, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
attribute(xmlTextWriter *writer, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    xmlTextWriterWriteAttribute(writer, BAD_CAST name, BAD_CAST value);
}

static void
paint_rectangle(xmlTextWriter *writer, const DrawBox *box, const char *class, int radius)
{
    xmlTextWriterStartElement(writer, BAD_CAST "rect");
    attribute(writer, "class", "%s", class);
    attribute(writer, "x", "%d", box->x);
    attribute(writer, "y", "%d", box->y);
    attribute(writer, "width", "%d", box->width);
    attribute(writer, "height", "%d", box->height);
    attribute(writer, "rx", "%d", radius);
    if (box->kind == DRAW_GROUP) {
        int hue = box->group * 137 % 360; /* the golden angle: neighbours differ */
        attribute(writer, "fill", "hsl(%d,70%%,90%%)", hue);
        attribute(writer, "stroke", "hsl(%d,60%%,45%%)", hue);
    }
    xmlTextWriterEndElement(writer);
}

static void
paint_text(xmlTextWriter *writer, int x, int y, const char *class, const char *text)
{
    if (!text)
        return;
    xmlTextWriterStartElement(writer, BAD_CAST "text");
    attribute(writer, "x", "%d", x);
    attribute(writer, "y", "%d", y);
    attribute(writer, "class", "%s", class);
    xmlTextWriterWriteString(writer, BAD_CAST text);
    xmlTextWriterEndElement(writer);
}

/* The words that a pointer brings up. */
static void
paint_tooltip(xmlTextWriter *writer, const char *text)
{
    xmlTextWriterWriteElement(writer, BAD_CAST "title", BAD_CAST text);
}

static void
paint_function(xmlTextWriter *writer, const DrawBox *box)
{
    xmlTextWriterStartElement(writer, BAD_CAST "g");
    if (box->name)
        paint_tooltip(writer, box->name);
    paint_rectangle(writer, box, box->is_bridge ? "bridge" : "device", 3);
    paint_text(writer, box->x + 7, box->y + 16, "title", box->title);
    for (guint i = 0; i < box->lines->len; i++)
        paint_text(writer, box->x + 7, box->y + 31 + 15 * (int)i, "small",
                   g_ptr_array_index(box->lines, i));
    xmlTextWriterEndElement(writer);
}

static void
paint_area(xmlTextWriter *writer, const DrawBox *box)
{
    paint_rectangle(writer, box, "area", 10);
    paint_text(writer, box->x + 12, box->y + 21, "title", box->title);
    for (guint i = 0; i < box->lines->len; i++)
        paint_text(writer, box->x + 12, box->y + 38 + 16 * (int)i, "columns",
                   g_ptr_array_index(box->lines, i));
}

/* A frame without a group only holds boxes together. */
static void
paint_group(xmlTextWriter *writer, const DrawBox *box)
{
    if (box->group == PLAN_NONE)
        return;
    paint_rectangle(writer, box, "frame", 6);
    paint_text(writer, box->x + 7, box->y + 13, "small", box->title);
}

static void
paint(xmlTextWriter *writer, const DrawBox *box)
{
    switch (box->kind) {
    case DRAW_HOST:
        paint_rectangle(writer, box, "host", 0);
        paint_text(writer, box->x + 14, box->y + 28, "head", box->title);
        paint_text(writer, box->x + 14, box->y + 49, "",
                   g_ptr_array_index(box->lines, 0));
        break;
    case DRAW_AREA:
        paint_area(writer, box);
        break;
    case DRAW_BUS:
        paint_rectangle(writer, box, "bus", 6);
        paint_text(writer, box->x + 10, box->y + 18, "small", box->title);
        break;
    case DRAW_GROUP:
        paint_group(writer, box);
        break;
    case DRAW_FUNCTION:
        paint_function(writer, box);
        break;
    }
    for (guint i = 0; i < box->children->len; i++)
        paint(writer, g_ptr_array_index(box->children, i));
}

void
emit_svg(const Plan *plan, GString *out)
{
    g_autoptr(DrawBox) host = draw_plan(plan);
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    g_autoptr(xmlTextWriter) writer = xmlNewTextWriterMemory(buffer, 0);
    xmlTextWriterSetIndent(writer, 1);
    xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL);
    xmlTextWriterStartElement(writer, BAD_CAST "svg");
    attribute(writer, "xmlns", "http://www.w3.org/2000/svg");
    attribute(writer, "xml:space", "preserve"); /* a table's columns are blanks */
    attribute(writer, "width", "%d", host->width);
    attribute(writer, "height", "%d", host->height);
    attribute(writer, "viewBox", "0 0 %d %d", host->width, host->height);
    paint_tooltip(writer, host->title);
    xmlTextWriterWriteElement(writer, BAD_CAST "style", BAD_CAST style);
    paint(writer, host);
    xmlTextWriterEndDocument(writer);
    xmlTextWriterFlush(writer);
    g_string_append_len(out, (const char *)xmlBufferContent(buffer),
                        xmlBufferLength(buffer));
}
