/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/door.h"

#include <string.h>

#include "api/guard.h"
#include "base/digest.h"
#include "base/thread.h"

#define ID_BYTES 17 /* what names a token to the guard */

struct door {
	struct mutex lock;
	struct guard *guard;
	char (*known)[SHA256_HEX]; /* sorted */
	size_t count;
	bool wanted;
};

struct door *door_new(void)
{
	struct door *d = xcalloc(1, sizeof *d);

	mutex_init(&d->lock);
	d->guard = guard_new();
	return d;
}

struct door *door_free(struct door *d)
{
	if (!d)
		return NULL;
	guard_free(d->guard);
	free(d->known);
	mutex_done(&d->lock);
	free(d);
	return NULL;
}

int door_look(struct door *d, struct pool *p, const struct iotime *it, struct err *e)
{
	static const char sql[] = "SELECT secret_sha256 FROM tokens WHERE revoked_at IS NULL"
				  " ORDER BY secret_sha256 COLLATE \"C\"";
	struct pg_rows *rows = NULL;
	char(*known)[SHA256_HEX];
	size_t n;
	int r;

	mutex_lock(&d->lock);
	d->wanted = false;
	mutex_unlock(&d->lock);
	r = pool_read(p, &PG(sql), &rows, it, e);
	if (r < 0)
		return r;
	n = (size_t)pg_count(rows);
	known = xcalloc(n + 1, sizeof *known);
	for (size_t i = 0; i < n; i++)
		snprintf(known[i], sizeof known[i], "%s", pg_text(rows, (int)i, 0));
	pg_rows_free(rows);
	mutex_lock(&d->lock);
	free(d->known);
	d->known = known;
	d->count = n;
	mutex_unlock(&d->lock);
	return 0;
}

bool door_wants_look(struct door *d)
{
	bool wanted;

	mutex_lock(&d->lock);
	wanted = d->wanted;
	mutex_unlock(&d->lock);
	return wanted;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Its name for the guard; "" of what has not the form of a token. */
static void name_of(const char *text, char digest[SHA256_HEX], char ret[ID_BYTES])
{
	*digest = *ret = 0;
	if (!text)
		return;
	sha256_hex_of(text, strlen(text), digest);
	snprintf(ret, ID_BYTES, "%.16s", digest);
}

enum door_answer door_ask(
	struct door *d, const char *network, const char *text, unsigned *ret_wait_s)
{
	char digest[SHA256_HEX], id[ID_BYTES];
	bool known;

	name_of(text, digest, id);
	mutex_lock(&d->lock);
	known = text && d->count && bsearch(digest, d->known, d->count, sizeof *d->known, compare);
	*ret_wait_s = guard_wait_s(d->guard, network, id, known, now_us());
	if (text && !known && *ret_wait_s == 0)
		d->wanted = true;
	mutex_unlock(&d->lock);
	return *ret_wait_s ? DOOR_WAIT : known ? DOOR_OPEN : DOOR_UNKNOWN;
}

bool door_failed(struct door *d, const char *network, const char *text, unsigned *ret_failures)
{
	char digest[SHA256_HEX], id[ID_BYTES];
	struct guard_note note = {0};
	bool due;

	name_of(text, digest, id);
	mutex_lock(&d->lock);
	due = guard_failed(d->guard, network, id, true, now_us(), &note);
	d->wanted = d->wanted || text; /* it may have been valid until now */
	mutex_unlock(&d->lock);
	*ret_failures = note.failures;
	return due;
}
