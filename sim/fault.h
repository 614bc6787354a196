/* SPDX-License-Identifier: Apache-2.0
 *
 * What can go wrong with a board, as filters and answers between the wire and the board. One const
 * table (fault.c) drives parsing, `provsim faults` and behaviour.
 *
 * A fault is text: NAME[=ARG][,phase=write|read|console][,count=N]; count=0 is for ever. Byte
 * numbers count from 0, in the bytes of that phase since the fault was set.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* write: frames of opcode 01 and their ACK; read: opcode 02 and the data; console: all lines. */
enum fault_phase { FAULT_PHASE_ANY, FAULT_PHASE_WRITE, FAULT_PHASE_READ, FAULT_PHASE_CONSOLE };

enum fault_id {
	FAULT_DROP,
	FAULT_DROP_REPLY,
	FAULT_FLIP,
	FAULT_FLIP_REPLY,
	FAULT_LATE_ACK,
	FAULT_LOST_ACK,
	FAULT_WRONG_ACK,
	FAULT_NAK,
	FAULT_CHATTER,
	FAULT_ECHO,
	FAULT_PROMPT,
	FAULT_SPLIT,
	FAULT_STALL,
	FAULT_DISAPPEAR,
	FAULT_REPLUG,
	FAULT_SWAP,
	FAULT_NOT_OK,
	FAULT_REFUSE_SERIAL,
	FAULT_VALUE_WRONG,
	FAULT_VALUE_CUT,
	FAULT_OTP_HALF,
	FAULT_OTP_LIE,
	FAULT_OTP_LOST,
	FAULT_OTP_PROTECTED,
	FAULT_KEY_OTHER,
	FAULT_CSR_OTHER,
	FAULT_CERT_CUT,
	FAULT_LYING_READ,
	FAULT_WEAK_CELL,
	FAULT_NO_ERASE,
	FAULT_SLOW_ERASE,
	FAULT_NAN_TEMP,
	FAULT_TEMP,
	FAULT_GARBAGE,
	FAULT_HUGE_LINE,
	FAULT_NUL,
	FAULT_ID_COUNT
};

#define FAULTS_MAX 32

struct fault {
	enum fault_id id;
	enum fault_phase phase;
	double arg;
	unsigned count; /* times left; 0: for ever */
	uint64_t seen;	/* bytes of its stream */
};

struct faults {
	struct fault list[FAULTS_MAX];
	size_t n;
	uint64_t fired; /* in all, the ended ones included */
};

/* What becomes of a byte on its way to the board. */
enum fault_fate { FATE_PASS, FATE_DROP, FATE_STALL, FATE_DISAPPEAR, FATE_REPLUG, FATE_SWAP };

int faults_add(struct faults *f, const char *spec, struct err *e);
void faults_clear(struct faults *f);
/* Whether such a fault is set for this phase; uses up one count. *ret_arg may be NULL. */
bool fault_hit(struct faults *f, enum fault_id id, enum fault_phase phase, double *ret_arg);
/* As fault_hit, for faults at a place in the flash: only if it lies in [offset, offset + n). */
bool fault_hit_range(
	struct faults *f, enum fault_id id, uint64_t offset, size_t n, uint64_t *ret_place);
/* A byte to the board; may change it. */
enum fault_fate fault_in(struct faults *f, enum fault_phase phase, uint8_t *byte);
/* Bytes from the board, changed in place; returns how many are left. */
size_t fault_out(struct faults *f, enum fault_phase phase, uint8_t *p, size_t n);

/* What is set, as a list of objects. */
json_t *faults_json(const struct faults *f);
/* The table for people. */
void faults_print(FILE *out);
