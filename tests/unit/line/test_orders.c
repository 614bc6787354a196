/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders: every mistake of one at its pointer, and which order a station gets next.
 */
#include "daemon/line/job_order.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/line/records.h"
#include "db/readers.h"
#include "tests/unit/line/line_rig.h"
#include "tests/unit/unit.h"

static struct line_rig rig;

static void setup(void)
{
	line_rig_open(&rig,
		"services: {mes: {url: 'http://127.0.0.1:9'}}\nstations:\n"
		"  - {id: A1, capabilities: [rf, heat], ports: {console: {path: 1-1}}}\n"
		"  - {id: A2, ports: {console: {path: 1-2}, usb: {path: 2-1, kind: usb}}}\n");
	line_rig_recipe(&rig, "recipe: plain\nversion: 1\nports: {console: {kind: tty}}\n"
			      "params: {n: {type: integer, default: 3}}\n"
			      "steps: [{id: ask, action: operator.prompt, with: {text: fine?}}]\n");
	line_rig_recipe(&rig,
		"recipe: burn\nversion: 1\nports: {console: {kind: tty}}\n"
		"steps: [{id: lock, action: stm32.protect, with: {port: console, what: readout, level: '1'}}]\n");
	line_rig_recipe(&rig,
		"recipe: later\nversion: 1\nports: {console: {kind: tty}}\n"
		"steps:\n"
		"  - id: tell\n"
		"    action: http.request\n"
		"    offline: later\n"
		"    with: {service: c, path: /x, method: POST, idempotency_key: '${run.id}-k'}\n");
	line_rig_recipe(&rig,
		"recipe: scanned\nversion: 1\nunit: {model: M, serial: {from: scan}}\n"
		"steps: [{id: scan, action: operator.scan, with: {text: label?}},\n"
		"  {id: name, action: unit.serial, with: {value: '${steps.scan.value}'}}]\n");
	line_rig_recipe(&rig,
		"recipe: listed\nversion: 2\nparams: {n: {type: integer, default: 3}, v: {type: string}}\n"
		"unit: {model: M, serial: {from: job, pattern: '^S[0-9]+$'}}\n"
		"ports: {usb: {kind: usb}}\n"
		"steps: [{id: name, action: unit.serial}]\n");
}

static void teardown(void)
{
	line_rig_close(&rig);
}

/* The mistakes as "pointer: text" lines, "" for an order without any. */
static char *mistakes_of(const char *json)
{
	json_t *body;
	struct mistakes m = {0};
	struct strbuf all = {0};
	struct job_order *o = NULL;
	struct err e = {0};
	struct db *d = readers_take(rig.services.readers, &e);
	_cleanup_(freep) char *text = xstrdup(json);

	for (char *c = strchr(text, '\''); c; c = strchr(c, '\''))
		*c = '"';
	body = json_loads(text, 0, NULL);
	ck_assert_msg(body && d, "%s", json);
	job_order_new(rig.services.orders, d, rig.config, body, "mes", &m, &o, &e);
	readers_give(rig.services.readers, d);
	for (size_t i = 0; i < m.count; i++)
		sb_addf(&all, "%s: %s\n", m.item[i].pointer, m.item[i].text);
	ck_assert_int_eq(o == NULL, m.count > 0);
	job_order_free(o);
	mistakes_done(&m);
	json_decref(body);
	return sb_take(&all);
}

static const struct {
	const char *json, *mistake; /* the first line; "" none */
} cases[] = {
	{"{'recipe':'listed','units':[{'serial':'S1','params':{'v':'a'}},{'serial':'S2','params':{'v':'b','n':4}}]}",
		""},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'S1'}]}", ""},
	{"{'recipe':'listed','units':[{'serial':'S1'}]}",
		"/units/0/params: parameter 'v' is missing"},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'S1'},{'serial':'S2','params':{'n':'x'}}]}",
		"/units/1/params/n: "},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'S1','params':{'w':1}}]}",
		"/units/0/params/w: recipe listed has no parameter 'w'"},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'X1'}]}",
		"/units/0/serial: 'X1' does not match"},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'S1','colour':1}]}",
		"/units/0/colour: "},
	{"{'recipe':'listed','params':{'v':'a'},'units':['S1']}", "/units/0: a unit is an object"},
	{"{'recipe':'listed','params':{'v':'a'},'units':[{'serial':'S1','chip_id':'c'}]}",
		"/units/0: 'chip_id' says which unit"},
	{"{'recipe':'listed','params':{'v':'a'},'assign':'recognised','units':[{'serial':'S1','chip_id':'c'}]}",
		""},
	{"{'recipe':'listed','params':{'v':'a'},'kind':'rework','units':[{'serial':'S1'}]}", ""},
	{"{'recipe':'listed','params':{'v':'a'},'kind':'rework','serials':['S1']}",
		": a rework order lists"},
	{"{'recipe':'listed','params':{'v':'a'},'quantity':2,'units':[{'serial':'S1'}]}",
		"/quantity: 'quantity' differs from the number of units"},
	{"{'recipe':'plain','quantity':1,'route_check':{'service':'mes','on_no_answer':'reject','timeout':'2s'}}",
		""},
	{"{'recipe':'plain','quantity':1,'route_check':{'service':'mess'}}",
		"/route_check/service: "},
	{"{'recipe':'plain','quantity':1,'route_check':{}}", "/route_check: "},
	{"{'recipe':'plain','quantity':1,'route_check':'mes'}",
		"/route_check: 'route_check' is an object"},
	{"{'recipe':'plain','quantity':1,'route_check':{'service':'mes','timeout':'31s'}}",
		"/route_check/timeout: "},
	{"{'recipe':'plain','quantity':1,'route_check':{'service':'mes','on_no_answer':'go'}}",
		"/route_check/on_no_answer: "},
	{"{'recipe':'scanned','units':[{'serial':'S1'}]}", ""},
	{"{'recipe':'scanned','assign':'in-order','units':[{'serial':'S1'}]}",
		"/assign: recipe scanned reads"},
	{"{'recipe':'plain','units':[{'serial':'S1'}]}",
		"/units: recipe plain gives no serial numbers"},
	{"{\"recipe\":\"plain\",\"quantity\":4}", ""},
	{"{\"recipe\":\"plain@1\",\"quantity\":4,\"stations\":[\"A1\"],\"params\":{\"n\":5}}", ""},
	{"{\"recipe\":{\"name\":\"plain\",\"version\":1},\"quantity\":1,\"priority\":-1000}", ""},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\",\"S2\"],\"params\":{\"v\":\"a\"}}", ""},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"kind\":\"golden\"}", ""},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"kind\":\"silver\"}", "/kind: "},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\"],\"params\":{\"v\":\"a\"},\"kind\":\"golden\"}",
		"/kind: recipe listed gives each unit a new serial number"},
	{"{\"recipe\":\"burn\",\"quantity\":1,\"kind\":\"golden\"}",
		"/kind: step 'lock' of recipe burn (stm32.protect) uses something up"},
	{"{\"recipe\":\"later\",\"quantity\":1}", ""},
	{"{\"recipe\":\"later\",\"quantity\":1,\"kind\":\"golden\"}",
		"/kind: step 'tell' of recipe later may be carried out later (offline: later)"},
	{"{\"quantity\":4}", "/recipe: 'recipe' must be NAME, NAME@VERSION or {name, version}"},
	{"{\"recipe\":\"other\",\"quantity\":1}", "/recipe: there is no approved recipe 'other'"},
	{"{\"recipe\":\"plain@2\",\"quantity\":1}",
		"/recipe: there is no approved recipe 'plain@2'"},
	{"{\"recipe\":\"plain@1K\",\"quantity\":1}", "/recipe: 'recipe' must be NAME,"},
	{"{\"recipe\":\"plain@0x1\",\"quantity\":1}", "/recipe: 'recipe' must be NAME,"},
	{"{\"recipe\":\"plain@0\",\"quantity\":1}", "/recipe: 'recipe' must be NAME,"},
	{"{\"recipe\":\"plain\"}", ": 'quantity' is missing"},
	{"{\"recipe\":\"plain\",\"quantity\":0}",
		"/quantity: 'quantity' must be an integer from 1"},
	{"{\"recipe\":\"plain\",\"quantity\":\"4\"}", "/quantity: 'quantity' must be an integer"},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"quantty\":1}", "/quantty: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"priority\":1001}", "/priority: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"stations\":[\"A1\",\"B9\"]}",
		"/stations/1: there is no station 'B9'"},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\"],\"params\":{\"v\":\"a\"},\"stations\":[\"A1\"]}",
		"/stations/0: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"params\":{\"x\":1}}", "/params/x: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"params\":{\"n\":\"five\"}}", "/params/n: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"deadline\":\"tomorrow\"}", "/deadline: "},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"requires\":[\"rf\",\"heat\"]}", ""},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"requires\":[\"rf\",\"camera\"]}",
		"/requires: no station that has the recipe's ports has all"},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"requires\":[\"rf\"],\"stations\":[\"A1\",\"A2\"]}",
		"/stations/1: the order requires 'rf', station A2"},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"expires\":\"2020-01-01T00:00:00Z\"}",
		"/expires: 'expires' is over already"},
	{"{\"recipe\":\"plain\",\"quantity\":1,\"number\":\"\"}", "/number: "},
	{"{\"recipe\":\"plain\",\"serials\":[\"S1\"]}", "/serials: recipe plain does not take"},
	{"{\"recipe\":\"listed\",\"quantity\":2,\"params\":{\"v\":\"a\"}}",
		": recipe listed takes its serials from the job"},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\",\"X2\"],\"params\":{\"v\":\"a\"}}",
		"/serials/1: 'X2' does not match ^S[0-9]+$"},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\",\"S 2\"],\"params\":{\"v\":\"a\"}}",
		"/serials/1: a serial number holds"},
	{"{\"recipe\":\"listed\",\"serials\":[],\"params\":{\"v\":\"a\"}}",
		"/serials: 'serials' must be a list"},
	{"{\"recipe\":\"listed\",\"serials\":[\"S1\"],\"params\":{\"v\":\"a\"},\"quantity\":2}",
		"/quantity: 'quantity' differs"},
};

START_TEST(each_mistake_is_at_its_pointer)
{
	_cleanup_(freep) char *found = mistakes_of(cases[_i].json);

	if (!*cases[_i].mistake)
		ck_assert_str_eq(found, "");
	else
		ck_assert_msg(!strncmp(found, cases[_i].mistake, strlen(cases[_i].mistake)),
			"%s gives '%s', not '%s'", cases[_i].json, found, cases[_i].mistake);
}
END_TEST

START_TEST(a_long_list_of_mistakes_ends_somewhere)
{
	struct strbuf body = {0};
	_cleanup_(freep) char *found = NULL;

	sb_add(&body, "{'recipe':'listed','params':{'v':'a'},'units':[");
	for (int i = 0; i < 300; i++)
		sb_addf(&body, "%s{'serial':'S %d'}", i ? "," : "", i);
	sb_add(&body, "]}");
	found = mistakes_of(body.s);
	ck_assert_ptr_nonnull(strstr(found, "/units/99/serial: "));
	ck_assert_ptr_null(strstr(found, "/units/100/serial: "));
	ck_assert_ptr_nonnull(strstr(found, "what follows unit 99 was not looked at"));
	sb_done(&body);
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	_cleanup_(freep) char *found =
		mistakes_of("{\"recipe\":\"none\",\"quantity\":-1,\"deadline\":5,\"foo\":1}");

	ck_assert_ptr_nonnull(strstr(found, "/foo: "));
	ck_assert_ptr_nonnull(strstr(found, "/recipe: "));
	ck_assert_ptr_nonnull(strstr(found, "/quantity: "));
	ck_assert_ptr_nonnull(strstr(found, "/deadline: "));
}
END_TEST

/* --- what a station gets --- */

struct take {
	const struct station_config *station;
	bool only_golden;
	struct job_claim claim;
};

static int apply_take(struct db *tx, void *data, struct err *e)
{
	struct take *t = data;

	return orders_take(rig.services.orders, tx, t->station, t->only_golden, NULL, &t->claim, e);
}

static int take_of(const char *station, bool only_golden, char ret[UUID_SIZE])
{
	struct take t = {
		.station = config_station(rig.config, station), .only_golden = only_golden};
	struct err e;
	int r = writer_do(rig.services.writer, apply_take, &t, &e);

	snprintf(ret, UUID_SIZE, "%s", r == 0 ? t.claim.job_id : "");
	job_claim_done(&t.claim);
	return r;
}

static int take(const char *station, char ret[UUID_SIZE])
{
	return take_of(station, false, ret);
}

START_TEST(the_oldest_order_comes_first_and_only_to_stations_that_fit)
{
	char first[UUID_SIZE];
	char second[UUID_SIZE];
	char got[UUID_SIZE];

	ck_assert_int_eq(take("A1", got), -ERR_NOT_FOUND);
	line_rig_order(&rig, "plain", 5, first);
	line_rig_order(&rig, "plain", 5, second);
	ck_assert_int_eq(take("A1", got), 0);
	ck_assert_str_eq(got, first);
	ck_assert_int_eq(take("A2", got), 0);
	ck_assert_str_eq(got, first);
}
END_TEST

START_TEST(a_station_that_is_blocked_gets_orders_for_golden_units_alone)
{
	char made[UUID_SIZE];
	char golden[UUID_SIZE];
	char got[UUID_SIZE];

	line_rig_order(&rig, "plain", 5, made);
	ck_assert_int_eq(take_of("A1", true, got), -ERR_NOT_FOUND);
	line_rig_order_of(&rig, "golden", "plain", 1, golden);
	ck_assert_int_eq(take_of("A1", true, got), 0);
	ck_assert_str_eq(got, golden);
	ck_assert_int_eq(take("A1", got), 0);
	ck_assert_str_eq(got, made);
}
END_TEST

#define NAME_64 "a-name-of-64-characters-is-the-longest-that-a-recipe-may-have-12"

START_TEST(a_recipe_of_the_longest_name_is_taken)
{
	char job[UUID_SIZE];
	char got[UUID_SIZE];

	ck_assert_uint_eq(strlen(NAME_64), 64);
	line_rig_recipe(&rig, "recipe: " NAME_64 "\nversion: 1\n"
			      "steps: [{id: ask, action: operator.prompt, with: {text: fine?}}]\n");
	line_rig_order(&rig, NAME_64, 1, job);
	ck_assert_int_eq(take("A1", got), 0);
	ck_assert_str_eq(got, job);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("orders");
	TCase *t = tcase_create("orders");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, each_mistake_is_at_its_pointer, 0, ARRAY_LEN(cases));
	tcase_add_test(t, a_long_list_of_mistakes_ends_somewhere);
	tcase_add_test(t, all_mistakes_are_told_at_once);
	tcase_add_test(t, the_oldest_order_comes_first_and_only_to_stations_that_fit);
	tcase_add_test(t, a_station_that_is_blocked_gets_orders_for_golden_units_alone);
	tcase_add_test(t, a_recipe_of_the_longest_name_is_taken);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
