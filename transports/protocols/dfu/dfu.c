/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/dfu/dfu.h"

#include "base/bytes.h"

/* bRequest, DFU 1.1 table 3.2. */
enum {
	REQUEST_DETACH,
	REQUEST_DNLOAD,
	REQUEST_UPLOAD,
	REQUEST_GETSTATUS,
	REQUEST_CLRSTATUS,
	REQUEST_GETSTATE,
	REQUEST_ABORT
};

#define FUNCTIONAL_TYPE 0x21
#define CONTROL_US	(5 * US_PER_S) /* of one control transfer */
#define CHUNK_MAX	4096u	       /* of a control transfer on Linux (usbfs) */
#define DETACH_MS	1000
#define IDLE_TRIES	8
#define STALLS_MAX	3   /* in a row, of a device that stalls while it is busy */
#define BUSY_ZERO_MAX	100 /* answers "busy, 0 ms" in a row */
#define BUSY_ZERO_US	(1 * US_PER_MS)
#define STALL_AGAIN_US	(100 * US_PER_MS)

bool dfu_functional_parse(const uint8_t *extra, size_t n, struct dfu_functional *ret)
{
	struct rbytes b = rbytes_of(extra, n);

	while (n - b.pos >= 2) {
		size_t at = b.pos;
		uint8_t len = rb_u8(&b);
		uint8_t type = rb_u8(&b);

		if (len < 2 || len > n - at)
			return false;
		if (type == FUNCTIONAL_TYPE && len >= 7) {
			uint8_t a = rb_u8(&b);

			ret->can_download = a & 1;
			ret->can_upload = a & 2;
			ret->tolerant = a & 4;
			ret->will_detach = a & 8;
			ret->detach_ms = rb_le16(&b);
			ret->transfer_bytes = rb_le16(&b);
			/* DFU 1.0 had no version in it. */
			ret->version = len >= 9 ? rb_le16(&b) : 0x0100;
			return true;
		}
		b.pos = at + len;
	}
	return false;
}

void dfu_init(struct dfu *d, const struct dfu_port *port, const struct dfu_functional *f,
	unsigned quirks, const struct teller *tell)
{
	*d = (struct dfu){.port = *port, .f = *f, .quirks = quirks};
	if (tell)
		d->tell = *tell;
	if (quirks & DFU_QUIRK_VERSION_110)
		d->f.version = 0x0110;
	d->chunk = (uint16_t)MIN((unsigned)f->transfer_bytes, CHUNK_MAX);
	/* DFU 1.1, 4.1.3 leaves 0 undefined; EP0 takes 8 bytes on any device. */
	if (d->chunk == 0)
		d->chunk = 8;
}

const char *dfu_state_str(enum dfu_state s)
{
	static const char *const names[] = {"appIDLE", "appDETACH", "dfuIDLE", "dfuDNLOAD-SYNC",
		"dfuDNBUSY", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC", "dfuMANIFEST",
		"dfuMANIFEST-WAIT-RESET", "dfuUPLOAD-IDLE", "dfuERROR"};

	return (size_t)s < ARRAY_LEN(names) ? names[s] : "an unknown state";
}

const char *dfu_status_str(uint8_t status)
{
	/* DFU 1.1, 6.1.2. */
	static const char *const texts[] = {"no error",
		"errTARGET: the file is not for this device",
		"errFILE: the file fails a check of the vendor's",
		"errWRITE: it cannot write memory", "errERASE: the erase failed",
		"errCHECK_ERASED: memory is not blank after the erase",
		"errPROG: programming failed",
		"errVERIFY: memory does not hold what was programmed",
		"errADDRESS: the address is out of range",
		"errNOTDONE: the end came before all data",
		"errFIRMWARE: the firmware is corrupt, there is no way back to run-time mode",
		"errVENDOR: refused by a rule of the vendor's (read protection?)",
		"errUSBR: an unexpected USB reset", "errPOR: an unexpected power on reset",
		"errUNKNOWN: something went wrong", "errSTALLEDPKT: an unexpected request"};

	return status < ARRAY_LEN(texts) ? texts[status] : "an unknown error";
}

static struct iotime control_time(const struct iotime *it)
{
	return iotime_within(it, CONTROL_US);
}

static int ask(struct dfu *d, uint8_t request, uint16_t value, const void *buf, uint16_t n,
	const struct iotime *it, struct err *e)
{
	struct iotime within = control_time(it);

	return d->port.out(d->port.data, request, value, buf, n, &within, e);
}

int dfu_get_status(struct dfu *d, struct dfu_status *ret, const struct iotime *it, struct err *e)
{
	struct iotime within = control_time(it);
	uint8_t buf[6] = {0};
	uint16_t n = 0;
	int r = d->port.in(d->port.data, REQUEST_GETSTATUS, 0, buf, sizeof buf, &n, &within, e);

	if (r < 0)
		return err_prefix(e, "DFU status");
	if (n < sizeof buf)
		return err_set(e, ERR_PROTOCOL, "DFU status: %u bytes instead of 6", n);

	struct rbytes b = rbytes_of(buf, sizeof buf);
	uint32_t low;

	ret->status = rb_u8(&b);
	low = rb_le16(&b);
	ret->poll_ms = low | (uint32_t)rb_u8(&b) << 16;

	uint8_t state = rb_u8(&b);

	if (state >= DFU_STATE_COUNT)
		return err_set(e, ERR_PROTOCOL, "DFU status: the device reports state %u", state);
	ret->state = (enum dfu_state)state;
	if (d->quirks & DFU_QUIRK_POLL_5MS)
		ret->poll_ms = 5;
	return 0;
}

int dfu_poll(struct dfu *d, struct dfu_status *ret, const struct iotime *it, struct err *e)
{
	int r = dfu_get_status(d, ret, it, e);

	if (r < 0 || ret->poll_ms == 0)
		return r;
	return d->port.sleep(d->port.data, ret->poll_ms * US_PER_MS, it, e);
}

int dfu_check(struct dfu *d, const struct dfu_status *s, const char *what, const struct iotime *it,
	struct err *e)
{
	if (s->status == 0 && s->state != DFU_ERROR)
		return 0;
	ask(d, REQUEST_CLRSTATUS, 0, NULL, 0, it, NULL);
	return err_set(e, ERR_DEVICE_REFUSED, "%s: %s (state %s)", what, dfu_status_str(s->status),
		dfu_state_str(s->state));
}

int dfu_abort(struct dfu *d, const struct iotime *it, struct err *e)
{
	struct dfu_status s;
	int r = ask(d, REQUEST_ABORT, 0, NULL, 0, it, e);

	if (r == 0)
		r = dfu_get_status(d, &s, it, e);
	if (r < 0)
		return err_prefix(e, "DFU abort");
	if (s.state != DFU_IDLE)
		return err_set(e, ERR_PROTOCOL, "DFU abort: the device is in %s, dfuIDLE expected",
			dfu_state_str(s.state));
	return 0;
}

/* What leads towards dfuIDLE from here. */
static int step_to_idle(
	struct dfu *d, const struct dfu_status *s, const struct iotime *it, struct err *e)
{
	switch (s->state) {
	case DFU_APP_IDLE:
	case DFU_APP_DETACH:
		return err_set(e, ERR_DEVICE_REFUSED,
			"the device is in run-time mode (%s): detach it first",
			dfu_state_str(s->state));
	case DFU_ERROR:
		return ask(d, REQUEST_CLRSTATUS, 0, NULL, 0, it, e);
	case DFU_IDLE:
		/* An error that an earlier session left. */
		return s->status ? ask(d, REQUEST_CLRSTATUS, 0, NULL, 0, it, e) : 0;
	case DFU_DNLOAD_SYNC:
	case DFU_DNLOAD_IDLE:
	case DFU_UPLOAD_IDLE:
	case DFU_MANIFEST_SYNC:
		return ask(d, REQUEST_ABORT, 0, NULL, 0, it, e);
	case DFU_DNBUSY:
	case DFU_MANIFEST:
		return 0; /* time and the next GETSTATUS */
	case DFU_MANIFEST_WAIT_RESET:
		return err_set(e, ERR_DEVICE_REFUSED,
			"the device waits for a reset after an earlier download: plug it again");
	case DFU_STATE_COUNT:
		break;
	}
	return err_set(e, ERR_INTERNAL, "DFU state %d", (int)s->state);
}

int dfu_make_idle(struct dfu *d, const struct iotime *it, struct err *e)
{
	struct dfu_status s = {0};

	for (unsigned i = 0; i < IDLE_TRIES; i++) {
		int r = dfu_poll(d, &s, it, e);

		if (r < 0)
			return r;
		if (s.state == DFU_IDLE && s.status == 0)
			return 0;
		r = step_to_idle(d, &s, it, e);
		if (r < 0)
			return r;
	}
	return err_set(e, ERR_PROTOCOL, "the device does not come to dfuIDLE: it stays in %s",
		dfu_state_str(s.state));
}

int dfu_detach(struct dfu *d, const struct iotime *it, struct err *e)
{
	struct dfu_status s = {.state = DFU_APP_IDLE};
	int r = dfu_get_status(d, &s, it, e);

	/* Many run-time interfaces know DETACH alone, and stall this. */
	if (r < 0 && r != -ERR_DEVICE_REFUSED)
		return r;
	if (r == 0 && s.state != DFU_APP_IDLE && s.state != DFU_APP_DETACH)
		return err_set(e, ERR_PROTOCOL, "detach: the run-time interface is in %s",
			dfu_state_str(s.state));
	r = ask(d, REQUEST_DETACH, DETACH_MS, NULL, 0, it, e);
	/* It may have left before it could answer. */
	if (r < 0 && r != -ERR_DEVICE_GONE)
		return err_prefix(e, "detach");
	if (r == 0 && !d->f.will_detach) {
		r = d->port.reset(d->port.data, e);
		if (r < 0 && r != -ERR_DEVICE_GONE)
			return err_prefix(e, "reset after detach");
	}
	return 0;
}

/* GETSTATUS until the device is no longer busy. */
static int wait_not_busy(struct dfu *d, struct dfu_status *ret, const char *what,
	const struct iotime *it, struct err *e)
{
	unsigned stalls = 0;
	unsigned zeros = 0;

	for (;;) {
		int r = dfu_get_status(d, ret, it, e);

		if (r == -ERR_DEVICE_REFUSED && d->quirks & DFU_QUIRK_STALLS_BUSY &&
			stalls++ < STALLS_MAX) {
			r = d->port.sleep(d->port.data, STALL_AGAIN_US, it, e);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0)
			return err_prefix(e, "%s", what);
		if (ret->state != DFU_DNBUSY && ret->state != DFU_DNLOAD_SYNC)
			return 0;
		if (ret->poll_ms == 0 && ++zeros > BUSY_ZERO_MAX)
			return err_set(e, ERR_TIMEOUT, "%s: the device stays busy", what);
		r = d->port.sleep(d->port.data,
			ret->poll_ms ? ret->poll_ms * US_PER_MS : BUSY_ZERO_US, it, e);
		if (r < 0)
			return r == -ERR_TIMEOUT
				       ? err_set(e, ERR_TIMEOUT, "%s: the device stays busy", what)
				       : r;
	}
}

int dfu_explain(struct dfu *d, int r, const char *what, const struct iotime *it, struct err *e)
{
	struct dfu_status s;
	struct err now;

	if (r != -ERR_DEVICE_REFUSED)
		return err_prefix(e, "%s", what);

	int asked = dfu_get_status(d, &s, it, &now);

	/* It refused because it was about to go. */
	if (asked == -ERR_DEVICE_GONE) {
		if (e)
			*e = now;
		return err_prefix(e, "%s", what);
	}
	if (asked == 0 && (s.status || s.state == DFU_ERROR))
		return dfu_check(d, &s, what, it, e);
	return err_prefix(e, "%s", what);
}

int dfu_send_block(struct dfu *d, uint16_t number, const void *bytes, uint16_t n, const char *what,
	const struct iotime *it, struct err *e)
{
	struct dfu_status s;
	int r = ask(d, REQUEST_DNLOAD, number, bytes, n, it, e);

	if (r < 0)
		return dfu_explain(d, r, what, it, e);
	r = wait_not_busy(d, &s, what, it, e);
	if (r == 0)
		r = dfu_check(d, &s, what, it, e);
	if (r == 0 && s.state != DFU_DNLOAD_IDLE)
		return err_set(e, ERR_PROTOCOL, "%s: the device is in %s, dfuDNLOAD-IDLE expected",
			what, dfu_state_str(s.state));
	return r;
}

int dfu_download(
	struct dfu *d, const uint8_t *bytes, size_t n, const struct iotime *it, struct err *e)
{
	d->block = 0;
	for (size_t at = 0; at < n;) {
		uint16_t k = (uint16_t)MIN((size_t)d->chunk, n - at);
		int r = dfu_send_block(d, d->block++, bytes + at, k, "download", it, e);

		if (r < 0)
			return err_prefix(e, "byte %zu of %zu", at, n);
		at += k;
		teller_progress(&d->tell, "write", at, n);
	}
	return 0;
}

int dfu_manifest(struct dfu *d, bool *ret_back, const struct iotime *it, struct err *e)
{
	struct dfu_status s;
	int r = ask(d, REQUEST_DNLOAD, d->block, NULL, 0, it, e);

	*ret_back = false;
	if (r < 0)
		return err_prefix(e, "end of download");
	for (;;) {
		r = dfu_get_status(d, &s, it, e);
		/* One that does not tolerate manifestation may be gone or deaf by now. */
		if (!d->f.tolerant && (r == -ERR_DEVICE_GONE || r == -ERR_DEVICE_REFUSED))
			return 0;
		if (r < 0)
			return err_prefix(e, "manifestation");
		r = dfu_check(d, &s, "manifestation", it, e);
		if (r < 0)
			return r;
		if (s.state == DFU_IDLE || s.state == DFU_MANIFEST_WAIT_RESET) {
			*ret_back = s.state == DFU_IDLE;
			return 0;
		}
		if (s.state != DFU_MANIFEST_SYNC && s.state != DFU_MANIFEST &&
			s.state != DFU_DNBUSY)
			return err_set(e, ERR_PROTOCOL, "manifestation: the device is in %s",
				dfu_state_str(s.state));
		r = d->port.sleep(d->port.data, MAX(s.poll_ms, 1u) * US_PER_MS, it, e);
		if (r < 0)
			return r == -ERR_TIMEOUT
				       ? err_set(e, ERR_TIMEOUT, "manifestation: not done in time")
				       : r;
	}
}

/* The end of an upload: the device asks for nothing more. */
static int upload_block(struct dfu *d, uint16_t block, uint8_t *to, uint16_t want, uint16_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct iotime within = control_time(it);
	int r = d->port.in(d->port.data, REQUEST_UPLOAD, block, to, want, ret_n, &within, e);

	return r < 0 ? dfu_explain(d, r, "upload", it, e) : 0;
}

int dfu_upload(struct dfu *d, size_t max, bool enough, uint8_t **ret, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = NULL;
	size_t len = 0, cap = 0;
	uint16_t block = 0, n = 0;

	for (;;) {
		if (cap - len < d->chunk) {
			size_t grown = MAX(cap * 2, (size_t)64 * 1024);
			uint8_t *p = realloc(buf, grown);

			if (!p)
				return err_set(e, ERR_NO_MEMORY, "%zu bytes of an upload", grown);
			buf = p;
			cap = grown;
		}

		int r = upload_block(d, block++, buf + len, d->chunk, &n, it, e);

		if (r < 0)
			return err_prefix(e, "byte %zu", len);
		len += n;
		teller_progress(&d->tell, "read", MIN(len, max), max);
		if (n < d->chunk)
			break;
		if (len >= max && enough) {
			r = dfu_abort(d, it, e);
			if (r < 0)
				return r;
			break;
		}
		if (len > max)
			return err_set(e, ERR_TOO_LARGE,
				"upload: the device sends more than %zu bytes", max);
	}
	*ret = steal_ptr(&buf);
	*ret_n = enough ? MIN(len, max) : len;
	return 0;
}
