/* SPDX-License-Identifier: Apache-2.0
 *
 * A multimeter with a source as a device of the row: SCPI over a stream (IEEE 488.2; SCPI-99). Several commands may
 * come in one message, their answers go out in one line, separated by semicolons. What it measures is what its
 * source is set to, through the gain and the offset of its settings: `VOLT 1.5` and `MEAS:VOLT?`.
 *
 * An error ends its message, and waits in a queue that SYST:ERR? empties.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/strbuf.h"
#include "sim/device_rows.h"
#include "sim/scpi/meter.h"

#define LINE_BYTES 4096
#define ERRORS_MAX 16
#define OUT_MAX	   8

enum meter_fault {
	LATE,
	LOST,
	TWICE,
	OVERRANGE,
	PREFIX,
	REFUSE,
	GARBAGE,
	CUT,
	HANGUP,
	NOISE,
	RELAY
};

const struct own_fault meter_faults[] = {
	[LATE] = {"late", "a reading comes MS later; what is asked meanwhile is answered after it",
		3000},
	[LOST] = {"lost", "an answer is lost", 0},
	[TWICE] = {"twice", "an answer comes twice, the second time before the next one", 0},
	[OVERRANGE] = {"overrange", "a reading is 9.9E37", 0},
	[PREFIX] = {"prefix", "a reading is in thousandths, with its unit: 1500 mV", 0},
	[REFUSE] = {"refuse", "a command is refused: -222,\"Data out of range\"", 0},
	[GARBAGE] = {"garbage", "a reading is no number", 0},
	[CUT] = {"cut", "an answer ends before its last character, and its line does not end", 0},
	[HANGUP] = {"hangup", "the connection ends with a question", 0},
	[NOISE] = {"noise", "a reading is off by N thousandths, up and down in turn", 5},
	[RELAY] = {"relay", "a relay of the multiplexer does not close", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"meter-idn", "Example,M1,42,1.0", "what *IDN? answers"},
	{"meter-gain", "1", "a reading is the source times this"},
	{"meter-offset", "0", "and this more"},
	{"meter-lose-every", "0", "every Nth reading is lost; 0: none"},
	{"meter-channels", "0",
		"of a multiplexer before it, from 101 on: channel N reads N times the source; 0: it has none"},
	{0},
};

/* An answer on its way. */
struct answer {
	char *text;
	size_t n;
	uint64_t due_us;
};

struct meter {
	struct device device;
	struct own_faults *faults;
	const struct board_settings *set;
	char *source; /* file that says what the source is set to: a cable to other devices; NULL */
	char line[LINE_BYTES];
	size_t len;
	struct strbuf reply; /* of the message that is being carried out */
	struct answer out[OUT_MAX];
	size_t outs;
	char *again; /* an answer that comes once more */
	size_t again_n;
	int error[ERRORS_MAX];
	size_t errors;
	unsigned ese;
	unsigned closed; /* channel of the multiplexer, from 1; 0: none */
	double volt;
	uint64_t readings, busy_us;
	bool reading; /* there is one in the reply */
	bool up;      /* of NOISE */
	bool output;  /* OUTP: what lies there is switched on */
};

static struct meter *of(struct device *d)
{
	return container_of(d, struct meter, device);
}

static const struct meter *of_const(const struct device *d)
{
	return (const struct meter *)((const char *)d - offsetof(struct meter, device));
}

static int meter_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct meter *m = xcalloc(1, sizeof *m);

	m->faults = c->faults;
	m->set = c->set;
	m->source = c->dir ? xasprintf("%s/source.volt", c->dir) : NULL;
	*ret = &m->device;
	return 0;
}

static void forget(struct meter *m)
{
	for (size_t i = 0; i < m->outs; i++)
		free(m->out[i].text);
	m->outs = 0;
	free(m->again);
	m->again = NULL;
	sb_clear(&m->reply);
	m->len = 0;
}

void meter_clear(struct device *d)
{
	forget(of(d));
	of(d)->busy_us = 0;
}

static void meter_free(struct device *d)
{
	struct meter *m = of(d);

	forget(m);
	sb_done(&m->reply);
	free(m->source);
	free(m);
}

/* --- answers --- */

static void say(struct meter *m, const char *text)
{
	sb_addf(&m->reply, "%s%s", m->reply.len ? ";" : "", text);
}

static void queue(struct meter *m, char *text, size_t n, uint64_t due_us)
{
	if (m->outs == OUT_MAX) {
		free(text);
		return;
	}
	m->busy_us = MAX(m->busy_us, due_us);
	m->out[m->outs++] = (struct answer){text, n, m->busy_us};
}

static bool is_lossy(const struct meter *m)
{
	uint64_t every = settings_own_number(m->set, "meter-lose-every");

	return m->reading && every && m->readings % every == 0;
}

/* What the faults leave of the line. */
static void send_reply(struct meter *m, uint64_t now_us)
{
	double ms = 0;
	uint64_t due = now_us;
	size_t n;
	char *text;

	if (m->again)
		queue(m, steal_ptr(&m->again), m->again_n, now_us);
	if (!m->reply.len)
		return;
	sb_add(&m->reply, "\n");
	n = m->reply.len - (own_fault_hit(m->faults, CUT, NULL) ? 2 : 0);
	text = sb_take(&m->reply);
	if (own_fault_hit(m->faults, TWICE, NULL)) {
		m->again = xcalloc(1, n);
		m->again_n = n;
		memcpy(m->again, text, n);
	}
	if (m->reading && own_fault_hit(m->faults, LATE, &ms))
		due += (uint64_t)ms * 1000;
	if (own_fault_hit(m->faults, HANGUP, NULL))
		m->device.wish = WISH_HANGUP;
	if (own_fault_hit(m->faults, LOST, NULL) || is_lossy(m))
		free(text);
	else
		queue(m, text, n, due);
}

/* --- commands: false ends the message, with an error in the queue --- */

static bool fails(struct meter *m, int code)
{
	if (m->errors < ERRORS_MAX)
		m->error[m->errors++] = code;
	return false;
}

static const char *error_text(int code)
{
	return code == -113   ? "Undefined header"
	       : code == -222 ? "Data out of range"
	       : code == -104 ? "Data type error"
			      : "No error";
}

static bool next_error(struct meter *m, const char *arg)
{
	int code = m->errors ? m->error[0] : 0;
	char text[80];

	if (m->errors)
		memmove(m->error, m->error + 1, --m->errors * sizeof m->error[0]);
	snprintf(text, sizeof text, "%+d,\"%s\"", code, error_text(code));
	say(m, text);
	return true;
}

static bool clear(struct meter *m, const char *arg)
{
	m->errors = 0;
	return true;
}

static bool set_ese(struct meter *m, const char *arg)
{
	double v;

	if (!parse_number(arg, &v) || v < 0 || v > 255)
		return fails(m, -222);
	m->ese = (unsigned)v;
	return true;
}

static bool get_ese(struct meter *m, const char *arg)
{
	char text[16];

	snprintf(text, sizeof text, "%u", m->ese);
	say(m, text);
	return true;
}

static bool idn(struct meter *m, const char *arg)
{
	say(m, settings_own(m->set, "meter-idn"));
	return true;
}

static bool opc(struct meter *m, const char *arg)
{
	say(m, "1");
	return true;
}

/* As a whole: who reads it sees the old or the new one. */
static void keep_source(struct meter *m)
{
	_cleanup_(freep) char *fresh = m->source ? xasprintf("%s.new", m->source) : NULL;
	FILE *f = fresh ? fopen(fresh, "we") : NULL;
	bool good = f && fprintf(f, "%.9g\n", m->volt) > 0;

	if (f)
		good = fclose(f) == 0 && good;
	if (fresh && (!good || rename(fresh, m->source) < 0) && m->device.error.code == ERR_NONE)
		err_errno(&m->device.error, ERR_IO, errno, "%s", m->source);
}

static bool set_volt(struct meter *m, const char *arg)
{
	double v;

	if (!parse_number(arg, &v))
		return fails(m, -104);
	if (fabs(v) > 1000 || own_fault_hit(m->faults, REFUSE, NULL))
		return fails(m, -222);
	m->volt = v;
	keep_source(m);
	return true;
}

static bool get_volt(struct meter *m, const char *arg)
{
	char text[32];

	snprintf(text, sizeof text, "%.9E", m->volt);
	say(m, text);
	return true;
}

static double setting(const struct meter *m, const char *name)
{
	double v = 0;

	parse_number(settings_own(m->set, name), &v);
	return v;
}

/* "(@101)": 1; 0: another list. */
static unsigned channel(const struct meter *m, const char *arg)
{
	unsigned first = 0, end = 0;

	sscanf(arg, "(@%u)%n", &first, &end);
	return end == strlen(arg) && first > 100 &&
			       first - 100 <= settings_own_number(m->set, "meter-channels")
		       ? first - 100
		       : 0;
}

static bool close_channel(struct meter *m, const char *arg)
{
	if (!channel(m, arg))
		return fails(m, -222);
	m->closed = own_fault_hit(m->faults, RELAY, NULL) ? 0 : channel(m, arg);
	return true;
}

static bool open_channel(struct meter *m, const char *arg)
{
	m->closed = 0;
	return channel(m, arg) ? true : fails(m, -222);
}

static bool is_closed(struct meter *m, const char *arg)
{
	unsigned c = channel(m, arg);

	if (!c)
		return fails(m, -222);
	say(m, c == m->closed ? "1" : "0");
	return true;
}

static bool measure(struct meter *m, const char *arg)
{
	double at = settings_own_number(m->set, "meter-channels") ? m->closed : 1;
	double v = at * m->volt * setting(m, "meter-gain") + setting(m, "meter-offset"), off;
	char text[48];

	m->readings++;
	m->reading = true;
	if (own_fault_hit(m->faults, NOISE, &off)) {
		v += (m->up ? off : -off) / 1000;
		m->up = !m->up;
	}
	snprintf(text, sizeof text, "%+.9E", v);
	if (own_fault_hit(m->faults, OVERRANGE, NULL))
		snprintf(text, sizeof text, "+9.90000000E+37");
	else if (own_fault_hit(m->faults, PREFIX, NULL))
		snprintf(text, sizeof text, "%.9g mV", v * 1000);
	else if (own_fault_hit(m->faults, GARBAGE, NULL))
		snprintf(text, sizeof text, "ready");
	say(m, text);
	return true;
}

/* What it has stored: a period of a sine, then every value of a byte, as a definite length block (IEEE 488.2, 8.7.9.2).
 * GARBAGE makes an indefinite one of it. */
static bool wave(struct meter *m, const char *arg)
{
	char bytes[512];

	for (int i = 0; i < 256; i++) {
		bytes[i] = (char)(int)lround(100 * sin(i * 3.14159265358979 / 128));
		bytes[256 + i] = (char)i;
	}
	say(m, own_fault_hit(m->faults, GARBAGE, NULL) ? "#0" : "#3512");
	sb_add_n(&m->reply, bytes, sizeof bytes);
	return true;
}

/* SCPI-99, volume 2, 15.1. */
static bool set_output(struct meter *m, const char *arg)
{
	bool on = !strcasecmp(arg, "ON") || !strcmp(arg, "1");

	if (!on && strcasecmp(arg, "OFF") && strcmp(arg, "0"))
		return fails(m, -104);
	if (own_fault_hit(m->faults, REFUSE, NULL))
		return fails(m, -222);
	m->output = on;
	return true;
}

static bool get_output(struct meter *m, const char *arg)
{
	say(m, m->output ? "1" : "0");
	return true;
}

static const struct {
	const char *name;
	bool (*fn)(struct meter *m, const char *arg);
} commands[] = {
	{"*CLS", clear},
	{"*ESE", set_ese},
	{"*ESE?", get_ese},
	{"*IDN?", idn},
	{"*OPC?", opc},
	{"*RST", clear},
	{"VOLT", set_volt},
	{"VOLT?", get_volt},
	{"SOUR:VOLT", set_volt},
	{"SOUR:VOLT?", get_volt},
	{"MEAS:VOLT?", measure},
	{"MEAS:VOLT:DC?", measure},
	{"READ?", measure},
	{"WAV:DATA?", wave},
	{"OUTP", set_output},
	{"OUTP?", get_output},
	{"ROUT:CLOS", close_channel},
	{"ROUT:CLOS?", is_closed},
	{"ROUT:OPEN", open_channel},
	{"SYST:ERR?", next_error},
};

static bool carry_out(struct meter *m, char *text)
{
	char *arg;

	text += strspn(text, " \t:");
	arg = text + strcspn(text, " ");
	if (*arg)
		*arg++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcasecmp(commands[i].name, text))
			return commands[i].fn(m, arg);
	return *text ? fails(m, -113) : true;
}

static void message(struct meter *m, uint64_t now_us)
{
	char *rest = m->line, *one;

	m->reading = false;
	m->line[m->len] = '\0';
	m->len = 0;
	while ((one = strsep(&rest, ";")))
		if (!carry_out(m, one))
			break;
	send_reply(m, MAX(now_us, m->busy_us));
}

/* --- the row --- */

static size_t meter_room(const struct device *d)
{
	return LINE_BYTES;
}

static void meter_input(struct device *d, const void *bytes, size_t n, uint64_t now_us)
{
	struct meter *m = of(d);

	for (size_t i = 0; i < n && d->wish == WISH_NONE; i++) {
		char c = ((const char *)bytes)[i];

		if (c == '\n')
			message(m, now_us);
		else if (c != '\r' && m->len < LINE_BYTES - 1)
			m->line[m->len++] = c;
	}
}

static size_t meter_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct meter *m = of(d);
	size_t n;

	if (m->outs == 0 || m->out[0].due_us > now_us)
		return 0;
	n = m->out[0].n;
	if (n > size)
		return 0;
	memcpy(buf, m->out[0].text, n);
	free(m->out[0].text);
	memmove(m->out, m->out + 1, --m->outs * sizeof m->out[0]);
	return n;
}

static uint64_t meter_due(const struct device *d)
{
	const struct meter *m = of_const(d);

	return m->outs ? m->out[0].due_us : NEVER;
}

/* It is one instrument, whoever asks: what is on its way stays so, and goes to who comes next. */
static void meter_closed(struct device *d, uint64_t now_us)
{
	of(d)->len = 0;
}

static void meter_power_on(struct device *d, uint64_t now_us)
{
	of(d)->busy_us = now_us;
}

static void meter_power_off(struct device *d)
{
	struct meter *m = of(d);

	forget(m);
	m->errors = 0;
	m->volt = 0;
}

static const char *meter_state(const struct device *d)
{
	return "ready";
}

static void meter_json(struct device *d, bool whole, json_t *o)
{
	struct meter *m = of(d);

	json_object_set_new(o, "readings", json_integer((json_int_t)m->readings));
	json_object_set_new(o, "volt", json_real(m->volt));
	json_object_set_new(o, "output", json_boolean(m->output));
	json_object_set_new(o, "errors", json_integer((json_int_t)m->errors));
}

const struct device_ops meter_device = {
	.name = "meter",
	.help = "a multimeter with a source, by SCPI (--link tcp): VOLT 1.5, MEAS:VOLT?",
	.faults = meter_faults,
	.settings = setting_rows,
	.new = meter_new,
	.free = meter_free,
	.power_on = meter_power_on,
	.power_off = meter_power_off,
	.closed = meter_closed,
	.room = meter_room,
	.input = meter_input,
	.output = meter_output,
	.due = meter_due,
	.state = meter_state,
	.json = meter_json,
};
