#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# STM32 boot ROMs behind real kernel ttys in a virtual machine: even parity, another rate, DTR and RTS
# as BOOT0 and NRST. stm32flash first, then provctl.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_stm32  # noqa: E402
from vm import Checks, Vm, build  # noqa: E402
from vm_dfu import put  # noqa: E402


def main():
    build()
    t = Checks()
    vm = Vm('stm32')
    try:
        t.note('the machine is up')
        vm_stm32.run(t, vm, put)
    finally:
        vm.kill()
    t.end()


main()
