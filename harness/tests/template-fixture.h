/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Entries of the store of templates that no host was frozen for, in the test's own cache
 * (image-fixture.h).
 */
#pragma once

#include "template-store.h"

/* Bytes of an entry's memory. */
#define FAKE_MEMORY ((goffset)64 << 20)

/* A descriptor of SIZE bytes, holes but for TEXT at OFFSET; the caller's to close. */
int fake_memory(const char *text, goffset offset, goffset size);
/* One of a lab and an accelerator, with a key of its own. */
TemplateAbout *fake_about(const char *lab, const char *accel);
/* An entry with state and memory that is not committed yet. */
TemplateWriter *fake_template_writer(const char *lab, const char *accel);
/* One of two hosts. */
TemplateWriter *fake_lab_writer(const char *lab);
/* The key of an entry, owned by the caller; by default of an emulated host. */
char *fake_template_for(const char *lab, const char *accel);
char *fake_template(const char *lab);
/* Where its file NAME is, or (NULL) its folder. */
char *template_path(const char *key, const char *name);
guint count_templates(void);
/* cmocka's set-up of a test. */
int empty_templates(void **state);
