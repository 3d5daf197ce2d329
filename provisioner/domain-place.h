/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where a domain is started: by the user's own libvirt on this machine, whose emulators
 * read the user's files, or by another, which needs what the host boots in a place of its
 * own. Only text; it knows no libvirt.
 */
#pragma once

#include <glib.h>

/* Whether the libvirt at URI is the user's own on this machine. */
gboolean domain_place_is_own(const char *uri);

/* The path where libvirt will find FILE, which of the disk of an image is the name of a
 * descriptor that was inherited; IS_WRITTEN: the host has it for itself. Owned by the
 * caller. */
typedef char *(*DomainPut)(const char *file, gboolean is_written, gpointer user_data,
                           GError **error);

/* The descriptor that FILE names; -1: it names none. */
int domain_place_fd(const char *file);

/* XML, a domain, with what PUT says of each file that it boots from; owned by the caller.
 */
char *
domain_place_files(const char *xml, DomainPut put, gpointer user_data, GError **error);

/* XML, a domain, called by UUID there; owned by the caller. */
char *domain_place_uuid(const char *xml, const char *uuid);

/* What a domain asks of whoever starts it, and its name there; owned by the caller. */
typedef struct {
    char *name, *type, *emulator, *machine;
    char *firmware; /* NULL: the one that keeps nothing */
    char *nvram;    /* what it keeps that in; NULL: libvirt has not said yet */
} DomainNeeds;

DomainNeeds *domain_needs_new(const char *xml, GError **error);
void domain_needs_free(DomainNeeds *needs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainNeeds, domain_needs_free)

/* A file that hostbed put into a place. */
typedef struct {
    char *name;
    double used_s;    /* when it was used last, by the clock there */
    guint64 bytes;    /* that it takes there */
    gboolean is_disk; /* a host's own, which needs its name only as it starts */
} DomainFile;

void domain_file_free(DomainFile *file);

/* What a file is called, of the digest (SHA-256) of what is in it; owned by the caller.
 */
char *domain_file_name(const char *digest);
/* The same of the disk of one host, by a UUID of its own. */
char *domain_file_disk_name(const char *uuid);

/* A new volume of BYTES bytes, for libvirt; and a pool whose volumes are files of FOLDER,
 * which others than root can get at by their names alone. Owned by the caller. */
char *domain_volume_xml(const char *name, gsize bytes);
char *domain_pool_xml(const char *name, const char *folder);
/* Whether the volumes of the pool that libvirt describes in XML are files, which
 * emulators can boot from. */
gboolean domain_pool_has_files(const char *xml);

/* FILE for the volume that libvirt describes in XML; NULL: it is none that hostbed put
 * there. */
DomainFile *domain_file_of_volume(const char *xml);

/* Puts those last of FILES, of DomainFile, that are to go; the number of those that stay.
 * What was used last of all tells what time it is. */
guint domain_files_to_keep(GPtrArray *files);
