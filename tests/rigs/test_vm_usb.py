#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Real kernel USB: virtual gadgets in vhci_hcd of a virtual machine with Debian's kernel and udevd. The
# reference client first, then provctl on the same kind of device: the contents must be the same. Then
# a line of stations: 15 devices at once, detach and return, a surprise unplug, another unit. One boot.
import hashlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_dfu  # noqa: E402
from vm import Checks, Vm, build  # noqa: E402


def main():
    build()
    t = Checks()
    vm = Vm('usb')
    try:
        t.note('the machine is up')
        vm_dfu.reference(t, vm)
        vm_dfu.line(t, vm)
    finally:
        vm.kill()
    t.end()


main()
