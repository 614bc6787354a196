# SPDX-License-Identifier: Apache-2.0
"""A line for tests: provsim boards, provd and a client, in a directory of their own.

    with line.Line(stations=8) as l:
        l.provd.start()
        l.api.post('/jobs', {...})

Only processes started here are ended, by their id. Binaries come from PROVD_BUILD (or the first
argument of the test).
"""
import ctypes
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEADLINE_S = float(os.environ.get('PROVD_TEST_DEADLINE', '60'))
PR_SET_PDEATHSIG = 1
ANY = {'If-Match': '*'}  # whatever its revision is
libc = ctypes.CDLL(None)


def build_dir():
    if os.environ.get('PROVD_BUILD'):
        return os.path.abspath(os.environ['PROVD_BUILD'])
    return os.path.join(ROOT, 'build')


def binary(name):
    where = {'provd': 'daemon', 'provd-keyd': 'daemon/keyd', 'provsim': 'sim', 'provctl': 'cli', 'provd-plant': 'plant'}[name]
    return os.path.join(build_dir(), where, name)


def _with_parent():
    """A child does not outlive the test, whatever ends the test."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def read(path):
    with open(path) as f:
        return f.read()


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


def wait_for(what, cond, deadline_s=None, every_s=0.02):
    """The first true value of cond(); AssertionError after the deadline."""
    end = time.monotonic() + (deadline_s or DEADLINE_S)
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('not within %.0f s: %s' % (deadline_s or DEADLINE_S, what))
        time.sleep(every_s)


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def stop(pid):
    """Ends with all threads stopped: one of them takes the signal, and the others go on until it has a processor."""
    def states():
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/stat' % (pid, task)) as f:
                yield f.read().rsplit(')', 1)[1].split()[0]
    os.kill(pid, signal.SIGSTOP)
    wait_for('all threads of %d stand' % pid, lambda: set(states()) == {'T'}, every_s=0.001)


def sanitized(program='provd'):
    """Whether it was built with ASan, which keeps what was freed."""
    with open(binary(program), 'rb') as f:
        return b'__asan_init' in f.read()


def firmware(size=112 * 1024, seed=1):
    """Bytes that no pattern compresses and no image format claims."""
    return b'\x00PROVD-TEST-IMAGE' + random.Random(seed).randbytes(size - 17)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Problem(Exception):
    def __init__(self, method, path, answer):
        super().__init__('%s %s: %d %s' % (method, path, answer.status, answer.body[:600]))
        self.status = answer.status
        self.answer = answer


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


# provd closes a connection that is idle for 30 s (IDLE_TIMEOUT_S of api/httpd.c): a client that kept it would meet its end.
IDLE_S = 20


class Api:
    """One keep-alive connection; not for two threads at once."""

    def __init__(self, port, token, timeout=DEADLINE_S):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection = None
        self.used = time.monotonic()

    def request(self, method, path, body=None, headers=None, raw=False):
        """Never raises for a status; path without /api/v1 is put under it, unless raw."""
        send = dict(headers or {})
        if self.token and 'Authorization' not in send:
            send['Authorization'] = 'Bearer ' + self.token
        if body is not None and not isinstance(body, (bytes, str)) and not hasattr(body, '__next__'):
            body = json.dumps(body)
            send.setdefault('Content-Type', 'application/json')
        if not raw:
            path = '/api/v1' + path
        if time.monotonic() - self.used > IDLE_S:
            self.close()
        if self.connection is None:
            self.connection = self.connect()
        try:
            try:
                self.connection.request(method, path, body, send, encode_chunked='Transfer-Encoding' in send)
            except (BrokenPipeError, ConnectionResetError):
                # Refused before all of the body was sent: the answer may be here.
                if self.connection.sock is None:
                    raise
            r = self.connection.getresponse()
            answer = Answer(r.status, r.headers, r.read())
            self.used = time.monotonic()
            return answer
        except BaseException:
            self.close()
            raise

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=self.timeout)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def ok(self, method, path, body=None, headers=None):
        a = self.request(method, path, body, headers)
        if a.status >= 300:
            raise Problem(method, path, a)
        return a.json

    def get(self, path):
        return self.ok('GET', path)

    def post(self, path, body=None, headers=None):
        return self.ok('POST', path, body, headers)

    def all(self, path):
        """Every item of a list, page by page."""
        items, cursor = [], None
        while True:
            sep = '&' if '?' in path else '?'
            page = self.get(path + sep + 'limit=1000' + ('&cursor=' + cursor if cursor else ''))
            items += page['items']
            cursor = page['next_cursor']
            if not cursor:
                return items


class Events(threading.Thread):
    """Reads the live events of one connection until it ends or stop(): (seq, type, data)."""

    def __init__(self, port, token, after=None, on_event=None, query=''):
        super().__init__(daemon=True)
        self.events, self.comments, self.ended = [], 0, False
        self.status = None
        self.on_event = on_event
        self.sock = socket.create_connection(('127.0.0.1', port), timeout=DEADLINE_S)
        head = 'GET /api/v1/events' + query + ' HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n' \
               'Authorization: Bearer %s\r\n' % token
        if after is not None:
            head += 'Last-Event-ID: %d\r\n' % after
        self.sock.sendall((head + '\r\n').encode())
        self.file = self.sock.makefile('rb')
        self.status = int(self.file.readline().split()[1])
        self.chunked = False
        while (line := self.file.readline().strip()):
            self.chunked |= line.lower() == b'transfer-encoding: chunked'
        self.start()

    def _lines(self):
        rest = b''
        while True:
            if self.chunked:
                size = int(self.file.readline().strip() or b'0', 16)
                data = self.file.read(size)
                self.file.readline()
                if size == 0 or len(data) < size:
                    return
            else:
                data = self.file.read1(65536)
                if not data:
                    return
            rest += data
            *lines, rest = rest.split(b'\n')
            yield from lines

    def run(self):
        seq, kind = 0, ''
        try:
            for line in self._lines():
                if line.startswith(b'id: '):
                    seq = int(line[4:])
                elif line.startswith(b'event: '):
                    kind = line[7:].decode()
                elif line.startswith(b'data: '):
                    event = (seq, kind, json.loads(line[6:]))
                    self.events.append(event)
                    if self.on_event:
                        self.on_event(event)
                elif line.startswith(b':'):
                    self.comments += 1
                elif not line:
                    seq, kind = 0, ''
        except (OSError, ValueError):
            pass
        self.ended = True

    def durable(self):
        return [e for e in list(self.events) if e[0] > 0]

    def stop(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join()
        self.file.close()
        self.sock.close()


def _bytes_of(path):
    if not os.path.exists(path):
        return b''
    with open(path, 'rb') as f:
        return f.read()


class Sim:
    def __init__(self, home, boards, *args):
        self.home = home
        self.boards_dir = os.path.join(home, 'boards')
        os.makedirs(self.boards_dir, exist_ok=True)
        self.events = os.path.join(home, 'events.sock')
        self.control = os.path.join(home, 'control.sock')
        self.log = open(os.path.join(home, 'sim.log'), 'ab')
        self.process = subprocess.Popen(
            [binary('provsim'), 'run', '--boards', str(boards), '--events', self.events,
             '--control', self.control, '--state', self.boards_dir, *args],
            stdout=self.log, stderr=self.log, preexec_fn=_with_parent)
        wait_for('provsim answers', self._answers)

    def _answers(self):
        assert self.process.poll() is None, 'provsim ended:\n' + _bytes_of(self.log.name).decode()
        try:
            return self.ctl('list')
        except OSError:
            return None

    def ctl(self, cmd, **kw):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE_S)
            s.connect(self.control)
            s.sendall(json.dumps(dict(kw, cmd=cmd)).encode() + b'\n')
            answer = json.loads(s.makefile().readline())
        assert answer['ok'], answer
        return answer

    def boards(self):
        return self.ctl('list')['boards']

    def units(self):
        """Every unit that ever was in a socket: [(uid, state, flash bytes)], from the files."""
        found = {}
        for name in os.listdir(self.boards_dir):
            if not name.endswith('.json') or name.endswith('.tmp'):
                continue
            with open(os.path.join(self.boards_dir, name)) as f:
                state = json.load(f)
            flash = os.path.join(self.boards_dir, state['uid'] + '.flash.bin')
            found[state['uid']] = (state['uid'], state, _bytes_of(flash))
        return list(found.values())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Provd:
    def __init__(self, home, wrap=()):
        self.home, self.wrap = home, list(wrap)
        self.config = os.path.join(home, 'provd.yaml')
        self.port_file = os.path.join(home, 'port')
        self.log_path = os.path.join(home, 'provd.log')
        self.process = None
        self.port = None

    def start(self, ready=True):
        if os.path.exists(self.port_file):
            os.unlink(self.port_file)
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                self.wrap + [binary('provd'), '--config', self.config, '--port-file', self.port_file],
                stdout=log, stderr=log, preexec_fn=_with_parent)
        if ready:
            wait_for('provd serves', self._serves, every_s=0.005)
        return self

    def _serves(self):
        assert self.process.poll() is None, 'provd ended with %d:\n%s' % (
            self.process.returncode, self.log_tail())
        text = _bytes_of(self.port_file).decode()
        if text.endswith('\n'):
            self.port = int(text)
            return True
        return False

    def log_text(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()

    def log_tail(self, n=6000):
        return self.log_text()[-n:]

    @property
    def token(self):
        with open(os.path.join(self.home, 'state', 'admin-token')) as f:
            return f.read().strip()

    def api(self, token=None, **kw):
        return Api(self.port, token or self.token, **kw)

    def events(self, after=None, **kw):
        return Events(self.port, self.token, after, **kw)

    def db(self):
        """The database as another program reads it."""
        path = os.path.join(self.home, 'state', 'provd.db')
        d = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=DEADLINE_S)
        d.row_factory = sqlite3.Row
        return d

    def peak_kib(self):
        with open('/proc/%d/status' % self.process.pid) as f:
            return next(int(x.split()[1]) for x in f if x.startswith('VmHWM'))

    def db_bytes(self):
        with self.db() as d:
            return d.execute('PRAGMA page_count').fetchone()[0] * d.execute('PRAGMA page_size').fetchone()[0]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def term(self, deadline_s=None):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline_s or DEADLINE_S)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            try:
                self.term(30)
            except subprocess.TimeoutExpired:
                self.kill()


STATION = "  - id: A%d\n    title: Bay %d\n" \
          "    ports: {console: {path: 'platform-provsim-usb-0:1.%d', vid: '1209', pid: '0001'}}\n"
PRODUCTION = os.path.join(ROOT, 'recipes', 'production.yaml')


class Line:
    def __init__(self, stations=8, boards=None, sim_args=(), config='', station_extra='', wrap=()):
        self.home = tempfile.mkdtemp(prefix='provd-e2e-')
        self.sim = self.api = None
        self.provd = Provd(self.home, wrap)
        os.mkdir(os.path.join(self.home, 'stations.d'))
        self.config(config)
        self.stations(stations, station_extra)
        if boards is None:
            boards = stations
        try:
            if boards:
                self.sim = Sim(self.home, boards, *sim_args)
        except BaseException:
            self.close()
            raise

    def config(self, more='', settle='10ms'):
        # A board that was away for longer is another unit. A busy machine sees the leaving late, which makes the gap
        # shorter: tests leave 100 ms and more between two units.
        base = 'state_dir: %s/state\nlisten: 127.0.0.1:0\nhotplug: ["stream:%s/events.sock"]\n' \
               'settle: %s\nrate_limit: 0\n' % (self.home, self.home, settle)
        with open(self.provd.config, 'w') as f:
            f.write(base + more)

    def stations(self, n, extra=''):
        with open(os.path.join(self.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write('stations:\n' + ''.join(STATION % (i, i, i) + extra for i in range(1, n + 1))
                    if n else 'stations: []\n')

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and os.path.exists(self.provd.log_path):
            sys.stderr.write('--- the end of provd.log\n' + self.provd.log_tail() + '---\n')
        self.close()

    def close(self):
        if self.api:
            self.api.close()
        self.provd.stop()
        if self.sim:
            self.sim.stop()
        if not os.environ.get('PROVD_TEST_KEEP'):
            shutil.rmtree(self.home, ignore_errors=True)

    def start(self):
        self.provd.start()
        if self.api:
            self.api.close()
        self.api = self.provd.api()
        return self

    def put_firmware(self, data, name='firmware.bin'):
        return self.api.ok('PUT', '/artifacts/%s?name=%s' % (sha256(data), name), data,
                           {'Content-Type': 'application/octet-stream'})

    def put_recipe(self, text):
        r = self.api.post('/recipes', text, {'Content-Type': 'application/yaml'})
        return self.api.post('/recipes/%s/versions/%d/actions/approve' % (r['name'], r['version']))

    def prepare(self, image, recipe=None, pool='production-sn'):
        self.api.post('/pools', {'id': pool, 'pattern': 'SN{date:%Y%m%d}{seq:06}', 'first': 1, 'last': 999999})
        self.put_firmware(image)
        return self.put_recipe(recipe if recipe else _bytes_of(PRODUCTION).decode())

    def job_done(self, job, deadline_s=None):
        def done():
            j = self.api.get('/jobs/' + job)
            return j if j['state'] in ('done', 'aborted', 'cancelled') else None
        return wait_for('job %s ends' % job, done, deadline_s)

    def forget_page_sums(self):
        """What a test wrote to the database while provd did not run is taken for provd's."""
        os.unlink(os.path.join(self.home, 'state', 'provd.db-sums'))

    def found_in_records(self):
        """What `provctl record verify` finds in the database as it is, also while provd works: nothing is right."""
        p = self.provctl('--json', 'record', 'verify', '--database', os.path.join(self.home, 'state', 'provd.db'))
        return json.loads(p.stdout)['findings'] if p.stdout else [p.stderr]

    def provctl(self, *args, **kw):
        env = dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % (self.provd.port or 1),
                   PROVSIM_CONTROL=os.path.join(self.home, 'control.sock'))
        if self.provd.process is not None:
            env['PROVD_TOKEN'] = self.provd.token
        return subprocess.run([binary('provctl'), *args], env=env, capture_output=True, text=True,
                              timeout=kw.pop('timeout', DEADLINE_S), preexec_fn=_with_parent,
                              errors='replace', **kw)


def main(module='__main__', **kw):
    """unittest, with the build directory as an optional first argument."""
    import unittest
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))
    unittest.main(module, verbosity=2, **kw)
