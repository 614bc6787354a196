/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of the bootloader and of the application: one table each row a command, one answer
 * line each.
 */
#include <string.h>

#include "sim/guide/board_impl.h"

#define IN_BOOTLOADER  1u
#define IN_APPLICATION 2u

/* Answers by itself, now or when it is done. */
typedef void command_fn(struct board *b, const char *args, uint64_t t_us);

static void cmd_boot(struct board *b, const char *args, uint64_t t_us)
{
	b->state = BOARD_BOOTLOADER;
	board_answer(b, t_us, "READY");
}

static void cmd_erase(struct board *b, const char *args, uint64_t t_us)
{
	board_erase(b, t_us);
}

static void cmd_boot_app(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, "BOOTING");
	board_start_application(b, t_us);
	if (b->set->replug_boot)
		b->wish = b->set->replug_boot == 1 ? WISH_REPLUG : WISH_SWAP;
}

static void cmd_get_uid(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, b->unit->uid);
}

static void cmd_set_serial(struct board *b, const char *args, uint64_t t_us)
{
	if (!*args) {
		board_answer(b, t_us, "ERROR: no serial number");
		return;
	}
	if (!fault_hit(b->faults, FAULT_REFUSE_SERIAL, FAULT_PHASE_CONSOLE, NULL)) {
		json_t *sn = json_string(args);

		if (!sn) {
			board_answer(b, t_us, "ERROR: not text");
			return;
		}
		str_replace(&b->unit->serial, args);
		json_array_append_new(b->unit->serials, sn);
		board_keep(b);
	}
	board_answer(b, t_us, "OK");
}

static void cmd_get_serial(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, b->unit->serial ? b->unit->serial : "NONE");
}

static double sensor(const struct board *b)
{
	return b->set->temp + b->set->temp_spread * unit_character(b->unit, "temp");
}

static void cmd_cal_temp(struct board *b, const char *args, uint64_t t_us)
{
	double reference;

	if (!parse_number(args, &reference)) {
		board_answer(b, t_us, "ERROR: bad value");
		return;
	}
	b->unit->temp_offset = reference - sensor(b);
	b->unit->temp_calibrated = true;
	board_keep(b);

	_cleanup_(freep) char *s = xasprintf("OK offset=%.3f", b->unit->temp_offset);

	board_answer(b, t_us, s);
}

static void cmd_cal_adc(struct board *b, const char *args, uint64_t t_us)
{
	b->unit->adc_gain = 1.0 + 0.01 * unit_character(b->unit, "adc");
	b->unit->adc_calibrated = true;
	board_keep(b);

	_cleanup_(freep) char *s = xasprintf("OK gain=%.4f", b->unit->adc_gain);

	board_answer(b, t_us, s);
}

static void cmd_config_set(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(freep) char *key = xstrdup(args);
	char *value = strchr(key, ' ');

	if (value)
		*value++ = 0;
	if (!value || !*key) {
		board_answer(b, t_us, "ERROR: usage: CONFIG_SET key value");
		return;
	}
	if (json_object_set_new(b->unit->config, key, json_string(value)) < 0) {
		board_answer(b, t_us, "ERROR: not text");
		return;
	}
	board_keep(b);
	board_answer(b, t_us, "OK");
}

static void cmd_config_get(struct board *b, const char *args, uint64_t t_us)
{
	const char *value = json_string_value(json_object_get(b->unit->config, args));

	board_answer(b, t_us, value ? value : "ERROR: no such key");
}

static void cmd_ping(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, "pong");
}

static void cmd_led_on(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, "LED: ON");
}

static void cmd_led_off(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, "LED: OFF");
}

static void cmd_read_temp(struct board *b, const char *args, uint64_t t_us)
{
	double value = sensor(b);

	if (fault_hit(b->faults, FAULT_NAN_TEMP, FAULT_PHASE_CONSOLE, NULL)) {
		board_answer(b, t_us, "nan C");
		return;
	}
	fault_hit(b->faults, FAULT_TEMP, FAULT_PHASE_CONSOLE, &value);

	_cleanup_(freep) char *s = xasprintf("%.1f C", value);

	board_answer(b, t_us, s);
}

static void cmd_version(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, b->version);
}

/* The application checks its image by itself: a cell that lied to the read-back shows here. */
static void cmd_status(struct board *b, const char *args, uint64_t t_us)
{
	board_answer(b, t_us, b->unit->lying_offset >= 0 ? "ERROR: image checksum" : "OK");
}

static const struct {
	const char *name;
	unsigned where;
	command_fn *fn;
} commands[] = {
	{"BOOT", IN_BOOTLOADER | IN_APPLICATION, cmd_boot},
	{"BOOT_APP", IN_BOOTLOADER, cmd_boot_app},
	{"ERASE", IN_BOOTLOADER, cmd_erase},
	{"GET_UID", IN_BOOTLOADER | IN_APPLICATION, cmd_get_uid},
	{"SET_SERIAL", IN_APPLICATION, cmd_set_serial},
	{"GET_SERIAL", IN_APPLICATION, cmd_get_serial},
	{"CAL_TEMP", IN_APPLICATION, cmd_cal_temp},
	{"CAL_ADC", IN_APPLICATION, cmd_cal_adc},
	{"ADC_RAW", IN_APPLICATION, cmd_adc_raw},
	{"read adc", IN_APPLICATION, cmd_read_adc},
	{"SET_ADC_CAL", IN_APPLICATION, cmd_set_adc_cal},
	{"GET_ADC_CAL", IN_APPLICATION, cmd_get_adc_cal},
	{"SET_ADC_POINT", IN_APPLICATION, cmd_set_adc_point},
	{"GET_ADC_POINT", IN_APPLICATION, cmd_get_adc_point},
	{"CONFIG_SET", IN_APPLICATION, cmd_config_set},
	{"CONFIG_GET", IN_APPLICATION, cmd_config_get},
	{"SET_MAC", IN_APPLICATION, cmd_set_mac},
	{"GET_MAC", IN_APPLICATION, cmd_get_mac},
	{"SET_LICENSE", IN_APPLICATION, cmd_set_license},
	{"GET_LICENSE", IN_APPLICATION, cmd_get_license},
	{"SET_FLAG", IN_APPLICATION, cmd_set_flag},
	{"GET_FLAGS", IN_APPLICATION, cmd_get_flags},
	{"OTP_WRITE", IN_APPLICATION, cmd_otp_write},
	{"OTP_READ", IN_APPLICATION, cmd_otp_read},
	{"OTP_LOCK", IN_APPLICATION, cmd_otp_lock},
	{"OTP_STATE", IN_APPLICATION, cmd_otp_state},
	{"KEY_GEN", IN_APPLICATION, cmd_key_gen},
	{"KEY_CSR", IN_APPLICATION, cmd_key_csr},
	{"KEY_SIGN", IN_APPLICATION, cmd_key_sign},
	{"KEY_WRITE", IN_APPLICATION, cmd_key_write},
	{"KEY_PUB", IN_APPLICATION, cmd_key_pub},
	{"CERT_WRITE", IN_APPLICATION, cmd_cert_write},
	{"CERT_READ", IN_APPLICATION, cmd_cert_read},
	{"ping", IN_APPLICATION, cmd_ping},
	{"led on", IN_APPLICATION, cmd_led_on},
	{"led off", IN_APPLICATION, cmd_led_off},
	{"read temp", IN_APPLICATION, cmd_read_temp},
	{"version", IN_APPLICATION, cmd_version},
	{"status", IN_APPLICATION, cmd_status},
};

static command_fn *find(const char *line, unsigned where, const char **ret_args)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		size_t n = strlen(commands[i].name);

		if (!(commands[i].where & where) || strncmp(line, commands[i].name, n))
			continue;
		if (line[n] && line[n] != ' ')
			continue;
		*ret_args = line + n + (line[n] == ' ');
		return commands[i].fn;
	}
	return NULL;
}

static void echo(struct board *b, const char *line, uint64_t t_us)
{
	if (b->set->echo || fault_hit(b->faults, FAULT_ECHO, FAULT_PHASE_CONSOLE, NULL))
		board_say(b, t_us, line);
}

void console_line(struct board *b, const char *line, uint64_t t_us)
{
	bool app = b->state == BOARD_APPLICATION;
	const char *args = "";

	if (app)
		echo(b, line, t_us);
	if (app && b->cert_bytes) {
		board_cert_line(b, line, t_us);
		return;
	}
	if (!*line) {
		if (app && b->set->prompt)
			board_send(b, FAULT_PHASE_CONSOLE, t_us, "> ", 2);
		return;
	}
	unit_count(b->unit, "commands", 1);

	command_fn *fn = find(line, app ? IN_APPLICATION : IN_BOOTLOADER, &args);

	if (!fn)
		board_answer(b, t_us, "ERROR: unknown command");
	else if (fault_hit(b->faults, FAULT_NOT_OK, FAULT_PHASE_CONSOLE, NULL))
		board_answer(b, t_us, "NOT OK");
	else
		fn(b, args, t_us);
}
