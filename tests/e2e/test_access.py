#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who gets in, who did what, and that somebody can always log in.

    test_access.py [BUILD]
"""
import json
import os
import random
import socket
import sqlite3
import stat
import subprocess
import time
import unittest

import line

KILLS = 40
UNKNOWN = 'pvd_' + 'a' * 16 + '_' + 'b' * 48


def wrong(token):
    return token[:-1] + ('0' if token[-1] != '0' else '1')


def cookie_of(api, token):
    a = api.request('POST', '/session', {'token': token}, {'Authorization': ''})
    assert a.status == 201, a.body
    return {'Cookie': a.headers['Set-Cookie'].split(';')[0]}


class Access(unittest.TestCase):
    def audit(self, api, action):
        return [a for a in api.all('/audit') if a['action'] == action]

    def test_wrong_tokens_wait_are_noted_and_shut_nobody_out(self):
        with line.Line(1, boards=0) as l:
            l.start()
            other = l.api.post('/tokens', {'name': 'never used here', 'role': 'viewer'})['token']
            guest = line.Api(l.provd.port, UNKNOWN)
            answers = [guest.request('GET', '/stations') for _ in range(12)]
            statuses = [a.status for a in answers]
            self.assertEqual(statuses[0], 401)
            self.assertEqual(statuses[-1], 429)
            self.assertLess(statuses.count(401), 8)
            self.assertGreater(int(answers[-1].headers['Retry-After']), 1)
            self.assertEqual(answers[-1].json['code'], 'overloaded')
            # The login page is the same door.
            self.assertEqual(guest.request('POST', '/session', {'token': UNKNOWN}, {'Authorization': ''}).status, 429)
            guest.close()
            # From the same address: the one that works, and one that was never used.
            self.assertEqual(l.api.request('GET', '/stations').status, 200)
            fresh = l.provd.api(other)
            self.assertEqual(fresh.request('GET', '/session').status, 200)
            # Its own secret guessed at: it waits, the others do not.
            for _ in range(8):
                guess = fresh.request('GET', '/session', headers={'Authorization': 'Bearer ' + wrong(other)})
                self.assertIn(guess.status, (401, 429))
            self.assertEqual(fresh.request('GET', '/session').status, 429)
            fresh.close()
            self.assertEqual(l.api.request('GET', '/stations').status, 200)
            # They are written by the way: no answer waits for them.
            line.wait_for('the notes', lambda: {r['token'] for r in self.audit(l.api, 'auth.failed')} >=
                          {UNKNOWN.split('_')[1], other.split('_')[1]})
            rows = self.audit(l.api, 'auth.failed')
            self.assertEqual({r['address'] for r in rows}, {'127.0.0.1'})
            self.assertEqual({r['principal'] for r in rows}, {'nobody'})
            self.assertEqual({r['token'] for r in rows}, {UNKNOWN.split('_')[1], other.split('_')[1]})
            text = l.api.request('GET', '/audit?limit=1000').body.decode() + l.provd.log_text()
            for secret in (UNKNOWN, other, wrong(other)):
                self.assertNotIn(secret.split('_')[2], text)

    def test_a_wall_stays_logged_in_over_a_restart_until_its_token_is_revoked(self):
        with line.Line(1, boards=0) as l:
            l.start()
            made = l.api.post('/tokens', {'name': 'wall', 'role': 'viewer'})
            nobody = line.Api(l.provd.port, None)
            wall = cookie_of(nobody, made['token'])
            gone = cookie_of(nobody, made['token'])
            origin = {'Origin': 'http://127.0.0.1:%d' % l.provd.port}
            self.assertEqual(nobody.request('DELETE', '/session', headers=dict(gone, **origin)).status, 200)
            nobody.close()
            for end in (l.provd.kill, l.provd.term):
                end()
                l.start()
                nobody = line.Api(l.provd.port, None)
                self.assertEqual(nobody.request('GET', '/session', headers=wall).json['name'], 'wall')
                self.assertEqual(nobody.request('GET', '/session', headers=gone).status, 401)
                nobody.close()
            with l.provd.db() as d:
                stored = str([tuple(r) for r in d.execute('SELECT * FROM sessions')])
            self.assertNotIn(wall['Cookie'].split('=')[1], stored)
            # Live, by its cookie and by its token; both end when the token does.
            live = [self.stream(l.provd.port, wall), self.stream(l.provd.port, {'Authorization': 'Bearer ' + made['token']})]
            self.assertEqual(l.provctl('token', 'revoke', made['id']).returncode, 0)
            for s in live:
                s.settimeout(line.DEADLINE_S)
                while s.recv(65536):
                    pass  # ends, and does not time out
                s.close()
            nobody = line.Api(l.provd.port, None)
            self.assertEqual(nobody.request('GET', '/session', headers=wall).status, 401)
            nobody.close()
            l.provd.term()
            l.start()
            nobody = line.Api(l.provd.port, None)
            self.assertEqual(nobody.request('GET', '/session', headers=wall).status, 401)
            nobody.close()

    def stream(self, port, headers):
        s = socket.create_connection(('127.0.0.1', port), timeout=line.DEADLINE_S)
        s.sendall(('GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n' +
                   ''.join('%s: %s\r\n' % h for h in headers.items()) + '\r\n').encode())
        self.assertTrue(s.recv(65536).startswith(b'HTTP/1.1 200'))
        return s

    def test_one_who_logs_in_all_the_time_logs_nobody_else_out(self):
        with line.Line(1, boards=0) as l:
            l.start()
            tokens = [l.api.post('/tokens', {'name': n, 'role': 'viewer'})['token'] for n in ('calm', 'busy')]
            nobody = line.Api(l.provd.port, None)
            calm = cookie_of(nobody, tokens[0])
            for _ in range(300):
                cookie_of(nobody, tokens[1])
            self.assertEqual(nobody.request('GET', '/session', headers=calm).json['name'], 'calm')
            nobody.close()
            with l.provd.db() as d:
                self.assertLessEqual(d.execute('SELECT count(*) FROM sessions').fetchone()[0], 65)

    def test_the_audit_trail_says_who_from_where_and_cannot_be_changed(self):
        with line.Line(1, boards=0) as l:
            l.start()
            image = line.firmware(4096)
            l.put_firmware(image)
            mes = l.api.post('/tokens', {'name': 'mes', 'role': 'mes'})
            api = l.provd.api(mes['token'])
            path = '/artifacts/%s/content' % line.sha256(image)
            self.assertEqual(api.request('GET', path).body, image)
            api.close()
            got, = self.audit(l.api, 'artifact.get')
            self.assertEqual((got['principal'], got['token'], got['address'], got['target']),
                             ('mes', mes['id'], '127.0.0.1', line.sha256(image)))
            made = [a for a in self.audit(l.api, 'token.create') if a['target'] == mes['id']]
            self.assertEqual(len(made), 1)
            # A name is one token's for ever.
            for name in ('mes', 'MES'):
                a = l.api.request('POST', '/tokens', {'name': name, 'role': 'viewer'})
                self.assertEqual((a.status, a.json['code']), (409, 'conflict'), a.body)
            self.assertEqual(l.api.request('DELETE', '/tokens/' + mes['id']).status, 200)
            self.assertEqual(l.api.request('POST', '/tokens', {'name': 'mes', 'role': 'mes'}).status, 409)
            for name, status in (('provd', 409), ('Nobody', 409), (' mes2', 400), ('me\ns', 400), ('a  b', 400), ('', 400)):
                self.assertEqual(l.api.request('POST', '/tokens', {'name': name, 'role': 'mes'}).status, status, name)
            self.assertEqual(l.provctl('audit', 'list').returncode, 0)
            l.provd.term()
            with sqlite3.connect(os.path.join(l.home, 'state', 'provd.db')) as d:
                for sql in ('DELETE FROM audit', "UPDATE audit SET principal = 'x'", 'DELETE FROM tokens'):
                    with self.assertRaises(sqlite3.IntegrityError):
                        d.execute(sql)
            d.close()


RECIPE = 'recipe: %s\nversion: 1\nunit: {model: t, serial: {pool: %s}}\nports: {console: {kind: tty}}\nsteps:\n' \
         '  - {action: console.command, with: {port: console, send: ping, expect: pong}}\n'


class Rights(unittest.TestCase):
    """What a token may do, until when, and with which secret."""

    def refused(self, answer, status, code, said, pointer=None):
        self.assertEqual((answer.status, answer.json['code']), (status, code), answer.body)
        self.assertIn(said, answer.json['detail'])
        if pointer is not None:
            self.assertEqual([e['pointer'] for e in answer.json['errors']], [pointer])

    def test_a_limited_token_names_nothing_outside_and_is_shown_nothing_of_it(self):
        with line.Line(2, boards=0) as l:
            l.start()
            for pool in ('sn', 'other'):
                l.api.post('/pools', {'id': pool, 'pattern': pool + '{seq:06}', 'first': 1, 'last': 99})
            for name, pool in (('thermo', 'sn'), ('lamp', 'sn'), ('clock', 'other')):
                l.put_recipe(RECIPE % (name, pool))
            scopes = {'stations': ['A1'], 'recipes': ['thermo', 'clock'], 'pools': ['sn']}
            made = l.api.post('/tokens', {'name': 'cell', 'role': 'engineer', 'scopes': scopes})
            self.assertEqual(made['scopes'], scopes)
            job = {'recipe': 'thermo', 'quantity': 1, 'stations': ['A1']}
            foreign = l.api.post('/jobs', {'recipe': 'lamp', 'quantity': 1, 'stations': ['A2']})['id']
            for restart in (False, True):
                if restart:
                    l.provd.term()
                    l.start()
                cell = l.provd.api(made['token'])
                self.assertEqual(cell.get('/session')['scopes'], scopes)
                own = cell.post('/jobs', job)['id']
                outside = 'outside of what this token may name'
                for body, pointer in ((dict(job, recipe='lamp'), '/recipe'), (dict(job, recipe='clock'), '/recipe'),
                                      (dict(job, stations=['A2']), '/stations/0'), (dict(job, stations=['A1', 'A2']), '/stations/1'),
                                      (dict(job, stations=[]), '/stations')):
                    self.refused(cell.request('POST', '/jobs', body), 403, 'out-of-scope', '', pointer)
                self.refused(cell.request('PATCH', '/jobs/' + own, {'stations': ['A2']}, {'If-Match': '*'}), 403, 'out-of-scope',
                             outside, '/stations/0')
                self.refused(cell.request('POST', '/recipes', RECIPE % ('lamp', 'sn'), {'Content-Type': 'application/yaml'}), 403,
                             'out-of-scope', outside, '/name')
                self.refused(cell.request('POST', '/pools', {'id': 'new', 'pattern': '{seq}'}), 403, 'out-of-scope', outside, '/id')
                for method, path in (('GET', '/stations/A2'), ('POST', '/stations/A2/actions/disable'), ('GET', '/pools/other'),
                                     ('GET', '/recipes/lamp/versions/1'), ('GET', '/jobs/' + foreign),
                                     ('POST', '/jobs/%s/actions/cancel' % foreign)):
                    self.refused(cell.request(method, path), 403, 'out-of-scope', outside)
                for path in ('/events', '/units', '/reports/yield', '/artifacts', '/serials'):
                    self.refused(cell.request('GET', path), 403, 'out-of-scope', 'cannot be narrowed')
                self.assertEqual([s['id'] for s in cell.get('/stations')['items']], ['A1'])
                self.assertEqual([p['id'] for p in cell.get('/pools')['items']], ['sn'])
                self.assertEqual({r['name'] for r in cell.get('/recipes')['items']}, {'thermo', 'clock'})
                self.assertEqual({j['recipe'] for j in cell.all('/jobs')}, {'thermo'})
                verb = 'enable' if restart else 'disable'
                line.wait_for('it does so', lambda: cell.request('POST', '/stations/A1/actions/' + verb).status == 202)
                self.assertEqual(cell.request('POST', '/jobs/%s/actions/cancel' % own, headers=line.ANY).status, 200)
                cell.close()
            for scopes in ({}, {'stations': []}, {'station': ['A1']}, {'pools': [1]}, 'A1', None):
                self.assertEqual(l.api.request('POST', '/tokens', {'name': 'x', 'role': 'viewer', 'scopes': scopes}).status, 422, scopes)

    def test_a_limited_token_takes_no_name_of_a_file_away(self):
        with line.Line(1, boards=0) as l:
            l.start()
            made = l.api.post('/tokens', {'name': 'cell', 'role': 'engineer', 'scopes': {'recipes': ['thermo']}})
            cell = l.provd.api(made['token'])
            theirs, own, newer = line.firmware(4096), line.firmware(8192), line.firmware(12288)

            def put(api, image, name, **headers):
                return api.request('PUT', '/artifacts/%s?name=%s' % (line.sha256(image), name),
                                   b'' if headers else image, dict({'Content-Type': 'application/octet-stream'}, **headers))

            def leads_to(name):
                return [a['sha256'] for a in l.api.get('/artifacts')['items'] if name in a['names']]

            self.assertEqual(put(l.api, theirs, 'app.bin').status, 201)
            self.refused(put(cell, own, 'app.bin'), 403, 'out-of-scope', "the name 'app.bin'")
            # Nothing of it is kept.
            self.assertEqual(l.api.request('GET', '/artifacts/' + line.sha256(own)).status, 404)
            self.assertEqual(len(os.listdir(os.path.join(l.home, 'state', 'artifacts'))), 1)
            # A name that nobody uses, a newer file under it, and back.
            self.assertEqual(put(cell, own, 'cell.bin').status, 201)
            self.assertEqual(put(cell, newer, 'cell.bin').status, 201)
            self.assertEqual(put(cell, own, 'cell.bin').status, 200)
            self.assertEqual(leads_to('cell.bin'), [line.sha256(own)])
            asks = {'Content-Range': 'bytes */%d' % len(own), 'Content-Length': '0'}
            self.refused(put(cell, own, 'app.bin', **asks), 403, 'out-of-scope', "the name 'app.bin'")
            self.assertEqual(leads_to('app.bin'), [line.sha256(theirs)])
            # Who is not limited may; who says another size than it has names nothing.
            wrong_size = dict(asks, **{'Content-Range': 'bytes */%d' % (len(own) + 1)})
            self.refused(put(l.api, own, 'app.bin', **wrong_size), 409, 'conflict', 'Content-Range says')
            self.assertEqual(leads_to('app.bin'), [line.sha256(theirs)])
            self.assertEqual(put(l.api, own, 'app.bin', **asks).status, 200)
            self.assertEqual(leads_to('app.bin'), [line.sha256(own)])
            self.refused(put(cell, newer, 'app.bin'), 403, 'out-of-scope', "the name 'app.bin'")
            cell.close()

    def test_runs_and_questions_are_those_of_their_station(self):
        ask = '  - {action: operator.prompt, with: {text: ok, kind: confirm}}\n'
        with line.Line(2) as l:
            l.start()
            l.api.post('/pools', {'id': 'sn', 'pattern': 'sn{seq:06}', 'first': 1, 'last': 99})
            l.put_recipe((RECIPE % ('thermo', 'sn')).split('steps:')[0] + 'steps:\n' + ask)
            tokens = {s: l.api.post('/tokens', {'name': s, 'role': 'operator', 'scopes': {'stations': [s]}})['token'] for s in ('A1', 'A2')}
            recipes = l.api.post('/tokens', {'name': 'r', 'role': 'viewer', 'scopes': {'recipes': ['thermo']}})['token']
            one, two, by_recipe = (l.provd.api(t) for t in (tokens['A1'], tokens['A2'], recipes))
            for s in ('A1', 'A2'):
                l.api.post('/jobs', {'recipe': 'thermo', 'quantity': 1, 'stations': [s]})
            line.wait_for('both ask', lambda: len(l.api.all('/prompts?state=open')) == 2)
            mine = {}
            for s, api in (('A1', one), ('A2', two)):
                prompt, = api.all('/prompts')
                run, = api.all('/runs')
                self.assertEqual((prompt['station'], run['station'], prompt['run']), (s, s, run['id']))
                mine[s] = (prompt['id'], run['id'])
                # As lines as well, of any length.
                for path in ('/runs?format=ndjson', '/runs?format=ndjson&limit=9', '/events?format=ndjson'):
                    rows = [json.loads(row) for row in api.request('GET', path).body.splitlines()]
                    self.assertTrue(rows, path)
                    self.assertEqual({row['station'] for row in rows}, {s}, path)
                self.assertNotIn({'A1': b',A2,', 'A2': b',A1,'}[s], api.request('GET', '/runs?format=csv').body)
                self.refused(api.request('GET', '/measurements?format=csv'), 403, 'out-of-scope', 'cannot be narrowed')
            outside = 'outside of what this token may name'
            for method, path in (('GET', '/prompts/%s' % mine['A2'][0]), ('POST', '/prompts/%s/answer' % mine['A2'][0]),
                                 *(('GET', '/runs/%s%s' % (mine['A2'][1], x)) for x in ('', '/steps', '/measurements', '/log', '/files'))):
                body = {'answer': 'yes'} if method == 'POST' else None
                self.refused(one.request(method, path, body), 403, 'out-of-scope', outside)
                self.assertEqual(two.request('GET', path.replace('/answer', '')).status, 200, path)
            self.assertEqual(one.request('GET', '/runs/' + mine['A1'][1] + '/steps').status, 200)
            self.assertEqual(one.request('GET', '/runs/nosuch').status, 404)
            # A prompt does not say its recipe; a run does.
            self.assertEqual(by_recipe.all('/prompts'), [])
            self.assertEqual(len(by_recipe.all('/runs')), 2)
            for s, api in (('A1', one), ('A2', two)):
                self.assertEqual(api.request('POST', '/prompts/%s/answer' % mine[s][0], {'answer': 'yes'}).status, 200)
            line.wait_for('both end', lambda: {r['outcome'] for r in l.api.all('/runs')} == {'passed'})
            for api in (one, two, by_recipe):
                api.close()

    def test_a_stream_shows_the_stations_of_its_token_alone(self):
        with line.Line(2, boards=0) as l:
            l.start()
            made = l.api.post('/tokens', {'name': 'press', 'role': 'operator', 'scopes': {'stations': ['A1']}})
            before = l.provd.events(0)
            narrow = line.Events(l.provd.port, made['token'], 0)
            for station in ('A2', 'A1', 'A2', 'A1'):
                for verb in ('disable', 'enable'):
                    line.wait_for('it can be done', lambda: l.api.request(
                        'POST', '/stations/%s/actions/%s' % (station, verb)).status == 202)
            seen = lambda e, s: [d for _, _, d in list(e.events) if d.get('station', d.get('id')) == s]
            line.wait_for('the events', lambda: len(seen(before, 'A2')) >= 4 and len(seen(narrow, 'A1')) >= 4)
            self.assertEqual(seen(narrow, 'A2'), [])
            press = l.provd.api(made['token'])
            self.assertEqual({e['station'] for e in press.all('/events')} - {'A1'}, set())
            press.close()
            for e in (before, narrow):
                e.stop()

    def test_a_token_ends_at_its_time_with_what_it_has_opened(self):
        with line.Line(1, boards=0) as l:
            l.start()
            self.refused(l.api.request('POST', '/tokens', {'name': 'late', 'role': 'viewer', 'expires_at': '2020-01-01T00:00:00Z'}), 422,
                         'unprocessable', 'in the future', '/expires_at')
            ends = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 3))
            made = l.api.post('/tokens', {'name': 'visitor', 'role': 'viewer', 'expires_at': ends})
            stream = line.Events(l.provd.port, made['token'])
            guest = l.provd.api(made['token'])
            nobody = line.Api(l.provd.port, None)
            wall = cookie_of(nobody, made['token'])
            self.assertEqual(guest.request('GET', '/session').status, 200)
            line.wait_for('its end', lambda: guest.request('GET', '/session').status == 401)
            self.refused(guest.request('GET', '/session'), 401, 'token-expired', made['id'])
            self.assertEqual(nobody.request('GET', '/session', headers=wall).status, 401)
            line.wait_for('the end of its stream', lambda: stream.ended)
            self.refused(l.api.request('POST', '/tokens/%s/actions/rotate' % made['id'], {}), 409, 'conflict', 'make another')
            line.wait_for('the audit trail', lambda: any(a['action'] == 'auth.failed' and a['token'] == made['id'] and
                                                         a['detail'].get('cause') == 'ended' for a in l.api.all('/audit')))
            for a in (guest, nobody):
                a.close()
            stream.stop()

    def test_a_rotation_lets_both_secrets_in_and_then_one_alone(self):
        with line.Line(1, boards=0) as l:
            l.start()
            made = l.api.post('/tokens', {'name': 'mes', 'role': 'mes'})
            done = l.provctl('token', 'rotate', made['id'], '--overlap', '3600')
            self.assertEqual(done.returncode, 0, done.stderr)
            second = done.stdout.split()[-1]
            self.assertNotEqual(second, made['token'])
            for restart in (False, True):
                if restart:
                    l.provd.term()
                    l.start()
                for token in (made['token'], second):
                    api = l.provd.api(token)
                    self.assertEqual(api.get('/session')['id'], made['id'])
                    api.close()
            stream = line.Events(l.provd.port, made['token'])
            third = l.api.post('/tokens/%s/actions/rotate' % made['id'], {'overlap': 0})['token']
            line.wait_for('the end of the stream of the first secret', lambda: stream.ended)
            stream.stop()
            for token, status in ((made['token'], 401), (second, 401), (third, 200)):
                api = l.provd.api(token)
                self.assertEqual(api.request('GET', '/session').status, status)
                api.close()
            for body in ({'overlap': -1}, {'overlap': 10 ** 9}, {'overlap': 'long'}):
                self.assertEqual(l.api.request('POST', '/tokens/%s/actions/rotate' % made['id'], body).status, 422)
            rows = [a for a in l.api.all('/audit') if a['action'] == 'token.rotate']
            self.assertEqual({(a['target'], a['address']) for a in rows}, {(made['id'], '127.0.0.1')})
            text = str(l.api.get('/tokens')['items'])
            for secret in (second, third):
                self.assertNotIn(secret.split('_')[2], text)

    def test_the_last_use_is_listed_also_after_a_restart(self):
        with line.Line(1, boards=0) as l:
            l.start()
            made = l.api.post('/tokens', {'name': 'mes', 'role': 'mes'})
            row = lambda: next(t for t in l.api.get('/tokens')['items'] if t['id'] == made['id'])
            self.assertIsNone(row()['last_used_at'])
            api = l.provd.api(made['token'])
            api.get('/session')
            api.close()
            self.assertEqual(row()['last_used_from'], '127.0.0.1')
            with l.provd.db() as d:
                line.wait_for('it is stored', lambda: d.execute('SELECT used_at FROM tokens WHERE id = ?', (made['id'],)).fetchone()[0])
            used = row()['last_used_at']
            l.provd.term()
            l.start()
            self.assertEqual(row()['last_used_at'], used)
            self.assertIn('127.0.0.1', l.provctl('token', 'list').stdout)


class Insecure(unittest.TestCase):
    def with_listen(self, l, listen):
        with open(l.provd.config) as f:
            text = f.read()
        with open(l.provd.config, 'w') as f:
            f.write(text.replace('listen: 127.0.0.1:0', 'listen: ' + listen))

    def version(self, l):
        api = line.Api(l.provd.port, None)
        try:
            return api.request('GET', '/version', raw=True).json
        finally:
            api.close()

    def test_the_network_is_served_in_the_clear_only_by_who_says_so(self):
        with line.Line(0, boards=0) as l:
            l.start()
            self.assertIs(self.version(l)['insecure'], False)
            l.provd.term()
        with line.Line(0, boards=0) as l:
            # Refused before it is bound: nothing outside is served by this test.
            self.with_listen(l, '0.0.0.0:0')
            for args in ([], ['--check']):
                done = subprocess.run([line.binary('provd'), '--config', l.provd.config, *args], capture_output=True,
                                      text=True, timeout=line.DEADLINE_S)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, r"provd\.yaml:2:9: .*'insecure: true'")
            # A socket that is handed over is looked at itself.
            with socket.create_server(('0.0.0.0', 0)) as s:
                l.config()
                done = self.handed_over(l, s)
                self.assertEqual(done.returncode, 1)
                self.assertIn('listens on 0.0.0.0', done.stderr)

    def handed_over(self, l, s):
        """provd with the socket as systemd hands it over (sd_listen_fds(3))."""
        script = 'exec 3<&%d; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"' % s.fileno()
        return subprocess.run(['/bin/bash', '-c', script, 'bash', line.binary('provd'), '--config', l.provd.config],
                              capture_output=True, text=True, timeout=line.DEADLINE_S, pass_fds=[s.fileno()])


class Admin(unittest.TestCase):
    def test_a_first_start_that_is_killed_leaves_somebody_who_can_log_in(self):
        chance = random.Random(10)
        killed_early = 0
        # A start takes as long as the machine lets it; the moments of the power cut follow it.
        window = 0.1
        for n in range(KILLS):
            with line.Line(0, boards=0) as l:
                l.provd.start(ready=False)
                time.sleep(chance.uniform(0, window))
                l.provd.kill()
                path = os.path.join(l.home, 'state', 'admin-token')
                window *= 0.9 if os.path.exists(path) else 1.1
                killed_early += not os.path.exists(path)
                l.start()
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                self.assertEqual(l.api.get('/session')['role'], 'admin', 'kill %d' % n)
        self.assertLess(killed_early, KILLS, 'each was killed before its token was there')
        print('%d of %d were killed before the token was written' % (killed_early, KILLS))

    def make(self, l, *args):
        return subprocess.run([line.binary('provd'), '--config', l.provd.config, '--make-token', *args],
                              capture_output=True, text=True, timeout=line.DEADLINE_S)

    def test_a_token_is_made_while_provd_does_not_run(self):
        with line.Line(0, boards=0) as l:
            self.assertIn('start provd', self.make(l).stderr)
            l.start()
            refused = self.make(l)
            self.assertEqual((refused.returncode, refused.stdout), (1, ''))
            self.assertIn('provctl token create', refused.stderr)
            l.provd.term()
            made = self.make(l)
            self.assertEqual(made.returncode, 0, made.stderr)
            named = self.make(l, '--role', 'viewer', '--name', 'night shift')
            self.assertEqual(named.returncode, 0, named.stderr)
            again = self.make(l, '--name', 'night shift')
            self.assertEqual(again.returncode, 1)
            self.assertIn('night shift', again.stderr)
            self.assertEqual(self.make(l, '--role', 'boss').returncode, 1)
            l.start()
            for text, role in ((made.stdout, 'admin'), (named.stdout, 'viewer')):
                api = l.provd.api(text.strip())
                self.assertEqual(api.get('/session')['role'], role)
                api.close()
            # While it runs, provctl does it.
            done = l.provctl('token', 'create', 'operator', 'day shift')
            self.assertEqual(done.returncode, 0, done.stderr)
            api = l.provd.api(done.stdout.split()[-1])
            self.assertEqual(api.get('/session')['name'], 'day shift')
            api.close()

    def test_the_last_admin_may_be_revoked_and_the_next_start_makes_another(self):
        with line.Line(0, boards=0) as l:
            l.start()
            old = l.provd.token
            self.assertEqual(l.api.request('DELETE', '/tokens/' + old.split('_')[1]).status, 200)
            l.provd.term()
            l.start()
            self.assertNotEqual(l.provd.token, old)
            self.assertEqual(l.api.get('/session')['role'], 'admin')


if __name__ == '__main__':
    line.main()
