/* SPDX-License-Identifier: Apache-2.0
 *
 * openocd.program, openocd.flash, openocd.verify.
 */
#include "base/strbuf.h"
#include "daemon/actions/image_args.h"
#include "daemon/actions/tools/openocd.h"

static const struct action_output image_outputs[] = {
	{"sha256", "of the images' bytes"}, {"bytes", "of the images"}, {0}};

/* --- program --- */

static int program_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(openocd_step_done) struct openocd_step x = {.job.kind = OPENOCD_PROGRAM};
	int r = openocd_step_init(&x, s, a, e);

	if (r == 0)
		r = openocd_step_image(&x, args_str(a, "image"),
			args_has(a, "address") ? args_size(a, "address") : IMAGE_NO_ADDRESS, e);
	x.job.leave = args_bool(a, "reset") ? OPENOCD_RESET_RUN : OPENOCD_LEAVE;
	if (r == 0)
		r = openocd_step_run(&x, out, e);
	if (r == 0)
		result_evidence(out, "verified_by", json_string("OpenOCD: program ... verify"));
	return r;
}

static const struct action_arg program_args[] = {
	OPENOCD_ROWS_PROBE,
	{.name = "image", .type = ARG_IMAGE, .required = true, .doc = "any firmware format"},
	{.name = "address",
		.type = ARG_SIZE,
		.doc = "where a raw binary begins; the other formats say it themselves"},
	ARG_ROWS_FORMAT,
	{.name = "reset",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "reset the target afterwards, so that the image runs"},
	{0},
};

const struct action action_openocd_program = {
	.name = "openocd.program",
	.program = "openocd",
	.doc = "Programs an image through a debug probe (OpenOCD: program FILE verify reset exit).",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = program_args,
	.outputs = image_outputs,
	.default_timeout_us = 180 * US_PER_S,
	.run = program_run,
};

/* --- regions --- */

/* "REF" or "REF@ADDRESS". */
static int load_region(struct openocd_step *x, const char *text, struct err *e)
{
	const char *at = strrchr(text, '@');
	unsigned long long address = IMAGE_NO_ADDRESS;
	_cleanup_(freep) char *ref = NULL;
	int r;

	if (at && !parse_size(at + 1, &address))
		return err_set(e, ERR_RECIPE_INVALID,
			"region '%.100s': an address such as 0x08010000 expected after the @",
			text);
	ref = strndup(text, at ? (size_t)(at - text) : strlen(text));
	if (!ref)
		return err_set(e, ERR_NO_MEMORY, "region");
	r = openocd_step_image(x, ref, address, e);
	return r < 0 ? err_prefix(e, "region %zu", x->job.images + 1) : 0;
}

static int check_overlap(const struct openocd_step *x, struct err *e)
{
	for (size_t i = 0; i < x->job.images; i++)
		for (size_t k = 0; k < x->image[i]->count; k++)
			for (size_t j = 0; j < i; j++) {
				const struct image_segment *s = &x->image[i]->segments[k];
				uint64_t at;

				if (image_next(x->image[j], 0, s->address, &at) &&
					at - s->address < s->len)
					return err_set(e, ERR_IMAGE_RANGE,
						"regions %zu and %zu both hold 0x%08llx", j + 1,
						i + 1, (unsigned long long)at);
			}
	return 0;
}

static int regions_run(enum openocd_kind kind, struct step *s, const struct args *a,
	struct step_result *out, struct err *e)
{
	_cleanup_(openocd_step_done) struct openocd_step x = {.job.kind = kind};
	const json_t *regions = args_json(a, "regions");
	json_t *item;
	size_t i;
	int r = openocd_step_init(&x, s, a, e);

	json_array_foreach(regions, i, item) {
		if (r < 0)
			break;
		r = load_region(&x, json_string_value(item), e);
	}
	x.job.read_back = args_bool(a, "read_back");
	if (r == 0)
		r = check_overlap(&x, e);
	if (r == 0)
		r = openocd_step_run(&x, out, e);
	if (r < 0)
		return r;
	result_evidence(out, "verified_by",
		json_string(x.job.read_back ? "OpenOCD: verify_image; provd: read-back"
					    : "OpenOCD: verify_image"));
	result_evidence(out, "verified_bytes", json_integer((json_int_t)x.result.verified));
	if (kind == OPENOCD_FLASH)
		result_evidence(out, "written_bytes", json_integer((json_int_t)x.result.written));
	return 0;
}

#define ROW_REGIONS                                                                  \
	{                                                                            \
		.name = "regions", .type = ARG_LIST, .required = true,               \
		.doc = "images, each as IMAGE or, for a raw binary, IMAGE@ADDRESS: " \
		       "'${artifacts.application}@0x08010000'"                       \
	}
#define ROW_READ_BACK(d)                                                                        \
	{                                                                                       \
		.name = "read_back", .type = ARG_BOOL, .def = (d),                              \
		.doc = "also read all bytes and compare them here; OpenOCD's own verification " \
		       "is a checksum that the target counts"                                   \
	}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return regions_run(OPENOCD_FLASH, s, a, out, e);
}

static const struct action_arg flash_args[] = {
	OPENOCD_ROWS_PROBE,
	ROW_REGIONS,
	ARG_ROWS_FORMAT,
	ROW_READ_BACK("false"),
	OPENOCD_ROW_BEFORE("reset-init"),
	OPENOCD_ROW_AFTER("reset-run"),
	{0},
};

const struct action action_openocd_flash = {
	.name = "openocd.flash",
	.program = "openocd",
	.doc = "Erases, writes and verifies regions of flash through a debug probe.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = image_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = flash_run,
};

static int verify_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return regions_run(OPENOCD_VERIFY, s, a, out, e);
}

static const struct action_arg verify_args[] = {
	OPENOCD_ROWS_PROBE,
	ROW_REGIONS,
	ARG_ROWS_FORMAT,
	ROW_READ_BACK("true"),
	OPENOCD_ROW_BEFORE("halt"),
	OPENOCD_ROW_AFTER("resume"),
	{0},
};

const struct action action_openocd_verify = {
	.name = "openocd.verify",
	.program = "openocd",
	.doc = "Compares the target's memory with images through a debug probe.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = verify_args,
	.outputs = image_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = verify_run,
};
