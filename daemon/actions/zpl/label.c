/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.label: a template and what the unit has, as a picture in a file of the run, on a printer, or
 * both. Whatever can be seen to be wrong is seen in label_prepare(), before its values are exposed.
 */
#include "daemon/actions/common.h"

#include "transports/images/blob.h"
#include "transports/labels/label.h"
#include "transports/protocols/zpl/zpl.h"

#define COPIES_MAX 99

enum label_format { LABEL_PNG, LABEL_ZPL };
static const char *const formats[] = {[LABEL_PNG] = "png", [LABEL_ZPL] = "zpl", NULL};

/* The values of an argument, for label_draw(); the list is the caller's, its texts are the step's. */
static struct label_value *values_of(const json_t *map, size_t *ret_n)
{
	struct label_value *v = xcalloc(json_object_size(map) + 1, sizeof *v);
	const char *name;
	json_t *item;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)map, name, item) {
		v[n].name = name;
		if (json_is_string(item))
			v[n].text = xstrdup(json_string_value(item));
		else if (json_is_boolean(item))
			v[n].text = xstrdup(json_is_true(item) ? "true" : "false");
		else
			v[n].text = json_dumps(item, JSON_ENCODE_ANY);
		n++;
	}
	*ret_n = n;
	return v;
}

static void free_values(struct label_value *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)v[i].text);
	free(v);
}

static int read_template(
	struct step *s, const char *ref, struct label **ret, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	_cleanup_(sb_done) struct strbuf report = {0};
	char name[STEP_NAME_BYTES];
	int r = s->ops->load_blob(s->env, ref, &b, e);

	if (r == 0)
		r = s->ops->name(s->env, ref, name, e);
	if (r < 0)
		return r;
	memcpy(sha256, b->sha256, SHA256_HEX);
	r = label_read(name, (const char *)b->data, b->size, &report, ret, e);
	if (report.s)
		step_log(s, ' ', "%s", report.s);
	return r;
}

/* The label of these arguments. A mistake of it is one of the recipe. */
static int make(struct step *s, const struct args *a, struct label_print *ret,
	char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(label_freep) struct label *l = NULL;
	int r = read_template(s, args_str(a, "template"), &l, sha256, e);
	size_t n;

	if (r == 0) {
		struct label_value *v = values_of(args_json(a, "values"), &n);

		r = label_draw(l, v, n, ret, e);
		free_values(v, n);
	}
	if (r != -ERR_INVALID)
		return r;
	if (e)
		e->code = ERR_RECIPE_INVALID;
	return -ERR_RECIPE_INVALID;
}

static int label_check(const struct args *a, struct err *e)
{
	if (!args_has(a, "printer") && !args_has(a, "file"))
		return err_set(e, ERR_RECIPE_INVALID,
			"a label that goes nowhere: 'printer', 'file' or both expected");
	return 0;
}

static int label_prepare(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(label_print_done) struct label_print p = {0};
	char sha256[SHA256_HEX];
	struct printer printer;
	int r = args_has(a, "printer") ? step_printer(s, args_str(a, "printer"), &printer, e) : 0;

	return r < 0 ? r : make(s, a, &p, sha256, e);
}

static int write_file(struct step *s, const struct args *a, const struct label_print *p,
	const struct strbuf *zpl, struct err *e)
{
	_cleanup_(sb_done) struct strbuf png = {0};
	bool is_zpl = !strcmp(args_str(a, "format"), formats[LABEL_ZPL]);
	const struct strbuf *out = is_zpl ? zpl : &png;
	int r = is_zpl ? 0 : label_png(p, &png, e);

	return r < 0 ? r : save_file(s, args_str(a, "file"), out->s, out->len, e);
}

static json_t *status_json(const struct zpl_status *st)
{
	return json_pack("{s:b, s:b, s:b, s:b, s:I, s:I}", "paper_out", st->paper_out, "head_open",
		st->head_open, "ribbon_out", st->ribbon_out, "paused", st->paused,
		"formats_waiting", (json_int_t)st->formats, "labels_waiting",
		(json_int_t)st->labels);
}

/* What is known of it, however it ended. */
static void say_printed(struct step_result *out, const struct zpl_report *got, bool passed)
{
	result_evidence(out, "sent_bytes", json_integer((json_int_t)got->sent));
	if (got->answers)
		result_evidence(out, "status", status_json(&got->status));
	if (passed)
		result_evidence(out, "acknowledged",
			json_string(got->printed ? "printed, by the printer's own status"
						 : "by TCP alone: the printer gives no status"));
	else if (got->sent > 0)
		result_evidence(out, "may_have_printed", json_true());
}

static int print(struct step *s, const struct args *a, const struct strbuf *zpl,
	struct step_result *out, struct err *e)
{
	const char *name = args_str(a, "printer");
	const struct link_config cfg = LINK_CONFIG_DEFAULT;
	_cleanup_(link_closep) struct link *l = NULL;
	struct zpl_report got = {0};
	struct printer printer;
	int r = step_printer(s, name, &printer, e);

	if (r < 0)
		return r;
	result_evidence(out, "printer", json_string(name));
	r = link_open(printer.address, &cfg, &s->it, &l, e);
	if (r < 0 && iotime_check(&s->it, NULL) == 0) {
		err_set(e, ERR_PRINTER,
			"it cannot be reached at %s (is it on, and in the network?)",
			printer.address);
		r = -ERR_PRINTER;
	}
	if (r == 0) {
		r = zpl_print(l, zpl->s, zpl->len, printer.answer_us, &s->it, &got, e);
		say_printed(out, &got, r == 0);
	}
	/* A second label of one unit ends up on another one: only a recipe that allows it retries. */
	out->once = got.sent > 0 && !args_bool(a, "reprint");
	return r < 0 ? err_prefix(e, "printer '%s'", name) : 0;
}

static void say_label(const struct args *a, const struct label_print *p,
	const char *template_sha256, const struct strbuf *zpl, struct step_result *out)
{
	char sha256[SHA256_HEX];

	result_evidence(out, "template_sha256", json_string(template_sha256));
	result_evidence(out, "values", json_deep_copy(args_json(a, "values")));
	result_evidence(out, "sha256", json_string(sha256_hex_of(zpl->s, zpl->len, sha256)));
	result_evidence(out, "copies", json_integer(args_int(a, "copies")));
	result_output(out, "sha256", json_string(sha256));
	result_output(out, "data", json_string(p->barcode));
}

static int label_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(label_print_done) struct label_print p = {0};
	_cleanup_(sb_done) struct strbuf zpl = {0};
	char sha256[SHA256_HEX];
	int r = label_check(a, e);

	if (r == 0)
		r = make(s, a, &p, sha256, e);
	if (r < 0)
		return r;
	label_zpl(&p, (unsigned)args_int(a, "copies"), &zpl);
	say_label(a, &p, sha256, &zpl, out);
	if (args_has(a, "file"))
		r = write_file(s, a, &p, &zpl, e);
	if (r == 0 && args_has(a, "printer"))
		r = print(s, a, &zpl, out, e);
	return r;
}

static const struct action_arg label_args[] = {
	{.name = "template",
		.type = ARG_IMAGE,
		.required = true,
		.label = true,
		.doc = "a label template: an artifact, see docs/labels.md"},
	{.name = "values",
		.type = ARG_MAP,
		.doc = "what goes into the places ${NAME} of the template: serial: ${unit.serial}"},
	{.name = "printer",
		.type = ARG_STRING,
		.printer = true,
		.doc = "its name in 'printers' of provd.yaml"},
	{.name = "copies",
		.type = ARG_INT,
		.def = "1",
		.low = 1,
		.high = COPIES_MAX,
		.doc = "how many labels come out"},
	{.name = "reprint",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "'retry' counts also where a label may have come out: there may be a second one then"},
	{.name = "file", .type = ARG_OUTPUT, .doc = "the label is written there as well"},
	{.name = "format",
		.type = ARG_CHOICE,
		.def = "png",
		.choices = formats,
		.doc = "of the file: a picture, or what the printer gets"},
	{0},
};

static const struct action_output label_outputs[] = {
	{"data", "what the first barcode holds, of GS1 data with its AIs in parentheses"},
	{"sha256", "of what the printer gets"},
	{0},
};

const struct action action_unit_label = {
	.name = "unit.label",
	.doc = "Makes the label of the unit and prints it, or writes it to a file.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = label_args,
	.outputs = label_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = label_check,
	.prepare = label_prepare,
	.run = label_run,
};
