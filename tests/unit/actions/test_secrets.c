/* SPDX-License-Identifier: Apache-2.0
 *
 * Every argument of every action against a secret: it is marked, and then all that leaves is
 * masked, or it is refused, by the check and by the runner. The rows come from the action table, so
 * that an action that is added is tried too.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/recipe/args.h"
#include "daemon/recipe/runner.h"
#include "tests/unit/transports/adb_phone.h"
#include "transports/links/http.h"
#include "tests/unit/unit.h"
#include "transports/images/blob.h"

/* Digests of artifacts. */
#define LAYOUT "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MAP    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Of characters that patterns, JSON and shells quote, each in its own way. */
#define SECRET "Hu.nt$er'2\"2+x"
/* What it begins with, and no text of provd's or of the devices does. */
#define PART "Hu."

static struct mistakes mistakes;

/* --- each row, from the table --- */

static json_t *dummy(const struct action_arg *row);

static json_t *dummies(const struct action_arg *rows)
{
	json_t *with = json_object();

	for (; rows->name; rows++)
		if (rows->required)
			json_object_set_new(with, rows->name, dummy(rows));
	return with;
}

static json_t *dummy(const struct action_arg *row)
{
	switch (row->type) {
	case ARG_LIST:
		return json_pack("[s]", "x");
	case ARG_MAP:
		return json_pack("{s:s}", "a", "x");
	case ARG_OBJECT:
		return dummies(row->fields);
	case ARG_OBJECTS:
		return json_pack("{s:o}", "a", dummies(row->fields));
	case ARG_PORT:
		return json_string("c");
	case ARG_CHOICE:
		return json_string(row->choices[0]);
	case ARG_BOOL:
		return json_true();
	case ARG_DURATION:
		return json_string("1s");
	case ARG_INT:
	case ARG_NUMBER:
	case ARG_SIZE:
		return json_integer((json_int_t)(row->high > row->low ? row->low : 1));
	case ARG_STRING:
	case ARG_REGEX:
	case ARG_IMAGE:
	case ARG_OUTPUT:
		break;
	}
	return json_string("x");
}

/* The text in the shape of the argument. */
static json_t *shaped(const struct action_arg *row, const char *text)
{
	if (row->type == ARG_LIST)
		return json_pack("[s, s]", "first", text);
	if (row->type == ARG_MAP)
		return json_pack("{s:s, s:s}", "a", "first", "b", text);
	return json_string(text);
}

typedef void row_fn(const struct action *a, const struct action_arg *row, json_t *with,
	json_t *holder, const char *pointer);

static void each_field(const struct action *a, const struct action_arg *rows, json_t *with,
	json_t *holder, const char *pointer, row_fn *fn)
{
	for (const struct action_arg *row = rows; row->name; row++) {
		_cleanup_(freep) char *p = pointer_key(pointer, row->name);
		json_t *before = json_deep_copy(holder);

		if (row->type == ARG_OBJECT) {
			json_object_set_new(holder, row->name, dummies(row->fields));
			each_field(a, row->fields, with, json_object_get(holder, row->name), p, fn);
		} else if (row->type == ARG_OBJECTS) {
			_cleanup_(freep) char *member = pointer_key(p, "a");

			json_object_set_new(holder, row->name, dummy(row));
			each_field(a, row->fields, with,
				json_object_get(json_object_get(holder, row->name), "a"), member,
				fn);
		} else {
			fn(a, row, with, holder, p);
		}
		json_object_clear(holder);
		json_object_update(holder, before);
		json_decref(before);
	}
}

static void each_argument(row_fn *fn)
{
	for (const struct action *const *a = action_table; *a; a++) {
		json_t *with = dummies((*a)->args);

		each_field(*a, (*a)->args, with, with, "/steps/1/with", fn);
		json_decref(with);
	}
}

static unsigned marked, refused;

static bool told_at(const char *pointer)
{
	for (size_t i = 0; i < mistakes.count; i++)
		if (!strncmp(mistakes.item[i].pointer, pointer, strlen(pointer)) &&
			strstr(mistakes.item[i].text, "may hold no secret"))
			return true;
	return false;
}

static void checked(const struct action *a, const struct action_arg *row, json_t *with,
	json_t *holder, const char *pointer)
{
	struct recipe *recipe = NULL;
	json_t *root;

	json_object_set_new(holder, row->name, shaped(row, "a ${secrets.key} b"));
	root = json_pack("{s:s, s:i, s:{s:{s:s}}, s:[{s:s, s:{s:s}}, {s:s, s:O}]}", "recipe", "t",
		"version", 1, "ports", "c", "kind", "any", "steps", "action", "operator.prompt",
		"with", "text", "x", "action", a->name, "with", with);
	ck_assert_ptr_nonnull(root);
	mistakes = (struct mistakes){0};
	recipe_check(root, &mistakes, &recipe, NULL);
	ck_assert_msg(told_at(pointer) == !row->secret, "%s: %s is %s", a->name, row->name,
		row->secret ? "marked, and refused" : "not marked, and taken");
	mistakes_done(&mistakes);
	recipe_unref(recipe);
	json_decref(root);
	row->secret ? marked++ : refused++;
}

START_TEST(the_check_takes_a_secret_where_the_row_says_so_and_nowhere_else)
{
	each_argument(checked);
	/* The walk saw something, of both kinds. */
	ck_assert_uint_ge(marked, 8);
	ck_assert_uint_ge(refused, 300);
}
END_TEST

/* The mistakes of a recipe whose second step is that one, and whose first fetched a secret. */
static void check_after_credentials(const char *step)
{
	_cleanup_(freep) char *text = xasprintf(
		"{\"recipe\": \"t\", \"version\": 1, \"ports\": {\"c\": {\"kind\": \"tty\"}}, \"steps\": "
		"[{\"id\": \"k\", \"action\": \"cloud.credentials\", \"with\": {\"service\": \"s\", "
		"\"device_id\": \"d\"}}, %s]}",
		step);
	json_t *root = json_loads(text, 0, NULL);
	struct recipe *recipe = NULL;

	ck_assert_msg(root != NULL, "%s", text);
	mistakes = (struct mistakes){0};
	recipe_check(root, &mistakes, &recipe, NULL);
	recipe_unref(recipe);
	json_decref(root);
}

START_TEST(an_output_that_is_a_secret_goes_where_a_secret_goes_and_nowhere_else)
{
	check_after_credentials(
		"{\"action\": \"console.config\", \"with\": {\"port\": \"c\", \"values\": "
		"{\"K\": \"${steps.k.client_secret}\"}}}");
	ck_assert_uint_eq(mistakes.count, 0);
	mistakes_done(&mistakes);
	check_after_credentials("{\"action\": \"operator.prompt\", \"with\": {\"text\": "
				"\"${steps.k.client_secret}\"}}");
	ck_assert_uint_eq(mistakes.count, 1);
	ck_assert(told_at("/steps/1/with/text"));
	mistakes_done(&mistakes);
	check_after_credentials("{\"action\": \"operator.prompt\", \"with\": {\"text\": \"x\"}, "
				"\"when\": \"${steps.k.client_secret} == x\"}");
	ck_assert_uint_eq(mistakes.count, 1);
	ck_assert(told_at("/steps/1/when"));
	mistakes_done(&mistakes);
	check_after_credentials("{\"action\": \"operator.prompt\", \"with\": {\"text\": "
				"\"${steps.k.client_id}\"}}");
	ck_assert_uint_eq(mistakes.count, 0);
	mistakes_done(&mistakes);
}
END_TEST

static int reply_is_the_secret(void *data, const char *path, json_t **ret, struct err *e)
{
	*ret = json_string(data);
	return 0;
}

static void substituted(const struct action *a, const struct action_arg *row, json_t *with,
	json_t *holder, const char *pointer)
{
	struct secret_set *set = secret_set_new();
	struct scope scope = {
		.lookup = reply_is_the_secret, .data = (char *)(uintptr_t)SECRET, .secrets = set};
	struct args *args = NULL;
	struct err e = {0};
	int r;

	ck_assert_int_eq(secret_set_add(set, SECRET, NULL), 0);
	json_object_set_new(holder, row->name, shaped(row, "${steps.before.reply}"));
	r = args_new(a->args, with, &scope, &args, &e);
	if (row->secret)
		ck_assert_msg(r == 0, "%s: %s: %s", a->name, row->name, e.msg);
	else
		ck_assert_msg(r == -ERR_INVALID && strstr(e.msg, "would hold a secret") &&
				      strstr(e.msg, row->name) && !strstr(e.msg, PART),
			"%s: %s: %d %s", a->name, row->name, r, e.msg);
	args_free(args);
	/* The same value is nobody's secret here. */
	scope.secrets = NULL;
	args = NULL;
	r = args_new(a->args, with, &scope, &args, &e);
	ck_assert_msg(r == 0 || !strstr(e.msg, "secret"), "%s: %s: %s", a->name, row->name, e.msg);
	args_free(args);
	secret_set_free(set);
}

START_TEST(the_runner_refuses_a_value_with_a_secret_in_it_by_the_same_rule)
{
	each_argument(substituted);
}
END_TEST

/* --- what leaves --- */

static struct strbuf left; /* log, evidence, outputs, messages, measurements, prompts, identities */
static struct fake_link console, loader;
static struct sim_link phone;
static struct cancel cancel;
static char scratch[64], map[64];
static unsigned prompts;

/* A unit that repeats whatever it is sent, and then agrees. */
static void parrot(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	fake_say(f, bytes, n);
	fake_says(f, "\r\nOK ");
	fake_say(f, bytes, n);
	fake_says(f, "\r\n");
}

/* A boot loader over TCP that says each command back and accepts none. */
static void parrot_loader(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	uint8_t head[8] = {0};

	if (n == 4 && !memcmp(bytes, "FB01", 4)) {
		fake_says(f, "FB01");
		return;
	}
	if (n <= 8)
		return;
	head[7] = (uint8_t)(n - 8 + 4);
	for (int i = 0; i < 2; i++) {
		fake_say(f, head, sizeof head);
		fake_says(f, i == 0 ? "INFO" : "FAIL");
		fake_say(f, bytes + 8, n - 8);
	}
}

/* A service that says back what it was told: as a value, and as its reason to refuse. */
static struct {
	int fd;
	pthread_t thread;
	char *url;
} cloud;

static void say_back(int fd)
{
	char got[4096];
	size_t n = 0;
	ssize_t k;
	const char *body = NULL;
	json_t *said = NULL;

	while (!said && n < sizeof got - 1 && (k = read(fd, got + n, sizeof got - 1 - n)) > 0) {
		n += (size_t)k;
		got[n] = '\0';
		body = strstr(got, "\r\n\r\n");
		said = body ? json_loads(body + 4, 0, NULL) : NULL;
	}

	json_t *o = json_pack("{s:O*, s:O*}", "got", said, "detail", json_object_get(said, "k"));
	char *text = json_dumps(o, JSON_COMPACT);

	dprintf(fd,
		"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		strstr(got, "/refuses") ? "422 No" : "200 OK", strlen(text), text);
	free(text);
	json_decref(o);
	json_decref(said);
}

static void *serve(void *arg)
{
	int fd;

	while ((fd = accept(cloud.fd, NULL, NULL)) >= 0) {
		say_back(fd);
		close(fd);
	}
	return NULL;
}

static void cloud_start(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	cloud.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(cloud.fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(cloud.fd, 8), 0);
	ck_assert_int_eq(getsockname(cloud.fd, (struct sockaddr *)&a, &n), 0);
	cloud.url = xasprintf("http://127.0.0.1:%d", ntohs(a.sin_port));
	ck_assert_int_eq(pthread_create(&cloud.thread, NULL, serve, NULL), 0);
}

static void cloud_stop(void)
{
	shutdown(cloud.fd, SHUT_RDWR);
	pthread_join(cloud.thread, NULL);
	close(cloud.fd);
	free(cloud.url);
}

static int env_service(void *env, const char *name, struct http_service *ret, struct err *e)
{
	*ret = (struct http_service){.url = xstrdup(cloud.url), .timeout_us = 5 * US_PER_S};
	return 0;
}

static int env_link(
	void *env, const char *role, const struct iotime *it, struct link **ret, struct err *e)
{
	*ret = *role == 'f' ? &loader.link : *role == 'p' ? &phone.link : &console.link;
	return 0;
}

static void env_link_close(void *env, const char *role)
{
}

static int env_facts(void *env, const char *role, struct device_facts *ret, struct err *e)
{
	*ret = (struct device_facts){.node = "tcp:127.0.0.1:1"};
	return 0;
}

static int env_identity(void *env, const char *role, const char *value, struct err *e)
{
	sb_addf(&left, "identity %s\n", value);
	return 0;
}

static int env_serial(void *env, const char *kind, const char *value, char ret[64], struct err *e)
{
	sb_addf(&left, "serial %s\n", value ? value : "");
	snprintf(ret, 64, "%s", value ? value : "SN1");
	return 0;
}

static int env_ask(
	void *env, const struct prompt *p, const struct iotime *it, char ret[256], struct err *e)
{
	prompts++;
	sb_addf(&left, "prompt %s\n", p->text);
	snprintf(ret, 256, "yes");
	return 0;
}

static int env_scratch(void *env, char ret[512], struct err *e)
{
	snprintf(ret, 512, "%s", scratch);
	return 0;
}

static void env_progress(void *env, const char *phase, uint64_t done, uint64_t total)
{
	sb_addf(&left, "progress %s\n", phase);
}

static void env_log(void *env, char dir, const char *text)
{
	sb_addf(&left, "log %c %s\n", dir, text);
}

static unsigned usb_asked;

/* There is none; that the step came so far is seen. */
static int env_usb(
	void *env, const char *role, const struct iotime *it, struct usb **ret, struct err *e)
{
	usb_asked++;
	return err_set(e, ERR_DEVICE_GONE, "no USB device in this test");
}

static int env_name(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e)
{
	snprintf(ret, STEP_NAME_BYTES, "%s", ref);
	return 0;
}

/* The map of otp.*, whatever is asked for. */
static int env_load_blob(void *env, const char *ref, struct blob **ret, struct err *e)
{
	static const char layout[] = "name,offset,width,type,value\nk,0,64,text,{k}\n";
	uint8_t *bytes;
	int r;

	if (strcmp(ref, LAYOUT) != 0)
		return blob_open(map, BLOB_COPIED, ret, e);
	r = blob_new(ref, sizeof layout - 1, &bytes, ret, e);
	if (r == 0)
		memcpy(bytes, layout, sizeof layout - 1);
	if (r == 0)
		blob_seal(*ret);
	return r;
}

static const struct step_env_ops env_ops = {
	.usb = env_usb,
	.name = env_name,
	.load_blob = env_load_blob,
	.link = env_link,
	.link_close = env_link_close,
	.facts = env_facts,
	.identity = env_identity,
	.serial = env_serial,
	.ask = env_ask,
	.scratch = env_scratch,
	.service = env_service,
};

static int on_begin(void *data, const struct step_record *r, struct err *e)
{
	return 0;
}

static void leave_json(const json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	sb_addf(&left, "%s\n", text ? text : "");
	free(text);
}

static int on_end(void *data, const struct step_record *r, struct err *e)
{
	leave_json(r->evidence);
	leave_json(r->outputs);
	sb_addf(&left, "%s %s\n", r->step->id, r->message);
	return 0;
}

static int on_measured(void *data, const struct step_record *r, const struct measurement *m,
	const char *verdict, struct err *e)
{
	sb_addf(&left, "measured %s %.17g %s %s %s\n", m->name, m->value, m->text ? m->text : "",
		m->why ? m->why : "", m->unit ? m->unit : "");
	return 0;
}

static const char *secret_value;

static int env_secret(void *env, const char *name, char **ret, struct err *e)
{
	if (strcmp(name, "key") != 0)
		return err_set(e, ERR_NOT_FOUND, "no secret '%s'", name);
	*ret = xstrdup(secret_value);
	return 0;
}

static struct run_result run(const char *steps)
{
	_cleanup_(freep) char *text = xasprintf(
		"recipe: t\nversion: 1\n"
		"unit: {model: m, serial: {from: scan}}\n"
		"params: {p: {type: string, default: x}, n: {type: integer, default: 1}}\n"
		"ports: {c: {kind: tty}, f: {kind: tcp}, p: {kind: tcp}, u: {kind: usb}}\n"
		"steps:\n%s"
		"teardown:\n  - {action: unit.serial, with: {value: 'none'}}\n",
		steps);
	const struct runner_sink sink = {NULL, on_begin, on_end, on_measured, NULL};
	json_t *none = json_object();
	json_t *params = json_pack("{s:s, s:I}", "p", secret_value, "n", (json_int_t)4711471147);
	struct strbuf report = {0};
	struct recipe *recipe = NULL;
	struct run_result res;
	struct err e = {0};
	struct runner rn = {.sink = &sink,
		.ops = &env_ops,
		.tell = {.progress = env_progress, .log = env_log},
		.cancel = &cancel,
		.secrets = secret_set_new(),
		.secret = env_secret,
		.params = params,
		.artifacts = none,
		.context = none,
		.teardown_us = 2 * US_PER_S};

	ck_assert_msg(recipe_load("t", text, strlen(text), &report, &recipe, &e) == 0, "%s%s",
		report.s ? report.s : "", e.msg);
	sb_clear(&left);
	rn.recipe = recipe;
	runner_run(&rn, &res);
	sb_addf(&left, "%s\n", res.message);
	secret_set_free(rn.secrets);
	json_decref(params);
	json_decref(none);
	recipe_unref(recipe);
	sb_done(&report);
	return res;
}

static void write_map(void)
{
	FILE *f;

	snprintf(map, sizeof map, "%s/map", scratch);
	f = fopen(map, "we");
	ck_assert_ptr_nonnull(f);
	fputs("otp: a chip\n"
	      "fields: {f: {width: 32}, blind: {width: 32, readable: false}, "
	      "m: {width: 32, bits: clear, lock: none, address: 0x1fff7800}}\n",
		f);
	fclose(f);
}

/* In the place of OpenOCD: it says back what it is to write. */
static void put_parrot(void)
{
	_cleanup_(freep) char *path = xasprintf("%s:/usr/bin:/bin", scratch);
	_cleanup_(freep) char *openocd = xasprintf("%s/openocd", scratch);

	ck_assert_int_eq(symlink(TEST_DIR "/parrot_openocd", openocd), 0);
	ck_assert_int_eq(setenv("PATH", path, 1), 0);
}

static bool parrot_heard(bool forget)
{
	_cleanup_(freep) char *heard = xasprintf("%s/heard", scratch);

	return forget ? unlink(heard) == 0 : access(heard, F_OK) == 0;
}

static void set_up(void)
{
	struct err e;

	secret_value = SECRET;
	prompts = usb_asked = 0;
	strcpy(scratch, "/tmp/test_secrets.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	write_map();
	put_parrot();
	ck_assert_int_eq(cancel_init(&cancel, &e), 0);
	fake_init(&console, parrot, NULL);
	fake_init(&loader, parrot_loader, NULL);
	phone_init(&phone, NULL);
	cloud_start();
}

static void tear_down(void)
{
	fake_done(&console);
	fake_done(&loader);
	sim_link_done(&phone);
	cloud_stop();
	cancel_done(&cancel);
	_cleanup_(freep) char *openocd = xasprintf("%s/openocd", scratch);

	unlink(openocd);
	parrot_heard(true);
	unlink(map);
	rmdir(scratch);
	sb_done(&left);
}

#define MEANT "irreversible: yes-i-mean-it"
#define HEX   "00c0ffee"

/* How each marked argument meets a device or a program that says the secret back, in a step that
 * passes and in one that does not. */
static const struct {
	const char *action, *arg, *with;
	/* It is this, and is not shown even as a mask: NULL: it is SECRET. */
	const char *key;
} drives[] = {
	{"adb.shell", "args", "{port: p, args: [echo, '${secrets.key}']}"},
	{"adb.shell", "args", "{port: p, args: ['${secrets.key}']}"},
	{"adb.shell", "args", "{port: p, args: [echo, '${secrets.key}'], expect: 'not this'}"},
	{"console.command", "send", "{port: c, sync: false, send: 'K ${secrets.key}'}"},
	{"console.command", "send",
		"{port: c, sync: false, send: 'K ${secrets.key}', expect: 'not this'}"},
	{"console.command", "expect",
		"{port: c, sync: false, send: a, expect: '^${secrets.key}$'}"},
	{"console.command", "read_back.send",
		"{port: c, sync: false, send: a, read_back: {send: 'K ${secrets.key}', expect: "
		"K}}"},
	{"console.command", "read_back.expect",
		"{port: c, sync: false, send: a, "
		"read_back: {send: 'K ${params.n}', expect: '${secrets.key}'}}"},
	{"console.config", "values", "{port: c, sync: false, values: {k: '${secrets.key}'}}"},
	{"console.config", "values",
		"{port: c, sync: false, values: {k: '${secrets.key}'}, read_back: true}"},
	{"console.expect", "expect", "{port: c, expect: '${secrets.key}'}"},
	{"console.measure", "send",
		"{port: c, sync: false, send: '${secrets.key}', pattern: 'OK (.*)', low: 1}"},
	{"console.measure", "send", "{port: c, sync: false, send: '${secrets.key}', low: 1}"},
	{"console.sweep", "send",
		"{port: c, sync: false, send: '${secrets.key}', axis: {start: 1, step: 1, points: 2}}"},
	{"console.text", "send", "{port: c, sync: false, send: '${secrets.key}', equals: OK}"},
	{"fastboot.oem", "command", "{port: f, command: 'unlock ${secrets.key}'}"},
	{"http.request", "secret_body",
		"{service: s, path: /x, method: POST, secret_body: {k: '${secrets.key}'}, "
		"values: [/got/k]}"},
	{"http.request", "secret_body",
		"{service: s, path: /x, method: POST, secret_body: {k: '${secrets.key}'}, "
		"expect_json: {/got/k: another}}"},
	{"http.request", "secret_body",
		"{service: s, path: /refuses, method: POST, secret_body: {k: '${secrets.key}'}}"},
	{"image.compose", "patch/a/value",
		"{size: 64, patch: {a: {at: 0, type: text, value: '${secrets.key}'}}}"},
	{"image.compose", "patch/a/value",
		"{size: 64, patch: {a: {at: 0, type: u8, value: '${secrets.key}'}}}"},
	{"image.compose", "nvs/a/value",
		"{nvs_size: 0x3000, nvs: {a: {namespace: n, type: string, value: '${secrets.key}'}}}"},
	{"image.compose", "nvs/a/value",
		"{nvs_size: 0x3000, nvs: {a: {namespace: n, type: i32, value: '${secrets.key}'}}}"},
	{"image.compose", "values", "{layout: " LAYOUT ", values: {k: '${secrets.key}'}}"},
	{"image.compose", "values", "{layout: " LAYOUT ", values: {q: '${secrets.key}'}}"},
	{"dfu.otp_lock", "value",
		"{port: u, map: " MAP ", field: m, value: '${secrets.key}', " MEANT "}", HEX},
	{"dfu.otp_write", "value",
		"{port: u, map: " MAP ", field: m, value: '${secrets.key}', " MEANT "}", HEX},
	{"gdb.otp_lock", "value",
		"{port: c, map: " MAP ", field: m, value: '${secrets.key}', uid: 0, " MEANT "}",
		HEX},
	{"gdb.otp_write", "value",
		"{port: c, map: " MAP ", field: m, value: '${secrets.key}', uid: 0, " MEANT "}",
		HEX},
	{"openocd.otp_lock", "value",
		"{port: u, target: t, map: " MAP
		", field: m, value: '${secrets.key}', uid: 0, " MEANT "}",
		HEX},
	{"openocd.otp_write", "value",
		"{port: u, target: t, map: " MAP
		", field: m, value: '${secrets.key}', uid: 0, " MEANT "}",
		HEX},
	{"otp.lock", "value",
		"{port: c, sync: false, map: " MAP ", field: f, value: '${secrets.key}', " MEANT
		", state: '', read: 'OTP 00c0ff00', value_is: '^OK OTP (.*)$'}",
		HEX},
	{"otp.write", "value",
		"{port: c, sync: false, map: " MAP ", field: blind, value: '${secrets.key}', " MEANT
		", state: '', identify: AABBCCDD, identity: '^OK ([A-D]+)$'}",
		HEX},
	{"otp.write", "value",
		"{port: c, sync: false, map: " MAP ", field: f, value: '${secrets.key}', " MEANT
		", state: '', identify: AABBCCDD, identity: '^OK ([A-D]+)$', "
		"read: 'OTP 00c0ff00', value_is: '^OK OTP (.*)$'}",
		HEX},
	{"stm32.otp_lock", "value",
		"{port: c, parity: none, map: " MAP ", field: m, value: '${secrets.key}', " MEANT
		"}",
		HEX},
	{"stm32.otp_write", "value",
		"{port: c, parity: none, map: " MAP ", field: m, value: '${secrets.key}', " MEANT
		"}",
		HEX},
	{"unit.license", "key",
		"{port: c, sync: false, key: '${secrets.key}', pattern: 'OK (.*)'}"},
	{"unit.license", "key",
		"{port: c, sync: false, key: '${secrets.key}', get: 'GET {key}', "
		"pattern: 'GET (.*)'}"},
	{"tool.run", "env",
		"{argv: [sh, -c, 'echo \"got $K\"; echo \"$K\" >&2'], success: [got], "
		"evidence: 'got (.*)', env: {K: '${secrets.key}'}}"},
	{"tool.run", "env",
		"{argv: [sh, -c, 'echo \"got $K\"; exit 3'], success: ['not this'], "
		"env: {K: '${secrets.key}'}}"},
};

START_TEST(what_a_marked_argument_holds_is_masked_in_all_that_leaves)
{
	_cleanup_(freep) char *step = xasprintf(
		"  - {id: a, action: %s, with: %s}\n", drives[_i].action, drives[_i].with);

	if (drives[_i].key)
		secret_value = drives[_i].key;
	run(step);
	ck_assert_msg(left.s != NULL, "nothing left at all");
	if (drives[_i].key) {
		/* Nor half of it, as a field of a unit may show. */
		ck_assert_msg(!strcasestr(left.s, "c0ff"), "%s", left.s);
		ck_assert(console.heard_len + usb_asked > 0 || parrot_heard(false) ||
			  !strcmp(drives[_i].action, "openocd.otp_lock"));
		return;
	}
	ck_assert_msg(!strstr(left.s, PART), "%s", left.s);
	/* It came as far as the unit or the program, which said it back; an image says nothing of it. */
	if (strcmp(drives[_i].action, "image.compose") != 0 &&
		strcmp(drives[_i].arg, "expect") != 0 &&
		strcmp(drives[_i].arg, "read_back.expect") != 0)
		ck_assert_msg(strstr(left.s, SECRET_MASK) != NULL, "%s", left.s);
}
END_TEST

static void has_a_drive(const struct action *a, const struct action_arg *row, json_t *with,
	json_t *holder, const char *pointer)
{
	const char *path = pointer + strlen("/steps/1/with/");
	bool found = false;

	for (size_t i = 0; row->secret && i < ARRAY_LEN(drives); i++) {
		_cleanup_(freep) char *arg = xstrdup(drives[i].arg);

		if (strchr(arg, '.'))
			*strchr(arg, '.') = '/';
		found |= !strcmp(drives[i].action, a->name) && !strcmp(arg, path);
	}
	ck_assert_msg(found == row->secret, "%s: %s may hold a secret: show what leaves (drives)",
		a->name, path);
}

START_TEST(no_marked_argument_is_left_out)
{
	each_argument(has_a_drive);
}
END_TEST

START_TEST(what_a_unit_said_back_goes_nowhere_by_another_step)
{
	/* As an output it is a value like any other; no prompt, no serial, no identity gets it. */
	static const char *const step[] = {
		"{id: b, action: operator.prompt, with: {text: 'saw ${steps.a.match1}'}}",
		"{id: b, action: operator.prompt, with: {text: x, kind: choice, "
		"choices: [a, '${steps.a.match1}']}}",
		"{id: b, action: operator.prompt, with: {text: 'saw ${params.p}'}}",
		"{id: b, action: unit.serial, with: {value: '${steps.a.match1}'}}",
		"{id: b, action: unit.identity, with: {serial: '${steps.a.match1}', values: {e: "
		"{pool: p}}}}",
		"{id: b, action: unit.identity, with: {values: {e: {pool: '${steps.a.match1}'}}}}",
		"{id: b, action: unit.mac, with: {port: c, mac: '${steps.a.match1}'}}",
		"{id: b, action: tool.run, with: {argv: [echo, '${steps.a.match1}'], success: "
		"[x]}}",
		"{id: b, action: tool.run, with: {argv: [echo, x], success: [x], version: x, "
		"version_args: ['${params.p}']}}",
		"{id: b, action: console.measure, with: {port: c, send: x, "
		"name: '${steps.a.match1}'}}",
		"{id: b, action: device.identify, with: {port: c, sync: false, "
		"send: again, pattern: 'OK (.*)'}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(step); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"  - {id: a, action: console.command, with: {port: c, sync: false, send: "
			"'${secrets.key}', expect: 'OK (.*)'}}\n  - %s\n",
			step[i]);
		struct run_result res = run(text);

		ck_assert_msg(!strstr(left.s, PART), "%s: %s", step[i], left.s);
		/* A parameter is known before the first step, where a prompt is looked at; the last one's unit does
		 * not say it. */
		if (i + 1 < ARRAY_LEN(step))
			ck_assert_msg(res.code == (i == 2 ? ERR_PREFLIGHT : ERR_RECIPE_INVALID),
				"%s: %s", step[i], left.s);
		ck_assert_uint_eq(prompts, 0);
	}
}
END_TEST

/* "again" is answered with the secret: the unit knows it. */
static void knows_it(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	fake_says(f, "OK " SECRET "\r\n");
}

START_TEST(an_identity_or_a_serial_with_a_secret_in_it_is_refused)
{
	static const char *const step[] = {
		"{id: b, action: device.identify, with: {port: c, sync: false, send: id, "
		"pattern: 'OK (.*)'}}",
		"{id: b, action: unit.serial, with: {port: c, sync: false, read: id, "
		"pattern: 'OK (.*)'}}",
	};

	console.device = knows_it;
	for (size_t i = 0; i < ARRAY_LEN(step); i++) {
		_cleanup_(freep) char *text =
			xasprintf("  - %s\n  - {id: z, action: tool.run, with: "
				  "{argv: ['true'], success: [x], env: {K: "
				  "'${secrets.key}'}}}\n",
				step[i]);

		/* It is masked before the step that uses it, too. */
		ck_assert_msg(run(text).code == ERR_RECIPE_INVALID, "%s", left.s);
		ck_assert_msg(!strstr(left.s, PART), "%s", left.s);
	}
}
END_TEST

static void says_number(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	fake_says(f, *bytes == 'x' ? "471147\r\n" : "OK\r\n");
}

START_TEST(a_number_that_is_the_secret_is_measured_by_nobody)
{
	struct run_result res;

	secret_value = "471147";
	console.device = says_number;
	res = run("  - {id: a, action: console.command, with: {port: c, sync: false, "
		  "send: '${secrets.key}', expect: '.'}}\n"
		  "  - {id: b, action: console.measure, with: {port: c, sync: false, send: x}}\n");
	ck_assert_msg(res.code == ERR_RECIPE_INVALID, "%s", left.s);
	ck_assert_msg(!strstr(left.s, "471147"), "%s", left.s);
}
END_TEST

START_TEST(a_secret_that_is_missing_ends_the_run_before_its_first_step)
{
	struct run_result res = run(
		"  - {id: a, action: operator.prompt, with: {text: x}}\n"
		"  - {id: b, action: console.command, with: {port: c, send: '${secrets.no}'}}\n");

	ck_assert_int_eq(res.code, ERR_PREFLIGHT);
	ck_assert_int_eq(res.outcome, OUTCOME_ERROR);
	ck_assert_msg(strstr(res.message, "'no'") != NULL, "%s", res.message);
	ck_assert_uint_eq(prompts, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("secrets");
	TCase *t = tcase_create("secrets");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, the_check_takes_a_secret_where_the_row_says_so_and_nowhere_else);
	tcase_add_test(t, an_output_that_is_a_secret_goes_where_a_secret_goes_and_nowhere_else);
	tcase_add_test(t, the_runner_refuses_a_value_with_a_secret_in_it_by_the_same_rule);
	tcase_add_loop_test(t, what_a_marked_argument_holds_is_masked_in_all_that_leaves, 0,
		(int)ARRAY_LEN(drives));
	tcase_add_test(t, no_marked_argument_is_left_out);
	tcase_add_test(t, what_a_unit_said_back_goes_nowhere_by_another_step);
	tcase_add_test(t, an_identity_or_a_serial_with_a_secret_in_it_is_refused);
	tcase_add_test(t, a_number_that_is_the_secret_is_measured_by_nobody);
	tcase_add_test(t, a_secret_that_is_missing_ends_the_run_before_its_first_step);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
