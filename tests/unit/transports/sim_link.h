/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual device of sim/ behind a link in this thread, with its own clock: reading nothing moves
 * the clock to when the device has something to say, and is the deadline where that is never. No
 * socket, no waiting, no run that differs from another.
 */
#pragma once

#include "sim/device.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"

#define SIM_NEVER UINT64_MAX

struct sim_link {
	struct link link;
	struct device *device;
	struct board_settings set;
	struct faults wire_faults;
	struct own_faults faults;
	uint64_t now;
	uint8_t buf[16384];
	size_t at, len;
	bool gone;
};

static inline int sim_link_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct sim_link *p = container_of(l, struct sim_link, link);

	for (int turns = 0; p->at == p->len; turns++) {
		uint64_t due;

		p->at = 0;
		p->len = p->device->ops->output(p->device, p->buf, sizeof p->buf, p->now);
		if (p->len)
			break;
		if (p->gone || device_take_wish(p->device) != WISH_NONE) {
			p->gone = true;
			return err_set(e, ERR_DEVICE_GONE, "the device is gone");
		}
		due = p->device->ops->due(p->device);
		if (due == SIM_NEVER || turns > 1000)
			return err_set(e, ERR_TIMEOUT, "deadline passed");
		p->now = MAX(p->now, due);
	}
	*ret_n = MIN(size, p->len - p->at);
	memcpy(buf, p->buf + p->at, *ret_n);
	p->at += *ret_n;
	return 0;
}

static inline int sim_link_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct sim_link *p = container_of(l, struct sim_link, link);

	if (p->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	p->device->ops->input(p->device, buf, n, p->now);
	return 0;
}

static const struct link_ops sim_link_ops = {
	.name = "sim",
	.read = sim_link_read,
	.write = sim_link_write,
	.control = fake_control,
	.close = fake_close,
};

/* settings: name, value, ..., NULL */
static inline void sim_link_init(struct sim_link *p, const char *name, const char *const *settings)
{
	const struct device_ops *kind = device_kind(name);
	struct device_config c = {
		.set = &p->set,
		.wire_faults = &p->wire_faults,
		.faults = &p->faults,
		.uid = "0123456789abcdef01234567",
		.fresh = true,
	};
	struct err e = {0};

	ck_assert_ptr_nonnull(kind);
	*p = (struct sim_link){.now = 1000000};
	settings_default(&p->set);
	p->set.boot_ms = 0;
	p->faults.rows = kind->faults;
	for (; settings && *settings; settings += 2)
		ck_assert_msg(
			settings_set(&p->set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	ck_assert_msg(kind->new (&c, &p->device, &e) == 0, "%s", e.msg);
	p->device->ops = kind;
	p->link = (struct link){.ops = &sim_link_ops, .address = (char *)(uintptr_t) "sim"};
	kind->power_on(p->device, p->now);
	if (kind->opened)
		kind->opened(p->device, p->now);
}

static inline void sim_link_done(struct sim_link *p)
{
	link_turn_clear(&p->link.turn);
	link_rest_drop(&p->link);
	device_free(p->device);
}

static inline void sim_link_fault(struct sim_link *p, const char *spec)
{
	struct err e = {0};

	if (own_faults_add(&p->faults, spec, &e) < 0)
		ck_assert_msg(faults_add(&p->wire_faults, spec, &e) == 0, "%s", e.msg);
}
