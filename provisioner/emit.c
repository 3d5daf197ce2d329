/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emit.h"

const EmitFormat emit_formats[] = {
    {"tree", "tree", "the machine as a person would draw it", PLAN_FOR_QEMU, FALSE,
     emit_tree},
    {"svg", "svg", "the machine as a picture", PLAN_FOR_QEMU, FALSE, emit_svg},
    {"dot", "dot", "a graph for Graphviz", PLAN_FOR_QEMU, FALSE, emit_dot},
    {"qemu", "args", "the emulator's arguments", PLAN_FOR_QEMU, FALSE, emit_qemu},
    {"libvirt", "libvirt.xml", "domain XML for libvirt", PLAN_FOR_LIBVIRT, FALSE,
     emit_libvirt, emit_libvirt_for, emit_libvirt_check},
    {"manifest", "manifest", "what the host's kernel must see", PLAN_FOR_QEMU, FALSE,
     emit_manifest},
    {NULL},
};

const EmitFormat *
emit_format(const char *name)
{
    for (const EmitFormat *format = emit_formats; format->name; format++)
        if (g_str_equal(format->name, name))
            return format;
    return NULL;
}
