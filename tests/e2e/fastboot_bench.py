# SPDX-License-Identifier: Apache-2.0
"""A bench for fastboot: one virtual device, Debian's fastboot and provctl, and a proxy between them
that writes down what goes over TCP."""
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import zipfile

import line

FASTBOOT = shutil.which('fastboot')
LIMIT_S = 60


class Bench:
    def __init__(self, link='tcp', *args):
        self.home = tempfile.mkdtemp(prefix='provd-fastboot-')
        self.control = os.path.join(self.home, 'control.sock')
        self.process = subprocess.Popen(
            [line.binary('provsim'), 'run', '--device', 'fastboot', '--link', link,
             '--state', os.path.join(self.home, 'units'), '--control', self.control, *args],
            stdout=subprocess.PIPE, text=True, preexec_fn=line._with_parent)
        ready = json.loads(self.process.stdout.readline())
        self.board = ready['boards'][0]
        self.link = self.board['link']
        self.port = int(self.link.rsplit(':', 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def ctl(self, cmd, **kw):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT_S)
            s.connect(self.control)
            s.sendall(json.dumps(dict(kw, cmd=cmd, board='b1')).encode() + b'\n')
            answer = json.loads(s.makefile().readline())
        assert answer['ok'], answer
        return answer

    def fault(self, spec):
        self.ctl('fault', fault=spec)

    def state(self):
        return self.ctl('state')['state'] if 'state' in self.ctl('state') else self.ctl('state')

    def commands(self):
        """Every command that the unit ever heard."""
        s = self.ctl('state')
        found = re.search(r'"commands": "([^"]*)"', json.dumps(s))
        return found[1].encode().decode('unicode_escape').split('\n')[:-1] if found else []

    def at(self, mode):
        """Waits until it is in that mode with its port open."""
        def there():
            b = self.ctl('list')['boards'][0]
            return b['plugged'] and b['state'] == mode
        line.wait_for('the device is in ' + mode, there)

    def power_cycle(self):
        """Back into the bootloader, as with its key held."""
        line.wait_for('plugged', lambda: self.ctl('list')['boards'][0]['plugged'])
        self.ctl('reset')
        self.at('bootloader')

    def partition(self, name, n=None):
        with open(os.path.join(self.home, 'units', 'b1', name + '.img'), 'rb') as f:
            return f.read() if n is None else f.read(n)

    def file(self, name, data):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def fastboot(self, *args, address=None, env=None, status=0):
        """The reference client."""
        address = address or self.link
        r = subprocess.run([FASTBOOT, '-s', address, *args], capture_output=True, text=True,
                           timeout=LIMIT_S, env=dict(os.environ, **(env or {})), preexec_fn=line._with_parent)
        assert status is None or r.returncode == status, (args, r.returncode, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def exec(self, action, *args, address=None, wait_s=LIMIT_S):
        """One action of provctl: (exit status, its one step, the whole)."""
        r = subprocess.run(
            [line.binary('provctl'), 'exec', action, '--json', 'port=' + (address or self.link), *args],
            capture_output=True, text=True, timeout=wait_s, preexec_fn=line._with_parent,
            env=dict(os.environ, TMPDIR=self.home))
        assert r.returncode in (0, 1, 3), (action, args, r.returncode, r.stdout, r.stderr)
        whole = json.loads(r.stdout)
        return r.returncode, whole['steps'][0], whole

    def passes(self, action, *args, **kw):
        status, step, whole = self.exec(action, *args, **kw)
        assert status == 0 and step['outcome'] == 'passed', (action, args, whole['code'], whole['message'])
        return step

    def fails(self, code, says, action, *args, **kw):
        status, step, whole = self.exec(action, *args, **kw)
        assert status != 0 and whole['code'] == code and says in whole['message'], \
            (action, args, 'expected', code, says, 'got', whole['outcome'], whole['code'], whole['message'])
        return step


class Proxy(threading.Thread):
    """Between a client and the device over TCP: `log` holds ('>', command), ('<', reply) and
    ('data', bytes, sha256, sizes of the frames) in the order in which they went through."""

    def __init__(self, target_port):
        super().__init__(daemon=True)
        self.target_port = target_port
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.address = 'tcp:127.0.0.1:%d' % self.port
        self.log = []
        self.lock = threading.Lock()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                device = socket.create_connection(('127.0.0.1', self.target_port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.serve, args=(client, device), daemon=True).start()

    def serve(self, client, device):
        state = {'want': 0}
        back = threading.Thread(target=self.pump, args=(device, client, '<', state), daemon=True)
        back.start()
        self.pump(client, device, '>', state)
        back.join()
        client.close()
        device.close()

    @staticmethod
    def exactly(sock, n):
        got = b''
        while len(got) < n:
            part = sock.recv(min(n - len(got), 1 << 20))
            if not part:
                raise EOFError
            got += part
        return got

    def pump(self, source, sink, way, state):
        try:
            sink.sendall(self.exactly(source, 4))
            while True:
                head = self.exactly(source, 8)
                body = self.exactly(source, struct.unpack('>Q', head)[0])
                with self.lock:
                    self.note(way, body, state)
                sink.sendall(head + body)
        except (EOFError, OSError):
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def note(self, way, body, state):
        if way == '>' and state['want']:
            state['bytes'] += body
            state['frames'].append(len(body))
            state['want'] -= len(body)
            if state['want'] == 0:
                self.log.append(('data', len(state['bytes']), hashlib.sha256(state['bytes']).hexdigest(),
                                 tuple(state['frames'])))
            return
        text = body.decode('latin-1')
        if way == '<' and text.startswith('DATA') and state.get('last', '').startswith('download:'):
            state.update(want=int(text[4:], 16), bytes=b'', frames=[])
        if way == '>':
            state['last'] = text
        self.log.append((way, text))

    def take(self):
        with self.lock:
            log, self.log = self.log, []
        return log

    def close(self):
        # A thread that waits in accept() would take the next proxy's connection, whose descriptor
        # has the same number.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self.listener.close()


def boot_image(kernel):
    head = b'ANDROID!' + struct.pack('<I', len(kernel))
    head = head.ljust(36, b'\0') + struct.pack('<II', 4096, 0)
    return head.ljust(4096, b'\0') + kernel


def package(info='require product=provsim\n', **extra):
    """A small factory package: {name: bytes}."""
    files = {
        'android-info.txt': info.encode(),
        'boot.img': boot_image(line.firmware(8192, 11)),
        'vbmeta.img': b'AVB0' + bytes(4092),
        'system.img': line.firmware(3 << 20, 12) + bytes(1 << 20) + line.firmware(900001, 13),
        'vendor.img': line.firmware(300000, 14),
    }
    files.update((k.replace('_img', '.img').replace('_txt', '.txt'), v) for k, v in extra.items())
    return {k: v for k, v in files.items() if v is not None}


FLASH_ALL = """#!/bin/sh
# As factory images have it.
if ! fastboot --version; then
  echo "install fastboot first"
  exit 1
fi
fastboot flash bootloader bootloader-sim-2.0.img
fastboot reboot-bootloader
sleep 1
fastboot flash radio radio-sim-8.img
fastboot reboot-bootloader
sleep 1
fastboot -w update image-sim.zip
"""


def firmware_of(version):
    """What the virtual bootloader and radio say of themselves once they run."""
    return b'VERSION=' + version.encode() + bytes(8) + line.firmware(100000, 21)


def factory(home, files, script=FLASH_ALL, **extra):
    """The files of a factory image: {name in the zip: bytes}."""
    inner = write_zip(os.path.join(home, 'inner.zip'), files)
    with open(inner, 'rb') as f:
        found = {'flash-all.sh': script.encode(), 'image-sim.zip': f.read(), 'bootloader-sim-2.0.img': firmware_of('sim-2.0'),
                 'radio-sim-8.img': firmware_of('radio-8')}
    found.update(extra)
    return {'sim-2026/' + k: v for k, v in found.items() if v is not None}


def write_zip(path, files):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return path


def sparse(bench, name, data):
    """The same bytes as img2simg writes them."""
    raw = bench.file(name + '.raw', data)
    path = os.path.join(bench.home, name)
    subprocess.run(['img2simg', raw, path, '4096'], check=True, capture_output=True)
    return path
