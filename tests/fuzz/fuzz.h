/* SPDX-License-Identifier: Apache-2.0
 *
 * One fuzz target, two programs: with libFuzzer (meson option `fuzzers`, clang) it explores;
 * without it it is an ordinary test that runs every file named in its arguments, then a few
 * thousand pseudo-random mutations of them with a fixed seed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
