/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_answer.h"

#include <stdarg.h>
#include <unistd.h>

#include "api/httpd_streams.h"
#include "base/secret.h"
#include "base/util.h"

struct shared_body {
	int refs;
	size_t n;
	struct MHD_Response *response;
};

void response_header(struct response *rs, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (rs->headers == (int)ARRAY_LEN(rs->header))
		return;
	snprintf(rs->header[rs->headers].name, sizeof rs->header[0].name, "%s", name);
	va_start(ap, fmt);
	if (vasprintf(&rs->header[rs->headers].value, fmt, ap) < 0)
		abort();
	va_end(ap);
	rs->headers++;
}

void response_text(struct response *rs, int status, const char *content_type, char *body, size_t n)
{
	free(rs->body);
	rs->status = status;
	snprintf(rs->content_type, sizeof rs->content_type, "%s", content_type);
	rs->body = body;
	rs->body_len = n;
}

void response_json(struct response *rs, int status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : xstrdup("null");

	if (!text)
		abort();
	response_text(rs, status, "application/json", text, strlen(text));
	json_decref(body);
}

struct shared_body *shared_body_new(char *text, size_t n, const char *content_type, const char *tag)
{
	struct shared_body *b = xcalloc(1, sizeof *b);

	b->refs = 1;
	b->n = n;
	b->response = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
	if (!b->response)
		abort();
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (*tag)
		MHD_add_response_header(b->response, MHD_HTTP_HEADER_ETAG, tag);
	return b;
}

struct shared_body *shared_body_ref(struct shared_body *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

struct shared_body *shared_body_unref(struct shared_body *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		MHD_destroy_response(b->response);
		free(b);
	}
	return NULL;
}

static struct MHD_Response *mhd_response(struct response *rs, struct MHD_Connection *c)
{
	struct MHD_Response *r;

	if (rs->stream) {
		r = stream_response(rs->stream, c);
		if (r)
			rs->stream = NULL;
		return r;
	}
	if (rs->fd >= 0)
		return MHD_create_response_from_fd64(rs->body_len, steal_fd(&rs->fd));
	if (rs->static_body)
		return MHD_create_response_from_buffer(
			rs->body_len, (void *)rs->static_body, MHD_RESPMEM_PERSISTENT);
	/* The answer to POST /tokens has a token. */
	r = MHD_create_response_from_buffer_with_free_callback(rs->body_len, rs->body, secret_free);
	rs->body = NULL;
	return r;
}

/* HEAD, 304 and 204 have no body. */
static void note_answer(const struct response *rs, struct request *rq)
{
	rq->status = rs->status;
	rq->answer_bytes = rs->stream	? -1
			   : rs->shared ? (int64_t)rs->shared->n
					: (int64_t)rs->body_len;
	if (rq->head || rs->status == 304 || rs->status == 204)
		rq->answer_bytes = 0;
}

enum MHD_Result answer_send(struct response *rs, struct request *rq, struct MHD_Connection *c)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	note_answer(rs, rq);
	if (rs->shared) {
		ok = MHD_queue_response(c, (unsigned)rs->status, rs->shared->response);
		rs->shared = shared_body_unref(rs->shared);
		return ok;
	}
	r = mhd_response(rs, c);
	if (!r)
		return MHD_NO;
	if (rs->content_type[0])
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, rs->content_type);
	MHD_add_response_header(r, "X-Request-Id", rq->id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	for (int i = 0; i < rs->headers; i++)
		MHD_add_response_header(r, rs->header[i].name, rs->header[i].value);
	if (rs->close)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(c, (unsigned)rs->status, r);
	MHD_destroy_response(r);
	return ok;
}

void answer_drop(struct response *rs)
{
	free(rs->body);
	for (int i = 0; i < rs->headers; i++)
		free(rs->header[i].value);
	if (rs->fd >= 0)
		close(rs->fd);
	shared_body_unref(rs->shared);
	stream_drop(rs->stream);
	*rs = (struct response){.fd = -1};
}
