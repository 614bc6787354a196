/* SPDX-License-Identifier: Apache-2.0
 *
 * A board whose only way in is the drive of its UF2 bootloader. What is written cannot be read back: that the board took every block,
 * left with the last one, and came back as something else is all that can be seen of it.
 */
#include "daemon/actions/disk/disk.h"
#include "daemon/actions/image_args.h"
#include "transports/protocols/disk/uf2_drive.h"

#define LEAVE_US       (5 * US_PER_S)
#define LEAVE_EVERY_US (50 * US_PER_MS)

/* The file is whole, and of one family; the blocks themselves are those of the file. */
static int load(struct step *s, const struct args *a, struct image **ret_image,
	struct blob **ret_blob, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(0);
	int r;

	o.address_is_default = true;
	if (args_has(a, "family"))
		o.uf2_family = (uint32_t)args_int(a, "family");
	r = s->ops->load_image(s->env, args_str(a, "image"), &o, ret_image, e);
	if (r == 0 && (*ret_image)->format != IMAGE_UF2)
		r = err_set(e, ERR_IMAGE_INVALID,
			"the drive of a UF2 bootloader takes UF2 files, and this is none");
	if (r == 0 && (*ret_image)->packed.how[0])
		r = err_set(e, ERR_IMAGE_INVALID,
			"the UF2 file is packed: unpack it, its blocks go to the board as they are");
	return r < 0 ? r : s->ops->load_blob(s->env, args_str(a, "image"), ret_blob, e);
}

static int check_board(const struct disk_step *x, const struct uf2_drive *d,
	struct step_result *out, struct err *e)
{
	const char *want = args_str(x->a, "board_id");

	result_evidence(out, "board_id", json_string(d->board_id));
	result_evidence(out, "model", json_string(d->model));
	if (!want || !strcmp(want, d->board_id))
		return 0;
	return err_set(e, ERR_WRONG_DEVICE,
		"the board says '%s' (INFO_UF2.TXT), '%s' expected: nothing was written",
		d->board_id, want);
}

/* It restarts by itself; one that stays has not taken what it was given. */
static int await_leaving(struct disk_step *x, struct err *e)
{
	struct iotime it = iotime_within(&x->s->it, LEAVE_US);
	int r = 0;

	while (r == 0 && disk_same(x->disk, NULL) == 0)
		r = iotime_sleep(LEAVE_EVERY_US, &it, e);
	if (r == -ERR_TIMEOUT && iotime_check(&x->s->it, NULL) == 0)
		return err_set(e, ERR_DEVICE_REFUSED,
			"all blocks are written, and the board does not restart: it has not taken them (is the file for this board?)");
	return r;
}

/* The ids say what came back: the application may show a drive as well, and that of a bootloader takes a second to be seen. */
static int await_return(
	struct disk_step *x, const char *was, struct step_result *out, struct err *e)
{
	struct device_facts f;
	char is[16];
	int r = x->s->ops->wait_device(x->s->env, args_str(x->a, "port"), &x->s->it, &f, e);

	if (r < 0)
		return r;
	snprintf(is, sizeof is, "%.4s:%.4s", f.vid, f.pid);
	if (!strcmp(is, was))
		return err_set(e, ERR_NOT_STARTED,
			"the board came back with the ids of its bootloader (%s): it starts nothing of what was written",
			is);
	result_evidence(out, "returned", facts_json(&f));
	return 0;
}

static int ids_of(const struct disk_step *x, char ret[16], struct err *e)
{
	_cleanup_(freep) char *address = xasprintf("usb:%s", x->f.port);
	struct usb_facts u;
	int r = usb_look(address, &u, e);

	if (r == 0)
		snprintf(ret, 16, "%04x:%04x", u.vid, u.pid);
	return r;
}

static int copy(struct disk_step *x, const struct blob *b, struct step_result *out, struct err *e)
{
	const char *port = args_str(x->a, "port");
	struct uf2_drive d;
	bool left = false;
	char was[16];
	int r = uf2_drive_look(&x->port, &d, e);

	if (r == 0)
		r = ids_of(x, was, e);
	if (r == 0)
		r = check_board(x, &d, out, e);
	if (r == 0)
		r = x->s->ops->expect_replug(x->s->env, port, e);
	if (r == 0)
		r = x->s->ops->expect_other_serial(x->s->env, port, e);
	if (r == 0)
		r = uf2_drive_write(&x->port, &d, b->data, b->size, &left, &x->tell, &x->s->it, e);
	if (r == 0 && !left)
		r = await_leaving(x, e);
	if (r == 0)
		r = await_return(x, was, out, e);
	return r;
}

static int copy_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(disk_step_done) struct disk_step x = {.s = s, .a = a};
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	_cleanup_(image_unrefp) struct image *image = NULL;
	int r = load(s, a, &image, &blob, e);

	if (r == 0)
		r = disk_step_open(&x, s, a, true, e);
	if (r < 0)
		return r;
	disk_step_evidence(&x, out);
	r = copy(&x, blob, out, e);
	if (r < 0)
		return err_prefix(e, "usb:%s", x.f.port);
	result_evidence(out, "sha256_written", json_string(blob_sha256(blob)));
	result_evidence(out, "proof", json_string("returned"));
	result_evidence(out, "blocks", json_integer((json_int_t)(blob->size / 512)));
	result_output(out, "sha256", json_string(blob_sha256(blob)));
	return 0;
}

static const struct action_arg copy_args[] = {
	ARG_ROWS_DISK,
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "a UF2 file, whole"},
	{.name = "family",
		.type = ARG_INT,
		.low = 0,
		.high = UINT32_MAX,
		.doc = "that a file for several has to hold: 0xe48bff56; all blocks are written, the board takes its own"},
	{.name = "board_id",
		.type = ARG_STRING,
		.doc = "what INFO_UF2.TXT of the board has to say as Board-ID"},
	{0},
};

static const struct action_output copy_outputs[] = {{"sha256", "of the file"}, {0}};

const struct action action_uf2_copy = {
	.name = "uf2.copy",
	.doc = "Gives a UF2 file to the drive of a board's bootloader; it has to restart and come back as its application.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES,
	.args = copy_args,
	.outputs = copy_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.run = copy_run,
};
