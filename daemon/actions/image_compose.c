/* SPDX-License-Identifier: Apache-2.0
 *
 * image.compose: the image of one unit, out of a base and what only this unit has. It is made before the values that it
 * holds count as exposed, kept in memory for the later steps of the run (recipe/made.h), and given to no other.
 */
#include "daemon/actions/common.h"
#include "daemon/actions/compose_parts.h"
#include "daemon/actions/image_args.h"
#include "daemon/actions/otp_salt.h"
#include "transports/images/field.h"

#define PARTS_ON_RECORD 256

static const char *const outside_choices[] = {"refuse", "add", NULL};

/* What prepare() made: the job, and the result. */
struct prepared {
	struct compose_job job;
	struct blob *image;
	char name[STEP_NAME_BYTES];
	char base_name[STEP_NAME_BYTES];
	char base_sha256[SHA256_HEX];
};

static void prepared_free(void *p)
{
	struct prepared *x = p;

	if (!x)
		return;
	compose_job_done(&x->job);
	blob_unref(x->image);
	free(x);
}

static void prepared_freep(struct prepared **x)
{
	prepared_free(*x);
}

/* --- the canvas --- */

static int load_base(struct step *s, const struct args *a, struct image **ret, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(args_size(a, "address"));

	o.address_is_default = !args_has(a, "address");
	image_args_take(a, &o);
	return s->ops->load_image(s->env, args_str(a, "base"), &o, ret, e);
}

/* How many bytes there are without a base, where 'size' does not say it. */
static int blank_bytes(struct compose_job *j, uint64_t *ret, struct err *e)
{
	const struct args *a = j->a;
	bool nvs = args_has(a, "nvs") || args_has(a, "nvs_csv");

	*ret = args_size(a, "size");
	if (args_has(a, "size"))
		return 0;
	if (args_has(a, "layout") && !nvs && !args_has(a, "layout_at"))
		return compose_layout_bytes(j, ret, e);
	*ret = args_size(a, "nvs_size");
	return nvs && !args_has(a, "nvs_at")
		       ? 0
		       : err_set(e, ERR_RECIPE_INVALID,
				 "there is no 'base', and nothing says how large the image is: give 'size'");
}

static int make_canvas(struct prepared *x, struct err *e)
{
	struct compose_job *j = &x->job;
	const struct args *a = j->a;
	_cleanup_(image_unrefp) struct image *base = NULL;
	uint64_t bytes = args_size(a, "size");
	int r = 0;

	if (args_has(a, "base"))
		r = load_base(j->s, a, &base, e);
	else
		r = blank_bytes(j, &bytes, e);
	if (r == 0 && base && base->placed && bytes)
		r = err_set(e, ERR_INVALID,
			"%s has addresses of its own: leave 'size' out ('outside: add' puts parts between its pieces)",
			base->path);
	if (r == 0 && bytes)
		r = compose_blank(
			j->c, args_size(a, "address"), bytes, (uint8_t)args_int(a, "fill"), e);
	if (r < 0 || !base)
		return r;
	snprintf(x->base_sha256, sizeof x->base_sha256, "%s", base->sha256);
	if (!strcmp(args_str(a, "outside"), "add"))
		compose_allow_gaps(j->c);
	r = j->s->ops->name(j->s->env, args_str(a, "base"), x->base_name, e);
	return r < 0 ? r : compose_base(j->c, base, e);
}

/* --- before the values count as exposed --- */

static int compose_check(const struct args *a, struct err *e)
{
	static const char *const parts[] = {"patch", "layout", "nvs", "nvs_csv", "crc"};
	bool nvs = args_given(a, "nvs") || args_given(a, "nvs_csv");
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		any |= args_given(a, parts[i]);
	if (!any)
		return err_set(e, ERR_RECIPE_INVALID,
			"nothing is put into the image: patch, layout, nvs, nvs_csv or crc expected");
	if (nvs != args_given(a, "nvs_size"))
		return err_set(e, ERR_RECIPE_INVALID,
			nvs ? "an NVS partition needs 'nvs_size', as the partition table has it"
			    : "'nvs_size' without 'nvs' or 'nvs_csv'");
	if (args_given(a, "values") && !args_given(a, "layout") && !args_given(a, "nvs_csv"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'values' are for rows of 'layout' or 'nvs_csv', and there is none");
	return 0;
}

static int put_parts(struct compose_job *j, struct err *e)
{
	static int (*const take[])(struct compose_job *, struct err *) = {compose_take_patches,
		compose_take_layout, compose_take_nvs, compose_take_sums, compose_check_values};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(take); i++)
		r = take[i](j, e);
	return r;
}

static int prepare(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(prepared_freep) struct prepared *x = xcalloc(1, sizeof *x);
	int r = compose_check(a, e);

	x->job = (struct compose_job){.c = compose_new(),
		.s = s,
		.a = a,
		.taken = json_object(),
		.scratch = xcalloc(1, FIELD_MAX_BYTES)};
	if (r == 0)
		r = make_canvas(x, e);
	if (r == 0)
		r = put_parts(&x->job, e);
	if (r == 0)
		r = compose_end(x->job.c, e);
	if (r < 0)
		return r;
	snprintf(x->name, sizeof x->name, "%s.%s", s->id,
		compose_is_placed(x->job.c) ? "hex" : "bin");
	r = compose_result(x->job.c, x->name, &x->image, e);
	if (r < 0)
		return r;
	s->prepared = steal_ptr(&x);
	s->prepared_free = prepared_free;
	return 0;
}

static int preflight(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(image_unrefp) struct image *base = NULL;

	struct compose_job j = {.s = s, .a = a};
	int r = args_has(a, "base") ? load_base(s, a, &base, e) : 0;

	return r < 0 ? r : compose_look_tables(&j, e);
}

/* --- the record --- */

/* A digest that everybody may see: a secret's is salted. */
static int add_digest(
	struct step *s, json_t *o, const uint8_t *p, size_t n, bool secret, struct err *e)
{
	char sum[SHA256_HEX];
	int r = 0;

	if (secret)
		r = otp_salted_digest(s, p, n, sum, e);
	else
		sha256_hex_of(p, n, sum);
	if (r == 0)
		json_object_set_new(o, secret ? "sha256_salted" : "sha256", json_string(sum));
	return r;
}

static int part_json(struct step *s, const struct compose *c, size_t k, json_t **ret, struct err *e)
{
	size_t n;
	const struct compose_part *p = &compose_parts(c, &n)[k];
	json_t *o = json_pack("{s:s, s:o, s:I}", "name", p->name, "at",
		json_sprintf("0x%08llx", (unsigned long long)p->at), "bytes", (json_int_t)p->bytes);
	int r;

	if (p->sum)
		json_object_set_new(o, "sum", json_string(p->sum));
	r = add_digest(s, o, compose_part_bytes(c, k), p->bytes, p->secret, e);
	if (r < 0)
		json_decref(o);
	else
		*ret = o;
	return r;
}

static int show_parts(
	struct step *s, const struct compose *c, struct step_result *out, struct err *e)
{
	json_t *list = json_array();
	size_t n;
	int r = 0;

	compose_parts(c, &n);
	for (size_t k = 0; r == 0 && k < MIN(n, (size_t)PARTS_ON_RECORD); k++) {
		json_t *o = NULL;

		r = part_json(s, c, k, &o, e);
		if (r == 0)
			json_array_append_new(list, o);
	}
	result_evidence(out, "parts", list);
	result_evidence(out, "part_count", json_integer((json_int_t)n));
	return r;
}

static int show(struct step *s, const struct prepared *x, struct step_result *out, struct err *e)
{
	const struct compose *c = x->job.c;
	const struct blob *b = x->image;
	json_t *o = json_pack("{s:s, s:I, s:o, s:b}", "name", x->name, "bytes",
		(json_int_t)compose_bytes(c), "address",
		json_sprintf("0x%08llx", (unsigned long long)compose_address(c)), "placed",
		compose_is_placed(c));
	int r = add_digest(s, o, b->data, b->size, compose_is_secret(c), e);

	result_evidence(out, "image", o);
	if (x->base_name[0])
		result_evidence(out, "base",
			json_pack("{s:s, s:s}", "name", x->base_name, "sha256", x->base_sha256));
	if (x->job.nvs_most)
		result_evidence(out, "nvs",
			json_pack("{s:I, s:I}", "entries", (json_int_t)x->job.nvs_used, "of",
				(json_int_t)x->job.nvs_most));
	if (compose_esp_seals(c))
		result_evidence(out, "esp_images", json_integer(compose_esp_seals(c)));
	return r < 0 ? r : show_parts(s, c, out, e);
}

static int keep(struct step *s, const struct prepared *x, struct step_result *out, struct err *e)
{
	char ref[STEP_NAME_BYTES] = "";
	int r = 0;

	if (s->ops->made)
		r = s->ops->made(
			s->env, s->id, x->name, x->image, compose_is_secret(x->job.c), ref, e);
	if (r < 0)
		return r;
	result_output(out, "image", json_string(ref));
	result_output(out, "bytes", json_integer((json_int_t)compose_bytes(x->job.c)));
	if (!compose_is_secret(x->job.c))
		result_output(out, "sha256", json_string(blob_sha256(x->image)));
	return 0;
}

static int compose_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct prepared *x = s->prepared;
	int r = show(s, x, out, e);

	if (r == 0)
		r = keep(s, x, out, e);
	if (r == 0 && args_has(a, "file"))
		r = save_file(s, args_str(a, "file"), x->image->data, x->image->size, e);
	return r;
}

static const struct action_arg compose_args[] = {
	{.name = "base",
		.type = ARG_IMAGE,
		.doc = "what the unit's own values are laid over; without it: a blank"},
	ARG_ROWS_FORMAT,
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a base without addresses, or the blank, begins; without it 0: places are offsets"},
	{.name = "size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of the blank, also under a shorter base; without it: as the base, the NVS partition or the layout"},
	{.name = "fill",
		.type = ARG_INT,
		.def = "0xff",
		.low = 0,
		.high = 255,
		.doc = "what the blank is of"},
	{.name = "outside",
		.type = ARG_CHOICE,
		.def = "refuse",
		.choices = outside_choices,
		.doc = "add: of a base with addresses, a part may lie where it has nothing"},
	{.name = "patch",
		.type = ARG_OBJECTS,
		.fields = compose_patch_fields,
		.doc = "values at addresses, by names for the record"},
	{.name = "layout",
		.type = ARG_IMAGE,
		.doc = "a packed struct as CSV: name, offset, type, value, and width, order, scale, pad; a value is itself or {NAME} of 'values'"},
	{.name = "layout_at",
		.type = ARG_SIZE,
		.doc = "what the offsets of 'layout' are counted from; without it 'address'"},
	{.name = "values",
		.type = ARG_MAP,
		.secret = true,
		.doc = "what {NAME} stands for in 'layout' and 'nvs_csv'"},
	{.name = "nvs",
		.type = ARG_OBJECTS,
		.fields = compose_nvs_fields,
		.doc = "values of an NVS partition of ESP-IDF"},
	{.name = "nvs_csv",
		.type = ARG_IMAGE,
		.doc = "the same as CSV of its partition generator: key, type, encoding, value"},
	{.name = "nvs_at",
		.type = ARG_SIZE,
		.doc = "where the NVS partition begins; without it 'address'"},
	{.name = "nvs_size",
		.type = ARG_SIZE,
		.unit = "bytes",
		.doc = "of the NVS partition: pages of 4096, 3 or more"},
	{.name = "crc",
		.type = ARG_OBJECTS,
		.fields = compose_crc_fields,
		.doc = "sums over ranges, each after those that it covers"},
	{.name = "file", .type = ARG_OUTPUT, .bench = true, .doc = "the image goes there as well"},
	{0},
};

static const struct action_output compose_outputs[] = {
	{"image", "for an argument of a later step that takes an image"},
	{"bytes", "of the image, without gaps"},
	{"sha256", "of the image; absent where it holds a secret"},
	{0},
};

const struct action action_image_compose = {
	.name = "image.compose",
	.doc = "Makes the image of one unit: a base, with the unit's own values at addresses, as a packed struct and as an NVS partition of ESP-IDF, and with the sums that cover them.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = compose_args,
	.outputs = compose_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = compose_check,
	.preflight = preflight,
	.prepare = prepare,
	.run = compose_run,
};
