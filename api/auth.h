/* SPDX-License-Identifier: Apache-2.0
 *
 * The client of a request: bearer tokens pvd_<id>_<secret> (only a hash is kept), browser sessions
 * opened with one or with the password of an account, and else the certificate that the client showed. All tokens and sessions are held in memory; a change goes to the
 * database first. A sender of wrong tokens has to wait (api/guard.h). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/guard.h"
#include "api/httpd.h"
#include "api/tls_client.h"
#include "base/err.h"
#include "db/retention.h"
#include "db/sessions.h"
#include "db/tokens.h"

struct db;

enum role {
	ROLE_VIEWER,
	ROLE_OPERATOR,
	ROLE_SUPERVISOR,
	ROLE_ENGINEER,
	ROLE_MES,
	ROLE_ADMIN,
	ROLES
};

#define ROLE_BIT(r) (1u << ROLE_##r)
#define MAY_READ                                                                             \
	(ROLE_BIT(VIEWER) | ROLE_BIT(OPERATOR) | ROLE_BIT(SUPERVISOR) | ROLE_BIT(ENGINEER) | \
		ROLE_BIT(MES) | ROLE_BIT(ADMIN))
#define MAY_OPERATE \
	(ROLE_BIT(OPERATOR) | ROLE_BIT(SUPERVISOR) | ROLE_BIT(ENGINEER) | ROLE_BIT(ADMIN))
#define MAY_ORDER   (ROLE_BIT(SUPERVISOR) | ROLE_BIT(ENGINEER) | ROLE_BIT(MES) | ROLE_BIT(ADMIN))
#define MAY_RELEASE (ROLE_BIT(SUPERVISOR) | ROLE_BIT(ENGINEER) | ROLE_BIT(ADMIN))
#define MAY_WRITE   (ROLE_BIT(ENGINEER) | ROLE_BIT(ADMIN))
#define MAY_ADMIN   ROLE_BIT(ADMIN)

extern const char *const role_names[]; /* by enum role, NULL-terminated */
const char *role_str(enum role r);
int role_from_str(const char *s); /* -1 */

#define TOKEN_ID_SIZE	17
#define TOKEN_TEXT_SIZE 80
#define ADDRESS_SIZE	46 /* numeric, with its NUL: INET6_ADDRSTRLEN */
#define SESSION_COOKIE	"provd_session"
/* Of one token; one more ends the one that was not used for longest. */
#define SESSIONS_OF_TOKEN 64

struct principal {
	char id[TOKEN_ID_SIZE];
	char name[TOKEN_NAME_SIZE];
	enum role role;
	bool by_cookie;	     /* a browser: the Origin must be checked */
	bool by_certificate; /* a browser sends that by itself, too */
	unsigned clients;    /* by_certificate: of which state of those that are known */
	int64_t certificate_ends_s;
	char session[SHA256_HEX]; /* its session, by the hash of the cookie; "" none */
	unsigned secret;	  /* which of the token's, by the number of its rotation */
	/* What it may name (api/scope.h); NULL: everything. Lives as long as the auth. */
	const json_t *scopes;
};

/* More of a refusal than its error. */
struct auth_refusal {
	unsigned retry_after_s;	   /* with -ERR_OVERLOADED */
	bool note;		   /* to be written into the audit trail */
	struct guard_note guard;   /* with note */
	char token[TOKEN_ID_SIZE]; /* that was tried; "" no token */
	enum {
		AUTH_UNKNOWN,
		AUTH_RAN_OUT, /* a right secret of a token that has come to its end */
		AUTH_REPLACED /* one that a rotation has replaced, after its time */
	} cause;
};

struct auth;

/* Tokens and sessions of the database. */
int auth_new(struct db *reader, struct auth **ret, struct err *e);
struct auth *auth_free(struct auth *a);
/* A new token's text and what of it is kept. */
void auth_make_token(char text[TOKEN_TEXT_SIZE], char id[TOKEN_ID_SIZE], char hash[SHA256_HEX]);
/* Another secret for the token of that id. */
void auth_make_secret(const char *id, char text[TOKEN_TEXT_SIZE], char hash[SHA256_HEX]);
/* A name is read by people in the records: none may look like another's, or be one of provd's own.
 * -ERR_INVALID, -ERR_CONFLICT. */
int auth_check_name(const char *name, struct err *e);
/* After the commit of its row, of which it keeps a copy. */
void auth_add(struct auth *a, const struct token *row);
/* Ends its sessions too. */
void auth_revoke(struct auth *a, const char *id);
/* After the commit: the new secret's hash, and how long the one before works. Ends its sessions too. */
void auth_rotate(struct auth *a, const char *id, const char *hash, int64_t old_until_ms);
/* A token that is not limited and does not end. */
bool auth_has_admin(struct auth *a);

/* One who is known by a certificate, or by an account (`principals` of provd.yaml). */
struct auth_client {
	enum tls_name by;
	const char *value, *name;
	enum role role;
	const json_t *scopes; /* NULL: everything */
	bool account;	      /* value is the name of an account, and `by` nothing */
};
/* From now on these, of which copies are kept, and no others. -ERR_CONFLICT, and as before, for a name
 * that a token has or had. */
int auth_set_clients(struct auth *a, const struct auth_client *list, size_t n, struct err *e);
/* Whether one of them has, or had since the start, that name. */
bool auth_is_client(struct auth *a, const char *name);
/* What is trusted has changed: what was opened by a certificate is opened again. */
void auth_clients_changed(struct auth *a);
/* A certificate was refused: what of it is to be noted. */
void auth_certificate_refused(struct auth *a, const struct request *rq, struct auth_refusal *why);

/* 0 and *ret; -ERR_UNAUTHORIZED; or -ERR_OVERLOADED when the principal has used up its rate (0: no
 * limit; *ret is set), or when wrong tokens came too often (*ret->id is ""). */
int auth_check(struct auth *a, const struct request *rq, unsigned rate, struct principal *ret,
	struct auth_refusal *why, struct err *e);
/* Whether the token is valid and the session goes on, which this counts as a use of: for streams.
 */
bool auth_still(struct auth *a, const struct principal *who);

/* A browser session for a token's text, in three steps: the token is looked at and the cookie made;
 * the caller stores *ret_row, and removes the one of ret_ended ("" none) in the same transaction;
 * then the session is valid. Refusals as of auth_check(). */
int auth_login(struct auth *a, const struct request *rq, const char *token, char ret_cookie[65],
	struct session_row *ret_row, char ret_ended[SHA256_HEX], struct principal *ret,
	struct auth_refusal *why, struct err *e);
/* The same for the account of a principal, whose password the caller looks at between the two: first whether it may be looked at
 * now, then what came of it (right). An account that is nobody's is refused as a wrong password is, also where nothing is looked at any
 * more for its sender (not *ret_ask). The session lives in memory
 * alone: *ret_row is not stored. */
int auth_account_wait(struct auth *a, const struct request *rq, const char *account, bool *ret_ask,
	struct auth_refusal *why, struct err *e);
int auth_account_login(struct auth *a, const struct request *rq, const char *account, bool right,
	char ret_cookie[65], struct session_row *ret_row, char ret_ended[SHA256_HEX],
	struct principal *ret, struct auth_refusal *why, struct err *e);
/* Whether it is a principal's now. */
bool auth_is_account(struct auth *a, const char *account);
void auth_session_add(struct auth *a, const struct session_row *row, const char *ended);
void auth_logout(struct auth *a, const char *session);
/* Ends old sessions. Those whose use should be stored, at most max of them, into ret. Main. */
size_t auth_tick(struct auth *a, struct session_row *ret, size_t max);

struct token_use {
	char id[TOKEN_ID_SIZE];
	int64_t used_ms;
	char used_from[ADDRESS_SIZE];
};
/* As auth_tick(), of tokens. */
size_t auth_token_uses(struct auth *a, struct token_use *ret, size_t max);
/* Its last use, which may not be stored yet; false where there was none. */
bool auth_last_use(struct auth *a, const char *id, struct token_use *ret);
