/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS	  4000
#define MAX_BYTES 4096
#define MAX_SEEDS 64

static uint8_t seed[MAX_SEEDS][MAX_BYTES];
static size_t seed_len[MAX_SEEDS];

static uint64_t any(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

static size_t mutate(uint64_t *rng, uint8_t *b, size_t n)
{
	for (uint64_t i = any(rng, 6); i > 0; i--) {
		uint64_t how = any(rng, 3);
		size_t at = n ? any(rng, n) : 0;

		if (how == 0 && n > 0) {
			b[at] ^= (uint8_t)(1u << any(rng, 8));
		} else if (how == 1 && n > 0) {
			memmove(b + at, b + at + 1, n - at - 1);
			n--;
		} else if (n < MAX_BYTES) {
			memmove(b + at + 1, b + at, n - at);
			b[at] = (uint8_t)any(rng, 256);
			n++;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	static uint8_t input[MAX_BYTES];
	uint64_t rng = 0x9e3779b97f4a7c15ull;
	size_t seeds = 0;

	for (int i = 1; i < argc && seeds < MAX_SEEDS; i++) {
		FILE *f = fopen(argv[i], "rbe");

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		seed_len[seeds] = fread(seed[seeds], 1, MAX_BYTES, f);
		fclose(f);
		LLVMFuzzerTestOneInput(seed[seeds], seed_len[seeds]);
		seeds++;
	}
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = any(&rng, 200);

		if (seeds && any(&rng, 4)) {
			size_t k = any(&rng, seeds);

			n = seed_len[k];
			memcpy(input, seed[k], n);
		} else {
			for (size_t k = 0; k < n; k++)
				input[k] = (uint8_t)any(&rng, 256);
		}
		n = mutate(&rng, input, n);
		LLVMFuzzerTestOneInput(input, n);
	}
	return 0;
}
