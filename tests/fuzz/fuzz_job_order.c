/* SPDX-License-Identifier: Apache-2.0
 *
 * Any JSON as the body of POST /jobs: an order, or mistakes with their pointers. The database holds
 * one approved recipe.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/job_order.h"
#include "daemon/recipe/recipe.h"
#include "db/db.h"
#include "db/recipes.h"

static const char recipe_text[] =
	"{\"recipe\":\"r\",\"version\":1,\"unit\":{\"model\":\"m\",\"serial\":{\"from\":\"job\","
	"\"pattern\":\"^S\\\\d+$\"}},\"params\":{\"n\":{\"type\":\"integer\",\"default\":3}},"
	"\"steps\":[{\"action\":\"operator.prompt\",\"with\":{\"text\":\"?\"}}]}";

static struct db *open_db(void)
{
	struct db *d = NULL;
	struct recipe *recipe = NULL;
	struct mistakes m = {0};
	json_t *root = json_loads(recipe_text, 0, NULL);
	struct err e = {0};
	bool created;

	if (db_open(":memory:", &d, &e) < 0 || recipe_check(root, &m, &recipe, &e) < 0)
		abort();

	_cleanup_(freep) char *json = recipe_canonical(root);
	const struct recipe_text t = {"r", 1, recipe->sha256, json, recipe_text};

	if (recipes_put_draft(d, &t, "fuzz", &created, &e) < 0 ||
		recipes_approve(d, &t, recipe->sha256, "fuzz", &e) < 0)
		abort();
	recipe_unref(recipe);
	json_decref(root);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct db *db;
	static struct orders *orders;
	static char id[] = "A1";
	struct station_config station = {.id = id, .title = id};
	const struct config config = {.refs = 1, .station = &station, .stations = 1};
	json_t *body = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
	struct job_order *order = NULL;
	struct mistakes m = {0};
	struct err e = {0};

	if (!db) {
		db = open_db();
		orders = orders_new();
	}
	if (json_is_object(body) &&
		job_order_new(orders, db, &config, body, "fuzz", &m, &order, &e) < 0 &&
		(m.count == 0 || !e.msg[0]))
		abort();
	job_order_free(order);
	mistakes_done(&m);
	json_decref(body);
	return 0;
}
