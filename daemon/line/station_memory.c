/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/station_memory.h"

#include "db/writer.h"

struct recall {
	const char *station;
	int64_t since_ms;
	struct station_memory *ret;
};

/* In the writer's transaction, so that nothing that is on its way is missing. */
static int apply_recall(struct db *tx, void *data, struct err *e)
{
	const struct recall *n = data;
	int r = stations_get(tx, n->station, &n->ret->row, e);

	if (r == 0)
		r = stations_last(tx, n->station, &n->ret->last, e);
	if (r == 0)
		r = stations_count(tx, n->station, n->since_ms, &n->ret->today, e);
	if (r == 0)
		r = power_owed_get(tx, n->station, &n->ret->power, e);
	return r;
}

int station_memory_recall(struct writer *w, const char *station, int64_t since_ms,
	struct station_memory *ret, struct err *e)
{
	struct recall n = {station, since_ms, ret};

	return writer_do(w, apply_recall, &n, e);
}

struct note {
	const char *station;
	const struct station_row *row;
	const char *by;
};

static int apply_note(struct db *tx, void *data, struct err *e)
{
	const struct note *n = data;

	return stations_put(tx, n->station, n->row, n->by, NULL, e);
}

int station_memory_note(struct writer *w, const char *station, const struct station_row *row,
	const char *by, struct err *e)
{
	struct note n = {station, row, by};

	return writer_do(w, apply_note, &n, e);
}

struct owe {
	const char *station;
	const struct power_owed *power;
};

static int apply_owe(struct db *tx, void *data, struct err *e)
{
	const struct owe *n = data;

	return n->power ? power_owed_put(tx, n->station, n->power, e)
			: power_owed_settle(tx, n->station, e);
}

int station_memory_owe(
	struct writer *w, const char *station, const struct power_owed *p, struct err *e)
{
	struct owe n = {station, p};

	return writer_do(w, apply_owe, &n, e);
}
