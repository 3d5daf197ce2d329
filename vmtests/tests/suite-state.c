/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A program that reaches a state, waits in it, and goes on with another environment: this
 * one itself, with a word.
 */
#include "../suite-state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../wire.h"

#define PROGRAM_WORD "--reaches"
#define STATUS_CASES 5

/* ---- the program
 * -------------------------------------------------------------------------------- */

static void
undo(long number)
{
    puts("undone");
}

static void
reach_first(void)
{
    suite_at_end(undo, 0);
    suite_set("changed!!", "%s", getenv("CHANGED"));
}

static void
reach_never(void)
{
    fail_msg("not today");
}

static void
reach_elsewhere(void)
{
    skip();
}

static const SuiteState states[] = {{"first", reach_first},
                                    {"never", reach_never},
                                    {"elsewhere", reach_elsewhere},
                                    {NULL, NULL}};

static int
be_program(void)
{
    int status;
    if (!suite_reaches(states, &status))
        return status;
    suite_undo_after(0);
    for (char **each = environ; *each; each++)
        printf("[%s]\n", *each);
    return STATUS_CASES;
}

/* ---- who has it go on
 * ------------------------------------------------------------------------------ */

typedef struct {
    pid_t pid;
    int in, out;
    char said[8192];
    char changed[32], content[16]; /* a file's name, and what is in it at the end */
} Program;

static void
start(Program *program, const char *first_state)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    strcpy(program->changed, "/tmp/hostbed-state-XXXXXX");
    int file = mkstemp(program->changed);
    assert_int_equal(write(file, "as it was", 9), 9);
    close(file);
    program->pid = fork();
    if (program->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        clearenv();
        setenv("HOSTBED_STATE", first_state, 1);
        setenv("HOSTBED_A_NAME_THAT_IS_LONGER_THAN_ANY_OF_OURS_IS_AND_WILL_EVER_BE",
               "old", 1);
        setenv("CHANGED", program->changed, 1);
        execl("/proc/self/exe", "suite-state", PROGRAM_WORD, NULL);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    program->in = in[1];
    program->out = out[0];
}

static void
await_stop(const Program *program)
{
    int status;
    assert_int_equal(waitpid(program->pid, &status, WUNTRACED), program->pid);
    assert_true(WIFSTOPPED(status));
}

static void
go_on(const Program *program, const char *environment, size_t given, uint32_t size)
{
    const uint8_t length[] = {size & 255, size >> 8 & 255, size >> 16 & 255, size >> 24};
    assert_int_equal(write(program->in, length, sizeof length), sizeof length);
    assert_int_equal(write(program->in, environment, given), given);
    kill(program->pid, SIGCONT);
}

/* Returns its exit status. */
static int
finish(Program *program)
{
    int status;
    size_t got = 0;
    ssize_t more;
    close(program->in);
    kill(program->pid, SIGCONT);
    while ((more = read(program->out, program->said + got,
                        sizeof program->said - 1 - got)) > 0)
        got += (size_t)more;
    program->said[got] = '\0';
    close(program->out);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    int file = open(program->changed, O_RDONLY);
    assert_true(read(file, program->content, sizeof program->content - 1) > 0);
    close(file);
    unlink(program->changed);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool
said(const Program *program, const char *text)
{
    return strstr(program->said, text) != NULL;
}

/* ---- tests
 * -----------------------------------------------------------------------------------------
 */

static void
it_goes_on_with_what_it_is_told(void **state)
{
    static const char told[] = "HOSTBED_CASE=a=b";
    Program program = {0};
    start(&program, "first");
    await_stop(&program);
    /* Later it would be thought to belong to the cases. */
    assert_true(read(program.out, program.said, sizeof program.said - 1) > 0);
    assert_true(said(&program, "ok 1 - first\n"));
    go_on(&program, told, sizeof told, sizeof told);
    assert_int_equal(finish(&program), STATUS_CASES);
    assert_false(said(&program, "first"));
    assert_true(said(&program, "[HOSTBED_CASE=a=b]\n"));
    assert_true(said(&program, "[CHANGED="));
    assert_false(said(&program, "HOSTBED_STATE"));
    assert_false(said(&program, "LONGER"));
}

static void
what_was_reached_stays(void **state)
{
    Program program = {0};
    start(&program, "first");
    await_stop(&program);
    go_on(&program, "", 0, 0);
    assert_int_equal(finish(&program), STATUS_CASES);
    assert_false(said(&program, "undone"));
    assert_string_equal(program.content, "changed!!");
}

static void
one_state_does_not_stand_for_the_next(void **state)
{
    static const char never[] = "HOSTBED_STATE=never";
    static const char elsewhere[] = "HOSTBED_STATE=elsewhere";
    Program program = {0};
    start(&program, "first");
    await_stop(&program);
    go_on(&program, never, sizeof never, sizeof never);
    assert_int_equal(finish(&program), 1);
    program = (Program){0};
    start(&program, "first");
    await_stop(&program);
    go_on(&program, elsewhere, sizeof elsewhere, sizeof elsewhere);
    assert_int_equal(finish(&program), 77);
}

static void
who_is_told_nothing_ends(void **state)
{
    Program program = {0};
    start(&program, "first");
    await_stop(&program);
    assert_int_equal(finish(&program), 1);
    assert_false(said(&program, "[CHANGED="));
    program = (Program){0};
    start(&program, "first");
    await_stop(&program);
    go_on(&program, "too long", 9, UINT32_MAX);
    assert_int_equal(finish(&program), 1);
}

static void
what_is_not_reached_does_not_wait(void **state)
{
    static const struct {
        const char *state;
        int status;
    } all[] = {{"never", 1}, {"elsewhere", 77}, {"unknown", 77}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        Program program = {0};
        start(&program, all[i].state);
        assert_int_equal(finish(&program), all[i].status);
    }
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], PROGRAM_WORD) == 0)
        return be_program();
    alarm(60); /* what does not go on is a failure */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_with_what_it_is_told),
        cmocka_unit_test(what_was_reached_stays),
        cmocka_unit_test(one_state_does_not_stand_for_the_next),
        cmocka_unit_test(who_is_told_nothing_ends),
        cmocka_unit_test(what_is_not_reached_does_not_wait),
    };
    return cmocka_run_group_tests_name("suite-state", tests, NULL, NULL);
}
