/* SPDX-License-Identifier: Apache-2.0
 *
 * No memory of this process is ever both writable and executable, and none is first the one and
 * then the other. systemd's MemoryDenyWriteExecute= would do this too, but by a filter that provd's
 * children inherit and cannot remove. They are tools that make code while they run (node, java,
 * Python's ctypes).
 */
#pragma once

#include <stdbool.h>

/* For the calling process and what it maps from now on; children made by fork begin without it
 * (PR_SET_MDWE with PR_MDWE_NO_INHERIT of prctl(2), Linux 6.6). false, with errno: the kernel
 * cannot.
 */
bool harden_memory(void);
