/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-firmware.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "memory-file.h"

/* Debian's ovmf, Fedora's edk2-ovmf, Arch's edk2-ovmf, openSUSE's qemu-ovmf-x86_64; last
 * what QEMU brings itself where nobody packages it. Which emulator is used does not
 * matter.
 */
static const struct {
    const char *code, *vars;
} places[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
    {"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"},
    {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
    {"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
    {"/usr/local/share/qemu/edk2-x86_64-code.fd",
     "/usr/local/share/qemu/edk2-i386-vars.fd"},
};

static int
copy_to_memory(const char *path, GError **error)
{
    g_autofree char *bytes = NULL;
    gsize length = 0;
    return g_file_get_contents(path, &bytes, &length, error)
               ? memory_file_new("efi-variables", bytes, length, error)
               : -1;
}

gboolean
firmware_efi_paths(const char **code, const char **vars, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        if (access(places[i].code, R_OK) != 0 || access(places[i].vars, R_OK) != 0)
            continue;
        *code = places[i].code;
        *vars = places[i].vars;
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "the lab asks for EFI firmware and this machine has none; install ovmf "
                "(Debian) or edk2-ovmf (Fedora)");
    return FALSE;
}

gboolean
firmware_find_efi(char **code, int *vars_fd, GError **error)
{
    const char *code_path, *vars_path;
    if (!firmware_efi_paths(&code_path, &vars_path, error))
        return FALSE;
    *vars_fd = copy_to_memory(vars_path, error);
    if (*vars_fd < 0)
        return FALSE;
    *code = g_strdup(code_path);
    return TRUE;
}
