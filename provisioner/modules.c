/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "elf-file.h"
#include "error.h"
#include "modules.h"
#include "unpack.h"

#define KIND "modules"
#define MAXIMUM_MODULE ((goffset)256 << 20)
#define MAXIMUM_COMPRESSED ((goffset)64 << 20)
#define MAXIMUM_CACHE ((goffset)256 << 20)
#define MAXIMUM_DEPTH 64

typedef struct {
    const Kernel *kernel;
    GHashTable *files;   /* char * name → char * path below the modules' directory */
    GHashTable *builtin; /* set of char * name */
    GHashTable *done;    /* set of char * name: in RESULT, or being resolved */
    gboolean at_boot;    /* whether what is resolved now is for the boot */
    GPtrArray *result;
} Resolver;

static void
kernel_module_free(gpointer data)
{
    KernelModule *module = data;
    g_free(module->name);
    g_free(module->path);
    g_free(module->file);
    g_ptr_array_unref(module->depends);
    g_ptr_array_unref(module->after);
    g_free(module);
}

static void
resolver_clear(Resolver *resolver)
{
    g_clear_pointer(&resolver->files, g_hash_table_unref);
    g_clear_pointer(&resolver->builtin, g_hash_table_unref);
    g_clear_pointer(&resolver->done, g_hash_table_unref);
    g_clear_pointer(&resolver->result, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Resolver, resolver_clear)

/* "drivers/net/e1000e.ko.xz" → "e1000e"; NULL: no module. */
static char *
module_name(const char *path)
{
    static const char *const endings[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz", NULL};
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (const char *const *ending = endings; *ending; ending++)
        if (g_str_has_suffix(base, *ending))
            return g_strdelimit(g_strndup(base, strlen(base) - strlen(*ending)), "-",
                                '_');
    return NULL;
}

/* As depmod does by default: what an administrator updated wins. */
static int
path_rank(const char *path)
{
    return g_str_has_prefix(path, "updates/") ? 2
           : g_str_has_prefix(path, "extra/") ? 1
                                              : 0;
}

static void
index_path(GHashTable *files, const char *path)
{
    g_autofree char *name = module_name(path);
    const char *before = name ? g_hash_table_lookup(files, name) : NULL;
    if (!name || strstr(path, "..") || (before && path_rank(before) >= path_rank(path)))
        return;
    g_hash_table_replace(files, g_steal_pointer(&name), g_strdup(path));
}

static void
index_installed(Resolver *resolver)
{
    const char *root = resolver->kernel->modules_dir;
    char *const roots[] = {(char *)root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    while (fts && (entry = fts_read(fts)))
        if (entry->fts_info == FTS_NSOK || entry->fts_info == FTS_F)
            index_path(resolver->files, entry->fts_path + strlen(root) + 1);
    if (fts)
        fts_close(fts);
}

/* Lines of ROOT/NAME; empty if it cannot be read. */
static GStrv
read_lines(const char *root, const char *name)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_new0(char *, 1);
    return g_strsplit(text, "\n", -1);
}

/* Linux's build lists its modules; since 6.2 as objects, before 5.3 below "kernel/". */
static void
index_build_tree(Resolver *resolver)
{
    g_auto(GStrv) lines = read_lines(resolver->kernel->modules_dir, "modules.order");
    for (char **line = lines; *line; line++) {
        const char *path = *line;
        if (g_str_has_prefix(path, "kernel/") && g_str_has_suffix(path, ".ko"))
            path += strlen("kernel/");
        g_autofree char *file =
            g_str_has_suffix(path, ".o")
                ? g_strdup_printf("%.*s.ko", (int)strlen(path) - 2, path)
                : g_strdup(path);
        index_path(resolver->files, file);
    }
}

static gboolean
is_build_tree(const Kernel *kernel)
{
    g_autofree char *path = g_build_filename(kernel->modules_dir, "include", "config",
                                             "kernel.release", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
index_builtin(Resolver *resolver)
{
    g_auto(GStrv) lines = read_lines(resolver->kernel->modules_dir, "modules.builtin");
    for (char **line = lines; *line; line++) {
        char *name = module_name(*line);
        if (name)
            g_hash_table_add(resolver->builtin, name);
    }
}

/* The option that decides about a module, where it is not the module's name in capitals.
 */
static const struct {
    const char *module, *option;
} options[] = {
    {"8021q", "VLAN_8021Q"},
    {"9p", "9P_FS"},
    {"9pnet", "NET_9P"},
    {"9pnet_virtio", "NET_9P_VIRTIO"},
    {"kvm_amd", "KVM_AMD"},
    {"nvme", "BLK_DEV_NVME"},
    {"nvme_core", "NVME_CORE"},
    {"qemu_fw_cfg", "FW_CFG_SYSFS"},
    {"virtio_iommu", "VIRTIO_IOMMU"},
    {"vfio_iommu_type1", "VFIO_IOMMU_TYPE1"},
};

/* For a kernel of which there is only its configuration. */
static gboolean
config_has_builtin(const Kernel *kernel, const char *name)
{
    g_autofree char *text = NULL;
    if (!kernel->config || !g_file_get_contents(kernel->config, &text, NULL, NULL))
        return FALSE;
    g_autofree char *option = g_ascii_strup(name, -1);
    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        if (strcmp(options[i].module, name) == 0) {
            g_free(option);
            option = g_strdup(options[i].option);
        }
    }
    g_autofree char *line = g_strdup_printf("\nCONFIG_%s=y\n", option);
    return strstr(text, line) != NULL;
}

static gboolean
is_builtin(const Resolver *resolver, const char *name)
{
    return g_hash_table_contains(resolver->builtin, name) ||
           config_has_builtin(resolver->kernel, name);
}

static gboolean
fail_missing(const Resolver *resolver, const char *name, GError **error)
{
    const Kernel *kernel = resolver->kernel;
    if (kernel->modules_dir)
        g_set_error(
            error, HB_ERROR, HB_UNSUPPORTED,
            "the kernel %s (%s) has no module %s in %s and does not have it built in",
            kernel->release, kernel->origin, name, kernel->modules_dir);
    else
        g_set_error(
            error, HB_ERROR, HB_INFRASTRUCTURE,
            "the host needs the module %s, but the modules of the kernel %s (%s) are "
            "not there: neither beside it nor in /lib/modules/%s; install its "
            "package of modules, or give --kernel a whole kernel package or a build "
            "tree",
            name, kernel->release, kernel->image, kernel->release);
    return FALSE;
}

/* The cached file with what is in the compressed one at FD. */
static char *
unpack_module(int fd, goffset size, const char *name, const char *path, GError **error)
{
    g_autofree guint8 *data = g_malloc(size);
    if (pread(fd, data, size, 0) != size) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot read %s", path);
        return NULL;
    }
    g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);
    g_autofree char *entry = g_strdup_printf("%s-%.32s.ko", name, sum);
    char *cached = cache_lookup(KIND, entry);
    if (cached)
        return cached;
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, entry, error);
    if (!writer || !unpack_range(fd, 0, size, writer->fd, MAXIMUM_MODULE, path, error))
        return NULL;
    char *made = cache_writer_commit(writer, error);
    cache_prune(KIND, MAXIMUM_CACHE);
    return made;
}

/* The module's file as the kernel takes it. */
static char *
plain_file(const char *name, const char *path, GError **error)
{
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot read the module %s: %s",
                    path, g_strerror(errno));
        return NULL;
    }
    if (g_str_has_suffix(path, ".ko"))
        return g_strdup(path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > MAXIMUM_COMPRESSED) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the module %s is empty or no file of a module's size", path);
        return NULL;
    }
    return unpack_module(fd, st.st_size, name, path, error);
}

static gboolean resolve(Resolver *resolver, const char *wanted, gboolean required,
                        guint depth, GError **error);

/* The words of "softdep=pre: a b post: c" behind "post:". */
static void
read_after(KernelModule *module, const char *softdep)
{
    const char *post = strstr(softdep, "post:");
    g_auto(GStrv) words = g_strsplit_set(post ? post + strlen("post:") : "", ", ", -1);
    for (char **word = words; *word && strcmp(*word, "pre:") != 0; word++)
        if (**word != '\0')
            g_ptr_array_add(module->after, g_strdelimit(g_strdup(*word), "-", '_'));
}

/* "depends=a,b" must be there; "softdep=pre: a b post: c" should. */
static gboolean
resolve_needs(Resolver *resolver, KernelModule *module, GPtrArray *modinfo, guint depth,
              GError **error)
{
    for (guint i = 0; i < modinfo->len; i++) {
        const char *text = modinfo->pdata[i];
        gboolean required = g_str_has_prefix(text, "depends=");
        if (g_str_has_prefix(text, "softdep="))
            read_after(module, text);
        if (!required && !g_str_has_prefix(text, "softdep=pre:"))
            continue;
        g_auto(GStrv) words = g_strsplit_set(strchr(text, '=') + 1, ", ", -1);
        for (char **word = words; *word; word++) {
            if (strcmp(*word, "post:") == 0)
                break;
            if (**word == '\0' || strcmp(*word, "pre:") == 0)
                continue;
            if (!resolve(resolver, *word, required, depth + 1, error))
                return FALSE;
            if (required)
                g_ptr_array_add(module->depends, g_strdelimit(g_strdup(*word), "-", '_'));
        }
    }
    return TRUE;
}

/* Where it lies in the image: its path without the compression's ending. */
static char *
path_in_image(const char *path)
{
    const char *ending = strstr(path, ".ko");
    return g_strndup(path, ending - path + strlen(".ko"));
}

static KernelModule *
load(Resolver *resolver, const char *name, const char *path, guint depth, GError **error)
{
    g_autofree char *full = g_build_filename(resolver->kernel->modules_dir, path, NULL);
    g_autofree char *file = plain_file(name, full, error);
    if (!file)
        return NULL;
    g_auto(AutoFd) fd = open(file, O_RDONLY | O_CLOEXEC);
    g_autoptr(GPtrArray) modinfo = elf_file_modinfo(fd, full, error);
    if (!modinfo)
        return NULL;
    KernelModule *module = g_new0(KernelModule, 1);
    module->name = g_strdup(name);
    module->path = path_in_image(path);
    module->file = g_steal_pointer(&file);
    module->depends = g_ptr_array_new_with_free_func(g_free);
    module->after = g_ptr_array_new_with_free_func(g_free);
    module->at_boot = resolver->at_boot;
    if (!resolve_needs(resolver, module, modinfo, depth, error))
        g_clear_pointer(&module, kernel_module_free);
    return module;
}

static gboolean
resolve(Resolver *resolver, const char *wanted, gboolean required, guint depth,
        GError **error)
{
    g_autofree char *name = g_strdelimit(g_strdup(wanted), "-", '_');
    if (g_hash_table_contains(resolver->done, name))
        return TRUE;
    const char *path = g_hash_table_lookup(resolver->files, name);
    if (!path)
        return !required || is_builtin(resolver, name) ||
               fail_missing(resolver, wanted, error);
    if (depth > MAXIMUM_DEPTH) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the modules of %s need each other without end, at %s",
                    resolver->kernel->modules_dir, wanted);
        return FALSE;
    }
    g_hash_table_add(resolver->done, g_strdup(name));
    KernelModule *module = load(resolver, name, path, depth, error);
    if (!module) {
        g_hash_table_remove(resolver->done, name);
        return FALSE;
    }
    g_ptr_array_add(resolver->result, module);
    for (guint i = 0; i < module->after->len; i++)
        if (!resolve(resolver, module->after->pdata[i], FALSE, depth + 1, error))
            return FALSE;
    return TRUE;
}

static gboolean
resolve_all(Resolver *resolver, const GPtrArray *names, gboolean required, GError **error)
{
    for (guint i = 0; names && i < names->len; i++)
        if (!resolve(resolver, names->pdata[i], required, 0, error))
            return FALSE;
    return TRUE;
}

/* Nobody may ever ask for these, so that a broken one is no reason not to start. */
static void
resolve_at_hand(Resolver *resolver, const char *const *names)
{
    resolver->at_boot = FALSE;
    for (; names && *names; names++) {
        g_autoptr(GError) error = NULL;
        if (!resolve(resolver, *names, FALSE, 0, &error))
            g_debug("%s is left out: %s", *names, error->message);
    }
}

GPtrArray *
modules_resolve(const Kernel *kernel, const ModuleNames *names, GError **error)
{
    g_auto(Resolver) resolver = {
        .kernel = kernel,
        .files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        .builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .at_boot = TRUE,
        .result = g_ptr_array_new_with_free_func(kernel_module_free),
    };
    if (kernel->modules_dir) {
        index_builtin(&resolver);
        if (is_build_tree(kernel))
            index_build_tree(&resolver);
        else
            index_installed(&resolver);
    }
    if (!resolve_all(&resolver, names->optional, FALSE, error) ||
        !resolve_all(&resolver, names->wanted, TRUE, error))
        return NULL;
    resolve_at_hand(&resolver, names->at_hand);
    return g_steal_pointer(&resolver.result);
}

/* ---- what modprobe is told
 * --------------------------------------------------------------------------- */

static void
mark(GHashTable *marked, GHashTable *by_name, const KernelModule *module)
{
    for (guint i = 0; i < module->depends->len; i++) {
        KernelModule *below = g_hash_table_lookup(by_name, module->depends->pdata[i]);
        if (!below || !g_hash_table_add(marked, below))
            continue;
        mark(marked, by_name, below);
        for (guint j = 0; j < below->after->len; j++) {
            KernelModule *after = g_hash_table_lookup(by_name, below->after->pdata[j]);
            if (after && g_hash_table_add(marked, after))
                mark(marked, by_name, after);
        }
    }
}

GPtrArray *
modules_before(const GPtrArray *modules, guint index)
{
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) marked = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < modules->len; i++) {
        KernelModule *module = modules->pdata[i];
        g_hash_table_insert(by_name, module->name, module);
    }
    mark(marked, by_name, modules->pdata[index]);
    GPtrArray *before = g_ptr_array_new();
    /* Where two are after each other's, the order of the result decides. */
    for (guint i = index; i > 0; i--)
        if (g_hash_table_contains(marked, modules->pdata[i - 1]))
            g_ptr_array_add(before, modules->pdata[i - 1]);
    return before;
}
