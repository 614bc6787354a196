# SPDX-License-Identifier: Apache-2.0
"""A plant for tests: PostgreSQL of Debian as an ordinary user, with its data and its Unix socket in a folder of the test's,
and provd-plant on it. Only processes started here are ended, by their id.

    with plant.Plant(postgres) as p:
        p.admin.post('/pools', {...})
"""
import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

import line


def find_server():
    """The folder of PostgreSQL's programs; skips the test where there is none."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'), key=lambda p: int(p.split('/')[4]))
    if not found:
        raise unittest.SkipTest('PostgreSQL is not installed: scripts/install-deps test')
    if not os.path.exists(line.binary('provd-plant')):
        raise unittest.SkipTest('provd-plant was not built: libpq-dev is not installed (scripts/install-deps build)')
    return os.path.dirname(found[-1])


class Postgres:
    """One server; `standby_of` another one, from which it streams."""

    def __init__(self, home, name='pg', config='', standby_of=None):
        self.bin, self.home = find_server(), home
        self.dir = os.path.join(home, name)
        self.data = os.path.join(self.dir, 'data')
        self.process = None
        # PostgreSQL does not run as root.
        self.user = 'postgres' if os.getuid() == 0 else None
        os.mkdir(self.dir)
        if self.user:
            user = pwd.getpwnam(self.user)
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        if standby_of:
            self.run('pg_basebackup', '-h', standby_of.dir, '-U', 'plant', '-D', self.data, '-c', 'fast', '-R')
        else:
            self.run('initdb', '-D', self.data, '-U', 'plant', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions')
        self.config = config
        self.databases = 0
        self.start()

    def close(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.home, ignore_errors=True)

    def _as_user(self, argv):
        if not self.user:
            return argv
        user = pwd.getpwnam(self.user)
        return ['setpriv', '--reuid=%d' % user.pw_uid, '--regid=%d' % user.pw_gid, '--clear-groups', '--'] + argv

    def run(self, program, *args):
        return subprocess.run(self._as_user([os.path.join(self.bin, program), *args]), check=True, cwd='/', text=True,
                              env={'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8'},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def new_database(self):
        self.databases += 1
        name = 'plant%d' % self.databases
        self.run('createdb', '-h', self.dir, '-U', 'plant', name)
        return name

    def dsn(self, database):
        return 'host=%s user=plant dbname=%s connect_timeout=5' % (self.dir, database)

    def start(self):
        argv = [os.path.join(self.bin, 'postgres'), '-D', self.data, '-k', self.dir, '-c', 'listen_addresses=',
                '-c', 'max_connections=60', '-c', 'shared_buffers=32MB']
        for setting in self.config.split():
            argv += ['-c', setting]
        self.log = open(os.path.join(self.dir, 'log'), 'a')
        self.process = subprocess.Popen(self._as_user(argv), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd='/', preexec_fn=line._with_parent)
        # pg_isready asks for what the server takes; its data may still be recovered.
        line.wait_for('PostgreSQL takes connections', lambda: self.process.poll() is not None or subprocess.run(
            [os.path.join(self.bin, 'pg_isready'), '-q', '-h', self.dir, '-U', 'plant']).returncode == 0)
        assert self.process.poll() is None, line.read(os.path.join(self.dir, 'log'))

    def stop(self, how=signal.SIGINT):
        """SIGINT: its 'fast'; SIGQUIT: its 'immediate', as after a crash of the machine."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(line.DEADLINE_S)
            self.process = None
            self.log.close()

    def sql(self, database, text):
        return self.run('psql', '-h', self.dir, '-U', 'plant', '-d', database, '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text).strip()


def new_home():
    """A folder that PostgreSQL's user may pass."""
    home = tempfile.mkdtemp(prefix='provd-plant-')
    os.chmod(home, 0o755)
    return home


class Plant:
    """provd-plant on a database of its own of that server."""

    def __init__(self, pg, dsn=None):
        self.home = new_home()
        self.process = None
        self.port, self.apis = 0, []
        self.pg, self.database = pg, pg.new_database()
        self.dsn = dsn or pg.dsn(self.database)
        try:
            self.admin_token = self.make_token('admin')
            self.start()
        except BaseException:
            self.close()
            raise
        self.admin = self.client(self.admin_token)

    def client(self, token):
        self.apis.append(line.Api(self.port, token))
        return self.apis[-1]

    def sql(self, text):
        return self.pg.sql(self.database, text)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.log_text()[-3000:])
        self.close()

    def close(self):
        self.stop()
        for api in self.apis:
            api.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def make_token(self, role):
        r = subprocess.run([line.binary('provd-plant'), '--database', self.dsn, '--make-token', role], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()

    def start(self, ready=True):
        """Again at the same port, where it was up before."""
        for api in self.apis:
            api.close()
        port_file = os.path.join(self.home, 'port')
        if os.path.exists(port_file):
            os.unlink(port_file)
        self.log = open(os.path.join(self.home, 'log'), 'a')
        self.process = subprocess.Popen(
            [line.binary('provd-plant'), '--database', self.dsn, '--listen', '127.0.0.1:%d' % self.port, '--port-file', port_file],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=line._with_parent)
        if ready:
            line.wait_for('provd-plant serves', lambda: self.process.poll() is not None or
                          (os.path.exists(port_file) and line.read(port_file).strip()))
            assert self.process.poll() is None, self.log_text()
            self.port = int(line.read(port_file))

    def log_text(self):
        path = os.path.join(self.home, 'log')
        return line.read(path) if os.path.exists(path) else ''

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        self.log.close()

    def stop(self):
        if self.process:
            self.process.terminate()
            assert self.process.wait(line.DEADLINE_S) in (0, -15), self.log_text()
            self.process = None
            self.log.close()

    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def add_host(self, name):
        return self.admin.post('/hosts', {'id': name})['token']

    def host(self, name):
        return next(h for h in self.admin.get('/hosts')['items'] if h['id'] == name)


class Host:
    """The host's side of the dialogue, as a client of the test's: what provd says is another program's."""

    def __init__(self, plant, name, token=None):
        self.plant, self.name = plant, name
        self.token = token or plant.add_host(name)
        self.api = plant.client(self.token)
        self.epoch, self.generation, self.fence, self.seq = 'e' * 16, 1, 0, 0
        self.home, self.place = 'home-of-' + name.ljust(16, '-'), 'place-of-' + name.ljust(16, '-')
        self.asked = 0

    def ask_session(self, **other):
        ask = {'protocol': 1, 'epoch': self.epoch, 'generation': self.generation, 'fence': self.fence,
               'nonce': os.urandom(16).hex(), 'home': self.home, 'place': self.place, 'seq': self.seq}
        ask.update(other)
        return self.api.request('POST', '/host/session', ask)

    def session(self, **other):
        a = self.ask_session(**other)
        assert a.status == 200, a.body
        self.fence = a.json['fence']
        return a.json

    def record(self, seq, **other):
        return {'record': {'seq': seq, 'timestamp': '2026-12-01T00:00:00.000Z', 'type': 'unit-attached', 'station': 'A1',
                           'job': None, 'run': None, 'serial': None, 'data': {'n': seq}, **other}}

    def run(self, seq, run, serial, outcome='passed', values=None, unit=None, measured=2):
        item = self.record(seq, type='run-finished', run=run, serial=serial)
        item['told'] = {
            'reference': None, 'before': None,
            'values': [{'kind': 'serial', 'slot': '', 'value': serial}] if values is None else values,
            'report': {'id': run, 'job': None, 'station': 'A1', 'kind': 'production', 'model': 'M1', 'unit': unit or 'u-' + run,
                       'serial_number': serial, 'outcome': outcome, 'code': None, 'step': None,
                       'ended_at': '2026-12-01T00:00:00.000Z', 'recipe': {'name': 'r', 'version': 1, 'sha256': '0' * 64},
                       'steps': [{'n': 1, 'measurements': [
                           {'name': 'v%d' % i, 'value': 3.3, 'text': None, 'unit': 'V', 'low': 3.0, 'high': 3.6, 'verdict': 'pass'}
                           for i in range(measured)]}]}}
        return item

    def send(self, after, items, fence=None):
        return self.api.request('POST', '/host/records',
                                {'fence': self.fence if fence is None else fence, 'after': after, 'records': items})

    def lease(self, pool, request=None, fence=None):
        return self.api.request('POST', '/host/leases', {
            'fence': self.fence if fence is None else fence, 'pool': pool, 'request': request or os.urandom(16).hex()})

    def give_back(self, lease, after):
        return self.api.request('POST', '/host/returns', {'fence': self.fence, 'lease': lease, 'next': after})

    def claim(self, most, recipes=('r',), request=None):
        return self.api.request('POST', '/host/claims', {'fence': self.fence, 'most': most, 'recipes': list(recipes),
                                                         'request': request or os.urandom(16).hex()})

    def end_claim(self, claim, **more):
        return self.api.request('POST', '/host/claims/end', {'fence': self.fence, 'claim': claim, **more})
