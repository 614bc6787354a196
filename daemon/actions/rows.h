/* SPDX-License-Identifier: Apache-2.0
 *
 * Every action's row, as action_table.c gathers them. A new one is declared here and listed there.
 */
#pragma once

#include "daemon/recipe/action.h"

extern const struct action action_adb_backup;
extern const struct action action_adb_install;
extern const struct action action_adb_logcat;
extern const struct action action_adb_pull;
extern const struct action action_adb_push;
extern const struct action action_adb_reboot;
extern const struct action action_adb_remount;
extern const struct action action_adb_restore;
extern const struct action action_adb_root;
extern const struct action action_adb_screencap;
extern const struct action action_adb_screenrecord;
extern const struct action action_adb_shell;
extern const struct action action_adb_sideload;
extern const struct action action_adb_uninstall;
extern const struct action action_console_command;
extern const struct action action_console_config;
extern const struct action action_console_expect;
extern const struct action action_console_measure;
extern const struct action action_cubeprogrammer_flash;
extern const struct action action_device_identify;
extern const struct action action_device_wait;
extern const struct action action_dfu_detach;
extern const struct action action_dfu_download;
extern const struct action action_dfu_erase;
extern const struct action action_dfu_leave;
extern const struct action action_dfu_list;
extern const struct action action_dfu_upload;
extern const struct action action_fastboot_boot;
extern const struct action action_fastboot_erase;
extern const struct action action_fastboot_flash;
extern const struct action action_fastboot_flashall;
extern const struct action action_fastboot_flashing;
extern const struct action action_fastboot_format;
extern const struct action action_fastboot_getvar;
extern const struct action action_fastboot_oem;
extern const struct action action_fastboot_reboot;
extern const struct action action_fastboot_set_active;
extern const struct action action_fastboot_upload;
extern const struct action action_gdb_compare;
extern const struct action action_gdb_load;
extern const struct action action_gdb_monitor;
extern const struct action action_jlink_flash;
extern const struct action action_jlink_script;
extern const struct action action_openocd_command;
extern const struct action action_openocd_dump;
extern const struct action action_openocd_erase;
extern const struct action action_openocd_flash;
extern const struct action action_openocd_program;
extern const struct action action_openocd_verify;
extern const struct action action_operator_prompt;
extern const struct action action_operator_scan;
extern const struct action action_serialboot_boot;
extern const struct action action_serialboot_erase;
extern const struct action action_serialboot_flash;
extern const struct action action_serialboot_read;
extern const struct action action_stm32_erase;
extern const struct action action_stm32_flash;
extern const struct action action_stm32_go;
extern const struct action action_stm32_info;
extern const struct action action_stm32_protect;
extern const struct action action_stm32_read;
extern const struct action action_stm32_unprotect;
extern const struct action action_tool_run;
extern const struct action action_unit_flags;
extern const struct action action_unit_identity;
extern const struct action action_unit_license;
extern const struct action action_unit_mac;
extern const struct action action_unit_serial;
