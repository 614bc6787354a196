/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include <errno.h>

#include "api/api_tls.h"
#include "api/tls.h"
#include "base/iotime.h"
#include "base/util.h"

/* A disk under load may take seconds for a commit; the watchdog of systemd waits longer (daemon/main.c). */
#define WRITER_STUCK_US (10 * US_PER_S)
#define MAIN_STUCK_US	(20 * US_PER_S)

static void add_cause(json_t *list, const char *code, const char *message, const char *hint)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "code", code, "message",
					    message, "hint", hint, "blocks", 1));
}

/* Some causes are seen to, and the line goes on without what they stop. */
static bool any_blocks(const json_t *causes)
{
	json_t *cause;
	size_t i;

	json_array_foreach((json_t *)causes, i, cause)
		if (json_is_true(json_object_get(cause, "blocks")))
			return true;
	return false;
}

/* --- lives --- */

void health_beat(struct api *a, bool alive, const char *why)
{
	mutex_lock(&a->health_lock);
	a->beat_us = now_us();
	a->hangs = !alive;
	snprintf(a->hangs_text, sizeof a->hangs_text, "%s", why);
	mutex_unlock(&a->health_lock);
}

int get_livez(struct call *c, struct err *e)
{
	struct api *a = c->api;
	json_t *causes = json_array();
	char text[ERR_TEXT_BYTES];
	uint64_t beat;
	bool hangs;

	mutex_lock(&a->health_lock);
	beat = a->beat_us;
	hangs = a->hangs;
	memcpy(text, a->hangs_text, sizeof text);
	mutex_unlock(&a->health_lock);
	if (hangs)
		add_cause(causes, "thread-hangs", text, "Restart provd, and report its journal.");
	if (beat && now_us() > beat + MAIN_STUCK_US)
		add_cause(causes, "main-loop-hangs",
			"the main loop has not come round for 20 s: no plugged unit is seen",
			"Restart provd, and report its journal.");
	hangs = json_array_size(causes) > 0;
	response_json(c->rs, hangs ? 503 : 200,
		json_pack("{s:s, s:o}", "status", hangs ? "unavailable" : "ok", "causes", causes));
	return 0;
}

/* --- is ready --- */

/* A commit that goes on, and what became of the last one. */
static bool check_writer(struct api *a, json_t *causes)
{
	struct writer *w = fleet_writer(a->fleet);
	const uint64_t now = now_us(), tick = writer_tick_us(w);
	char text[ERR_TEXT_BYTES];
	struct err e;

	if (now > tick + WRITER_STUCK_US) {
		snprintf(text, sizeof text,
			"the writer has not come round for %llu s: the disk of the records may hang",
			(unsigned long long)((now - tick) / US_PER_S));
		add_cause(causes, "writer-stuck", text,
			"Look at the disk of the records: what waits is written once it answers.");
		return false;
	}
	/* A full disk is a hold, with a sentence of its own. */
	if (writer_check(w, &e) == 0 || e.code == ERR_DISK_FULL)
		return true;
	snprintf(text, sizeof text, "the newest records could not be written: %.240s", e.msg);
	add_cause(causes, err_code_str(e.code), text, err_code_hint(e.code));
	return false;
}

/* Whether it can be read, and whether its file system lets it be written. */
static bool check_database(struct api *a, json_t *causes)
{
	const char *path = fleet_db_path(a->fleet);
	struct err e = {0};
	struct db *d = readers_take(a->readers, &e);
	int64_t size;
	bool good = d && db_size(d, &size, &e) == 0;

	readers_give(a->readers, d);
	if (!good)
		add_cause(causes, err_code_str(e.code), e.msg, err_code_hint(e.code));
	/* One that is gone is damage, which is a hold. */
	if (access(path, W_OK) < 0 && errno != ENOENT) {
		char text[FILE_PATH_BYTES + 200];

		snprintf(text, sizeof text,
			"the database %s cannot be written (%s): a file that provd may write, on a file system that is not read-only, expected",
			path, strerrordesc_np(errno));
		add_cause(causes, "database-read-only", text,
			"Look at the kernel's log for errors of the disk, and at the owner of the file.");
		good = false;
	}
	return good;
}

static void check_certificate(struct api *a, json_t *causes)
{
	const int64_t now_s = wall_ms() / 1000;
	struct tls_state state;
	char at[RFC3339_SIZE], text[ERR_TEXT_BYTES];

	if (!a->tls)
		return;
	tls_state(a->tls, &state);
	if (state.ends_s < now_s) {
		snprintf(text, sizeof text,
			"the certificate of the API ended %s: clients refuse it until another one is there",
			rfc3339(state.ends_s * 1000, at));
		add_cause(causes, "tls-certificate-expired", text,
			"Put a new certificate and key in the place of the old ones, or set the clock.");
	} else if (state.starts_s > now_s) {
		snprintf(text, sizeof text,
			"the certificate of the API is valid from %s on only: clients refuse it until then",
			rfc3339(state.starts_s * 1000, at));
		add_cause(causes, "tls-certificate-not-yet-valid", text,
			"Set the clock, or put a certificate there that is valid now.");
	}
}

static bool stops_runs(const json_t *hold)
{
	const json_t *stops = json_object_get(hold, "stops");
	json_t *what;
	size_t i;

	json_array_foreach((json_t *)stops, i, what)
		if (!strcmp(json_string_value(what), "runs"))
			return true;
	return false;
}

/* A clock that holds dates back blocks nothing: what carries no date goes on. */
static void add_holds(const json_t *holds, json_t *causes)
{
	json_t *hold;
	size_t i;

	json_array_foreach((json_t *)holds, i, hold)
		json_array_append_new(causes,
			json_pack("{s:O, s:O, s:O, s:b}", "code", json_object_get(hold, "code"),
				"message", json_object_get(hold, "message"), "hint",
				json_object_get(hold, "hint"), "blocks", stops_runs(hold)));
}

int get_readyz(struct call *c, struct err *e)
{
	struct api *a = c->api;
	json_t *causes = json_array(), *holds = holds_json(fleet_holds(a->fleet));
	bool writer = check_writer(a, causes);
	bool database = check_database(a, causes);
	bool ready;

	add_holds(holds, causes);
	check_certificate(a, causes);
	ready = !any_blocks(causes);
	response_json(c->rs, ready ? 200 : 503,
		json_pack("{s:s, s:b, s:b, s:o, s:o, s:o}", "status", ready ? "ok" : "unavailable",
			"writer", writer, "database", database, "causes", causes, "holds", holds,
			"warnings", api_tls_warnings(a)));
	return 0;
}
