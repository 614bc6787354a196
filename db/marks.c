/* SPDX-License-Identifier: Apache-2.0 */
#include "db/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
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
	enum marks_state state;
	bool worn;			  /* to be written again */
	bool old;			  /* the lines have no numbers */
	char flaw[128];			  /* what is torn or damaged */
	char machine[MARKS_MACHINE_SIZE]; /* of the file, "" none */
	char bound[MARKS_MACHINE_SIZE];	  /* of what is written */
	uint64_t count;			  /* of header writes */
	uint64_t lines, synced;
	off_t end;   /* of the last whole line */
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

enum marks_state marks_state(const struct marks *m)
{
	return m->state;
}

const char *marks_flaw(const struct marks *m)
{
	return m->flaw;
}

bool marks_worn(const struct marks *m)
{
	return m->worn;
}

const char *marks_machine(const struct marks *m)
{
	return m->machine;
}

void marks_bind(struct marks *m, const char *machine)
{
	if (!machine[0])
		return;
	snprintf(m->bound, sizeof m->bound, "%s", machine);
	m->worn |= m->fd >= 0 && !m->machine[0];
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

static void numbered(struct strbuf *b, uint64_t n, const char *text)
{
	_cleanup_(freep) char *line = xasprintf("%llu %s", (unsigned long long)n, text);

	add_line(b, line);
}

static void head_text(const struct marks *m, uint64_t count, char buf[HEAD_BYTES])
{
	struct strbuf b = {0};
	_cleanup_(freep) char *text = xasprintf("H2 %llu %s %lld %lld %llu %llu %s",
		(unsigned long long)count, m->head.epoch, (long long)m->head.generation,
		(long long)m->head.seq, (unsigned long long)m->lines, (unsigned long long)m->synced,
		m->bound[0] ? m->bound : "-");

	add_line(&b, text);
	memset(buf, ' ', HEAD_BYTES);
	memcpy(buf, b.s, MIN(b.len, (size_t)HEAD_BYTES - 1));
	buf[HEAD_BYTES - 1] = '\n';
	sb_done(&b);
}

/* One of the two, as it was read. */
struct slot {
	struct marks_head head;
	unsigned long long count, lines, synced;
	char machine[MARKS_MACHINE_SIZE];
	bool old;
};

static bool parse_head(char buf[HEAD_BYTES + 1], struct slot *ret)
{
	struct slot s = {0};
	long long generation;
	long long seq;
	const char *text;

	buf[strcspn(buf, "\n")] = 0;
	text = checked(buf);
	if (!text)
		return false;
	if (sscanf(text, "H2 %llu %16s %lld %lld %llu %llu %16s", &s.count, s.head.epoch,
		    &generation, &seq, &s.lines, &s.synced, s.machine) != 7) {
		if (sscanf(text, "H %llu %16s %lld %lld", &s.count, s.head.epoch, &generation,
			    &seq) != 4)
			return false;
		s.old = true;
	}
	s.head.generation = generation;
	s.head.seq = seq;
	*ret = s;
	return true;
}

static void damaged(struct marks *m, enum marks_state state, const char *flaw)
{
	if (m->state < state) {
		m->state = state;
		snprintf(m->flaw, sizeof m->flaw, "%s", flaw);
	}
}

/* The newer of the two. No crash damages one: they lie in one sector, and each is whole before the
 * next is written. So where one is missing, the newest commit is not known. */
static void read_heads(struct marks *m, bool *ret_old)
{
	struct slot slot[HEADS] = {0};
	const struct slot *best = NULL;
	int good = 0;

	for (int i = 0; i < HEADS; i++) {
		char buf[HEAD_BYTES + 1] = {0};

		if (pread(m->fd, buf, HEAD_BYTES, (off_t)i * HEAD_BYTES) != HEAD_BYTES ||
			!parse_head(buf, &slot[i]))
			continue;
		good++;
		if (!best || slot[i].count > best->count)
			best = &slot[i];
	}
	if (best) {
		if (strcmp(best->machine, "-") != 0)
			snprintf(m->machine, sizeof m->machine, "%s", best->machine);
		memcpy(m->bound, m->machine, sizeof m->bound);
		m->head = best->head;
		m->count = best->count;
		m->lines = best->lines;
		m->synced = best->synced;
	}
	*ret_old = best && best->old;
	if (good < HEADS)
		damaged(m, MARKS_DAMAGED, good ? "one of its two headers" : "both of its headers");
	else if (!best->old && (slot[0].old || slot[1].old || best != &slot[best->count % HEADS] ||
				       slot[0].count + slot[1].count != 2 * best->count - 1))
		damaged(m, MARKS_DAMAGED, "its headers are not of one time");
}

typedef int line_fn(void *data, const char *text, size_t bytes, struct err *e);

/* What the lines of a file look like. */
struct body {
	uint64_t whole; /* lines in order, from the first on */
	off_t end;	/* of the last of them */
	uint64_t bad;	/* the first line that is not whole, or not the next one; 0: none */
	bool bad_last;	/* it is the last one */
};

/* The fact of a line, NULL where it is not whole; *ret_number as it says, or `next` of an old one.
 */
static const char *fact(char *line, size_t bytes, bool old, uint64_t next, uint64_t *ret_number)
{
	const char *text;
	char *end;

	if (bytes == 0 || line[bytes - 1] != '\n' || strlen(line) != bytes)
		return NULL;
	line[bytes - 1] = 0;
	text = checked(line);
	*ret_number = next;
	if (!text || old)
		return text;
	*ret_number = strtoull(text, &end, 10);
	return *end == ' ' && end > text ? end + 1 : NULL;
}

/* Each good line, also after one that is not. */
static int each_line(
	const struct marks *m, bool old, line_fn *each, void *data, struct body *ret, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(m->path, "re");
	_cleanup_(freep) char *line = NULL;
	struct body b = {.end = BODY_AT};
	size_t size = 0;
	ssize_t n;
	int r = 0;

	if (!f || fseek(f, BODY_AT, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	while (r == 0 && (n = getline(&line, &size, f)) > 0) {
		uint64_t number;
		const char *text = fact(line, (size_t)n, old, b.whole + 1, &number);

		b.bad_last = false;
		if (text)
			r = each(data, text, (size_t)n, e);
		if (text && !b.bad && number == b.whole + 1) {
			b.whole++;
			b.end += n;
		} else if (!b.bad) {
			b.bad = b.whole + 1;
			b.bad_last = true;
		}
	}
	if (ferror(f) && !b.bad)
		b.bad = b.whole + 1; /* a line that cannot be read does not end the file */
	*ret = b;
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

static void judge(struct marks *m, bool old, const struct body *b)
{
	char flaw[sizeof m->flaw];

	m->worn = old || b->bad != 0;
	m->end = b->end;
	snprintf(flaw, sizeof flaw, "line %llu of %llu", (unsigned long long)b->whole + 1,
		(unsigned long long)MAX(m->lines, b->bad));
	if (old && b->bad)
		damaged(m, b->bad_last ? MARKS_TORN : MARKS_DAMAGED, flaw);
	else if (!old && b->whole < m->lines)
		damaged(m, b->whole < m->synced ? MARKS_DAMAGED : MARKS_TORN, flaw);
	m->worn |= m->state != MARKS_WHOLE;
	m->lines = b->whole;
	m->synced = MIN(m->synced, m->lines);
}

static int read_file(struct marks *m, struct err *e)
{
	struct body b = {0};
	bool old;
	int r;

	read_heads(m, &old);
	r = each_line(m, old, take_line, m, &b, e);
	if (r == 0)
		judge(m, old, &b);
	m->old = old;
	return r;
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
	if (m->fd >= 0)
		r = read_file(m, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&m);
	return 0;
}

void marks_raise(struct marks *m, const char *pool, int64_t next)
{
	struct pool_mark *p = pool_of(m, pool);

	p->next = MAX(p->next, next);
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
	struct body b = {0};

	return m->fd < 0 ? 0 : each_line(m, m->old, value_line, &v, &b, e);
}

/* --- writing --- */

struct copy {
	struct outfile *f;
	uint64_t lines;
};

static int copy_value(void *data, const char *text, size_t bytes, struct err *e)
{
	struct copy *c = data;
	struct strbuf b = {0};
	int r = 0;

	if (*text == 'V') {
		numbered(&b, ++c->lines, text);
		r = outfile_add(c->f, b.s, b.len, e);
		sb_done(&b);
	}
	return r;
}

static void pool_line(struct strbuf *b, uint64_t n, const struct pool_mark *p)
{
	_cleanup_(freep) char *text = xasprintf("P %lld %s", (long long)p->next, p->id);

	numbered(b, n, text);
}

/* The headers come last: they say how many lines there are. */
static int write_heads(struct marks *next, struct outfile *f, struct err *e)
{
	char head[HEADS * HEAD_BYTES];

	for (int i = 0; i < HEADS; i++, next->count++)
		head_text(next, next->count + 1, head + (next->count + 1) % HEADS * HEAD_BYTES);
	return pwrite(f->fd, head, sizeof head, 0) == (ssize_t)sizeof head
		       ? 0
		       : err_errno(e, ERR_IO, errno, "high-water marks %s", next->path);
}

/* `next` is what the file says once it has its name. */
static int write_whole(const struct marks *m, struct marks *next, struct outfile *f, struct err *e)
{
	static const char room[HEADS * HEAD_BYTES];
	struct copy c = {f, 0};
	struct strbuf b = {0};
	struct body body = {0};
	char digest[SHA256_HEX];
	int r = outfile_open(f, m->path, e);

	if (r == 0)
		r = outfile_add(f, room, sizeof room, e);
	for (size_t i = 0; i < m->pools; i++)
		pool_line(&b, ++c.lines, &m->pool[i]);
	if (r == 0 && b.len)
		r = outfile_add(f, b.s, b.len, e);
	sb_done(&b);
	if (r == 0 && m->fd >= 0)
		r = each_line(m, m->old, copy_value, &c, &body, e);
	next->lines = next->synced = c.lines;
	if (r == 0)
		r = write_heads(next, f, e);
	if (r == 0)
		r = outfile_end(f, digest, e);
	return r < 0 ? r : outfile_commit(f, e);
}

static int rewrite(struct marks *m, struct err *e)
{
	struct outfile f = {.fd = -1};
	struct marks next = *m;
	int r = write_whole(m, &next, &f, e);

	outfile_done(&f);
	if (r < 0)
		return err_prefix(e, "high-water marks");

	next.fd = open(m->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (next.fd < 0) {
		m->worn = true; /* m->fd is the file that has lost its name */
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	}
	if (m->fd >= 0)
		close(m->fd);
	*m = next;
	m->end = lseek(m->fd, 0, SEEK_END);
	m->slack = 0;
	m->state = MARKS_WHOLE;
	memcpy(m->machine, m->bound, sizeof m->machine);
	m->worn = m->old = false;
	m->flaw[0] = 0;
	return 0;
}

int marks_begin(struct marks *m, const struct marks_head *head, struct err *e)
{
	const struct marks_head before = m->head;
	int r;

	m->head = *head;
	r = rewrite(m, e);
	if (r < 0)
		m->head = before;
	return r;
}

/* Where the disk is full or fails, the file is as before, and the caller gets the
 * error. */
static int append(struct marks *m, const struct strbuf *b, uint64_t lines, struct err *e)
{
	ssize_t n = pwrite(m->fd, b->s, b->len, m->end);

	if (n != (ssize_t)b->len) {
		err_errno(e, ERR_IO, n < 0 ? errno : ENOSPC, "high-water marks %s", m->path);
		if (ftruncate(m->fd, m->end) < 0)
			m->worn = true; /* a part of a line is there */
		return -(int)e->code;
	}
	m->end += n;
	m->lines += lines;
	return 0;
}

static int write_head(struct marks *m, struct err *e)
{
	char head[HEAD_BYTES];

	head_text(m, m->count + 1, head);
	if (pwrite(m->fd, head, sizeof head, (off_t)((m->count + 1) % HEADS) * HEAD_BYTES) !=
		(ssize_t)sizeof head)
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	m->count++;
	return 0;
}

/* Until the second header is on disk, a power cut may leave the first one without the lines that it
 * counts; afterwards that is damage. The second one needs no sync: without it less is claimed. */
static int sync_lines(struct marks *m, struct err *e)
{
	if (fdatasync(m->fd) < 0) {
		m->worn = true; /* the next sync would not speak for these bytes */
		return err_errno(e, ERR_IO, errno, "high-water marks %s", m->path);
	}
	m->synced = m->lines;
	return write_head(m, e);
}

static uint64_t note_one(struct marks *m, const struct db_mark *k, uint64_t n, struct strbuf *b)
{
	_cleanup_(freep) char *text = NULL;
	struct pool_mark *p;
	size_t before = b->len;

	if (k->pool) {
		p = pool_of(m, k->pool);
		p->next = MAX(p->next, k->next);
		pool_line(b, n, p);
		m->slack += (off_t)(b->len - before);
	} else if (k->value) {
		text = xasprintf("V %s %s", k->kind, k->value);
		numbered(b, n, text);
	}
	return b->len > before ? 1 : 0;
}

/* What must not be added to, and what is mostly of no use, is written again. */
static bool wants_rewrite(const struct marks *m)
{
	return m->worn || (m->slack > SLACK_BYTES && m->slack > m->end / 2);
}

int marks_note(struct marks *m, int64_t seq, const struct db_mark *mark, size_t n, struct err *e)
{
	struct strbuf b = {0};
	bool exposed = false;
	uint64_t lines = 0;
	int r = 0;

	m->head.seq = MAX(m->head.seq, seq);
	if (wants_rewrite(m))
		r = rewrite(m, e);
	for (size_t i = 0; i < n; i++) {
		lines += note_one(m, &mark[i], m->lines + lines + 1, &b);
		exposed |= mark[i].exposed;
	}
	if (r == 0 && b.len)
		r = append(m, &b, lines, e);
	if (r == 0)
		r = write_head(m, e);
	if (r == 0 && exposed)
		r = sync_lines(m, e);
	sb_done(&b);
	return r;
}

int marks_probe(struct marks *m, struct err *e)
{
	const struct db_mark again = {.pool = m->pools ? m->pool[0].id : NULL,
		.next = m->pools ? m->pool[0].next : 0,
		.exposed = true};

	return marks_note(m, 0, &again, 1, e);
}
