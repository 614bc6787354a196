/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/tool_image.h"

#include "transports/images/image_write.h"

int tool_dir_ihex(const struct tool_dir *d, const char *name, const struct image *i, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", d->path, name);

	return image_write_ihex(i, path, e);
}

int tool_dir_segment(
	const struct tool_dir *d, const char *name, const struct image *i, size_t k, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", d->path, name);

	return image_write_bin(i, &i->segments[k], path, e);
}
