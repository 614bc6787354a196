/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit with MCUboot and MCUmgr on its console, as a device of the row. What is in its slots lives as long as the unit is
 * plugged in this provsim.
 */
#include "sim/device_rows.h"
#include "sim/mcumgr/mcumgr.h"

static const struct own_fault fault_rows[] = {
	{"silent", "the command (group * 256 + number) is not answered, but carried out", 0x101},
	{"late", "the command is answered mcumgr-late-ms later", 0x101},
	{"twice", "the command is answered twice", 0x101},
	{"refuse", "the command is refused", 0x101},
	{"wrong-seq", "an answer has another sequence number", 0},
	{"bad-crc", "an answer has a wrong checksum", 0},
	{"noise", "lines of a log come before an answer", 0},
	{"cut", "an answer lacks its last bytes", 0},
	{"forget", "an upload is forgotten in its middle", 0},
	{"bit-rot", "the byte at OFFSET of an upload is another in its slot", 0},
	{"no-swap", "the next reset starts the old image again", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"mcumgr-buffer", "384", "bytes of a packet that it takes; 0: it does not say"},
	{"mcumgr-erase-ms", "0", "that the erase of a slot takes"},
	{"mcumgr-late-ms", "3000", "how late an answer of the fault 'late' is"},
	{0},
};

static struct mcumgr *of(struct device *d)
{
	return container_of(d, struct mcumgr, device);
}

static const struct mcumgr *of_const(const struct device *d)
{
	return (const struct mcumgr *)((const char *)d - offsetof(struct mcumgr, device));
}

static void start(struct mcumgr *s, uint64_t now_us)
{
	static const char banner[] =
		"*** Booting MCUboot v2.1.0 ***\r\n*** Booting Zephyr OS build v3.7.0 ***\r\nuart:~$ ";

	s->boot_at_us = NEVER;
	s->line_len = s->packet_len = 0;
	s->busy_until_us = now_us + s->set->boot_ms * US_PER_MS;
	mcumgr_boot(s);
	mcumgr_say(s, now_us, banner, sizeof banner - 1);
}

static bool take(struct mcumgr *s, uint8_t b, uint64_t now_us)
{
	switch (fault_in(s->wire_faults, FAULT_PHASE_CONSOLE, &b)) {
	case FATE_PASS:
		mcumgr_take(s, b, now_us);
		return true;
	case FATE_DROP:
		return true;
	case FATE_STALL:
		s->stalled = true;
		return true;
	case FATE_DISAPPEAR:
		s->device.wish = WISH_UNPLUG;
		return false;
	case FATE_REPLUG:
		s->device.wish = WISH_REPLUG;
		return false;
	case FATE_SWAP:
		s->device.wish = WISH_SWAP;
		return false;
	}
	return true;
}

static void run(struct mcumgr *s, uint64_t now_us)
{
	if (now_us >= s->boot_at_us)
		start(s, now_us);
	while (!s->off && !s->stalled && now_us >= s->busy_until_us &&
		wire_rx_ready(&s->wire, now_us) > 0) {
		uint8_t b = *wire_rx_peek(&s->wire);

		wire_rx_pop(&s->wire, 1);
		if (!take(s, b, now_us))
			return;
	}
}

static void mcumgr_free(struct device *d)
{
	wire_reset(&of(d)->wire);
	free(of(d)->slot[0].p);
	free(of(d)->slot[1].p);
	free(of(d));
}

static int mcumgr_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct mcumgr *s = xcalloc(1, sizeof *s);

	s->set = c->set;
	s->faults = c->faults;
	s->wire_faults = c->wire_faults;
	s->boot_at_us = NEVER;
	snprintf(s->device.uid, sizeof s->device.uid, "%s", c->uid ? c->uid : "");
	wire_init(&s->wire, c->set->baud);
	for (int i = 0; i < 2; i++)
		s->slot[i].p = xcalloc(1, MCUMGR_SLOT_BYTES);
	mcumgr_make_first(s);
	*ret = &s->device;
	return 0;
}

static void mcumgr_power_on(struct device *d, uint64_t now_us)
{
	wire_reset(&of(d)->wire);
	of(d)->stalled = of(d)->off = false;
	start(of(d), now_us);
}

static void mcumgr_power_off(struct device *d)
{
	wire_reset(&of(d)->wire);
	of(d)->off = true;
}

static size_t mcumgr_room(const struct device *d)
{
	return wire_rx_room(&of_const(d)->wire);
}

static void mcumgr_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	wire_rx_push(&of(d)->wire, p, n, now_us);
	run(of(d), now_us);
}

static size_t mcumgr_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	run(of(d), now_us);
	return wire_tx_take(&of(d)->wire, buf, size, now_us);
}

static uint64_t mcumgr_due(const struct device *d)
{
	const struct mcumgr *s = of_const(d);
	uint64_t due = MIN(wire_tx_due(&s->wire), s->boot_at_us);

	if (!s->stalled && !s->off && wire_rx_len(&s->wire))
		due = MIN(due, MAX(wire_rx_due(&s->wire, 0), s->busy_until_us));
	return due;
}

static const char *mcumgr_state(const struct device *d)
{
	const struct mcumgr *s = of_const(d);

	return s->off ? "off" : s->slot[0].confirmed ? "running" : "testing";
}

static void mcumgr_json(struct device *d, bool whole, json_t *o)
{
	struct mcumgr *s = of(d);
	uint8_t hash[SHA256_BYTES];
	char version[24];
	char hex[SHA256_HEX];

	if (mcumgr_slot_says(&s->slot[0], hash, version)) {
		json_object_set_new(o, "version", json_string(version));
		json_object_set_new(o, "hash", json_string(hex_of(hash, sizeof hash, hex)));
	}
	json_object_set_new(o, "confirmed", json_boolean(s->slot[0].confirmed));
	json_object_set_new(o, "slot1_bytes", json_integer(s->slot[1].n));
	json_object_set_new(o, "blocks", json_integer((json_int_t)s->blocks));
	json_object_set_new(o, "requests", json_integer((json_int_t)s->requests));
	json_object_set_new(o, "resets", json_integer((json_int_t)s->resets));
	json_object_set_new(o, "swaps", json_integer((json_int_t)s->swaps));
	if (whole) {
		sha256_hex_of(s->slot[1].p, s->slot[1].n, hex);
		json_object_set_new(o, "slot1_sha256", json_string(hex));
	}
}

static void mcumgr_clear_faults(struct device *d)
{
	of(d)->stalled = false;
}

static void mcumgr_babble(struct device *d, size_t n, uint64_t now_us)
{
	while (n-- > 0)
		mcumgr_say(of(d), now_us, "U", 1);
}

const struct device_ops mcumgr_device = {
	.name = "mcumgr",
	.help = "a unit with MCUboot and MCUmgr (SMP) on its console",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = mcumgr_new,
	.free = mcumgr_free,
	.power_on = mcumgr_power_on,
	.power_off = mcumgr_power_off,
	.room = mcumgr_room,
	.input = mcumgr_input,
	.output = mcumgr_output,
	.due = mcumgr_due,
	.state = mcumgr_state,
	.json = mcumgr_json,
	.clear_faults = mcumgr_clear_faults,
	.babble = mcumgr_babble,
};
