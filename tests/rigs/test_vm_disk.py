#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Boards whose way in is the boot ROM of a RP2040 or RP2350, or a disk: virtual devices in vhci_hcd of a virtual machine with
# Debian's kernel and udevd. The reference client first, then provctl on the same kind of device. One boot.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_disk  # noqa: E402
import vm_pico  # noqa: E402
from vm import Checks, Vm, build  # noqa: E402


PARTS = (('pico', vm_pico.reference), ('pico-line', vm_pico.line), ('disk', vm_disk.reference), ('uf2', vm_disk.uf2))


def main():
    build()
    t = Checks()
    vm = Vm('disk')
    try:
        t.note('the machine is up')
        only = os.environ.get('PROVD_RIG_PART')
        for name, part in PARTS:
            if only in (None, name):
                part(t, vm)
                t.note(f'{name} is through')
    finally:
        vm.kill()
    t.end()


main()
