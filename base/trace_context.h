/* SPDX-License-Identifier: Apache-2.0
 *
 * W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/): who traces a request says so in
 * two headers, and gets them back in all that provd does for it.
 *
 *   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *                |  trace-id                         parent-id        flags
 *                version
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TRACE_ID_BYTES	  33 /* 32 digits, with the end */
#define TRACE_SPAN_BYTES  17
#define TRACE_TEXT_BYTES  56
#define TRACE_STATE_BYTES 513 /* 3.3.1.5: a tracestate of 512 characters is kept whole */

struct trace_context {
	char id[TRACE_ID_BYTES]; /* "" there is none */
	char parent[TRACE_SPAN_BYTES];
	uint8_t flags;		       /* of version 00: sampled alone */
	char state[TRACE_STATE_BYTES]; /* "" there is none */
};

/* The two headers, each may be NULL; a tracestate that came in several has them joined by commas. false:
 * there is no trace. A traceparent that is malformed, of version ff or of zeros counts as none (4.3); a
 * later version is read as far as version 00 goes (3.2.4). A tracestate that is malformed or too long is
 * left out alone. */
bool trace_parse(const char *traceparent, const char *tracestate, struct trace_context *ret);
/* A traceparent of version 00; parent: 16 digits. */
char *trace_text(const struct trace_context *t, const char *parent, char ret[TRACE_TEXT_BYTES]);
/* A parent-id of random bits, never of zeros alone. */
char *trace_new_span(char ret[TRACE_SPAN_BYTES]);
/* The span of a run: the last digits of its UUIDv7, which are random and never zero (RFC 9562, 5.7). */
char *trace_run_span(const char *run_id, char ret[TRACE_SPAN_BYTES]);
