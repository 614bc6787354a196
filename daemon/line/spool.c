/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/holds.h"
#include "daemon/line/services.h"
#include "daemon/line/wats_report.h"
#include "db/events.h"
#include "db/spool.h"
#include "db/webhooks.h"
#include "db/writer.h"

#define LOOK_EVERY_US US_PER_S
#define BATCH	      100
#define NAME_BYTES    80
/* For who is in the group of the folder. */
#define FILE_MODE 0640

struct spool {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	bool none;     /* no folder is named, and none is on record */
	pthread_t thread;
	struct cancel stop;
	char trouble[ERR_TEXT_BYTES]; /* that is on record */
};

/* --- one file --- */

static int name_of(const json_t *message, char ret[NAME_BYTES], struct err *e)
{
	const char *type = json_string_value(json_object_get(message, "type"));

	if (!type || strchr(type, '/'))
		return err_set(e, ERR_INTERNAL,
			"an event has a type that cannot be in the name of a file");
	snprintf(ret, NAME_BYTES, "%016lld-%.40s.json",
		(long long)json_integer_value(json_object_get(message, "seq")), type);
	return 0;
}

static int write_file(int dir, const char *name, const char *text, struct err *e)
{
	struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX];
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	int r = fd < 0 ? err_errno(e, ERR_IO, errno, "the spool folder")
		       : outfile_open_at(&f, fd, name, e);

	if (r == 0 && fchmod(f.fd, FILE_MODE) < 0)
		r = err_errno(e, ERR_IO, errno, "create %s", name);
	if (r == 0)
		r = outfile_add(&f, text, strlen(text), e);
	if (r == 0)
		r = outfile_add(&f, "\n", 1, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r;
}

static int make_text(struct spool *s, char **text, struct err *e)
{
	struct config *config = s->line->config(s->line->line);
	int r = 0;

	if (config->spool.format == WEBHOOK_WSJF)
		r = wats_report_of(s->db, &config->wats, text, e);
	config_unref(config);
	return r;
}

static int write_event(struct spool *s, int dir, int64_t seq, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	char name[NAME_BYTES];
	json_t *message;
	int r = events_message(s->db, seq, &text, e);

	if (r < 0 || !text)
		return r;
	message = json_loads(text, 0, NULL);
	r = name_of(message, name, e);
	json_decref(message);
	if (r == 0)
		r = make_text(s, &text, e);
	return r < 0 ? r : write_file(dir, name, text, e);
}

/* --- how far --- */

static int apply_begin(struct db *tx, void *data, struct err *e)
{
	return spool_begin(tx, data, e);
}

struct place {
	int64_t seen;
	const char *message;
};

static int apply_seen(struct db *tx, void *data, struct err *e)
{
	const struct place *p = data;

	return spool_seen(tx, p->seen, p->message, e);
}

static int record(struct spool *s, int64_t seen, const char *message, struct err *e)
{
	struct place p = {seen, message};
	int r = writer_do(s->line->writer, apply_seen, &p, e);

	if (r < 0)
		return r;
	if (message)
		log_warning("spool: %s", message);
	else if (*s->trouble)
		log_notice("spool: files are written again");
	snprintf(s->trouble, sizeof s->trouble, "%s", message ? message : "");
	return 0;
}

/* Writes until one fails: why into *why. How far it came. */
static int64_t write_batch(struct spool *s, const char *path, int64_t seen, const int64_t *seq,
	size_t n, int64_t upto, struct err *why)
{
	_cleanup_(closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0) {
		err_errno(why, ERR_IO, errno, "the folder %s", path);
		return seen;
	}
	for (size_t i = 0; i < n; i++) {
		if (cancel_reason(&s->stop) != ERR_NONE)
			return seen;
		if (write_event(s, dir, seq[i], why) < 0) {
			err_prefix(why, "the folder %s", path);
			return seen;
		}
		seen = seq[i];
	}
	return upto;
}

/* 1: there is more; 0: not now. */
static int step(struct spool *s, const struct spool_config *c, int64_t seen, struct err *e)
{
	struct err why = {0};
	int64_t seq[BATCH];
	int64_t upto, now = seen;
	size_t n;
	int r = spool_next(s->db, seen, c->types, BATCH, seq, &n, &upto, e);

	/* The folder is looked at also where nothing waits but a trouble is on record. */
	if (r == 0 && (n > 0 || *s->trouble))
		now = write_batch(s, c->dir, seen, seq, n, upto, &why);
	else if (r == 0)
		now = upto;
	if (r < 0 || (now == seen && !strcmp(s->trouble, why.msg)))
		return r;
	r = record(s, now, *why.msg ? why.msg : NULL, e);
	return r < 0 ? r : now > seen && !*why.msg;
}

/* What kept the provd before this one from going on. */
static int open_records(struct spool *s, struct err *e)
{
	struct spool_state before;
	int r = db_open_reader(s->db_path, &s->db, e);

	if (r == 0)
		r = MIN(spool_state(s->db, &before, e), 0);
	if (r == 0)
		snprintf(s->trouble, sizeof s->trouble, "%s", before.message);
	return r;
}

static int work(struct spool *s, struct err *e)
{
	struct config *config = s->line->config(s->line->line);
	const char *dir = config->spool.dir ? config->spool.dir : "";
	int64_t seen = 0;
	int r = 0;

	if (!*dir && s->none) {
		config_unref(config);
		return 0;
	}
	if (!s->db)
		r = open_records(s, e);
	if (r == 0)
		r = spool_place(s->db, dir, &seen, e);
	s->none = r > 0 && !*dir;
	if (s->none)
		s->db = db_free(s->db);
	if (r == 0)
		r = writer_do(s->line->writer, apply_begin, (void *)(uintptr_t)dir, e);
	else if (r > 0)
		r = *dir ? step(s, &config->spool, seen, e) : 0;
	config_unref(config);
	return r;
}

/* --- the thread --- */

static void *spool_main(void *arg)
{
	struct spool *s = arg;
	const struct iotime it = {NO_DEADLINE, &s->stop};

	while (cancel_reason(&s->stop) == ERR_NONE) {
		struct err e = {0};
		int r = 1;

		while (r > 0 && cancel_reason(&s->stop) == ERR_NONE &&
			holds_check(s->line->holds, HOLD_STOPS_SENDING, NULL) == 0)
			r = work(s, &e);
		if (r < 0)
			log_warning("spool: %s", e.msg);
		iotime_sleep(LOOK_EVERY_US, &it, NULL);
	}
	return NULL;
}

int spool_start(
	const struct line_services *line, const char *db_path, struct spool **ret, struct err *e)
{
	struct spool *s = xcalloc(1, sizeof *s);
	int r = cancel_init(&s->stop, e);

	s->line = line;
	s->db_path = xstrdup(db_path);
	if (r == 0) {
		r = thread_start(&s->thread, "spool", spool_main, s, e);
		if (r < 0)
			cancel_done(&s->stop);
	}
	if (r < 0) {
		free(s->db_path);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct spool *spool_free(struct spool *s)
{
	if (!s)
		return NULL;
	cancel_fire(&s->stop, ERR_SHUTDOWN);
	pthread_join(s->thread, NULL);
	cancel_done(&s->stop);
	db_free(s->db);
	free(s->db_path);
	free(s);
	return NULL;
}
