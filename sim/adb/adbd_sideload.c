/* SPDX-License-Identifier: Apache-2.0
 *
 * A recovery that takes a package: it asks for blocks in its own order and more than once, as a
 * recovery does that reads a ZIP's directory first, checks the signature and then installs. What it
 * got is kept as <unit's directory>/sideload.zip.
 */
#include "sim/adb/adbd.h"

#include <errno.h>

struct sideload {
	FILE *file;
	uint64_t size, block;
	uint64_t blocks, step, steps;
	uint64_t asked; /* block that is awaited */
	uint64_t want;	/* bytes of it that are missing */
	bool waiting;
	bool old; /* the host pushes everything */
};

static struct sideload *sideload_new(struct adbd *d)
{
	struct sideload *l = xcalloc(1, sizeof *l);
	_cleanup_(freep) char *path = xasprintf("%s/sideload.zip", d->dir);

	l->file = fopen(path, "w+e");
	if (!l->file) {
		free(l);
		return NULL;
	}
	return l;
}

/* The last block, the first, then all of them twice. */
static uint64_t block_at(const struct sideload *l, uint64_t step)
{
	if (step == 0)
		return l->blocks - 1;
	if (step == 1)
		return 0;
	return (step - 2) % l->blocks;
}

static bool sideload_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	struct sideload *l;
	char *end;

	if (s->d->mode != ADBD_SIDELOAD || !strcmp(adbd_setting(s->d, "adb-old-sideload"), "1"))
		return false;
	l = sideload_new(s->d);
	if (!l)
		return false;
	s->state = l;
	l->size = strtoull(arg, &end, 10);
	l->block = *end == ':' ? strtoull(end + 1, NULL, 10) : 0;
	if (!l->size || !l->block)
		return false;
	l->blocks = (l->size + l->block - 1) / l->block;
	l->steps = 2 + 2 * l->blocks;
	s->due_us = 0;
	return true;
}

static void finish(struct adbd_stream *s)
{
	if (!adbd_hit(s->d, AF_SIDELOAD_DIE))
		adbd_stream_say(s, adbd_hit(s->d, AF_SIDELOAD_FAIL) ? "FAILFAIL" : "DONEDONE");
	s->ended = true;
}

static void sideload_more(struct adbd_stream *s, uint64_t now_us)
{
	struct sideload *l = s->state;
	char ask[32];

	if (l->waiting || l->old)
		return;
	if (l->step == l->steps) {
		finish(s);
		return;
	}
	l->asked = block_at(l, l->step++);
	if (adbd_hit(s->d, AF_SIDELOAD_PAST))
		l->asked = l->blocks;
	l->want = MIN(l->block, l->size - MIN(l->size, l->asked * l->block));
	l->waiting = true;
	if (fseek(l->file, (long)(l->asked * l->block), SEEK_SET) < 0)
		s->ended = true;
	snprintf(ask, sizeof ask, "%08llu", (unsigned long long)l->asked);
	adbd_stream_say(s, ask);
}

static void sideload_input(struct adbd_stream *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct sideload *l = s->state;

	if (n > l->want || fwrite(p, 1, n, l->file) != n) {
		s->ended = true;
		return;
	}
	l->want -= n;
	if (l->want)
		return;
	fflush(l->file);
	l->waiting = false;
	s->due_us = 0;
	if (l->old) {
		adbd_stream_say(s, adbd_hit(s->d, AF_SIDELOAD_FAIL) ? "FAIL" : "OKAY");
		s->ended = true;
	}
}

static void sideload_done(struct adbd_stream *s)
{
	struct sideload *l = s->state;

	if (l)
		fclosep(&l->file);
	free(l);
}

static bool old_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	struct sideload *l;

	if (s->d->mode != ADBD_SIDELOAD || strcmp(adbd_setting(s->d, "adb-old-sideload"), "1"))
		return false;
	l = sideload_new(s->d);
	if (!l)
		return false;
	s->state = l;
	l->old = true;
	l->size = l->want = strtoull(arg, NULL, 10);
	return l->size > 0;
}

const struct adbd_service adbd_service_sideload = {
	.prefix = "sideload-host:",
	.open = sideload_open,
	.input = sideload_input,
	.more = sideload_more,
	.done = sideload_done,
};

const struct adbd_service adbd_service_sideload_old = {
	.prefix = "sideload:",
	.open = old_open,
	.input = sideload_input,
	.done = sideload_done,
};
