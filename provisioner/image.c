/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What goes into the micro image, and where.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "copies.h"
#include "elf-file.h"
#include "error.h"
#include "image.h"
#include "image-parts.h"
#include "initramfs.h"
#include "modules.h"
#include "programs.h"

#define KIND "initramfs"
#define MAXIMUM_CACHE ((goffset)512 << 20)
#define SUITES_PATH "/usr/lib/hostbed/vmtests"

static void
add_skeleton(Initramfs *image)
{
    static const char *const folders[] = {"/dev", "/etc", "/mnt", "/proc",
                                          "/run", "/sys", "/var"};
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++)
        initramfs_add_folder(image, folders[i], 0755);
    initramfs_add_folder(image, "/root", 0700);
    initramfs_add_folder(image, "/tmp", 01777);
    /* As distributions have it, and programs that put sockets there rely on. */
    initramfs_add_link(image, "/var/run", "../run");
    initramfs_add_folder(image, "/var/tmp", 01777);
    /* The kernel opens the console for /init before anything can mount /dev. */
    initramfs_add_device(image, "/dev/console", 5, 1, 0600);
    initramfs_add_device(image, "/dev/null", 1, 3, 0666);
    initramfs_add_text(image, "/etc/passwd",
                       "root:x:0:0:root:/root:/bin/sh\n"
                       "nobody:x:65534:65534:nobody:/:/bin/false\n",
                       0644);
    initramfs_add_text(image, "/etc/group", "root:x:0:\nnogroup:x:65534:\n", 0644);
    /* The agent adds the host's name. */
    initramfs_add_text(image, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0644);
}

static gboolean
add_agent(Initramfs *image, const char *agent, GError **error)
{
    g_auto(AutoFd) fd = open(agent, O_RDONLY | O_CLOEXEC);
    g_autoptr(ElfLinkage) linkage = fd < 0 ? NULL : elf_file_linkage(fd, agent, NULL);
    if (!linkage || linkage->interpreter) {
        g_set_error(
            error, HB_ERROR, HB_INFRASTRUCTURE,
            "the agent %s is not there as a static program; 'make' builds it, 'make "
            "install' installs it",
            agent);
        return FALSE;
    }
    initramfs_add_file(image, "/init", agent, 0755);
    initramfs_add_link(image, IMAGE_AGENT_PATH, "/init");
    return TRUE;
}

static gboolean
is_static(const char *path)
{
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC);
    g_autoptr(ElfLinkage) linkage = fd < 0 ? NULL : elf_file_linkage(fd, path, NULL);
    return linkage && !linkage->interpreter && linkage->needed->len == 0;
}

/* The machine's static busybox: distributions name it differently. */
static char *
find_busybox(GError **error)
{
    static const char *const names[] = {"busybox", "busybox.static", "busybox-static"};
    gboolean dynamic = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = programs_find(names[i]);
        if (path && is_static(path))
            return g_steal_pointer(&path);
        dynamic = dynamic || path;
    }
    g_set_error(
        error, HB_ERROR, HB_INFRASTRUCTURE,
        "%s; install the package busybox-static (Debian, Ubuntu) or busybox (Fedora)",
        dynamic ? "busybox is here, but linked with shared libraries"
                : "the image needs busybox, which is not here");
    return NULL;
}

static gboolean
is_applet_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, "busybox") != 0 && !strchr(name, '/') &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static gboolean
add_busybox(Initramfs *image, GError **error)
{
    g_autofree char *busybox = find_busybox(error);
    if (!busybox)
        return FALSE;
    char *argv[] = {busybox, (char *)"--list", NULL};
    g_autofree char *output = NULL;
    int status = 0;
    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &output,
                      NULL, &status, error) ||
        !g_spawn_check_wait_status(status, error)) {
        g_prefix_error(error, "%s --list: ", busybox);
        return FALSE;
    }
    initramfs_add_file(image, "/bin/busybox", busybox, 0755);
    g_auto(GStrv) applets = g_strsplit(output, "\n", -1);
    for (char **applet = applets; *applet; applet++) {
        if (!is_applet_name(*applet))
            continue;
        g_autofree char *path = g_build_filename("/bin", *applet, NULL);
        initramfs_add_link(image, path, "busybox");
    }
    return TRUE;
}

/* modules.dep(5) in its text form. busybox's modprobe loads what a line names, from its
 * end, and looks no further; it knows no soft dependencies. */
static char *
dependencies(const GPtrArray *modules)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < modules->len; i++) {
        g_autoptr(GPtrArray) before = modules_before(modules, i);
        g_string_append_printf(text, "%s:", ((KernelModule *)modules->pdata[i])->path);
        for (guint j = 0; j < before->len; j++)
            g_string_append_printf(text, " %s", ((KernelModule *)before->pdata[j])->path);
        g_string_append_c(text, '\n');
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* What kmod's tools (lspci -k is one) complain about when it is missing. An index is a
 * trie: magic, version, and where its root is; a root without a flag for what it has is
 * empty (libkmod/libkmod-index.c). Who loads a module here uses busybox's modprobe, which
 * reads modules.dep. */
static void
add_empty_indexes(Initramfs *image, const char *folder)
{
    static const char *const names[] = {"dep", "alias", "symbols", "builtin",
                                        "builtin.alias"};
    static const guint8 empty[] = {0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0, 0, 0, 12};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strdup_printf("%s/modules.%s.bin", folder, names[i]);
        initramfs_add_data(image, path, empty, sizeof empty, 0644);
    }
}

static GStrv
modules_at_hand(const ImageOptions *options)
{
    static const char *vfio[] = {
        "vfio",     "vfio_iommu_type1", "vfio_virqfd", "vfio_pci_core",
        "vfio_pci", "aer_inject",       NULL};
    static const char *kvm[] = {"kvm_amd", "kvm_intel", NULL};
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (options->tools || options->vfio)
        g_strv_builder_addv(builder, vfio);
    if (options->kvm)
        g_strv_builder_addv(builder, kvm);
    return g_strv_builder_end(builder);
}

gboolean
image_add_modules(Initramfs *image, const ImageOptions *options, GError **error)
{
    g_auto(GStrv) at_hand = modules_at_hand(options);
    const ModuleNames names = {.wanted = options->modules,
                               .optional = options->optional_modules,
                               .at_hand = (const char *const *)at_hand};
    g_autoptr(GPtrArray) modules = modules_resolve(options->kernel, &names, error);
    if (!modules)
        return FALSE;
    g_autofree char *folder =
        g_build_filename("/lib/modules", options->kernel->release, NULL);
    g_autoptr(GString) order = g_string_new(NULL);
    for (guint i = 0; i < modules->len; i++) {
        const KernelModule *module = modules->pdata[i];
        g_autofree char *path = g_build_filename(folder, module->path, NULL);
        initramfs_add_file(image, path, module->file, 0644);
        if (module->at_boot)
            g_string_append_printf(order, "%s\n", path);
    }
    g_autofree char *dep = g_build_filename(folder, "modules.dep", NULL);
    g_autofree char *text = dependencies(modules);
    initramfs_add_text(image, dep, text, 0644);
    add_empty_indexes(image, folder);
    initramfs_add_text(image, "/etc/hostbed/modules", order->str, 0644);
    return TRUE;
}

/* Suites are the programs in the folder, but not the agent that lies among them when
 * built. */
gboolean
image_add_suites(Programs *programs, const char *suites_dir, const char *place,
                 GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(suites_dir, 0, error);
    if (!dir)
        return FALSE;
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *source = g_build_filename(suites_dir, name, NULL);
        if (strcmp(name, "hostbed-agent") == 0 ||
            !g_file_test(source, G_FILE_TEST_IS_REGULAR) ||
            !g_file_test(source, G_FILE_TEST_IS_EXECUTABLE))
            continue;
        g_autofree char *path = g_build_filename(place, name, NULL);
        if (!programs_add(programs, source, path, error))
            return FALSE;
    }
    return TRUE;
}

static const char *
pci_ids(void)
{
    static const char *const files[] = {"/usr/share/misc/pci.ids",
                                        "/usr/share/hwdata/pci.ids"};
    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        if (g_file_test(files[i], G_FILE_TEST_IS_REGULAR))
            return files[i];
    return NULL;
}

/* What a person wants at hand in such a host, if the machine has it whole. */
static void
add_tools(Initramfs *image, Programs *programs)
{
    static const char *const names[] = {"numactl", "lspci"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *source = programs_find(names[i]);
        g_autoptr(GError) missing = NULL;
        if (source && !programs_add(programs, source, NULL, &missing))
            g_debug("%s is left out: %s", names[i], missing->message);
        else if (source && strcmp(names[i], "lspci") == 0 && pci_ids())
            initramfs_add_file(image, pci_ids(), pci_ids(), 0644);
    }
}

/* The emulator for guests inside, under the name that the suite knows. */
static void
add_emulator(Programs *programs)
{
    g_autofree char *source = programs_find("qemu-system-x86_64");
    g_autoptr(GError) missing = NULL;
    if (source &&
        !programs_add(programs, source, "/usr/bin/qemu-system-x86_64", &missing))
        g_debug("the emulator is left out: %s", missing->message);
}

static gboolean
add_programs(Programs *programs, const char *const *names, GError **error)
{
    for (; names && *names; names++) {
        g_autofree char *source = programs_find(*names);
        if (!source) {
            g_set_error(error, HB_ERROR, HB_USAGE,
                        "there is no program '%s' on this machine%s", *names,
                        strchr(*names, '/') ? "" : "'s PATH");
            return FALSE;
        }
        if (!programs_add(programs, source, NULL, error))
            return FALSE;
    }
    return TRUE;
}

/* The program that will be run, unless the image has it: what is busybox's stays so. One
 * that this machine does not have either may come about in the host. */
static gboolean
add_command(const Initramfs *image, Programs *programs, const char *name, GError **error)
{
    g_autofree char *place = g_path_is_absolute(name)
                                 ? g_strdup(name)
                                 : g_build_filename("/usr/bin", name, NULL);
    g_autofree char *source = initramfs_has(image, place) ? NULL : programs_find(name);
    return !source || programs_add(programs, source, NULL, error);
}

static gboolean
add_commands(const Initramfs *image, Programs *programs, const char *const *names,
             GError **error)
{
    for (; names && *names; names++)
        if (!add_command(image, programs, *names, error))
            return FALSE;
    return TRUE;
}

static gboolean
add_needs(Programs *programs, const char *const *paths, GError **error)
{
    for (; paths && *paths; paths++)
        if (!programs_add_needs(programs, *paths, error))
            return FALSE;
    return TRUE;
}

/* "/sys/bus/pci" cannot be a place of tools; "/usr" can, and so can what is not absolute.
 */
static gboolean
may_name_tools(const char *word)
{
    static const char *const elsewhere[] = {"/dev/", "/proc/", "/sys/"};
    if (!strchr(word, '/'))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(elsewhere); i++)
        if (g_str_has_prefix(word, elsewhere[i]) && !strstr(word, ".."))
            return FALSE;
    return TRUE;
}

gboolean
image_command_wants_tools(const char *const *argv)
{
    static const char *const starts_nothing[] = {
        "cat",  "date",  "dmesg", "echo",   "false",    "free",   "grep",  "head", "id",
        "ls",   "lsmod", "nproc", "printf", "readlink", "rm",     "sleep", "sort", "stat",
        "tail", "tee",   "true",  "tty",    "uname",    "uptime", "wc",    "yes",  NULL};
    if (!g_strv_contains(starts_nothing, argv[0]))
        return TRUE;
    for (const char *const *word = argv + 1; *word; word++)
        if (may_name_tools(*word))
            return TRUE;
    return FALSE;
}

static gboolean
fill(Initramfs *image, const ImageOptions *options, GError **error)
{
    g_autoptr(Programs) programs = programs_new(image);
    add_skeleton(image);
    if (!add_busybox(image, error) || !add_agent(image, options->agent, error) ||
        !image_add_modules(image, options, error))
        return FALSE;
    if (options->suites_dir &&
        !image_add_suites(programs, options->suites_dir, SUITES_PATH, error))
        return FALSE;
    if (options->tools)
        add_tools(image, programs);
    if (options->kvm)
        add_emulator(programs);
    if (options->inner_init && !image_add_inner(image, options, error))
        return FALSE;
    if (options->folder && !initramfs_has(image, options->folder))
        initramfs_add_folder(image, options->folder, 0777);
    return add_programs(programs, options->programs, error) &&
           copies_add(image, programs, options->copies, error) &&
           add_commands(image, programs, options->commands, error) &&
           add_needs(programs, options->later, error);
}

/* The kernel keeps the image until it has unpacked it, and then has the files: of one
 * that does not fit some would be missing. */
static gboolean
check_room(const Initramfs *image, gint64 memory_bytes, GError **error)
{
    gint64 size = initramfs_size(image), room = memory_bytes / 20 * 9;
    if (memory_bytes == 0 || size <= room)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "what goes into the host takes %" G_GINT64_FORMAT
                " MiB, and its memory has room for %" G_GINT64_FORMAT
                ": copy less, or give its cells more memory",
                size >> 20, room >> 20);
    return FALSE;
}

char *
image_store(const Initramfs *image, const Kernel *kernel, GError **error)
{
    g_autofree char *key = initramfs_key(image, error);
    if (!key)
        return NULL;
    g_autofree char *name = g_strdup_printf("%s-%s.cpio", kernel->release, key);
    char *cached = cache_lookup(KIND, name);
    if (cached)
        return cached;
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, name, error);
    g_autofree char *folder = writer ? g_path_get_dirname(writer->path) : NULL;
    if (!writer || !initramfs_write(image, writer->fd, folder, error))
        return NULL;
    char *path = cache_writer_commit_first(writer, error);
    cache_prune(KIND, MAXIMUM_CACHE);
    return path;
}

char *
image_build(const ImageOptions *options, GError **error)
{
    g_autoptr(Initramfs) image = initramfs_new();
    if (!fill(image, options, error) || !check_room(image, options->memory_bytes, error))
        return NULL;
    return image_store(image, options->kernel, error);
}
