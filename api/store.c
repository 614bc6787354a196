/* SPDX-License-Identifier: Apache-2.0 */
#include "api/store.h"

void store_add(struct store *s, uint64_t bytes)
{
	__atomic_add_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);
}

void store_give(struct store *s, uint64_t bytes)
{
	__atomic_sub_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);
}

int store_take(struct store *s, uint64_t bytes, uint64_t more, const char **ret_why)
{
	uint64_t quota = __atomic_load_n(&s->quota_bytes, __ATOMIC_RELAXED);
	uint64_t used = __atomic_add_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);

	if (used <= quota && more <= quota - used)
		return 0;
	store_give(s, bytes);
	*ret_why = "the artifacts, with what is being uploaded, would exceed their quota "
		   "(artifact_quota in provd.yaml): delete some";
	return 413;
}
