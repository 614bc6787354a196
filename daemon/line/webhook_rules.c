/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/webhook_rules.h"

#include "base/util.h"

enum webhook_verdict webhook_judge(long status)
{
	if (status / 100 == 2)
		return WEBHOOK_TAKEN;
	return status == 410 ? WEBHOOK_GONE : WEBHOOK_AGAIN;
}

static int64_t backoff(int64_t first_ms, int64_t latest_ms, int64_t times, uint16_t random)
{
	const int64_t ms = MIN(first_ms << MIN(MAX(times, 1) - 1, 20), latest_ms);

	return ms * 3 / 4 + ms / 2 * random / UINT16_MAX;
}

int64_t webhook_again_ms(int64_t attempts, uint16_t random)
{
	return backoff(WEBHOOK_FIRST_MS, WEBHOOK_LATEST_MS, attempts, random);
}

int64_t webhook_probe_ms(int64_t failures, int64_t asked_ms, uint16_t random)
{
	const int64_t ms = backoff(WEBHOOK_PROBE_MS, WEBHOOK_PROBES_MS, failures, random);

	return MAX(ms, MIN(asked_ms, (int64_t)WEBHOOK_ASKED_MS));
}
