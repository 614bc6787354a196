/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_impl.h"

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/services.h"
#include "db/writer.h"

/* The same sentence again and again says nothing. */
void cfx_log_once(char trouble[ERR_TEXT_BYTES], const char *text)
{
	if (strcmp(trouble, text) != 0)
		log_warning("cfx: %s", text);
	snprintf(trouble, ERR_TEXT_BYTES, "%s", text);
}

/* --- rows under way --- */

void cfx_free_told(struct told *t)
{
	struct told **p = &t->target->told;

	while (*p != t)
		p = &(*p)->next_told;
	*p = t->next_told;
	t->target->tolds--;
	json_decref(t->event);
	json_decref(t->messages);
	free(t->row.body);
	free(t);
}

/* What was unsettled has no end any more: the rows are sent again. */
void cfx_unlink(struct cfx *c, struct target *t)
{
	if (t->link)
		amqp_unlink(c->amqp, t->link);
	t->link = NULL;
	t->greeted = false;
	while (t->told)
		cfx_free_told(t->told);
}

void cfx_disconnect(struct cfx *c)
{
	for (size_t i = 0; i < c->targets; i++)
		cfx_unlink(c, c->target[i]);
	c->amqp = amqp_free(c->amqp);
}
/* --- what came of a row --- */

static int apply_ends(struct db *tx, void *data, struct err *e)
{
	const struct cfx *c = data;
	const struct delivery_end *end[CFX_ENDS];

	for (size_t i = 0; i < c->ends; i++)
		end[i] = &c->ended[i].end;
	return webhooks_end(tx, end, c->ends, e);
}

void cfx_forget_ends(struct cfx *c)
{
	while (c->ends > 0)
		free(c->ended[--c->ends].message);
}

/* Before rows are asked for again. */
int cfx_record(struct cfx *c, struct err *e)
{
	int r = c->ends ? writer_do(c->line->writer, apply_ends, c, e) : 0;

	cfx_forget_ends(c);
	return r;
}

static struct delivery_end end_of(const struct cfx *c, int64_t n)
{
	return (struct delivery_end){.n = n,
		.key = "cfx",
		.give_up_ms = (int64_t)(c->config->cfx.give_up_us / US_PER_MS)};
}

static int note_end(struct cfx *c, const struct target *t, const struct delivery_end *end,
	const struct err *why, struct err *e)
{
	struct ended *to = &c->ended[c->ends++];

	*to = (struct ended){.end = *end, .message = why ? xstrdup(why->msg) : NULL};
	snprintf(to->webhook, sizeof to->webhook, "%s", t->row.id);
	to->end.webhook = to->webhook;
	to->end.message = to->message;
	return c->ends == CFX_ENDS ? cfx_record(c, e) : 0;
}

/* Nobody is there to take the row: the address is tried later, and the row stays where it is. */
int cfx_not_there(
	struct cfx *c, struct target *t, const char *code, const struct err *why, struct err *e)
{
	json_t *none = json_array();
	struct delivery row = {0};
	struct delivery_end end;
	size_t n = 0;
	int r = webhooks_due(c->db, t->row.id, none, 1, &row, &n, e);

	json_decref(none);
	free(row.body);
	cfx_log_once(t->trouble, why->msg);
	end = end_of(c, row.n);
	end.code = code;
	retries_not_there(&t->retries, &end, now_us());
	return r < 0 || n == 0 ? r : note_end(c, t, &end, why, e);
}

int cfx_not_taken(
	struct cfx *c, struct told *t, const char *code, const struct err *why, struct err *e)
{
	struct target *target = t->target;
	struct delivery_end end = end_of(c, t->row.n);

	cfx_log_once(target->trouble, why->msg);
	end.code = code;
	retries_not_taken(&target->retries, &end, t->row.attempts, t->begun_us, 0);
	cfx_free_told(t);
	return note_end(c, target, &end, why, e);
}

int cfx_taken(struct cfx *c, struct told *t, struct err *e)
{
	struct target *target = t->target;
	struct delivery_end end = end_of(c, t->row.n);

	end.done = true;
	retries_taken(&target->retries, t->row.n);
	target->trouble[0] = 0;
	cfx_free_told(t);
	return note_end(c, target, &end, NULL, e);
}
