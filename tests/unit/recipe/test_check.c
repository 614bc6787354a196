/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of a recipe: every mistake at once, each with its place and the nearest valid name.
 */
#include "daemon/recipe/recipe.h"

#include <string.h>

#include "base/thread.h"
#include "base/util.h"
#include "daemon/recipe/action.h"
#include "tests/unit/unit.h"

static struct strbuf report;

static int load(const char *text)
{
	struct recipe *recipe = NULL;
	struct err e = {0};
	int r;

	sb_clear(&report);
	r = recipe_load("r.yaml", text, strlen(text), &report, &recipe, &e);
	ck_assert(r == 0 || recipe == NULL);
	recipe_unref(recipe);
	return r;
}

static void done(void)
{
	sb_done(&report);
}

START_TEST(test_all_mistakes_are_told_at_once_with_line_and_column)
{
	static const char text[] = "recipe: x\n"
				   "version: 0\n"
				   "unit: {serial: {pol: a}}\n"
				   "ports: {c: {kind: tty, bod: 3}}\n"
				   "params: {p: {type: integr}}\n"
				   "steps:\n"
				   "  - id: a\n"
				   "    action: consol.command\n"
				   "  - id: a\n"
				   "    action: console.command\n"
				   "    with: {port: d, sent: hi, timeout: 5, expect: '('}\n"
				   "    retry: {attempts: 0, on: [timeot]}\n"
				   "    when: '${steps.zz.value} == '\n";
	static const char *const want[] = {
		"r.yaml:2:10: 'version'",
		"r.yaml:3:17: unknown key 'pol', did you mean 'pool'?",
		"r.yaml:4:24: unknown key 'bod', did you mean 'baud'?",
		"r.yaml:5:14: unknown type 'integr', did you mean 'integer'?",
		"r.yaml:8:13: unknown action 'consol.command', did you mean 'console.command'?",
		"r.yaml:9:9: the id 'a' is used twice",
		"r.yaml:11:11: 'send' is missing",
		"r.yaml:11:18: unknown port 'd', did you mean 'c'?",
		"r.yaml:11:21: unknown argument 'sent', did you mean 'send'?",
		"r.yaml:11:40: 'timeout' is '5': a duration with its unit",
		"r.yaml:11:51: 'expect': pattern '('",
		"r.yaml:12:31: unknown cause 'timeot', did you mean 'timeout'?",
		"r.yaml:13:11: '${steps.zz.value}'",
	};

	ck_assert_int_eq(load(text), -ERR_RECIPE_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_msg(
			strstr(report.s, want[i]) != NULL, "no '%s' in\n%s", want[i], report.s);
}
END_TEST

#define HEAD                                                                                   \
	"recipe: x\nversion: 1\nports: {c: {kind: tty}}\nparams: {p: {type: string, default: " \
	"a}}\n"
#define STEP "steps:\n  - id: a\n    action: console.command\n    with: {port: c, send: "

START_TEST(test_a_name_that_cannot_resolve_is_a_mistake_of_the_check)
{
	static const struct {
		const char *send, *told;
	} row[] = {
		{"'${params.q}'", "did you mean 'p'"},
		{"'${unit.serial}'", "where serials come from"},
		{"'${artifacts.fw}'", "artifacts.fw"},
		{"'${steps.a.reply}'", "steps.a"}, /* itself: not yet run */
		{"'${nothing.at.all}'", "nothing"},
		{"'${params.p'", "${"},
		{"'${}'", "${"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(HEAD STEP "%s}\n", row[i].send);

		ck_assert_msg(load(text) == -ERR_RECIPE_INVALID, "%s is taken", row[i].send);
		ck_assert_msg(
			strstr(report.s, row[i].told) != NULL, "%s: %s", row[i].send, report.s);
	}
	ck_assert_msg(load(HEAD STEP "'x ${params.p} $${literal}'}\n") == 0, "%s", report.s);
}
END_TEST

START_TEST(test_the_digest_is_of_the_meaning_not_of_the_text)
{
	static const char a[] = HEAD STEP "hi}\n";
	static const char b[] =
		"# a comment\nversion: 1\nrecipe:   x\nparams: {p: {default: 'a', type: string}}\n"
		"ports:\n  c:\n    kind: tty\n" STEP "hi}\n";
	struct recipe *ra = NULL;
	struct recipe *rb = NULL;
	struct err e;

	ck_assert_int_eq(recipe_load("a", a, strlen(a), NULL, &ra, &e), 0);
	ck_assert_int_eq(recipe_load("b", b, strlen(b), NULL, &rb, &e), 0);
	ck_assert_str_eq(ra->sha256, rb->sha256);
	recipe_unref(ra);
	recipe_unref(rb);
}
END_TEST

START_TEST(test_parameters_are_typed_and_all_known)
{
	static const char text[] = "recipe: x\nversion: 1\nparams:\n  s: {type: string}\n  n: "
				   "{type: integer, default: 3}\n"
				   "steps:\n  - {id: a, action: operator.prompt, with: {text: "
				   "'${params.s} ${params.n}'}}\n";
	static const struct {
		const char *given;
		int r;
	} row[] = {{"{\"s\":\"x\"}", 0}, {"{\"s\":\"x\",\"n\":4}", 0}, {"{}", -ERR_INVALID},
		{"{\"s\":\"x\",\"n\":\"y\"}", -ERR_INVALID},
		{"{\"s\":\"x\",\"z\":1}", -ERR_INVALID}, {"{\"s\":[]}", -ERR_INVALID}};
	struct recipe *recipe = NULL;
	struct err e;

	ck_assert_msg(
		recipe_load("x", text, strlen(text), &report, &recipe, &e) == 0, "%s", report.s);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		json_t *given = json_loads(row[i].given, 0, NULL);
		json_t *all = NULL;

		ck_assert_msg(
			recipe_params(recipe, given, &all, &e) == row[i].r, "%s", row[i].given);
		if (all)
			ck_assert_int_eq((int)json_object_size(all), 2);
		json_decref(all);
		json_decref(given);
	}
	recipe_unref(recipe);
}
END_TEST

START_TEST(test_limits_between_which_nothing_can_pass_are_a_mistake)
{
	static const struct {
		const char *with, *said; /* said NULL: good */
	} row[] = {
		{"low: 20, high: 30", NULL},
		{"low: 20, high: 20", NULL},
		{"low: 20, high: 30, marginal: 5", NULL},
		{"low: -30, high: -20, marginal: 0", NULL},
		{"high: 30, marginal: 50", NULL},
		{"low: '${params.p}', high: 20", NULL}, /* known at the run */
		{"low: 30, high: 20", "'low' is 30, above 'high', which is 20"},
		{"low: -20, high: -30", "above 'high'"},
		{"low: 20, high: 30, marginal: 9", "more than half"},
		{"low: 20, high: 20, marginal: 0.1", "more than half"},
		{"low: 20, high: 30, marginal: -1", "'marginal' is -1"},
		{"low: '${params.p}', marginal: -1", "'marginal' is -1"},
		{"low: .nan, high: 30", "not a value here"},
		{"low: 20, high: .inf", "not a value here"},
		{"low: -.inf, high: 20", "not a value here"},
		{"low: 20, high: 1e999", "out of range"},
		{"low: 20, high: 30, marginal: nan", "'marginal'"},
		{"low: 2O, high: 30", "'low'"},
		{"low: '2,5', high: 30", "'low'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(HEAD
			"steps:\n  - {id: a, action: console.measure, with: {port: c, send: "
			"read, %s}}\n",
			row[i].with);
		int r = load(text);

		ck_assert_msg((r == 0) == !row[i].said, "%s: %s", row[i].with,
			report.s ? report.s : "taken");
		if (row[i].said)
			ck_assert_msg(
				strstr(report.s, row[i].said) && strstr(report.s, "r.yaml:6:"),
				"%s: %s", row[i].with, report.s);
	}
}
END_TEST

START_TEST(test_a_parameter_in_quotes_is_of_the_type_that_the_recipe_declares)
{
	static const char text[] =
		"recipe: x\nversion: 1\nparams:\n  s: {type: string, choices: ['0', '007']}\n"
		"  n: {type: integer, choices: [3, 0x10]}\n  d: {type: number, choices: [1, 2.5]}\n"
		"  b: {type: bool, default: false}\n"
		"steps:\n  - {id: a, action: operator.prompt, with: {text: "
		"'${params.s} ${params.n} ${params.d} ${params.b}'}}\n";
	static const struct {
		const char *given, *all; /* all NULL: refused */
	} row[] = {
		{"{\"s\":\"0\",\"n\":\"3\",\"d\":\"1\",\"b\":\"true\"}",
			"{\"b\": true, \"d\": 1.0, \"n\": 3, \"s\": \"0\"}"},
		{"{\"s\":\"007\",\"n\":16,\"d\":2.5}",
			"{\"b\": false, \"d\": 2.5, \"n\": 16, \"s\": \"007\"}"},
		{"{\"s\":\"7\",\"n\":\"3\",\"d\":\"1\"}", NULL},
		{"{\"s\":\"0\",\"n\":\"4\",\"d\":\"1\"}", NULL},
		{"{\"s\":\"0\",\"n\":\"3\",\"d\":\"1.5\"}", NULL},
		{"{\"s\":\"0\",\"n\":\"three\",\"d\":\"1\"}", NULL},
	};
	struct recipe *recipe = NULL;
	struct err e;

	ck_assert_msg(
		recipe_load("x", text, strlen(text), &report, &recipe, &e) == 0, "%s", report.s);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		json_t *given = json_loads(row[i].given, 0, NULL), *all = NULL;
		int r = recipe_params(recipe, given, &all, &e);
		char *said = all ? json_dumps(all, JSON_SORT_KEYS) : NULL;

		ck_assert_int_eq(r, row[i].all ? 0 : -ERR_INVALID);
		if (row[i].all)
			ck_assert_str_eq(said, row[i].all);
		free(said);
		json_decref(all);
		json_decref(given);
	}
	recipe_unref(recipe);
}
END_TEST

START_TEST(test_what_a_reference_will_give_counts_as_given)
{
	static const struct {
		const char *step, *said; /* said NULL: good */
	} row[] = {
		{"unit.label, with: {template: '${params.p}', printer: '${params.p}'}", NULL},
		{"unit.label, with: {template: '${params.p}', file: '${params.p}'}", NULL},
		{"unit.label, with: {template: '${params.p}'}", "a label that goes nowhere"},
		{"operator.scan, with: {text: t, equals: '${params.p}'}", NULL},
		{"operator.scan, with: {text: t, equals: '${params.p}', pattern: a}",
			"'pattern' and 'equals'"},
		{"console.measure, with: {port: c, send: a, low: '${params.p}', marginal: 1}",
			NULL},
		{"console.measure, with: {port: c, send: a, marginal: 1}", "needs 'low' or 'high'"},
		{"console.command, with: {port: c, send: a, prove: true, prompt: '${params.p}'}",
			NULL},
		{"console.command, with: {port: c, send: a, prove: true, ping: '${params.p}'}",
			NULL},
		{"console.command, with: {port: c, send: a, prove: true}", "needs a 'ping'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text =
			xasprintf(HEAD "steps:\n  - {id: a, action: %s}\n", row[i].step);
		int r = load(text);

		ck_assert_msg((r == 0) == !row[i].said, "%s: %s", row[i].step,
			report.s ? report.s : "taken");
		if (row[i].said)
			ck_assert_msg(strstr(report.s, row[i].said), "%s", report.s);
	}
}
END_TEST

START_TEST(test_a_port_of_a_kind_that_the_action_cannot_use_is_a_mistake)
{
	static const struct {
		const char *kind, *step, *said;
	} row[] = {
		{"tty", "fastboot.flash, with: {port: c, partition: p, image: f.bin}",
			"port 'c' is of kind tty: fastboot.flash takes tcp, udp or usb"},
		{"probe", "fastboot.getvar, with: {port: c, name: product}",
			"takes tcp, udp or usb"},
		{"usb", "console.command, with: {port: c, send: hi}", "takes tty or tcp"},
		{"udp", "serialboot.boot, with: {port: c}", "takes tty or tcp"},
		{"tcp", "dfu.list, with: {port: c}", "dfu.list takes usb"},
		{"tty", "adb.shell, with: {port: c, command: id}", "takes tcp or usb"},
		{"tty", "openocd.command, with: {port: c, target: t, commands: [x]}",
			"takes tcp, usb or probe"},
		{"tcp", "console.command, with: {port: c, send: hi}", NULL},
		{"any", "dfu.list, with: {port: c}", NULL},
		{"udp", "fastboot.getvar, with: {port: c, name: product}", NULL},
		{"usb", "device.wait, with: {port: c}", NULL},
		{"tty", "device.wait, with: {port: c}", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"recipe: x\nversion: 1\nports: {c: {kind: %s}}\nsteps:\n  - {id: a, "
			"action: %s}\n",
			row[i].kind, row[i].step);
		int r = load(text);
		bool said = report.s && row[i].said && strstr(report.s, row[i].said);

		ck_assert_msg(r < 0 ? said : !row[i].said, "%s %s: %s", row[i].kind, row[i].step,
			report.s ? report.s : "taken");
	}
}
END_TEST

START_TEST(test_a_name_that_is_no_text_is_a_mistake)
{
	static const struct {
		const char *with, *said;
	} row[] = {{"port: 5, image: '${artifacts.a}'",
			   "5:56: 'port' is 5: a name as a text expected"},
		{"port: true, image: '${artifacts.a}'", "'port' is true"},
		{"port: c, image: 7", "'image' is 7: a name as a text expected"},
		{"port: c, image: a", "'image' is 'a': a declared artifact expected"},
		{"port: c, image: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			NULL},
		{"port: c, image: '${artifacts.a}'", NULL}};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"recipe: x\nversion: 1\nports: {c: {kind: tty}}\nartifacts: {a: f}\n"
			"steps: [{id: a, action: serialboot.flash, with: {%s}}]\n",
			row[i].with);
		int r = load(text);

		ck_assert_msg((r == 0) == !row[i].said, "%s: %s", row[i].with, report.s);
		ck_assert_msg(!row[i].said || strstr(report.s, row[i].said), "%s", report.s);
	}
}
END_TEST

START_TEST(test_every_port_argument_says_which_kinds_it_takes)
{
	for (size_t i = 0; action_table[i]; i++)
		for (const struct action_arg *a = action_table[i]->args; a->name; a++)
			ck_assert_msg((a->type == ARG_PORT) == (a->ports != 0), "%s %s",
				action_table[i]->name, a->name);
}
END_TEST

START_TEST(test_a_firmware_version_comes_from_a_step)
{
	static const struct {
		const char *text, *said;
	} row[] = {
		{"${steps.a.match1}", NULL},
		{"${steps.a.reply}", NULL},
		{"${params.p}", "the output of a step"},
		{"1.0.0", "the output of a step"},
		{"v${steps.a.match1}", "the output of a step"},
		{"${steps.a.match1}x", "the output of a step"},
		{"${steps.a.match1}${steps.a.reply}", "the output of a step"},
		{"${steps.b.match1}", "no earlier step has the id 'b'"},
		{"${steps.a.mtch1}", "did you mean 'match1'"},
		{"${steps.a}", "name an output"},
		{"${steps.}", "the output of a step"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(
			HEAD "unit: {firmware_version: '%s'}\n" STEP "version}\n", row[i].text);
		int r = load(text);

		ck_assert_msg((r == 0) == !row[i].said, "%s: %s", row[i].text,
			report.s ? report.s : "taken");
		if (row[i].said)
			ck_assert_msg(
				strstr(report.s, row[i].said), "%s: %s", row[i].text, report.s);
	}
}
END_TEST

/* 64 bytes are what the record of a unit has room for. */
START_TEST(test_a_model_that_no_record_holds_is_a_mistake)
{
	for (int n = 64; n <= 65; n++) {
		_cleanup_(freep) char *text =
			xasprintf(HEAD "unit: {model: '%0*d'}\n" STEP "version}\n", n, 0);
		int r = load(text);

		ck_assert_int_eq(r, n == 64 ? 0 : -ERR_RECIPE_INVALID);
		if (r < 0)
			ck_assert_ptr_nonnull(
				strstr(report.s, "'model' must be a text of 0 to 64 bytes"));
	}
}
END_TEST

START_TEST(test_the_rest_of_a_step_is_checked_where_its_action_is_unknown)
{
	static const char text[] =
		HEAD "steps:\n"
		     "  - id: a\n"
		     "    action: consol.command\n"
		     "    with: {send: '${params.q}', more: {deep: ['${steps.z.x}']}}\n"
		     "    timeout: 5\n"
		     "    retry: {attempts: 0}\n"
		     "    on_fail: go\n"
		     "    when: '${params.r} == 1'\n"
		     "    what: 1\n"
		     "  - {with: {send: '${params.s}'}}\n";
	static const char *const want[] = {"unknown action", "params.q", "steps.z", "'timeout'",
		"'attempts'", "'go'", "params.r", "unknown key 'what'", "'action' is missing",
		"params.s"};

	ck_assert_int_eq(load(text), -ERR_RECIPE_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_msg(strstr(report.s, want[i]), "no '%s' in\n%s", want[i], report.s);
}
END_TEST

START_TEST(test_what_a_unit_gets_is_checked_by_its_shape)
{
	static const struct {
		const char *with, *then, *says;
	} rows[] = {
		{"{values: {eth0: {pool: macs}, license: {pool: lic}}}",
			"${steps.id.eth0} ${steps.id.license} ${steps.id.serial} ${steps.id.lease}",
			NULL},
		{"{values: {eth0: {pool: '${params.macs}'}}}", "x", NULL},
		{"{}", "x", "'values' is missing"},
		{"{values: {}}", "x", "needs a mapping of names"},
		{"{values: macs}", "x", "needs a mapping of names"},
		{"{values: {eth0: macs}}", "x", "'eth0' of 'values' needs a mapping"},
		{"{values: {eth0: {}}}", "x", "'pool' is missing"},
		{"{values: {eth0: {pol: macs}}}", "x",
			"unknown argument 'pol', did you mean 'pool'?"},
		{"{values: {eth0: {pool: [a]}}}", "x", "'pool' is"},
		{"{values: {serial: {pool: macs}}}", "x", "which this step has anyway"},
		{"{values: {Eth 0: {pool: macs}}}", "x", "small letters"},
		{"{values: {eth0: {pool: macs}}}", "${steps.id.eth1}", "did you mean 'eth0'?"},
		{"{values: {eth0: {pool: '${secrets.key}'}}}", "x", "may hold no secret"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"recipe: x\nversion: 1\nunit: {serial: {pool: sn}}\nports: {c: {kind: tty}}\n"
			"params: {macs: {type: string, default: m}}\nsteps:\n"
			"  - {id: id, action: unit.identity, with: %s}\n"
			"  - {action: console.command, with: {port: c, send: '%s'}}\n",
			rows[i].with, rows[i].then);
		int r = load(text);

		ck_assert_msg((r == 0) == !rows[i].says, "%s: %s", rows[i].with,
			report.s ? report.s : "");
		if (rows[i].says)
			ck_assert_msg(strstr(report.s, rows[i].says) != NULL, "%s: %s",
				rows[i].with, report.s);
	}
}
END_TEST

START_TEST(test_what_the_unit_needs_cannot_wait)
{
	static const char reg[] =
		"{id: r, action: cloud.register, offline: later, with: {service: c, serial: s, device_type: t, firmware_version: f}}";
	static const struct {
		const char *step, *then, *says; /* says NULL: good */
	} rows[] = {
		{reg, "{action: cloud.activate, offline: later, with: {service: c, device_id: '${steps.r.device_id}'}}",
			NULL},
		{reg, "{action: operator.prompt, with: {text: x}, when: '${steps.r.outcome} == passed'}",
			NULL},
		{reg, "{action: cloud.activate, with: {service: c, device_id: '${steps.r.device_id}'}}",
			"only a step that says it as well may use them"},
		{reg, "{action: operator.prompt, with: {text: x}, when: '${steps.r.device_id} == d'}",
			"may have no outputs during the run"},
		{reg, "{action: cloud.credentials, offline: later, with: {service: c, device_id: d}}",
			"cloud.credentials cannot wait"},
		{reg, "{action: operator.prompt, offline: later, with: {text: x}}",
			"is for what a service is told and the unit does not need"},
		{reg, "{action: operator.prompt, offline: maybe, with: {text: x}}",
			"'maybe': fail or later expected"},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, method: POST}}",
			"needs an 'idempotency_key'"},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, method: POST, idempotency_key: '${run.id}-k'}}",
			NULL},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, method: POST, idempotency_key: k}}",
			"is 'k' for every unit"},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, method: POST, idempotency_key: '${job.id}'}}",
			"for every unit"},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, method: PUT}}",
			NULL},
		{reg, "{action: http.request, offline: later, with: {service: c, path: /x, secrets: [/a]}}",
			"cannot be 'offline: later'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *text =
			xasprintf("recipe: x\nversion: 1\nsteps:\n  - %s\n  - %s\n", rows[i].step,
				rows[i].then);
		int r = load(text);

		ck_assert_msg((r == 0) == !rows[i].says, "%s: %s", rows[i].then,
			report.s ? report.s : "");
		if (rows[i].says)
			ck_assert_msg(strstr(report.s, rows[i].says) != NULL, "%s: %s",
				rows[i].then, report.s);
	}
	ck_assert_int_lt(
		load("recipe: x\nversion: 1\nsteps: [{action: operator.prompt, with: {text: x}}]\n"
		     "teardown: [{action: http.request, offline: later, with: {service: c, path: /x}}]\n"),
		0);
	ck_assert_msg(
		strstr(report.s, "setup and teardown end with the run") != NULL, "%s", report.s);
}
END_TEST

#define LOOP HEAD "steps:\n  - {id: a, action: operator.prompt, with: {text: x}}\n"
#define PART(head, steps)                                                                                    \
	"parts: {p@1: {recipe: p, version: 1, params: {v: {type: number}}, ports: {bus: {kind: tty}}, " head \
	"steps: [" steps "]}}\n"
#define TEXT(id, text) "{id: " id ", action: operator.prompt, with: {text: '" text "'}}"

/* Its turns are made before the run: what only the run brings makes none. */
#define LIST_PART                                                              \
	"parts: {l@1: {recipe: l, version: 1, params: {all: {type: list}}, "   \
	"steps: [{id: s, for_each: '${params.all}', action: operator.prompt, " \
	"with: {text: '${turn}'}}]}}\n"

START_TEST(test_mistakes_of_loops_and_parts_are_said_where_they_are)
{
	static const struct {
		const char *text, *said; /* NULL: good */
	} row[] = {
		{LOOP "  - {id: l, for_each: [1, b, true, {k: v}], action: operator.prompt, with: {text: '${turn}'}}\n",
			NULL},
		{LOOP "  - {id: l, for_each: [], action: operator.prompt, with: {text: x}}\n",
			"r.yaml:7:23: the list of 'for_each' is empty"},
		{LOOP "  - {id: l, for_each: [null], action: operator.prompt, with: {text: x}}\n",
			"r.yaml:7:24: an item is"},
		{LOOP "  - {id: l, for_each: [{k: [1]}], action: operator.prompt, with: {text: x}}\n",
			"'k' of an item"},
		{LOOP "  - {id: l, for_each: ['${params.p}'], action: operator.prompt, with: {text: x}}\n",
			"is not replaced in it"},
		{LOOP "  - {id: l, for_each: '${params.p}', action: operator.prompt, with: {text: x}}\n",
			"'type: list'"},
		{LOOP "  - {for_each: [1], action: operator.prompt, with: {text: x}}\n",
			"needs an 'id'"},
		{LOOP "  - {id: l, for_each: [1], steps: [{id: m, for_each: [2], action: operator.prompt, with: {text: x}}]}\n",
			"a loop within a loop"},
		{LOOP "  - {id: l, steps: [" TEXT("m", "x") "]}\n", "needs 'for_each'"},
		{LOOP "  - {id: l, for_each: [1], steps: [" TEXT("m", "x") "], action: y}\n",
			"unknown key of a loop"},
		{LOOP "  - {id: l, for_each: [1], action: operator.prompt, with: {text: '${item.k}'}}\n",
			"no such member"},
		{LOOP "  - {id: l, for_each: [1], action: operator.scan, with: {text: x}}\n"
		      "  - " TEXT("m", "${steps.l.value}") "\n",
			"is in a loop: name its turn"},
		{LOOP "  - {id: l, for_each: [1, 2], action: operator.scan, with: {text: x}}\n"
		      "  - " TEXT("m", "${steps.l[2].value}") "\n",
			NULL},
		{LOOP "  - {id: l, for_each: [1, 2], action: operator.scan, with: {text: x}}\n"
		      "  - " TEXT("m", "${steps.l[3].value}") "\n",
			"no earlier step has the id 'l[3]'"},
		{LOOP "  - " TEXT("m", "${item}") "\n", "is for a step with 'for_each'"},
		{LOOP "  - {id: l, for_each: [1], action: http.request, offline: later, with: {service: c, path: /x}}\n",
			"not of a loop or a part"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			 "", TEXT("s", "${params.v}")),
			NULL},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: x}}\n" PART(
			 "", TEXT("s", "x")),
			"r.yaml:7:50: 'v'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}}\n" PART("", TEXT("s", "x")),
			"'v' of params of 'p@1' is not given"},
		{LOOP "  - {id: u, use: p@1, with: {v: 1}}\n" PART("", TEXT("s", "x")),
			"'bus' of ports of 'p@1' is not given"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: d}, with: {v: 1}}\n" PART(
			 "", TEXT("s", "x")),
			"unknown ports 'd'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: '${params.q}'}}\n" PART(
			 "", TEXT("s", "x")),
			"unknown 'q'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: '${secrets.k}'}}\n" PART(
			 "", TEXT("s", "${params.v}")),
			"may hold no secret"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			 "timeout: 5s, ", TEXT("s", "x")),
			"has 'timeout'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			 "", "{action: operator.prompt, with: {text: x}}"),
			"needs an 'id'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			 "", TEXT("s", "${params.p}")),
			"unknown 'p'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			 "", TEXT("s", "${steps.a.answer}")),
			"no earlier step has the id 'a'"},
		{LOOP "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n"
		      "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 1}}\n" PART(
			      "", TEXT("s", "x")),
			"the id 'u' is used twice"},
		{LOOP "  - {id: u, use: p@1, with: {v: 1}}\n" PART(
			 "", "{id: s, action: console.command, with: {port: bus, send: x}}"),
			"port 'bus' of 'p@1' is bound to nothing"},
		{LOOP "  - {id: u, use: l@1, with: {all: '${params.p}'}}\n" LIST_PART,
			"r.yaml:7:35: 'all' is a list: write it here"},
		{LOOP "  - {id: u, use: l@1, with: {all: '${steps.a.answer}'}}\n" LIST_PART,
			"'all' is a list: write it here"},
		{LOOP "  - {id: u, use: l@1, with: {all: [1]}}\n" LIST_PART, NULL},
		{LOOP "  - {id: u, use: q@1}\n", "the part 'q@1' is not there"},
		{LOOP "  - {id: u, use: p@1}\nparts: {p@1: {recipe: p}}\n",
			"is not a recipe: 'version' is missing"},
		{LOOP "  - {id: u, use: p@1}\nparts: {p@1: {recipe: p, version: 1, steps: [{id: v, use: p@1}]}}\n",
			"'p@1' uses itself"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const int r = load(row[i].text);

		ck_assert_msg((r == 0) == !row[i].said, "%s%s", row[i].text, report.s);
		ck_assert_msg(!row[i].said || strstr(report.s, row[i].said), "no '%s' in\n%s\n%s",
			row[i].said, report.s, row[i].text);
	}
}
END_TEST

/* Two stations begin a run of it at once, each on a stack as they have. Returns NULL where all is well. */
static void *bind_it(void *recipe)
{
	bool good = true;

	for (int i = 0; i < 50; i++) {
		json_t *params = json_pack("{s:[s, s]}", "all", "a", "b");
		struct recipe *bound = NULL;

		good &= recipe_bind(recipe, params, &bound, NULL) == 0 &&
			recipe_step_count(bound) == 3;
		recipe_unref(bound);
		json_decref(params);
	}
	return good ? NULL : recipe;
}

START_TEST(test_two_stations_bind_one_recipe_at_once)
{
	static const char text[] =
		"recipe: x\nversion: 1\nparams: {all: {type: list}, b: {type: bool, default: true}}\nsteps:\n"
		"  - {id: u, use: l@1, with: {all: '${params.all}'}}\n"
		"  - {id: z, for_each: [true], action: operator.prompt, with: {text: '${item}'}}\n" LIST_PART;
	struct recipe *recipe = NULL;
	pthread_t thread[2];
	struct err e;

	ck_assert_msg(
		recipe_load("x", text, strlen(text), &report, &recipe, &e) == 0, "%s", report.s);
	ck_assert(recipe->open);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(thread_start(&thread[i], "bind", bind_it, recipe, &e), 0);
	for (int i = 0; i < 2; i++) {
		void *bad = recipe;

		ck_assert_int_eq(pthread_join(thread[i], &bad), 0);
		ck_assert_ptr_null(bad);
	}
	recipe_unref(recipe);
}
END_TEST

static unsigned times(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

START_TEST(test_a_mistake_of_a_part_is_said_once_with_its_uses)
{
	/* Each of its turns, in each use, but the first use, which is good. */
	static const char good[] = LOOP "  - {id: w, use: p@1, ports: {bus: c}, with: {v: 1}}\n";
	static const char part[] =
		PART("", "{id: s, for_each: [1, 2], action: console.measure, with: {port: bus, "
			 "name: n, send: x, low: '${params.v}', high: 5}}");
	_cleanup_(freep) char *two =
		xasprintf("%s  - {id: t, use: p@1, ports: {bus: c}, with: {v: 9}}\n"
			  "  - {id: u, use: p@1, ports: {bus: c}, with: {v: 9}}\n%s",
			good, part);
	_cleanup_(freep) char *many = xasprintf(
		"%s  - {id: t, for_each: [1, 2, 3, 4, 5, 6, 7], use: p@1, ports: {bus: c}, with: {v: 9}}\n%s",
		good, part);

	ck_assert_int_lt(load(two), 0);
	ck_assert_uint_eq(times(report.s, "above 'high'"), 1);
	ck_assert_msg(strstr(report.s, "(used as 't', 'u')\n"), "%s", report.s);
	ck_assert_int_lt(load(many), 0);
	ck_assert_uint_eq(times(report.s, "above 'high'"), 1);
	ck_assert_msg(strstr(report.s, "(used as 't[1]', 't[2]', 't[3]', 't[4]' and 3 more)\n"),
		"%s", report.s);
}
END_TEST

/* Each part uses the next one twice: what is used is bounded, however it is written. */
START_TEST(test_parts_within_parts_and_turns_are_bounded)
{
	struct strbuf text = {0};

	sb_add(&text,
		"recipe: x\nversion: 1\nsteps:\n  - {id: s, for_each: [1, 2, 3, 4, 5, 6], use: p@1}\n");
	for (int i = 1; i <= 5; i++) {
		sb_addf(&text, "%*sparts:\n%*sp@%d:\n%*srecipe: p\n%*sversion: %d\n", 4 * i - 4, "",
			4 * i - 2, "", i, 4 * i, "", 4 * i, "", i);
		sb_addf(&text,
			"%*ssteps: [{id: t, for_each: [1, 2, 3, 4, 5, 6, 7, 8, 9], use: p@%d}]\n",
			4 * i, "", i + 1);
	}
	ck_assert_int_lt(load(text.s), 0);
	ck_assert_msg(
		strstr(report.s, "at most 4 expected") || strstr(report.s, "more than 500 steps"),
		"%s", report.s);
	sb_done(&text);
}
END_TEST

START_TEST(test_lists_of_an_order_make_the_steps)
{
	static const char text[] =
		"recipe: x\nversion: 1\nports: {c: {kind: tty}}\nparams: {rails: {type: list}}\nsteps:\n"
		"  - {id: m, for_each: '${params.rails}', action: console.measure, with: {port: c, send: x, name: v, low: '${item}', high: 5}}\n";
	static const struct {
		const char *given;
		size_t steps; /* 0: refused */
		const char *said;
	} row[] = {{"{\"rails\":[1,2,3]}", 3, NULL}, {"{\"rails\":[1,9]}", 0, "turn 2: 'low' is 9"},
		{"{\"rails\":[]}", 0, "1 to 100"}, {"{\"rails\":[\"${x}\"]}", 1, NULL},
		{"{}", 0, "missing"}};
	struct recipe *recipe = NULL;
	struct err e;

	ck_assert_msg(
		recipe_load("x", text, strlen(text), &report, &recipe, &e) == 0, "%s", report.s);
	ck_assert(recipe->open);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		json_t *given = json_loads(row[i].given, 0, NULL), *all = NULL;
		struct recipe *bound = NULL;
		struct mistakes m = {0};
		int r = recipe_params_read(recipe, given, false, "/params", &m, &all);

		ck_assert_msg((r == 0) == (row[i].steps > 0), "%s", row[i].given);
		if (r < 0)
			ck_assert_msg(
				strstr(m.item[0].text, row[i].said) != NULL, "%s", m.item[0].text);
		else
			ck_assert_int_eq(recipe_bind(recipe, all, &bound, &e), 0);
		if (bound) {
			ck_assert_uint_eq(recipe_step_count(bound), row[i].steps);
			ck_assert_str_eq(bound->sha256, recipe->sha256);
		}
		recipe_unref(bound);
		mistakes_done(&m);
		json_decref(all);
		json_decref(given);
	}
	recipe_unref(recipe);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_add_checked_fixture(t, NULL, done);
	tcase_add_test(t, test_all_mistakes_are_told_at_once_with_line_and_column);
	tcase_add_test(t, test_what_a_unit_gets_is_checked_by_its_shape);
	tcase_add_test(t, test_a_name_that_cannot_resolve_is_a_mistake_of_the_check);
	tcase_add_test(t, test_the_digest_is_of_the_meaning_not_of_the_text);
	tcase_add_test(t, test_parameters_are_typed_and_all_known);
	tcase_add_test(t, test_a_parameter_in_quotes_is_of_the_type_that_the_recipe_declares);
	tcase_add_test(t, test_limits_between_which_nothing_can_pass_are_a_mistake);
	tcase_add_test(t, test_a_port_of_a_kind_that_the_action_cannot_use_is_a_mistake);
	tcase_add_test(t, test_a_name_that_is_no_text_is_a_mistake);
	tcase_add_test(t, test_every_port_argument_says_which_kinds_it_takes);
	tcase_add_test(t, test_a_firmware_version_comes_from_a_step);
	tcase_add_test(t, test_what_a_reference_will_give_counts_as_given);
	tcase_add_test(t, test_a_model_that_no_record_holds_is_a_mistake);
	tcase_add_test(t, test_the_rest_of_a_step_is_checked_where_its_action_is_unknown);
	tcase_add_test(t, test_what_the_unit_needs_cannot_wait);
	tcase_add_test(t, test_mistakes_of_loops_and_parts_are_said_where_they_are);
	tcase_add_test(t, test_a_mistake_of_a_part_is_said_once_with_its_uses);
	tcase_add_test(t, test_two_stations_bind_one_recipe_at_once);
	tcase_add_test(t, test_parts_within_parts_and_turns_are_bounded);
	tcase_add_test(t, test_lists_of_an_order_make_the_steps);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
