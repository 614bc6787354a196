/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/keys.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/keyd/client.h"

#define ASK_US	(5 * US_PER_S)
#define END_US	(5 * US_PER_S)
#define PROGRAM "provd-keyd"

#define AGAIN_US     (1 * US_PER_S)
#define AGAIN_MAX_US (60 * US_PER_S)
#define STEADY_US    (10 * US_PER_S) /* what has run for that long has started */

/* How a child ended, or was not made. */
struct ending {
	int os_errno, signal, status;
};

struct keys {
	struct config *config;
	char *socket, *state;
	bool own;    /* a child of this provd. The rest is main's alone */
	pid_t child; /* 0: none runs */
	uint64_t started_us, again_us, wait_us;
	bool steady;	   /* it has run for STEADY_US */
	struct ending why; /* of the last that ended */
	unsigned quiet;	   /* tries that ended as the one before, and were not logged */
};

struct keys *keys_new(struct config *c)
{
	struct keys *k;

	if (!keyd_config_any(&c->keys))
		return NULL;
	k = xcalloc(1, sizeof *k);
	k->config = config_ref(c);
	k->own = !c->keyd_socket;
	k->socket = k->own ? xasprintf("%s/keyd.sock", c->state_dir) : xstrdup(c->keyd_socket);
	k->state = xasprintf("%s/keyd", c->state_dir);
	return k;
}

/* Next to this program's library folder, or where the environment says (a build that is not
 * installed). */
static const char *program(void)
{
	const char *s = getenv("PROVD_KEYD");

	return s ? s : KEYD_PROGRAM;
}

/* 0, or why it was not started. */
static int spawn(struct keys *k)
{
	char parent[16], told[16];
	const char *const argv[] = {PROGRAM, "--config", k->config->file, "--socket", k->socket,
		"--state", k->state, "--child", parent, "--told", told, NULL};
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(told, sizeof told, "%d", k->why.signal ? 0 : k->why.status);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&k->child, program(), NULL, &attr, (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attr);
	return r;
}

/* The next try, later each time; one that had run for a while is no failure to start. */
static void plan_again(struct keys *k)
{
	if (now_us() - k->started_us >= STEADY_US)
		k->wait_us = 0;
	else
		k->wait_us = MIN(MAX(k->wait_us * 2, AGAIN_US), AGAIN_MAX_US);
	k->again_us = now_us() + k->wait_us;
}

static void say(const struct keys *k)
{
	const unsigned long long s = k->wait_us / US_PER_S;

	if (k->why.os_errno)
		log_error(
			"%s cannot be started: %s; no key of this installation can be used (tried again in %llu s, then less and less often)",
			program(), strerror(k->why.os_errno), s);
	else if (k->why.signal)
		log_warning(PROGRAM " was ended by signal %d: it is started again in %llu s",
			k->why.signal, s);
	else
		log_warning(PROGRAM
			" ended with status %d: it is started again in %llu s, then less and less often; what it said is above",
			k->why.status, s);
}

/* One line for each change. */
static void has_failed(struct keys *k, struct ending why)
{
	const bool same = !k->steady && why.os_errno == k->why.os_errno &&
			  why.signal == k->why.signal && why.status == k->why.status;

	k->child = 0;
	k->steady = false;
	k->why = why;
	plan_again(k);
	if (!same)
		say(k);
	k->quiet += same;
}

static void start_child(struct keys *k)
{
	int r;

	k->started_us = now_us();
	r = spawn(k);
	if (r != 0)
		has_failed(k, (struct ending){.os_errno = r});
}

static void look_at_child(struct keys *k)
{
	int status;

	if (!k->child)
		return;
	if (waitpid(k->child, &status, WNOHANG) == k->child) {
		has_failed(k, (struct ending){.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
				      .status = WIFSIGNALED(status) ? 0 : WEXITSTATUS(status)});
	} else if (!k->steady && now_us() - k->started_us >= STEADY_US) {
		k->steady = true;
		if (k->quiet > 0)
			log_notice(PROGRAM " runs, after %u tries that ended as the one before",
				k->quiet);
		k->quiet = 0;
	}
}

void keys_tick(struct keys *k)
{
	if (!k || !k->own)
		return;
	look_at_child(k);
	if (!k->child && now_us() >= k->again_us)
		start_child(k);
}

static bool has_ended(struct keys *k)
{
	return waitpid(k->child, NULL, WNOHANG) != 0;
}

static void end_child(struct keys *k)
{
	const uint64_t until = now_us() + END_US;

	kill(k->child, SIGTERM);
	while (!has_ended(k)) {
		if (now_us() > until)
			kill(k->child, SIGKILL);
		usleep(5000);
	}
	unlink(k->socket);
}

struct keys *keys_free(struct keys *k)
{
	if (!k)
		return NULL;
	if (k->child)
		end_child(k);
	config_unref(k->config);
	free(k->socket);
	free(k->state);
	free(k);
	return NULL;
}

int keys_socket(const struct keys *k, const char **ret, struct err *e)
{
	if (!k)
		return err_set(e, ERR_NOT_FOUND,
			"provd.yaml names no keys: 'issuers', 'masters' or 'signers' expected");
	*ret = k->socket;
	return 0;
}

int keys_issuers(const struct keys *k, json_t **ret, struct err *e)
{
	const struct iotime it = {now_us() + ASK_US, NULL};
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	json_t *list;
	int r = keyd_ask(k->socket, KEYD_ISSUERS, NULL, &it, buf, got, e);

	if (r < 0)
		return r;
	list = json_loads(got[0].p, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_array(list)) {
		json_decref(list);
		return err_set(e, ERR_KEYS_DOWN, "what provd-keyd says of its issuers is no list");
	}
	json_decref(*ret);
	*ret = list;
	return 0;
}

/* v: the signer, what is signed, and who asks. got points into buf. */
static int ask_to_sign(const struct keys *k, enum keyd_op op, const struct wire_value *v,
	uint8_t *buf, struct wire_value got[WIRE_FIELDS], struct err *e)
{
	const struct iotime it = {now_us() + KEYD_ANSWER_US, NULL};
	const char *socket;
	int r = keys_socket(k, &socket, e);

	return r < 0 ? r : keyd_ask(socket, op, v, &it, buf, got, e);
}

int keys_sign_checkpoint(const struct keys *k, const char *signer, const char *who,
	const char *text, uint8_t ret_signature[CHECKPOINT_SIGNATURE], char **ret_public,
	struct err *e)
{
	const struct wire_value v[] = {wire_text(signer), wire_text(text), wire_text(who)};
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = ask_to_sign(k, KEYD_SIGN_RECORD, v, buf, got, e);

	if (r < 0)
		return r;
	memcpy(ret_signature, got[0].p, CHECKPOINT_SIGNATURE);
	*ret_public = xstrdup(got[1].p);
	return 0;
}

int keys_sign(const struct keys *k, const char *signer, const char *who, const void *record,
	size_t n, char **ret_signature, char **ret_public, struct err *e)
{
	const struct wire_value v[] = {wire_text(signer), {.p = record, .n = n}, wire_text(who)};
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = ask_to_sign(k, KEYD_SIGN, v, buf, got, e);

	if (r < 0)
		return r;
	*ret_signature = base64_of(got[0].p, got[0].n);
	*ret_public = xstrdup(got[1].p);
	return 0;
}
