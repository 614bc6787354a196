/* SPDX-License-Identifier: Apache-2.0 */
#include "db/checkpoints.h"

#include "db/record_tree.h"
#include "db/run_record.h"
#include "db/stmt.h"

static int read_epoch(struct db *d, struct checkpoint *c, struct err *e)
{
	static const char sql[] = "SELECT max(generation) FROM epochs";
	struct record_place here;
	int r = record_here(d, &here, e);

	if (r == 0)
		r = db_int(d, e, &c->generation, sql);
	if (r < 0)
		return r;
	memcpy(c->host, here.host, sizeof c->host);
	memcpy(c->epoch, here.epoch, sizeof c->epoch);
	return 0;
}

int checkpoints_look(struct db *d, struct checkpoint *ret, struct err *e)
{
	struct checkpoint c = {.time_ms = wall_ms()};
	const struct merkle_nodes tree = record_tree(d);
	int64_t missing;
	int r = read_epoch(d, &c, e);

	if (r == 0 && c.host[0])
		r = run_records_count(d, &c.size, &missing, e);
	if (r == 0 && c.size > 0)
		r = merkle_root(&tree, (uint64_t)c.size, &c.root, e);
	if (r == 0)
		*ret = c;
	return r;
}

int checkpoints_newest(struct db *d, struct checkpoint_row *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct checkpoint_row, size),
		COL_AS(struct checkpoint_row, at_ms, "at"), COL(struct checkpoint_row, note), {0}};
	SELECT(newest, "SELECT size, at, note FROM checkpoints ORDER BY seq DESC LIMIT 1", columns);

	*ret = (struct checkpoint_row){0};
	return MIN(select_one(d, e, &newest, ret), 0);
}

int checkpoints_add(struct db *tx, const struct checkpoint *c, const char *note, const char *public,
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO checkpoints (size, at, note, public) VALUES (?, ?, ?, ?)";
	char hex[SHA256_HEX];
	int r = db_do(tx, e, sql, c->size, c->time_ms, note, public ? public : "");

	if (r < 0)
		return r;
	return db_event(tx, "records-checkpoint", NULL, NULL, NULL, NULL,
		json_pack("{s:I, s:s, s:b}", "size", (json_int_t)c->size, "root",
			hex_of(c->root.b, sizeof c->root.b, hex), "signed", public != NULL),
		e);
}

#define COLUMNS                                         \
	"seq, size, at, public <> '' AS signed, note, " \
	"CASE WHEN public <> '' THEN public END AS public_key"

static const struct column columns[] = {{"seq", AS_INT}, {"size", AS_INT}, {"at", AS_TIME},
	{"signed", AS_BOOL}, {"note", AS_TEXT}, {"public_key", AS_TEXT}, {0}};

int checkpoints_list(struct db *d, const struct db_page *page, struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM checkpoints", columns);
	static const struct keyset order = {.major = "seq"};
	struct sel s;

	sel_init(&s, &list);
	return sel_page(&s, d, &order, page, ret, e);
}

int checkpoints_get(struct db *d, json_t **ret, struct err *e)
{
	SELECT(newest,
		"SELECT " COLUMNS " FROM checkpoints WHERE ? <> '' ORDER BY seq DESC LIMIT 1",
		columns);

	return db_one_json(d, e, "checkpoint", &newest, ret, "newest");
}

int checkpoints_over(
	struct db *d, int64_t records, char **ret_note, int64_t *ret_size, struct err *e)
{
	char text[CHECKPOINT_TEXT_BYTES];
	struct checkpoint_row row;
	struct checkpoint c;
	int r = checkpoints_newest(d, &row, e);

	if (r == 0 && row.size >= records && row.size > 0) {
		*ret_note = xstrdup(row.note);
		*ret_size = row.size;
		return 0;
	}
	if (r == 0)
		r = checkpoints_look(d, &c, e);
	if (r < 0)
		return r;
	if (c.size < records || c.size == 0)
		return err_set(e, ERR_NOT_FOUND, "there are %lld records, and not %lld",
			(long long)c.size, (long long)records);
	checkpoint_text(&c, text);
	*ret_note = checkpoint_note(text, NULL, NULL);
	*ret_size = c.size;
	return 0;
}
