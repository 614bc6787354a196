/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by esp_rom.c (frames and answers), esp_commands.c (what a command does) and esp_device.c (the device of the row),
 * and by no one else.
 */
#pragma once

#include <zlib.h>

#include "sim/device.h"
#include "sim/esp/esp_chips.h"
#include "sim/stm32_memory.h"
#include "sim/wire.h"

#define ESP_FRAME_MAX  0x4100
#define ESP_ANSWER_MAX 128
#define ESP_BLOCK_MAX  0x4000
#define ESP_SECTOR     0x1000u

enum esp_state { ESP_OFF, ESP_RESET, ESP_WAITING, ESP_SYNCED, ESP_APPLICATION };

/* Codes in the status of an answer (esptool's "Serial Protocol", "ROM Loader Errors"). */
enum esp_status {
	ESP_OK = 0,
	ESP_INVALID = 5,
	ESP_FAILED = 6,
	ESP_CHECKSUM = 7,
	ESP_WRITE_ERROR = 8,
	ESP_LENGTH = 10,
	ESP_DEFLATE = 11
};

/* The rows of the faults, in esp_device.c. */
enum esp_fault {
	ESP_SILENT,
	ESP_LATE,
	ESP_TWICE,
	ESP_REFUSE,
	ESP_BAD_SUM,
	ESP_WRONG_MD5,
	ESP_WEAK_CELL,
	ESP_BIT_ROT,
	ESP_NO_ERASE,
	ESP_NOISE,
	ESP_CUT,
	ESP_RESETS
};

/* A download that FLASH_BEGIN or FLASH_DEFL_BEGIN began. */
struct esp_download {
	bool on, compressed;
	uint32_t at, end; /* the next byte, and the end of what was erased */
	uint32_t packets, packet_bytes, next;
	z_stream inflate;
	bool inflating;
};

struct esp_rom {
	struct device device;
	const struct board_settings *set;
	struct faults *wire_faults;
	struct own_faults *faults;
	const struct esp_part *part;
	bool secure; /* secure download mode */
	struct stm32_memory *memory;
	struct wire wire;
	enum esp_state state;
	bool stalled, held, attached, sized;
	bool download; /* the flag of the USB controller */
	uint8_t mac[6];
	uint32_t usr2, w0; /* registers of the flash's controller */
	uint8_t op;	   /* the last command */
	uint8_t frame[ESP_FRAME_MAX];
	size_t len;
	bool escaped, too_long;
	uint32_t new_baud; /* once the answer is said; 0: none */
	struct esp_download down;
	uint64_t busy_until_us;
	uint64_t writes, erases, md5s, resets, syncs, baud;
};

void esp_rom_reset(struct esp_rom *s, bool download, uint64_t now_us);
void esp_rom_say(struct esp_rom *s, uint64_t now_us, const void *p, size_t n);
/* A byte of the host came through. */
void esp_rom_take(struct esp_rom *s, uint8_t b, uint64_t now_us);
enum fault_phase esp_rom_phase(const struct esp_rom *s);
void esp_download_end(struct esp_download *d);

/* What a command answers: its value, and n bytes of data before the status. */
struct esp_answer {
	uint32_t value;
	uint8_t data[ESP_ANSWER_MAX];
	size_t n;
	enum esp_status status;
	bool unknown; /* the ROM has no such command */
	uint64_t took_us;
};
void esp_command_run(
	struct esp_rom *s, const uint8_t *p, size_t n, uint32_t sum, struct esp_answer *ret);
/* Whether the ROM leaves for the application after that command. */
bool esp_command_leaves(uint8_t op);
