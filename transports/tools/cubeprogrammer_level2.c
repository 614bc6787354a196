/* SPDX-License-Identifier: Apache-2.0
 *
 * What is for ever: a look at the part by the program's own words, and read-out protection of level 2.
 */
#include "transports/tools/cubeprogrammer_impl.h"

#include "base/bytes.h"
#include "base/util.h"
#include "transports/protocols/stm32/stm32_devices.h"

#define DEVICE_LINE "^Device ID\\s*: 0x([0-9A-Fa-f]{3})\\b"
#define RDP_LINE    "^\\s*RDP\\s*: 0x([0-9A-Fa-f]{1,2})\\b"
#define DONE_LINE   "(?i)Option Bytes? (successfully )?(programmed|programming complete)"
#define ID_WORDS    (CUBE_UID_BYTES / 4)

static int run(const struct cube_target *t, const struct cube_words *w,
	const struct tool_marker *success, const struct tool_dir *d, const struct teller *tell,
	struct tool_outcome *ret, const struct iotime *it, struct err *e)
{
	const struct tool_spec spec = {.name = "STM32_Programmer_CLI",
		.argv = (const char *const *)w->word,
		.dir = d->path,
		.success = success,
		.rules = cube_rules,
		.phases = cube_phases,
		.version = CUBE_VERSION_LINE,
		.tell = *tell};
	const struct cube_flash none = {0};
	int r = cube_check(t, &none, e);

	return r < 0 ? r : tool_run(&spec, ret, it, e);
}

/* The hexadecimal number after the colon of a line that was matched. */
static unsigned long number_of(const char *line)
{
	const char *colon = strchr(line, ':');

	return colon ? strtoul(colon + 1, NULL, 16) : 0;
}

static int look_options(const struct cube_target *t, const struct tool_dir *d,
	const struct teller *tell, struct cube_part *ret, const struct iotime *it, struct err *e)
{
	static const struct tool_marker success[] = {{DEVICE_LINE, 1}, {RDP_LINE, 1}, {NULL, 0}};
	_cleanup_(cube_words_done) struct cube_words w = {0};
	_cleanup_(tool_outcome_done) struct tool_outcome seen = {0};
	int r;

	cube_add(&w, "%s", t->program);
	cube_add_connect(&w, t);
	cube_add(&w, "-ob");
	cube_add(&w, "displ");
	r = run(t, &w, success, d, tell, &seen, it, e);
	if (r < 0)
		return r;
	/* A part with two of them, or a text that is not understood. */
	if (seen.count[0] != 1 || seen.count[1] != 1)
		return err_set(e, ERR_NO_EVIDENCE,
			"STM32_Programmer_CLI shows %u device IDs and %u RDP option bytes, one of each expected: nothing that is for ever is done",
			seen.count[0], seen.count[1]);
	ret->device_id = (uint16_t)number_of(seen.marker[0]);
	ret->rdp = (uint8_t)number_of(seen.marker[1]);
	return 0;
}

/* "0x1FFF7A10 : 003B0028 3433510C 31353336": words, which lie in memory with their low byte first. */
static int uid_of(const char *line, char ret[2 * CUBE_UID_BYTES + 1])
{
	uint8_t raw[CUBE_UID_BYTES];
	struct wbytes b = wbytes_of(raw, sizeof raw);
	const char *p = strchr(line, ':');

	for (int i = 0; p && i < ID_WORDS; i++) {
		char *end;

		wb_le32(&b, (uint32_t)strtoul(p + 1, &end, 16));
		p = end;
	}
	hex_of(raw, sizeof raw, ret);
	return 0;
}

static int look_uid(const struct cube_target *t, const struct tool_dir *d,
	const struct teller *tell, struct cube_part *ret, const struct iotime *it, struct err *e)
{
	const struct stm32_device *part = stm32_device_by_pid(ret->device_id);
	_cleanup_(cube_words_done) struct cube_words w = {0};
	_cleanup_(tool_outcome_done) struct tool_outcome seen = {0};
	char pattern[96];
	const struct tool_marker success[] = {{pattern, 1}, {NULL, 0}};
	int r;

	if (!part || !part->uid_register)
		return 0;
	snprintf(pattern, sizeof pattern, "(?i)^0x%08x\\s*:(\\s+[0-9A-F]{8}){%d}\\s*$",
		part->uid_register, ID_WORDS);
	cube_add(&w, "%s", t->program);
	cube_add_connect(&w, t);
	cube_add(&w, "-r32");
	cube_add(&w, "0x%08x", part->uid_register);
	cube_add(&w, "%d", CUBE_UID_BYTES);
	r = run(t, &w, success, d, tell, &seen, it, e);
	return r < 0 ? r : uid_of(seen.marker[0], ret->uid);
}

int cube_look(const struct cube_target *t, const struct tool_dir *d, const struct teller *tell,
	struct cube_part *ret, const struct iotime *it, struct err *e)
{
	struct cube_part part = {0};
	int r = look_options(t, d, tell, &part, it, e);

	if (r == 0)
		r = look_uid(t, d, tell, &part, it, e);
	if (r == 0)
		*ret = part;
	return r;
}

int cube_level2(const struct cube_target *t, const struct tool_dir *d, const struct teller *tell,
	struct tool_outcome *ret, const struct iotime *it, struct err *e)
{
	static const struct tool_marker success[] = {{DONE_LINE, 1}, {NULL, 0}};
	_cleanup_(cube_words_done) struct cube_words w = {0};

	cube_add(&w, "%s", t->program);
	cube_add_connect(&w, t);
	cube_add(&w, "-ob");
	cube_add(&w, "RDP=0xCC");
	return run(t, &w, success, d, tell, ret, it, e);
}
