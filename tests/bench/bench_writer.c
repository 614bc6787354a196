/* SPDX-License-Identifier: Apache-2.0
 *
 * Durable step records per second with 64 threads that each wait for their own record: group commit
 * against one commit per record. bench_writer [SECONDS [DIRECTORY]]
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "db/runs.h"
#include "db/writer.h"

#define THREADS 64

struct worker {
	pthread_t thread;
	struct writer *w;
	uint64_t until_us;
	uint64_t steps;
	uint64_t worst_us;
	char run[24];
	int64_t n;
	int failed;
};

static int open_one(struct db *tx, void *data, struct err *e)
{
	struct worker *k = data;
	struct run_new r = {.id = k->run, .station = "bench", .attached_ms = 1};

	return runs_open(tx, &r, e);
}

/* What one step of a recipe costs: its row with evidence, and its event. */
static int record_step(struct db *tx, void *data, struct err *e)
{
	struct worker *k = data;
	struct step_begin b = {
		.run = k->run,
		.n = k->n,
		.id = "flash-application",
		.action = "serialboot.flash",
		.phase = "steps",
		.attempt = 1,
		.started_ms = k->n,
	};

	return runs_step_begin(tx, &b, e);
}

static void *work(void *arg)
{
	struct worker *k = arg;
	uint64_t t = now_us();

	while (t < k->until_us) {
		k->n++;
		if (writer_do(k->w, record_step, k, NULL) < 0) {
			k->failed = 1;
			break;
		}

		uint64_t end = now_us();

		k->worst_us = MAX(k->worst_us, end - t);
		k->steps++;
		t = end;
	}
	return NULL;
}

static int start_all(struct worker *k, struct writer *w, uint64_t us, struct err *e)
{
	for (int i = 0; i < THREADS; i++) {
		k[i] = (struct worker){.w = w};
		snprintf(k[i].run, sizeof k[i].run, "run-%d", i);

		int r = writer_do(w, open_one, &k[i], e);

		if (r < 0)
			return r;
	}
	for (int i = 0; i < THREADS; i++) {
		k[i].until_us = now_us() + us;

		int r = thread_start(&k[i].thread, "bench", work, &k[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int measure(const char *dir, bool single, uint64_t us, double *ret, struct err *e)
{
	static struct worker k[THREADS];
	char path[PATH_MAX];
	struct db *db = NULL;
	struct writer *w = NULL;
	struct writer_opts o = {.one_commit_per_record = single};
	uint64_t t = now_us();
	uint64_t steps = 0;
	uint64_t worst = 0;
	uint64_t commits;
	uint64_t tickets;

	snprintf(path, sizeof path, "%s/%s.db", dir, single ? "single" : "group");

	int r = db_open(path, &db, e);

	if (r == 0)
		r = writer_new(db, &o, &w, e);
	if (r == 0)
		r = start_all(k, w, us, e);
	if (r < 0)
		return r;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(k[i].thread, NULL);
		steps += k[i].steps;
		worst = MAX(worst, k[i].worst_us);
		if (k[i].failed)
			return err_set(e, ERR_INTERNAL, "a record failed");
	}
	t = now_us() - t;
	writer_stats(w, &commits, &tickets);
	writer_free(w);
	*ret = (double)steps * 1e6 / (double)t;
	printf("%-22s %9.0f steps/s  %6.1f a commit  worst wait %.1f ms\n",
		single ? "one commit per record" : "group commit", *ret,
		(double)tickets / (double)commits, (double)worst / 1000);
	return 0;
}

static void remove_dir(const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *f; d && (f = readdir(d));) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	uint64_t us = (uint64_t)(argc > 1 ? atof(argv[1]) * 1e6 : 3e6);
	char dir[PATH_MAX];
	double group = 0;
	double single = 0;
	struct err e = {0};

	snprintf(dir, sizeof dir, "%s/bench_writer_XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
	if (!mkdtemp(dir)) {
		perror(dir);
		return EXIT_FAILURE;
	}

	int r = measure(dir, true, us, &single, &e);

	if (r == 0)
		r = measure(dir, false, us, &group, &e);
	remove_dir(dir);
	if (r < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return EXIT_FAILURE;
	}
	printf("ratio                  %9.1f\n", group / single);
	return EXIT_SUCCESS;
}
