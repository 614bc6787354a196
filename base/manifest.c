/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/dsse.h"
#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/util.h"

#define NAME_BYTES 255

void manifest_done(struct manifest *m)
{
	for (size_t i = 0; i < m->files; i++)
		free(m->file[i].name);
	free(m->file);
	free(m->type);
	free(m->envelope);
	json_decref(m->about);
	*m = (struct manifest){0};
}

void manifest_add(struct manifest *m, const char *name, int64_t bytes, const char *sha256)
{
	struct manifest_file *f;

	if (m->files == m->cap) {
		m->cap = MAX(2 * m->cap, (size_t)16);
		m->file = reallocarray(m->file, m->cap, sizeof *m->file);
		if (!m->file)
			abort();
	}
	f = &m->file[m->files++];
	f->name = xstrdup(name);
	f->bytes = bytes;
	snprintf(f->sha256, sizeof f->sha256, "%s", sha256);
}

static int by_name(const void *a, const void *b)
{
	const struct manifest_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->files; i++)
		if (!strcmp(m->file[i].name, name))
			return &m->file[i];
	return NULL;
}

/* --- writing --- */

static json_t *subject_of(const struct manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->files; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:{s:s}, s:{s:I}}", "name", m->file[i].name,
				      "digest", "sha256", m->file[i].sha256, "annotations", "bytes",
				      (json_int_t)m->file[i].bytes));
	return list;
}

static int sign(const struct seal *seal, const char *payload, json_t *list, struct err *e)
{
	_cleanup_(freep) char *pae = dsse_pae(payload);
	char signature[SEAL_BASE64];
	struct x509_key key = {0};
	int r;

	if (!seal)
		return 0;
	r = x509_key_read(seal_public(seal), &key, e);
	if (r == 0)
		r = seal_sign(seal, pae, strlen(pae), signature, e);
	if (r == 0)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "keyid", key.sha256, "sig", signature));
	x509_key_done(&key);
	return r;
}

static int envelope_of(const char *payload, const struct seal *seal, char **ret, struct err *e)
{
	_cleanup_(freep) char *base64 = base64_of(payload, strlen(payload));
	_cleanup_(freep) char *text = NULL;
	json_t *list = json_array();
	json_t *o = json_pack("{s:s, s:s, s:o}", "payload", base64, "payloadType",
		DSSE_PAYLOAD_TYPE, "signatures", list);
	int r = sign(seal, payload, list, e);

	if (r == 0)
		r = jcs(o, &text, e);
	json_decref(o);
	if (r == 0)
		*ret = xasprintf("%s\n", text);
	return r;
}

int manifest_text(
	struct manifest *m, const struct seal *seal, const char *type, char **ret, struct err *e)
{
	_cleanup_(freep) char *payload = NULL;
	json_t *o;
	int r;

	if (m->files > 0)
		qsort(m->file, m->files, sizeof *m->file, by_name);
	o = json_pack("{s:s, s:s, s:o, s:O}", "_type", STATEMENT_TYPE, "predicateType", type,
		"subject", subject_of(m), "predicate", m->about);
	r = jcs(o, &payload, e);
	json_decref(o);
	return r < 0 ? r : envelope_of(payload, seal, ret, e);
}

/* --- reading --- */

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* Below the folder, whatever the file system makes of it. */
static bool is_name(const char *s)
{
	if (!*s || *s == '/' || strlen(s) > NAME_BYTES)
		return false;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	for (const char *p = s; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
	}
	return true;
}

static int read_file(struct manifest *m, size_t i, const json_t *o, struct err *e)
{
	const char *name = text_of(o, "name");
	const char *sha256 = text_of(json_object_get(o, "digest"), "sha256");
	const json_t *bytes = json_object_get(json_object_get(o, "annotations"), "bytes");

	if (!is_name(name))
		return err_set(e, ERR_INVALID,
			"file %zu of the manifest: '%.100s' is not a path below its folder", i + 1,
			name);
	if (!is_sha256_hex(sha256) || !json_is_integer(bytes) || json_integer_value(bytes) < 0)
		return err_set(e, ERR_INVALID,
			"file %zu of the manifest, '%.100s': a SHA-256 of 64 hex digits and a number of bytes expected",
			i + 1, name);
	if (i > 0 && strcmp(m->file[i - 1].name, name) >= 0)
		return err_set(e, ERR_INVALID,
			"file %zu of the manifest, '%.100s': the files are not sorted by name, or one is there twice",
			i + 1, name);
	manifest_add(m, name, json_integer_value(bytes), sha256);
	return 0;
}

static int read_statement(struct manifest *m, const json_t *o, const char *type, struct err *e)
{
	const json_t *list = json_object_get(o, "subject");
	json_t *v;
	size_t i;

	if (strcmp(text_of(o, "_type"), STATEMENT_TYPE) != 0 || !json_is_array(list) ||
		!json_is_object(json_object_get(o, "predicate")))
		return err_set(e, ERR_INVALID,
			"the manifest is not a statement with a subject and a predicate (%s)",
			STATEMENT_TYPE);
	if (type && strcmp(text_of(o, "predicateType"), type) != 0)
		return err_set(e, ERR_INVALID, "the manifest is of '%.100s', and '%s' was expected",
			text_of(o, "predicateType"), type);
	m->type = xstrdup(text_of(o, "predicateType"));
	m->about = json_incref(json_object_get(o, "predicate"));
	json_array_foreach((json_t *)list, i, v) {
		int r = read_file(m, i, v, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static json_t *parse(const char *what, const char *text, struct err *e)
{
	json_error_t je;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &je);

	if (!o)
		err_set(e, ERR_INVALID, "%s is cut off or was changed: line %d, column %d: %s",
			what, je.line, je.column, je.text);
	return o;
}

/* The payload of an envelope, owned by the caller; NULL with an error. */
static char *payload_of(const json_t *o, struct err *e)
{
	size_t n = 0;
	_cleanup_(freep) uint8_t *raw = base64_parse(text_of(o, "payload"), &n);

	if (!raw || n == 0 || memchr(raw, 0, n) ||
		strcmp(text_of(o, "payloadType"), DSSE_PAYLOAD_TYPE) != 0) {
		err_set(e, ERR_INVALID,
			"the manifest is not an envelope of DSSE with a payload of '%s'",
			DSSE_PAYLOAD_TYPE);
		return NULL;
	}
	return (char *)steal_ptr(&raw);
}

int manifest_read(
	const void *bytes, size_t n, const char *type, struct manifest *ret, struct err *e)
{
	_cleanup_(freep) char *payload = NULL;
	json_t *o = NULL, *s = NULL;
	int r = 0;

	*ret = (struct manifest){0};
	if (n == 0 || n > MANIFEST_MAX_BYTES || memchr(bytes, 0, n))
		return err_set(e, ERR_INVALID,
			"the manifest has %zu bytes or a NUL in it: a text of 1 to %u bytes expected",
			n, MANIFEST_MAX_BYTES);
	ret->envelope = xcalloc(1, n + 1);
	memcpy(ret->envelope, bytes, n);
	o = parse("the manifest", ret->envelope, e);
	payload = o ? payload_of(o, e) : NULL;
	s = payload ? parse("the payload of the manifest", payload, e) : NULL;
	r = s ? read_statement(ret, s, type, e) : -ERR_INVALID;
	json_decref(s);
	json_decref(o);
	if (r < 0)
		manifest_done(ret);
	return r;
}

int manifest_load(const char *path, const char *type, struct manifest *ret, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	struct strbuf b = {0};
	char buf[65536];
	size_t n;
	int r;

	*ret = (struct manifest){0};
	if (!f)
		return err_errno(e, ERR_IO, errno, "%s", path);
	while ((n = fread(buf, 1, sizeof buf, f)) > 0 && b.len <= MANIFEST_MAX_BYTES)
		sb_add_n(&b, buf, n);
	r = ferror(f) ? err_errno(e, ERR_IO, errno, "read")
		      : manifest_read(b.s, b.len, type, ret, e);
	sb_done(&b);
	return r < 0 ? err_prefix(e, "%s", path) : 0;
}

static bool is_signed_by(const struct x509_key *key, const char *pae, const json_t *signature)
{
	size_t n = 0;
	_cleanup_(freep) uint8_t *raw = base64_parse(text_of(signature, "sig"), &n);
	struct err e;

	return raw && !strcmp(text_of(signature, "keyid"), key->sha256) &&
	       x509_key_verify(key, pae, strlen(pae), raw, n, &e) == 0;
}

int manifest_verify(
	const struct manifest *m, const struct x509_key *key, size_t keys, struct err *e)
{
	json_t *o = json_loads(m->envelope, JSON_REJECT_DUPLICATES, NULL);
	json_t *list = json_object_get(o, "signatures");
	_cleanup_(freep) char *payload = payload_of(o, e);
	_cleanup_(freep) char *pae = payload ? dsse_pae(payload) : NULL;
	bool good = false;
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		for (size_t k = 0; pae && k < keys; k++)
			good |= is_signed_by(&key[k], pae, v);
	i = json_array_size(list);
	json_decref(o);
	if (good)
		return 0;
	return i == 0 ? err_set(e, ERR_KEY_NOT_PROVEN, "the manifest is not signed")
		      : err_set(e, ERR_KEY_NOT_PROVEN,
				"the manifest is signed by none of the keys that were given, or it was changed since");
}

int manifest_check_file(const char *dir, const struct manifest_file *f, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, f->name);
	char sha256[SHA256_HEX];
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? err_set(e, ERR_RECORDS_DAMAGED, "%s is missing", f->name)
			       : err_errno(e, ERR_IO, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_RECORDS_DAMAGED, "%s is not a file", f->name);
	if (st.st_size != f->bytes)
		return err_set(e, ERR_RECORDS_DAMAGED,
			"%s has %lld bytes, and %lld were recorded: it was cut off or changed",
			f->name, (long long)st.st_size, (long long)f->bytes);
	r = sha256_file(path, sha256, e);
	if (r < 0)
		return r;
	return !strcmp(sha256, f->sha256)
		       ? 0
		       : err_set(e, ERR_RECORDS_DAMAGED,
				 "%s was changed: its SHA-256 is %s, and %s was recorded", f->name,
				 sha256, f->sha256);
}
