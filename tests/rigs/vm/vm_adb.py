# SPDX-License-Identifier: Apache-2.0
"""ADB over real kernel USB: Debian's adb and its server, then provd, on equal devices."""
import json
import random

from gadgets import content, devices, execute, put, start_sim, stop_sim, trace
from vm import wait

FILES = {n: random.Random(n).randbytes(n) for n in (0, 1, 512, 65535, 65536, 65537, 700_001)}
# The units were made to know the key of the reference client: provd may use it too.
KEY = 'key=/d/home/.android/adbkey'
ADB = 'export HOME=/d/home ANDROID_ADB_SERVER_PORT=15037; mkdir -p $HOME; '


def reference(t, vm):
    start_sim(vm, 'adb', 2, '--adb-auth any')
    for n, data in FILES.items():
        if n:
            put(vm, f'/tmp/f{n}', data)
        else:
            vm.sh(': > /tmp/f0')
    vm.sh(ADB + 'adb start-server', seconds=30)
    # The server takes every device that it finds: ours is named by its holder, and then left to us.
    wait('adb to see both', lambda: vm.sh(ADB + 'adb devices').count('\tdevice') == 2, 30)
    serials = [x.split('\t')[0] for x in vm.sh(ADB + 'adb devices').splitlines() if '\tdevice' in x]
    status, told = execute(vm, 'adb.shell', 'port=usb:1-2', 'command=id')
    t.expect('a running adb server is named', status == 3 and 'busy' in json.dumps(told) and 'adb' in json.dumps(told), told)
    first = next(s for s in serials if s == vm.sh('cat /sys/bus/usb/devices/1-1/serial').strip())
    said = vm.sh(ADB + f'adb -s {first} shell "exit 7"; echo status=$?', seconds=30)
    t.expect('adb: exit status', 'status=7' in said, said)
    for n in FILES:
        said = vm.sh(ADB + f'adb -s {first} push /tmp/f{n} /data/local/tmp/f{n}; echo status=$?', seconds=60)
        t.expect(f'adb pushes {n} bytes', 'status=0' in said, said)
    vm.sh(ADB + 'adb kill-server', seconds=30)
    wait('adb to end', lambda: not vm.sh('pidof adb').strip(), 10)
    vm.sh('mkdir -p /d/keep')
    for n in FILES:
        status, told = execute(vm, 'adb.push', 'port=usb:1-2', f'file=/tmp/f{n}', f'path=/data/local/tmp/f{n}', KEY, seconds=60)
        if not t.equal(f'provctl pushes {n} bytes', status, 0):
            t.note(str(told)[:600])
    for n, data in FILES.items():
        same = [stored(vm, b, n) == data for b in ('b1', 'b2')]
        t.equal(f'{n} bytes: in both', same, [True, True])
    status, told = execute(vm, 'adb.pull', 'port=usb:1-1', 'path=/data/local/tmp/f700001', KEY, 'file=/tmp/pulled', seconds=60)
    t.equal('provctl pulls what adb pushed', (status, vm.sh('cmp /tmp/f700001 /tmp/pulled && echo same').strip()),
            (0, 'same'))
    status, told = execute(vm, 'adb.shell', 'port=usb:1-2', 'command=exit 7', KEY)
    t.expect('an exit status is a failure', status == 1 and '7' in json.dumps(told), told)
    status, told = execute(vm, 'adb.reboot', 'port=usb:1-2', 'mode=recovery', KEY, seconds=60)
    if not t.equal('reboot to recovery, on the same port', status, 0):
        t.note(str(told)[:600])
    # Pulled as soon as some more transfers have gone over; the file is large, so that this is in its middle on a busy machine too.
    vm.sh('mkdir -p /var/tmp; head -c 12000000 /dev/zero > /tmp/large')
    many = len(trace(vm, 'b2')) + 12
    pull = ('setsid sh -c \'while [ "$(wc -l < /d/trace/b2)" -lt %d ]; do usleep 1000; done; '
            'provsim ctl --control /run/control "{\\"cmd\\":\\"unplug\\",\\"board\\":\\"b2\\"}"\' > /dev/null 2>&1 < /dev/null &')
    vm.sh(pull % many)
    status, told = execute(vm, 'adb.push', 'port=usb:1-2', 'file=/tmp/large', 'path=/data/local/tmp/again', KEY,
                           'idle_timeout=20s', seconds=60)
    vm.sh('rm /tmp/large')
    t.expect('pulled out in the middle of a push', status == 3 and 'device-gone' in json.dumps(told), told)
    t.equal('it is out', devices(vm), ['1-1'])
    stop_sim(vm)


def stored(vm, board, n):
    path = f'/d/units/{board}'
    found = vm.sh(f'find -L {path} -name f{n} | head -n 1').strip()
    return content(vm, board, found[len(path) + 1:]) if found else None
