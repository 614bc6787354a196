/* SPDX-License-Identifier: Apache-2.0
 *
 * The console's reader: the input is what the device says. The first byte chooses the options.
 * Whatever comes, a match is a whole line that fits the pattern, without raw control bytes, and no
 * line before or after it says FAILED.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/console.h"

struct device {
	const uint8_t *bytes;
	size_t n;
};

static void say_all(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;

	fake_say(f, d->bytes, d->n);
	d->n = 0;
}

static void check_text(const char *s)
{
	for (; s && *s; s++)
		if ((uint8_t)*s < 0x20 || *s == 0x7f)
			abort();
}

static void log_text(void *data, char dir, const char *text)
{
	check_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct regex *expect, *error, *prompt;
	struct console_reply reply = {0};
	struct console *c;
	struct fake_link f;
	uint8_t how = n ? bytes[0] : 0;
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0};
	/* All of it comes with the answer, and none of it is dropped before. */
	bool whole = !(how & 24) && n < 1000;
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct err e = {0};

	if (regex_new("^pong (\\S+)$", &expect, &e) < 0 ||
		regex_new(CONSOLE_ERROR_DEFAULT, &error, &e) < 0 ||
		regex_new("\\S*> ", &prompt, &e) < 0)
		abort();
	fake_init(&f, say_all, &d);
	f.read_max = how & 7;

	struct console_opts o = {.prompt = how & 8 ? prompt : NULL, .tell.log = log_text};

	/* All that it says came before its sign: nothing is left to prove the answer by. */
	o.ping = how & 32 ? "echo {nonce}" : NULL;
	o.prove = how & 32;

	if (console_new(&f.link, &o, &c, &e) < 0)
		abort();
	if (how & 16)
		console_sync(c, &it, &e);

	int r = console_command(c, "ping", expect, error, &it, &reply, &e);

	if (r == 0 && o.prove)
		abort();
	if (r == 0 && (strncmp(reply.line, "pong ", 5) || !reply.group[1]))
		abort();
	if (r == 0 && whole && memmem(bytes, n, "\nFAILED\r\n", 9))
		abort();
	if (r < 0 && !e.msg[0])
		abort();
	check_text(reply.line);
	check_text(e.msg);
	console_reply_done(&reply);
	console_free(c);
	fake_done(&f);
	regex_free(expect);
	regex_free(error);
	regex_free(prompt);
	return 0;
}
