/* SPDX-License-Identifier: Apache-2.0
 *
 * A Tcl server of random bytes. A call passes on the list of 0 and a text alone.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/tools/openocd_rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct openocd_rpc *rpc;
	struct openocd_list l;
	struct fake_link f;
	struct err e = {0};
	char *text = NULL;
	int r;

	if (openocd_list_parse((const char *)bytes, n, &l, &e) == 0)
		openocd_list_free(&l);
	else if (!e.msg[0])
		abort();
	fake_init(&f, NULL, NULL);
	rpc = openocd_rpc_new(&f.link);
	fake_say(&f, bytes, n);
	do {
		free(text);
		r = openocd_rpc_call(rpc, "x", US_PER_S, &text, &it, &e);
		if (r == 0 && (!text || !memchr(bytes, '0', n)))
			abort();
	} while (r == 0 || r == -ERR_TOOL_FAILED);
	if (openocd_rpc_call(rpc, "x", US_PER_S, NULL, &it, &e) != -ERR_PROTOCOL)
		abort(); /* a broken session stays so */
	free(text);
	openocd_rpc_free(rpc);
	fake_done(&f);
	return 0;
}
