/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of a factory package, android-info.txt and fastboot-info.txt, and the headers of boot
 * images.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "transports/images/bootimg.h"
#include "transports/protocols/fastboot/fastboot_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct fastboot_rules rules;
	struct fastboot_tasks tasks;
	struct fastboot_factory factory;
	struct bootimg boot;
	struct err e = {0};

	if (fastboot_rules_parse((const char *)bytes, n, &rules, &e) == 0) {
		for (size_t i = 0; i < rules.count; i++)
			fastboot_rule_matches(&rules.list[i], "value");
		fastboot_rules_done(&rules);
	}
	if (fastboot_tasks_parse((const char *)bytes, n, &tasks, &e) == 0) {
		for (size_t i = 0; i < tasks.count; i++)
			if (tasks.list[i].kind == FASTBOOT_TASK_FLASH &&
				(!tasks.list[i].partition || !tasks.list[i].file))
				abort();
		fastboot_tasks_done(&tasks);
	} else if (!e.msg[0]) {
		abort();
	}
	if (fastboot_factory_parse((const char *)bytes, n, &factory, &e) == 0) {
		if (!factory.package)
			abort();
		fastboot_factory_done(&factory);
	}
	content_detect(bytes, n);
	if (bootimg_check("fuzz", bytes, n, &boot, &e) == 0 && boot.need_bytes > n)
		abort();
	return 0;
}
