/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/without_secrets.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/regex.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "base/yaml.h"

#define LINE_BYTES_MAX 65536

/* What group 1 holds goes. A value that begins as a path or a mapping is none: {file: ...}, {credential: ...}. */
static const char *const shapes[] = {
	"://([^/@\\s'\"]+)@",
	"SetCredential(?:Encrypted)?=[^:\\s]+:(.+)",
	"(?i)pin-value=([^;&'\"\\s]+)",
	"(?i)\\bauthorization[\"']?\\s*[:=]\\s*[\"']?([^\"'\\s][^\"']*)",
	"(?i)\\bbearer\\s+([A-Za-z0-9._~+/=-]{8,})",
	/* Its value in quotes, in those of a string of JSON, or bare. */
	"(?i)(?:password|passwd|passphrase|secret|(?<!pkcs11:)(?<!;)token|api[_-]?key|(?:\\b|[_-])pin)(?:\\\\?[\"'])?\\s*[:=]\\s*(?|\\\\\"((?:(?!\\\\\").)+)|\"((?:[^\"\\\\]|\\\\.)+)|'([^']+)|((?!\\[secret\\])[^\\s{}\\[\\],'\"/#|>&\\\\][^\\s,}#'\"\\\\]*))",
};

/* As an answer of the API writes it, with its quotes escaped. */
static void add_as_json(struct secret_set *s, const char *value)
{
	json_t *text = json_string(value);
	char *dump = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
	struct err e;

	if (dump) {
		dump[strlen(dump) - 1] = '\0';
		if (strcmp(dump + 1, value) != 0)
			secret_set_add(s, dump + 1, &e);
		secret_wipe(dump, strlen(dump));
	}
	free(dump);
	json_decref(text);
}

static void add_secret(struct secret_set *s, const char *value)
{
	struct err e;

	/* One that is too short to be masked everywhere is still masked by its name. */
	if (!value || !*value || secret_set_add(s, value, &e) < 0)
		return;
	add_as_json(s, value);
}

void secret_of_file(struct secret_set *s, const char *path)
{
	/* Nothing that has to be waited for. */
	const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	char line[4096];
	struct stat st;

	if (!f)
		return;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fclose(f);
		return;
	}
	if (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\r\n")] = '\0';
		add_secret(s, line);
	}
	secret_wipe(line, sizeof line);
	fclose(f);
}

/* The value of a member of `secrets`, or of a `pin`: {file: PATH}, {credential: NAME}, or by mistake the secret itself. */
static void add_member(struct secret_set *s, const json_t *v)
{
	const char *key;
	json_t *part;

	add_secret(s, json_string_value(v));
	json_object_foreach((json_t *)(uintptr_t)v, key, part) {
		if (!strcmp(key, "file"))
			secret_of_file(s, json_string_value(part));
		else if (strcmp(key, "credential") != 0)
			add_secret(s, json_string_value(part));
	}
}

/* Every `pin`, wherever it is. */
static void add_pins(struct secret_set *s, const json_t *v)
{
	const char *key;
	json_t *part;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)v, key, part) {
		if (!strcmp(key, "pin"))
			add_member(s, part);
		add_pins(s, part);
	}
	json_array_foreach(v, i, part)
		add_pins(s, part);
}

/* What is group 1 of the shape, each time, to fn. */
static void each_match(struct secret_set *s, const char *shape, const char *text,
	void (*fn)(struct secret_set *s, const char *value))
{
	struct regex *regex = NULL;
	struct regex_match m;
	struct err e;

	if (regex_new(shape, &regex, &e) < 0)
		abort();
	for (; regex_match(regex, text, strlen(text), &m) && m.groups > 1; text += m.group[1].end) {
		char *value = xasprintf(
			"%.*s", (int)(m.group[1].end - m.group[1].start), text + m.group[1].start);

		fn(s, value);
		secret_wipe(value, strlen(value));
		free(value);
	}
	regex_free(regex);
}

static bool begins(const char *p, const char *word)
{
	return !strncmp(p, word, strlen(word));
}

/* Whether the line begins a member at the top of a configuration (or ends the one before), and which. */
static bool is_top(const char *line)
{
	return *line && !strchr(" \t#\n", *line);
}

static bool is_secrets(const char *line)
{
	return begins(line, "secrets") || begins(line, "\"secrets\"") || begins(line, "'secrets'");
}

/* Of a configuration with mistakes: files that it names, and all that could be a value below `secrets`. */
static void guess_secrets(struct secret_set *s, const char *text)
{
	bool inside = false;

	each_match(s, "\\bfile[\"']?\\s*:\\s*[\"']?(/[^\"'\\s,}]+)", text, secret_of_file);
	for (const char *p = text; *p; p += *p == '\n') {
		const size_t n = strcspn(p, "\n");
		char *line = xasprintf("%.*s", (int)n, p);

		inside = is_top(line) ? is_secrets(line) : inside;
		if (inside)
			each_match(s,
				"(?<!file)(?<!credential)[\"']?\\s*:\\s*[\"']?([^\"'\\s{},:]+)",
				line, add_secret);
		secret_wipe(line, strlen(line));
		free(line);
		p += n;
	}
}

void secrets_of_config(struct secret_set *s, const char *text)
{
	struct yaml_doc *doc = NULL;
	const char *name;
	json_t *v;
	struct err e;

	if (yaml_parse("configuration", text, strlen(text), &doc, &e) < 0) {
		guess_secrets(s, text);
		return;
	}
	json_object_foreach(json_object_get(doc->root, "secrets"), name, v)
		add_member(s, v);
	add_pins(s, doc->root);
	yaml_doc_free(doc);
}

/* One shape in one line, as often as it is there; owned by the caller. A line that cannot be judged goes as a whole. */
static char *mask_shape(const struct regex *shape, char *line)
{
	struct strbuf out = {0};
	struct regex_match m;
	const char *at = line;

	while (regex_match(shape, at, strlen(at), &m) && m.groups > 1) {
		sb_add_n(&out, at, m.group[1].start);
		sb_add(&out, SECRET_MASK);
		at += m.group[1].end;
	}
	if (regex_may_match(shape, at, strlen(at))) {
		sb_clear(&out);
		sb_add(&out, SECRET_MASK);
	} else {
		sb_add(&out, at);
	}
	secret_wipe(line, strlen(line));
	free(line);
	return sb_take(&out);
}

static void mask_line(struct strbuf *out, struct regex *const *shape, const char *p, size_t n)
{
	char *line = xasprintf("%.*s", (int)n, p);

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		line = mask_shape(shape[i], line);
	sb_add(out, line);
	free(line);
}

/* Lines of a private key, and of `secrets` where nobody can say what is a value there. */
struct inside {
	bool key, secrets, is_yaml;
};

static bool is_hidden(struct inside *in, const char *p, size_t n)
{
	const bool was_key = in->key;

	if (memmem(p, n, "PRIVATE KEY-----", strlen("PRIVATE KEY-----")))
		in->key = memmem(p, n, "-----BEGIN", strlen("-----BEGIN")) &&
			  !memmem(p, n, "-----END", strlen("-----END"));
	if (in->key || was_key || memmem(p, n, "PRIVATE KEY-----", strlen("PRIVATE KEY-----")))
		return true;
	if (in->is_yaml)
		return false;
	if (is_top(p))
		in->secrets = is_secrets(p);
	return in->secrets;
}

static bool is_yaml(const char *text)
{
	struct yaml_doc *doc = NULL;
	struct err e;
	const bool ok = yaml_parse("text", text, strlen(text), &doc, &e) == 0;

	yaml_doc_free(doc);
	return ok;
}

char *without_secrets(const struct secret_set *s, const char *text)
{
	char *masked = secret_mask(s, text);
	struct regex *shape[ARRAY_LEN(shapes)];
	struct strbuf out = {0};
	struct inside in = {.is_yaml = is_yaml(masked)};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (regex_new(shapes[i], &shape[i], &e) < 0)
			abort();
	for (const char *p = masked; *p;) {
		const size_t n = strcspn(p, "\n");

		if (is_hidden(&in, p, n) || n > LINE_BYTES_MAX)
			sb_add(&out, SECRET_MASK);
		else
			mask_line(&out, shape, p, n);
		p += n;
		if (*p == '\n')
			sb_add_n(&out, p++, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		regex_free(shape[i]);
	secret_wipe(masked, strlen(masked));
	free(masked);
	return sb_take(&out);
}
