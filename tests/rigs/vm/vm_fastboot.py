# SPDX-License-Identifier: Apache-2.0
"""fastboot over real kernel USB: Debian's fastboot, then provd, on equal devices."""
import hashlib
import json
import random
import time

from gadgets import content, devices, execute, put, start_sim, stop_sim, trace
from vm import wait

SMALL = random.Random(11).randbytes(300_001)
# Whole blocks: the reference client cannot split other files.
LARGE = random.Random(12).randbytes(225 * 4096) + bytes(98 * 4096) + random.Random(13).randbytes(171 * 4096)
OPTIONS = '--max-download 0x80000 --partitions boot:8M:s,userdata:8M,cache:8M'


def commands(lines):
    """What the host said: the transfers that are words."""
    said = []
    for x in lines:
        if x.startswith('out n='):
            raw = bytes.fromhex(x.split(': ')[1])
            if raw[:1].isalpha() and all(32 <= c < 127 for c in raw) and int(x[6:].split(':')[0]) <= 64:
                said.append(raw.decode())
    return said


def reference(t, vm):
    start_sim(vm, 'fastboot', 2, OPTIONS)
    put(vm, '/tmp/boot.img', SMALL)
    put(vm, '/tmp/data.img', LARGE)
    listed = vm.sh('fastboot devices -l')
    t.equal('fastboot lists both', [x in listed for x in ('usb:1-1', 'usb:1-2')], [True, True])
    for image, partition in (('boot.img', 'boot'), ('data.img', 'userdata')):
        said = vm.sh(f'fastboot -s usb:1-1 flash {partition} /tmp/{image}', seconds=90)
        t.expect(f'fastboot flashes {partition}', 'Finished' in said and 'FAILED' not in said, said)
        begun = time.monotonic()
        status, told = execute(vm, 'fastboot.flash', 'port=usb:1-2', f'partition={partition}', f'image=/tmp/{image}',
                               seconds=90)
        t.note(f'provd: {partition} in {time.monotonic() - begun:.1f} s')
        if not t.equal(f'provctl flashes {partition}', status, 0):
            t.note(str(told))
    for name in ('boot_a.img', 'userdata.img'):
        a, b = content(vm, 'b1', name), content(vm, 'b2', name)
        t.equal(f'{name}: the same in both', hashlib.sha256(a).hexdigest(), hashlib.sha256(b).hexdigest())
    t.equal('boot is the image', content(vm, 'b2', 'boot_a.img')[:len(SMALL)], SMALL)
    t.equal('userdata is the image', content(vm, 'b2', 'userdata.img')[:len(LARGE)], LARGE)
    theirs, ours = commands(trace(vm, 'b1')), commands(trace(vm, 'b2'))
    words = ('download:', 'flash:')
    t.equal('the same downloads and flashes', [x for x in ours if x.startswith(words)],
            [x for x in theirs if x.startswith(words)])
    status, told = execute(vm, 'fastboot.getvar', 'port=usb:1-2', 'name=max-download-size')
    t.expect('getvar', status == 0 and '0x80000' in json.dumps(told), told)
    status, told = execute(vm, 'fastboot.reboot', 'port=usb:1-2', 'to=bootloader', seconds=60)
    if not t.equal('reboot and return', status, 0):
        t.note(str(told))
    for fault, code in (('data-size=5', 'protocol'), ('hangup=200000', 'device-gone'), ('silence=2', 'timeout')):
        vm.sim('fault', 'b2', fault=fault)
        status, told = execute(vm, 'fastboot.flash', 'port=usb:1-2', 'partition=boot', 'image=/tmp/boot.img',
                               'download_timeout=3s', 'flash_timeout=3s', '--timeout=20s')
        t.expect(f'{fault}: no pass', status in (1, 3), (status, told))
        t.expect(f'{fault}: {code}', code in json.dumps(told), told)
        vm.sim('clear-faults', 'b2')
        vm.sim('unplug', 'b2')
        vm.sim('plug', 'b2')
        wait('b2', lambda: '1-2' in devices(vm), 10)
    stop_sim(vm)
