/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/fastboot/resend.h"

#include "base/util.h"

uint64_t resend_wait_us(const struct resend *r, unsigned sent)
{
	uint64_t wait = r->mean_us + 4 * r->spread_us;

	if (r->mean_us == 0)
		return RESEND_MAX_US;
	wait = MIN(MAX(wait, (uint64_t)RESEND_MIN_US), (uint64_t)RESEND_MAX_US);
	for (unsigned i = 1; i < sent && wait < RESEND_MAX_US; i++)
		wait *= 2;
	return MIN(wait, (uint64_t)RESEND_MAX_US);
}

void resend_measured(struct resend *r, uint64_t us)
{
	uint64_t off = us > r->mean_us ? us - r->mean_us : r->mean_us - us;

	us = MAX(us, 1u);
	if (r->mean_us == 0) {
		*r = (struct resend){us, us / 2};
		return;
	}
	r->spread_us = (3 * r->spread_us + off) / 4;
	r->mean_us = MAX((7 * r->mean_us + us) / 8, 1u);
}
