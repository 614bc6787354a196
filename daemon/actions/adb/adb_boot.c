/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.root, adb.remount, adb.reboot, adb.sideload: what restarts a unit or its adbd.
 */
#include "daemon/actions/adb/adb_session.h"
#include "daemon/actions/image_args.h"
#include "transports/protocols/adb/adb_sideload.h"

#define POLL_US (200 * US_PER_MS)

/* --- root --- */

static int user_id(struct adb_session *x, char ret[16], struct err *e)
{
	struct adb_shell_result res = {0};
	_cleanup_(freep) char *text = NULL;
	int r = adb_shell_ok(x->conn, "id -u", &x->s->it, &res, e);

	if (r < 0)
		return r;
	text = adb_lines(&res.out);
	snprintf(ret, 16, "%s", text);
	adb_shell_result_done(&res);
	return 0;
}

static int change_user(struct adb_session *x, bool root, struct step_result *out, struct err *e)
{
	enum adb_restarting restarting = ADB_IS_SO_ALREADY;
	char reply[ADB_REPLY_MAX] = "";
	int r = adb_session_leaves(x, e);

	if (r == 0)
		r = adb_root(x->conn, root, &x->s->it, &restarting, reply, e);
	result_evidence(out, "reply", json_string(reply));
	if (r == 0 && restarting == ADB_RESTARTS) {
		/* The dying adbd would still answer. */
		r = adb_conn_wait_gone(x->conn, &x->s->it, e);
		if (r == 0)
			r = adb_session_returns(x, NULL, out, e);
	}
	return r;
}

static int root_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	bool root = !strcmp(args_str(a, "user"), "root");
	char uid[16] = "";
	int r = adb_session_open(&x, e);

	if (r == 0)
		r = user_id(&x, uid, e);
	if (r == 0 && root != !strcmp(uid, "0")) {
		r = change_user(&x, root, out, e);
		if (r == 0)
			r = user_id(&x, uid, e);
	}
	if (r < 0)
		return r;
	result_evidence(out, "uid", json_string(uid));
	result_output(out, "uid", json_string(uid));
	if (root != !strcmp(uid, "0"))
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"adbd restarted and its commands run as user %s", uid);
	return 0;
}

static const char *const users[] = {"root", "shell", NULL};

static const struct action_arg root_args[] = {
	ARG_ROWS_ADB,
	{.name = "user",
		.type = ARG_CHOICE,
		.def = "root",
		.choices = users,
		.doc = "the user that adbd runs as afterwards"},
	{0},
};

static const struct action_output root_outputs[] = {{"uid", "of the unit's commands"}, {0}};

const struct action action_adb_root = {
	.name = "adb.root",
	.doc = "Restarts the unit's adbd as root, or as shell again, and checks which user it is.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES | ACTION_SAFE_TO_RETRY,
	.args = root_args,
	.outputs = root_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = root_run,
};

/* --- remount --- */

static int remount_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	char reply[ADB_REPLY_MAX] = "";
	int r = adb_session_open(&x, e);

	if (r == 0)
		r = adb_remount(x.conn, &s->it, reply, e);
	if (r < 0)
		return r;
	result_evidence(out, "reply", json_string(reply));
	return 0;
}

static const struct action_arg remount_args[] = {ARG_ROWS_ADB, {0}};

const struct action action_adb_remount = {
	.name = "adb.remount",
	.doc = "Makes the unit's system partitions writable (adb.root first).",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = remount_args,
	.default_timeout_us = 60 * US_PER_S,
	.run = remount_run,
};

/* --- reboot --- */

static const struct reboot_mode {
	const char *name, *service;
	const char *state; /* that it comes back in; NULL: another protocol's */
} reboot_modes[] = {
	{"system", "", "device"},
	{"bootloader", "bootloader", "bootloader"},
	{"recovery", "recovery", "recovery"},
	{"fastboot", "fastboot", "bootloader"},
	{"sideload", "sideload", "sideload"},
	{"sideload-auto-reboot", "sideload-auto-reboot", "sideload"},
	{"download", "download", NULL},
};

static const struct reboot_mode *reboot_mode(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(reboot_modes); i++)
		if (!strcmp(reboot_modes[i].name, name))
			return &reboot_modes[i];
	return &reboot_modes[0];
}

/* Interface ff/42/03: fastboot. */
static bool has_fastboot(const struct usb *u)
{
	const struct usb_interface *list;
	size_t n = usb_interfaces(u, &list);

	for (size_t i = 0; i < n; i++)
		if (list[i].cls == 0xff && list[i].subclass == 0x42 && list[i].protocol == 0x03)
			return true;
	return false;
}

/* On another link than USB it cannot be seen from here: that is an error before
 * the unit restarts. */
static int may_see_bootloader(struct step *s, const struct args *a, struct err *e)
{
	struct device_facts f = {0};
	int r = s->ops->facts(s->env, args_str(a, "port"), &f, e);

	if (r == 0 && strncmp(f.node, "usb:", 4) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			"over %s it cannot be seen that the bootloader runs: use 'wait: none' and a fastboot step",
			f.node);
	return r;
}

/* The bootloader speaks fastboot: its own actions go on. */
static int wait_bootloader(struct adb_session *x, struct step_result *out, struct err *e)
{
	struct step *s = x->s;
	struct device_facts f = {0};
	struct usb *u = NULL;
	int r;

	x->conn = adb_conn_free(x->conn);
	s->ops->link_close(s->env, x->role);
	r = s->ops->wait_device(s->env, x->role, &s->it, &f, e);
	if (r < 0)
		return r;
	r = s->ops->usb(s->env, x->role, &s->it, &u, e);
	if (r == 0 && !has_fastboot(u))
		r = err_set(e, ERR_WRONG_DEVICE,
			"the unit came back without a fastboot interface (ff/42/03)");
	if (r < 0)
		return r;
	result_evidence(out, "state", json_string("bootloader"));
	result_evidence(out, "fastboot_serial", json_string(usb_facts(u)->serial));
	result_evidence(out, "same_unit_by",
		json_string("the port, and the USB serial number where it has one in both lives"));
	return 0;
}

static int wait_completed(struct adb_session *x, struct step_result *out, struct err *e)
{
	char value[8] = "";
	int r = 0;

	while (r == 0) {
		r = adb_getprop(x->conn, "sys.boot_completed", value, sizeof value, &x->s->it, e);
		/* adbd may start once more on the way. */
		if (r == -ERR_DEVICE_GONE)
			r = adb_session_returns(x, "device", out, e);
		else if (r == 0 && !strcmp(value, "1"))
			break;
		if (r == 0)
			r = iotime_sleep(POLL_US, &x->s->it, e);
	}
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT,
			"sys.boot_completed is '%s', 1 expected: the unit did not end its boot",
			value);
	if (r == 0)
		result_evidence(out, "boot_completed", json_string(value));
	return r;
}

static int await(struct adb_session *x, const char *state, struct step_result *out, struct err *e)
{
	if (!state || !strcmp(state, "none")) {
		result_evidence(out, "state", json_string("not waited for"));
		return 0;
	}
	if (!strcmp(state, "bootloader"))
		return wait_bootloader(x, out, e);

	int r = adb_session_returns(x, state, out, e);

	return r < 0 ? r : adb_session_restarted(x, out, e);
}

static int reboot_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	const struct reboot_mode *mode = reboot_mode(args_str(a, "mode"));
	const char *wait = args_str(a, "wait");
	const char *state = strcmp(wait, "auto") != 0 ? wait : mode->state;
	bool completed = args_bool(a, "boot_completed");
	int r = 0;

	if (completed && (!state || strcmp(state, "device") != 0))
		return err_set(e, ERR_RECIPE_INVALID,
			"'boot_completed' needs a unit that comes back in state 'device'");
	if (state && !strcmp(state, "bootloader"))
		r = may_see_bootloader(s, a, e);
	if (r == 0)
		r = adb_session_open(&x, e);
	if (r == 0)
		r = adb_session_leaves(&x, e);
	if (r == 0)
		r = adb_reboot(x.conn, mode->service, &s->it, e);
	if (r == 0) {
		result_evidence(out, "left", json_string("the connection ended after reboot:"));
		r = await(&x, state, out, e);
	}
	if (r == 0 && completed)
		r = wait_completed(&x, out, e);
	return r;
}

static const char *const mode_choices[] = {"system", "bootloader", "recovery", "fastboot",
	"sideload", "sideload-auto-reboot", "download", NULL};
static const char *const wait_choices[] = {
	"auto", "device", "recovery", "sideload", "bootloader", "none", NULL};

static const struct action_arg reboot_args[] = {
	ARG_ROWS_ADB,
	{.name = "mode",
		.type = ARG_CHOICE,
		.def = "system",
		.choices = mode_choices,
		.doc = "what starts"},
	{.name = "wait",
		.type = ARG_CHOICE,
		.def = "auto",
		.choices = wait_choices,
		.doc = "for the unit in that state on the same port; auto: the state of 'mode'"},
	{.name = "boot_completed",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "and until sys.boot_completed is 1, as packages need it"},
	{0},
};

const struct action action_adb_reboot = {
	.name = "adb.reboot",
	.doc = "Restarts the unit and waits until the same unit is back, in the state asked for.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES,
	.args = reboot_args,
	.default_timeout_us = 180 * US_PER_S,
	.run = reboot_run,
};

/* --- sideload --- */

static int sideload_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct teller tell = step_teller(s);
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(adb_infile_done) struct adb_infile in = {0};
	struct adb_sideload_result res = {0};
	const char *state;
	int r = adb_infile_open(&in, s, args_str(a, "file"), e);

	if (r == 0 && !in.src.size)
		r = err_set(e, ERR_IMAGE_INVALID, "an empty package");
	if (r == 0)
		r = package_args_check(s, a, args_str(a, "file"), in.blob, out, e);
	if (r == 0)
		r = adb_session_open(&x, e);
	if (r < 0)
		return r;
	state = adb_conn_peer(x.conn)->state;
	if (strcmp(state, "sideload") != 0 && strcmp(state, "recovery") != 0)
		return err_set(e, ERR_PRECONDITION,
			"the unit is in state '%s', 'sideload' expected: adb.reboot with 'mode: sideload' first",
			state);
	r = adb_sideload(x.conn, &in.src, &tell, &s->it, &res, e);
	if (r < 0)
		return r;
	result_evidence(out, "bytes", json_integer((json_int_t)in.src.size));
	result_evidence(out, "sha256", json_string(in.sha256));
	result_evidence(out, "proven_by",
		json_string(res.old ? "OKAY of the recovery (before Android 4.4)"
				    : "DONEDONE of the recovery"));
	if (!res.old) {
		result_evidence(out, "blocks", json_integer((json_int_t)res.blocks));
		result_evidence(out, "blocks_read", json_integer((json_int_t)res.blocks_served));
		result_evidence(out, "requests", json_integer((json_int_t)res.requests));
	}
	return 0;
}

static const struct action_arg sideload_args[] = {
	ARG_ROWS_ADB,
	{.name = "file", .type = ARG_IMAGE, .required = true, .doc = "the package"},
	ARG_ROW_PACKAGE_FORMAT,
	{0},
};

const struct action action_adb_sideload = {
	.name = "adb.sideload",
	.doc = "Gives a package to the unit's recovery and waits until it is installed.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH,
	.args = sideload_args,
	.default_timeout_us = 1800 * US_PER_S,
	.run = sideload_run,
};
