/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read from ADB streams: shell frames, sync replies, a recovery's words. The device's
 * packets are right; their data is the input, in pieces of a length byte and so many bytes, after
 * two bytes that choose what is asked and which features the device has. It closes the stream
 * after the last piece.
 */
#include "tests/fuzz/fuzz.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/adb/adb_services.h"
#include "transports/protocols/adb/adb_sideload.h"

struct device {
	const uint8_t *bytes;
	size_t n, at;
	const char *features;
	struct strbuf heard;
	uint32_t id; /* of the host's stream, 0: none */
	bool may_say;
};

static void say(struct fake_link *f, uint32_t command, uint32_t arg0, uint32_t arg1, const void *p,
	size_t n)
{
	const struct adb_packet packet = {command, arg0, arg1, (uint32_t)n, adb_sum(p, n)};
	uint8_t header[ADB_HEADER_BYTES];

	adb_packet_encode(&packet, header);
	fake_say(f, header, sizeof header);
	fake_say(f, p, n);
}

static void say_next(struct fake_link *f)
{
	struct device *d = f->data;
	size_t k;

	if (!d->id || !d->may_say)
		return;
	d->may_say = false;
	if (d->at >= d->n) {
		say(f, ADB_CLSE, 7, d->id, NULL, 0);
		d->id = 0;
		return;
	}
	k = d->bytes[d->at++];
	k = MIN(k, d->n - d->at);
	say(f, ADB_WRTE, 7, d->id, d->bytes + d->at, k);
	d->at += k;
}

static void take_packet(struct fake_link *f, const struct adb_packet *p)
{
	struct device *d = f->data;
	char banner[200];

	switch (p->command) {
	case ADB_CNXN:
		snprintf(banner, sizeof banner, "device::features=%s", d->features);
		say(f, ADB_CNXN, ADB_VERSION, 4096, banner, strlen(banner));
		break;
	case ADB_OPEN:
		d->id = p->arg0;
		d->may_say = true;
		say(f, ADB_OKAY, 7, d->id, NULL, 0);
		say_next(f);
		break;
	case ADB_WRTE:
		say(f, ADB_OKAY, 7, p->arg0, NULL, 0);
		break;
	case ADB_OKAY:
		d->may_say = true;
		say_next(f);
		break;
	case ADB_CLSE:
		d->id = 0;
		break;
	default:
		break;
	}
}

static void hear(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	struct adb_packet p;

	sb_add_n(&d->heard, bytes, n);
	while (d->heard.len >= ADB_HEADER_BYTES) {
		if (adb_packet_decode((const uint8_t *)d->heard.s, &p, NULL) < 0)
			abort(); /* our own packets are right */
		if (d->heard.len < ADB_HEADER_BYTES + p.length)
			break;
		d->heard.len -= ADB_HEADER_BYTES + p.length;
		memmove(d->heard.s, d->heard.s + ADB_HEADER_BYTES + p.length, d->heard.len);
		take_packet(f, &p);
	}
}

static int drop(void *data, const void *p, size_t n, struct err *e)
{
	*(uint64_t *)data += n;
	return 0;
}

static int drop_output(void *data, bool is_err, const void *p, size_t n, struct err *e)
{
	return drop(data, p, n, e);
}

static int see(void *data, const struct adb_stat *st, const char *name, struct err *e)
{
	if (strlen(name) == 0 || !strcmp(name, ".."))
		abort();
	return 0;
}

static void ask_sync(struct adb_conn *c, unsigned what, const struct device *d, struct iotime it)
{
	static const uint8_t content[9000];
	struct adb_source src = {content, sizeof content};
	struct adb_sync *y = NULL;
	struct adb_stat st;
	uint64_t n = 0;
	uint64_t told = 0;
	struct err e = {0};

	if (adb_sync_open(c, &it, &y, &e) < 0)
		return;
	if (what == 0)
		adb_sync_stat(y, "/a", &it, &st, &e);
	else if (what == 1)
		adb_sync_list(y, "/a", see, NULL, &it, &e);
	else if (what == 2 && adb_sync_recv(y, "/a", drop, &n, &told, &it, &e) == 0 && n != told)
		abort();
	else if (what == 3 && adb_sync_send(y, "/a", 0644, 0, &src, NULL, &it, &e) == 0 &&
		 !memmem(d->bytes, d->n, "O", 1))
		abort();
	adb_sync_free(y);
}

static void ask(struct adb_conn *c, unsigned what, const struct device *d, struct iotime it)
{
	static const uint8_t content[70000];
	const char *const words[] = {NULL};
	struct adb_source src = {content, sizeof content};
	struct adb_shell_result res = {0};
	struct adb_sideload_result side;
	enum adb_restarting restarting;
	char reply[ADB_REPLY_MAX] = "";
	uint64_t n = 0;
	struct err e = {0};

	if (what == 4 && adb_shell(c, "id", 50, NULL, NULL, &it, &res, &e) == 0 &&
		(res.status < 0 || res.status > 255 || res.out.len > 50))
		abort();
	adb_shell_result_done(&res);
	if (what == 5 && adb_sideload(c, &src, NULL, &it, &side, &e) == 0 &&
		!memmem(d->bytes, d->n, "DONE", 4) && !memmem(d->bytes, d->n, "O", 1))
		abort();
	if (what == 6 && adb_install(c, &src, words, NULL, &it, reply, &e) == 0 &&
		strcmp(reply, "Success") != 0)
		abort();
	if (what == 7)
		adb_root(c, true, &it, &restarting, reply, &e);
	if (what == 8)
		adb_backup(c, words, drop_output, &n, &it, &e);
	if (strlen(reply) >= ADB_REPLY_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const char *const features[] = {"", "shell_v2,cmd,stat_v2", "cmd", "shell_v2"};
	struct device d = {0};
	const struct adb_conn_config cfg = {0};
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct adb_conn *c = NULL;
	struct fake_link f;
	struct err e = {0};

	if (n < 2)
		return 0;
	d.bytes = bytes + 2;
	d.n = n - 2;
	d.features = features[bytes[1] & 3];
	fake_init(&f, hear, &d);
	if (adb_connect(adb_pipe_link(&f.link), &cfg, &it, &c, &e) < 0)
		abort();
	if (bytes[0] % 9 < 4)
		ask_sync(c, bytes[0] % 9, &d, it);
	else
		ask(c, bytes[0] % 9, &d, it);
	adb_conn_free(c);
	sb_done(&d.heard);
	fake_done(&f);
	return 0;
}
