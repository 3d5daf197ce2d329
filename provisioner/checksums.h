/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SHA-256 and SHA-512 digests as people and vendors write them, and the files in which
 * vendors list those of what they publish: SHA256SUMS and SHA512SUMS ("HEX  NAME", "HEX
 * *NAME"), Fedora's and CentOS's CHECKSUM ("SHA256 (NAME) = HEX", perhaps inside a PGP
 * signature, which is not verified), and a file with nothing but one digest. Hostile.
 */
#pragma once

#include <glib.h>

/* TEXT in small letters if it is a digest of TYPE (SHA256 or SHA512), owned by the
 * caller; NULL and an error, to be put behind the name of what it is for: "has 12 …". */
char *checksums_parse_digest(GChecksumType type, const char *text, GError **error);

/* The digest that the list TEXT has for the file NAME, SHA-512 rather than SHA-256; owned
 * by the caller. An error if there is none, or if there are two that differ; it is to be
 * put behind the name of the list. */
char *checksums_find(const char *text, gsize length, const char *name,
                     GChecksumType *type, GError **error);

/* "sha256", "sha512". */
const char *checksums_type_name(GChecksumType type);
