/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a virtual DFU device (DFU 1.1, appendix A), and DfuSe's commands. An operation
 * begins at the GETSTATUS after its DNLOAD: a host that does not ask writes nothing.
 */
#include <string.h>

#include "sim/dfu/dfu_impl.h"

/* -- leaving and coming back -- */

/* Off the bus, and back in the other mode. */
void dfu_go(struct dfu_sim *s, bool to_runtime)
{
	s->runtime_mode = to_runtime;
	s->state = to_runtime ? APP_IDLE : IDLE;
	s->status = OK;
	s->pending = s->forever = s->leave = false;
	s->pointer = s->memory[0]->base;
	s->alt = 0;
	s->device.wish = WISH_REENUMERATE;
	if (own_fault_hit(s->faults, SWAP, NULL))
		s->device.wish = WISH_SWAP;
	if (own_fault_hit(s->faults, NO_RETURN, NULL))
		s->device.wish = WISH_UNPLUG;
	if (own_fault_hit(s->faults, OTHER_SERIAL, NULL))
		s->serial[0] = s->serial[0] == 'X' ? 'Y' : 'X';
	dfu_describe(s);
}

bool dfu_may_be_runtime(const struct dfu_sim *s)
{
	return settings_own_number(s->set, "dfu-runtime") != 0;
}

/* -- the machine -- */

static int fail(struct dfu_sim *s, uint8_t status)
{
	s->state = ERROR;
	s->status = status;
	return GADGET_STALL;
}

static int download(struct dfu_sim *s, uint16_t block, const uint8_t *p, size_t n, uint64_t now_us)
{
	double arg;

	s->downloads++;
	if (own_fault_set(s->faults, DISAPPEAR, &arg) && s->downloads > (uint64_t)arg) {
		own_fault_hit(s->faults, DISAPPEAR, NULL);
		s->device.wish = WISH_UNPLUG;
		return GADGET_STALL;
	}
	if (own_fault_set(s->faults, STALL, &arg) && s->downloads > (uint64_t)arg) {
		own_fault_hit(s->faults, STALL, NULL);
		return fail(s, ERR_OF_STALL);
	}
	if ((s->state != IDLE && s->state != DNLOAD_IDLE) || n > s->transfer ||
		(s->dfuse && block == 1))
		return fail(s, ERR_OF_STALL);
	if (n == 0) {
		s->state = MANIFEST_SYNC;
		s->pending = true;
		return 0;
	}
	if (s->state == IDLE && !s->dfuse)
		s->pointer = 0;
	s->block = block;
	s->len = n;
	memcpy(s->buf, p, n);
	s->pending = true;
	s->state = SYNC;
	return 0;
}

static uint32_t le32_at(const uint8_t *p)
{
	struct rbytes b = rbytes_of(p, 4);

	return rb_le32(&b);
}

static bool do_erase(struct dfu_sim *s, uint64_t *ms)
{
	struct dfu_memory *m = s->memory[s->alt];
	bool mass = s->len == 1;
	bool skip = own_fault_hit(s->faults, NO_ERASE, NULL);

	s->erases++;
	*ms = settings_own_number(s->set, mass ? "dfu-mass-ms" : "dfu-erase-ms");
	if (s->protected_)
		return false;
	if (mass) {
		if (!skip)
			dfu_memory_erase_all(m);
		return true;
	}
	return skip || dfu_memory_erase_page(m, le32_at(s->buf + 1));
}

/* A command of DfuSe; false: refused. */
static bool do_command(struct dfu_sim *s, uint64_t *ms)
{
	switch (s->buf[0]) {
	case 0x21:
		if (s->len != 5)
			return false;
		s->pointer = le32_at(s->buf + 1);
		return true;
	case 0x41:
		return (s->len == 1 || s->len == 5) && do_erase(s, ms);
	case 0x92:
		for (unsigned i = 0; i < s->memories; i++)
			dfu_memory_erase_all(s->memory[i]);
		s->protected_ = false;
		s->leave = true;
		return s->len == 1;
	default:
		return false;
	}
}

static bool do_data(struct dfu_sim *s, uint64_t *ms)
{
	uint32_t at = s->pointer;
	double arg = -1;
	int64_t weak = own_fault_set(s->faults, WEAK_CELL, &arg) ? (int64_t)arg : -1;

	*ms = settings_own_number(s->set, "dfu-write-ms");
	if (s->protected_)
		return false;
	/* The address counts in the device's own transfer size, whatever the host sends. */
	if (s->dfuse)
		at += (uint32_t)(s->block - 2) * s->transfer;
	else
		s->pointer += (uint32_t)s->len;
	s->data_blocks++;
	if (own_fault_set(s->faults, LOST_WRITE, &arg) && s->data_blocks > (uint64_t)arg) {
		own_fault_hit(s->faults, LOST_WRITE, NULL);
		return true;
	}
	if (weak >= 0 && weak - (int64_t)(at - s->memory[s->alt]->base) >= 0 &&
		weak - (int64_t)(at - s->memory[s->alt]->base) < (int64_t)s->len)
		own_fault_hit(s->faults, WEAK_CELL, NULL);
	return dfu_memory_write(s->memory[s->alt], at, s->buf, s->len, weak);
}

/* At the first GETSTATUS: what DNLOAD asked for. */
static void begin(struct dfu_sim *s, uint64_t now_us)
{
	uint64_t ms = 0;
	double status;
	bool ok = s->dfuse && s->block == 0 ? do_command(s, &ms) : do_data(s, &ms);

	s->pending = false;
	s->state = BUSY;
	s->busy_until_us = now_us + ms * US_PER_MS;
	s->forever = own_fault_hit(s->faults, BUSY_FOREVER, NULL);
	if (!ok)
		fail(s, s->protected_ ? ERR_OF_VENDOR : ERR_OF_ADDRESS);
	if (own_fault_hit(s->faults, STATUS, &status))
		fail(s, (uint8_t)status);
}

static void manifest(struct dfu_sim *s, uint64_t now_us)
{
	if (own_fault_hit(s->faults, MANIFEST_ERROR, NULL)) {
		fail(s, 10);
		return;
	}
	if (s->state == MANIFEST_SYNC && s->pending) {
		s->pending = false;
		s->state = MANIFEST;
		s->busy_until_us = now_us + 2 * US_PER_MS;
		/* DfuSe: this was "leave"; the device resets after this answer. */
		s->leave = s->dfuse && !own_fault_hit(s->faults, STAYS, NULL);
		return;
	}
	if (now_us < s->busy_until_us)
		return;
	s->state = s->attributes & 4 ? IDLE : WAIT_RESET;
}

static uint32_t poll_ms(const struct dfu_sim *s, uint64_t now_us)
{
	uint64_t says = settings_own_number(s->set, "dfu-mass-says-ms");

	if (s->forever)
		return 0;
	if (s->state == BUSY && says && s->len == 1 && s->buf[0] == 0x41)
		return (uint32_t)says;
	if ((s->state == BUSY || s->state == MANIFEST) && s->busy_until_us > now_us)
		return (uint32_t)((s->busy_until_us - now_us + US_PER_MS - 1) / US_PER_MS);
	return 0;
}

static void advance(struct dfu_sim *s, uint64_t now_us)
{
	switch (s->state) {
	case SYNC:
		begin(s, now_us);
		break;
	case BUSY:
		if (!s->forever && now_us >= s->busy_until_us)
			s->state = DNLOAD_IDLE;
		break;
	case MANIFEST_SYNC:
	case MANIFEST:
		manifest(s, now_us);
		break;
	case APP_IDLE:
	case APP_DETACH:
	case IDLE:
	case DNLOAD_IDLE:
	case WAIT_RESET:
	case UPLOAD_IDLE:
	case ERROR:
		break;
	}
}

static int get_status(struct dfu_sim *s, uint8_t *data, size_t size, uint64_t now_us)
{
	uint8_t answer[6];
	struct wbytes w = wbytes_of(answer, sizeof answer);
	bool was_busy = s->state == BUSY;

	if (was_busy && own_fault_hit(s->faults, STALL_BUSY, NULL))
		return GADGET_STALL;
	advance(s, now_us);

	uint32_t ms = poll_ms(s, now_us);

	wb_u8(&w, s->status);
	wb_le16(&w, (uint16_t)ms);
	wb_u8(&w, (uint8_t)(ms >> 16));
	wb_u8(&w, own_fault_hit(s->faults, BAD_STATE, NULL) ? 77 : (uint8_t)s->state);
	wb_u8(&w, 0);

	size_t n = own_fault_hit(s->faults, SHORT_STATUS, NULL) ? 3 : w.len;

	n = MIN(n, size);

	memcpy(data, answer, n);
	if (s->leave && s->state != ERROR)
		dfu_go(s, dfu_may_be_runtime(s));
	return (int)n;
}

static int upload(struct dfu_sim *s, uint16_t block, uint8_t *data, size_t size)
{
	struct dfu_memory *m = s->memory[s->alt];
	size_t n = MIN(size, (size_t)s->transfer);

	if (s->state != IDLE && s->state != UPLOAD_IDLE)
		return fail(s, ERR_OF_STALL);
	if (s->dfuse && block == 0) {
		memcpy(data, "\x00\x21\x41\x92", MIN(n, (size_t)4));
		s->state = IDLE;
		return (int)MIN(n, (size_t)4);
	}
	if (s->protected_ || (s->dfuse && block == 1))
		return fail(s, s->protected_ ? ERR_OF_VENDOR : ERR_OF_STALL);
	if (s->state == IDLE && !s->dfuse)
		s->pointer = 0;

	uint32_t at = s->dfuse ? s->pointer + (uint32_t)(block - 2) * s->transfer : s->pointer;

	if (!s->dfuse) {
		n = MIN(n, (size_t)(m->used - MIN(m->used, at)));
		s->pointer += (uint32_t)n;
	}
	if (own_fault_hit(s->faults, SHORT_UPLOAD, NULL))
		n /= 2;
	if (!dfu_memory_read(m, at, data, n))
		return fail(s, ERR_OF_ADDRESS);
	s->state = n < size ? IDLE : UPLOAD_IDLE;
	return (int)n;
}

static int detach(struct dfu_sim *s)
{
	if (!s->runtime_mode)
		return fail(s, ERR_OF_STALL);
	s->state = APP_DETACH;
	if (s->attributes & 8)
		dfu_go(s, false);
	return 0;
}

static int in_request(struct dfu_sim *s, uint8_t request, uint16_t value, uint8_t *data,
	size_t size, uint64_t now_us)
{
	switch (request) {
	case UPLOAD:
		return s->runtime_mode || !(s->attributes & 2) ? fail(s, ERR_OF_STALL)
							       : upload(s, value, data, size);
	case GETSTATUS:
		return get_status(s, data, size, now_us);
	case GETSTATE:
		data[0] = (uint8_t)s->state;
		return 1;
	default:
		return GADGET_STALL;
	}
}

static int out_request(struct dfu_sim *s, uint8_t request, uint16_t value, const uint8_t *data,
	size_t n, uint64_t now_us)
{
	switch (request) {
	case DETACH:
		return detach(s);
	case DNLOAD:
		return s->runtime_mode ? GADGET_STALL : download(s, value, data, n, now_us);
	case CLRSTATUS:
		if (s->state != ERROR && !s->status)
			return GADGET_STALL;
		s->state = s->runtime_mode ? APP_IDLE : IDLE;
		s->status = OK;
		return 0;
	case ABORT:
		if (s->state == BUSY || s->state == ERROR || s->runtime_mode)
			return GADGET_STALL;
		s->state = IDLE;
		s->pending = false;
		return 0;
	default:
		return GADGET_STALL;
	}
}

int dfu_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct dfu_sim *s = dfu_sim_of(d);
	struct rbytes b = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&b);
	uint8_t request = rb_u8(&b);
	uint16_t value = rb_le16(&b);
	uint8_t functional[9];
	struct wbytes w = wbytes_of(functional, sizeof functional);

	if (type == 0x81 && request == 6 && value >> 8 == DESC_FUNCTIONAL) {
		dfu_put_functional(s, &w);
		memcpy(data, functional, MIN(size, w.len));
		return (int)MIN(size, w.len);
	}
	if (type == 0x01 && request == 0x0b) { /* SET_INTERFACE */
		if (value >= s->memories || s->runtime_mode)
			return GADGET_STALL;
		s->alt = value;
		s->pointer = s->memory[value]->base;
		return 0;
	}
	if (type == 0xa1)
		return in_request(s, request, value, data, size, now_us);
	return type == 0x21 ? out_request(s, request, value, data, n, now_us) : GADGET_STALL;
}

/* A bus reset is seen by the configuration that follows it. */
void dfu_opened(struct device *d, uint64_t now_us)
{
	struct dfu_sim *s = dfu_sim_of(d);

	if (s->state == APP_DETACH)
		dfu_go(s, false);
	else if (s->state == WAIT_RESET || (s->state == MANIFEST && !s->dfuse))
		dfu_go(s, dfu_may_be_runtime(s));
}
