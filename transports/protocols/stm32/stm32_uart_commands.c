/* SPDX-License-Identifier: Apache-2.0
 *
 * One command of the boot ROM each (AN3155, 3).
 */
#include "transports/protocols/stm32/stm32_uart_impl.h"

#include "base/bytes.h"

#define PAGES_PER_COMMAND 8 /* more would leave the progress at one value for long */
#define READ_TRIES	  3

static uint8_t xor_of(const uint8_t *p, size_t n)
{
	uint8_t x = 0;

	for (size_t i = 0; i < n; i++)
		x ^= p[i];
	return x;
}

/* --- memory --- */

int stm32_read_block(struct stm32 *s, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	const uint8_t len[2] = {(uint8_t)(n - 1), (uint8_t)((n - 1) ^ 0xff)};
	int r = stm32_begin(s, STM32_READ, it, e);

	if (r == -ERR_DEVICE_REFUSED)
		return err_set(e, ERR_DEVICE_REFUSED,
			"%s: the boot ROM refuses to read: read protection is on (stm32.unprotect lifts it, and erases the flash)",
			s->link->address);
	if (r == 0)
		r = stm32_send_address(s, address, it, e);
	if (r == 0)
		r = stm32_put(s, len, sizeof len, it, e);
	if (r == 0)
		r = stm32_await_data(s, buf, n, it, e);
	return r < 0 ? err_prefix(e, "reading at 0x%08x", address) : 0;
}

int stm32_read_surely(struct stm32 *s, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	for (unsigned i = 1;; i++) {
		int r = stm32_read_block(s, address, buf, n, it, e);

		if (r == 0 || i == READ_TRIES || !stm32_wire_trouble(r) ||
			iotime_check(it, NULL) < 0)
			return r;
		if (stm32_resync(s, it, NULL) < 0)
			return r;
	}
}

int stm32_read(struct stm32 *s, uint32_t address, void *buf, uint32_t len, const struct iotime *it,
	struct err *e)
{
	for (uint32_t at = 0; at < len;) {
		uint32_t n = MIN(len - at, (uint32_t)STM32_BLOCK_BYTES);
		int r = stm32_read_surely(s, address + at, (uint8_t *)buf + at, n, it, e);

		if (r < 0)
			return r;
		at += n;
		teller_progress(&s->hooks.tell, "read", at, len);
	}
	return 0;
}

int stm32_check_blank(
	struct stm32 *s, uint32_t address, uint32_t len, const struct iotime *it, struct err *e)
{
	uint8_t b[STM32_BLOCK_BYTES];
	uint8_t erased = s->info.device.erased;

	for (uint32_t at = 0; at < len;) {
		uint32_t n = MIN(len - at, (uint32_t)sizeof b);
		int r = stm32_read_surely(s, address + at, b, n, it, e);

		if (r < 0)
			return r;
		for (uint32_t i = 0; i < n; i++)
			if (b[i] != erased)
				return err_set(e, ERR_VERIFY_MISMATCH,
					"the flash is not blank: at 0x%08x expected %02x, read %02x",
					address + at + i, erased, b[i]);
		at += n;
		teller_progress(&s->hooks.tell, "verify", at, len);
	}
	return 0;
}

int stm32_write_block(struct stm32 *s, uint32_t address, const uint8_t *data, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t frame[STM32_BLOCK_BYTES + 2];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	int r = stm32_begin(s, STM32_WRITE, it, e);

	wb_u8(&w, (uint8_t)(n - 1));
	wb_put(&w, data, n);
	wb_u8(&w, xor_of(frame, w.len));
	if (r == 0)
		r = stm32_send_address(s, address, it, e);
	if (r == 0)
		r = stm32_put(s, frame, w.len, it, e);
	return r < 0 ? r
		     : stm32_await_ack(s, 2 * stm32_wire_us(s, w.len) + s->o.times.write_us, it, e,
			       "the %u bytes for 0x%08x", n, address);
}

int stm32_write_once(struct stm32 *s, uint32_t address, const uint8_t *data, uint32_t len,
	const struct iotime *it, struct err *e)
{
	for (uint32_t at = 0; at < len;) {
		uint32_t n = MIN(len - at, (uint32_t)STM32_BLOCK_BYTES);
		int r = stm32_write_block(s, address + at, data + at, n, it, e);

		if (r < 0)
			return err_prefix(e, "writing at 0x%08x", address + at);
		at += n;
	}
	return 0;
}

/* --- erasing --- */

/* 43: one byte for each number; the count is one less than there are. */
static int erase_short(
	struct stm32 *s, const uint32_t *page, size_t n, const struct iotime *it, struct err *e)
{
	uint8_t frame[PAGES_PER_COMMAND + 2];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	int r;

	wb_u8(&w, (uint8_t)(n - 1));
	for (size_t i = 0; i < n; i++) {
		if (page[i] > 0xff)
			return err_set(e, ERR_UNSUPPORTED,
				"page %u: the erase command of this boot ROM ends at 255", page[i]);
		wb_u8(&w, (uint8_t)page[i]);
	}
	wb_u8(&w, xor_of(frame, w.len));
	r = stm32_begin(s, STM32_ERASE, it, e);
	if (r == 0)
		r = stm32_put(s, frame, w.len, it, e);
	return r;
}

/* 44: two bytes for each. */
static int erase_extended(
	struct stm32 *s, const uint32_t *page, size_t n, const struct iotime *it, struct err *e)
{
	uint8_t frame[2 * PAGES_PER_COMMAND + 3];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	int r;

	wb_be16(&w, (uint16_t)(n - 1));
	for (size_t i = 0; i < n; i++)
		wb_be16(&w, (uint16_t)page[i]);
	wb_u8(&w, xor_of(frame, w.len));
	r = stm32_begin(s, STM32_EXTENDED_ERASE, it, e);
	if (r == 0)
		r = stm32_put(s, frame, w.len, it, e);
	return r;
}

static int erase_few(
	struct stm32 *s, const uint32_t *page, size_t n, const struct iotime *it, struct err *e)
{
	int r = stm32_has(s, STM32_EXTENDED_ERASE) ? erase_extended(s, page, n, it, e)
						   : erase_short(s, page, n, it, e);

	return r < 0 ? r
		     : stm32_await_ack(s, n * s->o.times.page_us, it, e,
			       "the erase of pages %u..%u", page[0], page[n - 1]);
}

int stm32_erase_pages(
	struct stm32 *s, const uint32_t *page, size_t pages, const struct iotime *it, struct err *e)
{
	for (size_t at = 0; at < pages;) {
		size_t n = MIN(pages - at, (size_t)PAGES_PER_COMMAND);
		int r = erase_few(s, page + at, n, it, e);

		if (r < 0)
			return r;
		at += n;
		teller_progress(&s->hooks.tell, "erase", at, pages);
	}
	return 0;
}

static int erase_every_page(struct stm32 *s, const struct iotime *it, struct err *e)
{
	uint32_t pages = stm32_page_count(&s->info.device, s->info.flash_bytes);
	uint32_t few[PAGES_PER_COMMAND];

	for (uint32_t at = 0; at < pages;) {
		uint32_t n = MIN(pages - at, (uint32_t)PAGES_PER_COMMAND);
		int r;

		for (uint32_t i = 0; i < n; i++)
			few[i] = at + i;
		r = erase_few(s, few, n, it, e);
		if (r < 0)
			return r;
		at += n;
		teller_progress(&s->hooks.tell, "erase", at, pages);
	}
	return 0;
}

int stm32_erase_mass(struct stm32 *s, enum stm32_mass what, const struct iotime *it, struct err *e)
{
	uint8_t frame[3];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	bool extended = stm32_has(s, STM32_EXTENDED_ERASE);
	int r;

	if (what != STM32_MASS_ALL && (!extended || !(s->info.device.quirks & STM32_TWO_BANKS)))
		return err_set(e, ERR_UNSUPPORTED, "%s has no banks to be erased one by one",
			s->info.device.name);
	if (what == STM32_MASS_ALL && s->info.device.quirks & STM32_NO_MASS_ERASE)
		return erase_every_page(s, it, e);
	teller_progress(&s->hooks.tell, "erase", 0, 1);
	if (extended) {
		wb_be16(&w, (uint16_t)what);
		wb_u8(&w, xor_of(frame, 2));
	} else {
		wb_u8(&w, 0xff);
		wb_u8(&w, 0x00);
	}
	r = stm32_begin(s, extended ? STM32_EXTENDED_ERASE : STM32_ERASE, it, e);
	if (r == 0)
		r = stm32_put(s, frame, w.len, it, e);
	if (r == 0)
		r = stm32_await_ack(s, s->o.times.mass_us, it, e, "the mass erase");
	if (r == 0)
		teller_progress(&s->hooks.tell, "erase", 1, 1);
	return r;
}

/* --- starting --- */

int stm32_go(struct stm32 *s, uint32_t address, const struct iotime *it, struct err *e)
{
	int r = stm32_begin(s, STM32_GO, it, e);

	if (r == 0)
		r = stm32_send_address(s, address, it, e);
	if (r < 0)
		err_prefix(e, "start the application");
	return r;
}

/* --- protection --- */

/* All but write protect acknowledge the command, and again once it is done; then they reset. */

int stm32_write_protect(struct stm32 *s, const uint8_t *sector, size_t sectors,
	const struct iotime *it, struct err *e)
{
	uint8_t frame[258];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	int r;

	if (sectors == 0 || sectors > 256)
		return err_set(
			e, ERR_INVALID, "1 to 256 sectors can be protected, not %zu", sectors);
	wb_u8(&w, (uint8_t)(sectors - 1));
	wb_put(&w, sector, sectors);
	wb_u8(&w, xor_of(frame, w.len));
	r = stm32_begin(s, STM32_WRITE_PROTECT, it, e);
	if (r == 0)
		r = stm32_put(s, frame, w.len, it, e);
	if (r == 0)
		r = stm32_await_ack(
			s, s->o.times.protect_us, it, e, "the sectors to be write-protected");
	return r < 0 ? r : stm32_reconnect(s, it, e);
}

int stm32_write_unprotect(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = stm32_begin(s, STM32_WRITE_UNPROTECT, it, e);

	if (r == 0)
		r = stm32_await_ack(s, s->o.times.protect_us, it, e, "the end of write protection");
	return r < 0 ? r : stm32_reconnect(s, it, e);
}

int stm32_readout_protect(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = stm32_begin(s, STM32_READOUT_PROTECT, it, e);

	if (r == 0)
		r = stm32_await_ack(s, s->o.times.protect_us, it, e, "readout protection");
	if (r == 0)
		r = stm32_reconnect(s, it, e);
	if (r == 0 && !s->info.read_protected)
		r = err_set(e, ERR_READ_BACK_MISMATCH,
			"%s: readout protection was acknowledged, and the flash still reads",
			s->link->address);
	return r;
}

int stm32_readout_unprotect(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = stm32_begin(s, STM32_READOUT_UNPROTECT, it, e);

	teller_progress(&s->hooks.tell, "erase", 0, 1);
	if (r == 0)
		r = stm32_await_ack(s, s->o.times.mass_us, it, e, "the end of readout protection");
	if (r == 0)
		r = stm32_reconnect(s, it, e);
	if (r == 0 && s->info.read_protected)
		r = err_set(e, ERR_READ_BACK_MISMATCH,
			"%s: the end of readout protection was acknowledged, and reads are still refused",
			s->link->address);
	if (r == 0)
		teller_progress(&s->hooks.tell, "erase", 1, 1);
	return r;
}
