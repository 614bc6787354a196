/* SPDX-License-Identifier: Apache-2.0
 *
 * A confined program reads the system and what is shown to it, writes its own directory alone, and
 * reaches no file that is hidden: by its name, by a link, by a program that it starts.
 */
#include "base/sandbox.h"

#include <sys/stat.h>

#include "base/proc.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static char top[] = "/tmp/test_sandbox_XXXXXX";
static char state[64], shown[80], scratch[80], own[96], other[96];
static struct strbuf said;
static struct err e;

static void keep(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	sb_add_escaped(&said, bytes, n);
	sb_add(&said, "\n");
}

static void put(const char *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	memcpy(top, "/tmp/test_sandbox_XXXXXX", sizeof top);
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(state, sizeof state, "%s/state", top);
	snprintf(shown, sizeof shown, "%s/artifacts", state);
	snprintf(scratch, sizeof scratch, "%s/scratch", state);
	snprintf(own, sizeof own, "%s/mine", scratch);
	snprintf(other, sizeof other, "%s/theirs", scratch);
	for (const char *const *p = (const char *const[]){shown, own, other, NULL}; *p; p++)
		ck_assert_int_eq(tree_make(*p, &e), 0);
	put(state, "token", "secret\n");
	put(shown, "image", "firmware\n");
	put(other, "key", "secret\n");
	put(top, "beside", "open\n");
}

static void teardown(void)
{
	sb_done(&said);
	tree_remove(top);
}

/* The exit status of a shell script that runs confined in its own directory. */
static int confined_by(const char *hide, const char *write, const char *script)
{
	const char *const hidden[] = {hide, "/absent/path", NULL};
	const char *const visible[] = {shown, NULL};
	const char *const writable[] = {write, NULL};
	const struct sandbox_policy policy = {
		.hidden = hidden, .visible = visible, .writable = writable};
	const char *argv[] = {"sh", "-c", script, NULL};
	_cleanup_(freep) char *pid = xasprintf("TESTER=%d", (int)getpid());
	_cleanup_(freep) char *dir = xasprintf("TOP=%s", top);
	const char *env[] = {pid, dir, NULL};
	const struct proc_opts o = {.argv = argv, .cwd = own, .env = env, .line = keep};
	const struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	struct proc_result res;
	int r;

	sb_clear(&said);
	proc_confine(&policy);
	r = proc_run(&o, &it, &res, &e);
	proc_confine(NULL);
	ck_assert_msg(r == 0, "%s", e.msg);
	return res.exit_status;
}

static int confined(const char *script)
{
	return confined_by(state, NULL, script);
}

static const struct {
	const char *script;
	bool works;
} cases[] = {
	{"cat $TOP/state/artifacts/image", true},
	{"cat $TOP/beside", true},
	{"cat /etc/hostname /proc/self/status", true},
	{"ls /usr/bin > /dev/null", true},
	{"echo x > note && cat note && mkdir d && mv note d/ && rm -r d", true},
	{"echo x > /dev/null", true},
	{"cat $TOP/state/token", false},
	{"ls $TOP/state", false},
	{"cat $TOP/state/scratch/theirs/key", false},
	{"ln -s $TOP/state/token link && cat link", false},
	{"ln $TOP/state/token hard", false},
	{"mv $TOP/beside .", false},
	{"cp /bin/cat . && ./cat $TOP/state/token", false},
	{"cd $TOP/state/artifacts/.. && cat token", false},
	{"cat $TOP/state/artifacts/../token", false},
	{"cat /proc/self/root$TOP/state/token", false},
	{"cat /proc/$TESTER/root$TOP/state/token", false},
	{"ls /proc/$TESTER/cwd/", false},
	{"echo x > $TOP/state/token", false},
	{"echo x > $TOP/state/artifacts/image", false},
	{"rm $TOP/state/artifacts/image", false},
	{"echo x > $TOP/beside", false},
	{"echo x > /tmp/test_sandbox_new", false},
	{"(sleep 0; cat $TOP/state/token) & wait $!", false},
};

START_TEST(what_it_may_and_may_not)
{
	int status;

	status = confined(cases[_i].script);
	ck_assert_msg((status == 0) == cases[_i].works, "%s: %d\n%s", cases[_i].script, status,
		said.s ? said.s : "");
}
END_TEST

START_TEST(the_hidden_file_is_as_it_was)
{
	_cleanup_(freep) char *token = xasprintf("%s/token", state);
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		confined(cases[i].script);
	ck_assert_int_eq(stat(token, &st), 0);
	ck_assert_int_eq(st.st_size, 7);
	ck_assert_uint_eq(st.st_nlink, 1);
}
END_TEST

START_TEST(a_writable_tree_shows_nothing_hidden_however_its_path_is_written)
{
	static const char *const forms[] = {"%s", "%s/", "%s//", "%s/.", "%s/state/..", "%s/link"};
	_cleanup_(freep) char *link = xasprintf("%s/link", top);

	ck_assert_int_eq(symlink(".", link), 0);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		_cleanup_(freep) char *path = xasprintf(forms[i], top);

		ck_assert_msg(confined_by(state, path, "echo x >> $TOP/beside") == 0, "%s: %s",
			forms[i], said.s ? said.s : "");
		ck_assert_msg(
			confined_by(state, path, "cat $TOP/state/token") != 0, "%s", forms[i]);
		ck_assert_msg(confined_by(state, path, "echo x >> $TOP/state/token") != 0, "%s",
			forms[i]);
	}
}
END_TEST

START_TEST(what_is_hidden_among_the_devices_is_hidden)
{
	char dir[] = "/dev/shm/test_sandbox_XXXXXX";
	_cleanup_(freep) char *script = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	put(dir, "token", "secret\n");
	script = xasprintf("cat %s/token", dir);

	int status = confined_by(dir, NULL, script);
	int device = confined_by(dir, NULL, "echo x > /dev/null");

	tree_remove(dir);
	ck_assert_int_ne(status, 0);
	ck_assert_int_eq(device, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *t = tcase_create("sandbox");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_it_may_and_may_not, 0, ARRAY_LEN(cases));
	tcase_add_test(t, the_hidden_file_is_as_it_was);
	tcase_add_test(t, a_writable_tree_shows_nothing_hidden_however_its_path_is_written);
	tcase_add_test(t, what_is_hidden_among_the_devices_is_hidden);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	/* A skipped test says so (77), it does not pass. */
	if (!sandbox_supported()) {
		puts("no Landlock in this kernel");
		return 77;
	}
	SRunner *sr = srunner_create(suite());
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
