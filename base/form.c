/* SPDX-License-Identifier: Apache-2.0 */
#include "base/form.h"

#include "base/strbuf.h"
#include "base/timefmt.h"
#include "base/util.h"

#define KEYS_MAX 64

/* --- reading --- */

static void check_keys(const struct form_row *rows, const json_t *o, const char *pointer,
	const char *what, struct mistakes *m)
{
	const char *names[KEYS_MAX + 1] = {0};
	const char *key;
	json_t *v;

	for (size_t i = 0; rows[i].key && i < KEYS_MAX; i++)
		names[i] = rows[i].key;
	json_object_foreach((json_t *)o, key, v) {
		_cleanup_(freep) char *p = pointer_key(pointer, key);
		size_t i = 0;

		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (!names[i])
			mistakes_add_unknown(m, p, what, key, names);
	}
}

static void put_int(void *field, size_t width, long long v)
{
	switch (width) {
	case 1:
		*(int8_t *)field = (int8_t)v;
		break;
	case 2:
		*(int16_t *)field = (int16_t)v;
		break;
	case 4:
		*(int32_t *)field = (int32_t)v;
		break;
	default:
		*(int64_t *)field = v;
		break;
	}
}

static void put_text(char **field, const char *s)
{
	free(*field);
	*field = xstrdup(s);
}

/* Within low and high, where they are there; counted in bytes. */
static bool has_length(const struct form_row *r, const char *s, const char *p, struct mistakes *m)
{
	size_t n = strlen(s);

	if (n >= (size_t)r->low && (!r->high || n <= (size_t)r->high))
		return true;
	if (r->high)
		mistakes_add(
			m, p, "'%s' must be a text of %lld to %lld bytes", r->key, r->low, r->high);
	else if (r->low == 1)
		mistakes_add(m, p, "'%s' is empty", r->key);
	else
		mistakes_add(m, p, "'%s' must be a text of %lld bytes or more", r->key, r->low);
	return false;
}

static void read_text(
	const struct form_row *r, const json_t *v, const char *p, char **field, struct mistakes *m)
{
	const char *s = json_string_value(v);

	if (!s)
		mistakes_add(m, p, "'%s' must be a string (quote it)", r->key);
	else if (r->type == FORM_PATH && *s != '/')
		mistakes_add(m, p, "'%s' must be an absolute path", r->key);
	else if (r->type == FORM_PATH || has_length(r, s, p, m))
		put_text(field, s);
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static void read_paths(
	const struct form_row *r, const json_t *v, const char *p, char ***field, struct mistakes *m)
{
	size_t n = json_array_size(v);
	char **list;

	if (!json_is_array(v)) {
		mistakes_add(m, p, "'%s' must be a list of paths", r->key);
		return;
	}
	list = xcalloc(n + 1, sizeof *list);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));
		_cleanup_(freep) char *at = pointer_index(p, i);

		if (!s || *s != '/')
			mistakes_add(m, at, "an item of '%s' must be an absolute path", r->key);
		list[i] = xstrdup(s ? s : "");
	}
	free_list(*field);
	*field = list;
}

static void read_int(
	const struct form_row *r, const json_t *v, const char *p, void *field, struct mistakes *m)
{
	if (json_is_integer(v) && json_integer_value(v) >= r->low &&
		json_integer_value(v) <= r->high)
		put_int(field, r->width, json_integer_value(v));
	else
		mistakes_add(
			m, p, "'%s' must be an integer from %lld to %lld", r->key, r->low, r->high);
}

static void read_size(const struct form_row *r, const json_t *v, const char *p, uint64_t *field,
	struct mistakes *m)
{
	unsigned long long n;

	if (json_is_string(v) && parse_size(json_string_value(v), &n))
		*field = n;
	else if (json_is_integer(v) && json_integer_value(v) >= 0)
		*field = (uint64_t)json_integer_value(v);
	else
		mistakes_add(m, p, "'%s' must be a size such as 64M", r->key);
}

static void read_duration(const struct form_row *r, const json_t *v, const char *p, uint64_t *field,
	struct mistakes *m)
{
	unsigned long long us;

	if (!json_is_string(v))
		mistakes_add(m, p, "'%s' must be a string (quote it)", r->key);
	else if (parse_duration_us(json_string_value(v), &us) && us >= (uint64_t)r->low)
		*field = us;
	else
		mistakes_add(m, p, "'%s' must be a duration such as 500ms or 5s", r->key);
}

/* Millimetres with at most three digits after the point, as a whole number of micrometres. */
static bool parse_length_um(const char *s, long long *ret)
{
	size_t whole = strspn(s, "0123456789");
	size_t part = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;
	long long um = 0;

	if (whole < 1 || whole > 6 || part > 3 || (s[whole] == '.' && part == 0) ||
		strcmp(s + whole + (part ? part + 1 : 0), "mm") != 0)
		return false;
	for (size_t i = 0; i < whole; i++)
		um = um * 10 + (s[i] - '0');
	for (size_t i = 0; i < 3; i++)
		um = um * 10 + (i < part ? s[whole + 1 + i] - '0' : 0);
	*ret = um;
	return true;
}

static void read_length(const struct form_row *r, const json_t *v, const char *p, uint32_t *field,
	struct mistakes *m)
{
	const char *s = json_string_value(v);
	long long um;

	if (!s || !parse_length_um(s, &um))
		mistakes_add(m, p, "'%s' must be a length such as 50mm or 0.5mm", r->key);
	else if (um < r->low || um > r->high)
		mistakes_add(m, p, "'%s' is %s: from %.10gmm to %.10gmm expected", r->key, s,
			(double)r->low / 1000, (double)r->high / 1000);
	else
		*field = (uint32_t)um;
}

static void read_time(const struct form_row *r, const json_t *v, const char *p, int64_t *field,
	struct mistakes *m)
{
	int64_t ms;

	if (!json_is_string(v) || rfc3339_parse(json_string_value(v), &ms) < 0)
		mistakes_add(m, p, "'%s' must be a time such as 2026-12-31T18:00:00Z", r->key);
	else if (ms <= 0) /* 0 is none */
		mistakes_add(m, p,
			"'%s' must be a time after 1970-01-01T00:00:00Z: leave it out where there is none",
			r->key);
	else
		*field = ms;
}

static void read_list(const struct form_row *r, const json_t *v, const char *p,
	const json_t **field, struct mistakes *m)
{
	size_t n = json_array_size(v);

	if (json_is_array(v) && n >= (size_t)r->low && (!r->high || n <= (size_t)r->high))
		*field = v;
	else if (r->high)
		mistakes_add(m, p, "'%s' must be a list of %lld to %lld values", r->key, r->low,
			r->high);
	else if (r->low == 1)
		mistakes_add(m, p, "'%s' must be a list that is not empty", r->key);
	else if (r->low)
		mistakes_add(m, p, "'%s' must be a list of %lld values or more", r->key, r->low);
	else
		mistakes_add(m, p, "'%s' must be a list", r->key);
	for (size_t i = 0; r->type == FORM_TEXTS && i < n; i++) {
		_cleanup_(freep) char *at = pointer_index(p, i);

		if (!json_is_string(json_array_get(v, i)))
			mistakes_add(m, at, "an item of '%s' must be a string", r->key);
	}
}

static void read_mapping(const struct form_row *r, const json_t *v, const char *p,
	const json_t **field, struct mistakes *m)
{
	if (!json_is_object(v))
		mistakes_add(m, p, "'%s' must be a mapping", r->key);
	else
		*field = v;
}

static void choice_mistake(
	const struct form_row *r, const char *s, const char *p, struct mistakes *m)
{
	const char *near = nearest_name(s, r->choices);
	struct strbuf all = {0};

	for (int i = 0; r->choices[i]; i++)
		sb_addf(&all, "%s%s", i ? ", " : "", r->choices[i]);
	if (near)
		mistakes_add(m, p, "'%s' is '%.80s': one of %s expected, did you mean '%s'?",
			r->key, s, all.s, near);
	else
		mistakes_add(m, p, "'%s' is '%.80s': one of %s expected", r->key, s, all.s);
	sb_done(&all);
}

static void read_choice(
	const struct form_row *r, const json_t *v, const char *p, void *field, struct mistakes *m)
{
	const char *s = json_string_value(v);

	for (int i = 0; s && r->choices[i]; i++) {
		if (!strcmp(r->choices[i], s)) {
			put_int(field, r->width, i);
			return;
		}
	}
	if (!s)
		mistakes_add(m, p, "'%s' must be a string (quote it)", r->key);
	else
		choice_mistake(r, s, p, m);
}

static void read_row(
	const struct form_row *r, const json_t *v, const char *p, void *to, struct mistakes *m)
{
	void *field = (char *)to + r->at;

	if (r->null && json_is_null(v))
		return;
	switch (r->type) {
	case FORM_TEXT:
	case FORM_PATH:
		read_text(r, v, p, field, m);
		break;
	case FORM_PATHS:
		read_paths(r, v, p, field, m);
		break;
	case FORM_BOOL:
		if (json_is_boolean(v))
			*(bool *)field = json_is_true(v);
		else
			mistakes_add(m, p, "'%s' must be true or false", r->key);
		break;
	case FORM_INT:
		read_int(r, v, p, field, m);
		break;
	case FORM_SIZE:
		read_size(r, v, p, field, m);
		break;
	case FORM_DURATION:
		read_duration(r, v, p, field, m);
		break;
	case FORM_LENGTH:
		read_length(r, v, p, field, m);
		break;
	case FORM_TIME:
		read_time(r, v, p, field, m);
		break;
	case FORM_CHOICE:
		read_choice(r, v, p, field, m);
		break;
	case FORM_LIST:
	case FORM_TEXTS:
		read_list(r, v, p, field, m);
		break;
	case FORM_MAPPING:
		read_mapping(r, v, p, field, m);
		break;
	case FORM_ANY:
		*(const json_t **)field = v;
		break;
	case FORM_OWN:
		r->read(to, v, p, m);
		break;
	}
}

/* A default as it would be written in YAML. */
static json_t *default_of(const struct form_row *r)
{
	switch (r->type) {
	case FORM_BOOL:
		return json_boolean(!strcmp(r->def, "true"));
	case FORM_INT:
		return json_integer(strtoll(r->def, NULL, 10));
	case FORM_TEXT:
	case FORM_PATH:
	case FORM_PATHS:
	case FORM_SIZE:
	case FORM_DURATION:
	case FORM_LENGTH:
	case FORM_TIME:
	case FORM_CHOICE:
	case FORM_LIST:
	case FORM_TEXTS:
	case FORM_MAPPING:
	case FORM_ANY:
	case FORM_OWN:
		break;
	}
	return json_string(r->def);
}

void form_read(const struct form_row *rows, const json_t *o, const char *pointer, const char *what,
	void *to, struct mistakes *m)
{
	check_keys(rows, o, pointer, what, m);
	for (const struct form_row *r = rows; r->key; r++) {
		const json_t *given = json_object_get(o, r->key);
		_cleanup_(freep) char *p = pointer_key(pointer, r->key);

		if (r->def) {
			json_t *def = default_of(r);

			read_row(r, def, p, to, m);
			json_decref(def);
		}
		if (given)
			read_row(r, given, p, to, m);
		else if (r->required && r->type != FORM_ANY)
			mistakes_add(m, pointer, "'%s' is missing", r->key);
	}
}

void form_done(const struct form_row *rows, void *to)
{
	for (const struct form_row *r = rows; r->key; r++) {
		void *field = (char *)to + r->at;

		if (r->type == FORM_TEXT || r->type == FORM_PATH) {
			free(*(char **)field);
			*(char **)field = NULL;
		} else if (r->type == FORM_PATHS) {
			free_list(*(char ***)field);
			*(char ***)field = NULL;
		}
	}
}

/* --- the manual and the schema --- */

static const char *written(const struct form_row *r)
{
	switch (r->type) {
	case FORM_TEXT:
		return "text";
	case FORM_PATH:
		return "absolute path";
	case FORM_PATHS:
		return "list of absolute paths";
	case FORM_BOOL:
		return "true or false";
	case FORM_INT:
		return "whole number";
	case FORM_SIZE:
		return "size";
	case FORM_DURATION:
		return "duration";
	case FORM_LENGTH:
		return "length";
	case FORM_TIME:
		return "time";
	case FORM_LIST:
		return "list";
	case FORM_TEXTS:
		return "list of texts";
	case FORM_MAPPING:
		return "mapping";
	case FORM_CHOICE:
	case FORM_ANY:
	case FORM_OWN:
		break;
	}
	return NULL;
}

/* Text of a man page: what troff would take for itself is escaped. */
static void man_text(FILE *out, const char *s)
{
	for (const char *p = s; *p; p++) {
		if (*p == '-')
			fputs("\\-", out);
		else if (*p == '\'')
			fputs("\\(aq", out);
		else if (*p == '\\')
			fputs("\\e", out);
		else
			putc(*p, out);
	}
}

void form_man(const struct form_row *rows, FILE *out)
{
	for (const struct form_row *r = rows; r->key; r++) {
		fprintf(out, ".TP\n.BR %s \" (", r->key);
		if (r->type == FORM_CHOICE) {
			for (int i = 0; r->choices[i]; i++) {
				fputs(i ? ", " : "", out);
				man_text(out, r->choices[i]);
			}
		} else if (r->type == FORM_INT) {
			fprintf(out, "%lld to %lld", r->low, r->high);
		} else {
			man_text(out, written(r) ? written(r) : "see below");
		}
		if (r->def && *r->def)
			fprintf(out, "; default %s", r->def);
		fputs(r->required ? "; needed)\"\n" : ")\"\n", out);
		man_text(out, r->doc);
		putc('\n', out);
	}
}

static json_t *text_schema(const struct form_row *r)
{
	json_t *o = json_pack("{s:s}", "type", "string");

	if (r->low > 0)
		json_object_set_new(o, "minLength", json_integer(r->low));
	/* Bytes: never more characters than that. */
	if (r->high > 0)
		json_object_set_new(o, "maxLength", json_integer(r->high));
	return o;
}

static json_t *int_schema(const struct form_row *r)
{
	json_t *o = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)r->low);

	if (r->high < INT64_MAX)
		json_object_set_new(o, "maximum", json_integer(r->high));
	return o;
}

static json_t *list_schema(const struct form_row *r)
{
	json_t *o = json_pack("{s:s}", "type", "array");

	if (r->low > 0)
		json_object_set_new(o, "minItems", json_integer(r->low));
	if (r->high > 0)
		json_object_set_new(o, "maxItems", json_integer(r->high));
	if (r->type == FORM_TEXTS)
		json_object_set_new(o, "items", json_pack("{s:s}", "type", "string"));
	else if (r->schema)
		json_object_set_new(o, "items", json_loads(r->schema, 0, NULL));
	return o;
}

static json_t *mapping_schema(const struct form_row *r)
{
	json_t *o = json_pack("{s:s}", "type", "object");

	if (r->schema)
		json_object_set_new(o, "additionalProperties", json_loads(r->schema, 0, NULL));
	return o;
}

static json_t *own_schema(const struct form_row *r)
{
	json_t *o = r->schema ? json_loads(r->schema, JSON_DECODE_ANY, NULL) : NULL;
	json_t *rows = r->rows	 ? form_schema(r->rows)
		       : r->each ? json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
					   form_schema(r->each))
				 : NULL;

	if (o && rows)
		return json_pack("{s:[o, o]}", "oneOf", o, rows);
	return o ? o : rows ? rows : json_object();
}

static json_t *choice_schema(const struct form_row *r)
{
	json_t *names = json_array();

	for (int i = 0; r->choices[i]; i++)
		json_array_append_new(names, json_string(r->choices[i]));
	return json_pack("{s:o}", "enum", names);
}

static json_t *type_schema(const struct form_row *r)
{
	switch (r->type) {
	case FORM_TEXT:
		return text_schema(r);
	case FORM_PATH:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^/");
	case FORM_PATHS:
		return json_pack("{s:s, s:{s:s, s:s}}", "type", "array", "items", "type", "string",
			"pattern", "^/");
	case FORM_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case FORM_INT:
		return int_schema(r);
	case FORM_SIZE:
		return json_pack("{s:[s, s], s:s, s:i}", "type", "string", "integer", "pattern",
			"^(0x[0-9a-fA-F]+|[0-9]+)[KMG]?$", "minimum", 0);
	case FORM_DURATION:
		return json_pack(
			"{s:s, s:s}", "type", "string", "pattern", "^[0-9]+(us|ms|s|m|h|d)$");
	case FORM_LENGTH:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
			"^[0-9]{1,6}(\\.[0-9]{1,3})?mm$");
	case FORM_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case FORM_CHOICE:
		return choice_schema(r);
	case FORM_LIST:
	case FORM_TEXTS:
		return list_schema(r);
	case FORM_MAPPING:
		return mapping_schema(r);
	case FORM_ANY:
	case FORM_OWN:
		break;
	}
	return own_schema(r);
}

static json_t *schema_of(const struct form_row *r)
{
	json_t *o = type_schema(r);

	if (r->null)
		json_object_set_new(
			o, "type", json_pack("[O, s]", json_object_get(o, "type"), "null"));
	json_object_set_new(o, "description", json_string(r->doc));
	if (r->def)
		json_object_set_new(o, "default", default_of(r));
	return o;
}

json_t *form_schema(const struct form_row *rows)
{
	json_t *properties = json_object();
	json_t *required = json_array();
	json_t *o;

	for (const struct form_row *r = rows; r->key; r++) {
		json_object_set_new(properties, r->key, schema_of(r));
		if (r->required)
			json_array_append_new(required, json_string(r->key));
	}
	o = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
		"additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(o, "required", required);
	json_decref(required);
	return o;
}
