/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of the service: journald fields under systemd, readable lines on a terminal or in a file,
 * JSON lines on request. Only the top of a call chain logs (worker, route, main); everything below
 * returns an error instead. Any thread may log. Never give it a secret: values marked in a
 * `struct secret_set` are masked before text reaches it.
 */
#pragma once

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

/* Once, from main, before other threads exist. AUTO: the journal if stderr is connected to it
 * (JOURNAL_STREAM), else text on stderr. */
void log_init(enum log_format format, enum log_level max_level);
/* Fields added to every message of the calling thread: STATION=, RUN=, TRACE_ID=. NULL removes. Copied. */
void log_thread_station(const char *id);
void log_thread_run(const char *id);
void log_thread_trace(const char *id);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...)	 log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
