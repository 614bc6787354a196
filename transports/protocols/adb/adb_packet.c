/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/adb/adb_packet.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/strbuf.h"
#include "base/util.h"

void adb_packet_encode(const struct adb_packet *p, uint8_t out[ADB_HEADER_BYTES])
{
	struct wbytes w = wbytes_of(out, ADB_HEADER_BYTES);

	wb_le32(&w, p->command);
	wb_le32(&w, p->arg0);
	wb_le32(&w, p->arg1);
	wb_le32(&w, p->length);
	wb_le32(&w, p->check);
	wb_le32(&w, ~p->command);
}

int adb_packet_decode(const uint8_t in[ADB_HEADER_BYTES], struct adb_packet *ret, struct err *e)
{
	struct rbytes b = rbytes_of(in, ADB_HEADER_BYTES);
	struct adb_packet p;
	uint32_t magic;

	p.command = rb_le32(&b);
	p.arg0 = rb_le32(&b);
	p.arg1 = rb_le32(&b);
	p.length = rb_le32(&b);
	p.check = rb_le32(&b);
	magic = rb_le32(&b);
	if (magic != ~p.command)
		return err_set(e, ERR_PROTOCOL,
			"the unit sent no ADB packet: magic 0x%08x for command 0x%08x, 0x%08x expected",
			magic, p.command, ~p.command);
	*ret = p;
	return 0;
}

uint32_t adb_sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += b[i];
	return sum;
}

const char *adb_command_name(uint32_t command, char buf[12])
{
	switch (command) {
	case ADB_CNXN:
		return "CNXN";
	case ADB_AUTH:
		return "AUTH";
	case ADB_OPEN:
		return "OPEN";
	case ADB_OKAY:
		return "OKAY";
	case ADB_WRTE:
		return "WRTE";
	case ADB_CLSE:
		return "CLSE";
	case ADB_STLS:
		return "STLS";
	default:
		snprintf(buf, 12, "0x%08x", command);
		return buf;
	}
}

char *adb_text(const void *p, size_t n, size_t cap)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, p, MIN(n, cap));
	if (n > cap)
		sb_add(&b, "...");
	return sb_take(&b);
}
