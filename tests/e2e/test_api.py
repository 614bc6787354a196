#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The conventions of the API, one by one, and the OpenAPI document against the live server.

    test_api.py [BUILD]
"""
import glob
import gzip
import json
import os
import re
import socket
import struct
import sqlite3
import threading
import time
import unittest

import described
import line

ROLES = ('viewer', 'operator', 'supervisor', 'engineer', 'mes', 'admin')
UUID = '01900000-0000-7000-8000-000000000000'
SHA = '0' * 64
PROMPT_RECIPE = '''
recipe: ask
version: 1
unit: {model: m}
ports: {console: {kind: tty}}
steps:
  - id: look
    action: operator.prompt
    with: {text: 'Green?'}
'''
JOB_SERIAL_RECIPE = PROMPT_RECIPE.replace('recipe: ask', 'recipe: listed').replace(
    '{model: m}', "{model: m, serial: {from: job}}")


def raw(port, data, deadline_s=10):
    """Bytes as they are; what came back until the end or the deadline."""
    with socket.create_connection(('127.0.0.1', port), timeout=deadline_s) as s:
        s.sendall(data)
        got = b''
        try:
            while (more := s.recv(65536)):
                got += more
        except socket.timeout:
            pass
        return got


def routes_in_source():
    """(METHOD, path) of every row of the route tables."""
    found = set()
    for path in glob.glob(os.path.join(line.ROOT, 'api', 'routes_*.c')):
        with open(path) as f:
            text = f.read()
        macros = dict(re.findall(r'#define (\w+)\s+"([^"]+)"', text))
        for method, expr in re.findall(r'\{HTTP_(\w+),\s*((?:"[^"]*"|\w+)(?:\s+"[^"]*")?)\s*,', text):
            words = re.findall(r'"([^"]*)"|(\w+)', expr)
            found.add((method, ''.join(lit or macros.get(name, name) for lit, name in words)))
    return found


class Schema:
    """As much of JSON Schema as the document uses."""

    TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'null': type(None)}

    def __init__(self, doc):
        self.doc = doc

    def of(self, s):
        while '$ref' in s:
            at = self.doc
            for part in s['$ref'][2:].split('/'):
                at = at[part]
            s = at
        return s

    def is_type(self, v, t):
        if t == 'integer':
            return isinstance(v, int) and not isinstance(v, bool)
        if t == 'number':
            return isinstance(v, (int, float)) and not isinstance(v, bool)
        return isinstance(v, self.TYPES[t])

    def errors(self, v, s, at=''):
        s = self.of(s)
        if 'oneOf' in s:
            each = [self.errors(v, o, at) for o in s['oneOf']]
            return [] if [] in each else ['%s: none of %d forms: %s' % (at, len(each), each[0])]
        types = s.get('type')
        types = [types] if isinstance(types, str) else types
        if types and not any(self.is_type(v, t) for t in types):
            return ['%s: %r is no %s' % (at, v, types)]
        found = []
        if 'enum' in s and v not in s['enum']:
            found.append('%s: %r is none of %s' % (at, v, s['enum']))
        if isinstance(v, str) and 'pattern' in s and not re.search(s['pattern'], v):
            found.append('%s: %r does not match' % (at, v))
        if isinstance(v, dict):
            found += ['%s: %s is missing' % (at, k) for k in s.get('required', ()) if k not in v]
            for k, x in v.items():
                if k in s.get('properties', {}):
                    found += self.errors(x, s['properties'][k], at + '/' + k)
                elif s.get('additionalProperties') is False:
                    found.append('%s: %s is not described' % (at, k))
        if isinstance(v, list) and 'items' in s:
            for i, x in enumerate(v):
                found += self.errors(x, s['items'], '%s/%d' % (at, i))
        return found


class Live(unittest.TestCase):
    """One server with some history, for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(2, sim_args=('--replace-after-idle', '200', '--when-serial', '--units', '4'),
                             config='artifact_quota: 1M\nartifact_max: 512K\n')
        cls.addClassCleanup(cls.line.close)
        l = cls.line.start()
        if described.jsonschema:
            cls.described = described.Document(l.api.get('/openapi.json'))
            cls.addClassCleanup(described.watch(cls.described))
        cls.image = line.firmware(8192)
        l.prepare(cls.image)
        cls.job = l.api.post('/jobs', {'recipe': 'production', 'quantity': 4})['id']
        l.job_done(cls.job)
        l.put_recipe(PROMPT_RECIPE)
        l.put_recipe(JOB_SERIAL_RECIPE)
        # A job that no run takes: it waits paused.
        cls.waiting = l.api.post('/jobs', {'recipe': 'listed', 'serials': ['X1'], 'priority': -5})['id']
        cls.asking = l.api.post('/jobs', {'recipe': 'ask', 'quantity': 1})['id']
        for job in (cls.waiting, cls.asking):
            l.api.post('/jobs/%s/actions/pause' % job, headers=line.ANY)
        cls.run_ = l.api.get('/runs?serial=' + next(iter(l.api.get('/serials')['items']))['value'])['items'][0]
        cls.tokens = {r: l.api.post('/tokens', {'name': 'test ' + r, 'role': r})['token'] for r in ROLES}

    def setUp(self):
        self.api = self.line.provd.api()
        self.addCleanup(self.api.close)

    def problem(self, a, status, code=None):
        self.assertEqual(a.status, status, a.body[:400])
        self.assertEqual(a.headers['Content-Type'], 'application/problem+json')
        p = a.json
        for member in ('type', 'title', 'status', 'detail', 'instance', 'code', 'request_id'):
            self.assertIn(member, p)
        self.assertEqual(p['status'], status)
        self.assertEqual(p['request_id'], a.headers['X-Request-Id'])
        self.assertTrue(p['detail'])
        if code:
            self.assertEqual(p['code'], code)
        return p


class Conventions(Live):
    def test_a_problem_has_its_members_and_every_mistake(self):
        p = self.problem(self.api.request('POST', '/jobs', {'recipe': 'nowhere', 'quantity': -1, 'quantiti': 2}),
                         422, 'unprocessable')
        self.assertEqual(p['instance'], '/api/v1/jobs')
        pointers = {e['pointer'] for e in p['errors']}
        self.assertEqual(pointers, {'/quantiti', '/recipe', '/quantity'})
        self.assertTrue(any("'quantity'" in e['detail'] for e in p['errors'] if e['pointer'] == '/quantiti'))

    def test_a_recipe_with_mistakes_tells_line_and_column_of_each(self):
        text = 'recipe: x\nversion: 1\nports: {c: {kind: tty}}\nsteps:\n  - action: consol.command\n' \
               '    with: {port: c, sent: hi}\n  - action: console.command\n    with: {port: d, send: hi, timeout: 5}\n'
        p = self.problem(self.api.request('POST', '/recipes/check', text, {'Content-Type': 'application/yaml'}), 422)
        self.assertGreaterEqual(len(p['errors']), 3, p['errors'])
        self.assertTrue(all(e['line'] > 0 and e['column'] > 0 for e in p['errors']), p['errors'])
        self.assertTrue(any("did you mean 'console.command'" in e['detail'] and e['line'] == 5 for e in p['errors']), p)

    def test_without_a_token_401(self):
        for headers in ({'Authorization': ''}, {'Authorization': 'Bearer nonsense'}, {'Authorization': 'Basic eDp5'},
                        {'Authorization': 'Bearer pvd_' + 'a' * 16 + '_' + 'b' * 48}):
            a = self.api.request('GET', '/stations', headers=headers)
            self.problem(a, 401, 'unauthorized')
            self.assertIn('Bearer', a.headers['WWW-Authenticate'])

    def test_404_of_path_and_of_thing(self):
        self.problem(self.api.request('GET', '/nothing'), 404, 'not-found')
        for path in ('/stations/A99', '/jobs/' + UUID, '/runs/' + UUID, '/runs/%s/steps' % UUID, '/units/none',
                     '/artifacts/' + SHA, '/artifacts/x', '/pools/none', '/prompts/' + UUID, '/outbox/' + UUID,
                     '/recipes/none/versions/1', '/recipes/none/versions/x', '/runs/%s/report' % UUID):
            self.problem(self.api.request('GET', path), 404, 'not-found')
        for path in ('/jobs/%s/actions/fly' % self.job, '/stations/A1/actions/fly', '/recipes/ask/versions/1/actions/fly',
                     '/units/none/actions/fly'):
            self.problem(self.api.request('POST', path, {}), 404, 'not-found')

    def test_405_of_a_method_that_the_path_has_not(self):
        for method, path, has in (('DELETE', '/jobs', 'GET, POST, HEAD'), ('PUT', '/stations', 'GET, HEAD'),
                                  ('PATCH', '/artifacts', 'GET, HEAD'), ('BREW', '/jobs', 'GET, POST, HEAD'),
                                  ('GET', '/stations/A1/actions/enable', 'POST')):
            a = self.api.request(method, path)
            self.problem(a, 405)
            self.assertEqual(a.headers['Allow'], has, path)
        self.problem(self.api.request('BREW', '/nothing'), 404, 'not-found')

    def test_malformed_bodies_are_400(self):
        for body in ('{', '[1,', '"x"', '[]', '3', '', '{"a":1,"a":2}', '\x00', b'\xff\xfe{}', '{"a":"\\ud800"}',
                     '[' * 100000, '{"a":' * 5000, '{"recipe":"\\u0000"}'):
            self.problem(self.api.request('POST', '/jobs', body), 400, 'invalid')

    def test_a_body_over_the_cap_of_its_route_is_413(self):
        self.problem(self.api.request('POST', '/tokens', 'x' * (256 * 1024 + 1)), 413, 'too-large')
        big = raw(self.line.provd.port, ('POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n'
                                         'Content-Length: 33554433\r\n\r\n' % self.line.provd.token).encode())
        self.assertTrue(big.startswith(b'HTTP/1.1 413'), big[:100])
        chunks = iter([b'x' * 65536] * 5)
        self.problem(self.api.request('POST', '/tokens', chunks, {'Transfer-Encoding': 'chunked'}), 413, 'too-large')

    def test_if_match_is_needed_428_and_must_be_fresh_412(self):
        path = '/jobs/' + self.waiting
        a = self.api.request('GET', path)
        tag = a.headers['ETag']
        self.problem(self.api.request('PATCH', path, {'priority': 7}), 428, 'precondition')
        self.problem(self.api.request('PATCH', path, {'priority': 7}, {'If-Match': '"99999"'}), 412, 'precondition')
        self.problem(self.api.request('PATCH', path, {'priority': 7}, {'If-Match': 'W/x'}), 412, 'precondition')
        for wrong in (tag[:-1] + 'x', tag[:-1], '"0x%x"' % int(tag[1:-1]), tag + tag, 'W/' + tag):
            self.problem(self.api.request('PATCH', path, {'priority': 7}, {'If-Match': wrong}), 412, 'precondition')
        b = self.api.request('PATCH', path, {'priority': 7}, {'If-Match': tag})
        self.assertEqual((b.status, b.json['priority']), (200, 7), b.body)
        self.problem(self.api.request('PATCH', path, {'priority': 8}, {'If-Match': tag}), 412, 'precondition')
        pool = '/pools/production-sn'
        self.problem(self.api.request('PATCH', pool, {'low_water': 5}), 428)
        tag = self.api.request('GET', pool).headers['ETag']
        self.assertEqual(self.api.request('PATCH', pool, {'low_water': 5}, {'If-Match': tag}).json['low_water'], 5)

    def test_if_none_match_is_304_without_a_body(self):
        for path in ('/jobs/' + self.job, '/stations/A1', '/pools/production-sn'):
            tag = self.api.request('GET', path).headers['ETag']
            a = self.api.request('GET', path, headers={'If-None-Match': tag})
            self.assertEqual((a.status, a.body), (304, b''))
            self.assertEqual(self.api.request('GET', path, headers={'If-None-Match': '"0"'}).status, 200)

    def test_an_idempotency_key_gives_the_same_answer_once(self):
        body, key = {'recipe': 'ask', 'quantity': 1, 'priority': -9, 'external_ref': 'once'}, {'Idempotency-Key': 'k-1'}
        first = self.api.request('POST', '/jobs', body, key)
        again = self.api.request('POST', '/jobs', body, key)
        self.api.post('/jobs/%s/actions/pause' % first.json['id'], headers=line.ANY)
        self.assertEqual((first.status, again.status, again.body), (201, 201, first.body))
        self.assertEqual(again.headers['Location'], '/api/v1/jobs/' + first.json['id'])
        self.assertEqual(again.headers['Idempotent-Replayed'], 'true')
        self.assertEqual(len(self.api.get('/jobs?external_ref=once')['items']), 1)
        self.problem(self.api.request('POST', '/jobs', dict(body, quantity=2), key), 422, 'unprocessable')
        self.problem(self.api.request('POST', '/pools', {'id': 'q', 'pattern': 'Q{seq:04}', 'last': 9}, key), 422, 'unprocessable')
        # Another principal's key is another key.
        other = self.line.provd.api(self.tokens['mes'])
        self.assertNotEqual(other.request('POST', '/jobs', body, key).json['id'], first.json['id'])
        other.close()
        for job in self.api.get('/jobs?external_ref=once')['items']:
            self.api.request('POST', '/jobs/%s/actions/pause' % job['id'], headers=line.ANY)

    def test_a_key_is_for_what_the_body_means_not_for_its_bytes(self):
        key = {'Idempotency-Key': 'k-means'}
        orders = ('{"recipe":"ask","quantity":1,"priority":-9,"external_ref":"means","stations":["A1","A2"]}',
                  '{"external_ref": "means",\n "stations": ["A1", "A2"], "priority": -9, "quantity": 1, "recipe": "ask"}',
                  '\ufeff {"quantity":1,"recipe":"\\u0061sk","external_ref":"means","stations":["A1","A2"],"priority":-9} ')
        answers = [self.api.request('POST', '/jobs', o.encode(), key) for o in orders]
        self.assertEqual([a.status for a in answers], [201] * 3, [a.body for a in answers])
        self.assertEqual(len({a.json['id'] for a in answers}), 1)
        for other in ('{"recipe":"ask","quantity":1,"priority":-9,"external_ref":"means","stations":["A2","A1"]}',
                      '{"recipe":"ask","quantity":1,"priority":-9,"external_ref":"means"}',
                      '{"recipe":"ask","quantity":2,"priority":-9,"external_ref":"means","stations":["A1","A2"]}'):
            self.problem(self.api.request('POST', '/jobs', other, key), 422, 'unprocessable')
        self.api.post('/jobs/%s/actions/pause' % answers[0].json['id'], headers=line.ANY)

    def test_a_filter_that_provd_does_not_know_is_refused_with_the_names(self):
        for query, names in (('/runs?outcome=fail', ('passed', 'failed', 'error', 'aborted', 'interrupted')),
                             ('/runs?outcom=failed', ('outcome', 'station', 'limit', 'cursor')),
                             ('/jobs?state=Done', ('queued', 'done')), ('/units?state=bad', ('suspect', 'scrapped')),
                             ('/serials?kind=sn', ('serial', 'mac')), ('/prompts?state=closed', ('open', 'answered')),
                             ('/outbox?state=sent', ('waiting', 'refused')),
                             ('/recipes?state=live', ('draft', 'approved')), ('/ports?bound=yes', ('true', 'false')),
                             ('/events?log=1', ('true', 'false')), ('/stations?state=running', ('none',)),
                             ('/stations/A1?x=1', ('none',)), ('/openapi.json?x', ('none',))):
            p = self.problem(self.api.request('GET', query), 400, 'invalid')
            for name in names:
                self.assertIn(name, p['detail'], query)
        for query in ('/runs?state=open&state=finished', '/runs?station=', '/runs?station', '/jobs?limit=5&limit=6'):
            self.problem(self.api.request('GET', query), 400, 'invalid')
        done = self.line.provctl('run', 'list', '--outcome', 'fail')
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('passed, provisioned, failed, error, aborted or interrupted', done.stderr)
        self.assertEqual(self.line.provctl('run', 'list', '--outcome', 'failed').returncode, 0)

    def test_a_field_that_provd_does_not_know_is_422_with_its_pointer(self):
        for method, path, body, pointer in (
                ('POST', '/tokens', {'name': 'till', 'role': 'viewer', 'expires': '2030-01-01T00:00:00Z'}, '/expires'),
                ('POST', '/pools', {'id': 'x', 'pattern': 'X{seq:03}', 'last': 9, 'low-water': 3}, '/low-water'),
                ('POST', '/pools/production-sn/values', {'values': ['A'], 'a/b~c': 1}, '/a~1b~0c'),
                ('POST', '/session', {'token': 'x', 'remember': True}, '/remember'),
                ('POST', '/prompts/%s/answer' % UUID, {'answer': 'yes', 'by': 'me'}, '/by'),
                ('POST', '/units/x/actions/scrap', {'reason': 'r', 'why': 'w'}, '/why'),
                ('POST', '/stations/A1/actions/start', {'force': True}, '/force'),
                ('POST', '/jobs/%s/actions/pause' % self.waiting, {'because': 'x'}, '/because'),
                ('POST', '/recipes/ask/versions/1/actions/retire', {'reason': 'x'}, '/reason'),
                ('PATCH', '/jobs/' + self.waiting, {'priority': 1, 'prio': 2}, '/prio'),
                ('PATCH', '/jobs/' + self.waiting, {'stations': ['nosuch']}, '/stations/0'),
                ('PATCH', '/pools/production-sn', {'pattern': 'Y'}, '/pattern')):
            p = self.problem(self.api.request(method, path, body, {'If-Match': '*'}), 422, 'unprocessable')
            self.assertEqual([e['pointer'] for e in p['errors']], [pointer], path)
        self.assertNotIn('till', self.api.request('GET', '/tokens').body.decode())

    def test_a_list_comes_and_goes_as_csv_and_each_bad_line_is_named(self):
        csv = {'Content-Type': 'text/csv'}
        self.api.post('/pools', {'id': 'lic', 'kind': 'license', 'values': [], 'low_water': 1})
        a = self.api.request('POST', '/pools/lic/values', b'note,value\nbought,L-1\nbought,L-2\n', csv)
        self.assertEqual((a.status, a.json['remaining']), (200, 2))
        p = self.problem(self.api.request('POST', '/pools/lic/values', b'L-3\n\nL-1\nL-4\nL-4\n', csv), 409)
        self.assertEqual([(e['line'], e['value'], e['pointer']) for e in p['errors']],
                         [(3, 'L-1', '/values/1'), (5, 'L-4', '/values/3')])
        self.assertIn('twice', p['errors'][1]['detail'])
        p = self.problem(self.api.request('POST', '/pools/lic/values', b'L-5,x\n', csv), 400)
        self.assertIn('line 1', p['detail'])
        a = self.api.request('GET', '/pools/lic/values.csv?limit=1')
        self.assertEqual(a.body.decode().splitlines()[1], 'L-1,license,,free,,,false,,,')
        a = self.api.request('GET', a.headers['Link'].split('<')[1].split('>')[0].removeprefix('/api/v1'))
        self.assertEqual(a.body.decode().splitlines(), ['L-2,license,,free,,,false,,,'])
        self.assertEqual(a.headers['Content-Type'], 'text/csv; charset=utf-8')

    def test_a_pool_of_addresses_is_held_to_its_block_and_to_the_others(self):
        macs = {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48:1', 'first': 0, 'last': 255, 'span': 4}
        p = self.api.post('/pools', macs)
        self.assertEqual((p['block'], p['span'], p['remaining'], p['local']), ('AC:DE:48:1', 4, 64, False))
        for change, code, words in (({'last': (1 << 20) + 3}, 400, 'ends at 1048575 (AC:DE:48:1F:FF:FF)'),
                                    ({'pattern': 'M{seq:04}'}, 400, 'pattern {mac}'), ({'first': 2}, 400, 'multiple of 4'),
                                    ({'block': '01:00:5E'}, 400, 'multicast'), ({'block': '06:00:00'}, 400, 'local: true'),
                                    ({'pattern': '{mac:dash}'}, 409, 'pool more and pool macs')):
            p = self.problem(self.api.request('POST', '/pools', {**macs, 'id': 'more', **change}), code)
            self.assertIn(words, p['detail'])

    def test_a_fixture_has_its_words_and_an_interlock_is_released_for_a_time(self):
        release = '/stations/A1/interlocks/golden/release'
        self.assertEqual([f['id'] for f in self.api.get('/fixtures')['items'] if f['id'] == 'A1'], ['A1'])
        self.problem(self.api.request('GET', '/fixtures/nosuch'), 404)
        self.problem(self.api.request('POST', '/fixtures/nosuch/serviced', {'reason': 'x'}), 404)
        f = self.api.post('/fixtures/A1/serviced', {'reason': 'new pins'})
        self.assertEqual((f['since_service'], f['serviced_reason']), (0, 'new pins'))
        p = self.problem(self.api.request('POST', '/fixtures/A1/calibrated', {'until': '2020-01-01T00:00:00Z', 'reason': 'x'}), 422)
        self.assertEqual(p['errors'][0]['pointer'], '/until')
        f = self.api.post('/fixtures/A1/calibrated', {'until': '2099-01-01T00:00:00Z', 'reason': 'certificate 4711'})
        self.assertEqual(f['calibrated_until'], '2099-01-01T00:00:00.000Z')
        self.problem(self.api.request('POST', release.replace('golden', 'silver'), {'for': '1h', 'reason': 'x'}), 404)
        self.problem(self.api.request('POST', release.replace('A1', 'Z9'), {'for': '1h', 'reason': 'x'}), 404)
        for body, pointer in (({'for': '1h'}, ''), ({'reason': 'x'}, ''), ({'for': '13h', 'reason': 'x'}, '/for'),
                              ({'for': '1s', 'reason': 'x'}, '/for'), ({'for': '1h', 'reason': ''}, '/reason')):
            p = self.problem(self.api.request('POST', release, body), 422)
            self.assertEqual(p['errors'][0]['pointer'], pointer, body)
        r = self.api.post(release, {'for': '1h', 'reason': 'we must ship'})
        self.assertEqual((r['interlock'], r['reason']), ('golden', 'we must ship'))
        told = [e for e in self.api.get('/audit?limit=50')['items'] if e['action'] == 'interlock.release']
        self.assertEqual(told[0]['target'], 'A1')

    def test_no_route_takes_a_field_that_it_does_not_know(self):
        """Each route with a body, out of the document: a field that no one knows, at the top and in what is nested."""
        doc, tried = self.api.get('/openapi.json'), 0
        audit = len(self.api.get('/audit?limit=1000')['items'])
        for path, item in doc['paths'].items():
            for method, o in item.items():
                content = o.get('requestBody', {}).get('content', {})
                if method == 'get' or 'application/octet-stream' in content:
                    continue
                for name, value in (('{id}', self.job if '/jobs' in path else 'production-sn' if '/pools' in path else 'A1'),
                                    ('{name}', 'ask'), ('{version}', '1'), ('{sha256}', SHA),
                                    ('{action}', 'clear' if '/stations' in path else 'scrap' if '/units' in path else 'retire'
                                     if '/recipes' in path else 'pause'), ('{interlock}', 'golden')):
                    path = path.replace(name, value)
                bodies = [('/no~1such~0field', {'no/such~field': 1})]
                for field, s in content.get('application/json', {}).get('schema', {}).get('properties', {}).items():
                    for nested in s.get('oneOf', [s]):
                        if nested.get('additionalProperties') is False:
                            bodies.append(('/%s/nosuchfield' % field, {field: {'nosuchfield': 1}}))
                for pointer, body in bodies:
                    p = self.problem(self.api.request(method.upper(), path, body, {'If-Match': '*'}, raw=True), 422)
                    self.assertIn(pointer, [e['pointer'] for e in p['errors']], (method, path))
                for body in ('[]', '[1]', '5', '"x"'):
                    a = self.api.request(method.upper(), path, body, {'If-Match': '*'}, raw=True)
                    self.assertIn(a.status, (400, 422), (method, path, body))
                a = self.api.request(method.upper(), path, 'no/such~field: 1', {'If-Match': '*', 'Content-Type': 'application/yaml'},
                                     raw=True)
                self.assertEqual(a.status, 422 if 'application/yaml' in content else 400, (method, path))
                tried += 1
        self.assertGreater(tried, 20)
        self.assertEqual(len(self.api.get('/audit?limit=1000')['items']), audit)

    def test_a_mistake_of_a_body_is_422_with_its_pointer_and_the_nearest_name(self):
        for method, path, body, pointer, word in (
                ('POST', '/tokens', {'name': 'x', 'role': 'viewr'}, '/role', "did you mean 'viewer'?"),
                ('POST', '/tokens', {'role': 'viewer', 'nam': 'x'}, '/nam', "did you mean 'name'?"),
                ('POST', '/tokens', {'name': 5, 'role': 'viewer'}, '/name', 'string'),
                ('POST', '/pools', {'id': 'x', 'pattern': 'X{seq:03}', 'check': 'lun'}, '/check', "did you mean 'luhn'?"),
                ('POST', '/pools', {'id': 'x', 'values': ['a', 7]}, '/values/1', 'string'),
                ('POST', '/pools', {'id': 'x', 'pattern': 'X{seq:03}', 'first': -1}, '/first', 'from 0'),
                ('POST', '/pools/production-sn/values', {'values': []}, '/values', 'empty'),
                ('POST', '/pools/production-sn/actions/advance', {'next': '7', 'reason': 'r'}, '/next', 'integer'),
                ('PATCH', '/pools/production-sn', {'last': '9'}, '/last', 'integer'),
                ('PATCH', '/jobs/' + self.waiting, {'deadline': 'soon'}, '/deadline', '2026-12-31'),
                ('PATCH', '/jobs/' + self.waiting, {'stations': ['A1', {}]}, '/stations/1', 'string'),
                ('POST', '/jobs', {'recipe': {'name': 'ask', 'versin': 1}, 'quantity': 1}, '/recipe/versin', "'version'"),
                ('POST', '/jobs', {'recipe': 'ask', 'quantity': 1, 'deadline': 5}, '/deadline', '2026-12-31'),
                ('POST', '/records/actions/accept', {'reason': 'x' * 301}, '/reason', '300'),
                ('POST', '/pools', {'id': 'a/b', 'pattern': 'X{seq:03}'}, '/id', 'slash'),
                ('POST', '/pools', {'id': 'x', 'pattern': 'X{seq:03}', 'values': ['a']}, '', "'values'"),
                ('POST', '/session', {}, '', "'token' is missing")):
            p = self.problem(self.api.request(method, path, body, {'If-Match': '*'}), 422, 'unprocessable')
            found = {e['pointer']: e['detail'] for e in p['errors']}
            self.assertIn(word, found.get(pointer, ''), (path, found))
        # What only the handler can judge stays 400, with the pointer too.
        p = self.problem(self.api.request('POST', '/tokens', {'name': 'a  b', 'role': 'mes'}), 400, 'invalid')
        self.assertEqual([e['pointer'] for e in p['errors']], ['/name'])
        # RFC 7396: null takes a deadline away, and what is not there stays.
        a = self.api.request('PATCH', '/jobs/' + self.waiting, {'deadline': '2030-01-01T00:00:00Z'}, {'If-Match': '*'})
        self.assertEqual((a.status, a.json['deadline'][:10]), (200, '2030-01-01'), a.body)
        a = self.api.request('PATCH', '/jobs/' + self.waiting, {'deadline': None}, {'If-Match': '*'})
        self.assertEqual((a.status, a.json['deadline']), (200, None), a.body)

    def test_a_repetition_is_answered_even_if_the_same_could_not_be_done_now(self):
        text = PROMPT_RECIPE.replace('recipe: ask', 'recipe: retired')
        self.line.put_recipe(text)
        body, key = {'recipe': 'retired', 'quantity': 1}, {'Idempotency-Key': 'k-retired'}
        first = self.api.request('POST', '/jobs', body, key)
        self.api.post('/jobs/%s/actions/pause' % first.json['id'], headers=line.ANY)
        self.api.post('/recipes/retired/versions/1/actions/retire')
        self.problem(self.api.request('POST', '/jobs', body), 422)
        again = self.api.request('POST', '/jobs', body, key)
        self.assertEqual((again.status, again.body), (201, first.body))

    def test_the_same_key_at_the_same_time_makes_one(self):
        body, key = {'recipe': 'ask', 'quantity': 1, 'priority': -9, 'external_ref': 'race'}, {'Idempotency-Key': 'k-r'}
        answers = []

        def post():
            api = self.line.provd.api()
            answers.append(api.request('POST', '/jobs', body, key))
            api.close()
        threads = [threading.Thread(target=post) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertLessEqual({a.status for a in answers}, {201, 409})
        jobs = self.api.get('/jobs?external_ref=race')['items']
        self.assertEqual(len(jobs), 1)
        self.assertEqual({a.json['id'] for a in answers if a.status == 201}, {jobs[0]['id']})
        self.api.request('POST', '/jobs/%s/actions/pause' % jobs[0]['id'], headers=line.ANY)

    def test_pages_hold_every_item_once_though_the_list_grows(self):
        values = ['V%05d' % i for i in range(2500)]
        self.api.post('/pools', {'id': 'many', 'kind': 'license', 'values': values})
        got, path, grown = [], '/pools/many/serials?limit=1000', False
        while path:
            a = self.api.request('GET', path)
            self.assertEqual(a.status, 200, a.body)
            got += [i['value'] for i in a.json['items']]
            self.assertEqual('rel="next"' in (a.headers['Link'] or ''), a.json['next_cursor'] is not None)
            path = a.json['next_cursor'] and '/pools/many/serials?limit=1000&cursor=' + a.json['next_cursor']
            if not grown:
                self.api.post('/pools/many/values', {'values': ['W1', 'W2']})
                grown = True
        self.assertEqual(got, values + ['W1', 'W2'])
        for bad in ('limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=-1', 'limit=1e3'):
            self.problem(self.api.request('GET', '/pools/many/serials?' + bad), 400, 'invalid')
        self.problem(self.api.request('GET', '/runs?cursor=nonsense'), 400)

    def refused_raw(self, request, status=400):
        """One answer, a problem, and the connection ends: what follows is never taken for a request of its own."""
        follows = b'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'
        got = raw(self.line.provd.port, request.replace(b'TOKEN', self.line.provd.token.encode()) + follows, 5)
        self.assertEqual(got.count(b'HTTP/1.1 '), 1, got[:600])
        head, _, body = got.partition(b'\r\n\r\n')
        self.assertTrue(head.startswith(b'HTTP/1.1 %d ' % status), got[:300])
        self.assertIn(b'application/problem+json', head)
        self.assertEqual(json.loads(body)['status'], status)
        return json.loads(body)

    def test_a_header_that_two_readers_would_not_read_alike_is_refused(self):
        head = b'POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n'
        for lines in (b'Content-Length: 5\r\nContent-Length: 5\r\n\r\n{"a":',
                      b'Content-Length: 5\r\nContent-Length: 50\r\n\r\n{"a":',
                      b'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
                      b'Content-Length : 5\r\n\r\n{"a":',
                      b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
                      b'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
                      b'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
                      b'X(y): 1\r\nContent-Length: 0\r\n\r\n',
                      b'Host: y\r\nContent-Length: 0\r\n\r\n'):
            self.refused_raw(head + lines)
        self.refused_raw(head + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501)
        self.refused_raw(head.replace(b'HTTP/1.1', b'HTTP/1.0') + b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n')

    def test_an_encoded_nul_is_refused_in_path_and_query(self):
        for path in (b'/api/v1/stations/A1%00', b'/api/v1/stations%00/A1', b'/api/v1/jobs?state=do%00ne',
                     b'/%00', b'/livez?x=%00'):
            p = self.refused_raw(b'GET ' + path + b' HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
                                 b'Authorization: Bearer TOKEN\r\n\r\n')
            self.assertIn('%00', p['detail'])

    def test_a_body_may_be_gzipped_or_begin_with_a_byte_order_mark(self):
        order = json.dumps({'recipe': 'ask', 'quantity': 1, 'priority': -9, 'external_ref': 'wrapped'}).encode()
        mark, packed = b'\xef\xbb\xbf' + order, gzip.compress(order)
        key = {'Idempotency-Key': 'k-wrapped', 'Content-Type': 'application/json'}
        first = self.api.request('POST', '/jobs', order, key)
        self.assertEqual(first.status, 201, first.body)
        for body, headers in ((mark, {}), (packed, {'Content-Encoding': 'gzip'}),
                              (gzip.compress(mark), {'Content-Encoding': 'gzip'})):
            a = self.api.request('POST', '/jobs', body, dict(key, **headers))
            self.assertEqual((a.status, a.json['id']), (201, first.json['id']), a.body)
        self.api.post('/jobs/%s/actions/pause' % first.json['id'], headers=line.ANY)
        # 64 MiB in 64 KiB, at a route that takes 256 KiB.
        bomb = gzip.compress(b' ' * (64 << 20))
        self.problem(self.api.request('POST', '/tokens', bomb, {'Content-Encoding': 'gzip'}), 413, 'too-large')
        self.problem(self.api.request('POST', '/jobs', packed[:-4], {'Content-Encoding': 'gzip'}), 400)
        self.problem(self.api.request('POST', '/jobs', order, {'Content-Encoding': 'gzip'}), 400)
        for coding in ('br', 'deflate', 'gzip, gzip'):
            self.problem(self.api.request('POST', '/jobs', order, {'Content-Encoding': coding}), 415, 'unsupported')
        data = line.firmware(4096, 77)
        self.problem(self.api.request('PUT', '/artifacts/' + line.sha256(data), gzip.compress(data),
                                      {'Content-Encoding': 'gzip'}), 415)

    def test_length_and_chunks_together_are_refused(self):
        got = raw(self.line.provd.port, (
            'POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 5\r\n'
            'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n' % self.line.provd.token).encode())
        self.assertTrue(got.startswith(b'HTTP/1.1 400'), got[:200])
        self.assertEqual(got.count(b'HTTP/1.1 '), 1, 'a second request was smuggled in')

    def test_an_artifact_is_put_raw_or_in_chunks_and_checked(self):
        data = line.firmware(100000, 9)
        path = '/artifacts/' + line.sha256(data)
        chunks = iter([data[i:i + 7000] for i in range(0, len(data), 7000)])
        a = self.api.request('PUT', path + '?name=a.bin', chunks, {'Transfer-Encoding': 'chunked'})
        self.assertEqual((a.status, a.json['size']), (201, len(data)), a.body)
        self.assertEqual(self.api.request('PUT', path, data).status, 200)
        self.assertEqual(self.api.request('GET', path + '/content').body, data)
        self.problem(self.api.request('PUT', '/artifacts/' + SHA, b'other'), 422, 'verify-mismatch')
        self.problem(self.api.request('PUT', '/artifacts/' + line.sha256(b''), b''), 422)
        self.problem(self.api.request('PUT', '/artifacts/abc', b'x'), 400)
        self.problem(self.api.request('PUT', path + '?name=../x', data), 400)
        for name in ('..', '.', 'a%0Ab.bin', '%1B[2Ja.bin', '', '%FF.bin', '%C3.bin', '%ED%A0%80.bin'):
            self.problem(self.api.request('PUT', path + '?name=' + name, data), 400)
        self.problem(self.api.request('PUT', '/artifacts/' + SHA, b'x' * (512 * 1024 + 1)), 413, 'too-large')
        left = [f for f in os.listdir(os.path.join(self.line.home, 'state', 'artifacts')) if f.startswith('upload')]
        self.assertEqual(left, [])

    def test_an_idempotency_key_of_one_name_gives_no_other_name(self):
        data, key = line.firmware(20000, 77), {'Idempotency-Key': 'k-name'}
        path = '/artifacts/' + line.sha256(data)
        self.assertEqual(self.api.request('PUT', path + '?name=one.bin', data, key).status, 201)
        self.assertEqual(self.api.request('PUT', path + '?name=one.bin', data, key).headers['Idempotent-Replayed'], 'true')
        self.problem(self.api.request('PUT', path + '?name=two.bin', data, key), 422, 'unprocessable')
        self.problem(self.api.request('PUT', path, data, key), 422, 'unprocessable')
        self.assertEqual(self.api.get(path)['names'], ['one.bin'])

    def piece(self, data, first, last, sha=None, total=None):
        span = '%d-%d' % (first, last) if first is not None else '*'
        return self.api.request('PUT', '/artifacts/%s?name=p.bin' % (sha or line.sha256(data)),
                                data[first:last + 1] if first is not None else b'',
                                {'Content-Range': 'bytes %s/%d' % (span, total or len(data))})

    def test_an_artifact_comes_in_pieces_and_goes_on_after_a_cut(self):
        data, store = line.firmware(90000, 19), os.path.join(self.line.home, 'state', 'artifacts')

        def parts():
            return [f for f in os.listdir(store) if f.startswith('part-')]

        a = self.piece(data, None, None)
        self.assertEqual((a.status, a.json, a.headers['Range'], parts()),
                         (202, {'sha256': line.sha256(data), 'received': 0, 'size': 90000}, None, []))
        a = self.piece(data, 0, 29999)
        self.assertEqual((a.status, a.json['received'], a.headers['Range']), (202, 30000, 'bytes=0-29999'))
        # Cut off in the middle of the second piece: what came of it stays.
        s = socket.create_connection(('127.0.0.1', self.line.provd.port), timeout=line.DEADLINE_S)
        s.sendall(('PUT /api/v1/artifacts/%s?name=p.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 30000\r\n'
                   'Content-Range: bytes 30000-59999/90000\r\n\r\n' % (line.sha256(data), self.line.provd.token)).encode() + data[30000:41234])
        line.wait_for('its bytes', lambda: os.path.getsize(os.path.join(store, parts()[0])) == 41234)
        self.problem(self.piece(data, 41234, 89999), 409, 'conflict')  # the other request is still there
        s.close()
        line.wait_for('the end of the cut one', lambda: self.piece(data, None, None).status == 202)
        a = self.piece(data, None, None)
        self.assertEqual((a.json['received'], a.headers['Range']), (41234, 'bytes=0-41233'))
        self.problem(self.piece(data, 30000, 89999), 409, 'conflict')
        self.problem(self.piece(data, 50000, 89999), 409, 'conflict')
        self.problem(self.api.request('GET', '/artifacts/' + line.sha256(data)), 404)
        a = self.piece(data, 41234, 89999)
        self.assertEqual((a.status, a.json['size'], a.json['name'], parts()), (201, 90000, 'p.bin', []), a.body)
        self.assertEqual(self.api.request('GET', '/artifacts/%s/content' % line.sha256(data)).body, data)
        self.assertEqual(self.piece(data, None, None).status, 200)

    def test_an_artifact_may_come_over_a_connection_for_each_piece(self):
        data = line.firmware(200 * 512, seed=77)
        for n in range(0, len(data), 512):
            api = self.line.provd.api()
            a = api.request('PUT', '/artifacts/' + line.sha256(data), data[n:n + 512], {'Content-Range': 'bytes %d-%d/%d' % (n, n + 511, len(data))})
            api.close()
            self.assertEqual(a.status, 202 if n + 512 < len(data) else 201, a.body)

    def test_pieces_that_make_another_file_are_refused_and_gone(self):
        data, store = line.firmware(20000, 20), os.path.join(self.line.home, 'state', 'artifacts')
        sha = line.sha256(line.firmware(20000, 21))
        self.assertEqual(self.piece(data, 0, 9999, sha).status, 202)
        self.problem(self.piece(data, 10000, 19999, sha), 422, 'verify-mismatch')
        self.assertEqual(self.piece(data, None, None, sha).json['received'], 0)
        for header, status in (('bytes 0-9/*', 400), ('bytes 0-9', 400), ('bytes 9-0/10', 400), ('bytes 0-8/10', 400),
                               ('bytes 0-9/%d' % (513 * 1024), 413)):
            a = self.api.request('PUT', '/artifacts/' + sha, data[:10], {'Content-Range': header})
            self.problem(a, status)
        self.problem(self.api.request('PUT', '/artifacts/abc', data[:10], {'Content-Range': 'bytes 0-9/10'}), 400)
        self.assertEqual([f for f in os.listdir(store) if f.startswith('part-')], [])

    def test_firmware_is_read_at_upload_and_a_malformed_file_is_refused_with_its_line(self):
        def put(data, name):
            return self.api.request('PUT', '/artifacts/%s?name=%s' % (line.sha256(data), name), data)
        good = b':020000040800F2\n:0400100001020304E2\n:0400000508000101ED\n:00000001FF\n'
        a = put(good, 'good.hex')
        self.assertEqual((a.status, a.json['format']), (201, 'ihex'), a.body)
        image = a.json['image']
        self.assertEqual(image['segments'], [{'address': '0x08000010', 'length': 4}])
        self.assertEqual((image['bytes'], image['entry'], image['notes']), (4, '0x08000101', []))
        payload = struct.pack('<QQ', 0x08000010, 4) + bytes((1, 2, 3, 4))
        self.assertEqual(image['payload_sha256'], line.sha256(payload))
        listed = [x for x in self.api.all('/artifacts') if x['sha256'] == line.sha256(good)]
        self.assertEqual(listed[0]['image'], image)
        bad = self.problem(put(good.replace(b'010203', b'010207'), 'bad.hex'), 422, 'image-invalid')
        self.assertIn('firmware file bad.hex, line 2: checksum', bad['detail'])
        self.problem(put(good[:-12], 'cut.hex'), 422, 'image-invalid')
        self.problem(self.api.request('GET', '/artifacts/' + line.sha256(good[:-12])), 404)
        raw_file = put(b'no format that anyone knows', 'x.bin').json
        self.assertEqual((raw_file['format'], raw_file['image']['placed']), ('bin', False))
        self.assertIn('looks like a text file: no step flashes it', raw_file['image']['notes'][0])
        page = b'<!DOCTYPE html><html>Not Found</html>'
        self.assertEqual(put(page, 'manual.html').json['format'], 'bin')
        for name in ('app.hex', 'app.uf2', 'app.elf'):
            bad = self.problem(put(page, name), 422, 'image-invalid')
            self.assertIn(name + ' is a web page (HTML), not firmware', bad['detail'])
            bad = self.problem(put(line.firmware(1000, 3), name), 422, 'image-invalid')
            self.assertIn('its content is a raw binary', bad['detail'])
        self.problem(put(b'PK\3\4' + bytes(90), 'app.uf2'), 422, 'image-invalid')
        raw_chunk = struct.pack('<HHII', 0xcac1, 0, 1, 12 + 4096) + bytes(range(256)) * 16
        sparse = struct.pack('<IHHHHIIII', 0xed26ff3a, 1, 0, 28, 12, 4096, 1, 1, 0) + raw_chunk
        self.assertEqual(put(sparse, 'system.img').json['format'], 'sparse')
        bad = self.problem(put(sparse[:-1], 'cut.img'), 422, 'image-invalid')
        self.assertIn('cut.img', bad['detail'])
        archive = put(b'PK\3\4' + bytes(100), 'x.zip').json
        self.assertEqual((archive['format'], archive['image']), ('zip', None))

    def test_artifacts_over_the_quota_are_413(self):
        got = []
        for seed in range(4):
            data = line.firmware(400 * 1024, 100 + seed)
            got.append(self.api.request('PUT', '/artifacts/' + line.sha256(data), data))
        self.assertEqual(got[0].status, 201)
        self.problem(got[-1], 413, 'too-large')
        held = sum(a['size'] for a in self.api.all('/artifacts'))
        self.assertLessEqual(held, 1 << 20)

    def test_every_role_may_what_it_may_and_a_revoked_token_nothing(self):
        t = self.api.post('/tokens', {'name': 'short', 'role': 'viewer'})
        api = self.line.provd.api(t['token'])
        self.addCleanup(api.close)
        self.assertEqual(api.request('GET', '/session').json['role'], 'viewer')
        self.problem(api.request('POST', '/jobs', {}), 403, 'forbidden')
        self.assertEqual(self.api.request('DELETE', '/tokens/' + t['id']).status, 200)
        self.problem(api.request('GET', '/session'), 401)
        listed = self.api.request('GET', '/tokens').body.decode()
        self.assertNotIn(t['token'].split('_')[2], listed)
        with open(self.line.provd.log_path) as log:
            self.assertNotIn(t['token'].split('_')[2], log.read())

    def test_a_browser_session_needs_its_origin_to_change_anything(self):
        port = self.line.provd.port
        api = line.Api(port, None)
        self.addCleanup(api.close)
        self.problem(api.request('POST', '/session', {'token': 'pvd_x'}), 401)
        a = api.request('POST', '/session', {'token': self.tokens['supervisor']})
        self.assertEqual(a.status, 201)
        cookie = a.headers['Set-Cookie']
        self.assertIn('HttpOnly', cookie)
        self.assertIn('SameSite=Strict', cookie)
        send = {'Cookie': cookie.split(';')[0]}
        self.assertEqual(api.request('GET', '/session', headers=send).json['role'], 'supervisor')
        path = '/jobs/%s/actions/pause' % self.waiting
        for origin in (None, 'http://evil.example', 'null', 'http://127.0.0.1:%d.evil.example' % port, 'http://127.0.0.1'):
            self.problem(api.request('POST', path, headers=dict(send, **({'Origin': origin} if origin else {}))), 403)
        ours = dict(send, Origin='http://127.0.0.1:%d' % port)
        self.assertIn(api.request('POST', path, headers=dict(ours, **line.ANY)).status, (200, 409))
        self.assertEqual(api.request('DELETE', '/session', headers=ours).status, 200)
        self.problem(api.request('GET', '/session', headers=send), 401)

    def test_head_is_get_without_the_body(self):
        a = self.api.request('HEAD', '/stations')
        self.assertEqual((a.status, a.body), (200, b''))
        # Nor does it begin a stream.
        a = self.api.request('HEAD', '/events', headers={'Accept': 'text/event-stream'})
        self.assertEqual((a.status, a.body, a.headers['Content-Type']), (200, b'', 'application/json'))

    def test_what_someone_does_is_in_the_audit(self):
        self.api.post('/jobs/%s/actions/resume' % self.waiting, headers=line.ANY)
        self.api.post('/jobs/%s/actions/pause' % self.waiting, headers=line.ANY)
        newest = self.api.get('/audit?limit=5')['items']
        self.assertIn(('job.pause', self.waiting), {(a['action'], a['target']) for a in newest})


class Policies(unittest.TestCase):
    def test_who_wrote_a_recipe_does_not_approve_it_where_a_second_person_must(self):
        recipe = 'recipe: two\nversion: 1\nunit: {model: t}\nports: {console: {kind: tty}}\nsteps:\n' \
                 '  - {action: console.command, with: {port: console, send: ping, expect: pong}}\n'
        with line.Line(stations=0, config='approval: second-person\n') as l:
            l.start()
            anna, bert = (l.provd.api(l.api.post('/tokens', {'name': n, 'role': 'engineer'})['token'])
                          for n in ('anna', 'bert'))
            anna.post('/recipes', recipe, {'Content-Type': 'application/yaml'})
            a = anna.request('POST', '/recipes/two/versions/1/actions/approve')
            self.assertEqual((a.status, a.json['code']), (403, 'forbidden'))
            self.assertIn("'anna'", a.json['detail'])
            self.assertEqual(bert.post('/recipes/two/versions/1/actions/approve')['approved_by'], 'bert')
            # Who changed the draft last wrote it.
            anna.post('/recipes', recipe.replace('version: 1', 'version: 2'), {'Content-Type': 'application/yaml'})
            bert.post('/recipes', recipe.replace('version: 1', 'version: 2'), {'Content-Type': 'application/yaml'})
            self.assertEqual(bert.request('POST', '/recipes/two/versions/2/actions/approve').status, 403)
            self.assertEqual(anna.post('/recipes/two/versions/2/actions/approve')['state'], 'approved')
            for api in (anna, bert):
                api.close()

    def test_uploads_under_way_count_from_their_first_byte(self):
        with line.Line(stations=0, config='artifact_quota: 2M\n') as l:
            l.start()
            store = os.path.join(l.home, 'state', 'artifacts')
            data = [line.firmware(900 * 1024, seed) for seed in range(4)]

            def begin(image):
                """Chunks without an end: how long it is is not known."""
                s = socket.create_connection(('127.0.0.1', l.provd.port), timeout=line.DEADLINE_S)
                self.addCleanup(s.close)
                s.sendall(('PUT /api/v1/artifacts/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n'
                           'Transfer-Encoding: chunked\r\n\r\n%x\r\n' % (
                               line.sha256(image), l.provd.token, len(image))).encode() + image + b'\r\n')
                return s

            def size(f):
                try:
                    return os.path.getsize(os.path.join(store, f))
                except FileNotFoundError: # given up between the list and the look
                    return 0

            def stored():
                return sum(size(f) for f in os.listdir(store))
            two = [begin(image) for image in data[:2]]
            line.wait_for('both are on disk', lambda: stored() == 2 * len(data[0]))
            # A third one has no room, announced or not; nothing of it is written.
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[2]), data[2]).status, 413)
            third = begin(data[2])
            third.sendall(b'0\r\n\r\n')
            self.assertIn(b' 413 ', third.recv(65536).split(b'\r\n')[0])
            self.assertLessEqual(stored(), 2 << 20)
            # What is given up makes room again.
            two[0].close()
            line.wait_for('one has gone', lambda: stored() == len(data[0]))
            two[1].sendall(b'0\r\n\r\n')
            self.assertIn(b' 201 ', two[1].recv(65536).split(b'\r\n')[0])
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[2]), data[2]).status, 201)
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[3]), data[3]).status, 413)
            l.api.ok('DELETE', '/artifacts/' + line.sha256(data[2]))
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[3]), data[3]).status, 201)
            # So does what came in pieces: it waits for the rest of it, also over a restart.
            l.api.ok('DELETE', '/artifacts/' + line.sha256(data[3]))
            part = {'Content-Range': 'bytes 0-921599/921700'}
            self.assertEqual(l.api.request('PUT', '/artifacts/' + SHA, data[2], part).status, 202)
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[3]), data[3]).status, 413)
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[3]), data[3]).status, 413)
            # Once it is whole, and not what it should be, its room is free.
            part = {'Content-Range': 'bytes 921600-921699/921700'}
            self.assertEqual(l.api.request('PUT', '/artifacts/' + SHA, data[2][:100], part).status, 422)
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[3]), data[3]).status, 201)
            # A restart counts what is there.
            self.assertEqual(l.provd.term(), 0)
            l.start()
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(data[2]), data[2]).status, 413)

    def test_an_artifact_is_deleted_unless_a_recipe_needs_it(self):
        with line.Line(stations=1, boards=0) as l:
            l.start()
            image = line.firmware(4096)
            l.prepare(image)
            other = line.firmware(4096, seed=2)
            l.put_firmware(other, 'other.bin')
            store = os.path.join(l.home, 'state', 'artifacts')
            a = l.api.request('DELETE', '/artifacts/' + line.sha256(image))
            self.assertEqual(a.status, 409)
            self.assertIn('production@1', a.json['detail'])
            l.api.ok('DELETE', '/artifacts/' + line.sha256(other))
            self.assertEqual(os.listdir(store), [line.sha256(image)])
            self.assertEqual(l.api.request('GET', '/artifacts/' + line.sha256(other)).status, 404)
            self.assertEqual(l.api.request('DELETE', '/artifacts/' + line.sha256(other)).status, 404)
            # The same bytes may come again.
            self.assertEqual(l.api.request('PUT', '/artifacts/' + line.sha256(other), other).status, 201)
            # What a crash left between the disk and the database is settled at the next start.
            self.assertEqual(l.provd.term(), 0)
            orphan, half = 'ab' * 32, 'cd' * 32
            for name in (orphan, 'deleted-' + half, 'upload-x'):
                with open(os.path.join(store, name), 'w') as f:
                    f.write('x')
            os.utime(os.path.join(store, orphan), (1, 1))
            os.rename(os.path.join(store, line.sha256(image)), os.path.join(store, 'deleted-' + line.sha256(image)))
            l.start()
            self.assertEqual(set(os.listdir(store)), {line.sha256(image), line.sha256(other)})


class Document(Live):
    def setUp(self):
        super().setUp()
        self.doc = self.api.get('/openapi.json')
        self.schema = Schema(self.doc)
        self.ops = {(m.upper(), p): o for p, item in self.doc['paths'].items() for m, o in item.items()}

    def fill(self, path):
        """The path with things that are there."""
        id_ = {'stations': 'A1', 'jobs': self.job, 'runs': self.run_['id'], 'units': self.run_['serial'], 'pools': 'production-sn',
               'fixtures': 'A1', 'prompts': UUID, 'tokens': UUID, 'outbox': UUID, 'webhooks': UUID}.get(path.split('/')[3] if path.count('/') > 2 else '')
        for name, value in (('{id}', id_), ('{name}', 'ask'), ('{version}', '1'), ('{sha256}', line.sha256(self.image)),
                            ('{action}', 'none'), ('{interlock}', 'golden'), ('{n}', '1')):
            path = path.replace(name, value or '')
        return path

    def test_it_has_every_route_and_no_other(self):
        routes = routes_in_source()
        self.assertGreater(len(routes), 50)
        web = {r for r in routes if not r[1].startswith('/api/') and r not in self.ops}
        self.assertEqual(routes - set(self.ops) - web, set())
        self.assertEqual(set(self.ops) - routes, set())
        for _, path in web:
            self.assertNotRegex(path, '^/(livez|readyz|version|metrics|openapi)')

    def test_every_reference_leads_somewhere_and_every_operation_is_whole(self):
        refs = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(self.doc)))
        for ref in refs:
            self.schema.of({'$ref': ref})
        used = {r.split('/')[-1] for r in refs}
        self.assertEqual(set(self.doc['components']['schemas']) - used, set(), 'schemas that no one uses')
        ids = [o['operationId'] for o in self.ops.values()]
        self.assertEqual(len(ids), len(set(ids)))
        for (method, path), o in self.ops.items():
            named = {p['name'] for p in o.get('parameters', ()) if p.get('in') == 'path'}
            self.assertEqual(named, set(re.findall(r'\{(\w+)\}', path)), path)
            self.assertTrue(o['summary'] and o['responses'])

    def test_every_get_answers_as_described(self):
        seen = 0
        for (method, path), o in sorted(self.ops.items()):
            if method != 'GET':
                continue
            a = self.api.request('GET', self.fill(path), raw=True)
            self.assertIn(str(a.status), o['responses'], path)
            content = self.schema.of(o['responses'][str(a.status)]).get('content', {})
            kind = a.headers['Content-Type'].split(';')[0]
            self.assertIn(kind, content, path)
            if kind.endswith('json'):
                self.assertEqual(self.schema.errors(a.json, content[kind]['schema']), [], path)
                seen += 1
        self.assertGreater(seen, 35)

    @unittest.skipUnless(described.jsonschema, 'no other validator is installed (Debian: python3-jsonschema)')
    def test_another_validator_watches_and_sees_what_is_wrong(self):
        a = self.api.request('GET', '/jobs/' + self.job)
        self.assertIn(('/api/v1/jobs/{id}', 'GET', 200), self.described.seen)
        whole = json.loads(a.body)
        for wrong in (dict(whole, quantity='ten'), dict(whole, novel=1), {k: v for k, v in whole.items() if k != 'state'}):
            a.body = json.dumps(wrong).encode()
            self.assertEqual(len(self.described.check('GET', '/api/v1/jobs/' + self.job, a)), 1, wrong)
        a.status = 418
        self.assertTrue(self.described.check('GET', '/api/v1/jobs/' + self.job, a))

    def test_every_path_refuses_the_methods_that_it_has_not(self):
        for path in {p for _, p in self.ops}:
            for method in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE'):
                if (method, path) not in self.ops and not (path.endswith('/recipes/check') and method == 'GET'):
                    a = self.api.request(method, self.fill(path), raw=True)
                    self.problem(a, 405)

    def test_every_role_is_let_in_where_described_and_nowhere_else(self):
        for role in ROLES:
            api = self.line.provd.api(self.tokens[role])
            for (method, path), o in self.ops.items():
                if 'x-roles' not in o or path.endswith('/session'):
                    continue
                # Nothing here is carried out: the body is not JSON, the things are not there.
                filled = self.fill(path) if method == 'GET' else self.fill(path).replace(self.job, UUID)
                body = None if method in ('GET', 'DELETE') else '{'
                if method == 'DELETE':
                    filled = filled.replace('/versions/1', '/versions/999')
                a = api.request(method, filled, body, raw=True)
                self.assertEqual(a.status == 403, role not in o['x-roles'], '%s %s as %s: %d' % (method, path, role, a.status))
                self.assertIn(str(a.status), o['responses'], '%s %s as %s: %s' % (method, path, role, a.body[:200]))
            api.close()

    def test_what_is_made_answers_as_described(self):
        def check(method, path, shape, body, headers=None):
            a = self.api.request(method, path, body, headers)
            o = self.ops[(method, '/api/v1' + shape)]
            self.assertIn(str(a.status), o['responses'], a.body[:300])
            self.assertLess(a.status, 300, a.body[:300])
            s = self.schema.of(o['responses'][str(a.status)])['content']['application/json']['schema']
            self.assertEqual(self.schema.errors(a.json, s), [], path)
            if isinstance(body, dict):
                sent = o['requestBody']['content']['application/json']['schema']
                self.assertEqual(self.schema.errors(body, sent), [], path)
            return a.json
        check('POST', '/pools', '/pools', {'id': 'doc', 'pattern': 'D{seq:05}', 'last': 99})
        check('POST', '/pools', '/pools', {'id': 'docs', 'values': ['A1', 'A2']})
        check('POST', '/pools/docs/values', '/pools/{id}/values', {'values': ['A3']})
        text = PROMPT_RECIPE.replace('recipe: ask', 'recipe: doc')
        yaml = {'Content-Type': 'application/yaml'}
        check('POST', '/recipes/check', '/recipes/check', text, yaml)
        check('POST', '/recipes', '/recipes', text, yaml)
        check('PUT', '/recipes/doc/versions/1', '/recipes/{name}/versions/{version}', text, yaml)
        check('DELETE', '/recipes/doc/versions/1', '/recipes/{name}/versions/{version}', None)
        check('PUT', '/recipes/doc/versions/1', '/recipes/{name}/versions/{version}', text, yaml)
        verbs = '/recipes/{name}/versions/{version}/actions/{action}'
        check('POST', '/recipes/doc/versions/1/actions/approve', verbs, None)
        job = check('POST', '/jobs', '/jobs', {'recipe': 'doc@1', 'quantity': 2, 'priority': -10, 'stations': ['A1'],
                                               'deadline': '2030-01-01T00:00:00Z', 'external_ref': 'r'})
        check('POST', '/jobs/%s/actions/pause' % job['id'], '/jobs/{id}/actions/{action}', None, line.ANY)
        check('PATCH', '/jobs/' + job['id'], '/jobs/{id}', {'priority': 3}, {'If-Match': '*'})
        check('POST', '/recipes/doc/versions/1/actions/retire', verbs, None)
        token = check('POST', '/tokens', '/tokens', {'name': 'doc', 'role': 'mes'})
        check('POST', '/session', '/session', {'token': token['token']})
        check('DELETE', '/tokens/' + token['id'], '/tokens/{id}', None)
        check('POST', '/stations/A2/actions/disable', '/stations/{id}/actions/{action}', None)
        # The station obeys in its own time.
        line.wait_for('A2 is disabled', lambda: self.api.get('/stations/A2')['state'] == 'disabled')
        check('POST', '/stations/A2/actions/enable', '/stations/{id}/actions/{action}', None)


class Streams(Live):
    def test_a_browser_hears_every_second_that_provd_lives(self):
        events = self.line.provd.events(query='?heartbeat=true')
        self.addCleanup(events.stop)
        line.wait_for('heartbeats', lambda: sum(t == 'heartbeat' for _, t, _ in events.events) >= 3)
        self.assertFalse(any(s for s, t, _ in events.events if t == 'heartbeat'), 'a heartbeat has no number')

    def test_a_quiet_stream_has_a_heartbeat(self):
        events = self.line.provd.events()
        self.addCleanup(events.stop)
        line.wait_for('a heartbeat within 12 s', lambda: events.comments, 12)

    def test_a_list_of_types_chooses_in_the_list_as_it_does_live(self):
        made = self.api.post('/pools', {'id': 'chosen', 'pattern': 'C{seq:04}', 'first': 1, 'last': 9})['id']
        for types in ('pool-created,job-created', 'pool-*', 'pool-*,tick', 'job-created,pool-c*'):
            for after in ('', '&after=0'):
                found = self.api.get('/events?limit=1000&type=' + types + after)['items']
                self.assertIn(made, [e['data'].get('pool') for e in found], types)

    def wait(self, query, answers, seconds=50):
        """Asks in a thread of its own, which puts (answer, seconds that it took) into the list."""
        def ask():
            api = self.line.provd.api()
            began = time.monotonic()
            answers.append((api.request('GET', '/events?' + query, headers={'Prefer': 'wait=%d' % seconds}), time.monotonic() - began))
            api.close()
        t = threading.Thread(target=ask)
        t.start()
        return t

    def newest(self, after):
        while (page := self.api.get('/events?limit=1000&after=%d' % after)['items']):
            after = page[-1]['seq']
        return after

    def test_a_client_without_streams_waits_for_the_next_event(self):
        names = iter('abcdefghij')
        pool = lambda: self.api.post('/pools', {'id': 'wait-' + (n := next(names)), 'pattern': 'W%s{seq:04}' % n, 'first': 1, 'last': 9})['id']
        pool()
        last = self.newest(0)
        for query, hears in (('', True), ('&type=pool-created', True), ('&type=pool-*,tick', True), ('&type=tick', False),
                             ('&station=A1&serial=x', False)):
            answers = []
            t = self.wait('after=%d%s' % (last, query), answers, 50 if hears else 1)
            time.sleep(0.05)    # most of them wait by then; it holds for those that do not as well
            made = pool()
            t.join()
            a, took = answers[0]
            self.assertEqual((a.status, a.headers['Preference-Applied']), (200, 'wait=%d' % (50 if hears else 1)), query)
            self.assertEqual([e['data'].get('pool') for e in a.json['items']], [made] if hears else [], query)
            self.assertLess(took, 40)
            if not hears:
                self.assertGreaterEqual(took, 1)
            last = self.newest(last)
        # What is there is answered at once, and what is beyond this epoch's last is refused as ever.
        self.assertEqual(len(self.api.request('GET', '/events?limit=1', headers={'Prefer': 'wait=50'}).json['items']), 1)
        self.problem(self.api.request('GET', '/events?after=x', headers={'Prefer': 'wait=50'}), 400)

    def test_bad_positions_are_400(self):
        for bad in ('x', '-1', '1e3', '0x10', '99999999999999999999'):
            self.problem(self.api.request('GET', '/events?after=' + bad), 400)
            self.problem(self.api.request('GET', '/events', headers={'Last-Event-ID': bad}), 400)


class Crowd(unittest.TestCase):
    def test_slow_clients_and_idle_ones_do_not_keep_others_waiting(self):
        with line.Line(1, boards=0) as l:
            l.start()
            head = ('GET /api/v1/stations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n' % l.provd.token).encode()
            idle, slow, body = [], [], []
            try:
                for _ in range(300):
                    s = socket.create_connection(('127.0.0.1', l.provd.port), timeout=10)
                    idle.append(s)
                    s.sendall(head + b'\r\n')
                    self.assertTrue(s.recv(65536).startswith(b'HTTP/1.1 200'))
                for _ in range(50):
                    s = socket.create_connection(('127.0.0.1', l.provd.port), timeout=10)
                    slow.append(s)
                    s.sendall(head)  # and never the end of it
                for _ in range(50):
                    s = socket.create_connection(('127.0.0.1', l.provd.port), timeout=10)
                    body.append(s)
                    s.sendall(head.replace(b'GET /api/v1/stations', b'POST /api/v1/jobs') + b'Content-Length: 1000\r\n\r\n{')
                slowest = 0
                for _ in range(200):
                    begun = time.monotonic()
                    api = l.provd.api(timeout=5)
                    self.assertEqual(api.request('GET', '/stations').status, 200)
                    api.close()
                    slowest = max(slowest, time.monotonic() - begun)
                self.assertLess(slowest, 2)
                idle[150].sendall(head + b'\r\n')
                self.assertTrue(idle[150].recv(65536).startswith(b'HTTP/1.1 200'))
            finally:
                for s in idle + slow + body:
                    s.close()
            self.assertEqual(l.provd.term(), 0)

    def test_many_streams_are_refused_not_starved(self):
        with line.Line(1, boards=0) as l:
            l.start()
            streams = []
            try:
                for _ in range(70):
                    streams.append(l.provd.events())
                statuses = [s.status for s in streams]
                self.assertGreater(statuses.count(200), 30)
                self.assertLessEqual(set(statuses), {200, 429, 503})
                self.assertEqual(l.api.request('GET', '/stations').status, 200)
            finally:
                for s in streams:
                    s.stop()
            line.wait_for('room for a stream again', lambda: self.opens(l), 30)
            self.assertEqual(l.provd.term(), 0)

    def opens(self, l):
        s = l.provd.events()
        s.stop()
        return s.status == 200

    def test_the_rate_of_a_token_is_limited_and_says_when_to_come_back(self):
        with line.Line(1, boards=0) as l:
            l.config('')
            with open(l.provd.config) as f:
                text = f.read()
            with open(l.provd.config, 'w') as f:
                f.write(text.replace('rate_limit: 0', 'rate_limit: 20'))
            l.start()
            answers = [l.api.request('GET', '/stations') for _ in range(120)]
            late = [a for a in answers if a.status == 429]
            self.assertTrue(late)
            self.assertEqual(late[0].headers['Retry-After'], '1')
            self.assertEqual(late[0].json['code'], 'overloaded')
            line.wait_for('the bucket fills again', lambda: l.api.request('GET', '/stations').status == 200, 5)

    def test_pruned_events_are_410(self):
        with line.Line(1, boards=0) as l:
            l.start()
            for i in range(20):
                l.api.post('/pools', {'id': 'p%d' % i, 'pattern': 'P%d-{seq:04}' % i, 'last': 99})
            l.provd.term()
            with sqlite3.connect(os.path.join(l.home, 'state', 'provd.db')) as d:
                d.execute('DELETE FROM events WHERE seq < 10')
            d.close()
            l.forget_page_sums()
            l.start()
            a = l.api.request('GET', '/events?after=3')
            self.assertEqual((a.status, a.json['code']), (410, 'gone'))
            s = l.provd.events(after=3)
            self.assertEqual(s.status, 410)
            s.stop()
            s = l.provd.events(after=9)
            line.wait_for('the rest', lambda: len(s.durable()) >= 11)
            self.assertEqual(s.durable()[0][0], 10)
            s.stop()


if __name__ == '__main__':
    line.main()
