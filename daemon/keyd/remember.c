/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/remember.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/digest.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/keyd/pin.h"

#define STAMP_ROUNDS 200000
#define FAILED_MAX   64
#define URI_MAX	     512

struct refused_pin {
	struct refused_pin *next;
	char token[TOKEN_ID_BYTES], stamp[PIN_STAMP_BYTES];
	bool locked;
};

static struct mutex lock = {PTHREAD_MUTEX_INITIALIZER};
static struct refused_pin *refused; /* under lock */
static char *refused_path;	    /* NULL: no folder. Both are set once */
static char *failed_path;

static struct failed_token {
	int64_t at_ms;
	char key[URI_MAX];
} failed[FAILED_MAX]; /* of the processes before; read once */
static size_t failures;

/* --- PINs --- */

static struct refused_pin *find_refused(const char *token, const char *stamp) REQUIRES(lock)
{
	struct refused_pin *p = refused;

	while (p && (strcmp(p->token, token) != 0 || strcmp(p->stamp, stamp) != 0))
		p = p->next;
	return p;
}

static void add_refused(const char *token, const char *stamp, bool locked) REQUIRES(lock)
{
	struct refused_pin *p = find_refused(token, stamp);

	if (!p) {
		p = xcalloc(1, sizeof *p);
		snprintf(p->token, sizeof p->token, "%s", token);
		snprintf(p->stamp, sizeof p->stamp, "%s", stamp);
		p->next = refused;
		refused = p;
	}
	p->locked |= locked;
}

static void write_refused(void) REQUIRES(lock)
{
	struct outfile f = {.fd = -1, .dir = AT_FDCWD};
	struct strbuf b = {0};
	char digest[SHA256_HEX];
	struct err e;
	int r;

	if (!refused_path)
		return;
	for (const struct refused_pin *p = refused; p; p = p->next)
		sb_addf(&b, "%s %s %c\n", p->token, p->stamp, p->locked ? 'l' : 'r');
	r = outfile_open(&f, refused_path, &e);
	if (r == 0 && b.len > 0)
		r = outfile_add(&f, b.s, b.len, &e);
	if (r == 0)
		r = outfile_end(&f, digest, &e);
	if (r == 0)
		r = outfile_commit(&f, &e);
	if (r < 0)
		log_error("which PINs were refused is lost at the next start: %s", e.msg);
	outfile_done(&f);
	sb_done(&b);
}

static void read_refused(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char token[TOKEN_ID_BYTES], stamp[PIN_STAMP_BYTES];
	char kind;

	mutex_lock(&lock);
	while (f && fscanf(f, "%32s %64s %c", token, stamp, &kind) == 3)
		add_refused(token, stamp, kind == 'l');
	mutex_unlock(&lock);
}

static void slow_digest(const char *token, const char *pin, uint8_t ret[SHA256_BYTES])
{
	PKCS5_PBKDF2_HMAC(pin, (int)strlen(pin), (const unsigned char *)token, (int)strlen(token),
		STAMP_ROUNDS, EVP_sha256(), SHA256_BYTES, ret);
}

void pin_stamp(const struct key_place *place, const char *token, const char *pin,
	char ret[PIN_STAMP_BYTES])
{
	_cleanup_(freep) char *path = pin_path(place);
	_cleanup_(freep) char *text = NULL;
	uint8_t digest[SHA256_BYTES] = {0};
	char hex[SHA256_HEX];
	struct stat st = {0};

	if (path && stat(path, &st) < 0)
		st = (struct stat){0};
	if (pin && !place->pin_file)
		slow_digest(token, pin, digest);
	text = place->pin_file
		       ? xasprintf("%s %llu %lld %lld.%09ld", path, (unsigned long long)st.st_ino,
				 (long long)st.st_size, (long long)st.st_mtim.tv_sec,
				 st.st_mtim.tv_nsec)
		       : xasprintf("%s %s", path ? path : "", hex_of(digest, sizeof digest, hex));
	sha256_hex_of(text, strlen(text), ret);
}

enum pin_past remember_pin(const char *token, const char *stamp)
{
	const struct refused_pin *p;
	enum pin_past past;

	mutex_lock(&lock);
	p = find_refused(token, stamp);
	past = !p ? PIN_UNTRIED : p->locked ? PIN_WAS_LOCKED : PIN_WAS_REFUSED;
	mutex_unlock(&lock);
	return past;
}

void remember_refused_pin(const char *token, const char *stamp, bool locked)
{
	mutex_lock(&lock);
	add_refused(token, stamp, locked);
	write_refused();
	mutex_unlock(&lock);
}

void remember_good_pin(const char *token)
{
	bool changed = false;

	mutex_lock(&lock);
	for (struct refused_pin **at = &refused; *at;) {
		struct refused_pin *p = *at;

		if (strcmp(p->token, token) != 0) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
		changed = true;
	}
	if (changed)
		write_refused();
	mutex_unlock(&lock);
}

/* --- modules --- */

static size_t put_number(char *at, uint64_t n)
{
	char digits[20];
	size_t size = 0;

	do
		digits[size++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	for (size_t i = 0; i < size; i++)
		at[i] = digits[size - 1 - i];
	return size;
}

/* Nothing but what a signal handler may call. */
void remember_failed_token(const char *key)
{
	char line[URI_MAX + 32];
	struct timespec now;
	size_t n;
	int fd = failed_path ? open(failed_path,
				       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)
			     : -1;

	if (fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	n = put_number(line, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	line[n++] = ' ';
	for (size_t i = 0; key[i] && i < URI_MAX - 1; i++)
		line[n++] = key[i];
	line[n++] = '\n';
	if (write(fd, line, n) < 0)
		n = 0;
	close(fd);
}

static bool is_recent(int64_t at_ms)
{
	int64_t age = wall_ms() - at_ms;

	return age >= 0 && age < FAILED_TOKEN_S * 1000;
}

/* Those of the last minute; where none is, the file goes. */
static void read_failed(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[URI_MAX + 32];

	while (f && failures < FAILED_MAX && fgets(line, sizeof line, f)) {
		struct failed_token *t = &failed[failures];
		char *key = NULL;

		line[strcspn(line, "\n")] = '\0';
		t->at_ms = strtoll(line, &key, 10);
		if (*key != ' ' || !is_recent(t->at_ms))
			continue;
		snprintf(t->key, sizeof t->key, "%s", key + 1);
		failures++;
	}
	if (f && failures == 0)
		unlink(path);
}

unsigned failed_token_wait_s(const char *key)
{
	unsigned wait = 0;

	for (size_t i = 0; i < failures; i++) {
		int64_t age = wall_ms() - failed[i].at_ms;

		if (!strncmp(failed[i].key, key, URI_MAX - 1) && is_recent(failed[i].at_ms))
			wait = MAX(wait, (unsigned)(FAILED_TOKEN_S - age / 1000));
	}
	return wait;
}

int remember_open(const char *dir, struct err *e)
{
	if (!dir)
		return 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "the folder %s", dir);
	refused_path = xasprintf("%s/refused-pins", dir);
	failed_path = xasprintf("%s/failed-tokens", dir);
	read_refused(refused_path);
	read_failed(failed_path);
	return 0;
}
