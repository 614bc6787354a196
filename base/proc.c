/* SPDX-License-Identifier: Apache-2.0
 *
 *	start: pipes, a pair, fork of the keeper (proc_keeper.c), wait for the program's exec
 *	run:   poll(stdout, stderr, keeper, cancel) until it ended and both pipes ended
 *	stop:  the keeper sends TERM to the group; grace
 *	end:   the keeper kills and reaps all that is left, and ends; then it is reaped
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/proc_cgroup.h"
#include "base/proc_impl.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "base/util.h"

#define PATH_DEFAULT	 "/usr/local/bin:/usr/bin:/bin"
#define OUTPUT_BYTES	 (1024 * 1024)
#define LINE_BYTES	 4096
#define KILL_GRACE_US	 (2 * US_PER_S)
#define PIPE_LINGER_US	 (200 * US_PER_MS) /* for the pipes to end after the program did */
#define KILL_WAIT_US	 (7 * US_PER_S)	   /* longer than the keeper's own patience */
#define TERMINAL_COLUMNS 200

struct stream {
	int fd; /* -1: ended */
	char *line;
	size_t line_len;
	size_t kept;
	bool after_cr; /* the LF of a CR LF ends no second line */
};

struct proc {
	struct proc_opts o;
	struct proc_result result;
	size_t max_output, max_line;
	char *name; /* as it was called */
	char *path; /* of the program */
	char **env;
	struct proc_cgroup cgroup;
	pid_t keeper;
	int control;	  /* to the keeper */
	bool exited;	  /* the program; the keeper lives on */
	bool keeper_gone; /* not yet reaped */
	uint64_t begun_us, slow_us;
	struct stream stream[2];
};

static const char *env_value(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (char *const *v = env; *v; v++)
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
	const char *mark = getenv(PROC_MARK);
	char *own[] = {
		xasprintf("PATH=%s", path ? path : PATH_DEFAULT),
		xstrdup("LANG=C.UTF-8"),
		xasprintf("HOME=%s", home ? home : "/"),
		mark ? xasprintf(PROC_MARK "=%s", mark) : NULL,
	};
	size_t n = 0;
	size_t k = 0;

	while (o->env && o->env[n])
		n++;

	char **env = xcalloc(n + ARRAY_LEN(own) + 1, sizeof *env);

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (own[i] && replaced(o, own[i]))
			free(own[i]);
		else if (own[i])
			env[k++] = own[i];
	}
	for (size_t i = 0; i < n; i++)
		env[k++] = xstrdup(o->env[i]);
	return env;
}

/* As execvp() would find it, but before the fork. A name with a slash is taken as it is. */
static char *find_in(const char *dirs, const char *name)
{
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

char *proc_find(const char *name)
{
	const char *path = getenv("PATH");
	char *file = find_in(path ? path : PATH_DEFAULT, name);

	if (file && access(file, X_OK) < 0) {
		free(file);
		return NULL;
	}
	return file;
}

struct pipes {
	int out[2], err[2], exec[2];
	int pair[2]; /* ours, the keeper's */
};

/* As pipe2(2): what is written to [1] is read from [0]; its end there is EIO. */
static int open_terminal(int ret[2])
{
	const struct winsize size = {.ws_row = 50, .ws_col = TERMINAL_COLUMNS};
	struct termios t;
	char name[64];

	ret[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ret[0] < 0 || grantpt(ret[0]) < 0 || unlockpt(ret[0]) < 0 ||
		ptsname_r(ret[0], name, sizeof name) != 0)
		return -1;
	ret[1] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ret[1] < 0 || tcgetattr(ret[1], &t) < 0)
		return -1;
	cfmakeraw(&t);
	return tcsetattr(ret[1], TCSANOW, &t) < 0 || ioctl(ret[1], TIOCSWINSZ, &size) < 0 ? -1 : 0;
}

static int open_pipes(struct pipes *p, bool terminal, struct err *e)
{
	if (terminal && open_terminal(p->out) < 0)
		return err_errno(e, ERR_IO, errno, "a terminal");
	if ((!terminal && pipe2(p->out, O_CLOEXEC) < 0) || pipe2(p->err, O_CLOEXEC) < 0 ||
		pipe2(p->exec, O_CLOEXEC) < 0)
		return err_errno(e, ERR_IO, errno, "pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->pair) < 0)
		return err_errno(e, ERR_IO, errno, "socketpair");
	return 0;
}

static void close_pipes(struct pipes *p)
{
	int *all[] = {
		p->out, p->out + 1, p->err, p->err + 1, p->exec, p->exec + 1, p->pair, p->pair + 1};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		closep(all[i]);
		*all[i] = -1;
	}
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

static void reap_keeper(struct proc *p)
{
	while (waitpid(p->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	p->keeper = 0;
}

static const struct sandbox_policy *confined_by;

void proc_confine(const struct sandbox_policy *policy)
{
	__atomic_store_n(&confined_by, policy, __ATOMIC_RELEASE);
}

static int start(struct proc *p, struct err *e)
{
	struct pipes io = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	const struct sandbox_policy *policy = __atomic_load_n(&confined_by, __ATOMIC_ACQUIRE);
	_cleanup_(closep) int sandbox = -1;
	int r = policy ? sandbox_new(policy, p->o.own_dir ? p->o.own_dir : p->o.cwd, &sandbox, e)
		       : 0;

	if (r < 0)
		return r;
	proc_cgroup_new(&p->cgroup);
	r = open_pipes(&io, p->o.terminal, e);

	const struct keeper_task task = {.path = p->path,
		.argv = (char *const *)(uintptr_t)p->o.argv,
		.env = p->env,
		.cwd = p->o.cwd,
		.control = io.pair[1],
		.out = io.out[1],
		.err = io.err[1],
		.exec = io.exec[1],
		.sandbox = sandbox,
		.cgroup = p->cgroup.procs_fd};

	if (r < 0) {
		close_pipes(&io);
		return r;
	}
	p->keeper = fork();
	if (p->keeper == 0)
		keeper_main(&task);
	if (p->keeper < 0) {
		p->keeper = 0;
		r = err_errno(e, ERR_IO, errno, "fork");
		close_pipes(&io);
		return r;
	}
	closep(&io.exec[1]);
	closep(&io.pair[1]);
	io.exec[1] = io.pair[1] = -1;

	int why = exec_errno(io.exec[0]);

	if (why) {
		r = err_errno(e, ERR_TOOL_MISSING, why, "start %s", p->name);
		close_pipes(&io);
		reap_keeper(p);
		return r;
	}
	p->control = steal_fd(&io.pair[0]);
	p->stream[PROC_STDOUT].fd = steal_fd(&io.out[0]);
	p->stream[PROC_STDERR].fd = steal_fd(&io.err[0]);
	for (int i = 0; i < 2; i++)
		fcntl(p->stream[i].fd, F_SETFL, O_NONBLOCK);
	close_pipes(&io);
	return 0;
}

static void tell_line(struct proc *p, int i)
{
	struct stream *s = &p->stream[i];

	if (p->o.line)
		p->o.line(p->o.data, (enum proc_stream)i, s->line, s->line_len);
	s->line_len = 0;
}

static void take_bytes(struct proc *p, int i, const char *bytes, size_t n)
{
	struct stream *s = &p->stream[i];
	size_t room = p->max_output - s->kept;

	p->result.bytes[i] += n;
	if (n > room) {
		p->result.truncated[i] = true;
		n = room;
	}
	s->kept += n;
	for (size_t k = 0; k < n; k++) {
		bool cr = p->o.cr_ends_line && bytes[k] == '\r';

		if (bytes[k] == '\n' && s->after_cr) {
			s->after_cr = false;
			continue;
		}
		s->after_cr = cr;
		if (cr || bytes[k] == '\n') {
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

static void take_note(struct proc *p)
{
	struct keeper_note note;
	ssize_t n = recv(p->control, &note, sizeof note, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof note) {
		/* Ended without a word: someone killed the keeper, and the program with it. */
		if (!p->exited)
			p->result.term_signal = SIGKILL;
		p->exited = p->keeper_gone = true;
		return;
	}
	p->exited = true;
	if (WIFEXITED(note.status))
		p->result.exit_status = WEXITSTATUS(note.status);
	else
		p->result.term_signal = WTERMSIG(note.status);
}

/* Until `slow` has to be called, or until the deadline. */
static uint64_t next_wake_us(const struct proc *p, const struct iotime *it)
{
	uint64_t left = iotime_left_us(it);
	uint64_t now = now_us();

	if (p->slow_us > now)
		return MIN(left, p->slow_us - now);
	return left;
}

static void tell_slow(struct proc *p, const struct iotime *it)
{
	uint64_t now = now_us();

	if (!p->slow_us || now < p->slow_us)
		return;
	p->slow_us = 0;
	if (p->o.slow && !p->exited)
		p->o.slow(p->o.data, now - p->begun_us, it->deadline_us - p->begun_us);
}

/* Waits for any event and handles it; the error of the iotime otherwise. *revents: of fd. */
static int step(struct proc *p, int fd, short events, short *revents, const struct iotime *it,
	struct err *e)
{
	int r = iotime_check(it, e);

	if (r < 0)
		return r;

	uint64_t left = next_wake_us(p, it);
	struct timespec ts = {(time_t)(left / US_PER_S), (long)(left % US_PER_S) * 1000};
	struct pollfd f[5] = {
		{.fd = p->stream[0].fd, .events = POLLIN},
		{.fd = p->stream[1].fd, .events = POLLIN},
		{.fd = p->keeper_gone ? -1 : p->control, .events = POLLIN},
		{.fd = it->cancel ? it->cancel->fd : -1, .events = POLLIN},
		{.fd = fd, .events = events},
	};

	if (ppoll(f, ARRAY_LEN(f), left == NO_DEADLINE ? NULL : &ts, NULL) < 0)
		return errno == EINTR ? 0 : err_errno(e, ERR_IO, errno, "poll");
	for (int i = 0; i < 2; i++)
		if (f[i].revents)
			read_stream(p, i);
	if (f[2].revents)
		take_note(p);
	*revents = f[4].revents;
	tell_slow(p, it);
	return 0;
}

static int run_until_exit(struct proc *p, const struct iotime *it, struct err *e)
{
	short none;
	int r = 0;

	while (r == 0 && !p->exited)
		r = step(p, -1, 0, &none, it, e);
	return r;
}

/* A child of the program may hold the pipes open: what was written before the exit is still read,
 * but no one waits for such a child. */
static int run_until_eof(struct proc *p, const struct iotime *it, struct err *e)
{
	struct iotime linger = iotime_within(it, PIPE_LINGER_US);
	short none;
	int r = 0;

	while (r == 0 && !streams_ended(p))
		r = step(p, -1, 0, &none, &linger, e);
	return r == -ERR_TIMEOUT ? 0 : r;
}

static void order(struct proc *p, enum keeper_order what)
{
	char c = (char)what;

	send(p->control, &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Everything the program started ends, then the keeper. */
static void end_keeper(struct proc *p)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	struct iotime it = iotime_within(&none, KILL_WAIT_US);
	short ignored;
	int r = 0;

	order(p, KEEPER_KILL);
	while (r == 0 && !p->keeper_gone)
		r = step(p, -1, 0, &ignored, &it, NULL);
	if (r < 0)
		kill(p->keeper, SIGKILL);
	reap_keeper(p);
}

static void stop(struct proc *p)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	struct iotime it =
		iotime_within(&none, p->o.kill_grace_us ? p->o.kill_grace_us : KILL_GRACE_US);

	order(p, KEEPER_TERM);
	run_until_exit(p, &it, NULL);
}

static struct proc *new_proc(const struct proc_opts *o)
{
	struct proc *p = xcalloc(1, sizeof *p);

	*p = (struct proc){
		.o = *o,
		.result = {.exit_status = -1},
		.max_output = o->max_output_bytes ? o->max_output_bytes : OUTPUT_BYTES,
		.max_line = o->max_line_bytes ? o->max_line_bytes : LINE_BYTES,
		.control = -1,
		.cgroup = {.procs_fd = -1},
		.stream = {{.fd = -1}, {.fd = -1}},
		.name = xstrdup(o->argv[0]),
		.env = make_env(o),
		.begun_us = now_us(),
	};
	p->path = find_in(env_value(p->env, "PATH"), p->name);
	for (int i = 0; i < 2; i++)
		p->stream[i].line = xcalloc(1, p->max_line);
	return p;
}

int proc_start(const struct proc_opts *o, const struct iotime *it, struct proc **ret, struct err *e)
{
	struct proc *p;
	int r = iotime_check(it, e);

	if (r < 0)
		return r;
	if (!o->argv[0])
		return err_set(e, ERR_INVALID, "no program is named");
	p = new_proc(o);
	if (!p->path)
		r = err_set(e, ERR_TOOL_MISSING, "the program %s is not in PATH", p->name);
	else
		r = start(p, e);
	if (r < 0) {
		proc_end(p, NULL);
		return r;
	}
	/* No longer the caller's to keep. */
	p->o.argv = p->o.env = NULL;
	p->o.cwd = NULL;
	*ret = p;
	return 0;
}

int proc_wait_fd(struct proc *p, int fd, short events, const struct iotime *it, struct err *e)
{
	short revents = 0;
	int r = 0;

	/* What is there is taken even where no time is left. */
	for (int i = 0; i < 2; i++)
		if (p->stream[i].fd >= 0)
			read_stream(p, i);
	while (r == 0 && !revents && !p->exited)
		r = step(p, fd, events, &revents, it, e);
	if (r == 0 && p->exited && !revents)
		run_until_eof(p, it, NULL);
	return r < 0 ? r : revents;
}

bool proc_ended(const struct proc *p)
{
	return p->exited;
}

struct proc *proc_end(struct proc *p, struct proc_result *ret_result)
{
	if (!p)
		return NULL;
	if (p->keeper > 0) {
		if (!p->exited)
			stop(p);
		end_keeper(p);
	}
	proc_cgroup_done(&p->cgroup);
	for (int i = 0; i < 2; i++) {
		end_stream(p, i);
		free(p->stream[i].line);
	}
	if (ret_result)
		*ret_result = p->result;
	closep(&p->control);
	for (char **v = p->env; *v; v++) {
		secret_wipe(*v, strlen(*v));
		free(*v);
	}
	free(p->env);
	free(p->path);
	free(p->name);
	free(p);
	return NULL;
}

int proc_run(const struct proc_opts *o, const struct iotime *it, struct proc_result *ret_result,
	struct err *e)
{
	struct proc *p = NULL;
	int r = proc_start(o, it, &p, e);

	if (r < 0)
		return r;
	if (it->deadline_us != NO_DEADLINE && it->deadline_us > p->begun_us)
		p->slow_us = p->begun_us + (it->deadline_us - p->begun_us) / PROC_SLOW_PART;
	r = run_until_exit(p, it, e);
	if (r == 0)
		r = run_until_eof(p, it, e);
	if (r == -ERR_TIMEOUT)
		r = err_set(e, ERR_TIMEOUT, "%s did not end in time and was stopped", p->name);
	else if (r < 0)
		err_prefix(e, "%s was stopped", p->name);
	proc_end(p, ret_result);
	return r;
}
