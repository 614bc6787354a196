/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenOCD's Tcl server (OpenOCD User's Guide, 20.4): a script and 1A go there, its result and 1A
 * come back. A failure is not marked as one: the result of `flash write_image` of a missing file is
 * empty. So every script is sent inside of `catch`, and what comes back is the list of the call's
 * number, its code and its result.
 *
 * One call at a time. After a call that ran out of time, and an answer with another number, the
 * session is over, and every later call says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "transports/links/link.h"

#define OPENOCD_REPLY_MAX (1024u * 1024)

struct openocd_rpc;

/* The link is used, not owned. */
struct openocd_rpc *openocd_rpc_new(struct link *l);
struct openocd_rpc *openocd_rpc_free(struct openocd_rpc *r); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct openocd_rpc, openocd_rpc_free)

/* Evaluates one script. *ret (may be NULL) is its result, owned by the caller. -ERR_TOOL_FAILED
 * where Tcl caught an error: *ret is set then, too. -ERR_TIMEOUT after budget_us; -ERR_PROTOCOL for
 * what is not an answer; -ERR_INVALID for control characters in the script. */
int openocd_rpc_call(struct openocd_rpc *r, const char *script, uint64_t budget_us, char **ret,
	const struct iotime *it, struct err *e);

/* Whether a call ended the session. */
bool openocd_rpc_over(const struct openocd_rpc *r);

/* A Tcl list taken apart: words bare, in braces or in quotes. The words are owned by the caller:
 * openocd_list_free(). -ERR_PROTOCOL for what is not a list. */
struct openocd_list {
	char **word;
	size_t n;
};
int openocd_list_parse(const char *s, size_t n, struct openocd_list *ret, struct err *e);
void openocd_list_free(struct openocd_list *l);

/* Any text as one Tcl word: every character but letters, digits and _ gets a backslash. Owned by
 * the caller. -ERR_INVALID for control characters. */
int openocd_quote(const char *text, char **ret, struct err *e);
