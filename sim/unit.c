/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/unit.h"

#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/secret.h"

static struct unit *blank_unit(const char *dir)
{
	struct unit *u = xcalloc(1, sizeof *u);

	u->dir = dir ? xstrdup(dir) : NULL;
	u->serials = json_array();
	u->config = json_object();
	u->values = json_object();
	u->counters = json_object();
	u->lying_offset = -1;
	u->adc_gain = 1.0;
	return u;
}

static int open_flash(struct unit *u, const struct board_settings *s, struct err *e)
{
	_cleanup_(freep) char *path = u->dir ? xasprintf("%s/%s.flash.bin", u->dir, u->uid) : NULL;

	return flash_new(&s->flash, path, &u->flash, e);
}

void unit_make_uid(char ret[UNIT_UID_HEX])
{
	uint8_t id[12];

	random_bytes(id, sizeof id);
	hex_of(id, sizeof id, ret);
}

int unit_new(const struct board_settings *s, const char *dir, struct unit **ret, struct err *e)
{
	_cleanup_(unit_freep) struct unit *u = blank_unit(dir);
	unit_make_uid(u->uid);

	int r = open_flash(u, s, e);

	if (r < 0)
		return r;
	*ret = steal_ptr(&u);
	return 0;
}

static void take_object(json_t **dst, json_t *o, const char *key, json_type type)
{
	json_t *v = json_object_get(o, key);

	if (v && json_typeof(v) == type) {
		json_decref(*dst);
		*dst = json_incref(v);
	}
}

static int load_json(struct unit *u, json_t *o, const char *path, struct err *e)
{
	const char *uid = json_string_value(json_object_get(o, "uid"));
	uint8_t id[12];

	if (!uid || !hex_parse(uid, id, sizeof id))
		return err_set(e, ERR_INVALID, "%s: no uid of 24 hex digits in it", path);
	strcpy(u->uid, uid);
	str_replace(&u->serial, json_string_value(json_object_get(o, "serial")));
	take_object(&u->serials, o, "serials", JSON_ARRAY);
	take_object(&u->config, o, "config", JSON_OBJECT);
	take_object(&u->values, o, "values", JSON_OBJECT);
	take_object(&u->counters, o, "counters", JSON_OBJECT);

	json_t *temp = json_object_get(o, "temp_offset");
	json_t *gain = json_object_get(o, "adc_gain");
	json_t *lying = json_object_get(o, "lying_offset");

	u->temp_calibrated = json_is_number(temp);
	u->temp_offset = json_number_value(temp);
	u->adc_calibrated = json_is_number(gain);
	if (u->adc_calibrated)
		u->adc_gain = json_number_value(gain);
	if (json_is_integer(lying)) {
		u->lying_offset = json_integer_value(lying);
		u->lying_value = (uint8_t)json_integer_value(json_object_get(o, "lying_value"));
	}
	return 0;
}

int unit_open(const struct board_settings *s, const char *dir, const char *board, struct unit **ret,
	struct err *e)
{
	if (!dir)
		return unit_new(s, NULL, ret, e);

	_cleanup_(freep) char *path = xasprintf("%s/%s.json", dir, board);
	json_error_t je;

	if (access(path, F_OK) < 0)
		return unit_new(s, dir, ret, e);

	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &je);

	if (!o)
		return err_set(e, ERR_INVALID, "%s:%d: %s", path, je.line, je.text);

	_cleanup_(unit_freep) struct unit *u = blank_unit(dir);
	int r = load_json(u, o, path, e);

	json_decref(o);
	if (r == 0)
		r = open_flash(u, s, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&u);
	return 0;
}

struct unit *unit_free(struct unit *u)
{
	if (u) {
		flash_free(u->flash);
		json_decref(u->serials);
		json_decref(u->config);
		json_decref(u->values);
		json_decref(u->counters);
		free(u->serial);
		free(u->dir);
		free(u);
	}
	return NULL;
}

json_t *unit_json(const struct unit *u)
{
	json_t *o = json_pack("{s:s, s:s?, s:O, s:O, s:O, s:O, s:I}", "uid", u->uid, "serial",
		u->serial, "serials", u->serials, "config", u->config, "values", u->values,
		"counters", u->counters, "flash_used", (json_int_t)flash_used(u->flash));

	if (u->temp_calibrated)
		json_object_set_new(o, "temp_offset", json_real(u->temp_offset));
	if (u->adc_calibrated)
		json_object_set_new(o, "adc_gain", json_real(u->adc_gain));
	if (u->lying_offset >= 0) {
		json_object_set_new(o, "lying_offset", json_integer(u->lying_offset));
		json_object_set_new(o, "lying_value", json_integer(u->lying_value));
	}
	return o;
}

int unit_save(const struct unit *u, struct err *e)
{
	if (!u->dir)
		return 0;

	_cleanup_(freep) char *path = xasprintf("%s/%s.json", u->dir, u->uid);
	_cleanup_(freep) char *fresh = xasprintf("%s.new", path);
	json_t *o = unit_json(u);
	int r = json_dump_file(o, fresh, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	json_decref(o);
	if (r < 0 || rename(fresh, path) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if (flash_io_error(u->flash))
		return err_errno(
			e, ERR_IO, flash_io_error(u->flash), "%s/%s.flash.bin", u->dir, u->uid);
	return 0;
}

static int replace_link(const char *target, const char *path, struct err *e)
{
	_cleanup_(freep) char *fresh = xasprintf("%s.new", path);

	unlink(fresh);
	if (symlink(target, fresh) < 0 || rename(fresh, path) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	return 0;
}

int unit_link(const struct unit *u, const char *board, struct err *e)
{
	static const char *const suffix[] = {"json", "flash.bin"};

	for (size_t i = 0; u->dir && i < ARRAY_LEN(suffix); i++) {
		_cleanup_(freep) char *target = xasprintf("%s.%s", u->uid, suffix[i]);
		_cleanup_(freep) char *path = xasprintf("%s/%s.%s", u->dir, board, suffix[i]);
		int r = replace_link(target, path, e);

		if (r < 0)
			return r;
	}
	return 0;
}

void unit_count(struct unit *u, const char *counter, uint64_t n)
{
	json_t *v = json_object_get(u->counters, counter);

	if (json_is_integer(v))
		json_integer_set(v, json_integer_value(v) + (json_int_t)n);
	else
		json_object_set_new(u->counters, counter, json_integer((json_int_t)n));
}

double unit_character(const struct unit *u, const char *salt)
{
	_cleanup_(freep) char *text = xasprintf("%s/%s", u->uid, salt);
	uint8_t d[SHA256_BYTES];

	sha256_of(text, strlen(text), d);
	return ((double)d[0] * 256 + d[1]) / 32767.5 - 1.0;
}

char *unit_version(const struct unit *u)
{
	static const char tag[] = "PROVSIM-VERSION:";
	const uint8_t *content = flash_content(u->flash);
	size_t used = flash_used(u->flash);
	const char *at = memmem(content, used, tag, sizeof tag - 1);

	if (at) {
		const char *v = at + sizeof tag - 1;
		size_t left = used - (size_t)((const uint8_t *)v - content);
		size_t n = 0;

		while (n < MIN(left, 32u) && v[n] > ' ' && v[n] < 0x7f)
			n++;
		return xasprintf("v%.*s", (int)n, v);
	}

	char hex[SHA256_HEX];

	sha256_hex_of(content, used, hex);
	return xasprintf("v%.8s", hex);
}
