/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/orders.h"

#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/line/order_stations.h"
#include "db/jobs.h"
#include "db/recipes.h"
#include "db/writer.h"

#define CACHE_SIZE 64

struct orders {
	struct mutex lock;
	struct recipe *cache[CACHE_SIZE]; /* the newest first */
	int64_t expiry_ms; /* atomic: when the next order's time is over; 0: it has to be looked up */
	bool expiring;	   /* atomic: the writer has it in hand */
};

const char *const route_verdicts[] = {"allow", "hold", "reject", NULL};

void job_claim_done(struct job_claim *c)
{
	c->recipe = recipe_unref(c->recipe);
	json_decref(c->params);
	c->params = NULL;
	c->job_id[0] = c->serial[0] = 0;
}

void job_claim_row(struct job_claim *c, const struct job_row *row)
{
	/* In its place: the runner looks each parameter up where it is used. */
	json_object_update(c->params, row->params);
	memcpy(c->serial, row->serial, sizeof c->serial);
}

const char *route_verdict_str(enum route_verdict v)
{
	return route_verdicts[v];
}

int route_verdict_from(const char *s)
{
	for (int i = 0; route_verdicts[i]; i++)
		if (!strcmp(route_verdicts[i], s))
			return i;
	return -1;
}

/* As job_order.c wrote it. */
static void read_policy(const json_t *o, struct route_policy *ret)
{
	const char *service = json_string_value(json_object_get(o, "service"));
	const char *silence = json_string_value(json_object_get(o, "on_no_answer"));
	const int verdict = silence ? route_verdict_from(silence) : -1;

	*ret = (struct route_policy){
		.on_no_answer = verdict < 0 ? ROUTE_HOLD : (enum route_verdict)verdict,
		.timeout_us =
			(uint64_t)json_integer_value(json_object_get(o, "timeout_ms")) * 1000};
	snprintf(ret->service, sizeof ret->service, "%s", service ? service : "");
}

struct orders *orders_new(void)
{
	struct orders *orders = xcalloc(1, sizeof *orders);

	mutex_init(&orders->lock);
	return orders;
}

struct orders *orders_free(struct orders *orders)
{
	if (orders) {
		for (size_t i = 0; i < CACHE_SIZE; i++)
			recipe_unref(orders->cache[i]);
		mutex_done(&orders->lock);
		free(orders);
	}
	return NULL;
}

static struct recipe *cache_find(struct orders *orders, const char *sha256)
{
	struct recipe *r = NULL;

	mutex_lock(&orders->lock);
	for (size_t i = 0; i < CACHE_SIZE && orders->cache[i] && !r; i++)
		if (!strcmp(orders->cache[i]->sha256, sha256))
			r = recipe_ref(orders->cache[i]);
	mutex_unlock(&orders->lock);
	return r;
}

static void cache_add(struct orders *orders, struct recipe *r)
{
	struct recipe *last;

	mutex_lock(&orders->lock);
	last = orders->cache[CACHE_SIZE - 1];
	memmove(orders->cache + 1, orders->cache, (CACHE_SIZE - 1) * sizeof orders->cache[0]);
	orders->cache[0] = recipe_ref(r);
	mutex_unlock(&orders->lock);
	recipe_unref(last);
}

int orders_recipe(struct orders *orders, struct db *d, const char *name, int64_t version,
	struct recipe **ret, char ret_state[16], struct err *e)
{
	struct recipe_row row = {0};
	struct mistakes m = {0};
	struct recipe *recipe;
	json_t *root;
	int r = recipes_find(d, name, version, &row, e);

	if (r < 0)
		return r;
	if (ret_state)
		memcpy(ret_state, row.state, sizeof row.state);
	recipe = cache_find(orders, row.sha256);
	if (!recipe) {
		root = json_loads(row.json, 0, NULL);
		r = root ? recipe_check(root, &m, &recipe, e)
			 : err_set(e, ERR_DATABASE, "recipe %s is not stored as JSON", name);
		mistakes_done(&m);
		json_decref(root);
		if (r == 0)
			cache_add(orders, recipe);
	}
	recipe_row_done(&row);
	if (r == 0)
		*ret = recipe;
	return r;
}

int orders_take(struct orders *orders, struct db *tx, const struct station_config *station,
	bool only_golden, const json_t *marks, struct job_claim *ret, struct err *e)
{
	json_t *can = station_capabilities(station);
	const struct job_taker taker = {station->id, can, only_golden ? "golden" : NULL, marks};
	struct job job = {0};
	int r = jobs_claim(tx, &taker, &job, e);

	json_decref(can);
	if (r < 0)
		return r;
	r = orders_recipe(orders, tx, job.recipe, job.version, &ret->recipe, NULL, e);
	if (r == 0)
		r = station_fits(station, ret->recipe, e);
	if (r == 0) {
		snprintf(ret->job_id, sizeof ret->job_id, "%s", job.id);
		ret->golden = !strcmp(job.kind, "golden");
		ret->params = json_incref(job.params);
		snprintf(ret->external_ref, sizeof ret->external_ref, "%s", job.external_ref);
		snprintf(ret->number, sizeof ret->number, "%s", job.number);
		ret->listed = job.listed;
		read_policy(job.route_check, &ret->route);
	} else {
		ret->recipe = recipe_unref(ret->recipe);
	}
	job_done(&job);
	return r;
}

/* --- time --- */

void orders_times_changed(struct orders *orders)
{
	__atomic_store_n(&orders->expiry_ms, 0, __ATOMIC_SEQ_CST);
}

static int apply_expire(struct db *tx, void *data, struct err *e)
{
	struct orders *orders = data;
	int64_t next = 0;
	int r = jobs_expire(tx, wall_ms(), &next, e);

	if (r == 0)
		__atomic_store_n(&orders->expiry_ms, next, __ATOMIC_SEQ_CST);
	return r;
}

static void expired(void *data, int result, const struct err *err)
{
	struct orders *orders = data;

	/* What was found out went with the transaction. */
	if (result < 0) {
		log_warning(
			"orders whose time may be over are looked at again later: %s", err->msg);
		orders_times_changed(orders);
	}
	__atomic_store_n(&orders->expiring, false, __ATOMIC_RELEASE);
}

void orders_tick(struct orders *orders, struct writer *writer)
{
	struct err e;

	if (wall_ms() < __atomic_load_n(&orders->expiry_ms, __ATOMIC_SEQ_CST) ||
		__atomic_exchange_n(&orders->expiring, true, __ATOMIC_ACQUIRE))
		return;
	if (writer_submit(writer, apply_expire, orders, expired, &e) < 0)
		__atomic_store_n(&orders->expiring, false, __ATOMIC_RELEASE);
}

/* --- a change --- */

/* RFC 7396, of an object of plain values. */
static json_t *params_with(const json_t *params, const json_t *patch)
{
	json_t *all = json_copy((json_t *)params);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)patch, key, v) {
		if (json_is_null(v))
			json_object_del(all, key);
		else
			json_object_set(all, key, v);
	}
	return all;
}

int orders_check_patch(struct orders *orders, struct db *d, const struct config *config,
	const json_t *job, const struct order_patch *p, struct mistakes *m, json_t **ret_params,
	struct err *e)
{
	const json_t *requires = p->requires ? p->requires : json_object_get(job, "requires");
	struct recipe *recipe = NULL;
	json_t *all;
	int r = orders_recipe(orders, d, json_string_value(json_object_get(job, "recipe")),
		json_integer_value(json_object_get(job, "version")), &recipe, NULL, e);

	if (r < 0)
		return r;
	if (p->stations)
		order_stations_named(config, recipe, p->stations, requires, m);
	else if (p->requires)
		order_stations_able(config, recipe, json_object_get(job, "affinity"), requires, m);
	if (p->params) {
		all = params_with(json_object_get(job, "params"), p->params);
		if (recipe_params_read(recipe, all, false, "/params", m, ret_params) < 0)
			*ret_params = NULL;
		json_decref(all);
	}
	recipe_unref(recipe);
	return 0;
}
