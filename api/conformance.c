/* SPDX-License-Identifier: Apache-2.0 */
#include "api/conformance.h"

#include "base/checkpoint.h"
#include "base/jcs.h"
#include "base/strbuf.h"
#include "base/util.h"

static const char style[] =
	"body{font:11pt/1.4 sans-serif;max-width:48em;margin:2em auto;padding:0 1em;color:#111;background:#fff}"
	"h1{font-size:18pt;margin:0 0 .2em}h2{font-size:12pt;margin:1.4em 0 .3em}"
	"table{border-collapse:collapse;width:100%}"
	"th,td{text-align:left;vertical-align:top;padding:.2em .6em .2em 0;border-bottom:1px solid #bbb;overflow-wrap:anywhere}"
	"th{font-weight:600}code,pre{font:9pt/1.3 monospace;overflow-wrap:anywhere;white-space:pre-wrap}"
	"tr,pre{break-inside:avoid}@page{margin:18mm}@media print{body{margin:0;max-width:none}}";

char *conformance_policy(void)
{
	uint8_t digest[SHA256_BYTES];
	_cleanup_(freep) char *text = NULL;

	sha256_of(style, strlen(style), digest);
	text = base64_of(digest, sizeof digest);
	return xasprintf(
		"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		text);
}

/* --- text --- */

static void add_text(struct strbuf *b, const char *s)
{
	sb_add_xml(b, s, strlen(s));
}

/* A member by its path of two names at most ("recipe", "name"). */
static const json_t *member(const json_t *o, const char *a, const char *b)
{
	o = json_object_get(o, a);
	return b ? json_object_get(o, b) : o;
}

static void add_value(struct strbuf *b, const json_t *v)
{
	_cleanup_(freep) char *text = NULL;

	if (json_is_string(v))
		add_text(b, json_string_value(v));
	else if (v && !json_is_null(v) && jcs(v, &text, NULL) == 0)
		add_text(b, text);
}

/* Nothing for what is not known. */
static void add_row(struct strbuf *b, const char *name, const json_t *v)
{
	if (!v || json_is_null(v))
		return;
	sb_addf(b, "<tr><th scope=\"row\">%s</th><td>", name);
	add_value(b, v);
	sb_add(b, "</td></tr>\n");
}

static void add_head(struct strbuf *b, const char *title, const char *const *names)
{
	sb_addf(b, "<h2>%s</h2>\n<table>\n<tr>", title);
	for (; *names; names++)
		sb_addf(b, "<th scope=\"col\">%s</th>", *names);
	sb_add(b, "</tr>\n");
}

static void add_cells(struct strbuf *b, const json_t *o, const char *const *names)
{
	sb_add(b, "<tr>");
	for (; *names; names++) {
		sb_add(b, "<td>");
		add_value(b, json_object_get(o, *names));
		sb_add(b, "</td>");
	}
	sb_add(b, "</tr>\n");
}

/* --- the parts --- */

static void add_unit(struct strbuf *b, const json_t *unit, const json_t *report)
{
	sb_add(b, "<h2>Unit</h2>\n<table>\n");
	add_row(b, "Serial number", member(report, "serial_number", NULL));
	add_row(b, "Model", member(report, "model", NULL));
	add_row(b, "Chip", member(unit, "chip_id", NULL));
	add_row(b, "Firmware", member(report, "firmware_version", NULL));
	sb_add(b, "</table>\n<h2>Made and tested</h2>\n<table>\n");
	add_row(b, "Recipe", member(report, "recipe", "name"));
	add_row(b, "Version", member(report, "recipe", "version"));
	add_row(b, "SHA-256 of the recipe", member(report, "recipe", "sha256"));
	add_row(b, "Station", member(report, "station", NULL));
	add_row(b, "Ended", member(report, "ended_at", NULL));
	add_row(b, "Outcome", member(report, "outcome", NULL));
	sb_add(b, "</table>\n");
}

static void add_steps(struct strbuf *b, const json_t *report)
{
	static const char *const head[] = {"Step", "Action", "Outcome", NULL};
	static const char *const names[] = {"id", "action", "outcome", NULL};
	json_t *step;
	size_t i;

	add_head(b, "Steps", head);
	json_array_foreach(json_object_get(report, "steps"), i, step)
		add_cells(b, step, names);
	sb_add(b, "</table>\n");
}

static void add_measurements(struct strbuf *b, const json_t *report)
{
	static const char *const head[] = {
		"Measured", "Value", "Unit", "Low", "High", "Verdict", NULL};
	static const char *const names[] = {
		"name", "value", "unit", "low", "high", "verdict", NULL};
	json_t *step, *m;
	size_t i, k;
	bool any = false;

	json_array_foreach(json_object_get(report, "steps"), i, step)
		json_array_foreach(json_object_get(step, "measurements"), k, m) {
			if (!any)
				add_head(b, "Measurements", head);
			any = true;
			add_cells(b, m, names);
		}
	if (any)
		sb_add(b, "</table>\n");
}

static void add_list(struct strbuf *b, const char *title, const json_t *list,
	const char *const *head, const char *const *names)
{
	json_t *o;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	add_head(b, title, head);
	json_array_foreach((json_t *)list, i, o)
		add_cells(b, o, names);
	sb_add(b, "</table>\n");
}

static void add_proof(struct strbuf *b, const json_t *facts)
{
	const char *note = json_string_value(json_object_get(facts, "checkpoint"));
	struct checkpoint c;
	bool is_signed = false;
	size_t n;

	sb_add(b, "<h2>Record</h2>\n<table>\n");
	add_row(b, "Number", member(facts, "n", NULL));
	add_row(b, "SHA-256", member(facts, "sha256", NULL));
	add_row(b, "Host", member(facts, "record", "host"));
	sb_add(b, "</table>\n");
	if (!note || checkpoint_note_read(note, &c, &n, &is_signed, NULL) < 0)
		return;
	sb_addf(b, "<p>It is among the records of this checkpoint, which is %s:</p>\n<pre>",
		is_signed ? "signed" : "not signed");
	add_text(b, note);
	sb_add(b, "</pre>\n");
}

char *conformance_page(const json_t *facts)
{
	static const char *const value_head[] = {"Value", "Slot", "Kind", NULL};
	static const char *const value_names[] = {"value", "slot", "kind", NULL};
	static const char *const cert_head[] = {"Certificate", "Issuer", "SHA-256", NULL};
	static const char *const cert_names[] = {"subject", "issuer", "sha256", NULL};
	const json_t *record = json_object_get(facts, "record");
	const json_t *report = json_object_get(record, "report");
	struct strbuf b = {0};

	sb_addf(&b,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Certificate of conformance</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Certificate of conformance</h1>\n",
		style);
	sb_add(&b,
		"<p>This unit passed every step of its recipe. What is said here is in the record that is named at the end.</p>\n");
	add_unit(&b, json_object_get(facts, "unit"), report);
	add_steps(&b, report);
	add_measurements(&b, report);
	add_list(&b, "Identity", json_object_get(record, "values"), value_head, value_names);
	add_list(
		&b, "Certificates", json_object_get(record, "certificates"), cert_head, cert_names);
	add_proof(&b, facts);
	sb_add(&b, "</body>\n</html>\n");
	return sb_take(&b);
}
