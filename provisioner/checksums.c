/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checksums.h"

#include <string.h>

#include "error.h"
#include "printable.h"

#define TYPES 2

static const struct {
    GChecksumType type;
    const char *name; /* as the lists in BSD's form have it, in small letters */
    gsize digits;
} types[TYPES] = {{G_CHECKSUM_SHA512, "sha512", 128}, {G_CHECKSUM_SHA256, "sha256", 64}};

#define HEX "0123456789abcdefABCDEF"

const char *
checksums_type_name(GChecksumType type)
{
    return type == G_CHECKSUM_SHA512 ? "sha512" : "sha256";
}

char *
checksums_parse_digest(GChecksumType type, const char *text, GError **error)
{
    gsize digits = type == G_CHECKSUM_SHA512 ? 128 : 64;
    if (strlen(text) == digits && strspn(text, HEX) == digits)
        return g_ascii_strdown(text, -1);
    g_set_error(error, HB_ERROR, HB_USAGE,
                "is not a digest of %s, which has %" G_GSIZE_FORMAT
                " hexadecimal digits; it has %" G_GSIZE_FORMAT " characters",
                checksums_type_name(type), digits, strlen(text));
    return NULL;
}

/* Index in types, or -1. */
static int
type_of_length(gsize digits)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].digits == digits)
            return i;
    return -1;
}

/* What is listed may be in a folder: only the last part counts. */
static gboolean
is_name(const char *listed, const char *name)
{
    const char *slash = strrchr(listed, '/');
    return strcmp(slash ? slash + 1 : listed, name) == 0;
}

/* "SHA256 (NAME) = HEX". -1: LINE is none, or of another file. */
static int
match_bsd(const char *line, const char *name, const char **digest)
{
    const char *open = strstr(line, " ("), *close = g_strrstr(line, ") = ");
    if (!open || !close || close < open)
        return -1;
    g_autofree char *type = g_ascii_strdown(line, open - line);
    g_autofree char *listed = g_strndup(open + 2, (gsize)(close - open - 2));
    *digest = close + 4;
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, type) == 0 && strlen(*digest) == types[i].digits &&
            is_name(listed, name))
            return i;
    return -1;
}

/* "HEX  NAME", "HEX *NAME", or HEX alone. */
static int
match_gnu(const char *line, const char *name, const char **digest)
{
    gsize digits = strspn(line, HEX);
    const char *listed = line + digits;
    *digest = line;
    if (*listed != '\0' && *listed != ' ' && *listed != '\t')
        return -1;
    while (*listed == ' ' || *listed == '\t' || *listed == '*')
        listed++;
    return *listed == '\0' || is_name(listed, name) ? type_of_length(digits) : -1;
}

/* Takes what LINE says into FOUND. FALSE: it was said before in other words. */
static gboolean
take_line(const char *line, const char *name, char *found[TYPES])
{
    const char *digest = NULL;
    int i = match_bsd(line, name, &digest);
    if (i < 0)
        i = match_gnu(line, name, &digest);
    if (i < 0 || strspn(digest, HEX) < types[i].digits)
        return TRUE;
    g_autofree char *cut = g_strndup(digest, types[i].digits);
    g_autofree char *small = g_ascii_strdown(cut, -1);
    if (found[i])
        return strcmp(found[i], small) == 0;
    found[i] = g_steal_pointer(&small);
    return TRUE;
}

static char *
choose(char *found[TYPES], GChecksumType *type)
{
    for (int i = 0; i < TYPES; i++) {
        if (!found[i])
            continue;
        *type = types[i].type;
        return g_strdup(found[i]);
    }
    return NULL;
}

char *
checksums_find(const char *text, gsize length, const char *name, GChecksumType *type,
               GError **error)
{
    char *found[TYPES] = {NULL};
    gboolean agree = TRUE;
    g_autofree char *whole = g_strndup(text, length);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    for (char **line = lines; *line && agree; line++)
        agree = take_line(g_strstrip(*line), name, found);
    char *digest = agree ? choose(found, type) : NULL;
    for (int i = 0; i < TYPES; i++)
        g_free(found[i]);
    if (!digest) {
        g_autofree char *shown = printable(name, strlen(name), 200);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s '%s'",
                    agree ? "has no SHA-256 or SHA-512 of" : "contradicts itself about",
                    shown);
    }
    return digest;
}
