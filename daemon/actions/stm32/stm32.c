/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/stm32/stm32.h"

const char *const stm32_parities[] = {"even", "none", NULL};

static int enter(void *data, const struct iotime *it, struct err *e)
{
	struct stm32_session *x = data;

	return boot_pins_enter(&x->pins, x->link, it, e);
}

/* Never silently without: the ROM would take every other byte for broken. */
static int set_line(struct stm32_session *x, struct err *e)
{
	bool even = !strcmp(args_str(x->a, "parity"), "even");
	const struct link_settings want = {
		.baud = args_has(x->a, "baud") ? (uint64_t)args_int(x->a, "baud") : 0,
		.parity = even ? LINK_PARITY_EVEN : LINK_PARITY_NONE,
	};
	int r = link_settings_push(x->link, &want, e);

	if (r == -ERR_UNSUPPORTED && even && x->link->parity != LINK_PARITY_EVEN)
		err_set(e, ERR_UNSUPPORTED,
			"%s has no parity, which the boot ROM wants even: take a real port, or say 'parity: none' where the other end of the link adds it",
			x->link->address);
	return r;
}

static int opts_of(const struct args *a, struct stm32_opts *ret, struct err *e)
{
	struct stm32_opts o = STM32_OPTS_DEFAULT;
	uint64_t flash = args_size(a, "flash_size");

	if (args_has(a, "attempts"))
		o.attempts = (unsigned)args_int(a, "attempts");
	if (flash > 64u << 20)
		return err_set(e, ERR_INVALID, "no STM32 has %llu bytes of flash",
			(unsigned long long)flash);
	o.flash_bytes = (uint32_t)flash;
	*ret = o;
	return args_has(a, "pages") ? stm32_runs_parse(args_str(a, "pages"), ret->run, e) : 0;
}

int stm32_session_open(struct stm32_session *x, struct step *s, const struct args *a, struct err *e)
{
	struct stm32_hooks h = {.tell = step_teller(s), .data = x};
	struct stm32_opts o;
	int r;

	x->s = s;
	x->a = a;
	r = boot_pins_parse(a, &x->pins, e);
	if (r == 0)
		r = opts_of(a, &o, e);
	if (r == 0)
		r = step_link(s, args_str(a, "port"), &x->link, e);
	if (r < 0)
		return r;
	r = set_line(x, e);
	if (r < 0)
		return r;
	if (x->pins.enter.n)
		h.enter = enter;
	x->rom = stm32_new(x->link, &o, &h);
	return stm32_connect(x->rom, &s->it, e);
}

void stm32_session_done(struct stm32_session *x)
{
	x->rom = stm32_free(x->rom);
	if (!x->link)
		return;
	boot_pins_leave(&x->pins, x->link);
	link_settings_pop(x->link);
}

static const char *size_from(const struct stm32_info *i)
{
	switch (i->size_from) {
	case STM32_SIZE_OF_TABLE:
		return "table";
	case STM32_SIZE_OF_REGISTER:
		return "register";
	case STM32_SIZE_OF_CALLER:
		break;
	}
	return "recipe";
}

void stm32_session_tell(struct stm32_session *x, struct step_result *out)
{
	const struct stm32_info *i = stm32_info(x->rom);
	char uid[2 * STM32_UID_BYTES + 1];

	result_evidence(out, "pid", json_sprintf("0x%03x", i->pid));
	result_evidence(out, "device", json_string(i->device.name));
	result_evidence(
		out, "rom_version", json_sprintf("%u.%u", i->version >> 4, i->version & 15));
	result_evidence(out, "flash_size", json_integer(i->flash_bytes));
	result_evidence(out, "flash_size_from", json_string(size_from(i)));
	if (i->has_uid)
		result_evidence(out, "uid", json_string(hex_of(i->uid, sizeof i->uid, uid)));
}

int stm32_session_start(
	struct stm32_session *x, uint32_t address, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *ready = NULL;
	_cleanup_(console_freep) struct console *c = NULL;
	_cleanup_(console_reply_done) struct console_reply said = {0};
	const struct console_opts o = {.tell = step_teller(x->s), .secrets = x->s->secrets};
	struct iotime it;
	int r = arg_regex(x->a, "ready", NULL, &ready, e);

	if (r == 0)
		r = stm32_go(x->rom, address, &x->s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "started_at", json_sprintf("0x%08x", address));
	/* What comes next on the link is the application's. */
	link_settings_pop(x->link);
	if (!ready)
		return 0;
	it = iotime_within(&x->s->it, args_duration_us(x->a, "ready_timeout"));
	r = console_new(x->link, &o, &c, e);
	if (r == 0)
		r = console_expect(c, ready, NULL, &it, &said, e);
	if (r < 0)
		return r;
	result_evidence(out, "ready", json_string(said.line));
	output_reply(out, &said);
	return 0;
}
