/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "elf-file.h"
#include "error.h"
#include "programs.h"

#define MAXIMUM_DEPTH                                                                    \
    8 /* of interpreters that are scripts, and of includes in ld.so.conf */
#define MAXIMUM_SCRIPT_LINE 255

struct Programs {
    Initramfs *image;      /* borrowed */
    GPtrArray *configured; /* char *: folders of ld.so.conf; read when first needed */
    GHashTable *done;      /* set of char *: sources that are in the image */
};

Programs *
programs_new(Initramfs *image)
{
    Programs *programs = g_new0(Programs, 1);
    programs->image = image;
    programs->done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return programs;
}

void
programs_free(Programs *programs)
{
    if (!programs)
        return;
    g_clear_pointer(&programs->configured, g_ptr_array_unref);
    g_hash_table_unref(programs->done);
    g_free(programs);
}

char *
programs_find(const char *name)
{
    if (strchr(name, '/'))
        return g_file_test(name, G_FILE_TEST_IS_REGULAR)
                   ? g_canonicalize_filename(name, NULL)
                   : NULL;
    g_autofree char *found = g_find_program_in_path(name);
    if (found)
        return g_canonicalize_filename(found, NULL);
    static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/local/sbin"};
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = g_build_filename(folders[i], name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* ---- where libraries are
 * ----------------------------------------------------------------- */

/* glibc has these built in, some by distribution; musl the first and the last. */
static const char *const default_folders[] = {"/lib/x86_64-linux-gnu",
                                              "/usr/lib/x86_64-linux-gnu",
                                              "/lib64",
                                              "/usr/lib64",
                                              "/lib",
                                              "/usr/lib",
                                              "/usr/local/lib"};

static void read_ld_so_conf(GPtrArray *folders, const char *path, guint depth);

static void
read_included(GPtrArray *folders, const char *conf, const char *pattern, guint depth)
{
    g_autofree char *folder = g_path_get_dirname(conf);
    g_autofree char *full = g_path_is_absolute(pattern)
                                ? g_strdup(pattern)
                                : g_build_filename(folder, pattern, NULL);
    glob_t found;
    if (glob(full, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_ld_so_conf(folders, found.gl_pathv[i], depth + 1);
    globfree(&found);
}

/* The folders that ldconfig(8) is configured to look in: its cache has no documented
 * form. */
static void
read_ld_so_conf(GPtrArray *folders, const char *path, guint depth)
{
    g_autofree char *text = NULL;
    if (depth > MAXIMUM_DEPTH || !g_file_get_contents(path, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        (*line)[strcspn(*line, "#")] = '\0';
        const char *word = g_strstrip(*line);
        if (g_str_has_prefix(word, "include") && g_ascii_isspace(word[7]))
            read_included(folders, path, word + 8 + strspn(word + 8, " \t"), depth);
        else if (word[0] == '/')
            g_ptr_array_add(folders, g_strdup(word));
    }
}

/* Whether the file at PATH is a library for PROGRAM's kind of machine. */
static gboolean
fits(const char *path, const ElfLinkage *program)
{
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_autoptr(ElfLinkage) library = fd < 0 ? NULL : elf_file_linkage(fd, path, NULL);
    return library && library->machine == program->machine &&
           library->is_64bit == program->is_64bit;
}

static char *
try_folder(const char *folder, const char *name, const ElfLinkage *program)
{
    g_autofree char *joined = g_build_filename(folder, name, NULL);
    g_autofree char *path = g_canonicalize_filename(joined, "/");
    return fits(path, program) ? g_steal_pointer(&path) : NULL;
}

/* A folder of RPATH or RUNPATH with $ORIGIN, $LIB and $PLATFORM filled in. */
static char *
expand_folder(const char *folder, const char *origin)
{
    g_autoptr(GString) text = g_string_new(folder);
    const char *const values[][2] = {{"$ORIGIN", origin},
                                     {"${ORIGIN}", origin},
                                     {"$LIB", "lib/x86_64-linux-gnu"},
                                     {"${LIB}", "lib/x86_64-linux-gnu"},
                                     {"$PLATFORM", "x86_64"},
                                     {"${PLATFORM}", "x86_64"}};
    for (guint i = 0; i < G_N_ELEMENTS(values); i++)
        g_string_replace(text, values[i][0], values[i][1], 0);
    return g_strdup(text->str);
}

static char *
try_run_path(const char *run_path, const char *source, const char *name,
             const ElfLinkage *program)
{
    if (!run_path)
        return NULL;
    g_autofree char *origin = g_path_get_dirname(source);
    g_auto(GStrv) folders = g_strsplit(run_path, ":", -1);
    for (char **folder = folders; *folder; folder++) {
        g_autofree char *expanded = expand_folder(*folder, origin);
        char *path = expanded[0] == '/' ? try_folder(expanded, name, program) : NULL;
        if (path)
            return path;
    }
    return NULL;
}

static gboolean
is_default_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    for (guint i = 0; i < G_N_ELEMENTS(default_folders); i++)
        if (strcmp(folder, default_folders[i]) == 0)
            return TRUE;
    return FALSE;
}

/* *SEARCHED: the guest's linker finds it only if it is also in a folder that it searches.
 */
static char *
find_library(Programs *programs, const char *name, const char *source,
             const ElfLinkage *program, const char *inherited_rpath, gboolean *searched)
{
    *searched = FALSE;
    if (strchr(name, '/'))
        return fits(name, program) ? g_strdup(name) : NULL;
    /* RPATH, which libraries below inherit, counts only without RUNPATH (ld.so(8)). */
    char *path = program->runpath ? try_run_path(program->runpath, source, name, program)
                                  : try_run_path(program->rpath, source, name, program);
    if (!path && !program->runpath)
        path = try_run_path(inherited_rpath, source, name, program);
    if (path)
        return path;
    *searched = TRUE;
    if (!programs->configured) {
        programs->configured = g_ptr_array_new_with_free_func(g_free);
        read_ld_so_conf(programs->configured, "/etc/ld.so.conf", 0);
    }
    for (guint i = 0; !path && i < programs->configured->len; i++)
        path = try_folder(programs->configured->pdata[i], name, program);
    for (guint i = 0; !path && i < G_N_ELEMENTS(default_folders); i++)
        path = try_folder(default_folders[i], name, program);
    return path;
}

/* ---- putting them in
 * ----------------------------------------------------------------------- */

static gboolean add_elf(Programs *programs, int fd, const char *source, const char *path,
                        const char *inherited_rpath, GError **error);

static gboolean
add_library(Programs *programs, const char *name, const char *source,
            const ElfLinkage *program, const char *inherited_rpath, GError **error)
{
    gboolean searched;
    g_autofree char *path =
        find_library(programs, name, source, program, inherited_rpath, &searched);
    if (!path) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s needs the library %s, which is in none of the linker's folders",
                    source, name);
        return FALSE;
    }
    /* The guest has no ldconfig, so what lies elsewhere is made known in a default
     * folder. */
    if (searched && !is_default_folder(path)) {
        g_autofree char *link = g_build_filename(
            program->is_64bit && !g_file_test("/etc/debian_version", G_FILE_TEST_EXISTS)
                ? "/usr/lib64"
                : "/usr/lib",
            name, NULL);
        initramfs_add_link(programs->image, link, path);
    }
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return add_elf(programs, fd, path, path, inherited_rpath, error);
}

/* The folders of RPATH with $ORIGIN filled in, so that they mean the same to the
 * libraries that inherit them; together with what PROGRAM inherited itself. */
static char *
rpath_for_libraries(const ElfLinkage *program, const char *source, const char *inherited)
{
    if (!program->rpath || program->runpath)
        return g_strdup(inherited);
    g_autofree char *origin = g_path_get_dirname(source);
    g_autofree char *own = expand_folder(program->rpath, origin);
    return inherited ? g_strjoin(":", own, inherited, NULL) : g_steal_pointer(&own);
}

/* PATH: NULL if the file itself is not to be in the image. */
static gboolean
add_elf(Programs *programs, int fd, const char *source, const char *path,
        const char *inherited_rpath, GError **error)
{
    if (path && !g_hash_table_add(programs->done, g_strdup(source)) &&
        initramfs_has(programs->image, path))
        return TRUE;
    g_autoptr(ElfLinkage) linkage = elf_file_linkage(fd, source, error);
    if (!linkage)
        return FALSE;
    if (path)
        initramfs_add_file(programs->image, path, source, 0755);
    if (linkage->interpreter && !initramfs_has(programs->image, linkage->interpreter)) {
        if (!g_path_is_absolute(linkage->interpreter) ||
            !g_file_test(linkage->interpreter, G_FILE_TEST_IS_REGULAR)) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                        "%s needs the dynamic linker %s, which is not there", source,
                        linkage->interpreter);
            return FALSE;
        }
        initramfs_add_file(programs->image, linkage->interpreter, linkage->interpreter,
                           0755);
        /* glibc loads it by itself when a thread ends early, and aborts if it cannot. */
        if (strstr(linkage->interpreter, "/ld-linux"))
            add_library(programs, "libgcc_s.so.1", source, linkage, NULL, NULL);
    }
    g_autofree char *rpath = rpath_for_libraries(linkage, source, inherited_rpath);
    for (guint i = 0; i < linkage->needed->len; i++)
        if (!add_library(programs, linkage->needed->pdata[i], source, linkage, rpath,
                         error))
            return FALSE;
    return TRUE;
}

/* "#!INTERPRETER ARGUMENT" → the two words. A text that begins otherwise is the shell's,
 * as a shell and execvp(3) have it. FALSE: no script. */
static gboolean
script_interpreter(int fd, char **interpreter, char **argument)
{
    char line[MAXIMUM_SCRIPT_LINE + 1] = "";
    ssize_t length = pread(fd, line, MAXIMUM_SCRIPT_LINE, 0);
    if (length < 0 || memchr(line, '\0', (gsize)length))
        return FALSE;
    line[strcspn(line, "\n")] = '\0';
    gboolean is_told = g_str_has_prefix(line, "#!");
    g_auto(GStrv) words = g_strsplit_set(g_strstrip(line + (is_told ? 2 : 0)), " \t", 2);
    is_told = is_told && words[0] && words[0][0];
    *interpreter = g_strdup(is_told ? words[0] : "/bin/sh");
    *argument = is_told && words[1] ? g_strdup(g_strstrip(words[1])) : NULL;
    return TRUE;
}

static gboolean add_program(Programs *programs, const char *source, const char *path,
                            guint depth, GError **error);

static gboolean
add_named(Programs *programs, const char *name, const char *script, guint depth,
          GError **error)
{
    g_autofree char *place =
        strchr(name, '/') ? g_strdup(name) : g_build_filename("/usr/bin", name, NULL);
    if (initramfs_has(programs->image, place))
        return TRUE;
    g_autofree char *source = programs_find(name);
    if (!source) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the script %s needs the interpreter %s, which is not there", script,
                    name);
        return FALSE;
    }
    return add_program(programs, source, place, depth + 1, error);
}

static gboolean
add_script(Programs *programs, const char *source, const char *interpreter,
           const char *argument, guint depth, GError **error)
{
    if (depth > MAXIMUM_DEPTH) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the script %s has an interpreter that is a script, and so on",
                    source);
        return FALSE;
    }
    if (!add_named(programs, interpreter, source, depth, error))
        return FALSE;
    /* "#!/usr/bin/env python3" */
    g_autofree char *base = g_path_get_basename(interpreter);
    gboolean is_env = strcmp(base, "env") == 0 && argument && argument[0] != '-';
    return !is_env || add_named(programs, argument, source, depth, error);
}

/* PATH as of add_elf(). */
static gboolean
add_program(Programs *programs, const char *source, const char *path, guint depth,
            GError **error)
{
    g_auto(AutoFd) fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        g_set_error(error, HB_ERROR, HB_USAGE, "cannot read the program %s: %s", source,
                    g_strerror(errno));
        return FALSE;
    }
    if (elf_file_is_elf(fd))
        return add_elf(programs, fd, source, path, NULL, error);
    g_autofree char *interpreter = NULL, *argument = NULL;
    if (!script_interpreter(fd, &interpreter, &argument)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s is no program: neither ELF nor a script, which is text", source);
        return FALSE;
    }
    if (path)
        initramfs_add_file(programs->image, path, source, 0755);
    return add_script(programs, source, interpreter, argument, depth, error);
}

gboolean
programs_add(Programs *programs, const char *source, const char *path, GError **error)
{
    if (!add_program(programs, source, path ? path : source, 0, error))
        return FALSE;
    if (path)
        return TRUE;
    g_autofree char *place = initramfs_place(source);
    g_autofree char *name = g_path_get_basename(source);
    g_autofree char *by_name = g_build_filename("/usr/bin", name, NULL);
    if (strcmp(place, by_name) != 0)
        initramfs_add_link(programs->image, by_name, place);
    return TRUE;
}

gboolean
programs_add_needs(Programs *programs, const char *source, GError **error)
{
    return add_program(programs, source, NULL, 0, error);
}
