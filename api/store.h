/* SPDX-License-Identifier: Apache-2.0
 *
 * The quota of the artifact store: what it holds, and what is being uploaded, byte by byte as it
 * comes. Ten uploads of half the quota do not fill the disk before the first one is judged. Any
 * thread.
 */
#pragma once

#include <stdint.h>

struct store {
	uint64_t quota_bytes; /* atomic, as the next one */
	uint64_t used_bytes;
};

/* Takes `bytes` if `more` would still fit beside them: 0, or 413 with a sentence. */
int store_take(struct store *s, uint64_t bytes, uint64_t more, const char **ret_why);
void store_give(struct store *s, uint64_t bytes);
/* Something is stored for good: as store_take(), but it is there already. */
void store_add(struct store *s, uint64_t bytes);
