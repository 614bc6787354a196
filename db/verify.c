/* SPDX-License-Identifier: Apache-2.0 */
#include "db/attachments.h"
#include "db/verify_impl.h"

#include <stdarg.h>

#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/util.h"

#define SHOWN 60 /* bytes of a value in a sentence */

void verify_found(struct verify *v, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	/* Of a file that others made: nothing in it acts on a terminal, or cuts a character. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	v->res->findings++;
	v->o->found(v->o->data, text);
}

const char *verify_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

bool verify_canonical(const json_t *o, const char *text)
{
	_cleanup_(freep) char *again = NULL;

	return jcs(o, &again, NULL) == 0 && !strcmp(again, text);
}

int verify_note(const struct verify *v, const char *note, const char *own, struct err *e)
{
	struct x509_key key = {0};
	int r = -ERR_KEY_NOT_PROVEN;

	for (size_t i = 0; i < v->o->keys; i++)
		if (v->o->key[i].alg == X509_ED25519) {
			r = checkpoint_note_verify(note, &v->o->key[i], e);
			if (r == 0)
				return 0;
		}
	if (v->o->keys > 0)
		return r == -ERR_KEY_NOT_PROVEN && !e->msg[0]
			       ? err_set(e, ERR_KEY_NOT_PROVEN,
					 "no key of the kind ed25519 was given, which checkpoints are signed by")
			       : r;
	if (!own || !*own)
		return err_set(e, ERR_KEY_NOT_PROVEN, "there is no key to verify it with");
	r = x509_key_read(own, &key, e);
	if (r == 0)
		r = checkpoint_note_verify(note, &key, e);
	x509_key_done(&key);
	return r;
}

/* --- differences --- */

struct place {
	struct verify *v;
	const char *who;
	struct strbuf path;
};

/* A value as it is shown, cut. */
static char *shown(const json_t *j)
{
	char *text = NULL;

	if (!j)
		return xstrdup("nothing");
	if (jcs(j, &text, NULL) < 0)
		return xstrdup("another kind of number");
	if (strlen(text) > SHOWN) {
		size_t n = SHOWN;

		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		memcpy(text + n, "...", 4);
	}
	return text;
}

static void say(struct place *p, const json_t *recorded, const json_t *there)
{
	_cleanup_(freep) char *was = shown(recorded);
	_cleanup_(freep) char *is = shown(there);

	verify_found(p->v, "%s: %s: %s was recorded, %s is there", p->who,
		p->path.s ? p->path.s : "all", was, is);
}

static size_t enter(struct place *p, const char *name)
{
	size_t before = p->path.len;

	if (before)
		sb_add(&p->path, ", ");
	sb_add(&p->path, name);
	return before;
}

static void leave(struct place *p, size_t before)
{
	p->path.len = before;
	if (p->path.s)
		p->path.s[before] = 0;
}

/* "3 'flash'": what people call an entry of a list. */
static char *entry_name(size_t i, const json_t *entry)
{
	static const char *const names[] = {"id", "name", "value"};
	const json_t *n = json_object_get(entry, "n");
	long long number = json_is_integer(n) ? json_integer_value(n) : (long long)i + 1;

	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		if (*verify_text(entry, names[k]))
			return xasprintf("%lld '%s'", number, verify_text(entry, names[k]));
	return xasprintf("%lld", number);
}

static bool is_same(const json_t *a, const json_t *b)
{
	_cleanup_(freep) char *x = NULL;
	_cleanup_(freep) char *y = NULL;

	return a && b && jcs(a, &x, NULL) == 0 && jcs(b, &y, NULL) == 0 && !strcmp(x, y);
}

static void compare(struct place *p, const json_t *recorded, const json_t *there);

static bool is_in(const struct place *p, const char *list)
{
	return p->path.s && !strncmp(p->path.s, list, strlen(list));
}

/* What a later run or a person may add: the end of an act that was open, the delivery of a certificate
 * that was issued, the set that a value belongs to. */
static bool may_come_later(
	const struct place *p, const char *name, const json_t *recorded, const json_t *there)
{
	const char *was = json_string_value(recorded), *is = json_string_value(there);

	if (is_in(p, "certificates "))
		return !strcmp(name, "state") && was && is && !strcmp(was, "issued") &&
		       !strcmp(is, "delivered");
	if (!json_is_null(recorded))
		return false;
	if (is_in(p, "values "))
		return !strcmp(name, "lease");
	return is_in(p, "acts ") && (!strcmp(name, "state") || !strcmp(name, "observed"));
}

static void compare_objects(struct place *p, const json_t *recorded, const json_t *there)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)recorded, name, v) {
		size_t before;

		if (may_come_later(p, name, v, json_object_get(there, name)))
			continue;
		before = enter(p, name);
		compare(p, v, json_object_get(there, name));
		leave(p, before);
	}
	json_object_foreach((json_t *)there, name, v)
		if (!json_object_get(recorded, name)) {
			size_t before = enter(p, name);

			say(p, NULL, v);
			leave(p, before);
		}
}

/* One entry more or less: the first that is not where it was. */
static void compare_arrays(struct place *p, const json_t *recorded, const json_t *there)
{
	const size_t n = json_array_size(recorded), m = json_array_size(there);

	for (size_t i = 0; i < MAX(n, m); i++) {
		const json_t *was = json_array_get(recorded, i), *is = json_array_get(there, i);
		_cleanup_(freep) char *name = entry_name(i, n >= m ? was : is);
		size_t before = p->path.len;

		if (is_same(was, is))
			continue;
		sb_addf(&p->path, " %s", name);
		if (n == m)
			compare(p, was, is);
		else
			say(p, n > m ? was : NULL, n > m ? NULL : is);
		leave(p, before);
		if (n != m)
			return;
	}
}

static void compare(struct place *p, const json_t *recorded, const json_t *there)
{
	if (json_is_object(recorded) && json_is_object(there))
		compare_objects(p, recorded, there);
	else if (json_is_array(recorded) && json_is_array(there))
		compare_arrays(p, recorded, there);
	else if (!is_same(recorded, there))
		say(p, recorded, there);
}

void verify_differences(
	struct verify *v, const char *who, const json_t *recorded, const json_t *there)
{
	struct place p = {.v = v, .who = who};

	compare(&p, recorded, there);
	sb_done(&p.path);
}

int64_t verify_number(const json_t *o, const char *name)
{
	const json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 && n <= JCS_INTEGER_MAX ? n : 0;
}

bool verify_proof(const json_t *a, struct merkle_proof *ret)
{
	ret->n = 0;
	if (!json_is_array(a) || json_array_size(a) > ARRAY_LEN(ret->h))
		return false;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *s = json_string_value(json_array_get(a, i));
		size_t n = 0;
		_cleanup_(freep) uint8_t *raw = s ? base64_parse(s, &n) : NULL;
		_cleanup_(freep) char *again = raw ? base64_of(raw, n) : NULL;

		/* Bits that are left over at the end of base64 are zero. */
		if (!again || n != SHA256_BYTES || strcmp(again, s) != 0)
			return false;
		memcpy(ret->h[ret->n++].b, raw, n);
	}
	return true;
}

/* --- attached files --- */

static void check_attachment(
	struct verify *v, const char *who, const json_t *a, const char *dir, struct err *e)
{
	const char *sha256 = verify_text(a, "sha256");
	int64_t bytes = json_integer_value(json_object_get(a, "bytes"));
	int r = is_sha256_hex(sha256) ? attachment_check(dir, sha256, bytes, NULL, e)
				      : err_set(e, ERR_INVALID, "its digest is none");

	v->res->attachments++;
	if (r < 0)
		verify_found(v, "%s: attachments %lld '%.128s': %s", who,
			(long long)verify_number(a, "n"), verify_text(a, "name"), e->msg);
}

void verify_attachments(struct verify *v, const char *who, const json_t *recorded, const char *dir)
{
	const json_t *list = json_object_get(recorded, "attachments");
	struct err e = {0};
	json_t *a;
	size_t i;

	json_array_foreach((json_t *)list, i, a)
		check_attachment(v, who, a, dir, &e);
}
