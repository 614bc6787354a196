/* SPDX-License-Identifier: Apache-2.0
 *
 * A device of provsim with a bootloader on a fake link, in one thread: whatever it has to say, however late, is there at once,
 * and silence is the deadline. DTR and RTS reach it.
 */
#pragma once

#include "sim/device_rows.h"
#include "tests/unit/transports/fake_link.h"

struct boot_bench {
	struct fake_link wire;
	struct link_ops ops;
	struct device *device;
	struct board_settings set;
	struct faults wire_faults;
	struct own_faults faults;
	struct line_state line;
	uint64_t now_us;
	/* The answer to the hold-th write from now on comes late: only with the next write, before the answer to that. 0: none. */
	unsigned hold;
	uint8_t late[4096];
	size_t late_n;
	/* Looks at each write of the host, before the chip does; may be NULL. */
	void (*watch)(struct boot_bench *t, const uint8_t *bytes, size_t n);
	unsigned bauds; /* changes of the rate */
};

static inline void boot_bench_pump(struct boot_bench *t)
{
	const struct device_ops *ops = t->device->ops;
	uint64_t due;

	while ((due = ops->due(t->device)) != NEVER) {
		uint8_t buf[4096];
		size_t n;

		t->now_us = MAX(t->now_us, due);
		n = ops->output(t->device, buf, sizeof buf, t->now_us);
		fake_say(&t->wire, buf, n);
		if (device_take_wish(t->device) != WISH_NONE) {
			t->wire.gone = true;
			return;
		}
	}
}

/* What the unit says of itself. */
static inline json_t *boot_bench_state(struct boot_bench *t)
{
	json_t *o = json_object();

	t->device->ops->json(t->device, false, o);
	return o;
}

static inline long long boot_bench_count(struct boot_bench *t, const char *what)
{
	json_t *o = boot_bench_state(t);
	long long n = json_integer_value(json_object_get(o, what));

	json_decref(o);
	return n;
}

static inline void boot_bench_heard(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct boot_bench *t = f->data;
	size_t from;

	if (t->watch)
		t->watch(t, bytes, n);
	/* At another rate than its own ("baud") it hears nothing that it knows. */
	if (f->link.baud && boot_bench_count(t, "baud") &&
		boot_bench_count(t, "baud") != (long long)f->link.baud)
		return;
	t->now_us += 1000;
	fake_say(f, t->late, t->late_n);
	t->late_n = 0;
	if (f->at == f->len)
		f->at = f->len = 0;
	from = f->len;
	for (size_t k; n > 0 && !f->gone; bytes += k, n -= k) {
		k = MIN(n, t->device->ops->room(t->device));
		t->device->ops->input(t->device, bytes, k, t->now_us);
		boot_bench_pump(t);
	}
	if (t->hold && f->len > from && --t->hold == 0) {
		t->late_n = MIN(f->len - from, sizeof t->late);
		memcpy(t->late, f->out + from, t->late_n);
		f->len = from;
	}
}

static inline int boot_bench_control(
	struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	struct boot_bench *t = container_of(l, struct fake_link, link)->data;

	if (c == LINK_CONTROL_BAUD)
		t->bauds++;
	if (c == LINK_CONTROL_DTR)
		t->line.dtr = arg;
	if (c == LINK_CONTROL_RTS)
		t->line.rts = arg;
	t->now_us += 1000;
	t->device->ops->line(t->device, &t->line, t->now_us);
	boot_bench_pump(t);
	return 0;
}

/* "esp-chip=esp32", NULL-terminated; one unit of several by its uid. */
static inline void boot_bench_init(struct boot_bench *t, const struct device_ops *kind,
	const char *const *settings, const char *uid)
{
	struct device_config c = {.set = &t->set,
		.wire_faults = &t->wire_faults,
		.faults = &t->faults,
		.uid = uid,
		.fresh = true};

	memset(t, 0, sizeof *t);
	settings_default(&t->set);
	for (; *settings; settings++) {
		_cleanup_(freep) char *name = xstrdup(*settings);
		char *eq = strchr(name, '=');

		*eq = 0;
		if (settings_set(&t->set, name, eq + 1, NULL) < 0)
			abort();
	}
	fake_init(&t->wire, boot_bench_heard, t);
	t->ops = fake_link_ops;
	t->ops.control = boot_bench_control;
	t->wire.link.ops = &t->ops;
	t->wire.link.baud = 115200;
	t->faults.rows = kind->faults;
	if (kind->new (&c, &t->device, NULL) < 0)
		abort();
	t->device->ops = kind;
	t->device->ops->power_on(t->device, 0);
	boot_bench_pump(t);
}

static inline void boot_bench_done(struct boot_bench *t)
{
	t->device = device_free(t->device);
	fake_done(&t->wire);
}

static inline void boot_bench_fault(struct boot_bench *t, const char *spec)
{
	if (own_faults_add(&t->faults, spec, NULL) < 0 &&
		faults_add(&t->wire_faults, spec, NULL) < 0)
		abort();
}
