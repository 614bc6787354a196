/* SPDX-License-Identifier: Apache-2.0 */
#include "api/account.h"

#include "provd_config.h"

#if PROVD_HAS_PAM

#include <pthread.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"

/* A module may wait for long, and each who waits for it holds a thread of the API (api/work.h): the others are needed. */
#define ASKED_MAX 3
static unsigned asked; /* atomic */

/* Modules are not made for several threads. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

bool account_possible(void)
{
	return true;
}

static void free_answers(struct pam_response *r, int n)
{
	for (int i = 0; i < n; i++) {
		if (r[i].resp)
			secret_wipe(r[i].resp, strlen(r[i].resp));
		free(r[i].resp);
	}
	free(r);
}

/* The password for what is asked without echo; what a module says goes nowhere; another question has no answer here. */
static int converse(int n, const struct pam_message **msg, struct pam_response **ret, void *data)
{
	const struct account_login *l = data;
	struct pam_response *r;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	r = calloc((size_t)n, sizeof *r);
	if (!r)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++) {
		const int style = msg[i]->msg_style;

		if (style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = strdup(l->password);
		if (style == PAM_PROMPT_ECHO_ON || (style == PAM_PROMPT_ECHO_OFF && !r[i].resp)) {
			free_answers(r, n);
			return PAM_CONV_ERR;
		}
	}
	/* Some modules want no answer to what they only say. */
	if (ret)
		*ret = r;
	else
		free_answers(r, n);
	return PAM_SUCCESS;
}

/* The API has its own wait for those who guess (api/guard.h): no thread sleeps for it. */
static void no_delay(int status, unsigned usec, void *data)
{
}

static int judge(int status, const struct account_login *l, const char *why, struct err *e)
{
	switch (status) {
	case PAM_SUCCESS:
		return 0;
	case PAM_NEW_AUTHTOK_REQD:
		return err_set(e, ERR_UNAUTHORIZED,
			"the password of %s has to be changed first: log in at a machine of the plant, and change it",
			l->user);
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_ACCT_EXPIRED:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_PERM_DENIED:
	case PAM_CRED_INSUFFICIENT:
		return err_set(e, ERR_UNAUTHORIZED, "the user or the password is wrong");
	default:
		log_error("PAM service '%s': %s", l->service, why);
		return err_set(e, ERR_SERVICE_DOWN,
			"the password cannot be looked at now (PAM service '%s'): the log of provd says why",
			l->service);
	}
}

static int ask(pam_handle_t *h, const struct account_login *l)
{
	const void *delay = (const void *)no_delay;
	int status = pam_set_item(h, PAM_FAIL_DELAY, delay);

	if (status == PAM_SUCCESS && l->from)
		status = pam_set_item(h, PAM_RHOST, l->from);
	if (status == PAM_SUCCESS)
		status = pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (status == PAM_SUCCESS)
		status = pam_acct_mgmt(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	return status;
}

static int check_one(const struct account_login *l, struct err *e)
{
	const struct pam_conv conversation = {converse, (void *)l};
	pam_handle_t *h = NULL;
	int status;
	int r;

	pthread_mutex_lock(&one_at_a_time);
	status = pam_start(l->service, l->user, &conversation, &h);
	if (status == PAM_SUCCESS)
		status = ask(h, l);
	r = judge(status, l, pam_strerror(h, status), e);
	if (h)
		pam_end(h, status);
	pthread_mutex_unlock(&one_at_a_time);
	return r;
}

int account_check(const struct account_login *l, struct err *e)
{
	int r;

	if (__atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) > ASKED_MAX)
		r = err_set(e, ERR_OVERLOADED,
			"%d passwords are looked at already (PAM service '%s'): try again in a second",
			ASKED_MAX, l->service);
	else
		r = check_one(l, e);
	__atomic_sub_fetch(&asked, 1, __ATOMIC_RELAXED);
	return r;
}

#else

bool account_possible(void)
{
	return false;
}

int account_check(const struct account_login *l, struct err *e)
{
	return err_set(e, ERR_SERVICE_DOWN, "this provd was built without PAM: log in by a token");
}

#endif
