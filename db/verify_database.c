/* SPDX-License-Identifier: Apache-2.0
 *
 * A database against its own records, their tree, and the signatures over it. Three things say what a record
 * is: its text, the leaf in the tree, and the rows of its run; the text after it has its digest, and every
 * node above the leaf and every checkpoint depends on it. Where one of them says something else than the
 * others, it is the one that was changed.
 */
#include "base/gzip.h"
#include "base/jcs.h"
#include "base/util.h"
#include "db/archives.h"
#include "db/attachments.h"
#include "db/offline.h"
#include "db/record_tree.h"
#include "db/run_record.h"
#include "db/stmt.h"
#include "db/verify_impl.h"

struct signed_size {
	int64_t seq, size, at_ms;
	char *note, *public;
	struct checkpoint c;
	bool read; /* c is what the note says */
};

struct check {
	struct verify v;
	struct db *d;
	struct merkle_nodes tree;
	struct merkle_growth growth;
	struct record_place here; /* previous: the digest of the text before, as it was recorded */
	int64_t generation;	  /* of the record before */
	char *text, *next;	  /* of record n, and of the one after it; NULL: not there */
	struct signed_size *list;
	size_t count;
	int64_t before;		   /* findings at the last checkpoint that was right */
	int64_t right;		   /* its size */
	struct archive archive;	   /* that which has the record that is looked at */
	struct archive reading;	   /* that whose lines are read, one ahead of it */
	struct gzip_reader *lines; /* NULL: it is not there, or cannot be read on */
};

/* What is known of one record. */
struct one {
	int64_t n;
	json_t *recorded; /* the text, parsed; NULL: it is no JSON */
	char run[DB_ID_SIZE];
	char who[160];
	char *rows; /* what the rows say now, canonical; NULL: there is no such run */
	json_t *row_object;
	struct merkle_hash leaf; /* in the tree */
	bool has_leaf;
};

static bool fits(const char *text, const struct one *r)
{
	struct merkle_hash h;

	if (!text || !r->has_leaf)
		return false;
	h = merkle_leaf(text, strlen(text));
	return merkle_equal(&h, &r->leaf);
}

/* --- one record --- */

static void end_archive(struct check *c, const char *why)
{
	if (why)
		verify_found(&c->v, "archive %s: %s", c->reading.file, why);
	c->lines = gzip_close(c->lines);
}

/* The text out of the next line of the archive; NULL: it cannot be read, which is a finding. */
static void read_archived(struct check *c, int64_t n, char **ret)
{
	struct err e = {0};
	const char *line = NULL, *text;
	size_t size;
	int r = gzip_line(c->lines, &line, &size, &e);
	json_t *o = r > 0 ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;

	text = json_string_value(json_object_get(o, "record"));
	if (text && json_integer_value(json_object_get(o, "n")) == n)
		*ret = xstrdup(text);
	else
		end_archive(c,
			r < 0 ? e.msg
			      : "it ends early, or a line is not the record that was expected: verify it by itself");
	json_decref(o);
}

/* Records are asked for one after another, from 1 on. */
static int load_archived(struct check *c, int64_t n, char **ret, struct err *e)
{
	_cleanup_(freep) char *path = NULL;
	struct err why = {0};
	int r = 0;

	*ret = NULL;
	if (!c->v.o->archives)
		return 0;
	if (n > c->reading.to) {
		end_archive(c, NULL);
		r = archives_find(c->d, n, &c->reading, e);
		path = xasprintf("%s/%s", c->v.o->archives, c->reading.file);
		if (r > 0 && gzip_open(path, &c->lines, &why) < 0)
			end_archive(c, why.msg);
	}
	if (r >= 0 && c->lines)
		read_archived(c, n, ret);
	return MIN(r, 0);
}

/* Damage within it is a finding, and not the end. */
static int load_text(struct check *c, int64_t n, char **ret, struct err *e)
{
	int r = run_records_text(c->d, n, ret, e);

	if (r < 0)
		*ret = NULL;
	if (r == -ERR_ARCHIVED)
		return load_archived(c, n, ret, e);
	return r == -ERR_NOT_FOUND ? 0 : r;
}

static int find_run(struct check *c, struct one *r, struct err *e)
{
	static const char by_chain[] = "SELECT id FROM runs WHERE chain = ?";
	static const char by_id[] = "SELECT id FROM runs WHERE id = ?";
	const char *said = verify_text(json_object_get(r->recorded, "report"), "id");
	int k = db_text(c->d, e, r->run, sizeof r->run, by_id, said);

	if (k == 0)
		k = db_text(c->d, e, r->run, sizeof r->run, by_chain, r->n);
	if (k == 0)
		snprintf(r->run, sizeof r->run, "%s", "");
	snprintf(r->who, sizeof r->who, "run %s (record %lld)",
		r->run[0] ? r->run
		: *said	  ? said
			  : "not known",
		(long long)r->n);
	return MIN(k, 0);
}

/* Whether the record is in an archive: its text and the rows of its steps are there. */
static int find_archive(struct check *c, int64_t n, struct err *e)
{
	if (n <= c->archive.to || n > c->v.res->archived)
		return 0;
	return MIN(archives_find(c->d, n, &c->archive, e), 0);
}

static bool is_archived(const struct check *c, int64_t n)
{
	return n <= c->v.res->archived;
}

/* What an archive has of a run is taken from there: the rows are gone, or on their way. */
static void take_archived(struct one *r)
{
	static const char *const gone[] = {"steps", "measurements", "log", "attachments"};
	json_t *report = json_object_get(r->row_object, "report");

	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		json_object_set(r->row_object, gone[i], json_object_get(r->recorded, gone[i]));
	json_object_set(
		report, "steps", json_object_get(json_object_get(r->recorded, "report"), "steps"));
}

static int load_rows(struct check *c, struct one *r, struct err *e)
{
	struct record_place p = c->here;
	int k = find_archive(c, r->n, e);

	if (k < 0 || (is_archived(c, r->n) && !c->text))
		return k;
	p.n = r->n;
	if (r->recorded)
		snprintf(p.epoch, sizeof p.epoch, "%s", verify_text(r->recorded, "epoch"));
	if (!r->run[0])
		return 0;
	k = run_record_build(c->d, r->run, &p, NULL, &r->row_object, e);
	if (k == 0 && is_archived(c, r->n))
		take_archived(r);
	if (k == 0)
		k = jcs(r->row_object, &r->rows, e);
	return k;
}

static int load(struct check *c, int64_t n, struct one *r, struct err *e)
{
	struct err no_leaf;
	int k;

	*r = (struct one){.n = n};
	free(c->text);
	c->text = c->next;
	c->next = NULL;
	k = load_text(c, n + 1, &c->next, e);
	r->recorded = c->text ? json_loads(c->text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	r->has_leaf = c->tree.read(c->tree.data, 0, (uint64_t)n - 1, &r->leaf, &no_leaf) == 0;
	if (k == 0)
		k = find_run(c, r, e);
	return k < 0 ? k : load_rows(c, r, e);
}

static void one_done(struct one *r)
{
	json_decref(r->recorded);
	json_decref(r->row_object);
	free(r->rows);
}

/* Whether the record after it has the digest of that text; true where there is none after it. */
static bool is_followed(const struct check *c, const char *text)
{
	json_t *after = c->next ? json_loads(c->next, JSON_REJECT_DUPLICATES, NULL) : NULL;
	char hex[SHA256_HEX];
	bool yes;

	if (!c->next)
		return true;
	sha256_hex_of(text, strlen(text), hex);
	yes = !strcmp(verify_text(after, "previous"), hex);
	json_decref(after);
	return yes;
}

static bool is_compared(const struct check *c, int64_t n)
{
	return n >= MAX(c->v.o->from, 1) && (!c->v.o->to || n <= c->v.o->to);
}

/* JSON in a column that says the same in other bytes. */
static int check_column(struct check *c, const struct one *r, const char *sql, struct err *e)
{
	struct cell {
		int64_t n;
		const char *name, *text;
	} cell;
	static const struct column columns[] = {
		COL(struct cell, n), COL(struct cell, name), COL(struct cell, text), {0}};
	const struct select find = {sql, columns};
	_cleanup_(query_done) struct query q = {0};
	int k = select_begin(&q, c->d, e, &find, r->run);

	while (k >= 0 && (k = select_next(&q, &cell, e)) > 0) {
		json_t *o = json_loads(cell.text, JSON_DECODE_ANY, NULL);
		_cleanup_(freep) char *again = o ? canonical(o) : NULL;

		json_decref(o);
		if (!again || strcmp(again, cell.text) != 0)
			verify_found(&c->v, "%s: %s%s%.0lld: its JSON is not as provd wrote it",
				r->who, cell.name, cell.n ? " of step " : "", (long long)cell.n);
	}
	return k;
}

static int check_columns(struct check *c, const struct one *r, struct err *e)
{
	static const char *const sql[] = {
		"SELECT 0 AS n, 'params' AS name, params AS text FROM runs WHERE id = ?",
		"SELECT 0 AS n, 'firmware' AS name, firmware AS text FROM runs WHERE id = ?",
		"SELECT n, 'evidence' AS name, evidence AS text FROM steps WHERE run_id = ?"
		" AND evidence IS NOT NULL",
		"SELECT n, 'outputs' AS name, outputs AS text FROM steps WHERE run_id = ?"
		" AND outputs IS NOT NULL"};
	int k = 0;

	for (size_t i = 0; k == 0 && i < ARRAY_LEN(sql); i++)
		k = check_column(c, r, sql[i], e);
	return k;
}

/* What is attached to an archived run went to the folder of archives with it. */
static void check_attached(struct check *c, const struct one *r)
{
	_cleanup_(freep) char *archived =
		c->v.o->archives ? xasprintf("%s/" ATTACHMENTS_DIR, c->v.o->archives) : NULL;
	const char *dir = is_archived(c, r->n) ? archived : c->v.o->attachments;

	if (dir)
		verify_attachments(&c->v, r->who, r->recorded, dir);
}

static int check_rows(struct check *c, const struct one *r, struct err *e)
{
	if (!is_compared(c, r->n))
		return 0;
	check_attached(c, r);
	if (!r->row_object) {
		verify_found(&c->v, "%s: the row of the run is missing", r->who);
		return 0;
	}
	verify_differences(&c->v, r->who, r->recorded, r->row_object);
	return check_columns(c, r, e);
}

/* Records of before the first epoch have no host: tools make them, provd does not. */
static bool is_of_nobody(const struct check *c, const struct one *r)
{
	return c->generation == 0 && !*verify_text(r->recorded, "host") &&
	       !*verify_text(r->recorded, "epoch");
}

/* Host and epoch; epochs only ever rise. */
static int check_life(struct check *c, const struct one *r, struct err *e)
{
	static const char sql[] = "SELECT generation FROM epochs WHERE epoch = ?";
	const char *epoch = verify_text(r->recorded, "epoch");
	int64_t generation = 0;
	int k = is_of_nobody(c, r) ? 0 : db_int(c->d, e, &generation, sql, epoch);

	if (k < 0 || is_of_nobody(c, r))
		return k;
	if (strcmp(verify_text(r->recorded, "host"), c->here.host) != 0)
		verify_found(&c->v, "%s: it is of the host '%.40s', and these records are of '%s'",
			r->who, verify_text(r->recorded, "host"), c->here.host);
	if (k == 0 || generation < c->generation)
		verify_found(
			&c->v, "%s: its epoch '%.40s' is not known, or is over", r->who, epoch);
	c->generation = MAX(c->generation, generation);
	return 0;
}

/* What the text says of its own place; the text itself is as it was recorded. */
static int check_place(struct check *c, const struct one *r, struct err *e)
{
	const json_int_t n = json_integer_value(json_object_get(r->recorded, "n"));

	if (n != r->n)
		verify_found(
			&c->v, "%s: the record says that it is number %lld", r->who, (long long)n);
	if (strcmp(verify_text(r->recorded, "_type"), RECORD_TYPE) != 0)
		verify_found(&c->v, "%s: it is of the type '%.60s', and '%s' is known here", r->who,
			verify_text(r->recorded, "_type"), RECORD_TYPE);
	if (strcmp(verify_text(r->recorded, "previous"), c->here.previous) != 0)
		verify_found(&c->v, "%s: it does not follow the record before it", r->who);
	return check_life(c, r, e);
}

static void set_previous(struct check *c, const char *text)
{
	if (text)
		sha256_hex_of(text, strlen(text), c->here.previous);
}

/* The record after a lost one knows its digest. */
static void take_previous(struct check *c)
{
	json_t *after = c->next ? json_loads(c->next, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (is_sha256_hex(verify_text(after, "previous")))
		snprintf(c->here.previous, sizeof c->here.previous, "%s",
			verify_text(after, "previous"));
	json_decref(after);
}

/* The text is not what its leaf is of. 1: the text is right all the same. */
static int judge_text(struct check *c, const struct one *r)
{
	const bool followed = is_followed(c, c->text);
	const bool same = r->rows && !strcmp(r->rows, c->text);

	if (r->recorded && followed && (same || c->next)) {
		verify_found(&c->v,
			"%s: its leaf in the tree (node %llu) was changed or is missing", r->who,
			(unsigned long long)merkle_position(0, (uint64_t)r->n - 1));
		return 1;
	}
	if (fits(r->rows, r)) {
		verify_found(&c->v,
			"%s: the text of the record was changed; its rows are as they were recorded",
			r->who);
		set_previous(c, r->rows);
		return 0;
	}
	verify_found(&c->v, "%s: the text of the record was changed", r->who);
	if (r->recorded && r->row_object)
		verify_differences(&c->v, r->who, r->recorded, r->row_object);
	take_previous(c);
	return 0;
}

/* Its leaf alone is here: its text is compared with that by verify_archive(). The record after the last one of
 * an archive names its digest. */
static void judge_archived(struct check *c, const struct one *r)
{
	if (!r->has_leaf)
		verify_found(&c->v, "%s: its leaf in the tree (node %llu) is missing", r->who,
			(unsigned long long)merkle_position(0, (uint64_t)r->n - 1));
	if (!r->run[0])
		verify_found(&c->v, "%s: the row of the run is missing; archive %s has its record",
			r->who, c->archive.file);
	if (r->n == c->archive.to)
		snprintf(c->here.previous, sizeof c->here.previous, "%s", c->archive.last);
}

/* The leaf that the tree goes on with. */
static int judge(struct check *c, struct one *r, struct merkle_hash *leaf, struct err *e)
{
	int k;

	*leaf = r->leaf;
	if (is_archived(c, r->n) && !c->text) {
		judge_archived(c, r);
		return 0;
	}
	if (!c->text) {
		verify_found(&c->v, "%s: the record is missing%s", r->who,
			fits(r->rows, r) ? "; its rows are as they were recorded" : "");
		if (!r->has_leaf && r->rows)
			*leaf = merkle_leaf(r->rows, strlen(r->rows));
		if (fits(r->rows, r))
			set_previous(c, r->rows);
		else
			take_previous(c);
		return 0;
	}
	if (!fits(c->text, r) && judge_text(c, r) == 0) {
		if (!r->has_leaf)
			*leaf = merkle_leaf(c->text, strlen(c->text));
		return 0;
	}
	*leaf = merkle_leaf(c->text, strlen(c->text));
	k = check_place(c, r, e);
	if (k == 0)
		k = check_rows(c, r, e);
	set_previous(c, c->text);
	return k;
}

static int check_node(
	void *data, unsigned level, uint64_t index, const struct merkle_hash *h, struct err *e)
{
	struct check *c = data;
	struct merkle_hash stored;

	if (level == 0)
		return 0; /* judged with its record */
	if (c->tree.read(c->tree.data, level, index, &stored, NULL) < 0 ||
		!merkle_equal(&stored, h))
		verify_found(&c->v,
			"the tree of records: node %llu, over the records %llu to %llu, was changed or is missing",
			(unsigned long long)merkle_position(level, index),
			(unsigned long long)((index << level) + 1),
			(unsigned long long)((index + 1) << level));
	return 0;
}

/* --- checkpoints --- */

static int load_checkpoints(struct check *c, struct err *e)
{
	struct row {
		int64_t seq, size, at;
		const char *note, *public;
	} row;
	static const struct column columns[] = {COL(struct row, seq), COL(struct row, size),
		COL(struct row, at), COL(struct row, note), COL(struct row, public), {0}};
	SELECT(all, "SELECT seq, size, at, note, public FROM checkpoints ORDER BY seq", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, c->d, e, &all);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0) {
		c->list = reallocarray(c->list, c->count + 1, sizeof *c->list);
		if (!c->list)
			abort();
		c->list[c->count++] = (struct signed_size){.seq = row.seq,
			.size = row.size,
			.at_ms = row.at,
			.note = xstrdup(row.note ? row.note : ""),
			.public = xstrdup(row.public ? row.public : "")};
	}
	return MIN(r, 0);
}

static void check_columns_of_checkpoint(struct check *c, const struct signed_size *s)
{
	if (s->size != s->c.size || s->at_ms != s->c.time_ms)
		verify_found(&c->v,
			"checkpoint %lld: its row says %lld records, and its note %lld; or another time",
			(long long)s->seq, (long long)s->size, (long long)s->c.size);
	if (strcmp(s->c.host, c->here.host) != 0)
		verify_found(&c->v,
			"checkpoint %lld: it is of the host '%s', and these records are of '%s'",
			(long long)s->seq, s->c.host, c->here.host);
}

static bool is_key_of_row(const struct signed_size *s)
{
	struct x509_key key = {0};
	struct err e;
	bool good = x509_key_read(s->public, &key, &e) == 0 &&
		    checkpoint_note_verify(s->note, &key, &e) == 0;

	x509_key_done(&key);
	return good;
}

/* Whether it is signed as it should be; one that is not signed is right where none before it was. */
static void check_signature(
	struct check *c, const struct signed_size *s, bool is_signed, bool *any_signed)
{
	struct err e = {0};
	bool good;

	if (!is_signed && !*s->public && !*any_signed)
		return;
	good = verify_note(&c->v, s->note, s->public, &e) == 0;
	if (good && is_key_of_row(s)) {
		*any_signed = true;
		c->v.res->covered = MAX(c->v.res->covered, s->c.size);
		c->v.res->trusted = c->v.o->keys > 0;
		return;
	}
	verify_found(&c->v, "checkpoint %lld, of %lld records: %s", (long long)s->seq,
		(long long)s->size,
		good ? "the public key in its row is not the one that signed it" : e.msg);
}

/* Each is of more records than the one before it, or of another life of the database. */
static void check_order(
	struct check *c, const struct signed_size *s, const struct signed_size *before)
{
	if (before && before->read &&
		(s->c.size < before->c.size || s->c.generation < before->c.generation ||
			(s->c.size == before->c.size && s->c.generation == before->c.generation)))
		verify_found(&c->v,
			"checkpoint %lld, of %lld records, cannot follow the one before it, of %lld: it was added or has another place",
			(long long)s->seq, (long long)s->c.size, (long long)before->c.size);
}

static int check_checkpoints(struct check *c, int64_t records, struct err *e)
{
	static const char last[] = "SELECT seq FROM sqlite_sequence WHERE name = 'checkpoints'";
	bool any_signed = false;
	int64_t newest = 0;
	int64_t seq = 0;

	for (size_t i = 0; i < c->count; i++) {
		struct signed_size *s = &c->list[i];
		bool is_signed = false;
		size_t n;

		if (s->seq != seq + 1)
			verify_found(&c->v, "checkpoint %lld is missing", (long long)seq + 1);
		seq = s->seq;
		s->read = checkpoint_note_read(s->note, &s->c, &n, &is_signed, e) == 0;
		if (!s->read) {
			verify_found(&c->v, "checkpoint %lld: %s", (long long)seq, e->msg);
			continue;
		}
		check_order(c, s, i > 0 ? &c->list[i - 1] : NULL);
		check_columns_of_checkpoint(c, s);
		check_signature(c, s, is_signed, &any_signed);
		if (s->c.size > records)
			verify_found(&c->v,
				"checkpoint %lld is of %lld records, and there are %lld: the newest ones are missing",
				(long long)seq, (long long)s->c.size, (long long)records);
	}
	if (db_int(c->d, e, &newest, last) < 0)
		return -(int)e->code;
	if (newest > seq)
		verify_found(&c->v, "checkpoint %lld is missing", (long long)seq + 1);
	return 0;
}

static void check_root(struct check *c, const char *name, const struct checkpoint *s)
{
	struct merkle_hash root = merkle_root_of(&c->growth);

	if (merkle_equal(&root, &s->root)) {
		c->right = s->size;
		c->before = c->v.res->findings;
		return;
	}
	/* What was found already explains it. */
	if (c->v.res->findings > c->before)
		return;
	verify_found(&c->v,
		"%s is of other records than the first %lld here: after record %lld, and up to it, this is another history",
		name, (long long)s->size, (long long)c->right);
}

static void check_roots(struct check *c)
{
	const int64_t size = (int64_t)c->growth.size;
	struct checkpoint kept;
	size_t n;

	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].read && c->list[i].c.size == size) {
			_cleanup_(freep) char *name =
				xasprintf("checkpoint %lld", (long long)c->list[i].seq);

			check_root(c, name, &c->list[i].c);
		}
	if (c->v.o->checkpoint &&
		checkpoint_note_read(c->v.o->checkpoint, &kept, &n, NULL, NULL) == 0 &&
		kept.size == size)
		check_root(c, "the checkpoint that was given", &kept);
}

static int check_given(struct check *c, int64_t records, struct err *e)
{
	struct checkpoint kept;
	size_t n;
	int r;

	if (!c->v.o->checkpoint)
		return 0;
	r = checkpoint_note_read(c->v.o->checkpoint, &kept, &n, NULL, e);
	if (r < 0)
		return err_prefix(e, "the checkpoint that was given");
	if (strcmp(kept.host, c->here.host) != 0)
		verify_found(&c->v,
			"the checkpoint that was given is of the host '%s', and these records are of '%s'",
			kept.host, c->here.host);
	if (kept.size > records)
		verify_found(&c->v,
			"the checkpoint that was given is of %lld records, and there are %lld: the newest ones are missing",
			(long long)kept.size, (long long)records);
	if (c->v.o->keys == 0)
		return 0;
	if (verify_note(&c->v, c->v.o->checkpoint, NULL, e) < 0) {
		verify_found(&c->v, "the checkpoint that was given: %s", e->msg);
	} else {
		c->v.res->covered = MAX(c->v.res->covered, MIN(kept.size, records));
		c->v.res->trusted = true;
	}
	return 0;
}

/* --- what no record leads to --- */

static const struct {
	const char *sql, *text;
} strays[] = {
	{"SELECT id FROM runs WHERE state = 'finished' AND chain IS NULL",
		"run %s has ended, and it is not in the chain: it was added or changed"},
	{"SELECT id FROM runs WHERE state NOT IN ('open', 'finished')",
		"run %s is in a state that does not exist"},
	{"SELECT id FROM runs WHERE state <> 'finished' AND chain IS NOT NULL",
		"run %s is in the chain, and has not ended: its state was changed"},
	{"SELECT run_id || ', step ' || n FROM steps WHERE run_id NOT IN (SELECT id FROM runs)",
		"run %s: there is no such run: the row was added or changed"},
	{"SELECT run_id || ', step ' || step_n || ', measurement ' || k FROM measurements"
	 " WHERE run_id NOT IN (SELECT id FROM runs)",
		"run %s: there is no such run: the row was added or changed"},
	{"SELECT run_id || ', line ' || k FROM run_log WHERE run_id NOT IN (SELECT id FROM runs)",
		"run %s of its log: there is no such run: the row was added or changed"},
};

static int check_strays(struct check *c, size_t i, struct err *e)
{
	struct row {
		const char *name;
	} row;
	static const struct column columns[] = {COL(struct row, name), {0}};
	_cleanup_(freep) char *sql = xasprintf(
		"SELECT name FROM (SELECT '' AS name WHERE 0 UNION ALL %s)", strays[i].sql);
	const struct select find = {sql, columns};
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, c->d, e, &find);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		verify_found(&c->v, strays[i].text, row.name ? row.name : "");
	return r;
}

static int check_outside(struct check *c, int64_t records, struct err *e)
{
	static const char of_records[] =
		"SELECT n FROM run_records WHERE n < 1 OR n > ? ORDER BY n LIMIT 1";
	static const char of_nodes[] =
		"SELECT pos FROM record_nodes WHERE pos < 0 OR pos >= ? ORDER BY pos LIMIT 1";
	const uint64_t nodes =
		2 * (uint64_t)records - (uint64_t)__builtin_popcountll((unsigned long long)records);
	int64_t at = 0;
	int r = db_int(c->d, e, &at, of_records, records);

	if (r > 0)
		verify_found(&c->v,
			"record %lld follows no other one: it was added or its number changed",
			(long long)at);
	if (r >= 0)
		r = db_int(c->d, e, &at, of_nodes, (int64_t)nodes);
	if (r > 0)
		verify_found(&c->v,
			"the tree of records: node %lld belongs to no record: it was added or its number changed",
			(long long)at);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(strays); i++)
		r = check_strays(c, i, e);
	return MIN(r, 0);
}

/* --- all --- */

static int count(struct check *c, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT max((SELECT count(*) FROM run_records),"
				  " (SELECT count(*) FROM runs WHERE chain IS NOT NULL))";

	return MIN(db_int(c->d, e, ret, sql), 0);
}

/* The file as such: also that an index says what its table does, since rows are found by it. */
static int check_structure(struct check *c, struct err *e)
{
	struct row {
		const char *says;
	} row;
	static const struct column columns[] = {COL_AS(struct row, says, "integrity_check"), {0}};
	SELECT(all, "PRAGMA integrity_check", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, c->d, e, &all);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		if (row.says && strcmp(row.says, "ok") != 0)
			verify_found(&c->v, "the file of the database is damaged: %s", row.says);
	return r;
}

static int check_records(struct check *c, int64_t records, struct err *e)
{
	int r = load_text(c, 1, &c->next, e);

	for (int64_t n = 1; r == 0 && n <= records; n++) {
		struct merkle_hash leaf;
		struct one one;

		r = load(c, n, &one, e);
		if (r == 0)
			r = judge(c, &one, &leaf, e);
		if (r == 0)
			r = merkle_add(&c->growth, &leaf, check_node, c, e);
		if (r == 0)
			check_roots(c);
		one_done(&one);
	}
	return r;
}

static int check_all(struct check *c, struct err *e)
{
	struct archive newest;
	int64_t records = 0;
	int r = check_structure(c, e);

	if (r == 0)
		r = archives_newest(c->d, &newest, e);
	if (r == 0)
		r = record_here(c->d, &c->here, e);
	if (r == 0)
		r = count(c, &records, e);
	if (r == 0)
		r = load_checkpoints(c, e);
	if (r < 0)
		return r;
	memcpy(c->here.previous, RECORD_FIRST_HASH, sizeof c->here.previous);
	memcpy(c->v.res->host, c->here.host, sizeof c->v.res->host);
	c->v.res->records = records;
	c->v.res->archived = newest.to;
	c->v.res->checkpoints = (int64_t)c->count;
	if (c->v.o->host && strcmp(c->v.o->host, c->here.host) != 0)
		verify_found(&c->v, "these records are of the host '%s', and '%s' was expected",
			c->here.host, c->v.o->host);
	r = check_checkpoints(c, records, e);
	if (r == 0)
		r = check_given(c, records, e);
	if (r == 0 && c->v.o->keys > 0 && records > 0 && c->v.res->covered == 0)
		verify_found(&c->v,
			"no checkpoint is signed by a key that was given: nothing here is under a signature");
	c->before = c->v.res->findings;
	if (r == 0)
		r = check_records(c, records, e);
	return r < 0 ? r : check_outside(c, records, e);
}

static void check_done(struct check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->list[i].note);
		free(c->list[i].public);
	}
	free(c->list);
	gzip_close(c->lines);
	free(c->text);
	free(c->next);
	if (c->d)
		db_snapshot_end(c->d);
	db_free(c->d);
}

int verify_database(
	const char *path, const struct verify_opts *o, struct verify_result *ret, struct err *e)
{
	struct check c = {.v = {o, ret}};
	int r;

	*ret = (struct verify_result){0};
	r = db_open_offline(path, &c.d, e);
	if (r == 0) {
		c.tree = record_tree(c.d);
		r = db_snapshot(c.d, e);
	}
	if (r == 0)
		r = check_all(&c, e);
	check_done(&c);
	return r;
}
