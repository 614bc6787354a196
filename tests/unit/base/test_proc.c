/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
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

START_TEST(a_grandchild_that_left_the_group_does_not_hang_us)
{
	uint64_t t0 = now_us();

	ck_assert_int_eq(sh("setsid sh -c 'echo $$; exec sleep 5' & exit 3"), 0);
	ck_assert_uint_lt(now_us() - t0, 2 * US_PER_S);
	ck_assert_int_eq(result.exit_status, 3);
	/* Nothing else ends this one: it left our group. */
	if (told_pid() > 1)
		kill(told_pid(), SIGKILL);
}
END_TEST

static void fire_on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct cancel *c = data;

	cancel_fire(c, ERR_ABORTED);
}

START_TEST(a_cancel_stops_it_within_100_ms)
{
	const char *argv[] = {"sh", "-c", "echo begun; exec sleep 60", NULL};
	struct cancel c;
	struct proc_opts o = {.argv = argv, .line = fire_on_line, .data = &c};
	struct iotime it = {now_us() + 20 * US_PER_S, &c};

	ck_assert_int_eq(cancel_init(&c, &e), 0);

	uint64_t t0 = now_us();

	ck_assert_int_eq(proc_run(&o, &it, &result, &e), -ERR_ABORTED);
	ck_assert_uint_lt(now_us() - t0, 100 * US_PER_MS);
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
	tcase_add_test(t, a_grandchild_that_left_the_group_does_not_hang_us);
	tcase_add_test(t, a_cancel_stops_it_within_100_ms);
	tcase_add_test(t, two_threads_run_programs_at_once);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(proc_suite)
