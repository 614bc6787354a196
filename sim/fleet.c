/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fleet.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "sim/unit.h"
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

	return s->device->ops->room ? s->device->ops->room(s->device) : 0;
}

static void pump_datagrams(struct slot *s, uint64_t now)
{
	const struct device_ops *ops = s->device->ops;
	uint8_t buf[OUTPUT_BYTES];
	size_t n;

	while (ops->datagram_output && (n = ops->datagram_output(s->device, buf, sizeof buf, now)))
		port_send(s->port, buf, n);
}

/* Gives the host what is through. Wishes of faults wait for fleet_run(): the port is in use here.
 */
static void pump(struct slot *s, uint64_t now)
{
	const struct device_ops *ops = s->device->ops;
	uint8_t buf[OUTPUT_BYTES];
	size_t n;

	if (s->fleet->cfg.kind == PORT_UDP) {
		pump_datagrams(s, now);
		return;
	}
	if (s->fleet->cfg.kind == PORT_VHCI && ops->gadget) {
		port_poll(s->port);
		return;
	}
	while (!port_blocked(s->port) && (n = ops->output(s->device, buf, sizeof buf, now)) > 0)
		port_write(s->port, buf, n);
	port_want_input(s->port, ops->room(s->device) > 0);
}

static void port_input(void *data, const void *p, size_t n)
{
	struct slot *s = data;
	uint64_t now = now_us();

	s->last_input_us = now;
	s->device->ops->input(s->device, p, n, now);
	pump(s, now);
}

static void port_writable(void *data)
{
	pump(data, now_us());
}

static void port_datagram(void *data, const void *p, size_t n)
{
	struct slot *s = data;
	uint64_t now = now_us();

	s->last_input_us = now;
	if (s->device->ops->datagram)
		s->device->ops->datagram(s->device, p, n, now);
	pump_datagrams(s, now);
}

static void port_opened(void *data, bool open)
{
	struct slot *s = data;
	const struct device_ops *ops = s->device->ops;
	uint64_t now = now_us();

	if (open && ops->opened)
		ops->opened(s->device, now);
	else if (!open && ops->closed)
		ops->closed(s->device, now);
	/* A host that was done a moment ago may still judge what it read. */
	if (!open && s->last_input_us)
		s->last_input_us = now;
	/* It may greet the host that opened it; the port is not ours yet while it is plugged. */
	if (open && s->port)
		pump(s, now);
}

static void port_line(void *data, const struct line_state *l)
{
	struct slot *s = data;

	if (s->device->ops->line)
		s->device->ops->line(s->device, l, now_us());
}

static void port_touched(void *data)
{
	struct slot *s = data;

	s->last_input_us = now_us();
}

static const struct port_ops port_ops = {
	port_room, port_input, port_writable, port_datagram, port_opened, port_line, port_touched};

/* -- events -- */

/* What the events say of it: its own descriptors where it has any. */
static struct usb_board usb_of(struct slot *s)
{
	const struct gadget_ops *g = s->device->ops->gadget;
	struct usb_board b = {s->socket, s->devnum, s->set.usb_id, s->set.usb_serial, s->set.model,
		port_address(s->port), s->plugged_us};
	struct gadget_identity id = {0};

	if (!g)
		return b;
	g->identity(s->device, &id);
	/* USB 2.0 table 9-8: idVendor at 8, idProduct at 10, iSerialNumber at 16. */
	snprintf(s->usb_id, sizeof s->usb_id, "%02x%02x:%02x%02x", id.device[9], id.device[8],
		id.device[11], id.device[10]);
	b.usb_id = s->usb_id;
	b.usb_serial = id.device[16] < ARRAY_LEN(id.string) && id.string[id.device[16]]
			       ? id.string[id.device[16]]
			       : "";
	return b;
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
		s->set.usb_serial, s->set.model, s->device->ops->gadget ? s->device : NULL,
		s->trace};
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
	if (!s->powered)
		s->device->ops->power_on(s->device, s->plugged_us);
	s->powered = true;
	tell(s, usb_text_plugged);
	return 0;
}

/* off the bus; its power stays. */
static void leave_bus(struct slot *s)
{
	s->plug_at_us = NEVER;
	if (!s->port)
		return;
	tell(s, usb_text_unplugged);
	drop_link(s);
	s->port = port_close(s->port);
	if (s->device->ops->closed)
		s->device->ops->closed(s->device, now_us());
}

static void pull(struct slot *s)
{
	leave_bus(s);
	if (s->powered)
		s->device->ops->power_off(s->device);
	s->powered = false;
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

/* The unit that was last in this socket: the name of the directory that the socket's
 * link leads to. */
static bool last_uid(const struct slot *s, char ret[DEVICE_UID_SIZE])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", s->fleet->cfg.state_dir, s->name);
	ssize_t n = readlink(path, ret, DEVICE_UID_SIZE - 1);

	if (n <= 0)
		return false;
	ret[n] = 0;
	return true;
}

/* A directory for a unit of a kind that does not keep its units itself, and the socket's link to
 * it. */
static int unit_dir(const struct slot *s, const char *uid, char **ret, struct err *e)
{
	const char *state = s->fleet->cfg.state_dir;
	_cleanup_(freep) char *dir = xasprintf("%s/%s", state, uid);
	_cleanup_(freep) char *link = xasprintf("%s/%s", state, s->name);
	_cleanup_(freep) char *fresh = xasprintf("%s.new", link);

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "%s", dir);
	unlink(fresh);
	if (symlink(uid, fresh) < 0 || rename(fresh, link) < 0)
		return err_errno(e, ERR_IO, errno, "%s", link);
	*ret = steal_ptr(&dir);
	return 0;
}

static const struct device_ops *kind_of(const struct fleet *f)
{
	return f->cfg.device ? f->cfg.device : device_kinds[0];
}

static int new_unit(struct slot *s, bool may_be_old, struct err *e)
{
	const struct fleet_config *cfg = &s->fleet->cfg;
	const struct device_ops *kind = kind_of(s->fleet);
	_cleanup_(freep) char *dir = NULL;
	char uid[DEVICE_UID_SIZE] = "";
	struct device *d = NULL;
	bool old = may_be_old && cfg->state_dir && !kind->keeps_units && last_uid(s, uid);
	int r = 0;

	if (!old)
		unit_make_uid(uid);
	if (cfg->state_dir && !kind->keeps_units)
		r = unit_dir(s, uid, &dir, e);
	if (r < 0)
		return r;

	const struct device_config c = {
		.set = &s->set,
		.wire_faults = &s->faults,
		.faults = &s->own_faults,
		.dir = dir,
		.uid = uid,
		.fresh = kind->keeps_units ? !may_be_old : !old,
		.preload = cfg->preload,
		.socket = s->name,
		.state_dir = cfg->state_dir,
	};

	r = kind->new (&c, &d, e);
	if (r < 0)
		return r;
	d->ops = kind;
	if (!d->uid[0])
		snprintf(d->uid, sizeof d->uid, "%s", uid);
	device_free(s->device);
	s->device = d;
	s->fleet->units_made++;
	return 0;
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
		s->device->ops->power_on(s->device, now_us());
}

void slot_flood(struct slot *s, size_t bytes)
{
	if (s->port && s->device->ops->babble)
		s->device->ops->babble(s->device, bytes, now_us());
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
		slot->socket = MAX(c->first_socket, 1u) + i;
		slot->set = *s;
		slot->own_faults.rows = kind_of(f)->faults;
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
		if (f->slots[i].device)
			slot_unplug(&f->slots[i]);
		device_free(f->slots[i].device);
		if (f->slots[i].trace)
			fclose(f->slots[i].trace);
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

static int open_trace(struct slot *s, struct err *e)
{
	const char *dir = s->fleet->cfg.trace_dir;
	_cleanup_(freep) char *path = dir ? xasprintf("%s/%s", dir, s->name) : NULL;

	if (!dir)
		return 0;
	s->trace = fopen(path, "we");
	return s->trace ? 0 : err_errno(e, ERR_IO, errno, "%s", path);
}

int fleet_start(struct fleet *f, struct err *e)
{
	int r = make_dir(f->cfg.state_dir, e);

	if (r == 0)
		r = make_dir(f->cfg.links_dir, e);
	if (r == 0)
		r = make_dir(f->cfg.trace_dir, e);
	for (unsigned i = 0; r == 0 && i < f->n; i++) {
		r = open_trace(&f->slots[i], e);
		if (r == 0)
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

	switch (device_take_wish(s->device)) {
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
	case WISH_REENUMERATE:
		leave_bus(s);
		s->plug_at_us = now_us() + REPLUG_GAP_US;
		break;
	case WISH_HANGUP:
		if (s->port)
			port_hangup(s->port);
		break;
	}
	if (s->device->error.code != ERR_NONE) {
		log_failure(s, &s->device->error);
		s->device->error.code = ERR_NONE;
	}
}

/* When the operator takes this unit away, or NEVER: not while a host still works with it. */
static uint64_t replace_at(const struct slot *s)
{
	const struct fleet_config *c = &s->fleet->cfg;

	if (!c->replace_idle_us || !s->port || !s->last_input_us || port_is_open(s->port))
		return NEVER;
	if (c->when_serial && s->device->ops->has_serial && !s->device->ops->has_serial(s->device))
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
	if (s->port && s->device->ops->due(s->device) <= now)
		pump(s, now);
	grant_wish(s);

	uint64_t due = MIN(s->plug_at_us, replace_at(s));

	/* Where the host does not read, the port says when it goes on. */
	if (s->port && !port_blocked(s->port))
		due = MIN(due, s->device->ops->due(s->device));
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

		if (!strcmp(s->name, name) || (s->device && !strcmp(s->device->uid, name)))
			return s;
	}
	return NULL;
}

unsigned fleet_units_made(const struct fleet *f)
{
	return f->units_made;
}

int slot_fault(struct slot *s, const char *spec, struct err *e)
{
	struct err own = {0};
	int r = own_faults_add(&s->own_faults, spec, &own);

	if (r < 0 && faults_add(&s->faults, spec, e) < 0)
		return own.code == ERR_INVALID && s->own_faults.rows ? err_prefix(e, "%s", own.msg)
								     : -ERR_INVALID;
	return 0;
}

void slot_clear_faults(struct slot *s)
{
	faults_clear(&s->faults);
	s->own_faults.n = 0;
	if (s->device->ops->clear_faults)
		s->device->ops->clear_faults(s->device);
}

static json_t *faults_of(const struct slot *s)
{
	json_t *list = faults_json(&s->faults);

	for (size_t i = 0; i < s->own_faults.n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:f, s:i}", "fault",
				      s->own_faults.rows[s->own_faults.list[i].row].name, "arg",
				      s->own_faults.list[i].arg, "count",
				      (int)s->own_faults.list[i].count));
	return list;
}

json_t *slot_json(struct slot *s, bool whole)
{
	struct device *d = s->device;
	json_t *o = json_pack("{s:s, s:s, s:i, s:b, s:s, s:s?, s:s}", "board", s->name, "device",
		d->ops->name, "socket", (int)s->socket, "plugged", s->port != NULL, "state",
		s->port ? d->ops->state(d) : "off", "link", s->port ? port_address(s->port) : NULL,
		"uid", d->uid);

	d->ops->json(d, whole, o);
	if (!whole)
		return o;
	json_object_set_new(o, "faults", faults_of(s));
	json_object_set_new(o, "faults_fired",
		json_integer((json_int_t)(s->faults.fired + s->own_faults.fired)));
	return o;
}
