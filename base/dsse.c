/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dsse.h"

#include <string.h>

#include "base/util.h"

char *dsse_pae(const char *payload)
{
	return xasprintf("DSSEv1 %zu %s %zu %s", strlen(DSSE_PAYLOAD_TYPE), DSSE_PAYLOAD_TYPE,
		strlen(payload), payload);
}
