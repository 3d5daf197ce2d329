/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loads a module with all that it needs, if it is one and the host has it: who needs it
 * looks for what it makes. */
void modprobe(const char *module);
