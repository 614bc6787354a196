/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of a GPIO chip of this machine (libgpiod), as an output. Used by one thread.
 *
 * The kernel lets go of a line when its holder closes it, and what the pin does then is the driver's: most keep its
 * level. So a line is held only while it is set and read back.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct gpio;

/* chip: gpiochip0, /dev/gpiochip0 or its label; the line is taken as it is, without a change of its level.
 * -ERR_DEVICE_GONE where there is no such chip or line, -ERR_BUSY where another program or driver holds it,
 * -ERR_ACCESS without the right. */
int gpio_open(const char *chip, unsigned line, bool active_low, struct gpio **ret, struct err *e);
struct gpio *gpio_close(struct gpio *g); /* takes NULL, returns NULL */
/* Whether it is active, as the chip says; *ret_driven: it is an output. */
int gpio_read(struct gpio *g, bool *ret_active, bool *ret_driven, struct err *e);
/* Makes it an output of that level. */
int gpio_write(struct gpio *g, bool active, struct err *e);
