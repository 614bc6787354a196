/* SPDX-License-Identifier: Apache-2.0
 *
 * provsim's RP2040 or RP2350 under a session's port, without USB between them: transfers are calls, and a device that has
 * nothing to say is a deadline that passed.
 */
#pragma once

#include <stdlib.h>

#include "sim/device_rows.h"
#include "sim/gadget_control.h"
#include "tests/unit/unit.h"
#include "transports/protocols/picoboot/picoboot_flash.h"

struct pico_bench {
	struct board_settings set;
	struct faults wire_faults;
	struct own_faults faults;
	struct device *device;
	uint64_t now_us;
	unsigned transfers;
	unsigned gone_at; /* the transfer at which it leaves; 0: never */
	bool gone;
	struct cancel *fires; /* at transfer gone_at, instead */
	struct picoboot pico;
};

static inline int pico_bench_begin(struct pico_bench *t, const struct iotime *it, struct err *e)
{
	t->now_us += 100;
	if (++t->transfers == t->gone_at) {
		if (t->fires)
			cancel_fire(t->fires, ERR_ABORTED);
		else
			t->gone = true;
	}
	if (t->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	return iotime_check(it, e);
}

static inline int pico_bench_end(struct pico_bench *t, ssize_t r, struct err *e)
{
	/* A reboot is granted by the test, which sees it. */
	if (t->device->wish == WISH_UNPLUG) {
		t->gone = true;
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	}
	if (r == GADGET_STALL)
		return err_set(e, ERR_DEVICE_REFUSED, "the device refused it (stall)");
	if (r == GADGET_NAK)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	return 0;
}

static inline int pico_bench_out(
	void *data, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct pico_bench *t = data;
	int r = pico_bench_begin(t, it, e);

	return r < 0 ? r
		     : pico_bench_end(
			       t, t->device->ops->gadget->out(t->device, 3, buf, n, t->now_us), e);
}

static inline int pico_bench_in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct pico_bench *t = data;
	int r = pico_bench_begin(t, it, e);

	if (r < 0)
		return r;

	ssize_t n = t->device->ops->gadget->in(t->device, 4, buf, size, t->now_us);

	*ret_n = n > 0 ? (size_t)n : 0;
	return pico_bench_end(t, n, e);
}

static inline int pico_bench_control(struct pico_bench *t, const uint8_t setup[8], uint8_t *buf,
	size_t size, uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	int r = pico_bench_begin(t, it, e);

	if (r < 0)
		return r;
	r = gadget_control(t->device, setup, buf, 0, size, t->now_us);
	if (r > 0 && ret_n)
		*ret_n = (uint16_t)r;
	return pico_bench_end(t, r, e);
}

static inline int pico_bench_status(void *data, uint8_t buf[PICOBOOT_STATUS_BYTES], uint16_t *ret_n,
	const struct iotime *it, struct err *e)
{
	return pico_bench_control(
		data, (const uint8_t[8]){0xc1, 0x42, 0, 0, 0, 0, 16, 0}, buf, 16, ret_n, it, e);
}

static inline int pico_bench_reset(void *data, const struct iotime *it, struct err *e)
{
	uint8_t none[1];
	int r = pico_bench_control(
		data, (const uint8_t[8]){0x02, 1, 0, 0, 0x84, 0, 0, 0}, none, 0, NULL, it, e);

	return r < 0 ? r
		     : pico_bench_control(data, (const uint8_t[8]){0x41, 0x41, 0, 0, 0, 0, 0, 0},
			       none, 0, NULL, it, e);
}

/* settings: name, value, ..., NULL; may be NULL. */
static inline struct pico_bench *pico_bench_new(const char *const *settings)
{
	struct pico_bench *t = xcalloc(1, sizeof *t);
	const struct picoboot_port port = {
		t, pico_bench_out, pico_bench_in, pico_bench_status, pico_bench_reset};
	struct err e = {0};

	settings_default(&t->set);
	for (; settings && *settings; settings += 2)
		ck_assert_msg(
			settings_set(&t->set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	t->faults.rows = picoboot_device.faults;

	const struct device_config c = {.set = &t->set,
		.wire_faults = &t->wire_faults,
		.faults = &t->faults,
		.uid = "0123456789abcdef01234567",
		.fresh = true};

	ck_assert_msg(picoboot_device.new(&c, &t->device, &e) == 0, "%s", e.msg);
	t->device->ops->power_on(t->device, t->now_us);
	picoboot_init(&t->pico, &port,
		!strcmp(settings_own(&t->set, "pico-chip"), "rp2350") ? PICOBOOT_RP2350
								      : PICOBOOT_RP2040,
		1000, NULL);
	return t;
}

static inline struct pico_bench *pico_bench_free(struct pico_bench *t)
{
	device_free(t->device);
	free(t);
	return NULL;
}

static inline void pico_bench_fault(struct pico_bench *t, const char *spec)
{
	struct err e;

	ck_assert_msg(own_faults_add(&t->faults, spec, &e) == 0, "%s", e.msg);
}

static inline json_int_t pico_bench_count(struct pico_bench *t, const char *name)
{
	json_t *o = json_object();
	json_int_t n;

	t->device->ops->json(t->device, true, o);
	n = json_integer_value(json_object_get(o, name));
	json_decref(o);
	return n;
}
