/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instrument may say: the first byte is the number of the question, the rest a line. What is taken for its
 * answer begins with that number, and every refusal has a sentence. The same bytes as an answer with a block: what is
 * taken for one has as many bytes as it says.
 */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/fuzz/fuzz.h"
#include "transports/protocols/scpi/scpi.h"

/* An instrument that answers SYST:ERR? with no error, and the question with the input, in pieces. */
struct peer {
	struct link link;
	const uint8_t *bytes;
	size_t n;
	const char *due; /* of SYST:ERR? */
};

static int peer_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *when, struct err *e)
{
	struct peer *p = container_of(l, struct peer, link);
	size_t k = p->due ? strlen(p->due) : MIN(p->n, MIN(size, 7u));

	if (k == 0)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	memcpy(buf, p->due ? (const void *)p->due : p->bytes, k);
	if (!p->due) {
		p->bytes += k;
		p->n -= k;
	}
	p->due = NULL;
	*ret_n = k;
	return 0;
}

static int peer_write(
	struct link *l, const void *buf, size_t n, const struct iotime *when, struct err *e)
{
	if (n > 8 && !memcmp(buf, "SYST:ERR", 8))
		container_of(l, struct peer, link)->due = "0,\"No error\"\n";
	return 0;
}

static int peer_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "no such thing");
}

static void peer_close(struct link *l)
{
}

static const struct link_ops peer_ops = {
	.name = "peer",
	.read = peer_read,
	.write = peer_write,
	.control = peer_control,
	.close = peer_close,
};

static void ask_for_block(const uint8_t *bytes, size_t n)
{
	struct peer p = {.link = {.ops = &peer_ops}};
	struct scpi_turn turn = {0};
	const struct scpi_opts o = {
		.answer_us = 60 * US_PER_S, .proof = SCPI_PROOF_LATE, .turn = &turn};
	const struct iotime it = {NO_DEADLINE, NULL};
	struct strbuf b = {0};
	struct scpi *s = NULL;
	struct err e = {0};
	bool block = false;
	int r = scpi_new(&p.link, &o, &it, &s, &e);

	if (r < 0)
		abort();
	p.bytes = bytes;
	p.n = n;
	r = scpi_query_block(s, "WAV?", &it, &b, &block, &e);
	if (r < 0 && !e.msg[0])
		abort();
	if (r == 0 && block && (bytes[0] != '#' || b.len + 2 + (bytes[1] - '0') > n))
		abort();
	scpi_free(s);
	sb_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *line = strndup(n ? (const char *)bytes + 1 : "", n ? n - 1 : 0);
	uint8_t number = n ? bytes[0] : 0;
	char text[SCPI_FIELD_BYTES];
	struct scpi_identity id;
	struct err e = {0};
	size_t at = 0;
	long code;
	enum scpi_line what = scpi_line_read(line, strlen(line), number, &at);

	if (what == SCPI_LINE_ANSWER &&
		(at < 2 || line[at - 1] != ';' || strtoul(line, NULL, 10) != number))
		abort();
	if (what == SCPI_LINE_REFUSED && strtoul(line, NULL, 10) != number)
		abort();
	if (scpi_error_read(line, &code, text, &e) < 0 && (!e.msg[0] || e.code != ERR_INSTRUMENT))
		abort();
	e = (struct err){0};
	if (scpi_identity_read(line, &id, &e) < 0 ? !e.msg[0] : !id.maker[0])
		abort();
	ask_for_block(bytes, n);
	return 0;
}
