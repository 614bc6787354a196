/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/image_args.h"

#include <string.h>

#include "transports/images/archive.h"
#include "transports/images/foreign.h"
#include "transports/images/gate.h"

const char *const image_formats[] = {
	"auto", "bin", "elf", "ihex", "srec", "uf2", "ti-txt", "dfu", NULL};
const char *const image_overlaps[] = {"refuse", "last", NULL};
const char *const blob_formats[] = {"auto", "bin", NULL};

void image_args_take(const struct args *a, struct image_opts *o)
{
	int format = image_format_from_str(args_str(a, "format"));

	o->format = format < 0 ? IMAGE_ANY : (enum image_format)format;
	o->uf2_family = (uint32_t)args_int(a, "family");
	o->hex_board = (uint16_t)args_int(a, "board");
	o->last_wins = !strcmp(args_str(a, "overlap"), "last");
}

static bool is_declared(const struct args *a, struct step_result *out)
{
	bool declared = !strcmp(args_str(a, "format"), "bin");

	if (declared)
		result_evidence(out, "declared", json_string("bin"));
	return declared;
}

int blob_args_check(
	const struct args *a, const struct blob *b, struct step_result *out, struct err *e)
{
	return gate_partition(b->path, b->data, b->size, is_declared(a, out), e);
}

int package_args_check(struct step *s, const struct args *a, struct blob *b,
	struct step_result *out, struct err *e)
{
	_cleanup_(archive_closep) struct archive *zip = NULL;
	const struct foreign *f;
	int r;

	if (is_declared(a, out))
		return 0;
	if (image_detect(b->data, b->size) != IMAGE_ZIP) {
		f = foreign_of(b->data, b->size, FOREIGN_ADDRESSES);
		return err_set(e, ERR_IMAGE_INVALID,
			"package %s is %s, a zip archive is expected ('format: bin' sends its "
			"bytes as they are)",
			b->path, f ? f->what : "of an unknown kind");
	}
	r = archive_open_zip(b, &zip, e);
	return r < 0 ? r : archive_check(zip, &s->it, e);
}
