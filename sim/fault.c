/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fault.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

enum arg_kind { ARG_NONE, ARG_INDEX, ARG_OFFSET, ARG_MS, ARG_BYTE, ARG_CELSIUS, ARG_BITS };

struct fault_kind {
	const char *name;
	enum arg_kind arg;
	double arg_default;
	unsigned count_default;
	const char *help;
};

static const struct fault_kind kinds[FAULT_ID_COUNT] = {
	[FAULT_DROP] = {"drop", ARG_INDEX, 0, 1, "byte K to the board is lost"},
	[FAULT_DROP_REPLY] = {"drop-reply", ARG_INDEX, 0, 1, "byte K from the board is lost"},
	[FAULT_FLIP] = {"flip", ARG_INDEX, 0, 1, "the lowest bit of byte K to the board flips"},
	[FAULT_FLIP_REPLY] = {"flip-reply", ARG_INDEX, 0, 1,
		"the lowest bit of byte K from the board flips"},
	[FAULT_LATE_ACK] = {"late-ack", ARG_MS, 2000, 1, "a write is acknowledged MS later"},
	[FAULT_LOST_ACK] = {"lost-ack", ARG_NONE, 0, 1,
		"a write is done, its acknowledgement is lost"},
	[FAULT_WRONG_ACK] = {"wrong-ack", ARG_BYTE, 0x55, 1,
		"a write is done and answered with another byte"},
	[FAULT_NAK] = {"nak", ARG_NONE, 0, 1, "a write is refused: 15 hex, nothing written"},
	[FAULT_CHATTER] = {"chatter", ARG_NONE, 0, 1, "an unsolicited line comes before an answer"},
	[FAULT_ECHO] = {"echo", ARG_NONE, 0, 0, "the console echoes what it is sent"},
	[FAULT_PROMPT] = {"prompt", ARG_NONE, 0, 0, "the console prints \"> \" after an answer"},
	[FAULT_SPLIT] = {"split", ARG_MS, 2, 1, "an answer comes in pieces of one byte, MS apart"},
	[FAULT_STALL] = {"stall", ARG_INDEX, 0, 1,
		"from byte K to the board on it answers nothing, until a reset or a plug"},
	[FAULT_DISAPPEAR] = {"disappear", ARG_INDEX, 0, 1, "unplugged at byte K to the board"},
	[FAULT_REPLUG] = {"replug", ARG_INDEX, 0, 1,
		"unplugged at byte K to the board, and back after 300 ms"},
	[FAULT_SWAP] = {"swap", ARG_INDEX, 0, 1,
		"unplugged at byte K to the board; another unit comes after 300 ms"},
	[FAULT_NOT_OK] = {"not-ok", ARG_NONE, 0, 1, "a command is answered NOT OK and not done"},
	[FAULT_REFUSE_SERIAL] = {"refuse-serial", ARG_NONE, 0, 1,
		"SET_SERIAL is acknowledged and not kept"},
	[FAULT_VALUE_WRONG] = {"value-wrong", ARG_NONE, 0, 1,
		"SET_MAC, SET_LICENSE or SET_FLAG is acknowledged, and its last character kept as another"},
	[FAULT_VALUE_CUT] = {"value-cut", ARG_NONE, 0, 1,
		"SET_MAC, SET_LICENSE or SET_FLAG is acknowledged, and kept without its last character"},
	[FAULT_OTP_HALF] = {"otp-half", ARG_BITS, 1, 1,
		"OTP_WRITE burns BITS bits, then the power goes off, and on after 300 ms"},
	[FAULT_OTP_LIE] = {"otp-lie", ARG_NONE, 0, 1,
		"OTP_WRITE is acknowledged and burns nothing"},
	[FAULT_OTP_LOST] = {"otp-lost", ARG_NONE, 0, 1,
		"OTP_WRITE or OTP_LOCK is done, its answer is lost"},
	[FAULT_OTP_PROTECTED] = {"otp-protected", ARG_NONE, 0, 0, "OTP_READ is refused"},
	[FAULT_KEY_OTHER] = {"key-other", ARG_NONE, 0, 1,
		"KEY_SIGN signs with another key; KEY_WRITE keeps another one"},
	[FAULT_CSR_OTHER] = {"csr-other", ARG_NONE, 0, 1,
		"KEY_CSR makes the request of another subject"},
	[FAULT_CERT_CUT] = {"cert-cut", ARG_NONE, 0, 1,
		"CERT_WRITE is acknowledged as whole, and kept without its last byte"},
	[FAULT_LYING_READ] = {"lying-read", ARG_OFFSET, 0, 1,
		"the cell at OFFSET does not take, reads show the written value; the status says so"},
	[FAULT_WEAK_CELL] = {"weak-cell", ARG_OFFSET, 0, 1,
		"the cell at OFFSET does not take what is written"},
	[FAULT_NO_ERASE] = {"no-erase", ARG_NONE, 0, 1, "ERASE answers OK and does nothing"},
	[FAULT_SLOW_ERASE] = {"slow-erase", ARG_MS, 5000, 1, "ERASE takes MS longer"},
	[FAULT_NAN_TEMP] = {"nan-temp", ARG_NONE, 0, 1, "read temp answers \"nan C\""},
	[FAULT_TEMP] = {"temp", ARG_CELSIUS, 85.0, 1, "read temp answers this temperature"},
	[FAULT_GARBAGE] = {"garbage", ARG_NONE, 0, 1, "an answer is bytes that are not UTF-8"},
	[FAULT_HUGE_LINE] = {"huge-line", ARG_NONE, 0, 1, "an answer is 100 KB without an end"},
	[FAULT_NUL] = {"nul", ARG_NONE, 0, 1, "an answer has NUL bytes before and in it"},
};

static const char *const phase_name[] = {"any", "write", "read", "console"};
static const char *const arg_name[] = {"", "=K", "=OFFSET", "=MS", "=BYTE", "=CELSIUS", "=BITS"};

static int find_kind(const char *name, enum fault_id *ret, struct err *e)
{
	const char *names[FAULT_ID_COUNT + 1] = {0};

	for (unsigned i = 0; i < FAULT_ID_COUNT; i++) {
		names[i] = kinds[i].name;
		if (!strcmp(name, kinds[i].name)) {
			*ret = (enum fault_id)i;
			return 0;
		}
	}

	const char *near = nearest_name(name, names);

	return err_set(e, ERR_INVALID, "no fault '%s'%s%s%s", name, near ? ", did you mean '" : "",
		near ? near : "", near ? "'?" : "; see `provsim faults`");
}

static bool parse_arg(enum arg_kind kind, const char *s, double *ret)
{
	unsigned long long v;

	switch (kind) {
	case ARG_NONE:
		return false;
	case ARG_CELSIUS:
		return parse_number(s, ret);
	case ARG_INDEX:
	case ARG_OFFSET:
	case ARG_MS:
	case ARG_BYTE:
	case ARG_BITS:
		break;
	}
	if (!parse_size(s, &v) || v > (kind == ARG_BYTE ? 0xff : UINT32_MAX))
		return false;
	*ret = (double)v;
	return true;
}

static int parse_option(struct fault *f, const char *opt, struct err *e)
{
	unsigned long long v;

	if (!strncmp(opt, "count=", 6) && parse_size(opt + 6, &v) && v <= UINT32_MAX) {
		f->count = (unsigned)v;
		return 0;
	}
	for (unsigned i = 0; !strncmp(opt, "phase=", 6) && i < ARRAY_LEN(phase_name); i++)
		if (!strcmp(opt + 6, phase_name[i])) {
			f->phase = (enum fault_phase)i;
			return 0;
		}
	return err_set(e, ERR_INVALID,
		"fault option '%s': expected phase=any|write|read|console or count=N", opt);
}

int faults_add(struct faults *f, const char *spec, struct err *e)
{
	_cleanup_(freep) char *copy = xstrdup(spec);
	char *rest = copy;
	char *word = strsep(&rest, ",");
	char *arg = strchr(word, '=');
	struct fault new = {0};

	if (arg)
		*arg++ = 0;

	int r = find_kind(word, &new.id, e);

	if (r < 0)
		return r;

	const struct fault_kind *k = &kinds[new.id];

	new.arg = k->arg_default;
	new.count = k->count_default;
	if (arg && !parse_arg(k->arg, arg, &new.arg))
		return err_set(e, ERR_INVALID, "fault '%s': expected %s%s, got '%s'", spec, k->name,
			arg_name[k->arg], arg);
	while ((word = strsep(&rest, ","))) {
		r = parse_option(&new, word, e);
		if (r < 0)
			return r;
	}
	if (f->n == FAULTS_MAX)
		return err_set(e, ERR_OVERLOADED, "more than %d faults on one board", FAULTS_MAX);
	f->list[f->n++] = new;
	return 0;
}

void faults_clear(struct faults *f)
{
	f->n = 0;
}

/* The fault happened once; whether it is still in the list. */
static bool use_up(struct faults *f, size_t i)
{
	f->fired++;
	if (f->list[i].count == 0 || --f->list[i].count > 0)
		return true;
	f->n--;
	memmove(&f->list[i], &f->list[i + 1], (f->n - i) * sizeof f->list[0]);
	return false;
}

static bool in_phase(const struct fault *x, enum fault_phase phase)
{
	return x->phase == FAULT_PHASE_ANY || x->phase == phase;
}

bool fault_hit(struct faults *f, enum fault_id id, enum fault_phase phase, double *ret_arg)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->list[i].id != id || !in_phase(&f->list[i], phase))
			continue;
		if (ret_arg)
			*ret_arg = f->list[i].arg;
		use_up(f, i);
		return true;
	}
	return false;
}

bool fault_hit_range(
	struct faults *f, enum fault_id id, uint64_t offset, size_t n, uint64_t *ret_place)
{
	for (size_t i = 0; i < f->n; i++) {
		uint64_t place = (uint64_t)f->list[i].arg;

		if (f->list[i].id != id || place < offset || place >= offset + n)
			continue;
		*ret_place = place;
		use_up(f, i);
		return true;
	}
	return false;
}

/* Counts a byte; true when it is the one. */
static bool reached(struct fault *x)
{
	if (x->seen++ < (uint64_t)x->arg)
		return false;
	x->seen = 0;
	return true;
}

static bool fate_of(enum fault_id id, enum fault_fate *ret)
{
	static const struct {
		enum fault_id id;
		enum fault_fate fate;
	} rows[] = {{FAULT_DROP, FATE_DROP}, {FAULT_FLIP, FATE_PASS}, {FAULT_STALL, FATE_STALL},
		{FAULT_DISAPPEAR, FATE_DISAPPEAR}, {FAULT_REPLUG, FATE_REPLUG},
		{FAULT_SWAP, FATE_SWAP}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].id == id) {
			*ret = rows[i].fate;
			return true;
		}
	return false;
}

enum fault_fate fault_in(struct faults *f, enum fault_phase phase, uint8_t *byte)
{
	enum fault_fate result = FATE_PASS;

	for (size_t i = 0; i < f->n;) {
		struct fault *x = &f->list[i];
		enum fault_fate fate;

		if (!fate_of(x->id, &fate) || !in_phase(x, phase) || !reached(x)) {
			i++;
			continue;
		}
		if (x->id == FAULT_FLIP)
			*byte ^= 1;
		result = MAX(result, fate);
		if (use_up(f, i))
			i++;
	}
	return result;
}

size_t fault_out(struct faults *f, enum fault_phase phase, uint8_t *p, size_t n)
{
	size_t kept = 0;

	if (f->n == 0)
		return n;
	for (size_t b = 0; b < n; b++) {
		bool drop = false;

		for (size_t i = 0; i < f->n;) {
			struct fault *x = &f->list[i];
			bool mine = x->id == FAULT_DROP_REPLY || x->id == FAULT_FLIP_REPLY;

			if (!mine || !in_phase(x, phase) || !reached(x)) {
				i++;
				continue;
			}
			if (x->id == FAULT_DROP_REPLY)
				drop = true;
			else
				p[b] ^= 1;
			if (use_up(f, i))
				i++;
		}
		if (!drop)
			p[kept++] = p[b];
	}
	return kept;
}

json_t *faults_json(const struct faults *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++) {
		const struct fault *x = &f->list[i];

		json_array_append_new(list,
			json_pack("{s:s, s:f, s:s, s:I}", "fault", kinds[x->id].name, "arg", x->arg,
				"phase", phase_name[x->phase], "count", (json_int_t)x->count));
	}
	return list;
}

void faults_print(FILE *out)
{
	fprintf(out,
		"Faults: NAME[=ARG][,phase=any|write|read|console][,count=N] (count=0: for ever)\n\n");
	for (size_t i = 0; i < FAULT_ID_COUNT; i++) {
		const struct fault_kind *k = &kinds[i];
		char left[40];

		snprintf(left, sizeof left, "%s%s", k->name, arg_name[k->arg]);
		fprintf(out, "  %-18s %s", left, k->help);
		if (k->arg != ARG_NONE)
			fprintf(out, k->arg == ARG_BYTE ? " (default 0x%02x)" : " (default %u)",
				(unsigned)k->arg_default);
		fprintf(out, "%s\n", k->count_default ? "" : " (for ever by default)");
	}
}
