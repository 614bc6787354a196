/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define DASH	      "\xe2\x80\x94 " /* U+2014 and a space (C2SP signed-note) */
#define ALG_ED25519   0x01	      /* C2SP signed-note: of a key id */
#define KEY_ID_BYTES  4
#define RAW_KEY_BYTES 32 /* at the end of its SubjectPublicKeyInfo (RFC 8410, 4) */
#define BLOB_BYTES    (KEY_ID_BYTES + CHECKPOINT_SIGNATURE)

/* --- the text --- */

size_t checkpoint_text(const struct checkpoint *c, char ret[CHECKPOINT_TEXT_BYTES])
{
	_cleanup_(freep) char *root = base64_of(c->root.b, sizeof c->root.b);
	char when[RFC3339_SIZE];
	int n = snprintf(ret, CHECKPOINT_TEXT_BYTES,
		CHECKPOINT_ORIGIN "%s\n%" PRId64 "\n%s\nepoch %s %" PRId64 "\ntime %s\n", c->host,
		c->size, root, c->epoch, c->generation, rfc3339(c->time_ms, when));

	return (size_t)n;
}

/* The next line, without its end; NULL where there is none. */
static char *next_line(char **rest)
{
	char *line = *rest;
	char *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = 0;
	*rest = end + 1;
	return line;
}

static bool read_id(const char *s, char ret[CHECKPOINT_HOST_SIZE])
{
	uint8_t raw[CHECKPOINT_HOST_SIZE / 2];

	if (strlen(s) != CHECKPOINT_HOST_SIZE - 1 || !hex_parse(s, raw, sizeof raw))
		return false;
	memcpy(ret, s, CHECKPOINT_HOST_SIZE);
	return true;
}

static bool read_count(const char *s, int64_t *ret)
{
	unsigned long long v = 0;
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 18 || s[n])
		return false;
	v = strtoull(s, NULL, 10);
	*ret = (int64_t)v;
	return true;
}

static bool read_origin(char *s, struct checkpoint *c)
{
	const size_t n = strlen(CHECKPOINT_ORIGIN);

	return !strncmp(s, CHECKPOINT_ORIGIN, n) && read_id(s + n, c->host);
}

static bool read_size(char *s, struct checkpoint *c)
{
	return read_count(s, &c->size);
}

static bool read_root(char *s, struct checkpoint *c)
{
	size_t n = 0;
	_cleanup_(freep) uint8_t *raw = base64_parse(s, &n);

	if (!raw || n != sizeof c->root.b)
		return false;
	memcpy(c->root.b, raw, n);
	return true;
}

static bool read_epoch(char *s, struct checkpoint *c)
{
	char *space = strncmp(s, "epoch ", 6) != 0 ? NULL : strchr(s + 6, ' ');

	if (!space)
		return false;
	*space = 0;
	return read_id(s + 6, c->epoch) && read_count(space + 1, &c->generation);
}

static bool read_time(char *s, struct checkpoint *c)
{
	return !strncmp(s, "time ", 5) && rfc3339_parse(s + 5, &c->time_ms) == 0;
}

static const struct {
	bool (*read)(char *s, struct checkpoint *c);
	const char *what;
} lines[] = {
	{read_origin, "the origin, '" CHECKPOINT_ORIGIN "' and 16 hex digits"},
	{read_size, "the number of records"},
	{read_root, "the root of the tree, 32 bytes in base64"},
	{read_epoch, "'epoch', 16 hex digits and a number"},
	{read_time, "'time' and a time"},
};

static int wrong_line(size_t i, struct err *e)
{
	return err_set(e, ERR_INVALID, "line %zu of the checkpoint: %s expected", i + 1,
		i < ARRAY_LEN(lines) ? lines[i].what : "its end");
}

int checkpoint_read(const char *text, size_t n, struct checkpoint *ret, struct err *e)
{
	char copy[CHECKPOINT_TEXT_BYTES], again[CHECKPOINT_TEXT_BYTES];
	struct checkpoint c = {0};
	char *rest = copy;

	if (n >= sizeof copy || memchr(text, 0, n))
		return err_set(e, ERR_INVALID,
			"the checkpoint has %zu bytes or a NUL: a text of at most %d bytes expected",
			n, CHECKPOINT_TEXT_BYTES - 1);
	memcpy(copy, text, n);
	copy[n] = 0;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char *line = next_line(&rest);

		if (!line || !lines[i].read(line, &c))
			return wrong_line(i, e);
	}
	if (*rest)
		return wrong_line(ARRAY_LEN(lines), e);
	if (checkpoint_text(&c, again) != n || memcmp(again, text, n) != 0)
		return err_set(e, ERR_INVALID,
			"the checkpoint is not written as provd writes one: no leading zeros, lower-case hex, and a time in UTC with milliseconds expected");
	*ret = c;
	return 0;
}

/* --- the note --- */

static void key_id(const char *origin, const struct x509_key *key, uint8_t ret[KEY_ID_BYTES])
{
	const uint8_t middle[] = {'\n', ALG_ED25519};
	struct sha256 *d = sha256_new();
	uint8_t full[SHA256_BYTES];

	sha256_add(d, origin, strlen(origin));
	sha256_add(d, middle, sizeof middle);
	sha256_add(d, key->der + key->der_bytes - RAW_KEY_BYTES, RAW_KEY_BYTES);
	sha256_end(d, full);
	sha256_free(d);
	memcpy(ret, full, KEY_ID_BYTES);
}

char *checkpoint_note(
	const char *text, const struct x509_key *key, const uint8_t signature[CHECKPOINT_SIGNATURE])
{
	_cleanup_(freep) char *origin = xasprintf("%.*s", (int)strcspn(text, "\n"), text);
	_cleanup_(freep) char *base64 = NULL;
	uint8_t blob[BLOB_BYTES];

	if (!key)
		return xasprintf("%s\n", text);
	key_id(origin, key, blob);
	memcpy(blob + KEY_ID_BYTES, signature, CHECKPOINT_SIGNATURE);
	base64 = base64_of(blob, sizeof blob);
	return xasprintf("%s\n" DASH "%s %s\n", text, origin, base64);
}

/* Bits that are left over at its end are zero: one text for each signature. */
static uint8_t *strict_base64(const char *s, size_t *ret_n)
{
	_cleanup_(freep) uint8_t *raw = base64_parse(s, ret_n);
	_cleanup_(freep) char *again = raw ? base64_of(raw, *ret_n) : NULL;

	return again && !strcmp(again, s) ? steal_ptr(&raw) : NULL;
}

/* A line of a signature: of whom, and its bytes (owned by the caller); NULL for what is none. */
static uint8_t *read_signature(char *line, const char **ret_name, size_t *ret_n)
{
	char *space;

	if (strncmp(line, DASH, strlen(DASH)) != 0)
		return NULL;
	*ret_name = line + strlen(DASH);
	space = strchr(*ret_name, ' ');
	if (!space || space == *ret_name)
		return NULL;
	*space = 0;
	return strict_base64(space + 1, ret_n);
}

/* Each line of the host's: its blob to found(); an error of it does not end the search. */
struct own_lines {
	uint8_t blob[8][BLOB_BYTES];
	size_t n;
};

static int read_lines(const char *s, const char *origin, struct own_lines *ret, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(s);
	char *rest = copy;
	char *line;

	ret->n = 0;
	while ((line = next_line(&rest))) {
		const char *name = NULL;
		size_t n = 0;
		_cleanup_(freep) uint8_t *raw = read_signature(line, &name, &n);

		if (!raw)
			return err_set(e, ERR_INVALID,
				"after the empty line of the checkpoint: '\xe2\x80\x94 NAME BASE64' expected");
		if (!strcmp(name, origin) && n == BLOB_BYTES && ret->n < ARRAY_LEN(ret->blob))
			memcpy(ret->blob[ret->n++], raw, n);
	}
	return *rest ? err_set(e, ERR_INVALID,
			       "the checkpoint is cut off: a line end expected at its end")
		     : 0;
}

static int open_note(const char *note, struct checkpoint *c, size_t *ret_text,
	struct own_lines *ret, struct err *e)
{
	const char *gap = strlen(note) < CHECKPOINT_NOTE_BYTES ? strstr(note, "\n\n") : NULL;
	_cleanup_(freep) char *origin = xasprintf("%.*s", (int)strcspn(note, "\n"), note);
	int r;

	if (!gap)
		return err_set(e, ERR_INVALID,
			"this is not a checkpoint: a text with an empty line after it expected, of at most %d bytes",
			CHECKPOINT_NOTE_BYTES - 1);
	*ret_text = (size_t)(gap - note) + 1;
	r = checkpoint_read(note, *ret_text, c, e);
	return r < 0 ? r : read_lines(gap + 2, origin, ret, e);
}

int checkpoint_note_read(
	const char *note, struct checkpoint *ret, size_t *ret_text, bool *ret_signed, struct err *e)
{
	struct own_lines own;
	int r = open_note(note, ret, ret_text, &own, e);

	if (r == 0 && ret_signed)
		*ret_signed = own.n > 0;
	return r;
}

int checkpoint_note_verify(const char *note, const struct x509_key *key, struct err *e)
{
	_cleanup_(freep) char *origin = xasprintf("%.*s", (int)strcspn(note, "\n"), note);
	struct checkpoint c;
	struct own_lines own;
	uint8_t id[KEY_ID_BYTES];
	size_t n;
	int r;

	if (key->alg != X509_ED25519)
		return err_set(e, ERR_INVALID,
			"checkpoints are signed by Ed25519, and this key is of the kind %s",
			x509_alg_name(key->alg));
	r = open_note(note, &c, &n, &own, e);
	if (r < 0)
		return r;
	key_id(origin, key, id);
	for (size_t i = 0; i < own.n; i++)
		if (!memcmp(own.blob[i], id, sizeof id))
			return x509_key_verify(
				key, note, n, own.blob[i] + sizeof id, CHECKPOINT_SIGNATURE, e);
	return own.n ? err_set(e, ERR_KEY_NOT_PROVEN,
			       "the checkpoint is signed by another key than the one given")
		     : err_set(e, ERR_KEY_NOT_PROVEN, "the checkpoint is not signed");
}
