/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of FPGA files: each refuses with a sentence, or gives bytes that lie in the file and says which part it is
 * for.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "transports/images/fpga_file.h"
#include "transports/images/opinion.h"

/* In the place of the library's, which takes longer than all readers together. */
int opinion_of(const uint8_t *bytes, uint64_t n, struct opinion *ret, struct err *e)
{
	return 0;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_file(const struct fpga_file *f, const uint8_t *bytes, size_t n)
{
	struct fpga_part p;
	struct err e = {0};
	int r;

	must(f->format < FPGA_NO_FORMAT && f->len > 0);
	must(f->owned ? f->data == f->owned : f->data >= bytes && f->data + f->len <= bytes + n);
	must(f->checks <= FPGA_CHECKS_MAX && f->checks <= f->compares &&
		f->compares <= f->commands);
	must(fpga_part_find("xc7a35t", &p, NULL) == 0);
	r = fpga_file_check("fuzz", f, &p, false, &e);
	must(r == 0 || (r == -ERR_IMAGE_PART && e.msg[0]));
	must(r == 0 || !f->has_idcode || !fpga_part_has(&p, f->idcode) || f->part[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const char *const names[] = {"fuzz", "fuzz.bit", "fuzz.svf"};

	for (size_t i = 0; n > 0 && i < sizeof names / sizeof *names; i++) {
		struct fpga_file f;
		struct err e = {0};
		int r = fpga_file_read(names[i], bytes, n, &f, &e);

		must(r == 0 || (e.msg[0] && r == -(int)e.code));
		if (r == 0)
			check_file(&f, bytes, n);
		fpga_file_done(&f);
	}
	return 0;
}
