/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/compose_parts.h"

#include <ctype.h>

#include "base/csv.h"
#include "base/jcs.h"
#include "base/util.h"
#include "transports/images/field.h"
#include "transports/images/nvs.h"

#define CSV_MAX_BYTES (1u << 20)
#define NUMBER_BYTES  JCS_NUMBER_SIZE

static const char *const orders[] = {"little", "big", NULL};

const struct action_arg compose_patch_fields[] = {
	{.name = "at", .type = ARG_SIZE, .required = true, .doc = "the address of its first byte"},
	{.name = "type",
		.type = ARG_CHOICE,
		.required = true,
		.choices = field_types,
		.doc = "what the value is"},
	{.name = "value",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "what goes there; digits of a text, hex or mac with quotes around them"},
	{.name = "width",
		.type = ARG_SIZE,
		.doc = "bytes of its place, of a text, hex, base64 or mac; a shorter text is filled with 'pad'"},
	{.name = "order",
		.type = ARG_CHOICE,
		.choices = orders,
		.doc = "of bytes; without it little"},
	{.name = "scale",
		.type = ARG_NUMBER,
		.doc = "of an integer: the value is a decimal, times this, rounded"},
	{.name = "pad",
		.type = ARG_INT,
		.low = 0,
		.high = 255,
		.doc = "after a shorter text; without it 0"},
	{0},
};

const struct action_arg compose_nvs_fields[] = {
	{.name = "namespace", .type = ARG_STRING, .required = true, .doc = "1 to 15 characters"},
	{.name = "key",
		.type = ARG_STRING,
		.doc = "1 to 15 characters; without it: the name of the entry"},
	{.name = "type",
		.type = ARG_CHOICE,
		.required = true,
		.choices = nvs_types,
		.doc = "as the firmware reads it"},
	{.name = "value",
		.type = ARG_STRING,
		.required = true,
		.secret = true,
		.doc = "an integer, a text, or of a blob pairs of hexadecimal digits"},
	{.name = "scale",
		.type = ARG_NUMBER,
		.doc = "of an integer: the value is a decimal, times this, rounded"},
	{0},
};

const struct action_arg compose_crc_fields[] = {
	{.name = "kind",
		.type = ARG_CHOICE,
		.required = true,
		.choices = crc_names,
		.doc = "by its name in the catalogue of CRC algorithms"},
	{.name = "from",
		.type = ARG_SIZE,
		.required = true,
		.doc = "the first address that it covers"},
	{.name = "to",
		.type = ARG_SIZE,
		.required = true,
		.doc = "the last address that it covers"},
	{.name = "at", .type = ARG_SIZE, .required = true, .doc = "where it is stored"},
	{.name = "order",
		.type = ARG_CHOICE,
		.choices = orders,
		.doc = "of bytes; without it little"},
	{0},
};

void compose_job_done(struct compose_job *j)
{
	compose_free(j->c);
	json_decref(j->taken);
	if (j->scratch)
		secret_wipe(j->scratch, FIELD_MAX_BYTES);
	free(j->scratch);
}

/* --- members of a mapping --- */

/* A member as text; NULL where it is not there. buf is for numbers. */
static const char *text_of(const json_t *o, const char *key, char buf[NUMBER_BYTES])
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		snprintf(buf, NUMBER_BYTES, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		jcs_number(json_real_value(v), buf);
	else if (json_is_boolean(v))
		snprintf(buf, NUMBER_BYTES, "%s", json_is_true(v) ? "true" : "false");
	else
		return json_string_value(v);
	return buf;
}

static int take_size(const json_t *o, const char *what, const char *key, uint64_t def,
	uint64_t *ret, struct err *e)
{
	char buf[NUMBER_BYTES];
	const char *s = text_of(o, key, buf);
	unsigned long long v;

	*ret = def;
	if (!s)
		return 0;
	if (!parse_size(s, &v))
		return err_set(e, ERR_INVALID,
			"'%s': '%s' is '%.40s': a size or address such as 4096, 0x8000 or 64K expected",
			what, key, s);
	*ret = v;
	return 0;
}

static int take_number(
	const json_t *o, const char *what, const char *key, double *ret, struct err *e)
{
	char buf[NUMBER_BYTES];
	const char *s = text_of(o, key, buf);

	*ret = 0;
	if (s && (!parse_number(s, ret) || *ret == 0))
		return err_set(e, ERR_INVALID,
			"'%s': '%s' is '%.40s': a number other than 0 expected", what, key, s);
	return 0;
}

static int take_order(const json_t *o, const char *what, bool *ret, struct err *e)
{
	const char *s = json_string_value(json_object_get(o, "order"));

	*ret = s && !strcmp(s, "big");
	return !s || *ret || !strcmp(s, "little")
		       ? 0
		       : err_set(e, ERR_INVALID, "'%s': 'order' is '%.40s': little or big expected",
				 what, s);
}

static bool is_digits_text(const char *type)
{
	return field_type_bytes(type) == 0 || !strcmp(type, "mac");
}

/* A number for a place of digits may have lost its zeros by now, and has more of them after its point. */
static int check_digits(const char *what, const char *type, bool is_number, struct err *e)
{
	return is_number && is_digits_text(type)
		       ? err_set(e, ERR_VALUE_MALFORMED,
				 "'%s' is a number, and of type %s: put quotes around it (0012 would be 12), or give it a type of numbers",
				 what, type)
		       : 0;
}

/* The value as text. */
static int take_value(const json_t *o, const char *what, const char *type, char buf[NUMBER_BYTES],
	const char **ret, struct err *e)
{
	const char *s = text_of(o, "value", buf);

	*ret = s ? s : "";
	return check_digits(what, type, s == buf, e);
}

static bool holds_secret(const struct compose_job *j, const char *value)
{
	return secret_found(j->s->secrets, value);
}

/* --- patches --- */

static int take_field(const json_t *o, struct field *f, struct err *e)
{
	uint64_t width = 0;
	uint64_t pad = 0;
	int r = take_size(o, f->name, "width", 0, &width, e);

	if (r == 0)
		r = take_size(o, f->name, "pad", 0, &pad, e);
	if (r == 0)
		r = take_order(o, f->name, &f->big, e);
	if (r == 0)
		r = take_number(o, f->name, "scale", &f->scale, e);
	if (r == 0 && pad > UINT8_MAX)
		r = err_set(e, ERR_INVALID, "'%s': 'pad' is one byte", f->name);
	f->width = width;
	f->padding = (uint8_t)pad;
	return r;
}

/* Of a patch or a row of a layout. base: what its place is counted from. */
static int put_field(struct compose_job *j, const json_t *o, struct field *f, const char *place,
	uint64_t base, struct err *e)
{
	uint64_t at = 0;
	size_t n = 0;
	int r = take_size(o, f->name, place, 0, &at, e);

	if (r == 0)
		r = take_field(o, f, e);
	if (r == 0 && at > UINT64_MAX - base)
		r = err_set(e, ERR_PART_OUTSIDE, "part '%s' lies above all addresses", f->name);
	if (r == 0)
		r = field_bytes(f, j->scratch, &n, e);
	if (r == 0)
		r = compose_put(
			j->c, f->name, base + at, j->scratch, n, holds_secret(j, f->value), e);
	return r;
}

int compose_take_patches(struct compose_job *j, struct err *e)
{
	const json_t *patches = args_json(j->a, "patch");
	const char *name;
	json_t *o;
	int r = 0;

	json_object_foreach((json_t *)patches, name, o) {
		char buf[NUMBER_BYTES];
		struct field f = {
			.name = name, .type = json_string_value(json_object_get(o, "type"))};

		f.type = f.type ? f.type : "";
		r = take_value(o, name, f.type, buf, &f.value, e);
		if (r == 0)
			r = put_field(j, o, &f, "at", 0, e);
		secret_wipe(buf, sizeof buf);
		if (r < 0)
			break;
	}
	return r;
}

/* --- CSV --- */

static int load_csv(struct compose_job *j, const char *arg, json_t **ret, struct err *e)
{
	const char *ref = args_str(j->a, arg);
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	char name[STEP_NAME_BYTES];
	int r = j->s->ops->name(j->s->env, ref, name, e);

	if (r == 0)
		r = j->s->ops->load_blob(j->s->env, ref, &b, e);
	if (r < 0)
		return r;
	if (b->size > CSV_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "%s has %llu bytes, at most %u expected", name,
			(unsigned long long)b->size, CSV_MAX_BYTES);
	r = csv_read_table((const char *)b->data, b->size, ret, e);
	if (r == 0 && json_array_size(*ret) == 0) {
		json_decref(*ret);
		r = err_set(e, ERR_INVALID, "it has no rows");
	}
	return r < 0 ? err_prefix(e, "'%s' (%s)", arg, name) : 0;
}

static const char *cell(const json_t *row, const char *column)
{
	const char *s = json_string_value(json_object_get(row, column));

	return s ? s : "";
}

/* The number of the row in the file, for messages: the first line has the names. */
static int need_cell(
	const char *arg, size_t row, const json_t *o, const char *column, struct err *e)
{
	return *cell(o, column) ? 0
				: err_set(e, ERR_INVALID,
					  "'%s', row %zu: the column '%s' is empty or missing", arg,
					  row + 1, column);
}

/* The end of "{NAME}" at text, which begins so; NULL where it is other text in braces. */
static const char *end_of_name(const char *text)
{
	const char *p = text + 1;

	while (isalnum((unsigned char)*p) || *p == '_' || *p == '-')
		p++;
	return *p == '}' && p > text + 1 ? p + 1 : NULL;
}

/* A text with {NAME} and something else in it: a unit would get the braces. */
static int check_whole(const char *what, const char *text, struct err *e)
{
	for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{')) {
		const char *end = end_of_name(p);

		if (end)
			return err_set(e, ERR_INVALID,
				"'%s' is '%.60s': a cell is {NAME} alone or has none; put the whole text into 'values'",
				what, text);
	}
	return 0;
}

/* A cell, or what `values` has for {NAME}. */
static int resolve(struct compose_job *j, const char *what, const char *text,
	char buf[NUMBER_BYTES], const char **ret, struct err *e)
{
	size_t n = strlen(text);
	_cleanup_(freep) char *name = NULL;

	*ret = text;
	if (text[0] != '{' || end_of_name(text) != text + n)
		return check_whole(what, text, e);
	name = strndup(text + 1, n - 2);
	*ret = text_of(args_json(j->a, "values"), name, buf);
	if (!*ret)
		return err_set(e, ERR_INVALID,
			"'%s' wants the value {%s}, and 'values' of the step has none of that name",
			what, name);
	json_object_set_new(j->taken, name, json_true());
	return 0;
}

static const char *const layout_columns[] = {"name", "offset", "type", "value"};

static int put_row(struct compose_job *j, const json_t *row, size_t k, struct err *e)
{
	uint64_t base = args_size(j->a, "layout_at");
	struct field f = {.name = cell(row, "name"), .type = cell(row, "type")};
	char buf[NUMBER_BYTES];
	int r = 0;

	if (!args_has(j->a, "layout_at"))
		base = args_size(j->a, "address");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(layout_columns); i++)
		r = need_cell("layout", k, row, layout_columns[i], e);
	if (r == 0)
		r = resolve(j, f.name, cell(row, "value"), buf, &f.value, e);
	if (r == 0)
		r = check_digits(f.name, f.type, f.value == buf, e);
	if (r == 0)
		r = put_field(j, row, &f, "offset", base, e);
	secret_wipe(buf, sizeof buf);
	return r;
}

int compose_take_layout(struct compose_job *j, struct err *e)
{
	json_t *rows = NULL;
	json_t *row;
	size_t k;
	int r = 0;

	if (!args_has(j->a, "layout"))
		return 0;
	r = load_csv(j, "layout", &rows, e);
	if (r < 0)
		return r;
	json_array_foreach(rows, k, row) {
		r = put_row(j, row, k, e);
		if (r < 0)
			break;
	}
	json_decref(rows);
	return r;
}

/* The end of one row's place; of a text without a width nobody knows it before its value. */
static int end_of(const json_t *row, uint64_t *ret, struct err *e)
{
	uint64_t at = 0;
	uint64_t width = 0;
	int r = take_size(row, cell(row, "name"), "offset", 0, &at, e);

	if (r == 0)
		r = take_size(row, cell(row, "name"), "width", field_type_bytes(cell(row, "type")),
			&width, e);
	if (r == 0 && width == 0)
		r = err_set(e, ERR_INVALID,
			"'layout', field '%s': give it a width, or the step a 'size'",
			cell(row, "name"));
	if (r == 0 && (width > IMAGE_MAX_BYTES || at > IMAGE_MAX_BYTES))
		r = err_set(e, ERR_PART_OUTSIDE, "'layout', field '%s' is beyond %llu MiB",
			cell(row, "name"), IMAGE_MAX_BYTES >> 20);
	*ret = at + width;
	return r;
}

int compose_layout_bytes(struct compose_job *j, uint64_t *ret, struct err *e)
{
	json_t *rows = NULL;
	json_t *row;
	size_t k;
	int r = load_csv(j, "layout", &rows, e);

	*ret = 0;
	if (r < 0)
		return r;
	json_array_foreach(rows, k, row) {
		uint64_t end = 0;

		r = end_of(row, &end, e);
		if (r < 0)
			break;
		*ret = MAX(*ret, end);
	}
	json_decref(rows);
	return r;
}

static int look_table(
	struct compose_job *j, const char *arg, const char *const *columns, size_t n, struct err *e)
{
	json_t *rows = NULL;
	json_t *row;
	size_t k;
	int r = args_has(j->a, arg) ? load_csv(j, arg, &rows, e) : 0;

	if (r == 0)
		json_array_foreach(rows, k, row)
			for (size_t i = 0; r == 0 && i < n; i++)
				r = need_cell(arg, k, row, columns[i], e);
	json_decref(rows);
	return r;
}

int compose_look_tables(struct compose_job *j, struct err *e)
{
	int r = look_table(j, "layout", layout_columns, ARRAY_LEN(layout_columns), e);

	return r < 0 ? r : look_table(j, "nvs_csv", (const char *const[]){"key"}, 1, e);
}

int compose_check_values(struct compose_job *j, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)args_json(j->a, "values"), name, v)
		if (!json_object_get(j->taken, name))
			return err_set(e, ERR_INVALID,
				"'values' has '%s', and no row of 'layout' or 'nvs_csv' has {%s}: correct one of them",
				name, name);
	return 0;
}

/* --- NVS --- */

/* How the text of a value of that type is written: as a field. */
static const char *field_type_of(const char *nvs_type)
{
	return !strcmp(nvs_type, "string") ? "text" : !strcmp(nvs_type, "blob") ? "hex" : nvs_type;
}

static int put_nvs(struct compose_job *j, struct nvs *n, struct nvs_value *v, const struct field *f,
	bool *secret, struct err *e)
{
	size_t bytes = 0;
	int r = field_bytes(f, j->scratch, &bytes, e);

	if (r < 0)
		return r;
	v->bytes = j->scratch;
	v->n = bytes;
	*secret |= holds_secret(j, f->value);
	return nvs_put(n, v, e);
}

static int take_entries(struct compose_job *j, struct nvs *n, bool *secret, struct err *e)
{
	const char *name;
	json_t *o;
	int r = 0;

	json_object_foreach((json_t *)args_json(j->a, "nvs"), name, o) {
		char buf[NUMBER_BYTES], key[NUMBER_BYTES], space[NUMBER_BYTES];
		const char *type = json_string_value(json_object_get(o, "type"));
		struct nvs_value v = {.space = text_of(o, "namespace", space),
			.key = text_of(o, "key", key),
			.type = type ? type : ""};
		struct field f = {.name = name, .type = field_type_of(v.type)};

		v.space = v.space ? v.space : "";
		v.key = v.key ? v.key : name;
		r = take_value(o, name, f.type, buf, &f.value, e);
		if (r == 0)
			r = take_number(o, name, "scale", &f.scale, e);
		if (r == 0)
			r = put_nvs(j, n, &v, &f, secret, e);
		secret_wipe(buf, sizeof buf);
		if (r < 0)
			break;
	}
	return r;
}

/* One of ESP-IDF's encodings: the type in the partition, and how the value is written. */
static const struct encoding {
	const char *name, *type, *field;
} encodings[] = {
	{"u8", "u8", "u8"},
	{"i8", "i8", "i8"},
	{"u16", "u16", "u16"},
	{"i16", "i16", "i16"},
	{"u32", "u32", "u32"},
	{"i32", "i32", "i32"},
	{"u64", "u64", "u64"},
	{"i64", "i64", "i64"},
	{"string", "string", "text"},
	{"hex2bin", "blob", "hex"},
	{"base64", "blob", "base64"},
	{"binary", "blob", "text"},
};

static const struct encoding *encoding_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
		if (!strcmp(encodings[i].name, name))
			return &encodings[i];
	return NULL;
}

/* space: the namespace of the rows before, which a row of type namespace changes. */
static int take_nvs_row(struct compose_job *j, struct nvs *n, const json_t *row, size_t k,
	const char **space, bool *secret, struct err *e)
{
	const char *type = cell(row, "type");
	const struct encoding *x = encoding_of(cell(row, "encoding"));
	struct nvs_value v = {.space = *space, .key = cell(row, "key")};
	struct field f = {.name = v.key};
	char buf[NUMBER_BYTES];
	int r = need_cell("nvs_csv", k, row, "key", e);

	if (r == 0 && !strcmp(type, "namespace")) {
		*space = v.key;
		return 0;
	}
	if (r == 0 && strcmp(type, "data") != 0)
		r = err_set(e, ERR_INVALID,
			"'nvs_csv', row %zu: type '%.20s': 'namespace' or 'data' expected (what a file holds is given as {NAME})",
			k + 1, type);
	if (r == 0 && !x)
		r = err_set(e, ERR_INVALID, "'nvs_csv', row %zu: there is no encoding '%.20s'",
			k + 1, cell(row, "encoding"));
	if (r == 0 && !*space)
		r = err_set(e, ERR_INVALID, "'nvs_csv', row %zu: the first row names a namespace",
			k + 1);
	if (r == 0)
		r = resolve(j, f.name, cell(row, "value"), buf, &f.value, e);
	if (r < 0)
		return r;
	v.type = x->type;
	f.type = x->field;
	r = check_digits(f.name, f.type, f.value == buf, e);
	return r < 0 ? r : put_nvs(j, n, &v, &f, secret, e);
}

static int take_nvs_csv(struct compose_job *j, struct nvs *n, bool *secret, struct err *e)
{
	const char *space = "";
	json_t *rows = NULL;
	json_t *row;
	size_t k;
	int r = 0;

	if (!args_has(j->a, "nvs_csv"))
		return 0;
	r = load_csv(j, "nvs_csv", &rows, e);
	if (r < 0)
		return r;
	json_array_foreach(rows, k, row) {
		r = take_nvs_row(j, n, row, k, &space, secret, e);
		if (r < 0)
			break;
	}
	json_decref(rows);
	return r;
}

int compose_take_nvs(struct compose_job *j, struct err *e)
{
	_cleanup_(nvs_freep) struct nvs *n = NULL;
	uint64_t at = args_size(j->a, args_has(j->a, "nvs_at") ? "nvs_at" : "address");
	uint64_t bytes = args_size(j->a, "nvs_size");
	bool secret = false;
	int r;

	if (!args_has(j->a, "nvs") && !args_has(j->a, "nvs_csv"))
		return 0;
	r = nvs_new(bytes, &n, e);
	if (r == 0)
		r = take_nvs_csv(j, n, &secret, e);
	if (r == 0)
		r = take_entries(j, n, &secret, e);
	if (r == 0)
		r = compose_put(j->c, "nvs", at, nvs_bytes(n), bytes, secret, e);
	if (r == 0)
		j->nvs_used = nvs_used(n, &j->nvs_most);
	return r;
}

/* --- sums --- */

static int put_sum(struct compose_job *j, const char *name, const json_t *o, struct err *e)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	struct compose_crc s = {.kind = crc_kind_of(kind ? kind : "")};
	uint64_t to = 0;
	int r = take_size(o, name, "from", 0, &s.from, e);

	if (r == 0)
		r = take_size(o, name, "to", 0, &to, e);
	if (r == 0)
		r = take_size(o, name, "at", 0, &s.at, e);
	if (r == 0)
		r = take_order(o, name, &s.big, e);
	if (r == 0 && !s.kind)
		r = err_set(e, ERR_INVALID, "'%s': there is no kind '%.40s' of CRC", name,
			kind ? kind : "");
	if (r == 0 && to < s.from)
		r = err_set(e, ERR_INVALID,
			"'%s': 'to' (0x%llx) is the last address, and lies before 'from' (0x%llx)",
			name, (unsigned long long)to, (unsigned long long)s.from);
	s.bytes = to - s.from + 1;
	return r < 0 ? r : compose_crc(j->c, name, &s, e);
}

int compose_take_sums(struct compose_job *j, struct err *e)
{
	const char *name;
	json_t *o;
	int r = 0;

	json_object_foreach((json_t *)args_json(j->a, "crc"), name, o) {
		r = put_sum(j, name, o, e);
		if (r < 0)
			break;
	}
	return r;
}
