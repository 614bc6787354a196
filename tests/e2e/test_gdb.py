#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The GDB remote protocol against a real Cortex-M3 (QEMU's lm3s6965evb): a program is built, loaded by provd and by
gdb-multiarch on equal machines, compared both ways, and started; the line on its UART is the proof that it runs. What
both clients said is recorded by a proxy and compared.

    test_gdb.py [BUILD]
"""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

TOOLS = ('qemu-system-arm', 'gdb-multiarch', 'arm-none-eabi-gcc')
MISSING = [t for t in TOOLS if not shutil.which(t)]
GREETING = b'PROVD-HELLO v1.2.3'
FIRMWARE = os.path.join(line.HERE, 'firmware')
FLASH, RAM = 0x00000000, 0x20000000


def build(out):
    subprocess.run(['arm-none-eabi-gcc', '-mcpu=cortex-m3', '-mthumb', '-Os', '-ffreestanding', '-nostdlib',
                    '-Wl,-T,' + os.path.join(FIRMWARE, 'hello.ld'), '-o', out, os.path.join(FIRMWARE, 'hello.c')],
                   check=True, timeout=60)


class Proxy(threading.Thread):
    """A TCP port before a UNIX socket; records what either side says, connection after connection."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = 'tcp:127.0.0.1:%d' % self.listener.getsockname()[1]
        self.sent, self.received = [], []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target = socket.socket(socket.AF_UNIX)
            target.connect(self.path)
            self.sent.append(b'')
            self.received.append(b'')
            back = threading.Thread(target=self.pump, args=(target, client, self.received), daemon=True)
            back.start()
            self.pump(client, target, self.sent)
            back.join()
            client.close()
            target.close()

    @staticmethod
    def pump(source, sink, record):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                record[-1] += data
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Uart(threading.Thread):
    """What a serial server does: keeps what the UART says until a host comes for it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.machine = socket.create_server(('127.0.0.1', 0))
        self.host = socket.create_server(('127.0.0.1', 0))
        self.address = 'tcp:127.0.0.1:%d' % self.host.getsockname()[1]
        self.said = b''
        self.changed = threading.Condition()
        self.start()
        threading.Thread(target=self.serve, daemon=True).start()

    def run(self):
        try:
            self.link, _ = self.machine.accept()
            with self.link:
                while (data := self.link.recv(4096)):
                    with self.changed:
                        self.said += data
                        self.changed.notify_all()
        except OSError:
            pass

    def serve(self):
        """One host after another; what one was given the next is not."""
        given = 0
        while True:
            try:
                host, _ = self.host.accept()
            except OSError:
                return
            with host:
                gone = threading.Event()
                threading.Thread(target=self.forward, args=(host, gone), daemon=True).start()
                while not gone.is_set():
                    with self.changed:
                        self.changed.wait_for(lambda: len(self.said) > given or gone.is_set(), line.DEADLINE_S)
                        data = self.said[given:]
                    given += len(data)
                    try:
                        host.sendall(data)
                    except OSError:
                        break

    def forward(self, host, gone):
        try:
            while (data := host.recv(4096)):
                self.link.sendall(data)
        except OSError:
            pass
        gone.set()
        with self.changed:
            self.changed.notify_all()

    def stop(self):
        for s in (self.machine, self.host):
            s.shutdown(socket.SHUT_RDWR)
            s.close()


class Machine:
    """A halted Cortex-M3 with nothing in its memory."""

    def __init__(self, directory, name):
        path = os.path.join(directory, name + '.gdb')
        self.uart = Uart()
        self.log = open(os.path.join(directory, name + '.log'), 'wb')
        self.process = subprocess.Popen(
            ['qemu-system-arm', '-M', 'lm3s6965evb', '-accel', 'tcg', '-S', '-display', 'none', '-monitor', 'none',
             '-chardev', 'socket,id=g,path=%s,server=on,wait=off' % path, '-gdb', 'chardev:g',
             '-serial', self.uart_client()], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
            preexec_fn=line._with_parent)
        line.wait_for('QEMU listens', lambda: os.path.exists(path) or self.process.poll() is not None)
        self.gdb = Proxy(path)

    def uart_client(self):
        return 'tcp:127.0.0.1:%d' % self.uart.machine.getsockname()[1]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.gdb.stop()
        self.uart.stop()
        self.log.close()


def packets(data):
    """The payloads of the frames in one direction; escaped bytes stay as they are."""
    return [m.group(1) for m in re.finditer(rb'\$([^#]*)#[0-9a-fA-F]{2}', data, re.S)]


def kinds(sent):
    """The commands in the order of their first use."""
    names = []
    for p in packets(sent):
        m = re.match(rb'qXfer:[a-z-]+:read|q[A-Z]?[A-Za-z]+|Q[A-Za-z]+|v[A-Za-z]+[?]?|.', p, re.S)
        name = m.group(0).decode('latin-1') if m else ''
        if name not in names:
            names.append(name)
    return names


def written(sent):
    """address -> byte of every M and X packet: what was asked to be in memory, whoever asked it and in what pieces."""
    memory = {}
    for p in packets(sent):
        m = re.match(rb'([MX])([0-9a-f]+),([0-9a-f]+):', p)
        if not m:
            continue
        body = p[m.end():]
        if m.group(1) == b'M':
            body = bytes.fromhex(body.decode())
        else:
            body = re.sub(rb'\x7d(.)', lambda e: bytes([e.group(1)[0] ^ 0x20]), body, flags=re.S)
        assert len(body) == int(m.group(3), 16), p[:40]
        for i, b in enumerate(body):
            memory[int(m.group(2), 16) + i] = b
    return memory


class NoServer(unittest.TestCase):
    def load(self, port):
        with tempfile.NamedTemporaryFile(suffix='.bin') as f:
            f.write(bytes(64))
            f.flush()
            p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'gdb.load', 'port=tcp:127.0.0.1:%d' % port,
                                'address=0x08000000', 'image=' + f.name], capture_output=True, text=True, timeout=60)
        return json.loads(p.stdout)['steps'][0]

    def test_nothing_listens(self):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        step = self.load(port)
        self.assertEqual(step['code'], 'device-gone', step)
        self.assertIn('Connection refused', step['message'])

    def test_it_takes_the_connection_and_closes_it(self):
        """As OpenOCD does where the target was not examined."""
        with socket.create_server(('127.0.0.1', 0)) as s:
            def serve():
                client, _ = s.accept()
                client.close()
            t = threading.Thread(target=serve)
            t.start()
            step = self.load(s.getsockname()[1])
            t.join()
        self.assertEqual(step['code'], 'device-gone', step)

    def test_it_is_no_gdb_server(self):
        with socket.create_server(('127.0.0.1', 0)) as s:
            def serve():
                client, _ = s.accept()
                with client, contextlib.suppress(OSError):
                    client.sendall(b'SSH-2.0-OpenSSH_9.2\r\n' * 1000)
                    while client.recv(4096):
                        client.sendall(b'x' * 4096)
            t = threading.Thread(target=serve, daemon=True)
            t.start()
            step = self.load(s.getsockname()[1])
        self.assertIn(step['code'], ('timeout', 'protocol'), step)


@unittest.skipIf(MISSING, '%s missing (scripts/install-deps test)' % ', '.join(MISSING))
class Cortex(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix='provd-gdb-')
        cls.elf = os.path.join(cls.dir, 'hello.elf')
        build(cls.elf)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def machine(self, name):
        m = Machine(self.dir, '%s-%s' % (self._testMethodName, name))
        self.addCleanup(m.stop)
        return m

    def exec(self, machine, action, *args):
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'gdb.' + action, 'port=' + machine.gdb.address,
                            'image=' + self.elf, *args], capture_output=True, text=True, timeout=60)
        self.assertTrue(p.stdout, p.stderr)
        return p.returncode, json.loads(p.stdout)['steps'][0]

    def passes(self, machine, action, *args):
        status, step = self.exec(machine, action, *args)
        self.assertEqual(status, 0, step)
        return step['evidence']

    def gdb(self, machine, *commands):
        argv = ['gdb-multiarch', '-nx', '-batch', '-ex', 'set confirm off', '-ex', 'set architecture armv7',
                '-ex', 'target remote ' + machine.gdb.address[4:]]
        for c in commands:
            argv += ['-ex', c]
        p = subprocess.run(argv + [self.elf], capture_output=True, text=True, timeout=60, errors='replace')
        return p.returncode, p.stdout + p.stderr

    def greets(self, machine):
        line.wait_for('the UART says ' + GREETING.decode(), lambda: GREETING in machine.uart.said, 20)

    def test_loaded_by_provd_it_runs_and_says_so(self):
        m = self.machine('a')
        e = self.passes(m, 'load', 'after=["system_reset"]', 'start=detach')
        self.assertEqual(e['proof'], 'read-back')
        self.assertEqual(e['sha256_read'], e['sha256_written'])
        self.greets(m)

    def test_without_a_start_it_stays_halted(self):
        m = self.machine('a')
        self.passes(m, 'load')
        self.passes(m, 'compare')
        self.assertEqual(m.uart.said, b'')

    def test_each_loads_what_the_other_finds_equal(self):
        a, b = self.machine('a'), self.machine('b')
        self.passes(a, 'load')
        status, said = self.gdb(a, 'compare-sections', 'disconnect')
        self.assertEqual(status, 0, said)
        self.assertEqual(said.count('matched.'), said.count('Section '), said)
        self.assertGreaterEqual(said.count('matched.'), 2)
        status, said = self.gdb(b, 'load', 'monitor system_reset', 'detach')
        self.assertEqual(status, 0, said)
        self.greets(b)
        e = self.passes(b, 'compare', 'verify=read-back')
        self.assertEqual(e['proof'], 'read-back')
        # The program writes into none of its segments, so that both machines hold the same.
        self.assertEqual(e['sha256_read'], self.passes(a, 'compare')['sha256_read'])

    def test_a_changed_byte_is_found(self):
        m = self.machine('a')
        self.passes(m, 'load')
        status, said = self.gdb(m, 'set {unsigned char} 0x20000000 = 0x51', 'disconnect')
        self.assertEqual(status, 0, said)
        status, step = self.exec(m, 'compare')
        self.assertEqual((status, step['code']), (1, 'verify-mismatch'), step)
        self.assertIn('0x20000000', step['message'])

    def test_memory_that_is_taken_for_fuses_is_burnt_once(self):
        """RAM is blank as fuses are; what the server is sent is what counts."""
        m = self.machine('a')
        self.passes(m, 'load')
        fields = os.path.join(self.dir, 'fields')
        with open(fields, 'w') as f:
            f.write('otp: M3\nfields: {id: {width: 64, address: 0x2000c000, lock: none}}\n')

        def burn(value):
            p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'gdb.otp_write', 'port=' + m.gdb.address,
                                'map=' + fields, 'field=id', 'value=' + value, 'uid=0', 'irreversible=yes-i-mean-it'],
                               capture_output=True, text=True, timeout=60)
            step = json.loads(p.stdout)['steps'][0]
            return step['code'] if p.returncode else step['evidence']['proof']

        def burns():
            # QEMU knows no X: it answers that with nothing, and M follows.
            return sum(re.match(rb'M2000c000,', p) is not None for sent in m.gdb.sent for p in packets(sent))
        self.assertEqual(burn('0011223344556677'), 'read-back')
        self.assertEqual(burn('0011223344556677'), 'observed')
        self.assertEqual(burn('0011223344556600'), 'otp-conflict')
        self.assertEqual(burn('ff11223344556677'), 'otp-half-burnt')
        self.assertEqual(burns(), 1)
        status, said = self.gdb(m, 'x/2xw 0x2000c000', 'disconnect')
        self.assertEqual(status, 0, said)
        self.assertRegex(said, '0x33221100\\s+0x77665544')

    def test_transcripts(self):
        a, b = self.machine('a'), self.machine('b')
        self.passes(a, 'load', 'after=["system_reset"]', 'start=detach')
        status, said = self.gdb(b, 'load', 'monitor system_reset', 'detach')
        self.assertEqual(status, 0, said)
        ours, theirs = a.gdb.sent[0], b.gdb.sent[0]
        self.assertEqual(written(ours), written(theirs))
        self.assertEqual(min(written(ours)), FLASH)
        self.assertEqual(max(written(ours)) >> 28, RAM >> 28)
        monitor = b'qRcmd,' + b'system_reset'.hex().encode()
        for sent in (ours, theirs):
            self.assertIn(monitor, packets(sent))
            self.assertEqual(packets(sent)[0].split(b':')[0], b'qSupported')
            self.assertIn('D', kinds(sent))
        # Whatever provd says, gdb says too, but for reading back what it wrote.
        self.assertLessEqual(set(kinds(ours)) - {'m'}, set(kinds(theirs)))

    RECIPE = '''recipe: hello
version: 1
title: Loads a program through a GDB server and hears it on its UART
unit: {model: lm3s6965evb}
ports: {debug: {kind: tcp}, console: {kind: tcp}}
artifacts: {program: hello.elf}
steps:
  - id: load
    action: gdb.load
    with: {port: debug, image: '${artifacts.program}', after: [system_reset], start: detach}
  - id: greets
    action: console.expect
    with: {port: console, expect: '^PROVD-HELLO v(\\S+)$', timeout: 10s}
'''

    def test_as_a_recipe_run_by_provd(self):
        m = self.machine('a')
        with line.Line(stations=0, boards=0) as l:
            with open(os.path.join(l.home, 'stations.d', 'line.yaml'), 'w') as f:
                f.write("stations:\n  - {id: Q1, ports: {debug: {tcp: '%s'}, console: {tcp: '%s'}}}\n" % (
                    m.gdb.address[4:], m.uart.address[4:]))
            l.start()
            with open(self.elf, 'rb') as f:
                l.put_firmware(f.read(), 'hello.elf')
            l.put_recipe(self.RECIPE)
            job = l.api.post('/jobs', {'recipe': 'hello', 'quantity': 1, 'stations': ['Q1']})['id']
            line.wait_for('Q1 is ready', lambda: l.api.get('/stations/Q1')['state'] == 'ready')
            l.api.post('/stations/Q1/actions/start', {})
            l.job_done(job)
            run = l.api.all('/runs')[0]
            self.assertEqual(run['outcome'], 'passed', run)
            steps = {s['id']: s for s in l.api.get('/runs/%s/steps' % run['id'])['items']}
            self.assertIn('PROVD-HELLO v1.2.3', json.dumps(steps['greets']['evidence']))
            self.assertEqual(steps['load']['evidence']['proof'], 'read-back')


if __name__ == '__main__':
    line.main()
