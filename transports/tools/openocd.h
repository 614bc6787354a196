/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenOCD as a program for one job: started, supervised, judged by what it says, gone. Nothing of
 * it outlives the call. Facts: OpenOCD User's Guide 0.12.0 and what that version prints.
 *
 *	run directory (private, cwd and HOME of the program)
 *	  i0.hex i1.hex ...   the images, written here in a canonical form under names of our own
 *	  o0.bin o1.bin ...   what was read from the target
 *	openocd -f INTERFACE -f TARGET -c "gdb_port disabled" ... -c JOB
 *
 * OpenOCD's own language is Tcl: no text of a caller reaches the command line before it was held
 * against a list of allowed characters, except the commands that a recipe itself states.
 *
 * A job has passed as any foreign program has (transports/tools/tool.h), and when the bytes that it
 * says it wrote, verified or read are those of the job: OpenOCD ends with 0 though it skipped a
 * section that lies outside of every flash bank, or though the chip has another IDCODE.
 *
 * One job belongs to one worker; two jobs at once share nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "transports/images/image.h"
#include "transports/tools/tool.h"

#define OPENOCD_IMAGES_MAX   8
#define OPENOCD_SETUP_MAX    16
#define OPENOCD_COMMANDS_MAX 32
#define OPENOCD_LINES_MAX    32 /* kept of each kind */
#define OPENOCD_READ_MAX     (64ull * 1024 * 1024)

/* Which probe and which target. Strings are borrowed; absent ones are NULL. */
struct openocd_probe {
	const char *program;   /* NULL: "openocd" out of PATH */
	const char *work_dir;  /* where its run directory is made; NULL: /tmp */
	const char *interface; /* "stlink", "ftdi/jtag-lock-pick", "interface/x.cfg", "/etc/x.cfg";
				  with `bitbang_host` none */
	const char *target;    /* "stm32f1x", "board/x.cfg", "/etc/x.cfg" */
	const char *serial;    /* `adapter serial` */
	const char *location;  /* "1-1.4": `adapter usb location` */
	const char *transport; /* "swd", "jtag", "hla_swd", ... */
	const char *bitbang_host; /* a probe that speaks remote_bitbang over TCP */
	uint16_t bitbang_port;
	uint32_t speed_khz; /* 0: as the configuration says */
	bool has_work_area;
	uint64_t work_area_bytes; /* WORKAREASIZE of the target file */
	const char *const *setup; /* Tcl of the recipe, before init; NULL-terminated or NULL */
	bool gdb;		  /* it serves GDB's protocol as well (openocd_server_gdb()) */
};

enum openocd_kind {
	OPENOCD_PROGRAM, /* `program FILE verify [reset] exit` of the first image */
	OPENOCD_FLASH,	 /* flash write_image erase, verify_image of each image */
	OPENOCD_VERIFY,	 /* verify_image of each image */
	OPENOCD_DUMP,	 /* dump_image of address and size */
	OPENOCD_ERASE,	 /* flash erase_address, or every sector of `bank`; read back to be blank */
	OPENOCD_COMMAND	 /* the recipe's own */
};

enum openocd_enter { OPENOCD_RESET_INIT, OPENOCD_RESET_HALT, OPENOCD_HALT, OPENOCD_AS_IT_IS };
enum openocd_leave { OPENOCD_RESET_RUN, OPENOCD_RESUME, OPENOCD_LEAVE };

struct openocd_job {
	enum openocd_kind kind;
	enum openocd_enter enter; /* not of OPENOCD_PROGRAM */
	enum openocd_leave leave; /* OPENOCD_PROGRAM: reset, or anything else for no reset */
	const struct image *image[OPENOCD_IMAGES_MAX];
	size_t images;
	bool read_back; /* FLASH, VERIFY: the bytes are read into our hands and compared here, too
			 */
	uint64_t address, size;		  /* DUMP, ERASE */
	uint8_t erased;			  /* ERASE: what a blank cell reads as */
	const char *const *command;	  /* COMMAND: NULL-terminated Tcl */
	const char *const *expect;	  /* COMMAND: patterns; each has to match a line */
	const struct secret_set *secrets; /* masked in all that leaves; may be NULL */
};

/* What its lines mean; ends with a NULL pattern. */
extern const struct tool_rule openocd_rules[];

struct openocd_result {
	struct tool_outcome tool;      /* program, version and so on */
	char *line[OPENOCD_LINES_MAX]; /* what proves it, as it was printed, escaped */
	size_t lines;
	char *warning[OPENOCD_LINES_MAX]; /* allowed, but to be said in the record */
	size_t warnings;
	uint64_t written, verified;    /* bytes, as OpenOCD counts them (padding included) */
	uint8_t *read;		       /* DUMP: size bytes */
	char sha256_image[SHA256_HEX]; /* of all images' bytes, in their order */
	char sha256_read[SHA256_HEX];  /* of what was read back, "" where nothing was */
	uint64_t image_bytes;
};

/* Runs one job. 0 where it passed. Progress: the phases are "connect", "program", "verify", "read"
 * and "reset"; OpenOCD gives no percentage, so that `done` is what was finished before the phase,
 * in bytes. *ret is filled as far as it came in any case: free it with
 * openocd_result_done().
 *  -ERR_RECIPE_INVALID  a name or serial number with characters that are not allowed, a command
 *                       that OpenOCD does not know, a configuration file that is not there
 *  -ERR_TOOL_MISSING    there is no such program
 *  -ERR_TOOL_FAILED     it failed, and no rule knows why
 *  -ERR_NO_EVIDENCE     it ended well, and did not say what it says when it did the work
 *  and the codes of openocd_rules */
int openocd_run(const struct openocd_probe *p, const struct openocd_job *j,
	const struct teller *tell, const struct iotime *it, struct openocd_result *ret,
	struct err *e);
void openocd_result_done(struct openocd_result *r);

/* Whether a text may become a word of OpenOCD's command line as it is: [A-Za-z0-9_./:+-], not
 * empty, no ".." and no '-' in front, at most 200 bytes. */
bool openocd_word_ok(const char *s);
