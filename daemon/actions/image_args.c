/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/image_args.h"

#include <string.h>

#include "transports/images/archive.h"
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
	o->member = args_str(a, "member");
}

bool image_args_declared(const struct args *a, const char *name, const struct blob *b,
	enum foreign_use use, struct step_result *out)
{
	char why[GATE_WHY_BYTES];

	if (strcmp(args_str(a, "format"), "bin") != 0)
		return false;
	result_evidence(out, "declared", json_string("bin"));
	if (b && gate_objection(name, b->data, b->size, use, why, NULL) > 0)
		result_evidence(out, "overruled", json_string(why));
	return true;
}

int blob_args_load(
	struct step *s, const struct args *a, const char *ref, struct blob **ret, struct err *e)
{
	if (!args_bool(a, "unpack"))
		return args_has(a, "member")
			       ? err_set(e, ERR_RECIPE_INVALID, "'member' needs 'unpack: true'")
			       : s->ops->load_blob(s->env, ref, ret, e);
	return s->ops->load_unpacked(s->env, ref, args_str(a, "member"), ret, e);
}

int blob_args_check(struct step *s, const struct args *a, const char *ref, const struct blob *b,
	struct step_result *out, struct err *e)
{
	char name[STEP_NAME_BYTES];
	int r = s->ops->name(s->env, ref, name, e);

	if (r == 0 && b->packed.how[0]) {
		snprintf(name, sizeof name, "%s", b->packed.name);
		result_evidence(out, "packed",
			json_pack("{s:s, s:s, s:s, s:b}", "how", b->packed.how, "name", name,
				"file_sha256", b->packed.file_sha256, "unproved",
				b->packed.unproved));
	}
	if (r < 0 || image_args_declared(a, name, b, FOREIGN_PARTITION, out))
		return r;
	return gate_partition(name, b->data, b->size, e);
}

/* Documents and programs that are zip archives themselves. */
static int check_members(struct archive *zip, const char *name, struct err *e)
{
	static const char *const others[][2] = {
		{"[Content_Types].xml", "a document of Microsoft Office"},
		{"mimetype", "a document (OpenDocument, EPUB)"},
		{"manifest.json", "a DFU package (manifest.json), for a microcontroller"},
		{"AndroidManifest.xml", "an app of Android (adb.install)"}};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (archive_has(zip, others[i][0], NULL))
			return err_set(e, ERR_IMAGE_INVALID,
				"package %s is %s: give the one for the unit ('format: bin' sends its bytes as they are)",
				name, others[i][1]);
	return 0;
}

int package_args_check(struct step *s, const struct args *a, const char *ref, struct blob *b,
	struct step_result *out, struct err *e)
{
	_cleanup_(archive_closep) struct archive *zip = NULL;
	char name[STEP_NAME_BYTES];
	struct foreign f;
	int r = s->ops->name(s->env, ref, name, e);

	if (r < 0 || image_args_declared(a, name, b, FOREIGN_ADDRESSES, out))
		return r;
	if (image_detect(b->data, b->size) != IMAGE_ZIP) {
		r = foreign_look(b->data, b->size, FOREIGN_ADDRESSES, &f, e);
		return r < 0 ? r
			     : err_set(e, ERR_IMAGE_INVALID,
				       "package %s is %s, a zip archive is expected ('format: bin' sends its bytes as they are)",
				       name, r > 0 ? f.what : "of an unknown kind");
	}
	r = gate_name(name, IMAGE_ZIP, e);
	if (r == 0)
		r = archive_open_zip(b, &zip, e);
	if (r == 0)
		r = check_members(zip, name, e);
	return r < 0 ? r : archive_check(zip, &s->it, e);
}
