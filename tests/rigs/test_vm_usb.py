#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Real kernel USB: virtual gadgets in vhci_hcd of a virtual machine with Debian's kernel and udevd. The
# reference client first, then provctl on the same kind of device: the contents must be the same. Then
# a line of stations: many devices at once, detach and return, a surprise unplug, another unit. One boot.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_adb  # noqa: E402
import vm_dfu  # noqa: E402
import vm_fastboot  # noqa: E402
from vm import Checks, Vm, build  # noqa: E402


PARTS = (('fastboot', vm_fastboot.reference), ('adb', vm_adb.reference), ('dfu', vm_dfu.reference),
         ('dfu-line', vm_dfu.line))


def main():
    build()
    t = Checks()
    vm = Vm('usb')
    try:
        t.note('the machine is up')
        only = os.environ.get('PROVD_RIG_PART')
        for name, part in PARTS:
            if only in (None, name):
                part(t, vm)
    finally:
        vm.kill()
    t.end()


main()
