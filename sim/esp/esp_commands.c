/* SPDX-License-Identifier: Apache-2.0
 *
 * What each command of the ROM does (esptool's "Serial Protocol", "Commands").
 */
#include "sim/esp/esp_rom.h"

#include "base/bytes.h"
#include "base/digest.h"

enum {
	FLASH_BEGIN = 0x02,
	FLASH_DATA = 0x03,
	FLASH_END = 0x04,
	SYNC = 0x08,
	WRITE_REG = 0x09,
	READ_REG = 0x0a,
	SPI_SET_PARAMS = 0x0b,
	SPI_ATTACH = 0x0d,
	READ_FLASH_SLOW = 0x0e,
	CHANGE_BAUDRATE = 0x0f,
	DEFL_BEGIN = 0x10,
	DEFL_DATA = 0x11,
	DEFL_END = 0x12,
	SPI_FLASH_MD5 = 0x13,
	GET_SECURITY_INFO = 0x14
};

#define MAGIC_REGISTER 0x40001000u
#define CMD_USR	       (1u << 18)
#define READ_ID	       0x9f
#define SLOW_BYTES     64
#define SUM_SEED       0xef
#define FLAG_SECURE    (1u << 2)

/* -- memory -- */

static uint32_t clock_of_flash(
	const struct esp_rom *s, const char *setting, uint32_t bytes, uint32_t per)
{
	uint64_t us = settings_own_number(s->set, setting);

	return (uint32_t)(us * ((bytes + per - 1) / per));
}

static uint32_t flash_id(const struct esp_rom *s)
{
	uint32_t log2 = 0;

	if (!s->attached)
		return 0xffffff;
	while (1u << log2 < s->memory->size)
		log2++;
	return log2 << 16 | 0x40 << 8 | 0xc8;
}

/* The fuses: the address where the part keeps it, and a revision of 1.1 where that is not said otherwise. */
static uint32_t fuse(const struct esp_rom *s, uint32_t address)
{
	const uint8_t *m = s->mac;

	if (address == s->part->mac)
		return (uint32_t)m[2] << 24 | (uint32_t)m[3] << 16 | (uint32_t)m[4] << 8 | m[5];
	if (address == s->part->mac + 4)
		return (uint32_t)m[0] << 8 | m[1] |
		       (s->part->chip_id == 12 ? 1u << 16 | 1u << 20 : 0);
	if (s->part->chip_id == 0)
		return address == s->part->efuse_from + 12   ? 1u << 15
		       : address == s->part->efuse_from + 20 ? 1u << 24
							     : 0;
	if (s->part->chip_id == 2)
		return address == s->part->mac + 12   ? 1u << 18
		       : address == s->part->mac + 16 ? 1u << 4
						      : 0;
	if (address == s->part->mac + 12)
		return s->part->chip_id == 13	? 1u << 18 | 1u << 22
		       : s->part->chip_id == 16 ? 1u << 18 | 1u << 21
						: 1u << 18;
	if (address == s->part->mac + 20 && s->part->chip_id != 13 && s->part->chip_id != 16)
		return 1u << 24;
	return 0;
}

static uint32_t reg(const struct esp_rom *s, uint32_t address)
{
	const struct esp_part *p = s->part;

	if (address == MAGIC_REGISTER)
		return p->magic;
	if (address - p->efuse_from < 4 * p->efuse_words)
		return fuse(s, address);
	if (address == p->spi + p->w0)
		return s->w0;
	return address == p->spi + p->usr2 ? s->usr2 : 0;
}

static void set_reg(struct esp_rom *s, uint32_t address, uint32_t value)
{
	const struct esp_part *p = s->part;

	if (address == p->spi + p->w0)
		s->w0 = value;
	if (address == p->spi + p->usr2)
		s->usr2 = value;
	if (address == p->spi && value & CMD_USR && (s->usr2 & 0xff) == READ_ID)
		s->w0 = flash_id(s);
}

static bool holds(const struct esp_rom *s, uint32_t at, uint32_t n)
{
	return stm32_memory_holds(s->memory, at, n);
}

/* -- writing -- */

void esp_download_end(struct esp_download *d)
{
	if (d->inflating)
		inflateEnd(&d->inflate);
	memset(d, 0, sizeof *d);
}

static void erase(struct esp_rom *s, uint32_t at, uint32_t n)
{
	uint32_t sectors = (n + ESP_SECTOR - 1) / ESP_SECTOR;

	s->erases += sectors;
	if (sectors && own_fault_hit(s->faults, ESP_NO_ERASE, NULL))
		return;
	for (uint32_t i = 0; i < sectors; i++)
		stm32_memory_erase(s->memory, at / ESP_SECTOR + i);
}

/* Four words, and a fifth (encrypted) of which only 0 is taken. */
static enum esp_status begin(
	struct esp_rom *s, struct rbytes *b, bool compressed, struct esp_answer *ret)
{
	struct esp_download d = {.on = true, .compressed = compressed};
	uint32_t bytes = rb_le32(b);

	d.packets = rb_le32(b);
	d.packet_bytes = rb_le32(b);
	d.at = rb_le32(b);
	if (b->bad || (b->len != b->pos && b->len - b->pos != 4))
		return ESP_INVALID;
	esp_download_end(&s->down);
	if (!s->attached || d.at % ESP_SECTOR || !holds(s, d.at, bytes) ||
		d.packet_bytes > settings_own_number(s->set, "esp-packet"))
		return ESP_FAILED;
	erase(s, d.at, bytes);
	ret->took_us = clock_of_flash(s, "esp-sector-us", bytes, ESP_SECTOR);
	d.end = d.at + (bytes + ESP_SECTOR - 1) / ESP_SECTOR * ESP_SECTOR;
	s->down = d;
	if (compressed)
		s->down.inflating = inflateInit(&s->down.inflate) == Z_OK;
	return ESP_OK;
}

static int64_t place(struct esp_rom *s, enum esp_fault row, uint32_t at, size_t n)
{
	double arg;

	if (!own_fault_set(s->faults, row, &arg) || (uint32_t)arg < at || (uint32_t)arg - at >= n)
		return -1;
	own_fault_hit(s->faults, row, NULL);
	return (int64_t)arg;
}

/* The ROM reads back what it wrote, and says so where that is something else. */
static enum esp_status put(struct esp_rom *s, const uint8_t *p, size_t n)
{
	struct esp_download *d = &s->down;
	uint32_t at = d->at;
	int64_t rotten;

	if (!holds(s, at, (uint32_t)n))
		return ESP_FAILED;
	if (!stm32_memory_write(s->memory, at, p, n, place(s, ESP_WEAK_CELL, at, n)) ||
		memcmp(s->memory->cell + at, p, n) != 0)
		return ESP_WRITE_ERROR;
	d->at += (uint32_t)n;
	rotten = place(s, ESP_BIT_ROT, at, n);
	if (rotten >= 0) {
		uint8_t *cell = s->memory->cell + rotten;

		*cell ^= 1;
		if (s->memory->fd >= 0 && pwrite(s->memory->fd, cell, 1, rotten) != 1)
			return ESP_WRITE_ERROR;
	}
	return ESP_OK;
}

static enum esp_status put_compressed(
	struct esp_rom *s, const uint8_t *p, size_t n, uint32_t *written)
{
	struct esp_download *d = &s->down;
	uint8_t out[4096];

	d->inflate.next_in = (uint8_t *)(uintptr_t)p;
	d->inflate.avail_in = (uInt)n;
	for (;;) {
		enum esp_status status;
		size_t got;
		int z;

		d->inflate.next_out = out;
		d->inflate.avail_out = sizeof out;
		z = inflate(&d->inflate, Z_NO_FLUSH);
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return ESP_DEFLATE;
		got = sizeof out - d->inflate.avail_out;
		*written += (uint32_t)got;
		status = got ? put(s, out, got) : ESP_OK;
		if (status != ESP_OK)
			return status;
		if (z == Z_STREAM_END || (got < sizeof out && d->inflate.avail_in == 0))
			return ESP_OK;
		if (z == Z_BUF_ERROR)
			return ESP_DEFLATE;
	}
}

static enum esp_status data(
	struct esp_rom *s, struct rbytes *b, uint32_t sum, bool compressed, struct esp_answer *ret)
{
	struct esp_download *d = &s->down;
	uint32_t bytes = rb_le32(b);
	uint32_t seq = rb_le32(b);
	uint8_t x = SUM_SEED;
	uint32_t written = 0;
	enum esp_status status;
	const uint8_t *p;

	rb_take(b, 8);
	p = rb_take(b, bytes);
	if (!p || b->pos != b->len)
		return ESP_INVALID;
	for (uint32_t i = 0; i < bytes; i++)
		x ^= p[i];
	if (x != (uint8_t)sum || own_fault_hit(s->faults, ESP_BAD_SUM, NULL))
		return ESP_CHECKSUM;
	if (!d->on || d->compressed != compressed || seq != d->next || seq >= d->packets ||
		bytes > d->packet_bytes)
		return ESP_FAILED;
	s->writes++;
	status = compressed ? put_compressed(s, p, bytes, &written) : put(s, p, bytes);
	ret->took_us = clock_of_flash(s, "esp-write-us", compressed ? written : bytes, 0x400);
	if (status == ESP_OK)
		d->next++;
	return status;
}

/* -- looking -- */

static enum esp_status md5(struct esp_rom *s, struct rbytes *b, struct esp_answer *ret)
{
	uint32_t at = rb_le32(b);
	uint32_t bytes = rb_le32(b);
	char hex[MD5_HEX];

	if (b->bad)
		return ESP_INVALID;
	if (!s->attached || !holds(s, at, bytes))
		return ESP_FAILED;
	s->md5s++;
	if (!md5_hex_of(s->memory->cell + at, bytes, hex))
		return ESP_FAILED;
	if (own_fault_hit(s->faults, ESP_WRONG_MD5, NULL))
		hex[0] = hex[0] == '0' ? '1' : '0';
	ret->n = MD5_HEX - 1;
	memcpy(ret->data, hex, ret->n);
	ret->took_us = clock_of_flash(s, "esp-read-us", bytes, ESP_SECTOR);
	return ESP_OK;
}

static enum esp_status read_slow(struct esp_rom *s, struct rbytes *b, struct esp_answer *ret)
{
	uint32_t at = rb_le32(b);
	uint32_t bytes = rb_le32(b);

	if (b->bad)
		return ESP_INVALID;
	if (bytes > SLOW_BYTES)
		return ESP_LENGTH;
	if (!s->attached || !holds(s, at, bytes))
		return ESP_FAILED;
	/* It answers all of its buffer, however few bytes were asked for. */
	ret->n = SLOW_BYTES;
	memset(ret->data, 0, SLOW_BYTES);
	memcpy(ret->data, s->memory->cell + at, bytes);
	return ESP_OK;
}

static enum esp_status security(struct esp_rom *s, struct esp_answer *ret)
{
	struct wbytes w = wbytes_of(ret->data, sizeof ret->data);

	wb_le32(&w, s->secure ? FLAG_SECURE : 0);
	wb_u8(&w, (uint8_t)settings_own_number(s->set, "esp-crypt-count"));
	wb_fill(&w, 0, 7);
	if (s->part->security_bytes == 20) {
		wb_le32(&w, s->part->chip_id);
		wb_le32(&w, 1);
	}
	ret->n = w.len;
	return ESP_OK;
}

static enum esp_status attach(struct esp_rom *s, struct rbytes *b)
{
	rb_le32(b);
	if (b->bad)
		return ESP_INVALID;
	s->attached = true;
	return ESP_OK;
}

static enum esp_status params(struct esp_rom *s, const struct rbytes *b)
{
	if (b->len != 24)
		return ESP_INVALID;
	s->sized = true;
	return ESP_OK;
}

static enum esp_status baud(struct esp_rom *s, struct rbytes *b)
{
	s->new_baud = rb_le32(b);
	return b->len == 8 && s->new_baud ? ESP_OK : ESP_INVALID;
}

static enum esp_status write_reg(struct esp_rom *s, struct rbytes *b)
{
	uint32_t address = rb_le32(b);
	uint32_t value = rb_le32(b);

	rb_take(b, 8);
	if (b->bad)
		return ESP_INVALID;
	set_reg(s, address, value);
	return ESP_OK;
}

static enum esp_status read_reg(struct esp_rom *s, struct rbytes *b, struct esp_answer *ret)
{
	ret->value = reg(s, rb_le32(b));
	return b->len == 4 ? ESP_OK : ESP_INVALID;
}

/* In secure download mode the ROM writes flash, and reads nothing (esp-idf, "Security Overview", UART download mode). */
static bool has(const struct esp_rom *s, uint8_t op)
{
	switch (op) {
	case SYNC:
	case FLASH_BEGIN:
	case FLASH_DATA:
	case FLASH_END:
	case DEFL_BEGIN:
	case DEFL_DATA:
	case DEFL_END:
	case SPI_SET_PARAMS:
	case SPI_ATTACH:
		return true;
	case GET_SECURITY_INFO:
		return s->part->security_bytes > 0;
	case WRITE_REG:
	case READ_REG:
	case READ_FLASH_SLOW:
	case CHANGE_BAUDRATE:
	case SPI_FLASH_MD5:
		return !s->secure;
	default:
		return false;
	}
}

bool esp_command_leaves(uint8_t op)
{
	return op == FLASH_END || op == DEFL_END;
}

static enum esp_status run(
	struct esp_rom *s, struct rbytes *b, uint32_t sum, struct esp_answer *ret)
{
	switch (s->op) {
	case FLASH_BEGIN:
	case DEFL_BEGIN:
		return begin(s, b, s->op == DEFL_BEGIN, ret);
	case FLASH_DATA:
	case DEFL_DATA:
		return data(s, b, sum, s->op == DEFL_DATA, ret);
	case WRITE_REG:
		return write_reg(s, b);
	case READ_REG:
		return read_reg(s, b, ret);
	case SPI_SET_PARAMS:
		return params(s, b);
	case SPI_ATTACH:
		return attach(s, b);
	case READ_FLASH_SLOW:
		return read_slow(s, b, ret);
	case CHANGE_BAUDRATE:
		return baud(s, b);
	case SPI_FLASH_MD5:
		return md5(s, b, ret);
	case GET_SECURITY_INFO:
		return security(s, ret);
	case FLASH_END:
	case DEFL_END:
		return b->len == 4 ? ESP_OK : ESP_INVALID;
	default:
		ret->value = 0x20120707;
		return b->len == 36 ? ESP_OK : ESP_INVALID;
	}
}

void esp_command_run(
	struct esp_rom *s, const uint8_t *p, size_t n, uint32_t sum, struct esp_answer *ret)
{
	struct rbytes b = rbytes_of(p, n);

	*ret = (struct esp_answer){0};
	ret->unknown = !has(s, s->op);
	ret->status = ret->unknown ? ESP_INVALID : run(s, &b, sum, ret);
	if (ret->status != ESP_OK)
		ret->n = 0;
}
