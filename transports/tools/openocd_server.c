/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd_server.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "base/strbuf.h"
#include "base/thread.h"
#include "transports/links/link.h"
#include "transports/protocols/openocd_rpc.h"
#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

#define START_US	(20 * US_PER_S)
#define HEALTH_US	(2 * US_PER_S)
#define BARRIER_US	(2 * US_PER_S)
#define LINES_MAX_BYTES (4u * 1024 * 1024)

struct openocd_server {
	char *key; /* its command line */
	struct tool_dir dir;
	struct openocd_argv argv;
	struct cancel stop;
	pthread_t thread;
	bool started;
	int wake_fd; /* the thread has something new */
	struct link *link;
	struct openocd_rpc *rpc;
	bool in_doubt;
	unsigned jobs, barrier;
	char version[96];
	/* what the thread tells */
	struct mutex lock;
	struct strbuf lines; /* each with its end */
	bool overflow, ended;
	unsigned port;
};

/* --- the thread --- */

static void on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	static const char listens[] = "Info : Listening on port ";
	struct openocd_server *s = data;
	_cleanup_(freep) char *text = strndup(bytes, n);
	unsigned port = 0;

	if (text && !strncmp(text, listens, sizeof listens - 1) &&
		strstr(text, " for tcl connections"))
		port = (unsigned)strtoul(text + sizeof listens - 1, NULL, 10);
	mutex_lock(&s->lock);
	if (port && !s->port)
		s->port = port;
	if (s->lines.len + n < LINES_MAX_BYTES) {
		sb_add_n(&s->lines, bytes, n);
		sb_add(&s->lines, "\n");
	} else {
		s->overflow = true;
	}
	mutex_unlock(&s->lock);
	eventfd_write(s->wake_fd, 1);
}

static void *supervise(void *data)
{
	struct openocd_server *s = data;
	_cleanup_(freep) char *home = xasprintf("HOME=%s", s->dir.path);
	const char *const env[] = {home, "LC_ALL=C", NULL};
	const struct proc_opts o = {
		.argv = (const char *const *)s->argv.arg,
		.cwd = s->dir.path,
		.env = env,
		.max_output_bytes = SIZE_MAX,
		.kill_grace_us = OPENOCD_KILL_GRACE_US,
		.line = on_line,
		.data = s,
	};
	const struct iotime it = {NO_DEADLINE, &s->stop};
	struct proc_result pr;
	struct err e = {0};
	int r = proc_run(&o, &it, &pr, &e);

	mutex_lock(&s->lock);
	if (r < 0)
		sb_addf(&s->lines, "Error: %s\n", e.msg);
	s->ended = true;
	mutex_unlock(&s->lock);
	eventfd_write(s->wake_fd, 1);
	return NULL;
}

/* --- what it said --- */

/* Judges all that it said so far; the thread may add more meanwhile. */
static void drain(struct openocd_server *s, struct openocd_run *x, bool *ret_ended)
{
	struct strbuf lines;
	char *at;
	char *end;

	mutex_lock(&s->lock);
	lines = s->lines;
	s->lines = (struct strbuf){0};
	*ret_ended = s->ended;
	mutex_unlock(&s->lock);
	for (at = lines.s; at && (end = strchr(at, '\n')); at = end + 1)
		openocd_run_line(x, at, (size_t)(end - at));
	sb_done(&lines);
}

static int wait_more(struct openocd_server *s, const struct iotime *it, struct err *e)
{
	eventfd_t n;
	int r = iotime_wait(s->wake_fd, POLLIN, it, e);

	if (r < 0)
		return r;
	eventfd_read(s->wake_fd, &n);
	return 0;
}

/* Results come by TCP, lines by a pipe: what it printed before this line has been read once the
 * line has. */
static int barrier(
	struct openocd_server *s, struct openocd_run *x, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, BARRIER_US);
	_cleanup_(freep) char *mark = xasprintf("provd %u", ++s->barrier);
	_cleanup_(freep) char *script = xasprintf("echo {%s}", mark);
	_cleanup_(freep) char *line = xasprintf("%s\n", mark);
	bool seen = false;
	bool ended = false;
	int r = openocd_rpc_call(s->rpc, script, BARRIER_US, NULL, it, e);

	/* After some failures echo itself returns the code of the last one. */
	if (r < 0 && r != -ERR_TOOL_FAILED)
		return r;
	r = 0;
	while (r == 0 && !seen) {
		mutex_lock(&s->lock);
		seen = s->lines.s && strstr(s->lines.s, line);
		ended = s->ended;
		mutex_unlock(&s->lock);
		if (!seen && ended)
			return err_set(e, ERR_TOOL_FAILED, "OpenOCD ended by itself");
		if (!seen)
			r = wait_more(s, &within, e);
	}
	drain(s, x, &ended);
	return r;
}

/* --- start and end --- */

static int wait_port(struct openocd_server *s, struct openocd_run *x, const struct iotime *it,
	unsigned *ret, struct err *e)
{
	bool ended = false;
	int r = 0;

	while (r == 0) {
		mutex_lock(&s->lock);
		*ret = s->port;
		ended = s->ended;
		mutex_unlock(&s->lock);
		if (*ret || ended)
			break;
		r = wait_more(s, it, e);
	}
	if (r == 0 && !*ret) {
		drain(s, x, &ended);
		r = openocd_run_cause(x, e);
		if (r == 0)
			r = err_set(e, ERR_TOOL_FAILED, "OpenOCD ended at its start%s%.200s",
				x->error_line ? ": " : "", x->error_line ? x->error_line : "");
	}
	return r;
}

static int connect_to(struct openocd_server *s, const struct openocd_hooks *h,
	const struct iotime *it, struct err *e)
{
	static const struct openocd_job none = {.kind = OPENOCD_COMMAND};
	struct iotime within = iotime_within(it, START_US);
	struct link_config cfg = LINK_CONFIG_DEFAULT;
	struct openocd_result res = {0};
	_cleanup_(openocd_run_done) struct openocd_run x = {0};
	char address[64];
	unsigned port = 0;
	bool ended;
	int r = openocd_run_init(&x, &none, h, &res, e);

	if (r == 0)
		r = wait_port(s, &x, &within, &port, e);
	snprintf(address, sizeof address, "tcp:127.0.0.1:%u", port);
	if (r == 0)
		r = link_open(address, &cfg, &within, &s->link, e);
	if (r == 0) {
		s->rpc = openocd_rpc_new(s->link);
		r = openocd_rpc_call(s->rpc, "set provd 1", START_US, NULL, &within, e);
	}
	/* It ends by itself where its init failed: what it said is the cause. */
	drain(s, &x, &ended);
	if (r < 0 || x.cause >= 0) {
		int why = openocd_run_cause(&x, e);

		r = why < 0 ? why : r;
	}
	snprintf(s->version, sizeof s->version, "%s", res.version);
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

static int launch(struct openocd_server *s, const struct openocd_probe *p, struct err *e)
{
	int r = openocd_argv_server(p, &s->argv, e);

	if (r < 0)
		return r;
	s->key = joined(&s->argv);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return err_set(e, ERR_IO, "eventfd");
	r = cancel_init(&s->stop, e);
	if (r == 0)
		r = tool_dir_new(p->work_dir ? p->work_dir : "/tmp", &s->dir, e);
	if (r == 0)
		r = thread_start(&s->thread, "openocd", supervise, s, e);
	if (r == 0)
		s->started = true;
	return r;
}

int openocd_server_start(const struct openocd_probe *p, const struct openocd_hooks *h,
	const struct iotime *it, struct openocd_server **ret, struct err *e)
{
	_cleanup_(openocd_server_freep) struct openocd_server *s = xcalloc(1, sizeof *s);
	int r;

	s->wake_fd = s->stop.fd = -1;
	mutex_init(&s->lock);
	r = launch(s, p, e);
	if (r == 0)
		r = connect_to(s, h, it, e);
	if (r == 0)
		*ret = steal_ptr(&s);
	return r;
}

struct openocd_server *openocd_server_free(struct openocd_server *s)
{
	if (!s)
		return NULL;
	openocd_rpc_free(s->rpc);
	link_close(s->link);
	if (s->started) {
		cancel_fire(&s->stop, ERR_SHUTDOWN);
		pthread_join(s->thread, NULL);
	}
	if (s->stop.fd >= 0)
		cancel_done(&s->stop);
	closep(&s->wake_fd);
	tool_dir_done(&s->dir);
	openocd_argv_done(&s->argv);
	sb_done(&s->lines);
	mutex_done(&s->lock);
	free(s->key);
	free(s);
	return NULL;
}

bool openocd_server_fit(
	struct openocd_server *s, const struct openocd_probe *p, const struct iotime *it)
{
	struct openocd_argv v = {0};
	_cleanup_(freep) char *key = NULL;

	if (s->in_doubt || openocd_argv_server(p, &v, NULL) < 0)
		return false;
	key = joined(&v);
	openocd_argv_done(&v);
	return !strcmp(key, s->key) &&
	       openocd_rpc_call(s->rpc, "set provd 1", HEALTH_US, NULL, it, NULL) == 0;
}

unsigned openocd_server_jobs(const struct openocd_server *s)
{
	return s->jobs;
}

/* --- a job --- */

static void judge_text(struct openocd_run *x, const char *text)
{
	for (const char *at = text; at && *at;) {
		size_t n = strcspn(at, "\n");

		openocd_run_line(x, at, n);
		at += n + (at[n] == '\n');
	}
}

/* Its results are told to who asked, and not printed. */
static int run_commands(struct openocd_server *s, struct openocd_run *x,
	const struct openocd_argv *v, const struct iotime *it, struct err *e)
{
	struct err failed = {0};
	bool overflow;
	int r = 0;
	int b;

	for (size_t i = 1; r == 0 && i < v->n; i += 2) {
		_cleanup_(freep) char *text = NULL;

		r = openocd_rpc_call(s->rpc, v->arg[i], NO_DEADLINE, &text, it, &failed);
		judge_text(x, text);
	}
	if (r < 0 && r != -ERR_TOOL_FAILED) {
		bool ended;

		drain(s, x, &ended);
		b = r;
	} else {
		b = barrier(s, x, it, r < 0 ? NULL : &failed);
	}
	r = r < 0 ? r : b;
	if (x->cause >= 0)
		return openocd_run_cause(x, e);
	if (r < 0)
		return err_set(e, failed.code, "%s", failed.msg);
	mutex_lock(&s->lock);
	overflow = s->overflow;
	mutex_unlock(&s->lock);
	if (overflow)
		return err_set(
			e, ERR_TOOL_FAILED, "OpenOCD said more than %u MiB", LINES_MAX_BYTES >> 20);
	return openocd_run_markers(x, e);
}

int openocd_server_run(struct openocd_server *s, const struct openocd_job *j,
	const struct openocd_hooks *h, const struct iotime *it, struct openocd_result *ret,
	struct err *e)
{
	_cleanup_(openocd_run_done) struct openocd_run x = {0};
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	int r;

	*ret = (struct openocd_result){.exit_status = -1};
	snprintf(ret->version, sizeof ret->version, "%s", s->version);
	/* Until it has done the job. */
	s->in_doubt = true;
	openocd_files_remove(s->dir.path);
	r = openocd_argv_commands(j, &v, e);
	if (r == 0)
		r = openocd_run_init(&x, j, h, ret, e);
	x.dir = s->dir.path;
	if (r == 0)
		r = openocd_files_write(&x, e);
	if (r == 0)
		r = run_commands(s, &x, &v, it, e);
	ret->written = x.bytes[SEEN_WROTE];
	ret->verified = x.bytes[SEEN_VERIFIED_BYTES];
	if (r == 0)
		r = openocd_files_take(&x, e);
	s->in_doubt = r < 0;
	s->jobs++;
	return r;
}
