/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * record-emulator BINARY: prints its facts in the form of tests/emulators. `make
 * record-emulators` writes those files with it.
 */
#include <stdio.h>

#include "emulator-probe.h"

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: record-emulator BINARY >FILE\n");
        return 2;
    }
    g_autoptr(Emulator) emulator =
        emulator_ask(argv[1], NULL, EMULATOR_ANSWER_MS, &error);
    if (!emulator) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    g_autofree char *json = emulator_to_json(emulator);
    fputs(json, stdout);
    return 0;
}
