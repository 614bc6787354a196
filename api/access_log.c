/* SPDX-License-Identifier: Apache-2.0 */
#include "api/access_log.h"

#include <errno.h>
#include <fcntl.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include "base/util.h"

#define IDLE_US US_PER_S

struct access_log {
	pthread_t thread;
	struct mutex lock;
	struct cond wake;
	struct access_entry *ring; /* of ACCESS_LOG_WAITING; under lock, as all that follows */
	size_t first, waiting;
	bool stopping;
	enum access_log_to to; /* of new lines; atomic as well, for those who only ask */
	int fd; /* -1: none yet; another file takes its number (dup2), so that the thread waits for none */
	uint64_t written, dropped;
	bool troubled; /* the thread's: that the file takes nothing was said */
};

/* --- one line --- */

static json_t *text_or_null(const char *s)
{
	return *s ? json_string(s) : json_null();
}

/* The one control byte that jansson leaves as it is. Takes text. */
static char *without_del(char *text)
{
	struct strbuf b = {0};
	const char *rest = text;

	for (const char *at; (at = strchr(rest, 0x7f)); rest = at + 1) {
		sb_add_n(&b, rest, (size_t)(at - rest));
		sb_add(&b, "\\u007F");
	}
	sb_add(&b, rest);
	free(text);
	return sb_take(&b);
}

char *access_log_line(const struct access_entry *n)
{
	char at[RFC3339_SIZE];
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "time", json_string(rfc3339(n->at_ms, at)));
	json_object_set_new(o, "request_id", json_string(n->request_id));
	json_object_set_new(o, "principal", text_or_null(n->principal));
	json_object_set_new(o, "address", text_or_null(n->address));
	json_object_set_new(o, "method", json_string(n->method));
	json_object_set_new(o, "route", text_or_null(n->route));
	json_object_set_new(o, "status", n->status ? json_integer(n->status) : json_null());
	json_object_set_new(o, "bytes", n->bytes >= 0 ? json_integer(n->bytes) : json_null());
	json_object_set_new(o, "duration_us", json_integer((json_int_t)n->took_us));
	json_object_set_new(o, "trace_id", text_or_null(n->trace_id));
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	if (!text)
		abort();
	return without_del(text);
}

static bool write_file(int fd, const char *line)
{
	_cleanup_(freep) char *whole = xasprintf("%s\n", line);
	const size_t n = strlen(whole);
	ssize_t k;

	do
		k = write(fd, whole, n);
	while (k < 0 && errno == EINTR);
	return k == (ssize_t)n;
}

/* --- the thread --- */

static bool write_line(struct access_log *l, enum access_log_to to, int fd, const char *line)
{
	bool good = true;

	if (to == ACCESS_LOG_FILE)
		good = write_file(fd, line);
	else if (to == ACCESS_LOG_JOURNAL)
		log_info("access %s", line);
	if (!good && !l->troubled)
		log_warning("the access log takes no line: %s", strerrordesc_np(errno));
	l->troubled = !good;
	return good;
}

/* The line of the front; the lock is left for the time of the write. */
static void write_front(struct access_log *l) REQUIRES(l->lock)
{
	const struct access_entry entry = l->ring[l->first];
	const enum access_log_to to = l->to;
	const int fd = l->fd;
	_cleanup_(freep) char *line = NULL;
	bool good;

	l->first = (l->first + 1) % ACCESS_LOG_WAITING;
	l->waiting--;
	mutex_unlock(&l->lock);
	line = access_log_line(&entry);
	good = write_line(l, to, fd, line);
	mutex_lock(&l->lock);
	l->written += good;
	l->dropped += !good;
}

static void *access_log_main(void *arg)
{
	struct access_log *l = arg;

	mutex_lock(&l->lock);
	while (l->waiting || !l->stopping) {
		if (l->waiting)
			write_front(l);
		else
			cond_wait_until(&l->wake, &l->lock, now_us() + IDLE_US);
	}
	mutex_unlock(&l->lock);
	return NULL;
}

/* --- opening --- */

static int open_file(enum access_log_to to, const char *path, int *ret, struct err *e)
{
	*ret = -1;
	if (to != ACCESS_LOG_FILE)
		return 0;
	*ret = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
	return *ret < 0 ? err_errno(e, ERR_IO, errno, "the access log %s", path) : 0;
}

int access_log_new(enum access_log_to to, const char *path, struct access_log **ret, struct err *e)
{
	struct access_log *l = xcalloc(1, sizeof *l);
	int r = open_file(to, path, &l->fd, e);

	l->to = to;
	l->ring = xcalloc(ACCESS_LOG_WAITING, sizeof *l->ring);
	mutex_init(&l->lock);
	cond_init(&l->wake);
	if (r == 0)
		r = thread_start(&l->thread, "access-log", access_log_main, l, e);
	if (r < 0) {
		closep(&l->fd);
		mutex_done(&l->lock);
		cond_done(&l->wake);
		free(l->ring);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct access_log *access_log_free(struct access_log *l)
{
	if (!l)
		return NULL;
	mutex_lock(&l->lock);
	l->stopping = true;
	cond_broadcast(&l->wake);
	mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	closep(&l->fd);
	mutex_done(&l->lock);
	cond_done(&l->wake);
	free(l->ring);
	free(l);
	return NULL;
}

int access_log_reopen(struct access_log *l, enum access_log_to to, const char *path, struct err *e)
{
	_cleanup_(closep) int fd = -1;
	int r = open_file(to, path, &fd, e);

	if (r < 0)
		return r;
	mutex_lock(&l->lock);
	if (fd >= 0 && l->fd < 0)
		l->fd = steal_fd(&fd);
	else if (fd >= 0 && dup3(fd, l->fd, O_CLOEXEC) < 0)
		r = err_errno(e, ERR_IO, errno, "the access log %s", path);
	if (r == 0)
		__atomic_store_n(&l->to, to, __ATOMIC_RELAXED);
	mutex_unlock(&l->lock);
	return r;
}

/* --- lines --- */

bool access_log_on(struct access_log *l)
{
	return __atomic_load_n(&l->to, __ATOMIC_RELAXED) != ACCESS_LOG_OFF;
}

void access_log_add(struct access_log *l, const struct access_entry *entry)
{
	mutex_lock(&l->lock);
	if (l->to == ACCESS_LOG_OFF) {
		mutex_unlock(&l->lock);
		return;
	}
	if (l->waiting == ACCESS_LOG_WAITING) {
		l->dropped++;
	} else {
		l->ring[(l->first + l->waiting) % ACCESS_LOG_WAITING] = *entry;
		if (l->waiting++ == 0)
			cond_broadcast(&l->wake);
	}
	mutex_unlock(&l->lock);
}

void access_log_counts(struct access_log *l, uint64_t *ret_written, uint64_t *ret_dropped)
{
	mutex_lock(&l->lock);
	*ret_written = l->written;
	*ret_dropped = l->dropped;
	mutex_unlock(&l->lock);
}
