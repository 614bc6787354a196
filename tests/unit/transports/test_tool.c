/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/tool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static struct strbuf logged, progressed;
static struct tool_outcome seen;
static struct tool_dir dir;
static struct err e;

static void keep_log(void *data, char d, const char *text)
{
	sb_addf(&logged, "%c%s\n", d, text);
}

static void keep_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	sb_addf(&progressed, "%s %llu/%llu\n", phase, (unsigned long long)done,
		(unsigned long long)total);
}

static const struct tool_marker success[] = {{.pattern = "^verified (\\d+)"}, {0}};
static const struct tool_rule rules[] = {
	{"no power", ERR_TIMEOUT, "the unit has no power"},
	{"(?i)error", ERR_DEVICE_REFUSED, NULL},
	{0},
};

static void set_up(void)
{
	ck_assert_int_eq(tool_dir_new("/tmp", &dir, &e), 0);
	e = (struct err){0};
}

static void tear_down(void)
{
	tool_dir_done(&dir);
	tool_outcome_done(&seen);
	sb_done(&logged);
	sb_done(&progressed);
}

static struct tool_spec spec_of(const char *const *argv)
{
	return (struct tool_spec){
		.name = "the programmer",
		.argv = argv,
		.dir = dir.path,
		.success = success,
		.rules = rules,
		.kill_grace_us = 100 * US_PER_MS,
		.tell = {NULL, keep_progress, keep_log},
	};
}

static int run_spec(const struct tool_spec *s, unsigned ms)
{
	const struct iotime it = {now_us() + ms * US_PER_MS, NULL};

	tool_outcome_done(&seen);
	sb_clear(&logged);
	sb_clear(&progressed);
	return tool_run(s, &seen, &it, &e);
}

static int run(const char *script, unsigned ms)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	const struct tool_spec s = spec_of(argv);

	return run_spec(&s, ms);
}

static int sh(const char *script)
{
	return run(script, 20000);
}

static void assert_says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

START_TEST(it_passes_on_status_and_markers_and_no_failure)
{
	ck_assert_msg(sh("echo verified 12") == 0, "%s", e.msg);
	ck_assert_str_eq(seen.marker[0], "verified 12");
	ck_assert_uint_eq(seen.count[0], 1);
	ck_assert_ptr_nonnull(strstr(seen.program, "/sh"));
	ck_assert_int_eq(sh("true"), -ERR_NO_EVIDENCE);
	assert_says("the programmer");
	ck_assert_int_eq(sh("echo verified 12; exit 1"), -ERR_TOOL_FAILED);
	assert_says("status 1");
	assert_says("verified 12");
	/* It ends with 0 and says that all is well, after it has failed. */
	ck_assert_int_eq(sh("echo 'Error: page 3'; echo verified 12"), -ERR_DEVICE_REFUSED);
	assert_says("Error: page 3");
	ck_assert_int_eq(sh("echo verified 12; kill -SEGV $$"), -ERR_TOOL_FAILED);
	assert_says("signal 11");
}
END_TEST

START_TEST(a_persons_pattern_does_not_count_in_a_line_that_takes_it_back)
{
	static const struct tool_marker verified[] = {{.pattern = "[Vv]erified"}, {0}};
	const char *argv[] = {"sh", "-c", NULL, NULL};
	struct tool_spec s = spec_of(argv);

	s.success = verified;
	s.rules = NULL;
	s.partial = true;
	argv[2] = "echo 'flash verified'";
	ck_assert_msg(run_spec(&s, 20000) == 0, "%s", e.msg);
	argv[2] = "echo 'verified, 0 errors'";
	ck_assert_msg(run_spec(&s, 20000) == 0, "%s", e.msg);
	argv[2] = "echo 'NOT verified'";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_NO_EVIDENCE);
	argv[2] = "printf '\\033[31mflash could not be verified\\033[0m\\n'";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_NO_EVIDENCE);
	argv[2] = "echo 'verified: FAILED at 0x100'";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_NO_EVIDENCE);
}
END_TEST

START_TEST(the_most_specific_cause_is_told_whatever_came_first)
{
	ck_assert_int_eq(sh("echo error 1; echo error 2; echo no power; exit 1"), -ERR_TIMEOUT);
	assert_says("the unit has no power: 'no power'");
	ck_assert_int_eq(sh("echo error 1; echo error 2; exit 1"), -ERR_DEVICE_REFUSED);
	assert_says("error 1");
	/* It hangs after it said why. */
	ck_assert_int_eq(run("echo error 5 >&2; sleep 60", 300), -ERR_DEVICE_REFUSED);
	ck_assert_int_eq(run("echo what; sleep 60", 300), -ERR_TIMEOUT);
	assert_says("did not end in time");
}
END_TEST

START_TEST(a_marker_has_to_come_as_often_as_it_is_counted)
{
	static const struct tool_marker twice[] = {{.pattern = "^O\\.K\\.$", .count = 2}, {0}};
	const char *one[] = {"echo", "O.K.", NULL};
	const char *two[] = {"printf", "O.K.\nO.K.\n", NULL};
	struct tool_spec s = spec_of(one);

	s.success = twice;
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_NO_EVIDENCE);
	assert_says("1 times, expected 2");
	s.argv = two;
	ck_assert_int_eq(run_spec(&s, 20000), 0);
}
END_TEST

START_TEST(colours_and_carriage_returns_are_taken_out)
{
	const char *argv[] = {"printf",
		"\033[32m 5%%\033[0m\r 50%%\r100%%\r\n\033]0;title\007\033[1;31mverified 0/9"
		"\b\b\b   \b\b\b3\033[m  \n\b\n",
		NULL};
	struct tool_spec s = spec_of(argv);

	s.progress = "^ *(\\d+)%$";
	ck_assert_msg(run_spec(&s, 20000) == 0, "%s", e.msg);
	ck_assert_str_eq(seen.marker[0], "verified 3");
	ck_assert_str_eq(progressed.s, "work 5/100\nwork 50/100\nwork 100/100\n");
	ck_assert_str_eq(logged.s, "<verified 3\n");
}
END_TEST

START_TEST(phases_version_and_evidence_are_kept)
{
	static const struct tool_phase phases[] = {
		{"^Erasing", "erase"}, {"^Writing", "write"}, {0}};
	const char *argv[] = {
		"printf", "Tool v7.94b\nErasing\nWriting\nverified 1\ncrc=77\n", NULL};
	struct tool_spec s = spec_of(argv);

	s.phases = phases;
	s.version = "^Tool v(\\S+)";
	s.evidence = "^crc=(\\d+)";
	ck_assert_int_eq(run_spec(&s, 20000), 0);
	ck_assert_str_eq(seen.version, "7.94b");
	ck_assert_str_eq(seen.value, "77");
	ck_assert_str_eq(progressed.s, "erase 0/2\nwrite 1/2\n");
	s.evidence = "^crc=(x+)";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_NO_EVIDENCE);
}
END_TEST

START_TEST(it_has_a_directory_of_its_own_that_is_gone_afterwards)
{
	struct tool_dir d;
	char path[600], link[600];
	struct stat st;

	ck_assert_int_eq(tool_dir_new("/tmp", &d, &e), 0);
	ck_assert_int_eq(tool_dir_write(&d, "a.hex", "x", 1, path, &e), 0);
	ck_assert_int_eq(tool_dir_write(&d, "a.hex", "x", 1, NULL, &e), -ERR_IO);
	ck_assert_int_eq(tool_dir_write(&d, "../a.hex", "x", 1, NULL, &e), -ERR_INVALID);
	snprintf(link, sizeof link, "%s/out", d.path);
	ck_assert_int_eq(symlink(dir.path, link), 0);
	ck_assert_int_eq(tool_dir_write(&dir, "mine", "x", 1, path, &e), 0);
	tool_dir_done(&d);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(lstat(link, &st), -1);

	const char *argv[] = {"sh", "-c",
		"[ $HOME = $PWD ] && [ $TMPDIR = $PWD ] && [ \"$LC_ALL\" = C.UTF-8 ] && "
		"mkdir -p deep/er && echo x > deep/er/y && ls && echo verified 1",
		NULL};
	struct tool_spec s = spec_of(argv);

	ck_assert_msg(run_spec(&s, 20000) == 0, "%s", e.msg);
	ck_assert_str_eq(logged.s, "<deep\n<mine\n<verified 1\n");
	snprintf(path, sizeof path, "%s", dir.path);
	tool_dir_done(&dir);
	ck_assert_int_eq(stat(path, &st), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_file_is_copied_with_its_digest)
{
	char sum[SHA256_HEX], again[SHA256_HEX], path[600];
	const struct iotime it = {now_us() + 20 * US_PER_S, NULL};

	ck_assert_int_eq(tool_dir_copy(&dir, "sh", "/bin/sh", sum, &it, &e), 0);
	snprintf(path, sizeof path, "%s/sh", dir.path);
	ck_assert_int_eq(sha256_file(path, again, &e), 0);
	ck_assert_str_eq(sum, again);
	ck_assert_int_eq(tool_dir_copy(&dir, "x", "/no/such", sum, &it, &e), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(secrets_are_masked_in_all_that_leaves)
{
	const char *argv[] = {"sh", "-c", "echo verified 1 $KEY; echo Error $KEY", NULL};
	const char *env[] = {"KEY=hunter2hunter2", NULL};
	struct secret_set *set = secret_set_new();
	struct tool_spec s = spec_of(argv);

	secret_set_add(set, "hunter2hunter2", &e);
	s.env = env;
	s.secrets = set;
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_null(strstr(logged.s, "hunter2"));
	ck_assert_ptr_null(strstr(e.msg, "hunter2"));
	ck_assert_str_eq(seen.marker[0], "verified 1 " SECRET_MASK);
	secret_set_free(set);
}
END_TEST

/* --- the programs that a line meets at night --- */

START_TEST(hostile_hangs_and_ignores_term)
{
	uint64_t t0 = now_us();

	ck_assert_int_eq(run("trap '' TERM; echo verified 1; while :; do sleep 60; done", 200),
		-ERR_TIMEOUT);
	ck_assert_uint_lt(now_us() - t0, 2 * US_PER_S);
	ck_assert_ptr_nonnull(strstr(logged.s, "still runs"));
}
END_TEST

START_TEST(hostile_floods_a_gibibyte)
{
	const unsigned bytes = AMOUNT(1 << 30, 1 << 24);
	_cleanup_(freep) char *flood = xasprintf(
		"echo verified 1; yes 'All is well with page 0x8000000' | head -c %u", bytes);
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	ck_assert_int_eq(run(flood, 50000), -ERR_TOOL_FAILED);
	getrusage(RUSAGE_SELF, &after);
	assert_says("what was not read");
	ck_assert_uint_gt(seen.proc.bytes[PROC_STDOUT], bytes);
	ck_assert_uint_lt(logged.len, 256 * 1024);
	ck_assert_ptr_nonnull(strstr(logged.s, "lines are left out"));
#ifndef UNDER_ASAN /* it keeps what was freed */
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 8 * 1024);
#endif
	/* In one line. */
	free(flood);
	flood = xasprintf("echo verified 1; head -c %d /dev/zero", AMOUNT(1 << 26, 1 << 24));
	ck_assert_int_eq(run(flood, 50000), -ERR_TOOL_FAILED);
}
END_TEST

START_TEST(hostile_forks_a_daemon)
{
	pid_t pid;

	ck_assert_int_eq(
		sh("f=$(mktemp); setsid sh -c 'trap \"\" TERM HUP; echo $$; echo > $0; while :; do sleep 60; done' $f & "
		   "until [ -s $f ]; do sleep 0.01; done; rm $f; echo verified 1"),
		0);
	pid = atoi(logged.s + 1);
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(hostile_writes_rubbish)
{
	ck_assert_int_eq(sh("head -c 300000 /dev/urandom; echo; echo verified 1"), 0);
	for (size_t i = 0; i < logged.len; i++)
		ck_assert((unsigned char)logged.s[i] >= ' ' || logged.s[i] == '\n');
}
END_TEST

START_TEST(hostile_closes_its_output_and_lives_on)
{
	ck_assert_int_eq(run("echo verified 1; exec >&- 2>&-; exec sleep 60", 200), -ERR_TIMEOUT);
	ck_assert_int_eq(sh("echo verified 1; exec >&- 2>&-; sleep 0.2"), 0);
	ck_assert_int_eq(sh("echo verified 1; exec >&- 2>&-; sleep 0.2; exit 9"), -ERR_TOOL_FAILED);
}
END_TEST

START_TEST(hostile_is_not_there_or_cannot_be_run)
{
	const char *argv[] = {"no-such-programmer", NULL};
	struct tool_spec s = spec_of(argv);

	ck_assert_int_eq(run_spec(&s, 20000), -ERR_TOOL_MISSING);
	assert_says("no-such-programmer");
	argv[0] = "/etc/passwd";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_TOOL_MISSING);
}
END_TEST

START_TEST(a_cancel_wins_over_what_it_said)
{
	const char *argv[] = {"sh", "-c", "echo Error 7; sleep 60", NULL};
	struct tool_spec s = spec_of(argv);
	struct cancel c;
	const struct iotime it = {now_us() + 20 * US_PER_S, &c};

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	cancel_fire(&c, ERR_DEVICE_GONE);
	ck_assert_int_eq(tool_run(&s, &seen, &it, &e), -ERR_DEVICE_GONE);
	cancel_done(&c);
}
END_TEST

START_TEST(a_version_is_asked_for)
{
	const char *argv[] = {"sh", "-c", "echo Programmer v1.2.3 >&2; exit 1", NULL};
	const struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	char v[64];

	ck_assert_int_eq(tool_version(argv, "v(\\d\\S+)", v, &it, &e), 0);
	ck_assert_str_eq(v, "1.2.3");
	ck_assert_int_eq(tool_version(argv, "w(\\d\\S+)", v, &it, &e), 0);
	ck_assert_str_eq(v, "");
	argv[0] = "no-such-programmer";
	ck_assert_int_eq(tool_version(argv, "v(\\d\\S+)", v, &it, &e), -ERR_TOOL_MISSING);
}
END_TEST

static struct strbuf marked;

static void keep_marked(void *owner, size_t marker, const char *text, const struct tool_outcome *o)
{
	ck_assert_ptr_eq(owner, &marked);
	sb_addf(&marked, "%zu %s %llu\n", marker, text, (unsigned long long)o->sum[marker]);
}

START_TEST(markers_that_may_come_are_told_and_their_numbers_summed)
{
	static const struct tool_marker some[] = {
		{"^wrote (\\d+) bytes", TOOL_MAY}, {"^Warn", TOOL_MAY}, {"^verified", 0}, {0}};
	const char *argv[] = {"printf",
		"wrote 12 bytes\nWarn: x\nwrote 30 bytes\nwrote 99999999999999999999 bytes\n"
		"verified\n",
		NULL};
	const char *none[] = {"echo", "verified", NULL};
	struct tool_spec s = spec_of(argv);

	s.success = some;
	s.marked = keep_marked;
	s.owner = &marked;
	ck_assert_msg(run_spec(&s, 20000) == 0, "%s", e.msg);
	ck_assert_uint_eq(seen.count[0], 3);
	ck_assert_uint_eq(seen.sum[0], 42);
	ck_assert_str_eq(marked.s, "0 wrote 12 bytes 12\n1 Warn: x 0\n0 wrote 30 bytes 42\n"
				   "0 wrote 99999999999999999999 bytes 42\n2 verified 0\n");
	sb_clear(&marked);
	s.argv = none;
	ck_assert_int_eq(run_spec(&s, 20000), 0);
	ck_assert_str_eq(marked.s, "2 verified 0\n");
	sb_done(&marked);
}
END_TEST

START_TEST(a_complaint_that_no_rule_knows_is_told_with_the_status)
{
	const char *argv[] = {
		"sh", "-c", "echo '! first'; echo '! the moon'; echo bye; exit 3", NULL};
	struct tool_spec s = spec_of(argv);

	s.complaint = "^! ";
	ck_assert_int_eq(run_spec(&s, 20000), -ERR_TOOL_FAILED);
	assert_says("status 3, expected 0; it said: '! the moon'");
	/* It is not a failure by itself. */
	argv[2] = "echo '! first'; echo verified 1";
	ck_assert_int_eq(run_spec(&s, 20000), 0);
}
END_TEST

START_TEST(a_servers_lines_are_judged_command_by_command)
{
	const char *argv[] = {"server", NULL};
	const struct tool_spec s = spec_of(argv);
	struct tool_watch *w;

	ck_assert_int_eq(tool_watch_new(&s, &w, &e), 0);
	tool_watch_line(w, PROC_STDERR, "Error: x", 8);
	tool_watch_line(w, PROC_STDOUT, "verified 4", 10);
	ck_assert_int_eq(tool_watch_judge(w, 0, &e), -ERR_DEVICE_REFUSED);
	/* It explains more than what it led to, but not what a person did. */
	err_set(&e, ERR_TIMEOUT, "late");
	ck_assert_int_eq(tool_watch_judge(w, -ERR_TIMEOUT, &e), -ERR_DEVICE_REFUSED);
	err_set(&e, ERR_ABORTED, "stop");
	ck_assert_int_eq(tool_watch_judge(w, -ERR_ABORTED, &e), -ERR_ABORTED);
	tool_watch_free(w);
	/* The next command. */
	ck_assert_int_eq(tool_watch_new(&s, &w, &e), 0);
	ck_assert_int_eq(tool_watch_judge(w, 0, &e), -ERR_NO_EVIDENCE);
	tool_watch_line(w, PROC_STDOUT, "verified 4", 10);
	ck_assert_str_eq(tool_watch_seen(w)->marker[0], "verified 4");
	ck_assert_int_eq(tool_watch_judge(w, 0, &e), 0);
	ck_assert_ptr_null(tool_watch_free(w));
}
END_TEST

START_TEST(a_command_of_a_server_has_a_limit_on_each_stream_and_its_last_lines_in_the_log)
{
	const char *argv[] = {"server", NULL};
	struct tool_spec s = spec_of(argv);
	struct tool_watch *w;
	char line[16];

	s.output_max_bytes = 100000;
	ck_assert_int_eq(tool_watch_new(&s, &w, &e), 0);
	tool_watch_line(w, PROC_STDOUT, "verified 4", 10);
	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof line, "line %05d", i);
		tool_watch_line(w, PROC_STDOUT, line, 10);
	}
	ck_assert_ptr_null(strstr(logged.s, "left out"));
	ck_assert_int_eq(tool_watch_judge(w, 0, &e), -ERR_TOOL_FAILED);
	assert_says("more than 97 KiB: a failure may hide");
	ck_assert_ptr_nonnull(strstr(logged.s, "7490 lines are left out\n<line 08989\n"));
	ck_assert_ptr_nonnull(strstr(logged.s, "<line 09088\n"));
	ck_assert_ptr_null(strstr(logged.s, "<line 09089\n"));
	/* The other stream is still heard. */
	tool_watch_line(w, PROC_STDERR, "no power", 8);
	ck_assert_int_eq(tool_watch_judge(w, 0, &e), -ERR_TIMEOUT);
	tool_watch_free(w);
}
END_TEST

START_TEST(words_for_scripts_hold_nothing_that_a_script_reads)
{
	static const char *const bad[] = {
		"", "-x", "a b", "a;b", "a\nb", "a{b", "a\"b", "$x", "a\\b", "a[b", "caf\xc3\xa9"};

	ck_assert_int_eq(tool_check_word("serial", "0670FF-48_x.1", &e), 0);
	ck_assert_int_eq(tool_check_path("path", "/tmp/tool-a1B2c3/a.hex", &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(tool_check_word("serial", bad[i], &e), -ERR_INVALID);
		ck_assert_int_eq(tool_check_path("path", bad[i], &e), -ERR_INVALID);
	}
	ck_assert_int_eq(tool_check_path("path", "/tmp/../etc", &e), -ERR_INVALID);
	assert_says("path");
}
END_TEST

static Suite *tool_suite(void)
{
	Suite *s = suite_create("tool");
	TCase *t = tcase_create("tool");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 58);
	tcase_add_test(t, it_passes_on_status_and_markers_and_no_failure);
	tcase_add_test(t, a_persons_pattern_does_not_count_in_a_line_that_takes_it_back);
	tcase_add_test(t, the_most_specific_cause_is_told_whatever_came_first);
	tcase_add_test(t, a_marker_has_to_come_as_often_as_it_is_counted);
	tcase_add_test(t, colours_and_carriage_returns_are_taken_out);
	tcase_add_test(t, phases_version_and_evidence_are_kept);
	tcase_add_test(t, it_has_a_directory_of_its_own_that_is_gone_afterwards);
	tcase_add_test(t, a_file_is_copied_with_its_digest);
	tcase_add_test(t, secrets_are_masked_in_all_that_leaves);
	tcase_add_test(t, hostile_hangs_and_ignores_term);
	tcase_add_test(t, hostile_floods_a_gibibyte);
	tcase_add_test(t, hostile_forks_a_daemon);
	tcase_add_test(t, hostile_writes_rubbish);
	tcase_add_test(t, hostile_closes_its_output_and_lives_on);
	tcase_add_test(t, hostile_is_not_there_or_cannot_be_run);
	tcase_add_test(t, a_cancel_wins_over_what_it_said);
	tcase_add_test(t, a_version_is_asked_for);
	tcase_add_test(t, markers_that_may_come_are_told_and_their_numbers_summed);
	tcase_add_test(t, a_complaint_that_no_rule_knows_is_told_with_the_status);
	tcase_add_test(t, a_servers_lines_are_judged_command_by_command);
	tcase_add_test(
		t, a_command_of_a_server_has_a_limit_on_each_stream_and_its_last_lines_in_the_log);
	tcase_add_test(t, words_for_scripts_hold_nothing_that_a_script_reads);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(tool_suite)
