/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that a unit gave: a PNG (first byte even) or a backup.
 */
#include "tests/fuzz/fuzz.h"

#include "transports/images/android_backup.h"
#include "transports/protocols/adb/adb_services.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct android_backup b = {0};
	uint32_t w = 0;
	uint32_t h = 0;
	struct err e = {0};

	if (n == 0)
		return 0;
	if (bytes[0] % 2 == 0 && adb_png_check(bytes + 1, n - 1, &w, &h, &e) < 0 && !e.msg[0])
		abort();
	if (bytes[0] % 2 == 1 && android_backup_check(bytes + 1, n - 1, &b, &e) == 0 && !b.whole &&
		!strcmp(b.encryption, "none"))
		abort();
	return 0;
}
