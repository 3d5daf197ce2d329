/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What template.c, which freezes and clones, and template-keep.c share.
 */
#pragma once

#include "boot-private.h"
#include "template.h"

struct Template {
    BootRecipe *recipe;
    int state_fd;
    char *nonce; /* of the host: who has it was not booted again */
    char *key;   /* in the store, or NULL */
    char *made;  /* of one that was found there: when */
};
