/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: bearer tokens pvd_<id>_<secret> (only a hash is kept), and browser sessions opened with
 * one. All tokens are held in memory; a change goes to the database first. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/httpd.h"
#include "base/err.h"

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

const char *role_str(enum role r);
int role_from_str(const char *s); /* -1 */

#define TOKEN_ID_SIZE	17
#define TOKEN_TEXT_SIZE 80
#define SESSION_COOKIE	"provd_session"
#define SESSION_LIFE_US (12ull * 3600 * 1000000)

struct principal {
	char id[TOKEN_ID_SIZE];
	char name[64];
	enum role role;
	bool by_cookie; /* a browser: the Origin must be checked */
};

struct auth;

int auth_new(struct db *reader, struct auth **ret, struct err *e);
struct auth *auth_free(struct auth *a);
/* A new token's text and what of it is kept. */
void auth_make_token(char text[TOKEN_TEXT_SIZE], char id[TOKEN_ID_SIZE], char hash[SHA256_HEX]);
/* After the commit of its row. */
void auth_add(struct auth *a, const char *id, const char *name, enum role role, const char *hash);
void auth_revoke(struct auth *a, const char *id);
bool auth_has_admin(struct auth *a);

/* 0 and *ret, -ERR_UNAUTHORIZED, or -ERR_OVERLOADED when the principal has used up its rate (0: no
 * limit). */
int auth_check(struct auth *a, const struct request *rq, unsigned rate, struct principal *ret,
	struct err *e);
/* Opens a browser session for a token's text; the cookie's value into ret. */
int auth_login(struct auth *a, const char *token, char ret_cookie[65], struct principal *ret,
	struct err *e);
void auth_logout(struct auth *a, const char *cookie);
/* Ends old sessions. */
void auth_tick(struct auth *a);
