/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary frames of the serial bootloader: one write and one ACK, one request and its bytes. A
 * frame goes out in a single write(), and nothing waits between an ACK and the next frame: at
 * 115200 baud the wire is the limit.
 */
#include "transports/protocols/guide/serial_boot_impl.h"

#include "base/bytes.h"
#include "base/strbuf.h"

/* 8N1: ten bits a byte. Assumed where the medium is not paced. */
#define BITS_PER_BYTE 10
#define SLOW_BAUD     115200

static uint64_t wire_us(const struct serial_boot *b, uint64_t bytes)
{
	uint64_t baud = b->link->baud ? b->link->baud : SLOW_BAUD;

	return bytes * BITS_PER_BYTE * US_PER_S / baud;
}

static void put_length(struct wbytes *w, unsigned width, uint32_t n)
{
	if (width == 2)
		wb_le16(w, (uint16_t)n);
	else
		wb_le32(w, n);
}

int serial_boot_check_idle(
	struct serial_boot *b, uint64_t quiet_us, const struct iotime *it, struct err *e)
{
	uint64_t before = b->link->rx_bytes;
	int r = link_drain(b->link, quiet_us, quiet_us, NULL, it, e);

	if (r < 0)
		return r;
	if (b->link->rx_bytes == before)
		return 0;
	return err_set(e, ERR_PROTOCOL, "%s: %llu bytes came that no one asked for",
		b->link->address, (unsigned long long)(b->link->rx_bytes - before));
}

/* What one read gave in the place of an ACK. */
static int judge_ack(
	struct serial_boot *b, uint32_t address, const uint8_t *got, size_t n, struct err *e)
{
	struct strbuf text = {0};

	if (n == 1 && got[0] == b->p.ack)
		return 0;
	sb_add_escaped(&text, got, n);

	_cleanup_(freep) char *shown = sb_take(&text);

	if (got[0] == b->p.nak)
		return err_set(e, ERR_DEVICE_REFUSED,
			"%s: the unit refused the chunk at 0x%08x: %s", b->link->address, address,
			shown);
	return err_set(e, ERR_PROTOCOL,
		"%s: expected one ACK (%02x) for the chunk at 0x%08x, got %s", b->link->address,
		b->p.ack, address, shown);
}

int serial_boot_write_chunk(struct serial_boot *b, uint32_t address, const uint8_t *data,
	uint32_t n, const struct iotime *it, struct err *e)
{
	uint32_t unit = b->p.write_unit_bytes;
	uint32_t padded = (n + unit - 1) / unit * unit;
	struct wbytes w = wbytes_of(b->frame, b->p.chunk_bytes + 16);
	uint8_t got[64];
	size_t k = 0;

	wb_u8(&w, b->p.write_op);
	wb_le32(&w, address);
	put_length(&w, b->p.write_length_bytes, padded);
	wb_put(&w, data, n);
	wb_fill(&w, 0xff, padded - n);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "a chunk of %u bytes does not fit its frame", n);

	int r = serial_boot_check_idle(b, 0, it, e);

	if (r < 0)
		return r;

	struct iotime within = iotime_within(it, 2 * wire_us(b, w.len) + b->p.ack_us);

	r = link_write(b->link, b->frame, w.len, &within, e);
	if (r == 0)
		r = link_read(b->link, got, sizeof got, &k, &within, e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "%s: no ACK for the chunk at 0x%08x",
			b->link->address, address);
	return r < 0 ? r : judge_ack(b, address, got, k, e);
}

int serial_boot_read_block(struct serial_boot *b, uint32_t address, uint8_t *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t request[16];
	struct wbytes w = wbytes_of(request, sizeof request);
	size_t got = 0;

	wb_u8(&w, b->p.read_op);
	wb_le32(&w, address);
	put_length(&w, b->p.read_length_bytes, n);

	int r = serial_boot_check_idle(b, 0, it, e);

	if (r < 0)
		return r;

	struct iotime within = iotime_within(it, 2 * wire_us(b, n) + b->p.read_us);

	r = link_write(b->link, request, w.len, &within, e);
	if (r == 0)
		r = link_read_exact(b->link, buf, n, &got, &within, e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "%s: a read of %u bytes at 0x%08x gave %zu in time",
			b->link->address, n, address, got);
	return r;
}

int serial_boot_walk(struct serial_boot *b, uint32_t address, uint64_t len,
	struct serial_boot_walk *w, const struct iotime *it, struct err *e)
{
	for (uint64_t at = 0; at < len;) {
		uint32_t n = (uint32_t)MIN(len - at, b->p.read_block_bytes);
		uint32_t where = (uint32_t)(address + at);
		int r = serial_boot_read_block(b, where, b->block, n, it, e);

		if (r < 0)
			link_turn_lost(&b->link->turn);
		if (r == 0)
			r = w->fn(w->data, where, b->block, n, e);
		if (r < 0)
			return r;
		at += n;
		w->done += n;
		teller_progress(&b->hooks.tell, w->phase, w->done, w->total);
	}
	return serial_boot_check_idle(b, 0, it, e);
}

static int copy_block(void *data, uint32_t address, const uint8_t *bytes, uint32_t n, struct err *e)
{
	struct wbytes *to = data;

	wb_put(to, bytes, n);
	return 0;
}

static int blank_block(
	void *data, uint32_t address, const uint8_t *bytes, uint32_t n, struct err *e)
{
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] != 0xff)
			return err_set(e, ERR_VERIFY_MISMATCH,
				"the flash is not blank: at 0x%08x expected ff, read %02x",
				address + i, bytes[i]);
	return 0;
}

static int check_span(uint32_t address, uint32_t len, struct err *e)
{
	if ((uint64_t)address + len > 1ull << 32)
		return err_set(e, ERR_INVALID, "%u bytes at 0x%08x end above the address space",
			len, address);
	return 0;
}

int serial_boot_read(struct serial_boot *b, uint32_t address, void *buf, uint32_t len,
	const struct iotime *it, struct err *e)
{
	struct wbytes to = wbytes_of(buf, len);
	struct serial_boot_walk w = {"read", 0, len, copy_block, &to};
	int r = check_span(address, len, e);

	return r < 0 ? r : serial_boot_walk(b, address, len, &w, it, e);
}

int serial_boot_check_blank(struct serial_boot *b, uint32_t address, uint32_t len,
	const struct iotime *it, struct err *e)
{
	struct serial_boot_walk w = {"verify", 0, len, blank_block, NULL};
	int r = check_span(address, len, e);

	return r < 0 ? r : serial_boot_walk(b, address, len, &w, it, e);
}
