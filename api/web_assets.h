/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the dashboard, gzipped, as web/build.py puts them into the program. Constant; any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct web_asset {
	const char *path; /* "/assets/0f3a.../main.js"; the page itself is "/index.html" */
	const char *content_type;
	const unsigned char *data; /* one gzip member */
	size_t len;
	const char *etag; /* quoted, of the content before compression */
	bool immutable;	  /* the path changes with the content */
};

/* Empty where provd is built without the dashboard. */
extern const struct web_asset web_assets[];
extern const size_t web_asset_count;
