/* SPDX-License-Identifier: Apache-2.0
 *
 * One command of the boot ROM each, and what a few of them say together: which chip, its fuses, its flash.
 */
#include "transports/protocols/esp/esp_rom_impl.h"

#include <ctype.h>

#include "base/bytes.h"

#define TRIES		3 /* at a command that the wire spoils, and at a value that differs */
#define SECURITY_BYTES	20
#define SECURITY_NO_ID	12 /* of the ESP32-S2 */
#define READ_ID		0x9f
#define ID_BITS		24
#define CMD_USR		(1u << 18)
#define USR_COMMAND	(1u << 31)
#define USR_MISO	(1u << 28)
#define USR2_8_BITS	(7u << 28)
#define CMD_POLLS	10
#define SLOW_BYTES	64
#define READ_CHUNK	65536u
#define ERASE_CHUNK	(1u << 20)
#define FLASH_LOG2_LOW	18
#define FLASH_LOG2_HIGH 27

/* The command again, after a resync, where the wire lost something. */
static int command_surely(struct esp_rom *s, const struct esp_ask *a, struct esp_answer *ret,
	const struct iotime *it, struct err *e)
{
	for (unsigned i = 1;; i++) {
		int r = esp_command(s, a, ret, it, e);

		if (r == 0 || i == TRIES || !esp_wire_trouble(r) || iotime_check(it, NULL) < 0)
			return r;
	}
}

/* --- registers --- */

int esp_read_reg(
	struct esp_rom *s, uint32_t address, uint32_t *ret, const struct iotime *it, struct err *e)
{
	uint8_t data[4];
	struct wbytes w = wbytes_of(data, sizeof data);
	struct esp_ask a = {ESP_READ_REG, data, sizeof data, .what = "READ_REG"};
	struct esp_answer answer = {0};
	int r;

	wb_le32(&w, address);
	r = esp_command(s, &a, &answer, it, e);
	if (r == 0)
		*ret = answer.value;
	return r;
}

int esp_write_reg(
	struct esp_rom *s, uint32_t address, uint32_t value, const struct iotime *it, struct err *e)
{
	uint8_t data[16];
	struct wbytes w = wbytes_of(data, sizeof data);
	struct esp_ask a = {ESP_WRITE_REG, data, sizeof data, .what = "WRITE_REG"};

	wb_le32(&w, address);
	wb_le32(&w, value);
	wb_le32(&w, UINT32_MAX); /* mask */
	wb_le32(&w, 0);		 /* delay */
	return esp_command(s, &a, NULL, it, e);
}

/* The same twice in a row: an answer has no checksum. */
static int same_twice(struct esp_rom *s,
	int (*read)(struct esp_rom *, uint32_t, uint32_t *, const struct iotime *, struct err *),
	uint32_t address, uint32_t *ret, const struct iotime *it, struct err *e)
{
	uint32_t before = 0;
	bool has = false;
	int r = 0;

	for (unsigned i = 0; i <= TRIES; i++) {
		uint32_t now = 0;

		r = read(s, address, &now, it, e);
		if (r < 0 && !esp_wire_trouble(r))
			return r;
		if (r == 0 && has && now == before) {
			*ret = now;
			return 0;
		}
		has = r == 0;
		before = now;
		if (iotime_check(it, NULL) < 0)
			return iotime_check(it, e);
	}
	return r < 0 ? r
		     : err_set(e, ERR_PROTOCOL,
			       "%s: register %08x reads different each time: the line is bad",
			       s->link->address, address);
}

static int reg(
	struct esp_rom *s, uint32_t address, uint32_t *ret, const struct iotime *it, struct err *e)
{
	return same_twice(s, esp_read_reg, address, ret, it, e);
}

static int field(struct esp_rom *s, struct esp_field f, uint32_t *ret, const struct iotime *it,
	struct err *e)
{
	uint32_t v = 0;
	int r = f.address ? reg(s, f.address, &v, it, e) : 0;

	if (r == 0)
		*ret = v >> f.shift & ((1u << f.bits) - 1);
	return r;
}

/* --- which chip --- */

struct security {
	uint8_t bytes[SECURITY_BYTES];
	size_t n; /* 0: the ROM has no such command */
};

static int read_security(
	struct esp_rom *s, struct security *ret, const struct iotime *it, struct err *e)
{
	const struct esp_ask a = {ESP_GET_SECURITY_INFO, .want = SECURITY_BYTES,
		.or_want = SECURITY_NO_ID, .what = "GET_SECURITY_INFO"};
	struct esp_answer answer = {0};
	int r = esp_command(s, &a, &answer, it, e);

	*ret = (struct security){0};
	/* The ESP32 has no such command, and some ROMs refuse what they do not have. */
	if (r == -ERR_UNSUPPORTED || r == -ERR_DEVICE_REFUSED)
		return 0;
	if (r < 0)
		return r;
	ret->n = answer.n;
	memcpy(ret->bytes, answer.data, answer.n);
	return 0;
}

/* The same twice in a row, as of a register. */
static int security_surely(
	struct esp_rom *s, struct security *ret, const struct iotime *it, struct err *e)
{
	struct security before = {.n = SIZE_MAX};

	for (unsigned i = 0; i <= TRIES; i++) {
		int r = read_security(s, ret, it, e);

		if (r < 0 && (!esp_wire_trouble(r) || i == TRIES))
			return r;
		if (r == 0 && ret->n == before.n &&
			!memcmp(ret->bytes, before.bytes, sizeof before.bytes))
			return 0;
		before = *ret;
		if (r < 0)
			before.n = SIZE_MAX;
	}
	return err_set(e, ERR_PROTOCOL,
		"%s: GET_SECURITY_INFO says something else each time: the line is bad",
		s->link->address);
}

static int ask_security(struct esp_rom *s, struct esp_info *i, uint32_t *ret_id, bool *ret_has_id,
	const struct iotime *it, struct err *e)
{
	struct security x = {0};
	struct rbytes b;
	int r = security_surely(s, &x, it, e);

	if (r < 0 || x.n == 0)
		return r;
	b = rbytes_of(x.bytes, x.n);
	i->has_security = true;
	i->security_flags = rb_le32(&b);
	i->crypt_count = rb_u8(&b);
	rb_take(&b, 7);
	i->secure_download = i->security_flags & ESP_SECURE_DOWNLOAD;
	*ret_has_id = x.n == SECURITY_BYTES;
	*ret_id = *ret_has_id ? rb_le32(&b) : 0;
	return 0;
}

static int find_chip(struct esp_rom *s, struct esp_info *i, const struct iotime *it, struct err *e)
{
	uint32_t id = 0;
	uint32_t magic = 0;
	bool has_id = false;
	int r = ask_security(s, i, &id, &has_id, it, e);

	if (r < 0)
		return r;
	if (has_id) {
		i->chip = esp_chip_of_id(id);
		return i->chip ? 0
			       : err_set(e, ERR_UNSUPPORTED, "%s: chip id %u is in no table",
					 s->link->address, id);
	}
	if (i->secure_download) {
		i->chip = esp_chip_without_id();
		return 0;
	}
	r = reg(s, ESP_MAGIC_REGISTER, &magic, it, e);
	if (r < 0)
		return r;
	i->chip = esp_chip_of_magic(magic);
	return i->chip ? 0
		       : err_set(e, ERR_UNSUPPORTED,
				 "%s: register %08x says %08x, which is of no chip in the table",
				 s->link->address, ESP_MAGIC_REGISTER, magic);
}

static int read_mac(struct esp_rom *s, const struct esp_chip *c, uint8_t ret[ESP_MAC_BYTES],
	const struct iotime *it, struct err *e)
{
	struct wbytes w = wbytes_of(ret, ESP_MAC_BYTES);
	uint32_t low = 0;
	uint32_t high = 0;
	int r = reg(s, c->mac, &low, it, e);

	if (r == 0)
		r = reg(s, c->mac + 4, &high, it, e);
	wb_be16(&w, (uint16_t)high);
	wb_be32(&w, low);
	return r;
}

/* Three bits, each added when the chip changed (esptool, targets/esp32.py). */
static int major_of_esp32(struct esp_rom *s, uint32_t *ret, const struct iotime *it, struct err *e)
{
	static const struct esp_field bits[] = {
		{0x3ff5a00c, 15, 1}, {0x3ff5a014, 20, 1}, {0x3ff6607c, 31, 1}};
	uint32_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(bits); i++) {
		uint32_t v = 0;

		r = field(s, bits[i], &v, it, e);
		n += r == 0 && v && n == i;
	}
	*ret = n;
	return r;
}

static int read_revision(
	struct esp_rom *s, struct esp_info *i, const struct iotime *it, struct err *e)
{
	const struct esp_chip *c = i->chip;
	uint32_t low = 0;
	uint32_t high = 0;
	uint32_t major = 0;
	int r = field(s, c->minor[0], &low, it, e);

	if (r == 0)
		r = field(s, c->minor[1], &high, it, e);
	if (r == 0)
		r = c->major.address ? field(s, c->major, &major, it, e)
				     : major_of_esp32(s, &major, it, e);
	i->minor = (uint8_t)(low + (high << 3));
	i->major = (uint8_t)major;
	return r;
}

/* --- the flash --- */

int esp_attach(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	/* The usual pins; the second word is for the ROM alone. */
	static const uint8_t data[8] = {0};
	const struct esp_ask attach = {ESP_SPI_ATTACH, data, sizeof data, .what = "SPI_ATTACH"};
	uint8_t sizes[24];
	struct wbytes w = wbytes_of(sizes, sizeof sizes);
	const struct esp_ask params = {
		ESP_SPI_SET_PARAMS, sizes, sizeof sizes, .what = "SPI_SET_PARAMS"};
	int r = esp_command(s, &attach, NULL, it, e);

	if (r < 0 || !s->info.flash_bytes)
		return r;
	wb_le32(&w, 0);
	wb_le32(&w, s->info.flash_bytes);
	wb_le32(&w, 64 * 1024);
	wb_le32(&w, ESP_SECTOR_BYTES);
	wb_le32(&w, 256);
	wb_le32(&w, 0xffff);
	return esp_command(s, &params, NULL, it, e);
}

/* READ ID of the flash, by the registers of its controller: eight bits out, 24 in. */
static int read_flash_id(
	struct esp_rom *s, uint32_t base, uint32_t *ret, const struct iotime *it, struct err *e)
{
	const struct esp_chip *c = s->info.chip;
	uint32_t cmd = CMD_USR;
	int r = esp_write_reg(s, base + c->miso_dlen, ID_BITS - 1, it, e);

	if (r == 0)
		r = esp_write_reg(s, base + c->usr, USR_COMMAND | USR_MISO, it, e);
	if (r == 0)
		r = esp_write_reg(s, base + c->usr2, USR2_8_BITS | READ_ID, it, e);
	if (r == 0)
		r = esp_write_reg(s, base + c->w0, 0, it, e);
	if (r == 0)
		r = esp_write_reg(s, base, CMD_USR, it, e);
	for (unsigned i = 0; r == 0 && cmd & CMD_USR && i < CMD_POLLS; i++)
		r = esp_read_reg(s, base, &cmd, it, e);
	if (r == 0 && cmd & CMD_USR)
		r = err_set(
			e, ERR_TIMEOUT, "%s: the flash does not say what it is", s->link->address);
	if (r == 0)
		r = esp_read_reg(s, base + c->w0, ret, it, e);
	*ret &= 0xffffff;
	return r;
}

/* The third byte is the logarithm of its size; 20 to 22 are 64 to 256 MB in another code of the makers. */
static uint32_t flash_bytes_of(uint32_t id)
{
	uint32_t log2 = id >> 16 & 0xff;

	if (log2 >= 0x20 && log2 <= 0x22)
		log2 -= 6;
	return log2 >= FLASH_LOG2_LOW && log2 <= FLASH_LOG2_HIGH ? 1u << log2 : 0;
}

static int find_flash(struct esp_rom *s, struct esp_info *i, const struct iotime *it, struct err *e)
{
	/* Its registers, and without a size yet. */
	struct esp_info before = s->info;
	int r;

	s->info = *i;
	r = esp_attach(s, it, e);
	if (r == 0)
		r = same_twice(s, read_flash_id, i->chip->spi, &i->flash_id, it, e);
	s->info = before;
	if (r < 0)
		return err_prefix(e, "what flash it is");
	i->flash_bytes = flash_bytes_of(i->flash_id);
	if (!i->flash_bytes && !s->o.flash_bytes)
		return err_set(e, ERR_DEVICE_REFUSED,
			"%s: the flash says id %06x, which tells no size: look at the flash, or give 'flash_size'",
			s->link->address, i->flash_id);
	return 0;
}

int esp_identify(struct esp_rom *s, struct esp_info *ret, const struct iotime *it, struct err *e)
{
	struct esp_info i = {0};
	int r = find_chip(s, &i, it, e);

	if (r == 0 && !i.secure_download)
		r = read_mac(s, i.chip, i.mac, it, e);
	if (r == 0 && !i.secure_download)
		r = read_revision(s, &i, it, e);
	if (r == 0 && !i.secure_download)
		r = find_flash(s, &i, it, e);
	if (r < 0)
		return r;
	i.flash_of_caller = s->o.flash_bytes != 0;
	if (i.flash_of_caller)
		i.flash_bytes = s->o.flash_bytes;
	*ret = i;
	return 0;
}

int esp_prove_unit(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	struct esp_info now = {0};
	int r;

	/* What is asked here does not lead back here. */
	s->known = false;
	r = find_chip(s, &now, it, e);
	if (r == 0 && !now.secure_download)
		r = read_mac(s, now.chip, now.mac, it, e);
	s->known = true;
	if (r < 0)
		return r;
	if (now.chip != s->info.chip || now.secure_download != s->info.secure_download ||
		memcmp(now.mac, s->info.mac, sizeof now.mac) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"%s: another chip answers than before: run the step again",
			s->link->address);
	return 0;
}

int esp_rom_fuses(struct esp_rom *s, uint32_t word[ESP_FUSE_WORDS_MAX], const struct iotime *it,
	struct err *e)
{
	const struct esp_chip *c = s->info.chip;
	int r = 0;

	if (s->info.secure_download)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: in secure download mode the boot ROM shows no fuses",
			s->link->address);
	for (uint32_t i = 0; r == 0 && i < c->fuse_words; i++)
		r = reg(s, c->fuses + 4 * i, &word[i], it, e);
	return r;
}

/* --- rate --- */

int esp_change_baud(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	uint8_t data[8];
	struct wbytes w = wbytes_of(data, sizeof data);
	const struct esp_ask a = {
		ESP_CHANGE_BAUDRATE, data, sizeof data, .what = "CHANGE_BAUDRATE"};
	const struct link_settings want = {.baud = s->o.baud, .parity = LINK_PARITY_NONE};
	uint32_t magic;
	int r;

	if (!s->o.baud || s->o.baud == s->link->baud)
		return 0;
	if (s->info.secure_download) {
		teller_log(
			&s->hooks.tell, '#', "the rate stays: secure download mode knows no other");
		return 0;
	}
	wb_le32(&w, s->o.baud);
	wb_le32(&w, 0); /* the ROM, not a stub */
	r = esp_command(s, &a, NULL, it, e);
	if (r == 0)
		r = link_settings_push(s->link, &want, e);
	if (r == 0)
		r = link_drain(s->link, s->o.times.switch_us, s->o.times.answer_us, NULL, it, e);
	s->at = s->len = 0;
	/* What is missing now is not looked for: the rate is at fault. */
	if (r == 0)
		r = esp_read_reg(s, ESP_MAGIC_REGISTER, &magic, it, e);
	if (r == -ERR_TIMEOUT || r == -ERR_PROTOCOL)
		err_prefix(e, "after the change to %u baud (take a lower 'baud')", s->o.baud);
	return r;
}

/* --- erase, digest, read --- */

int esp_begin(struct esp_rom *s, enum esp_op op, uint32_t at, uint32_t erase, uint32_t packets,
	const struct iotime *it, struct err *e)
{
	uint8_t data[20];
	struct wbytes w = wbytes_of(data, sizeof data);
	struct esp_ask a = {
		op, data, 0, .what = op == ESP_FLASH_BEGIN ? "FLASH_BEGIN" : "FLASH_DEFL_BEGIN"};

	wb_le32(&w, erase);
	wb_le32(&w, packets);
	wb_le32(&w, ESP_BLOCK_BYTES);
	wb_le32(&w, at);
	if (s->info.chip->begin_has_fifth)
		wb_le32(&w, 0); /* not encrypted by the chip */
	a.n = w.len;
	a.more_us = esp_mb_us(s->o.times.erase_us_per_mb, erase);
	return esp_command(s, &a, NULL, it, e);
}

int esp_rom_md5(struct esp_rom *s, uint32_t at, uint32_t n, char ret[MD5_HEX],
	const struct iotime *it, struct err *e)
{
	uint8_t data[16];
	struct wbytes w = wbytes_of(data, sizeof data);
	const struct esp_ask a = {ESP_SPI_FLASH_MD5, data, sizeof data, .want = MD5_HEX - 1,
		.more_us = esp_mb_us(s->o.times.md5_us_per_mb, n), .what = "SPI_FLASH_MD5"};
	struct esp_answer answer = {0};
	int r;

	if (s->info.secure_download)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: in secure download mode the boot ROM tells no digest of its flash",
			s->link->address);
	wb_le32(&w, at);
	wb_le32(&w, n);
	wb_le32(&w, 0);
	wb_le32(&w, 0);
	r = command_surely(s, &a, &answer, it, e);
	if (r < 0)
		return err_prefix(e, "the MD5 of %u bytes at 0x%x", n, at);
	for (size_t i = 0; i < answer.n; i++) {
		if (!isxdigit(answer.data[i])) {
			s->suspect = true;
			return err_set(e, ERR_PROTOCOL,
				"%s: what the boot ROM says for an MD5 is not a hexadecimal number",
				s->link->address);
		}
		ret[i] = (char)tolower(answer.data[i]);
	}
	ret[MD5_HEX - 1] = 0;
	return 0;
}

static int read_block(struct esp_rom *s, uint32_t at, uint8_t *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t data[8];
	struct wbytes w = wbytes_of(data, sizeof data);
	const struct esp_ask a = {ESP_READ_FLASH_SLOW, data, sizeof data, .want = SLOW_BYTES,
		.what = "READ_FLASH_SLOW"};
	struct esp_answer answer = {0};
	int r;

	wb_le32(&w, at);
	wb_le32(&w, n);
	r = command_surely(s, &a, &answer, it, e);
	if (r < 0)
		return err_prefix(e, "reading at 0x%x", at);
	memcpy(buf, answer.data, n);
	return 0;
}

static int read_chunk(struct esp_rom *s, uint32_t at, uint8_t *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	char here[MD5_HEX] = "";
	char there[MD5_HEX] = "";

	for (unsigned i = 0; i < 2; i++) {
		int r = 0;

		for (uint32_t k = 0; r == 0 && k < n; k += SLOW_BYTES)
			r = read_block(s, at + k, buf + k, MIN(n - k, (uint32_t)SLOW_BYTES), it, e);
		if (r == 0)
			r = esp_rom_md5(s, at, n, there, it, e);
		if (r < 0)
			return r;
		if (!md5_hex_of(buf, n, here))
			return err_set(e, ERR_UNSUPPORTED, "this OpenSSL has no MD5");
		if (!strcmp(here, there))
			return 0;
	}
	return err_set(e, ERR_READ_BACK_MISMATCH,
		"%s: %u bytes at 0x%x were read with the MD5 %s, and the chip says %s",
		s->link->address, n, at, here, there);
}

int esp_rom_read(struct esp_rom *s, uint32_t at, void *buf, uint32_t n, const struct iotime *it,
	struct err *e)
{
	for (uint32_t k = 0; k < n; k += READ_CHUNK) {
		int r = read_chunk(s, at + k, (uint8_t *)buf + k, MIN(n - k, READ_CHUNK), it, e);

		if (r < 0)
			return r;
		teller_progress(&s->hooks.tell, "read", MIN(n, k + READ_CHUNK), n);
	}
	return 0;
}

static int check_blank(
	struct esp_rom *s, uint32_t at, uint32_t n, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *blank = malloc(n);
	char want[MD5_HEX];
	char got[MD5_HEX];
	int r;

	if (!blank)
		return err_set(e, ERR_NO_MEMORY, "%u bytes", n);
	memset(blank, 0xff, n);
	if (!md5_hex_of(blank, n, want))
		return err_set(e, ERR_UNSUPPORTED, "this OpenSSL has no MD5");
	r = esp_rom_md5(s, at, n, got, it, e);
	if (r == 0 && strcmp(want, got) != 0)
		r = err_set(e, ERR_VERIFY_MISMATCH,
			"%s: the flash is not blank after the erase: %u bytes at 0x%x have the MD5 %s, %s expected",
			s->link->address, n, at, got, want);
	return r;
}

int esp_rom_erase(
	struct esp_rom *s, uint32_t at, uint32_t n, const struct iotime *it, struct err *e)
{
	if (s->info.secure_download)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: in secure download mode nothing proves that the flash is blank",
			s->link->address);
	for (uint32_t k = 0; k < n; k += ERASE_CHUNK) {
		uint32_t bytes = MIN(n - k, ERASE_CHUNK);
		int r = 0;

		for (unsigned i = 0; i < TRIES; i++) {
			r = esp_begin(s, ESP_FLASH_BEGIN, at + k, bytes, 0, it, e);
			if (r == 0 || !esp_wire_trouble(r) || iotime_check(it, NULL) < 0)
				break;
		}
		if (r == 0)
			r = check_blank(s, at + k, bytes, it, e);
		if (r < 0)
			return r;
		teller_progress(&s->hooks.tell, "erase", MIN(n, k + bytes), n);
	}
	return 0;
}

int esp_rom_reboot(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	static const uint8_t reboot[4] = {0};
	const struct esp_ask a = {ESP_FLASH_END, reboot, sizeof reboot, .what = "FLASH_END"};
	int r = esp_begin(s, ESP_FLASH_BEGIN, 0, 0, 0, it, e);

	return r < 0 ? r : esp_command(s, &a, NULL, it, e);
}
