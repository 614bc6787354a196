# SPDX-License-Identifier: Apache-2.0
"""DFU and DfuSe over real kernel USB: dfu-util, then provd."""
import hashlib
import json
import random
import re
import time

from gadgets import content, devices, execute, put, start_sim, stop_sim, trace
from vm import amount, wait

FIRMWARE = random.Random(7).randbytes(90_001)
PLAIN = random.Random(8).randbytes(70_003)


def memory(vm, board, alt=0):
    return content(vm, board, f'alt{alt}.bin')


def requests(lines):
    """(kind, count) of the requests of a transcript: sets of addresses, erases, data blocks."""
    kinds = {'set address': 0, 'erase': 0, 'data': 0, 'upload': 0, 'leave': 0}
    for x in lines:
        m = re.match(r'control 21 01 value=(\w{4}) n=(\d+): (\w*)', x)
        if m and m[1] == '0000' and m[3].startswith('21'):
            kinds['set address'] += 1
        elif m and m[1] == '0000' and m[3].startswith('41'):
            kinds['erase'] += 1
        elif m and m[2] == '0':
            kinds['leave'] += 1
        elif m:
            kinds['data'] += 1
        elif x.startswith('control a1 02'):
            kinds['upload'] += 1
    return kinds


def reference(t, vm):
    """dfu-util and provctl on two equal devices."""
    start_sim(vm, 'dfu', 2)
    put(vm, '/tmp/fw.bin', FIRMWARE)
    listed = vm.sh('dfu-util -l')
    t.equal('dfu-util lists both', listed.count('@Internal Flash'), 2)
    said = vm.sh('dfu-util -p 1-1 -a 0 -s 0x08000000 -D /tmp/fw.bin', seconds=60)
    t.expect('dfu-util downloads', 'File downloaded successfully' in said, said)
    said = vm.sh(f'dfu-util -p 1-1 -a 0 -s 0x08000000:{len(FIRMWARE)} -U /tmp/back.bin; '
                 'cmp /tmp/fw.bin /tmp/back.bin && echo same', seconds=60)
    t.expect('and reads the same back', 'same' in said, said)
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/fw.bin', 'address=0x08000000')
    if not t.equal('provctl downloads', status, 0):
        t.note(str(told))
    t.equal('the same cells in both', hashlib.sha256(memory(vm, 'b1')).hexdigest(),
            hashlib.sha256(memory(vm, 'b2')).hexdigest())
    t.equal('and they are the firmware', memory(vm, 'b2')[:len(FIRMWARE)], FIRMWARE)
    a, b = requests(trace(vm, 'b1')), requests(trace(vm, 'b2'))
    t.note(f'dfu-util {a}')
    t.note(f'provd    {b}')
    t.equal('as many pages are erased', b['erase'], a['erase'])
    t.expect('no more data blocks', b['data'] <= a['data'] + 1, (a, b))
    t.expect('fewer sets of addresses', b['set address'] < a['set address'], (a, b))
    status, told = execute(vm, 'dfu.upload', 'port=usb:1-1', 'address=0x08000000', f'size={len(FIRMWARE)}',
                           'file=/tmp/up.bin')
    t.equal('provctl reads what dfu-util wrote', (status, vm.sh('cmp /tmp/fw.bin /tmp/up.bin && echo same').strip()),
            (0, 'same'))
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/fw.bin', 'address=0x08000000',
                           'skip_equal=true')
    t.expect('what is there already is skipped', status == 0 and '"skipped": true' in json.dumps(told), told)
    status, told = execute(vm, 'dfu.erase', 'port=usb:1-2', 'what=mass')
    t.equal('mass erase', status, 0)
    t.equal('everything is blank', set(memory(vm, 'b2')), {0xff})
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/fw.bin', 'address=0x080ff000')
    t.expect('outside the map: refused', status == 3 and 'image-range' in json.dumps(told), told)
    vm.sim('fault', 'b2', fault='stays')
    status, told = execute(vm, 'dfu.leave', 'port=usb:1-2')
    t.expect('a device that says it leaves and stays is not a pass', status == 1 and 'device-refused' in json.dumps(told), told)
    vm.sim('unplug', 'b2')
    vm.sim('plug', 'b2')
    wait('b2', lambda: '1-2' in devices(vm), 10)
    cancel(t, vm)
    plain(t, vm)
    runtime(t, vm)


def cancel(t, vm):
    """Interrupted as soon as some blocks have gone over: it ends at once, and the device takes the next session."""
    many = len(trace(vm, 'b2')) + 30
    said = vm.sh('provctl exec dfu.download port=usb:1-2 image=/tmp/fw.bin address=0x08000000 > /tmp/out 2>&1 & P=$!; '
                 f'while [ "$(wc -l < /d/trace/b2)" -lt {many} ] && kill -0 $P; do usleep 1000; done; '
                 'A=$(cut -d" " -f1 /proc/uptime); kill -INT $P; wait $P; '
                 'echo "exit=$? from=$A to=$(cut -d" " -f1 /proc/uptime)"', seconds=60)
    m = re.search(r'exit=(\d+) from=([\d.]+) to=([\d.]+)', said)
    t.equal('a cancel is an abort', m and m[1], '4')
    t.note(f'the cancel took {float(m[3]) - float(m[2]):.2f} s')
    t.expect('at once (the machine is emulated: three seconds at most)', float(m[3]) - float(m[2]) < 3, said)
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/fw.bin', 'address=0x08000000')
    t.equal('and the next session passes', status, 0)


def plain(t, vm):
    """DFU 1.1 as U-Boot speaks it: names, whole files."""
    start_sim(vm, 'dfu', 2, "--dfu-memory 'kernel;rootfs' --dfu-attributes 0x0f --dfu-transfer 4096 --dfu-ids 1209:db42")
    put(vm, '/tmp/rootfs.bin', PLAIN)
    said = vm.sh('dfu-util -p 1-1 -a rootfs -D /tmp/rootfs.bin', seconds=60)
    t.expect('plain: dfu-util downloads', 'Done!' in said or 'successfully' in said, said)
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/rootfs.bin', 'alt=rootfs')
    if not t.equal('plain: provctl downloads', status, 0):
        t.note(str(told))
    t.equal('plain: the same in both', memory(vm, 'b1', 1), memory(vm, 'b2', 1))
    t.equal('plain: it is the file', memory(vm, 'b2', 1), PLAIN)
    t.expect('plain: read back', '"proof": "read-back"' in json.dumps(told), told)
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/rootfs.bin', 'alt=boot')
    t.expect('plain: no such memory', status == 3 and 'not-found' in json.dumps(told), told)


def runtime(t, vm):
    """From the application into DFU mode and back, on the same port."""
    start_sim(vm, 'dfu', 2, '--dfu-runtime 1 --usb-id 1209:0007')
    put(vm, '/tmp/fw.bin', FIRMWARE)
    said = vm.sh('dfu-util -p 1-1 -d 1209:0007,0483:df11 -a 0 -s 0x08000000:leave -D /tmp/fw.bin', seconds=60)
    t.expect('run-time: dfu-util detaches and downloads', 'File downloaded successfully' in said, said)
    begun = time.monotonic()
    status, told = execute(vm, 'dfu.download', 'port=usb:1-2', 'image=/tmp/fw.bin', 'address=0x08000000', 'leave=true',
                           'returns=true')
    t.note(f'detach, {len(FIRMWARE)} bytes, verify, leave and return: {time.monotonic() - begun:.1f} s')
    if not t.equal('run-time: provctl detaches, downloads, leaves, and sees it return', status, 0):
        t.note(str(told))
    t.expect('run-time: it came back as the application', '0007' in json.dumps(told), told)
    t.equal('run-time: the firmware is in both', [memory(vm, b)[:len(FIRMWARE)] == FIRMWARE for b in ('b1', 'b2')],
            [True, True])
    for fault, code in (('no-return', 'device-gone'), ('other-serial', 'wrong-device')):
        vm.sim('fault', 'b2', fault=fault)
        status, told = execute(vm, 'dfu.detach', 'port=usb:1-2', 'timeout=4s')
        t.expect(f'{fault}: {code}', status == 3 and code in json.dumps(told), told)
        vm.sim('unplug', 'b2')
        vm.sim('plug', 'b2')
        wait('b2', lambda: '1-2' in devices(vm), 10)
    stop_sim(vm)


def recipe(name, timeout):
    return f'''recipe: {name}
version: 1
title: From run-time mode through DFU and back
ports:
  dut: {{kind: usb}}
artifacts:
  application: firmware.bin
steps:
  - id: flash
    action: dfu.download
    with: {{port: dut, image: '${{artifacts.application}}', address: 0x08000000, leave: true, returns: true}}
    timeout: {timeout}s
'''


BOARDS = amount(4, 15)


def station_yaml():
    return '\n'.join(
        f"  - {{id: A{n}, ports: {{dut: {{kind: usb, path: 'platform-vhci_hcd.0-usb-0:{n}', vid: '1209', pid: '0007', "
        "also: ['0483:df11']}}}" for n in range(1, BOARDS + 1))


def line(t, vm):
    """A line of stations at once; then what people and devices do wrong."""
    vm.start_provd(station_yaml(), 'udev')
    # They share an emulated machine; one alone takes its 12 s only where it does not come back.
    vm.prepare([recipe('dfu-line', 100), recipe('dfu-unit', 12)], FIRMWARE)
    job = vm.job('dfu-line', BOARDS)
    begun = time.monotonic()
    start_sim(vm, 'dfu', BOARDS, '--dfu-runtime 1 --usb-id 1209:0007')
    runs = vm.ended(job, BOARDS, 200)
    t.note(f'{BOARDS} devices at once: detach, flash, verify, leave, return in {time.monotonic() - begun:.1f} s')
    t.equal('at once: all passed', sum(r['outcome'] == 'passed' for r in runs), BOARDS)
    if any(r['outcome'] != 'passed' for r in runs):
        t.note(str([(r['station'], r['outcome'], r['code'], r.get('message')) for r in runs
                    if r['outcome'] != 'passed'][:4]))
    vm.request('POST', f'/jobs/{job}/actions/abort', headers={'If-Match': '*'})  # it may have ended
    for n in range(1, BOARDS + 1):
        t.expect(f'b{n} holds the firmware', memory(vm, f'b{n}')[:len(FIRMWARE)] == FIRMWARE)
    wrong(t, vm, 'no-return', 'device-gone')
    wrong(t, vm, 'other-serial', 'wrong-device')
    wrong(t, vm, 'swap', 'wrong-device')
    wrong(t, vm, 'disappear=20', 'device-gone')
    wrong(t, vm, 'weak-cell=70000,count=0', 'verify-mismatch')
    wrong(t, vm, 'status=11', 'device-refused')
    t.equal('provd has no word of an internal failure', vm.sh('grep -ciE "internal|bug" /run/provd.log').strip(), '0')
    stop_sim(vm)


def wrong(t, vm, fault, code):
    """One unit goes wrong; its run says how, and the next one passes."""
    vm.sim('next', 'b1')
    wait('b1', lambda: '1-1' in devices(vm), 10)
    vm.sim('fault', 'b1', fault=fault)
    job = vm.make('POST', '/jobs', {'recipe': 'dfu-unit', 'quantity': 1, 'stations': ['A1']})['id']
    run = wait(f'the run with {fault}', lambda: next((r for r in vm.runs(job) if r['state'] == 'finished'), None), 140)
    t.equal(f'line, {fault}', run['code'], code)
    vm.sim('clear-faults', 'b1')
    vm.make('POST', f'/jobs/{job}/actions/abort', None, headers={'If-Match': '*'})
