/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/wall.h"

#include <sys/timex.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/timefmt.h"
#include "base/util.h"

/* A correction of this much by a time service does not count as a step back: only at midnight does
 * it change a date. */
#define SLACK_MS 60000
#define JUMP_MS	 5000

struct wall {
	int64_t floor_ms; /* atomic */
	bool sync_needed;
	struct holds *holds;
	int64_t offset_ms; /* wall minus monotonic, at the last tick; main only */
};

static int64_t offset_now(void)
{
	return wall_ms() - (int64_t)(now_us() / 1000);
}

bool wall_has_service(void)
{
	static const char *const paths[] = {"/run/systemd/timesync", "/run/chrony", "/run/ntpd.pid",
		"/run/ntpd.sock", "/run/openntpd.sock"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], F_OK) == 0)
			return true;
	return false;
}

struct wall *wall_new(int64_t floor_ms, bool sync_needed, struct holds *holds)
{
	struct wall *w = xcalloc(1, sizeof *w);

	w->floor_ms = floor_ms;
	w->sync_needed = sync_needed;
	w->holds = holds;
	w->offset_ms = offset_now();
	return w;
}

struct wall *wall_free(struct wall *w)
{
	free(w);
	return NULL;
}

int64_t wall_floor_ms(const struct wall *w)
{
	return __atomic_load_n(&w->floor_ms, __ATOMIC_RELAXED);
}

void wall_recorded(struct wall *w, int64_t ms)
{
	int64_t seen = wall_floor_ms(w);

	while (seen < ms && !__atomic_compare_exchange_n(&w->floor_ms, &seen, ms, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void wall_accept(struct wall *w, int64_t ms)
{
	__atomic_store_n(&w->floor_ms, ms, __ATOMIC_RELAXED);
}

bool wall_is_synchronised(int64_t *ret_max_error_us)
{
	struct timex t = {0};
	bool good = adjtimex(&t) != TIME_ERROR && !(t.status & STA_UNSYNC);

	*ret_max_error_us = t.maxerror;
	return good;
}

int wall_check(const struct wall *w, struct err *e)
{
	int64_t now = wall_ms();
	int64_t floor = wall_floor_ms(w);
	char shown[RFC3339_SIZE];
	char newest[RFC3339_SIZE];
	int64_t error_us;

	if (now < floor - SLACK_MS)
		return err_set(e, ERR_CLOCK,
			"the clock of this machine shows %s, but the newest record is of %s",
			rfc3339(now, shown), rfc3339(floor, newest));
	if (!w->sync_needed || wall_is_synchronised(&error_us))
		return 0;
	return err_set(e, ERR_CLOCK,
		"the clock of this machine is not synchronised (it shows %s): wait for its time service, or set one up; where the machine keeps its time by itself, say 'clock_sync: ignored' in provd.yaml",
		rfc3339(now, shown));
}

bool wall_tick(struct wall *w, int64_t *ret_ms)
{
	int64_t offset = offset_now();
	struct err e;

	*ret_ms = offset - w->offset_ms;
	w->offset_ms = offset;
	if (wall_check(w, &e) < 0)
		holds_set(w->holds, HOLD_CLOCK, "%s: nothing that carries a date is given out",
			e.msg);
	else
		holds_lift(w->holds, HOLD_CLOCK);
	return *ret_ms > JUMP_MS || *ret_ms < -JUMP_MS;
}
