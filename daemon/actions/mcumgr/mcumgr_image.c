/* SPDX-License-Identifier: Apache-2.0
 *
 * mcumgr.upload, mcumgr.test, mcumgr.confirm.
 */
#include "daemon/actions/mcumgr/mcumgr.h"
#include "transports/images/image.h"
#include "transports/images/mcuboot.h"

/* --- upload --- */

/* The file as it is: it goes into a slot, whatever address it was built for. */
static int load(struct step *s, const struct args *a, struct image **ret, struct mcuboot *m,
	char name[STEP_NAME_BYTES], struct err *e)
{
	struct image_opts io = IMAGE_OPTS(0);
	int r = s->ops->name(s->env, args_str(a, "image"), name, e);

	io.as_is = true;
	if (r == 0)
		r = s->ops->load_image(s->env, args_str(a, "image"), &io, ret, e);
	if (r < 0)
		return r;
	return mcuboot_check(name, (*ret)->segments[0].data, (*ret)->segments[0].len, m, e);
}

static int upload_preflight(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(image_unrefp) struct image *image = NULL;
	char name[STEP_NAME_BYTES];
	struct mcuboot m;

	return args_has(a, "image") ? load(s, a, &image, &m, name, e) : 0;
}

static void tell_upload(const struct smp_uploaded *u, const struct image *image,
	const struct mcuboot *m, struct step_result *out)
{
	result_evidence(out, "sha256", json_string(image->sha256));
	result_evidence(out, "bytes", json_integer((json_int_t)image->bytes));
	result_evidence(out, "version", json_string(m->version));
	result_evidence(out, "signed", json_boolean(m->is_signed));
	result_evidence(out, "encrypted", json_boolean(m->encrypted));
	result_evidence(out, "blocks", json_integer(u->blocks));
	result_evidence(out, "blocks_again", json_integer(u->again));
	if (u->resumed_at)
		result_evidence(out, "resumed_at", json_integer(u->resumed_at));
}

/* In a slot of its own, and not the one that runs. */
static int prove_upload(
	struct mcumgr_session *x, const struct mcuboot *m, struct step_result *out, struct err *e)
{
	struct smp_images l;
	char hex[SHA256_HEX];
	int r = smp_list(x->smp, &l, &x->s->it, e);

	if (r < 0)
		return r;
	mcumgr_tell_images(&l, out);
	hex_of(m->hash, sizeof m->hash, hex);
	result_output(out, "version", json_string(m->version));
	result_output(out, "hash", json_string(hex));
	if (!smp_find(&l, m->hash, sizeof m->hash))
		return result_fail(out, ERR_VERIFY_MISMATCH,
			"the unit took the image, and has none with its hash %s: its slot does not hold it",
			hex);
	return 0;
}

static int upload_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	_cleanup_(image_unrefp) struct image *image = NULL;
	struct smp_uploaded done = {0};
	struct smp_upload u;
	struct mcuboot m;
	char name[STEP_NAME_BYTES];
	int r = load(s, a, &image, &m, name, e);

	if (r == 0)
		r = mcumgr_session_open(&x, s, a, e);
	if (r < 0)
		return r;
	u = (struct smp_upload){.image = (unsigned)args_int(a, "number"),
		.upgrade = args_bool(a, "upgrade"),
		.name = name,
		.data = image->segments[0].data,
		.bytes = (uint32_t)image->segments[0].len};
	r = smp_upload(x.smp, &u, &done, &s->it, e);
	if (r < 0)
		return r;
	tell_upload(&done, image, &m, out);
	return prove_upload(&x, &m, out, e);
}

static const struct action_arg upload_args[] = {
	ARG_ROW_PORT,
	{.name = "image",
		.type = ARG_IMAGE,
		.required = true,
		.doc = "a file for MCUboot, as imgtool makes it: header, hash and trailer are looked at first"},
	{.name = "upgrade",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "the unit refuses a version that is not higher than its own"},
	{.name = "mtu",
		.type = ARG_INT,
		.unit = "bytes",
		.low = SMP_MTU_MIN,
		.high = SMP_PACKET_MAX,
		.doc = "of a packet; by default what the unit says that it takes, else 256"},
	{.name = "erase",
		.type = ARG_DURATION,
		.def = "60s",
		.doc = "for the answer to the first block, before which the slot is erased"},
	MCUMGR_ROW_IMAGE,
	MCUMGR_ROWS_SESSION,
	{0},
};

static const struct action_output upload_outputs[] = {MCUMGR_OUTPUT_ROWS, {0}};

const struct action action_mcumgr_upload = {
	.name = "mcumgr.upload",
	.doc = "Uploads an image into the second slot of a unit with MCUboot, through MCUmgr on its console; the unit lists it by its hash then. An upload that broke off goes on where it was. That MCUboot starts it, mcumgr.reset proves.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = upload_args,
	.outputs = upload_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.preflight = upload_preflight,
	.run = upload_run,
};

/* --- test, confirm --- */

/* The image of 'hash' on the unit. */
static int find(const struct smp_images *l, const struct args *a, struct step_result *out,
	struct smp_image *ret, struct err *e)
{
	uint8_t hash[SHA256_BYTES];
	const struct smp_image *i;
	int r = mcumgr_hash_of(a, hash, e);

	if (r < 0)
		return r;
	mcumgr_tell_images(l, out);
	i = smp_find(l, hash, sizeof hash);
	if (!i)
		return err_set(e, ERR_NOT_FOUND,
			"the unit has no image with the hash %s: upload it first",
			args_str(a, "hash"));
	*ret = *i;
	return 0;
}

/* What the list says of the image before and after it was chosen. */
static int select_image(struct mcumgr_session *x, bool confirm, struct step_result *out,
	struct smp_image *ret, struct err *e)
{
	struct smp_images l;
	uint8_t hash[SHA256_BYTES];
	int r = mcumgr_hash_of(x->a, hash, e);

	if (r == 0)
		r = smp_select(x->smp, hash, sizeof hash, confirm, &l, &x->s->it, e);
	return r < 0 ? r : find(&l, x->a, out, ret, e);
}

static int open_and_find(struct mcumgr_session *x, struct step *s, const struct args *a,
	struct step_result *out, struct smp_image *ret, struct err *e)
{
	struct smp_images l;
	int r = mcumgr_session_open(x, s, a, e);

	if (r == 0)
		r = smp_list(x->smp, &l, &s->it, e);
	return r < 0 ? r : find(&l, a, out, ret, e);
}

static int test_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	struct smp_image i = {0};
	bool keep = args_bool(a, "permanent");
	int r = open_and_find(&x, s, a, out, &i, e);

	if (r == 0 && i.active)
		return result_fail(
			out, ERR_DEVICE_REFUSED, "image %s runs already", args_str(a, "hash"));
	if (r == 0)
		r = select_image(&x, keep, out, &i, e);
	if (r < 0)
		return r;
	if (!i.pending || i.permanent != keep)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the unit acknowledged, and its list does not say that image %s is started next%s",
			args_str(a, "hash"), keep ? " for good" : "");
	return 0;
}

static const struct action_arg test_args[] = {
	ARG_ROW_PORT,
	MCUMGR_ROW_HASH(true, "of the image, as mcumgr.upload gives it"),
	{.name = "permanent",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "the image stays whatever it does; without it a reset that no mcumgr.confirm preceded brings the old one back"},
	MCUMGR_ROWS_SESSION,
	{0},
};

const struct action action_mcumgr_test = {
	.name = "mcumgr.test",
	.doc = "Has MCUboot start an image at the next reset, and reads back that it will.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = test_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = test_run,
};

/* Of one that does not run it would be the choice for good: so it is looked at first. */
static int confirm_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(mcumgr_session_done) struct mcumgr_session x = {0};
	struct smp_image i = {0};
	int r = open_and_find(&x, s, a, out, &i, e);

	if (r == 0 && !i.active)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"image %s does not run: only the one that runs is confirmed",
			args_str(a, "hash"));
	if (r == 0)
		r = select_image(&x, true, out, &i, e);
	if (r < 0)
		return r;
	if (!i.active || !i.confirmed)
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the unit acknowledged, and its list does not say that image %s stays",
			args_str(a, "hash"));
	return 0;
}

static const struct action_arg confirm_args[] = {
	ARG_ROW_PORT, MCUMGR_ROW_HASH(true, "of the image that runs"), MCUMGR_ROWS_SESSION, {0}};

const struct action action_mcumgr_confirm = {
	.name = "mcumgr.confirm",
	.doc = "Keeps the image that runs: no reset brings the old one back. Read back from the unit's list.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = confirm_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = confirm_run,
};
