/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/spans.h"

#include <string.h>

struct span_page {
	struct span_page *next;
	size_t len;
	uint8_t bytes[SPAN_COPY_MAX];
};

static int grow(struct spans *s, struct err *e)
{
	size_t cap = s->cap ? s->cap * 2 : 16;
	struct span *list = reallocarray(s->list, cap, sizeof *list);

	if (!list)
		return err_set(e, ERR_NO_MEMORY, "an image of %zu parts", s->count);
	s->list = list;
	s->cap = cap;
	return 0;
}

int spans_add(struct spans *s, const uint8_t *p, uint64_t n, struct err *e)
{
	struct span *last = s->count ? &s->list[s->count - 1] : NULL;

	if (n == 0)
		return 0;
	if (last && ((p && last->p && last->p + last->n == p) || (!p && !last->p))) {
		last->n += n;
	} else {
		int r = s->count == s->cap ? grow(s, e) : 0;

		if (r < 0)
			return r;
		s->list[s->count++] = (struct span){p, n, s->bytes};
	}
	s->bytes += n;
	return 0;
}

int spans_add_copy(struct spans *s, const void *p, size_t n, struct err *e)
{
	if (n > SPAN_COPY_MAX)
		return err_set(e, ERR_INTERNAL, "a copied span of %zu bytes", n);
	if (!s->page || SPAN_COPY_MAX - s->page->len < n) {
		struct span_page *page = malloc(sizeof *page);

		if (!page)
			return err_set(e, ERR_NO_MEMORY, "an image of %zu parts", s->count);
		page->next = s->page;
		page->len = 0;
		s->page = page;
	}

	uint8_t *to = s->page->bytes + s->page->len;

	memcpy(to, p, n);
	s->page->len += n;
	return spans_add(s, to, n, e);
}

void spans_clear(struct spans *s)
{
	while (s->page) {
		struct span_page *next = s->page->next;

		free(s->page);
		s->page = next;
	}
	s->count = 0;
	s->bytes = 0;
}

void spans_done(struct spans *s)
{
	spans_clear(s);
	free(s->list);
	*s = (struct spans){0};
}

/* The span that holds the byte at offset, which is below s->bytes. */
static const struct span *span_at(const struct spans *s, uint64_t offset)
{
	size_t low = 0, high = s->count;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (s->list[mid].at <= offset)
			low = mid;
		else
			high = mid;
	}
	return &s->list[low];
}

uint64_t spans_run(const struct spans *s, uint64_t offset, uint64_t max, const uint8_t **ret)
{
	if (offset >= s->bytes)
		return 0;

	const struct span *x = span_at(s, offset);
	uint64_t in = offset - x->at;
	uint64_t n = MIN(x->n - in, max);

	*ret = x->p ? x->p + in : NULL;
	return n;
}

void spans_read(const struct spans *s, uint64_t offset, void *buf, size_t n)
{
	uint8_t *to = buf;

	while (n > 0) {
		const uint8_t *p = NULL;
		size_t k = (size_t)spans_run(s, offset, n, &p);

		if (k == 0)
			return;
		if (p)
			memcpy(to, p, k);
		else
			memset(to, 0, k);
		to += k;
		offset += k;
		n -= k;
	}
}
