/* SPDX-License-Identifier: Apache-2.0
 *
 * The session of all actions mcumgr.*, and mcumgr.echo, mcumgr.images and mcumgr.reset.
 */
#include "daemon/actions/mcumgr/mcumgr.h"

#include "transports/links/link.h"

const char *const mcumgr_versions[] = {"1", "2", NULL};

int mcumgr_session_open(
	struct mcumgr_session *x, struct step *s, const struct args *a, struct err *e)
{
	struct smp_opts o = SMP_OPTS_DEFAULT;
	struct teller tell = step_teller(s);
	int r = boot_pins_parse(a, &x->pins, e);

	x->s = s;
	x->a = a;
	o.version = args_has(a, "smp") && !strcmp(args_str(a, "smp"), "1") ? 1 : 2;
	o.answer_us = args_duration_us(a, "answer");
	o.attempts = (unsigned)args_int(a, "attempts");
	if (args_has(a, "mtu"))
		o.mtu = (uint32_t)args_int(a, "mtu");
	if (args_has(a, "erase"))
		o.erase_us = args_duration_us(a, "erase");
	if (r == 0)
		r = step_link(s, args_str(a, "port"), &x->link, e);
	if (r < 0)
		return r;
	x->smp = smp_new(x->link, &o, &tell);
	return boot_pins_enter(&x->pins, x->link, &s->it, e);
}

void mcumgr_session_done(struct mcumgr_session *x)
{
	x->smp = smp_free(x->smp);
	if (x->link)
		boot_pins_leave(&x->pins, x->link);
}

int mcumgr_hash_of(const struct args *a, uint8_t ret[SHA256_BYTES], struct err *e)
{
	if (!hex_parse(args_str(a, "hash"), ret, SHA256_BYTES))
		return err_set(e, ERR_INVALID, "'hash': '%s' is not 64 hexadecimal digits",
			args_str(a, "hash"));
	return 0;
}

char *mcumgr_hex(const struct smp_image *i, char ret[2 * SMP_HASH_MAX + 1])
{
	return hex_of(i->hash, i->hash_bytes, ret);
}

static json_t *image_json_of(const struct smp_image *i)
{
	char hex[2 * SMP_HASH_MAX + 1];
	json_t *o = json_pack("{s:i, s:i, s:s, s:s}", "image", (int)i->image, "slot", (int)i->slot,
		"version", i->version, "hash", mcumgr_hex(i, hex));
	const struct {
		const char *name;
		bool set;
	} flags[] = {{"bootable", i->bootable}, {"pending", i->pending},
		{"confirmed", i->confirmed}, {"active", i->active}, {"permanent", i->permanent}};

	/* A version is what the unit says: it may be no text. */
	if (!o)
		o = json_object();
	for (size_t k = 0; k < ARRAY_LEN(flags); k++)
		if (flags[k].set)
			json_object_set_new(o, flags[k].name, json_true());
	return o;
}

void mcumgr_tell_images(const struct smp_images *l, struct step_result *out)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, image_json_of(&l->list[i]));
	result_evidence(out, "images", list);
}

void mcumgr_output_image(const struct smp_image *i, struct step_result *out)
{
	char hex[2 * SMP_HASH_MAX + 1];
	json_t *version = json_string(i ? i->version : "");

	result_output(out, "version", version ? version : json_string(""));
	result_output(out, "hash", json_string(i ? mcumgr_hex(i, hex) : ""));
}

/* --- echo --- */

static int echo_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	char text[32];
	int r = mcumgr_session_open(&x, s, a, e);

	/* Another one each time: an answer that comes twice is none. */
	snprintf(text, sizeof text, "provd %llx", (unsigned long long)now_us());
	if (r == 0)
		r = smp_echo(x.smp, text, &s->it, e);
	if (r == 0)
		result_evidence(out, "echo", json_string(text));
	return r;
}

static const struct action_arg echo_args[] = {ARG_ROW_PORT, MCUMGR_ROWS_SESSION, {0}};

const struct action action_mcumgr_echo = {
	.name = "mcumgr.echo",
	.doc = "Sends a text to MCUmgr on a unit's console, which gives it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = echo_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = echo_run,
};

/* --- images --- */

static int images_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	struct smp_images l;
	const struct smp_image *active;
	int r = mcumgr_session_open(&x, s, a, e);

	if (r == 0)
		r = smp_list(x.smp, &l, &s->it, e);
	if (r < 0)
		return r;
	mcumgr_tell_images(&l, out);
	active = smp_active(&l, (unsigned)args_int(a, "number"));
	mcumgr_output_image(active, out);
	result_output(out, "confirmed", json_boolean(active && active->confirmed));
	if (!active)
		return result_fail(out, ERR_UNEXPECTED_REPLY, "no image is active on this unit");
	return 0;
}

static const struct action_arg images_args[] = {
	ARG_ROW_PORT, MCUMGR_ROW_IMAGE, MCUMGR_ROWS_SESSION, {0}};

static const struct action_output images_outputs[] = {
	MCUMGR_OUTPUT_ROWS, {"confirmed", "whether it stays after a reset"}, {0}};

const struct action action_mcumgr_images = {
	.name = "mcumgr.images",
	.doc = "Asks MCUmgr on a unit's console for its images; the outputs are of the one that runs.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = images_args,
	.outputs = images_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.run = images_run,
};

/* --- reset --- */

#define SETTLE_US \
	(500 * US_PER_MS) /* after the acknowledgment: the answer to the next question would be the old image's */

/* Until it answers again, within the step's time. */
static int wait_for_it(
	struct mcumgr_session *x, struct smp_images *ret, const struct iotime *it, struct err *e)
{
	int r = iotime_sleep(SETTLE_US, it, e);

	while (r == 0) {
		r = smp_list(x->smp, ret, it, e);
		if (r != -ERR_TIMEOUT && r != -ERR_PROTOCOL)
			return r;
		r = iotime_check(it, e);
	}
	return r < 0 ? err_prefix(e, "after the reset") : r;
}

static int judge_start(
	const struct args *a, const struct smp_images *l, struct step_result *out, struct err *e)
{
	const struct smp_image *active = smp_active(l, (unsigned)args_int(a, "number"));
	uint8_t want[SHA256_BYTES];
	char hex[2 * SMP_HASH_MAX + 1];
	int r;

	mcumgr_output_image(active, out);
	if (!args_has(a, "hash"))
		return 0;
	r = mcumgr_hash_of(a, want, e);
	if (r < 0)
		return r;
	if (!active || active->hash_bytes != sizeof want ||
		memcmp(active->hash, want, sizeof want) != 0)
		return result_fail(out, ERR_VERIFY_MISMATCH,
			"after the reset the unit runs %s, not %s: MCUboot did not start it (is it signed with the unit's key, and chosen?)",
			active ? mcumgr_hex(active, hex) : "no image", args_str(a, "hash"));
	return 0;
}

static int reset_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	struct smp_images before;
	struct smp_images after;
	struct iotime it;
	const struct smp_image *was;
	char hex[2 * SMP_HASH_MAX + 1];
	int r = args_has(a, "hash") ? mcumgr_hash_of(a, (uint8_t[SHA256_BYTES]){0}, e) : 0;

	if (r == 0)
		r = mcumgr_session_open(&x, s, a, e);
	if (r == 0)
		r = smp_list(x.smp, &before, &s->it, e);
	if (r == 0)
		r = smp_reset(x.smp, &s->it, e);
	if (r < 0)
		return r;
	it = iotime_within(&s->it, args_duration_us(a, "ready"));
	r = wait_for_it(&x, &after, &it, e);
	if (r < 0)
		return r;
	was = smp_active(&before, (unsigned)args_int(a, "number"));
	mcumgr_tell_images(&after, out);
	result_evidence(out, "before", json_string(was ? mcumgr_hex(was, hex) : ""));
	return judge_start(a, &after, out, e);
}

static const struct action_arg reset_args[] = {
	ARG_ROW_PORT,
	MCUMGR_ROW_HASH(false,
		"of the image that has to run then, as mcumgr.upload gives it: the proof that MCUboot found it whole"),
	{.name = "ready",
		.type = ARG_DURATION,
		.def = "60s",
		.doc = "until the unit answers again: MCUboot takes its time for a swap"},
	MCUMGR_ROW_IMAGE,
	MCUMGR_ROWS_SESSION,
	{0},
};

static const struct action_output reset_outputs[] = {MCUMGR_OUTPUT_ROWS, {0}};

const struct action action_mcumgr_reset = {
	.name = "mcumgr.reset",
	.doc = "Resets a unit through MCUmgr on its console, and looks which image runs when it answers again.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = reset_args,
	.outputs = reset_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = reset_run,
};
