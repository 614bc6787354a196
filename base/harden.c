/* SPDX-License-Identifier: Apache-2.0 */
#include "base/harden.h"

#include <sys/prctl.h>

/* linux/prctl.h of 6.6; Debian 12 has older headers. */
#define SET_MDWE	 65
#define REFUSE_EXEC_GAIN 1ul
#define NO_INHERIT	 2ul

bool harden_memory(void)
{
	return prctl(SET_MDWE, REFUSE_EXEC_GAIN | NO_INHERIT, 0ul, 0ul, 0ul) == 0;
}
