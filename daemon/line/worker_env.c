/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step may ask of its station: links, the device of a role, its coming back, a serial, a
 * person's answer. Runs on the worker's thread.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/certify.h"
#include "daemon/line/attachments.h"
#include "daemon/line/outputs.h"
#include "daemon/line/preflight.h"
#include "daemon/line/records.h"
#include "daemon/line/route_check.h"
#include "daemon/line/services.h"
#include "daemon/line/station_memory.h"
#include "daemon/line/store.h"
#include "daemon/line/worker_ports.h"
#include "daemon/recipe/args.h"
#include "daemon/recipe/made.h"
#include "transports/images/cache.h"
#include "transports/links/http_service.h"
#include "transports/links/instrument.h"

/* Another station may be reading the same large file: hashing 8 GiB takes its time. */
#define LOAD_US		  (120 * US_PER_S)
#define UNPACK_US	  (600 * US_PER_S) /* a system image takes a minute */
#define ROUTE_STEP	  "route-check"
#define PROGRESS_EVERY_US (250 * US_PER_MS)

struct env {
	struct role_ports ports; /* first: its ops are in the table as they are */
	struct station *s;
	struct recorder *rec;
	const struct recipe *recipe;
	struct outputs *outputs;
	struct made *made; /* images of this run's own */
	char identity[UNIT_NAME_BYTES];
	struct err refused;	       /* what the MES said of it; ERR_NONE while it may be made */
	bool has_asked;		       /* it was asked about the unit... */
	char asked[UNIT_SERIAL_BYTES]; /* ... with this number; "" where none was known */
};

_Static_assert(offsetof(struct env, ports) == 0, "an environment begins with its role_ports");

static struct kept **env_kept(void *env, const char *role)
{
	struct station *s = ((struct env *)env)->s;

	for (size_t i = 0; i < s->cfg->ports; i++)
		if (!strcmp(s->cfg->port[i].role, role))
			return &s->kept[i];
	return NULL;
}

/* --- may it be made here --- */

/* The watchdog knows how long the answer may take. */
static void show_asking(struct station *s, uint64_t timeout_us)
{
	mutex_lock(&s->lock);
	if (!s->run.step[0])
		snprintf(s->run.step, sizeof s->run.step, "%s", ROUTE_STEP);
	s->revision++;
	mutex_unlock(&s->lock);
	if (station_tick_us(s) < now_us() + timeout_us)
		__atomic_store_n(&s->tick_us, now_us() + timeout_us, __ATOMIC_RELAXED);
	station_publish(s);
}

/* What a device that is plugged says of itself. */
static const char *plugged_serial(struct station *s, char *buf, size_t size)
{
	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->cfg->ports && !buf[0]; i++)
		if (s->port[i].present)
			snprintf(buf, size, "%s", s->port[i].facts.serial);
	mutex_unlock(&s->lock);
	return buf;
}

/* 0: it may. Else -ERR_ROUTE_HELD or -ERR_ROUTE_REJECTED with why, or the cancel's reason. */
static int ask_route(struct env *v, const char *serial, struct err *e)
{
	const struct job_claim *claim = recorder_claim(v->rec);
	struct route_ask ask = {.claim = claim,
		.station = v->s->cfg->id,
		.run = recorder_run_id(v->rec),
		.serial = serial,
		.chip_id = v->identity};
	char plugged[sizeof((struct device_facts *)0)->serial] = "";
	struct route_answer a;
	int r;

	if (!ask.chip_id[0])
		ask.chip_id = plugged_serial(v->s, plugged, sizeof plugged);
	show_asking(v->s, claim->route.timeout_us);
	r = route_check(v->s->line, &ask, &v->s->cancel, &a, e);
	if (r == 0)
		r = recorder_route(v->rec, &a, e);
	if (r < 0 || a.verdict == ROUTE_ALLOW)
		return r;
	return err_set(e, a.verdict == ROUTE_HOLD ? ERR_ROUTE_HELD : ERR_ROUTE_REJECTED,
		"'%s' says %s: %.200s", claim->route.service, route_verdict_str(a.verdict),
		a.reason[0] ? a.reason : "no reason given");
}

/* Once for each unit that the run turns out to have; of a list that has not shown its unit yet, later. A no is for the whole run,
 * whatever the recipe makes of a step that fails. */
static int check_route(struct env *v, struct err *e)
{
	const struct job_claim *claim = recorder_claim(v->rec);
	const char *serial = claim->serial;

	if (v->refused.code != ERR_NONE)
		return err_set(e, v->refused.code, "%s", v->refused.msg);
	if (!claim->route.service[0] || (claim->listed && !serial[0]))
		return 0;
	if (v->has_asked && !strcmp(v->asked, serial))
		return 0;
	v->has_asked = true;
	snprintf(v->asked, sizeof v->asked, "%s", serial);
	if (ask_route(v, serial, e) == 0)
		return 0;
	v->refused = *e;
	cancel_fire(&v->s->cancel, e->code);
	return -(int)e->code;
}

static int env_identity(void *env, const char *role, const char *value, struct err *e)
{
	struct env *v = env;

	if (v->identity[0] && strcmp(v->identity, value) != 0)
		return err_set(e, ERR_WRONG_DEVICE, "port %s: unit %s answers, %s expected", role,
			value, v->identity);
	snprintf(v->identity, sizeof v->identity, "%s", value);
	if (recorder_identity(v->rec, value, e) < 0)
		return -(int)e->code;
	return check_route(v, e);
}

static void show_serial(struct station *s, const char *serial)
{
	mutex_lock(&s->lock);
	snprintf(s->run.serial, sizeof s->run.serial, "%s", serial);
	s->revision++;
	mutex_unlock(&s->lock);
	station_publish(s);
}

static int env_serial(
	void *env, const char *kind, const char *value, char ret[UNIT_SERIAL_BYTES], struct err *e)
{
	struct env *v = env;
	int r = recorder_serial(v->rec, kind, value, ret, e);

	if (r == 0)
		show_serial(v->s, ret);
	return r < 0 ? r : check_route(v, e);
}

static int env_values(
	void *env, const char *serial, const json_t *wanted, json_t **ret, struct err *e)
{
	struct env *v = env;
	int r = recorder_values(v->rec, serial, wanted, ret, e);
	const char *given = r == 0 ? json_string_value(json_object_get(*ret, "serial")) : NULL;

	if (given)
		show_serial(v->s, given);
	if (r == 0 && check_route(v, e) < 0) {
		json_decref(*ret);
		return -(int)e->code;
	}
	return r;
}

static int env_intend(void *env, const struct intent *i, const struct observation *seen,
	struct earlier_intent *ret, struct err *e)
{
	return recorder_intend(((struct env *)env)->rec, i, seen, ret, e);
}

static int env_intended(void *env, const char *evidence, struct err *e)
{
	recorder_intended(((struct env *)env)->rec, evidence);
	return 0;
}

/* --- people --- */

static void show_prompt(struct station *s, const char *id, const struct prompt *p)
{
	mutex_lock(&s->lock);
	json_decref(s->prompt.choices);
	free(s->prompt.pattern);
	free(s->prompt.picture_text);
	s->prompt = (struct prompt_view){0};
	if (p) {
		snprintf(s->prompt.id, sizeof s->prompt.id, "%s", id);
		snprintf(s->prompt.kind, sizeof s->prompt.kind, "%s", p->kind);
		snprintf(s->prompt.text, sizeof s->prompt.text, "%s", p->text);
		s->prompt.pattern = p->pattern ? xstrdup(p->pattern) : NULL;
		s->prompt.picture_text = p->picture ? xstrdup(p->picture_text) : NULL;
		s->prompt.choices = p->choices ? json_array() : NULL;
		for (const char *const *c = p->choices; c && *c; c++)
			json_array_append_new(s->prompt.choices, json_string(*c));
	}
	s->revision++;
	mutex_unlock(&s->lock);
	station_publish(s);
}

static struct letter *next_answer(
	struct station *s, const char *id, const struct iotime *it, struct err *e)
{
	for (;;) {
		struct letter *l = mailbox_take(s->box);
		eventfd_t n;

		if (l && l->kind == LETTER_ANSWER && !strcmp(l->prompt_id, id))
			return l;
		/* Only `disable` fits a running station: it is obeyed after the run. */
		if (l && l->kind == LETTER_COMMAND && l->command == STATION_CMD_DISABLE)
			memcpy(s->disable_asked_by, l->by, sizeof s->disable_asked_by);
		free(l);
		if (l)
			continue;
		if (iotime_wait(s->wake_fd, POLLIN, it, e) < 0)
			return NULL;
		eventfd_read(s->wake_fd, &n);
	}
}

/* The answer is on disk already: the API put it there before it sent it here. */
static int question(struct env *v, const struct prompt *p, const struct iotime *it,
	struct letter **ret, struct err *e)
{
	char id[UUID_SIZE];
	struct letter *l;
	struct err ignored;
	int r = recorder_prompt_open(v->rec, p, id, e);

	if (r < 0)
		return r;
	show_prompt(v->s, id, p);
	l = next_answer(v->s, id, it, e);
	show_prompt(v->s, "", NULL);
	station_poke(v->s);
	if (!l) {
		r = -(int)e->code;
		recorder_prompt_cancel(v->rec, id, &ignored);
		if (e->code == ERR_TIMEOUT)
			return err_set(e, ERR_ABORTED, "nobody answered '%.200s' in time", p->text);
		return r;
	}
	*ret = l;
	return 0;
}

static int env_ask(void *env, const struct prompt *p, const struct iotime *it,
	char ret[ANSWER_BYTES], struct err *e)
{
	_cleanup_(freep) struct letter *l = NULL;
	int r = question(env, p, it, &l, e);

	if (r == 0)
		snprintf(ret, ANSWER_BYTES, "%s", l->answer);
	return r;
}

/* Who may say yes was looked at in the transaction of the answer (db/prompts.c). */
static int env_approve(void *env, const char *text, const struct iotime *it,
	char ret[UNIT_NAME_BYTES], struct err *e)
{
	const struct prompt p = {.text = text, .kind = "confirm", .approval = true};
	_cleanup_(freep) struct letter *l = NULL;
	int r = question(env, &p, it, &l, e);

	if (r < 0)
		return r;
	if (strcmp(l->answer, "yes") != 0)
		return err_set(e, ERR_ABORTED, "'%s' does not approve: %.200s", l->by, text);
	snprintf(ret, UNIT_NAME_BYTES, "%s", l->by);
	return 0;
}

static int path_of(struct env *v, const char *ref, char ret[FILE_PATH_BYTES], struct err *e)
{
	_cleanup_(freep) char *path = store_artifact(v->s->line->store, ref);

	if (!is_sha256_hex(ref))
		return err_set(e, ERR_NOT_FOUND, "'%.80s' is not an artifact of this provd", ref);
	snprintf(ret, FILE_PATH_BYTES, "%s", path);
	return 0;
}

/* What is on the disk may have changed since it was stored. */
static int check_digest(struct env *v, const char *ref, const char *sha256, struct err *e)
{
	char name[STEP_NAME_BYTES];

	if (!strcmp(ref, sha256))
		return 0;
	if (recorder_artifact_name(v->rec, ref, name, sizeof name, e) < 0)
		snprintf(name, sizeof name, "%.12s", ref);
	return err_set(e, ERR_ARTIFACT_DAMAGED,
		"artifact '%s' was stored with SHA-256 %.16s..., the disk now gives %.16s...: nothing of it was sent; upload it again and check the disk",
		name, ref, sha256);
}

static int load_blob(struct env *v, const char *ref, char path[FILE_PATH_BYTES], struct blob **ret,
	struct err *e)
{
	const struct iotime it = {now_us() + LOAD_US, &v->s->cancel};
	int r = path_of(v, ref, path, e);

	if (r == 0)
		r = image_cache_blob(v->s->line->images, path, true, &it, ret, e);
	if (r < 0)
		return r;
	r = check_digest(v, ref, blob_sha256(*ret), e);
	if (r < 0)
		*ret = blob_unref(*ret);
	return r;
}

/* For a program that reads it itself. */
static int env_image(void *env, const char *ref, char ret[FILE_PATH_BYTES], struct err *e)
{
	struct env *v = env;
	_cleanup_(blob_unrefp) struct blob *b = NULL;

	return made_is(ref) ? made_path(v->made, ref, e) : load_blob(v, ref, ret, &b, e);
}

static int env_name(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e)
{
	struct env *v = env;

	return made_is(ref) ? made_name(v->made, ref, ret, e)
			    : recorder_artifact_name(v->rec, ref, ret, STEP_NAME_BYTES, e);
}

/* It was read well when it was stored, as a rule. */
static int why_invalid(struct env *v, const char *ref, const char *path, struct err *e)
{
	char sha256[SHA256_HEX];
	struct err why;

	if (sha256_file(path, sha256, &why) < 0)
		return -(int)e->code;
	return check_digest(v, ref, sha256, e) < 0 ? -ERR_ARTIFACT_DAMAGED : -ERR_IMAGE_INVALID;
}

static int env_load_image(
	void *env, const char *ref, const struct image_opts *o, struct image **ret, struct err *e)
{
	struct env *v = env;
	const struct iotime it = {now_us() + LOAD_US, &v->s->cancel};
	char path[FILE_PATH_BYTES], name[STEP_NAME_BYTES];
	struct image_opts named = *o;
	int r;

	if (made_is(ref))
		return made_load_image(v->made, ref, o, ret, e);
	r = path_of(v, ref, path, e);
	if (r == 0)
		r = env_name(env, ref, name, e);
	named.name = name;
	if (r == 0)
		r = image_cache_image(v->s->line->images, path, &named, &it, ret, e);
	if (r == -ERR_IMAGE_INVALID)
		return why_invalid(v, ref, path, e);
	if (r < 0)
		return r;
	r = check_digest(v, ref, (*ret)->sha256, e);
	if (r < 0)
		*ret = image_unref(*ret);
	return r;
}

static int env_load_blob(void *env, const char *ref, struct blob **ret, struct err *e)
{
	struct env *v = env;
	char path[FILE_PATH_BYTES];

	return made_is(ref) ? made_load_blob(v->made, ref, ret, e)
			    : load_blob(v, ref, path, ret, e);
}

static int env_load_unpacked(
	void *env, const char *ref, const char *member, struct blob **ret, struct err *e)
{
	struct env *v = env;
	const struct iotime it = {now_us() + UNPACK_US, &v->s->cancel};
	char path[FILE_PATH_BYTES], name[STEP_NAME_BYTES];
	int r;

	if (made_is(ref))
		return made_load_unpacked(v->made, ref, member, &it, ret, e);
	r = path_of(v, ref, path, e);
	if (r == 0)
		r = env_name(env, ref, name, e);
	if (r == 0)
		r = image_cache_unpacked(v->s->line->images, path, name, member, &it, ret, e);
	if (r == -ERR_IMAGE_INVALID)
		return why_invalid(v, ref, path, e);
	if (r < 0)
		return r;
	r = check_digest(
		v, ref, (*ret)->packed.how[0] ? (*ret)->packed.file_sha256 : blob_sha256(*ret), e);
	if (r < 0)
		*ret = blob_unref(*ret);
	return r;
}

static int env_made(void *env, const char *step, const char *name, struct blob *b, bool secret,
	char ret[STEP_NAME_BYTES], struct err *e)
{
	return made_put(((struct env *)env)->made, step, name, b, secret, ret, e);
}

static int env_output(
	void *env, const char *step, const char *name, struct outfile *ret, struct err *e)
{
	return outputs_create(((struct env *)env)->outputs, step, name, ret, e);
}

static int env_attach(void *env, const struct attach_file *f, struct err *e)
{
	struct env *v = env;
	const struct line_services *line = v->s->line;
	const char *media = NULL;
	int r = attachments_take(line->attachments, store_output(line->store),
		recorder_run_id(v->rec), f, &media, e);

	return r < 0 ? r : recorder_attach(v->rec, f, media, e);
}

static int env_keep(void *env, const char *name, char ret[FILE_PATH_BYTES], struct err *e)
{
	struct env *v = env;
	int n = snprintf(ret, FILE_PATH_BYTES, "%s/%s", store_keep(v->s->line->store), name);

	return n < FILE_PATH_BYTES ? 0
				   : err_set(e, ERR_INVALID, "the path of '%s' is too long", name);
}

static int env_scratch(void *env, char ret[FILE_PATH_BYTES], struct err *e)
{
	snprintf(ret, FILE_PATH_BYTES, "%s", store_scratch(((struct env *)env)->s->line->store));
	return 0;
}

/* The station may have an older snapshot: what was taken out since then is not asked any more. */
static int env_service(void *env, const char *name, struct http_service *ret, struct err *e)
{
	struct env *v = env;
	struct config *now = v->s->line->config(v->s->line->line);
	int r = config_service(now, name, ret, e);

	config_unref(now);
	if (r == 0)
		http_service_trace(ret, recorder_trace(v->rec), recorder_run_id(v->rec));
	return r;
}

static int env_certify(void *env, const struct certificate_ask *ask, const struct iotime *it,
	struct certificate *ret, struct err *e)
{
	struct env *v = env;

	return certify(v->s->line, v->rec, ask, it, ret, e);
}

static int env_delivered(void *env, const char *sha256, struct err *e)
{
	struct env *v = env;

	return certify_delivered(v->s->line, v->rec, sha256, e);
}

static int env_derive(void *env, const struct derive_ask *ask, const struct iotime *it,
	uint8_t *ret, struct err *e)
{
	struct env *v = env;

	return certify_derive(v->s->line, v->rec, ask, it, ret, e);
}

static int env_make_key(void *env, struct key_ask *ask, const struct iotime *it,
	struct x509_key *ret, struct err *e)
{
	struct env *v = env;

	return certify_make_key(v->s->line, v->rec, ask, it, ret, e);
}

static int env_key_request(void *env, const char *name, const char *subject,
	const struct iotime *it, struct x509_csr *ret, struct err *e)
{
	struct env *v = env;

	return certify_request(v->s->line, v->rec, name, subject, it, ret, e);
}

static int env_take_key(void *env, const char *name, const struct iotime *it, uint8_t **ret,
	size_t *ret_n, struct err *e)
{
	struct env *v = env;

	return certify_take_key(v->s->line, v->rec, name, it, ret, ret_n, e);
}

static int env_printer(void *env, const char *name, struct printer *ret, struct err *e)
{
	struct station *s = ((struct env *)env)->s;
	struct config *now = s->line->config(s->line->line);
	int r = config_printer(now, name, ret, e);

	config_unref(now);
	return r;
}

static int env_instrument(void *env, const char *name, struct instrument *ret, struct err *e)
{
	struct station *s = ((struct env *)env)->s;
	struct config *now = s->line->config(s->line->line);
	int r = config_instrument(now, name, ret, e);

	config_unref(now);
	if (r == 0)
		ret->queue = s->line->instruments;
	return r;
}

/* --- power --- */

/* By the station's own snapshot, whose texts live as long as the run; what others have by the newest. */
static int env_power(void *env, struct power_way *ret, struct err *e)
{
	struct station *s = ((struct env *)env)->s;
	struct config *now = s->line->config(s->line->line);
	int r = config_power(now, s->cfg, ret, e);

	config_unref(now);
	if (r == 0)
		ret->queue = s->line->powers;
	return r;
}

static int wanted_after(
	const struct env *v, enum power_state found, enum power_state *ret, struct err *e)
{
	switch (v->recipe->power_after) {
	case POWER_AFTER_NOTHING:
		*ret = POWER_UNKNOWN;
		break;
	case POWER_AFTER_ON:
		*ret = POWER_ON;
		break;
	case POWER_AFTER_OFF:
		*ret = POWER_OFF;
		break;
	case POWER_AFTER_AS_FOUND:
		if (found == POWER_UNKNOWN)
			return err_set(e, ERR_POWER_NOT_SWITCHABLE,
				"'power_after: as_found' needs a switch that can say how it is: 'on' or 'off' expected");
		*ret = found;
		break;
	}
	return 0;
}

static int owe(struct env *v, enum power_state want, struct err *e)
{
	struct station *s = v->s;
	struct power_owed owed = {.run = ""};
	int r;

	snprintf(owed.run, sizeof owed.run, "%s", recorder_run_id(v->rec));
	snprintf(owed.want, sizeof owed.want, "%s", power_state_str(want));
	r = station_memory_owe(s->line->writer, s->cfg->id, &owed, e);
	if (r == 0)
		s->owed = want;
	return r;
}

static int env_power_settled(void *env, struct err *e)
{
	struct station *s = ((struct env *)env)->s;
	int r = s->owed == POWER_UNKNOWN ? 0
					 : station_memory_owe(s->line->writer, s->cfg->id, NULL, e);

	if (r == 0)
		s->owed = POWER_UNKNOWN;
	return r;
}

static bool leaves_it_to_the_steps(const struct env *v)
{
	return v->recipe && v->recipe->power_after == POWER_AFTER_NOTHING;
}

static int env_power_back(void *env, struct err *e)
{
	return leaves_it_to_the_steps(env) ? env_power_settled(env, e) : 0;
}

/* Once for a run: what was found first is what there was. Where the steps leave it, a later one says how. */
static int env_power_owe(void *env, enum power_state found, bool ends_on, struct err *e)
{
	struct env *v = env;
	struct station *s = v->s;
	enum power_state want = POWER_UNKNOWN;
	int r;

	if (leaves_it_to_the_steps(v))
		return ends_on ? owe(v, POWER_ON, e) : env_power_settled(v, e);
	if (s->owed != POWER_UNKNOWN || !v->recipe)
		return 0;
	r = wanted_after(v, found, &want, e);
	return r < 0 || want == POWER_UNKNOWN ? r : owe(v, want, e);
}

static enum power_state env_power_after(void *env)
{
	const struct env *v = env;
	enum power_state want = POWER_UNKNOWN;

	if (v->s->owed != POWER_UNKNOWN || !v->recipe)
		return v->s->owed;
	/* Nothing was switched: as it was found is as it is. */
	if (v->recipe->power_after != POWER_AFTER_AS_FOUND)
		wanted_after(v, POWER_UNKNOWN, &want, NULL);
	return want;
}

static int env_reset_line(void *env, struct reset_line *ret, struct err *e)
{
	return config_reset_line(((struct env *)env)->s->cfg, ret, e);
}

static void env_progress(void *env, const char *phase, uint64_t done, uint64_t total)
{
	struct env *v = env;
	struct station *s = v->s;
	uint64_t now = now_us();
	bool tell;

	mutex_lock(&s->lock);
	tell = now >= s->progress_next_us || done == total;
	s->run.progress_done = done;
	s->run.progress_total = total;
	if (strcmp(s->run.progress_phase, phase) != 0) {
		snprintf(s->run.progress_phase, sizeof s->run.progress_phase, "%s", phase);
		tell = true;
	}
	if (tell) {
		s->progress_next_us = now + PROGRESS_EVERY_US;
		s->untold = true;
	}
	mutex_unlock(&s->lock);
	if (tell)
		station_publish(s);
}

static void env_log(void *env, char dir, const char *text)
{
	recorder_log(((struct env *)env)->rec, dir, text);
}

static const struct step_env_ops env_ops = {
	.link = role_ports_link,
	.usb = role_ports_usb,
	.link_close = role_ports_close,
	.expect_replug = role_ports_expect_replug,
	.expect_other_serial = role_ports_expect_other_serial,
	.wait_device = role_ports_wait,
	.unwatched = role_ports_unwatched,
	.said = role_ports_said,
	.facts = role_ports_facts,
	.image = env_image,
	.name = env_name,
	.load_image = env_load_image,
	.load_blob = env_load_blob,
	.load_unpacked = env_load_unpacked,
	.made = env_made,
	.output = env_output,
	.attach = env_attach,
	.keep = env_keep,
	.scratch = env_scratch,
	.service = env_service,
	.printer = env_printer,
	.instrument = env_instrument,
	.power = env_power,
	.power_owe = env_power_owe,
	.power_back = env_power_back,
	.power_after = env_power_after,
	.power_settled = env_power_settled,
	.reset_line = env_reset_line,
	.ask = env_ask,
	.approve = env_approve,
	.identity = env_identity,
	.serial = env_serial,
	.values = env_values,
	.intend = env_intend,
	.intended = env_intended,
	.certify = env_certify,
	.delivered = env_delivered,
	.derive = env_derive,
	.make_key = env_make_key,
	.key_request = env_key_request,
	.take_key = env_take_key,
	.kept = env_kept,
};

static int env_secret(void *env, const char *name, char **ret, struct err *e)
{
	return config_secret(((struct env *)env)->s->config, name, ret, e);
}

static bool env_stop_requested(void *env)
{
	return __atomic_load_n(&((struct env *)env)->s->stop, __ATOMIC_SEQ_CST) != 0;
}

/* --- the view follows the steps --- */

struct view_sink {
	struct env *v;
	struct runner_sink inner;
};

static int view_begin(void *data, const struct step_record *r, struct err *e)
{
	struct view_sink *vs = data;
	struct station *s = vs->v->s;

	mutex_lock(&s->lock);
	snprintf(s->run.step, sizeof s->run.step, "%s", r->step->id);
	snprintf(s->run.action, sizeof s->run.action, "%s", r->step->action->name);
	snprintf(s->run.phase, sizeof s->run.phase, "%s", step_phase_str(r->phase));
	s->run.attempt = r->attempt;
	if (r->attempt == 1)
		s->run.step_n++;
	s->run.progress_phase[0] = 0;
	s->run.progress_done = s->run.progress_total = 0;
	s->progress_next_us = 0;
	s->uncut = r->step->action->flags & ACTION_IRREVERSIBLE;
	s->revision++;
	mutex_unlock(&s->lock);
	/* Its deadline bounds every wait of the step, and retry_delay_us the one after it. */
	__atomic_store_n(&s->tick_us, now_us() + r->step->timeout_us + r->step->retry_delay_us,
		__ATOMIC_RELAXED);
	station_publish(s);
	return vs->inner.step_begin(vs->inner.data, r, e);
}

static int view_end(void *data, const struct step_record *r, struct err *e)
{
	struct view_sink *vs = data;
	struct station *s = vs->v->s;
	bool abort;

	mutex_lock(&s->lock);
	abort = s->abort_after;
	s->uncut = s->abort_after = false;
	mutex_unlock(&s->lock);
	if (abort)
		cancel_fire(&s->cancel, ERR_ABORTED);
	return vs->inner.step_end(vs->inner.data, r, e);
}

static int view_measured(void *data, const struct step_record *r, const struct measurement *m,
	const char *verdict, struct err *e)
{
	struct view_sink *vs = data;

	return vs->inner.measured(vs->inner.data, r, m, verdict, e);
}

static int view_expose(void *data, const char *slot, struct err *e)
{
	struct view_sink *vs = data;

	return vs->inner.expose(vs->inner.data, slot, e);
}

/* --- the run --- */

static json_t *context_of(const struct env *v)
{
	const struct station *s = v->s;
	const struct job_claim *claim = recorder_claim(v->rec);
	json_t *ports = json_object();

	for (size_t i = 0; i < s->cfg->ports; i++) {
		struct device_facts f;
		char told[LINK_ADDRESS_BYTES];

		if (worker_port_facts(v->s, (int)i, &f, NULL) < 0)
			continue;
		port_for_programs(f.node, f.port, told);
		json_object_set_new(ports, s->cfg->port[i].role, json_string(told));
	}
	return json_pack("{s:{s:s, s:s}, s:{s:s}, s:{s:s, s:s}, s:{s:s}, s:o}", "job", "id",
		claim->job_id, "external_ref", claim->external_ref, "unit", "model",
		v->recipe->model ? v->recipe->model : "", "station", "id", s->cfg->id, "title",
		s->cfg->title, "run", "id", recorder_run_id(v->rec), "ports", ports);
}

/* As many as the lists make. */
static void view_steps(struct station *s, const struct recipe *recipe)
{
	mutex_lock(&s->lock);
	s->run.step_total = (unsigned)recipe_step_count(recipe);
	mutex_unlock(&s->lock);
}

/* Nothing was done to the unit. */
static void end_before(
	struct run_result *res, enum outcome outcome, const char *step, const struct err *e)
{
	*res = (struct run_result){.outcome = outcome, .code = e->code};
	snprintf(res->step, sizeof res->step, "%s", step);
	snprintf(res->message, sizeof res->message, "%s", e->msg);
}

void worker_execute(struct station *s, struct run_result *res)
{
	const struct job_claim *claim = recorder_claim(s->rec);
	struct recipe *recipe = NULL; /* with the lists of the order and of the unit */
	struct err e = {0};

	if (recipe_bind(claim->recipe, claim->params, &recipe, &e) < 0) {
		end_before(res, OUTCOME_ERROR, "preflight", &e);
		return;
	}

	struct env v = {
		.ports = {.ops = &worker_ports_source, .source = s, .recipe = recipe},
		.s = s,
		.rec = s->rec,
		.recipe = recipe,
	};
	struct view_sink vs = {.v = &v, .inner = recorder_sink(s->rec)};
	const struct runner_sink sink = {&vs, view_begin, view_end, view_measured, view_expose};
	struct config *now = s->line->config(s->line->line); /* the station may have an older one */
	json_t *context = context_of(&v);
	struct runner rn = {
		.recipe = v.recipe,
		.sink = &sink,
		.ops = &env_ops,
		.env = &v,
		.tell = {&v, env_progress, env_log},
		.cancel = &s->cancel,
		.may_defer = true,
		.stop_requested = env_stop_requested,
		.secrets = secret_set_new(),
		.secret = env_secret,
		.params = claim->params,
		.artifacts = json_object_get(v.recipe->json, "artifacts"),
		.context = context,
	};

	view_steps(s, recipe);
	v.made = made_new(rn.secrets);
	v.outputs = outputs_new(store_output(s->line->store), recorder_run_id(s->rec),
		now->output_max_bytes, records_disk(s->line->records));
	config_unref(now);
	if (preflight_check(s->line, v.recipe, &e) < 0) {
		end_before(res, OUTCOME_ERROR, "preflight", &e);
	} else if (check_route(&v, &e) < 0) {
		end_before(res, outcome_of_code(e.code), ROUTE_STEP, &e);
	} else {
		runner_run(&rn, res);
	}
	role_ports_done(&v.ports);
	outputs_free(v.outputs);
	made_free(v.made);
	secret_set_free(rn.secrets);
	json_decref(context);
	recipe_unref(recipe);
}

/* --- after a provd that was killed --- */

#define PUT_RIGHT_US (20 * US_PER_S)

static void tell_nothing(void *data, const char *phase, uint64_t done, uint64_t total)
{
}

static void tell_journal(void *data, char dir, const char *text)
{
	log_info("%s", text);
}

static int leave_power(struct env *v, struct err *e)
{
	const struct action *action = action_find("device.power");
	json_t *with = json_pack("{s:s}", "state", "leave");
	struct args *args = args_literal(action->args, with);
	const struct iotime none = {NO_DEADLINE, NULL};
	struct step_result out = {0};
	struct step st = {.id = POWER_AFTER_STEP,
		.action = action,
		.teardown = true,
		.it = iotime_within(&none, PUT_RIGHT_US),
		.secrets = secret_set_new(),
		.ops = &env_ops,
		.env = v,
		.tell = {NULL, tell_nothing, tell_journal}};
	int r = action->run(&st, args, &out, e);

	json_decref(out.evidence);
	json_decref(out.outputs);
	secret_set_free(st.secrets);
	args_free(args);
	json_decref(with);
	return r;
}

int worker_put_power_right(struct station *s, struct err *e)
{
	struct env v = {.ports = {.ops = &worker_ports_source, .source = s}, .s = s};
	const char *want = power_state_str(s->owed);
	int r = 0;

	if (s->owed == POWER_UNKNOWN)
		return 0;
	if (!s->cfg->power.has) {
		log_notice(
			"the power of the unit was to be left %s, and the station has no 'power' any more",
			want);
		return env_power_settled(&v, e);
	}
	r = leave_power(&v, e);
	role_ports_done(&v.ports);
	/* It is left as it has to be; what the unit makes of it, its next run shows. */
	if (s->owed == POWER_UNKNOWN) {
		log_notice(
			"the power of the unit is %s now: a run that broke off had left it otherwise",
			want);
		return 0;
	}
	return r < 0 ? err_prefix(e, "the power of the unit is to be %s before its next run", want),
	       r     : 0;
}
