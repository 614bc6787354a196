/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/fpga.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tools/fpga_impl.h"

/* UG470, table 5-28. */
#define XC7_CRC_ERROR (1u << 0)
#define XC7_EOS	      (1u << 4)
#define XC7_DONE      (1u << 14)
#define XC7_ID_ERROR  (1u << 15)
/* FPGA-TN-02039, table 4.3. */
#define LATTICE_DONE	    (1u << 8)
#define LATTICE_FAIL	    (1u << 13)
#define LATTICE_ERROR_SHIFT 23

static const struct {
	enum fpga_family family;
	enum fpga_format format;
	bool flash;
	enum fpga_way way;
} ways[] = {
	{FPGA_XC7, FPGA_XILINX_BIT, false, FPGA_WAY_PLD},
	{FPGA_XC7, FPGA_XILINX_BIT, true, FPGA_WAY_SPI},
	{FPGA_XC7, FPGA_BIN, true, FPGA_WAY_SPI},
	{FPGA_XC7, FPGA_MCS, true, FPGA_WAY_SPI},
	{FPGA_ECP5, FPGA_LATTICE_BIT, false, FPGA_WAY_SRAM},
	{FPGA_ECP5, FPGA_LATTICE_BIT, true, FPGA_WAY_SPI},
	{FPGA_ECP5, FPGA_BIN, true, FPGA_WAY_SPI},
	{FPGA_ECP5, FPGA_MCS, true, FPGA_WAY_SPI},
	{FPGA_MACHXO2, FPGA_LATTICE_BIT, false, FPGA_WAY_SRAM},
	{FPGA_MACHXO2, FPGA_JED, true, FPGA_WAY_JED},
};

int fpga_way(const struct fpga_file *f, const struct fpga_part *p, bool flash, enum fpga_way *ret,
	struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (ways[i].family == p->family && ways[i].format == f->format &&
			ways[i].flash == flash) {
			*ret = ways[i].way;
			return 0;
		}
	if (f->format == FPGA_SVF && p->family != FPGA_OTHER) {
		*ret = FPGA_WAY_SVF;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
		"%s cannot go into the %s of %s (%s) so that anything proves it: give an .svf file with comparisons%s",
		fpga_format_name(f->format), flash ? "flash" : "SRAM", p->name,
		fpga_family_name(p->family),
		p->family == FPGA_MACHXO2   ? ", or a .jed file for the flash"
		: p->family == FPGA_CYCLONE ? ""
					    : ", or a .bit file");
}

bool fpga_way_is_openocd(enum fpga_way w)
{
	return w == FPGA_WAY_PLD || w == FPGA_WAY_SVF;
}

/* --- what was seen --- */

bool fpga_number_in(const char *line, uint32_t *ret)
{
	const char *at = strrchr(line, 'x');
	const char *space = strrchr(line, ' ');
	char *end;
	unsigned long v;

	at = at && at > line && at[-1] == '0' ? at + 1 : space ? space + 1 : line;
	if (!isxdigit((unsigned char)*at))
		return false;
	v = strtoul(at, &end, 16);
	if (end - at != 8)
		return false;
	*ret = (uint32_t)v;
	return true;
}

void fpga_saw(struct fpga_run *x, uint32_t idcode)
{
	struct fpga_result *r = x->result;

	if (r->idcodes == ARRAY_LEN(r->idcode))
		return;
	memmove(r->idcode + 1, r->idcode, r->idcodes * sizeof *r->idcode);
	r->idcode[0] = idcode;
	r->idcodes++;
}

int fpga_chain_judge(const struct fpga_chain *c, const uint32_t *idcode, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (idcode[i] == 0 || idcode[i] == FPGA_ALL_ONES)
			return err_set(e, ERR_JTAG_STUCK,
				"device %zu of the JTAG chain (from TDI) has IDCODE 0x%08x: TDO is stuck (is the unit powered and seated?)",
				i + 1, idcode[i]);
	if (n != c->n)
		return err_set(e, ERR_JTAG_CHAIN,
			"the JTAG chain has %zu device%s, %zu expected: nothing was loaded (see the list in the evidence)",
			n, n == 1 ? "" : "s", c->n);
	for (size_t i = 0; i < n; i++) {
		const char *known = fpga_part_name(idcode[i]);

		if (!fpga_part_has(&c->part[i], idcode[i]))
			return err_set(e, ERR_WRONG_DEVICE,
				"device %zu of the JTAG chain (from TDI) has IDCODE 0x%08x%s%s%s, %s (0x%08x) expected: nothing was loaded",
				i + 1, idcode[i], known ? " (" : "", known ? known : "",
				known ? ")" : "", c->part[i].name, c->part[i].idcode);
	}
	return 0;
}

static int xc7_judge(uint32_t status, struct err *e)
{
	if (status & XC7_ID_ERROR)
		return err_set(e, ERR_NOT_CONFIGURED,
			"the FPGA refused the configuration: it is for another part (status 0x%08x, ID_ERROR)",
			status);
	if (status & XC7_CRC_ERROR)
		return err_set(e, ERR_NOT_CONFIGURED,
			"the FPGA refused the configuration: a sum was wrong (status 0x%08x, CRC_ERROR)",
			status);
	if (!(status & XC7_DONE) || !(status & XC7_EOS))
		return err_set(e, ERR_NOT_CONFIGURED,
			"the FPGA did not come up: DONE is low (status 0x%08x): look at its supplies and mode pins",
			status);
	return 0;
}

static int lattice_judge(uint32_t status, struct err *e)
{
	static const char *const errors[] = {
		"none", "ID", "command", "CRC", "preamble", "abort", "overflow", "SDM"};
	unsigned error = status >> LATTICE_ERROR_SHIFT & 7;

	if (error || (status & LATTICE_FAIL))
		return err_set(e, ERR_NOT_CONFIGURED,
			"the device refused the configuration (status 0x%08x, error: %s)", status,
			errors[error]);
	if (!(status & LATTICE_DONE))
		return err_set(e, ERR_NOT_CONFIGURED,
			"the device did not come up: DONE is low (status 0x%08x): look at its supplies and mode pins",
			status);
	return 0;
}

int fpga_status_judge(const struct fpga_part *p, uint32_t status, struct err *e)
{
	switch (p->family) {
	case FPGA_XC7:
		return xc7_judge(status, e);
	case FPGA_ECP5:
	case FPGA_MACHXO2:
		return lattice_judge(status, e);
	case FPGA_CYCLONE:
	case FPGA_OTHER:
		break;
	}
	return 0;
}

/* --- the run --- */

static int write_image(const struct fpga_run *x, struct err *e)
{
	static const char *const names[] = {[FPGA_WAY_PLD] = "image.bit",
		[FPGA_WAY_SVF] = "image.svf",
		[FPGA_WAY_SRAM] = "image.bit",
		[FPGA_WAY_JED] = "image.jed",
		[FPGA_WAY_SPI] = "image.bin"};
	const struct fpga_file *f = x->job->file;
	bool data = x->job->way == FPGA_WAY_SPI;

	return tool_dir_write(x->dir, names[x->job->way], data ? f->data : x->job->bytes,
		data ? f->len : x->job->n, NULL, e);
}

static int look(struct fpga_run *x, struct err *e)
{
	int r = fpga_way_is_openocd(x->job->way) ? fpga_openocd_look(x, e) : fpga_loader_look(x, e);

	/* What the program makes of a chain that it does not know matters less than what it saw of it. */
	if (x->zeroes || x->ones)
		return err_set(e, ERR_JTAG_STUCK,
			"nothing answers on the JTAG chain, TDO is always %d: is the unit powered and seated?",
			x->ones);
	if (x->result->idcodes == 0)
		return r < 0 ? r
			     : err_set(e, ERR_NO_EVIDENCE,
				       "the program did not say which devices the JTAG chain has");
	return fpga_chain_judge(x->job->chain, x->result->idcode, x->result->idcodes, e);
}

/* The same chain once more: OpenOCD prints what its memory holds as a status where the probe was lost meanwhile, and such
 * bits may be any. */
static int look_again(struct fpga_run *x, struct err *e)
{
	struct tool_outcome first = x->result->look;
	int r;

	x->result->look = (struct tool_outcome){0};
	x->result->idcodes = 0;
	x->zeroes = x->ones = x->after = false;
	r = look(x, e);
	tool_outcome_done(&x->result->look);
	x->result->look = first;
	if (r == -ERR_PORT_UNBOUND || r == -ERR_TOOL_FAILED || r == -ERR_NO_EVIDENCE)
		return err_set(e, ERR_DEVICE_GONE,
			"after the work nothing answers where the chain was: the probe was lost, and nothing is known of the device; plug it in and load again");
	return r < 0 ? (err_prefix(e, "after the work"), r) : 0;
}

/* What the work says of the device counts where the device is still there. */
static int work(struct fpga_run *x, struct err *e)
{
	struct err gone;
	int again, r = fpga_way_is_openocd(x->job->way) ? fpga_openocd_work(x, e)
							: fpga_loader_work(x, e);

	if (r < 0 && r != -ERR_NOT_CONFIGURED && r != -ERR_TDO_MISMATCH)
		return r;
	again = look_again(x, &gone);
	if (again < 0)
		*e = gone;
	return again < 0 ? again : r;
}

static int compare(struct fpga_run *x, struct err *e)
{
	const struct fpga_file *f = x->job->file;
	_cleanup_(freep) uint8_t *back = malloc(f->len);
	int r = back ? fpga_loader_read(x, back, f->len, e)
		     : err_set(e, ERR_NO_MEMORY, "read back");

	if (r < 0)
		return r;
	sha256_hex_of(back, f->len, x->result->sha256_read);
	for (size_t i = 0; i < f->len; i++)
		if (back[i] != f->data[i])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"the flash holds 0x%02x at 0x%zx, 0x%02x was written", back[i],
				x->job->offset + i, f->data[i]);
	return 0;
}

int fpga_run(const struct fpga_probe *p, const struct fpga_job *j, const struct tool_dir *d,
	struct fpga_result *ret, const struct iotime *it, struct err *e)
{
	struct fpga_run x = {.probe = p, .job = j, .dir = d, .result = ret, .it = it};
	int r;

	*ret = (struct fpga_result){0};
	teller_progress(j->tell, "look", 0, 3);
	r = look(&x, e);
	if (r == 0)
		r = write_image(&x, e);
	if (r < 0)
		return r;
	teller_progress(j->tell, "load", 1, 3);
	r = work(&x, e);
	if (r < 0 || j->way != FPGA_WAY_SPI)
		return r;
	teller_progress(j->tell, "read", 2, 3);
	return compare(&x, e);
}

void fpga_result_done(struct fpga_result *r)
{
	tool_outcome_done(&r->look);
	tool_outcome_done(&r->work);
	tool_outcome_done(&r->read);
}
