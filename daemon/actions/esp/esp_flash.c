/* SPDX-License-Identifier: Apache-2.0
 *
 * esp.flash, esp.read, esp.erase.
 */
#include "base/strbuf.h"
#include "daemon/actions/esp/esp.h"
#include "daemon/actions/image_args.h"
#include "transports/images/esp_image.h"
#include "transports/protocols/esp/esp_chips.h"

/* --- what is written --- */

struct esp_job {
	struct esp_region region[ESP_REGIONS_MAX];
	struct image *image[ESP_REGIONS_MAX];
	char *name[ESP_REGIONS_MAX];
	struct esp_image head[ESP_REGIONS_MAX];
	bool has_head[ESP_REGIONS_MAX];
	size_t n;
};

static void job_done(struct esp_job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		image_unref(j->image[i]);
		free(j->name[i]);
	}
}

static bool is_declared(const struct args *a)
{
	return args_has(a, "format") && !strcmp(args_str(a, "format"), "bin");
}

/* What begins like an image of the family has to be a whole one. */
static int look(struct esp_job *j, size_t i, const struct args *a, struct err *e)
{
	const struct esp_region *g = &j->region[i];

	if (is_declared(a) || !esp_image_is(g->data, g->bytes))
		return 0;
	j->has_head[i] = true;
	return esp_image_check(g->name, g->data, g->bytes, &j->head[i], e);
}

/* A short secret can be found out from a digest of what it is in: it is shown nowhere, not even where it differs. */
static int hide_digest(struct step *s, const struct esp_region *g, struct err *e)
{
	char md5[MD5_HEX];
	int r = esp_region_md5(g, md5, e);

	return r < 0 ? r : step_secret(s, md5, e);
}

static int load(struct esp_job *j, struct step *s, const struct args *a, const char *key,
	const char *ref, struct err *e)
{
	struct image_opts io = IMAGE_OPTS(0);
	char name[STEP_NAME_BYTES];
	unsigned long long offset;
	size_t i = j->n;
	int r;

	if (i == ESP_REGIONS_MAX)
		return err_set(e, ERR_INVALID, "more than %d images", ESP_REGIONS_MAX);
	if (!parse_size(key, &offset) || offset >= ESP_FLASH_MAX)
		return err_set(e, ERR_INVALID,
			"'images': '%s' is not an offset in the flash, as 0x10000", key);
	if (!ref)
		return err_set(e, ERR_INVALID, "'images': %s is not an artifact", key);
	r = s->ops->name(s->env, ref, name, e);
	if (r < 0)
		return r;
	io.address = offset;
	io.format = is_declared(a) ? IMAGE_BIN : IMAGE_ANY;
	r = s->ops->load_image(s->env, ref, &io, &j->image[i], e);
	if (r < 0)
		return r;
	j->name[i] = xstrdup(name);
	j->n = i + 1;
	j->region[i] = (struct esp_region){.name = j->name[i],
		.offset = (uint32_t)offset,
		.bytes = (uint32_t)j->image[i]->bytes,
		.data = j->image[i]->segments[0].data};
	if (j->image[i]->secret)
		r = hide_digest(s, &j->region[i], e);
	return r < 0 ? r : look(j, i, a, e);
}

static int by_offset(const void *a, const void *b)
{
	unsigned long long x = 0;
	unsigned long long y = 0;

	parse_size(*(const char *const *)a, &x);
	parse_size(*(const char *const *)b, &y);
	return x < y ? -1 : x > y;
}

/* In the order of their offsets, so that the same recipe always writes the same. */
static int load_all(struct esp_job *j, struct step *s, const struct args *a, struct err *e)
{
	json_t *images = (json_t *)(uintptr_t)args_json(a, "images");
	const char *keys[ESP_REGIONS_MAX];
	const char *key;
	json_t *item;
	size_t n = 0;
	int r = 0;

	if (json_object_size(images) == 0 || json_object_size(images) > ESP_REGIONS_MAX)
		return err_set(
			e, ERR_INVALID, "'images': 1 to %d of them expected", ESP_REGIONS_MAX);
	json_object_foreach(images, key, item)
		keys[n++] = key;
	qsort(keys, n, sizeof *keys, by_offset);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = load(j, s, a, keys[i], json_string_value(json_object_get(images, keys[i])), e);
	return r;
}

/* --- whether it fits the chip --- */

static int check_bootloader(const struct esp_job *j, const struct esp_chip *c, struct err *e)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->region[i].offset == c->bootloader && !j->has_head[i])
			return err_set(e, ERR_IMAGE_INVALID,
				"%s goes to 0x%x, where the %s looks for its bootloader, and is not an image that it starts ('format: bin' writes it all the same)",
				j->region[i].name, c->bootloader, c->name);
	return 0;
}

static int check_fit(const struct esp_job *j, struct esp_session *x, struct err *e)
{
	const struct esp_info *i = esp_rom_info(x->rom);
	int revision = i->secure_download ? -1 : 100 * i->major + i->minor;
	int r = is_declared(x->a) ? 0 : check_bootloader(j, i->chip, e);

	for (size_t k = 0; r == 0 && k < j->n; k++)
		if (j->has_head[k])
			/* Where an application is its header's size counts for nothing. */
			r = esp_image_fits(j->region[k].name, &j->head[k], i->chip, revision,
				j->region[k].offset == i->chip->bootloader ? i->flash_bytes : 0, e);
	return r;
}

/* --- flash --- */

static const char *const verifies[] = {"md5", "acknowledged", NULL};
static const char *const erases[] = {"touched", "all", NULL};

static bool erases_all(const struct args *a)
{
	return args_has(a, "erase") && !strcmp(args_str(a, "erase"), "all");
}

/* Before the run an argument may be missing that has a default. */
static bool is_unproved(const struct args *a)
{
	return args_has(a, "verify") && !strcmp(args_str(a, "verify"), "acknowledged");
}

static json_t *region_json(const struct esp_job *j, size_t i, const struct esp_region_result *res)
{
	json_t *o = json_pack("{s:o, s:s, s:s, s:I, s:b}", "offset",
		json_sprintf("0x%x", j->region[i].offset), "name", j->name[i], "sha256",
		j->image[i]->sha256, "bytes", (json_int_t)j->region[i].bytes, "equal", res->equal);

	if (*res->md5)
		json_object_set_new(o, "md5", json_string(res->md5));
	json_object_set_new(o, "sent", json_integer(res->sent));
	json_object_set_new(o, "attempts", json_integer(res->attempts));
	if (j->has_head[i])
		json_object_set_new(o, "chip_id", json_integer(j->head[i].chip_id));
	return o;
}

static void tell_result(const struct esp_job *j, const struct esp_region_result *res,
	const struct args *a, struct step_result *out)
{
	json_t *list = json_array();
	uint64_t bytes = 0;
	uint32_t sectors = 0;
	unsigned attempts = 0;

	for (size_t i = 0; i < j->n; i++) {
		json_array_append_new(list, region_json(j, i, &res[i]));
		bytes += j->region[i].bytes;
		attempts = MAX(attempts, res[i].attempts);
		if (!res[i].equal)
			sectors += (j->region[i].bytes + ESP_SECTOR_BYTES - 1) / ESP_SECTOR_BYTES;
	}
	result_evidence(out, "images", list);
	result_evidence(out, "proof", json_string(is_unproved(a) ? "acknowledged" : "md5"));
	result_evidence(out, "bytes", json_integer((json_int_t)bytes));
	result_evidence(out, "address", json_sprintf("0x%08x", j->region[0].offset));
	result_evidence(out, "pages_erased", json_integer(sectors));
	result_evidence(out, "attempts", json_integer(attempts));
	if (erases_all(a))
		result_evidence(out, "erased_before", json_string("all"));
	if (is_declared(a))
		result_evidence(out, "declared", json_string("bin"));
	result_output(out, "bytes", json_integer((json_int_t)bytes));
}

static struct esp_flash_opts flash_opts(const struct args *a, const struct esp_info *i)
{
	return (struct esp_flash_opts){
		.compress =
			args_has(a, "compress") ? args_bool(a, "compress") : !i->secure_download,
		.skip_equal = args_bool(a, "skip_equal"),
		.unproved = is_unproved(a),
	};
}

static int leave(struct esp_session *x, struct step_result *out, struct err *e)
{
	int r;

	if (!args_bool(x->a, "reboot"))
		return 0;
	r = esp_rom_reboot(x->rom, &x->s->it, e);
	if (r == 0)
		result_evidence(out, "rebooted", json_string("acknowledged"));
	return r;
}

static int flash_check(const struct args *a, struct err *e)
{
	int r = esp_session_check(a, e);

	if (r == 0 && is_unproved(a) && args_bool(a, "skip_equal"))
		r = err_set(e, ERR_RECIPE_INVALID,
			"'skip_equal' asks for digests, which secure download mode ('verify: acknowledged') does not tell");
	if (r == 0 && erases_all(a) && args_has(a, "skip_equal") && args_bool(a, "skip_equal"))
		r = err_set(e, ERR_RECIPE_INVALID,
			"'erase: all' leaves nothing that could be equal: leave 'skip_equal' out");
	return r;
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(esp_session_done) struct esp_session x = {0};
	_cleanup_(job_done) struct esp_job j = {0};
	struct esp_region_result res[ESP_REGIONS_MAX];
	struct esp_flash_opts o;
	int r = flash_check(a, e);

	if (r == 0)
		r = load_all(&j, s, a, e);
	if (r == 0)
		r = esp_session_open(&x, s, a, e);
	if (r == 0)
		r = check_fit(&j, &x, e);
	if (r < 0)
		return r;
	o = flash_opts(a, esp_rom_info(x.rom));
	if (erases_all(a))
		r = esp_rom_erase(x.rom, 0, esp_rom_info(x.rom)->flash_bytes, &s->it, e);
	if (r == 0)
		r = esp_rom_flash(x.rom, j.region, j.n, &o, &s->it, res, e);
	if (r < 0)
		return r;
	esp_session_tell(&x, out);
	tell_result(&j, res, a, out);
	return leave(&x, out, e);
}

/* The files are whole, before any unit is touched. */
static int flash_preflight(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(job_done) struct esp_job j = {0};

	return args_has(a, "images") ? load_all(&j, s, a, e) : 0;
}

static const struct action_arg flash_args[] = {
	ARG_ROW_PORT,
	{.name = "images",
		.type = ARG_MAP,
		.required = true,
		.doc = "where each raw binary goes in the flash: '0x10000': '${artifacts.application}'. An offset is where a sector of 0x1000 bytes begins"},
	ARG_ROW_BLOB_FORMAT,
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "md5",
		.choices = verifies,
		.doc = "md5: of the flash, after the last write; acknowledged: in secure download mode, which tells no digest"},
	{.name = "erase",
		.type = ARG_CHOICE,
		.def = "touched",
		.choices = erases,
		.doc = "the sectors that the images touch; or all of the flash first, proved blank, which secure download mode cannot"},
	{.name = "skip_equal",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "leave an image alone whose MD5 the flash has already"},
	{.name = "compress",
		.type = ARG_BOOL,
		.doc = "send compressed bytes, which the ROM unpacks; by default yes, but in secure download mode"},
	{.name = "attempts",
		.type = ARG_INT,
		.def = "2",
		.low = 1,
		.high = 10,
		.doc = "at each image, where the wire lost something"},
	{.name = "reboot",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "leave the ROM at the end, by its own command; 'exit' does it by the modem lines"},
	ESP_ROWS_SESSION,
	{0},
};

static const struct action_output flash_outputs[] = {
	ESP_OUTPUT_ROWS, {"bytes", "of all images"}, {0}};

const struct action action_esp_flash = {
	.name = "esp.flash",
	.doc = "Writes images to the flash of a chip of the ESP32 family through its serial boot ROM, and has the ROM prove each by its MD5. Images of the family are looked at first: whole, for this chip, this revision, and this size of flash.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = flash_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.check = flash_check,
	.preflight = flash_preflight,
	.run = flash_run,
};

/* --- what a range is --- */

#define ROWS_RANGE                                                                   \
	{.name = "address", .type = ARG_SIZE, .def = "0", .doc = "where it begins"}, \
	{                                                                            \
		.name = "size", .type = ARG_SIZE, .unit = "bytes",                   \
		.doc = "by default up to the end of the flash"                       \
	}

/* Within the flash; unit: what address and size are multiples of. */
static int range_of(struct esp_session *x, uint32_t unit, uint32_t *at, uint32_t *n, struct err *e)
{
	uint64_t flash = esp_rom_info(x->rom)->flash_bytes;
	uint64_t from = args_size(x->a, "address");
	uint64_t size = args_has(x->a, "size") ? args_size(x->a, "size") : flash - MIN(from, flash);

	if (from >= flash || size == 0 || size > flash - from)
		return err_set(e, ERR_INVALID,
			"%llu bytes at 0x%llx do not lie in the flash of %llu KiB",
			(unsigned long long)size, (unsigned long long)from,
			(unsigned long long)flash / 1024);
	if (from % unit || size % unit)
		return err_set(e, ERR_INVALID, "0x%llx and 0x%llx bytes are not multiples of 0x%x",
			(unsigned long long)from, (unsigned long long)size, unit);
	*at = (uint32_t)from;
	*n = (uint32_t)size;
	return 0;
}

/* --- read --- */

static int read_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(esp_session_done) struct esp_session x = {0};
	_cleanup_(freep) uint8_t *buf = NULL;
	char sum[SHA256_HEX];
	uint32_t at = 0;
	uint32_t n = 0;
	int r = esp_session_open(&x, s, a, e);

	if (r == 0)
		r = range_of(&x, 1, &at, &n, e);
	if (r < 0)
		return r;
	buf = malloc(n);
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes to read", n);
	r = esp_rom_read(x.rom, at, buf, n, &s->it, e);
	if (r == 0)
		r = save_file(s, args_str(a, "file"), buf, n, e);
	if (r < 0)
		return r;
	sha256_hex_of(buf, n, sum);
	esp_session_tell(&x, out);
	result_evidence(out, "sha256", json_string(sum));
	result_evidence(out, "bytes", json_integer(n));
	result_evidence(out, "address", json_sprintf("0x%08x", at));
	result_output(out, "sha256", json_string(sum));
	result_output(out, "bytes", json_integer(n));
	return 0;
}

static const struct action_arg read_args[] = {
	ARG_ROW_PORT,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	ROWS_RANGE,
	ESP_ROWS_SESSION,
	{0},
};

static const struct action_output read_outputs[] = {
	ESP_OUTPUT_ROWS, {"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_esp_read = {
	.name = "esp.read",
	.doc = "Reads the flash of a chip of the ESP32 family through its serial boot ROM into a file, 64 bytes at a time, and has the ROM prove what was read by its MD5.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = read_args,
	.outputs = read_outputs,
	.default_timeout_us = 3600 * US_PER_S,
	.check = esp_session_check,
	.run = read_run,
};

/* --- erase --- */

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(esp_session_done) struct esp_session x = {0};
	uint32_t at = 0;
	uint32_t n = 0;
	int r = esp_session_open(&x, s, a, e);

	if (r == 0)
		r = range_of(&x, ESP_SECTOR_BYTES, &at, &n, e);
	if (r == 0)
		r = esp_rom_erase(x.rom, at, n, &s->it, e);
	if (r < 0)
		return r;
	esp_session_tell(&x, out);
	result_evidence(out, "blank_from", json_sprintf("0x%08x", at));
	result_evidence(out, "blank_bytes", json_integer(n));
	return 0;
}

static const struct action_arg erase_args[] = {
	ARG_ROW_PORT,
	ROWS_RANGE,
	ESP_ROWS_SESSION,
	{0},
};

static const struct action_output erase_outputs[] = {ESP_OUTPUT_ROWS, {0}};

const struct action action_esp_erase = {
	.name = "esp.erase",
	.doc = "Erases flash of a chip of the ESP32 family through its serial boot ROM, and has the ROM prove by its MD5 that it is blank.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.outputs = erase_outputs,
	.default_timeout_us = 1200 * US_PER_S,
	.check = esp_session_check,
	.run = erase_run,
};
