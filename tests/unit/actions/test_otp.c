/* SPDX-License-Identifier: Apache-2.0
 *
 * otp.* on provsim's board: what is burnt, how often, and what is never burnt.
 */
#include "tests/unit/actions/action_rig.h"

#include <unistd.h>

#include "tests/unit/transports/sim_link.h"

static struct rig rig;
static struct sim_link board;
static char map[64];

static const char map_text[] = "otp: provsim\n"
			       "fields:\n"
			       "  boot: {width: 4}\n"
			       "  flags: {width: 32}\n"
			       "  coded: {width: 32, coding: ecc, console: flags}\n"
			       "  serial: {width: 128, bits: clear}\n"
			       "  key: {width: 256, secret: true}\n"
			       "  blind: {width: 32, readable: false, console: flags}\n"
			       "  byte: {width: 32, address: 0, lock: byte, lock_at: 4}\n"
			       "  none: {width: 32, lock: none, console: flags}\n";

#define KEY   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MEANT ",\"irreversible\":\"yes-i-mean-it\""

/* All that the board says now goes nowhere. */
static void drain(void)
{
	uint8_t buf[512];
	size_t n;

	while (board.link.ops->read(&board.link, buf, sizeof buf, &n, NULL, NULL) == 0)
		;
	board.gone = false;
}

static void send(const void *p, size_t n)
{
	board.device->ops->input(board.device, p, n, board.now);
	drain();
}

/* Its power went; what is burnt stays. */
static void power_cycle(void)
{
	board.device->ops->power_off(board.device);
	board.at = board.len = 0;
	board.device->ops->power_on(board.device, board.now);
	link_turn_clear(&board.link.turn);
	link_rest_drop(&board.link);
	drain();
}

static void set_up(void)
{
	static const uint8_t app[] = "\x01\x00\x00\x01\x08\x03\x00"
				     "app";
	int fd;

	strcpy(map, "/tmp/test_otp.XXXXXX");
	fd = mkstemp(map);
	ck_assert_int_eq(write(fd, map_text, sizeof map_text - 1), sizeof map_text - 1);
	close(fd);
	sim_link_init(&board, "serialboot", NULL);
	send("BOOT\r\n", 6);
	send(app, sizeof app - 1);
	send("BOOT_APP\r\n", 10);
	rig = (struct rig){.link = &board.link, .secrets = secret_set_new()};
}

static void tear_down(void)
{
	rig_done(&rig);
	sim_link_done(&board);
	unlink(map);
}

static char *with(const char *field, const char *more)
{
	return xasprintf("{\"port\":\"c\",\"map\":\"%s\",\"field\":\"%s\"%s}", map, field, more);
}

static int otp(const char *action, const char *field, const char *more)
{
	_cleanup_(freep) char *args = with(field, more);

	return rig_run(&rig, action, args);
}

/* Passes. */
static void does(const char *action, const char *field, const char *more)
{
	ck_assert_msg(otp(action, field, more) == 0, "%s", rig.e.msg);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
}

static void write_value(const char *field, const char *value, const char *more)
{
	_cleanup_(freep) char *args = xasprintf(",\"value\":\"%s\"" MEANT "%s", value, more);

	does("otp.write", field, args);
}

static void fails(const char *field, const char *value, const char *more, enum err_code code,
	const char *says)
{
	_cleanup_(freep) char *args = xasprintf(",\"value\":\"%s\"" MEANT "%s", value, more);
	_cleanup_(freep) char *all = with(field, args);

	rig_refused(&rig, "otp.write", all, code, says);
}

/* What the board keeps of a field, as {value, locked, writes}; a new reference. */
static json_t *kept(const char *field)
{
	json_t *o = json_object(), *f;

	board.device->ops->json(board.device, true, o);
	f = json_object_get(
		json_object_get(json_object_get(json_object_get(o, "unit"), "values"), "otp"),
		field);
	json_incref(f);
	json_decref(o);
	return f;
}

static size_t burns(const char *field)
{
	json_t *f = kept(field);
	size_t n = json_array_size(json_object_get(f, "writes"));

	json_decref(f);
	return n;
}

static void holds(const char *field, const char *value)
{
	json_t *f = kept(field);

	ck_assert_str_eq(rig_text(f, "value"), value);
	json_decref(f);
}

START_TEST(a_blank_field_is_burnt_once_and_read_back)
{
	write_value("flags", "0x5", "");
	holds("flags", "00000005");
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	ck_assert_str_eq(rig.intent.what, "otp flags");
	ck_assert_str_eq(rig.intent.unit, rig.identity);
	ck_assert_uint_eq(strlen(rig.identity), 24);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	ck_assert_str_eq(rig_text(rig.out.evidence, "value"), "00000005");
	write_value("flags", "00000005", "");
	ck_assert_int_eq(rig.seen.state, OBSERVED_DONE);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "observed");
	ck_assert_uint_eq(burns("flags"), 1);
}
END_TEST

START_TEST(cells_that_are_cleared_are_burnt_in_their_own_direction)
{
	write_value("serial", "00112233445566778899aabbccddeeff", "");
	holds("serial", "00112233445566778899aabbccddeeff");
	fails("serial", "ff112233445566778899aabbccddeeff", "", ERR_OTP_CONFLICT, "never hold it");
	ck_assert_uint_eq(burns("serial"), 1);
}
END_TEST

START_TEST(what_is_burnt_and_not_wanted_is_never_written_over)
{
	write_value("flags", "00000005", "");
	fails("flags", "00000006", ",\"complete\":true", ERR_OTP_CONFLICT, "otp field 'flags'");
	ck_assert_int_eq(rig.seen.state, OBSERVED_HALF);
	ck_assert_uint_eq(burns("flags"), 1);
}
END_TEST

START_TEST(half_a_field_is_completed_only_where_the_recipe_says_so)
{
	write_value("flags", "00000001", "");
	fails("flags", "00000003", "", ERR_OTP_HALF, "complete: true");
	ck_assert_int_eq(rig.seen.state, OBSERVED_HALF);
	ck_assert_uint_eq(burns("flags"), 1);
	write_value("flags", "00000003", ",\"complete\":true");
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	ck_assert_str_eq(rig_text(rig.out.evidence, "before"), "part");
	holds("flags", "00000003");
}
END_TEST

START_TEST(half_a_coded_field_is_never_completed)
{
	write_value("coded", "00000001", "");
	fails("coded", "00000003", ",\"complete\":true", ERR_OTP_HALF, "scrap the unit");
	ck_assert_uint_eq(burns("flags"), 1);
}
END_TEST

START_TEST(power_that_goes_in_a_burn_leaves_half_and_the_next_run_sees_it)
{
	sim_link_fault(&board, "otp-half=1");
	fails("coded", "00000003", "", ERR_DEVICE_GONE, "otp field 'coded'");
	ck_assert_int_eq(rig.seen.state, OBSERVED_BLANK);
	power_cycle();
	fails("coded", "00000003", "", ERR_OTP_HALF, "scrap the unit");
	ck_assert_uint_eq(burns("flags"), 1);
	write_value("flags", "00000003", ",\"complete\":true");
	holds("flags", "00000003");
}
END_TEST

START_TEST(a_locked_field_takes_no_value_and_is_not_asked_to)
{
	does("otp.lock", "flags", MEANT);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "read-back");
	ck_assert_str_eq(rig.intent.what, "lock of otp flags");
	fails("flags", "00000001", "", ERR_OTP_LOCKED, "is locked");
	fails("flags", "00000001", ",\"state\":\"\"", ERR_OTP_LOCKED, "ERR LOCKED");
	ck_assert_uint_eq(burns("flags"), 0);
	does("otp.lock", "flags", MEANT);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "observed");
}
END_TEST

START_TEST(a_field_is_locked_only_with_what_it_has_to_hold)
{
	_cleanup_(freep) char *blank = with("flags", ",\"value\":\"00000005\"" MEANT);

	rig_refused(&rig, "otp.lock", blank, ERR_OTP_CONFLICT, "is not locked");
	write_value("flags", "00000005", "");
	does("otp.lock", "flags", ",\"value\":\"00000005\"" MEANT);
	ck_assert_str_eq(rig_text(rig.out.evidence, "locked"), "locked");
}
END_TEST

START_TEST(a_lock_that_cannot_be_seen_is_acknowledged_and_the_journal_decides)
{
	does("otp.lock", "flags", ",\"state\":\"\"" MEANT);
	ck_assert_int_eq(rig.seen.state, OBSERVED_UNKNOWN);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "acknowledged");
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1"};

	_cleanup_(freep) char *again = with("flags", ",\"state\":\"\"" MEANT);

	rig_refused(&rig, "otp.lock", again, ERR_UNIT_SUSPECT, "U1");
}
END_TEST

START_TEST(a_lie_and_a_lost_answer_are_found_by_reading_back)
{
	sim_link_fault(&board, "otp-lie");
	fails("flags", "00000001", "", ERR_READ_BACK_MISMATCH, "no bit of it is burnt");
	sim_link_fault(&board, "otp-lost");
	write_value("flags", "00000001", ",\"late\":\"100ms\"");
	ck_assert_ptr_nonnull(json_object_get(rig.out.evidence, "answer"));
	ck_assert_uint_eq(burns("flags"), 1);
	sim_link_fault(&board, "otp-lost");
	fails("flags", "00000003", ",\"complete\":true", ERR_TIMEOUT, "otp field 'flags'");
	ck_assert_uint_eq(burns("flags"), 2);
}
END_TEST

START_TEST(what_cannot_be_read_is_burnt_by_the_rules_of_the_journal)
{
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1"};
	fails("blind", "00000001", "", ERR_UNIT_SUSPECT, "U1");
	ck_assert_uint_eq(burns("flags"), 0);
	rig.earlier = (struct earlier_intent){0};
	write_value("blind", "00000001", "");
	ck_assert_int_eq(rig.seen.state, OBSERVED_UNKNOWN);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "acknowledged");
}
END_TEST

START_TEST(a_unit_that_hides_what_its_map_says_it_shows_is_not_burnt_blindly)
{
	/* Half of it may be burnt already. */
	sim_link_fault(&board, "otp-protected,count=0");
	fails("flags", "00000003", "", ERR_NO_EVIDENCE, "nothing is burnt blindly");
	fails("flags", "00000003", ",\"state\":\"\"", ERR_NO_EVIDENCE, "nothing is burnt blindly");
	ck_assert_int_eq(rig.seen.state, OBSERVED_CLOSED);
	ck_assert_uint_eq(burns("flags"), 0);
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1", .committed = true};
	write_value("flags", "00000003", "");
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "journal");
	ck_assert_uint_eq(burns("flags"), 0);
}
END_TEST

START_TEST(what_cannot_be_read_and_is_on_record_as_done_is_done)
{
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1", .committed = true};
	write_value("blind", "00000001", "");
	ck_assert(rig.intent.for_good);
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "journal");
	rig.earlier.other = true;
	fails("blind", "00000001", "", ERR_OTP_CONFLICT, "another value");
	ck_assert_uint_eq(burns("flags"), 0);
}
END_TEST

START_TEST(a_locked_key_is_what_the_journal_says_and_else_nothing)
{
	write_value("key", KEY, "");
	does("otp.lock", "key", MEANT);
	fails("key", KEY, "", ERR_OTP_LOCKED, "no record of this unit");
	ck_assert_int_eq(rig.seen.state, OBSERVED_CLOSED);
	rig.earlier = (struct earlier_intent){.run = "R1", .unit = "U1"};
	fails("key", KEY, "", ERR_UNIT_SUSPECT, "U1");
	rig.earlier.committed = true;
	write_value("key", KEY, "");
	ck_assert_str_eq(rig_text(rig.out.evidence, "proof"), "journal");
	ck_assert_uint_eq(burns("key"), 1);
}
END_TEST

START_TEST(a_secret_is_in_no_log_and_its_digest_is_salted)
{
	static const char half[] = "0011223344";
	char bare[SHA256_HEX];
	uint8_t key[32];
	char *shown;

	ck_assert(hex_parse(KEY, key, sizeof key));
	sha256_hex_of(key, sizeof key, bare);
	write_value("key", KEY, "");
	holds("key", KEY);
	ck_assert_str_ne(rig.intent.digest, bare);
	shown = json_dumps(rig.out.evidence, 0);
	ck_assert_ptr_null(strstr(shown, half));
	ck_assert_ptr_null(strstr(shown, bare));
	free(shown);
	ck_assert_ptr_null(strstr(rig.log.s, half));
	ck_assert_ptr_nonnull(strstr(rig.log.s, "is secret"));
	/* What it says to a secret is not in the message either. */
	sim_link_fault(&board, "not-ok,count=0");
	fails("key", KEY, "", ERR_DEVICE_REFUSED, "");
	ck_assert_ptr_null(strstr(rig.e.msg, half));
}
END_TEST

START_TEST(half_a_secret_is_shown_nowhere)
{
	sim_link_fault(&board, "otp-half=9");
	fails("key", KEY, "", ERR_DEVICE_GONE, "not shown");
	power_cycle();
	fails("key", KEY, "", ERR_OTP_HALF, "complete: true");
	ck_assert_ptr_null(strstr(rig.log.s, "0011"));
	ck_assert_ptr_null(strstr(rig.e.msg, "0011"));
}
END_TEST

START_TEST(a_secret_of_the_recipe_makes_any_field_secret)
{
	secret_set_add(rig.secrets, "0000beef", NULL);
	write_value("flags", "0000beef", "");
	ck_assert_ptr_null(strstr(rig.log.s, "beef"));
	ck_assert_ptr_null(json_object_get(rig.out.evidence, "value"));
	holds("flags", "0000beef");
}
END_TEST

START_TEST(another_unit_is_not_burnt)
{
	strcpy(rig.identity, "ffffffffffffffffffffffff");
	fails("flags", "00000001", "", ERR_WRONG_DEVICE, "another unit");
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_uint_eq(burns("flags"), 0);
}
END_TEST

/* A unit that takes its word back. */
static void two_minds(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	if (n > 7 && !memcmp(bytes, "GET_UID", 7))
		fake_says(f, "0123456789abcdef01234567\r\n");
	else if (n > 9 && !memcmp(bytes, "OTP_WRITE", 9))
		fake_says(f, "OK\r\nERR LOCKED\r\n");
	else if (n > 8 && !memcmp(bytes, "OTP_LOCK", 8))
		fake_says(f, "OK\r\nERROR: no fuse\r\n");
}

START_TEST(an_ok_that_is_taken_back_is_none)
{
	static struct fake_link wire;
	_cleanup_(freep) char *args = with("blind", ",\"state\":\"\"" MEANT);

	fake_init(&wire, two_minds, NULL);
	rig.link = NULL;
	rig.wire = &wire;
	fails("blind", "00000001", ",\"state\":\"\"", ERR_OTP_LOCKED, "says that it is locked");
	rig_refused(&rig, "otp.lock", args, ERR_DEVICE_REFUSED, "no fuse");
	fake_done(&wire);
}
END_TEST

static const struct {
	const char *action, *field, *more, *says;
} slips[] = {
	{"otp.write", "flags", ",\"value\":\"0005\"" MEANT, "does not fit"},
	{"otp.write", "flags", ",\"value\":\"secret!\"" MEANT, "not hex"},
	{"otp.write", "boot", ",\"value\":\"10\"" MEANT, "does not fit"},
	{"otp.write", "flag", ",\"value\":\"0x5\"" MEANT, "did you mean 'flags'"},
	{"otp.lock", "none", MEANT, "has no lock"},
	{"otp.lock", "byte", MEANT, "a console does not reach"},
	{"otp.read", "key", "", "is secret"},
	{"otp.read", "blind", "", "not readable"},
};

START_TEST(slips_are_found_before_anything_is_burnt)
{
	_cleanup_(freep) char *args = with(slips[_i].field, slips[_i].more);

	rig_refused(&rig, slips[_i].action, args, ERR_RECIPE_INVALID, slips[_i].says);
	ck_assert_uint_eq(rig.intents, 0);
	ck_assert_uint_eq(burns("flags"), 0);
}
END_TEST

START_TEST(without_the_words_nothing_is_burnt)
{
	ck_assert_int_eq(otp("otp.write", "flags", ",\"value\":\"0x5\""), -ERR_INVALID);
	ck_assert_int_eq(otp("otp.write", "flags", ",\"value\":\"0x5\",\"irreversible\":\"yes\""),
		-ERR_INVALID);
	ck_assert_int_eq(otp("otp.lock", "flags", ""), -ERR_INVALID);
	/* 0x10000000 as YAML reads it: digits of another value. */
	ck_assert_int_eq(otp("otp.write", "flags", ",\"value\":10000000" MEANT), -ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(rig.e.msg, "with quotes"));
	ck_assert_uint_eq(burns("flags"), 0);
}
END_TEST

START_TEST(a_field_is_read_with_its_lock)
{
	write_value("flags", "0000beef", "");
	does("otp.read", "flags", "");
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "0000beef");
	ck_assert_str_eq(rig_text(rig.out.outputs, "locked"), "open");
	sim_link_fault(&board, "otp-protected");

	_cleanup_(freep) char *args = with("flags", "");

	rig_refused(&rig, "otp.read", args, ERR_OTP_LOCKED, "refuses to show");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("otp");
	TCase *c = tcase_create("otp");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_blank_field_is_burnt_once_and_read_back);
	tcase_add_test(c, cells_that_are_cleared_are_burnt_in_their_own_direction);
	tcase_add_test(c, what_is_burnt_and_not_wanted_is_never_written_over);
	tcase_add_test(c, half_a_field_is_completed_only_where_the_recipe_says_so);
	tcase_add_test(c, half_a_coded_field_is_never_completed);
	tcase_add_test(c, power_that_goes_in_a_burn_leaves_half_and_the_next_run_sees_it);
	tcase_add_test(c, a_locked_field_takes_no_value_and_is_not_asked_to);
	tcase_add_test(c, a_field_is_locked_only_with_what_it_has_to_hold);
	tcase_add_test(c, a_lock_that_cannot_be_seen_is_acknowledged_and_the_journal_decides);
	tcase_add_test(c, a_lie_and_a_lost_answer_are_found_by_reading_back);
	tcase_add_test(c, what_cannot_be_read_is_burnt_by_the_rules_of_the_journal);
	tcase_add_test(c, a_unit_that_hides_what_its_map_says_it_shows_is_not_burnt_blindly);
	tcase_add_test(c, what_cannot_be_read_and_is_on_record_as_done_is_done);
	tcase_add_test(c, a_locked_key_is_what_the_journal_says_and_else_nothing);
	tcase_add_test(c, a_secret_is_in_no_log_and_its_digest_is_salted);
	tcase_add_test(c, half_a_secret_is_shown_nowhere);
	tcase_add_test(c, a_secret_of_the_recipe_makes_any_field_secret);
	tcase_add_test(c, another_unit_is_not_burnt);
	tcase_add_test(c, an_ok_that_is_taken_back_is_none);
	tcase_add_loop_test(c, slips_are_found_before_anything_is_burnt, 0, (int)ARRAY_LEN(slips));
	tcase_add_test(c, without_the_words_nothing_is_burnt);
	tcase_add_test(c, a_field_is_read_with_its_lock);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
