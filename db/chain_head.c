/* SPDX-License-Identifier: Apache-2.0 */
#include "db/chain_head.h"

#include "base/seal.h"
#include "db/db_impl.h"
#include "db/stmt.h"

static int read_head(struct db *d, struct chain_head *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct chain_head, chain),
		COL(struct chain_head, hash), COL_AS(struct chain_head, run, "id"), {0}};
	SELECT(last,
		"SELECT chain, hash, id FROM runs WHERE chain IS NOT NULL"
		" ORDER BY chain DESC LIMIT 1",
		columns);

	*ret = (struct chain_head){0};
	return MIN(select_one(d, e, &last, ret), 0);
}

/* A clean stop says it last, so that the start after it need not say it again. */
static int last_told(struct db *d, int64_t *ret, struct err *e)
{
	static const char sql[] =
		"SELECT json_extract(data, '$.chain') FROM (SELECT seq, type, data FROM events"
		" ORDER BY seq DESC LIMIT 1000) WHERE type = 'chain-head' ORDER BY seq DESC LIMIT "
		"1";

	*ret = 0;
	return MIN(db_int(d, e, ret, sql), 0);
}

void chain_head_text(const struct chain_head *h, char ret[CHAIN_HEAD_TEXT])
{
	snprintf(ret, CHAIN_HEAD_TEXT, "{\"chain\":%lld,\"hash\":\"%s\",\"run\":\"%s\"}",
		(long long)h->chain, h->hash, h->run);
}

static int tell(struct db *tx, const struct chain_head *h, const struct seal *seal, struct err *e)
{
	char text[CHAIN_HEAD_TEXT];
	char signature[SEAL_BASE64] = "";
	int r;

	chain_head_text(h, text);
	r = seal ? seal_sign(seal, text, strlen(text), signature, e) : 0;
	if (r < 0)
		return r;
	return db_event(tx, "chain-head", NULL, NULL, h->run, NULL,
		json_pack("{s:I, s:s, s:s, s:s*, s:s*}", "chain", (json_int_t)h->chain, "hash",
			h->hash, "run", h->run, "key", seal ? seal_id(seal) : NULL, "signature",
			seal ? signature : NULL),
		e);
}

int chain_head_tell(struct db *tx, const struct chain_head *told, const struct seal *seal,
	struct chain_head *ret, struct err *e)
{
	struct chain_head head;
	int64_t before = told->chain;
	int r = read_head(tx, &head, e);

	if (r == 0 && before < 0)
		r = last_told(tx, &before, e);
	if (r == 0 && head.chain != before)
		r = tell(tx, &head, seal, e);
	if (r == 0)
		*ret = head;
	return r;
}
