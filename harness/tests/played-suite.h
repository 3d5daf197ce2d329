/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A suite that a test plays: what it asks, and what it is answered. For tests that
 * include cmocka.
 */
#pragma once

#include <string.h>
#include <unistd.h>

#include "ask-wire.h"
#include "requests.h"

/* It prints the request TEXT, without prefix and end. */
static inline void
played_say(Requests *requests, const char *text)
{
    g_autofree char *line = g_strconcat(ASK_PREFIX, text, "\n", NULL);
    requests_hear(requests, (const guint8 *)line, strlen(line));
}

/* What was answered last, without its end; owned by the caller. */
static inline char *
played_answer(const Requests *requests)
{
    char line[ASK_LINE_MAX] = "";
    ssize_t length = read(requests_fd(requests), line, sizeof line - 1);
    assert_true(length > 1);
    return g_strndup(line, (gsize)length - 1);
}

static inline void
played_assert_answer(const Requests *requests, const char *expected)
{
    g_autofree char *said = played_answer(requests);
    assert_string_equal(said, expected);
}
