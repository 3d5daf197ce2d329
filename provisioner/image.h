/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The micro image: a kernel as the emulator boots it fastest, and an initramfs made for
 * it without root: agent, busybox, the modules that the plan names with what they need,
 * the suites, and programs of this machine with their libraries. Made in well under a
 * second; what is costly (unpacking a kernel, its modules) is cached by content under the
 * user's cache directory.
 */
#pragma once

#include <gio/gio.h>

typedef struct {
    char *release;     /* "6.1.0-40-amd64" */
    char *image;       /* bzImage or vmlinux as found */
    char *modules_dir; /* …/lib/modules/RELEASE, or NULL */
    char *config;      /* path of its .config, or NULL */
    char *origin;      /* for people: "/boot", "package …", "build tree …" */
} Kernel;

void kernel_free(Kernel *kernel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kernel, kernel_free)

/* PATH: a bzImage, a vmlinux, a kernel package (.deb, .rpm), a folder that one was
 * unpacked to, or a build tree; NULL: HOSTBED_KERNEL, then the machine's own kernels that
 * can be read (newest first), then packages unpacked in the cache. */
Kernel *kernel_find(const char *path, GError **error);
/* All that kernel_find(NULL) would consider, best first: GPtrArray of Kernel. For doctor.
 */
GPtrArray *kernel_list(void);

/* Unpacks PACKAGES (.deb, .rpm), which make one kernel together, to the cache; from then
 * on kernel_find(NULL) finds it too. */
Kernel *kernel_add(const char *const *packages, GError **error);

/* The path of KERNEL unpacked to an ELF with a PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY),
 * from the cache by build id; the bzImage itself where it has none. */
char *kernel_boot_file(const Kernel *kernel, GError **error);
/* Whether programs that ask kmod's lists find its modules: has depmod(8) write those of a
 * kernel that was unpacked and never installed. */
gboolean kernel_index_modules(const Kernel *kernel);
/* The path of KERNEL as EFI firmware starts it: a bzImage, which is a program for it. */
char *kernel_efi_file(const Kernel *kernel, GError **error);

/* The agent as a command of its host, whatever image that has. */
#define IMAGE_AGENT_PATH "/usr/lib/hostbed/hostbed-agent"

/* What guests inside start with, each where this machine has it: kernel, initramfs, and
 * the firmware for the emulator's -L. */
#define IMAGE_INNER_PATH "/usr/lib/hostbed/inner"

typedef struct {
    const Kernel *kernel;
    GPtrArray *modules;          /* char *: to be loaded; dependencies are added */
    GPtrArray *optional_modules; /* char *: from Plan.optional_modules; or NULL */
    const char *const
        *programs;             /* --with: names or paths; with their libraries; or NULL */
    const char *const *copies; /* --copy: "PATH" or "PATH:TARGET"; or NULL */
    const char *const *commands; /* what will be run: is put in, if this machine has it
                                    and the image has not; or NULL */
    const char *const *later;    /* paths of programs that are put into the host when it
                                    runs: what they need is put in, and they are not; or
                                    NULL */
    const char *folder;          /* an absolute path that there is to be; or NULL */
    gboolean tools; /* numactl, lspci, and the modules of VFIO and to inject errors of PCI
                       functions, where there are any */
    gboolean vfio;  /* those modules alone; not loaded */
    gboolean kvm;   /* KVM's modules, not loaded, and an emulator, if there is one */
    const char *inner_init; /* path of the first program of guests inside, which get this
                               kernel: with firmware, in IMAGE_INNER_PATH; or NULL */
    const char *agent;      /* path of the built agent */
    const char *suites_dir; /* folder of vmtest programs, or NULL */
    gint64 memory_bytes;    /* of the host: more than fits is HB_USAGE; 0: any */
} ImageOptions;

/* Makes the initramfs and returns its path in the cache (by content, safe for concurrent
 * users). Tools that are missing are left out silently; a missing module is an error
 * unless it is built in. */
char *image_build(const ImageOptions *options, GError **error);

/* Whether the command ARGV may need the tools: all may, but for some of busybox's that
 * start no program and are told to look at none. The tools are half of an image, and
 * under emulation each megabyte takes time. */
gboolean image_command_wants_tools(const char *const *argv);
