/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness for what only it can do. Both sides include
 * this file; it needs nothing. A request is a line of the suite's standard output, to TAP
 * a comment, which begins with ASK_PREFIX; an answer is a line of its standard input:
 *
 *     # hostbed: WORD ABOUT
 *     ABOUT WORD [MORE]
 *     ABOUT refused REASON     it is as it was; ABOUT is "?" if none was understood
 *
 * plug-wire.h, memory-wire.h and others have the words. Only a suite that the harness's
 * table declares to ask is heard, and only with the words of what it is declared for.
 */
#pragma once

#define ASK_PREFIX "# hostbed: "
#define ASK_LINE_MAX 512 /* of a request and an answer, with its end */
