/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed-bootstrap: one order (servant.h), one disk that is a file system with a
 * recipe's packages, by mmdebstrap(1). The tree that it makes becomes the disk at the
 * machine's own speed, by mke2fs(8), within mmdebstrap, where files have the owners that
 * they shall have. No root is needed where users have user namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "error.h"
#include "printable.h"
#include "resources.h"
#include "servant-side.h"

/* A tree lives for a minute, and has tens of thousands of files: in memory, where there
 * is room, and in a name space of ours, so that it goes with us however we end. What it
 * may take, and what must be free for that. */
#define TREE_MAX "size=3g,mode=0755"
#define MEMORY_LEAST ((gint64)6 << 30)
/* Where it is for who has another user's number in the tree's name space, and so does not
 * get into the cache: a folder that every machine has and from which no user takes
 * packages. */
#define TREE_PLACE "/root"
#define KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

typedef struct {
    const ServantSide *side;
    JsonObject *order;
    char *what; /* for progress */
    guint steps;
    GString *complaint;
    char *aside; /* the first line of noise, told if there is nothing else */
} Bootstrap;

static void
bootstrap_clear(Bootstrap *bootstrap)
{
    g_free(bootstrap->what);
    g_free(bootstrap->aside);
    g_string_free(bootstrap->complaint, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bootstrap, bootstrap_clear)

static const char *
text(const Bootstrap *bootstrap, const char *name)
{
    return json_object_get_string_member_with_default(bootstrap->order, name, NULL);
}

/* ---- where packages come from
 * ---------------------------------------------------------------------- */

/* One line for each of this machine's own archives that has RELEASE, its updates or its
 * security fixes. */
static void
add_own_sources(GStrvBuilder *builder, const char *release)
{
    const char *const argv[] = {"apt-get",
                                "indextargets",
                                "--format",
                                "$(REPO_URI) $(CODENAME) $(COMPONENT)",
                                "Created-By: Packages",
                                NULL};
    g_autofree char *output = NULL;
    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &output, NULL, NULL, NULL))
        return;
    g_autofree char *updates = g_strconcat(release, "-updates", NULL);
    g_autofree char *security = g_strconcat(release, "-security", NULL);
    const char *const names[] = {release, updates, security, NULL};
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 3);
        if (g_strv_length(words) < 3 || !g_strv_contains(names, words[1]) ||
            strcmp(words[2], "main") != 0)
            continue;
        g_autofree char *source =
            g_strdup_printf("deb [signed-by=" KEYRING "] %s %s main", words[0], words[1]);
        g_strv_builder_add(builder, source);
    }
}

static void
add_sources(const Bootstrap *bootstrap, GStrvBuilder *builder)
{
    const char *mirror = text(bootstrap, "mirror");
    if (mirror) {
        g_autofree char *source = g_strdup_printf(
            "deb [signed-by=" KEYRING "] %s %s main", mirror, text(bootstrap, "debian"));
        g_strv_builder_add(builder, source);
    } else {
        add_own_sources(builder, text(bootstrap, "debian"));
    }
}

/* ---- what mmdebstrap does
 * -------------------------------------------------------------------------- */

/* Before packages are installed: an initramfs with what a host's disk needs and no more,
 * which takes a third of the time to make and to start with. $1 is the tree. */
static char *
settings_hook(const Bootstrap *bootstrap)
{
    JsonArray *modules = json_object_get_array_member(bootstrap->order, "modules");
    g_autoptr(GString) words = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(modules); i++) {
        g_autofree char *word = g_shell_quote(json_array_get_string_element(modules, i));
        g_string_append_printf(words, " %s", word);
    }
    return g_strdup_printf(
        "set -e; mkdir -p \"$1/etc/initramfs-tools/conf.d\" "
        "\"$1/usr/share/initramfs-tools/modules.d\"; "
        "printf 'MODULES=list\\nCOMPRESS=gzip\\n' "
        ">\"$1/etc/initramfs-tools/conf.d/hostbed\"; "
        "printf '%%s\\n'%s >\"$1/usr/share/initramfs-tools/modules.d/recipe\"",
        words->str);
}

/* In the end: the tree without what is mounted in it, as a file system. Nobody needs a
 * journal of what is thrown away, and tables that are zero already must not be zeroed by
 * each host that starts. The disk is open, so that who has another user's number in the
 * tree's name space can write to it. */
static char *
disk_hook(int disk)
{
    return g_strdup_printf(
        "set -e; rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*.bin "
        "\"$1\"/var/cache/apt/archives/*.deb \"$1\"/var/log/*.log \"$1\"/var/log/apt; "
        ": >\"$1/etc/machine-id\"; rm -f \"$1\"/etc/resolv.conf; "
        "mkdir \"$1.plain\"; mount --bind \"$1\" \"$1.plain\"; "
        "PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum "
        "-m 0 "
        "-E assume_storage_prezeroed=1 -d \"$1.plain\" /proc/self/fd/%d; "
        "umount \"$1.plain\"; rmdir \"$1.plain\"",
        disk);
}

static void
add_option(GStrvBuilder *builder, const char *name, const char *value)
{
    g_autofree char *option = g_strdup_printf("--%s=%s", name, value);
    g_strv_builder_add(builder, option);
}

static void
add_excluded(const Bootstrap *bootstrap, GStrvBuilder *builder)
{
    JsonArray *patterns = json_object_get_array_member(bootstrap->order, "exclude");
    for (guint i = 0; i < json_array_get_length(patterns); i++) {
        g_autofree char *option = g_strdup_printf(
            "path-exclude=%s", json_array_get_string_element(patterns, i));
        add_option(builder, "dpkgopt", option);
    }
    /* Whoever loses power meanwhile has no disk at all. */
    add_option(builder, "dpkgopt", "force-unsafe-io");
}

static void
add_packages(const Bootstrap *bootstrap, GStrvBuilder *builder)
{
    JsonArray *packages = json_object_get_array_member(bootstrap->order, "packages");
    for (guint i = 0; i < json_array_get_length(packages); i++)
        add_option(builder, "include", json_array_get_string_element(packages, i));
}

static gboolean
has_memory(void)
{
    g_autoptr(Resources) resources = resources_read("");
    return resources->usable_bytes >= MEMORY_LEAST;
}

/* mmdebstrap's own name spaces with memory in them, and in these mmdebstrap again, which
 * finds that it is root and has no need of others. */
static void
add_own_memory(GStrvBuilder *builder)
{
    if (geteuid() != 0 && has_memory())
        g_strv_builder_add_many(builder, "mmdebstrap", "--unshare-helper", "sh", "-c",
                                "mount -t tmpfs -o " TREE_MAX " tmpfs " TREE_PLACE
                                " && export TMPDIR=" TREE_PLACE "; exec \"$@\"",
                                "sh", NULL);
}

static GStrv
command_line(const Bootstrap *bootstrap, int disk)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    add_own_memory(builder);
    g_autofree char *settings = settings_hook(bootstrap);
    g_autofree char *last = disk_hook(disk);
    const char *proxy = text(bootstrap, "proxy");
    g_strv_builder_add_many(builder, "mmdebstrap", "--variant=apt", "--format=null",
                            "--aptopt=Acquire::Languages \"none\"", NULL);
    add_option(builder, "mode", geteuid() == 0 ? "root" : "unshare");
    if (proxy) {
        g_autofree char *option = g_strdup_printf("Acquire::http::Proxy \"%s\"", proxy);
        add_option(builder, "aptopt", option);
    }
    add_excluded(bootstrap, builder);
    add_packages(bootstrap, builder);
    add_option(builder, "essential-hook", settings);
    add_option(builder, "customize-hook", last);
    g_strv_builder_add_many(builder, text(bootstrap, "debian"), "/dev/null", NULL);
    add_sources(bootstrap, builder);
    return g_strv_builder_end(builder);
}

/* ---- run
 * -------------------------------------------------------------------------------------------
 */

/* mmdebstrap's own steps, of which it says each as "I: …". */
#define STEPS 10

/* What says nothing of why: mmdebstrap's own tidying, who ran it within, that root reads
 * root's folders, and that what was told before has ended something. */
static gboolean
is_noise(const char *line)
{
    static const char *const noise[] = {
        "system failed: ",
        "unshared command failed",
        "Download is performed unsandboxed",
        "setup failed: ",
        "mmdebstrap failed to run",
    };
    for (guint i = 0; i < G_N_ELEMENTS(noise); i++)
        if (strstr(line, noise[i]))
            return TRUE;
    return FALSE;
}

static void
take_line(Bootstrap *bootstrap, const char *line)
{
    if (g_str_has_prefix(line, "I: "))
        servant_side_progress(bootstrap->side, bootstrap->what,
                              MIN(++bootstrap->steps, STEPS), STEPS);
    else if (is_noise(line))
        bootstrap->aside = bootstrap->aside ? bootstrap->aside : g_strdup(line + 3);
    else if (g_str_has_prefix(line, "E: ") || g_str_has_prefix(line, "W: ") ||
             strstr(line, "mke2fs") || strstr(line, "mount"))
        g_string_append_printf(bootstrap->complaint, "%s%s",
                               bootstrap->complaint->len ? "; " : "", line + 3);
}

static void
listen(Bootstrap *bootstrap, int fd)
{
    FILE *stream = fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while (stream && (length = getline(&line, &size, stream)) > 0) {
        g_autofree char *safe = printable(line, (gsize)length, 300);
        take_line(bootstrap, safe);
    }
    free(line);
    if (stream)
        fclose(stream);
}

static gboolean
run_mmdebstrap(Bootstrap *bootstrap, int disk, GError **error)
{
    g_auto(GStrv) argv = command_line(bootstrap, disk);
    /* Who has another user's number in the tree's name space does not get into the cache.
     */
    g_auto(GStrv) environment =
        geteuid() == 0
            ? g_environ_setenv(g_get_environ(), "TMPDIR", text(bootstrap, "work"), TRUE)
            : g_get_environ();
    g_autoptr(GError) failure = NULL;
    GPid pid = 0;
    int errors = -1, status = 0;
    if (!g_spawn_async_with_pipes_and_fds(
            NULL, (const char *const *)argv, (const char *const *)environment,
            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, -1, -1, -1,
            &disk, &disk, 1, &pid, NULL, NULL, &errors, &failure)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s; './quickstart images' installs what images are made with",
                    failure->message);
        return FALSE;
    }
    listen(bootstrap, errors);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "the packages of %s cannot be installed: mmdebstrap says: %s",
                text(bootstrap, "name"),
                bootstrap->complaint->len ? bootstrap->complaint->str
                : bootstrap->aside        ? bootstrap->aside
                                          : "nothing");
    return FALSE;
}

static void
use_memory(const Bootstrap *bootstrap)
{
    if (geteuid() != 0 || !has_memory() || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return;
    if (mount("tmpfs", text(bootstrap, "work"), "tmpfs", 0, TREE_MAX) != 0)
        g_debug("the tree is made on the disk: %s", g_strerror(errno));
}

static gboolean
convert(const Bootstrap *bootstrap, const char *raw, GError **error)
{
    const char *const argv[] = {"qemu-img", "convert", "-f", "raw",
                                "-O",       "qcow2",   raw,  text(bootstrap, "output"),
                                NULL};
    g_autofree char *complaint = NULL;
    g_autoptr(GError) failure = NULL;
    int status = 0;
    servant_side_progress(bootstrap->side, bootstrap->what, STEPS, STEPS);
    gboolean started = g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                                    NULL, NULL, &complaint, &status, &failure);
    if (started && g_spawn_check_wait_status(status, NULL))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the disk cannot be made: %s",
                started ? g_strchomp(complaint) : failure->message);
    return FALSE;
}

/* The raw disk has no name, so that nobody has to remove it. */
static int
make_disk(const Bootstrap *bootstrap, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(text(bootstrap, "output"));
    gint64 size = json_object_get_int_member(bootstrap->order, "size");
    int fd = cache_open_nameless(folder);
    if (fd >= 0 && fchmod(fd, 0666) == 0 && ftruncate(fd, size) == 0)
        return fd;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a disk in %s: %s",
                folder, g_strerror(errno));
    return -1;
}

static JsonObject *
work(const ServantSide *side, JsonObject *order, GError **error)
{
    g_auto(Bootstrap) bootstrap = {.side = side, .order = order};
    bootstrap.complaint = g_string_new(NULL);
    bootstrap.what = g_strdup_printf("packages of %s", text(&bootstrap, "name"));
    servant_side_progress(side, bootstrap.what, 0, STEPS);
    g_auto(AutoFd) disk = make_disk(&bootstrap, error);
    if (disk < 0)
        return NULL;
    use_memory(&bootstrap);
    g_autofree char *raw = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), disk);
    return run_mmdebstrap(&bootstrap, disk, error) && convert(&bootstrap, raw, error)
               ? json_object_new()
               : NULL;
}

int
main(void)
{
    return servant_side_run(work);
}
