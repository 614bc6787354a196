#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Measuring instruments on real kernel USB: USBTMC by the kernel's driver. One boot.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_instrument  # noqa: E402
from vm import Checks, Vm, build  # noqa: E402


def main():
    build()
    t = Checks()
    vm = Vm('instrument')
    try:
        t.note('the machine is up')
        vm_instrument.bench(t, vm)
    except (TimeoutError, RuntimeError, OSError, KeyError) as e:
        t.expect('the way to the end', False, repr(e))
    finally:
        if t.failed:
            print(vm.sh('cut -c 1-200 /run/sim.log; dmesg | grep -v vhci | tail -n 20'))
        vm.kill()
    t.end()


main()
