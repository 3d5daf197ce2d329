/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What goes over the socket of a lab's supervisor: lines of JSON (json-line.h). Who
 * connects sends one request, {"request": …}:
 *
 * "up", with "hosts" (all if empty) and "digest" of the lab's file: answered when they
 * are up, with {"already": …, "hosts": […]}. Who sends no more before that (shutdown(2))
 * does not wait any more, and is answered by the end of the connection: when nothing of
 * the lab is left, if nobody else waits for its start.
 *
 * "down": answered by the end of the connection, when nothing of the lab is left.
 *
 * "agent", with "host": after the answer both sides speak the frames of vmtests/wire.h.
 *
 * "console", with "host": after the answer what the console prints comes, and what is
 * sent is typed there.
 *
 * "qmp", with "host", "command" and "arguments": answered with {"return": …}.
 *
 * "verify", with "host": answered with {"results": […]}, of report_case_to_json().
 *
 * "plug", with "host", "device" (words as of hostbed plug) and perhaps "expander" or
 * "port"; "unplug", with "host" and "device": answered with the same "results", and
 * "device", "address", "port", "node", and "already" if nothing was to be done.
 *
 * "pause", "resume", "nmi", with "host": answered with "already".
 *
 * "link", with "host" and, unless all NICs are to be told, "device" and either "up" or
 * "loss" (of 1000 frames): answered with "nics", or of that one "device", "address",
 * "network", "up", "loss", and for "up" whether "already" and "unnoticed".
 *
 * "disk", with "host" and, unless all disks are to be told, "device" and one of "look",
 * "error" (with "sector", "once"), "suspend" or "resume", in the words of hostbed disk:
 * answered with "disks", or of that one "device", "address", "bytes", "errors",
 * "suspends" and, unless it is looked at only, "already".
 *
 * The supervisor tells what happens by {"event": "step"|"warning"|"difference"|"qmp",
 * "text": …} ("qmp" to who asked for "up" with "trace": true), that it lives while
 * something takes long by {"event": "alive"}, and in the end {"answer": {…}} or {"error":
 * "one sentence", "status": N}.
 */
#pragma once

/* Of a request or an answer. */
#define LIVE_LINE_MAX (16 * 1024 * 1024)
/* Bytes of the console that wait for one who does not read. */
#define LIVE_CONSOLE_MAX (1024 * 1024)
