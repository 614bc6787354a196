/* SPDX-License-Identifier: Apache-2.0
 *
 * The surroundings of an action in a test: one fake link for every role, a serial source, a person
 * and a log, all in this thread. rig_run() takes the `with` of a step as JSON text.
 */
#pragma once

#include <string.h>

#include "base/strbuf.h"
#include "daemon/recipe/args.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"
#include "transports/images/blob.h"
#include "transports/images/image.h"

struct rig {
	struct fake_link *wire;
	struct link *link; /* in the place of the wire: a virtual device of sim/; NULL: none */
	void (*opened)(struct rig *g); /* it is opened once more; may be NULL */
	struct step_result out;
	struct err e;
	struct secret_set *secrets;
	struct strbuf log;
	const char *answer;   /* what the person says */
	const char *image;    /* path */
	const char *serial;   /* what the pool gives */
	char serial_kind[16]; /* what was asked for */
	char serial_value[64];
	char identity[128];
	unsigned replugs, waits, links_opened, links_closed;
	char verdict[16];	     /* of the last measurement */
	struct measurement measured; /* without its detail: */
	char detail[2048];	     /* as JSON, "" none */
	unsigned measurements;
	struct device_facts facts;
	/* The journal: what was asked last, and what it says. */
	struct intent intent;
	struct observation seen;
	struct earlier_intent earlier;
	unsigned intents;
	/* The second person: NULL says no. */
	const char *approver;
	char approval[256]; /* what was asked */
	unsigned approvals;
	void (*approved)(struct rig *g); /* meanwhile; may be NULL */
	const struct step_env_ops *ops;	 /* NULL: rig_ops */
	bool teardown;
	const struct cancel *cancel; /* of the run; NULL: nobody aborts it */
};

static inline int rig_link(
	void *env, const char *role, const struct iotime *it, struct link **ret, struct err *e)
{
	struct rig *g = env;

	g->links_opened++;
	if (g->opened)
		g->opened(g);
	*ret = g->link ? g->link : &g->wire->link;
	return 0;
}

/* There is none: what comes before it can be looked at. */
static inline int rig_usb(
	void *env, const char *role, const struct iotime *it, struct usb **ret, struct err *e)
{
	return err_set(e, ERR_DEVICE_GONE, "no USB device in this test");
}

static inline void rig_link_close(void *env, const char *role)
{
	((struct rig *)env)->links_closed++;
}

static inline int rig_replug(void *env, const char *role, struct err *e)
{
	((struct rig *)env)->replugs++;
	return 0;
}

static inline int rig_wait(void *env, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e)
{
	struct rig *g = env;

	g->waits++;
	if (ret)
		*ret = g->facts;
	return 0;
}

static inline int rig_facts(void *env, const char *role, struct device_facts *ret, struct err *e)
{
	*ret = ((struct rig *)env)->facts;
	return 0;
}

static inline int rig_identity(void *env, const char *role, const char *value, struct err *e)
{
	struct rig *g = env;

	if (*g->identity && strcmp(g->identity, value) != 0)
		return err_set(e, ERR_WRONG_DEVICE, "another unit");
	snprintf(g->identity, sizeof g->identity, "%s", value);
	return 0;
}

static inline int rig_serial(
	void *env, const char *kind, const char *value, char ret[64], struct err *e)
{
	struct rig *g = env;

	snprintf(g->serial_kind, sizeof g->serial_kind, "%s", kind ? kind : "");
	snprintf(g->serial_value, sizeof g->serial_value, "%s", value ? value : "");
	if (!value && !g->serial)
		return err_set(e, ERR_POOL_EMPTY, "the pool is empty");
	snprintf(ret, 64, "%s", value ? value : g->serial);
	return 0;
}

static inline int rig_intend(void *env, const struct intent *i, const struct observation *seen,
	struct earlier_intent *ret, struct err *e)
{
	struct rig *g = env;

	g->intents++;
	g->intent = *i;
	g->seen = *seen;
	*ret = g->earlier;
	return 0;
}

static inline int rig_approve(void *env, const char *text, const struct iotime *it,
	char ret[UNIT_NAME_BYTES], struct err *e)
{
	struct rig *g = env;

	g->approvals++;
	snprintf(g->approval, sizeof g->approval, "%s", text);
	if (g->approved)
		g->approved(g);
	if (!g->approver)
		return err_set(e, ERR_ABORTED, "not approved");
	snprintf(ret, UNIT_NAME_BYTES, "%s", g->approver);
	return 0;
}

static inline int rig_ask(
	void *env, const struct prompt *p, const struct iotime *it, char ret[256], struct err *e)
{
	snprintf(ret, 256, "%s", ((struct rig *)env)->answer);
	return 0;
}

static inline int rig_image(void *env, const char *ref, char ret[512], struct err *e)
{
	snprintf(ret, 512, "%s", ref);
	return 0;
}

static inline int rig_name(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e)
{
	snprintf(ret, STEP_NAME_BYTES, "%s", ref);
	return 0;
}

static inline int rig_load_image(
	void *env, const char *ref, const struct image_opts *o, struct image **ret, struct err *e)
{
	return image_open(ref, o, ret, e);
}

static inline int rig_load_blob(void *env, const char *ref, struct blob **ret, struct err *e)
{
	return blob_open(ref, BLOB_COPIED, ret, e);
}

static inline int rig_load_unpacked(
	void *env, const char *ref, const char *member, struct blob **ret, struct err *e)
{
	const struct packed_opts how = {
		.name = ref, .member = member, .max = BLOB_MAX_BYTES, .it = {NO_DEADLINE, NULL}};
	int r = rig_load_blob(env, ref, ret, e);

	return r < 0 ? r : packed_open_blob(ret, &how, e);
}

static inline void rig_log(void *env, char dir, const char *text)
{
	sb_addf(&((struct rig *)env)->log, "%c%s|", dir, text);
}

static inline int rig_measured(
	void *data, const struct measurement *m, const char *verdict, struct err *e)
{
	struct rig *g = data;
	char *detail = m->detail ? json_dumps(m->detail, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	g->measurements++;
	g->measured = *m;
	g->measured.detail = NULL;
	snprintf(g->detail, sizeof g->detail, "%s", detail ? detail : "");
	free(detail);
	snprintf(g->verdict, sizeof g->verdict, "%s", verdict);
	return 0;
}

static const struct step_env_ops rig_ops = {
	.link = rig_link,
	.usb = rig_usb,
	.link_close = rig_link_close,
	.expect_replug = rig_replug,
	.wait_device = rig_wait,
	.facts = rig_facts,
	.identity = rig_identity,
	.serial = rig_serial,
	.intend = rig_intend,
	.ask = rig_ask,
	.approve = rig_approve,
	.image = rig_image,
	.name = rig_name,
	.load_image = rig_load_image,
	.load_blob = rig_load_blob,
	.load_unpacked = rig_load_unpacked,
};

static inline void rig_clear(struct rig *g)
{
	json_decref(g->out.evidence);
	json_decref(g->out.outputs);
	g->out = (struct step_result){0};
	g->e = (struct err){0};
}

static inline void rig_done(struct rig *g)
{
	rig_clear(g);
	sb_done(&g->log);
	g->secrets = secret_set_free(g->secrets);
}

static inline int rig_no_name(void *data, const char *path, json_t **ret, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "no %s", path);
}

static inline int rig_run(struct rig *g, const char *action, const char *with)
{
	const struct action *a = action_find(action);
	struct scope scope = {rig_no_name, NULL};
	struct args *args = NULL;
	json_error_t why;
	json_t *j = json_loads(with, 0, &why);
	struct step s = {
		.id = "the-step",
		.action = a,
		.it = {now_us() + 20 * US_PER_S, g->cancel},
		.secrets = g->secrets,
		.teardown = g->teardown,
		.ops = g->ops ? g->ops : &rig_ops,
		.env = g,
		.tell = {.data = g, .log = rig_log},
		.measured = rig_measured,
		.measured_data = g,
	};

	ck_assert_msg(a != NULL, "no action %s", action);
	ck_assert_msg(j != NULL, "%s: %s", with, why.text);
	rig_clear(g);

	int r = args_new(a->args, j, &scope, &args, &g->e);

	if (r == 0 && a->prepare)
		r = a->prepare(&s, args, &g->e);
	if (r == 0)
		r = a->run(&s, args, &g->out, &g->e);
	if (s.prepared)
		s.prepared_free(s.prepared);
	args_free(args);
	json_decref(j);
	/* What the runner would refuse, and add. */
	if (r == 0 && g->out.verdict == STEP_PASSED && (a->flags & ACTION_NEEDS_EVIDENCE) &&
		json_object_size(g->out.evidence) == 0)
		r = err_set(&g->e, ERR_NO_EVIDENCE, "no evidence");
	if (s.saved)
		result_evidence(&g->out, "saved", s.saved);
	return r;
}

/* It fails or ends in error with that code and those words. */
static inline void rig_refused(
	struct rig *g, const char *action, const char *with, enum err_code code, const char *says)
{
	int r = rig_run(g, action, with);
	bool failed = r == 0 && g->out.verdict == STEP_FAILED;
	const char *msg = failed ? g->out.message : g->e.msg;

	ck_assert_msg(failed ? g->out.code == code : r == -(int)code, "%s %s: %d %s", action, with,
		r, msg);
	ck_assert_msg(strstr(msg, says), "'%s' does not say '%s'", msg, says);
}

static inline const char *rig_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}
