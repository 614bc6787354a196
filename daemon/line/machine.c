/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/machine.h"

#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/util.h"

#define SALT "provd: the machine of the high-water marks\n"
/* machine-id(5) has 32 digits; before the first boot has ended it says "uninitialized". */
#define SHORTEST 16

int machine_name(const char *path, char ret[MARKS_MACHINE_SIZE], struct err *e)
{
	char text[sizeof SALT + 256] = SALT;
	char *id = text + strlen(SALT);
	char hex[SHA256_HEX];
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	ret[0] = 0;
	if (!f || !fgets(id, 256, f))
		return err_errno(e, ERR_IO, f && !ferror(f) ? ENODATA : errno, "%s", path);
	id[strcspn(id, "\r\n")] = 0;
	if (strlen(id) < SHORTEST)
		return err_set(e, ERR_INVALID, "%s says '%.40s', which names no machine", path, id);
	sha256_hex_of(text, strlen(text), hex);
	snprintf(ret, MARKS_MACHINE_SIZE, "%.*s", MARKS_MACHINE_SIZE - 1, hex);
	return 0;
}
