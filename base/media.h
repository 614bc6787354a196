/* SPDX-License-Identifier: Apache-2.0
 *
 * Which media type a file has, by its name and its first bytes, out of a short list: what a browser may show as it
 * is. A picture whose bytes are another thing, and everything that is not on the list, is "application/octet-stream".
 * (Media types: IANA; the beginnings: PNG 1.2, 5.2; JFIF 1.02; RFC 9649, 2.4; CSV is RFC 4180.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MEDIA_BYTES 32 /* of a name on the list */
#define MEDIA_OTHER "application/octet-stream"
#define MEDIA_HEAD  1024 /* bytes of a file that are enough to look at */

/* head: its first bytes, MEDIA_HEAD of them or all. Lives as long as the program. */
const char *media_of(const char *name, const void *head, size_t n);
/* That name out of the list, or MEDIA_OTHER for any other text. */
const char *media_listed(const char *media);
/* By its bytes alone, whatever it is called: a picture that a page shows, with SVG. NULL: it is none. */
const char *media_picture(const void *head, size_t n);
