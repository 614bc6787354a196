/* SPDX-License-Identifier: Apache-2.0
 *
 * provsim's DFU device under a session's port, without USB between them: requests are calls, and
 * waiting moves the test's clock.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "sim/device_rows.h"
#include "sim/gadget_control.h"
#include "tests/unit/unit.h"
#include "transports/protocols/dfu/dfuse.h"

struct dfu_bench {
	struct board_settings set;
	struct faults wire_faults;
	struct own_faults faults;
	struct device *device;
	uint64_t now_us;
	unsigned requests, resets;
	bool gone;
	struct dfu dfu;
	char dir[64];
};

static inline void bench_take_wish(struct dfu_bench *t)
{
	enum device_wish w = device_take_wish(t->device);

	t->gone |= w != WISH_NONE;
}

static inline int bench_request(struct dfu_bench *t, uint8_t type, uint8_t request, uint16_t value,
	void *buf, uint16_t n, struct err *e)
{
	const uint8_t setup[8] = {type, request, (uint8_t)value, (uint8_t)(value >> 8), 0, 0,
		(uint8_t)n, (uint8_t)(n >> 8)};
	bool in = type & 0x80;

	if (t->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	t->requests++;
	t->now_us += 100;

	int r = gadget_control(t->device, setup, buf, in ? 0 : n, in ? n : 0, t->now_us);

	bench_take_wish(t);
	return r < 0 ? err_set(e, ERR_DEVICE_REFUSED, "the device refused it (stall)") : r;
}

static inline int bench_in(void *data, uint8_t request, uint16_t value, void *buf, uint16_t n,
	uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	int r = bench_request(data, 0xa1, request, value, buf, n, e);

	if (r >= 0)
		*ret_n = (uint16_t)r;
	return r < 0 ? r : 0;
}

static inline int bench_out(void *data, uint8_t request, uint16_t value, const void *buf,
	uint16_t n, const struct iotime *it, struct err *e)
{
	int r = bench_request(data, 0x21, request, value, (void *)(uintptr_t)buf, n, e);

	return r < 0 ? r : 0;
}

/* As the kernel does it: the device is configured again. */
static inline int bench_reset(void *data, struct err *e)
{
	struct dfu_bench *t = data;

	t->resets++;
	bench_request(t, 0x00, 0x09, 1, NULL, 0, e);
	return t->gone ? err_set(e, ERR_DEVICE_GONE, "it came back as another") : 0;
}

/* A wait of an hour in all is not accepted as a wait. */
static inline int bench_sleep(void *data, uint64_t us, const struct iotime *it, struct err *e)
{
	struct dfu_bench *t = data;

	t->now_us += us;
	return t->now_us > 3600 * US_PER_S ? err_set(e, ERR_TIMEOUT, "deadline passed")
					   : iotime_check(it, e);
}

/* The functional descriptor and a session of what the device is now. */
static inline void bench_session(struct dfu_bench *t, unsigned quirks)
{
	const struct dfu_port port = {t, bench_in, bench_out, bench_reset, bench_sleep};
	struct gadget_identity id = {0};
	struct dfu_functional f;

	t->gone = false;
	t->device->ops->gadget->identity(t->device, &id);
	ck_assert(dfu_functional_parse(id.config, id.config_len, &f));
	dfu_init(&t->dfu, &port, &f, quirks, NULL);
}

/* settings: name, value, ..., NULL; may be NULL. */
static inline struct dfu_bench *bench_new(const char *const *settings)
{
	struct dfu_bench *t = xcalloc(1, sizeof *t);
	struct err e = {0};

	settings_default(&t->set);
	for (; settings && *settings; settings += 2)
		ck_assert_msg(
			settings_set(&t->set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	t->faults.rows = dfu_device.faults;

	const struct device_config c = {.set = &t->set,
		.wire_faults = &t->wire_faults,
		.faults = &t->faults,
		.uid = "0123456789abcdef01234567",
		.fresh = true};

	ck_assert_msg(dfu_device.new(&c, &t->device, &e) == 0, "%s", e.msg);
	t->device->ops->power_on(t->device, t->now_us);
	bench_session(t, 0);
	return t;
}

static inline struct dfu_bench *bench_free(struct dfu_bench *t)
{
	device_free(t->device);
	free(t);
	return NULL;
}

static inline void bench_fault(struct dfu_bench *t, const char *spec)
{
	struct err e;

	ck_assert_msg(own_faults_add(&t->faults, spec, &e) == 0, "%s", e.msg);
}

/* The map of the memory, as the device tells it. */
static inline void bench_map(struct dfu_bench *t, struct dfuse_map *ret)
{
	struct gadget_identity id = {0};
	struct err e;

	t->device->ops->gadget->identity(t->device, &id);
	ck_assert_msg(dfuse_map_parse(id.string[4], ret, &e) == 0, "%s", e.msg);
}

static inline json_int_t bench_count(struct dfu_bench *t, const char *name)
{
	json_t *o = json_object();
	json_int_t n;

	t->device->ops->json(t->device, true, o);
	n = json_integer_value(json_object_get(o, name));
	json_decref(o);
	return n;
}
