/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/otp_map.h"

#include <string.h>

#include "base/form.h"
#include "base/yaml.h"

static const char *const bits_choices[] = {"set", "clear", NULL};
static const char *const coding_choices[] = {"none", "repeat3", "repeat4", "ecc", NULL};
static const char *const lock_choices[] = {"none", "command", "byte", NULL};

const char *otp_coding_str(enum otp_coding c)
{
	return coding_choices[c];
}

static const struct form_row field_rows[] = {
	{"width", FORM_INT, .required = true, .doc = "Bits.", .low = 1, .high = OTP_WIDTH_MAX,
		FORM_AT(struct otp_field, width)},
	{"console", FORM_TEXT, .doc = "What its console calls it, where that is another name.",
		.low = 1, .high = OTP_NAME_MAX, FORM_AT(struct otp_field, console)},
	{"bits", FORM_CHOICE, .def = "set", .choices = bits_choices,
		.doc = "Which way a bit goes: set (fuses) or clear (one-time flash).",
		FORM_AT(struct otp_field, bits)},
	{"coding", FORM_CHOICE, .def = "none", .choices = coding_choices,
		.doc = "How the chip keeps the bits. Half a coded field is never completed.",
		FORM_AT(struct otp_field, coding)},
	{"lock", FORM_CHOICE, .def = "command", .choices = lock_choices,
		.doc = "How it is locked, if at all.", FORM_AT(struct otp_field, lock)},
	{"address", FORM_SIZE, .doc = "Of a field that is reached in memory: of its first byte.",
		FORM_AT(struct otp_field, address)},
	{"lock_at", FORM_SIZE, .doc = "The byte that locks it where it is 00.",
		FORM_AT(struct otp_field, lock_at)},
	{"readable", FORM_BOOL, .def = "true",
		.doc = "Whether it can be read while it is not locked.",
		FORM_AT(struct otp_field, readable)},
	{"secret", FORM_BOOL, .def = "false", .doc = "Whether nobody may see what it holds.",
		FORM_AT(struct otp_field, secret)},
	{0},
};

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= OTP_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

/* Of a field in memory: the address after its last byte. */
static uint64_t end_of(const struct otp_field *f)
{
	return f->address + otp_bytes(f);
}

/* The byte that locks would be burnt with the value. (Two fields may share bytes: parts of one.) */
static void check_lock_apart(
	const struct otp_field *a, const struct otp_field *b, const char *p, struct mistakes *m)
{
	if (a->lock == OTP_LOCK_BYTE && b->in_memory && a->lock_at >= b->address &&
		a->lock_at < end_of(b))
		mistakes_add(m, p,
			"the byte at 0x%08x that locks field '%s' is a part of field '%s': whoever burns that locks it",
			(uint32_t)a->lock_at, a->name, b->name);
}

static void check_places(
	const struct otp_field *f, const json_t *o, const char *p, struct mistakes *m)
{
	bool byte = f->lock == OTP_LOCK_BYTE;

	if (f->address > UINT32_MAX || f->lock_at > UINT32_MAX ||
		(f->in_memory && end_of(f) > UINT64_C(1) << 32))
		mistakes_add(m, p, "field '%s' has an address above 0xffffffff", f->name);
	if (byte != !!json_object_get(o, "lock_at") || (byte && !f->in_memory))
		mistakes_add(m, p,
			"field '%s': 'lock: byte' needs 'address' and 'lock_at', and nothing else has 'lock_at'",
			f->name);
}

static void read_field(
	struct otp_field *f, const char *name, const json_t *o, const char *p, struct mistakes *m)
{
	f->name = xstrdup(name);
	if (!is_name(name))
		mistakes_add(m, p,
			"'%s' is not a name for a field: letters, digits, '_', '.' and '-' expected, at most %d",
			name, OTP_NAME_MAX);
	if (json_is_object(o)) {
		form_read(field_rows, o, p, "key", f, m);
		f->in_memory = json_object_get(o, "address") != NULL;
		check_places(f, o, p, m);
	} else
		mistakes_add(m, p, "field '%s' must be a mapping such as {width: 32}", name);
	if (f->console && !is_name(f->console))
		mistakes_add(m, p, "'console' of field '%s' is not a name", name);
}

static void read_fields(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct otp_map *map = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v) || json_object_size(v) == 0) {
		mistakes_add(m, pointer, "'fields' must be a mapping of at least one field");
		return;
	}
	map->field = xcalloc(json_object_size(v), sizeof *map->field);
	json_object_foreach((json_t *)(uintptr_t)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_field(&map->field[map->fields++], name, o, p, m);
	}
	for (size_t i = 0; m->count == 0 && i < map->fields; i++)
		for (size_t k = 0; k < map->fields; k++) {
			_cleanup_(freep) char *p = pointer_key(pointer, map->field[i].name);

			check_lock_apart(&map->field[i], &map->field[k], p, m);
		}
}

static const struct form_row map_rows[] = {
	{"otp", FORM_TEXT, .required = true, .low = 1, .high = 128,
		.doc = "Which chip or board this is, for people.", FORM_AT(struct otp_map, title)},
	{"fields", FORM_OWN, .required = true, .read = read_fields, .each = field_rows,
		.doc = "Each field by its name."},
	{0},
};

struct otp_map *otp_map_free(struct otp_map *m)
{
	if (m) {
		for (size_t i = 0; i < m->fields; i++) {
			free(m->field[i].name);
			form_done(field_rows, &m->field[i]);
		}
		free(m->field);
		form_done(map_rows, m);
		free(m);
	}
	return NULL;
}

static int first_mistake(
	const struct mistakes *m, const char *name, const struct yaml_doc *doc, struct err *e)
{
	struct strbuf all = {0};
	int r;

	mistakes_print(m, name, doc, &all);
	all.s[strcspn(all.s, "\n")] = '\0';
	r = err_set(e, ERR_RECIPE_INVALID, "%s", all.s);
	sb_done(&all);
	return r;
}

int otp_map_parse(const char *name, const void *text, size_t n, struct otp_map **ret, struct err *e)
{
	_cleanup_(otp_map_freep) struct otp_map *map = xcalloc(1, sizeof *map);
	struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	int r = yaml_parse(name, text, n, &doc, e);

	if (r < 0)
		return err_set(e, ERR_RECIPE_INVALID, "%s", e ? e->msg : "");
	if (json_is_object(doc->root))
		form_read(map_rows, doc->root, "", "key", map, &m);
	else
		mistakes_add(&m, "", "a map of fields must be a mapping with 'otp' and 'fields'");
	if (m.count)
		r = first_mistake(&m, name, doc, e);
	mistakes_done(&m);
	yaml_doc_free(doc);
	if (r < 0)
		return r;
	sha256_hex_of(text, n, map->sha256);
	*ret = steal_ptr(&map);
	return 0;
}

int otp_map_field(
	const struct otp_map *m, const char *name, const struct otp_field **ret, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(m->fields + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < m->fields; i++) {
		names[i] = m->field[i].name;
		if (!strcmp(names[i], name)) {
			*ret = &m->field[i];
			return 0;
		}
	}
	near = nearest_name(name, names);
	return err_set(e, ERR_RECIPE_INVALID, "the map of '%s' has no field '%.64s'%s%s%s",
		m->title, name, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Right-aligned in n bytes. */
static bool number_parse(const char *digits, uint8_t *p, size_t n)
{
	size_t len = strlen(digits);
	char hex[OTP_HEX];

	while (len > 1 && *digits == '0') {
		digits++;
		len--;
	}
	if (len == 0 || len > 2 * n)
		return false;
	memset(hex, '0', 2 * n);
	memcpy(hex + 2 * n - len, digits, len + 1);
	return hex_parse(hex, p, n);
}

int otp_value_parse(
	const struct otp_field *f, const char *text, uint8_t p[OTP_BYTES], struct err *e)
{
	size_t n = otp_bytes(f);
	bool number = !strncmp(text, "0x", 2);
	bool good = number ? number_parse(text + 2, p, n) : hex_parse(text, p, n);

	if (!good || (f->width % 8 && p[0] >> f->width % 8))
		return err_set(e, ERR_RECIPE_INVALID,
			"'value' does not fit field '%s', which has %u bits: %zu hex digits, or 0x and a number of at most as many bits, expected",
			f->name, f->width, 2 * n);
	return 0;
}

int otp_flash_check(const struct otp_field *f, struct err *e)
{
	if (!f->in_memory || f->bits != OTP_CLEAR || !f->readable || f->lock == OTP_LOCK_COMMAND)
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is not one that a boot ROM reaches: 'address', 'bits: clear', 'readable: true' and 'lock: byte' or 'none' expected in its map",
			f->name);
	return 0;
}

int otp_memory_check(const struct otp_field *f, struct err *e)
{
	if (!f->in_memory || !f->readable || f->lock == OTP_LOCK_COMMAND ||
		(f->lock == OTP_LOCK_BYTE && f->bits == OTP_SET))
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is not one that a debugger reaches: 'address', 'readable: true' and 'lock: none' (or 'byte', where bits are cleared) expected in its map",
			f->name);
	return 0;
}

int otp_flash_units(const struct otp_field *f, uint32_t unit, const char *part, struct err *e)
{
	unit = MAX(unit, (uint32_t)OTP_WORD);
	if (f->width % 8 || f->address % unit || otp_bytes(f) % unit)
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is %u bits at 0x%08x, and %s programs %u bytes at once: an address and a width of whole units expected",
			f->name, f->width, (uint32_t)f->address, part, unit);
	if (f->lock == OTP_LOCK_BYTE && unit > OTP_WORD)
		return err_set(e, ERR_UNSUPPORTED,
			"%s programs %u bytes at once: a single byte that locks cannot be written there",
			part, unit);
	return 0;
}

uint32_t otp_lock_word(const struct otp_field *f, uint8_t word[OTP_WORD])
{
	memset(word, 0xff, OTP_WORD);
	word[f->lock_at % OTP_WORD] = 0;
	return (uint32_t)(f->lock_at - f->lock_at % OTP_WORD);
}
