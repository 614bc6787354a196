/* SPDX-License-Identifier: Apache-2.0
 *
 * provsim's boot ROM behind a fake link, in one thread: whatever the ROM has to say, however late,
 * is there at once, and silence is the deadline.
 */
#pragma once

#include "sim/device_rows.h"
#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/stm32/stm32_uart.h"

struct stm32_bench {
	struct fake_link wire;
	struct device *device;
	struct board_settings set;
	struct faults wire_faults;
	struct own_faults faults;
	uint64_t now_us;
	/* The reply to the hold-th write from now on comes late: only with the next write, before
	 * the reply to that. 0: none. */
	unsigned hold;
	uint8_t late[4096];
	size_t late_n;
};

static inline void stm32_bench_pump(struct stm32_bench *t)
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

static inline void stm32_bench_heard(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct stm32_bench *t = f->data;

	if (!t->device)
		return;
	t->now_us += 1000;
	fake_say(f, t->late, t->late_n);
	t->late_n = 0;
	if (f->at == f->len)
		f->at = f->len = 0;

	size_t from = f->len;

	t->device->ops->input(t->device, bytes, n, t->now_us);
	stm32_bench_pump(t);
	if (t->hold && f->len > from && --t->hold == 0) {
		t->late_n = MIN(f->len - from, sizeof t->late);
		memcpy(t->late, f->out + from, t->late_n);
		f->len = from;
	}
}

/* "stm32-pid=0x410", NULL-terminated. */
static inline void stm32_bench_init(struct stm32_bench *t, const char *const *settings)
{
	struct device_config c = {.set = &t->set,
		.wire_faults = &t->wire_faults,
		.faults = &t->faults,
		.uid = "00112233445566778899aabb",
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
	fake_init(&t->wire, stm32_bench_heard, t);
	t->faults.rows = stm32_uart_device.faults;
	if (stm32_uart_device.new(&c, &t->device, NULL) < 0)
		abort();
	t->device->ops = &stm32_uart_device;
	t->device->ops->power_on(t->device, 0);
}

static inline void stm32_bench_done(struct stm32_bench *t)
{
	t->device = device_free(t->device);
	fake_done(&t->wire);
}

static inline void stm32_bench_fault(struct stm32_bench *t, const char *spec)
{
	if (own_faults_add(&t->faults, spec, NULL) < 0)
		abort();
}
