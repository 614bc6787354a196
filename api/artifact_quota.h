/* SPDX-License-Identifier: Apache-2.0
 *
 * The quota of the artifact store: what it holds, and what is being uploaded, byte by byte as it
 * comes. Ten uploads of half the quota do not fill the disk before the first one is judged. Any
 * thread.
 */
#pragma once

#include <stdint.h>

struct artifact_quota {
	uint64_t quota_bytes; /* atomic, as the next one */
	uint64_t used_bytes;
};

/* Takes `bytes` if `more` would still fit next to them: 0, or 413 with a sentence. */
int artifact_quota_take(
	struct artifact_quota *s, uint64_t bytes, uint64_t more, const char **ret_why);
void artifact_quota_give(struct artifact_quota *s, uint64_t bytes);
/* Something is stored for good: as artifact_quota_take(), but it is there already. */
void artifact_quota_add(struct artifact_quota *s, uint64_t bytes);
