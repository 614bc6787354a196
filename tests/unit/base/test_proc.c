/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static struct strbuf told;
static struct proc_result result;
static struct err e;

static void keep(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	sb_addf(&told, "%d:", (int)stream);
	sb_add_escaped(&told, bytes, n);
	sb_add(&told, "|");
}

static void tear_down(void)
{
	sb_done(&told);
}

static int run(const struct proc_opts *base, const char *script, unsigned ms)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct proc_opts o = *base;
	struct iotime it = {now_us() + ms * US_PER_MS, NULL};

	o.argv = argv;
	if (!o.line)
		o.line = keep;
	sb_clear(&told);
	return proc_run(&o, &it, &result, &e);
}

static int sh(const char *script)
{
	return run(&(struct proc_opts){0}, script, 20000);
}

START_TEST(lines_of_both_streams_are_told_with_the_status)
{
	ck_assert_msg(sh("echo one; echo two >&2; printf three; exit 7") == 0, "%s", e.msg);
	ck_assert_int_eq(result.exit_status, 7);
	ck_assert_int_eq(result.term_signal, 0);
	ck_assert_ptr_nonnull(strstr(told.s, "0:one|"));
	ck_assert_ptr_nonnull(strstr(told.s, "1:two|"));
	ck_assert_ptr_nonnull(strstr(told.s, "0:three|"));
	ck_assert_uint_eq(result.bytes[PROC_STDOUT], 9);
}
END_TEST

START_TEST(arguments_are_never_read_by_a_shell)
{
	const char *argv[] = {"printf", "%s\n", "$(id); `id` 'x'", NULL};
	struct proc_opts o = {.argv = argv, .line = keep};
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};

	ck_assert_int_eq(proc_run(&o, &it, &result, &e), 0);
	ck_assert_str_eq(told.s, "0:$(id); `id` 'x'|");
}
END_TEST

START_TEST(the_environment_is_controlled)
{
	const char *env[] = {"TOOL_MODE=fast", "LANG=C", NULL};

	setenv("PROVD_PRIVATE", "1", 1);
	ck_assert_int_eq(
		run(&(struct proc_opts){.env = env, .cwd = "/usr"},
			"echo $PROVD_PRIVATE,$TOOL_MODE,$LANG,$(pwd); read x; echo $?", 20000),
		0);
	ck_assert_str_eq(told.s, "0:,fast,C,/usr|0:1|");
}
END_TEST

START_TEST(no_descriptor_of_ours_is_inherited)
{
	int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	_cleanup_(freep) char *script = xasprintf("[ -e /proc/self/fd/%d ] && echo leaked", fd);

	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(sh(script), 0);
	ck_assert_ptr_null(told.s && *told.s ? told.s : NULL);
	close(fd);
}
END_TEST

START_TEST(a_missing_program_is_told_apart)
{
	const char *argv[] = {"no-such-program-here", NULL};
	struct proc_opts o = {.argv = argv};
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};

	ck_assert_int_eq(proc_run(&o, &it, &result, &e), -ERR_TOOL_MISSING);
	ck_assert_ptr_nonnull(strstr(e.msg, "no-such-program-here"));
	argv[0] = "/etc/passwd";
	ck_assert_int_eq(proc_run(&o, &it, &result, &e), -ERR_TOOL_MISSING);
	argv[0] = "./relative-and-missing";
	ck_assert_int_eq(proc_run(&o, &it, &result, &e), -ERR_TOOL_MISSING);
}
END_TEST

START_TEST(a_hanging_program_is_stopped_at_the_deadline)
{
	uint64_t t0 = now_us();

	ck_assert_int_eq(
		run(&(struct proc_opts){0}, "echo begun; exec sleep 60", 100), -ERR_TIMEOUT);
	ck_assert_uint_lt(now_us() - t0, US_PER_S);
	ck_assert_int_eq(result.exit_status, -1);
	ck_assert_int_eq(result.term_signal, SIGTERM);
	ck_assert_str_eq(told.s, "0:begun|");
}
END_TEST

START_TEST(a_program_that_ignores_term_is_killed_after_the_grace)
{
	ck_assert_int_eq(run(&(struct proc_opts){.kill_grace_us = 50 * US_PER_MS},
				 "trap '' TERM; echo deaf; while :; do sleep 60; done", 200),
		-ERR_TIMEOUT);
	ck_assert_int_eq(result.term_signal, SIGKILL);
}
END_TEST

START_TEST(a_program_that_dies_by_a_signal_says_which)
{
	ck_assert_int_eq(sh("kill -SEGV $$"), 0);
	ck_assert_int_eq(result.exit_status, -1);
	ck_assert_int_eq(result.term_signal, SIGSEGV);
}
END_TEST

static void count(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	*(size_t *)data += n;
}

START_TEST(a_flood_is_read_to_its_end_and_kept_to_the_cap)
{
	size_t kept = 0;
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	ck_assert_int_eq(
		run(&(struct proc_opts){.line = count, .data = &kept, .max_output_bytes = 100000},
			"head -c 67108864 /dev/zero; echo end >&2", 30000),
		0);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_uint_eq(result.bytes[PROC_STDOUT], 67108864);
	ck_assert(result.truncated[PROC_STDOUT]);
	ck_assert(!result.truncated[PROC_STDERR]);
	ck_assert_uint_eq(kept, 100000 + 3);
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 8 * 1024);
}
END_TEST

START_TEST(binary_rubbish_is_told_in_pieces)
{
	ck_assert_int_eq(run(&(struct proc_opts){.max_line_bytes = 4},
				 "printf '\\000\\377\\001abcdef\\n\\n'", 20000),
		0);
	ck_assert_str_eq(told.s, "0:\\x00\\xff\\x01a|0:bcde|0:f|0:|");
}
END_TEST

static pid_t told_pid(void)
{
	return told.s ? (pid_t)atoi(told.s + 2) : 0;
}

/* Until the process is gone; a zombie that its new parent has not yet reaped counts as gone. */
static void assert_dies(pid_t pid)
{
	uint64_t end = now_us() + 5 * US_PER_S;

	for (;;) {
		char path[64], state[256] = "";
		FILE *f;

		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		f = fopen(path, "re");
		if (!f)
			return;

		size_t n = fread(state, 1, sizeof state - 1, f);

		fclose(f);
		if (n == 0 || strstr(state, ") Z "))
			return;
		ck_assert_msg(now_us() < end, "process %d still lives", (int)pid);
		sched_yield();
	}
}

START_TEST(a_child_that_keeps_the_pipe_neither_hangs_us_nor_stays)
{
	uint64_t t0 = now_us();

	ck_assert_int_eq(sh("sleep 60 & echo $!; exit 0"), 0);
	ck_assert_uint_lt(now_us() - t0, 2 * US_PER_S);
	ck_assert_int_eq(result.exit_status, 0);
	ck_assert_int_gt(told_pid(), 1);
	assert_dies(told_pid());
}
END_TEST

/* Forked twice, with a session of its own, as daemon(3) does it. */
START_TEST(a_daemon_that_left_the_group_and_the_session_ends_as_well)
{
	uint64_t t0 = now_us();

	ck_assert_int_eq(sh("setsid sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 60\" &' & "
			    "wait; sleep 0.1; exit 3"),
		0);
	ck_assert_uint_lt(now_us() - t0, 2 * US_PER_S);
	ck_assert_int_eq(result.exit_status, 3);
	ck_assert_int_gt(told_pid(), 1);
	/* Reaped by the keeper: not even a zombie is left. */
	ck_assert_int_eq(kill(told_pid(), 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(a_daemon_ends_when_the_program_is_stopped)
{
	ck_assert_int_eq(
		run(&(struct proc_opts){.kill_grace_us = 50 * US_PER_MS},
			"setsid sh -c 'echo $$; trap \"\" TERM; while :; do sleep 60; done' & "
			"exec sleep 60",
			300),
		-ERR_TIMEOUT);
	ck_assert_int_gt(told_pid(), 1);
	ck_assert_int_eq(kill(told_pid(), 0), -1);
}
END_TEST

START_TEST(a_chain_of_daemons_ends_to_the_last)
{
	/* Each is found only once the one before it is dead. */
	ck_assert_int_eq(sh("f() { [ $1 = 0 ] && { echo $(sh -c 'echo $PPID'); sleep 60; }; "
			    "(f $(($1 - 1))); sleep 60; }; f 80 & read x < /dev/null; sleep 0.5"),
		0);
	ck_assert_int_gt(told_pid(), 1);
	ck_assert_int_eq(kill(told_pid(), 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

/* The output of a program that runs in a process of its own, which is then killed. */
static void write_pid(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	ssize_t ignored = write(*(int *)data, bytes, n);

	ignored = write(*(int *)data, "\n", 1);
	(void)ignored;
}

static pid_t start_victim(const char *script, pid_t *ret_program)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	int io[2];
	char text[32] = "";

	ck_assert_int_eq(pipe2(io, O_CLOEXEC), 0);

	pid_t pid = fork();

	if (pid == 0) {
		struct proc_opts o = {.argv = argv, .line = write_pid, .data = &io[1]};
		struct iotime it = {now_us() + 60 * US_PER_S, NULL};

		_exit(proc_run(&o, &it, &result, &e) != 0);
	}
	ck_assert_int_gt(read(io[0], text, sizeof text - 1), 0);
	*ret_program = atoi(text);
	close(io[0]);
	close(io[1]);
	return pid;
}

START_TEST(nothing_is_left_when_we_are_killed)
{
	pid_t program;
	pid_t pid = start_victim("trap '' TERM HUP; setsid sleep 60 & echo $!; wait", &program);

	ck_assert_int_gt(program, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_dies(program);
}
END_TEST

static pid_t parent_of(pid_t pid)
{
	char path[64];
	int ppid = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);

	FILE *f = fopen(path, "re");

	if (f && fscanf(f, "%*d (%*[^)]) %*c %d", &ppid) != 1)
		ppid = 0;
	if (f)
		fclose(f);
	return ppid;
}

/* It tells its number once its session is its own. */
#define ORPHAN "setsid sh -c 'echo $$; sleep 60; :' & wait"

START_TEST(orphans_of_a_killed_keeper_are_known_by_their_mark)
{
	pid_t marked, foreign, mine;
	char mark[64], other[64];
	char dir[] = "/tmp/test_proc.XXXXXX", further[] = "/tmp/test_proc.XXXXXX";

	/* Of this test alone: the next one may run at the same time. */
	ck_assert(mkdtemp(dir) && mkdtemp(further));
	ck_assert_int_eq(proc_mark_of(dir, mark, &e), 0);
	ck_assert_int_eq(proc_mark_of(further, other, &e), 0);
	rmdir(dir);
	rmdir(further);
	ck_assert_str_ne(mark, other);
	proc_mark(other);

	pid_t b = start_victim(ORPHAN, &foreign);

	proc_mark(mark);

	pid_t a = start_victim(ORPHAN, &marked);

	mine = parent_of(parent_of(marked));
	ck_assert_int_gt(mine, 1);
	kill(mine, SIGKILL);
	kill(a, SIGKILL);
	waitpid(a, NULL, 0);
	ck_assert_int_eq(kill(marked, 0), 0);
	ck_assert_uint_ge(proc_sweep(mark), 1);
	assert_dies(marked);
	ck_assert_int_eq(kill(foreign, 0), 0);
	kill(b, SIGKILL);
	waitpid(b, NULL, 0);
	assert_dies(foreign);
	ck_assert_uint_eq(proc_sweep(mark), 0);
}
END_TEST

static void on_slow(void *data, uint64_t elapsed_us, uint64_t budget_us)
{
	ck_assert_uint_ge(elapsed_us, budget_us / 3);
	sb_add(&told, "slow|");
}

START_TEST(a_third_of_the_time_is_told_once)
{
	ck_assert_int_eq(
		run(&(struct proc_opts){.slow = on_slow}, "echo a; sleep 0.5; echo b", 1200), 0);
	ck_assert_str_eq(told.s, "0:a|slow|0:b|");
	ck_assert_int_eq(run(&(struct proc_opts){.slow = on_slow}, "echo a", 20000), 0);
	ck_assert_str_eq(told.s, "0:a|");
}
END_TEST

START_TEST(cr_ends_a_line_where_it_is_asked_for)
{
	ck_assert_int_eq(run(&(struct proc_opts){.cr_ends_line = true},
				 "printf '1%%\\r2%%\\r\\nend\\n\\nx'", 20000),
		0);
	ck_assert_str_eq(told.s, "0:1%|0:2%|0:end|0:|0:x|");
}
END_TEST

static char go_file[64];

static void keep_and_go(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	keep(data, stream, bytes, n);
	close(open(go_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* tr(1) keeps what it says until a pipe's buffer is full, or it ends; to a terminal it talks. */
START_TEST(a_program_that_keeps_its_lines_from_a_pipe_tells_them_to_a_terminal)
{
	const struct proc_opts o = {.terminal = true, .line = keep_and_go};
	_cleanup_(freep) char *script = NULL;

	snprintf(go_file, sizeof go_file, "/tmp/test_proc_go_%d", (int)getpid());
	script = xasprintf(
		"{ echo one; while [ ! -e %s ]; do sleep 0.01; done; } | tr o O", go_file);
	ck_assert_msg(run(&o, script, 20000) == 0, "%s", e.msg);
	unlink(go_file);
	ck_assert_str_eq(told.s, "0:One|");
}
END_TEST

START_TEST(a_terminal_is_raw_and_no_one_elses)
{
	const struct proc_opts o = {.terminal = true, .max_output_bytes = 8 * 1024 * 1024};

	ck_assert_msg(
		run(&o,
			"[ -t 1 ] && echo out; [ -t 0 ] || echo none in; [ -t 2 ] || echo pipe >&2;"
			" (: < /dev/tty) 2> /dev/null || echo not controlling; printf 'a\\tb\\n'",
			20000) == 0,
		"%s", e.msg);
	ck_assert_ptr_nonnull(strstr(told.s, "0:out|"));
	ck_assert_ptr_nonnull(strstr(told.s, "0:none in|"));
	ck_assert_ptr_nonnull(strstr(told.s, "1:pipe|"));
	ck_assert_ptr_nonnull(strstr(told.s, "0:not controlling|"));
	/* Nothing is lost, and nothing made of it. */
	ck_assert_msg(
		run(&o, "head -c 3000000 /dev/zero | tr '\\0' x; printf '\\r\\n'", 20000) == 0,
		"%s", e.msg);
	ck_assert_uint_eq(result.bytes[PROC_STDOUT], 3000002);
	ck_assert(!result.truncated[PROC_STDOUT]);
	ck_assert_int_eq(run(&o, "sleep 600", 200), -ERR_TIMEOUT);
}
END_TEST

START_TEST(a_program_that_closes_its_output_is_still_waited_for)
{
	ck_assert_int_eq(sh("echo a; exec >&- 2>&-; sleep 0.3; exit 5"), 0);
	ck_assert_int_eq(result.exit_status, 5);
	ck_assert_int_eq(
		run(&(struct proc_opts){0}, "exec >&- 2>&-; exec sleep 60", 200), -ERR_TIMEOUT);
}
END_TEST

START_TEST(a_server_is_served_while_its_starter_waits_for_something_else)
{
	const char *argv[] = {"sh", "-c", "head -c 1000000 /dev/zero; echo up >&2; sleep 60", NULL};
	struct proc_opts o = {.argv = argv, .line = keep, .max_output_bytes = 4};
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	struct iotime past = {now_us(), NULL};
	struct proc *p = NULL;
	int io[2];

	ck_assert_int_eq(pipe2(io, O_CLOEXEC), 0);
	ck_assert_int_eq(proc_start(&o, &it, &p, &e), 0);
	sb_clear(&told);
	/* More than a pipe holds: it comes so far only while its output is taken. */
	while (!strstr(told.s ? told.s : "", "1:up"))
		ck_assert_int_eq(proc_wait_fd(p, io[0], POLLIN, &past, &e), -ERR_TIMEOUT);
	ck_assert(!proc_ended(p));
	ck_assert_int_eq(write(io[1], "x", 1), 1);
	ck_assert_int_gt(proc_wait_fd(p, io[0], POLLIN, &it, &e), 0);
	ck_assert_ptr_null(proc_end(p, &result));
	ck_assert_int_eq(result.term_signal, SIGTERM);
	close(io[0]);
	close(io[1]);

	const char *brief[] = {"sh", "-c", "echo bye; exit 4", NULL};

	o.argv = brief;
	ck_assert_int_eq(proc_start(&o, &it, &p, &e), 0);
	ck_assert_int_eq(proc_wait_fd(p, -1, 0, &it, &e), 0);
	ck_assert(proc_ended(p));
	proc_end(p, &result);
	ck_assert_int_eq(result.exit_status, 4);
	ck_assert_ptr_null(proc_end(NULL, NULL));
}
END_TEST

static void fire_on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct cancel *c = data;

	cancel_fire(c, ERR_ABORTED);
}

START_TEST(a_cancel_stops_it)
{
	const char *argv[] = {"sh", "-c", "echo begun; exec sleep 60", NULL};
	struct cancel c;
	struct proc_opts o = {.argv = argv, .line = fire_on_line, .data = &c};
	struct iotime it = {now_us() + 20 * US_PER_S, &c};

	/* Not the end of its time, which would be another error. */
	ck_assert_int_eq(cancel_init(&c, &e), 0);
	ck_assert_int_eq(proc_run(&o, &it, &result, &e), -ERR_ABORTED);
	cancel_done(&c);
}
END_TEST

static void *run_many(void *arg)
{
	const char *argv[] = {"sh", "-c", "echo a; echo b >&2", NULL};
	struct proc_opts o = {.argv = argv};
	struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	struct proc_result r;

	for (int i = 0; i < 20; i++)
		if (proc_run(&o, &it, &r, NULL) < 0 || r.exit_status != 0 || r.bytes[0] != 2 ||
			r.bytes[1] != 2)
			return arg;
	return NULL;
}

START_TEST(two_threads_run_programs_at_once)
{
	pthread_t t[2];
	void *bad;

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, run_many, &t);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &bad);
		ck_assert_ptr_null(bad);
	}
}
END_TEST

static Suite *proc_suite(void)
{
	Suite *s = suite_create("proc");
	TCase *t = tcase_create("proc");

	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, lines_of_both_streams_are_told_with_the_status);
	tcase_add_test(t, arguments_are_never_read_by_a_shell);
	tcase_add_test(t, the_environment_is_controlled);
	tcase_add_test(t, no_descriptor_of_ours_is_inherited);
	tcase_add_test(t, a_missing_program_is_told_apart);
	tcase_add_test(t, a_hanging_program_is_stopped_at_the_deadline);
	tcase_add_test(t, a_program_that_ignores_term_is_killed_after_the_grace);
	tcase_add_test(t, a_program_that_dies_by_a_signal_says_which);
	tcase_add_test(t, a_flood_is_read_to_its_end_and_kept_to_the_cap);
	tcase_add_test(t, binary_rubbish_is_told_in_pieces);
	tcase_add_test(t, a_child_that_keeps_the_pipe_neither_hangs_us_nor_stays);
	tcase_add_test(t, a_daemon_that_left_the_group_and_the_session_ends_as_well);
	tcase_add_test(t, a_daemon_ends_when_the_program_is_stopped);
	tcase_add_test(t, a_chain_of_daemons_ends_to_the_last);
	tcase_add_test(t, nothing_is_left_when_we_are_killed);
	tcase_add_test(t, orphans_of_a_killed_keeper_are_known_by_their_mark);
	tcase_add_test(t, a_third_of_the_time_is_told_once);
	tcase_add_test(t, cr_ends_a_line_where_it_is_asked_for);
	tcase_add_test(t, a_program_that_keeps_its_lines_from_a_pipe_tells_them_to_a_terminal);
	tcase_add_test(t, a_terminal_is_raw_and_no_one_elses);
	tcase_add_test(t, a_program_that_closes_its_output_is_still_waited_for);
	tcase_add_test(t, a_server_is_served_while_its_starter_waits_for_something_else);
	tcase_add_test(t, a_cancel_stops_it);
	tcase_add_test(t, two_threads_run_programs_at_once);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(proc_suite)
