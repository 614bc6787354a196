/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/gpio.h"

#include <errno.h>
#include <gpiod.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define CONSUMER "provd"

struct gpio {
	struct gpiod_chip *chip;
	struct gpiod_line *line;
	char name[96];
	bool active_low, output;
};

static int flags(const struct gpio *g)
{
	return g->active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
}

static int failed(const struct gpio *g, const char *what, struct err *e)
{
	if (errno == EBUSY) {
		const char *who = gpiod_line_consumer(g->line);

		return err_set(
			e, ERR_BUSY, "%s is held by '%s'", g->name, who ? who : "another program");
	}
	return err_errno(
		e, errno == ENODEV ? ERR_DEVICE_GONE : ERR_IO, errno, "%s: %s", g->name, what);
}

/* As it is: an output stays one, with its level. */
static int request(struct gpio *g, struct err *e)
{
	const struct gpiod_line_request_config c = {.consumer = CONSUMER,
		.request_type = GPIOD_LINE_REQUEST_DIRECTION_AS_IS,
		.flags = flags(g)};

	if (gpiod_line_request(g->line, &c, 0) < 0)
		return failed(g, "cannot be taken", e);
	g->output = gpiod_line_direction(g->line) == GPIOD_LINE_DIRECTION_OUTPUT;
	return 0;
}

int gpio_open(const char *chip, unsigned line, bool active_low, struct gpio **ret, struct err *e)
{
	struct gpio *g = xcalloc(1, sizeof *g);
	int r = 0;

	snprintf(g->name, sizeof g->name, "line %u of %.60s", line, chip);
	g->active_low = active_low;
	g->chip = gpiod_chip_open_lookup(chip);
	if (!g->chip && (errno == EACCES || errno == EPERM))
		r = err_set(e, ERR_ACCESS, "no right to %s (a udev rule is missing)", chip);
	else if (!g->chip)
		r = err_set(
			e, ERR_DEVICE_GONE, "there is no GPIO chip %s (see `gpiodetect`)", chip);
	else
		g->line = gpiod_chip_get_line(g->chip, line);
	if (r == 0 && !g->line)
		r = err_set(e, ERR_DEVICE_GONE, "%s has lines 0 to %u, and no line %u", chip,
			gpiod_chip_num_lines(g->chip) - 1, line);
	if (r == 0)
		r = request(g, e);
	if (r < 0) {
		gpio_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

struct gpio *gpio_close(struct gpio *g)
{
	if (g && g->line)
		gpiod_line_release(g->line);
	if (g && g->chip)
		gpiod_chip_close(g->chip);
	free(g);
	return NULL;
}

int gpio_read(struct gpio *g, bool *ret_active, bool *ret_driven, struct err *e)
{
	int v = gpiod_line_get_value(g->line);

	if (v < 0)
		return failed(g, "cannot be read", e);
	*ret_active = v == 1;
	*ret_driven = g->output;
	return 0;
}

int gpio_write(struct gpio *g, bool active, struct err *e)
{
	int r = g->output ? gpiod_line_set_value(g->line, active)
			  : gpiod_line_set_direction_output(g->line, active);

	if (r < 0)
		return failed(g, "cannot be set", e);
	g->output = true;
	return 0;
}
