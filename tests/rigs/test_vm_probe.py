#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Debug probes on real kernel USB: CMSIS-DAP v2 with an STM32F103 on SWD. OpenOCD by hand first, then
# provctl on the same, each fault of probe and chip, and a line of four whose probes are bound by their
# USB ports. One boot.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import vm_probe  # noqa: E402
from vm import Checks, Vm, build, skip  # noqa: E402


PARTS = (('bench', vm_probe.bench), ('line', vm_probe.line))


def main():
    build()
    t = Checks()
    vm = Vm('probe')
    try:
        t.note('the machine is up')
        if not vm.sh('command -v openocd').strip():
            skip('no openocd (scripts/install-deps test)')
        only = os.environ.get('PROVD_RIG_PART')
        for name, part in PARTS:
            if only in (None, name):
                part(t, vm)
    except (TimeoutError, RuntimeError, OSError, KeyError) as e:
        t.expect('the way to the end', False, repr(e))
    finally:
        if t.failed:
            print(vm.sh('tail -n 30 /run/provd.log; cut -c 1-200 /run/sim.log; dmesg | grep -v vhci | tail -n 20'))
        vm.kill()
    t.end()


main()
