#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Secrets of every kind are planted, a unit gets them, and whatever leaves provd is searched for them: the database, logs,
events, every answer of the API, command lines and environments, files, and the memory that a core would hold.

    test_planted.py [BUILD]
"""
import base64
import json
import os
import re
import subprocess
import unittest

import cloud
import keyd
import line

RECIPE = '''
recipe: planted
version: 1
unit:
  model: provsim-1
  serial: {pool: planted-sn}
ports:
  console: {kind: tty, baud: 115200}
artifacts:
  fields: otp-fields.yml
timeout: 2m
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - {id: key, action: key.generate, with: {port: console, alg: p256}}
  - id: csr
    action: key.csr
    with: {port: console, subject: 'CN=${unit.serial}', public_key: '${steps.key.public_key}'}
  - id: by-token
    action: key.certificate
    with: {issuer: token, profile: tls-client, csr: '${steps.csr.csr}', public_key: '${steps.key.public_key}', values: {serial: '${unit.serial}'}}
  - id: by-file
    action: key.certificate
    with: {issuer: file, profile: tls-client, csr: '${steps.csr.csr}', public_key: '${steps.key.public_key}', values: {serial: '${unit.serial}'}}
  - {id: derived, action: key.derive, with: {master: fleet, label: storage, context: '${unit.serial}'}}
  - id: configure
    action: console.config
    with: {port: console, read_back: true, values: {WIFI_PSK: '${secrets.wifi}', STORAGE_KEY: '${steps.derived.key}'}}
  - id: burn
    action: otp.write
    with: {port: console, map: '${artifacts.fields}', field: key, value: '${secrets.otp-key}', irreversible: yes-i-mean-it}
  - id: register
    action: cloud.register
    with: {service: cloud, serial: '${unit.serial}', device_type: '${unit.model}', firmware_version: '1.0'}
  - id: credentials
    action: cloud.credentials
    with: {service: cloud, device_id: '${steps.register.device_id}'}
  - id: hold
    action: operator.prompt
    with: {text: Go on?}
'''
CONFIG = """profiles: %s
issuers:
%s%smasters:
  fleet: {key: %s}
secrets:
  cloud-token: {file: %s}
  otp-key: {file: %s}
  wifi: {file: %s}
services:
  cloud: {url: '%s', ca: %s, token: cloud-token, timeout: 5s}
"""
SERIAL = 'PL000001'
OTP_KEY = '7ea1d0' + '8899aabbccddeeff' * 3 + '7ea1d00042'
WIFI = 'Correct-Horse-77-Battery'
PASSPHRASE = 'An-Open-Sesame-4711'
# Its own, as long as it runs. What it derived for a unit is not.
KEPT_BY_KEYD = ('CA key of the token', 'CA key of the file', 'master', 'PIN', 'passphrase')


def base64_forms(data):
    """In a longer text it begins at any of three places."""
    for before in range(3):
        text = base64.b64encode(b'\0' * before + data)
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield text[first:last]


def forms(data):
    """The ways in which bytes are written down."""
    hex_ = data.hex().encode()
    return {data, data.lower(), data.upper(), hex_, hex_.upper(), *base64_forms(data)}


class Needles:
    def __init__(self):
        self.forms = {}

    def text(self, name, value):
        self.forms[name] = forms(value.encode())

    def hex(self, name, value):
        """A value that is written as digits, and kept as bytes."""
        self.forms[name] = forms(value.encode()) | forms(bytes.fromhex(value))

    def found(self, data, but=()):
        joined = data.replace(b'\\n', b'').translate(None, b'\r\n')     # base64 has lines
        return sorted(name for name, all_ in self.forms.items() if name not in but and any(f in data or f in joined for f in all_))


def private_number(pem, *more):
    """The private number of a P-256 key, hex."""
    out = keyd.run('openssl', 'ec', '-in', pem, '-noout', '-text', *more)
    digits = re.search(r'priv:\s+((?:[0-9a-f]{2}[:\s]*)+)', out)[1]
    return ''.join(re.findall('[0-9a-f]{2}', digits)).zfill(64)[-64:]


def children(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
        found = [int(c) for c in f.read().split()]
    return found + [g for c in found for g in children(c)]


def memory(pid):
    """What a core of it would hold: all that it can write. None: this user may not read it."""
    parts = []
    try:
        with open('/proc/%d/maps' % pid) as maps, open('/proc/%d/mem' % pid, 'rb', buffering=0) as mem:
            for l in maps:
                span, mode = l.split()[:2]
                first, last = (int(x, 16) for x in span.split('-'))
                if not mode.startswith('rw') or '[v' in l:
                    continue
                try:
                    mem.seek(first)
                    parts.append(mem.read(last - first))
                except OSError:
                    pass
    except PermissionError:
        return None
    return b'\n'.join(parts)


class Row(line.Line):
    def __init__(self, needles):
        super().__init__(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.needles = needles
        try:
            os.environ['PROVD_KEYD'] = line.binary('provd-keyd')
            self.vault = os.path.join(self.home, 'vault')
            os.mkdir(self.vault)
            self.tmp = os.path.join(self.home, 'tmp')
            os.mkdir(self.tmp)
            self.cloud = cloud.Cloud(self.vault)
            self.plant()
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware())
            self.sim = line.Sim(self.home, 1, '--preload', app)
            os.environ['TMPDIR'] = self.tmp
            self.start()
            self.needles.text('first token', self.provd.token)
            made = self.api.post('/tokens', {'role': 'mes', 'name': 'orders'})
            self.needles.text('API token', made['token'])
            self.mes = made['token']
            self.api.post('/pools', {'id': 'planted-sn', 'pattern': 'PL{seq:06}', 'first': 1, 'last': 999})
            self.put_firmware(line._bytes_of(os.path.join(line.ROOT, 'recipes', 'otp-fields.yml')), 'otp-fields.yml')
            self.put_recipe(RECIPE)
        except BaseException:
            self.close()
            raise

    def secret(self, name, value):
        path = os.path.join(self.vault, name)
        line.write(path, value + '\n')
        os.chmod(path, 0o600)
        return path

    def plant(self):
        n = self.needles
        token, file = keyd.Authority(self.vault, 'token'), keyd.Authority(self.vault, 'file', passphrase=PASSPHRASE)
        self.soft = keyd.SoftToken(self.vault)
        n.hex('CA key of the token', private_number(token.key))
        self.soft.import_key(token.key, 'issuer', 'a1')
        token.key = self.soft.uri('issuer') + '?module-path=' + self.soft.MODULE
        token.pin = self.soft.pin
        os.environ.update(self.soft.env)
        n.text('PIN', self.soft.PIN)
        n.text('passphrase', PASSPHRASE)
        n.hex('CA key of the file', private_number(file.key, '-passin', 'file:' + file.pin))
        master = os.urandom(32).hex()
        n.hex('master', master)
        said = keyd.run('openssl', 'kdf', '-keylen', '32', '-kdfopt', 'mac:CMAC', '-kdfopt', 'cipher:AES-256-CBC', '-kdfopt', 'mode:COUNTER', '-kdfopt',
                        'hexkey:' + master, '-kdfopt', 'salt:storage', '-kdfopt', 'info:' + SERIAL, 'KBKDF')
        n.hex('derived key', said.strip().replace(':', '').lower())
        n.hex('OTP key', OTP_KEY)
        n.text('wifi password', WIFI)
        n.text('service token', cloud.TOKEN)
        profiles = os.path.join(line.ROOT, 'systemd', 'profiles')
        self.config(CONFIG % (profiles, token.yaml(['tls-client']), file.yaml(['tls-client']), self.secret('master', master),
                              self.secret('cloud-token', cloud.TOKEN), self.secret('otp', OTP_KEY), self.secret('wifi', WIFI), self.cloud.url, self.cloud.ca))

    def close(self):
        if getattr(self, 'cloud', None):
            self.cloud.__exit__()
        super().close()
        for name in ('PROVD_KEYD', 'SOFTHSM2_CONF', 'TMPDIR'):
            os.environ.pop(name, None)


class Planted(unittest.TestCase):
    def setUp(self):
        self.needles = Needles()
        self.row = Row(self.needles)
        self.addCleanup(self.row.close)
        self.looked = set()

    def clean(self, where, data, but=()):
        self.looked.add(where.split(':')[0])
        self.assertEqual(self.needles.found(data, but), [], where)

    # --- where ---

    def look_at_files(self):
        """The files of provd; not where the secrets were planted, nor the units that hold them."""
        l, seen = self.row, 0
        for folder, _, files in os.walk(l.home):
            if folder.startswith((l.vault, l.sim.boards_dir)):
                continue
            for name in files:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    seen += 1
                    self.clean('file: ' + path, line._bytes_of(path), ['first token'] if name == 'admin-token' else ())
        self.assertGreater(seen, 8)

    def look_at_processes(self):
        pid = self.row.provd.process.pid
        all_ = [pid] + children(pid)
        self.assertGreater(len(all_), 1)
        for p in all_:
            for part in ('cmdline', 'environ'):
                self.clean('process: %d %s' % (p, part), line._bytes_of('/proc/%d/%s' % (p, part)))
            for fd in os.listdir('/proc/%d/fd' % p):
                path = '/proc/%d/fd/%s' % (p, fd)
                if os.path.isfile(path) and '(deleted)' in os.readlink(path):
                    self.clean('deleted: %d %s' % (p, fd), line._bytes_of(path))

    def look_at_routes(self, run):
        """Every GET that there is, of what this run made."""
        api = self.row.api
        unit = api.get('/runs/' + run)['unit']
        ids = {'stations': 'A1', 'jobs': self.job, 'runs': run, 'units': unit, 'pools': 'planted-sn', 'artifacts': api.get('/artifacts')['items'][0]['sha256'],
               'recipes': 'planted', 'prompts': api.get('/prompts')['items'][0]['id']}
        asked = 0
        for path, verbs in json.loads(api.request('GET', '/openapi.json', raw=True).body)['paths'].items():
            if 'get' not in verbs:
                continue
            first = path.replace('/api/v1', '').split('/')[1]
            path = re.sub(r'\{(id|sha256)\}|(?<=recipes/)\{name\}', ids.get(first, 'none'), path).replace('{version}', '1').replace('{name}', 'none')
            a = api.request('GET', path, raw=True)
            asked += a.status == 200
            self.clean('route: GET ' + path, a.body + str(a.headers).encode())
        self.assertGreater(asked, 40)
        for argv in (('run', 'show', run, '--json'), ('unit', 'show', unit, '--json')):
            said = self.row.provctl(*argv)
            self.clean('provctl: ' + ' '.join(argv), (said.stdout + said.stderr).encode())

    def look_at_memory(self, but):
        held = memory(self.row.provd.process.pid)
        if held is None:
            print('the memory of provd was not searched: only root may read it')
            return False
        self.assertIn(SERIAL.encode(), held)    # it is that of provd
        self.clean('memory: of provd', held, but)
        for pid in children(self.row.provd.process.pid):
            with open('/proc/%d/comm' % pid) as f:
                name = f.read().strip()
            self.clean('memory: of ' + name, memory(pid), KEPT_BY_KEYD if name == 'provd-keyd' else ())
        self.assertIn('memory', self.looked)
        return True

    def look(self, run):
        self.look_at_files()
        self.look_at_processes()
        self.look_at_routes(run)
        self.clean('events: over SSE', json.dumps(self.stream.events).encode())

    # --- the test ---

    def test_no_secret_leaves_provd(self):
        l = self.row
        self.stream = l.provd.events()
        mes = l.provd.api(l.mes)
        self.job = mes.post('/jobs', {'recipe': 'planted', 'quantity': 1})['id']
        mes.close()
        prompt = line.wait_for('the run is at its question', lambda: l.api.get('/prompts?state=open')['items'] or self.ended_early())[0]
        (device,) = l.cloud.devices
        self.needles.text('client secret', device['client_secret'])
        self.the_unit_holds_them()
        self.look(prompt['run'])
        self.a_core_is_refused()
        # While the run goes on, its own secrets are what masks them.
        of_run = ['derived key', 'OTP key', 'wifi password', 'service token', 'client secret', 'first token', 'API token']
        readable = self.look_at_memory(of_run) if not line.sanitized() else False
        l.api.post('/prompts/%s/answer' % prompt['id'], {'answer': 'yes'})
        self.assertEqual(l.job_done(self.job)['passed'], 1)
        line.wait_for('the station is at rest', lambda: l.api.get('/stations/A1')['run'] is None)
        self.look(prompt['run'])
        if readable:
            self.look_at_memory(['first token'])
        self.stream.stop()
        l.provd.term()
        self.look_at_files()
        self.assertTrue({'file', 'process', 'route', 'events', 'provctl'} <= self.looked, self.looked)

    def ended_early(self):
        runs = self.row.api.get('/runs?state=finished')['items']
        self.assertEqual(runs, [])

    def the_unit_holds_them(self):
        """The search finds what is there: each secret is in its place."""
        l = self.row
        unit = json.dumps(l.sim.ctl('state', board='b1')['state']['unit']).encode()
        self.assertEqual(self.needles.found(unit), ['OTP key', 'derived key', 'wifi password'])
        planted = b'\n'.join(line._bytes_of(os.path.join(l.vault, name)) for name in os.listdir(l.vault) if os.path.isfile(os.path.join(l.vault, name)))
        self.assertTrue({'PIN', 'passphrase', 'master', 'CA key of the token', 'service token'} <= set(self.needles.found(planted)))

    def a_core_is_refused(self):
        """No core of either process, by its limits and by its own word; as root the word is not enough."""
        for pid in [self.row.provd.process.pid] + children(self.row.provd.process.pid):
            with open('/proc/%d/limits' % pid) as f:
                self.assertRegex(f.read(), r'Max core file size\s+0\s+0')
            # What may not be dumped belongs to root, whoever runs it.
            self.assertEqual(os.stat('/proc/%d/mem' % pid).st_uid, 0)


if __name__ == '__main__':
    line.main()
