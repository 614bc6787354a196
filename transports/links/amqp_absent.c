/* SPDX-License-Identifier: Apache-2.0
 *
 * In the place of amqp.c where the library was not there, or not wanted (meson option `cfx`): there is no
 * connection, and so nothing that belongs to one.
 */
#include "transports/links/amqp.h"

bool amqp_built(void)
{
	return false;
}

int amqp_open(const struct amqp_peer *p, const struct iotime *it, struct amqp **ret, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		"this provd was built without AMQP: build it with libqpid-proton11-dev and -Dcfx=enabled");
}

struct amqp *amqp_free(struct amqp *a)
{
	return NULL;
}

struct amqp_link *amqp_link(struct amqp *a, const char *address)
{
	return NULL;
}

size_t amqp_room(const struct amqp_link *l)
{
	return 0;
}

bool amqp_detached(const struct amqp_link *l, struct err *e)
{
	return false;
}

void amqp_unlink(struct amqp *a, struct amqp_link *l)
{
}

int amqp_send(struct amqp_link *l, const struct amqp_message *m, void *data, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "this provd was built without AMQP");
}

bool amqp_next(struct amqp *a, struct amqp_sent *ret)
{
	return false;
}

int amqp_wait(struct amqp *a, int wake_fd, const struct iotime *it, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "this provd was built without AMQP");
}

struct amqp_link *amqp_receiver(struct amqp *a, const char *source, const char *target)
{
	return NULL;
}

void amqp_stop(struct amqp_link *l)
{
}

bool amqp_attached(const struct amqp_link *l)
{
	return false;
}

void amqp_received_done(struct amqp_received *m)
{
}

bool amqp_take(struct amqp *a, struct amqp_received *ret)
{
	return false;
}
