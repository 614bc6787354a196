/* SPDX-License-Identifier: Apache-2.0
 *
 * The one-time memory of a virtual board. A bit goes one way, for good: a fuse from 0 to 1, a cell of
 * one-time flash from 1 to 0. What would go the other way stays as it is, as in silicon: the board
 * does not refuse it. Each write that reached the cells is kept, so that a test can count them.
 *
 *	open ──OTP_LOCK──> locked: no more writes; a key field reads no more either
 *
 * Hex is the whole field, the first byte first; of a field with no whole bytes the number.
 */
#include <string.h>

#include "base/digest.h"
#include "sim/guide/board_impl.h"

#define OTP_BYTES 64

static const struct otp_field {
	const char *name;
	unsigned bits;
	bool fuse;  /* 0 to 1; else 1 to 0 */
	bool hides; /* reads no more once it is locked */
} fields[] = {
	{"boot", 4, true, false},
	{"flags", 32, true, false},
	{"key", 256, true, true},
	{"serial", 128, false, false},
	{"digest", 256, false, false},
};

/* One field as the unit has it. */
struct cells {
	const struct otp_field *f;
	json_t *kept;
	uint8_t bit[OTP_BYTES];
	size_t n;
};

static json_t *member(json_t *o, const char *name, json_t *blank)
{
	json_t *v = json_object_get(o, name);

	if (v)
		json_decref(blank);
	else
		json_object_set_new(o, name, v = blank);
	return v;
}

/* The highest byte of a field with no whole bytes has bits that are not there. */
static uint8_t present(const struct otp_field *f)
{
	return f->bits % 8 ? (uint8_t)((1u << f->bits % 8) - 1) : 0xff;
}

static bool find(struct board *b, const char *name, struct cells *ret)
{
	json_t *all = member(b->unit->values, "otp", json_object());
	const char *hex;

	*ret = (struct cells){0};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!strcmp(fields[i].name, name))
			ret->f = &fields[i];
	if (!ret->f)
		return false;
	ret->n = (ret->f->bits + 7) / 8;
	ret->kept = member(all, name, json_pack("{s:b, s:[]}", "locked", false, "writes"));
	hex = json_string_value(json_object_get(ret->kept, "value"));
	memset(ret->bit, ret->f->fuse ? 0 : 0xff, ret->n);
	ret->bit[0] &= present(ret->f);
	return !hex || hex_parse(hex, ret->bit, ret->n);
}

static void keep(struct board *b, struct cells *c)
{
	char hex[2 * OTP_BYTES + 1];

	json_object_set_new(c->kept, "value", json_string(hex_of(c->bit, c->n, hex)));
	board_keep(b);
}

static bool is_locked(const struct cells *c)
{
	return json_is_true(json_object_get(c->kept, "locked"));
}

/* At most `most` bits, the first byte's highest first. */
static void burn(struct cells *c, const uint8_t *wanted, unsigned most)
{
	for (size_t i = 0; i < 8 * c->n && most; i++) {
		uint8_t mask = (uint8_t)(0x80 >> i % 8);
		uint8_t *at = &c->bit[i / 8];

		if (!((*at ^ wanted[i / 8]) & mask) || !(*at & mask) != c->f->fuse)
			continue;
		*at ^= mask;
		most--;
	}
}

/* The field that the first word names; *ret_hex is what follows it. */
static bool name_and_hex(struct board *b, char *args, struct cells *ret, const char **ret_hex)
{
	char *hex = strchr(args, ' ');

	*ret_hex = "";
	if (hex) {
		*hex++ = '\0';
		*ret_hex = hex;
	}
	return find(b, args, ret);
}

static void otp_answer(struct board *b, uint64_t t_us, const char *text)
{
	if (!fault_hit(b->faults, FAULT_OTP_LOST, FAULT_PHASE_CONSOLE, NULL))
		board_answer(b, t_us, text);
}

void cmd_otp_write(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(freep) char *copy = xstrdup(args);
	const char *hex;
	struct cells c;
	uint8_t wanted[OTP_BYTES];
	double bits = 8 * OTP_BYTES;

	if (!name_and_hex(b, copy, &c, &hex) || !hex_parse(hex, wanted, c.n) ||
		wanted[0] & ~present(c.f)) {
		board_answer(b, t_us, "ERR RANGE");
		return;
	}
	if (is_locked(&c)) {
		board_answer(b, t_us, "ERR LOCKED");
		return;
	}
	if (fault_hit(b->faults, FAULT_OTP_LIE, FAULT_PHASE_CONSOLE, NULL)) {
		board_answer(b, t_us, "OK");
		return;
	}

	bool half = fault_hit(b->faults, FAULT_OTP_HALF, FAULT_PHASE_CONSOLE, &bits);

	burn(&c, wanted, (unsigned)bits);
	json_array_append_new(json_object_get(c.kept, "writes"), json_string(hex));
	unit_count(b->unit, "burns", 1);
	keep(b, &c);
	if (half)
		board_power_lost(b);
	else
		otp_answer(b, t_us, "OK");
}

void cmd_otp_read(struct board *b, const char *args, uint64_t t_us)
{
	char hex[2 * OTP_BYTES + 1];
	struct cells c;

	if (!find(b, args, &c)) {
		board_answer(b, t_us, "ERR RANGE");
		return;
	}
	if ((c.f->hides && is_locked(&c)) ||
		fault_hit(b->faults, FAULT_OTP_PROTECTED, FAULT_PHASE_CONSOLE, NULL)) {
		board_answer(b, t_us, "ERR PROTECTED");
		return;
	}

	_cleanup_(freep) char *text = xasprintf("OTP %s %s", args, hex_of(c.bit, c.n, hex));

	board_answer(b, t_us, text);
}

void cmd_otp_lock(struct board *b, const char *args, uint64_t t_us)
{
	struct cells c;

	if (!find(b, args, &c)) {
		board_answer(b, t_us, "ERR RANGE");
		return;
	}
	json_object_set_new(c.kept, "locked", json_true());
	unit_count(b->unit, "locks", 1);
	board_keep(b);
	otp_answer(b, t_us, "OK");
}

void cmd_otp_state(struct board *b, const char *args, uint64_t t_us)
{
	struct cells c;

	if (!find(b, args, &c)) {
		board_answer(b, t_us, "ERR RANGE");
		return;
	}

	_cleanup_(freep) char *text =
		xasprintf("OTP %s %s", args, is_locked(&c) ? "locked" : "open");

	board_answer(b, t_us, text);
}
