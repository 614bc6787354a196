/* SPDX-License-Identifier: Apache-2.0 */
#include "db/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/strbuf.h"

#define HEAD_BYTES     256
#define HEADS	       2
#define BODY_AT	       ((off_t)HEADS * HEAD_BYTES)
#define CHECK_CHARS    8
#define LINE_MAX_BYTES 512
/* Lines that a newer one replaced are dropped once they outweigh this. */
#define SLACK_BYTES (1 << 20)

struct pool_mark {
	char id[DB_ID_SIZE];
	int64_t next;
};

struct marks {
	char *path;
	int fd; /* -1: no file yet */
	struct marks_head head;
	uint64_t count; /* of header writes */
	off_t end;
	off_t slack; /* bytes of lines that are no longer needed */
	struct pool_mark *pool;
	size_t pools;
};

struct marks *marks_free(struct marks *m)
{
	if (!m)
		return NULL;
	if (m->fd >= 0)
		close(m->fd);
	free(m->pool);
	free(m->path);
	free(m);
	return NULL;
}

const struct marks_head *marks_head(const struct marks *m)
{
	return &m->head;
}

const char *marks_pool(const struct marks *m, size_t i, int64_t *ret_next)
{
	if (i >= m->pools)
		return NULL;
	*ret_next = m->pool[i].next;
	return m->pool[i].id;
}

static struct pool_mark *pool_of(struct marks *m, const char *id)
{
	struct pool_mark *grown;

	for (size_t i = 0; i < m->pools; i++)
		if (!strcmp(m->pool[i].id, id))
			return &m->pool[i];
	grown = reallocarray(m->pool, m->pools + 1, sizeof *grown);
	if (!grown)
		abort();
	m->pool = grown;
	grown[m->pools] = (struct pool_mark){0};
	snprintf(grown[m->pools].id, DB_ID_SIZE, "%s", id);
	return &grown[m->pools++];
}

/* --- the file's text --- */

static void add_line(struct strbuf *b, const char *text)
{
	char hex[SHA256_HEX];

	sb_addf(b, "%.*s %s\n", CHECK_CHARS, sha256_hex_of(text, strlen(text), hex), text);
}

/* The text of a line whose check is right, else NULL. `line` ends in NUL. */
static const char *checked(const char *line)
{
	const char *text = line + CHECK_CHARS + 1;
	char hex[SHA256_HEX];

	if (strlen(line) <= CHECK_CHARS + 1 || line[CHECK_CHARS] != ' ')
		return NULL;
	sha256_hex_of(text, strlen(text), hex);
	return strncmp(line, hex, CHECK_CHARS) ? NULL : text;
}

static void head_text(const struct marks *m, char buf[HEAD_BYTES])
{
	struct strbuf b = {0};
	_cleanup_(freep) char *text = xasprintf("H %llu %s %lld %lld", (unsigned long long)m->count,
		m->head.epoch, (long long)m->head.generation, (long long)m->head.seq);

	add_line(&b, text);
	memset(buf, ' ', HEAD_BYTES);
	memcpy(buf, b.s, MIN(b.len, (size_t)HEAD_BYTES - 1));
	buf[HEAD_BYTES - 1] = '\n';
	sb_done(&b);
}

static bool read_head(char buf[HEAD_BYTES], uint64_t *ret_count, struct marks_head *ret)
{
	unsigned long long count;
	long long generation;
	long long seq;
	const char *text;

	buf[strcspn(buf, "\n")] = 0;
	text = checked(buf);
	if (!text ||
		sscanf(text, "H %llu %16s %lld %lld", &count, ret->epoch, &generation, &seq) != 4)
		return false;
	*ret_count = count;
	ret->generation = generation;
	ret->seq = seq;
	return true;
}

/* The newer of the two that can be read; none, where both are damaged. */
static void read_heads(struct marks *m)
{
	bool any = false;

	for (int i = 0; i < HEADS; i++) {
		char buf[HEAD_BYTES + 1] = {0};
		struct marks_head head = {0};
		uint64_t count;

		if (pread(m->fd, buf, HEAD_BYTES, (off_t)i * HEAD_BYTES) != HEAD_BYTES ||
			!read_head(buf, &count, &head))
			continue;
		if (any && count < m->count)
			continue;
		any = true;
		m->count = count;
		m->head = head;
	}
	if (!any)
		log_warning("%s: both headers of the high-water marks are damaged", m->path);
}

typedef int line_fn(void *data, const char *text, size_t bytes, struct err *e);

/* Each good line of the body. */
static int each_line(const struct marks *m, line_fn *each, void *data, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(m->path, "re");
	char line[LINE_MAX_BYTES];
	unsigned bad = 0;
	int r = 0;

	if (!f || fseek(f, BODY_AT, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	while (r == 0 && fgets(line, sizeof line, f)) {
		size_t n = strlen(line);
		const char *text;

		line[strcspn(line, "\n")] = 0;
		text = checked(line);
		if (text)
			r = each(data, text, n, e);
		else
			bad++;
	}
	if (bad)
		log_warning("%s: %u damaged line%s passed over", m->path, bad, bad == 1 ? "" : "s");
	return r;
}

static int take_line(void *data, const char *text, size_t bytes, struct err *e)
{
	struct marks *m = data;
	char id[DB_ID_SIZE];
	long long next;

	if (sscanf(text, "P %lld %63[^\n]", &next, id) == 2) {
		struct pool_mark *p = pool_of(m, id);

		if (p->next)
			m->slack += (off_t)bytes;
		p->next = MAX(p->next, next);
	}
	return 0;
}

int marks_open(const char *path, bool *ret_exists, struct marks **ret, struct err *e)
{
	_cleanup_(marks_freep) struct marks *m = xcalloc(1, sizeof *m);
	int r = 0;

	m->path = xstrdup(path);
	m->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (m->fd < 0 && errno != ENOENT)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", path);
	*ret_exists = m->fd >= 0;
	if (m->fd >= 0) {
		m->end = lseek(m->fd, 0, SEEK_END);
		read_heads(m);
		r = each_line(m, take_line, m, e);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&m);
	return 0;
}

struct value_reader {
	int (*each)(void *data, const char *kind, const char *value, struct err *e);
	void *data;
};

static int value_line(void *data, const char *text, size_t bytes, struct err *e)
{
	const struct value_reader *v = data;
	char kind[16];
	char value[LINE_MAX_BYTES];

	if (sscanf(text, "V %15s %511s", kind, value) != 2)
		return 0;
	return v->each(v->data, kind, value, e);
}

int marks_values(const struct marks *m,
	int (*each)(void *data, const char *kind, const char *value, struct err *e), void *data,
	struct err *e)
{
	struct value_reader v = {each, data};

	return m->fd < 0 ? 0 : each_line(m, value_line, &v, e);
}

/* --- writing --- */

static int copy_value(void *data, const char *text, size_t bytes, struct err *e)
{
	struct strbuf b = {0};
	int r = 0;

	if (*text == 'V') {
		add_line(&b, text);
		r = outfile_add(data, b.s, b.len, e);
		sb_done(&b);
	}
	return r;
}

static void pool_line(struct strbuf *b, const struct pool_mark *p)
{
	_cleanup_(freep) char *text = xasprintf("P %lld %s", (long long)p->next, p->id);

	add_line(b, text);
}

static int write_whole(struct marks *m, struct outfile *f, struct err *e)
{
	struct strbuf b = {0};
	char head[HEAD_BYTES];
	char digest[SHA256_HEX];
	int r = outfile_open(f, m->path, e);

	for (int i = 0; i < HEADS && r == 0; i++) {
		m->count++;
		head_text(m, head);
		r = outfile_add(f, head, sizeof head, e);
	}
	for (size_t i = 0; i < m->pools; i++)
		pool_line(&b, &m->pool[i]);
	if (r == 0 && b.len)
		r = outfile_add(f, b.s, b.len, e);
	sb_done(&b);
	if (r == 0 && m->fd >= 0)
		r = each_line(m, copy_value, f, e);
	if (r == 0)
		r = outfile_end(f, digest, e);
	return r < 0 ? r : outfile_commit(f, e);
}

static int rewrite(struct marks *m, struct err *e)
{
	struct outfile f = {.fd = -1};
	int r = write_whole(m, &f, e);

	outfile_done(&f);
	if (r < 0)
		return err_prefix(e, "high-water marks");

	int fd = open(m->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	if (m->fd >= 0)
		close(m->fd);
	m->fd = fd;
	m->end = lseek(fd, 0, SEEK_END);
	m->slack = 0;
	return 0;
}

int marks_begin(struct marks *m, const struct marks_head *head, struct err *e)
{
	m->head = *head;
	return rewrite(m, e);
}

/* Where the disk is full or fails, what was not written stays in `pool` and goes with the next. */
static int append(struct marks *m, const struct strbuf *b, struct err *e)
{
	ssize_t n = pwrite(m->fd, b->s, b->len, m->end);

	if (n != (ssize_t)b->len)
		return err_errno(e, ERR_IO, n < 0 ? errno : ENOSPC, "high-water marks %s", m->path);
	m->end += n;
	return 0;
}

static int write_head(struct marks *m, struct err *e)
{
	char head[HEAD_BYTES];

	m->count++;
	head_text(m, head);
	if (pwrite(m->fd, head, sizeof head, (off_t)(m->count % HEADS) * HEAD_BYTES) !=
		(ssize_t)sizeof head)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	return 0;
}

static void note_one(struct marks *m, const struct db_mark *k, struct strbuf *b)
{
	_cleanup_(freep) char *text = NULL;
	struct pool_mark *p;
	size_t before = b->len;

	if (k->pool) {
		p = pool_of(m, k->pool);
		p->next = MAX(p->next, k->next);
		pool_line(b, p);
		m->slack += (off_t)(b->len - before);
	} else if (k->value) {
		text = xasprintf("V %s %s", k->kind, k->value);
		add_line(b, text);
	}
}

int marks_note(struct marks *m, int64_t seq, const struct db_mark *mark, size_t n, struct err *e)
{
	struct strbuf b = {0};
	bool exposed = false;
	int r = 0;

	m->head.seq = MAX(m->head.seq, seq);
	for (size_t i = 0; i < n; i++) {
		note_one(m, &mark[i], &b);
		exposed |= mark[i].exposed;
	}
	if (m->slack > SLACK_BYTES && m->slack > m->end / 2 && !exposed) {
		sb_done(&b);
		return rewrite(m, e);
	}
	if (b.len)
		r = append(m, &b, e);
	if (r == 0)
		r = write_head(m, e);
	if (r == 0 && exposed && fdatasync(m->fd) < 0)
		r = err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	sb_done(&b);
	return r;
}
