/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The command "mPAGES,TICK;" of the guest inside: PAGES pages of its memory are written
 * with what is theirs, again and again, each time once it was seen that they have what
 * was written the last time. So whoever moves the guest has memory that changes, and
 * learns whether all of it came along. Each TICK cycles of the CPU's counter the guest
 * says a GUEST_TICK. Then one of these bytes:
 *
 *   !   one of the pages is spoilt, and the work goes on
 *   .   it ends, and the answer is one of
 *           kept PASSES CYCLES      nothing was lost; the longest time between two pages
 *           lost PASSES PAGE        not so: this is the first one
 */
#pragma once

void keep_memory(void);
