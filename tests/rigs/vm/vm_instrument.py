# SPDX-License-Identifier: Apache-2.0
"""Instruments over real kernel USB: the meter as USBTMC. The kernel's node as a shell uses it, then provd on the same."""
import json
import re
import time

from gadgets import start_sim, stop_sim
from vm import wait


def run(vm, address, action, *args):
    """(exit status, code, outputs of the step, message)"""
    line = ' '.join(f"'{a}'" for a in args)
    text = vm.sh(f"PROVD_INSTRUMENT_meter='{address}' provctl --json exec {action} instrument=meter {line}; echo exit=$?", seconds=60)
    status = int(re.search(r'exit=(\d+)', text)[1])
    record = json.loads(text[:text.rindex('exit=')])
    step = record['steps'][-1] if record['steps'] else {}
    return status, record.get('code'), step.get('outputs') or {}, record.get('message', '')


def bench(t, vm):
    start_sim(vm, 'usbtmc', 2, '--meter-gain 1.01')
    vm.sh('modprobe usbtmc')
    wait('two nodes', lambda: len(vm.sh('ls /dev/usbtmc*').split()) == 2, 20)
    said = vm.sh("exec 3<>/dev/usbtmc0; printf 'VOLT 2;:MEAS:VOLT?\\n' >&3; head -n 1 <&3")
    t.equal('a shell reads through the kernel node', said.strip(), '+2.020000000E+00')
    ports = {b['board']: b['link'] for b in vm.sim('list')['boards']}
    t.note(f'the boards are at {ports}')
    names(t, vm)
    measures(t, vm)
    late(t, vm)
    gone(t, vm)
    stop_sim(vm)


def names(t, vm):
    for which in ('1209:0001/METER-b1', '1209:0001/METER-b2'):
        status, _, outputs, message = run(vm, 'usbtmc:' + which, 'instrument.identify')
        t.equal(f'{which} is found by its serial number', (status, outputs.get('serial')), (0, '42'))
    status, code, _, message = run(vm, 'usbtmc:1209:0001', 'instrument.identify')
    t.equal('two of a kind are not guessed', (status, code), (3, 'instrument'))
    t.expect('and it says why', 'add the serial number' in message, message)
    port = vm.sh('basename $(readlink /sys/class/usbmisc/usbtmc1/device)').strip().split(':')[0]
    t.equal('by its port', run(vm, 'usbtmc:' + port, 'instrument.identify')[0], 0)
    status, code, _, message = run(vm, 'usbtmc:1209:0001/METER-b9', 'instrument.identify')
    t.expect('one that is not there', code == 'instrument' and 'no instrument on USB' in message, message)
    status, code, _, message = run(vm, 'usbtmc:/dev/null', 'instrument.identify')
    t.expect('a node that is none', code == 'instrument' and 'usbtmc driver' in message, message)


B1 = 'usbtmc:1209:0001/METER-b1'


def measures(t, vm):
    t.equal('it is set', run(vm, B1, 'instrument.set', 'send=VOLT 1.5', 'read_back.query=VOLT?', 'read_back.unit=V',
                             'read_back.value=1.5', 'read_back.tolerance=0.01')[0], 0)
    begun = time.monotonic()
    status, _, outputs, _ = run(vm, B1, 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
    t.expect('it measures', status == 0 and abs(outputs['value'] - 1.515) < 1e-9, outputs)
    t.note(f'a measurement by USBTMC, from the start of provctl, takes {time.monotonic() - begun:.2f} s')
    _, code, _, message = run(vm, B1, 'instrument.query', 'send=FOO?')
    t.expect('its own error is said', code == 'instrument-error' and '-113' in message, message)


def late(t, vm):
    vm.sim('fault', 'b1', fault='late=7000')
    _, code, _, message = run(vm, B1, 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
    t.equal('a late answer is one', code, 'instrument-late')
    run(vm, B1, 'instrument.set', 'send=VOLT 0.5')
    status, _, outputs, message = run(vm, B1, 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
    t.expect('and not the next one', status == 0 and abs(outputs['value'] - 0.505) < 1e-9, (outputs, message))
    t.expect('by a device clear', vm.sim('state', 'b1')['state']['clears'] > 0)


def gone(t, vm):
    vm.sim('fault', 'b1', fault='hangup')
    _, code, _, message = run(vm, B1, 'instrument.measure', 'query=MEAS:VOLT?', 'unit=V')
    t.equal('an instrument that leaves the bus', code, 'instrument')
