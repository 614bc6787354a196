/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/ipp/ipp_impl.h"

#include "base/digest.h"
#include "base/secret.h"
#include "base/util.h"
#include "transports/links/http.h"

#define ASK_EVERY_US	 (200 * US_PER_MS)
#define LAST_GOOD_STATUS 0x00ff /* RFC 8011, B.1.2: successful-* */
#define TOKEN_BYTES	 8

const char *ipp_job_state_name(int state)
{
	static const char *const names[] = {[IPP_JOB_PENDING] = "pending",
		[IPP_JOB_HELD] = "held",
		[IPP_JOB_PROCESSING] = "processing",
		[IPP_JOB_STOPPED] = "stopped",
		[IPP_JOB_CANCELED] = "canceled",
		[IPP_JOB_ABORTED] = "aborted",
		[IPP_JOB_COMPLETED] = "completed"};

	return state >= IPP_JOB_PENDING && state <= IPP_JOB_COMPLETED ? names[state] : "unknown";
}

/* Keywords of printer-state-reasons (RFC 8011, 5.4.12; PWG 5100.9), the cause before what comes of it. */
static const struct {
	const char *keyword, *sentence;
} troubles[] = {
	{"cover-open", "its cover is open: close it"},
	{"door-open", "its door is open: close it"},
	{"interlock-open", "its interlock is open: close it"},
	{"media-jam", "its paper is jammed: clear it"},
	{"media-empty", "it has no paper: load labels"},
	{"media-needed", "it has no paper: load labels"},
	{"input-tray-missing", "its tray is missing: put it in"},
	{"marker-supply-empty", "it has no ribbon, ink or toner: load one"},
	{"toner-empty", "it has no toner: load one"},
	{"output-area-full", "its output is full: empty it"},
	{"offline", "it is offline: switch it on, and connect it"},
	{"shutdown", "it is switched off: switch it on"},
	{"paused", "it is paused: resume it"},
	{"moving-to-paused", "it is paused: resume it"},
	{"spool-area-full", "its queue is full: see what it waits for"},
};

/* Whether the list has that keyword, as an error: -report and -warning let it print. */
static bool has_reason(const char *list, const char *keyword)
{
	size_t n = strlen(keyword);

	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t k = strcspn(p, " ");

		if (!strncmp(p, keyword, n) &&
			(k == n || (k == n + 6 && !strncmp(p + n, "-error", 6))))
			return true;
		p += k;
	}
	return false;
}

const char *ipp_trouble(const struct ipp_answer *a)
{
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		if (has_reason(a->printer_reasons, troubles[i].keyword))
			return troubles[i].sentence;
	if (a->printer_state == IPP_PRINTER_STOPPED)
		return "it is stopped: see why, and start it";
	return a->refuses_jobs ? "it accepts no jobs: see why, and let it accept them" : NULL;
}

/* --- exchanges --- */

struct session {
	const struct printer *p;
	const struct iotime *it;
	char uri[PRINTER_PATH_BYTES + LINK_ADDRESS_BYTES];
	char url[PRINTER_PATH_BYTES + LINK_ADDRESS_BYTES];
	uint32_t request;
};

static struct session session_of(const struct printer *p, const struct iotime *it)
{
	struct session x = {.p = p, .it = it};
	const char *host = p->address + strlen("tcp:");
	bool tls = p->kind == PRINTER_IPPS;

	snprintf(x.uri, sizeof x.uri, "%s://%s%s", tls ? "ipps" : "ipp", host, p->path);
	snprintf(x.url, sizeof x.url, "%s://%s%s", tls ? "https" : "http", host, p->path);
	return x;
}

/* An error of the exchange is one of the printer: none is the unit's. A cancel stays what it is. */
static int of_printer(const struct session *x, int r, struct err *e)
{
	int why = iotime_check(x->it, NULL);

	if (r == 0 || (why < 0 && why != -ERR_TIMEOUT))
		return r;
	if (e)
		e->code = ERR_PRINTER;
	return -ERR_PRINTER;
}

static int judge(const struct session *x, const struct http_answer *h, const char *name,
	struct ipp_answer *ret, struct err *e)
{
	int r;

	if (h->status != 200)
		return err_set(e, ERR_PROTOCOL,
			"%s was answered with HTTP status %ld, 200 expected: is that its path?",
			x->uri, h->status);
	r = ipp_answer_read(h->body.s ? h->body.s : "", h->body.len, name, ret, e);
	if (r < 0)
		return r;
	if (ret->request != x->request)
		return err_set(e, ERR_PROTOCOL,
			"%s answered request %u, the answer to request %u was expected", x->uri,
			ret->request, x->request);
	return 0;
}

/* One request and its answer, whatever its status. ret_sent: a byte left; may be NULL. */
static int ask(struct session *x, const struct strbuf *body, const char *name,
	struct ipp_answer *ret, bool *ret_sent, struct err *e)
{
	const struct http_service service = {.url = x->url,
		.ca = x->p->ca[0] ? (char *)(uintptr_t)x->p->ca : NULL,
		.timeout_us = x->p->answer_us};
	const struct http_request q = {.method = "POST",
		.body = body->s,
		.body_bytes = body->len,
		.type = "application/ipp",
		.accept = "application/ipp"};
	struct http_answer h = {0};
	int r = http_exchange(&service, &q, x->it, &h, e);

	if (r == 0)
		r = judge(x, &h, name, ret, e);
	if (ret_sent)
		*ret_sent = h.sent;
	http_answer_done(&h);
	return r;
}

static int refused(
	const struct session *x, const char *what, const struct ipp_answer *a, struct err *e)
{
	return err_set(e, ERR_PRINTER, "%s refused %s with status 0x%04x%s%s", x->uri, what,
		a->status, a->message[0] ? ": " : "", a->message);
}

static int get_printer(struct session *x, struct ipp_answer *ret, struct err *e)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	int r;

	ipp_begin(&b, IPP_GET_PRINTER_ATTRIBUTES, ++x->request, x->uri);
	ipp_add(&b, IPP_KEYWORD, "requested-attributes", "printer-state");
	ipp_add(&b, IPP_KEYWORD, "", "printer-state-reasons");
	ipp_add(&b, IPP_KEYWORD, "", "printer-is-accepting-jobs");
	ipp_add(&b, IPP_KEYWORD, "", "document-format-supported");
	ipp_add_group(&b, IPP_END);
	r = ask(x, &b, NULL, ret, NULL, e);
	if (r < 0)
		return of_printer(x, r, e);
	return ret->status > LAST_GOOD_STATUS ? refused(x, "a question for its state", ret, e) : 0;
}

int ipp_ready(const struct printer *p, const struct iotime *it, struct err *e)
{
	struct session x = session_of(p, it);
	struct ipp_answer a;
	const char *trouble;
	int r = get_printer(&x, &a, e);

	if (r < 0)
		return r;
	trouble = ipp_trouble(&a);
	if (trouble)
		return err_set(e, ERR_PRINTER, "%s; nothing was sent to it (%s)", trouble,
			a.printer_reasons[0] ? a.printer_reasons : "it gives no reason");
	if (a.names_formats && !a.takes_pdf)
		return err_set(e, ERR_PRINTER,
			"it does not take application/pdf: print to it by a queue of CUPS, or as kind zpl");
	return 0;
}

/* --- the job --- */

static void job_name(struct ipp_report *report)
{
	uint8_t random[TOKEN_BYTES];
	char hex[2 * TOKEN_BYTES + 1];

	random_bytes(random, sizeof random);
	hex_of(random, sizeof random, hex);
	snprintf(report->job_name, sizeof report->job_name, "provd-label-%s", hex);
}

/* Whether the job is there all the same. */
static bool look_up(struct session *x, struct ipp_report *report)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	struct ipp_answer a = {0};

	ipp_begin(&b, IPP_GET_JOBS, ++x->request, x->uri);
	ipp_add(&b, IPP_KEYWORD, "requested-attributes", "job-id");
	ipp_add(&b, IPP_KEYWORD, "", "job-name");
	ipp_add(&b, IPP_KEYWORD, "", "job-state");
	ipp_add(&b, IPP_KEYWORD, "which-jobs", "all");
	ipp_add_group(&b, IPP_END);
	if (ask(x, &b, report->job_name, &a, NULL, NULL) < 0 || a.status > LAST_GOOD_STATUS ||
		!a.found || a.job <= 0)
		return false;
	report->looked_up = true;
	report->job = a.job;
	report->job_state = a.job_state;
	return true;
}

static int send_job(
	struct session *x, const void *pdf, size_t n, struct ipp_report *report, struct err *e)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	struct ipp_answer a = {0};
	int r;

	ipp_begin(&b, IPP_PRINT_JOB, ++x->request, x->uri);
	ipp_add(&b, IPP_NAME, "job-name", report->job_name);
	ipp_add(&b, IPP_MIME, "document-format", "application/pdf");
	ipp_add_group(&b, IPP_JOB_GROUP);
	ipp_add(&b, IPP_KEYWORD, "print-scaling", "none");
	ipp_add_group(&b, IPP_END);
	sb_add_n(&b, pdf, n);
	r = ask(x, &b, NULL, &a, &report->sent, e);
	if (r == 0 && a.status > LAST_GOOD_STATUS) {
		report->sent = false;
		return refused(x, "the label", &a, e);
	}
	if (r == 0 && a.job > 0) {
		report->job = a.job;
		report->job_state = a.job_state;
		return 0;
	}
	if (r == 0)
		r = err_set(e, ERR_PROTOCOL, "%s took the label and gave its job no id", x->uri);
	if (!report->sent || (iotime_check(x->it, NULL) == 0 && look_up(x, report)))
		return report->sent ? 0 : of_printer(x, r, e);
	err_prefix(e,
		"the label was sent, and what became of it is not known: it may have come out, so that another print may be a second one (look at the printer)");
	return of_printer(x, r, e);
}

/* The job as it is now. */
static int get_job(
	struct session *x, struct ipp_report *report, struct ipp_answer *ret, struct err *e)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	int r;

	ipp_begin(&b, IPP_GET_JOB_ATTRIBUTES, ++x->request, x->uri);
	ipp_add_integer(&b, "job-id", (uint32_t)report->job);
	ipp_add(&b, IPP_KEYWORD, "requested-attributes", "job-id");
	ipp_add(&b, IPP_KEYWORD, "", "job-state");
	ipp_add(&b, IPP_KEYWORD, "", "job-state-reasons");
	ipp_add_group(&b, IPP_END);
	r = ask(x, &b, NULL, ret, NULL, e);
	if (r == 0 && ret->status > LAST_GOOD_STATUS)
		r = refused(x, "a question for the label's job", ret, e);
	if (r == 0 && ret->job != report->job)
		r = err_set(e, ERR_PROTOCOL,
			"%s gives the state of job %d, that of job %d was expected", x->uri,
			ret->job, report->job);
	if (r == 0 && ret->job_state == IPP_JOB_UNKNOWN)
		r = err_set(e, ERR_PROTOCOL, "%s does not give the state of job %d", x->uri,
			report->job);
	if (r < 0) {
		err_prefix(e,
			"the label was sent as job %d, whose end is not known: it may have come out (look at the printer)",
			report->job);
		return of_printer(x, r, e);
	}
	report->job_state = ret->job_state;
	return 0;
}

/* Completed, by its state, and not by its reasons (RFC 8011, 5.3.8); NULL: nothing of that kind. */
static const char *bad_end(const struct ipp_answer *a)
{
	static const char *const reasons[] = {"job-completed-with-errors", "aborted-by-system",
		"job-canceled-by-user", "job-canceled-by-operator", "job-canceled-at-device",
		"unsupported-document-format", "document-format-error", "submission-interrupted"};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (has_reason(a->job_reasons, reasons[i]))
			return reasons[i];
	return NULL;
}

static int judge_completed(
	const struct ipp_answer *a, const struct ipp_report *report, struct err *e)
{
	const char *why = bad_end(a);

	return why ? err_set(e, ERR_PRINTER,
			     "job %d is completed, and its reason is %s: look at the printer, whether a label came out",
			     report->job, why)
		   : 0;
}

/* 1: it goes on. */
static int judge_job(const struct session *x, const struct ipp_answer *a,
	const struct ipp_report *report, struct err *e)
{
	switch ((enum ipp_job_state)report->job_state) {
	case IPP_JOB_COMPLETED:
		return judge_completed(a, report, e);
	case IPP_JOB_HELD:
	case IPP_JOB_STOPPED:
		return err_set(e, ERR_PRINTER,
			"job %d is %s (%s): the label comes out once somebody lets it, so that another print would be a second one",
			report->job, ipp_job_state_name(report->job_state), a->job_reasons);
	case IPP_JOB_CANCELED:
	case IPP_JOB_ABORTED:
		return err_set(e, ERR_PRINTER,
			"job %d was %s (%s): look at the printer, whether a label came out",
			report->job, ipp_job_state_name(report->job_state), a->job_reasons);
	case IPP_JOB_UNKNOWN:
	case IPP_JOB_PENDING:
	case IPP_JOB_PROCESSING:
		return 1;
	}
	return err_set(e, ERR_PRINTER, "job %d of %s is in state %d, which RFC 8011 does not have",
		report->job, x->uri, report->job_state);
}

/* A printer that stops while the job waits says so of itself, and the job stays pending. */
static int printer_stopped(struct session *x, const struct ipp_report *report, struct err *e)
{
	struct ipp_answer a;
	const char *trouble = get_printer(x, &a, NULL) == 0 ? ipp_trouble(&a) : NULL;

	if (!trouble)
		return 0;
	return err_set(e, ERR_PRINTER,
		"%s; it has the label as job %d, which comes out then, so that another print would be a second one",
		trouble, report->job);
}

static int wait_job(struct session *x, struct ipp_report *report, struct err *e)
{
	for (;;) {
		struct ipp_answer a = {0};
		int r = get_job(x, report, &a, e);

		if (r == 0)
			r = judge_job(x, &a, report, e);
		if (r <= 0)
			return r;
		r = printer_stopped(x, report, e);
		if (r < 0)
			return r;
		r = iotime_sleep(ASK_EVERY_US, x->it, e);
		if (r < 0) {
			err_prefix(e, "the label was sent as job %d, which is %s", report->job,
				ipp_job_state_name(report->job_state));
			return of_printer(x, r, e);
		}
	}
}

int ipp_print(const struct printer *p, const void *pdf, size_t n, const struct iotime *it,
	struct ipp_report *report, struct err *e)
{
	struct session x = session_of(p, it);
	int r;

	*report = (struct ipp_report){0};
	job_name(report);
	r = send_job(&x, pdf, n, report, e);
	return r < 0 ? r : wait_job(&x, report, e);
}
