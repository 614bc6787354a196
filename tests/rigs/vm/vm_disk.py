# SPDX-License-Identifier: Apache-2.0
"""Disks of units over real kernel USB, SCSI and block layers: bmaptool and mtools on this machine and dd in the virtual one make what
is compared with what provd writes."""
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile

from gadgets import devices, execute, put, start_sim, stop_sim
import vm_pico
from vm import wait

SIZE = 4 << 20
IMAGE = 3 << 20
FILE = random.Random(11).randbytes(300_000)


def made(folder):
    """A card of 3 MiB with a FAT and a file, by mtools, and its block map, by bmaptool."""
    image = os.path.join(folder, 'disk.img')
    with open(image, 'wb') as f:
        f.truncate(IMAGE)
    with open(os.path.join(folder, 'app.bin'), 'wb') as f:
        f.write(FILE)
    subprocess.run(['mformat', '-i', image, '-T', str(IMAGE // 512), '-h', '16', '-s', '32', '::'], check=True)
    subprocess.run(['mcopy', '-i', image, os.path.join(folder, 'app.bin'), '::APP.BIN'], check=True)
    subprocess.run(['cp', '--sparse=always', image, image + '.sparse'], check=True)
    os.rename(image + '.sparse', image)
    subprocess.run(['bmaptool', 'create', '-o', image + '.bmap', image], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(['bmaptool', 'copy', '--bmap', image + '.bmap', image, os.path.join(folder, 'copied')], check=True,
                   stderr=subprocess.DEVNULL)
    return image


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def whole(data):
    return hashlib.sha256(data.ljust(SIZE, b'\0')).hexdigest()


def cells(vm, board):
    return vm.sh(f'sha256sum /d/units/{board}/disk.bin').split()[0]


def state(vm, board):
    return vm.sim('state', board)['state']


def disk_at(vm, port):
    """The name that the kernel gave the disk of a port."""
    return wait(f'the disk of {port}', lambda: vm.sh(
        f'ls -d /sys/bus/usb/devices/{port}/{port}:1.0/host*/target*/*/block/* 2>/dev/null').strip(), 20).split('/')[-1]


def reference(t, vm):
    for tool in ('bmaptool', 'mformat', 'mcopy'):
        if not shutil.which(tool):
            t.note(f'SKIP: no {tool} on this machine (scripts/install-deps test)')
            return
    with tempfile.TemporaryDirectory() as folder:
        image = made(folder)
        data, copied = read(image), read(os.path.join(folder, 'copied'))
        put(vm, '/tmp/disk.img.gz', gzip.compress(data, 1))
        put(vm, '/tmp/disk.bmap', read(image + '.bmap'))
    vm.sh('modprobe usb-storage; echo 0 > /sys/module/usb_storage/parameters/delay_use')
    start_sim(vm, 'disk', 2, '--disk-size 4M --usb-id 1209:0d15')
    second = disk_at(vm, '1-2')
    status, told = execute(vm, 'disk.write', 'port=usb:1-1', 'image=/tmp/disk.img.gz', 'unpack=true', 'bmap=/tmp/disk.bmap')
    if not t.equal('provctl writes by the block map', status, 0):
        t.note(str(told))
    t.expect('less than the image was written', status == 0 and told['steps'][0]['evidence']['bytes'] < len(data), told)
    t.equal('the same cells as bmaptool leaves', cells(vm, 'b1'), whole(copied))
    t.expect('the cache of the unit was written out', state(vm, 'b1')['syncs'] >= 2)
    vm.sh(f'gunzip -c /tmp/disk.img.gz | dd of=/dev/{second} bs=64k conv=fsync 2>/dev/null')
    t.equal('dd writes the other', cells(vm, 'b2'), whole(data))
    status, told = execute(vm, 'disk.read', 'port=usb:1-2', f'size={len(data)}', 'file=/tmp/back.img')
    t.equal('and read', vm.sh('gunzip -c /tmp/disk.img.gz | cmp - /tmp/back.img && echo same').strip(), 'same')
    refused(t, vm, second, hashlib.sha256(data).hexdigest())
    wrong(t, vm)
    stop_sim(vm)


def refused(t, vm, second, sha):
    """Before the first byte."""
    before = cells(vm, 'b2')
    vm.sh(f'mkdir -p /mnt; mount -t vfat /dev/{second} /mnt')
    status, told = execute(vm, 'disk.write', 'port=usb:1-2', 'image=/tmp/disk.img.gz', 'unpack=true')
    t.expect('mounted: refused', status == 3 and 'busy' in json.dumps(told) and '/mnt' in json.dumps(told), told)
    vm.sh('umount /mnt')
    status, told = execute(vm, 'disk.write', 'port=usb:1-2', 'image=/tmp/disk.img.gz', 'unpack=true', 'min_size=5M')
    t.expect('too small for the recipe: refused', status == 3 and 'wrong-device' in json.dumps(told), told)
    text = vm.sh('/usr/bin/setpriv --reuid=870 --regid=870 --clear-groups provctl --json exec disk.read port=usb:1-2 size=512 '
                 'file=/tmp/no.img; echo exit=$?')
    t.expect('without a udev rule: it says so', 'access-denied' in text and 'udev rule' in text, text)
    t.equal('nothing was written', cells(vm, 'b2'), before)
    # The rule that the end of 60-provd.rules shows, for this socket.
    vm.sh('mkdir -p /etc/udev/rules.d; cat > /etc/udev/rules.d/61-site.rules <<"END"\n'
          'SUBSYSTEM=="block", IMPORT{builtin}="path_id"\n'
          'SUBSYSTEM=="block", ENV{ID_PATH}=="platform-vhci_hcd.0-usb-0:2:*", GROUP="provd", MODE="0660"\nEND\n'
          'udevadm control --reload; udevadm trigger --settle --subsystem-match=block')
    text = vm.sh('/usr/bin/setpriv --reuid=870 --regid=870 --clear-groups provctl --json exec disk.verify port=usb:1-2 '
                 'image=/tmp/disk.img.gz unpack=true; echo exit=$?')
    t.expect('with it provd may, and verifies what dd wrote', 'exit=0' in text and sha in text, text)
    text = vm.sh('/usr/bin/setpriv --reuid=870 --regid=870 --clear-groups provctl --json exec disk.read port=usb:1-1 size=512 '
                 'file=/tmp/no.img; echo exit=$?')
    t.expect('and not the other socket', 'access-denied' in text, text)


def wrong(t, vm):
    """What the unit does in the middle. After one that left it is plugged again."""
    for fault, code in (('weak-cell=70001,count=0', 'verify-mismatch'), ('shrink=%d', 'device-gone')):
        vm.sim('clear-faults', 'b2')
        if '1-2' not in devices(vm):
            vm.sim('plug', 'b2')
            disk_at(vm, '1-2')
        if '%d' in fault:
            fault %= state(vm, 'b2')['writes'] + 3
        vm.sim('fault', 'b2', fault=fault)
        status, told = execute(vm, 'disk.write', 'port=usb:1-2', 'image=/tmp/disk.img.gz', 'unpack=true')
        t.expect(f'{fault}: {code}', status in (1, 3) and told['code'] == code, told)


def uf2(t, vm):
    """A board whose only way in is the drive of its bootloader: a file that the machine itself copies, then uf2.copy."""
    start_sim(vm, 'disk', 2, '--disk-uf2 TEST-Board-v1 --disk-size 8M --usb-id 1209:0a99')
    put(vm, '/tmp/board.uf2', vm_pico.uf2(FILE[:20_000], 0xada52840))
    first = disk_at(vm, '1-1')
    disk_at(vm, '1-2')
    vm.sh(f'mkdir -p /mnt; mount -t vfat /dev/{first} /mnt && cp /tmp/board.uf2 /mnt && sync', seconds=60)
    wait('the board that the machine copied to', lambda: state(vm, 'b1')['state'] == 'application', 15)
    vm.sh('umount -l /mnt')
    copied = ('uf2.copy', 'port=usb:1-2', 'image=/tmp/board.uf2', 'family=0xada52840')
    status, told = execute(vm, *copied, 'board_id=OTHER-Board')
    t.expect('uf2: another board is not written', status == 3 and told['code'] == 'wrong-device', told)
    status, told = execute(vm, *copied, 'board_id=TEST-Board-v1')
    t.expect('uf2: provd copies, and sees it come back', status == 0 and '0a99' in json.dumps(told) and 'TEST-Board' in json.dumps(told), told)
    vm.sim('replug', 'b2')
    disk_at(vm, '1-2')
    vm.sim('fault', 'b2', fault='not-started')
    status, told = execute(vm, *copied)
    t.expect('uf2: one that comes back as its bootloader', status == 1 and told['code'] == 'not-started', told)
    put(vm, '/tmp/other.uf2', vm_pico.uf2(FILE[:20_000], 0xe48bff56))
    disk_at(vm, '1-2')
    status, told = execute(vm, 'uf2.copy', 'port=usb:1-2', 'image=/tmp/other.uf2')
    t.expect('uf2: a file that the board ignores', status == 1 and told['code'] == 'device-refused', told)
    stop_sim(vm)
