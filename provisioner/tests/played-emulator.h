/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An emulator that is played by the test itself: what both sides need. The playing side
 * ends with a status from 90 on where the descriptors are not what they were to be.
 */
#pragma once

#include "plan.h"

#define PLAYED_GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

/* The number of the channel ID among the arguments. */
int played_find_fd(char **argv, const char *id);
void played_say(int fd, const char *text);
/* Reads up to the end of a line. */
void played_hear_line(int fd);
void played_say_event(int qmp, const char *event, const char *data);
/* A host with nothing in it. */
Plan *played_plan(void);
/* Removes DIR with the logs in it that every start writes; not 0: it has more in it. */
int played_remove_logs(const char *dir);
