/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/pg.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "base/util.h"

#define OLDEST_SERVER 130000
#define COPY_PART     65536

struct pg {
	PGconn *c;
	bool begin;  /* BEGIN goes with the next statements */
	bool broken; /* nothing can be known of it any more */
};

/* A PGresult by another name: there is no member. */
static struct pg_rows *rows_of(PGresult *r)
{
	return (struct pg_rows *)r;
}

static PGresult *result_of(const struct pg_rows *r)
{
	return (PGresult *)(uintptr_t)r;
}

const char *pg_number_text(struct pg_number *room, int64_t v)
{
	snprintf(room->s, sizeof room->s, "%" PRId64, v);
	return room->s;
}

/* --- what went wrong --- */

/* PostgreSQL 15, appendix A. */
enum err_code pg_code(const char *s)
{
	static const struct {
		const char *begins;
		enum err_code code;
	} map[] = {
		{"08", ERR_SERVICE_DOWN},    /* connection exception */
		{"57P", ERR_SERVICE_DOWN},   /* shut down, starting up */
		{"25006", ERR_SERVICE_DOWN}, /* read_only_sql_transaction: a standby */
		{"53300", ERR_SERVICE_DOWN}, /* too_many_connections */
		{"40001", ERR_BUSY}, {"40P01", ERR_BUSY}, {"55P03", ERR_BUSY},
		{"53100", ERR_DISK_FULL}, {"23", ERR_CONFLICT}, /* integrity constraint violation */
	};

	for (size_t i = 0; s && i < ARRAY_LEN(map); i++)
		if (!strncmp(s, map[i].begins, strlen(map[i].begins)))
			return map[i].code;
	return ERR_DATABASE;
}

/* The first line, without its end. */
static int say(struct err *e, enum err_code code, const char *what, const char *text)
{
	const int n = (int)strcspn(text, "\n");

	return err_set(e, code, "the plant's database: %s%s%.*s", what, *what ? ": " : "", n, text);
}

static int broken(struct pg *p, struct err *e, const char *what)
{
	p->broken = true;
	return say(e, ERR_SERVICE_DOWN, what, PQerrorMessage(p->c));
}

static int failed(const PGresult *r, struct err *e)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	/* Without a state it is libpq that says so: the connection is over. */
	return say(e, state ? pg_code(state) : ERR_SERVICE_DOWN, "",
		text ? text : PQresultErrorMessage(r));
}

/* --- bytes --- */

/* A wait that was cut off leaves answers on the way: nobody could tell later whose they are. */
static int wait_for(struct pg *p, short events, const struct iotime *it, struct err *e)
{
	int r = iotime_wait(PQsocket(p->c), events, it, e);

	if (r >= 0)
		return r;
	p->broken = true;
	return r == -ERR_TIMEOUT ? say(e, ERR_SERVICE_DOWN, "", "no answer in time") : r;
}

static int flush(struct pg *p, const struct iotime *it, struct err *e)
{
	int left;

	while ((left = PQflush(p->c)) > 0) {
		int r = wait_for(p, POLLIN | POLLOUT, it, e);

		if (r < 0)
			return r;
		/* The server may wait for us to read. */
		if (r & POLLIN && !PQconsumeInput(p->c))
			return broken(p, e, "connection lost");
	}
	return left < 0 ? broken(p, e, "connection lost") : 0;
}

/* The next result; *ret NULL at the end of a statement's. */
static int next_result(struct pg *p, PGresult **ret, const struct iotime *it, struct err *e)
{
	while (PQisBusy(p->c)) {
		int r = wait_for(p, POLLIN, it, e);

		if (r < 0)
			return r;
		if (!PQconsumeInput(p->c))
			return broken(p, e, "connection lost");
	}
	*ret = PQgetResult(p->c);
	return 0;
}

/* --- one round trip --- */

struct round {
	struct pg *p;
	const struct iotime *it;
	struct err *e;
	PGresult *last;
	int verdict; /* of the first that failed */
};

static void note_result(struct round *o, PGresult *r)
{
	ExecStatusType s = PQresultStatus(r);

	if (s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK && s != PGRES_PIPELINE_ABORTED &&
		o->verdict == 0)
		o->verdict = failed(r, o->e);
	PQclear(o->last);
	o->last = r;
}

/* Until the end of a statement's results, or that of the connection. */
static int read_until_end(struct round *o, PGresult *r)
{
	int n = 0;

	while (n == 0 && r) {
		note_result(o, r);
		if (PQstatus(o->p->c) == CONNECTION_BAD) {
			o->p->broken = true;
			return o->verdict < 0 ? o->verdict : broken(o->p, o->e, "connection lost");
		}
		n = next_result(o->p, &r, o->it, o->e);
	}
	return n;
}

static int read_rest(struct round *o)
{
	PGresult *r = NULL;
	int n = next_result(o->p, &r, o->it, o->e);

	return n < 0 ? n : read_until_end(o, r);
}

/* The results of one statement, or with `sync` the end of the round. */
static int read_one(struct round *o, bool sync)
{
	PGresult *r = NULL;
	int n = next_result(o->p, &r, o->it, o->e);

	if (n == 0 && sync) {
		bool there = r && PQresultStatus(r) == PGRES_PIPELINE_SYNC;

		PQclear(r);
		return there ? 0 : broken(o->p, o->e, "connection lost");
	}
	if (n == 0 && !r)
		return broken(o->p, o->e, "connection lost");
	return n < 0 ? n : read_until_end(o, r);
}

static bool send_one(struct pg *p, const struct pg_query *q)
{
	return PQsendQueryParams(p->c, q->sql, q->n, NULL, q->arg, NULL, NULL, 0) == 1;
}

static int send_all(struct pg *p, const struct pg_query *q, size_t n, bool begin, struct err *e)
{
	bool ok = !begin || send_one(p, &PG("BEGIN"));

	for (size_t i = 0; ok && i < n; i++)
		ok = send_one(p, &q[i]);
	return ok && PQpipelineSync(p->c) ? 0 : broken(p, e, "cannot be asked");
}

int pg_run(struct pg *p, const struct pg_query *q, size_t n, struct pg_rows **ret,
	const struct iotime *it, struct err *e)
{
	struct round o = {.p = p, .it = it, .e = e};
	const size_t all = n + p->begin;
	int r = p->broken ? say(e, ERR_SERVICE_DOWN, "", "the connection was lost")
			  : send_all(p, q, n, p->begin, e);

	p->begin = false;
	if (r == 0)
		r = flush(p, it, e);
	for (size_t i = 0; r == 0 && i <= all; i++)
		r = read_one(&o, i == all);
	if (r == 0)
		r = o.verdict;
	if (r < 0 || !ret)
		PQclear(o.last);
	else
		*ret = rows_of(o.last);
	return r;
}

void pg_begin(struct pg *p)
{
	p->begin = true;
}

int pg_commit(struct pg *p, const struct iotime *it, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r;

	if (p->begin) {
		p->begin = false;
		return 0;
	}
	r = pg_run(p, &PG("COMMIT"), 1, &rows, it, e);
	/* A transaction that had failed is rolled back by COMMIT, which is no error (15, COMMIT). */
	if (r == 0 && strcmp(PQcmdStatus(result_of(rows)), "COMMIT") != 0)
		r = say(e, ERR_DATABASE, "", "the transaction was rolled back");
	pg_rows_free(rows);
	return r;
}

void pg_rollback(struct pg *p, const struct iotime *it)
{
	if (!p->begin && !p->broken && PQtransactionStatus(p->c) != PQTRANS_IDLE &&
		pg_run(p, &PG("ROLLBACK"), 1, NULL, it, NULL) < 0)
		p->broken = true;
	p->begin = false;
}

bool pg_sound(const struct pg *p)
{
	return !p->broken && !p->begin && PQstatus(p->c) == CONNECTION_OK &&
	       PQtransactionStatus(p->c) == PQTRANS_IDLE;
}

int pg_script(struct pg *p, const char *sql, const struct iotime *it, struct err *e)
{
	struct round o = {.p = p, .it = it, .e = e};
	int r = p->begin ? pg_run(p, NULL, 0, NULL, it, e) : 0;

	if (r < 0)
		return r;
	if (!PQexitPipelineMode(p->c) || !PQsendQuery(p->c, sql))
		return broken(p, e, "cannot be asked");
	r = flush(p, it, e);
	if (r == 0)
		r = read_one(&o, false);
	PQclear(o.last);
	if (r == 0 && !PQenterPipelineMode(p->c))
		r = broken(p, e, "cannot be asked");
	return r < 0 ? r : o.verdict;
}

/* --- COPY --- */

/* libpq has no COPY in its pipeline mode (34.5.1.1). */
static int leave_pipeline(struct pg *p, const char *sql, struct err *e)
{
	return PQexitPipelineMode(p->c) && PQsendQuery(p->c, sql) ? 0
								  : broken(p, e, "cannot be asked");
}

/* Its bytes go out as the server takes them: 0 of PQputCopyData() is "not now". */
static int put_rows(
	struct pg *p, const char *rows, size_t bytes, const struct iotime *it, struct err *e)
{
	while (bytes > 0) {
		const int part = (int)MIN(bytes, (size_t)COPY_PART);
		const int put = PQputCopyData(p->c, rows, part);
		int r = put < 0 ? broken(p, e, "connection lost") : flush(p, it, e);

		if (r < 0)
			return r;
		if (put > 0) {
			rows += part;
			bytes -= (size_t)part;
		}
	}
	return 0;
}

static int end_rows(struct pg *p, const struct iotime *it, struct err *e)
{
	int put;

	while ((put = PQputCopyEnd(p->c, NULL)) == 0) {
		int r = flush(p, it, e);

		if (r < 0)
			return r;
	}
	return put < 0 ? broken(p, e, "connection lost") : flush(p, it, e);
}

int pg_copy(struct pg *p, const char *sql, const char *rows, size_t bytes, const struct iotime *it,
	struct err *e)
{
	struct round o = {.p = p, .it = it, .e = e};
	PGresult *begun = NULL;
	int r = p->broken || p->begin ? say(e, ERR_SERVICE_DOWN, "", "the connection was lost")
				      : leave_pipeline(p, sql, e);

	if (r == 0)
		r = flush(p, it, e);
	if (r == 0)
		r = next_result(p, &begun, it, e);
	if (r == 0 && PQresultStatus(begun) == PGRES_COPY_IN) {
		r = put_rows(p, rows, bytes, it, e);
		if (r == 0)
			r = end_rows(p, it, e);
	} else if (r == 0) {
		note_result(&o, begun);
		begun = NULL;
	}
	PQclear(begun);
	if (r == 0)
		r = read_rest(&o);
	PQclear(o.last);
	if (r == 0 && !PQenterPipelineMode(p->c))
		r = broken(p, e, "cannot be asked");
	return r < 0 ? r : o.verdict;
}

/* --- a connection --- */

static int check_dsn(const char *dsn, struct err *e)
{
	char *why = NULL;
	PQconninfoOption *o = PQconninfoParse(dsn, &why);
	bool ok = o != NULL;

	/* What libpq says would hold pieces of the dsn. */
	PQfreemem(why);
	PQconninfoFree(o);
	return ok ? 0
		  : err_set(e, ERR_INVALID,
			    "the database is not named as libpq has it: 'host=/run/postgresql dbname=plant' or 'postgresql://HOST/plant' expected");
}

static int connect_to(struct pg *p, const char *dsn, const struct iotime *it, struct err *e)
{
	PostgresPollingStatusType s = PGRES_POLLING_WRITING;

	p->c = PQconnectStart(dsn);
	if (!p->c)
		return err_set(e, ERR_NO_MEMORY, "connect to the plant's database");
	if (PQstatus(p->c) == CONNECTION_BAD)
		return broken(p, e, "not reached");
	while (s != PGRES_POLLING_OK) {
		int r = wait_for(p, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, it, e);

		if (r < 0)
			return r;
		s = PQconnectPoll(p->c);
		if (s == PGRES_POLLING_FAILED)
			return broken(p, e, "not reached");
	}
	return PQsetnonblocking(p->c, 1) == 0 && PQenterPipelineMode(p->c)
		       ? 0
		       : broken(p, e, "not reached");
}

/* What a commit means must not depend on how the server was set up. */
static int check_server(struct pg *p, const struct iotime *it, struct err *e)
{
	static const char session[] =
		"SELECT current_setting('fsync'), set_config('synchronous_commit', CASE WHEN"
		" current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN 'on' ELSE"
		" current_setting('synchronous_commit') END, false),"
		" set_config('statement_timeout', '20s', false),"
		" set_config('idle_in_transaction_session_timeout', '30s', false),"
		" set_config('client_min_messages', 'warning', false),"
		" current_setting('server_encoding')";
	struct pg_rows *rows = NULL;
	int r;

	if (PQserverVersion(p->c) < OLDEST_SERVER)
		return err_set(e, ERR_UNSUPPORTED,
			"the plant's database is PostgreSQL %d: 13 or newer expected",
			PQserverVersion(p->c) / 10000);
	r = pg_run(p, &PG(session), 1, &rows, it, e);
	if (r == 0 && strcmp(pg_text(rows, 0, 0), "on") != 0)
		r = err_set(e, ERR_UNSUPPORTED,
			"the plant's database has fsync off: what was taken would not outlive a power cut; set fsync = on");
	if (r == 0 && strcmp(pg_text(rows, 0, 5), "UTF8") != 0)
		r = err_set(e, ERR_UNSUPPORTED,
			"the plant's database has the encoding %s, not UTF8: make it with createdb --encoding=UTF8 --template=template0",
			pg_text(rows, 0, 5));
	pg_rows_free(rows);
	return r;
}

static void no_notice(void *data, const PGresult *r)
{
}

int pg_open(const char *dsn, const struct iotime *it, struct pg **ret, struct err *e)
{
	struct pg *p = xcalloc(1, sizeof *p);
	int r = check_dsn(dsn, e);

	if (r == 0)
		r = connect_to(p, dsn, it, e);
	if (r == 0) {
		PQsetNoticeReceiver(p->c, no_notice, NULL);
		r = check_server(p, it, e);
	}
	if (r < 0) {
		pg_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct pg *pg_free(struct pg *p)
{
	if (!p)
		return NULL;
	if (p->c)
		PQfinish(p->c);
	free(p);
	return NULL;
}

/* --- rows --- */

int pg_count(const struct pg_rows *r)
{
	return PQntuples(result_of(r));
}

int64_t pg_changed(const struct pg_rows *r)
{
	return strtoll(PQcmdTuples(result_of(r)), NULL, 10);
}

const char *pg_text(const struct pg_rows *r, int row, int column)
{
	return PQgetisnull(result_of(r), row, column) ? NULL
						      : PQgetvalue(result_of(r), row, column);
}

int64_t pg_int(const struct pg_rows *r, int row, int column)
{
	const char *s = pg_text(r, row, column);

	return s ? strtoll(s, NULL, 10) : 0;
}

bool pg_true(const struct pg_rows *r, int row, int column)
{
	const char *s = pg_text(r, row, column);

	return s && *s == 't';
}

struct pg_rows *pg_rows_free(struct pg_rows *r)
{
	if (r)
		PQclear(result_of(r));
	return NULL;
}
