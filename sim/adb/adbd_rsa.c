/* SPDX-License-Identifier: Apache-2.0
 *
 * RSA with a key in Android's form, as a small device does it: Montgomery multiplication with the
 * key's own n0inv and rr, so that a key that is encoded wrongly verifies nothing.
 *
 * PKCS#1 v1.5 with the DigestInfo of SHA-1 (RFC 8017, 9.2); the token is in the digest's place.
 */
#include "sim/adb/adbd.h"

#define WORDS 64u

struct key {
	uint32_t n0inv;
	uint32_t n[WORDS], rr[WORDS];
	uint32_t exponent;
};

/* a >= n: a -= n */
static bool at_least(const uint32_t *a, const uint32_t *n)
{
	for (size_t i = WORDS; i-- > 0;)
		if (a[i] != n[i])
			return a[i] > n[i];
	return true;
}

static void subtract(uint32_t *a, const uint32_t *n)
{
	int64_t borrow = 0;

	for (size_t i = 0; i < WORDS; i++) {
		borrow += (int64_t)a[i] - n[i];
		a[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
}

/* to = a * b / 2^2048 mod n */
static void montgomery(
	const struct key *k, uint32_t to[WORDS], const uint32_t a[WORDS], const uint32_t b[WORDS])
{
	uint32_t t[WORDS + 2] = {0};

	for (size_t i = 0; i < WORDS; i++) {
		uint64_t carry = 0;
		uint32_t m;

		for (size_t j = 0; j < WORDS; j++) {
			carry += (uint64_t)a[i] * b[j] + t[j];
			t[j] = (uint32_t)carry;
			carry >>= 32;
		}
		carry += t[WORDS];
		t[WORDS] = (uint32_t)carry;
		t[WORDS + 1] = (uint32_t)(carry >> 32);
		m = t[0] * k->n0inv;
		carry = ((uint64_t)m * k->n[0] + t[0]) >> 32;
		for (size_t j = 1; j < WORDS; j++) {
			carry += (uint64_t)m * k->n[j] + t[j];
			t[j - 1] = (uint32_t)carry;
			carry >>= 32;
		}
		carry += t[WORDS];
		t[WORDS - 1] = (uint32_t)carry;
		t[WORDS] = t[WORDS + 1] + (uint32_t)(carry >> 32);
	}
	if (t[WORDS] || at_least(t, k->n))
		subtract(t, k->n);
	memcpy(to, t, WORDS * sizeof *to);
}

/* base^65537 mod n */
static void power(const struct key *k, uint32_t to[WORDS], const uint32_t base[WORDS])
{
	uint32_t a[WORDS];
	uint32_t r[WORDS];
	static const uint32_t one[WORDS] = {1};

	montgomery(k, a, base, k->rr);
	memcpy(r, a, sizeof r);
	for (int i = 0; i < 16; i++) {
		uint32_t square[WORDS];

		montgomery(k, square, r, r);
		memcpy(r, square, sizeof r);
	}
	montgomery(k, a, r, a);
	montgomery(k, to, a, one);
}

static bool parse_key(const uint8_t bytes[524], struct key *k)
{
	struct rbytes b = rbytes_of(bytes, 524);

	if (rb_le32(&b) != WORDS)
		return false;
	k->n0inv = rb_le32(&b);
	for (size_t i = 0; i < WORDS; i++)
		k->n[i] = rb_le32(&b);
	for (size_t i = 0; i < WORDS; i++)
		k->rr[i] = rb_le32(&b);
	k->exponent = rb_le32(&b);
	return !b.bad && k->exponent == 65537;
}

bool adbd_rsa_verify(const uint8_t key[524], const uint8_t digest[20], const uint8_t signature[256])
{
	static const uint8_t info[15] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02,
		0x1a, 0x05, 0x00, 0x04, 0x14};
	uint8_t expected[256];
	uint8_t got[256];
	struct wbytes w = wbytes_of(expected, sizeof expected);
	struct wbytes g = wbytes_of(got, sizeof got);
	struct rbytes s = rbytes_of(signature, 256);
	uint32_t number[WORDS];
	struct key k;

	if (!parse_key(key, &k))
		return false;
	for (size_t i = WORDS; i-- > 0;)
		number[i] = rb_be32(&s);
	if (at_least(number, k.n))
		return false;
	power(&k, number, number);
	for (size_t i = WORDS; i-- > 0;)
		wb_be32(&g, number[i]);
	wb_u8(&w, 0);
	wb_u8(&w, 1);
	wb_fill(&w, 0xff, 256 - 3 - sizeof info - 20);
	wb_u8(&w, 0);
	wb_put(&w, info, sizeof info);
	wb_put(&w, digest, 20);
	return !w.bad && !g.bad && !memcmp(expected, got, sizeof got);
}

bool adbd_base64(const char *text, size_t n, uint8_t *out, size_t size)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct wbytes w = wbytes_of(out, size);
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n && text[i] != '='; i++) {
		const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			wb_u8(&w, (uint8_t)(bits >> have));
		}
	}
	return !w.bad && w.len == size;
}
