/* SPDX-License-Identifier: Apache-2.0
 *
 * An instrument that speaks SCPI over a link: a raw socket (port 5025) or a serial line. IEEE 488.2-1992: messages
 * end with NL, several queries of one message are answered in one line, separated by semicolons; SCPI-99,
 * volume 2, 21.8.8: SYSTem:ERRor?.
 *
 * The turn. An answer has no number, so one that comes late would be the next question's. So each question
 * brings one: the event status enable register, which every instrument has (488.2, 10.10 and 10.11) and which
 * changes no measurement, is set and read back in the same message:
 *
 *	*ESE 137;*ESE?;:MEAS:VOLT? ->
 *	                           <- 137;+1.5E+00        the answer
 *	                           <- 136;+1.4E+00        late, or twice: dropped
 *	                           <- 137                 the question was refused: SYST:ERR? says why
 *
 * An instrument that does not take several commands in one message has SCPI_PROOF_LATE: it never answers later
 * than a bound, and after an answer that is missing nothing is asked until then.
 *
 * After each message SYST:ERR? is asked until the queue is empty. The first error is what is said. Both
 * are on the worker's thread.
 */
#pragma once

#include "base/secret.h"
#include "base/strbuf.h"
#include "base/teller.h"
#include "transports/links/link.h"

#define SCPI_ANSWER_MAX	   (1024u * 1024)
#define SCPI_BLOCK_MAX	   (64u * 1024 * 1024)
#define SCPI_MESSAGE_BYTES 1024
#define SCPI_FIELD_BYTES   80

enum scpi_proof { SCPI_PROOF_ESE, SCPI_PROOF_LATE };

/* What outlives a connection to the instrument: an answer may come on the next one. Zeroed: nobody asked. Of who
 * has the instrument. */
struct scpi_turn {
	uint8_t number;	   /* of the last question */
	bool begun;	   /* the number is one */
	uint64_t clear_us; /* SCPI_PROOF_LATE: nothing old comes after that */
};

struct scpi_opts {
	uint64_t answer_us; /* for each answer; 0: 5 s */
	enum scpi_proof proof;
	uint64_t late_us; /* SCPI_PROOF_LATE: no answer comes later than this after its question */
	struct scpi_turn *turn; /* not owned */
	struct teller tell;
};

struct scpi;

/* Borrows the link and what opts points to. Clears the instrument's error queue: what others left there is not
 * blamed on this one. */
int scpi_new(struct link *l, const struct scpi_opts *o, const struct iotime *it, struct scpi **ret,
	struct err *e);
struct scpi *scpi_free(struct scpi *s); /* the link lives; takes NULL, returns NULL */

/* From now on its lines go to no log: thousands of them tell nobody anything. */
void scpi_mute(struct scpi *s);

/* A command without an answer: 0 once the instrument is done with it (*OPC?) and has no error.
 *
 * Of both: -ERR_INSTRUMENT_LATE, -ERR_INSTRUMENT_ERROR (it says why), -ERR_INSTRUMENT (another answer than one of
 * SCPI, or the link), -ERR_INVALID for text that is no one message, -ERR_TIMEOUT where the deadline of `it`
 * passed, or the cancel's reason. */
int scpi_command(struct scpi *s, const char *text, const struct iotime *it, struct err *e);
/* One question, its answer into ret, which is cleared first. */
int scpi_query(struct scpi *s, const char *text, const struct iotime *it, struct strbuf *ret,
	struct err *e);

/* As scpi_query(), for an answer that may be a definite length block (488.2, 8.7.9: '#', a digit, so many digits of the
 * length, the bytes, which hold any value), of which ret gets the bytes alone, at most SCPI_BLOCK_MAX. *ret_block says whether it
 * was one. The time for an answer begins again with each piece of the block. -ERR_INSTRUMENT for one that is cut, too long, or
 * does not say its length ("#0"). */
int scpi_query_block(struct scpi *s, const char *text, const struct iotime *it, struct strbuf *ret,
	bool *ret_block, struct err *e);

/* 488.2, 10.14. */
struct scpi_identity {
	char maker[SCPI_FIELD_BYTES], model[SCPI_FIELD_BYTES], serial[SCPI_FIELD_BYTES],
		firmware[SCPI_FIELD_BYTES];
};
/* -ERR_INSTRUMENT: not four fields. */
int scpi_identity_read(const char *text, struct scpi_identity *ret, struct err *e);

/* What a line answers. */
enum scpi_line {
	SCPI_LINE_ANSWER,  /* the question with that number: from ret_at on */
	SCPI_LINE_REFUSED, /* that question, and there is no answer in it */
	SCPI_LINE_OTHER	   /* another one */
};
enum scpi_line scpi_line_read(const char *line, size_t n, uint8_t number, size_t *ret_at);
/* "-113,\"Undefined header\"": its number and text, cut where it is longer. -ERR_INSTRUMENT for another text. */
int scpi_error_read(
	const char *text, long *ret_code, char ret_text[SCPI_FIELD_BYTES], struct err *e);
