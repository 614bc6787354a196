/* SPDX-License-Identifier: Apache-2.0
 *
 *	start: pipes, fork, [child: group, death signal, descriptors, exec], wait for exec or its
 *errno run:   poll(stdout, stderr, pidfd, cancel) until it exited and both pipes ended stop:  TERM
 *to the group, grace, KILL to the group end:   KILL to what is left of the group, and only then
 *reap: while the leader is a zombie its number can belong to no one else
 *
 * Between fork and exec the child calls async-signal-safe functions alone: another thread may have
 * held any lock at the fork.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/util.h"

#define OUTPUT_BYTES   (1024 * 1024)
#define LINE_BYTES     4096
#define KILL_GRACE_US  (2 * US_PER_S)
#define PIPE_LINGER_US (200 * US_PER_MS) /* for the pipes to end after the program did */
#define KILL_WAIT_US   (5 * US_PER_S)	 /* a process stuck in the kernel outlives KILL */

struct stream {
	int fd; /* -1: ended */
	char *line;
	size_t line_len;
	size_t kept;
};

struct proc {
	const struct proc_opts *o;
	struct proc_result *result;
	size_t max_output, max_line;
	char *path; /* of the program */
	char **env;
	pid_t pid;
	int pidfd;
	bool exited; /* not yet reaped */
	struct stream stream[2];
};

static const char *env_value(const struct proc *p, const char *name)
{
	size_t n = strlen(name);

	for (char **v = p->env; *v; v++)
		if (!strncmp(*v, name, n) && (*v)[n] == '=')
			return *v + n + 1;
	return NULL;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && !strncmp(a, b, n);
}

static bool replaced(const struct proc_opts *o, const char *entry)
{
	for (const char *const *v = o->env; v && *v; v++)
		if (same_name(*v, entry))
			return true;
	return false;
}

static char **make_env(const struct proc_opts *o)
{
	const char *path = getenv("PATH");
	const char *home = getenv("HOME");
	char *own[] = {
		xasprintf("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin"),
		xstrdup("LANG=C.UTF-8"),
		xasprintf("HOME=%s", home ? home : "/"),
	};
	size_t n = 0;
	size_t k = 0;

	while (o->env && o->env[n])
		n++;

	char **env = xcalloc(n + ARRAY_LEN(own) + 1, sizeof *env);

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (replaced(o, own[i]))
			free(own[i]);
		else
			env[k++] = own[i];
	}
	for (size_t i = 0; i < n; i++)
		env[k++] = xstrdup(o->env[i]);
	return env;
}

/* As execvp() would find it, but before the fork. A name with a slash is taken as it is. */
static char *find_program(const struct proc *p)
{
	const char *name = p->o->argv[0];
	const char *dirs = env_value(p, "PATH");

	if (strchr(name, '/'))
		return xstrdup(name);
	while (dirs && *dirs) {
		size_t n = strcspn(dirs, ":");
		char *path = xasprintf("%.*s/%s", (int)n, dirs, name);

		if (n > 0 && access(path, X_OK) == 0)
			return path;
		free(path);
		dirs += n + (dirs[n] == ':');
	}
	return NULL;
}

struct pipes {
	int out[2], err[2], exec[2];
};

static int open_pipes(struct pipes *p, struct err *e)
{
	int *all[] = {p->out, p->err, p->exec};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (pipe2(all[i], O_CLOEXEC) < 0)
			return err_errno(e, ERR_IO, errno, "pipe");
	return 0;
}

static void close_pipes(struct pipes *p)
{
	int *all[] = {p->out, p->out + 1, p->err, p->err + 1, p->exec, p->exec + 1};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		closep(all[i]);
		*all[i] = -1;
	}
}

static void child_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Only async-signal-safe calls from here to exec. */
static _Noreturn void child(const struct proc *p, const struct pipes *io, pid_t parent)
{
	int why = 0;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* provd may have died before the line above. */
	if (getppid() != parent)
		_exit(127);
	child_signals();

	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, 0) < 0 || dup2(io->out[1], 1) < 0 || dup2(io->err[1], 2) < 0 ||
		(p->o->cwd && chdir(p->o->cwd) < 0)) {
		why = errno;
	} else {
		/* The pipe that reports a failed exec has to live until exec. */
		syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
		execve(p->path, (char *const *)(uintptr_t)p->o->argv, p->env);
		why = errno;
	}

	ssize_t ignored = write(io->exec[1], &why, sizeof why);

	(void)ignored;
	_exit(127);
}

/* End of file means that exec took place. */
static int exec_errno(int fd)
{
	int why = 0;
	ssize_t n;

	do
		n = read(fd, &why, sizeof why);
	while (n < 0 && errno == EINTR);
	return n == sizeof why ? why : 0;
}

static int watch(struct proc *p, struct pipes *io, struct err *e)
{
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return err_errno(e, ERR_IO, errno, "pidfd_open");
	p->stream[PROC_STDOUT].fd = steal_fd(&io->out[0]);
	p->stream[PROC_STDERR].fd = steal_fd(&io->err[0]);
	for (int i = 0; i < 2; i++)
		fcntl(p->stream[i].fd, F_SETFL, O_NONBLOCK);
	return 0;
}

static void reap(struct proc *p)
{
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

static int start(struct proc *p, struct err *e)
{
	struct pipes io = {{-1, -1}, {-1, -1}, {-1, -1}};
	pid_t parent = getpid();
	int r = open_pipes(&io, e);

	if (r < 0) {
		close_pipes(&io);
		return r;
	}
	p->pid = fork();
	if (p->pid == 0)
		child(p, &io, parent);
	if (p->pid < 0) {
		p->pid = 0;
		r = err_errno(e, ERR_IO, errno, "fork");
		close_pipes(&io);
		return r;
	}
	closep(&io.exec[1]);
	io.exec[1] = -1;

	int why = exec_errno(io.exec[0]);

	if (why)
		r = err_errno(e, ERR_TOOL_MISSING, why, "start %s", p->o->argv[0]);
	else
		r = watch(p, &io, e);
	if (r < 0) {
		kill(-p->pid, SIGKILL);
		reap(p);
	}
	close_pipes(&io);
	return r;
}

static void tell_line(struct proc *p, int i)
{
	struct stream *s = &p->stream[i];

	if (p->o->line)
		p->o->line(p->o->data, (enum proc_stream)i, s->line, s->line_len);
	s->line_len = 0;
}

static void take_bytes(struct proc *p, int i, const char *bytes, size_t n)
{
	struct stream *s = &p->stream[i];
	size_t room = p->max_output - s->kept;

	p->result->bytes[i] += n;
	if (n > room) {
		p->result->truncated[i] = true;
		n = room;
	}
	s->kept += n;
	for (size_t k = 0; k < n; k++) {
		if (bytes[k] == '\n') {
			tell_line(p, i);
			continue;
		}
		if (s->line_len == p->max_line)
			tell_line(p, i);
		s->line[s->line_len++] = bytes[k];
	}
}

static void end_stream(struct proc *p, int i)
{
	struct stream *s = &p->stream[i];

	if (s->fd < 0)
		return;
	if (s->line_len > 0)
		tell_line(p, i);
	close(s->fd);
	s->fd = -1;
}

/* One read, so that a flood on one stream starves neither the other nor the deadline. */
static void read_stream(struct proc *p, int i)
{
	char buf[16384];
	ssize_t n = read(p->stream[i].fd, buf, sizeof buf);

	if (n > 0)
		take_bytes(p, i, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		end_stream(p, i);
}

static bool streams_ended(const struct proc *p)
{
	return p->stream[0].fd < 0 && p->stream[1].fd < 0;
}

/* Waits for any event and handles it; the error of the iotime otherwise. */
static int step(struct proc *p, const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);

	if (r < 0)
		return r;

	uint64_t left = iotime_left_us(it);
	struct timespec ts = {(time_t)(left / US_PER_S), (long)(left % US_PER_S) * 1000};
	struct pollfd f[4] = {
		{.fd = p->stream[0].fd, .events = POLLIN},
		{.fd = p->stream[1].fd, .events = POLLIN},
		{.fd = p->exited ? -1 : p->pidfd, .events = POLLIN},
		{.fd = it->cancel ? it->cancel->fd : -1, .events = POLLIN},
	};

	if (ppoll(f, ARRAY_LEN(f), left == NO_DEADLINE ? NULL : &ts, NULL) < 0)
		return errno == EINTR ? 0 : err_errno(e, ERR_IO, errno, "poll");
	for (int i = 0; i < 2; i++)
		if (f[i].revents)
			read_stream(p, i);
	if (f[2].revents)
		p->exited = true;
	return 0;
}

static int run_until_exit(struct proc *p, const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && !p->exited)
		r = step(p, it, e);
	return r;
}

/* A child of the program may hold the pipes open: what was written before the exit is still read,
 * but no one waits for such a child. */
static int run_until_eof(struct proc *p, const struct iotime *it, struct err *e)
{
	struct iotime linger = iotime_within(it, PIPE_LINGER_US);
	int r = 0;

	while (r == 0 && !streams_ended(p))
		r = step(p, &linger, e);
	return r == -ERR_TIMEOUT ? 0 : r;
}

static void stop(struct proc *p)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	uint64_t grace = p->o->kill_grace_us ? p->o->kill_grace_us : KILL_GRACE_US;
	struct iotime it = iotime_within(&none, grace);

	kill(-p->pid, SIGTERM);
	run_until_exit(p, &it, NULL);
	kill(-p->pid, SIGKILL);
	it = iotime_within(&none, KILL_WAIT_US);
	run_until_exit(p, &it, NULL);
}

static void note_status(struct proc *p)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid == 0)
		return;
	if (info.si_code == CLD_EXITED)
		p->result->exit_status = info.si_status;
	else
		p->result->term_signal = info.si_status;
}

static int supervise(struct proc *p, const struct iotime *it, struct err *e)
{
	int r = run_until_exit(p, it, e);

	if (r == 0)
		r = run_until_eof(p, it, e);
	if (!p->exited)
		stop(p);
	note_status(p);
	kill(-p->pid, SIGKILL);
	for (int i = 0; i < 2; i++)
		end_stream(p, i);
	if (p->exited)
		reap(p);
	if (r == -ERR_TIMEOUT)
		return err_set(
			e, ERR_TIMEOUT, "%s did not end in time and was stopped", p->o->argv[0]);
	if (r < 0)
		err_prefix(e, "%s was stopped", p->o->argv[0]);
	return r;
}

static void done(struct proc *p)
{
	for (int i = 0; i < 2; i++)
		free(p->stream[i].line);
	closep(&p->pidfd);
	for (char **v = p->env; v && *v; v++)
		free(*v);
	free(p->env);
	free(p->path);
}

int proc_run(const struct proc_opts *o, const struct iotime *it, struct proc_result *ret_result,
	struct err *e)
{
	struct proc_result result = {.exit_status = -1};
	struct proc p = {
		.o = o,
		.result = &result,
		.max_output = o->max_output_bytes ? o->max_output_bytes : OUTPUT_BYTES,
		.max_line = o->max_line_bytes ? o->max_line_bytes : LINE_BYTES,
		.pidfd = -1,
		.stream = {{.fd = -1}, {.fd = -1}},
	};
	int r = iotime_check(it, e);

	if (r < 0)
		return r;
	if (!o->argv[0])
		return err_set(e, ERR_INVALID, "no program is named");
	p.env = make_env(o);
	p.path = find_program(&p);
	for (int i = 0; i < 2; i++)
		p.stream[i].line = xcalloc(1, p.max_line);
	if (!p.path)
		r = err_set(e, ERR_TOOL_MISSING, "the program %s is not in PATH", o->argv[0]);
	else
		r = start(&p, e);
	if (r == 0) {
		r = supervise(&p, it, e);
		*ret_result = result;
	}
	done(&p);
	return r;
}
