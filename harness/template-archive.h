/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A template that is kept ↔ a tar archive, compressed, holes left out: to be taken to
 * another machine, or kept by a CI between its runs. What comes in is hostile: names,
 * order, sizes and checksums are compared with what must be, and nothing is an entry
 * before all is. They say that it is whole, not whose it is: a template is a running host
 * with all that it will do, to be taken from those only whose programs one runs.
 */
#pragma once

#include "template-store.h"

gboolean template_export(const StoredTemplate *stored, int fd, GError **error);
/* Makes what is read from FD an entry; its key, owned by the caller. HB_USAGE: it is no
 * template, or not whole. HB_UNSUPPORTED: it cannot live on this machine. */
char *template_import(int fd, GError **error);
