/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual phone of sim/ behind a link in this thread, with its own clock: reading nothing moves
 * the clock to when the phone has something to say, and is the deadline where that is never. No
 * socket, no waiting, no run that differs from another.
 */
#pragma once

#include "sim/device.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"
#include "transports/protocols/adb/adb_services.h"
#include "transports/protocols/adb/adb_sideload.h"

#define PHONE_NEVER UINT64_MAX

struct phone {
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

static inline int phone_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct phone *p = container_of(l, struct phone, link);

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
		if (due == PHONE_NEVER || turns > 1000)
			return err_set(e, ERR_TIMEOUT, "deadline passed");
		p->now = MAX(p->now, due);
	}
	*ret_n = MIN(size, p->len - p->at);
	memcpy(buf, p->buf + p->at, *ret_n);
	p->at += *ret_n;
	return 0;
}

static inline int phone_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct phone *p = container_of(l, struct phone, link);

	if (p->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	p->device->ops->input(p->device, buf, n, p->now);
	return 0;
}

static const struct link_ops phone_link_ops = {
	.name = "phone",
	.read = phone_read,
	.write = phone_write,
	.control = fake_control,
	.close = fake_close,
};

/* settings: name, value, ..., NULL */
static inline void phone_init(struct phone *p, const char *const *settings)
{
	const struct device_ops *kind = device_kind("adb");
	struct device_config c = {
		.set = &p->set,
		.wire_faults = &p->wire_faults,
		.faults = &p->faults,
		.uid = "0123456789abcdef01234567",
		.fresh = true,
	};
	struct err e = {0};

	ck_assert_ptr_nonnull(kind);
	*p = (struct phone){.now = 1000000};
	settings_default(&p->set);
	p->set.boot_ms = 0;
	p->faults.rows = kind->faults;
	for (; settings && *settings; settings += 2)
		ck_assert_msg(
			settings_set(&p->set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	ck_assert_msg(kind->new (&c, &p->device, &e) == 0, "%s", e.msg);
	p->device->ops = kind;
	p->link = (struct link){.ops = &phone_link_ops, .address = (char *)(uintptr_t) "phone"};
	kind->power_on(p->device, p->now);
	kind->opened(p->device, p->now);
}

static inline void phone_done(struct phone *p)
{
	device_free(p->device);
}

static inline void phone_fault(struct phone *p, const char *spec)
{
	struct err e = {0};

	if (own_faults_add(&p->faults, spec, &e) < 0)
		ck_assert_msg(faults_add(&p->wire_faults, spec, &e) == 0, "%s", e.msg);
}

static inline struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static inline int phone_connect(struct phone *p, const struct adb_key *const *keys, size_t n,
	struct adb_conn **ret, struct err *e)
{
	const struct adb_conn_config cfg = {.key = keys, .keys = n, .authorize_us = 5 * US_PER_S};
	struct iotime it = soon();

	return adb_connect(adb_pipe_link(&p->link), &cfg, &it, ret, e);
}
