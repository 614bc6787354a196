/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/adb/adb_sideload.h"

#include <ctype.h>

#define WORD 8u

struct serving {
	struct adb_stream *stream;
	const struct adb_source *package;
	struct adb_sideload_result res;
	uint8_t *served; /* one byte a block */
};

/* Eight decimal digits; strtol would take signs and spaces. */
static int block_number(const char word[WORD], uint64_t *ret, struct err *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < WORD; i++) {
		if (!isdigit((unsigned char)word[i])) {
			_cleanup_(freep) char *text = adb_text(word, WORD, WORD);

			return err_set(e, ERR_PROTOCOL,
				"the recovery said '%s', a block number expected", text);
		}
		n = n * 10 + (uint64_t)(word[i] - '0');
	}
	*ret = n;
	return 0;
}

static int serve(struct serving *x, uint64_t block, const struct iotime *it, struct err *e)
{
	uint64_t at = block * ADB_SIDELOAD_BLOCK;
	bool closed;

	if (block >= x->res.blocks)
		return err_set(e, ERR_PROTOCOL,
			"the recovery asked for block %llu, the package has %llu",
			(unsigned long long)block, (unsigned long long)x->res.blocks);
	x->res.requests++;
	if (!x->served[block])
		x->res.blocks_served++;
	x->served[block] = 1;
	/* What it says before it has the block is the end: it is read next. */
	return adb_stream_write(x->stream, x->package->bytes + at,
		(size_t)MIN(x->package->size - at, (uint64_t)ADB_SIDELOAD_BLOCK), &closed, it, e);
}

static int ended_early(const struct serving *x, struct err *e)
{
	return err_prefix(e,
		"the recovery closed the stream before it said DONEDONE, with %llu of %llu blocks read",
		(unsigned long long)x->res.blocks_served, (unsigned long long)x->res.blocks);
}

static int serve_all(
	struct serving *x, const struct teller *tell, const struct iotime *it, struct err *e)
{
	for (;;) {
		char word[WORD];
		uint64_t block = 0;
		int r = adb_stream_read_exact(x->stream, word, sizeof word, it, e);

		if (r == -ERR_PROTOCOL || r == -ERR_DEVICE_GONE)
			return ended_early(x, e);
		if (r < 0)
			return r;
		if (!memcmp(word, "DONEDONE", WORD))
			break;
		if (!memcmp(word, "FAILFAIL", WORD))
			return err_set(e, ERR_DEVICE_REFUSED,
				"the recovery says that the installation failed");
		r = block_number(word, &block, e);
		if (r == 0)
			r = serve(x, block, it, e);
		if (r < 0)
			return r;
		teller_progress(tell, "transfer", x->res.blocks_served, x->res.blocks);
	}
	if (x->res.blocks_served == 0)
		return err_set(e, ERR_PROTOCOL,
			"the recovery says that it is done, and has not read one block");
	return 0;
}

/* --- before Android 4.4 --- */

static int push_old(struct adb_stream *s, const struct adb_source *package,
	const struct teller *tell, const struct iotime *it, struct err *e)
{
	char word[4];
	bool said = false;
	int r = 0;

	for (uint64_t done = 0; r == 0 && !said && done < package->size;) {
		size_t n = (size_t)MIN(package->size - done, (uint64_t)adb_stream_piece(s));

		r = adb_stream_write(s, package->bytes + done, n, &said, it, e);
		done += n;
		teller_progress(tell, "transfer", done, package->size);
	}
	if (r == 0)
		r = adb_stream_read_exact(s, word, sizeof word, it, e);
	if (r < 0)
		return r;
	if (said || memcmp(word, "OKAY", sizeof word) != 0) {
		_cleanup_(freep) char *text = adb_text(word, sizeof word, sizeof word);

		return err_set(e, ERR_DEVICE_REFUSED, "the recovery says '%s'%s", text,
			said ? " before it had all" : "");
	}
	return 0;
}

static int sideload_old(struct adb_conn *c, const struct adb_source *package,
	const struct teller *tell, const struct iotime *it, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	_cleanup_(freep) char *service =
		xasprintf("sideload:%llu", (unsigned long long)package->size);
	int r = adb_stream_open(c, service, it, &s, e);

	return r < 0 ? r : push_old(s, package, tell, it, e);
}

int adb_sideload(struct adb_conn *c, const struct adb_source *package, const struct teller *tell,
	const struct iotime *it, struct adb_sideload_result *ret, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	_cleanup_(freep) char *service = xasprintf(
		"sideload-host:%llu:%u", (unsigned long long)package->size, ADB_SIDELOAD_BLOCK);
	struct serving x = {.package = package};
	int r = adb_stream_open(c, service, it, &s, e);

	x.res.blocks = (package->size + ADB_SIDELOAD_BLOCK - 1) / ADB_SIDELOAD_BLOCK;
	if (r == -ERR_DEVICE_REFUSED) {
		x.res.old = true;
		r = sideload_old(c, package, tell, it, e);
	} else if (r == 0) {
		x.stream = s;
		x.served = calloc(x.res.blocks, 1);
		r = x.served ? serve_all(&x, tell, it, e)
			     : err_set(e, ERR_NO_MEMORY, "a list of blocks");
		free(x.served);
	}
	if (r < 0)
		return r;
	*ret = x.res;
	return 0;
}
