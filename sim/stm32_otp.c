/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/stm32_otp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

#define COUNT_BYTES 4

static void keep(struct stm32_otp *o)
{
	uint8_t file[STM32_OTP_BYTES + COUNT_BYTES];
	struct wbytes w = wbytes_of(file, sizeof file);

	wb_put(&w, o->cell, sizeof o->cell);
	wb_le32(&w, o->writes);
	if (o->fd >= 0 && pwrite(o->fd, file, sizeof file, 0) != (ssize_t)sizeof file)
		closep(&o->fd), o->fd = -1; /* a full disk: the test sees the old content */
}

static int load(struct stm32_otp *o, const char *dir, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/otp", dir);
	uint8_t file[STM32_OTP_BYTES + COUNT_BYTES];
	struct rbytes in = rbytes_of(file, sizeof file);

	o->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (o->fd < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if (pread(o->fd, file, sizeof file, 0) != (ssize_t)sizeof file)
		return 0;
	memcpy(o->cell, rb_take(&in, sizeof o->cell), sizeof o->cell);
	o->writes = rb_le32(&in);
	return 0;
}

int stm32_otp_new(const char *dir, struct stm32_otp **ret, struct err *e)
{
	_cleanup_(stm32_otp_freep) struct stm32_otp *o = xcalloc(1, sizeof *o);
	int r;

	o->fd = -1;
	memset(o->cell, 0xff, sizeof o->cell);
	r = dir ? load(o, dir, e) : 0;
	if (r == 0)
		*ret = steal_ptr(&o);
	return r;
}

struct stm32_otp *stm32_otp_free(struct stm32_otp *o)
{
	if (o) {
		closep(&o->fd);
		free(o);
	}
	return NULL;
}

bool stm32_otp_holds(uint32_t address, size_t n)
{
	return address >= STM32_OTP_BASE && n <= STM32_OTP_BYTES &&
	       address - STM32_OTP_BASE <= STM32_OTP_BYTES - n;
}

/* The lock bytes lock the blocks, not themselves. */
static bool is_locked(const struct stm32_otp *o, size_t at)
{
	size_t block = at / STM32_OTP_BLOCK;

	return block < STM32_OTP_LOCKS && o->cell[STM32_OTP_LOCKS * STM32_OTP_BLOCK + block] == 0;
}

bool stm32_otp_write(struct stm32_otp *o, uint32_t address, const uint8_t *p, size_t n)
{
	size_t at = address - STM32_OTP_BASE;

	for (size_t i = 0; i < n; i++)
		if (is_locked(o, at + i))
			return false;
	for (size_t i = 0; i < n; i++)
		o->cell[at + i] &= p[i];
	o->writes++;
	keep(o);
	return true;
}
