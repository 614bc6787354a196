# SPDX-License-Identifier: Apache-2.0
"""Debug probes over real kernel USB: CMSIS-DAP with an STM32F103 on SWD. OpenOCD, then provd."""
import json
import random
import re
import time

from gadgets import content, devices, execute, put, start_sim, stop_sim
from vm import amount, wait

# No CPU runs in the virtual chip: every half-word is a command of its own.
FIRMWARE = random.Random(10).randbytes(360)
SMALL = FIRMWARE[:120]
CONFIG = ('-f interface/cmsis-dap.cfg {choice} -c "transport select {transport}; set WORKAREASIZE 0" -f target/stm32f1x.cfg '
          '-c "gdb_port disabled; tcl_port disabled; telnet_port disabled"')
COMMON = ('interface=cmsis-dap', 'transport=swd', 'target=stm32f1x', 'work_area=0')
PROGRAM = ('image=/tmp/fw.bin', 'address=0x08000000')


def start(vm, boards, options=''):
    start_sim(vm, 'cmsis-dap', boards, options)
    put(vm, '/tmp/fw.bin', FIRMWARE)
    put(vm, '/tmp/small.bin', SMALL)


def flash(vm, board, n=len(FIRMWARE)):
    return content(vm, board, 'flash.bin')[:n]


def is_blank(vm, board):
    return vm.sim('state', board)['state']['flash_used'] == 0


def openocd(vm, script, choice='', transport='swd'):
    if choice:
        choice = f'-c "{choice}"'
    return vm.sh(f'openocd {CONFIG.format(choice=choice, transport=transport)} -c "{script}"; echo exit=$?', seconds=150)


def probe(vm, action, port, *args):
    """(exit status, code, the whole as text, seconds)"""
    begun = time.monotonic()
    status, told = execute(vm, f'openocd.{action}', f'port=usb:{port}', *COMMON, *args)
    code = told.get('code') if isinstance(told, dict) else None
    return status, code, json.dumps(told), time.monotonic() - begun


def bench(t, vm):
    """OpenOCD with its own files, as a person starts it; then `provctl exec` with the same probes."""
    start(vm, 2)
    begun = time.monotonic()
    said = openocd(vm, 'program /tmp/fw.bin 0x08000000 verify reset exit', 'adapter serial PROBE-b1')
    t.note(f'OpenOCD writes {len(FIRMWARE)} bytes over SWD in {time.monotonic() - begun:.1f} s')
    t.expect('OpenOCD programs and verifies over SWD', '** Verified OK **' in said and 'exit=0' in said, said)
    t.expect('it found the debug port', 'SWD DPIDR 0x1ba01477' in said, said)
    t.expect('the flash holds the image', flash(vm, 'b1') == FIRMWARE)
    t.equal('and the unit runs', vm.sim('state', 'b1')['state']['state'], 'running')
    t.expect('the other one is blank', is_blank(vm, 'b2'))
    said = openocd(vm, 'program /tmp/small.bin 0x08001000 verify exit', 'adapter serial PROBE-b1', 'jtag')
    t.expect('the same over JTAG', '** Verified OK **' in said and 'exit=0' in said, said)
    # Why provd refuses a choice by port.
    both = [openocd(vm, 'init; shutdown', f'adapter usb location {p}') for p in ('1-1', '1-2')]
    t.equal('OpenOCD passes over a location', len({re.search(r'serial=(\S+)', s)[1] for s in both}), 1)
    choice(t, vm)


def choice(t, vm):
    """The same two probes: the one that is meant, or none."""
    before = vm.sim('state', 'b1')['state']['writes']
    status, code, said, _ = probe(vm, 'program', '1-2', *PROGRAM)
    t.expect('program: the probe on the port, by its serial number', status == 0 and 'PROBE-b2' in said, said)
    t.expect('its chip holds the image', flash(vm, 'b2') == FIRMWARE)
    t.equal('nothing was written to the other', vm.sim('state', 'b1')['state']['writes'], before)
    status, code, said, _ = probe(vm, 'flash', '1-1', 'regions=["/tmp/small.bin@0x08000800"]', 'read_back=true',
                                  'serial=PROBE-b1')
    t.expect('flash: with read-back', status == 0 and 'sha256_read' in said, said)
    t.expect('at its address', content(vm, 'b1', 'flash.bin')[0x800:0x800 + len(SMALL)] == SMALL)
    status, code, said, _ = probe(vm, 'dump', '1-2', 'file=/tmp/dump.bin', 'address=0x08000000', f'size={len(FIRMWARE)}')
    t.equal('dump: what was written', (status, vm.sh('cmp /tmp/fw.bin /tmp/dump.bin && echo same').strip()), (0, 'same'))
    for what, args, want in (('by port', ('select=location',), 'unsupported'),
                             ('by a serial number that is not there', ('serial=NOPE',), 'wrong-device'),
                             ('by that of the probe on the other port', ('serial=PROBE-b2',), 'wrong-device')):
        status, code, said, _ = probe(vm, 'program', '1-1', *PROGRAM, *args)
        t.equal(f'{what}: refused', (status, code), (3, want))
    status, code, said, _ = probe(vm, 'program', '1-3', *PROGRAM)
    t.equal('nothing on the port', (status, code), (3, 'device-gone'))
    held(t, vm)
    twins(t, vm)


def held(t, vm):
    """Another OpenOCD has the probe: OpenOCD itself would try for ever."""
    vm.sh(f'openocd {CONFIG.format(choice="", transport="swd")} -c "adapter serial PROBE-b1" > /tmp/held 2>&1 < /dev/null & '
          'echo $! > /tmp/held.pid')
    wait('the other OpenOCD', lambda: 'processor detected' in vm.sh('cat /tmp/held'), 60)
    status, code, said, seconds = probe(vm, 'program', '1-1', *PROGRAM, 'timeout=5s')
    t.equal('held by another program', (status, code), (3, 'busy'))
    t.note(f'told after {seconds:.1f} s')
    vm.sh('kill $(cat /tmp/held.pid)')
    wait('its end', lambda: not vm.sh('pidof openocd').strip(), 5)


def twins(t, vm):
    """Two probes of one serial number, as cheap ones have it."""
    start(vm, 2, '--usb-serial TWIN')
    status, code, said, _ = probe(vm, 'program', '1-1', *PROGRAM)
    t.equal('two probes of one serial number', (status, code), (3, 'wrong-device'))
    t.expect('the message names both ports', '1-1' in said and '1-2' in said, said)
    t.equal('nothing was written', [is_blank(vm, b) for b in ('b1', 'b2')], [True, True])
    vm.sim('unplug', 'b2')
    wait('one probe', lambda: len(devices(vm)) == 1, 5)
    status, code, said, _ = probe(vm, 'program', '1-1', 'image=/tmp/small.bin', 'address=0x08000000')
    t.expect('alone it may be used', status == 0 and flash(vm, 'b1', len(SMALL)) == SMALL, said)
    faults(t, vm)


FAULTS = (('no-target', 'timeout'), ('wait', 'timeout'), ('bus', 'timeout'), ('chip', 'wrong-device'),
          ('locked', 'device-refused'), ('prog=64', 'device-refused'),
          ('no-write', 'verify-mismatch'), ('verify=100', 'verify-mismatch'), ('vanish=500', 'device-gone'))


def faults(t, vm):
    """Of the one probe that is plugged."""
    for fault, want in FAULTS:
        image = 'fw' if 'vanish' in fault else 'small'
        vm.sim('fault', 'b1', fault=f'{fault},count={int("vanish" in fault)}')
        # OpenOCD takes WAIT for long; the step ends it.
        status, code, said, seconds = probe(vm, 'program', '1-1', f'image=/tmp/{image}.bin', 'address=0x08000000',
                                            *(('timeout=3s',) if fault == 'wait' else ()))
        t.equal(fault, code, want)
        t.expect(f'{fault}: no pass', status in (1, 3), said)
        t.note(f'{fault}: {code} after {seconds:.1f} s')
        vm.sim('clear-faults', 'b1')
    t.equal('the probe is out', devices(vm), [])
    status, code, said, _ = probe(vm, 'program', '1-1', *PROGRAM)
    t.equal('no probe', (status, code), (3, 'device-gone'))
    vm.sim('plug', 'b1')
    wait('the probe', lambda: devices(vm) == ['1-1'], 5)
    status, code, said, _ = probe(vm, 'program', '1-1', *PROGRAM)
    t.expect('back again, it passes', status == 0 and flash(vm, 'b1') == FIRMWARE, said)


STATIONS = amount(2, 4)
# How long something may do nothing. Not a test of speed: a machine with other work takes minutes for what takes seconds.
STILL = 300
RECIPE = '''recipe: {name}
version: 1
title: Bootloader through a CMSIS-DAP probe
ports:
  probe: {{kind: probe}}
artifacts:
  bootloader: firmware.bin
steps:
  - id: bootloader
    action: openocd.program
    with: {{port: probe, interface: cmsis-dap, transport: swd, target: stm32f1x, work_area: 0,
      image: '${{artifacts.bootloader}}', address: 0x08000000, stay: {stay}}}
    timeout: 5m
'''


def station_yaml():
    return '\n'.join(f"  - {{id: A{n}, ports: {{probe: {{kind: probe, path: 'platform-vhci_hcd.0-usb-0:{n}'}}}}}}"
                     for n in range(1, STATIONS + 1))


def all_at_once(t, vm, recipe, plug):
    """One unit on every station; {station: the step's evidence}."""
    job = vm.job(recipe, STATIONS)
    begun = time.monotonic()
    plug()
    runs = vm.ended(job, STATIONS, STILL)
    t.note(f'{recipe}: {STATIONS} at once in {time.monotonic() - begun:.1f} s')
    t.equal(f'{recipe}: all passed', [(r['outcome'], r['code']) for r in runs], [('passed', None)] * STATIONS)
    found = {}
    for r in runs:
        found[r['station']] = vm.get(f'/runs/{r["id"]}/steps')['items'][0]['evidence']
    t.equal(f'{recipe}: each station by its own probe', {s: e.get('probe') for s, e in found.items()},
            {f'A{n}': f'PROBE-b{n}' for n in range(1, STATIONS + 1)})
    for n in range(1, STATIONS + 1):
        t.expect(f'{recipe}: b{n} holds the image', flash(vm, f'b{n}') == FIRMWARE)
    return found


def next_units(vm):
    for n in range(1, STATIONS + 1):
        vm.sim('next', f'b{n}')


def line(t, vm):
    """Stations bound by USB ports; provd runs as the user of its unit."""
    stop_sim(vm)
    vm.start_provd(station_yaml(), 'udev')
    vm.prepare([RECIPE.format(name='probe', stay='false'), RECIPE.format(name='stay', stay='true')], FIRMWARE)
    all_at_once(t, vm, 'probe', lambda: start_sim(vm, 'cmsis-dap', STATIONS))
    node = vm.get('/stations/A1')['ports'][0]['node'].removeprefix('usb:')
    t.equal('the probe belongs to provd', vm.sh(f'stat -c "%G %a" {node}').strip(), 'provd 660')
    t.equal('no OpenOCD is left', vm.sh('pidof openocd').strip(), '')
    all_at_once(t, vm, 'stay', lambda: next_units(vm))
    t.equal('with stay each station keeps one', len(vm.sh('pidof openocd').split()), STATIONS)
    stays(t, vm)
    for recipe in ('probe', 'stay'):
        pulled(t, vm, recipe)
    t.equal('provd has no word of an internal failure', vm.sh('grep -ciE "internal|bug" /run/provd.log').strip(), '0')
    stop_sim(vm)


def started(vm, recipe):
    """One run on A1 of what is plugged."""
    job = vm.make('POST', '/jobs', {'recipe': recipe, 'quantity': 1, 'stations': ['A1']})['id']
    wait('A1', lambda: vm.get('/stations/A1')['state'] in ('ready', 'done', 'running'), STILL)
    vm.request('POST', '/stations/A1/actions/start')
    return job


def stays(t, vm):
    """The probe stays plugged, and so does its OpenOCD: two more runs of it."""
    for jobs in (2, 3):
        run = vm.ended(started(vm, 'stay'), 1, STILL)[0]
        steps = vm.get(f'/runs/{run["id"]}/steps')['items']
        t.equal(f'stay: job {jobs} of one OpenOCD', (run['outcome'], steps[0]['evidence'].get('server_jobs')),
                ('passed', jobs))


def pulled(t, vm, recipe):
    """Pulled out in the middle of the flash, by provsim itself: who asks it how far it is makes a slow machine slower, and
    may come too late. Then it comes back with another unit."""
    job = vm.make('POST', '/jobs', {'recipe': recipe, 'quantity': 1, 'stations': ['A1']})['id']
    # Not before: the OpenOCD that stays looks at the unit that is plugged, which would use the fault up.
    vm.sim('next', 'b1')
    vm.sim('fault', 'b1', fault='vanish=400,count=1')
    run = vm.ended(job, 1, STILL)[0]
    writes = vm.sim('state', 'b1')['state']['writes']
    t.note(f'{recipe}: pulled after {writes} of {len(FIRMWARE) // 2} writes')
    t.expect(f'{recipe}: it was in the middle', 0 < writes < len(FIRMWARE) // 2, f'{writes} writes')
    t.equal(f'{recipe}: as an error of the line', (run['outcome'], run['code']), ('error', 'device-gone'))
    vm.sim('next', 'b1')
    runs = [r for r in vm.ended(job, 2, STILL) if r['id'] != run['id']]
    t.equal(f'{recipe}: it comes back and the next unit passes', [r['outcome'] for r in runs], ['passed'])
    t.expect(f'{recipe}: whose flash holds the image', flash(vm, 'b1') == FIRMWARE)
