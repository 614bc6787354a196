#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# Real hotplug: Debian's kernel under QEMU (TCG), real udevd with our rules, libudev, cdc_acm, and
# guide boards that are plugged into vhci_hcd. provd runs as the user of its unit. One boot for all.
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
from vm import ROOT, Checks, Follower, Vm, amount, build, wait  # noqa: E402

BOARDS = 17
WRONG = 16          # another vid:pid sits on this socket
SLOW = 1            # its flash takes seconds: time to be pulled out
REENUMERATES = 2
SWAPS = 3
NORMAL = [n for n in range(1, BOARDS + 1) if n != WRONG]
AT_ONCE = NORMAL[:amount(8, 15)]

# What a board does that enumerates again when it starts its application.
REPLUG_RECIPE = '''recipe: replug
version: 1
title: The unit leaves and comes back within the run
unit: {model: provsim-1, serial: {pool: production-sn}}
ports:
  console: {kind: tty, baud: 115200}
artifacts:
  application: firmware.bin
steps:
  - id: who
    action: device.identify
    with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', address: 0x08010000}
    timeout: 2m
  - id: boot
    action: serialboot.boot
    with: {port: console, reenumerates: true}
  - id: who-again
    action: device.identify
    with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}
    retry: {attempts: 5, delay: 200ms, on: [timeout, unexpected-reply]}
'''


def station_yaml():
    lines = []
    for n in range(1, BOARDS + 1):
        path = f'platform-vhci_hcd.{(n - 1) // 15}-usb-0:{(n - 1) % 15 + 1}'
        lines.append(f"  - {{id: A{n}, ports: {{console: {{path: '{path}', vid: '1209', pid: '0001'}}}}}}")
    return '\n'.join(lines)


def station(vm, n):
    return vm.get(f'/stations/A{n}')


def passed(runs):
    return [r for r in runs if r.get('outcome') == 'passed']


def rules_hold(t, vm):
    """udevd took our rules, and they did what they say."""
    log = vm.sh('cat /run/udevd.log')
    t.expect('udevd has no word against 60-provd.rules', '60-provd' not in log, log)
    # Numbers are given in the order of probing, which several ports at once do not keep.
    tty = station(vm, 1)['ports'][0]['node'].removeprefix('tty:')
    mode = vm.sh(f'stat -c "%G %a" {tty} /dev/bus/usb/001/002').split('\n')[:2]
    t.equal('tty and USB node belong to provd', mode, ['provd 660', 'provd 660'])
    info = vm.sh(f'udevadm info {tty}; udevadm info /sys/bus/usb/devices/1-1')
    t.equal('ModemManager is kept away from both', info.count('ID_MM_DEVICE_IGNORE=1'), 2)
    t.equal('both are tagged', info.count('TAGS=:provd') + info.count(':provd:') > 1, True)
    t.equal('both know their port path', info.count('E: ID_PATH=platform-vhci_hcd.0-usb-0:1'), 2)
    t.equal('no autosuspend', vm.sh('cat /sys/bus/usb/devices/1-1/power/control').strip(), 'on')
    hub = vm.sh('stat -c %G /dev/bus/usb/001/001').strip()
    t.equal('hubs are for provd to switch the power of their ports', hub, 'provd')


def many_at_once(t, vm):
    """All boards are attached at once; those with a job's place pass, each on its station."""
    job = vm.job('production', len(AT_ONCE), [f'A{n}' for n in AT_ONCE])
    faults = ' '.join([f"--set 'b{SLOW}:write-us=2000'",
                       f"--set 'b{WRONG}:usb-id=dead:beef'"])
    begun = time.monotonic()
    vm.sh(f'setsid provsim run --boards {BOARDS} --link vhci --state /d/boards --control /run/control {faults} '
          '> /run/sim.log 2>&1 < /dev/null &')
    runs = vm.ended(job, len(AT_ONCE), 200)
    t.note(f'{len(AT_ONCE)} boards attached at once, provisioned in {time.monotonic() - begun:.1f} s')
    t.equal('at once: all passed', len(passed(runs)), len(AT_ONCE))
    t.equal('each on a station of its own', len({r['station'] for r in passed(runs)}), len(AT_ONCE))
    t.equal('each with a serial of its own', len({r['serial'] for r in passed(runs)}), len(AT_ONCE))
    for n in AT_ONCE:
        state = vm.sim('state', f'b{n}')['state']
        t.equal(f'b{n}: its flash holds the firmware', state['flash_sha256'], vm.sha)
        serial = next((r['serial'] for r in runs if r['station'] == f'A{n}'), None)
        t.equal(f'b{n}: it holds the serial of its run', state['serial'], serial)


def wrong_device(t, vm):
    s = wait('the wrong device', lambda: (lambda s: s if s['state'] == 'fault' else None)(station(vm, WRONG)), 10)
    t.expect('a wrong device: the station says which', 'dead:beef' in json.dumps(s), s)
    t.expect('with the code wrong-device', 'wrong-device' in json.dumps(s), s)
    t.equal('and nothing ran there', vm.get(f'/runs?station=A{WRONG}')['items'], [])
    t.equal('nothing was written to it', vm.sim('state', f'b{WRONG}')['state']['flash_used'], 0)
    vm.sim('unplug', f'b{WRONG}')
    wait('the station to be empty', lambda: station(vm, WRONG)['state'] == 'empty', 5)
    t.expect('it is empty once the device is gone', True)


def run_of(vm, job):
    runs = vm.runs(job)
    return runs[-1] if runs else None


def surprise_unplug(t, vm, told):
    job = vm.job('production', 1, [f'A{SLOW}'])
    vm.sim('next', f'b{SLOW}')
    run = wait('the run', lambda: run_of(vm, job), 30)
    wait('the flash', lambda: vm.sim('state', f'b{SLOW}')['state']['flash_used'] > 16384, 30)
    vm.sim('unplug', f'b{SLOW}')
    pulled = time.monotonic()
    found = wait('the end of the run', lambda: told.find('run-finished', run=run['id']), 10)
    t.expect('pulled out in the flash: the run ends within 1 s', found[1] - pulled < 1,
             f'{found[1] - pulled:.2f} s')
    t.note(f'surprise unplug: told {found[1] - pulled:.2f} s after the plug was out')
    r = vm.get(f'/runs/{run["id"]}')
    t.equal('as an error of the line, not of the unit', (r['outcome'], r['code']), ('error', 'device-gone'))
    vm.sim('next', f'b{SLOW}')
    runs = vm.ended(job, 2, 60)
    t.expect('the station goes on with the next unit',
             [(r['outcome'], r.get('code')) for r in runs] == [('passed', None), ('error', 'device-gone')],
             [(r['outcome'], r.get('code'), r.get('step'), r.get('message')) for r in runs])
    t.equal('whose flash holds the firmware', vm.sim('state', f'b{SLOW}')['state']['flash_sha256'], vm.sha)


def within_a_run(t, vm):
    """Boards that leave the bus when they start their application: their settings come with a restart of provsim."""
    vm.sim('quit')
    for n in (REENUMERATES, SWAPS):
        wait('an empty station', lambda n=n: station(vm, n)['state'] == 'empty', 10)
    job = vm.job('replug', 1, [f'A{REENUMERATES}'])
    other = vm.job('replug', 1, [f'A{SWAPS}'])
    vm.sh(f"setsid provsim run --boards {SWAPS} --link vhci --control /run/control --boot-ms 500 --set 'b{REENUMERATES}:replug-boot=1' "
          f"--set 'b{SWAPS}:replug-boot=2' > /run/sim2.log 2>&1 < /dev/null &")
    runs = vm.ended(job, 1, 60)
    t.equal('a unit that comes back within the run passes', runs[0]['outcome'], 'passed')
    state = vm.sim('state', f'b{REENUMERATES}')['state']
    t.equal('and holds the firmware', state['flash_sha256'], vm.sha)
    t.equal('and runs it', state['state'], 'application')
    runs = vm.ended(other, 1, 60)
    t.equal('another unit that comes back does not', (runs[0]['outcome'], runs[0]['code']), ('error', 'wrong-device'))
    wait('the next unit', lambda: station(vm, SWAPS)['state'] != 'running', 10)


def sockets_bounce(t, vm):
    """Loose plugs: after a storm every station sees what is really there."""
    for n in (1, 2, 3):
        vm.sim('replug', f'b{n}', gap_ms=30, times=5)
    vm.sim('plug', 'b1')
    wait('the storm to end', lambda: all(b['plugged'] for b in vm.sim('list')['boards']), 30)
    time_out = time.monotonic() + 15
    states = []
    while time.monotonic() < time_out:
        states = [station(vm, n)['state'] for n in (1, 2, 3)]
        if all(s in ('ready', 'done') for s in states):
            break
    t.expect('after 15 bounces all three stations have their unit', all(s in ('ready', 'done') for s in states), states)
    ports = [p for p in vm.get('/ports')['items'] if p['node'].startswith('tty:')]
    t.equal('and no port is a ghost', len(ports), 3)


def main():
    build()
    t = Checks()
    with open(os.path.join(ROOT, 'recipes', 'production.yaml')) as f:
        production = f.read()
    vm = Vm('hotplug')
    t.note('the virtual machine is up')
    try:
        vm.start_provd(station_yaml(), 'udev')
        vm.prepare([production, REPLUG_RECIPE])
        told = Follower(vm)
        t.note('provd serves')
        many_at_once(t, vm)
        rules_hold(t, vm)
        wrong_device(t, vm)
        surprise_unplug(t, vm, told)
        within_a_run(t, vm)
        sockets_bounce(t, vm)
    except (TimeoutError, RuntimeError, OSError, KeyError) as e:
        t.expect('the way to the end', False, repr(e))
    finally:
        if t.failed:
            print(vm.sh('tail -n 25 /run/provd.log; cut -c 1-200 /run/sim*.log; dmesg | grep -v vhci | tail -n 20'))
        vm.kill()
    t.end()


if __name__ == '__main__':
    main()
