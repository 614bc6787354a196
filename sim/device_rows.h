/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of devices, for devices.c alone.
 */
#pragma once

#include "sim/device.h"

extern const struct device_ops avr_device;
extern const struct device_ops cmsisdap_device;
extern const struct device_ops dfu_device;
extern const struct device_ops disk_device;
extern const struct device_ops esp_device;
extern const struct device_ops fastboot_device;
extern const struct device_ops cp2112_device;
extern const struct device_ops hid_relay_device;
extern const struct device_ops hub_device;
extern const struct device_ops fpga_device;
extern const struct device_ops jtag_device;
extern const struct device_ops mcumgr_device;
extern const struct device_ops picoboot_device;
extern const struct device_ops serialboot_device;
extern const struct device_ops stm32_uart_device;
extern const struct device_ops adb_device;
extern const struct device_ops meter_device;
extern const struct device_ops printer_device;
extern const struct device_ops usbtmc_device;
/* Of the meter, however it is reached. */
extern const struct own_fault meter_faults[];
