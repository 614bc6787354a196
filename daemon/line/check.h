/* SPDX-License-Identifier: Apache-2.0
 *
 * `provd --check`: the configuration looked at without starting anything.
 */
#pragma once

/* Prints every mistake on stderr, a summary on stdout. 0 or 2: the exit status. */
int check_configuration(const char *path);
