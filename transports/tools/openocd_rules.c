/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of OpenOCD 0.11 and 0.12: src/jtag/drivers, src/target, src/flash/nor,
 * src/flash/startup.tcl and src/server, and for `hla_*` those of src/jtag/hla.
 */
#include "transports/tools/openocd.h"

#define NO_PROBE \
	"the debug probe was not found: is it plugged, and is it the one that the recipe names?"
#define WRONG_SERIAL "no probe has that serial number"
#define NO_ANSWER    "the target does not answer: is the unit powered, seated and the right one?"
#define NO_HALT \
	"the core could not be halted: reset it (before: reset-halt), or connect under reset"
#define LOCKED	   "the chip is locked or read-protected: unlock it first"
#define WRONG_CHIP "this is another chip than the recipe's target file is for"
#define NO_WRITE   "the flash did not take what was written: set the unit aside"
#define NO_ERASE   "the flash could not be erased: is it write-protected?"
#define DIFFERS	   "the flash does not hold what was written"
#define NO_FILE	   "OpenOCD has no such configuration file: see interface, target and setup"
#define BAD_TCL	   "OpenOCD does not know that command: see setup and commands"

const struct tool_rule openocd_rules[] = {
	/* The programmer's station. */
	{"LIBUSB_ERROR_ACCESS|insufficient permissions", ERR_ACCESS,
		"provd may not open the probe: check the udev rules"},
	{"LIBUSB_ERROR_BUSY|could not claim interface: Resource busy|the selected device is already used",
		ERR_BUSY, "another program holds the probe: stop it"},
	{"couldn't bind \\S+ to socket|Address already in use", ERR_BUSY,
		"another OpenOCD holds that port: stop it"},
	{"serial mismatch|[Ii]nvalid serial number", ERR_WRONG_DEVICE, WRONG_SERIAL},
	{"Multiple devices found", ERR_RECIPE_INVALID,
		"several probes are plugged: name the one by its serial number or its port"},
	{"Can't find \\S+|couldn't open|couldn't read file", ERR_RECIPE_INVALID, NO_FILE},
	{"invalid command name|wrong # args|invalid subcommand|can't read \"\\S+\": no such variable",
		ERR_RECIPE_INVALID, BAD_TCL},
	{"The specified (adapter driver|debug interface) was not found|invalid driver|transport.* is not supported",
		ERR_RECIPE_INVALID, "this OpenOCD has no such adapter or transport"},
	{"(?i)no j-link device found|unable to find a matching CMSIS-DAP|unable to open ftdi "
	 "device|"
	 "no device found|LIBUSB_ERROR_NO_DEVICE|Failed to connect|"
	 "could not (find|open) .*(adapter|probe)|^Error: (ST-LINK )?open failed",
		ERR_PORT_UNBOUND, NO_PROBE},
	/* What fails after that, fails for that. */
	{"Error on socket 'remote_bitbang|remote_bitbang.*(closed|failed)|remote_bitbang_(fill_buf|flush|queue)|LIBUSB_ERROR_(IO|PIPE|NO_DEVICE)|USB (read|write) (error|failed)|Connection reset by peer|^Error: error (reading|writing) data: ",
		ERR_DEVICE_GONE, "the probe was lost in the middle of the work"},
	/* A unit without power says many other things as well. */
	{"Target voltage: -?0\\.|[Tt]arget voltage (may be )?too low", ERR_TIMEOUT,
		"the unit has no power: the probe sees no voltage at the target"},
	/* What is connected. */
	{"Device Security Bit Set|stm32\\w* device protected|device id = 0x0{8}\\b|"
	 "APPROTECT|flash memory write protected|[Rr]ead(out)? protect(ed|ion) (is "
	 ")?(active|enabled)|"
	 "device is (locked|secured)|MCU (is )?(locked|secured)",
		ERR_DEVICE_REFUSED, LOCKED},
	{"UNEXPECTED|[Uu]nexpected idcode|auto_probe failed|[Uu]nsupported device id|unknown device id|Cannot identify target|clipp(ed|ing).*flash|flash size.*clipp",
		ERR_WRONG_DEVICE, WRONG_CHIP},
	/* The image and the flash. The first is provd's own question, before anything is erased. */
	{"provd: no flash bank holds 0x[0-9a-f]+", ERR_IMAGE_RANGE,
		"the image lies outside of the chip's flash: nothing was written"},
	/* Only a warning, and the section is skipped. */
	{"no flash bank found for address|flash bank .* does not (exist|match)|Flash write aborted|outside of (the )?flash|[Ss]ector .* out of range|has no unprotected|no matching (sector|bank)",
		ERR_IMAGE_RANGE, "the image lies outside of the chip's flash"},
	{"failed erasing sectors|flash erase failed|erase (operation )?failed|unable to erase",
		ERR_DEVICE_REFUSED, NO_ERASE},
	{"flash write failed|error executing \\S+ flash write algorithm|timed out waiting for flash|error writing to flash|device programming failed|flash memory not erased before writing|block write (failed|timed out)",
		ERR_DEVICE_REFUSED, NO_WRITE},
	{"\\*\\* Verify Failed \\*\\*|checksum mismatch|^diff \\d+ address", ERR_VERIFY_MISMATCH,
		DIFFERS},
	/* The way to the target. */
	{"timed out while waiting for target (to be )?halted|[Tt]arget not halted|Unable to reset target|not halted",
		ERR_TIMEOUT, NO_HALT},
	{"init mode failed|Error connecting DP|examination failed|unable to connect to the target|scan chain interrogation failed|IR capture error|Invalid ACK|cannot read IDR|Could not initialize the debug port|Target not examined|OpenOCD init failed",
		ERR_TIMEOUT, NO_ANSWER},
	{"\\*\\* Programming Failed \\*\\*", ERR_DEVICE_REFUSED, NO_WRITE},
	{0},
};
