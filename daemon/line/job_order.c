/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/job_order.h"

#include "base/regex.h"
#include "base/trace_context.h"
#include "base/util.h"
#include "daemon/line/order_stations.h"
#include "transports/links/http_service.h"

#define MAX_SERIALS    100000
#define MAX_SERIAL_LEN 63

/* Mistakes of a list of units; the rest of it is not looked at then. */
#define MAX_UNIT_MISTAKES 100

enum order_kind { ORDER_PRODUCTION, ORDER_GOLDEN, ORDER_REWORK };
static const char *const order_kinds[] = {"production", "golden", "rework", NULL};
static const char *const order_assigns[] = {"by-recipe", "in-order", "recognised", NULL};

struct job_order {
	char id[UUID_SIZE];
	enum order_kind kind;
	struct recipe *recipe;
	int64_t quantity, priority, deadline_ms;
	int64_t expires_ms;
	json_t *affinity, *requires, *params, *serials, *units, *source, *route_check;
	enum job_assign assign;
	char *external_ref, *number;
	char content_sha256[SHA256_HEX];
	char *by;
	struct trace_context trace; /* id "": none */
};

DEFINE_CLEANUP(struct job_order, job_order_free)

struct job_order *job_order_free(struct job_order *o)
{
	if (o) {
		recipe_unref(o->recipe);
		json_decref(o->affinity);
		json_decref(o->requires);
		json_decref(o->params);
		json_decref(o->serials);
		json_decref(o->units);
		json_decref(o->route_check);
		json_decref(o->source);
		free(o->external_ref);
		free(o->number);
		free(o->by);
		free(o);
	}
	return NULL;
}

const char *job_order_id(const struct job_order *o)
{
	return o->id;
}

const struct recipe *job_order_recipe(const struct job_order *o)
{
	return o->recipe;
}

/* What was written: the rest of it is borrowed from the body. */
struct order_form {
	const json_t *recipe, *serials, *units, *stations, *requires, *params, *route_check;
	int assign;
	int64_t quantity, priority, deadline_ms, expires_ms;
	char *external_ref, *number;
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

/* Of an item of units: what unit_rows say. */
#define UNIT_SCHEMA                                                                                      \
	"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"serial\"],\"properties\":{" \
	"\"serial\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63},"                             \
	"\"chip_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":127},"                           \
	"\"params\":{\"type\":\"object\"}}}"

struct route_form {
	char *service;
	enum route_verdict on_no_answer;
	uint64_t timeout_us;
};

static const struct form_row route_rows[] = {
	{"service", FORM_TEXT, .required = true, .low = 1, .high = CONFIG_ID_MAX,
		.doc = "A name in 'services' of provd.yaml; cfx: the endpoint of 'validate_address' in 'cfx'.",
		FORM_AT(struct route_form, service)},
	{"on_no_answer", FORM_CHOICE, .choices = route_verdicts, .def = "hold",
		.doc = "What happens to a unit where the service does not answer.",
		FORM_AT(struct route_form, on_no_answer)},
	{"timeout", FORM_DURATION, .low = 100000, .def = "5s",
		.doc = "How long the answer may take, at most 30s.",
		FORM_AT(struct route_form, timeout_us)},
	{0},
};

struct unit_form {
	char *serial, *chip_id;
	const json_t *params;
};

static const struct form_row unit_rows[] = {
	{"serial", FORM_TEXT, .required = true, .low = 1, .high = MAX_SERIAL_LEN,
		.doc = "Its serial number.", FORM_AT(struct unit_form, serial)},
	{"chip_id", FORM_TEXT, .low = 1, .high = 127,
		.doc = "What its chip or its USB device says, where that is known before: the row is of that unit alone.",
		FORM_AT(struct unit_form, chip_id)},
	{"params", FORM_MAPPING,
		.doc = "Parameters of the recipe for this unit, over those of the order.",
		FORM_AT(struct unit_form, params)},
	{0},
};

const struct form_row order_rows[] = {
	{"recipe", FORM_ANY, .required = true, .schema = "{\"type\":\"string\"}",
		.rows = recipe_ref_rows, .doc = "NAME, NAME@VERSION, or an object.",
		FORM_AT(struct order_form, recipe)},
	{"kind", FORM_CHOICE, .choices = order_kinds, .def = "production",
		.doc = "golden: of units that are known to be good, to see whether the station is; their runs count in no yield. rework: of units that were made and did not pass, which keep their numbers.",
		FORM_AT(struct order_form, kind)},
	{"quantity", FORM_INT, .low = 1, .high = ORDER_QUANTITY_MAX,
		.doc = "Units; needed where the serials do not come from the job.",
		FORM_AT(struct order_form, quantity)},
	{"serials", FORM_LIST, .low = 1, .high = MAX_SERIALS, .schema = "{\"type\":\"string\"}",
		.doc = "A serial number for each unit; needed where the recipe takes them from the job.",
		FORM_AT(struct order_form, serials)},
	{"units", FORM_LIST, .low = 1, .high = JOB_UNITS_MAX, .schema = UNIT_SCHEMA,
		.doc = "The units, instead of serials: {serial, chip_id, params} for each. A serial number that is in another list is 409.",
		FORM_AT(struct order_form, units)},
	{"assign", FORM_CHOICE, .choices = order_assigns, .def = "by-recipe",
		.doc = "How a unit finds its row of units. in-order: the next one that comes is the next row. recognised: it says who it is, by the serial number of its USB device, its chip or what is scanned. by-recipe: in-order where the recipe takes its serials from the job, else recognised.",
		FORM_AT(struct order_form, assign)},
	{"priority", FORM_INT, .low = ORDER_PRIORITY_MIN, .high = ORDER_PRIORITY_MAX, .def = "0",
		.doc = "The highest is taken first.", FORM_AT(struct order_form, priority)},
	{"stations", FORM_LIST, .schema = "{\"type\":\"string\"}",
		.doc = "Ids of stations; by default all that have the recipe's ports.",
		FORM_AT(struct order_form, stations)},
	{"params", FORM_MAPPING, .doc = "Parameters of the recipe.",
		FORM_AT(struct order_form, params)},
	{"deadline", FORM_TIME, .doc = "When it should be done.",
		FORM_AT(struct order_form, deadline_ms)},
	{"expires", FORM_TIME,
		.doc = "When it ends by itself: an order that has not begun by then is cancelled, another one stops after the units under way.",
		FORM_AT(struct order_form, expires_ms)},
	{"requires", FORM_TEXTS, .high = 32,
		.doc = "Names in 'capabilities' of stations.d: only stations that have them all take a unit of it.",
		FORM_AT(struct order_form, requires)},
	{"number", FORM_TEXT, .low = 1, .high = JOB_REF_SIZE - 1,
		.doc = "The MES's own number, once for ever: the same request again answers with the order that there is.",
		FORM_AT(struct order_form, number)},
	{"route_check", FORM_ANY, .rows = route_rows,
		.doc = "Who is asked before a unit begins whether it may: {service, on_no_answer, timeout}.",
		FORM_AT(struct order_form, route_check)},
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

static void check_serial(const struct recipe *recipe, const char *s, const struct regex *re,
	const char *p, struct mistakes *m)
{
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

static void order_serials(
	struct job_order *o, const json_t *serials, bool units, struct mistakes *m)
{
	bool from_job = o->recipe && o->recipe->serial_source == SERIAL_JOB;
	struct regex *re = NULL;
	json_t *v;
	size_t i;

	if (serials && o->recipe && !from_job)
		mistakes_add(m, "/serials", "recipe %s does not take its serials from the job",
			o->recipe->name);
	if (!serials && !units && from_job)
		mistakes_add(m, "",
			"recipe %s takes its serials from the job: 'serials' or 'units' is missing",
			o->recipe->name);
	if (from_job && o->recipe->serial_pattern)
		regex_new(o->recipe->serial_pattern, &re, NULL);
	json_array_foreach((json_t *)serials, i, v) {
		_cleanup_(freep) char *p = pointer_index("/serials", i);

		if (o->recipe)
			check_serial(o->recipe, json_string_value(v), re, p, m);
	}
	regex_free(re);
	o->serials = json_incref((json_t *)serials);
}

static void order_quantity(
	struct job_order *o, const struct order_form *f, const json_t *body, struct mistakes *m)
{
	bool from_job = o->recipe && o->recipe->serial_source == SERIAL_JOB;
	bool given = json_object_get(body, "quantity");
	bool serials = json_object_get(body, "serials");

	const json_t *list = f->units ? f->units : f->serials;

	o->quantity = given ? f->quantity : (int64_t)json_array_size(list);
	if (!serials && !f->units && !from_job && !given)
		mistakes_add(m, "", "'quantity' is missing");
	/* A mistake in either has been named already. */
	else if (list && o->quantity && o->quantity != (int64_t)json_array_size(list))
		mistakes_add(m, "/quantity", "'quantity' differs from the number of %s",
			f->units ? "units" : "serials");
}

static void order_route(
	struct job_order *o, const struct config *config, const json_t *v, struct mistakes *m)
{
	struct route_form f = {0};
	struct http_service service;
	struct err e;

	if (!v)
		return;
	if (!json_is_object(v)) {
		mistakes_add(m, "/route_check",
			"'route_check' is an object such as {\"service\": \"mes\"}");
		return;
	}
	form_read(route_rows, v, "/route_check", "member", &f, m);
	if (f.timeout_us > ROUTE_TIMEOUT_MAX_US)
		mistakes_add(m, "/route_check/timeout", "'timeout' is 30s at most");
	if (f.service && !config_asks_cfx(config, f.service) &&
		config_service(config, f.service, &service, &e) < 0)
		mistakes_add(m, "/route_check/service", "%s", e.msg);
	else if (f.service && !config_asks_cfx(config, f.service))
		http_service_done(&service);
	o->route_check = json_pack("{s:s?, s:s, s:I}", "service", f.service, "on_no_answer",
		route_verdict_str(f.on_no_answer), "timeout_ms", (json_int_t)(f.timeout_us / 1000));
	form_done(route_rows, &f);
}

/* --- a list of units --- */

/* A copy: what the rows borrow from the body is gone before the order is applied. */
static json_t *unit_row(const struct unit_form *u, json_t *params)
{
	return json_pack(
		"{s:s, s:s*, s:o}", "serial", u->serial, "chip_id", u->chip_id, "params", params);
}

/* The steps are made when the run begins: a list that only the unit's own row has would come too late. */
static void check_lists(const struct job_order *o, const struct unit_form *u, const char *pointer,
	struct mistakes *m)
{
	const json_t *declared = json_object_get(o->recipe->json, "params");
	const char *name;
	json_t *v;

	if (!o->recipe->open || o->assign != JOB_ASSIGN_RECOGNISED)
		return;
	json_object_foreach((json_t *)u->params, name, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		if (json_is_array(v) && json_object_get(declared, name))
			mistakes_add(m, p,
				"a unit of this order is recognised during its run, when the steps of its loops are made already: give the list in the order's 'params'");
	}
}

static void order_unit(struct job_order *o, const json_t *v, const char *p, const struct regex *re,
	struct mistakes *m)
{
	_cleanup_(freep) char *at = pointer_key(p, "params");
	_cleanup_(freep) char *serial = pointer_key(p, "serial");
	struct unit_form u = {0};
	json_t *merged = json_copy(o->params), *params = NULL;

	if (!json_is_object(v)) {
		mistakes_add(m, p, "a unit is an object such as {\"serial\": \"S1\"}");
	} else {
		form_read(unit_rows, v, p, "member", &u, m);
		json_object_update(merged, (json_t *)u.params);
		if (recipe_params_read(o->recipe, merged, false, at, m, &params) < 0)
			params = NULL;
		check_lists(o, &u, at, m);
		if (u.serial)
			check_serial(o->recipe, u.serial, re, serial, m);
		if (u.chip_id && o->assign == JOB_ASSIGN_IN_ORDER)
			mistakes_add(m, p,
				"'chip_id' says which unit it is: use \"assign\": \"recognised\" with it");
	}
	if (u.serial && params)
		json_array_append_new(o->units, unit_row(&u, json_incref(params)));
	json_decref(merged);
	json_decref(params);
	form_done(unit_rows, &u);
}

static void order_assign(struct job_order *o, const struct order_form *f, struct mistakes *m)
{
	const struct recipe *r = o->recipe;
	const bool from_job = r->serial_source == SERIAL_JOB;
	const bool rework = f->kind == ORDER_REWORK;

	o->assign = f->assign		  ? (enum job_assign)f->assign
		    : from_job && !rework ? JOB_ASSIGN_IN_ORDER
					  : JOB_ASSIGN_RECOGNISED;
	if (r->serial_source == SERIAL_POOL || r->serial_source == SERIAL_NONE)
		mistakes_add(m, "/units",
			"recipe %s %s: a list of units needs one that takes its serials from the job, or reads them",
			r->name,
			r->serial_source == SERIAL_POOL ? "gives numbers of a pool"
							: "gives no serial numbers");
	if (!from_job && o->assign == JOB_ASSIGN_IN_ORDER)
		mistakes_add(m, "/assign",
			"recipe %s reads the serial number: its units are recognised", r->name);
	if (rework && o->assign == JOB_ASSIGN_IN_ORDER)
		mistakes_add(m, "/assign",
			"units that were made before are recognised, each has its own number");
}

/* By its chip a unit is recognised: two rows of one would each be its own. */
static void order_chips(const json_t *units, size_t most, struct mistakes *m)
{
	json_t *seen = json_object();
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)units, i, v) {
		const char *chip = json_string_value(json_object_get(v, "chip_id"));
		const json_t *first = chip ? json_object_get(seen, chip) : NULL;
		_cleanup_(freep) char *p = xasprintf("/units/%zu/chip_id", i);

		if (first && m->count < most)
			mistakes_add(m, p,
				"'%s' is in this list twice, first as number %lld: each unit has its own",
				chip, (long long)json_integer_value(first));
		else if (chip && !first)
			json_object_set_new(seen, chip, json_integer((json_int_t)i + 1));
	}
	json_decref(seen);
}

static void order_units(struct job_order *o, const struct order_form *f, struct mistakes *m)
{
	const size_t most = m->count + MAX_UNIT_MISTAKES;
	struct regex *re = NULL;
	json_t *v;
	size_t i;

	if (!f->units && f->kind == ORDER_REWORK)
		mistakes_add(m, "",
			"a rework order lists the units that did not pass: 'units' is missing");
	if (!f->units || !o->recipe || !o->params)
		return;
	if (f->serials)
		mistakes_add(m, "/units", "an order has 'units' or 'serials', not both");
	order_assign(o, f, m);
	o->units = json_array();
	if (o->recipe->serial_pattern)
		regex_new(o->recipe->serial_pattern, &re, NULL);
	json_array_foreach((json_t *)f->units, i, v) {
		_cleanup_(freep) char *p = pointer_index("/units", i);

		order_unit(o, v, p, re, m);
		if (m->count < most)
			continue;
		mistakes_add(m, "/units",
			"that are too many mistakes: what follows unit %zu was not looked at", i);
		break;
	}
	regex_free(re);
	order_chips(f->units, most, m);
}

/* Named stations must be able; without names, those that fit are meant, and there must be one. */
static void order_stations(
	struct job_order *o, const struct config *config, const json_t *given, struct mistakes *m)
{
	if (json_array_size(given) > 0 || !o->recipe) {
		order_stations_named(config, o->recipe, given, o->requires, m);
		o->affinity = given ? json_deep_copy(given) : json_array();
	} else {
		o->affinity = order_stations_fitting(config, o->recipe, o->requires, m);
	}
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

/* Where each unit has its own, the order needs not have all. */
static void order_params(
	struct job_order *o, const json_t *params, bool partial, struct mistakes *m)
{
	if (o->recipe &&
		recipe_params_read(o->recipe, params, partial, "/params", m, &o->params) < 0)
		o->params = NULL;
}

void job_order_digest(const json_t *body, char ret[SHA256_HEX])
{
	_cleanup_(freep) char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	sha256_hex_of(text ? text : "", text ? strlen(text) : 0, ret);
}

int job_order_new(struct orders *orders, struct db *reader, const struct config *config,
	const json_t *body, const char *by, struct mistakes *m, struct job_order **ret,
	struct err *e)
{
	_cleanup_(job_order_freep) struct job_order *o = xcalloc(1, sizeof *o);
	struct order_form f = {0};

	uuid7(o->id);
	o->by = xstrdup(by);
	job_order_digest(body, o->content_sha256);
	form_read(order_rows, body, "", "member", &f, m);
	o->requires = f.requires ? json_deep_copy(f.requires) : json_array();
	order_recipe(o, orders, reader, f.recipe, m);
	order_serials(o, f.serials, f.units, m);
	order_quantity(o, &f, body, m);
	order_stations(o, config, f.stations, m);
	order_params(o, f.params, f.units, m);
	order_units(o, &f, m);
	order_route(o, config, f.route_check, m);
	if (f.kind == ORDER_GOLDEN && o->recipe)
		order_golden(o->recipe, m);
	o->kind = f.kind;
	o->priority = f.priority;
	o->deadline_ms = f.deadline_ms;
	o->expires_ms = f.expires_ms;
	if (f.expires_ms && f.expires_ms <= wall_ms())
		mistakes_add(m, "/expires", ORDER_EXPIRED);
	o->external_ref = steal_ptr(&f.external_ref);
	o->number = steal_ptr(&f.number);
	form_done(order_rows, &f);
	if (m->count > 0)
		return err_set(e, ERR_INVALID, "%s", m->item[0].text);
	*ret = steal_ptr(&o);
	return 0;
}

/* 1: the same request was here before. */
static int find_number(struct db *tx, const struct job_order *o, json_t **ret, struct err *e)
{
	int r = o->number ? job_order_find(tx, o->number, o->content_sha256, ret, e) : 0;

	return r < 0 ? r : r > 0;
}

int job_order_find(
	struct db *d, const char *number, const char *content_sha256, json_t **ret, struct err *e)
{
	char id[DB_ID_SIZE];
	bool same;
	int r = jobs_by_number(d, number, content_sha256, id, &same, e);

	if (r <= 0)
		return r;
	if (!same)
		return err_set(e, ERR_CONFLICT,
			"number '%s' is that of an order with other content: find it (GET /search?q=NUMBER) and change it with PATCH, or give this one its own number",
			number);
	r = jobs_get(d, id, ret, e);
	return r < 0 ? r : 1;
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
		.kind = o->kind == ORDER_GOLDEN ? "golden" : NULL,
		.rework = o->kind == ORDER_REWORK,
		.recipe = o->recipe->name,
		.version = o->recipe->version,
		.recipe_sha256 = o->recipe->sha256,
		.quantity = o->quantity,
		.priority = o->priority,
		.affinity = o->affinity,
		.requires = o->requires,
		.params = o->params,
		.serials = o->serials,
		.units = o->units,
		.assign = o->assign,
		.route_check = o->route_check,
		.external_ref = o->external_ref,
		.number = o->number,
		.content_sha256 = o->number ? o->content_sha256 : NULL,
		.deadline_ms = o->deadline_ms,
		.expires_ms = o->expires_ms,
		.created_by = o->by,
		.trace = o->trace.id[0] ? &o->trace : NULL,
	};
	int r = find_number(tx, o, ret, e);

	if (r != 0)
		return r;
	return jobs_create(tx, &n, ret_offending, e);
}

int job_order_read(struct db *d, const struct job_order *o, json_t **ret, struct err *e)
{
	return jobs_get(d, o->id, ret, e);
}
