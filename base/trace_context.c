/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace_context.h"

#include <string.h>

#include "base/digest.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"

#define VERSION_00_LEN 55
#define SAMPLED	       0x01
#define STATE_MEMBERS  32 /* 3.3.1.1 */

/* HEXDIGLC: no upper case. */
static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

static bool is_zero(const char *s, size_t n)
{
	return strspn(s, "0") >= n;
}

static unsigned hex_byte(const char *s)
{
	unsigned value = 0;

	for (int i = 0; i < 2; i++)
		value = value << 4 | (unsigned)(s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	return value;
}

static bool parse_parent(const char *s, struct trace_context *ret)
{
	const size_t len = strlen(s);
	const char *id = s + 3, *parent = s + 36;
	unsigned version;

	if (len < VERSION_00_LEN || !is_hex(s, 2) || s[2] != '-' || s[35] != '-' || s[52] != '-')
		return false;
	version = hex_byte(s);
	if (version == 0xff || !is_hex(id, 32) || !is_hex(parent, 16) || !is_hex(s + 53, 2))
		return false;
	/* A later version may have more after a dash. */
	if (len > VERSION_00_LEN && (version == 0 || s[VERSION_00_LEN] != '-'))
		return false;
	if (is_zero(id, 32) || is_zero(parent, 16))
		return false;
	snprintf(ret->id, sizeof ret->id, "%.32s", id);
	snprintf(ret->parent, sizeof ret->parent, "%.16s", parent);
	ret->flags = hex_byte(s + 53) & SAMPLED;
	return true;
}

/* --- tracestate, 3.3.1 --- */

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("_-*/", c));
}

static bool is_key_part(const char *s, size_t n, size_t most, bool digit_first)
{
	if (n == 0 || n > most ||
		!((s[0] >= 'a' && s[0] <= 'z') || (digit_first && s[0] >= '0' && s[0] <= '9')))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_key_char(s[i]))
			return false;
	return true;
}

/* A simple key, or tenant@system. */
static bool is_key(const char *s, size_t n)
{
	const char *at = memchr(s, '@', n);

	if (!at)
		return is_key_part(s, n, 256, false);
	return is_key_part(s, (size_t)(at - s), 241, true) &&
	       is_key_part(at + 1, n - (size_t)(at - s) - 1, 14, false);
}

static bool is_value(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == ',' || s[i] == '=')
			return false;
	return n > 0 && n <= 256 && s[n - 1] != ' ';
}

static bool is_member(const char *s, size_t n)
{
	const char *equals;

	while (n > 0 && (*s == ' ' || *s == '\t')) {
		s++;
		n--;
	}
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (n == 0) /* an empty member is allowed */
		return true;
	equals = memchr(s, '=', n);
	return equals && is_key(s, (size_t)(equals - s)) &&
	       is_value(equals + 1, n - (size_t)(equals - s) - 1);
}

static bool is_state(const char *s)
{
	if (strlen(s) >= TRACE_STATE_BYTES)
		return false;
	for (int members = 1; members <= STATE_MEMBERS; members++) {
		size_t n = strcspn(s, ",");

		if (!is_member(s, n))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
	return false;
}

bool trace_parse(const char *traceparent, const char *tracestate, struct trace_context *ret)
{
	*ret = (struct trace_context){0};
	if (!traceparent || !parse_parent(traceparent, ret))
		return false;
	if (tracestate && is_state(tracestate))
		snprintf(ret->state, sizeof ret->state, "%s", tracestate);
	return true;
}

/* --- writing --- */

char *trace_text(const struct trace_context *t, const char *parent, char ret[TRACE_TEXT_BYTES])
{
	snprintf(ret, TRACE_TEXT_BYTES, "00-%s-%s-%02x", t->id, parent, t->flags);
	return ret;
}

char *trace_new_span(char ret[TRACE_SPAN_BYTES])
{
	uint8_t raw[8];

	do
		random_bytes(raw, sizeof raw);
	while (!memcmp(raw, (uint8_t[8]){0}, sizeof raw));
	hex_of(raw, sizeof raw, ret);
	return ret;
}

char *trace_run_span(const char *run_id, char ret[TRACE_SPAN_BYTES])
{
	/* xxxxxxxx-xxxx-7xxx-Nxxx-xxxxxxxxxxxx: N is 8 to b. */
	snprintf(ret, TRACE_SPAN_BYTES, "%.4s%.12s", run_id + 19, run_id + 24);
	return ret;
}
