/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resources.h"

#include <sched.h>
#include <string.h>

#include "error.h"
#include "units.h"

#define VARIABLE "HOSTBED_MEMORY"
#define UNLIMITED (-1)

static char *
read_text(const char *directory, const char *file)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* The number that a file consists of; UNLIMITED for "max", for what is no number and for
 * numbers no machine has (v1 writes nearly 2^63 for "no limit"). */
static gint64
read_limit(const char *directory, const char *file)
{
    g_autofree char *text = read_text(directory, file);
    if (!text || !g_ascii_isdigit(*text))
        return UNLIMITED;
    gint64 value = g_ascii_strtoll(text, NULL, 10);
    return value >= G_MAXINT64 / 2 ? UNLIMITED : value;
}

/* The number after KEY at the beginning of a line of TEXT, or 0. */
static gint64
field(const char *text, const char *key)
{
    gsize length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && !g_ascii_isalnum(line[length]))
            return g_ascii_strtoll(line + length + strspn(line + length, ": \t"), NULL,
                                   10);
    }
    return 0;
}

static gint64
smaller(gint64 a, gint64 b)
{
    return a == UNLIMITED ? b : b == UNLIMITED ? a : MIN(a, b);
}

/* ---- control groups
 * -------------------------------------------------------------------------- */

/* What one group still leaves: its limit less what it uses, where files that nobody has
 * touched lately count as free, as they do in MemAvailable. */
static gint64
group_memory(const char *directory, gboolean is_v2)
{
    gint64 limit = is_v2 ? smaller(read_limit(directory, "memory.max"),
                                   read_limit(directory, "memory.high"))
                         : read_limit(directory, "memory.limit_in_bytes");
    if (limit == UNLIMITED)
        return UNLIMITED;
    gint64 used =
        read_limit(directory, is_v2 ? "memory.current" : "memory.usage_in_bytes");
    g_autofree char *stat = read_text(directory, "memory.stat");
    gint64 idle = field(stat, is_v2 ? "inactive_file" : "total_inactive_file");
    return MAX(limit - MAX(used - idle, 0), 0);
}

/* Whole CPUs that the group's quota is worth, rounded up. */
static gint64
group_cpus(const char *directory, gboolean is_v2)
{
    gint64 quota, period;
    if (is_v2) {
        g_autofree char *text = read_text(directory, "cpu.max");
        g_auto(GStrv) words = g_strsplit(text ? text : "max", " ", 2);
        if (!g_ascii_isdigit(*words[0]) || !words[1])
            return UNLIMITED;
        quota = g_ascii_strtoll(words[0], NULL, 10);
        period = g_ascii_strtoll(words[1], NULL, 10);
    } else {
        quota = read_limit(directory, "cpu.cfs_quota_us");
        period = read_limit(directory, "cpu.cfs_period_us");
    }
    if (quota <= 0 || period <= 0)
        return UNLIMITED;
    return (quota + period - 1) / period;
}

typedef gint64 (*GroupLimit)(const char *directory, gboolean is_v2);

/* The tightest limit from the group PATH below MOUNT up to its root. In a container the
 * group may not be there under its name, its root is all the same. */
static gint64
tightest(const char *mount, const char *path, GroupLimit limit, gboolean is_v2)
{
    gint64 found = UNLIMITED;
    g_autofree char *group = g_strdup(path);
    for (;;) {
        g_autofree char *directory = g_build_filename(mount, group, NULL);
        if (!strstr(group, ".."))
            found = smaller(found, limit(directory, is_v2));
        char *slash = strrchr(group, '/');
        if (!slash || group[1] == '\0')
            return found;
        slash[slash == group ? 1 : 0] = '\0';
    }
}

/* LINE of /proc/self/cgroup is "ID:CONTROLLERS:PATH"; v2's has ID 0 and no controllers.
 */
static gint64
line_limit(const char *root, const char *line, const char *controller, GroupLimit limit)
{
    g_auto(GStrv) parts = g_strsplit(line, ":", 3);
    if (g_strv_length(parts) != 3 || *parts[2] != '/')
        return UNLIMITED;
    if (*parts[1] == '\0') {
        g_autofree char *unified = g_strconcat(root, "/sys/fs/cgroup", NULL);
        return tightest(unified, parts[2], limit, TRUE);
    }
    g_auto(GStrv) controllers = g_strsplit(parts[1], ",", -1);
    if (!g_strv_contains((const char *const *)controllers, controller))
        return UNLIMITED;
    g_autofree char *mount = g_strconcat(root, "/sys/fs/cgroup/", controller, NULL);
    return tightest(mount, parts[2], limit, FALSE);
}

static gint64
groups_limit(const char *root, const char *controller, GroupLimit limit)
{
    g_autofree char *proc = g_strconcat(root, "/proc/self", NULL);
    g_autofree char *text = read_text(proc, "cgroup");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    gint64 found = UNLIMITED;
    for (guint i = 0; lines[i]; i++)
        found = smaller(found, line_limit(root, lines[i], controller, limit));
    return found;
}

/* ---- the machine
 * ------------------------------------------------------------------------------- */

static int
compare_sizes(gconstpointer a, gconstpointer b)
{
    gint64 x = ((const ResourcesHugepages *)a)->page_bytes;
    gint64 y = ((const ResourcesHugepages *)b)->page_bytes;
    return x < y ? -1 : x > y;
}

static void
read_hugepages(const char *root, GArray *hugepages)
{
    g_autofree char *path = g_strconcat(root, "/sys/kernel/mm/hugepages", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;
    while (directory && (name = g_dir_read_name(directory))) {
        if (!g_str_has_prefix(name, "hugepages-"))
            continue;
        g_autofree char *size = g_build_filename(path, name, NULL);
        ResourcesHugepages pages = {
            .page_bytes = g_ascii_strtoll(name + strlen("hugepages-"), NULL, 10) * 1024,
            .total = MAX(read_limit(size, "nr_hugepages"), 0),
            .free = MAX(read_limit(size, "free_hugepages"), 0),
        };
        g_array_append_val(hugepages, pages);
    }
    g_array_sort(hugepages, compare_sizes);
}

static guint
affinity(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (guint)CPU_COUNT(&set)
                                                       : g_get_num_processors();
}

gboolean
resources_check_wish(GError **error)
{
    const char *text = g_getenv(VARIABLE);
    gint64 bytes;
    if (!text || !*text)
        return TRUE;
    if (units_parse_size(text, &bytes, error)) {
        if (bytes > 0)
            return TRUE;
        g_set_error_literal(error, HB_ERROR, HB_USAGE, "leaves no host any");
    }
    g_prefix_error(error, VARIABLE " '%s' ", text);
    return FALSE;
}

/* Who says so knows what his hosts will really use. */
static void
read_wish(Resources *resources)
{
    const char *text = g_getenv(VARIABLE);
    gint64 bytes;
    resources->is_wish = text && units_parse_size(text, &bytes, NULL);
    if (resources->is_wish)
        resources->usable_bytes = bytes;
}

Resources *
resources_read(const char *root)
{
    Resources *resources = g_new0(Resources, 1);
    g_autofree char *proc = g_strconcat(root, "/proc", NULL);
    g_autofree char *meminfo = read_text(proc, "meminfo");
    resources->machine_bytes = field(meminfo, "MemTotal") * 1024;
    resources->available_bytes = field(meminfo, "MemAvailable") * 1024;
    resources->group_bytes = groups_limit(root, "memory", group_memory);
    resources->usable_bytes = smaller(resources->available_bytes, resources->group_bytes);
    read_wish(resources);
    gint64 quota = groups_limit(root, "cpu", group_cpus);
    resources->cpus = (guint)MAX(smaller(affinity(), quota), 1);
    resources->hugepages = g_array_new(FALSE, FALSE, sizeof(ResourcesHugepages));
    read_hugepages(root, resources->hugepages);
    return resources;
}

void
resources_free(Resources *resources)
{
    if (!resources)
        return;
    g_array_unref(resources->hugepages);
    g_free(resources);
}
