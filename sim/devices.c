/* SPDX-License-Identifier: Apache-2.0
 *
 * All kinds of devices: one row each.
 */
#include "sim/device.h"
#include "sim/device_rows.h"

const struct device_ops *const device_kinds[] = {
	&serialboot_device,
	&adb_device,
	&avr_device,
	&cmsisdap_device,
	&dfu_device,
	&disk_device,
	&esp_device,
	&fastboot_device,
	&cp2112_device,
	&hid_relay_device,
	&hub_device,
	&fpga_device,
	&jtag_device,
	&mcumgr_device,
	&meter_device,
	&picoboot_device,
	&printer_device,
	&stm32_uart_device,
	&usbtmc_device,
	NULL,
};
