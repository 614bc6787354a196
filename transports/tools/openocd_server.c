/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/strbuf.h"
#include "transports/links/link.h"
#include "transports/tools/openocd_rpc.h"
#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

#define START_US   (20 * US_PER_S)
#define HEALTH_US  (2 * US_PER_S)
#define BARRIER_US (2 * US_PER_S)
#define END_US	   (200 * US_PER_MS) /* for one that closed its connection */
#define PIECE_MAX  4096u	     /* of a result that is judged as a line */

/* A connection to a port of its, whose lines are taken while it waits. */
struct port {
	struct link link;
	struct openocd_server *s;
	int fd;
	unsigned number; /* 0: it has not said it */
};

struct openocd_server {
	char *key; /* its command line */
	struct tool_dir dir;
	struct proc *proc; /* NULL: it has ended, as `end` says */
	struct proc_result end;
	struct port tcl, gdb;
	struct openocd_rpc *rpc; /* over tcl */
	/* Of the session over gdb. */
	struct openocd_run run;
	struct openocd_result result;
	bool in_doubt;
	unsigned jobs;
	char *program, *version;
	/* What its lines say. */
	struct tool_watch *watch; /* which judges them */
	int wake_fd;		  /* readable: a line came that was waited for */
	unsigned marks;
	char mark[32]; /* "": none is waited for */
	/* Of the work that is waited for; slow_us 0: slow was reported. */
	uint64_t begun_us, slow_us, deadline_us;
};

/* --- what it says --- */

/* "Info : Listening on port 45033 for tcl connections" */
static void note_port(struct port *p, const char *line, const char *kind)
{
	static const char listens[] = "Info : Listening on port ";

	if (p->number || strncmp(line, listens, sizeof listens - 1) != 0 || !strstr(line, kind))
		return;
	p->number = (unsigned)strtoul(line + sizeof listens - 1, NULL, 10);
	if (p->number)
		eventfd_write(p->s->wake_fd, 1);
}

static void on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct openocd_server *s = data;

	if (!s->tcl.number || !s->gdb.number) {
		_cleanup_(freep) char *text = strndup(bytes, n);

		if (!text)
			abort();
		note_port(&s->tcl, text, " for tcl connections");
		note_port(&s->gdb, text, " for gdb connections");
	}
	if (s->mark[0] && n == strlen(s->mark) && !memcmp(bytes, s->mark, n)) {
		s->mark[0] = 0;
		eventfd_write(s->wake_fd, 1);
		return;
	}
	if (s->watch)
		tool_watch_line(s->watch, stream, bytes, n);
}

static int ended(const struct openocd_server *s, struct err *e)
{
	if (s->end.term_signal)
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD was ended by signal %d (%s)",
			s->end.term_signal,
			sigdescr_np(s->end.term_signal) ? sigdescr_np(s->end.term_signal)
							: "unknown");
	return err_set(
		e, ERR_TOOL_FAILED, "OpenOCD ended by itself, with status %d", s->end.exit_status);
}

/* Until fd is ready, -1: until the end. Its lines are taken meanwhile. */
static int wait_fd(
	struct openocd_server *s, int fd, short events, const struct iotime *it, struct err *e)
{
	struct iotime slow = {MIN(it->deadline_us, s->slow_us), it->cancel};
	int r = -ERR_TIMEOUT;

	if (!s->proc)
		return ended(s, e);
	if (s->slow_us)
		r = proc_wait_fd(s->proc, fd, events, &slow, e);
	if (r == -ERR_TIMEOUT && s->slow_us && now_us() >= s->slow_us) {
		tool_watch_slow(s->watch, now_us() - s->begun_us, s->deadline_us - s->begun_us);
		s->slow_us = 0;
	}
	if (r == -ERR_TIMEOUT)
		r = proc_wait_fd(s->proc, fd, events, it, e);
	if (r != 0)
		return r;
	s->proc = proc_end(s->proc, &s->end);
	return ended(s, e);
}

static int wait_wake(struct openocd_server *s, const struct iotime *it, struct err *e)
{
	eventfd_t n;
	int r = wait_fd(s, s->wake_fd, POLLIN, it, e);

	eventfd_read(s->wake_fd, &n);
	return r < 0 ? r : 0;
}

/* --- its ports, as links --- */

static struct port *port_of(struct link *l)
{
	return container_of(l, struct port, link);
}

/* Its exit status or signal may follow, and say why. */
static int closed(struct openocd_server *s, const struct iotime *it, struct err *e)
{
	struct iotime soon = iotime_within(it, END_US);

	if (wait_fd(s, -1, 0, &soon, NULL) == -ERR_TOOL_FAILED)
		return ended(s, e);
	return err_set(e, ERR_TOOL_FAILED, "OpenOCD closed its connection");
}

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static int port_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	struct port *p = port_of(l);
	struct openocd_server *s = p->s;
	ssize_t n = -1;

	while (n < 0) {
		int r = wait_fd(s, p->fd, POLLIN, it, e);

		if (r < 0)
			return r;
		n = recv(p->fd, buf, size, 0);
		if (n == 0 || (n < 0 && !again()))
			return closed(s, it, e);
	}
	*ret_n = (size_t)n;
	return 0;
}

static int port_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct port *p = port_of(l);
	struct openocd_server *s = p->s;

	for (size_t done = 0; done < n;) {
		int r = wait_fd(s, p->fd, POLLOUT, it, e);
		ssize_t k;

		if (r < 0)
			return r;
		k = send(p->fd, (const char *)buf + done, n - done, MSG_NOSIGNAL);
		if (k < 0 && !again())
			return closed(s, it, e);
		done += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

static const struct link_ops port_ops = {.name = "openocd", .read = port_read, .write = port_write};

static int open_port(struct port *p, const struct iotime *it, struct err *e)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)p->number),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int why = 0;
	socklen_t len = sizeof why;
	int r;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return err_errno(e, ERR_IO, errno, "socket");
	if (connect(p->fd, (const struct sockaddr *)&to, sizeof to) < 0)
		why = errno;
	if (why == EINPROGRESS) {
		r = wait_fd(p->s, p->fd, POLLOUT, it, e);
		if (r < 0)
			return r;
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
			why = errno;
	}
	if (why)
		return err_set(e, ERR_TOOL_FAILED,
			"OpenOCD takes no connection on the port %u that it named: %s", p->number,
			strerrordesc_np(why));
	p->link = (struct link){.ops = &port_ops, .address = xasprintf("127.0.0.1:%u", p->number)};
	return 0;
}

static void close_port(struct port *p)
{
	closep(&p->fd);
	free(p->link.address);
}

/* What is not an answer is the program's fault, not the unit's. */
static int call(struct openocd_server *s, const char *script, uint64_t budget_us, char **ret,
	const struct iotime *it, struct err *e)
{
	int r = openocd_rpc_call(s->rpc, script, budget_us, ret, it, e);

	if (!s->proc)
		return ended(s, e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "OpenOCD did not answer '%.100s' in time", script);
	if (r == -ERR_PROTOCOL)
		return e ? err_set(e, ERR_TOOL_FAILED, "%s", e->msg) : -(int)ERR_TOOL_FAILED;
	return r;
}

/* --- the lines of one piece of work --- */

static int watch_begin(struct openocd_server *s, const struct tool_spec *spec,
	const struct iotime *it, struct err *e)
{
	int r = openocd_run_error(tool_watch_new(spec, &s->watch, e), e);

	s->begun_us = now_us();
	s->deadline_us = it->deadline_us;
	s->slow_us = 0;
	if (it->deadline_us != NO_DEADLINE && it->deadline_us > s->begun_us)
		s->slow_us = s->begun_us + (it->deadline_us - s->begun_us) / PROC_SLOW_PART;
	return r;
}

/* The verdict on it, with `ran` as the result of its commands. */
static int watch_end(struct openocd_server *s, int ran, struct tool_outcome *ret, struct err *e)
{
	int r = tool_watch_judge(s->watch, ran, e);
	const char *complaint = tool_watch_seen(s->watch)->complaint;

	/* No rule knew why. */
	if (e && r == -ERR_TOOL_FAILED && r == ran && complaint)
		err_set(e, ERR_TOOL_FAILED, "%s; it said: '%.160s'", e->msg, complaint);
	if (ret) {
		*ret = tool_watch_take(s->watch);
		ret->proc = s->end;
		ret->elapsed_us = now_us() - s->begun_us;
	}
	s->watch = tool_watch_free(s->watch);
	s->slow_us = 0;
	return r;
}

/* Results come by TCP, lines by a pipe: what it printed before this line has been read once the
 * line has. */
static int barrier(struct openocd_server *s, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, BARRIER_US);
	char script[64];
	int r;

	snprintf(s->mark, sizeof s->mark, "provd %u", ++s->marks);
	snprintf(script, sizeof script, "echo {%s}", s->mark);
	r = call(s, script, BARRIER_US, NULL, it, e);
	/* After some failures echo itself returns the code of the last one. */
	if (r == -ERR_TOOL_FAILED && !openocd_rpc_over(s->rpc))
		r = 0;
	while (r == 0 && s->mark[0])
		r = wait_wake(s, &within, e);
	s->mark[0] = 0;
	if (r == -ERR_TIMEOUT && iotime_left_us(it))
		return err_set(e, ERR_TOOL_FAILED,
			"OpenOCD did not print in %llu s what it was asked to print: its answers are not used",
			BARRIER_US / US_PER_S);
	return r;
}

/* --- start and end --- */

static int wait_port(struct port *p, const char *what, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, START_US);
	int r = 0;

	while (r == 0 && !p->number)
		r = wait_wake(p->s, &within, e);
	if (r == -ERR_TIMEOUT)
		return err_set(
			e, ERR_TOOL_FAILED, "OpenOCD listened on no port in time for %s", what);
	if (r == 0 && p->number > UINT16_MAX)
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD listens on port %u", p->number);
	return r < 0 ? r : open_port(p, it, e);
}

static int connect_to(struct openocd_server *s, const struct openocd_probe *p,
	const struct teller *tell, const struct iotime *it, struct err *e)
{
	static const struct openocd_job none = {.kind = OPENOCD_COMMAND};
	struct openocd_result res = {0};
	struct openocd_run x;
	int r = openocd_run_init(&x, &none, tell, &res, e);

	if (r == 0)
		r = watch_begin(s, &x.spec, it, e);
	if (r < 0)
		return r;
	r = wait_port(&s->tcl, "Tcl", it, e);
	if (r == 0)
		s->rpc = openocd_rpc_new(&s->tcl.link);
	/* It ends by itself where its init failed: what it said is the cause. */
	if (r == 0)
		r = call(s, "set provd 1", START_US, NULL, it, e);
	if (r == 0)
		r = barrier(s, it, e);
	r = watch_end(s, r, &res.tool, e);
	s->version = steal_ptr(&res.tool.version);
	openocd_result_done(&res);
	return r;
}

static char *joined(const struct openocd_argv *v)
{
	struct strbuf b = {0};

	for (size_t i = 0; i < v->n; i++)
		sb_addf(&b, "%s\n", v->arg[i]);
	return sb_take(&b);
}

static int launch(struct openocd_server *s, const struct openocd_probe *p, const struct iotime *it,
	struct err *e)
{
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	struct tool_spec spec = {0};
	struct proc_opts o = {
		.max_output_bytes = SIZE_MAX, /* the watch has a limit for each job */
		.cr_ends_line = true,
		.kill_grace_us = OPENOCD_KILL_GRACE_US,
		.line = on_line,
		.data = s,
	};
	char **env;
	int r = openocd_argv_server(p, &v, e);

	if (r < 0)
		return r;
	s->key = joined(&v);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return err_errno(e, ERR_IO, errno, "eventfd");
	r = tool_dir_new(p->work_dir ? p->work_dir : "/tmp", &s->dir, e);
	if (r < 0)
		return r;
	spec.dir = o.cwd = s->dir.path;
	o.argv = (const char *const *)v.arg;
	env = tool_env_new(&spec);
	o.env = (const char *const *)env;
	r = proc_start(&o, it, &s->proc, e);
	tool_env_free(env);
	s->program = proc_find(v.arg[0]);
	return r;
}

int openocd_server_start(const struct openocd_probe *p, const struct teller *tell,
	const struct iotime *it, struct openocd_server **ret, struct err *e)
{
	_cleanup_(openocd_server_freep) struct openocd_server *s = xcalloc(1, sizeof *s);
	int r;

	s->wake_fd = s->tcl.fd = s->gdb.fd = s->end.exit_status = -1;
	s->tcl.s = s->gdb.s = s;
	r = launch(s, p, it, e);
	if (r == 0)
		r = connect_to(s, p, tell, it, e);
	if (r == 0)
		*ret = steal_ptr(&s);
	return r;
}

struct openocd_server *openocd_server_free(struct openocd_server *s)
{
	if (!s)
		return NULL;
	openocd_rpc_free(s->rpc);
	close_port(&s->tcl);
	close_port(&s->gdb);
	proc_end(s->proc, NULL);
	closep(&s->wake_fd);
	tool_dir_done(&s->dir);
	s->watch = tool_watch_free(s->watch);
	openocd_result_done(&s->result);
	free(s->program);
	free(s->version);
	free(s->key);
	free(s);
	return NULL;
}

static bool same_probe(const struct openocd_server *s, const struct openocd_probe *p)
{
	struct openocd_argv v = {0};
	_cleanup_(freep) char *key = NULL;

	if (openocd_argv_server(p, &v, NULL) < 0)
		return false;
	key = joined(&v);
	openocd_argv_done(&v);
	return !strcmp(key, s->key);
}

bool openocd_server_fit(struct openocd_server *s, const struct openocd_probe *p,
	const struct teller *tell, const struct iotime *it)
{
	const struct tool_spec spec = {.name = "OpenOCD", .tell = *tell};
	struct iotime within = iotime_within(it, HEALTH_US);
	int r;

	if (s->in_doubt || !same_probe(s, p) || watch_begin(s, &spec, it, NULL) < 0)
		return false;
	r = barrier(s, &within, NULL);
	return watch_end(s, r, NULL, NULL) == 0;
}

unsigned openocd_server_jobs(const struct openocd_server *s)
{
	return s->jobs;
}

/* --- a job --- */

/* Its results go to the caller of the script, and are not printed. */
static void judge_text(struct openocd_server *s, const char *text)
{
	for (const char *at = text; at && *at;) {
		size_t n = MIN(strcspn(at, "\n"), (size_t)PIECE_MAX);

		tool_watch_line(s->watch, PROC_STDOUT, at, n);
		at += n + (at[n] == '\n');
	}
}

static int run_commands(struct openocd_server *s, const struct openocd_argv *v,
	const struct iotime *it, struct err *e)
{
	struct err later = {0};
	int r = 0;
	int b;

	for (size_t i = 1; r == 0 && i < v->n; i += 2) {
		_cleanup_(freep) char *text = NULL;

		r = call(s, v->arg[i], NO_DEADLINE, &text, it, e);
		judge_text(s, text);
		if (r == -ERR_TOOL_FAILED && text && !*text)
			err_set(e, ERR_TOOL_FAILED, "OpenOCD: '%.100s' failed", v->arg[i]);
	}
	if (openocd_rpc_over(s->rpc))
		return r;
	b = barrier(s, it, &later);
	if (r == 0 && b < 0)
		r = err_set(e, later.code, "%s", later.msg);
	return r;
}

int openocd_server_run(struct openocd_server *s, const struct openocd_job *j,
	const struct teller *tell, const struct iotime *it, struct openocd_result *ret,
	struct err *e)
{
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	struct openocd_run x;
	int r;

	*ret = (struct openocd_result){0};
	/* Until it has done the job. */
	s->in_doubt = true;
	openocd_files_remove(s->dir.path);
	r = openocd_argv_commands(j, &v, e);
	if (r == 0)
		r = openocd_run_init(&x, j, tell, ret, e);
	if (r < 0)
		return r;
	x.spec.dir = s->dir.path;
	r = openocd_files_write(&x, e);
	if (r == 0)
		r = watch_begin(s, &x.spec, it, e);
	if (r < 0)
		return r;
	r = run_commands(s, &v, it, e);
	r = watch_end(s, r, &ret->tool, e);
	str_replace(&ret->tool.program, s->program);
	str_replace(&ret->tool.version, s->version);
	if (r == 0)
		r = openocd_run_sums(&x, e);
	if (r == 0)
		r = openocd_files_take(&x, e);
	s->in_doubt = r < 0;
	s->jobs++;
	return r;
}

int openocd_server_ask(struct openocd_server *s, const char *script, const struct teller *tell,
	const struct iotime *it, char **ret, struct err *e)
{
	static const struct openocd_job none = {.kind = OPENOCD_COMMAND};
	_cleanup_(freep) char *text = NULL;
	struct openocd_result res = {0};
	struct err later = {0};
	struct openocd_run x;
	int r = openocd_run_init(&x, &none, tell, &res, e);

	if (r == 0)
		r = watch_begin(s, &x.spec, it, e);
	if (r < 0)
		return r;
	s->in_doubt = true;
	r = call(s, script, NO_DEADLINE, &text, it, e);
	if (!openocd_rpc_over(s->rpc) && barrier(s, it, &later) < 0 && r == 0)
		r = err_set(e, later.code, "%s", later.msg);
	r = watch_end(s, r, &res.tool, e);
	openocd_result_done(&res);
	s->in_doubt = r < 0;
	if (r == 0)
		*ret = steal_ptr(&text);
	return r;
}

/* --- GDB's protocol --- */

int openocd_server_gdb(struct openocd_server *s, const struct teller *tell, const struct iotime *it,
	struct link **ret, struct err *e)
{
	static const struct openocd_job none = {.kind = OPENOCD_COMMAND};
	int r = openocd_run_init(&s->run, &none, tell, &s->result, e);

	if (r == 0)
		r = watch_begin(s, &s->run.spec, it, e);
	if (r == 0)
		r = wait_port(&s->gdb, "GDB", it, e);
	if (r == 0)
		*ret = &s->gdb.link;
	return r;
}

int openocd_server_gdb_end(struct openocd_server *s, int ran, struct err *e)
{
	struct err later = {0};

	if (!s->watch)
		return ran;
	/* All that it printed until now. */
	if (s->proc && !openocd_rpc_over(s->rpc))
		barrier(s, &(struct iotime){now_us() + BARRIER_US, NULL}, &later);
	return watch_end(s, ran, &s->result.tool, e);
}
