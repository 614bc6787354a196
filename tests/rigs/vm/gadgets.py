# SPDX-License-Identifier: Apache-2.0
"""Virtual gadgets on the machine's own USB: plugged, filled, asked, told apart."""
import base64
import hashlib
import json
import re

from vm import wait


def start_sim(vm, device, boards, options=''):
    """A row of devices; one at a time: they sit on the same sockets."""
    stop_sim(vm)
    vm.sh('rm -rf /d/units /d/trace; mkdir -p /d/units; '
          f'setsid provsim run --device {device} --link vhci --boards {boards} --state /d/units --trace /d/trace '
          f'--control /run/control {options} > /run/sim.log 2>&1 < /dev/null & echo started')
    wait('provsim', lambda: 'ready' in vm.sh('cat /run/sim.log'), 20)
    wait(f'{boards} devices', lambda: len(devices(vm)) >= boards, 30)


def stop_sim(vm):
    if vm.sh('[ -S /run/control ] && echo yes').strip() == 'yes':
        vm.sh("provsim ctl --control /run/control '{\"cmd\":\"quit\"}'")
        wait('provsim to end', lambda: not vm.sh('pidof provsim').strip(), 10)
        wait('the bus to be empty', lambda: not devices(vm), 10)
        vm.sh('rm -f /run/control')


def devices(vm):
    names = vm.sh('ls /sys/bus/usb/devices').split()
    return [n for n in names if '-' in n and ':' not in n]


def put(vm, path, data):
    text = base64.encodebytes(data).decode()
    vm.sh(f'base64 -d > {path} <<"END"\n{text}END')
    got = vm.sh(f'sha256sum {path}').split()[0]
    if got != hashlib.sha256(data).hexdigest():
        raise RuntimeError(f'{path} is not what was sent')


def content(vm, board, name):
    """A file that provsim keeps of a unit."""
    return base64.b64decode(vm.sh(f'base64 /d/units/{board}/{name}'))


def trace(vm, board):
    return vm.sh(f'cat /d/trace/{board}').splitlines()


def execute(vm, action, *args, seconds=120):
    line = ' '.join(f"'{a}'" for a in args)
    text = vm.sh(f'provctl --json exec {action} {line}; echo exit=$?', seconds=seconds)
    status = int(re.search(r'exit=(\d+)', text)[1])
    try:
        return status, json.loads(text[:text.rindex('exit=')])
    except ValueError:
        return status, text
