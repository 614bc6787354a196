# SPDX-License-Identifier: Apache-2.0
"""What the tests of the ESP32 family share: an image of it, esptool-js, and what goes over the wire."""
import fcntl
import hashlib
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import unittest

import line

HERE = os.path.dirname(os.path.abspath(__file__))
CHIP_ID = {'esp32': 0, 'esp32s2': 2, 'esp32c3': 5, 'esp32s3': 9, 'esp32c2': 12, 'esp32c6': 13, 'esp32h2': 16}


def image(chip='esp32c3', size=20000, seed=1, flash_code=2):
    """A whole image of the family: header, two segments, checksum, SHA-256."""
    b = struct.pack('<BBBBI', 0xe9, 2, 2, flash_code << 4, 0x40380000) + bytes([0xee, 0, 0, 0])
    b += struct.pack('<HBHH', CHIP_ID[chip], 0, 0, 0xffff) + bytes(4) + b'\1'
    rnd, checksum = random.Random(seed), 0xef
    for k in range(2):
        # Half of it as code is: it can be compressed.
        data = (rnd.randbytes(size // 8) + bytes(size // 8) + rnd.randbytes(64) * (size // 4 // 64))[:size // 2 & ~3]
        b += struct.pack('<II', 0x3fc80000 + 0x10000 * k, len(data)) + data
        for x in data:
            checksum ^= x
    b += bytes(15 - len(b) % 16) + bytes([checksum])
    return b + hashlib.sha256(b).digest()


def modules():
    """Where esptool-js is; the modules are those of the browser test, installed once."""
    for program in ('node', 'npm'):
        if not shutil.which(program):
            raise unittest.SkipTest('%s is not installed' % program)
    work = os.path.join(line.build_dir(), 'tests', 'browser')
    os.makedirs(work, exist_ok=True)
    with open(os.path.join(work, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(['node', os.path.join(HERE, 'browser', 'install.mjs'), work], check=True)
    return work


def esptool(work, where, verb, want=None, ok=True):
    p = subprocess.run(['node', os.path.join(HERE, 'reference', 'esptool.mjs'), work, where, verb, json.dumps(want or {})],
                       capture_output=True, text=True, timeout=60)
    assert (p.returncode == 0) == ok, p.stdout + p.stderr
    return json.loads(p.stdout)


class Tap:
    """A TCP port of its own, whose one connection goes to another and back; host holds what the host said."""

    def __init__(self, where):
        host, port = where.split(':')
        self.to = (host, int(port))
        self.server = socket.create_server(('127.0.0.1', 0))
        self.where = '127.0.0.1:%d' % self.server.getsockname()[1]
        self.host = bytearray()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        near, _ = self.server.accept()
        far = socket.create_connection(self.to)
        for s in (near, far):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self.pump, args=(far, near, None), daemon=True)
        back.start()
        self.pump(near, far, self.host)
        back.join()
        near.close()
        far.close()

    @staticmethod
    def pump(a, b, seen):
        try:
            while data := a.recv(65536):
                if seen is not None:
                    seen += data
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.thread.join(line.DEADLINE_S)
        self.server.close()


def commands(host):
    """[(command, data)] of what a host said, each frame's size and checksum looked at."""
    found = []
    for frame in bytes(host).split(b'\xc0'):
        if not frame:
            continue
        frame = frame.replace(b'\xdb\xdc', b'\xc0').replace(b'\xdb\xdd', b'\xdb')
        way, op, n, checksum = struct.unpack('<BBHI', frame[:8])
        data = frame[8:]
        assert way == 0 and len(data) == n, frame[:16].hex()
        if op in (0x03, 0x11):
            x = 0xef
            for b in data[16:]:
                x ^= b
            assert x == checksum, 'checksum of a block'
        found.append((op, data))
    return found
