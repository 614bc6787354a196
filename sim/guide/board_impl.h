/* SPDX-License-Identifier: Apache-2.0
 *
 * Between board.c (time, frames, states) and console.c (lines).
 */
#pragma once

#include "sim/guide/board.h"

/* Queues bytes from ready_us on, through the faults of the way out. */
void board_send(
	struct board *b, enum fault_phase phase, uint64_t ready_us, const void *p, size_t n);
/* As board_send, with the line's end. */
void board_say(struct board *b, uint64_t ready_us, const char *text);
/* The answer to a command: what the faults make of it, and the prompt. */
void board_answer(struct board *b, uint64_t ready_us, const char *text);
void board_start_application(struct board *b, uint64_t t_us);
void board_erase(struct board *b, uint64_t t_us);
/* The power goes off and on in the middle of what it does: no answer, and what is burnt stays. */
void board_power_lost(struct board *b);
/* The unit's state has changed: keep it before the answer. */
void board_keep(struct board *b);

/* Commands of the application (values.c): each answers by itself. */
void cmd_set_mac(struct board *b, const char *args, uint64_t t_us);
void cmd_get_mac(struct board *b, const char *args, uint64_t t_us);
void cmd_set_license(struct board *b, const char *args, uint64_t t_us);
void cmd_get_license(struct board *b, const char *args, uint64_t t_us);
void cmd_set_flag(struct board *b, const char *args, uint64_t t_us);
void cmd_get_flags(struct board *b, const char *args, uint64_t t_us);

/* Commands of its analogue input (adc.c). */
void cmd_adc_raw(struct board *b, const char *args, uint64_t t_us);
void cmd_read_adc(struct board *b, const char *args, uint64_t t_us);
void cmd_set_adc_cal(struct board *b, const char *args, uint64_t t_us);
void cmd_get_adc_cal(struct board *b, const char *args, uint64_t t_us);
void cmd_set_adc_point(struct board *b, const char *args, uint64_t t_us);
void cmd_get_adc_point(struct board *b, const char *args, uint64_t t_us);

/* Commands of its fuses (otp.c). */
void cmd_otp_write(struct board *b, const char *args, uint64_t t_us);
void cmd_otp_read(struct board *b, const char *args, uint64_t t_us);
void cmd_otp_lock(struct board *b, const char *args, uint64_t t_us);
void cmd_otp_state(struct board *b, const char *args, uint64_t t_us);

/* Commands of its secure element (credentials.c). */
void cmd_key_gen(struct board *b, const char *args, uint64_t t_us);
void cmd_key_csr(struct board *b, const char *args, uint64_t t_us);
void cmd_key_sign(struct board *b, const char *args, uint64_t t_us);
void cmd_key_write(struct board *b, const char *args, uint64_t t_us);
void cmd_key_pub(struct board *b, const char *args, uint64_t t_us);
void cmd_cert_write(struct board *b, const char *args, uint64_t t_us);
void cmd_cert_read(struct board *b, const char *args, uint64_t t_us);
/* A line of the certificate that CERT_WRITE began. */
void board_cert_line(struct board *b, const char *line, uint64_t t_us);

/* A whole line came, without its end (console.c). */
void console_line(struct board *b, const char *line, uint64_t t_us);
