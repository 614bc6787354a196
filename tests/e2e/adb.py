# SPDX-License-Identifier: Apache-2.0
"""A virtual phone, Debian's adb and provctl for tests, and a recorder between them.

    with adb.Phone('--adb-auth', 'any') as phone, adb.Adb(phone.home) as real:
        real.connect(phone.port)
        real.run('shell', 'id')
        adb.provctl(phone, 'adb.shell', 'command=id')

adb gets a server of its own: its port and HOME are private, and it is ended by its own kill-server.
"""
import io
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import zipfile

import line

HEADER = struct.Struct('<6I')
APK = b'PK\3\4PKG:com.example.app\0' + random.Random(7).randbytes(150000)
COMMANDS = {b'CNXN', b'AUTH', b'OPEN', b'OKAY', b'WRTE', b'CLSE', b'STLS'}


def content(n):
    return random.Random(n).randbytes(n)


def package(n):
    """A zip archive of n bytes with one member, as a recovery takes it."""
    def archive(data):
        with io.BytesIO() as f:
            with zipfile.ZipFile(f, 'w') as z:
                z.writestr(zipfile.ZipInfo('payload.bin'), data)
            return f.getvalue()
    return archive(content(n - len(archive(b''))))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Phone:
    def __init__(self, *settings):
        self.home = tempfile.mkdtemp(prefix='provd-adb-')
        try:
            self.sim = line.Sim(self.home, 1, '--device', 'adb', '--link', 'tcp', *settings)
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise
        self.port = int(self.board()['link'].split(':')[2])
        self.keys = os.path.join(self.home, 'client')
        os.mkdir(self.keys)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def board(self):
        return self.sim.boards()[0]

    def whole(self):
        return self.sim.ctl('state', board='b1')['state']

    def path(self, name):
        """The real file behind the phone's."""
        return os.path.join(self.sim.boards_dir, self.board()['uid'], 'fs', name.lstrip('/'))

    def unit_file(self, name):
        return os.path.join(self.sim.boards_dir, self.board()['uid'], name)

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'wb') as f:
            f.write(data)

    def fault(self, spec):
        self.sim.ctl('fault', board='b1', fault=spec)

    def clear(self):
        self.sim.ctl('clear-faults', board='b1')


class Adb:
    """The reference client."""

    def __init__(self, home):
        self.home = os.path.join(home, 'adb-home')
        os.makedirs(self.home, exist_ok=True)
        self.env = dict(os.environ, HOME=self.home, ANDROID_ADB_SERVER_PORT=str(free_port()), TERM='dumb')
        self.env.pop('ADB_VENDOR_KEYS', None)
        self.serial = None
        self.raw('start-server')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw('kill-server')

    def raw(self, *args, timeout=line.DEADLINE_S, **kw):
        return subprocess.run(['adb', *args], env=self.env, timeout=timeout, capture_output=True, **kw)

    def connect(self, port, state='device'):
        self.serial = '127.0.0.1:%d' % port
        # The server tries again by itself and may have it already.
        line.wait_for('adb has the phone', lambda: self._connected(state), every_s=0.1)
        return self

    def _connected(self, state):
        if state in self.state():
            return True
        self.raw('connect', self.serial)
        return state in self.state()

    def state(self):
        out = self.raw('devices').stdout.decode()
        return [l.split()[1] for l in out.splitlines() if l.startswith(self.serial or '-')]

    def disconnect(self):
        self.raw('disconnect', self.serial)

    def run(self, *args, **kw):
        return self.raw('-s', self.serial, *args, **kw)


def provctl(phone, action, *args, port=None, env=None, timeout=line.DEADLINE_S):
    """(exit status, the JSON that it says)"""
    environ = dict(os.environ, HOME=phone.keys, XDG_STATE_HOME='')
    environ.update(env or {})
    p = subprocess.run([line.binary('provctl'), 'exec', action, 'port=tcp:127.0.0.1:%d' % (port or phone.port),
                        *args, '--json'], env=environ, timeout=timeout, capture_output=True)
    try:
        return p.returncode, json.loads(p.stdout)
    except ValueError:
        raise AssertionError('%s %r: status %d, %r %r' % (action, args, p.returncode, p.stdout, p.stderr))


def passed(test, phone, action, *args, **kw):
    status, said = provctl(phone, action, *args, **kw)
    test.assertEqual((status, said['outcome'], said['code']), (0, 'passed', 'none'), said)
    return said['steps'][0]


class Packet:
    def __init__(self, way, command, arg0, arg1, check, data):
        self.way, self.command, self.arg0, self.arg1, self.check, self.data = way, command, arg0, arg1, check, data

    def __repr__(self):
        return '%s %s %x %x %r' % (self.way, self.command, self.arg0, self.arg1, self.data[:60])


class Recorder:
    """A TCP proxy for one phone that keeps every packet, in the order that they came through."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.packets = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        self.threads = []
        self._start(self._accept)

    def _start(self, target, *args):
        t = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(t)
        t.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self.threads:
            t.join()
        for s in self.sockets:
            s.close()

    def _accept(self):
        while True:
            try:
                host, _ = self.listener.accept()
            except OSError:
                return
            try:
                phone = socket.create_connection(('127.0.0.1', self.to_port))
            except OSError:
                host.close()
                continue
            for s in (host, phone):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sockets.append(s)
            self._start(self._carry, '>', host, phone)
            self._start(self._carry, '<', phone, host)

    def _carry(self, way, source, sink):
        rest = b''
        try:
            while (data := source.recv(65536)):
                rest = self._parse(way, rest + data)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _parse(self, way, data):
        while len(data) >= HEADER.size:
            command, arg0, arg1, length, check, magic = HEADER.unpack_from(data)
            name = struct.pack('<I', command)
            assert name in COMMANDS and magic == command ^ 0xffffffff, data[:24]
            if len(data) < HEADER.size + length:
                break
            with self.lock:
                self.packets.append(Packet(way, name.decode(), arg0, arg1, check,
                                           data[HEADER.size:HEADER.size + length]))
            data = data[HEADER.size + length:]
        return data

    def take(self):
        with self.lock:
            packets, self.packets = self.packets, []
        return packets


class Stream:
    def __init__(self, service):
        self.service, self.host, self.device = service, b'', b''
        self.okays = {'>': 0, '<': 0}
        self.writes = {'>': 0, '<': 0}
        self.pieces = []
        self.closed_by = ''


def streams(packets):
    """What went through each stream that the host opened, in order. Ids and windows are gone."""
    found, by_host_id = [], {}
    for p in packets:
        if p.command == 'OPEN':
            s = Stream(p.data.rstrip(b'\0').decode())
            s.nul = p.data.endswith(b'\0')
            by_host_id[p.arg0] = s
            found.append(s)
            continue
        s = by_host_id.get(p.arg0 if p.way == '>' else p.arg1)
        if s is None or p.command not in ('OKAY', 'WRTE', 'CLSE'):
            continue
        if p.command == 'OKAY':
            s.okays[p.way] += 1
        elif p.command == 'CLSE':
            s.closed_by += p.way
        else:
            s.writes[p.way] += 1
            if p.way == '>':
                s.host += p.data
                s.pieces.append(len(p.data))
            else:
                s.device += p.data
    return found


def sync_requests(data):
    """The host's frames of a sync stream: [(id, path or None, bytes of the file)]."""
    out, at = [], 0
    while at + 8 <= len(data):
        ident, n = data[at:at + 4].decode(), struct.unpack_from('<I', data, at + 4)[0]
        at += 8
        if ident == 'DATA':
            out[-1][2] += data[at:at + n]
            at += n
        elif ident in ('DONE', 'QUIT'):
            out.append([ident, None, b''])
        else:
            out.append([ident, data[at:at + n].decode(), b''])
            at += n
    return out


class Files:
    def __init__(self, home):
        self.dir = os.path.join(home, 'files')
        os.makedirs(self.dir, exist_ok=True)

    def make(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()


def main():
    if not shutil.which('adb'):
        print("Debian's adb is not installed")
        raise SystemExit(77)
    line.main()
