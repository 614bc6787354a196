/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that was exported, by itself. Every byte of it is under something that is looked at here: the
 * signature of the envelope, the proof of a record, the signature of the checkpoint, or what two of them
 * say twice.
 */
#include "base/dsse.h"
#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "db/record_export.h"
#include "db/run_record.h"
#include "db/verify_impl.h"

#define FILE_MAX_BYTES (256u * 1024 * 1024)

struct file {
	struct verify v;
	struct checkpoint c;
	bool has_root;		 /* c is what a note of the file says */
	int64_t before;		 /* the number of the entry before, 0 none */
	char digest[SHA256_HEX]; /* of its text */
	char unit[64];
};

/* --- the checkpoint --- */

static void check_host(struct file *f)
{
	const char *want = f->v.o->host;

	if (want && strcmp(want, f->c.host) != 0)
		verify_found(&f->v, "the checkpoint is of the host '%s', and '%s' was expected",
			f->c.host, want);
	memcpy(f->v.res->host, f->c.host, sizeof f->v.res->host);
}

static void check_given(struct file *f)
{
	struct checkpoint kept;
	struct err e;
	size_t n;

	if (!f->v.o->checkpoint)
		return;
	if (checkpoint_note_read(f->v.o->checkpoint, &kept, &n, NULL, &e) < 0)
		verify_found(&f->v, "the checkpoint that was given: %s", e.msg);
	else if (strcmp(kept.host, f->c.host) != 0)
		verify_found(&f->v,
			"the checkpoint that was given is of the host '%s', and the file's is of '%s'",
			kept.host, f->c.host);
	else if (kept.size == f->c.size && !merkle_equal(&kept.root, &f->c.root))
		verify_found(&f->v,
			"the checkpoint that was given and the file's are both of %lld records, and their roots differ: two histories",
			(long long)kept.size);
	else if (kept.size != f->c.size)
		verify_found(&f->v,
			"the checkpoint that was given is of %lld records, and the file's of %lld: a file cannot show that they are one history, --database can",
			(long long)kept.size, (long long)f->c.size);
}

static void check_note(struct file *f, const char *note)
{
	bool is_signed = false;
	struct err e = {0};
	size_t n;

	f->has_root = checkpoint_note_read(note, &f->c, &n, &is_signed, &e) == 0;
	if (!f->has_root) {
		verify_found(&f->v, "%s", e.msg);
		return;
	}
	f->v.res->checkpoints = 1;
	check_host(f);
	check_given(f);
	if (f->v.o->keys == 0)
		return;
	if (verify_note(&f->v, note, NULL, &e) == 0) {
		f->v.res->covered = f->c.size;
		f->v.res->trusted = true;
	} else {
		verify_found(
			&f->v, "the checkpoint of %lld records: %s", (long long)f->c.size, e.msg);
	}
}

/* --- one entry --- */

static bool is_included(const struct file *f, const char *text, int64_t n, const json_t *entry)
{
	struct merkle_hash leaf = merkle_leaf(text, strlen(text));
	struct merkle_proof proof;

	return n > 0 && n <= f->c.size && verify_proof(json_object_get(entry, "proof"), &proof) &&
	       merkle_included(&leaf, (uint64_t)n - 1, (uint64_t)f->c.size, &proof, &f->c.root);
}

static void check_follows(struct file *f, const char *who, const json_t *record, int64_t n)
{
	const json_t *said = json_object_get(json_object_get(record, "unit_before"), "n");
	const int64_t before = json_integer_value(said);

	if (f->unit[0] && before != f->before)
		verify_found(&f->v,
			"%s: the record of the unit before it is number %lld, and number %lld is in the file: one is missing or not the unit's",
			who, (long long)before, (long long)f->before);
	if (f->before == n - 1 && n > 1 && strcmp(verify_text(record, "previous"), f->digest) != 0)
		verify_found(&f->v, "%s: it does not follow the record before it", who);
}

static void check_says(struct file *f, const char *who, const json_t *record, int64_t n)
{
	const json_t *report = json_object_get(record, "report");

	if (strcmp(verify_text(record, "_type"), RECORD_TYPE) != 0)
		verify_found(&f->v,
			"%s: it is of the type '%.60s', and '%s' is known here: a newer provctl may know it",
			who, verify_text(record, "_type"), RECORD_TYPE);
	if (json_integer_value(json_object_get(record, "n")) != n)
		verify_found(&f->v, "%s: the record says that it is number %lld", who,
			(long long)json_integer_value(json_object_get(record, "n")));
	if (f->has_root && strcmp(verify_text(record, "host"), f->c.host) != 0)
		verify_found(&f->v, "%s: it is of the host '%.40s', and the checkpoint is of '%s'",
			who, verify_text(record, "host"), f->c.host);
	if (f->unit[0] && strcmp(verify_text(report, "unit"), f->unit) != 0)
		verify_found(&f->v, "%s: it is of the unit '%.60s', and the file is of '%s'", who,
			verify_text(report, "unit"), f->unit);
}

/* Whoever has the file alone has none of what is attached. */
static void check_attached(struct file *f, const char *who, const json_t *record)
{
	const char *dir = f->v.o->attachments;

	if (dir)
		verify_attachments(&f->v, who, record, dir);
	else
		f->v.res->unseen +=
			(int64_t)json_array_size(json_object_get(record, "attachments"));
}

static void check_entry(struct file *f, size_t i, const json_t *entry)
{
	const char *text = json_string_value(json_object_get(entry, "record"));
	const int64_t n = verify_number(entry, "n");
	json_t *record = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *run = verify_text(json_object_get(record, "report"), "id");
	_cleanup_(freep) char *who = xasprintf(
		"entry %zu: run %s (record %lld)", i + 1, *run ? run : "not known", (long long)n);

	f->v.res->records++;
	if (!text)
		verify_found(&f->v, "%s: 'record' is not a text", who);
	else if (f->has_root && !is_included(f, text, n, entry))
		verify_found(&f->v,
			"%s: it is not among the records of the checkpoint: its text, its number or its proof was changed, or it is of another host",
			who);
	if (text && !record)
		verify_found(&f->v, "%s: its text is not JSON", who);
	if (record) {
		check_follows(f, who, record, n);
		check_says(f, who, record, n);
		check_attached(f, who, record);
	}
	f->before = n;
	if (text)
		sha256_hex_of(text, strlen(text), f->digest);
	json_decref(record);
}

/* --- the record of a run --- */

static int only_members(
	struct file *f, const char *where, const json_t *o, const char *const *names)
{
	const char *name;
	json_t *v;
	int n = 0;

	json_object_foreach((json_t *)o, name, v) {
		size_t i = 0;

		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (!names[i])
			verify_found(&f->v,
				"%s: '%.60s' is not known: it was added or its name changed", where,
				name);
		n += !names[i];
	}
	for (size_t i = 0; names[i]; i++)
		if (!json_object_get(o, names[i])) {
			verify_found(&f->v, "%s: '%s' is missing", where, names[i]);
			n++;
		}
	return n;
}

static const char *const of_entry[] = {"n", "proof", "record", NULL};

static void check_run(struct file *f, const json_t *o)
{
	static const char *const names[] = {"_type", "checkpoint", "n", "proof", "record", NULL};

	only_members(f, "the file", o, names);
	check_note(f, verify_text(o, "checkpoint"));
	check_entry(f, 0, o);
}

/* --- a range --- */

static void check_range(struct file *f, const json_t *o)
{
	static const char *const names[] = {"_type", "checkpoint", "from", "to", "records", NULL};
	const json_t *list = json_object_get(o, "records");
	const int64_t from = verify_number(o, "from"), to = verify_number(o, "to");
	json_t *entry;
	size_t i;

	only_members(f, "the file", o, names);
	check_note(f, verify_text(o, "checkpoint"));
	if (from < 1 || to < from || (size_t)(to - from) + 1 != json_array_size(list))
		verify_found(&f->v,
			"the file says that it has the records %lld to %lld, and has %zu",
			(long long)from, (long long)to, json_array_size(list));
	json_array_foreach((json_t *)list, i, entry) {
		const int64_t n = verify_number(entry, "n");

		only_members(f, "an entry of the file", entry, of_entry);
		if (n != from + (int64_t)i)
			verify_found(&f->v,
				"entry %zu: it is number %lld, and number %lld was expected: one is missing, was added or has another place",
				i + 1, (long long)n, (long long)(from + (int64_t)i));
		check_entry(f, i, entry);
	}
}

/* --- the records of a unit --- */

static void check_subject(struct file *f, const json_t *statement, const json_t *unit)
{
	static const char *const names[] = {"name", "digest", NULL};
	const json_t *list = json_object_get(statement, "subject");
	const json_t *subject = json_array_get(list, 0);
	const char *serial = verify_text(unit, "serial");

	if (json_array_size(list) != 1)
		verify_found(&f->v, "the statement: one subject expected");
	only_members(f, "the subject of the statement", subject, names);
	if (strcmp(verify_text(subject, "name"), *serial ? serial : verify_text(unit, "id")) != 0)
		verify_found(&f->v, "the statement: its subject is '%.60s', and its unit '%.60s'",
			verify_text(subject, "name"), serial);
	if (json_object_size(json_object_get(subject, "digest")) != 1 ||
		strcmp(verify_text(json_object_get(subject, "digest"), "sha256"), f->digest) != 0)
		verify_found(&f->v,
			"the statement: the digest of its subject is not that of the newest record");
}

/* Whether a record gave the unit that serial number, or any (*ret_any). */
static bool gave_serial(const json_t *entry, const char *serial, bool *ret_any)
{
	json_t *record = json_loads(verify_text(entry, "record"), JSON_REJECT_DUPLICATES, NULL);
	bool same = false;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(record, "values"), i, v) {
		if (strcmp(verify_text(v, "kind"), "serial") != 0 || *verify_text(v, "slot"))
			continue;
		*ret_any = true;
		same |= !strcmp(verify_text(v, "value"), serial);
	}
	json_decref(record);
	return same;
}

/* The serial number is one that the ledger gave to the unit in one of these runs. */
static void check_serial(struct file *f, const json_t *entries, const json_t *unit)
{
	const char *serial = verify_text(unit, "serial");
	bool any = false, same = false;
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)entries, i, entry)
		same |= gave_serial(entry, serial, &any);
	if (any != (*serial != 0) || (any && !same))
		verify_found(&f->v,
			"the statement: the serial number '%.60s' of its unit is not the one in its records",
			serial);
}

static void check_statement(struct file *f, const json_t *s)
{
	static const char *const of_statement[] = {
		"_type", "subject", "predicateType", "predicate", NULL};
	static const char *const of_predicate[] = {"checkpoint", "host", "records", "unit", NULL};
	static const char *const of_unit[] = {"id", "serial", NULL};
	const json_t *predicate = json_object_get(s, "predicate");
	const json_t *unit = json_object_get(predicate, "unit");
	const json_t *entries = json_object_get(predicate, "records");
	json_t *entry;
	size_t i;

	only_members(f, "the statement", s, of_statement);
	only_members(f, "the predicate", predicate, of_predicate);
	only_members(f, "the unit of the predicate", unit, of_unit);
	if (strcmp(verify_text(s, "_type"), STATEMENT_TYPE) != 0)
		verify_found(&f->v, "the statement is of the type '%.60s', '%s' expected",
			verify_text(s, "_type"), STATEMENT_TYPE);
	snprintf(f->unit, sizeof f->unit, "%s", verify_text(unit, "id"));
	if (!f->unit[0])
		verify_found(&f->v, "the statement: its unit has no id");
	check_note(f, verify_text(predicate, "checkpoint"));
	if (f->has_root && strcmp(verify_text(predicate, "host"), f->c.host) != 0)
		verify_found(&f->v,
			"the statement is of the host '%.40s', and the checkpoint of '%s'",
			verify_text(predicate, "host"), f->c.host);
	if (json_array_size(entries) == 0)
		verify_found(&f->v, "the statement has no records");
	json_array_foreach((json_t *)entries, i, entry) {
		only_members(f, "an entry of the file", entry, of_entry);
		check_entry(f, i, entry);
	}
	check_subject(f, s, unit);
	check_serial(f, entries, unit);
}

static bool is_signed_by(const struct x509_key *key, const char *payload, const json_t *signature)
{
	const char *text = verify_text(signature, "sig");
	size_t n = 0;
	_cleanup_(freep) uint8_t *raw = base64_parse(text, &n);
	_cleanup_(freep) char *again = raw ? base64_of(raw, n) : NULL;
	_cleanup_(freep) char *pae = dsse_pae(payload);
	struct err e;

	return again && !strcmp(again, text) &&
	       !strcmp(verify_text(signature, "keyid"), key->sha256) &&
	       x509_key_verify(key, pae, strlen(pae), raw, n, &e) == 0;
}

/* Where no key was given nothing is said; an envelope without a signature relies on the checkpoint. */
static void check_signatures(struct file *f, const char *payload, const json_t *list)
{
	static const char *const names[] = {"keyid", "sig", NULL};
	json_t *signature;
	size_t i;

	f->v.res->envelope = true;
	if (!json_is_array(list))
		verify_found(&f->v, "the envelope: 'signatures' is not a list");
	json_array_foreach((json_t *)list, i, signature)
		only_members(f, "a signature of the envelope", signature, names);
	if (f->v.o->keys == 0 || json_array_size(list) == 0)
		return;
	json_array_foreach((json_t *)list, i, signature) {
		bool good = false;

		for (size_t k = 0; k < f->v.o->keys; k++)
			good |= is_signed_by(&f->v.o->key[k], payload, signature);
		f->v.res->enveloped |= good;
		if (!good)
			verify_found(&f->v,
				"the envelope: signature %zu is of none of the keys that were given, or does not fit",
				i + 1);
	}
}

/* Where in the payload a byte is that provd would not have written. */
static void check_form(struct file *f, const char *what, const json_t *o, const char *text)
{
	_cleanup_(freep) char *again = NULL;
	size_t i = 0;

	if (jcs(o, &again, NULL) < 0)
		return;
	while (text[i] && text[i] == again[i])
		i++;
	if (text[i] || again[i])
		verify_found(&f->v, "%s: byte %zu is not as provd writes it (RFC 8785)", what, i);
}

static int no_json(const char *what, const json_error_t *je, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"%s is cut off or was changed: line %d, column %d, byte %d: %s", what, je->line,
		je->column, je->position, je->text);
}

static int check_envelope(struct file *f, const json_t *o, struct err *e)
{
	static const char *const names[] = {"payload", "payloadType", "signatures", NULL};
	const char *base64 = verify_text(o, "payload");
	size_t n = 0;
	_cleanup_(freep) uint8_t *payload = base64_parse(base64, &n);
	_cleanup_(freep) char *again = payload ? base64_of(payload, n) : NULL;
	json_error_t je;
	json_t *s;

	only_members(f, "the envelope", o, names);
	if (strcmp(verify_text(o, "payloadType"), DSSE_PAYLOAD_TYPE) != 0)
		verify_found(&f->v, "the envelope has the payload '%.60s', '%s' expected",
			verify_text(o, "payloadType"), DSSE_PAYLOAD_TYPE);
	if (!again || strcmp(again, base64) != 0 || memchr(payload, 0, n))
		return err_set(
			e, ERR_INVALID, "the payload of the envelope is not base64 of a text");
	check_signatures(f, (const char *)payload, json_object_get(o, "signatures"));
	s = json_loads((const char *)payload, JSON_REJECT_DUPLICATES, &je);
	if (!s)
		return no_json("the payload of the envelope", &je, e);
	check_form(f, "the payload of the envelope", s, (const char *)payload);
	if (strcmp(verify_text(s, "predicateType"), UNIT_RECORD_TYPE) != 0)
		verify_found(&f->v,
			"the statement says '%.60s', and '%s' is known here: a newer provctl may know it",
			verify_text(s, "predicateType"), UNIT_RECORD_TYPE);
	check_statement(f, s);
	json_decref(s);
	return 0;
}

/* --- which file it is --- */

static int check_json(struct file *f, const char *text, struct err *e)
{
	json_error_t je;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &je);
	int r = 0;

	if (!o)
		return no_json("the file", &je, e);
	if (json_object_get(o, "payload"))
		r = check_envelope(f, o, e);
	else if (!strcmp(verify_text(o, "_type"), RECORD_PROOF_TYPE))
		check_run(f, o);
	else if (!strcmp(verify_text(o, "_type"), RECORD_RANGE_TYPE))
		check_range(f, o);
	else
		r = err_set(e, ERR_INVALID,
			"this is not a record of provd: a checkpoint, the record of a run, a range or the envelope of a unit expected, and its type is '%.60s'",
			verify_text(o, "_type"));
	json_decref(o);
	return r;
}

int verify_file(const void *bytes, size_t n, const struct verify_opts *o, struct verify_result *ret,
	struct err *e)
{
	struct file f = {.v = {o, ret}};
	_cleanup_(freep) char *text = NULL;

	*ret = (struct verify_result){0};
	if (n == 0 || n > FILE_MAX_BYTES || memchr(bytes, 0, n))
		return err_set(e, ERR_INVALID,
			"the file has %zu bytes or a NUL in it: a text of 1 to %u bytes expected",
			n, FILE_MAX_BYTES);
	text = xcalloc(1, n + 1);
	memcpy(text, bytes, n);
	if (strncmp(text, CHECKPOINT_ORIGIN, strlen(CHECKPOINT_ORIGIN)) != 0)
		return check_json(&f, text, e);
	check_note(&f, text);
	return 0;
}
