/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/strbuf.h"
#include "base/util.h"

struct secret_set {
	char **value; /* longest first, so that one that holds another is masked whole */
	size_t count;
};

struct secret_set *secret_set_new(void)
{
	return xcalloc(1, sizeof(struct secret_set));
}

struct secret_set *secret_set_free(struct secret_set *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->count; i++) {
		secret_wipe(s->value[i], strlen(s->value[i]));
		free(s->value[i]);
	}
	free(s->value);
	free(s);
	return NULL;
}

int secret_set_add(struct secret_set *s, const char *value, struct err *e)
{
	size_t len = strlen(value);
	size_t at = 0;

	if (len < 4)
		return err_set(e, ERR_INVALID, "a secret needs at least 4 characters");
	while (at < s->count && strlen(s->value[at]) >= len)
		if (!strcmp(s->value[at++], value))
			return 0;

	char **grown = reallocarray(s->value, s->count + 1, sizeof *grown);

	if (!grown)
		abort();
	s->value = grown;
	memmove(grown + at + 1, grown + at, (s->count - at) * sizeof *grown);
	grown[at] = xstrdup(value);
	s->count++;
	return 0;
}

char *secret_mask(const struct secret_set *s, const char *text)
{
	struct strbuf out = {0};

	for (const char *p = text; *p;) {
		size_t hit = 0;

		for (size_t i = 0; s && i < s->count && !hit; i++) {
			size_t n = strlen(s->value[i]);

			if (!strncmp(p, s->value[i], n))
				hit = n;
		}
		if (hit)
			sb_add(&out, SECRET_MASK);
		else
			sb_add_n(&out, p, 1);
		p += hit ? hit : 1;
	}
	return sb_take(&out);
}

bool secret_set_empty(const struct secret_set *s)
{
	return !s || s->count == 0;
}

void secret_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}

void random_bytes(void *p, size_t n)
{
	uint8_t *b = p;

	while (n > 0) {
		ssize_t k = getrandom(b, n, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			abort();
		b += k;
		n -= (size_t)k;
	}
}
