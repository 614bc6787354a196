/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/orders.h"

#include "base/regex.h"
#include "base/thread.h"
#include "base/util.h"
#include "db/jobs.h"
#include "db/recipes.h"

#define CACHE_SIZE     64
#define MAX_SERIALS    100000
#define MAX_SERIAL_LEN 63

struct orders {
	struct mutex lock;
	struct recipe *cache[CACHE_SIZE]; /* the newest first */
};

enum order_kind { ORDER_PRODUCTION, ORDER_GOLDEN };
static const char *const order_kinds[] = {"production", "golden", NULL};

struct job_order {
	char id[UUID_SIZE];
	enum order_kind kind;
	struct recipe *recipe;
	int64_t quantity, priority, deadline_ms;
	json_t *affinity, *params, *serials, *source;
	char *external_ref;
	char *by;
	struct trace_context trace; /* id "": none */
};

DEFINE_CLEANUP(struct job_order, job_order_free)

void job_claim_done(struct job_claim *c)
{
	c->recipe = recipe_unref(c->recipe);
	json_decref(c->params);
	c->params = NULL;
	c->job_id[0] = 0;
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

static bool kinds_agree(const char *wanted, const struct port_config *p)
{
	bool serial = !strcmp(p->kind, "tty") || !strcmp(p->kind, "tcp");

	if (!strcmp(wanted, "any") || !strcmp(wanted, p->kind))
		return true;
	/* A console may sit behind a terminal server; a probe is a USB device. */
	if (!strcmp(wanted, "tty") || !strcmp(wanted, "tcp"))
		return serial;
	return !serial;
}

int station_fits(const struct station_config *s, const struct recipe *r, struct err *e)
{
	for (size_t i = 0; i < r->ports; i++) {
		const struct recipe_port *rp = &r->port[i];
		const struct port_config *pc = station_port(s, rp->role);

		if (!pc && !rp->optional)
			return err_set(e, ERR_PORT_UNBOUND,
				"recipe %s needs a port '%s', station %s has none", r->name,
				rp->role, s->id);
		if (pc && !kinds_agree(rp->kind, pc))
			return err_set(e, ERR_PORT_UNBOUND,
				"recipe %s needs port '%s' of kind %s, at station %s it is %s",
				r->name, rp->role, rp->kind, s->id, pc->kind);
	}
	return 0;
}

int orders_take(struct orders *orders, struct db *tx, const struct station_config *station,
	bool only_golden, struct job_claim *ret, struct err *e)
{
	struct job job = {0};
	int r = jobs_claim(tx, station->id, only_golden ? "golden" : NULL, &job, e);

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
	} else {
		ret->recipe = recipe_unref(ret->recipe);
	}
	job_done(&job);
	return r;
}

/* --- orders --- */

struct job_order *job_order_free(struct job_order *o)
{
	if (o) {
		recipe_unref(o->recipe);
		json_decref(o->affinity);
		json_decref(o->params);
		json_decref(o->serials);
		json_decref(o->source);
		free(o->external_ref);
		free(o->by);
		free(o);
	}
	return NULL;
}

const struct recipe *job_order_recipe(const struct job_order *o)
{
	return o->recipe;
}

/* What was written: the rest of it is borrowed from the body. */
struct order_form {
	const json_t *recipe, *serials, *stations, *params;
	int64_t quantity, priority, deadline_ms;
	char *external_ref;
	enum order_kind kind;
};

struct recipe_form {
	char *name;
	int64_t version;
};

static const struct form_row recipe_ref_rows[] = {
	{"name", FORM_TEXT, .required = true, .doc = "Its name.",
		FORM_AT(struct recipe_form, name)},
	{"version", FORM_INT, .low = 1, .high = INT64_MAX,
		.doc = "By default the newest that is approved.",
		FORM_AT(struct recipe_form, version)},
	{0},
};

const struct form_row order_rows[] = {
	{"recipe", FORM_ANY, .required = true, .schema = "{\"type\":\"string\"}",
		.rows = recipe_ref_rows, .doc = "NAME, NAME@VERSION, or an object.",
		FORM_AT(struct order_form, recipe)},
	{"kind", FORM_CHOICE, .choices = order_kinds, .def = "production",
		.doc = "golden: of units that are known to be good, to see whether the station is; their runs count in no yield.",
		FORM_AT(struct order_form, kind)},
	{"quantity", FORM_INT, .low = 1, .high = ORDER_QUANTITY_MAX,
		.doc = "Units; needed where the serials do not come from the job.",
		FORM_AT(struct order_form, quantity)},
	{"serials", FORM_LIST, .low = 1, .high = MAX_SERIALS, .schema = "{\"type\":\"string\"}",
		.doc = "A serial number for each unit; needed where the recipe takes them from the job.",
		FORM_AT(struct order_form, serials)},
	{"priority", FORM_INT, .low = ORDER_PRIORITY_MIN, .high = ORDER_PRIORITY_MAX, .def = "0",
		.doc = "The highest is taken first.", FORM_AT(struct order_form, priority)},
	{"stations", FORM_LIST, .schema = "{\"type\":\"string\"}",
		.doc = "Ids of stations; by default all that have the recipe's ports.",
		FORM_AT(struct order_form, stations)},
	{"params", FORM_MAPPING, .doc = "Parameters of the recipe.",
		FORM_AT(struct order_form, params)},
	{"deadline", FORM_TIME, .doc = "When it should be done.",
		FORM_AT(struct order_form, deadline_ms)},
	{"external_ref", FORM_TEXT, .high = 127, .doc = "What it is called elsewhere.",
		FORM_AT(struct order_form, external_ref)},
	{0},
};

/* NAME, or NAME@VERSION. */
static bool split_name(const char *text, struct recipe_form *ret)
{
	const char *at = strchr(text, '@');
	unsigned long long version = 0;

	if (at && (at[1 + strspn(at + 1, "0123456789")] || !parse_size(at + 1, &version) ||
			  version == 0))
		return false;
	free(ret->name);
	ret->name = at ? strndup(text, (size_t)(at - text)) : xstrdup(text);
	/* {name: NAME@VERSION, version}: the version counts. */
	if (at && !ret->version)
		ret->version = (int64_t)MIN(version, (unsigned long long)INT64_MAX);
	return *ret->name;
}

/* Whether it says which recipe; else the mistake is in m. */
static bool read_recipe_ref(const json_t *v, struct recipe_form *ret, struct mistakes *m)
{
	size_t before = m->count;
	_cleanup_(freep) char *text = NULL;

	if (json_is_object(v))
		form_read(recipe_ref_rows, v, "/recipe", "field", ret, m);
	text = xstrdup(json_is_string(v) ? json_string_value(v) : ret->name ? ret->name : "");
	if (m->count == before && !split_name(text, ret))
		mistakes_add(
			m, "/recipe", "'recipe' must be NAME, NAME@VERSION or {name, version}");
	return m->count == before;
}

static void order_recipe(struct job_order *o, struct orders *orders, struct db *d, const json_t *v,
	struct mistakes *m)
{
	struct recipe_form f = {0};
	char state[16];
	struct err e;
	bool said = read_recipe_ref(v, &f, m);

	if (said && orders_recipe(orders, d, f.name, f.version, &o->recipe, state, &e) < 0)
		mistakes_add(m, "/recipe", "there is no approved recipe '%s'",
			json_is_string(v) ? json_string_value(v) : f.name);
	else if (said && strcmp(state, "approved") != 0)
		mistakes_add(m, "/recipe", "recipe %s version %u is %s, not approved", f.name,
			o->recipe->version, state);
	form_done(recipe_ref_rows, &f);
}

static void check_serial(const struct recipe *recipe, const json_t *v, const struct regex *re,
	size_t i, struct mistakes *m)
{
	const char *s = json_string_value(v);
	_cleanup_(freep) char *p = pointer_index("/serials", i);

	if (!s || !*s || strlen(s) > MAX_SERIAL_LEN) {
		mistakes_add(
			m, p, "a serial number is a text of 1 to %d characters", MAX_SERIAL_LEN);
		return;
	}
	for (const char *c = s; *c; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
			mistakes_add(
				m, p, "a serial number holds printable ASCII without spaces only");
			return;
		}
	}
	if (re && !regex_match(re, s, strlen(s), NULL))
		mistakes_add(m, p, "'%s' does not match %s", s, recipe->serial_pattern);
}

static void order_serials(struct job_order *o, const json_t *serials, struct mistakes *m)
{
	bool from_job = o->recipe && o->recipe->serial_source == SERIAL_JOB;
	struct regex *re = NULL;
	json_t *v;
	size_t i;

	if (serials && o->recipe && !from_job)
		mistakes_add(m, "/serials", "recipe %s does not take its serials from the job",
			o->recipe->name);
	if (!serials && from_job)
		mistakes_add(m, "",
			"recipe %s takes its serials from the job: 'serials' is missing",
			o->recipe->name);
	if (from_job && o->recipe->serial_pattern)
		regex_new(o->recipe->serial_pattern, &re, NULL);
	json_array_foreach((json_t *)serials, i, v)
		if (o->recipe)
			check_serial(o->recipe, v, re, i, m);
	regex_free(re);
	o->serials = json_incref((json_t *)serials);
}

static void order_quantity(
	struct job_order *o, const struct order_form *f, const json_t *body, struct mistakes *m)
{
	bool from_job = o->recipe && o->recipe->serial_source == SERIAL_JOB;
	bool given = json_object_get(body, "quantity");
	bool serials = json_object_get(body, "serials");

	o->quantity = given ? f->quantity : (int64_t)json_array_size(f->serials);
	if (!serials && !from_job && !given)
		mistakes_add(m, "", "'quantity' is missing");
	/* A mistake in either has been named already. */
	else if (f->serials && o->quantity && o->quantity != (int64_t)json_array_size(f->serials))
		mistakes_add(m, "/quantity", "'quantity' differs from the number of serials");
}

/* Named stations must fit; without names, those that fit are meant, and there must be one. */
static void order_stations(
	struct job_order *o, const struct config *config, const json_t *given, struct mistakes *m)
{
	size_t fitting = 0;
	json_t *v;
	size_t i;
	struct err e = {0};

	o->affinity = json_array();
	json_array_foreach((json_t *)given, i, v) {
		const char *id = json_string_value(v);
		const struct station_config *s = id ? config_station(config, id) : NULL;
		_cleanup_(freep) char *p = pointer_index("/stations", i);

		if (!s)
			mistakes_add(m, p, "there is no station '%s'", id ? id : "?");
		else if (o->recipe && station_fits(s, o->recipe, &e) < 0)
			mistakes_add(m, p, "%s", e.msg);
		else
			json_array_append(o->affinity, v);
	}
	if (json_array_size(given) > 0 || !o->recipe)
		return;
	for (i = 0; i < config->stations; i++) {
		if (station_fits(&config->station[i], o->recipe, &e) == 0) {
			fitting++;
			json_array_append_new(o->affinity, json_string(config->station[i].id));
		}
	}
	if (fitting == config->stations)
		json_array_clear(o->affinity);
	if (fitting == 0 && config->stations > 0)
		mistakes_add(m, "/recipe", "no station fits: %s", e.msg);
}

/* A golden unit comes again every shift: nothing may be used up by it, or done to it for good. */
static void order_golden(const struct recipe *r, struct mistakes *m)
{
	if (r->serial_source == SERIAL_POOL || r->serial_source == SERIAL_JOB)
		mistakes_add(m, "/kind",
			"recipe %s gives each unit a new serial number, a golden unit keeps its own: order a recipe that takes none, or scans it",
			r->name);
	for (int phase = PHASE_SETUP; phase <= PHASE_TEARDOWN; phase++) {
		for (size_t i = 0; i < r->steps[phase]; i++) {
			const struct recipe_step *s = &r->step[phase][i];
			/* It gives the number that was scanned: the unit's own. */
			const bool own = !strcmp(s->action->name, "unit.serial");

			if (s->later)
				mistakes_add(m, "/kind",
					"step '%s' of recipe %s may be carried out later (offline: later): a run of a golden unit ends with its proof, order a recipe without it",
					s->id, r->name);
			if (s->action->flags & ACTION_IRREVERSIBLE ||
				(s->action->flags & ACTION_GIVES_VALUES && !own))
				mistakes_add(m, "/kind",
					"step '%s' of recipe %s (%s) uses something up or cannot be undone: golden units need a recipe without it",
					s->id, r->name, s->action->name);
		}
	}
}

static void order_params(struct job_order *o, const json_t *params, struct mistakes *m)
{
	struct err e;

	if (o->recipe && recipe_params(o->recipe, params, &o->params, &e) < 0)
		mistakes_add(m, "/params", "%s", e.msg);
}

int job_order_new(struct orders *orders, struct db *reader, const struct config *config,
	const json_t *body, const char *by, struct mistakes *m, struct job_order **ret,
	struct err *e)
{
	_cleanup_(job_order_freep) struct job_order *o = xcalloc(1, sizeof *o);
	struct order_form f = {0};

	uuid7(o->id);
	o->by = xstrdup(by);
	form_read(order_rows, body, "", "member", &f, m);
	order_recipe(o, orders, reader, f.recipe, m);
	order_serials(o, f.serials, m);
	order_quantity(o, &f, body, m);
	order_stations(o, config, f.stations, m);
	order_params(o, f.params, m);
	if (f.kind == ORDER_GOLDEN && o->recipe)
		order_golden(o->recipe, m);
	o->kind = f.kind;
	o->priority = f.priority;
	o->deadline_ms = f.deadline_ms;
	o->external_ref = steal_ptr(&f.external_ref);
	form_done(order_rows, &f);
	if (m->count > 0)
		return err_set(e, ERR_INVALID, "%s", m->item[0].text);
	*ret = steal_ptr(&o);
	return 0;
}

void job_order_trace(struct job_order *o, const struct trace_context *t)
{
	o->trace = *t;
}

int job_order_apply(
	struct db *tx, struct job_order *o, json_t **ret, json_t **ret_offending, struct err *e)
{
	const struct job_new n = {
		.id = o->id,
		.kind = order_kinds[o->kind],
		.recipe = o->recipe->name,
		.version = o->recipe->version,
		.recipe_sha256 = o->recipe->sha256,
		.quantity = o->quantity,
		.priority = o->priority,
		.affinity = o->affinity,
		.params = o->params,
		.serials = o->serials,
		.external_ref = o->external_ref,
		.deadline_ms = o->deadline_ms,
		.created_by = o->by,
		.trace = o->trace.id[0] ? &o->trace : NULL,
	};
	int r = jobs_create(tx, &n, ret_offending, e);

	return r < 0 ? r : jobs_get(tx, o->id, ret, e);
}
