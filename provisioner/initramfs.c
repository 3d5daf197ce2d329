/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "autoptr.h"
#include "digest.h"
#include "error.h"
#include "initramfs.h"
#include "unpack.h"

/* Part of the key: raised when the same tree becomes other bytes. */
#define FORMAT "hostbed initramfs 4"
#define BLOCK (128 * 1024)

typedef struct {
    guint mode;   /* with the type, as in stat(2) */
    char *source; /* of a file: on this machine; or NULL: DATA */
    GBytes *data; /* of a file, if not a source's */
    char *target; /* of a link */
    guint major, minor;
} Node;

struct Initramfs {
    GTree
        *nodes; /* char * path → Node, sorted, so that folders precede what is in them */
};

static void
node_free(gpointer data)
{
    Node *node = data;
    g_free(node->source);
    g_clear_pointer(&node->data, g_bytes_unref);
    g_free(node->target);
    g_free(node);
}

static gint
compare_paths(gconstpointer a, gconstpointer b, gpointer user_data)
{
    return strcmp(a, b);
}

Initramfs *
initramfs_new(void)
{
    Initramfs *image = g_new0(Initramfs, 1);
    image->nodes = g_tree_new_full(compare_paths, NULL, g_free, node_free);
    const char *const links[][2] = {{"/bin", "usr/bin"},
                                    {"/sbin", "usr/bin"},
                                    {"/lib", "usr/lib"},
                                    {"/lib64", "usr/lib64"}};
    for (guint i = 0; i < G_N_ELEMENTS(links); i++) {
        g_autofree char *folder = g_strdup_printf("/%s", links[i][1]);
        initramfs_add_folder(image, folder, 0755);
        initramfs_add_link(image, links[i][0], links[i][1]);
    }
    initramfs_add_link(image, "/usr/sbin", "bin");
    return image;
}

void
initramfs_free(Initramfs *image)
{
    if (!image)
        return;
    g_tree_unref(image->nodes);
    g_free(image);
}

char *
initramfs_place(const char *path)
{
    static const char *const moves[][2] = {{"/bin/", "/usr/bin/"},
                                           {"/sbin/", "/usr/bin/"},
                                           {"/usr/sbin/", "/usr/bin/"},
                                           {"/lib/", "/usr/lib/"},
                                           {"/lib64/", "/usr/lib64/"}};
    for (guint i = 0; i < G_N_ELEMENTS(moves); i++)
        if (g_str_has_prefix(path, moves[i][0]))
            return g_strconcat(moves[i][1], path + strlen(moves[i][0]), NULL);
    return g_strdup(path);
}

static void
add_node(Initramfs *image, const char *path, Node node)
{
    g_return_if_fail(path[0] == '/' && path[1] != '\0');
    char *place = initramfs_place(path);
    for (char *slash = strchr(place + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!g_tree_lookup(image->nodes, place)) {
            Node folder = {.mode = S_IFDIR | 0755};
            g_tree_replace(image->nodes, g_strdup(place),
                           g_memdup2(&folder, sizeof folder));
        }
        *slash = '/';
    }
    g_tree_replace(image->nodes, place, g_memdup2(&node, sizeof node));
}

void
initramfs_add_file(Initramfs *image, const char *path, const char *source, guint mode)
{
    add_node(image, path, (Node){.mode = S_IFREG | mode, .source = g_strdup(source)});
}

void
initramfs_add_text(Initramfs *image, const char *path, const char *text, guint mode)
{
    initramfs_add_data(image, path, text, strlen(text), mode);
}

void
initramfs_add_data(Initramfs *image, const char *path, gconstpointer data, gsize length,
                   guint mode)
{
    add_node(image, path,
             (Node){.mode = S_IFREG | mode, .data = g_bytes_new(data, length)});
}

void
initramfs_add_link(Initramfs *image, const char *path, const char *target)
{
    add_node(image, path, (Node){.mode = S_IFLNK | 0777, .target = g_strdup(target)});
}

void
initramfs_add_folder(Initramfs *image, const char *path, guint mode)
{
    add_node(image, path, (Node){.mode = S_IFDIR | mode});
}

void
initramfs_add_device(Initramfs *image, const char *path, guint major, guint minor,
                     guint mode)
{
    add_node(image, path, (Node){.mode = S_IFCHR | mode, .major = major, .minor = minor});
}

gboolean
initramfs_has(const Initramfs *image, const char *path)
{
    g_autofree char *place = initramfs_place(path);
    return g_tree_lookup(image->nodes, place) != NULL;
}

typedef struct {
    void (*function)(const char *path, const char *source, gpointer user_data);
    gpointer user_data;
} Visit;

static gboolean
visit_file(gpointer path, gpointer data, gpointer user_data)
{
    const Node *node = data;
    const Visit *visit = user_data;
    if (node->source)
        visit->function(path, node->source, visit->user_data);
    return FALSE;
}

void
initramfs_foreach_file(const Initramfs *image,
                       void (*function)(const char *path, const char *source,
                                        gpointer user_data),
                       gpointer user_data)
{
    Visit visit = {function, user_data};
    g_tree_foreach(image->nodes, visit_file, &visit);
}

static gboolean
fail_source(const char *source, const char *why, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot put %s into the image: %s",
                source, why);
    return FALSE;
}

/* libarchive's own words for a disk that is full are "Write error". */
static gboolean
fail_output(struct archive *archive, const char *place, GError **error)
{
    int reason = archive_errno(archive);
    const char *words = archive_error_string(archive);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot write the image to %s: %s",
                place,
                reason > 0 ? g_strerror(reason)
                : words    ? words
                           : "no reason");
    return FALSE;
}

/* A file of this machine that may be in the image under several names. */
typedef struct {
    const char *last_name; /* the one that comes with the content */
    guint names;
    guint mode;   /* what any of the names allows */
    gint64 inode; /* in the archive; 0: not met yet */
} Shared;

typedef struct {
    GChecksum *sum;
    struct archive *archive;
    struct archive_entry *entry;
    const char *place;  /* where it is written, for messages */
    GHashTable *shared; /* char *: see identity() → Shared */
    gint64 inode;       /* the last one given */
    gint64 size;        /* of all shared files */
    GError **error;
    gboolean failed;
} Walk;

static gboolean
add_to_key(gpointer path, gpointer data, gpointer user_data)
{
    const Node *node = data;
    Walk *walk = user_data;
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_append_printf(line, "%s %o %u:%u %s", (char *)path, node->mode, node->major,
                           node->minor, node->target ? node->target : "");
    if (node->data) {
        g_autofree char *sum =
            g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, node->data);
        g_string_append(line, sum);
    }
    struct stat st;
    if (node->source && stat(node->source, &st) != 0) {
        walk->failed = !fail_source(node->source, g_strerror(errno), walk->error);
    } else if (node->source) {
        g_autofree char *source = digest_identity(&st);
        g_string_append_printf(line, "%s %s", node->source, source);
    }
    /* With the NUL, so that lines cannot run into each other. */
    g_checksum_update(walk->sum, (const guchar *)line->str, line->len + 1);
    return walk->failed;
}

char *
initramfs_key(const Initramfs *image, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)FORMAT, sizeof FORMAT);
    Walk walk = {.sum = sum, .error = error};
    g_tree_foreach(image->nodes, add_to_key, &walk);
    return walk.failed ? NULL : g_strndup(g_checksum_get_string(sum), 32);
}

/* What is one file here is one in the image: programs that load a library by two of its
 * names would have it twice otherwise, as DPDK its plug-ins. */
static char *
identity(const struct stat *st)
{
    return g_strdup_printf("%llx:%llx", (unsigned long long)st->st_dev,
                           (unsigned long long)st->st_ino);
}

static gboolean
count_names(gpointer path, gpointer data, gpointer user_data)
{
    const Node *node = data;
    Walk *walk = user_data;
    struct stat st;
    if (!node->source || stat(node->source, &st) != 0)
        return FALSE;
    g_autofree char *key = identity(&st);
    Shared *shared = g_hash_table_lookup(walk->shared, key);
    if (!shared) {
        shared = g_new0(Shared, 1);
        g_hash_table_insert(walk->shared, g_steal_pointer(&key), shared);
        walk->size += st.st_size;
    }
    shared->last_name = path;
    shared->names++;
    shared->mode |= node->mode;
    return FALSE;
}

gint64
initramfs_size(const Initramfs *image)
{
    g_autoptr(GHashTable) shared =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Walk walk = {.shared = shared};
    g_tree_foreach(image->nodes, count_names, &walk);
    return walk.size;
}

/* The file that is open as ST; NULL: it is not the one that had the name before. */
static Shared *
shared_file(Walk *walk, const struct stat *st)
{
    g_autofree char *key = identity(st);
    Shared *shared = g_hash_table_lookup(walk->shared, key);
    if (shared && shared->inode == 0)
        shared->inode = ++walk->inode;
    return shared;
}

/* SHARED: of a file with a source, or NULL. */
static gboolean
write_header(Walk *walk, const char *path, const Node *node, const Shared *shared,
             goffset size)
{
    struct archive_entry *entry = archive_entry_clear(walk->entry);
    archive_entry_set_pathname(entry, path + 1);
    archive_entry_set_mode(entry, shared ? shared->mode : node->mode);
    archive_entry_set_ino64(entry, shared ? shared->inode : ++walk->inode);
    archive_entry_set_nlink(entry, shared ? shared->names : S_ISDIR(node->mode) ? 2 : 1);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_size(entry, size);
    if (S_ISLNK(node->mode))
        archive_entry_set_symlink(entry, node->target);
    if (S_ISCHR(node->mode))
        archive_entry_set_rdev(entry, makedev(node->major, node->minor));
    if (archive_write_header(walk->archive, entry) == ARCHIVE_OK)
        return TRUE;
    return fail_output(walk->archive, walk->place, walk->error);
}

static gboolean
write_data(Walk *walk, const void *data, gsize length)
{
    if (archive_write_data(walk->archive, data, length) == (la_ssize_t)length)
        return TRUE;
    return fail_output(walk->archive, walk->place, walk->error);
}

static gboolean
write_source(Walk *walk, const char *path, const Node *node)
{
    g_auto(AutoFd) fd = open(node->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_source(node->source, g_strerror(errno), walk->error);
    if (!S_ISREG(st.st_mode) || st.st_size >= G_MAXUINT32)
        return fail_source(node->source, "it is not a file of less than 4 GiB",
                           walk->error);
    Shared *shared = shared_file(walk, &st);
    if (!shared)
        return fail_source(node->source, "it changed meanwhile", walk->error);
    /* As archivers do: of a file with several names the last one has the content. */
    if (strcmp(path, shared->last_name) != 0)
        return write_header(walk, path, node, shared, 0);
    if (!write_header(walk, path, node, shared, st.st_size))
        return FALSE;
    g_autofree char *block = g_malloc(BLOCK);
    for (goffset left = st.st_size; left > 0;) {
        ssize_t got = read(fd, block, MIN(left, (goffset)BLOCK));
        if (got <= 0)
            return fail_source(node->source, "it changed meanwhile", walk->error);
        if (!write_data(walk, block, got))
            return FALSE;
        left -= got;
    }
    return TRUE;
}

static gboolean
write_node(gpointer path, gpointer data, gpointer user_data)
{
    const Node *node = data;
    Walk *walk = user_data;
    if (node->source) {
        walk->failed = !write_source(walk, path, node);
        return walk->failed;
    }
    gsize size = 0;
    const char *content = node->data ? g_bytes_get_data(node->data, &size) : NULL;
    walk->failed = !write_header(walk, path, node, NULL, size) ||
                   (size > 0 && !write_data(walk, content, size));
    return walk->failed;
}

gboolean
initramfs_write(const Initramfs *image, int fd, const char *place, GError **error)
{
    g_autoptr(ArchiveWriter) archive = archive_write_new();
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_write_set_format_cpio_newc(archive);
    archive_write_set_bytes_per_block(archive, BLOCK);
    archive_write_set_bytes_in_last_block(archive, 1);
    if (archive_write_open_fd(archive, fd) != ARCHIVE_OK)
        return fail_output(archive, place, error);
    g_autoptr(GHashTable) shared =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Walk walk = {.archive = archive,
                 .entry = entry,
                 .place = place,
                 .shared = shared,
                 .error = error};
    g_tree_foreach(image->nodes, count_names, &walk);
    g_tree_foreach(image->nodes, write_node, &walk);
    if (walk.failed)
        return FALSE;
    if (archive_write_close(archive) == ARCHIVE_OK)
        return TRUE;
    return fail_output(archive, place, error);
}
