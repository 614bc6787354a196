/* SPDX-License-Identifier: Apache-2.0 */
#include "base/media.h"

#include <string.h>
#include <strings.h>

#include "base/util.h"

static bool is_png(const void *p, size_t n)
{
	return n >= 8 && !memcmp(p, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg(const void *p, size_t n)
{
	return n >= 3 && !memcmp(p, "\xff\xd8\xff", 3);
}

static bool is_webp(const void *p, size_t n)
{
	return n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp((const char *)p + 8, "WEBP", 4);
}

/* An XML document whose root is svg: after a declaration, comments and a document type, where there are any. */
static bool is_svg(const void *p, size_t n)
{
	const char *s = p, *end = s + n;

	for (;;) {
		const char *close;

		while (s < end && strchr(" \t\r\n", *s) && *s)
			s++;
		if (end - s < 5 || *s != '<')
			return false;
		if (!memcmp(s, "<svg", 4))
			return strchr(" \t\r\n>/", s[4]) && s[4];
		if (s[1] != '?' && s[1] != '!')
			return false;
		close = end - s >= 7 && !memcmp(s, "<!--", 4)
				? memmem(s, (size_t)(end - s), "-->", 3)
				: memchr(s, '>', (size_t)(end - s));
		if (!close)
			return false;
		s = *close == '-' ? close + 3 : close + 1;
	}
}

/* Text that has a NUL is none. */
static bool is_text(const void *p, size_t n)
{
	return n == 0 || !memchr(p, '\0', n);
}

/* Of several endings the first one is a type's own. */
static const struct {
	const char *ending, *media;
	bool (*is)(const void *p, size_t n);
	bool picture;
} kinds[] = {
	{".png", "image/png", is_png, true},
	{".jpg", "image/jpeg", is_jpeg, true},
	{".jpeg", "image/jpeg", is_jpeg, true},
	{".webp", "image/webp", is_webp, true},
	{".csv", "text/csv", is_text, false},
	{".json", "application/json", is_text, false},
	{".txt", "text/plain", is_text, false},
	{".log", "text/plain", is_text, false},
};

const char *media_of(const char *name, const void *head, size_t n)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const size_t ending = strlen(kinds[i].ending);

		if (length > ending && !strcasecmp(name + length - ending, kinds[i].ending))
			return kinds[i].is(head, n) ? kinds[i].media : MEDIA_OTHER;
	}
	return MEDIA_OTHER;
}

const char *media_listed(const char *media)
{
	for (size_t i = 0; media && i < ARRAY_LEN(kinds); i++)
		if (!strcmp(media, kinds[i].media))
			return kinds[i].media;
	return MEDIA_OTHER;
}

const char *media_picture(const void *head, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].picture && kinds[i].is(head, n))
			return kinds[i].media;
	return is_svg(head, n) ? "image/svg+xml" : NULL;
}
