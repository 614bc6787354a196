# SPDX-License-Identifier: Apache-2.0
"""Power of units over real kernel USB: a virtual hub with a switch for each port, and what hangs on it.

The kernel of vhci_hcd sends what goes to port N of any hub to the device in socket N: so devices that sit in the sockets
1 to 4 and were taken off the root hub are those of the ports 1 to 4 of the virtual hub in socket 8.
"""
import json
import re

from gadgets import devices
from vm import amount, wait

HUB = '1-8'
PORTS = 4


def start(vm, device, boards, options, name):
    vm.sh(f'setsid provsim run --device {device} --link vhci --boards {boards} --control /run/{name} '
          f'--trace /d/trace {options} > /run/{name}.log 2>&1 < /dev/null & echo started')
    wait(f'provsim {name}', lambda: 'ready' in vm.sh(f'cat /run/{name}.log'), 20)


def quit_sim(vm, name):
    if vm.sh(f'[ -S /run/{name} ] && echo yes').strip() == 'yes':
        vm.sh(f"provsim ctl --control /run/{name} '{{\"cmd\":\"quit\"}}'; rm -f /run/{name}")


def ask(vm, name, command, **more):
    order = json.dumps({'cmd': command, **more})
    answer = json.loads(vm.sh(f"provsim ctl --control /run/{name} '{order}'").splitlines()[0])
    if not answer.get('ok'):
        raise RuntimeError(f'provsim: {order}: {answer}')
    return answer


def hub(vm, name='hub'):
    return ask(vm, name, 'list')['boards'][0]


def ports(vm):
    return hub(vm)['ports']


def uhubctl(vm):
    """{port: whether it has power}, as the reference client reads it."""
    said = vm.sh(f'uhubctl -l {HUB}')
    return {int(n): 'power' in rest for n, rest in re.findall(r'Port (\d+): \w{4} ?(.*)', said)}


def agree(t, vm, what):
    t.equal(f'{what}: uhubctl agrees on every port', uhubctl(vm),
            {i + 1: p['power'] for i, p in enumerate(ports(vm))})


def execute(vm, action, *args, power=None, seconds=60):
    line = ' '.join(f"'{a}'" for a in args)
    env = f"PROVD_POWER='{power}' " if power else ''
    text = vm.sh(f'{env}provctl --json exec {action} {line}; echo exit=$?', seconds=seconds)
    status = int(re.search(r'exit=(\d+)', text)[1])
    return status, text


def begin(vm):
    vm.sh('rm -rf /d/trace; mkdir -p /d/trace')
    start(vm, 'dfu', PORTS, '', 'units')
    wait('the units', lambda: {f'1-{n}' for n in range(1, PORTS + 1)} <= set(devices(vm)), 20)
    vm.sh(f'for i in 1 2 3 4; do echo 1 > /sys/bus/usb/devices/1-$i/remove; done')
    wait('the root hub to be empty', lambda: not devices(vm), 10)
    start(vm, 'hub', 1, f'--first-socket 8 --hub-ports {PORTS} --hub-devices 0x0f', 'hub')
    wait('the units behind the hub', lambda: {f'{HUB}.{n}' for n in range(1, PORTS + 1)} <= set(devices(vm)), 30)


def switches(vm, since):
    """What a host asked of the power, from that line of the transcript on."""
    lines = vm.sh('cat /d/trace/b8').splitlines()
    return [x for x in lines[since:] if re.match(r'control 23 0[13] value=0008', x)], len(lines)


def reference(t, vm):
    """uhubctl first, then provctl, on the same port."""
    begin(vm)
    agree(t, vm, 'at first')
    before = [(p['ons'], p['offs']) for p in ports(vm)]
    _, at = switches(vm, 0)
    said = vm.sh(f'uhubctl -N -l {HUB} -p 2 -a off')
    if 'unrecognized' in said or 'invalid option' in said:
        said = vm.sh(f'uhubctl -l {HUB} -p 2 -a off')
    t.equal('uhubctl switches port 2 off', ports(vm)[1]['power'], False)
    vm.sh(f'uhubctl -l {HUB} -p 2 -a on')
    wait('the unit', lambda: f'{HUB}.2' in devices(vm), 10)
    theirs, at = switches(vm, at)
    status, told = execute(vm, 'device.power', f'port=usb:{HUB}.2', 'state=off')
    t.equal('provctl switches it off', status, 0)
    if status:
        t.note(told)
    t.expect('and its unit has left', f'{HUB}.2' not in devices(vm) and '"left"' in told, told)
    agree(t, vm, 'off')
    wait('the kernel to be done', lambda: True, 1)
    t.equal('the kernel does not switch it on again', ports(vm)[1]['power'], False)
    status, told = execute(vm, 'device.power', 'state=on', power='{kind: hub, hub: 1-8, port: 2}')
    t.equal('and on', status, 0)
    agree(t, vm, 'on')
    wait('the unit', lambda: f'{HUB}.2' in devices(vm), 10)
    ours, at = switches(vm, at)
    t.note(f'uhubctl {theirs}')
    t.note(f'provctl {ours}')
    t.expect('the same requests', set(ours) == {x for x in theirs if 'port=2' in x} or not theirs, (theirs, ours))
    status, told = execute(vm, 'device.power', f'port=usb:{HUB}.3', 'state=cycle', 'off_for=100ms')
    t.equal('a cycle of port 3', status, 0)
    t.expect('is proved by the unit that left and came back', '"left"' in told and '"back"' in told, told)
    after = [(p['ons'], p['offs']) for p in ports(vm)]
    t.equal('no other port was touched', [after[0], after[3]], [before[0], before[3]])
    both_halves(t, vm)
    wrong(t, vm)


def root(vm, location):
    said = vm.sh(f'uhubctl -e -l {location}')
    return {int(n): 'power' in rest for n, rest in re.findall(r'Port (\d+): \w{4} ?(.*)', said)}


def both_halves(t, vm):
    """A socket of two root hubs, of USB 2 and of USB 3: without power both have to be off."""
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hub, hub: usb1, port: 13}')
    t.equal('both halves of a socket are off', (status, root(vm, 1)[13], root(vm, 2)[13]), (0, False, False))
    if status:
        t.note(told)
    t.equal('and no other port of either', (all(v for n, v in root(vm, 1).items() if n != 13),
                                            all(v for n, v in root(vm, 2).items() if n != 13)), (True, True))
    status, told = execute(vm, 'device.power', 'state=on', power='{kind: hub, hub: usb2, port: 13}')
    t.equal('and on, by the other name', (status, root(vm, 1)[13], root(vm, 2)[13]), (0, True, True))


def fault(vm, spec, board='b8', name='hub'):
    ask(vm, name, 'fault', board=board, fault=spec)


def wrong(t, vm):
    """What hubs get wrong, or cannot."""
    for spec, code in (('stuck=2', 'power-state'), ('refuses=2', 'power-switch'), ('short-status', 'power-switch')):
        fault(vm, spec)
        status, told = execute(vm, 'device.power', f'port=usb:{HUB}.2', 'state=off')
        t.expect(f'hub, {spec}: {code}', status == 3 and f'"{code}"' in told, told)
        ask(vm, 'hub', 'clear-faults', board='b8')
        execute(vm, 'device.power', 'state=on', power='{kind: hub, hub: 1-8, port: 2}')
        wait('the unit', lambda: f'{HUB}.2' in devices(vm), 10)
    execute(vm, 'device.power', f'port=usb:{HUB}.2', 'state=off')
    fault(vm, 'over-current=2')
    status, told = execute(vm, 'device.power', 'state=on', power='{kind: hub, hub: 1-8, port: 2}')
    t.expect('hub, a short at the unit: power-state', status == 3 and '"power-state"' in told and 'over-current' in told,
             told)
    execute(vm, 'device.power', 'state=on', power='{kind: hub, hub: 1-8, port: 2}')
    wait('the unit', lambda: f'{HUB}.2' in devices(vm), 10)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hub, hub: 1-8, port: 9}')
    t.expect('no such port: power-not-switchable', status == 3 and '"power-not-switchable"' in told, told)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hub, hub: 1-8.1, port: 1}')
    t.expect('no hub: power-not-switchable', status == 3 and '"power-not-switchable"' in told, told)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hub, hub: 1-13, port: 1}')
    t.expect('no such hub: power-switch', status == 3 and '"power-switch"' in told, told)
    for switching, code in (('ganged', 'power-ganged'), ('none', 'power-not-switchable')):
        start(vm, 'hub', 1, f'--first-socket 9 --hub-devices 0 --hub-switching {switching}', switching)
        wait('the hub', lambda: '1-9' in devices(vm), 10)
        status, told = execute(vm, 'device.power', 'state=off', power='{kind: hub, hub: 1-9, port: 1}')
        t.expect(f'a hub with switching {switching}: {code}', status == 3 and f'"{code}"' in told, told)
        quit_sim(vm, switching)
        wait('the hub to be gone', lambda: '1-9' not in devices(vm), 10)


def relay(t, vm):
    """usbrelay, then provctl, on the same relay."""
    vm.sh('modprobe usbhid; modprobe hid-generic')
    start(vm, 'hid-relay', 2, '--first-socket 10 --set b10:relay-serial=AB1CD --set b11:relay-serial=XY9ZT', 'relay')
    wait('the relays', lambda: {'1-10', '1-11'} <= set(devices(vm)), 10)
    wait('their nodes', lambda: len(vm.sh('ls /dev/hidraw*').split()) == 2, 10)

    def states():
        return dict(re.findall(r'(\w{5}_\d)=(\d)', vm.sh('usbrelay')))

    t.equal('usbrelay finds both', states(), {'AB1CD_1': '0', 'AB1CD_2': '0', 'XY9ZT_1': '0', 'XY9ZT_2': '0'})
    vm.sh('usbrelay AB1CD_2=1')
    way = '{kind: hid_relay, serial: AB1CD, channel: 2}'
    status, told = execute(vm, 'device.power', 'state=off', power=way)
    t.expect('provctl finds on what usbrelay switched on, and switches it off',
             status == 0 and '"found": "on"' in told and '"state": "off"' in told, told)
    t.equal('usbrelay agrees', states()['AB1CD_2'], '0')
    status, told = execute(vm, 'device.power', 'state=on', power=way)
    t.equal('on again', (status, states()), (0, {'AB1CD_1': '0', 'AB1CD_2': '1', 'XY9ZT_1': '0', 'XY9ZT_2': '0'}))
    for spec, code in (('sticks=2', 'power-state'), ('short-report', 'power-switch'), ('refuses', 'power-switch')):
        fault(vm, spec, 'b10', 'relay')
        status, told = execute(vm, 'device.power', 'state=off', power=way)
        t.expect(f'relay, {spec}: {code}', status == 3 and f'"{code}"' in told, told)
        ask(vm, 'relay', 'clear-faults', board='b10')
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hid_relay, serial: NOONE, channel: 1}')
    t.expect('another serial number: which ones are there', status == 3 and 'AB1CD' in told and '"power-switch"' in told,
             told)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hid_relay, channel: 1}')
    t.expect('two without a name: conflict', status == 3 and '"conflict"' in told, told)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: hid_relay, serial: XY9ZT, channel: 5}')
    t.expect('a channel that it has not', status == 3 and '"power-not-switchable"' in told, told)
    quit_sim(vm, 'relay')
    wait('the relays to be gone', lambda: '1-10' not in devices(vm), 10)


def gpio(t, vm):
    """gpioset and gpioget, then provctl, on a line of a GPIO chip: a virtual CP2112, since Debian's kernel has no gpio-sim."""
    said = vm.sh('modprobe hid-cp2112')
    if said.strip():
        t.note(f'GPIO is skipped: {said}')
        return
    start(vm, 'cp2112', 1, '--first-socket 12', 'gpio')
    wait('the chip', lambda: 'cp2112_gpio' in vm.sh('gpiodetect'), 10)

    def lines():
        return hub(vm, 'gpio')['levels']

    vm.sh('gpioset cp2112_gpio 3=1')
    t.equal('gpioset sets line 3', lines(), 8)
    way = '{kind: gpio, chip: cp2112_gpio, line: 3}'
    status, told = execute(vm, 'device.power', 'state=off', power=way)
    t.expect('provctl finds on what gpioset set, and switches it off',
             status == 0 and '"found": "on"' in told and '"state": "off"' in told, told)
    t.equal('the line is low, and the others are as they were', lines(), 0)
    status, told = execute(vm, 'device.power', 'state=on', power=way)
    t.equal('and on', (status, lines()), (0, 8))
    low = '{kind: gpio, chip: cp2112_gpio, line: 5, active_low: true}'
    status, told = execute(vm, 'device.power', 'state=on', power=low)
    t.equal('a line that is active low', (status, lines()), (0, 8))
    status, told = execute(vm, 'device.power', 'state=off', power=low)
    t.equal('is high when off', (status, lines()), (0, 40))
    fault(vm, 'sticks=3', 'b12', 'gpio')
    status, told = execute(vm, 'device.power', 'state=off', power=way)
    t.expect('a line that keeps its level: power-state', status == 3 and '"power-state"' in told, told)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: gpio, chip: cp2112_gpio, line: 8}')
    t.expect('a line that is not there', status == 3 and 'lines 0 to 7' in told, told)
    vm.sh('setsid gpioset --mode=signal cp2112_gpio 4=1 > /dev/null 2>&1 < /dev/null & echo $! > /run/holder')
    wait('the holder', lambda: '"gpioset"' in vm.sh('gpioinfo cp2112_gpio'), 10)
    status, told = execute(vm, 'device.power', 'state=off', power='{kind: gpio, chip: cp2112_gpio, line: 4}')
    t.expect('a line that another program holds: busy, with its name', status == 3 and '"busy"' in told and 'gpioset' in told,
             told)
    vm.sh('kill $(pidof gpioset)')
    quit_sim(vm, 'gpio')
    wait('the chip to be gone', lambda: '1-12' not in devices(vm), 10)


# One by its name in sysfs, the others as udev names them.
PATHS = {1: f'{HUB}.1', 2: 'platform-vhci_hcd.0-usb-0:8.2', 3: 'platform-vhci_hcd.0-usb-0:8.3'}
# Of each station: a cycle takes a second of an emulated machine.
CYCLES = amount(2, 67)
STATIONS = (1, 2, 3)


def recipe(name, steps, head='', teardown=''):
    return f'''recipe: {name}
version: 1
title: Power
{head}ports:
  dut: {{kind: usb}}
steps:
{steps}{teardown}'''


def cycles():
    return ''.join(f'''  - id: c{n}
    action: device.power
    with: {{port: dut, state: cycle, off_for: 1ms}}
    timeout: 60s
''' for n in range(1, CYCLES + 1))


WAITS = '''  - id: off
    action: device.power
    with: {port: dut, state: 'off'}
  - id: long
    action: device.wait
    with: {port: dut}
    timeout: 300s
'''
OFF_AND_FAIL = '''  - id: off
    action: device.power
    with: {port: dut, state: 'off'}
  - id: fails
    action: device.wait
    with: {port: dut}
    timeout: 1s
'''


def stations():
    return '\n'.join(
        f"  - {{id: A{n}, start: manual, power: {{kind: hub, role: dut}}, ports: {{dut: {{kind: usb, optional: true, "
        f"path: '{PATHS[n]}', vid: '0483', pid: 'df11'}}}}}}" for n in STATIONS) + (
            f"\n  - {{id: X, start: manual, power: {{kind: hub, hub: '{HUB}', port: 2}}, ports: {{dut: {{kind: usb, optional: true, "
            f"path: '{HUB}.4'}}}}}}\npower_policy: {{gap: 50ms}}")


def start_run(vm, station):
    """Once it has seen its unit: a station that settles takes no command."""
    wait(f'{station} to take the start', lambda: vm.request('POST', f'/stations/{station}/actions/start')[0] == 202, 20)


def line(t, vm):
    """Three stations behind one hub: cycles, none lost, no other port touched; then what breaks off."""
    vm.start_provd(stations(), 'udev')
    vm.prepare([recipe('cycles', cycles()), recipe('waits', WAITS, 'power_after: "on"\n'),
                recipe('fails', OFF_AND_FAIL, 'power_after: as_found\n'), recipe('ends-off', WAITS.split('  - id: long')[0],
                                                                                 'power_after: "off"\n')])
    before = [(p['ons'], p['offs']) for p in ports(vm)]
    ask(vm, 'hub', 'clear-faults', board='b8')
    job = vm.job('cycles', len(STATIONS))
    for n in STATIONS:
        start_run(vm, f'A{n}')
    runs = vm.ended(job, len(STATIONS), 400)
    t.equal(f'{CYCLES * len(STATIONS)} cycles: all runs passed', [r['outcome'] for r in runs], ['passed'] * len(STATIONS))
    if any(r['outcome'] != 'passed' for r in runs):
        t.note(str([(r['station'], r['code'], r.get('step'), r.get('message')) for r in runs]))
    now = ports(vm)
    t.equal('none lost, and the wrong port never touched',
            [(p['ons'] - b[0], p['offs'] - b[1]) for p, b in zip(now, before)],
            [(CYCLES, CYCLES)] * len(STATIONS) + [(0, 0)])
    gap = hub(vm)['min_gap_us']
    t.expect('switched on in turn, with the gap of the policy', gap >= 50000, f'{gap} us')
    t.note(f'{CYCLES * len(STATIONS)} cycles; at least {gap / 1000:.0f} ms between two units')
    agree(t, vm, 'after the cycles')
    broken_off(t, vm)


def broken_off(t, vm):
    job = vm.job('fails', 1, ['A1'])
    start_run(vm, 'A1')
    run = vm.ended(job, 1, 60)[0]
    t.equal('a run that fails with the power off', run['outcome'] != 'passed', True)
    t.equal('leaves it as it was found', ports(vm)[0]['power'], True)
    agree(t, vm, 'after a run that failed')
    vm.make('POST', f'/jobs/{job}/actions/abort', None, headers={'If-Match': '*'})

    job = vm.job('waits', 1, ['A1'])
    start_run(vm, 'A1')
    wait('the power to be off', lambda: not ports(vm)[0]['power'], 30)
    wait('the step that waits', lambda: (vm.get('/stations/A1')['run'] or {}).get('step', {}).get('id') == 'long', 30)
    vm.sh('kill -9 $(pidof provd)')
    wait('provd to be gone', lambda: not vm.sh('pidof provd').strip(), 10)
    t.equal('killed: the power stays off', ports(vm)[0]['power'], False)
    vm.start_provd(stations(), 'udev')
    wait('the next start to put it right', lambda: ports(vm)[0]['power'], 30)
    agree(t, vm, 'after a provd that was killed')
    run = vm.runs(job)[0]
    t.equal('that run was interrupted', run['outcome'], 'interrupted')
    vm.request('POST', f'/jobs/{job}/actions/abort', headers={'If-Match': '*'})
    wait('the unit', lambda: f'{HUB}.1' in devices(vm), 10)

    job = vm.job('waits', 1, ['A2'])
    start_run(vm, 'A2')
    wait('the power to be off', lambda: not ports(vm)[1]['power'], 30)
    wait('the step that waits', lambda: (vm.get('/stations/A2')['run'] or {}).get('step', {}).get('id') == 'long', 30)
    vm.request('POST', '/stations/A2/actions/abort')
    run = vm.ended(job, 1, 60)[0]
    t.equal('a run that was aborted', run['outcome'], 'aborted')
    t.equal('ends with the power on', ports(vm)[1]['power'], True)
    vm.request('POST', f'/jobs/{job}/actions/abort', headers={'If-Match': '*'})
    wait('the unit', lambda: f'{HUB}.2' in devices(vm), 10)

    job = vm.job('ends-off', 1, ['A2'])
    start_run(vm, 'A2')
    run = vm.ended(job, 1, 60)[0]
    t.equal('a run that ends with the power off passes', (run['outcome'], ports(vm)[1]['power']), ('passed', False))
    before = ports(vm)[1]
    job = vm.job('ends-off', 1, ['X'])
    start_run(vm, 'X')
    run = vm.ended(job, 1, 60)[0]
    t.equal('a port that is another station\'s is not switched', (run['code'], ports(vm)[1]), ('power-conflict', before))
    vm.request('POST', f'/jobs/{job}/actions/abort', headers={'If-Match': '*'})
    t.equal('how it is powered is shown', vm.get('/stations/A1')['power'],
            {'kind': 'hub', 'place': 'port 1 of hub 1-8'})
    t.equal('provd has no word of an internal failure', vm.sh('grep -ciE "internal|bug" /run/provd.log').strip(), '0')
