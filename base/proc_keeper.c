/* SPDX-License-Identifier: Apache-2.0
 *
 *	provd ---fork---> keeper ---fork, exec---> program ---> whatever it forks
 *	      <--pair---->  | subreaper of all of them
 *
 * Everything here runs after a fork of a program with threads, one of which may have held any lock:
 * only async-signal-safe functions (signal-safety(7)) and plain system calls, no allocation.
 */
#include "base/proc_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/proc_cgroup.h"
#include "base/sandbox.h"

#define CONTROL	 0 /* where the pair's end lies once the program was started */
#define KILL_S	 5 /* a process stuck in the kernel outlives KILL */
#define ROUND_MS 100

struct keeper {
	pid_t program;
	bool ended; /* reaped: its number may belong to another */
	int sigfd;
};

static void default_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_program(const struct keeper_task *t, pid_t keeper)
{
	int why = 0;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The keeper may have died before the line above. */
	if (getppid() != keeper)
		_exit(127);
	default_signals();

	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, 0) < 0 || dup2(t->out, 1) < 0 || dup2(t->err, 2) < 0 ||
		(t->cwd && chdir(t->cwd) < 0)) {
		why = errno;
	} else {
		/* The pipe that reports a failed exec has to live until exec. */
		syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
		why = t->sandbox < 0 ? 0 : sandbox_enter(t->sandbox);
		if (why == 0) {
			execve(t->path, t->argv, t->env);
			why = errno;
		}
	}

	ssize_t ignored = write(t->exec, &why, sizeof why);

	(void)ignored;
	_exit(127);
}

/* Reaps what has ended. False where no child is left. */
static bool reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct keeper_note note = {status};

		if (pid != k->program)
			continue;
		k->ended = true;
		send(CONTROL, &note, sizeof note, MSG_NOSIGNAL);
	}
	return pid == 0 || errno != ECHILD;
}

/* KILL to the keeper's own children. False where the kernel does not list them. */
static bool kill_children(void)
{
	char buf[4096];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] >= '0' && buf[i] <= '9') {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			/* A child that is not reaped keeps its number. */
			if (pid > 1)
				kill(pid, SIGKILL);
			pid = 0;
		}
	close(fd);
	return true;
}

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Children of the killed become the keeper's own: again, until none is left. */
static void kill_all(struct keeper *k)
{
	time_t end = now_s() + KILL_S;

	if (!k->ended)
		kill(-k->program, SIGKILL);
	while (reap(k) && now_s() <= end) {
		struct pollfd f = {.fd = k->sigfd, .events = POLLIN};
		struct signalfd_siginfo si;
		bool listed = kill_children();

		if (!listed && k->ended)
			return;
		poll(&f, 1, ROUND_MS);
		while (read(k->sigfd, &si, sizeof si) > 0)
			;
	}
}

/* False: it is time to end everything. */
static bool obey(const struct keeper *k)
{
	char order = KEEPER_KILL;
	ssize_t n = recv(CONTROL, &order, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n == 1 && order == KEEPER_TERM) {
		if (!k->ended)
			kill(-k->program, SIGTERM);
		return true;
	}
	return false;
}

static void watch(struct keeper *k)
{
	bool on = true;

	while (on) {
		struct pollfd f[2] = {
			{.fd = CONTROL, .events = POLLIN}, {.fd = k->sigfd, .events = POLLIN}};
		struct signalfd_siginfo si;

		if (poll(f, 2, -1) < 0 && errno != EINTR)
			break;
		if (f[1].revents) {
			while (read(k->sigfd, &si, sizeof si) > 0)
				;
			reap(k);
		}
		if (f[0].revents)
			on = obey(k);
	}
	kill_all(k);
}

void keeper_main(const struct keeper_task *t)
{
	struct keeper k = {.sigfd = -1};
	sigset_t all, chld;
	pid_t self = getpid();

	/* Only KILL ends a keeper: TERM to all of provd's cgroup, or ^C, is provd's to obey. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setpgid(0, 0);
	proc_cgroup_enter(t->cgroup);
	prctl(PR_SET_NAME, "provd-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	k.program = fork();
	if (k.program == 0)
		run_program(t, self);
	if (k.program < 0) {
		int why = errno;
		ssize_t ignored = write(t->exec, &why, sizeof why);

		(void)ignored;
		_exit(127);
	}
	setpgid(k.program, k.program);
	/* Nothing of provd's stays open here: not the pipes, whose end provd waits for, not the
	 * sockets and locks. */
	if (dup2(t->control, CONTROL) < 0)
		_exit(127);
	syscall(SYS_close_range, 1u, ~0u, 0u);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	k.sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	watch(&k);
	_exit(0);
}
