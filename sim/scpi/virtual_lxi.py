#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A virtual instrument on a LAN: what is on `provsim run --device meter --link tcp` (SCPI on a raw socket) is also reached by
VXI-11 (VXIbus TCP/IP Instrument Protocol, revision 1.0, with a portmapper of RFC 1833) and by HiSLIP (IVI-6.1), each with its device
clear. It shares nothing with provd.

    provsim-lxi --meter 127.0.0.1:PORT [--portmapper PORT] [--fault NAME]...

Prints one line of JSON with its ports: {"vxi11": 40001, "portmapper": 40002, "hislip": 40003}."""
import argparse
import collections
import json
import socket
import struct
import sys
import threading
import time

FAULTS = {
    'no-newline': 'answers end by END alone',
    'pieces': 'it takes 64 bytes at once, and gives 5',
    'old-reply': 'each RPC reply comes after one with the number of an earlier call; each HiSLIP answer after an old one',
    'no-clear': 'device clear is refused',
    'garbage': 'it speaks another protocol',
    'locked': 'another client has locked it',
    'no-program': 'the portmapper knows no VXI-11',
    'silent': 'no call is answered',
}
CORE, CORE_VERSION, PORTMAPPER = 395183, 1, 100000
END = 8


class Meter:
    """One instrument, whoever asks. An answer belongs to the oldest message that has none."""

    def __init__(self, address):
        host, port = address.rsplit(':', 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock = threading.Condition()
        self.asked = collections.deque()    # (owner, tag) of messages without an answer
        self.answers = collections.deque()  # (owner, tag, bytes)
        self.marker = None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.socket.makefile('rb'):
            with self.lock:
                if self.marker:
                    if line.count(b';') == self.marker:
                        self.marker = None
                    continue
                self.answers.append((self.asked.popleft() if self.asked else (None, None)) + (line,))
                self.lock.notify_all()

    def send(self, message, owner=None, tag=None):
        with self.lock:
            if b'?' in message:
                self.asked.append((owner, tag))
            self.socket.sendall(message.rstrip(b'\r\n') + b'\n')

    def take(self, seconds, owner=None):
        """The next answer of that owner: (owner, tag, bytes), None after that time."""
        with self.lock:
            end = time.monotonic() + seconds
            while True:
                for one in self.answers:
                    if one[0] is owner:
                        self.answers.remove(one)
                        return one
                left = end - time.monotonic()
                if left <= 0 or not self.lock.wait(left):
                    return None

    def clear(self):
        """What was asked has no answer any more: everything up to that of a question of our own is dropped."""
        with self.lock:
            self.asked.clear()
            self.answers.clear()
            self.marker = 6
            self.socket.sendall(b'*OPC?;*OPC?;*OPC?;*OPC?;*OPC?;*OPC?;*OPC?\n')


def exactly(c, n):
    said = b''
    while len(said) < n:
        more = c.recv(n - len(said))
        if not more:
            raise EOFError
        said += more
    return said


def serve(port, handle):
    """The port of a server with a thread for each connection."""
    server = socket.create_server(('127.0.0.1', port))

    def one(c):
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with c:
            try:
                handle(c)
            except (EOFError, OSError, struct.error):
                pass

    def loop():
        while True:
            threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return server.getsockname()[1]


class Lxi:
    def __init__(self, args):
        self.faults = set(args.fault)
        self.meter = Meter(args.meter)
        self.calls = collections.Counter()
        self.rest = b''
        self.link = 0
        self.sessions = {}
        self.numbers = {}  # of each session: that of the next message
        self.vxi11 = serve(0, self.rpc)
        self.portmapper = serve(args.portmapper, self.rpc)
        self.hislip = serve(0, self.session)

    # --- ONC RPC ---

    def rpc(self, c):
        while True:
            call, last = b'', False
            while not last:
                head = struct.unpack('>I', exactly(c, 4))[0]
                call, last = call + exactly(c, head & 0x7fffffff), head >> 31
            if 'garbage' in self.faults:
                c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
                raise EOFError
            xid, kind, version, program, _, proc = struct.unpack('>6I', call[:24])
            body = call[24:]
            for _ in range(2):  # credentials, verifier
                n = struct.unpack('>I', body[4:8])[0]
                body = body[8 + n + -n % 4:]
            answer = self.answer(program, proc, body)
            if 'silent' in self.faults or kind != 0 or version != 2:
                continue
            if 'old-reply' in self.faults:
                self.reply(c, xid - 1, answer)
            self.reply(c, xid, answer)

    @staticmethod
    def reply(c, xid, answer):
        status = 1 if answer is None else 0     # PROG_UNAVAIL
        record = struct.pack('>6I', xid, 1, 0, 0, 0, status) + (answer or b'')
        # In two fragments, as a record may come.
        c.sendall(struct.pack('>I', 12) + record[:12] + struct.pack('>I', 1 << 31 | len(record) - 12) + record[12:])

    def answer(self, program, proc, body):
        self.calls[program, proc] += 1
        if program == PORTMAPPER and proc == 3:
            wanted = struct.unpack('>4I', body[:16])
            known = wanted[:3] == (CORE, CORE_VERSION, 6) and 'no-program' not in self.faults
            return struct.pack('>I', self.vxi11 if known else 0)
        calls = {10: self.create, 11: self.write, 12: self.read, 15: self.clear, 23: lambda body: struct.pack('>I', 0)}
        if program != CORE or proc not in calls:
            return b'' if proc == 0 else None
        return calls[proc](body)

    def create(self, body):
        n = struct.unpack('>I', body[12:16])[0]
        name = body[16:16 + n]
        self.link += 1
        error = 11 if 'locked' in self.faults else 0 if name == b'inst0' else 3
        return struct.pack('>iiII', error, self.link, 0, 64 if 'pieces' in self.faults else 4096)

    def write(self, body):
        _, _, _, flags, n = struct.unpack('>5I', body[:20])
        self.rest += body[20:20 + n]
        if flags & END:
            message, self.rest = self.rest, b''
            self.meter.send(message)
        return struct.pack('>iI', 0, n)

    def read(self, body):
        _, size, ms = struct.unpack('>3I', body[:12])
        if not getattr(self, 'left', b''):
            got = self.meter.take(ms / 1000)
            if got is None:
                return struct.pack('>iII', 15, 0, 0)
            self.left = got[2].rstrip(b'\n') if 'no-newline' in self.faults else got[2]
        if 'pieces' in self.faults:
            size = min(size, 5)
        piece, self.left = self.left[:size], self.left[size:]
        return struct.pack('>iII', 0, 0 if self.left else 4, len(piece)) + piece + bytes(-len(piece) % 4)

    def clear(self, body):
        if 'no-clear' in self.faults:
            return struct.pack('>i', 8)
        self.rest = self.left = b''
        self.meter.clear()
        return struct.pack('>i', 0)

    # --- HiSLIP ---

    @staticmethod
    def message(c, kind, control=0, parameter=0, payload=b''):
        c.sendall(b'HS' + struct.pack('>BBIQ', kind, control, parameter & 0xffffffff, len(payload)) + payload)

    def session(self, c):
        while True:
            head = exactly(c, 16)
            kind, _, parameter, n = struct.unpack('>BBIQ', head[2:])
            payload = exactly(c, n)
            if 'garbage' in self.faults or head[:2] != b'HS':
                c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
                raise EOFError
            if 'silent' in self.faults:
                continue
            self.calls['hislip', kind] += 1
            self.on_message(c, kind, parameter, payload)

    def on_message(self, c, kind, parameter, payload):
        if kind == 0:
            if payload != b'hislip0':
                return self.message(c, 2, 3, 0, b'no such device')
            self.sessions[len(self.sessions) + 1] = c
            self.numbers[c] = 0xffffff00
            self.message(c, 1, 0, 0x0100 << 16 | len(self.sessions))
            threading.Thread(target=self.send_answers, args=(c,), daemon=True).start()
        elif kind == 17:
            self.message(c, 18, 0, 0x5858)
        elif kind == 15:
            self.message(c, 16, 0, 0, struct.pack('>Q', 80 if 'pieces' in self.faults else 4096))
        elif kind in (6, 7):
            # IVI-6.1, 3.1.2: from 0xffffff00 after the beginning and after a clear, by two for each piece.
            if parameter != self.numbers[c]:
                self.calls['hislip', 'wrong number'] += 1
                return self.message(c, 2, 1, 0, b'message number')
            self.numbers[c] = parameter + 2 & 0xffffffff
            self.rest += payload
            if kind == 7:
                message, self.rest = self.rest, b''
                self.meter.send(message, c, parameter)
        elif kind == 19:
            if 'no-clear' in self.faults:
                return self.message(c, 3, 1, 0, b'unrecognized message')
            self.rest = b''
            self.meter.clear()
            self.message(c, 23)
        elif kind == 8:
            self.numbers[c] = 0xffffff00
            self.message(c, 9)
        return None

    def send_answers(self, c):
        try:
            while c.fileno() >= 0:
                got = self.meter.take(1, c)
                if got is None:
                    continue
                _, tag, line = got
                if 'no-newline' in self.faults:
                    line = line.rstrip(b'\n')
                if 'old-reply' in self.faults:
                    self.message(c, 7, 0, (tag or 0) - 2, b'+9.99E+00\n')
                step = 5 if 'pieces' in self.faults else len(line)
                for i in range(0, len(line), step):
                    self.message(c, 7 if i + step >= len(line) else 6, 0, tag or 0, line[i:i + step])
        except OSError:
            pass


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog='faults:\n' + '\n'.join('  %-12s %s' % f for f in FAULTS.items()))
    p.add_argument('--meter', required=True, metavar='HOST:PORT', help='SCPI on a raw socket')
    p.add_argument('--portmapper', type=int, default=0, metavar='PORT', help='111 is where clients look; default: any that is free')
    p.add_argument('--fault', action='append', default=[], choices=FAULTS, metavar='NAME')
    lxi = Lxi(p.parse_args())
    print(json.dumps({'vxi11': lxi.vxi11, 'portmapper': lxi.portmapper, 'hislip': lxi.hislip}), flush=True)
    # It ends with who started it, who holds the other end of its input.
    for line in sys.stdin:
        if line.strip() == 'calls':
            print(json.dumps({'%s %s' % k: n for k, n in lxi.calls.items()}), flush=True)


if __name__ == '__main__':
    main()
