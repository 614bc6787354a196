/* SPDX-License-Identifier: Apache-2.0
 *
 * One-time memory over a DfuSe session: the way there, apart from USB, so that it is tested without.
 */
#pragma once

#include "daemon/actions/otp_step.h"
#include "transports/protocols/dfu/dfuse.h"

struct dfu_otp {
	struct otp_act act;
	struct dfu *dfu;	     /* idle */
	const struct dfuse_map *map; /* of the memory that holds the fields */
	const char *serial;	     /* of USB: the unit's name; "" none */
};

extern const struct otp_port dfu_otp_port; /* to: a struct dfu_otp */
