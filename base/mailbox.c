/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "base/util.h"

struct mailbox {
	struct mutex lock;
	size_t capacity;
	size_t count; /* under lock */
	size_t head;  /* under lock */
	int fd;
	void (*free_item)(void *);
	void *slot[];
};

int mailbox_new(size_t capacity, void (*free_item)(void *), struct mailbox **ret, struct err *e)
{
	struct mailbox *m = xcalloc(1, sizeof *m + capacity * sizeof m->slot[0]);

	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0) {
		free(m);
		return err_errno(e, ERR_IO, errno, "eventfd");
	}
	mutex_init(&m->lock);
	m->capacity = capacity;
	m->free_item = free_item;
	*ret = m;
	return 0;
}

struct mailbox *mailbox_free(struct mailbox *m)
{
	if (!m)
		return NULL;
	for (void *item; (item = mailbox_take(m));)
		if (m->free_item)
			m->free_item(item);
	close(m->fd);
	mutex_done(&m->lock);
	free(m);
	return NULL;
}

int mailbox_post(struct mailbox *m, void *item, struct err *e)
{
	mutex_lock(&m->lock);
	if (m->count == m->capacity) {
		mutex_unlock(&m->lock);
		return err_set(e, ERR_OVERLOADED, "mailbox full (%zu items)", m->capacity);
	}
	m->slot[(m->head + m->count++) % m->capacity] = item;
	if (m->count == 1)
		eventfd_write(m->fd, 1);
	mutex_unlock(&m->lock);
	return 0;
}

int mailbox_fd(const struct mailbox *m)
{
	return m->fd;
}

void *mailbox_take(struct mailbox *m)
{
	void *item = NULL;

	mutex_lock(&m->lock);
	if (m->count > 0) {
		item = m->slot[m->head];
		m->head = (m->head + 1) % m->capacity;
		if (--m->count == 0) {
			eventfd_t v;

			eventfd_read(m->fd, &v);
		}
	}
	mutex_unlock(&m->lock);
	return item;
}

int mailbox_wait(struct mailbox *m, const struct iotime *it, void **ret, struct err *e)
{
	for (;;) {
		void *item = mailbox_take(m);

		if (item) {
			*ret = item;
			return 0;
		}

		int r = iotime_wait(m->fd, POLLIN, it, e);

		if (r < 0)
			return r;
	}
}
