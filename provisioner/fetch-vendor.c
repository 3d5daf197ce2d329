/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where vendors list the checksums of their images, which libosinfo does not know: by the
 * addresses that their images have.
 */
#include <string.h>

#include "fetch.h"

static const struct {
    const char *image; /* a regular expression of the whole address */
    const char *list;  /* what it is replaced by */
} vendors[] = {
    {"^(https://cloud\\.debian\\.org/.*/)[^/]+$", "\\1SHA512SUMS"},
    {"^(https://cloud-images\\.ubuntu\\.com/.*/)[^/]+$", "\\1SHA256SUMS"},
    {"^(https://cloud\\.centos\\.org/.*/[^/]+)$", "\\1.SHA256SUM"},
    {"^(https://dl-cdn\\.alpinelinux\\.org/.*/[^/]+)$", "\\1.sha512"},
    /* The release and the number of its compose are somewhere in the name. */
    {"^(https://[^/]*\\.fedoraproject\\.org/.*/)Fedora-Cloud-[^/"
     "]*?([0-9]+-[0-9]+\\.[0-9]+)"
     "[^/]*$",
     "\\1Fedora-Cloud-\\2-x86_64-CHECKSUM"},
};

char *
fetch_vendor_list(const char *url)
{
    for (gsize i = 0; i < G_N_ELEMENTS(vendors); i++) {
        g_autoptr(GRegex) image = g_regex_new(vendors[i].image, 0, 0, NULL);
        if (image && g_regex_match(image, url, 0, NULL))
            return g_regex_replace(image, url, -1, 0, vendors[i].list, 0, NULL);
    }
    return NULL;
}
