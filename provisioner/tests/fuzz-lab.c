/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The endless form of the fuzz test of the parser, for clang's libFuzzer: `make
 * fuzz-lab`, then
 * `./fuzz-lab CORPUS topologies topologies/refused`. Its bounded form is in
 * lab-language.c.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text((const char *)data, size, "fuzz.xml", findings);
    if (lab)
        lab_check(lab, findings);
    else if (findings_count(findings, FINDING_ERROR) == 0)
        abort(); /* refused without a word */
    return 0;
}
