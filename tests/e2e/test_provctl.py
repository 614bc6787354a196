#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provctl against a running provd: what is refused says what would be right, and its exit status says so too.

    test_provctl.py [BUILD]
"""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import keyd
import line

FIELDS = os.path.join(line.ROOT, 'recipes', 'otp-fields.yml')
# A bench has no journal: what the unit shows is all that keeps a field from being burnt twice.
BURN = '''
recipe: burn
version: 1
ports:
  console: {kind: tty, baud: 115200}
artifacts: {fields: otp-fields.yml}
steps:
  - {id: derive, action: key.derive, with: {master: fleet, label: fuse-key, context: SN-1}}
  - id: burn
    action: otp.write
    with: {port: console, map: '${artifacts.fields}', field: key, value: '${steps.derive.key}', irreversible: yes-i-mean-it}
'''


class Cutter(threading.Thread):
    """In front of provd: each of the first connections ends after so many bytes of the client's."""

    def __init__(self, port, cuts):
        super().__init__(daemon=True)
        self.target, self.cuts, self.taken = port, list(cuts), []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client, self.cuts.pop(0) if self.cuts else None), daemon=True).start()

    def serve(self, client, left):
        with client, socket.create_connection(('127.0.0.1', self.target)) as server:
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            taken = 0
            while data := client.recv(65536):
                data = data if left is None else data[:left - taken]
                server.sendall(data)
                taken += len(data)
                if taken == left:
                    client.shutdown(socket.SHUT_RDWR)
                    break
            self.taken.append(taken)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)


class Provctl(unittest.TestCase):
    def test_a_large_file_goes_on_where_its_connection_was_cut(self):
        image = os.path.join(self.line.home, 'large.bin')
        with open(image, 'wb') as f:
            f.write(line.firmware(6 << 20, 77))
        cutter = Cutter(self.line.provd.port, [2 << 20, 3 << 20])
        r = self.line.provctl('--url', 'http://127.0.0.1:%d' % cutter.port, 'artifact', 'put', image)
        self.assertEqual(r.returncode, 0, r)
        self.assertEqual(r.stderr.count('trying again'), 2, r.stderr)
        with open(image, 'rb') as f:
            sha = line.sha256(f.read())
        self.assertEqual(self.line.api.get('/artifacts/' + sha)['size'], 6 << 20)
        # No byte of it was sent twice; what was under way at a cut may be lost.
        line.wait_for('the last connection', lambda: len(cutter.taken) == 3)
        self.assertLess(sum(cutter.taken), 6.6 * (1 << 20))
        cutter.listener.close()

    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(stations=2, boards=1)
        cls.line.start()
        line.wait_for('the unit is there', lambda: cls.line.api.get('/stations/A1')['state'] == 'ready')

    @classmethod
    def tearDownClass(cls):
        cls.line.close()

    def refused(self, command, status, *words):
        r = self.line.provctl(*command.split())
        self.assertEqual(r.returncode, status, (command, r))
        for w in words:
            self.assertIn(w, r.stdout + r.stderr, command)

    def test_a_value_that_there_is_not_is_answered_with_those_that_there_are(self):
        self.refused('run list --outcome fail', 2, 'fail', 'passed', 'failed', 'error', 'aborted', 'interrupted')
        self.refused('run list --state closed', 2, 'open', 'finished')
        self.refused('unit list --state bad', 2, 'suspect', 'scrapped')
        self.refused('token create boss x', 2, 'viewer', 'operator', 'supervisor', 'admin')

    def test_parameters_of_an_order_are_of_the_types_that_the_recipe_declares(self):
        self.line.put_recipe('''
recipe: typed
version: 1
params: {area: {type: string}, code: {type: string}, n: {type: integer}, hot: {type: bool}}
steps:
  - {id: ask, action: operator.prompt, with: {text: '${params.area} ${params.code} ${params.n} ${params.hot}'}}
''')
        r = self.line.provctl('--json', 'job', 'submit', 'typed', '--quantity', '1', '--stations', 'A2', '--params', 'area=0,code="007",n=12,hot=true')
        self.assertEqual(r.returncode, 0, r)
        self.assertEqual(json.loads(r.stdout)['params'], {'area': '0', 'code': '007', 'n': 12, 'hot': True})
        self.refused('job submit typed --quantity 1 --params area=0,code=x,n=many,hot=true', 2, "'n'", 'integer')
        self.line.api.post('/jobs/%s/actions/abort' % json.loads(r.stdout)['id'], headers=line.ANY)

    def test_where_nothing_was_started_the_status_says_so(self):
        self.refused('station start A1', 1, 'nothing was started', 'no job')
        self.refused('station start A2', 1, 'nothing was started', 'no unit')
        self.refused('station start A9', 2, 'A9')
        self.refused('job submit none --quantity 1 --watch', 2, 'none', 'nothing was started')
        self.refused('job watch J', 2, 'J')

    def test_a_wrong_token_says_where_it_came_from(self):
        r = self.line.provctl('--token-file', '/dev/null', 'station', 'list')
        self.assertEqual(r.returncode, 3, r)
        self.assertIn('--token-file', r.stderr)

    def test_tokens_are_made_listed_and_revoked(self):
        secret = self.line.provctl('token', 'create', 'viewer', 'wall').stdout.strip()
        with contextlib.closing(self.line.provd.api(secret)) as api:
            self.assertEqual(api.request('GET', '/stations').status, 200)
        row = next(x for x in self.line.provctl('token', 'list').stdout.splitlines() if ' wall ' in x)
        self.assertIn('viewer', row)
        self.assertNotIn(secret.rsplit('_', 1)[1], row)
        self.assertEqual(self.line.provctl('token', 'revoke', row.split()[0]).returncode, 0)
        with contextlib.closing(self.line.provd.api(secret)) as api:
            self.assertEqual(api.request('GET', '/stations').status, 401)

    def test_a_list_of_keys_is_imported_and_exported(self):
        file = os.path.join(self.line.home, 'keys.csv')
        with open(file, 'w') as f:
            f.write('value\nK-1\nK-2\n')
        ctl = self.line.provctl
        self.assertEqual(ctl('pool', 'create', 'keys', '--kind', 'license').returncode, 0)
        self.assertEqual(ctl('pool', 'import', 'keys', file).stdout, 'pool keys: 2 left\n')
        again = ctl('pool', 'import', 'keys', file)
        self.assertNotEqual(again.returncode, 0, again)
        self.assertIn('line 3: K-2: waits in a pool', again.stderr)
        lines = ctl('pool', 'export', 'keys').stdout.splitlines()
        self.assertEqual([x.split(',')[0] for x in lines], ['value', 'K-1', 'K-2'])
        # What was exported can be imported elsewhere.
        with open(file, 'w') as f:
            f.write('\n'.join(lines).replace('K-', 'N-') + '\n')
        self.assertEqual(ctl('pool', 'import', 'keys', file).stdout, 'pool keys: 4 left\n')

    def test_what_a_pool_passed_over_is_a_gap_with_its_reason(self):
        ctl = self.line.provctl
        self.assertEqual(ctl('pool', 'create', 'gap', '--pattern', 'G{seq:04}', '--first', '1', '--last', '99').returncode, 0)
        self.assertEqual(ctl('pool', 'gaps', 'gap').stdout.strip().count('\n'), 0)
        self.assertEqual(ctl('pool', 'advance', 'gap', '40', '--reason', 'used by the old line').returncode, 0)
        text = ctl('pool', 'gaps', 'gap').stdout
        self.assertIn('used by the old line', text)
        self.assertIn('39', text)
        self.assertEqual(ctl('pool', 'gaps', 'nosuch').returncode, 2)

    def test_a_report_is_asked_for_by_run_or_by_job(self):
        self.refused('run report', 2, '--job')
        self.refused('run report R --job J', 2, '--job')
        self.refused('run report nosuch', 2, 'nosuch')
        self.refused('run report --job nosuch', 2, 'nosuch')

    def test_no_two_columns_have_one_name(self):
        for command in ('station list', 'run list', 'job list', 'unit list', 'port list', 'token list', 'audit list',
                        'recipe list', 'artifact list', 'pool list', 'prompt list', 'outbox list'):
            head = [h for h in self.line.provctl(*command.split()).stdout.split('\n')[0].split('  ') if h.strip()]
            self.assertEqual(len(set(h.strip() for h in head)), len(head), (command, head))


class Identity(unittest.TestCase):
    def test_what_a_unit_got_is_shown_by_name_with_state_and_lease(self):
        with open(os.path.join(line.ROOT, 'recipes', 'identity.yaml')) as f:
            recipe = f.read()
        with line.Line(stations=1, boards=0) as row:
            app = os.path.join(row.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware())
            row.sim = line.Sim(row.home, 1, '--preload', app)
            row.start()
            row.api.post('/pools', {'id': 'identity-sn', 'pattern': 'ID{seq:06}', 'first': 1, 'last': 999})
            row.api.post('/pools', {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48', 'first': 0, 'last': 99})
            row.api.post('/pools', {'id': 'keys', 'kind': 'license', 'values': ['L-1']})
            row.put_recipe(recipe)
            row.api.post('/jobs', {'recipe': 'identity', 'quantity': 1})
            run = line.wait_for('the run ends', lambda: row.api.get('/runs?state=finished')['items'])[0]
            self.assertEqual(run['outcome'], 'passed', run)
            held = row.api.get('/serials?unit_id=' + run['unit'])['items']
            lines = row.provctl('unit', 'identity', run['serial']).stdout.splitlines()
            self.assertEqual(lines[0].split(), ['NAME', 'VALUE', 'KIND', 'STATE', 'EXPOSED', 'LEASE', 'POOL', 'RUN'])
            self.assertEqual(len(lines) - 1, len(held))
            for v in held:
                row_of = next(x for x in lines[1:] if x.split()[1] == v['value'])
                self.assertEqual(row_of.split()[0], v['slot'] or 'serial')
                self.assertIn('committed', row_of)
                self.assertIn(v['lease'], row_of)
            self.assertIn('unit', row.provctl('unit', 'identity', 'nosuch').stderr)


class Bench(unittest.TestCase):
    """Keys without a daemon: a provd-keyd that the environment names."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-bench-e2e-')
        self.addCleanup(shutil.rmtree, self.home)
        self.vault = os.path.join(self.home, 'vault')
        os.mkdir(self.vault)
        self.authority = keyd.Authority(self.vault, 'factory')
        master, config = os.path.join(self.vault, 'master'), os.path.join(self.vault, 'provd.yaml')
        line.write(master, os.urandom(32).hex() + '\n')
        os.chmod(master, 0o600)
        line.write(config, 'profiles: %s\nmasters: {fleet: {key: %s}}\nissuers:\n%s'
                   % (os.path.join(line.ROOT, 'systemd', 'profiles'), master, self.authority.yaml(['idevid'])))
        self.keyd = keyd.Keyd(self.vault, config).start()
        self.addCleanup(self.keyd.stop)

    def provctl(self, *args, socket=True):
        env = dict(os.environ, PROVSIM_CONTROL=os.path.join(self.home, 'control.sock'))
        env.pop('PROVD_KEYD_SOCKET', None)
        if socket:
            env['PROVD_KEYD_SOCKET'] = self.keyd.socket
        p = subprocess.run([line.binary('provctl'), '--json', *args], env=env, capture_output=True, text=True, timeout=60)
        return p.returncode, json.loads(p.stdout)['steps']

    def test_a_certificate_of_a_bench_verifies_and_is_said_to_be_on_no_record(self):
        unit = keyd.Device(self.vault, '/O=Example Devices/CN=t200 SN-1/serialNumber=SN-1')
        words = ['exec', 'key.certificate', 'issuer=factory', 'profile=idevid', 'csr=' + unit.csr.decode(), 'values.serial=SN-1', 'values.model=t200']
        status, (step,) = self.provctl(*words)
        self.assertEqual((status, step['evidence'].get('proof')), (0, 'not on record'), step)
        pem = os.path.join(self.home, 'unit.pem')
        line.write(pem, step['outputs']['certificate'])
        keyd.run('openssl', 'verify', '-x509_strict', '-CAfile', self.authority.root, '-untrusted', self.authority.cert, pem)
        shown = keyd.run('openssl', 'x509', '-in', pem, '-noout', '-serial')
        self.assertEqual(shown.strip().lower(), 'serial=' + step['outputs']['serial'])
        # The key process has it in its log, and who asked.
        self.assertIn('a bench', line.read(self.keyd.log))
        _, (again,) = self.provctl(*words)
        self.assertNotEqual(again['outputs']['serial'], step['outputs']['serial'])
        _, (step,) = self.provctl(*words[:2], 'issuer=nobody', *words[3:])
        self.assertIn('nobody', step['message'])
        self.assertEqual(step['outcome'], 'error')

    def unit(self):
        """A virtual board that has its application."""
        app = os.path.join(self.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        sim = line.Sim(self.home, 1, '--preload', app)
        self.addCleanup(sim.stop)
        return sim

    def test_a_first_recipe_runs_as_it_is_on_a_virtual_board(self):
        recipe, firmware = os.path.join(self.home, 'first.yaml'), os.path.join(self.home, 'first.bin')
        with open(firmware, 'wb') as f:
            f.write(line.firmware(4096))
        for _ in range(2):
            p = subprocess.run([line.binary('provctl'), 'recipe', 'new', 'first', '--kind', 'serial', '--pool', 'sn', '--out', recipe],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((p.returncode, 'is there already' in p.stderr), (3, True), p)
        p = subprocess.run([line.binary('provctl'), 'recipe', 'run', recipe, '--sim', '--artifact', 'application=' + firmware, '--json'],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p)
        self.assertEqual([s['id'] for s in json.loads(p.stdout)['steps']], ['application', 'version', 'serial'])

    def test_the_shipped_birth_recipe_runs_on_a_bench(self):
        self.unit()
        status, steps = self.provctl('recipe', 'run', os.path.join(line.ROOT, 'recipes', 'birth.yaml'), '--port', 'console=sim:b1', '--serial', 'SN-1')
        self.assertEqual(status, 0, steps)
        evidence = {s['id']: s['evidence'] for s in steps}
        self.assertEqual((evidence['certificate']['proof'], evidence['deliver']['proof']), ('not on record', 'read-back'))
        self.assertEqual(evidence['certificate']['certificate'], evidence['deliver']['certificate'])

    def test_a_derived_key_reaches_the_fuses_and_is_not_shown(self):
        sim, recipe = self.unit(), os.path.join(self.home, 'burn.yaml')
        line.write(recipe, BURN)
        status, steps = self.provctl('recipe', 'run', recipe, '--port', 'console=sim:b1', '--artifact', 'fields=' + FIELDS)
        self.assertEqual(status, 0, steps)
        want = self.keyd.client().derive('fleet', 'fuse-key', b'SN-1', 32).hex()
        self.assertEqual(sim.ctl('state', board='b1')['state']['unit']['values']['otp']['key']['value'], want)
        self.assertNotIn(want, json.dumps(steps))

    def test_without_the_socket_the_bench_says_what_to_set(self):
        status, (step,) = self.provctl('exec', 'key.derive', 'master=fleet', 'label=a', 'context=b', socket=False)
        self.assertEqual((status, step['code']), (3, 'unsupported'), step)
        self.assertIn('PROVD_KEYD_SOCKET', step['message'])
        self.keyd.stop()
        status, (step,) = self.provctl('exec', 'key.derive', 'master=fleet', 'label=a', 'context=b')
        self.assertEqual((status, step['code']), (3, 'keys-unavailable'), step)


if __name__ == '__main__':
    line.main()
