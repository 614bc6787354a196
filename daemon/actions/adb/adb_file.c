/* SPDX-License-Identifier: Apache-2.0
 *
 * What is sent to a unit.
 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/actions/adb/adb_session.h"

int adb_infile_open(struct adb_infile *f, struct step *s, const char *ref, struct err *e)
{
	struct stat st;
	char path[FILE_PATH_BYTES];
	int r = s->ops->image(s->env, ref, path, e);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "%s", path);
	f->mtime = (uint32_t)st.st_mtime;
	if (S_ISREG(st.st_mode) && st.st_size == 0) {
		sha256_hex_of("", 0, f->sha256);
		return 0;
	}
	r = s->ops->load_blob(s->env, ref, &f->blob, e);
	if (r < 0)
		return r;
	f->src = (struct adb_source){f->blob->data, f->blob->size};
	memcpy(f->sha256, blob_sha256(f->blob), sizeof f->sha256);
	return 0;
}

void adb_infile_text(struct adb_infile *f, const char *text)
{
	f->src = (struct adb_source){(const uint8_t *)text, strlen(text)};
	f->mtime = (uint32_t)time(NULL);
	sha256_hex_of(text, strlen(text), f->sha256);
}

void adb_infile_done(struct adb_infile *f)
{
	f->blob = blob_unref(f->blob);
}
