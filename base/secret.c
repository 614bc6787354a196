/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/strbuf.h"
#include "base/util.h"

#define SECRET_MIN 4

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

static void add_form(struct secret_set *s, const char *value, size_t len)
{
	size_t at = 0;

	if (len < SECRET_MIN)
		return;
	while (at < s->count && strlen(s->value[at]) >= len)
		if (!strncmp(s->value[at++], value, len + 1))
			return;

	char **grown = reallocarray(s->value, s->count + 1, sizeof *grown);

	if (!grown)
		abort();
	s->value = grown;
	memmove(grown + at + 1, grown + at, (s->count - at) * sizeof *grown);
	grown[at] = strndup(value, len);
	if (!grown[at])
		abort();
	s->count++;
}

/* A byte in `chars` gets `before` in front of it. */
static const struct {
	const char *chars, *before;
} quotings[] = {
	{"\\^$.[]|()?*+{}#-/ ", "\\"},		       /* a pattern of a recipe */
	{" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "\\"}, /* a pattern that provd makes */
	{"\"\\", "\\"},				       /* JSON */
	{"'", "'\\'"},				       /* a shell */
};

static void add_forms(struct secret_set *s, const char *value, size_t len)
{
	struct strbuf b = {0};

	add_form(s, value, len);
	for (size_t q = 0; q < ARRAY_LEN(quotings); q++) {
		for (size_t i = 0; i < len; i++) {
			if (strchr(quotings[q].chars, value[i]))
				sb_add(&b, quotings[q].before);
			sb_add_n(&b, value + i, 1);
		}
		add_form(s, b.s, b.len);
		secret_wipe(b.s, b.len);
		sb_clear(&b);
	}
	sb_add_escaped(&b, value, len);
	add_form(s, b.s, b.len);
	secret_wipe(b.s, b.len);
	sb_done(&b);
}

int secret_set_add(struct secret_set *s, const char *value, struct err *e)
{
	size_t len = strlen(value);

	if (len < SECRET_MIN)
		return err_set(e, ERR_INVALID, "a secret needs at least %d characters", SECRET_MIN);
	add_forms(s, value, len);
	/* What is read and logged by lines. The frame of a PEM file is the same in all of them. */
	for (const char *p = value; *p;) {
		size_t n = strcspn(p, "\r\n");

		if (n < len && n >= SECRET_MIN && strncmp(p, "-----", 5) != 0)
			add_forms(s, p, n);
		p += n + strspn(p + n, "\r\n");
	}
	return 0;
}

/* Bytes of a secret at p; 0: none begins there. */
static size_t secret_at(const struct secret_set *s, const char *p)
{
	for (size_t i = 0; s && i < s->count; i++) {
		size_t n = strlen(s->value[i]);

		if (!strncmp(p, s->value[i], n))
			return n;
	}
	return 0;
}

static size_t cut_secret_at(const struct secret_set *s, const char *p)
{
	for (size_t i = 0; s && i < s->count; i++) {
		size_t n = 0;

		while (p[n] && p[n] == s->value[i][n])
			n++;
		if (n >= SECRET_MIN && (!p[n] || strchr("'\"\n", p[n]) || !strncmp(p + n, "..", 2)))
			return n;
	}
	return 0;
}

bool secret_found(const struct secret_set *s, const char *text)
{
	for (const char *p = text; *p; p++)
		if (secret_at(s, p))
			return true;
	return false;
}

bool secret_found_in(const struct secret_set *s, const void *p, size_t n)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (memmem(p, n, s->value[i], strlen(s->value[i])))
			return true;
	return false;
}

size_t secret_longest(const struct secret_set *s)
{
	return s && s->count ? strlen(s->value[0]) : 0;
}

static char *mask(const struct secret_set *s, const char *text, bool cut)
{
	struct strbuf out = {0};

	for (const char *p = text; *p;) {
		size_t hit = secret_at(s, p);

		if (!hit && cut)
			hit = cut_secret_at(s, p);
		if (hit)
			sb_add(&out, SECRET_MASK);
		else
			sb_add_n(&out, p, 1);
		p += hit ? hit : 1;
	}
	return sb_take(&out);
}

char *secret_mask(const struct secret_set *s, const char *text)
{
	return mask(s, text, false);
}

char *secret_mask_cut(const struct secret_set *s, const char *text)
{
	return mask(s, text, true);
}

bool secret_set_empty(const struct secret_set *s)
{
	return !s || s->count == 0;
}

void secret_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}

void *secret_alloc(size_t n)
{
	return malloc(n);
}

void *secret_calloc(size_t count, size_t n)
{
	return calloc(count, n);
}

void secret_free(void *p)
{
	if (!p)
		return;
	secret_wipe(p, malloc_usable_size(p));
	free(p);
}

void *secret_realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *moved;

	if (p && n > 0 && n <= had)
		return p;
	moved = malloc(n);
	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, MIN(n, had));
	secret_free(p);
	return moved;
}

char *secret_strdup(const char *s)
{
	return strdup(s);
}

static void *openssl_alloc(size_t n, const char *file, int line)
{
	return n > 0 ? secret_alloc(n) : NULL;
}

/* OpenSSL takes a size of 0 for an end. */
static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
	if (n > 0)
		return secret_realloc(p, n);
	secret_free(p);
	return NULL;
}

static void openssl_free(void *p, const char *file, int line)
{
	secret_free(p);
}

void secret_libraries_wipe(void)
{
	json_set_alloc_funcs(secret_alloc, secret_free);
	/* Refused where OpenSSL has memory already: a mistake in main(). */
	if (!CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free))
		abort();
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
