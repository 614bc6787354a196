/* SPDX-License-Identifier: Apache-2.0 */
#include "api/account.h"

#include "provd_config.h"

#if PROVD_HAS_PAM

#include <pthread.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"

#define WAIT_US	    (10 * US_PER_S)
#define WAITING_MAX 2u

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

static int look(const struct account_login *l, struct err *e)
{
	const struct pam_conv conversation = {converse, (void *)l};
	pam_handle_t *h = NULL;
	int status = pam_start(l->service, l->user, &conversation, &h);
	int r;

	if (status == PAM_SUCCESS)
		status = ask(h, l);
	r = judge(status, l, pam_strerror(h, status), e);
	if (h)
		pam_end(h, status);
	return r;
}

/* --- one at a time, on a thread of its own: a directory that does not answer holds none of the API's --- */

/* Of who waits, and of the thread that asks: the last one frees it. */
struct attempt {
	char *service, *user, *password, *from;
	bool done, left; /* left: nobody waits any more */
	int result;
	struct err err;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool busy; /* a module is at work */
static unsigned waiting;

static void make_cond(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_condattr_destroy(&attr);
}

static bool wait_change(uint64_t until_us)
{
	const struct timespec ts = {
		(time_t)(until_us / US_PER_S), (long)(until_us % US_PER_S) * 1000};

	return pthread_cond_timedwait(&changed, &lock, &ts) == 0 || now_us() < until_us;
}

static struct attempt *attempt_new(const struct account_login *l)
{
	struct attempt *t = xcalloc(1, sizeof *t);

	t->service = xstrdup(l->service);
	t->user = xstrdup(l->user);
	t->password = xstrdup(l->password);
	t->from = l->from ? xstrdup(l->from) : NULL;
	return t;
}

static void attempt_free(struct attempt *t)
{
	secret_wipe(t->password, strlen(t->password));
	free(t->service);
	free(t->user);
	free(t->password);
	free(t->from);
	free(t);
}

static void *attempt_main(void *data)
{
	struct attempt *t = data;
	const struct account_login l = {t->service, t->user, t->password, t->from};
	struct err e = {0};
	int r = look(&l, &e);
	bool left;

	pthread_mutex_lock(&lock);
	t->result = r;
	t->err = e;
	t->done = true;
	left = t->left;
	busy = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (left)
		attempt_free(t);
	return NULL;
}

/* Its turn: nobody else is looked at. Under the lock. */
static int take_turn(uint64_t until_us, struct err *e)
{
	if (busy && waiting >= WAITING_MAX)
		return err_set(e, ERR_OVERLOADED, "others sign in just now: try again in a moment");
	waiting++;
	while (busy && wait_change(until_us))
		;
	waiting--;
	if (busy)
		return err_set(e, ERR_SERVICE_DOWN,
			"the password cannot be looked at now: PAM has not answered for who came before");
	busy = true;
	return 0;
}

static int start(struct attempt *t, struct err *e)
{
	pthread_t thread;
	int r = thread_start(&thread, "account", attempt_main, t, e);

	if (r < 0)
		busy = false;
	else
		pthread_detach(thread);
	return r;
}

int account_check(const struct account_login *l, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint64_t until_us = now_us() + WAIT_US;
	struct attempt *t = NULL;
	bool ended = true;
	int r;

	pthread_once(&once, make_cond);
	pthread_mutex_lock(&lock);
	r = take_turn(until_us, e);
	if (r == 0) {
		t = attempt_new(l);
		r = start(t, e);
	}
	if (r == 0) {
		while (!t->done && wait_change(until_us))
			;
		ended = t->done;
		t->left = !ended;
		r = ended ? t->result
			  : err_set(e, ERR_SERVICE_DOWN,
				    "the password cannot be looked at now: PAM service '%s' has not answered in %u s",
				    l->service, (unsigned)(WAIT_US / US_PER_S));
		if (ended && r < 0 && e)
			*e = t->err;
	}
	pthread_mutex_unlock(&lock);
	if (t && ended)
		attempt_free(t);
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
