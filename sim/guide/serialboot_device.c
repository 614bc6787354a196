/* SPDX-License-Identifier: Apache-2.0
 *
 * The board of the guide (board.h) as a device of the row.
 */
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "sim/guide/board.h"
#include "sim/device_rows.h"

struct guide_board {
	struct device device;
	struct faults *faults;
	struct board *board;
};

static struct guide_board *of(struct device *d)
{
	return container_of(d, struct guide_board, device);
}

static const struct guide_board *of_const(const struct device *d)
{
	return (const struct guide_board *)((const char *)d - offsetof(struct guide_board, device));
}

/* An image for a blank unit, as if an earlier line had flashed it. */
static int preload(const struct device_config *c, struct unit *u, struct err *e)
{
	uint8_t buf[65536];
	size_t n;
	uint32_t addr = c->set->flash.base;

	if (!c->preload || flash_used(u->flash))
		return 0;

	_cleanup_(fclosep) FILE *in = fopen(c->preload, "re");

	if (!in)
		return err_errno(e, ERR_IO, errno, "%s", c->preload);
	while ((n = fread(buf, 1, sizeof buf, in)) > 0) {
		if (flash_write(u->flash, addr, buf, n, false) != FLASH_OK)
			return err_set(e, ERR_IMAGE_RANGE, "%s does not fit the flash", c->preload);
		addr += (uint32_t)n;
	}
	return ferror(in) ? err_errno(e, ERR_IO, errno, "%s", c->preload) : 0;
}

static int guide_new(const struct device_config *c, struct device **ret, struct err *e)
{
	_cleanup_(unit_freep) struct unit *u = NULL;
	int r = c->fresh ? unit_new(c->set, c->state_dir, &u, e)
			 : unit_open(c->set, c->state_dir, c->socket, &u, e);

	if (r == 0)
		r = preload(c, u, e);
	if (r == 0)
		r = unit_save(u, e);
	if (r == 0)
		r = unit_link(u, c->socket, e);
	if (r < 0)
		return r;

	struct guide_board *g = xcalloc(1, sizeof *g);

	strcpy(g->device.uid, u->uid);
	g->faults = c->wire_faults;
	g->board = board_new(c->set, c->wire_faults, steal_ptr(&u));
	*ret = &g->device;
	return 0;
}

static void guide_free(struct device *d)
{
	board_free(of(d)->board);
	free(of(d));
}

static void guide_power_on(struct device *d, uint64_t now_us)
{
	board_power_on(of(d)->board, now_us);
}

static void guide_power_off(struct device *d)
{
	board_power_off(of(d)->board);
}

static size_t guide_room(const struct device *d)
{
	return board_room(of_const(d)->board);
}

static void take_error(struct device *d)
{
	struct board *b = of(d)->board;

	if (b->error.code != ERR_NONE && d->error.code == ERR_NONE)
		d->error = b->error;
	b->error.code = ERR_NONE;
}

static void guide_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	board_input(of(d)->board, p, n, now_us);
	take_error(d);
}

static size_t guide_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	return board_output(of(d)->board, buf, size, now_us);
}

static uint64_t guide_due(const struct device *d)
{
	return board_due(of_const(d)->board);
}

static const char *guide_state(const struct device *d)
{
	return board_state_name(board_state(of_const(d)->board, now_us()));
}

static void guide_json(struct device *d, bool whole, json_t *o)
{
	const struct board *b = of(d)->board;
	const struct unit *u = b->unit;
	char hex[SHA256_HEX];

	json_object_set_new(o, "serial", u->serial ? json_string(u->serial) : json_null());
	json_object_set_new(o, "flash_used", json_integer((json_int_t)flash_used(u->flash)));
	if (!whole)
		return;
	sha256_hex_of(flash_content(u->flash), flash_used(u->flash), hex);
	json_object_set_new(o, "flash_sha256", json_string(hex));
	json_object_set_new(o, "unit", unit_json(u));
	if (b->state == BOARD_APPLICATION)
		json_object_set_new(o, "version", json_string(b->version));
}

static bool guide_has_serial(const struct device *d)
{
	return of_const(d)->board->unit->serial != NULL;
}

static void guide_clear_faults(struct device *d)
{
	of(d)->board->stalled = false;
}

static void guide_babble(struct device *d, size_t n, uint64_t now_us)
{
	board_babble(of(d)->board, n, now_us);
}

static enum device_wish guide_take_wish(struct device *d)
{
	return board_take_wish(of(d)->board);
}

const struct device_ops serialboot_device = {
	.name = "serialboot",
	.help = "the guide's serial bootloader and an application console",
	.keeps_units = true,
	.new = guide_new,
	.free = guide_free,
	.power_on = guide_power_on,
	.power_off = guide_power_off,
	.room = guide_room,
	.input = guide_input,
	.output = guide_output,
	.due = guide_due,
	.state = guide_state,
	.json = guide_json,
	.has_serial = guide_has_serial,
	.clear_faults = guide_clear_faults,
	.take_wish = guide_take_wish,
	.babble = guide_babble,
};
