/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-out protection of level 2, which nothing takes back: no debugger, no boot ROM, no option byte ever
 * again (RM0090, 3.9.3). There is no command for it: it is the RDP byte among the option bytes, which Write
 * Memory reaches (AN3155, 3.6), so that it is done only on parts whose option bytes are known
 * (stm32_rdp_word()).
 *
 *	RDP is aa ──> a second person says yes ──> still aa ──> cc, ACK ──> reset: no ROM answers any more
 */
#include "base/util.h"
#include "daemon/actions/stm32/stm32.h"

#define OPTION_BYTES 4u
#define RDP_BYTE     1u /* of that word; byte 0 is USER */
#define LEVEL_0	     0xaau
#define LEVEL_2	     0xccu

/* How long a ROM may take until it answers after the reset. */
#define SILENCE_US (3 * US_PER_S)

static int read_word(struct stm32_session *x, uint8_t word[OPTION_BYTES], struct err *e)
{
	uint32_t at = stm32_rdp_word(stm32_info(x->rom)->pid);
	int r = stm32_read(x->rom, at, word, OPTION_BYTES, &x->s->it, e);

	return r < 0 ? err_prefix(e, "option bytes at 0x%08x", at) : 0;
}

static int check_part(struct stm32_session *x, struct err *e)
{
	const struct stm32_info *i = stm32_info(x->rom);

	if (!stm32_rdp_word(i->pid))
		return err_set(e, ERR_UNSUPPORTED,
			"where %s (PID 0x%03x) keeps its protection is not known here: nothing that is for ever is written there",
			i->device.name, i->pid);
	if (i->read_protected)
		return err_set(e, ERR_UNSUPPORTED,
			"this part is read-protected (level 1), so that its option bytes are neither read nor written: level 2 is set on a part that is open");
	if (!i->has_uid)
		return err_set(e, ERR_UNSUPPORTED,
			"this part (PID 0x%03x) does not give its unique id: nothing that is for ever is done where nobody knows the unit",
			i->pid);
	return 0;
}

int stm32_level2_observe(struct stm32_session *x, struct observation *ret, struct err *e)
{
	uint8_t word[OPTION_BYTES];
	int r = read_word(x, word, e);

	if (r < 0)
		return r;
	/* A part of level 2 has no ROM that could say so. */
	ret->state = word[RDP_BYTE] == LEVEL_0 ? OBSERVED_BLANK : OBSERVED_HALF;
	ret->code = ERR_CONFLICT;
	snprintf(ret->said, sizeof ret->said, "the RDP option byte is %02x%s", word[RDP_BYTE],
		word[RDP_BYTE] == LEVEL_0 ? "" : ", aa (level 0) expected");
	return 0;
}

/* Once. The other bytes of the word stay as they are. */
static int set_level(struct stm32_session *x, struct err *e)
{
	uint32_t at = stm32_rdp_word(stm32_info(x->rom)->pid);
	uint8_t word[OPTION_BYTES];
	int r = read_word(x, word, e);

	word[RDP_BYTE] = LEVEL_2;
	return r < 0 ? r : stm32_write_once(x->rom, at, word, sizeof word, &x->s->it, e);
}

/* The ROM answered before, and was acknowledging a moment ago: of level 2 it is gone. */
static int rom_is_gone(struct stm32_session *x, struct step_result *out, struct err *e)
{
	struct iotime it = iotime_within(&x->s->it, SILENCE_US);
	struct err why = {0};
	int r = stm32_connect(x->rom, &it, &why);

	if (r == -ERR_TIMEOUT && iotime_check(&x->s->it, e) == 0) {
		result_evidence(out, "acknowledged", json_true());
		result_evidence(out, "proof",
			json_string("acknowledged, and the boot ROM answers no more"));
		return 0;
	}
	if (r < 0)
		return err_set(e, err_from_ret(r), "%s", why.msg);
	return err_set(e, ERR_READ_BACK_MISMATCH,
		"level 2 was acknowledged, and the boot ROM still answers: the part is not protected");
}

int stm32_level2(struct stm32_session *x, struct step_result *out, struct err *e)
{
	static const char what[] = "readout protection of level 2";
	struct intent i = {.for_good = true};
	char text[160];
	bool done = false;
	int r = check_part(x, e);

	if (r < 0)
		return r;
	hex_of(stm32_info(x->rom)->uid, STM32_UID_BYTES, i.unit);
	snprintf(i.what, sizeof i.what, "%s", what);
	sha256_hex_of(what, sizeof what - 1, i.digest);
	snprintf(text, sizeof text,
		"Read-out protection of level 2 for unit %s: nothing ever takes it back. Is it meant?",
		i.unit);
	i.approval = text;
	r = step_intend(x->s, x->a, &i, x, &done, out, e);
	if (r == 0)
		r = set_level(x, e);
	return r < 0 ? r : rom_is_gone(x, out, e);
}
