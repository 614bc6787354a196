/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/nordic_init.h"

#include <string.h>

#include "base/util.h"

/* dfu-cc.proto: the numbers of the fields. */
enum { PACKET_COMMAND = 1, PACKET_SIGNED = 2 };
enum { SIGNED_COMMAND = 1 };
enum { COMMAND_OP = 1, COMMAND_INIT = 2 };
enum {
	INIT_VERSION = 1,
	INIT_HARDWARE = 2,
	INIT_SD_REQ = 3,
	INIT_TYPE = 4,
	INIT_SD_BYTES = 5,
	INIT_BL_BYTES = 6,
	INIT_APP_BYTES = 7,
	INIT_HASH = 8,
	INIT_DEBUG = 9
};
enum { HASH_TYPE = 1, HASH_BYTES = 2 };
#define HASH_SHA256 3

/* One field: a number, or bytes. */
struct item {
	uint32_t field;
	bool is_bytes;
	uint64_t number;
	const uint8_t *p;
	size_t n;
};

struct message {
	const uint8_t *p;
	size_t n;
};

static bool take_varint(struct message *m, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; m->n > 0 && shift < 64; shift += 7) {
		uint8_t b = *m->p++;

		m->n--;
		*ret |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct message *m, size_t n)
{
	if (n > m->n)
		return false;
	m->p += n;
	m->n -= n;
	return true;
}

/* 1 with the next field, 0 at the end, -1 for what is cut off. */
static int next(struct message *m, struct item *ret)
{
	uint64_t key;

	*ret = (struct item){0};
	if (m->n == 0)
		return 0;
	if (!take_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
		return -1;
	ret->field = (uint32_t)(key >> 3);
	switch (key & 7) {
	case 0:
		return take_varint(m, &ret->number) ? 1 : -1;
	case 1:
		return skip(m, 8) ? 1 : -1;
	case 5:
		return skip(m, 4) ? 1 : -1;
	case 2:
		if (!take_varint(m, &ret->number) || ret->number > m->n)
			return -1;
		ret->is_bytes = true;
		ret->p = m->p;
		ret->n = (size_t)ret->number;
		return skip(m, ret->n) ? 1 : -1;
	default:
		return -1;
	}
}

/* The field of a message that is a message itself; the last one counts. */
static bool find(struct message m, uint32_t field, struct message *ret)
{
	struct item x;
	bool found = false;
	int r;

	while ((r = next(&m, &x)) > 0)
		if (x.field == field && x.is_bytes) {
			*ret = (struct message){x.p, x.n};
			found = true;
		}
	return r == 0 && found;
}

static bool take_hash(struct message m, struct nordic_init *i)
{
	struct item x;
	uint64_t type = 0;
	int r;

	while ((r = next(&m, &x)) > 0) {
		if (x.field == HASH_TYPE)
			type = x.number;
		if (x.field != HASH_BYTES || !x.is_bytes || x.n != SHA256_BYTES)
			continue;
		for (size_t k = 0; k < SHA256_BYTES; k++)
			i->sha256[k] = x.p[SHA256_BYTES - 1 - k];
		i->has_sha256 = true;
	}
	i->has_sha256 &= type == HASH_SHA256;
	return r == 0;
}

/* A list of numbers, one by one or packed. */
static bool take_sd_req(const struct item *x, struct nordic_init *i)
{
	struct message m = {x->p, x->n};
	uint64_t v = x->number;

	while (!x->is_bytes || m.n > 0) {
		if (x->is_bytes && !take_varint(&m, &v))
			return false;
		if (i->sd_reqs < NORDIC_SD_MAX)
			i->sd_req[i->sd_reqs++] = (uint32_t)v;
		if (!x->is_bytes)
			break;
	}
	return true;
}

static const char *type_of(uint64_t v)
{
	static const char *const names[] = {"application", "softdevice", "bootloader",
		"softdevice and bootloader", "external application"};

	return v < ARRAY_LEN(names) ? names[v] : "";
}

static bool take_item(const struct item *x, struct nordic_init *i)
{
	switch (x->field) {
	case INIT_VERSION:
		i->has_version = true;
		i->version = (uint32_t)x->number;
		return true;
	case INIT_HARDWARE:
		i->hardware = (uint32_t)x->number;
		return true;
	case INIT_SD_REQ:
		return take_sd_req(x, i);
	case INIT_TYPE:
		i->type = type_of(x->number);
		return true;
	case INIT_SD_BYTES:
		i->sd_bytes = (uint32_t)x->number;
		return true;
	case INIT_BL_BYTES:
		i->bl_bytes = (uint32_t)x->number;
		return true;
	case INIT_APP_BYTES:
		i->app_bytes = (uint32_t)x->number;
		return true;
	case INIT_HASH:
		return x->is_bytes && take_hash((struct message){x->p, x->n}, i);
	case INIT_DEBUG:
		i->is_debug = x->number != 0;
		return true;
	default:
		return true;
	}
}

int nordic_init_read(
	const char *name, const uint8_t *bytes, size_t n, struct nordic_init *ret, struct err *e)
{
	struct message all = {bytes, n};
	struct message command;
	struct message signed_command;
	struct message init;
	struct nordic_init i = {.type = "application"};
	struct item x;
	int r = 1;

	if (find(all, PACKET_SIGNED, &signed_command)) {
		i.is_signed = true;
		if (!find(signed_command, SIGNED_COMMAND, &command))
			r = -1;
	} else if (!find(all, PACKET_COMMAND, &command)) {
		r = -1;
	}
	if (r > 0 && !find(command, COMMAND_INIT, &init))
		r = -1;
	while (r > 0 && (r = next(&init, &x)) > 0)
		if (!take_item(&x, &i))
			r = -1;
	if (r < 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"init packet %s is not one of Nordic's secure bootloader, or is cut off (packages of SDK 11 and before have another kind)",
			name);
	*ret = i;
	return 0;
}
