/* SPDX-License-Identifier: Apache-2.0
 *
 * The ADB connection's readers: the input is the device's byte stream, in pieces of a length byte
 * and so many bytes, one piece after each write of the host. A device of random bytes can only have
 * taken a file when it said OKAY.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/adb/adb_services.h"

struct device {
	const uint8_t *bytes;
	size_t n, at;
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t k = d->at < d->n ? d->bytes[d->at++] : 0;

	k = MIN(k, d->n - d->at);
	fake_say(f, d->bytes + d->at, k);
	d->at += k;
}

static int drop(void *data, const void *p, size_t n, struct err *e)
{
	*(uint64_t *)data += n;
	return 0;
}

static void use(struct adb_conn *c, const struct device *d, struct iotime it)
{
	static const uint8_t content[300];
	struct adb_source src = {content, sizeof content};
	struct adb_shell_result res = {0};
	struct adb_sync *y = NULL;
	struct adb_stat st;
	uint64_t n = 0;
	uint64_t told = 0;
	struct err e = {0};

	if (adb_shell(c, "id", 100, NULL, NULL, &it, &res, &e) == 0 &&
		(res.status < 0 || res.status > 255))
		abort();
	adb_shell_result_done(&res);
	if (adb_sync_open(c, &it, &y, &e) < 0)
		return;
	adb_sync_stat(y, "/a", &it, &st, &e);
	if (adb_sync_send(y, "/a", 0644, 0, &src, NULL, &it, &e) == 0 &&
		!memmem(d->bytes, d->n, "OKAY", 4))
		abort();
	if (adb_sync_recv(y, "/a", drop, &n, &told, &it, &e) == 0 && n != told)
		abort();
	adb_sync_free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0};
	const struct adb_conn_config cfg = {0};
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct adb_conn *c = NULL;
	struct fake_link f;
	struct err e = {0};

	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	if (adb_connect(adb_pipe_link(&f.link), &cfg, &it, &c, &e) == 0)
		use(c, &d, it);
	else if (!e.msg[0])
		abort();
	adb_conn_free(c);
	fake_done(&f);
	return 0;
}
