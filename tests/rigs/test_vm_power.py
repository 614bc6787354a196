#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# The power of units over real kernel USB: a virtual hub that switches each port, with units on its ports, and USB
# relays, in vhci_hcd of a virtual machine with Debian's kernel. uhubctl and usbrelay first, then provctl on the same; then
# two stations behind one hub. One boot.
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_power  # noqa: E402
from vm import Checks, Vm, build, skip  # noqa: E402

PARTS = (('reference', vm_power.reference), ('relay', vm_power.relay), ('gpio', vm_power.gpio), ('line', vm_power.line))


def main():
    for tool in ('uhubctl', 'usbrelay', 'gpioset'):
        if not shutil.which(tool):
            skip(f'no {tool} (scripts/install-deps test)')
    build()
    t = Checks()
    vm = Vm('power')
    try:
        t.note('the machine is up')
        only = os.environ.get('PROVD_RIG_PART')
        for name, part in PARTS:
            if only in (None, name):
                part(t, vm)
                t.note(name)
    finally:
        vm.kill()
    t.end()


main()
