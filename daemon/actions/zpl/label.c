/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.label: a template and what the unit has, as a picture in a file of the run, on a printer, or
 * both. Whatever can be seen to be wrong is seen in label_prepare(), before its values are exposed.
 */
#include "daemon/actions/common.h"

#include "transports/images/blob.h"
#include "transports/labels/label.h"
#include "transports/links/printer.h"
#include "transports/protocols/ipp/ipp.h"
#include "transports/protocols/zpl/zpl.h"

#define COPIES_MAX 99

enum label_format { LABEL_PNG, LABEL_ZPL, LABEL_PDF };
static const char *const formats[] = {
	[LABEL_PNG] = "png", [LABEL_ZPL] = "zpl", [LABEL_PDF] = "pdf", NULL};

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
	memcpy(sha256, blob_sha256(b), SHA256_HEX);
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
	if (!args_given(a, "printer") && !args_given(a, "file"))
		return err_set(e, ERR_RECIPE_INVALID,
			"a label that goes nowhere: 'printer', 'file' or both expected");
	return 0;
}

/* A label that is about to be printed. */
struct label_job {
	struct label_print print;
	char template_sha256[SHA256_HEX];
	struct strbuf zpl;
	struct strbuf pdf; /* of IPP: what the printer gets */
	struct printer printer;
	struct link *link; /* of ZPL; NULL: it goes into a file, or over IPP */
	struct zpl_report report;
};

static void job_free(void *job)
{
	struct label_job *j = job;

	label_print_done(&j->print);
	sb_done(&j->zpl);
	sb_done(&j->pdf);
	link_close(j->link);
	free(j);
}

static int reach_zpl(struct step *s, struct label_job *j, struct err *e)
{
	const struct link_config cfg = LINK_CONFIG_DEFAULT;
	int r = link_open(j->printer.address, &cfg, &s->it, &j->link, e);

	if (r < 0 && (iotime_check(&s->it, NULL) == 0 || r == -ERR_TIMEOUT))
		return err_set(e, ERR_PRINTER,
			"it cannot be reached at %s (is it on, and in the network?)",
			j->printer.address);
	return r < 0 ? r : zpl_ready(j->link, j->printer.answer_us, &s->it, &j->report, e);
}

static int reach_ipp(struct step *s, const struct args *a, struct label_job *j, struct err *e)
{
	int r = label_pdf(&j->print, (unsigned)args_int(a, "copies"), &j->pdf, e);

	return r < 0 ? r : ipp_ready(&j->printer, &s->it, e);
}

/* Asks the printer whether it can print. */
static int reach(struct step *s, const struct args *a, struct label_job *j, struct err *e)
{
	const char *name = args_str(a, "printer");
	int r = step_printer(s, name, &j->printer, e);

	if (r < 0)
		return r;
	r = j->printer.kind == PRINTER_ZPL ? reach_zpl(s, j, e) : reach_ipp(s, a, j, e);
	return r < 0 ? err_prefix(e, "printer '%s'", name) : 0;
}

static int label_prepare(struct step *s, const struct args *a, struct err *e)
{
	struct label_job *j = xcalloc(1, sizeof *j);
	int r = label_check(a, e);

	s->prepared = j;
	s->prepared_free = job_free;
	if (r == 0)
		r = make(s, a, &j->print, j->template_sha256, e);
	if (r == 0)
		label_zpl(&j->print, (unsigned)args_int(a, "copies"), &j->zpl);
	return r == 0 && args_has(a, "printer") ? reach(s, a, j, e) : r;
}

static enum label_format format_of(const struct args *a)
{
	enum label_format f = LABEL_PNG;

	while (strcmp(args_str(a, "format"), formats[f]) != 0)
		f++;
	return f;
}

static int write_file(
	struct step *s, const struct args *a, const struct label_job *j, struct err *e)
{
	_cleanup_(sb_done) struct strbuf made = {0};
	const struct strbuf *out = &made;
	int r = 0;

	switch (format_of(a)) {
	case LABEL_PNG:
		r = label_png(&j->print, &made, e);
		break;
	case LABEL_PDF:
		r = label_pdf(&j->print, 1, &made, e);
		break;
	case LABEL_ZPL:
		out = &j->zpl;
		break;
	}
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

static int print_zpl(
	struct step *s, struct label_job *j, struct step_result *out, bool *ret_sent, struct err *e)
{
	int r = zpl_print(
		j->link, j->zpl.s, j->zpl.len, j->printer.answer_us, &s->it, &j->report, e);

	say_printed(out, &j->report, r == 0);
	*ret_sent = j->report.sent > 0;
	return r;
}

static int print_ipp(
	struct step *s, struct label_job *j, struct step_result *out, bool *ret_sent, struct err *e)
{
	struct ipp_report got;
	int r = ipp_print(&j->printer, j->pdf.s, j->pdf.len, &s->it, &got, e);

	result_evidence(out, "job_name", json_string(got.job_name));
	if (got.job)
		result_evidence(out, "job",
			json_pack("{s:i, s:s, s:b}", "id", got.job, "state",
				ipp_job_state_name(got.job_state), "looked_up", got.looked_up));
	if (r == 0)
		result_evidence(
			out, "acknowledged", json_string("completed, by the queue's own state"));
	else if (got.sent)
		result_evidence(out, "may_have_printed", json_true());
	*ret_sent = got.sent;
	return r;
}

static int print(struct step *s, const struct args *a, struct label_job *j, struct step_result *out,
	struct err *e)
{
	const char *name = args_str(a, "printer");
	bool sent = false;
	int r;

	result_evidence(out, "printer", json_string(name));
	r = j->printer.kind == PRINTER_ZPL ? print_zpl(s, j, out, &sent, e)
					   : print_ipp(s, j, out, &sent, e);
	/* A second label of one unit ends up on another one: only a recipe that allows it retries. */
	out->once = sent && !args_bool(a, "reprint");
	return r < 0 ? err_prefix(e, "printer '%s'", name) : 0;
}

static void say_label(const struct args *a, const struct label_job *j, struct step_result *out)
{
	const struct strbuf *sent = j->pdf.len ? &j->pdf : &j->zpl;
	char sha256[SHA256_HEX];

	sha256_hex_of(sent->s, sent->len, sha256);
	result_evidence(out, "template_sha256", json_string(j->template_sha256));
	if (args_has(a, "values"))
		result_evidence(out, "values", json_deep_copy(args_json(a, "values")));
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "copies", json_integer(args_int(a, "copies")));
	result_output(out, "sha256", json_string(sha256));
	result_output(out, "data", json_string(j->print.barcode));
}

static int label_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	struct label_job *j = s->prepared;
	int r = 0;

	say_label(a, j, out);
	if (args_has(a, "file"))
		r = write_file(s, a, j, e);
	return r == 0 && args_has(a, "printer") ? print(s, a, j, out, e) : r;
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
		.doc = "of the file: a picture, a page of the label's size, or what a printer of ZPL gets"},
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
