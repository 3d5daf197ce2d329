/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which functions are wired to each other, as HOSTBED_NETWORKS says.
 */
#pragma once

#include <stdbool.h>

#define NETWORK_NAME_MAX 65 /* with its end */

/* The network that the function at ADDRESS is on. false: none. */
bool network_of(const char *address, char name[NETWORK_NAME_MAX]);
/* Both are on a network, and on the same. */
bool are_wired(const char *one, const char *other);

/* The first two functions that are wired to each other, of those that FUNCTION has for 0,
 * 1 and so on until it has none (NULL). false: there are no two. */
bool wired_pair(const char *(*function)(unsigned number), const char **one,
                const char **other);
