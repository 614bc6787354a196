/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/line/line_rig.h"

#include <string.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "base/tree.h"
#include "base/util.h"
#include "daemon/line/binding.h"
#include "daemon/line/feed.h"
#include "daemon/line/job_order.h"
#include "daemon/line/records.h"
#include "daemon/line/store.h"
#include "db/pools.h"
#include "db/readers.h"
#include "db/recipes.h"
#include "db/stmt.h"
#include "tests/unit/unit.h"
#include "transports/links/link_queue.h"
#include "transports/images/cache.h"

#define PATIENCE_US (60 * US_PER_S)

/* One rig at a time in a process. */
static struct mutex lock;
static struct cond changed;
static uint64_t version;

static void changed_now(void *line)
{
	mutex_lock(&lock);
	version++;
	cond_broadcast(&changed);
	mutex_unlock(&lock);
}

static struct config *present_config(void *line)
{
	return config_ref(((struct line_rig *)line)->config);
}

static void not_bound(
	void *data, const struct config_port *port, const struct device_facts *f, bool wrong)
{
}

static void not_bound_either(void *data, const struct config_port *port)
{
}

static void not_told(void *data, const struct db_event *ev, size_t n)
{
}

static void load(struct line_rig *g, const char *yaml)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", g->dir);
	struct strbuf report = {0};
	struct err e = {0};
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "state_dir: %s/state\nhotplug: []\n%s", g->dir, yaml);
	fclose(f);
	ck_assert_msg(config_load(path, &report, &g->config, &e) == 0, "%s", report.s);
	sb_done(&report);
}

void line_rig_open(struct line_rig *g, const char *yaml)
{
	const struct binding_sink sink = {g, not_bound, not_bound_either};
	struct line_services *v = &g->services;
	struct err e = {0};

	*g = (struct line_rig){.dir = "/tmp/provd-line-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(g->dir));
	mutex_init(&lock);
	cond_init(&changed);
	load(g, yaml);
	*v = (struct line_services){.holds = holds_new(changed_now, g),
		.orders = orders_new(),
		.images = image_cache_new(),
		.instruments = link_queue_new(),
		.powers = link_queue_new(),
		.binding = binding_new(&sink),
		.boot = "boot",
		.line = g,
		.wake = changed_now,
		.views_changed = changed_now,
		.config = present_config};

	ck_assert_msg(feed_new(64, &v->feed, &e) == 0, "%s", e.msg);

	const struct records_opts o = {
		.config = g->config, .holds = v->holds, .committed = not_told, .data = g};

	ck_assert_msg(store_open(g->config->state_dir, &g->store, &e) == 0, "%s", e.msg);
	ck_assert_msg(records_open(&o, &v->records, &e) == 0, "%s", e.msg);
	v->store = g->store;
	v->writer = records_writer(v->records);
	v->readers = readers_new(records_path(v->records));
}

void line_rig_close(struct line_rig *g)
{
	struct line_services *v = &g->services;

	readers_free(v->readers);
	records_free(v->records);
	holds_free(v->holds);
	feed_free(v->feed);
	orders_free(v->orders);
	image_cache_free(v->images);
	link_queue_free(v->instruments);
	link_queue_free(v->powers);
	binding_free(v->binding);
	store_free(g->store);
	config_unref(g->config);
	cond_done(&changed);
	mutex_done(&lock);
	tree_clear(g->dir);
	rmdir(g->dir);
}

/* --- what is ordered --- */

struct to_approve {
	struct recipe *recipe;
	char *json;
};

static int apply_recipe(struct db *tx, void *data, struct err *e)
{
	const struct to_approve *a = data;
	const struct recipe_text t = {
		a->recipe->name, a->recipe->version, a->recipe->sha256, a->json, a->json};
	bool created;
	int r = recipes_put_draft(tx, &t, "author", &created, e);

	return r < 0 ? r : recipes_approve(tx, &t, a->recipe->sha256, "author", e);
}

void line_rig_recipe(struct line_rig *g, const char *yaml)
{
	struct strbuf report = {0};
	struct to_approve a = {0};
	struct err e = {0};

	ck_assert_msg(recipe_load("recipe", yaml, strlen(yaml), &report, &a.recipe, &e) == 0, "%s",
		report.s);
	a.json = recipe_canonical(a.recipe->json);
	ck_assert_msg(writer_do(g->services.writer, apply_recipe, &a, &e) == 0, "%s", e.msg);
	free(a.json);
	recipe_unref(a.recipe);
	sb_done(&report);
}

static int apply_pool(struct db *tx, void *data, struct err *e)
{
	return pools_create(tx, data, e);
}

void line_rig_pool(struct line_rig *g, const char *id, const char *pattern)
{
	struct pool_new p = {.id = id,
		.kind = "serial",
		.pattern = pattern,
		.first = 1,
		.last = 999,
		.check = "none"};
	struct err e = {0};

	ck_assert_msg(writer_do(g->services.writer, apply_pool, &p, &e) == 0, "%s", e.msg);
}

struct order {
	struct job_order *order;
	json_t *job;
};

static int apply_order(struct db *tx, void *data, struct err *e)
{
	struct order *o = data;

	int r = job_order_apply(tx, o->order, &o->job, NULL, e);

	return r != 0 ? r : job_order_read(tx, o->order, &o->job, e);
}

void line_rig_order(struct line_rig *g, const char *recipe, unsigned quantity, char ret[UUID_SIZE])
{
	line_rig_order_of(g, "production", recipe, quantity, ret);
}

void line_rig_order_of(struct line_rig *g, const char *kind, const char *recipe, unsigned quantity,
	char ret[UUID_SIZE])
{
	json_t *body = json_pack(
		"{s:s, s:s, s:i}", "kind", kind, "recipe", recipe, "quantity", (int)quantity);
	struct order o = {0};
	struct mistakes m = {0};
	struct db *d = NULL;
	struct err e = {0};

	ck_assert_int_eq(db_open_reader(records_path(g->services.records), &d, &e), 0);
	ck_assert_msg(
		job_order_new(g->services.orders, d, g->config, body, "mes", &m, &o.order, &e) == 0,
		"%s", e.msg);
	ck_assert_msg(writer_do(g->services.writer, apply_order, &o, &e) == 0, "%s", e.msg);
	job_order_free(o.order);
	mistakes_done(&m);
	db_free(d);
	json_decref(body);
	snprintf(ret, UUID_SIZE, "%s", json_string_value(json_object_get(o.job, "id")));
	json_decref(o.job);
}

/* --- what is on record --- */

char *line_rig_ask(struct line_rig *g, const char *sql)
{
	struct db *d = NULL;
	struct err e = {0};
	char text[65536];

	ck_assert_int_eq(db_open_reader(records_path(g->services.records), &d, &e), 0);
	ck_assert_msg(db_text(d, &e, text, sizeof text, sql) == 1, "no row: %s %s", sql, e.msg);
	db_free(d);
	return xstrdup(text);
}

/* --- waiting --- */

void line_rig_until(struct line_rig *g, struct station *s,
	bool (*is)(json_t *view, const void *data), const void *data)
{
	const uint64_t deadline_us = now_us() + PATIENCE_US;

	for (;;) {
		uint64_t seen;
		json_t *view;
		bool ok;

		mutex_lock(&lock);
		seen = version;
		mutex_unlock(&lock);
		view = station_json(s);
		ok = is(view, data);
		if (!ok && now_us() > deadline_us) {
			char *text = json_dumps(view, JSON_INDENT(1));

			ck_abort_msg("the station did not come to it: %s", text);
		}
		json_decref(view);
		if (ok)
			return;
		mutex_lock(&lock);
		while (version == seen && cond_wait_until(&changed, &lock, deadline_us))
			;
		mutex_unlock(&lock);
	}
}

static bool is_state(json_t *view, const void *data)
{
	return !strcmp(json_string_value(json_object_get(view, "state")), data);
}

void line_rig_until_state(struct line_rig *g, struct station *s, enum station_state state)
{
	line_rig_until(g, s, is_state, station_state_str(state));
}
