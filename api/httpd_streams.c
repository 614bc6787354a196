/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_streams.h"

#include "base/thread.h"
#include "base/util.h"

/* For an answer that is not chunked: to a client of HTTP/1.0. */
#define STREAM_BLOCK 1024

static const struct {
	unsigned all, of_one;
} stream_limits[STREAM_KINDS] = {
	[STREAM_LIVE] = {STREAMS_LIVE_OF_ONE + 128, STREAMS_LIVE_OF_ONE},
	[STREAM_EXPORT] = {64, 32},
};

struct stream {
	struct streams *of;
	enum stream_kind kind;
	const struct stream_ops *ops;
	void *data;
	struct MHD_Connection *connection;
	char owner[40];
	bool suspended; /* under the lock */
	bool woken;	/* came while it was not suspended */
	struct stream *next;
};

struct streams {
	struct mutex lock;
	struct stream *first;
	unsigned count[STREAM_KINDS];
	bool stopping;
};

struct streams *streams_new(void)
{
	struct streams *ss = xcalloc(1, sizeof *ss);

	mutex_init(&ss->lock);
	return ss;
}

struct streams *streams_free(struct streams *ss)
{
	if (ss) {
		mutex_done(&ss->lock);
		free(ss);
	}
	return NULL;
}

static bool has_room_locked(const struct streams *ss, enum stream_kind kind, const char *owner)
	REQUIRES(ss->lock)
{
	unsigned n = 0;

	for (const struct stream *s = ss->first; s; s = s->next)
		n += s->kind == kind && !strcmp(s->owner, owner);
	return n < stream_limits[kind].of_one && ss->count[kind] < stream_limits[kind].all;
}

struct stream *streams_add(struct streams *ss, enum stream_kind kind, const struct stream_ops *ops,
	void *data, const char *owner)
{
	struct stream *s = xcalloc(1, sizeof *s);

	s->of = ss;
	s->kind = kind;
	s->ops = ops;
	s->data = data;
	snprintf(s->owner, sizeof s->owner, "%s", owner);
	mutex_lock(&ss->lock);
	if (!has_room_locked(ss, kind, owner) || ss->stopping) {
		mutex_unlock(&ss->lock);
		free(s);
		return NULL;
	}
	s->next = ss->first;
	ss->first = s;
	ss->count[kind]++;
	mutex_unlock(&ss->lock);
	return s;
}

static void resume_locked(struct streams *ss, struct stream *s) REQUIRES(ss->lock)
{
	if (!s->suspended)
		return;
	s->suspended = false;
	MHD_resume_connection(s->connection);
}

void stream_wake(struct stream *s)
{
	struct streams *ss = s->of;

	mutex_lock(&ss->lock);
	if (s->suspended)
		resume_locked(ss, s);
	else
		s->woken = true;
	mutex_unlock(&ss->lock);
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct stream *s = cls;
	struct streams *ss = s->of;
	ssize_t n;

	for (;;) {
		n = s->ops->read(s->data, buf, max);
		if (n != 0)
			break;
		mutex_lock(&ss->lock);
		if (ss->stopping) {
			n = -1;
		} else if (!s->woken) {
			s->suspended = true;
			MHD_suspend_connection(s->connection);
			mutex_unlock(&ss->lock);
			return 0;
		}
		s->woken = false;
		mutex_unlock(&ss->lock);
		if (n < 0)
			break;
	}
	if (n == -2)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void stream_free(void *cls)
{
	struct stream *s = cls;
	struct streams *ss = s->of;

	/* First the source of wake-ups ends, then the object. */
	s->ops->free(s->data);
	mutex_lock(&ss->lock);
	for (struct stream **p = &ss->first; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			ss->count[s->kind]--;
			break;
		}
	}
	mutex_unlock(&ss->lock);
	free(s);
}

struct MHD_Response *stream_response(struct stream *s, struct MHD_Connection *c)
{
	s->connection = c;
	return MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, s, stream_free);
}

void stream_drop(struct stream *s)
{
	if (s)
		stream_free(s);
}

bool streams_suspend(
	struct streams *ss, struct MHD_Connection *c, void (*then)(void *data), void *data)
{
	bool stopping;

	mutex_lock(&ss->lock);
	stopping = ss->stopping;
	if (!stopping) {
		MHD_suspend_connection(c);
		then(data);
	}
	mutex_unlock(&ss->lock);
	return !stopping;
}

void streams_wake_all(struct streams *ss)
{
	mutex_lock(&ss->lock);
	for (struct stream *s = ss->first; s; s = s->next)
		resume_locked(ss, s);
	mutex_unlock(&ss->lock);
}

void streams_stop(struct streams *ss)
{
	mutex_lock(&ss->lock);
	ss->stopping = true;
	for (struct stream *s = ss->first; s; s = s->next) {
		resume_locked(ss, s);
		s->woken = true;
	}
	mutex_unlock(&ss->lock);
}
