/* SPDX-License-Identifier: Apache-2.0
 *
 * Variables of the device, and what follows from them: numbers, lock state, slots.
 */
#include "transports/protocols/fastboot/fastboot_impl.h"

#include <ctype.h>
#include <string.h>

#define VARS_MAX 4096

int fastboot_getvar(struct fastboot *f, const char *name, char ret[FASTBOOT_REPLY_MAX + 1],
	const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *command = xasprintf("getvar:%s", name);
	struct fastboot_reply a = {0};

	if (f->c.no_getvar)
		return err_set(e, ERR_NOT_FOUND, "getvar is not used with this device");

	int r = fastboot_command(f, command, f->c.getvar_us, it, &a, e);

	if (r == -ERR_DEVICE_REFUSED)
		return err_set(e, ERR_NOT_FOUND, "the device knows no '%s'", name);
	if (r < 0)
		return r;

	/* The old rule: OKAY with nothing is an unknown variable too. */
	const char *v = a.text;

	while (isspace((unsigned char)*v))
		v++;
	if (!*v)
		return err_set(e, ERR_NOT_FOUND, "the device says nothing of '%s'", name);
	snprintf(ret, FASTBOOT_REPLY_MAX + 1, "%s", v);
	return 0;
}

int fastboot_getvar_yes(
	struct fastboot *f, const char *name, bool *ret, const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(f, name, v, it, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	*ret = r == 0 && !strcmp(v, "yes");
	return 0;
}

static bool any_number(const char *s, int base, uint64_t *ret)
{
	uint64_t v = 0;
	size_t digits = 0;

	while (isspace((unsigned char)*s))
		s++;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (; isxdigit((unsigned char)*s); s++, digits++) {
		int c = tolower((unsigned char)*s);
		unsigned d = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);

		if (d >= (unsigned)base || v > (UINT64_MAX - d) / (unsigned)base)
			return false;
		v = v * (unsigned)base + d;
	}
	while (isspace((unsigned char)*s))
		s++;
	if (digits == 0 || *s)
		return false;
	*ret = v;
	return true;
}

bool fastboot_parse_size(const char *s, uint64_t *ret)
{
	return any_number(s, 10, ret);
}

bool fastboot_parse_hex(const char *s, uint64_t *ret)
{
	return any_number(s, 16, ret);
}

static int get_number(struct fastboot *f, const char *name, bool (*parse)(const char *, uint64_t *),
	uint64_t *ret, const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(f, name, v, it, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	*ret = 0;
	if (r == 0 && !parse(v, ret))
		teller_log(&f->tell, '#', "%s is not a number: '%s'", name, v);
	return 0;
}

int fastboot_getvar_size(
	struct fastboot *f, const char *name, uint64_t *ret, const struct iotime *it, struct err *e)
{
	return get_number(f, name, fastboot_parse_size, ret, it, e);
}

int fastboot_getvar_hex(
	struct fastboot *f, const char *name, uint64_t *ret, const struct iotime *it, struct err *e)
{
	return get_number(f, name, fastboot_parse_hex, ret, it, e);
}

static const char *const with_argument[] = {"has-slot", "slot-successful", "slot-unbootable",
	"slot-retry-count", "partition-type", "partition-size", "is-logical", NULL};

static bool takes_argument(const char *name, size_t n)
{
	for (const char *const *p = with_argument; *p; p++)
		if (strlen(*p) == n && !memcmp(*p, name, n))
			return true;
	return false;
}

static char *trimmed(const char *p, size_t n)
{
	while (n > 0 && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	while (n > 0 && isspace((unsigned char)p[n - 1]))
		n--;
	return strndup(p, n);
}

void fastboot_vars_add(struct fastboot_vars *v, const char *line)
{
	const char *colon = strchr(line, ':');
	const char *second = colon ? strchr(colon + 1, ':') : NULL;

	if (!colon || colon == line || v->count >= VARS_MAX)
		return;
	if (second && takes_argument(line, (size_t)(colon - line)))
		colon = second;

	char *name = trimmed(line, (size_t)(colon - line));
	char *value = trimmed(colon + 1, strlen(colon + 1));
	struct fastboot_var *list = reallocarray(v->list, v->count + 1, sizeof *list);

	if (!name || !value || !list)
		abort();
	v->list = list;
	v->list[v->count++] = (struct fastboot_var){name, value};
}

void fastboot_vars_done(struct fastboot_vars *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->list[i].name);
		free(v->list[i].value);
	}
	free(v->list);
	*v = (struct fastboot_vars){0};
}

int fastboot_getvar_all(
	struct fastboot *f, struct fastboot_vars *ret, const struct iotime *it, struct err *e)
{
	struct strbuf lines = {0};
	struct fastboot_reply a = {.lines = &lines};
	int r = fastboot_command(f, "getvar:all", f->c.command_us, it, &a, e);
	char *rest = lines.s;
	char *line;

	while (r == 0 && (line = strsep(&rest, "\n")))
		fastboot_vars_add(ret, line);
	sb_done(&lines);
	return r;
}

int fastboot_lock_state(
	struct fastboot *f, enum fastboot_lock *ret, const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(f, "unlocked", v, it, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	*ret = r < 0		       ? FASTBOOT_LOCK_UNKNOWN
	       : !strcasecmp(v, "yes") ? FASTBOOT_UNLOCKED
	       : !strcasecmp(v, "no")  ? FASTBOOT_LOCKED
				       : FASTBOOT_LOCK_UNKNOWN;
	return 0;
}

const char *fastboot_lock_name(enum fastboot_lock l)
{
	switch (l) {
	case FASTBOOT_LOCKED:
		return "locked";
	case FASTBOOT_UNLOCKED:
		return "unlocked";
	case FASTBOOT_LOCK_UNKNOWN:
		break;
	}
	return "unknown";
}

int fastboot_current_slot(struct fastboot *f, char ret[8], const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(f, "current-slot", v, it, e);
	const char *s = *v == '_' ? v + 1 : v;

	if (r == -ERR_NOT_FOUND)
		return err_set(e, ERR_UNSUPPORTED, "the device names no current slot");
	if (r < 0)
		return r;
	if (strlen(s) != 1 || *s < 'a' || *s > 'z')
		return err_set(e, ERR_UNEXPECTED_REPLY, "current-slot is '%s': no slot", v);
	snprintf(ret, 8, "%s", s);
	return 0;
}

/* The letter of the slot that is meant. */
static int slot_letter(
	struct fastboot *f, const char *slot, char ret[8], const struct iotime *it, struct err *e)
{
	bool other = slot && !strcmp(slot, "other");

	if (slot && *slot && !other) {
		snprintf(ret, 8, "%s", *slot == '_' ? slot + 1 : slot);
		return strlen(ret) == 1 && *ret >= 'a' && *ret <= 'z'
			       ? 0
			       : err_set(e, ERR_INVALID, "'%s' is not a slot", slot);
	}

	int r = fastboot_current_slot(f, ret, it, e);

	if (r == 0 && other)
		*ret = *ret == 'a' ? 'b' : 'a';
	return r;
}

int fastboot_target(struct fastboot *f, const char *partition, const char *slot,
	char ret[FASTBOOT_NAME_MAX], const struct iotime *it, struct err *e)
{
	size_t base = strcspn(partition, ":");
	char name[FASTBOOT_NAME_MAX + 16];
	char letter[8] = "";
	bool slots = false;

	if (base == 0 || strlen(partition) > FASTBOOT_NAME_MAX - 3 ||
		strpbrk(partition, " \t\r\n/"))
		return err_set(e, ERR_INVALID, "'%s' is not a name of a partition", partition);
	snprintf(name, sizeof name, "has-slot:%.*s", (int)base, partition);

	int r = fastboot_getvar_yes(f, name, &slots, it, e);

	if (r == 0 && !slots && slot && *slot)
		r = err_set(e, ERR_UNSUPPORTED, "partition %.*s has no slots on this device",
			(int)base, partition);
	if (r == 0 && slots)
		r = slot_letter(f, slot, letter, it, e);
	if (r < 0)
		return r;
	snprintf(ret, FASTBOOT_NAME_MAX, "%.*s%s%s%s", (int)base, partition, slots ? "_" : "",
		letter, partition + base);
	return 0;
}
