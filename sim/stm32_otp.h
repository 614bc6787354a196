/* SPDX-License-Identifier: Apache-2.0
 *
 * The one-time memory of an STM32F4 (RM0090, 3.7.5): 16 blocks of 32 bytes, and a byte for each that
 * locks it where it is 00. A bit goes from 1 to 0, for good; nothing erases it. Each write that reached
 * the cells is counted, also over a power cycle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define STM32_OTP_BASE	0x1fff7800u
#define STM32_OTP_BLOCK 32
#define STM32_OTP_LOCKS 16 /* after the blocks, one byte each */
#define STM32_OTP_BYTES (STM32_OTP_LOCKS * STM32_OTP_BLOCK + STM32_OTP_LOCKS)

struct stm32_otp {
	uint8_t cell[STM32_OTP_BYTES];
	uint32_t writes;
	int fd; /* -1: not kept */
};

/* dir may be NULL: nothing is kept. */
int stm32_otp_new(const char *dir, struct stm32_otp **ret, struct err *e);
struct stm32_otp *stm32_otp_free(struct stm32_otp *o);
DEFINE_CLEANUP(struct stm32_otp, stm32_otp_free)

bool stm32_otp_holds(uint32_t address, size_t n);
/* false where a block is locked: nothing is written then. */
bool stm32_otp_write(struct stm32_otp *o, uint32_t address, const uint8_t *p, size_t n);
