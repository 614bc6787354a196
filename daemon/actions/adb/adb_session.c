/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/adb/adb_session.h"

#include <ctype.h>

#define KEY_NAME    "adb-key.pem"
#define RETRY_US    (100 * US_PER_MS)
#define AGAIN_US    (3 * US_PER_S) /* for each answer while a unit still starts */
#define SERIAL_MAX  sizeof(((struct adb_session *)0)->serial)
#define BOOT_ID_MAX sizeof(((struct adb_session *)0)->boot_id)

static int load_keys(struct adb_session *x, struct err *e)
{
	struct step *s = x->s;
	char path[FILE_PATH_BYTES];
	int r = 0;

	if (x->keys)
		return 0;
	if (args_has(x->a, "key")) {
		r = adb_key_read(args_str(x->a, "key"), &x->key[x->keys], e);
		x->keys += r == 0;
	}
	if (r == 0 && s->ops->keep) {
		r = s->ops->keep(s->env, KEY_NAME, path, e);
		if (r == 0)
			r = adb_key_keep(path, &x->key[x->keys], e);
		x->keys += r == 0;
	}
	return r;
}

static int open_pipe(struct adb_session *x, struct adb_pipe **ret, struct err *e)
{
	struct step *s = x->s;
	struct device_facts f = {0};
	struct link *l = NULL;
	struct usb *u = NULL;
	int r = s->ops->facts(s->env, x->role, &f, e);

	if (r < 0)
		return r;
	if (!strncmp(f.node, "usb:", 4)) {
		r = s->ops->usb(s->env, x->role, &s->it, &u, e);
		return r < 0 ? r : adb_pipe_usb(u, ret, e);
	}
	r = step_link(s, x->role, &l, e);
	if (r == 0)
		*ret = adb_pipe_link(l);
	return r;
}

static int connect_within(struct adb_session *x, uint64_t reply_us, struct err *e)
{
	struct adb_conn_config cfg = {
		.key = (const struct adb_key *const *)x->key,
		.keys = x->keys,
		.reply_us = reply_us,
		.authorize_us = args_duration_us(x->a, "authorize"),
		.idle_us = args_duration_us(x->a, "idle_timeout"),
		.tell = step_teller(x->s),
	};
	struct adb_pipe *pipe = NULL;
	int r = open_pipe(x, &pipe, e);

	return r < 0 ? r : adb_connect(pipe, &cfg, &x->s->it, &x->conn, e);
}

static void disconnect(struct adb_session *x)
{
	x->conn = adb_conn_free(x->conn);
	x->s->ops->link_close(x->s->env, x->role);
}

void adb_session_done(struct adb_session *x)
{
	/* The next step may be another protocol's, or the unit's next boot stage. */
	if (x->role)
		disconnect(x);
	for (size_t i = 0; i < x->keys; i++)
		adb_key_free(x->key[i]);
	x->keys = 0;
}

/* --- leaving and coming back --- */

static int ask_serial(struct adb_session *x, char ret[SERIAL_MAX], struct err *e)
{
	const char *state = adb_conn_peer(x->conn)->state;
	int r;

	ret[0] = 0;
	/* What serves a sideload knows no commands. */
	if (strcmp(state, "device") != 0 && strcmp(state, "recovery") != 0)
		return 0;
	r = adb_getprop(x->conn, "ro.serialno", ret, SERIAL_MAX, &x->s->it, e);
	/* The recovery of a production build has no shell. */
	return r == -ERR_DEVICE_REFUSED && !strcmp(state, "recovery") ? 0 : r;
}

/* Between two sessions over TCP another unit may have come. */
static int check_unit(struct adb_session *x, struct err *e)
{
	char who[SERIAL_MAX];
	int r;

	if (!step_unwatched(x->s, x->role))
		return 0;
	r = ask_serial(x, who, e);
	return r < 0 ? r : step_said(x->s, x->role, "adb", who, e);
}

int adb_session_open(struct adb_session *x, struct err *e)
{
	int r = load_keys(x, e);

	x->role = args_str(x->a, "port");
	if (r == 0)
		r = connect_within(x, args_duration_us(x->a, "connect_timeout"), e);
	return r < 0 ? r : check_unit(x, e);
}

static int ask_boot_id(struct adb_session *x, char ret[BOOT_ID_MAX], struct err *e)
{
	struct adb_shell_result res = {0};
	_cleanup_(freep) char *text = NULL;
	int r;

	ret[0] = 0;
	if (strcmp(adb_conn_peer(x->conn)->state, "device") != 0)
		return 0;
	r = adb_shell(x->conn, "cat /proc/sys/kernel/random/boot_id", BOOT_ID_MAX, NULL, NULL,
		&x->s->it, &res, e);
	if (r < 0)
		return r;
	text = adb_lines(&res.out);
	/* A unit may forbid its shell to read it. */
	snprintf(ret, BOOT_ID_MAX, "%s", res.status == 0 ? text : "");
	adb_shell_result_done(&res);
	return 0;
}

int adb_session_restarted(struct adb_session *x, struct step_result *out, struct err *e)
{
	char now[BOOT_ID_MAX];
	int r = ask_boot_id(x, now, e);

	if (r < 0)
		return r;
	if (x->boot_id[0] && now[0] && !strcmp(x->boot_id, now))
		return err_set(e, ERR_DEVICE_REFUSED,
			"the unit left and came back, and did not restart: its boot_id is %s still",
			now);
	result_evidence(out, "restarted_by",
		json_string(x->boot_id[0] && now[0]
				    ? "another boot_id of its kernel"
				    : "the connection that ended: no boot_id on both sides"));
	return 0;
}

int adb_session_leaves(struct adb_session *x, struct err *e)
{
	int r = ask_serial(x, x->serial, e);

	if (r == 0)
		r = ask_boot_id(x, x->boot_id, e);
	return r < 0 ? r : x->s->ops->expect_replug(x->s->env, x->role, e);
}

static bool may_pass(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_DEVICE_GONE || r == -ERR_IO || r == -ERR_PROTOCOL ||
	       r == -ERR_NOT_FOUND;
}

/* One try. A unit enumerates more than once while it starts: without its debugging interface it
 * will leave again, and is claimed for that. */
static int try_again(struct adb_session *x, bool first, bool no_interface, struct err *e)
{
	struct step *s = x->s;
	struct device_facts f = {0};
	int r = 0;

	disconnect(x);
	if (!first)
		r = iotime_sleep(RETRY_US, &s->it, e);
	if (r == 0 && no_interface)
		r = s->ops->expect_replug(s->env, x->role, e);
	if (r == 0)
		r = s->ops->wait_device(s->env, x->role, &s->it, &f, e);
	return r < 0 ? r : connect_within(x, AGAIN_US, e);
}

static int come_back(struct adb_session *x, const char *state, struct err *e)
{
	int r = 0;

	for (bool first = true;; first = false) {
		struct err tried = {0};

		r = try_again(x, first, r == -ERR_NOT_FOUND, &tried);
		if (r == 0 && (!state || !strcmp(state, adb_conn_peer(x->conn)->state)))
			return 0;
		if (r == 0)
			return err_set(e, ERR_WRONG_DEVICE,
				"the unit came back in state '%s', '%s' expected",
				adb_conn_peer(x->conn)->state, state);
		if (!may_pass(r) || iotime_check(&x->s->it, NULL) < 0)
			return err_set(e, tried.code, "%s", tried.msg);
	}
}

int adb_session_returns(
	struct adb_session *x, const char *state, struct step_result *out, struct err *e)
{
	char now[SERIAL_MAX] = "";
	int r = come_back(x, state, e);

	if (r == 0)
		r = ask_serial(x, now, e);
	if (r < 0)
		return err_prefix(e, "after the restart");
	if (x->serial[0] && now[0] && strcmp(x->serial, now) != 0)
		return err_set(
			e, ERR_WRONG_DEVICE, "unit %s came back, %s expected", now, x->serial);
	result_evidence(out, "state", json_string(adb_conn_peer(x->conn)->state));
	if (now[0])
		result_evidence(out, "serial", json_string(now));
	result_evidence(out, "same_unit_by",
		json_string(x->serial[0] && now[0] ? "ro.serialno before and after"
						   : "the port alone: no ro.serialno"));
	return 0;
}

/* --- text --- */

char *adb_lines(const struct strbuf *text)
{
	struct strbuf b = {0};
	const char *at = text->s;
	size_t n = text->len;

	while (n && isspace((unsigned char)at[n - 1]))
		n--;
	while (n > 0) {
		const char *end = memchr(at, '\n', n);
		size_t k = end ? (size_t)(end - at) : n;

		sb_add_escaped(&b, at, k && at[k - 1] == '\r' ? k - 1 : k);
		if (end)
			sb_add(&b, "\n");
		at += k + (end != NULL);
		n -= k + (end != NULL);
	}
	return sb_take(&b);
}

json_t *adb_json_text(const char *text, size_t n)
{
	return json_stringn(text, n);
}

/* --- digests --- */

int adb_remote_sha256(struct adb_session *x, const char *path, char ret[SHA256_HEX],
	const char **ret_by, struct err *e)
{
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	sb_add(&command, "sha256sum ");
	adb_quote(&command, path);
	r = adb_shell(x->conn, command.s, 4096, NULL, NULL, &x->s->it, &res, e);
	if (r < 0)
		return r;
	sb_add(&res.out, "");
	/* GNU and toybox put a backslash before the digest where they escape the name. */
	snprintf(ret, SHA256_HEX, "%.64s", res.out.s + (res.out.s[0] == '\\'));
	*ret_by = res.by_marker ? "sha256sum of the unit, its status shown by a marker"
				: "sha256sum of the unit, over shell v2";
	r = 0;
	if (res.status != 0 || !is_sha256_hex(ret)) {
		_cleanup_(freep) char *said = adb_lines(res.err.len ? &res.err : &res.out);

		r = err_set(e, ERR_UNSUPPORTED,
			"sha256sum on the unit ended with status %d: %.160s", res.status, said);
	}
	adb_shell_result_done(&res);
	return r;
}
