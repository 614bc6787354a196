/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plant's alarms look at, in the text format of Prometheus (version 0.0.4).
 */
#pragma once

#include "base/strbuf.h"
#include "plant/pool.h"

/* ret: the whole text, to be freed with sb_done(), also where it fails. */
int metrics_text(struct pool *p, struct strbuf *ret, const struct iotime *it, struct err *e);
