/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by stm32_uart.c (session), stm32_uart_commands.c (one command each) and
 * stm32_uart_flash.c (the whole image), and by no one else.
 */
#pragma once

#include "transports/protocols/stm32/stm32_uart.h"

#define STM32_ACK  0x79
#define STM32_NACK 0x1f

struct stm32 {
	struct link *link;
	struct stm32_opts o;
	struct stm32_hooks hooks;
	struct stm32_info info;
	bool suspect; /* an answer is missing and may still come */
};

/* Time of n bytes on the wire. */
uint64_t stm32_wire_us(const struct stm32 *s, uint64_t n);

/* As link_write(). */
int stm32_put(struct stm32 *s, const void *p, size_t n, const struct iotime *it, struct err *e);
/* One byte: 0 for an ACK, -ERR_DEVICE_REFUSED for a NACK, -ERR_PROTOCOL for any other; BUSY is
 * waited out. fmt ends "no answer to ...". */
int stm32_await_ack(struct stm32 *s, uint64_t budget_us, const struct iotime *it, struct err *e,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* An ACK and n bytes of data, at most STM32_BLOCK_BYTES. */
int stm32_await_data(
	struct stm32 *s, void *buf, uint32_t n, const struct iotime *it, struct err *e);
/* code, code^FF and its ACK, after a resync where an answer is missing. -ERR_PROTOCOL where
 * something came before it that no one asked for (except for writes); -ERR_UNSUPPORTED where the
 * ROM has no such command. */
int stm32_begin(struct stm32 *s, enum stm32_command c, const struct iotime *it, struct err *e);
int stm32_send_address(struct stm32 *s, uint32_t address, const struct iotime *it, struct err *e);
/* Brings the ROM back to where it waits for a command, and proves it: Get is answered as before. */
int stm32_resync(struct stm32 *s, const struct iotime *it, struct err *e);
/* After a reset of its own: enters again and synchronises. */
int stm32_reconnect(struct stm32 *s, const struct iotime *it, struct err *e);

/* At most STM32_BLOCK_BYTES; one command each, no retry. */
int stm32_read_block(struct stm32 *s, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e);
int stm32_write_block(struct stm32 *s, uint32_t address, const uint8_t *data, uint32_t n,
	const struct iotime *it, struct err *e);
/* stm32_read_block, again after a resync where the wire lost something. */
int stm32_read_surely(struct stm32 *s, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e);
/* The wire lost or added something: it may do better next time. */
bool stm32_wire_trouble(int r);
