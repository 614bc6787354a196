/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct {
	const char *line, *found; /* found: what a pattern matched of it */
	bool against;
} rows[] = {
	{"OK", "OK", false},
	{"NOT OK", "OK", true},
	{"not_OK", "OK", true},
	{"NOTOK", "OK", true},
	{"NO OK", "OK", true},
	{"UNREADY", "READY", true},
	{"unit READY", "READY", false},
	{"knot READY", "READY", false},
	{"READY: not yet", "READY", true},
	{"BOOTING FAILED", "BOOTING", true},
	{"BOOTING failure 3", "BOOTING", true},
	{"ERROR while BOOTING", "BOOTING", true},
	{"BOOTING aborted", "BOOTING", true},
	{"cannot say OK", "OK", true},
	{"can't say OK", "OK", true},
	{"OK refused", "OK", true},
	{"NAK OK", "OK", true},
	{"OK, 3 errors", "OK", true},
	{"OK, 0 errors", "OK", false},
	{"OK, no errors", "OK", false},
	{"OK without failures", "OK", false},
	{"OK errors: 0", "OK", false},
	{"OK err=0", "OK", false},
	{"OK errors: 10", "OK", true},
	{"OK errors: 0.5", "OK", true},
	{"0 errors, verify FAILED, OK", "OK", true},
	{"OK notable terror failsafe2", "OK", false},
	{"NOT OK", "NOT OK", false}, /* the pattern's own words */
	{"3 FAILED", "3 FAILED", false},
	{"no 7 OK", "OK", false},
	{"NOK", "OK", true},
	{"selftest NOK", "OK", true},
	{"N.OK", "OK", true},
	{"n.i.O.", "i.O.", true},
	{"nicht OK", "OK", true},
	{"FEHLER, OK", "OK", true},
	{"isn't OK", "OK", true},
	{"isn\xe2\x80\x99t OK", "OK", true},
	{"never OK", "OK", true},
	{"ERROR7 OK", "OK", true},
	{"OK fail2", "OK", true},
	{"OK: CRC mismatch", "OK", true},
	{"OK (invalid)", "OK", true},
	{"BOOTING timed out", "BOOTING", true},
	{"BOOTING timeout", "BOOTING", true},
	{"BOOTING cancelled", "BOOTING", true},
	{"OK: false", "OK", true},
	{"OK? no", "OK", true},
	{"OK=0", "OK", true},
	{"READY = 0", "READY", true},
	{"PASS: 0/5", "PASS", true},
	{"PASSED 0 of 5", "PASSED", true},
	{"0 PASSED", "PASSED", true},
	{"0 of 5 tests passed", "passed", true},
	{"00/12 passed", "passed", true},
	{"OK error=0x1", "OK", true},
	{"OK errors: 0,5", "OK", true},
	{"0 OK", "OK", false}, /* a code and its name */
	{"OK 0", "OK", false},
	{"OK: 0 errors", "OK", false},
	{"OK, 0 mismatches", "OK", false},
	{"10 passed", "passed", false},
	{"v1.0 passed", "passed", false},
	{"rc=0 passed", "passed", false},
	{"PASS: 5/5", "PASS", false},
	{"OK: none", "OK", false},
	{"OK=1", "OK", false},
	{"OK=0.5", "OK", false},
	{"OK failover, errorless", "OK", false},
	{"captain OK", "OK", false},
	{"READY (timeout 30 s)", "READY", false},
	{"READY timeout=5", "READY", false},
	/* a question */
	{"OK?", "OK", true},
	{"OK to erase? [y/N]", "OK", true},
	{"ready (yes/no):", "ready", true},
	{"Hit any key?", "any key", false}, /* who waits for a question finds it */
	/* some of all */
	{"PASSED 3/5", "PASSED", true},
	{"PASS: 4 of 5", "PASS", true},
	{"3/5 passed", "passed", true},
	{"3 of 5 tests passed", "passed", true},
	{"5/5 passed", "passed", false},
	{"PASSED 5 of 5 in 3 s", "PASSED", false},
	{"15/15 checks passed", "passed", false},
	{"0% passed", "passed", true},
	{"40 % passed", "passed", true},
	{"100% passed", "passed", false},
	{"success rate", "success", false},
	{"PASS 99.5 %", "PASS", true},
	{"PASS: 100%", "PASS", false},
	{"PASSED: 0", "PASSED", true},
	{"PASSED: 0 FAILED: 0", "PASSED", true},
	{"PASSED: 12 FAILED: 0", "PASSED", false},
	{"[3/5] OK", "OK", false},
	{"OK 3/5", "OK", false},
	/* JSON, XML, switches */
	{"{\"ok\": false}", "ok", true},
	{"{\"ok\":true}", "ok", false},
	{"<ok>false</ok>", "ok", true},
	{"<ok>true</ok>", "ok", false},
	{"READY: N", "READY", true},
	{"READY=off", "READY", true},
	{"READY: now", "READY", false},
	/* other words */
	{"TEST OK SENSOR NG", "OK", true},
	{"router-ng OK", "OK", false},
	{"OK BAD CRC", "OK", true},
	{"OK, 0 bad blocks", "OK", false},
	{"OK, bad blocks: 0", "OK", false},
	{"OK BAD CRC: 00AB12", "OK", true},
	{"OK BAD CRC: 0", "OK", true},
	{"OK errors: 0A", "OK", true},
	{"OK FAULT 3", "OK", true},
	{"OK default", "OK", false},
	{"OK no faults, 0 skipped", "OK", false},
	{"OK (skipped)", "OK", true},
	{"OK, sensor missing", "OK", true},
	{"unrecognized: OK", "OK", true},
	{"OK errcode=17", "OK", true},
	{"OK errcode=0", "OK", false},
	{"{\"status\":\"OK\",\"errorCode\":17}", "OK", true},
	{"{\"status\":\"OK\",\"errorCode\":0}", "OK", false},
	{"OK error_count=0", "OK", false},
	{"OK error_count=2", "OK", true},
	{"OK errors: none", "OK", false},
	{"rc=-5 OK", "OK", true},
	{"exit code 1 OK", "OK", true},
	{"OK, exit status: 2", "OK", true},
	{"OK return code 0", "OK", false},
	{"exit code 0 OK", "OK", false},
	{"OK arc 5", "OK", false},
	{"OK err 0", "OK", false},
	{"OK (error 0)", "OK", false},
	{"OK err 0x17", "OK", true},
	{"OK err 3", "OK", true},
	{"{\"ok\":1,\"selftestFailed\":true}", "ok", true},
	{"{\"ok\":1,\"selftestFailed\":false}", "ok", false},
	{"{\"ok\":1,\"sensorFaults\":0}", "ok", false},
	{"{\"ok\":1,\"sensorFaults\":2}", "ok", true},
	{"OK (dry run)", "OK", true},
	{"OK, simulated", "OK", true},
	{"PASSWORD:", "PASS", true},
	{"Passphrase for key", "Pass", true},
	{"PASSED", "PASS", false},
	{"READY: 0", "READY", true},
	{"READY: 1", "READY", false},
	{"READY 0", "READY", false},
	{"OK: 0", "OK", false}, /* a code */
	/* JSON that says that nothing happened */
	{"{\"status\":\"OK\",\"error\":null}", "OK", false},
	{"{\"status\":\"OK\",\"error\":\"\"}", "OK", false},
	{"{\"status\":\"OK\",\"error\": false, \"t\": 1}", "OK", false},
	{"{\"status\":\"OK\",\"errors\":[]}", "OK", false},
	{"{\"errors\": { }, \"status\":\"OK\"}", "OK", false},
	{"{\"status\":\"OK\",\"error\":\"null pointer\"}", "OK", true},
	{"OK error: null pointer", "OK", true},
	{"OK errors: [3]", "OK", true},
	{"{\"status\":\"OK\",\"error\":null,\"fault\":\"CRC\"}", "OK", true},
	{"{\"status\":\"OK\",\"error\":true}", "OK", true},
	{"Error count 0, OK", "OK", false},
	{"PASS: 0 failures", "PASS", false},
	{"PASS: 0 errors: 2", "PASS", true},
	/* what did not come */
	{"expected OK, got 17", "OK", true},
	{"expected 'OK'", "OK", true},
	{"as expected OK", "OK", false},
	{"unexpected reset OK", "OK", false},
	{"waiting for READY", "READY", true},
	{"waiting for network READY", "READY", false},
	{"almost READY", "READY", true},
	{"should be OK", "OK", true},
	{"Result: OK -> KO", "OK", true},
	{"loaded foo.ko OK", "OK", false},
};

START_TEST(the_rest_of_a_line_takes_back_what_was_found)
{
	struct words *w = words_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *line = rows[i].line;
		size_t start = (size_t)(strstr(line, rows[i].found) - line);
		bool got =
			words_against(w, line, strlen(line), start, start + strlen(rows[i].found));

		ck_assert_msg(got == rows[i].against, "'%s' in '%s'", rows[i].found, line);
	}
	/* A group that took no part has no place in the line. */
	ck_assert(!words_against(w, "NOT", 3, (size_t)-1, (size_t)-1));
	words_free(w);
	ck_assert_ptr_null(words_free(NULL));
}
END_TEST

static const struct {
	const char *line;
	bool fails, first; /* anywhere, at its begin */
} lines[] = {
	{"FAILED", true, true},
	{"ERROR: 7", true, true},
	{"*** ERROR 7", true, true},
	{"self test FAILED", true, false},
	{"[2.3] mmc0: error -110", true, false},
	{"verify mismatch at 3", true, false},
	{"selftest timed out", true, false},
	{"NOT stored", true, true},
	{"unknown command", true, true},
	{"sh: unknown command", true, true},
	{"failed: 0", false, false},
	{"FAILED: 0, errors: 3", true, false},
	{"errors=0", false, false},
	{"no error", false, false},
	{"0 errors", false, false},
	{"0 errors, 1 failed", true, false},
	{"failed: 10", true, true},
	{"failed: 0.5", true, true},
	{"wifi not connected", false, false},
	{"no sensor", false, false},
	{"failover terror", false, false},
	{"timeout 5 s", false, false},
	{"KERNEL PANIC", true, false},
	{"Hard fault at 0x8001234", true, false},
	{"result: NG", true, false},
	{"fault log empty", false, false},
	{"last error: none", false, false},
	{"error_count=0", false, false},
	{"error_count=4", true, false},
	{"", false, false},
};

START_TEST(a_line_of_its_own_says_that_something_failed)
{
	struct words *w = words_new();

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		const char *line = lines[i].line;

		ck_assert_msg(words_fail(w, line, strlen(line)) == lines[i].fails, "'%s'", line);
		ck_assert_msg(words_fail_first(w, line, strlen(line)) == lines[i].first,
			"the begin of '%s'", line);
	}
	words_free(w);
}
END_TEST

static const struct {
	const char *line, *found;
	bool part;
} parts[] = {
	{"MOTOR BROKEN", "OK", true},
	{"SMOKE", "OK", true},
	{"Looking", "ok", true},
	{"OKAY", "OK", false},
	{"SELFTESTOK", "OK", false},
	{"PASSED", "PASS", false},
	{"isReadyNow", "Ready", false},
	{"a_OK_b", "OK", false},
	{"BR0OK1", "0OK", false},
	{"", "", false},
};

START_TEST(letters_within_a_word_are_not_the_word)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *line = parts[i].line;
		size_t start = (size_t)(strstr(line, parts[i].found) - line);

		ck_assert_msg(words_is_part(line, strlen(line), start,
				      start + strlen(parts[i].found)) == parts[i].part,
			"'%s' in '%s'", parts[i].found, line);
	}
	ck_assert(!words_is_part("NOT", 3, (size_t)-1, (size_t)-1));
}
END_TEST

static Suite *words_suite(void)
{
	Suite *s = suite_create("words");
	TCase *t = tcase_create("words");

	tcase_add_test(t, the_rest_of_a_line_takes_back_what_was_found);
	tcase_add_test(t, a_line_of_its_own_says_that_something_failed);
	tcase_add_test(t, letters_within_a_word_are_not_the_word);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(words_suite)
