/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <stdarg.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"

struct series {
	uint64_t hash;
	char *value[METRIC_LABELS]; /* owned, never changed: a copy of the series may point to it */
	uint64_t count;		    /* of a histogram: observations */
	uint64_t sum_us;
	uint64_t bucket[METRIC_BUCKETS]; /* not yet cumulative; without the last one, +Inf */
};

struct family {
	struct series *series;
	size_t n;
};

struct metrics {
	const struct metric_row *row;
	size_t rows;
	struct mutex lock;
	struct family *family; /* under lock */
};

struct metrics *metrics_new(const struct metric_row *rows)
{
	struct metrics *m = xcalloc(1, sizeof *m);

	m->row = rows;
	while (rows[m->rows].name)
		m->rows++;
	m->family = xcalloc(m->rows, sizeof *m->family);
	mutex_init(&m->lock);
	return m;
}

struct metrics *metrics_free(struct metrics *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->rows; i++) {
		for (size_t k = 0; k < m->family[i].n; k++)
			for (size_t v = 0; v < METRIC_LABELS; v++)
				free(m->family[i].series[k].value[v]);
		free(m->family[i].series);
	}
	free(m->family);
	mutex_done(&m->lock);
	free(m);
	return NULL;
}

/* --- counting --- */

static size_t label_count(const struct metric_row *row)
{
	size_t n = 0;

	while (row->label[n])
		n++;
	return n;
}

/* FNV-1a of the values, each with its end. */
static uint64_t hash_of(const char *const *values, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++) {
		const char *s = values[i] ? values[i] : "";

		for (size_t k = 0; k < METRIC_LABEL_MAX && s[k]; k++)
			h = (h ^ (unsigned char)s[k]) * 0x100000001b3;
		h = (h ^ 0xff) * 0x100000001b3;
	}
	return h;
}

static bool has_values(const struct series *s, const char *const *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(s->value[i], values[i] ? values[i] : "", METRIC_LABEL_MAX) != 0)
			return false;
	return true;
}

static struct series *add_series(
	struct family *f, const char *const *values, size_t n, uint64_t hash)
{
	struct series *s;

	f->series = reallocarray(f->series, f->n + 1, sizeof *f->series);
	if (!f->series)
		abort();
	s = &f->series[f->n++];
	*s = (struct series){.hash = hash};
	for (size_t i = 0; i < n; i++)
		s->value[i] = xasprintf("%.*s", METRIC_LABEL_MAX, values[i] ? values[i] : "");
	return s;
}

static struct series *series_locked(struct metrics *m, size_t row, const char *const *values)
	REQUIRES(m->lock)
{
	static const char *const other[METRIC_LABELS] = {
		METRIC_OVERFLOW, METRIC_OVERFLOW, METRIC_OVERFLOW, METRIC_OVERFLOW};
	struct family *f = &m->family[row];
	const size_t n = label_count(&m->row[row]);
	const uint64_t hash = hash_of(values, n);

	for (size_t i = 0; i < f->n; i++)
		if (f->series[i].hash == hash && has_values(&f->series[i], values, n))
			return &f->series[i];
	/* The last place is kept for all others. */
	if (f->n + 1 >= m->row[row].most && values != other)
		return series_locked(m, row, other);
	return add_series(f, values, n, hash);
}

void metrics_count(struct metrics *m, size_t row, const char *const *values, uint64_t by)
{
	mutex_lock(&m->lock);
	series_locked(m, row, values)->count += by;
	mutex_unlock(&m->lock);
}

void metrics_observe(struct metrics *m, size_t row, const char *const *values, uint64_t us)
{
	const uint64_t *bound = m->row[row].bounds_us;
	struct series *s;
	size_t i = 0;

	while (bound[i] && us > bound[i])
		i++;
	mutex_lock(&m->lock);
	s = series_locked(m, row, values);
	s->count++;
	s->sum_us += us;
	if (bound[i])
		s->bucket[i]++;
	mutex_unlock(&m->lock);
}

/* --- printing --- */

void metric_head(struct strbuf *b, const char *name, const char *type, const char *help)
{
	sb_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label(struct strbuf *b, const char *name, const char *value, bool first)
{
	sb_addf(b, "%c%s=\"", first ? '{' : ',', name);
	for (const char *p = value; *p; p++) {
		if (*p == '\n')
			sb_add(b, "\\n");
		else
			sb_addf(b, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	}
	sb_add(b, "\"");
}

void metric_value(struct strbuf *b, const char *name, double value, ...)
{
	const char *label;
	bool first = true;
	va_list ap;

	sb_add(b, name);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *))) {
		const char *text = va_arg(ap, const char *);

		add_label(b, label, text, first);
		first = false;
	}
	va_end(ap);
	sb_addf(b, "%s %.15g\n", first ? "" : "}", value);
}

static void add_labels(struct strbuf *b, const struct metric_row *row, const struct series *s)
{
	for (size_t i = 0; row->label[i]; i++)
		add_label(b, row->label[i], s->value[i], i == 0);
}

/* 1500000 is 1.5. */
static void add_seconds(struct strbuf *b, uint64_t us)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%llu.%06llu", (unsigned long long)(us / US_PER_S),
		(unsigned long long)(us % US_PER_S));

	while (text[n - 1] == '0')
		text[--n] = 0;
	if (text[n - 1] == '.')
		text[--n] = 0;
	sb_add(b, text);
}

static void print_bucket(struct strbuf *b, const struct metric_row *row, const struct series *s,
	uint64_t bound_us, uint64_t count)
{
	sb_addf(b, "%s_bucket", row->name);
	add_labels(b, row, s);
	sb_addf(b, "%cle=\"", row->label[0] ? ',' : '{');
	if (bound_us)
		add_seconds(b, bound_us);
	else
		sb_add(b, "+Inf");
	sb_addf(b, "\"} %llu\n", (unsigned long long)count);
}

static void print_sum(struct strbuf *b, const struct metric_row *row, const struct series *s)
{
	const char *end = row->label[0] ? "} " : " ";

	sb_addf(b, "%s_sum", row->name);
	add_labels(b, row, s);
	sb_add(b, end);
	add_seconds(b, s->sum_us);
	sb_addf(b, "\n%s_count", row->name);
	add_labels(b, row, s);
	sb_addf(b, "%s%llu\n", end, (unsigned long long)s->count);
}

static void print_series(struct strbuf *b, const struct metric_row *row, const struct series *s)
{
	uint64_t below = 0;

	if (row->type == METRIC_COUNTER) {
		sb_add(b, row->name);
		add_labels(b, row, s);
		sb_addf(b, "%s%llu\n", row->label[0] ? "} " : " ", (unsigned long long)s->count);
		return;
	}
	for (size_t i = 0; row->bounds_us[i]; i++) {
		below += s->bucket[i];
		print_bucket(b, row, s, row->bounds_us[i], below);
	}
	print_bucket(b, row, s, 0, s->count);
	print_sum(b, row, s);
}

/* Text is made of a copy: who counts waits for no scrape. */
static struct family copy_family(struct metrics *m, size_t row)
{
	struct family copy;

	mutex_lock(&m->lock);
	copy.n = m->family[row].n;
	copy.series = xcalloc(copy.n + 1, sizeof *copy.series);
	if (copy.n)
		memcpy(copy.series, m->family[row].series, copy.n * sizeof *copy.series);
	mutex_unlock(&m->lock);
	return copy;
}

void metrics_print(struct metrics *m, struct strbuf *b)
{
	for (size_t i = 0; i < m->rows; i++) {
		struct family f = copy_family(m, i);

		metric_head(b, m->row[i].name,
			m->row[i].type == METRIC_COUNTER ? "counter" : "histogram", m->row[i].help);
		for (size_t k = 0; k < f.n; k++)
			print_series(b, &m->row[i], &f.series[k]);
		free(f.series);
	}
}
