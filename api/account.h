/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords of accounts, as PAM judges them (pam(3), Linux-PAM 1.5): those of this machine, or of a directory that one of its
 * modules asks. Modules run in provd, as its user.
 */
#pragma once

#include "base/err.h"

struct account_login {
	const char *service;	     /* of /etc/pam.d */
	const char *user, *password; /* the password goes to no log and no error */
	const char *from;	     /* numeric address; NULL: this machine */
};

/* Whether this build has PAM. */
bool account_possible(void);
/* 0: the password is right, and the account may log in now. -ERR_UNAUTHORIZED: not so, and who tries is not told which of it;
 * -ERR_SERVICE_DOWN: nobody could be asked; -ERR_OVERLOADED: too many are asked for already. May wait as long as its modules do; one at a time. Any thread. */
int account_check(const struct account_login *l, struct err *e);
