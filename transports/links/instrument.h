/* SPDX-License-Identifier: Apache-2.0
 *
 * A measuring instrument of the installation: where it is, how it answers, and what is known of it.
 */
#pragma once

#include <stdint.h>

#include "transports/links/link.h"

#define INSTRUMENT_IDENTITY_BYTES 128
#define INSTRUMENT_OWNER_BYTES	  64
#define INSTRUMENT_DATE_BYTES	  11

struct link_queue;

struct instrument {
	char address[LINK_ADDRESS_BYTES]; /* tcp:HOST:PORT, tty:PATH@BAUD */
	uint64_t answer_us;		  /* how long an answer may take */
	uint64_t
		late_us; /* no answer comes later than this; 0: each has its number (protocols/scpi) */
	char identity[INSTRUMENT_IDENTITY_BYTES]; /* pattern of what *IDN? answers; "": any */
	char owner[INSTRUMENT_OWNER_BYTES];	  /* who looks after it; "" nobody is named */
	char calibrated_until
		[INSTRUMENT_DATE_BYTES]; /* "2027-03-31", that day too (UTC); "" not known */
	struct link_queue *queue; /* of all who use instruments here; NULL: nobody else does */
};
