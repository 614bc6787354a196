/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/same_file.h"

#include <errno.h>

bool same_file_look(struct same_file *f)
{
	struct stat st;

	if (stat(f->path, &st) < 0)
		return !f->known || errno != ENOENT;
	if (f->known && !f->renewed)
		return st.st_dev == f->dev && st.st_ino == f->ino;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->known = true;
	return true;
}
