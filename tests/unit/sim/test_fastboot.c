/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual fastboot device at its USB side, as strict as the strictest real one, and the reader
 * of sparse images.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "base/bytes.h"
#include "sim/device.h"

static struct board_settings set;
static struct faults wire;
static struct own_faults own;
static struct device *d;
static const struct device_ops *kind;
static char said[300];

static void make(const char *const *settings)
{
	const struct device_config c = {.set = &set,
		.wire_faults = &wire,
		.faults = &own,
		.uid = "0123456789abcdef01234567",
		.fresh = true};
	struct err e = {0};

	kind = device_kind("fastboot");
	ck_assert_ptr_nonnull(kind);
	settings_default(&set);
	own = (struct own_faults){.rows = kind->faults};
	for (; settings && *settings; settings += 2)
		ck_assert_msg(settings_set(&set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	ck_assert_msg(kind->new (&c, &d, &e) == 0, "%s", e.msg);
	d->ops = kind;
	kind->power_on(d, 1000);
	kind->opened(d, 1000);
}

static void drop(void)
{
	d = device_free(d);
}

static void put(const void *p, size_t n)
{
	ck_assert_int_eq(kind->gadget->out(d, 0x01, p, n, 2000), 0);
}

/* One IN transfer of at most size bytes, as text; NULL: it waits. */
static const char *get(size_t size)
{
	ssize_t n = kind->gadget->in(d, 0x01, (uint8_t *)said, size, 3000);

	if (n == GADGET_NAK)
		return NULL;
	ck_assert_int_ge(n, 0);
	said[n] = 0;
	return said;
}

static const char *ask(const char *command)
{
	put(command, strlen(command));
	return get(256);
}

START_TEST(one_transfer_is_one_command_and_one_reply)
{
	make(NULL);
	ck_assert_str_eq(ask("getvar:version"), "OKAY0.4");
	ck_assert_ptr_null(get(256));
	ck_assert_str_eq(ask("getvar:nonsense"), "FAILUnknown variable");
	ck_assert_str_eq(ask("getvar:partition-size:boot_a"), "OKAY800000");
	drop();
}
END_TEST

START_TEST(a_nul_behind_a_command_is_refused_unless_the_device_is_the_guide_s)
{
	static const char *const custom[] = {"custom", "1", "partitions", "app:1M", NULL};

	make(NULL);
	put("reboot", 7);
	ck_assert_mem_eq(get(256), "FAIL", 4);
	drop();
	make(custom);
	put("flash:app", 10);
	ck_assert_str_eq(get(64), "FAILNothing was downloaded"); /* and its NUL */
	ck_assert_str_eq(ask("getvar:version"), "FAILUnrecognized command getvar:version");
	drop();
}
END_TEST

START_TEST(an_empty_transfer_in_the_data_phase_fails_the_download)
{
	make(NULL);
	ck_assert_str_eq(ask("download:00000008"), "DATA00000008");
	put("1234", 4);
	ck_assert_ptr_null(get(256));
	put("", 0);
	ck_assert_str_eq(get(256), "FAILReceived invalid data length");
	ck_assert_str_eq(ask("download:00000004"), "DATA00000004");
	put("12345", 5);
	ck_assert_str_eq(get(256), "FAILReceived invalid data length");
	ck_assert_str_eq(ask("download:00000004"), "DATA00000004");
	put("12", 2);
	put("34", 2);
	ck_assert_str_eq(get(256), "OKAY");
	ck_assert_str_eq(ask("download:4"), "FAILInvalid size");
	ck_assert_str_eq(ask("download:00000000"), "FAILInvalid size");
	drop();
}
END_TEST

START_TEST(at_full_speed_a_full_packet_is_glued_to_the_next_in_a_longer_read)
{
	static const char *const full[] = {"speed", "full", "uboot", "1", NULL};

	make(full);
	/* The refusal of this one is cut to the 64 bytes that such a device says. */
	put("oem nonsense-that-is-so-long-that-its-refusal-fills-a-packet-up", 62);
	ck_assert_ptr_null(get(256));
	ck_assert_uint_eq(strlen(get(64)), 64);
	/* In one read with what follows it. */
	put("oem nonsense-that-is-so-long-that-its-refusal-fills-a-packet-up", 62);
	put("getvar:version", 14);
	ck_assert_str_eq(get(256) + 64, "OKAY0.4");
	drop();
}
END_TEST

static size_t sparse(uint8_t *to, size_t size)
{
	struct wbytes b = wbytes_of(to, size);

	wb_le32(&b, 0xed26ff3a);
	wb_le16(&b, 1);
	wb_le16(&b, 0);
	wb_le16(&b, 28);
	wb_le16(&b, 12);
	wb_le32(&b, 4);
	wb_le32(&b, 5);
	wb_le32(&b, 3);
	wb_le32(&b, 0);
	wb_le32(&b, 0xcac1);
	wb_le32(&b, 1);
	wb_le32(&b, 16);
	wb_put(&b, "abcd", 4);
	wb_le32(&b, 0xcac3);
	wb_le32(&b, 2);
	wb_le32(&b, 12);
	wb_le32(&b, 0xcac2);
	wb_le32(&b, 2);
	wb_le32(&b, 16);
	wb_put(&b, "fill", 4);
	return b.len;
}

static void flash(const void *p, size_t n, const char *partition, const char *reply)
{
	_cleanup_(freep) char *announce = xasprintf("download:%08zx", n);
	_cleanup_(freep) char *command = xasprintf("flash:%s", partition);

	ck_assert_mem_eq(ask(announce), "DATA", 4);
	put(p, n);
	ck_assert_str_eq(get(256), "OKAY");
	put(command, strlen(command));
	ck_assert_mem_eq(get(256), "INFO", 4);
	ck_assert_str_eq(get(256), reply);
}

START_TEST(a_sparse_image_is_unfolded_and_what_it_skips_stays)
{
	static const char *const fetch[] = {"fetch", "2", NULL};
	uint8_t file[200];
	size_t n = sparse(file, sizeof file);

	make(fetch);
	flash("OLDOLDOLDOLDOLDOLDOLD", 21, "misc", "OKAY");
	flash(file, n, "misc", "OKAY");
	ck_assert_str_eq(ask("fetch:misc:0x00000000:0x00000015"), "DATA00000015");
	ck_assert_str_eq(get(256), "abcdLDOLDOLDfillfillD");
	ck_assert_str_eq(get(256), "OKAY");
	/* Cut off, or beyond the partition. */
	flash(file, n - 1, "misc", "FAILTruncated sparse file");
	file[17] = 0xff;
	flash(file, n, "misc", "FAILsparse image write failure");
	drop();
}
END_TEST

START_TEST(a_locked_device_takes_nothing)
{
	static const char *const locked[] = {"locked", "1", NULL};

	make(locked);
	ck_assert_str_eq(ask("getvar:unlocked"), "OKAYno");
	ck_assert_mem_eq(ask("download:00000004"), "FAIL", 4);
	ck_assert_mem_eq(ask("erase:misc"), "FAIL", 4);
	ck_assert_mem_eq(ask("set_active:b"), "FAIL", 4);
	ck_assert_str_eq(ask("flashing unlock"), "OKAY");
	ck_assert_str_eq(ask("getvar:unlocked"), "OKAYyes");
	drop();
}
END_TEST

START_TEST(it_says_okay_before_it_leaves_the_bus_as_something_else)
{
	struct gadget_identity before, after;

	make(NULL);
	kind->gadget->identity(d, &before);
	ck_assert_int_eq(before.device[10], 0xe0);
	put("reboot-fastboot", 15);
	ck_assert_int_eq(d->wish, WISH_NONE);
	ck_assert_str_eq(get(256), "OKAY");
	ck_assert_int_eq(d->wish, WISH_REENUMERATE);
	kind->closed(d, 4000);
	kind->gadget->identity(d, &after);
	ck_assert_int_eq(after.device[10], 0xe7);
	ck_assert_str_eq(after.string[4], "fastbootd");
	ck_assert_str_eq(kind->state(d), "fastbootd");
	kind->opened(d, 5000);
	ck_assert_str_eq(ask("getvar:is-userspace"), "OKAYyes");
	ck_assert_str_eq(ask("resize-logical-partition:system_a:0"), "OKAY");
	drop();
}
END_TEST

START_TEST(a_fault_is_for_the_command_that_it_names)
{
	struct err e = {0};

	make(NULL);
	ck_assert_int_eq(own_faults_add(&own, "fail=1", &e), 0);
	ck_assert_str_eq(ask("getvar:version"), "OKAY0.4");
	ck_assert_mem_eq(ask("getvar:version"), "FAIL", 4);
	ck_assert_str_eq(ask("getvar:version"), "OKAY0.4");
	ck_assert_int_eq(own_faults_add(&own, "silence=3", &e), 0);
	ck_assert_ptr_null(ask("getvar:version"));
	drop();
}
END_TEST

static Suite *fastboot_suite(void)
{
	Suite *s = suite_create("fastboot");
	TCase *t = tcase_create("fastboot");

	tcase_add_test(t, one_transfer_is_one_command_and_one_reply);
	tcase_add_test(t, a_nul_behind_a_command_is_refused_unless_the_device_is_the_guide_s);
	tcase_add_test(t, an_empty_transfer_in_the_data_phase_fails_the_download);
	tcase_add_test(t, at_full_speed_a_full_packet_is_glued_to_the_next_in_a_longer_read);
	tcase_add_test(t, a_sparse_image_is_unfolded_and_what_it_skips_stays);
	tcase_add_test(t, a_locked_device_takes_nothing);
	tcase_add_test(t, it_says_okay_before_it_leaves_the_bus_as_something_else);
	tcase_add_test(t, a_fault_is_for_the_command_that_it_names);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_suite)
