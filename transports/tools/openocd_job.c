/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenOCD User's Guide 0.12.0: 8 (adapter configuration), 12.5 (flash write_image, erase_address),
 * 15.6 (dump_image, verify_image), 15.9 (program).
 */
#include "transports/tools/openocd_job.h"

#include <ctype.h>
#include <stdarg.h>

#include "base/strbuf.h"

#define WORD_MAX 200

bool openocd_word_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > WORD_MAX || s[0] == '-' || strstr(s, ".."))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_./:+-", s[i]))
			return false;
	return true;
}

__attribute__((format(printf, 2, 3))) static void add(struct openocd_argv *v, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	/* Counts are checked before: a caller that lists more is refused. */
	if (v->n == OPENOCD_ARGS_MAX)
		abort();
	v->arg[v->n++] = text;
}

#define add_command(v, ...)            \
	do {                           \
		add((v), "-c");        \
		add((v), __VA_ARGS__); \
	} while (0)

void openocd_argv_done(struct openocd_argv *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->arg[i]);
	v->n = 0;
}

static int check_word(const char *name, const char *s, struct err *e)
{
	struct strbuf plain = {0};
	int r;

	if (!s || openocd_word_ok(s))
		return 0;
	sb_add_escaped(&plain, s, MIN(strlen(s), (size_t)80));
	r = err_set(e, ERR_RECIPE_INVALID,
		"%s '%s': letters, digits and _ . / : + - expected, no '..' and no '-' in front",
		name, plain.s ? plain.s : "");
	sb_done(&plain);
	return r;
}

static int check_probe(const struct openocd_probe *p, struct err *e)
{
	const struct {
		const char *name, *s;
	} words[] = {
		{"interface", p->interface},
		{"target", p->target},
		{"serial number", p->serial},
		{"USB location", p->location},
		{"transport", p->transport},
		{"host", p->bitbang_host},
	};
	size_t setup = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(words); i++)
		r = check_word(words[i].name, words[i].s, e);
	while (r == 0 && p->setup && p->setup[setup])
		setup++;
	if (r == 0 && setup > OPENOCD_SETUP_MAX)
		r = err_set(
			e, ERR_RECIPE_INVALID, "setup: more than %d commands", OPENOCD_SETUP_MAX);
	if (r == 0 && !p->interface == !p->bitbang_host)
		r = err_set(e, ERR_RECIPE_INVALID,
			p->interface ? "an interface file, and a probe at a TCP address: one of them"
				     : "no interface file is named");
	return r;
}

/* A bare name is one of OpenOCD's own scripts. */
static void add_file(struct openocd_argv *v, const char *folder, const char *name)
{
	size_t n = strlen(name);

	add(v, "-f");
	if (n > 4 && !strcmp(name + n - 4, ".cfg"))
		add(v, "%s", name);
	else
		add(v, "%s/%s.cfg", folder, name);
}

static void add_probe(struct openocd_argv *v, const struct openocd_probe *p, const char *tcl_port)
{
	if (p->interface) {
		add_file(v, "interface", p->interface);
	} else {
		add_command(v, "adapter driver remote_bitbang");
		add_command(v, "remote_bitbang host %s", p->bitbang_host);
		add_command(v, "remote_bitbang port %u", p->bitbang_port);
	}
	if (p->serial)
		add_command(v, "adapter serial %s", p->serial);
	if (p->location)
		add_command(v, "adapter usb location %s", p->location);
	if (p->transport)
		add_command(v, "transport select %s", p->transport);
	if (p->has_work_area)
		add_command(v, "set WORKAREASIZE %llu", (unsigned long long)p->work_area_bytes);
	if (p->target)
		add_file(v, "target", p->target);
	if (p->speed_khz)
		add_command(v, "adapter speed %u", p->speed_khz);
	/* Two stations would meet at the default ports. */
	add_command(v, "gdb_port %s; tcl_port %s; telnet_port disabled", p->gdb ? "0" : "disabled",
		tcl_port);
	for (size_t i = 0; p->setup && p->setup[i]; i++)
		add_command(v, "%s", p->setup[i]);
}

/* A server that stays has done its init. */
static void add_enter(struct openocd_argv *v, enum openocd_enter enter, bool stays)
{
	if (!stays)
		add_command(v, "init");
	switch (enter) {
	case OPENOCD_RESET_INIT:
		add_command(v, "reset init");
		break;
	case OPENOCD_RESET_HALT:
		add_command(v, "reset halt");
		break;
	case OPENOCD_HALT:
		add_command(v, "halt");
		break;
	case OPENOCD_AS_IT_IS:
		break;
	}
}

static void add_leave(struct openocd_argv *v, enum openocd_leave leave, bool stays)
{
	switch (leave) {
	case OPENOCD_RESET_RUN:
		add_command(v, "reset run");
		break;
	case OPENOCD_RESUME:
		add_command(v, "resume");
		break;
	case OPENOCD_LEAVE:
		break;
	}
	if (!stays)
		add_command(v, "shutdown");
}

static void add_read_back(struct openocd_argv *v, const struct openocd_job *j)
{
	size_t file = 0;

	for (size_t i = 0; i < j->images; i++)
		for (size_t k = 0; k < j->image[i]->count; k++)
			add_command(v, "dump_image o%zu.bin 0x%08llx %llu", file++,
				(unsigned long long)j->image[i]->segments[k].address,
				(unsigned long long)j->image[i]->segments[k].len);
}

/* Before the first byte is erased: that flash holds all of the images (openocd_files.c). */
static void add_banks(struct openocd_argv *v)
{
	add_command(v, "source " OPENOCD_BANKS_FILE);
}

static void add_images(struct openocd_argv *v, const struct openocd_job *j)
{
	if (j->kind == OPENOCD_FLASH)
		for (size_t i = 0; i < j->images; i++)
			add_command(v, "flash write_image erase i%zu.hex", i);
	for (size_t i = 0; i < j->images; i++)
		add_command(v, "verify_image i%zu.hex", i);
	if (j->read_back)
		add_read_back(v, j);
}

static void add_work(struct openocd_argv *v, const struct openocd_job *j, bool stays)
{
	switch (j->kind) {
	case OPENOCD_PROGRAM:
		/* As `program` itself begins; the banks are known once the target is halted. */
		add_enter(v, OPENOCD_RESET_INIT, stays);
		add_banks(v);
		add_command(v, "program i0.hex verify%s%s",
			j->leave == OPENOCD_RESET_RUN ? " reset" : "", stays ? "" : " exit");
		return;
	case OPENOCD_FLASH:
	case OPENOCD_VERIFY:
		add_enter(v, j->enter, stays);
		if (j->kind == OPENOCD_FLASH)
			add_banks(v);
		add_images(v, j);
		break;
	case OPENOCD_ERASE:
		add_enter(v, j->enter, stays);
		add_command(v, "flash erase_address 0x%08llx %llu", (unsigned long long)j->address,
			(unsigned long long)j->size);
		add_command(v, "dump_image o0.bin 0x%08llx %llu", (unsigned long long)j->address,
			(unsigned long long)j->size);
		break;
	case OPENOCD_DUMP:
		add_enter(v, j->enter, stays);
		add_command(v, "dump_image o0.bin 0x%08llx %llu", (unsigned long long)j->address,
			(unsigned long long)j->size);
		break;
	case OPENOCD_COMMAND:
		add_enter(v, j->enter, stays);
		for (size_t i = 0; j->command[i]; i++)
			add_command(v, "%s", j->command[i]);
		break;
	}
	add_leave(v, j->leave, stays);
}

static size_t segments_of(const struct openocd_job *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->images; i++)
		n += j->image[i]->count;
	return n;
}

static int check_target(const struct openocd_probe *p, struct err *e)
{
	return p->target ? 0 : err_set(e, ERR_RECIPE_INVALID, "no target file is named");
}

static int check_job(const struct openocd_job *j, struct err *e)
{
	bool with_images =
		j->kind == OPENOCD_PROGRAM || j->kind == OPENOCD_FLASH || j->kind == OPENOCD_VERIFY;
	bool with_range = j->kind == OPENOCD_DUMP || j->kind == OPENOCD_ERASE;
	size_t commands = 0;

	if (with_images && (j->images == 0 || j->images > OPENOCD_IMAGES_MAX))
		return err_set(e, ERR_RECIPE_INVALID, "%zu images, 1 to %d expected", j->images,
			OPENOCD_IMAGES_MAX);
	if (j->read_back && segments_of(j) > OPENOCD_LINES_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			"%zu separate parts to read back, at most %d: let OpenOCD verify them",
			segments_of(j), OPENOCD_LINES_MAX);
	if (with_range && (j->size == 0 || j->size > OPENOCD_READ_MAX || j->address > UINT32_MAX ||
				  j->size - 1 > UINT32_MAX - j->address))
		return err_set(e, ERR_INVALID,
			"0x%llx and %llu bytes are not a range of a 32-bit target of at most %llu MiB",
			(unsigned long long)j->address, (unsigned long long)j->size,
			OPENOCD_READ_MAX >> 20);
	while (j->kind == OPENOCD_COMMAND && j->command[commands])
		commands++;
	if (commands > OPENOCD_COMMANDS_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "%zu commands, at most %d", commands,
			OPENOCD_COMMANDS_MAX);
	return 0;
}

int openocd_argv_make(const struct openocd_probe *p, const struct openocd_job *j,
	struct openocd_argv *ret, struct err *e)
{
	struct openocd_argv v = {0};
	int r = check_probe(p, e);

	if (r == 0)
		r = check_target(p, e);
	if (r == 0)
		r = check_job(j, e);
	if (r < 0)
		return r;
	add(&v, "%s", p->program ? p->program : "openocd");
	add_probe(&v, p, "disabled");
	add_work(&v, j, false);
	*ret = v;
	return 0;
}

int openocd_argv_server(const struct openocd_probe *p, struct openocd_argv *ret, struct err *e)
{
	struct openocd_argv v = {0};
	int r = check_probe(p, e);

	if (r == 0)
		r = check_target(p, e);
	if (r < 0)
		return r;
	add(&v, "%s", p->program ? p->program : "openocd");
	/* 127.0.0.1 is its default; port 0 is any that is free, and it says which. */
	add_command(&v, "bindto 127.0.0.1");
	add_probe(&v, p, "0");
	*ret = v;
	return 0;
}

int openocd_argv_probe(const struct openocd_probe *p, struct openocd_argv *ret, struct err *e)
{
	struct openocd_argv v = {0};
	int r = check_probe(p, e);

	if (r < 0)
		return r;
	add(&v, "%s", p->program ? p->program : "openocd");
	add_probe(&v, p, "disabled");
	*ret = v;
	return 0;
}

void openocd_argv_command(struct openocd_argv *v, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	add_command(v, "%s", text);
}

int openocd_argv_commands(const struct openocd_job *j, struct openocd_argv *ret, struct err *e)
{
	struct openocd_argv v = {0};
	int r = check_job(j, e);

	if (r < 0)
		return r;
	add_work(&v, j, true);
	*ret = v;
	return 0;
}
