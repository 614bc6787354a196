/* SPDX-License-Identifier: Apache-2.0
 *
 * vbmeta and AVB footers, superblocks of dm-verity, block maps, init packets of Nordic's: refused with a sentence, or what is
 * said of the file lies within it.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/images/avb.h"
#include "transports/images/bmap.h"
#include "transports/images/foreign_impl.h"
#include "transports/images/nordic_init.h"
#include "transports/images/verity.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void said(int r, const struct err *e)
{
	must(r == 0 || (r == -(int)e->code && e->msg[0]));
}

static void try_avb(const uint8_t *p, size_t n)
{
	struct err e = {0};
	struct avb a;
	int r;

	if (!avb_is(p, n))
		return;
	r = avb_read("f", p, n, &a, &e);
	said(r, &e);
	if (r == 0)
		must(a.vbmeta_bytes <= n && a.data_bytes <= n &&
			memchr(a.partition, 0, sizeof a.partition));
}

static void try_verity(const uint8_t *p, size_t n)
{
	struct err e = {0};
	struct verity v;
	uint64_t at;
	int r;

	if (!verity_find(p, n, &at))
		return;
	must(at < n);
	r = verity_read("f", p, n, at, &v, &e);
	said(r, &e);
	if (r == 0)
		must(v.tree_bytes <= n && v.algorithm[0]);
}

static void try_bmap(const uint8_t *p, size_t n)
{
	static const uint8_t image[4096];
	struct bmap *m = NULL;
	struct err e = {0};
	int r = bmap_read("f", p, n, &m, &e);

	said(r, &e);
	must((r == 0) == (m != NULL));
	for (size_t i = 0; m && i < m->ranges; i++)
		must(m->range[i].last < m->blocks && m->range[i].first <= m->range[i].last);
	if (m)
		said(bmap_compare(m, "i", image, sizeof image, &e), &e);
	bmap_free(m);
}

static void try_init(const uint8_t *p, size_t n)
{
	struct nordic_init i;
	struct err e = {0};
	int r = nordic_init_read("f", p, n, &i, &e);

	said(r, &e);
	if (r == 0)
		must(i.type && i.sd_reqs <= NORDIC_SD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	try_avb(bytes, n);
	try_verity(bytes, n);
	try_bmap(bytes, n);
	try_init(bytes, n);
	foreign_by_package(bytes, n);
	return 0;
}
