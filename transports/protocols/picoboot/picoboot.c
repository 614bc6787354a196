/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/picoboot/picoboot.h"

#include <string.h>

#include "base/bytes.h"

#define MAGIC 0x431fd10bu

/* boot/picoboot.h, enum picoboot_cmd_id; the highest bit: data goes IN. */
enum {
	EXCLUSIVE_ACCESS = 0x01,
	REBOOT = 0x02,
	FLASH_ERASE = 0x03,
	READ = 0x84,
	WRITE = 0x05,
	EXIT_XIP = 0x06,
	REBOOT2 = 0x0a,
	GET_INFO = 0x8b
};
#define COMMAND_IN 0x80

/* enum picoboot_exclusive_type: the drive stays, and takes nothing. */
#define EXCLUSIVE 1
/* GET_INFO: bType, and the flags of dParams[0]. */
#define INFO_SYS	   1
#define INFO_PARTITIONS	   2
#define SYS_CHIP	   0x0001
#define SYS_CRITICAL	   0x0002
#define SYS_CPU		   0x0004
#define SYS_FLASH	   0x0008
#define PARTITIONS_SUMMARY 0x0001
/* CRITICAL of the RP2350's OTP. */
#define CRITICAL_SECURE_BOOT   0x00000001
#define CRITICAL_DEBUG_DISABLE 0x00000004
#define CRITICAL_ARM_DISABLE   0x00010000
#define CRITICAL_RISCV_DISABLE 0x00020000
/* The summary of the partition table: a count, and whether there is one. */
#define PARTITION_COUNT	  0x000000ff
#define PARTITION_PRESENT 0x00000100

#define COMMAND_US  (10 * US_PER_S)
#define US_PER_BYTE 20 /* 50 kB/s: the slowest flash that is one */
/* One packet: an acknowledge that is not empty is seen whole. */
#define PACKET 64
/* So that the ROM's answer leaves before it does. */
#define REBOOT_DELAY_MS 100

struct command {
	const char *what;
	uint8_t id;
	uint8_t args_len;
	uint8_t args[16];
	const uint8_t *out;
	uint8_t *in;
	uint32_t n; /* of out or in */
};

const char *picoboot_chip_str(enum picoboot_chip c)
{
	return c == PICOBOOT_RP2040 ? "RP2040" : "RP2350";
}

uint32_t picoboot_flash_window(enum picoboot_chip c)
{
	return c == PICOBOOT_RP2040 ? 16u << 20 : 32u << 20;
}

const char *picoboot_status_str(uint32_t status)
{
	static const char *const names[] = {"OK", "unknown command",
		"invalid length of the command", "invalid length of the transfer",
		"invalid address", "bad alignment", "interleaved write", "rebooting",
		"unknown error", "invalid state", "not permitted", "invalid argument",
		"buffer too small", "precondition not met", "modified data", "invalid data",
		"not found", "unsupported modification"};

	return status < ARRAY_LEN(names) ? names[status] : "a status that no ROM has";
}

void picoboot_init(struct picoboot *p, const struct picoboot_port *port, enum picoboot_chip chip,
	uint32_t first_token, const struct teller *tell)
{
	*p = (struct picoboot){.port = *port, .chip = chip, .token = first_token};
	if (tell)
		p->tell = *tell;
}

int picoboot_reset(struct picoboot *p, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, COMMAND_US);
	int r = p->port.reset(p->port.data, &within, e);

	return r < 0 ? err_prefix(e, "reset of the PICOBOOT interface") : 0;
}

/* -- the status -- */

struct status {
	uint32_t token, code;
	uint8_t id, in_progress;
};

static int get_status(
	struct picoboot *p, struct status *ret, const struct iotime *it, struct err *e)
{
	uint8_t buf[PICOBOOT_STATUS_BYTES];
	struct rbytes b = rbytes_of(buf, sizeof buf);
	uint16_t n = 0;
	int r = p->port.status(p->port.data, buf, &n, it, e);

	if (r < 0)
		return r;
	if (n != sizeof buf)
		return err_set(e, ERR_PROTOCOL, "a status of %u bytes, %d expected", n,
			PICOBOOT_STATUS_BYTES);
	ret->token = rb_le32(&b);
	ret->code = rb_le32(&b);
	ret->id = rb_u8(&b);
	ret->in_progress = rb_u8(&b);
	return 0;
}

static int refused(const struct status *s, struct err *e)
{
	return err_set(e, ERR_DEVICE_REFUSED, "the device refuses it: %s (status %u)",
		picoboot_status_str(s->code), s->code);
}

/* It was acknowledged; the status has to be of this command, and good. */
static int confirm(
	struct picoboot *p, const struct command *c, const struct iotime *it, struct err *e)
{
	struct status s = {0};
	int r = get_status(p, &s, it, e);

	if (r < 0)
		return r;
	if (s.token != p->token || s.id != c->id)
		return err_set(e, ERR_PROTOCOL,
			"the status is of command %02x, number %u; %02x, number %u expected", s.id,
			s.token, c->id, p->token);
	if (s.in_progress)
		return err_set(e, ERR_PROTOCOL, "acknowledged while it is in progress");
	return s.code ? refused(&s, e) : 0;
}

/* Why an endpoint stalled. The sentence of the stall stays where the status says nothing. */
static int explain(struct picoboot *p, int r, const struct iotime *it, struct err *e)
{
	struct status s = {0};
	struct err other = {0};
	int asked;

	if (r != -ERR_DEVICE_REFUSED)
		return r;
	asked = get_status(p, &s, it, &other);
	if (asked == -ERR_DEVICE_GONE || asked == -ERR_ABORTED || asked == -ERR_SHUTDOWN) {
		if (e)
			*e = other;
		return asked;
	}
	return asked == 0 && s.token == p->token && s.code ? refused(&s, e) : r;
}

/* -- commands -- */

static int send_command(
	struct picoboot *p, const struct command *c, const struct iotime *it, struct err *e)
{
	uint8_t buf[PICOBOOT_COMMAND_BYTES];
	struct wbytes w = wbytes_of(buf, sizeof buf);

	wb_le32(&w, MAGIC);
	wb_le32(&w, ++p->token);
	wb_u8(&w, c->id);
	wb_u8(&w, c->args_len);
	wb_le16(&w, 0);
	wb_le32(&w, c->n);
	wb_put(&w, c->args, sizeof c->args);
	return p->port.out(p->port.data, buf, sizeof buf, it, e);
}

static int take_data(
	struct picoboot *p, const struct command *c, const struct iotime *it, struct err *e)
{
	uint32_t at = 0;

	while (at < c->n) {
		size_t n = 0;
		int r = p->port.in(p->port.data, c->in + at, c->n - at, &n, it, e);

		if (r < 0)
			return r;
		if (n == 0 || (n % PACKET && n < c->n - at))
			return err_set(e, ERR_PROTOCOL, "%u bytes came, %u expected",
				at + (uint32_t)n, c->n);
		at += (uint32_t)n;
	}
	return 0;
}

/* The empty packet that ends a command whose data went OUT. */
static int take_acknowledge(struct picoboot *p, const struct iotime *it, struct err *e)
{
	uint8_t buf[PACKET];
	size_t n = 0;
	int r = p->port.in(p->port.data, buf, sizeof buf, &n, it, e);

	if (r == 0 && n)
		return err_set(
			e, ERR_PROTOCOL, "%zu bytes came where an empty packet was expected", n);
	return r;
}

static int exchange(
	struct picoboot *p, const struct command *c, const struct iotime *it, struct err *e)
{
	int r = send_command(p, c, it, e);

	if (r == 0 && c->n && c->id & COMMAND_IN)
		r = take_data(p, c, it, e);
	else if (r == 0 && c->n)
		r = p->port.out(p->port.data, c->out, c->n, it, e);
	if (r == 0)
		r = c->id & COMMAND_IN ? p->port.out(p->port.data, NULL, 0, it, e)
				       : take_acknowledge(p, it, e);
	return r;
}

static int run(struct picoboot *p, const struct command *c, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, COMMAND_US + (uint64_t)c->n * US_PER_BYTE);
	int r = exchange(p, c, &within, e);

	r = r == 0 ? confirm(p, c, &within, e) : explain(p, r, &within, e);
	return r < 0 ? err_prefix(e, "%s", c->what) : 0;
}

static struct command with_args(const char *what, uint8_t id, const uint32_t *words, size_t count)
{
	struct command c = {.what = what, .id = id, .args_len = (uint8_t)(4 * count)};
	struct wbytes w = wbytes_of(c.args, sizeof c.args);

	for (size_t i = 0; i < count; i++)
		wb_le32(&w, words[i]);
	return c;
}

int picoboot_exclusive(struct picoboot *p, const struct iotime *it, struct err *e)
{
	const struct command c = {.what = "exclusive access",
		.id = EXCLUSIVE_ACCESS,
		.args_len = 1,
		.args = {EXCLUSIVE}};

	return run(p, &c, it, e);
}

int picoboot_exit_xip(struct picoboot *p, const struct iotime *it, struct err *e)
{
	const struct command c = with_args("exit XIP", EXIT_XIP, NULL, 0);

	return run(p, &c, it, e);
}

int picoboot_erase(
	struct picoboot *p, uint32_t address, uint32_t n, const struct iotime *it, struct err *e)
{
	const uint32_t range[] = {address, n};
	const struct command c = with_args("erase", FLASH_ERASE, range, 2);
	int r = run(p, &c, it, e);

	return r < 0 ? err_prefix(e, "flash at 0x%08x", address) : 0;
}

int picoboot_write(struct picoboot *p, uint32_t address, const void *bytes, uint32_t n,
	const struct iotime *it, struct err *e)
{
	const uint32_t range[] = {address, n};
	struct command c = with_args("write", WRITE, range, 2);

	c.out = bytes;
	c.n = n;

	int r = run(p, &c, it, e);

	return r < 0 ? err_prefix(e, "flash at 0x%08x", address) : 0;
}

int picoboot_read(struct picoboot *p, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e)
{
	const uint32_t range[] = {address, n};
	struct command c = with_args("read", READ, range, 2);

	c.in = buf;
	c.n = n;

	int r = run(p, &c, it, e);

	return r < 0 ? err_prefix(e, "flash at 0x%08x", address) : 0;
}

int picoboot_reboot(struct picoboot *p, const struct iotime *it, struct err *e)
{
	/* RP2040: the regular boot path, no stack, and when. RP2350: an ordinary boot, when, and no parameters; its ROM
	 * does not know REBOOT. */
	const uint32_t first[] = {0, 0, REBOOT_DELAY_MS};
	const uint32_t second[] = {0, REBOOT_DELAY_MS, 0, 0};
	const struct command c = p->chip == PICOBOOT_RP2040
					 ? with_args("reboot", REBOOT, first, 3)
					 : with_args("reboot", REBOOT2, second, 4);
	struct iotime within = iotime_within(it, COMMAND_US);
	int r = exchange(p, &c, &within, e);

	/* It may have left already. */
	if (r == 0)
		r = confirm(p, &c, &within, e);
	else
		r = explain(p, r, &within, e);
	if (r == -ERR_DEVICE_GONE)
		r = 0;
	return r < 0 ? err_prefix(e, "reboot") : 0;
}

/* -- what it says of itself -- */

/* words[0]: how many words follow; words[1]: which of the flags were answered. Returns a cursor after both. */
static int get_info(struct picoboot *p, uint8_t type, uint32_t flags,
	uint8_t buf[4 * PICOBOOT_INFO_WORDS], struct rbytes *ret, const struct iotime *it,
	struct err *e)
{
	const uint32_t args[] = {type, flags, 0, 0};
	struct command c = with_args("get info", GET_INFO, args, 4);

	c.in = buf;
	c.n = 4 * PICOBOOT_INFO_WORDS;

	int r = run(p, &c, it, e);

	if (r < 0)
		return r;
	*ret = rbytes_of(buf, 4 * PICOBOOT_INFO_WORDS);

	uint32_t count = rb_le32(ret);

	if (count == 0 || count >= PICOBOOT_INFO_WORDS)
		return err_set(e, ERR_PROTOCOL, "get info: an answer of %u words", count);
	ret->len = 4 + 4 * (size_t)count;

	uint32_t answered = rb_le32(ret);

	if (answered != flags)
		return err_set(e, ERR_PROTOCOL, "get info: answered is %04x, %04x was asked for",
			answered, flags);
	return 0;
}

static int get_system(
	struct picoboot *p, struct picoboot_info *ret, const struct iotime *it, struct err *e)
{
	uint8_t buf[4 * PICOBOOT_INFO_WORDS];
	struct rbytes b;
	int r = get_info(
		p, INFO_SYS, SYS_CHIP | SYS_CRITICAL | SYS_CPU | SYS_FLASH, buf, &b, it, e);

	if (r < 0)
		return r;
	rb_le32(&b); /* the package, which the first ROM says wrong */
	ret->chip_id = rb_le64(&b);
	ret->critical = rb_le32(&b);
	ret->secure_boot = ret->critical & CRITICAL_SECURE_BOOT;
	ret->debug_disabled = ret->critical & CRITICAL_DEBUG_DISABLE;
	ret->arm_disabled = ret->critical & CRITICAL_ARM_DISABLE;
	ret->riscv_disabled = ret->critical & CRITICAL_RISCV_DISABLE;

	uint32_t cpu = rb_le32(&b) & 0xff;

	ret->cpu = cpu == 0 ? "arm" : cpu == 1 ? "riscv" : "unknown";
	ret->flash_devinfo = (uint16_t)rb_le32(&b);
	return b.bad ? err_set(e, ERR_PROTOCOL, "get info: the answer is cut off") : 0;
}

static int get_partitions(
	struct picoboot *p, struct picoboot_info *ret, const struct iotime *it, struct err *e)
{
	uint8_t buf[4 * PICOBOOT_INFO_WORDS];
	struct rbytes b;
	int r = get_info(p, INFO_PARTITIONS, PARTITIONS_SUMMARY, buf, &b, it, e);

	if (r < 0)
		return r;

	uint32_t summary = rb_le32(&b);

	ret->partitions = summary & PARTITION_COUNT;
	ret->partition_table = summary & PARTITION_PRESENT;
	return b.bad ? err_set(e, ERR_PROTOCOL, "get info: the answer is cut off") : 0;
}

int picoboot_info(
	struct picoboot *p, struct picoboot_info *ret, const struct iotime *it, struct err *e)
{
	struct picoboot_info info = {0};
	int r;

	if (p->chip == PICOBOOT_RP2040)
		return err_set(e, ERR_UNSUPPORTED,
			"the boot ROM of a RP2040 says nothing of itself: a RP2350's does");
	r = get_system(p, &info, it, e);
	if (r == 0)
		r = get_partitions(p, &info, it, e);
	if (r == 0)
		*ret = info;
	return r;
}
