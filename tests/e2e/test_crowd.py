#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections without a token (silent, with headers and bodies that drip) and uploads that take long to
parse: those with a token are answered all the same.

    test_crowd.py [BUILD]
"""
import resource
import selectors
import socket
import subprocess
import threading
import time
import unittest

import line

WANTED = 5000
HONEST = 150
BODY = b'POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n{'


def descriptors():
    """As many connections as this process may hold, of those wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = WANTED + 500
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(want, hard), hard))
    return min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)


class Crowd(threading.Thread):
    """Holds n connections without a token, opens another for each that provd cuts, and drips bytes into them."""

    def __init__(self, port, n):
        super().__init__(daemon=True)
        self.port, self.n = port, n
        self.stop = threading.Event()
        self.full = threading.Event()
        self.opened = self.cut = 0
        self.selector = selectors.DefaultSelector()
        self.held = []
        self.start()

    def open(self):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(('127.0.0.1', self.port))
        self.opened += 1
        self.held.append(s)
        self.selector.register(s, selectors.EVENT_READ)
        kind = self.opened % 3
        try:
            if kind == 1:
                s.send(b'GET /api/v1/stations HTTP/1.1\r\nHost: x\r\nX-Slow: ')
            elif kind == 2:
                s.send(BODY)
        except OSError:
            pass  # not connected yet: a silent one

    def drip(self):
        for s in self.held[:200]:
            try:
                s.send(b'a')
            except OSError:
                pass

    def run(self):
        while not self.stop.is_set():
            for _ in range(min(100, self.n - len(self.held))):
                self.open()
            if len(self.held) >= self.n or self.opened >= self.n:
                self.full.set()
            self.drip()
            gone = []
            for key, _ in self.selector.select(0.01):
                try:
                    if key.fileobj.recv(4096):
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                gone.append(key.fileobj)
            for s in gone:
                self.selector.unregister(s)
                s.close()
                self.cut += 1
            if gone:
                lost = set(gone)
                self.held = [s for s in self.held if s not in lost]
        for s in self.held:
            s.close()
        self.selector.close()


class Wall:
    def __init__(self, number, port, token, query):
        self.number, self.got = number, b''
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.socket.sendall(('GET /api/v1/events%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n'
                             'Authorization: Bearer %s\r\n\r\n' % (query, token)).encode())
        self.socket.setblocking(False)

    @property
    def status(self):
        return int(self.got.split(b' ', 2)[1]) if b'\r\n\r\n' in self.got else 0

    def types(self):
        return [line.split(b': ')[1].decode() for line in self.got.splitlines() if line.startswith(b'event: ') and line != b'event: heartbeat']


class Walls:
    """Live streams without a thread for each."""

    def __init__(self, port, token, n, query):
        self.port, self.all = port, []
        self.selector = selectors.DefaultSelector()
        for i in range(n):
            self.add(token, query(i))

    def add(self, token, query):
        self.all.append(Wall(len(self.all), self.port, token, query))
        self.selector.register(self.all[-1].socket, selectors.EVENT_READ, self.all[-1])
        return True

    def drop(self, wall):
        self.selector.unregister(wall.socket)
        wall.socket.close()

    def read(self):
        for key, _ in self.selector.select(0.1):
            try:
                got = key.fileobj.recv(65536)
            except OSError:
                got = b''
            key.data.got += got
            if not got:
                self.selector.unregister(key.fileobj)
        return True

    def close(self):
        for wall in self.all:
            wall.socket.close()
        self.selector.close()


def resident(pid):
    """Bytes of memory that it alone has."""
    with open('/proc/%d/smaps_rollup' % pid) as f:
        return sum(int(l.split()[1]) * 1024 for l in f if l.startswith('Private_'))


def ask(l, n, fresh):
    """n answers, each on a connection of its own or all on one; the seconds that each took."""
    took, kept = [], l.provd.api()
    for _ in range(n):
        api = l.provd.api() if fresh else kept
        begun = time.monotonic()
        a = api.request('GET', '/stations')
        took.append(time.monotonic() - begun)
        assert a.status == 200, a.body
        if fresh:
            api.close()
    kept.close()
    return took


class Shut(unittest.TestCase):
    def test_five_thousand_without_a_token_shut_nobody_out(self):
        n = descriptors()
        with line.Line(1, boards=0) as l:
            l.start()
            alone = sum(ask(l, HONEST, True)) / HONEST
            stream = l.provd.events()
            crowd = Crowd(l.provd.port, n)
            try:
                line.wait_for('%d connections' % n, crowd.full.is_set)
                crowded = sum(ask(l, HONEST, True)) / HONEST
                kept = sum(ask(l, HONEST, False)) / HONEST
                for i in range(20):
                    pool = l.api.request('POST', '/pools', {'id': 'p%d' % i, 'pattern': 'P%d{seq:03}' % i, 'last': 9})
                    self.assertEqual(pool.status, 201, pool.body)
                live = line.Api(l.provd.port, None)
                self.assertEqual(live.request('GET', '/livez', raw=True).status, 200)
                live.close()
                self.assertFalse(stream.ended)
                line.wait_for('the events of the pools', lambda: len(stream.durable()) >= 20)
            finally:
                crowd.stop.set()
                crowd.join()
                stream.stop()
            self.assertGreaterEqual(crowd.opened, n)
            self.assertGreater(crowd.cut, 0, 'provd held all of them')
            print('%d connections, %d of them cut; a request alone %.2f ms, among them %.2f ms on a new connection '
                  '(%.1f times), %.2f ms on a kept one' % (crowd.opened, crowd.cut, alone * 1e3, crowded * 1e3,
                                                        crowded / alone, kept * 1e3))
            self.assertEqual(l.provd.term(), 0)

    def test_a_header_that_never_ends_is_cut_however_it_drips(self):
        with line.Line(1, boards=0) as l:
            l.start()
            head = b'GET /livez HTTP/1.1\r\nHost: x\r\nX-Drip: '
            silent, dripping = (socket.create_connection(('127.0.0.1', l.provd.port)) for _ in range(2))
            dripping.sendall(head)
            open_ = {silent, dripping}

            def cut():
                for s in list(open_):
                    s.settimeout(0.1)
                    try:
                        if s is dripping:
                            s.sendall(b'a')
                        if s.recv(100) == b'':
                            open_.discard(s)
                    except socket.timeout:
                        pass
                    except OSError:
                        open_.discard(s)
                return not open_
            line.wait_for('both are cut', cut)
            silent.close()
            dripping.close()

    def test_a_thousand_walls_hear_it_and_take_no_stream_of_others(self):
        descriptors()
        with line.Line(1, boards=0) as l:
            l.start()
            token = l.api.post('/tokens', {'name': 'wall', 'role': 'viewer'})['token']
            before = resident(l.provd.process.pid)
            walls = Walls(l.provd.port, token, 1100, lambda i: '?type=pool-*' if i % 2 else '?type=job-created&heartbeat=%s' % ('false' if i else 'true'))
            other = None
            try:
                line.wait_for('an answer to each', lambda: walls.read() and all(w.status for w in walls.all))
                open_ = [w for w in walls.all if w.status == 200]
                self.assertEqual((len(open_), {w.status for w in walls.all}), (1024, {200, 429}))
                each = (resident(l.provd.process.pid) - before) / len(open_)
                other = l.provd.events()
                self.assertEqual(other.status, 200)
                begun = time.monotonic()
                l.api.post('/pools', {'id': 'p1', 'pattern': 'P{seq:03}', 'last': 9})
                wanted = [w for w in open_ if w.number % 2]
                line.wait_for('the event at each', lambda: walls.read() and all('pool-created' in w.types() for w in wanted))
                took = time.monotonic() - begun
                line.wait_for('the event at another one', lambda: 'pool-created' in str(other.durable()))
                self.assertEqual({t for w in open_ for t in w.types()}, {'pool-created'})
                self.assertEqual({len(w.types()) for w in wanted}, {1})
                print('%d live streams: %.1f KiB each, %.1f ms from the request to the last that hears of it'
                      % (len(open_), each / 1024, took * 1e3))
                # One that is gone leaves its place, once something is written to it.
                walls.drop(walls.all[0])
                line.wait_for('a place', lambda: walls.add(token, '') and walls.read() and walls.all[-1].status == 200, every_s=0.3)
            finally:
                walls.close()
                if other:
                    other.stop()
            self.assertEqual(l.provd.term(), 0)

    def test_too_low_a_limit_of_open_files_is_refused_at_the_start(self):
        with line.Line(4, boards=0) as l:
            done = subprocess.run(['prlimit', '--nofile=256:256', line.binary('provd'), '--config', l.provd.config],
                                  capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, r'4 stations and the API need \d+ open files, the limit is 256')
            # A soft limit is raised.
            l.provd.wrap = ['prlimit', '--nofile=256:']
            l.start()
            self.assertEqual(l.api.request('GET', '/stations').status, 200)


class Slow(unittest.TestCase):
    def hex_file(self, megabytes):
        """An Intel HEX file of about that size, whose reader has something to do."""
        lines = []
        for block in range(megabytes * 1024 * 1024 // (65536 // 16 * 44)):
            record = bytes((2, 0, 0, 4, block >> 8, block & 255))
            lines.append(':%s%02X\n' % (record.hex().upper(), -sum(record) & 255))
            for at in range(0, 65536, 16):
                record = bytes((16, at >> 8, at & 255, 0)) + bytes((block + at + i) & 255 for i in range(16))
                lines.append(':%s%02X\n' % (record.hex().upper(), -sum(record) & 255))
        lines.append(':00000001FF\n')
        return ''.join(lines).encode()

    def test_livez_is_answered_while_uploads_are_parsed(self):
        data = self.hex_file(12)
        with line.Line(1, boards=0) as l:
            l.start()
            ended, answers = threading.Event(), []

            def put(i):
                more = data + b'\n' * i  # other bytes, another digest
                api = l.provd.api()
                answers.append(api.request('PUT', '/artifacts/' + line.sha256(more), more))
                api.close()
                ended.set()
            threads = [threading.Thread(target=put, args=(i,)) for i in range(1, 5)]
            for t in threads:
                t.start()
            during = 0
            live = line.Api(l.provd.port, None)
            while not ended.is_set():
                self.assertEqual(live.request('GET', '/livez', raw=True).status, 200)
                self.assertEqual(l.api.request('GET', '/jobs').status, 200)
                if not ended.is_set():
                    during += 1
            live.close()
            for t in threads:
                t.join()
            self.assertEqual([a.status for a in answers], [201] * 4, [a.body[:200] for a in answers])
            self.assertGreater(during, 0)
            print('%d answers to /livez while four files of %d MB were taken' % (during, len(data) >> 20))
            self.assertEqual(l.provd.term(), 0)


if __name__ == '__main__':
    line.main()
