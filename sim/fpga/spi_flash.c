/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fpga/spi_flash.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sim/fpga/tap.h"

#define WRITE_ENABLE  0x06
#define WRITE_DISABLE 0x04
#define READ_STATUS   0x05
#define READ	      0x03
#define FAST_READ     0x0b
#define PAGE_PROGRAM  0x02
#define ERASE_4K      0x20
#define ERASE_64K     0xd8
#define ERASE_ALL     0xc7
#define READ_ID	      0x9f
#define STATUS_WEL    0x02
#define PAGE_BYTES    256u

static const uint8_t jedec_id[] = {0xef, 0x40, 0x17, 0x00};

/* The cells are a file, so that a test sees what is in them; without a folder they are memory. */
static uint8_t *cells(const char *file)
{
	_cleanup_(closep) int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	struct stat st = {0};
	uint8_t *cell = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0 && ftruncate(fd, SPI_FLASH_BYTES) == 0)
		cell = mmap(NULL, SPI_FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (cell == MAP_FAILED)
		cell = mmap(NULL, SPI_FLASH_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cell == MAP_FAILED)
		abort();
	if (st.st_size != SPI_FLASH_BYTES)
		memset(cell, 0xff, SPI_FLASH_BYTES);
	return cell;
}

void spi_flash_init(struct spi_flash *f, const struct device_config *c, const char *name)
{
	_cleanup_(freep) char *file = c->dir ? xasprintf("%s/%s.spi", c->dir, name) : NULL;

	*f = (struct spi_flash){.cell = cells(file), .faults = c->faults};
}

void spi_flash_done(struct spi_flash *f)
{
	munmap(f->cell, SPI_FLASH_BYTES);
	*f = (struct spi_flash){0};
}

static uint32_t address(const struct spi_flash *f)
{
	return (uint32_t)(f->in[1] << 16 | f->in[2] << 8 | f->in[3]) % SPI_FLASH_BYTES;
}

/* What goes out while byte n comes in. */
static uint8_t answer(const struct spi_flash *f)
{
	size_t n = f->n;

	if (n == 0)
		return 0xff;
	switch (f->in[0]) {
	case READ_ID:
		return n - 1 < sizeof jedec_id ? jedec_id[n - 1] : 0;
	case READ_STATUS:
		return f->enabled ? STATUS_WEL : 0;
	case READ:
		return n >= 4 ? f->cell[(address(f) + n - 4) % SPI_FLASH_BYTES] : 0xff;
	case FAST_READ:
		return n >= 5 ? f->cell[(address(f) + n - 5) % SPI_FLASH_BYTES] : 0xff;
	default:
		return 0xff;
	}
}

void spi_flash_select(struct spi_flash *f)
{
	f->n = f->bits = 0;
	f->shift_out = answer(f);
}

bool spi_flash_clock(struct spi_flash *f, bool mosi)
{
	f->shift_in = (uint8_t)(f->shift_in << 1 | mosi);
	if (++f->bits % 8) {
		f->shift_out = (uint8_t)(f->shift_out << 1);
		return f->shift_out & 0x80;
	}
	if (f->n < sizeof f->in)
		f->in[f->n] = f->shift_in;
	f->n++;
	f->shift_out = answer(f);
	return f->shift_out & 0x80;
}

static void erase(struct spi_flash *f, uint32_t from, uint32_t n)
{
	if (!f->enabled)
		return;
	f->erased += n;
	if (!own_fault_set(f->faults, NO_ERASE, NULL))
		memset(f->cell + from / n * n, 0xff, n);
}

static void program(struct spi_flash *f)
{
	uint32_t base = address(f) / PAGE_BYTES * PAGE_BYTES;
	size_t n = MIN(f->n, sizeof f->in);
	double bad;

	for (size_t i = 4; f->enabled && i < n; i++) {
		f->cell[base + (address(f) + i - 4) % PAGE_BYTES] &= f->in[i];
		f->written++;
	}
	if (own_fault_set(f->faults, BAD_CELL, &bad) && base <= bad && bad < base + PAGE_BYTES)
		f->cell[(uint32_t)bad] &= 0xfe;
}

void spi_flash_deselect(struct spi_flash *f)
{
	size_t n = f->n;

	if (n == 0)
		return;
	switch (f->in[0]) {
	case WRITE_ENABLE:
		f->enabled = true;
		break;
	case WRITE_DISABLE:
		f->enabled = false;
		break;
	case PAGE_PROGRAM:
	case ERASE_4K:
	case ERASE_64K:
	case ERASE_ALL:
		if (f->in[0] == PAGE_PROGRAM && n > 4)
			program(f);
		else if (f->in[0] == ERASE_ALL)
			erase(f, 0, SPI_FLASH_BYTES);
		else if (n == 4)
			erase(f, address(f), f->in[0] == ERASE_4K ? 4096 : 65536);
		f->enabled = false;
		break;
	default:
		break;
	}
	f->n = 0;
}
