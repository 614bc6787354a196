/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and histograms of one owner, by rows: what is counted as it happens, in memory. They begin
 * at 0 with the process, as Prometheus expects of them. A row has a most of series: what would be one
 * more is counted under the value "other" of every label, so that a scrape has a size.
 *
 * A name ends in its unit (_seconds, _bytes), a counter in _total. No label is a serial number, a run or
 * an order. Any thread; the lock is held for a look-up or a copy.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define METRIC_LABELS	 4
#define METRIC_BUCKETS	 16
#define METRIC_OVERFLOW	 "other"
#define METRIC_LABEL_MAX 64 /* bytes of a value; a longer one is cut */

enum metric_type { METRIC_COUNTER, METRIC_HISTOGRAM };

struct metric_row {
	const char *name; /* NULL ends the rows */
	enum metric_type type;
	const char *help;
	const char *label[METRIC_LABELS + 1]; /* NULL-terminated */
	const uint64_t *bounds_us;	      /* of a histogram, ascending, ended by 0 */
	unsigned most;			      /* series */
};

struct metrics;

/* The rows live as long as the metrics. */
struct metrics *metrics_new(const struct metric_row *rows);
struct metrics *metrics_free(struct metrics *m);

/* values: one for each label of the row (NULL counts as ""). */
void metrics_count(struct metrics *m, size_t row, const char *const *values, uint64_t by);
void metrics_observe(struct metrics *m, size_t row, const char *const *values, uint64_t us);
/* All rows in the text format of Prometheus, 0.0.4: of a row without a series its head alone. */
void metrics_print(struct metrics *m, struct strbuf *b);

/* The two lines before the values of a metric that its owner keeps elsewhere. */
void metric_head(struct strbuf *b, const char *name, const char *type, const char *help);
/* One value; labels and values in pairs, ended by NULL. Values are escaped. */
void metric_value(struct strbuf *b, const char *name, double value, ...) __attribute__((sentinel));
