/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to libcurl.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/outfile.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "cli/printable.h"
#include "cli/provctl.h"

#define MAX_ANSWER (64u * 1024 * 1024)
#define SEND_TRIES 10

struct http {
	CURL *curl;
	char *base;
	char *socket; /* of AF_UNIX; NULL: over the network */
	char *auth;   /* header line; NULL: the certificate says who asks */
	const char *token_from;
	const char *cacert, *cert, *key; /* files; NULL: none */
};

static int read_token(const char *path, char *buf, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -1;
	buf[n] = 0;
	buf[strcspn(buf, "\r\n")] = 0;
	return 0;
}

/* --token-file, PROVD_TOKEN, PROVD_TOKEN_FILE, ~/.config/provd/token: the first that there is.
 * Never argv, where everyone on the machine could read it. */
static int find_token(
	const struct ctl *c, char *buf, size_t size, const char **ret_from, struct err *e)
{
	const char *env = getenv("PROVD_TOKEN");
	const char *file = c->daemon.token_file ? c->daemon.token_file
			   : env		? NULL
						: getenv("PROVD_TOKEN_FILE");
	const char *home = getenv("HOME");
	_cleanup_(freep) char *rc = xasprintf("%s/.config/provd/token", home ? home : "");

	*ret_from = file  ? (c->daemon.token_file ? "--token-file" : "PROVD_TOKEN_FILE")
		    : env ? "PROVD_TOKEN"
			  : "~/.config/provd/token";
	if (file)
		return read_token(file, buf, size) == 0
			       ? 0
			       : err_errno(e, ERR_IO, errno, "token file %s", file);
	if (env)
		snprintf(buf, size, "%s", env);
	else if (read_token(rc, buf, size) < 0)
		return err_set(e, ERR_UNAUTHORIZED,
			"no token: set PROVD_TOKEN or PROVD_TOKEN_FILE, or put it into %s", rc);
	return 0;
}

static const char *or_env(const char *given, const char *name)
{
	const char *env = given ? NULL : getenv(name);

	return given ? given : env && *env ? env : NULL;
}

/* unix:/PATH, or the address without its last slash. */
static void set_base(struct http *h, const char *url)
{
	if (!strncmp(url, "unix:", 5)) {
		h->socket = xstrdup(url + 5);
		h->base = xstrdup("http://localhost");
		return;
	}
	h->base = xstrdup(url);
	if (h->base[0] && h->base[strlen(h->base) - 1] == '/')
		h->base[strlen(h->base) - 1] = 0;
}

static int http_open(struct ctl *c, struct err *e)
{
	const char *url = or_env(c->daemon.url, "PROVD_URL");
	const char *cert = or_env(c->daemon.cert, "PROVCTL_CERT");
	const char *from = "nowhere";
	char token[256] = "";
	int r;

	if (c->http)
		return 0;
	r = find_token(c, token, sizeof token, &from, e);
	/* A certificate says who asks as well. */
	if (r < 0 && !((cert || c->anonymous) && r == -ERR_UNAUTHORIZED))
		return r;
	c->http = xcalloc(1, sizeof *c->http);
	c->http->token_from = from;
	c->http->cacert = or_env(c->daemon.cacert, "PROVCTL_CACERT");
	c->http->cert = cert;
	c->http->key = or_env(c->daemon.key, "PROVCTL_KEY");
	c->http->curl = curl_easy_init();
	if (!c->http->curl)
		abort();
	set_base(c->http, url ? url : "http://127.0.0.1:8620");
	c->http->auth = r == 0 ? xasprintf("Authorization: Bearer %s", token) : NULL;
	secret_wipe(token, sizeof token);
	return 0;
}

/* What every request has: who is asked, and by whom. The headers are the caller's to free. */
static struct curl_slist *begin(struct http *h, const char *url)
{
	struct curl_slist *headers = NULL;

	curl_easy_reset(h->curl);
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	if (h->socket)
		curl_easy_setopt(h->curl, CURLOPT_UNIX_SOCKET_PATH, h->socket);
	curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->cacert)
		curl_easy_setopt(h->curl, CURLOPT_CAINFO, h->cacert);
	if (h->cert)
		curl_easy_setopt(h->curl, CURLOPT_SSLCERT, h->cert);
	if (h->key)
		curl_easy_setopt(h->curl, CURLOPT_SSLKEY, h->key);
	if (h->auth)
		headers = curl_slist_append(headers, h->auth);
	return headers;
}

void api_close(struct ctl *c)
{
	if (!c->http)
		return;
	curl_easy_cleanup(c->http->curl);
	if (c->http->auth)
		secret_wipe(c->http->auth, strlen(c->http->auth));
	free(c->http->socket);
	free(c->http->auth);
	free(c->http->base);
	free(c->http);
	c->http = NULL;
}

char *url_segment(const char *s)
{
	struct strbuf b = {0};

	for (; *s; s++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~",
			    *s))
			sb_add_n(&b, s, 1);
		else
			sb_addf(&b, "%%%02X", (unsigned char)*s);
	}
	return sb_take(&b);
}

static size_t take_answer(char *p, size_t size, size_t n, void *data)
{
	struct strbuf *b = data;

	if (b->len + size * n > MAX_ANSWER)
		return 0;
	sb_add_n(b, p, size * n);
	return size * n;
}

struct download {
	CURL *curl;
	struct outfile *out;
	FILE *to; /* where there is no out */
	bool any; /* whatever the status */
	struct strbuf *problem;
	struct err *e;
};

static size_t take_bytes(char *p, size_t size, size_t n, void *data)
{
	struct download *d = data;
	long status = 0;

	curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400 && !d->any)
		return take_answer(p, size, n, d->problem);
	if (d->to)
		return fwrite(p, 1, size * n, d->to);
	return outfile_add(d->out, p, size * n, d->e) < 0 ? 0 : size * n;
}

/* What curl found, as what is to be done about it. */
static const struct {
	CURLcode code;
	const char *text; /* %s: the address */
} troubles[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "the name in %s is unknown: is PROVD_URL or --url right?"},
	{CURLE_URL_MALFORMAT,
		"'%s' is not an address of provd: http://HOST:PORT, https://HOST:PORT or unix:/PATH expected"},
	{CURLE_UNSUPPORTED_PROTOCOL,
		"'%s' is not an address of provd: http://HOST:PORT, https://HOST:PORT or unix:/PATH expected"},
	{CURLE_OPERATION_TIMEDOUT, "%s does not answer in time: is it the address of provd?"},
	{CURLE_GOT_NOTHING, "%s closes the connection without an answer: https, not http?"},
	{CURLE_RECV_ERROR, "%s breaks the connection off without an answer: https, not http?"},
	{CURLE_HTTP2, "%s does not speak HTTP: is it the address of provd?"},
	{CURLE_WEIRD_SERVER_REPLY, "%s does not speak HTTP: is it the address of provd?"},
	{CURLE_SSL_CONNECT_ERROR, "%s does not speak TLS: http, not https?"},
	{CURLE_PEER_FAILED_VERIFICATION,
		"the certificate of %s is not trusted here: name what signed it by --cacert or PROVCTL_CACERT"},
	{CURLE_SSL_CACERT_BADFILE,
		"for %s: the file of --cacert or PROVCTL_CACERT cannot be read as certificates in PEM"},
	{CURLE_SSL_CERTPROBLEM,
		"for %s: the file of --cert or of --key cannot be used: a certificate and its key in PEM expected"},
};

static int trouble(const struct http *h, CURLcode rc, const char *why, struct err *e)
{
	const char *host = strstr(h->base, "://") ? strstr(h->base, "://") + 3 : h->base;
	long os = 0;

	curl_easy_getinfo(h->curl, CURLINFO_OS_ERRNO, &os);
	if (rc == CURLE_COULDNT_CONNECT && os == ECONNREFUSED)
		return err_set(e, ERR_IO,
			"nothing listens on %s: is provd running, is PROVD_URL or --url right?",
			host);
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		if (troubles[i].code == rc)
			return err_set(e, ERR_IO, troubles[i].text, h->base);
	return err_set(e, ERR_IO, "%s: %s", h->base, *why ? why : curl_easy_strerror(rc));
}

/* The problem of the API as an err; each of its errors goes to stderr. */
static int problem(const struct http *h, long status, const char *text, struct err *e)
{
	json_t *o = json_loads(text ? text : "", 0, NULL);
	const char *detail = json_string_value(json_object_get(o, "detail"));
	const char *code = json_string_value(json_object_get(o, "code"));
	const json_t *errors = json_object_get(o, "errors");
	int known = code ? err_code_from_str(code) : -1;
	int r;

	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *one = json_array_get(errors, i);
		const json_t *line = json_object_get(one, "line");
		_cleanup_(freep) char *pointer = json_text(one, "pointer");
		_cleanup_(freep) char *what = json_text(one, "detail");
		const char *value = json_string_value(json_object_get(one, "value"));

		if (line && value)
			fprintf(stderr, "line %lld: %s: %s\n", (long long)json_integer_value(line),
				value, what);
		else if (line)
			fprintf(stderr, "%lld:%lld: %s\n", (long long)json_integer_value(line),
				(long long)json_integer_value(json_object_get(one, "column")),
				what);
		else
			fprintf(stderr, "%s: %s\n", pointer, what);
	}
	if (!code)
		r = err_set(e, ERR_PROTOCOL, "%s answers HTTP %ld without a reason: is that provd?",
			h->base, status);
	else if (status == 401)
		r = err_set(e, ERR_UNAUTHORIZED, "%s (HTTP 401; the token came from %s)",
			detail ? detail : "no valid token", h->token_from);
	else
		r = err_set(e, known > 0 ? (enum err_code)known : ERR_IO, "%s (HTTP %ld)",
			detail ? detail : "provd refuses", status);
	json_decref(o);
	return r;
}

struct exchange {
	const char *method, *path, *content_type;
	const char *body;
	size_t body_len;
	FILE *file;
	curl_off_t file_size; /* what is sent of it, from where it stands */
	const char *range;    /* Content-Range, NULL: none */
	struct outfile *out;  /* where the bytes of a good answer go; NULL: they are JSON */
	FILE *to;	      /* the same, as they come */
	bool any;	      /* and those of a refusal, which is none then */
	bool once;	      /* its answer is not kept: a secret is in it */
	const char *match;    /* If-Match; NULL: none */
};

static int perform(struct ctl *c, const struct exchange *x, json_t **ret, struct err *e)
{
	struct curl_slist *headers = NULL;
	_cleanup_(freep) char *url = NULL;
	_cleanup_(freep) char *type = NULL;
	_cleanup_(freep) char *key = NULL;
	_cleanup_(freep) char *range = NULL;
	_cleanup_(freep) char *match = NULL;
	struct strbuf answer = {0};
	struct err write_err = {0};
	struct download download = {
		.out = x->out, .to = x->to, .any = x->any, .problem = &answer, .e = &write_err};
	char uuid[UUID_SIZE];
	char why[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURLcode rc;
	int r = http_open(c, e);

	if (r < 0)
		return r;
	url = xasprintf("%s%s", c->http->base, x->path);
	download.curl = c->http->curl;
	headers = begin(c->http, url);
	headers = curl_slist_append(headers, "Accept: application/json");
	headers = curl_slist_append(headers, "Expect:");
	if (x->content_type) {
		type = xasprintf("Content-Type: %s", x->content_type);
		headers = curl_slist_append(headers, type);
	}
	if (x->range) {
		range = xasprintf("Content-Range: bytes %s", x->range);
		headers = curl_slist_append(headers, range);
	}
	if (x->match) {
		match = xasprintf("If-Match: %s", x->match);
		headers = curl_slist_append(headers, match);
	}
	if (strcmp(x->method, "GET") != 0 && !x->once) {
		/* A request that is sent again after a lost answer has its effect once. */
		key = xasprintf("Idempotency-Key: %s", uuid7(uuid));
		headers = curl_slist_append(headers, key);
	}
	curl_easy_setopt(c->http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->http->curl, CURLOPT_CUSTOMREQUEST, x->method);
	curl_easy_setopt(c->http->curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c->http->curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(c->http->curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(c->http->curl, CURLOPT_CONNECTTIMEOUT, 5L);
	if (x->out || x->to) {
		curl_easy_setopt(c->http->curl, CURLOPT_WRITEFUNCTION, take_bytes);
		curl_easy_setopt(c->http->curl, CURLOPT_WRITEDATA, &download);
		curl_easy_setopt(c->http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(c->http->curl, CURLOPT_LOW_SPEED_TIME, 60L);
	} else if (x->file) {
		curl_easy_setopt(c->http->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->http->curl, CURLOPT_READDATA, x->file);
		curl_easy_setopt(c->http->curl, CURLOPT_INFILESIZE_LARGE, x->file_size);
	} else {
		curl_easy_setopt(c->http->curl, CURLOPT_TIMEOUT, 60L);
		if (x->body) {
			curl_easy_setopt(c->http->curl, CURLOPT_POSTFIELDS, x->body);
			curl_easy_setopt(c->http->curl, CURLOPT_POSTFIELDSIZE, (long)x->body_len);
		}
	}
	rc = curl_easy_perform(c->http->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (write_err.code != ERR_NONE)
		r = err_set(e, write_err.code, "%s", write_err.msg);
	else if (rc != CURLE_OK)
		r = trouble(c->http, rc, why, e);
	else if (status >= 400 && !x->any)
		r = problem(c->http, status, answer.s, e);
	else if (ret && !(*ret = json_loads(answer.s ? answer.s : "null", JSON_DECODE_ANY, NULL)))
		r = err_set(e, ERR_PROTOCOL, "%s answered no JSON: is that provd?", c->http->base);
	sb_done(&answer);
	return r;
}

int api_get(struct ctl *c, const char *path, json_t **ret, struct err *e)
{
	const struct exchange x = {.method = "GET", .path = path};

	return perform(c, &x, ret, e);
}

static int post(struct ctl *c, const char *path, const json_t *body, const char *match, bool once,
	json_t **ret, struct err *e)
{
	_cleanup_(freep) char *text = body ? json_dumps(body, JSON_COMPACT) : xstrdup("{}");
	const struct exchange x = {.method = "POST",
		.path = path,
		.content_type = "application/json",
		.body = text,
		.body_len = strlen(text),
		.match = match,
		.once = once};

	return perform(c, &x, ret, e);
}

int api_post(struct ctl *c, const char *path, const json_t *body, json_t **ret, struct err *e)
{
	return post(c, path, body, NULL, false, ret, e);
}

int api_post_match(struct ctl *c, const char *path, const json_t *body, const char *match,
	json_t **ret, struct err *e)
{
	return post(c, path, body, match, false, ret, e);
}

int api_post_once(struct ctl *c, const char *path, const json_t *body, json_t **ret, struct err *e)
{
	return post(c, path, body, NULL, true, ret, e);
}

int api_delete(struct ctl *c, const char *path, json_t **ret, struct err *e)
{
	const struct exchange x = {.method = "DELETE", .path = path};

	return perform(c, &x, ret, e);
}

int api_stream(struct ctl *c, const char *path, FILE *to, struct err *e)
{
	const struct exchange x = {.method = "GET", .path = path, .to = to};

	return perform(c, &x, NULL, e);
}

int api_stream_any(struct ctl *c, const char *path, FILE *to, struct err *e)
{
	const struct exchange x = {.method = "GET", .path = path, .to = to, .any = true};

	return perform(c, &x, NULL, e);
}

int api_download(
	struct ctl *c, const char *path, const char *file, const char *sha256, struct err *e)
{
	char got[SHA256_HEX];
	_cleanup_(outfile_done) struct outfile out = {.fd = -1};
	const struct exchange x = {.method = "GET", .path = path, .out = &out};
	int r = outfile_open(&out, file, e);

	if (r == 0)
		r = perform(c, &x, NULL, e);
	if (r == 0)
		r = outfile_end(&out, got, e);
	if (r == 0 && *sha256 && strcmp(got, sha256) != 0)
		r = err_set(e, ERR_VERIFY_MISMATCH,
			"%s: what came has the SHA-256 %s, %s was recorded", path, got, sha256);
	return r < 0 ? r : outfile_commit(&out, e);
}

int api_send_file(struct ctl *c, const char *method, const char *path, const char *content_type,
	const char *file, json_t **ret, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(file, "rbe");
	struct exchange x = {
		.method = method, .path = path, .content_type = content_type, .file = f};
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", file);
	x.file_size = st.st_size;
	return perform(c, &x, ret, e);
}

/* --- a file that goes on where it was cut --- */

struct sending {
	struct ctl *c;
	const char *path, *file;
	FILE *f;
	long long size, received;
};

/* How much of it is there; all of it: *ret. */
static int ask_received(struct sending *s, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *range = xasprintf("*/%lld", s->size);
	const struct exchange x = {
		.method = "PUT", .path = s->path, .range = range, .body = "", .once = true};
	json_t *o = NULL;
	int r = perform(s->c, &x, &o, e);

	if (r < 0)
		return r;
	if (!json_object_get(o, "received")) {
		*ret = o;
		return 0;
	}
	s->received = json_integer_value(json_object_get(o, "received"));
	json_decref(o);
	return s->received >= 0 && s->received < s->size
		       ? 0
		       : err_set(e, ERR_PROTOCOL, "%s: provd has %lld bytes of it, and it has %lld",
				 s->file, s->received, s->size);
}

static int send_rest(struct sending *s, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *range =
		xasprintf("%lld-%lld/%lld", s->received, s->size - 1, s->size);
	const struct exchange x = {.method = "PUT",
		.path = s->path,
		.content_type = "application/octet-stream",
		.range = range,
		.file = s->f,
		.file_size = s->size - s->received,
		.once = true};

	if (fseeko(s->f, s->received, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, errno, "%s", s->file);
	return perform(s->c, &x, ret, e);
}

int api_send_in_pieces(
	struct ctl *c, const char *path, const char *file, json_t **ret, struct err *e)
{
	struct sending s = {.c = c, .path = path, .file = file};
	_cleanup_(fclosep) FILE *f = fopen(file, "rbe");
	struct stat st;
	int r = -ERR_IO;

	if (!f || fstat(fileno(f), &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", file);
	s.f = f;
	s.size = st.st_size;
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		/* What answered in the end is provd; a connection that broke is none of its answers. The request that
		 * was cut may still hold the file for a moment. */
		if (tries) {
			fprintf(stderr, "%s: %s; trying again\n", file, e->msg);
			sleep(1);
		}
		r = ask_received(&s, ret, e);
		if (r == 0 && !*ret)
			r = send_rest(&s, ret, e);
		if (r == 0 || (r != -ERR_IO && r != -ERR_CONFLICT))
			return r;
	}
	return r;
}

/* --- server-sent events --- */

struct follow {
	struct strbuf line, data;
	char event[64];
	int (*fn)(void *data, const char *event, const json_t *json);
	void *arg;
	int result;
};

static void end_of_event(struct follow *f)
{
	json_t *o = f->data.len ? json_loads(f->data.s, JSON_DECODE_ANY, NULL) : NULL;

	if (o)
		f->result = f->fn(f->arg, f->event, o);
	json_decref(o);
	sb_clear(&f->data);
	f->event[0] = 0;
}

static size_t take_stream(char *p, size_t size, size_t n, void *data)
{
	struct follow *f = data;

	for (size_t i = 0; i < size * n && f->result == 0; i++) {
		if (p[i] != '\n') {
			sb_add_n(&f->line, p + i, 1);
			continue;
		}

		const char *s = f->line.len ? f->line.s : "";

		if (!*s)
			end_of_event(f);
		else if (!strncmp(s, "event: ", 7))
			snprintf(f->event, sizeof f->event, "%s", s + 7);
		else if (!strncmp(s, "data: ", 6))
			sb_add(&f->data, s + 6);
		sb_clear(&f->line);
	}
	return f->result == 0 ? size * n : 0;
}

int api_follow(struct ctl *c, const char *path,
	int (*fn)(void *data, const char *event, const json_t *data_json), void *data,
	struct err *e)
{
	struct follow f = {.fn = fn, .arg = data};
	struct curl_slist *headers = NULL;
	_cleanup_(freep) char *url = NULL;
	long status = 0;
	CURLcode rc;
	int r = http_open(c, e);

	if (r < 0)
		return r;
	url = xasprintf("%s%s", c->http->base, path);
	headers = begin(c->http, url);
	headers = curl_slist_append(headers, "Accept: text/event-stream");
	curl_easy_setopt(c->http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->http->curl, CURLOPT_WRITEFUNCTION, take_stream);
	curl_easy_setopt(c->http->curl, CURLOPT_WRITEDATA, &f);
	curl_easy_setopt(c->http->curl, CURLOPT_FAILONERROR, 1L);
	/* Heartbeats come every 10 s: silence means that the server is gone. */
	curl_easy_setopt(c->http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->http->curl, CURLOPT_LOW_SPEED_TIME, 30L);
	rc = curl_easy_perform(c->http->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->http->curl, CURLINFO_RESPONSE_CODE, &status);
	sb_done(&f.line);
	sb_done(&f.data);
	if (f.result != 0)
		return f.result;
	return err_set(e, status == 401 ? ERR_UNAUTHORIZED : ERR_IO, "events of %s: %s (HTTP %ld)",
		c->http->base, rc == CURLE_OK ? "the stream ended" : curl_easy_strerror(rc),
		status);
}

int api_say(struct ctl *c, const char *path, json_t *body, const char *done)
{
	json_t *o = NULL;
	struct err e;
	int r = api_post(c, path, body, &o, &e);

	json_decref(body);
	if (r < 0)
		return ctl_fail(&e);
	if (c->json)
		print_json(o);
	else
		puts(done);
	json_decref(o);
	return 0;
}
