/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_body.h"

#include <strings.h>
#include <zlib.h>

#include "base/util.h"

/* RFC 1952; 15 bits of window and the gzip wrapper alone (zlib.h, inflateInit2). */
#define GZIP_WINDOW (15 + 16)
#define FIRST_BYTES 65536

int httpd_body_coding(const char *coding, bool *ret_gzip)
{
	/* RFC 9110, 8.4.1.3: x-gzip is the same. */
	bool gzip = coding && (!strcasecmp(coding, "gzip") || !strcasecmp(coding, "x-gzip"));

	if (coding && !gzip && strcasecmp(coding, "identity") != 0)
		return 415;
	if (ret_gzip)
		*ret_gzip = gzip;
	return 0;
}

struct inflated {
	uint8_t *bytes; /* one more than len, for the NUL */
	size_t len, cap;
};

/* Room for more, never for over max bytes; false without memory. */
static bool grow(struct inflated *out, uint64_t max)
{
	size_t cap = out->cap ? out->cap * 2 : FIRST_BYTES;
	uint8_t *grown;

	/* One byte over the cap shows that it is exceeded. */
	if (cap > max + 1)
		cap = (size_t)max + 1;
	grown = realloc(out->bytes, cap + 1);
	if (!grown)
		return false;
	out->bytes = grown;
	out->cap = cap;
	return true;
}

/* Z_STREAM_END, or why not: Z_BUF_ERROR over max, Z_MEM_ERROR, Z_DATA_ERROR. */
static int inflate_all(z_stream *z, struct inflated *out, uint64_t max)
{
	int r = Z_OK;

	while (r == Z_OK) {
		if (out->len == out->cap && !grow(out, max))
			return Z_MEM_ERROR;
		z->next_out = out->bytes + out->len;
		z->avail_out = (unsigned)(out->cap - out->len);
		r = inflate(z, Z_NO_FLUSH);
		out->len = out->cap - z->avail_out;
		if (out->len > max)
			return Z_BUF_ERROR;
		if (r == Z_BUF_ERROR || (r == Z_OK && z->avail_in == 0 && z->avail_out > 0))
			return Z_DATA_ERROR; /* cut off */
	}
	return r == Z_STREAM_END && z->avail_in > 0 ? Z_DATA_ERROR : r;
}

static int gunzip(uint8_t **body, size_t *len, uint64_t max, const char **ret_detail)
{
	z_stream z = {.next_in = *body, .avail_in = (unsigned)*len};
	struct inflated out = {0};
	int r = inflateInit2(&z, GZIP_WINDOW);

	if (r == Z_OK) {
		r = inflate_all(&z, &out, max);
		inflateEnd(&z);
	}
	if (r == Z_STREAM_END) {
		out.bytes[out.len] = 0;
		free(*body);
		*body = out.bytes;
		*len = out.len;
		return 0;
	}
	free(out.bytes);
	*ret_detail = r == Z_BUF_ERROR	 ? "the body is too large when it is inflated"
		      : r == Z_MEM_ERROR ? "out of memory"
					 : "the body is not one whole gzip stream";
	return r == Z_BUF_ERROR ? 413 : r == Z_MEM_ERROR ? 503 : 400;
}

int httpd_body_decode(
	const char *coding, uint8_t **body, size_t *len, uint64_t max, const char **ret_detail)
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
	bool gzip = false;
	int status = httpd_body_coding(coding, &gzip);

	if (status == 0 && gzip && *len > 0)
		status = gunzip(body, len, max, ret_detail);
	else if (status != 0)
		*ret_detail = "the Content-Encoding of a body is gzip or none";
	if (status == 0 && *len >= sizeof mark && !memcmp(*body, mark, sizeof mark)) {
		*len -= sizeof mark;
		memmove(*body, *body + sizeof mark, *len + 1);
	}
	return status;
}
