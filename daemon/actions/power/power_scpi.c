/* SPDX-License-Identifier: Apache-2.0
 *
 * An output of a supply, which is an instrument of provd.yaml (SCPI-99, volume 2, 15: OUTPut[:STATe]).
 */
#include <strings.h>

#include "daemon/actions/power/power_session.h"
#include "daemon/actions/scpi/instrument.h"

struct scpi_switch {
	struct power_switch base;
	struct instrument_step x;
};

static struct scpi_switch *of(struct power_switch *p)
{
	return container_of(p, struct scpi_switch, base);
}

static int state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *answer = NULL;
	int r = instrument_query(&of(p)->x, p->way->say_query, &answer, e);

	if (r < 0)
		return r;
	if (!strcmp(answer, "1") || !strcasecmp(answer, "ON"))
		*ret = POWER_ON;
	else if (!strcmp(answer, "0") || !strcasecmp(answer, "OFF"))
		*ret = POWER_OFF;
	else
		return err_set(e, ERR_POWER_SWITCH,
			"the supply answers '%.40s' with '%.60s': 0, 1, OFF or ON expected",
			p->way->say_query, answer);
	return 0;
}

static int set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	return instrument_command(&of(p)->x, on ? p->way->say_on : p->way->say_off, e);
}

static void scpi_close(struct power_switch *p)
{
	instrument_done(&of(p)->x);
	free(of(p));
}

static const struct power_switch_ops ops = {state, set, scpi_close};

int power_open_scpi(
	const struct power_way *w, struct step *s, struct power_switch **ret, struct err *e)
{
	struct scpi_switch *x = xcalloc(1, sizeof *x);
	int r;

	x->base = (struct power_switch){&ops, w};
	r = instrument_open(&x->x, s, w->instrument, e);
	if (r < 0) {
		scpi_close(&x->base);
		return r;
	}
	*ret = &x->base;
	return 0;
}
