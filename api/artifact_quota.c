/* SPDX-License-Identifier: Apache-2.0 */
#include "api/artifact_quota.h"

void artifact_quota_add(struct artifact_quota *s, uint64_t bytes)
{
	__atomic_add_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);
}

void artifact_quota_give(struct artifact_quota *s, uint64_t bytes)
{
	__atomic_sub_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);
}

int artifact_quota_take(
	struct artifact_quota *s, uint64_t bytes, uint64_t more, const char **ret_why)
{
	uint64_t quota = __atomic_load_n(&s->quota_bytes, __ATOMIC_RELAXED);
	uint64_t used = __atomic_add_fetch(&s->used_bytes, bytes, __ATOMIC_RELAXED);

	if (used <= quota && more <= quota - used)
		return 0;
	artifact_quota_give(s, bytes);
	*ret_why =
		"the artifacts, with what is being uploaded, would exceed their quota (artifact_quota in provd.yaml): delete some";
	return 413;
}
