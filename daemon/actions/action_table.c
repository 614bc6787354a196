/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/rows.h"

#include <string.h>

/* Sorted by name. */
const struct action *const action_table[] = {
	&action_adb_backup,
	&action_adb_install,
	&action_adb_logcat,
	&action_adb_pull,
	&action_adb_push,
	&action_adb_reboot,
	&action_adb_remount,
	&action_adb_restore,
	&action_adb_root,
	&action_adb_screencap,
	&action_adb_screenrecord,
	&action_adb_shell,
	&action_adb_sideload,
	&action_adb_uninstall,
	&action_console_command,
	&action_console_config,
	&action_console_expect,
	&action_console_measure,
	&action_cubeprogrammer_flash,
	&action_device_identify,
	&action_device_wait,
	&action_dfu_detach,
	&action_dfu_download,
	&action_dfu_erase,
	&action_dfu_leave,
	&action_dfu_list,
	&action_dfu_upload,
	&action_fastboot_boot,
	&action_fastboot_erase,
	&action_fastboot_flash,
	&action_fastboot_flashall,
	&action_fastboot_flashing,
	&action_fastboot_format,
	&action_fastboot_getvar,
	&action_fastboot_oem,
	&action_fastboot_reboot,
	&action_fastboot_set_active,
	&action_fastboot_upload,
	&action_gdb_compare,
	&action_gdb_load,
	&action_gdb_monitor,
	&action_jlink_flash,
	&action_jlink_script,
	&action_openocd_command,
	&action_openocd_dump,
	&action_openocd_erase,
	&action_openocd_flash,
	&action_openocd_program,
	&action_openocd_verify,
	&action_operator_prompt,
	&action_operator_scan,
	&action_serialboot_boot,
	&action_serialboot_erase,
	&action_serialboot_flash,
	&action_serialboot_read,
	&action_stm32_erase,
	&action_stm32_flash,
	&action_stm32_go,
	&action_stm32_info,
	&action_stm32_protect,
	&action_stm32_read,
	&action_stm32_unprotect,
	&action_tool_run,
	&action_unit_identity,
	&action_unit_serial,
	NULL,
};

const struct action *action_find(const char *name)
{
	for (const struct action *const *a = action_table; *a; a++)
		if (!strcmp((*a)->name, name))
			return *a;
	return NULL;
}
