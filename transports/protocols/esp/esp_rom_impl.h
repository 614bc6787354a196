/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by esp_rom.c (frames, turns, connecting), esp_rom_commands.c (one command each) and esp_rom_flash.c (all of an
 * image), and by no one else.
 */
#pragma once

#include "transports/protocols/esp/esp_rom.h"

#define ESP_ANSWER_MAX 256
#define ESP_NOISE_KEPT 512

enum esp_op {
	ESP_FLASH_BEGIN = 0x02,
	ESP_FLASH_DATA = 0x03,
	ESP_FLASH_END = 0x04,
	ESP_SYNC = 0x08,
	ESP_WRITE_REG = 0x09,
	ESP_READ_REG = 0x0a,
	ESP_SPI_SET_PARAMS = 0x0b,
	ESP_SPI_ATTACH = 0x0d,
	ESP_READ_FLASH_SLOW = 0x0e,
	ESP_CHANGE_BAUDRATE = 0x0f,
	ESP_FLASH_DEFL_BEGIN = 0x10,
	ESP_FLASH_DEFL_DATA = 0x11,
	ESP_SPI_FLASH_MD5 = 0x13,
	ESP_GET_SECURITY_INFO = 0x14
};

struct esp_rom {
	struct link *link;
	struct esp_opts o;
	struct esp_hooks hooks;
	struct esp_info info;
	uint64_t first_baud; /* at which the ROM begins */
	bool suspect;	     /* an answer is missing and may still come */
	bool known;	     /* info is of this chip: it has to stay the same */
	uint8_t in[512];     /* read and not looked at */
	size_t at, len;
	uint8_t frame[ESP_ANSWER_MAX];
	size_t frame_len;
	bool escaped, broken;
	char noise[ESP_NOISE_KEPT]; /* the first bytes that were in no frame: a boot log */
	size_t noise_len;
};

struct esp_answer {
	uint32_t value;
	const uint8_t *data; /* until the next command */
	size_t n;
};

/* One command: data of n bytes, and an answer with `want` bytes before its status. what names it in messages. After a resync
 * where an answer is missing. -ERR_DEVICE_REFUSED and the like by the status of the answer, -ERR_UNSUPPORTED where the ROM
 * does not have it, -ERR_PROTOCOL where what came is not the answer. ret may be NULL. */
struct esp_ask {
	enum esp_op op;
	const uint8_t *data;
	size_t n;
	uint8_t sum;
	size_t want;
	size_t or_want;	  /* of an answer that may be shorter; 0: none */
	uint64_t more_us; /* that it may take, besides times.answer_us */
	const char *what;
};
int esp_command(struct esp_rom *s, const struct esp_ask *a, struct esp_answer *ret,
	const struct iotime *it, struct err *e);

/* SYNC until it is answered, and the same chip; its flash is attached again. */
int esp_resync(struct esp_rom *s, const struct iotime *it, struct err *e);
/* The wire lost or added something: it may do better next time. */
bool esp_wire_trouble(int r);
uint64_t esp_mb_us(uint64_t us_per_mb, uint64_t bytes);

/* One command each. */
int esp_read_reg(
	struct esp_rom *s, uint32_t address, uint32_t *ret, const struct iotime *it, struct err *e);
int esp_write_reg(struct esp_rom *s, uint32_t address, uint32_t value, const struct iotime *it,
	struct err *e);
int esp_attach(struct esp_rom *s, const struct iotime *it, struct err *e);
int esp_change_baud(struct esp_rom *s, const struct iotime *it, struct err *e);
int esp_begin(struct esp_rom *s, enum esp_op op, uint32_t at, uint32_t erase, uint32_t packets,
	const struct iotime *it, struct err *e);

/* Which chip, its fuses and its flash, into *ret. */
int esp_identify(struct esp_rom *s, struct esp_info *ret, const struct iotime *it, struct err *e);
/* -ERR_WRONG_DEVICE where it is not the one of info. */
int esp_prove_unit(struct esp_rom *s, const struct iotime *it, struct err *e);
