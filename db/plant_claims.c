/* SPDX-License-Identifier: Apache-2.0 */
#include "db/plant_claims.h"

#include "base/secret.h"
#include "db/stmt.h"

int plant_claim_ended(struct db *d, struct plant_claim *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct plant_claim, id), COL(struct plant_claim, why), {0}};
	SELECT(find,
		"SELECT c.id AS id, c.why AS why FROM plant_claims c LEFT JOIN jobs j ON j.id = c.job_id"
		" WHERE c.told = 0 AND (c.job_id IS NULL OR j.finished_at IS NOT NULL)"
		" ORDER BY c.id LIMIT 1",
		columns);

	return select_one(d, e, &find, ret);
}

int plant_claim_told(struct db *tx, int64_t id, struct err *e)
{
	return db_do(tx, e, "UPDATE plant_claims SET told = 1 WHERE id = ?", id);
}

int plant_claim_room(struct db *d, int64_t stations, json_t **ret_recipes,
	char ret_request[PLANT_NONCE_SIZE], struct err *e)
{
	struct room {
		char request[PLANT_NONCE_SIZE];
		json_t *recipes;
	} row = {0};
	static const struct column columns[] = {
		COL(struct room, request), COL(struct room, recipes), {0}};
	SELECT(find,
		"SELECT claim_request AS request, (SELECT json_group_array(name) FROM (SELECT DISTINCT"
		" name FROM recipes WHERE state = 'approved' ORDER BY name)) AS recipes FROM plant"
		" WHERE ?1 > coalesce((SELECT sum(max(quantity - passed, 0)) FROM jobs"
		" WHERE finished_at IS NULL), 0)",
		columns);
	int r = select_one(d, e, &find, &row, stations);

	if (r <= 0)
		return r;
	memcpy(ret_request, row.request, PLANT_NONCE_SIZE);
	*ret_recipes = row.recipes ? row.recipes : json_array();
	return 1;
}

int plant_claim_request(struct db *tx, struct err *e)
{
	uint8_t raw[(PLANT_NONCE_SIZE - 1) / 2];
	char name[PLANT_NONCE_SIZE];

	random_bytes(raw, sizeof raw);
	return db_do(tx, e, "UPDATE plant SET claim_request = ? WHERE claim_request = ''",
		hex_of(raw, sizeof raw, name));
}

int plant_claim_none(struct db *tx, struct err *e)
{
	return db_do(tx, e, "UPDATE plant SET claim_request = ''");
}

int plant_claim_taken(struct db *tx, int64_t id, const char *order, const char *job,
	const char *why, struct err *e)
{
	static const char sql[] = "INSERT INTO plant_claims (id, order_id, job_id, why)"
				  " VALUES (?, ?, ?, ?)";
	int r = db_do(tx, e, sql, id, order, job, why);

	return r < 0 ? r : plant_claim_none(tx, e);
}
