/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fleet.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/log.h"
#include "sim/usb_events.h"

#define OUTPUT_BYTES 16384
/* While vhci still clears the last device of a socket away. */
#define PLUG_RETRY_US (20 * US_PER_MS)

struct fleet {
	struct loop *loop;
	struct port_hub *hub;
	struct server *events;
	struct fleet_config cfg;
	struct slot *slots;
	unsigned n;
	unsigned devnum;
	unsigned units_made;
	uint64_t seqnum;
};

/* -- a board and its port -- */

static size_t port_room(void *data)
{
	struct slot *s = data;

	return board_room(s->board);
}

/* Gives the host what is through. Wishes of faults wait for fleet_run(): the port is in use here.
 */
static void pump(struct slot *s, uint64_t now)
{
	uint8_t buf[OUTPUT_BYTES];
	size_t n;

	while (!port_blocked(s->port) && (n = board_output(s->board, buf, sizeof buf, now)) > 0)
		port_write(s->port, buf, n);
	port_want_input(s->port, board_room(s->board) > 0);
}

static void port_input(void *data, const void *p, size_t n)
{
	struct slot *s = data;
	uint64_t now = now_us();

	s->last_input_us = now;
	board_input(s->board, p, n, now);
	pump(s, now);
}

static void port_writable(void *data)
{
	pump(data, now_us());
}

static const struct port_ops port_ops = {port_room, port_input, port_writable};

/* -- events -- */

static struct usb_board usb_of(const struct slot *s)
{
	return (struct usb_board){s->socket, s->devnum, s->set.usb_id, s->set.usb_serial,
		s->set.model, port_address(s->port), s->plugged_us};
}

typedef void usb_text_fn(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum);

static void tell(struct slot *s, usb_text_fn *text)
{
	struct strbuf out = {0};
	struct usb_board b = usb_of(s);

	text(&out, &b, now_us(), &s->fleet->seqnum);
	if (s->fleet->events)
		server_broadcast(s->fleet->events, out.s, out.len);
	sb_done(&out);
}

static void events_scan(void *data, struct server_client *c)
{
	struct fleet *f = data;
	struct strbuf out = {0};
	uint64_t now = now_us();

	for (unsigned i = 0; i < f->n; i++)
		if (f->slots[i].port) {
			struct usb_board b = usb_of(&f->slots[i]);

			usb_text_present(&out, &b, now, &f->seqnum);
		}
	usb_text_scan_done(&out, now);
	server_send(c, out.s, out.len);
	sb_done(&out);
}

static void events_line(void *data, struct server_client *c, const char *line)
{
	if (!strcmp(line, "RESCAN"))
		events_scan(data, c);
}

static const struct server_ops events_ops = {events_scan, events_line};

/* -- plugging -- */

static int put_link(const struct slot *s, struct err *e)
{
	const char *dir = s->fleet->cfg.links_dir;

	if (!dir || s->fleet->cfg.kind != PORT_PTY)
		return 0;

	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, s->name);

	unlink(path);
	if (symlink(port_address(s->port), path) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	return 0;
}

static void drop_link(const struct slot *s)
{
	if (!s->fleet->cfg.links_dir)
		return;

	_cleanup_(freep) char *path = xasprintf("%s/%s", s->fleet->cfg.links_dir, s->name);

	unlink(path);
}

int slot_plug(struct slot *s, struct err *e)
{
	struct fleet *f = s->fleet;

	s->plug_at_us = NEVER;
	if (s->port)
		return 0;

	const struct port_place at = {f->cfg.kind, s->tcp_port, s->socket, s->set.usb_id,
		s->set.usb_serial, s->set.model};
	int r = port_open(f->hub, &at, &port_ops, s, &s->port, e);

	if (r == 0)
		r = put_link(s, e);
	if (r < 0) {
		s->port = port_close(s->port);
		return err_prefix(e, "plug %s", s->name);
	}
	s->tcp_port = port_tcp_port(s->port);
	s->devnum = f->devnum++ % 127 + 1;
	s->plugged_us = now_us();
	s->last_input_us = 0;
	board_power_on(s->board, s->plugged_us);
	tell(s, usb_text_plugged);
	return 0;
}

static void pull(struct slot *s)
{
	s->plug_at_us = NEVER;
	if (!s->port)
		return;
	tell(s, usb_text_unplugged);
	drop_link(s);
	s->port = port_close(s->port);
	board_power_off(s->board);
}

void slot_unplug(struct slot *s)
{
	s->replugs_left = 0;
	pull(s);
}

void slot_replug(struct slot *s, uint64_t gap_us, unsigned times)
{
	pull(s);
	s->gap_us = gap_us;
	s->replugs_left = times ? times - 1 : 0;
	s->plug_at_us = now_us() + gap_us;
}

static int put_unit(struct slot *s, struct unit *unit, struct err *e)
{
	int r = unit_save(unit, e);

	if (r == 0)
		r = unit_link(unit, s->name, e);
	if (r < 0) {
		unit_free(unit);
		return r;
	}
	board_free(s->board);
	s->board = board_new(&s->set, &s->faults, unit);
	return 0;
}

/* An image for a blank unit, as if an earlier line had flashed it. */
static int preload(const struct slot *s, struct unit *u, struct err *e)
{
	const char *path = s->fleet->cfg.preload;
	uint8_t buf[65536];
	size_t n;
	uint32_t addr = s->set.flash.base;

	if (!path || flash_used(u->flash))
		return 0;

	_cleanup_(fclosep) FILE *in = fopen(path, "re");

	if (!in)
		return err_errno(e, ERR_IO, errno, "%s", path);
	while ((n = fread(buf, 1, sizeof buf, in)) > 0) {
		if (flash_write(u->flash, addr, buf, n, false) != FLASH_OK)
			return err_set(e, ERR_IMAGE_RANGE, "%s does not fit the flash", path);
		addr += (uint32_t)n;
	}
	return ferror(in) ? err_errno(e, ERR_IO, errno, "%s", path) : 0;
}

static int new_unit(struct slot *s, bool may_be_old, struct err *e)
{
	const char *dir = s->fleet->cfg.state_dir;
	_cleanup_(unit_freep) struct unit *u = NULL;
	int r = may_be_old ? unit_open(&s->set, dir, s->name, &u, e)
			   : unit_new(&s->set, dir, &u, e);

	if (r == 0)
		r = preload(s, u, e);
	if (r == 0)
		r = put_unit(s, steal_ptr(&u), e);
	if (r == 0)
		s->fleet->units_made++;
	return r;
}

int slot_next(struct slot *s, uint64_t gap_us, struct err *e)
{
	slot_unplug(s);

	int r = new_unit(s, false, e);

	if (r == 0)
		s->plug_at_us = now_us() + gap_us;
	return r;
}

void slot_reset(struct slot *s)
{
	if (s->port)
		board_power_on(s->board, now_us());
}

void slot_flood(struct slot *s, size_t bytes)
{
	if (s->port)
		board_babble(s->board, bytes, now_us());
}

void slot_change(struct slot *s)
{
	if (s->port)
		tell(s, usb_text_changed);
}

/* -- the fleet -- */

int fleet_new(struct loop *l, const struct fleet_config *c, const struct board_settings *s,
	struct fleet **ret, struct err *e)
{
	if (c->boards < 1 || c->boards > FLEET_BOARDS_MAX)
		return err_set(e, ERR_INVALID, "--boards: 1 to %d", FLEET_BOARDS_MAX);

	_cleanup_(fleet_freep) struct fleet *f = xcalloc(1, sizeof *f);
	int r = port_hub_new(l, &f->hub, e);

	if (r < 0)
		return r;
	f->loop = l;
	f->cfg = *c;
	f->n = c->boards;
	f->slots = xcalloc(f->n, sizeof *f->slots);
	for (unsigned i = 0; i < f->n; i++) {
		struct slot *slot = &f->slots[i];

		slot->fleet = f;
		slot->socket = i + 1;
		slot->set = *s;
		slot->plug_at_us = NEVER;
		slot->tcp_port = c->tcp_base ? (uint16_t)(c->tcp_base + slot->socket) : 0;
		snprintf(slot->name, sizeof slot->name, "b%u", slot->socket);
	}
	*ret = steal_ptr(&f);
	return 0;
}

struct fleet *fleet_free(struct fleet *f)
{
	if (!f)
		return NULL;
	for (unsigned i = 0; i < f->n; i++) {
		if (f->slots[i].board)
			slot_unplug(&f->slots[i]);
		board_free(f->slots[i].board);
	}
	server_free(f->events);
	port_hub_free(f->hub);
	free(f->slots);
	free(f);
	return NULL;
}

static int make_dir(const char *dir, struct err *e)
{
	if (dir && mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "%s", dir);
	return 0;
}

int fleet_start(struct fleet *f, struct err *e)
{
	int r = make_dir(f->cfg.state_dir, e);

	if (r == 0)
		r = make_dir(f->cfg.links_dir, e);
	for (unsigned i = 0; r == 0 && i < f->n; i++) {
		r = new_unit(&f->slots[i], true, e);
		if (r == 0)
			r = slot_plug(&f->slots[i], e);
	}
	if (r == 0 && f->cfg.events_path)
		r = server_new(f->loop, f->cfg.events_path, &events_ops, f, &f->events, e);
	return r;
}

static void log_failure(struct slot *s, const struct err *e)
{
	log_error("board %s: %s", s->name, e->msg);
}

static void grant_wish(struct slot *s)
{
	struct err e = {0};

	switch (board_take_wish(s->board)) {
	case WISH_NONE:
		break;
	case WISH_UNPLUG:
		slot_unplug(s);
		break;
	case WISH_REPLUG:
		slot_replug(s, REPLUG_GAP_US, 1);
		break;
	case WISH_SWAP:
		if (slot_next(s, REPLUG_GAP_US, &e) < 0)
			log_failure(s, &e);
		break;
	}
	if (s->board->error.code != ERR_NONE) {
		log_failure(s, &s->board->error);
		s->board->error.code = ERR_NONE;
	}
}

/* When the operator takes this unit away, or NEVER. */
static uint64_t replace_at(const struct slot *s)
{
	const struct fleet_config *c = &s->fleet->cfg;

	if (!c->replace_idle_us || !s->port || !s->last_input_us)
		return NEVER;
	if (c->when_serial && !s->board->unit->serial)
		return NEVER;
	return s->last_input_us + c->replace_idle_us;
}

static void replace(struct slot *s)
{
	const struct fleet *f = s->fleet;
	struct err e = {0};

	if (f->cfg.units && f->units_made >= f->cfg.units)
		slot_unplug(s);
	else if (slot_next(s, REPLUG_GAP_US, &e) < 0)
		log_failure(s, &e);
}

static void plug_again(struct slot *s)
{
	struct err e = {0};
	int r = slot_plug(s, &e);

	if (r == -ERR_BUSY)
		s->plug_at_us = now_us() + PLUG_RETRY_US;
	else if (r < 0)
		log_failure(s, &e);
	else if (s->replugs_left)
		slot_replug(s, s->gap_us, s->replugs_left);
}

static uint64_t run_slot(struct slot *s, uint64_t now)
{
	if (s->plug_at_us <= now)
		plug_again(s);
	if (replace_at(s) <= now)
		replace(s);
	if (s->port && board_due(s->board) <= now)
		pump(s, now);
	grant_wish(s);

	uint64_t due = MIN(s->plug_at_us, replace_at(s));

	/* Where the host does not read, the port tells when it goes on. */
	if (s->port && !port_blocked(s->port))
		due = MIN(due, board_due(s->board));
	return due;
}

uint64_t fleet_run(struct fleet *f)
{
	uint64_t now = now_us();
	uint64_t due = NEVER;

	for (unsigned i = 0; i < f->n; i++) {
		uint64_t d = run_slot(&f->slots[i], now);

		due = MIN(due, d);
	}
	return due;
}

unsigned fleet_size(const struct fleet *f)
{
	return f->n;
}

struct slot *fleet_slot(struct fleet *f, unsigned i)
{
	return i < f->n ? &f->slots[i] : NULL;
}

struct slot *fleet_find(struct fleet *f, const char *name)
{
	for (unsigned i = 0; name && i < f->n; i++) {
		struct slot *s = &f->slots[i];

		if (!strcmp(s->name, name) || (s->board && !strcmp(s->board->unit->uid, name)))
			return s;
	}
	return NULL;
}

unsigned fleet_units_made(const struct fleet *f)
{
	return f->units_made;
}

json_t *slot_json(struct slot *s, bool whole)
{
	struct unit *u = s->board->unit;
	enum board_state state = s->port ? board_state(s->board, now_us()) : BOARD_OFF;
	json_t *o = json_pack("{s:s, s:i, s:b, s:s, s:s?, s:s, s:s?, s:I}", "board", s->name,
		"socket", (int)s->socket, "plugged", s->port != NULL, "state",
		board_state_name(state), "link", s->port ? port_address(s->port) : NULL, "uid",
		u->uid, "serial", u->serial, "flash_used", (json_int_t)flash_used(u->flash));

	if (!whole)
		return o;

	char hex[SHA256_HEX];

	sha256_hex_of(flash_content(u->flash), flash_used(u->flash), hex);
	json_object_set_new(o, "flash_sha256", json_string(hex));
	json_object_set_new(o, "unit", unit_json(u));
	json_object_set_new(o, "faults", faults_json(&s->faults));
	json_object_set_new(o, "faults_fired", json_integer((json_int_t)s->faults.fired));
	if (state == BOARD_APPLICATION)
		json_object_set_new(o, "version", json_string(s->board->version));
	return o;
}
