/* SPDX-License-Identifier: Apache-2.0
 *
 * Printing by the Internet Printing Protocol (RFC 8010, RFC 8011): a queue of CUPS, or a printer that speaks
 * it itself. A document is sent once, and its job is asked for until it has ended.
 *
 *	Get-Printer-Attributes     stopped, without paper, not accepting: nothing is sent
 *	Print-Job                  sent once. No answer: the job is looked up by its name, which is of
 *	                           this call alone; found: it goes on; else it may have come out
 *	Get-Job-Attributes         until completed; canceled, aborted, held and stopped are errors, and so is
 *	                           completed with a reason that says otherwise
 *
 * Each answer has the number of its question (RFC 8011, 4.1.1), and a connection of its own. "completed" is
 * what the queue says: of CUPS that the printer took it. On the worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "transports/links/printer.h"

#define IPP_TEXT_BYTES	  160
#define IPP_REASONS_BYTES 2048 /* a printer may have dozens of warnings before its error */

enum ipp_printer_state {
	IPP_PRINTER_IDLE = 3,
	IPP_PRINTER_PROCESSING = 4,
	IPP_PRINTER_STOPPED = 5
};

/* RFC 8011, 5.3.7. */
enum ipp_job_state {
	IPP_JOB_UNKNOWN = 0,
	IPP_JOB_PENDING = 3,
	IPP_JOB_HELD = 4,
	IPP_JOB_PROCESSING = 5,
	IPP_JOB_STOPPED = 6,
	IPP_JOB_CANCELED = 7,
	IPP_JOB_ABORTED = 8,
	IPP_JOB_COMPLETED = 9
};
/* "completed"; "unknown" for what RFC 8011 does not have. */
const char *ipp_job_state_name(int state);

/* What an answer says. What it does not say is 0 or "". */
struct ipp_answer {
	uint16_t status;
	uint32_t request;
	int printer_state;
	bool accepts, refuses_jobs; /* printer-is-accepting-jobs, where it says so */
	bool takes_pdf, names_formats;
	char printer_reasons[IPP_REASONS_BYTES]; /* whole keywords, a blank between */
	int job;				 /* its id */
	int job_state;
	char job_reasons[IPP_REASONS_BYTES];
	char message[IPP_TEXT_BYTES]; /* status-message */
	bool found; /* a job of the name that was looked for: `job` and `job_state` are its */
};

/* An answer's bytes. name: of the job that is looked for among several; NULL: the last one counts.
 * -ERR_PROTOCOL. */
int ipp_answer_read(
	const void *bytes, size_t n, const char *name, struct ipp_answer *ret, struct err *e);
/* What keeps it from printing and what to do, a sentence; NULL: nothing. */
const char *ipp_trouble(const struct ipp_answer *a);

struct ipp_report {
	bool sent;	/* the document, or a part of it: it may have come out */
	int job;	/* 0: the queue gave none */
	int job_state;	/* the last that is known */
	bool looked_up; /* the answer to Print-Job was lost, and the job found by its name */
	char job_name[48];
};

/* Whether it can print a PDF. -ERR_PRINTER with a sentence, or the cancel's reason. Nothing is printed. */
int ipp_ready(const struct printer *p, const struct iotime *it, struct err *e);
/* Prints a PDF, and waits until its job has completed. -ERR_PRINTER with a sentence, or the cancel's reason.
 * Where report->sent is set it may have come out, whatever is returned. */
int ipp_print(const struct printer *p, const void *pdf, size_t n, const struct iotime *it,
	struct ipp_report *report, struct err *e);
