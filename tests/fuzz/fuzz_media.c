/* SPDX-License-Identifier: Apache-2.0
 *
 * The beginning of a file that a unit, a tool or a person brought: what it is served as is on the list, and what a page
 * shows as a picture begins like one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/media.h"
#include "base/util.h"
#include "tests/fuzz/fuzz.h"

static void look(const char *name, const uint8_t *bytes, size_t n)
{
	const char *media = media_of(name, bytes, n);

	if (strcmp(media_listed(media), media) != 0)
		abort();
	if (!strncmp(media, "image/", 6) && media_picture(bytes, n) != media)
		abort();
	if (!strncmp(media, "text/", 5) && n && memchr(bytes, '\0', n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const char *const names[] = {
		"a.png", "a.jpg", "a.webp", "a.csv", "a.json", "a.svg", "a", ""};
	_cleanup_(freep) uint8_t *copy =
		malloc(n + 1); /* the end of the memory is the end of the file */
	const char *picture;

	memcpy(copy, bytes, n);
	copy = realloc(copy, n ? n : 1);
	picture = media_picture(copy, n);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		look(names[i], copy, n);
	if (picture && !strcmp(picture, "image/svg+xml") && !memmem(copy, n, "<svg", 4))
		abort();
	if (picture && strncmp(picture, "image/", 6) != 0)
		abort();
	return 0;
}
