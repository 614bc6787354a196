/* SPDX-License-Identifier: Apache-2.0
 *
 * What must be true before the first byte goes to the unit: artifacts, services and printers there, label
 * templates without a mistake, room on the disk.
 */
#pragma once

#include "base/err.h"

struct line_services;
struct recipe;

int preflight_check(const struct line_services *line, const struct recipe *r, struct err *e);
