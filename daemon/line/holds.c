/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/holds.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"

#define WORK (HOLD_STOPS_RUNS | HOLD_STOPS_ORDERS | HOLD_STOPS_SENDING)
#define ALL  (WORK | HOLD_STOPS_CHANGES)

static const struct {
	enum err_code code;
	unsigned stops;
} rows[HOLD_COUNT] = {
	[HOLD_LINEAGE] = {ERR_RECORDS_HELD, ALL},
	[HOLD_DAMAGE] = {ERR_RECORDS_DAMAGED, ALL},
	[HOLD_MARKS] = {ERR_RECORDS_HELD, WORK},
	[HOLD_DISK] = {ERR_DISK_FULL, WORK},
	[HOLD_CLOCK] = {ERR_CLOCK, HOLD_STOPS_DATES},
	[HOLD_BACKLOG] = {ERR_BACKLOG, HOLD_STOPS_RUNS},
	[HOLD_PLANT] = {ERR_PLANT_HELD, HOLD_STOPS_RUNS | HOLD_STOPS_ORDERS},
};

static const char *const stops_name[] = {"runs", "orders", "changes", "dates"};

struct holds {
	struct mutex lock;
	struct {
		bool set;
		int64_t since_ms;
		char text[ERR_TEXT_BYTES];
	} row[HOLD_COUNT];
	void (*changed)(void *data);
	void *data;
};

struct holds *holds_new(void (*changed)(void *data), void *data)
{
	struct holds *h = xcalloc(1, sizeof *h);

	mutex_init(&h->lock);
	h->changed = changed;
	h->data = data;
	return h;
}

struct holds *holds_free(struct holds *h)
{
	if (h)
		mutex_done(&h->lock);
	free(h);
	return NULL;
}

void holds_set(struct holds *h, enum hold which, const char *fmt, ...)
{
	char text[sizeof h->row[0].text];
	bool began;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	mutex_lock(&h->lock);
	began = !h->row[which].set;
	if (began)
		h->row[which].since_ms = wall_ms();
	h->row[which].set = true;
	memcpy(h->row[which].text, text, sizeof text);
	mutex_unlock(&h->lock);
	if (!began)
		return;
	log_error("%s: %s", err_code_str(rows[which].code), text);
	if (h->changed)
		h->changed(h->data);
}

void holds_lift(struct holds *h, enum hold which)
{
	bool ended;

	mutex_lock(&h->lock);
	ended = h->row[which].set;
	h->row[which].set = false;
	mutex_unlock(&h->lock);
	if (!ended)
		return;
	log_notice("%s: over, the line goes on", err_code_str(rows[which].code));
	if (h->changed)
		h->changed(h->data);
}

bool holds_has(struct holds *h, enum hold which)
{
	mutex_lock(&h->lock);
	bool set = h->row[which].set;
	mutex_unlock(&h->lock);
	return set;
}

int holds_check(struct holds *h, unsigned stops, struct err *e)
{
	int r = 0;

	mutex_lock(&h->lock);
	for (int i = 0; i < HOLD_COUNT && r == 0; i++)
		if (h->row[i].set && (rows[i].stops & stops))
			r = err_set(e, rows[i].code, "%s", h->row[i].text);
	mutex_unlock(&h->lock);
	return r;
}

static json_t *stops_json(unsigned stops)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(stops_name); i++)
		if (stops & 1u << i)
			json_array_append_new(list, json_string(stops_name[i]));
	return list;
}

json_t *holds_json(struct holds *h)
{
	json_t *list = json_array();
	char since[RFC3339_SIZE];

	mutex_lock(&h->lock);
	for (int i = 0; i < HOLD_COUNT; i++)
		if (h->row[i].set)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "code",
					      err_code_str(rows[i].code), "since",
					      rfc3339(h->row[i].since_ms, since), "message",
					      h->row[i].text, "hint", err_code_hint(rows[i].code),
					      "stops", stops_json(rows[i].stops)));
	mutex_unlock(&h->lock);
	return list;
}
