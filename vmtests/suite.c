/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BUFFERS 8
#define FILE_MAX_BYTES 65536

/* ---- files
 * ---------------------------------------------------------------------------------- */

bool
suite_is_live(void)
{
    const char *root = getenv("HOSTBED_ROOT");
    return !root || !*root;
}

void
skip_unless_tried(int tried, const char *what)
{
    if (tried == 0) {
        print_message("the host has no %s\n", what);
        skip();
    }
}

static const char *
path_v(const char *format, va_list args)
{
    static char buffers[BUFFERS][PATH_MAX];
    static unsigned turn;
    char *buffer = buffers[turn++ % BUFFERS];
    const char *root = getenv("HOSTBED_ROOT");
    int used = snprintf(buffer, PATH_MAX, "%s", root ? root : "");
    if (used < PATH_MAX)
        vsnprintf(buffer + used, (size_t)(PATH_MAX - used), format, args);
    return buffer;
}

#define PATH_FROM(format, path)                                                          \
    va_list args;                                                                        \
    va_start(args, format);                                                              \
    const char *path = path_v(format, args);                                             \
    va_end(args)

const char *
suite_path(const char *format, ...)
{
    PATH_FROM(format, path);
    return path;
}

const char *
suite_read(const char *format, ...)
{
    static char buffers[BUFFERS][FILE_MAX_BYTES];
    static unsigned turn;
    PATH_FROM(format, path);
    char *buffer = buffers[turn++ % BUFFERS];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t used = 0;
    ssize_t got;
    while (used < FILE_MAX_BYTES - 1 &&
           (got = read(fd, buffer + used, FILE_MAX_BYTES - 1 - used)) > 0)
        used += (size_t)got;
    close(fd);
    if (used > 0 && buffer[used - 1] == '\n')
        used--;
    buffer[used] = '\0';
    return buffer;
}

const char *
suite_link(const char *format, ...)
{
    static char buffers[BUFFERS][PATH_MAX];
    static unsigned turn;
    PATH_FROM(format, path);
    char *buffer = buffers[turn++ % BUFFERS];
    ssize_t length = readlink(path, buffer, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    buffer[length] = '\0';
    char *slash = strrchr(buffer, '/');
    return slash ? slash + 1 : buffer;
}

static int
not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int
suite_list(void (*each)(const char *name, void *data), void *data, const char *format,
           ...)
{
    PATH_FROM(format, path);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_hidden, alphasort);
    for (int i = 0; i < count; i++) {
        each(entries[i]->d_name, data);
        free(entries[i]);
    }
    free(entries);
    return count;
}

/* A recorded tree keeps the log as /proc/kmsg.txt; the host's is read record by record.
 */
bool
suite_log_has(const char *text)
{
    char record[8192];
    if (!suite_is_live()) {
        FILE *file = fopen(suite_path("/proc/kmsg.txt"), "re");
        bool found = false;
        while (file && !found && fgets(record, sizeof record, file))
            found = strstr(record, text) != NULL;
        if (file)
            fclose(file);
        return found;
    }
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool found = false;
    ssize_t got;
    /* EPIPE: some records were overwritten; the next one is behind them. */
    while (fd >= 0 && !found &&
           ((got = read(fd, record, sizeof record - 1)) > 0 ||
            (got < 0 && errno == EPIPE))) {
        record[got > 0 ? got : 0] = '\0';
        found = strstr(record, text) != NULL;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/* ---- time
 * ---------------------------------------------------------------------------------- */

int
suite_ms(int ms)
{
    const char *text = getenv("HOSTBED_SLOWNESS");
    double slowness = text ? strtod(text, NULL) : 1;
    if (!(slowness > 1))
        return ms;
    return slowness * ms < INT_MAX ? (int)(slowness * ms) : INT_MAX;
}

/* ---- changes
 * ---------------------------------------------------------------------------------- */

static int
write_file(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, value, strlen(value));
    int error = errno;
    close(fd);
    errno = error;
    return written < 0 ? -1 : 0;
}

int
suite_write(const char *value, const char *format, ...)
{
    PATH_FROM(format, path);
    return write_file(path, value);
}

#define UNDO_MAX 1024

typedef struct {
    void (*undo)(long number);
    long number;
} Undo;

static struct {
    int count, saved_count;
    Undo step[UNDO_MAX];
    struct {
        char *path, *value;
    } saved[UNDO_MAX];
} at_end;

void
suite_at_end(void (*undo)(long number), long number)
{
    if (at_end.count == UNDO_MAX)
        fail_msg("a case has more than %d things to undo", UNDO_MAX);
    at_end.step[at_end.count++] = (Undo){undo, number};
}

static void
forget_saved(long number)
{
    free(at_end.saved[number].path);
    free(at_end.saved[number].value);
    at_end.saved_count = (int)number;
}

static void
write_again(long number)
{
    if (write_file(at_end.saved[number].path, at_end.saved[number].value) != 0)
        print_message("%s is not again %s: %s\n", at_end.saved[number].path,
                      at_end.saved[number].value, strerror(errno));
    forget_saved(number);
}

void
suite_keep(const char *format, ...)
{
    PATH_FROM(format, path);
    const char *before = suite_read("%s", path);
    if (!before)
        fail_msg("%s cannot be read: %s", path, strerror(errno));
    suite_at_end(write_again, at_end.saved_count);
    at_end.saved[at_end.saved_count].path = strdup(path);
    at_end.saved[at_end.saved_count++].value = strdup(before);
}

void
suite_set(const char *value, const char *format, ...)
{
    PATH_FROM(format, path);
    suite_keep("%s", path);
    if (write_file(path, value) != 0)
        fail_msg("%s cannot be set to %s: %s", path, value, strerror(errno));
}

bool
suite_host_ends(void)
{
    return getenv("HOSTBED_CASE") != NULL;
}

int
suite_to_undo(void)
{
    return at_end.count;
}

void
suite_undo_after(int count)
{
    while (at_end.count > count && !suite_host_ends()) {
        Undo last = at_end.step[--at_end.count];
        last.undo(last.number);
    }
}

void
suite_forget_undo(void)
{
    while (at_end.saved_count > 0)
        forget_saved(at_end.saved_count - 1);
    at_end.count = 0;
}

int
suite_case_ends(void **state)
{
    suite_undo_after(0);
    return 0;
}

/* The word that is the whole of FAULT up to its first blank is NAME. */
static bool
is_fault(const char *fault, const char *name)
{
    return strcspn(fault, " ") == strlen(name) && strncmp(fault, name, strlen(name)) == 0;
}

/* A recorded tree may have a command line, but it is no host to spoil. */
bool
suite_has_fault(const char *name)
{
    static const char word[] = "hostbed.fault=";
    if (!suite_is_live())
        return false;
    const char *asked = getenv("HOSTBED_FAULT");
    if (asked && is_fault(asked, name))
        return true;
    const char *line = suite_read("/proc/cmdline");
    const char *fault = line ? strstr(line, word) : NULL;
    return fault && is_fault(fault + strlen(word), name);
}

/* ---- facts
 * ------------------------------------------------------------------------------------ */

/* The manifest: its lines as they stand, in order, and the same split at blanks. */
static struct {
    bool is_read;
    size_t count, room;
    char **line;
    Fact *fact;
} manifest;

static Fact
split(const char *text)
{
    char *line = strdup(text), *rest = NULL;
    size_t words = 1;
    for (const char *p = line; *p; p++)
        words += *p == ' ';
    Fact fact = {0, calloc(words, sizeof *fact.word)};
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        fact.word[fact.count++] = word;
    return fact;
}

static void
add_line(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (manifest.count + 1 >= manifest.room) {
        manifest.room = manifest.room * 2 + 64;
        manifest.line = realloc(manifest.line, manifest.room * sizeof *manifest.line);
        manifest.fact = realloc(manifest.fact, manifest.room * sizeof *manifest.fact);
    }
    manifest.line[manifest.count] = strdup(line);
    manifest.fact[manifest.count++] = split(line);
    manifest.fact[manifest.count] = (Fact){0};
}

const Fact *
suite_facts(void)
{
    if (manifest.is_read)
        return manifest.fact;
    manifest.is_read = true;
    const char *name = getenv("HOSTBED_MANIFEST");
    FILE *file = name ? fopen(name, "re") : NULL;
    char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) > 0)
        add_line(line);
    free(line);
    if (file)
        fclose(file);
    return manifest.fact;
}

bool
fact_is(const Fact *fact, const char *words)
{
    for (int i = 0; *words; i++) {
        size_t length = strcspn(words, " ");
        if (i >= fact->count || strlen(fact->word[i]) != length ||
            strncmp(fact->word[i], words, length) != 0)
            return false;
        words += length + (words[length] == ' ');
    }
    return true;
}

const Fact *
suite_fact(const char *format, ...)
{
    char words[512];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    /* The lines are sorted by their bytes, and nothing sorts before the blank that ends a
     * word: so the first line that is not less begins with these words or none does. A
     * search matters: 128 cells have 16384 distances. */
    suite_facts();
    size_t low = 0, high = manifest.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(manifest.line[middle], words) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < manifest.count && fact_is(&manifest.fact[low], words))
        return &manifest.fact[low];
    return NULL;
}

const char *
suite_asked(const char *address, const char *what)
{
    const Fact *fact = suite_fact("pci %s %s", address, what);
    return fact ? fact->word[3] : "";
}

const Fact *
suite_group_of(const char *address)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++) {
        if (strcmp(fact->word[0], "group") != 0)
            continue;
        for (int i = 1; i < fact->count; i++)
            if (strcmp(fact->word[i], address) == 0)
                return fact;
    }
    return NULL;
}

/* ---- kernel lists
 * ------------------------------------------------------------------------------- */

int
list_next(const char *list, int after)
{
    while (*list >= '0' && *list <= '9') {
        char *end;
        long first = strtol(list, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (after < first)
            return (int)first;
        if (after < last)
            return after + 1;
        list = *end == ',' ? end + 1 : end;
    }
    return -1;
}

bool
list_has(const char *list, int number)
{
    return list_next(list, number - 1) == number;
}

/* ---- failing
 * ---------------------------------------------------------------------------------- */

/* The text of a false assertion is what cmocka prints below the case. */
void
suite_fail(const char *file, int line, const char *format, ...)
{
    char sentence[900]; /* of the 1024 that cmocka prints of a message */
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    _assert_true(0, sentence, file, line);
    abort(); /* it does not return */
}

void
suite_differs(const char *file, int line, const char *format, ...)
{
    char sentence[800];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (getenv("HOSTBED_TAINTED")) {
        print_message("unchecked, raw emulator arguments may disturb it: %s\n", sentence);
        _skip(file, line);
    }
    suite_fail(file, line, "%s", sentence);
}

/* ---- memory
 * -------------------------------------------------------------------------------------
 */

int
page_node(const void *address)
{
    void *pages[1] = {(void *)(uintptr_t)address};
    int status[1] = {-1};
    if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, status, 0) != 0)
        return -1;
    return status[0];
}

int
bind_range(void *address, size_t length, int mode, int node)
{
    unsigned long mask[16] = {0}; /* 1024 nodes, the kernel's own most */
    mask[node / 64] = 1UL << (node % 64);
    return (int)syscall(SYS_mbind, address, length, mode, mask, sizeof mask * 8, 0);
}

int64_t
node_meminfo_kib(int node, const char *field)
{
    const char *text = suite_read("/sys/devices/system/node/node%d/meminfo", node);
    char label[64];
    snprintf(label, sizeof label, "Node %d %s:", node, field);
    const char *at = text ? strstr(text, label) : NULL;
    return at ? strtoll(at + strlen(label), NULL, 10) : -1;
}

static bool
has_word(const char *words, const char *word)
{
    for (const size_t length = strlen(word); *words; words += *words == ' ') {
        const size_t next = strcspn(words, " ");
        if (next == length && strncmp(words, word, length) == 0)
            return true;
        words += next;
    }
    return false;
}

/* Of COUNT tests those that are meant go to CHOSEN. Returns how many. */
static size_t
choose(const struct CMUnitTest *tests, size_t count, struct CMUnitTest *chosen)
{
    const char *one = getenv("HOSTBED_CASE"), *some = getenv("HOSTBED_CASES");
    size_t number = 0;
    for (size_t i = 0; i < count; i++)
        if ((!one || strcmp(tests[i].name, one) == 0) &&
            (!some || has_word(some, tests[i].name)))
            chosen[number++] = tests[i];
    return number;
}

int
suite_main(const char *name, const struct CMUnitTest *tests, size_t count)
{
    const Fact *facts = suite_facts();
    if (!facts || facts[0].count == 0) {
        printf("1..0 # SKIP no manifest: HOSTBED_MANIFEST names none\n");
        return 77;
    }
    struct CMUnitTest *chosen = calloc(count, sizeof *chosen);
    if (!chosen)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed =
        _cmocka_run_group_tests(name, chosen, choose(tests, count, chosen), NULL, NULL);
    free(chosen);
    return failed == 0 ? 0 : 1;
}
