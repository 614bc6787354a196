/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs in a cgroup of their own. The test makes the cgroup that systemd would have delegated,
 * and does its work in a child that is in it; 77 (skipped) where that is not allowed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/proc.h"
#include "base/proc_cgroup.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static char delegated[128];

struct said {
	char text[512];
};

static void take_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct said *s = data;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof s->text - len, "%.*s|", (int)n, bytes);
}

static int sh(const char *script, struct said *said, struct proc_result *res)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct proc_opts o = {.argv = argv, .line = take_line, .data = said};
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	struct err e;

	*said = (struct said){0};
	return proc_run(&o, &it, res, &e);
}

static bool file_has(const char *path, const char *what)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	text[MAX(n, 0)] = 0;
	return strstr(text, what) != NULL;
}

/* A zombie waits for whoever took it over, and runs no more. */
static bool alive(int pid)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	return kill(pid, 0) == 0 && !file_has(path, ") Z ");
}

/* A name that one look at the directory finds. */
static bool has_child(void)
{
	struct stat st;

	return stat(delegated, &st) == 0 && st.st_nlink > 2;
}

START_TEST(a_program_is_in_a_cgroup_of_its_own_that_goes_with_it)
{
	struct proc_result res;
	struct said said;

	ck_assert_int_eq(sh("grep ^0: /proc/self/cgroup", &said, &res), 0);
	ck_assert_ptr_nonnull(strstr(said.text, "/provd-tool-"));
	ck_assert(!has_child());
}
END_TEST

START_TEST(what_outlives_even_the_keeper_is_ended_with_the_cgroup)
{
	struct proc_result res;
	struct said said;

	/* The daemon is in a session of its own; the keeper, the program's parent, is killed. */
	sh("trap 'kill -KILL $PPID' USR1;"
	   " setsid sh -c 'trap \"\" TERM HUP; echo $$; kill -USR1 '$$'; while :; do sleep 60; "
	   "done' &"
	   " wait; wait",
		&said, &res);

	int daemon = atoi(said.text);

	ck_assert_msg(daemon > 1, "it said '%s'", said.text);
	ck_assert(!alive(daemon));
	ck_assert(!has_child());
}
END_TEST

START_TEST(what_a_provd_before_left_is_swept)
{
	struct proc_cgroup g;
	pid_t pid;

	proc_cgroup_new(&g);
	ck_assert_int_ge(g.procs_fd, 0);
	pid = fork();
	if (pid == 0) {
		proc_cgroup_enter(g.procs_fd);
		for (;;)
			pause();
	}
	close(g.procs_fd);

	struct iotime it = {now_us() + 20 * US_PER_S, NULL};
	char path[40];
	int status;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	while (!file_has(path, "/provd-tool-"))
		ck_assert_int_eq(iotime_sleep(1000, &it, NULL), 0);
	proc_cgroup_sweep();

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert(!has_child());
}
END_TEST

/* The test's own: below the root, which only root may give away. */
static bool delegate(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char procs[160];
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(mounts) && !delegated[0]; i++)
		if (statfs(mounts[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			snprintf(delegated, sizeof delegated, "%s/provd-test-%d", mounts[i],
				(int)getpid());
	if (!delegated[0] || mkdir(delegated, 0755) < 0)
		return false;
	snprintf(procs, sizeof procs, "%s/cgroup.procs", delegated);
	_cleanup_(closep) int fd = open(procs, O_WRONLY | O_CLOEXEC);
	/* The test's children are where the test is. */
	return setxattr(delegated, "user.delegate", "1", 1, 0) == 0 && fd >= 0 &&
	       write(fd, "0", 1) == 1;
}

static Suite *suite(void)
{
	Suite *s = suite_create("proc_cgroup");
	TCase *t = tcase_create("proc_cgroup");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_program_is_in_a_cgroup_of_its_own_that_goes_with_it);
	tcase_add_test(t, what_outlives_even_the_keeper_is_ended_with_the_cgroup);
	tcase_add_test(t, what_a_provd_before_left_is_swept);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (!delegate())
			_exit(77);

		SRunner *r = srunner_create(suite());

		srunner_run_all(r, CK_ENV);

		int failed = srunner_ntests_failed(r);

		srunner_free(r);
		_exit(failed ? 1 : 0);
	}
	snprintf(delegated, sizeof delegated, "/sys/fs/cgroup/provd-test-%d", (int)pid);
	waitpid(pid, &status, 0);
	if (rmdir(delegated) < 0) {
		snprintf(delegated, sizeof delegated, "/sys/fs/cgroup/unified/provd-test-%d",
			(int)pid);
		rmdir(delegated);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		puts("no cgroup (version 2) may be made here");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
