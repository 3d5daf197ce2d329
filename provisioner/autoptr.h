/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Teaches GLib to release the foreign types that the project uses, so that they can be
 * declared with g_autoptr(). GLib's and json-glib's own types bring this with them.
 */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <glib.h>
#include <libelf.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>
#include <libxml/xmlwriter.h>
#include <libxml/xpath.h>
#include <unistd.h>

/* xmlChar is released by xmlFree(), which is not always free(): g_autoptr(xmlChar). */
static inline void
autoptr_xml_char_free(xmlChar *string)
{
    xmlFree(string);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlChar, autoptr_xml_char_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlTextWriter, xmlFreeTextWriter)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathContext, xmlXPathFreeContext)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathObject, xmlXPathFreeObject)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

/* libarchive releases readers and writers of its one type in different ways. */
typedef struct archive ArchiveReader;
typedef struct archive ArchiveWriter;
typedef struct archive_entry ArchiveEntry;

static inline void
autoptr_archive_reader_free(ArchiveReader *archive)
{
    archive_read_free(archive);
}

static inline void
autoptr_archive_writer_free(ArchiveWriter *archive)
{
    archive_write_free(archive);
}

static inline void
autoptr_elf_end(Elf *elf)
{
    elf_end(elf);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveReader, autoptr_archive_reader_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveWriter, autoptr_archive_writer_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveEntry, archive_entry_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Elf, autoptr_elf_end)

/* A descriptor that is closed at the end of its scope: g_auto(AutoFd) fd = open(…). */
typedef int AutoFd;

static inline void
autoptr_fd_close(AutoFd fd)
{
    close(fd);
}

G_DEFINE_AUTO_CLEANUP_FREE_FUNC(AutoFd, autoptr_fd_close, -1)
