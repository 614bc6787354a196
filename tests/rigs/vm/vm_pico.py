# SPDX-License-Identifier: Apache-2.0
"""PICOBOOT over real kernel USB: picotool where the machine has it, then provd on the same kind of device."""
import json
import random
import re
import struct

from gadgets import content, devices, execute, put, start_sim, stop_sim, trace
from vm import wait

BASE = 0x10000000
ERASE, WRITE, READ = 0x03, 0x05, 0x84


def crc32_mpeg2(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04c11db7 if crc & 0x80000000 else crc << 1) & 0xffffffff
    return crc


def firmware(n, seed, rp2350=False):
    """With the checksum that the ROM of a RP2040 looks at, or with a block of a RP2350."""
    body = random.Random(seed).randbytes(n)
    if rp2350:
        return body[:0x140] + struct.pack('<I', 0xffffded3) + body[0x144:]
    return body[:252] + struct.pack('<I', crc32_mpeg2(body[:252])) + body[256:]


def uf2(data, family):
    blocks = (len(data) + 255) // 256
    out = b''
    for k in range(blocks):
        part = data[256 * k:256 * k + 256].ljust(256, b'\xff')
        head = struct.pack('<8I', 0x0a324655, 0x9e5d5157, 0x2000, BASE + 256 * k, 256, k, blocks, family)
        out += head + part.ljust(476, b'\0') + struct.pack('<I', 0x0ab16f30)
    return out


def commands(lines):
    """(id, address, size) of each command of a transcript."""
    found = []
    for x in lines:
        m = re.match(r'out n=32: 0bd11f43\w{8}(\w\w)\w{6}\w{8}(\w{8})(\w{8})', x)
        if m:
            word = [struct.unpack('<I', bytes.fromhex(g))[0] for g in m.groups()[1:]]
            found.append((int(m[1], 16), *word))
    return found


def covered(found, what):
    """The addresses that commands of one kind touch, by sector."""
    return {a for i, at, n in found if i == what for a in range(at & ~4095, at + n, 4096)}


def address_of(vm, port):
    return int(vm.sh(f'cat /sys/bus/usb/devices/{port}/devnum'))


def has_picotool(vm):
    return bool(vm.sh('command -v picotool').strip())


def flash(vm, board, n):
    return content(vm, board, 'flash.bin')[:n]


def reference(t, vm):
    """picotool and provctl on two equal devices of each chip."""
    if not has_picotool(vm):
        t.note('no picotool on this machine: provd alone, against the ROM as its sources say')
    one(t, vm, 'rp2040', firmware(90_112, 5), 0xe48bff56)
    one(t, vm, 'rp2350', firmware(90_112, 6, True), 0xe48bff59)


def one(t, vm, chip, fw, family):
    start_sim(vm, 'picoboot', 2, f'--pico-chip {chip} --pico-drive 1 --usb-id 2e8a:000a')
    put(vm, '/tmp/fw.uf2', uf2(fw, family))
    if has_picotool(vm):
        said = vm.sh(f'picotool load -v /tmp/fw.uf2 --bus 1 --address {address_of(vm, "1-1")}', seconds=60)
        t.expect(f'{chip}: picotool loads and verifies', 'OK' in said, said)
        t.equal(f'{chip}: picotool wrote the file', flash(vm, 'b1', len(fw)) == fw, True)
    status, told = execute(vm, 'picoboot.flash', 'port=usb:1-2', 'image=/tmp/fw.uf2')
    if not t.equal(f'{chip}: provctl flashes', status, 0):
        t.note(str(told))
    t.expect(f'{chip}: read back', '"proof": "read-back"' in json.dumps(told), told)
    t.equal(f'{chip}: the cells are the file', flash(vm, 'b2', len(fw)) == fw, True)
    b = commands(trace(vm, 'b2'))
    if has_picotool(vm):
        a = commands(trace(vm, 'b1'))
        t.note(f'{chip}: picotool {len(a)} commands, provd {len(b)}')
        for what, name in ((ERASE, 'erases'), (WRITE, 'writes')):
            t.equal(f'{chip}: the same {name} as picotool', covered(b, what), covered(a, what))
        t.expect(f'{chip}: all that picotool reads to verify', covered(b, READ) >= covered(a, WRITE), (a[:9], b[:9]))
        status, told = execute(vm, 'picoboot.flash', 'port=usb:1-1', 'image=/tmp/fw.uf2')
        t.expect(f'{chip}: what picotool wrote is passed over', status == 0 and '"skipped": true' in json.dumps(told), told)
        said = vm.sh(f'picotool save -r {BASE:x} {BASE + len(fw):x} /tmp/back.bin --bus 1 '
                     f'--address {address_of(vm, "1-2")}; sha256sum /tmp/back.bin', seconds=60)
        status, told = execute(vm, 'picoboot.read', 'port=usb:1-2', f'size={len(fw)}', 'file=/tmp/own.bin')
        t.equal(f'{chip}: both read the same', vm.sh('cmp /tmp/back.bin /tmp/own.bin && echo same').strip(), 'same')
    # A file for both chips, as vendors give it out: what is for this one.
    put(vm, '/tmp/both.uf2', uf2(firmware(4096, 3, chip != 'rp2350'), 0xe48bff56 if chip == 'rp2350' else 0xe48bff59) + uf2(fw, family))
    status, told = execute(vm, 'picoboot.flash', 'port=usb:1-2', 'image=/tmp/both.uf2')
    t.expect(f'{chip}: of a file for both chips its part', status == 0 and '"skipped": true' in json.dumps(told), told)
    status, told = execute(vm, 'picoboot.info', 'port=usb:1-2')
    t.expect(f'{chip}: info', status == 0 and chip.upper() in json.dumps(told), told)
    if chip == 'rp2350':
        restart(t, vm, chip)
    stop_sim(vm)


def restart(t, vm, chip):
    """Into the application, which is not flashed; and a file that is not for it."""
    status, told = execute(vm, 'picoboot.reboot', 'port=usb:1-2', 'returns=true')
    t.expect(f'{chip}: reboot, and its return as the application', status == 0 and '000a' in json.dumps(told), told)
    status, told = execute(vm, 'picoboot.flash', 'port=usb:1-2', 'image=/tmp/fw.uf2')
    t.expect(f'{chip}: the application is not flashed', status == 3 and 'runs its application' in json.dumps(told), told)


def recipe(name):
    return f'''recipe: {name}
version: 1
title: Into the flash, read back, restarted
ports:
  dut: {{kind: usb}}
artifacts:
  application: firmware.bin
steps:
  - id: flash
    action: picoboot.flash
    with: {{port: dut, image: '${{artifacts.application}}', reboot: true, returns: true}}
    timeout: 40s
'''


def line(t, vm):
    """Two stations at once; then what devices do wrong."""
    fw = firmware(40_960, 9)
    stations = '\n'.join(
        f"  - {{id: P{n}, ports: {{dut: {{kind: usb, path: 'platform-vhci_hcd.0-usb-0:{n}', vid: '2e8a', pid: '0003', "
        "also: ['2e8a:000a']}}}" for n in (1, 2))
    vm.start_provd(stations, 'udev')
    vm.prepare([recipe('pico')], fw)
    job = vm.job('pico', 2)
    start_sim(vm, 'picoboot', 2, '--usb-id 2e8a:000a')
    runs = vm.ended(job, 2, 90)
    t.equal('line: both passed', [(r['outcome'], r['code'], r.get('message')) for r in runs if r['outcome'] != 'passed'], [])
    t.equal('line: both hold the firmware', [flash(vm, b, len(fw)) == fw for b in ('b1', 'b2')], [True, True])
    for fault, code in (('swap', 'not-started'),):
        vm.sim('next', 'b1')
        wait('b1', lambda: '1-1' in devices(vm), 10)
        vm.sim('fault', 'b1', fault=fault)
        job = vm.make('POST', '/jobs', {'recipe': 'pico', 'quantity': 1, 'stations': ['P1']})['id']
        run = wait(f'the run with {fault}', lambda: next((r for r in vm.runs(job) if r['state'] == 'finished'), None), 90)
        t.equal(f'line, {fault}', (run['code'], run.get('message') if run['code'] != code else ''), (code, ''))
        vm.sim('clear-faults', 'b1')
        vm.make('POST', f'/jobs/{job}/actions/abort', None, headers={'If-Match': '*'})
    stop_sim(vm)
