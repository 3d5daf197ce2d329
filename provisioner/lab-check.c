/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab.h"

void
lab_check(const Lab *lab, Findings *findings)
{
}
