/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Labs made to hurt: each is one clear sentence, soon, with little memory.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define OPEN "<lab xmlns='urn:hostbed:lab:1' name='t'>"
#define HOST OPEN "<host><cell cpus='0' memory='1 GiB'>"

/* Far more than any of these takes, even beside other tests; without the bounds it is
 * minutes. */
#define MAX_SECONDS 10
/* Then a hang fails the whole program. */
#define HANG_SECONDS 120
#define MAX_BYTES (512 * 1024 * 1024)

/* The only finding about TEXT has EXPECTED in it and is in line LINE. */
static void
must_say(const char *text, gsize length, int line, const char *expected)
{
    g_autoptr(Findings) findings = findings_new();
    gint64 start = g_get_monotonic_time();
    g_autoptr(Lab) lab = lab_parse_text(text, length, "t.xml", findings);
    assert_true(g_get_monotonic_time() - start < MAX_SECONDS * G_USEC_PER_SEC);
    assert_null(lab);
    g_autofree char *said = findings_to_text(findings);
    if (findings_total(findings) != 1 || !strstr(said, expected))
        fail_msg("said '%s', not '%s'", said, expected);
    assert_int_equal(findings_get(findings, 0)->pos.line, line);
}

static void
must_say_of(const char *text, int line, const char *expected)
{
    must_say(text, strlen(text), line, expected);
}

/* BEFORE, COUNT times MIDDLE, AFTER. */
static char *
repeated(const char *before, const char *middle, guint count, const char *after)
{
    GString *text = g_string_new(before);
    for (guint i = 0; i < count; i++)
        g_string_append(text, middle);
    g_string_append(text, after);
    return g_string_free(text, FALSE);
}

static void
refuses_doctype_and_entities(void **state)
{
    must_say_of("<!DOCTYPE a [<!ENTITY a 'x'><!ENTITY b '&a;&a;&a;&a;'>]><a>&b;</a>", 1,
                "no DOCTYPE");
    must_say_of("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", 1,
                "no DOCTYPE");
    must_say_of("\n<!DOCTYPE a PUBLIC 'p' 'http://example.invalid/x.dtd'><a/>", 2,
                "no DOCTYPE");
    must_say_of(OPEN "&x;</lab>", 1, "Entity 'x' not defined");
}

static void
refuses_bytes_that_are_not_utf8(void **state)
{
    must_say_of("<lab>\n\xff</lab>", 2, "byte 0xff is not UTF-8");
    must_say_of("<lab>\n\n\xc0\xaf</lab>", 3, "byte 0xc0 is not UTF-8");
    must_say("<lab>\0</lab>", 12, 1, "byte 0x00 is not UTF-8");
    must_say("\xff\xfe<\0l\0", 6, 1, "UTF-16");
    must_say_of("<?xml version='1.0' encoding='latin1'?>" OPEN "</lab>", 1, "'latin1'");
    must_say_of("", 0, "is empty");
    must_say_of("\xef\xbb\xbf", 0, "is empty");
    must_say_of("   \n ", 2, "not well-formed XML");
    must_say_of("\x7f"
                "ELF",
                1, "not well-formed XML");
}

static void
refuses_depth(void **state)
{
    g_autofree char *text = repeated("", "<a>\n", 100000, "");
    must_say_of(text, 33, "nested more than 32 deep");
}

static void
refuses_size(void **state)
{
    g_autofree char *elements = repeated(OPEN, "<host/>\n", 200000, "</lab>");
    must_say_of(elements, 25000, "more than 25000 elements");
    g_autofree char *attributes =
        repeated(OPEN, "<host a='' b='' c='' d='' e=''/>\n", 20000, "</lab>");
    must_say_of(attributes, 12000, "more than 60000 attributes");
    g_autofree char *bytes = repeated(OPEN, "12345678", 2 * 1024 * 1024, "</lab>");
    must_say_of(bytes, 0, "more than 2 MiB");
}

/* libxml2 2.9 compares them all with each other. */
static void
refuses_a_million_attributes(void **state)
{
    GString *text = g_string_new("<a\n");
    for (guint i = 0; i < 150000; i++)
        g_string_append_printf(text, " a%u=''", i);
    g_string_append(text, "/>");
    must_say(text->str, text->len, 1, "more than 64 attributes");
    g_string_free(text, TRUE);
}

/* Small files that ask for much. */
static void
bounds_what_counts_make(void **state)
{
    must_say_of(HOST
                "<expander count='1024'><port count='1024'><nic count='1024'/></port>"
                "</expander></cell></host></lab>",
                1, "more than 8192 elements");
    must_say_of(OPEN "<host count='1024'><cell cpus='0' count='1024'/></host></lab>", 1,
                "more than 8192 elements");
    g_autofree char *long_value = g_strnfill(1 << 20, 'x');
    g_autofree char *text =
        g_strdup_printf(HOST "<expander><port count='1024'><device model='a' count='8'>"
                             "<property name='p' value='%s'/></device></port></expander>"
                             "</cell></host></lab>",
                        long_value);
    must_say_of(text, 1, "24 MiB of text");
    g_autofree char *many_cpus =
        repeated(OPEN "<host>", "<cell cpus='0-4095'/>", 8000, "</host></lab>");
    must_say_of(many_cpus, 1, "more than 65536 CPUs");
}

static void
bounds_findings(void **state)
{
    g_autofree char *text = repeated(OPEN, "<hots/>\n", 20000, "</lab>");
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(text, strlen(text), "t.xml", findings);
    assert_null(lab);
    assert_int_equal(findings_total(findings), 101);
    assert_string_equal(
        findings_get(findings, 0)->message,
        "more than 100 things are wrong; correct the first ones and try again");
}

/* Lines that checks look at pair by pair must not be many. */
static void
checks_large_labs_soon(void **state)
{
    GString *text = g_string_new(HOST "</cell><interconnects>");
    for (guint i = 0; i < 11000; i++)
        g_string_append(text,
                        "<latency initiator='0' target='0' type='read' value='1'/>\n");
    g_string_append(text, "</interconnects><cell memory='8 MiB'>");
    for (guint i = 0; i < 3000; i++)
        g_string_append(text, "<cache level='3' associativity='none' policy='none' "
                              "size='1 KiB' line='1 B'/>\n");
    g_string_append(text, "</cell></host></lab>");
    g_autoptr(Findings) findings = findings_new();
    gint64 start = g_get_monotonic_time();
    g_autoptr(Lab) lab = lab_parse_text(text->str, text->len, "t.xml", findings);
    assert_non_null(lab);
    lab_check(lab, findings);
    assert_true(g_get_monotonic_time() - start < MAX_SECONDS * G_USEC_PER_SEC);
    assert_int_equal(findings_total(findings), 101);
    g_string_free(text, TRUE);
}

/* ---- files ---------------------------------------------------------------------- */

static void
must_say_of_file(const char *filename, const char *expected)
{
    g_autoptr(Findings) findings = findings_new();
    gint64 start = g_get_monotonic_time();
    g_autoptr(Lab) lab = lab_parse_file(filename, findings);
    assert_true(g_get_monotonic_time() - start < MAX_SECONDS * G_USEC_PER_SEC);
    assert_null(lab);
    assert_int_equal(findings_total(findings), 1);
    const Finding *finding = findings_get(findings, 0);
    assert_string_equal(finding->pos.file, filename);
    if (!strstr(finding->message, expected))
        fail_msg("said '%s', not '%s'", finding->message, expected);
}

static void
refuses_what_is_no_file(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("lab-hostile-XXXXXX", NULL);
    assert_non_null(folder);
    g_autofree char *missing = g_build_filename(folder, "missing.xml", NULL);
    g_autofree char *large = g_build_filename(folder, "large.xml", NULL);
    g_autofree char *loop = g_build_filename(folder, "loop.xml", NULL);
    assert_int_equal(symlink(loop, loop), 0);
    assert_true(g_file_set_contents(large, "<lab/>", -1, NULL));
    assert_int_equal(truncate(large, 100 * 1024 * 1024), 0); /* sparse */

    must_say_of_file(missing, "cannot be read: No such file");
    must_say_of_file(folder, "a folder");
    must_say_of_file(loop, "cannot be read: ");
    must_say_of_file("/dev/null", "is empty");
    must_say_of_file("/dev/zero", "more than 2 MiB");
    must_say_of_file(large, "more than 2 MiB");

    unlink(large);
    unlink(loop);
    rmdir(folder);
}

/* Writes PIECES into the named pipe PATH, slowly. */
static pid_t
start_writer(const char *path, const char *const *pieces)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    alarm(MAX_SECONDS); /* nobody may read */
    g_usleep(50 * 1000);
    int fd = open(path, O_WRONLY);
    for (; *pieces; pieces++) {
        g_usleep(50 * 1000);
        if (write(fd, *pieces, strlen(*pieces)) < 0)
            _exit(1);
    }
    _exit(0);
}

static void
reads_a_pipe_to_its_end(void **state)
{
    static const char *const pieces[] = {HOST "</cell>", "</host>", "</lab>", NULL};
    g_autofree char *folder = g_dir_make_tmp("lab-hostile-XXXXXX", NULL);
    g_autofree char *pipe = g_build_filename(folder, "pipe.xml", NULL);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    for (int interruptibly = 0; interruptibly <= 1; interruptibly++) {
        g_autoptr(Findings) findings = findings_new();
        g_autoptr(GCancellable) interrupt = interruptibly ? g_cancellable_new() : NULL;
        pid_t writer = start_writer(pipe, pieces);
        if (interrupt)
            g_cancellable_push_current(interrupt);
        g_autoptr(Lab) lab = lab_parse_file(pipe, findings);
        if (interrupt)
            g_cancellable_pop_current(interrupt);
        assert_non_null(lab);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
    }
    unlink(pipe);
    rmdir(folder);
}

static gboolean
on_moment(gpointer interrupt)
{
    g_cancellable_cancel(interrupt);
    return G_SOURCE_REMOVE;
}

/* As a signal does for those who hear of it in their main context. */
static void
waits_for_a_pipe_until_interrupted(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("lab-hostile-XXXXXX", NULL);
    g_autofree char *pipe = g_build_filename(folder, "pipe.xml", NULL);
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    assert_int_equal(mkfifo(pipe, 0600), 0);
    g_cancellable_push_current(interrupt);
    g_timeout_add(50, on_moment, interrupt);
    must_say_of_file(pipe, "interrupted while the lab was read");
    g_cancellable_pop_current(interrupt);
    unlink(pipe);
    rmdir(folder);
}

static void
takes_little_memory(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip(); /* the sanitizer keeps what was freed */
#endif
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    assert_true(usage.ru_maxrss * 1024LL < MAX_BYTES);
}

int
main(void)
{
    alarm(HANG_SECONDS);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_doctype_and_entities),
        cmocka_unit_test(refuses_bytes_that_are_not_utf8),
        cmocka_unit_test(refuses_depth),
        cmocka_unit_test(refuses_size),
        cmocka_unit_test(refuses_a_million_attributes),
        cmocka_unit_test(bounds_what_counts_make),
        cmocka_unit_test(bounds_findings),
        cmocka_unit_test(checks_large_labs_soon),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(reads_a_pipe_to_its_end),
        cmocka_unit_test(waits_for_a_pipe_until_interrupted),
        cmocka_unit_test(takes_little_memory), /* the last: of all above */
    };
    return cmocka_run_group_tests_name("lab-hostile", tests, NULL, NULL);
}
