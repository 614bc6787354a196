/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/timefmt.h"
#include "base/util.h"

static enum log_format out_format = LOG_FORMAT_TEXT;
static enum log_level out_level = LOG_LEVEL_INFO;
static _Thread_local char ctx_station[64];
static _Thread_local char ctx_run[40];
static _Thread_local char ctx_trace[40];

static const char *const level_name[] = {"error", "warning", "notice", "info", "debug"};
static const int level_prio[] = {3, 4, 5, 6, 7}; /* syslog(3) */

/* systemd.exec(5): JOURNAL_STREAM holds device:inode of the journal's stream. */
static bool stderr_is_journal(void)
{
	const char *v = getenv("JOURNAL_STREAM");
	unsigned long long dev;
	unsigned long long ino;
	struct stat st;

	return v && sscanf(v, "%llu:%llu", &dev, &ino) == 2 && fstat(2, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

void log_init(enum log_format format, enum log_level max_level)
{
	out_level = max_level;
	if (format == LOG_FORMAT_AUTO)
		format = stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
	out_format = format;
}

static void copy_ctx(char *dst, size_t size, const char *id)
{
	snprintf(dst, size, "%s", id ? id : "");
}

void log_thread_station(const char *id)
{
	copy_ctx(ctx_station, sizeof ctx_station, id);
}

void log_thread_run(const char *id)
{
	copy_ctx(ctx_run, sizeof ctx_run, id);
}

void log_thread_trace(const char *id)
{
	copy_ctx(ctx_trace, sizeof ctx_trace, id);
}

static void write_line(struct strbuf *line)
{
	sb_add(line, "\n");
	/* One write per message keeps the lines of threads whole; a full or closed stderr does
	 * not stop a line. */
	ssize_t n = write(2, line->s, line->len);

	(void)n;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	if (level > out_level)
		return;

	char raw[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);

	struct strbuf text = {0};
	struct strbuf line = {0};
	char at[RFC3339_SIZE];

	/* A peer's bytes may be in the message: no line breaks, no terminal escapes. */
	sb_add_escaped(&text, raw, strlen(raw));
	switch (out_format) {
	case LOG_FORMAT_JOURNAL:
		sd_journal_send("PRIORITY=%i", level_prio[level], "MESSAGE=%s",
			text.s ? text.s : "", "STATION=%s", ctx_station, "RUN=%s", ctx_run,
			"TRACE_ID=%s", ctx_trace, NULL);
		break;
	case LOG_FORMAT_JSON: {
		char *s = NULL;
		json_t *o = json_pack("{s:s, s:s, s:s}", "time", rfc3339_now(at), "level",
			level_name[level], "message", text.s ? text.s : "");

		if (o && ctx_station[0])
			json_object_set_new(o, "station", json_string(ctx_station));
		if (o && ctx_run[0])
			json_object_set_new(o, "run", json_string(ctx_run));
		if (o && ctx_trace[0])
			json_object_set_new(o, "trace_id", json_string(ctx_trace));
		s = o ? json_dumps(o, JSON_COMPACT) : NULL;
		if (s) {
			sb_add(&line, s);
			write_line(&line);
		}
		free(s);
		json_decref(o);
		break;
	}
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		sb_addf(&line, "%s %-7s ", rfc3339_now(at), level_name[level]);
		if (ctx_station[0])
			sb_addf(&line, "[%s] ", ctx_station);
		sb_add(&line, text.s ? text.s : "");
		write_line(&line);
		break;
	}
	sb_done(&text);
	sb_done(&line);
}
