# SPDX-License-Identifier: Apache-2.0
"""STM32 boot ROMs behind real kernel ttys (CDC-ACM): parity, rate and modem lines as the device sees
them. stm32flash first, then provd."""
import json
import random
import re

from vm import wait

FIRMWARE = random.Random(9).randbytes(20_001)
SIM = ('setsid provsim run --device stm32-uart --link vhci --boards 2 --state /d/stm32 --control /run/control '
       '--stm32-parity 1 --stm32-wiring dtr-rts > /run/sim.log 2>&1 < /dev/null & echo started')


def start(vm, put):
    vm.sh('rm -rf /d/stm32; mkdir -p /d/stm32; ' + SIM)
    wait('provsim', lambda: 'ready' in vm.sh('cat /run/sim.log'), 20)
    wait('two ttys', lambda: vm.sh('ls /dev').split().count('ttyACM0') and 'ttyACM1' in vm.sh('ls /dev'), 30)
    put(vm, '/tmp/fw.bin', FIRMWARE)


def boards(vm):
    """{name: its view}"""
    return {b['board']: b for b in vm.sim('list')['boards']}


def tty_of(vm, board):
    """The node of the board in that socket: sockets are ports of the hub."""
    port = int(board[1:])
    path = vm.sh(f'ls -d /sys/bus/usb/devices/1-{port}:1.0/tty/*').strip()
    return '/dev/' + path.rsplit('/', 1)[1]


def cells(vm, board):
    return vm.sh(f'head -c {len(FIRMWARE)} /d/stm32/{board}/flash.bin | cmp - /tmp/fw.bin && echo same').strip()


def execute(vm, action, tty, *args):
    line = ' '.join(f"'{a}'" for a in (f'port=tty:{tty}', *args))
    text = vm.sh(f'provctl --json exec stm32.{action} {line}; echo exit=$?', seconds=60)
    status = int(re.search(r'exit=(\d+)', text)[1])
    try:
        return status, json.loads(text[:text.rindex('exit=')])
    except ValueError:
        return status, text


def run(t, vm, put):
    start(vm, put)
    one, two = tty_of(vm, 'b1'), tty_of(vm, 'b2')
    t.equal('without its lines the board runs its application', boards(vm)['b1']['state'], 'application')
    said = vm.sh(f'stm32flash -i "dtr,rts,-rts,:-dtr,rts,-rts" -w /tmp/fw.bin -v {one}; echo exit=$?', seconds=60)
    t.expect('stm32flash enters by DTR and RTS, with even parity, and writes', 'exit=0' in said, said)
    t.equal('its flash is the firmware', cells(vm, 'b1'), 'same')
    said = vm.sh(f'stm32flash -m 8n1 -i "dtr,rts,-rts" {one}; echo exit=$?', seconds=60)
    t.expect('stm32flash without parity is not heard', 'exit=1' in said, said)
    status, told = execute(vm, 'flash', two, 'image=/tmp/fw.bin', 'enter=dtr=1, rts=1, 10ms, rts=0, 50ms',
                           'exit=dtr=0, rts=1, 10ms, rts=0')
    if not t.equal('provctl enters by DTR and RTS, with even parity, and writes', status, 0):
        t.note(str(told))
    t.equal('its flash is the firmware too', cells(vm, 'b2'), 'same')
    t.equal('and exit leaves it in its application', boards(vm)['b2']['state'], 'application')
    status, told = execute(vm, 'info', two, 'parity=none', 'enter=dtr=1, rts=1, 10ms, rts=0, 50ms')
    t.expect('provctl without parity is not heard', status == 1 and 'BOOT0' in json.dumps(told), told)
    status, told = execute(vm, 'info', two, 'enter=dtr=1, rts=1, 10ms, rts=0, 50ms', 'baud=57600')
    t.expect('provctl at another rate', status == 0 and '0x413' in json.dumps(told), told)
    status, told = execute(vm, 'info', two)
    t.expect('without the lines there is no ROM', status == 1, told)
    vm.sh("provsim ctl --control /run/control '{\"cmd\":\"quit\"}'")
