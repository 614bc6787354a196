/* SPDX-License-Identifier: Apache-2.0
 *
 * Several requests at a time in one thread, each as http.h has it: a receiver that is slow delays nobody
 * else. Each goes to an address of a list alone (http_allow.h), which is looked at as the connection is
 * made, and keeps the start of its answer. A connection is used again for a few seconds.
 */
#pragma once

#include "base/iotime.h"
#include "transports/links/http.h"
#include "transports/links/http_allow.h"

struct http_post {
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated */
	const char *body;	    /* application/json; outlives the exchange */
	const char *ca;		    /* as of a service; NULL */
	uint64_t timeout_us;
	size_t answer_bytes; /* so much of the answer is kept, not 0 */
	/* Outlive the exchange. clear: where http:// may go besides this machine. */
	const struct http_allow *allow, *clear;
	/* Another number than that of the one before: they may say something else, and no connection of before is used again. */
	unsigned lists;
};

struct http_many;

struct http_many *http_many_new(void);
struct http_many *http_many_free(
	struct http_many *m); /* breaks off what goes on; takes NULL, returns NULL */
/* The texts but the body are copied. data comes back with the end. */
void http_many_add(struct http_many *m, const struct http_post *p, void *data);
size_t http_many_count(const struct http_many *m);
/* Moves bytes until one of them ends, somebody wakes it, or the time is over. */
void http_many_wait(struct http_many *m, uint64_t us);
/* Any thread: the wait of now, or else the next one, ends at once. */
void http_many_wake(struct http_many *m);

struct http_end {
	void *data;
	struct http_answer answer; /* the caller's: http_answer_done() */
	int result;		   /* as of http_exchange() */
	struct err err;
};
/* One that has ended; false: none has. */
bool http_many_next(struct http_many *m, struct http_end *ret);
