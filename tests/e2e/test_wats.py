#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reports of runs for WATS (WSJF): as files and by POST, looked at by a schema that is not provd's.

    test_wats.py [BUILD]
"""
import http.server
import json
import os
import threading
import unittest

import cfx_schemas
import line
import test_api
import test_cfx
import test_webhooks

try:
    import jsonschema
except ImportError:
    jsonschema = None

message, TEXT, TIME = cfx_schemas.message, cfx_schemas.TEXT, cfx_schemas.TIME
STATUS = {'enum': ['P', 'F', 'E', 'T', 'S']}
LIMIT = {'type': ['number', 'null']}
NUMERIC = message({'compOp': {'enum': ['GELE', 'GE', 'LE', 'LOG']}, 'name': TEXT, 'status': STATUS, 'unit': {'type': 'string'},
                   'value': {'type': 'number'}, 'lowLimit': LIMIT, 'highLimit': LIMIT})


def step(kind, member, item, n):
    return message({'id': {'type': 'integer', 'minimum': 1}, 'group': {'enum': ['S', 'M', 'C']}, 'stepType': {'const': kind},
                    'name': TEXT, 'start': TIME, 'status': STATUS, 'totTime': {'type': 'number', 'minimum': 0},
                    'causedUUTFailure': {'type': 'boolean'}, member: {'type': 'array', 'minItems': n, 'items': item}},
                   reportText=TEXT)


STEP = {'oneOf': [
    step('ET_NLT', 'numericMeas', NUMERIC, 1), step('ET_MNLT', 'numericMeas', NUMERIC, 2),
    step('ET_PFT', 'booleanMeas', message({'name': {'type': 'null'}, 'status': STATUS}), 1),
    step('ET_SVT', 'stringMeas', message({'compOp': {'const': 'LOG'}, 'name': TEXT, 'status': STATUS, 'value': {'type': 'string'},
                                          'limit': {'type': 'null'}}), 1)]}
REPORT = message({
    'type': {'const': 'T'}, 'id': cfx_schemas.UUID, 'pn': TEXT, 'sn': {'type': 'string'}, 'rev': {'type': 'string'},
    'processCode': {'type': 'string', 'pattern': '^[0-9]+$'}, 'processName': TEXT, 'result': STATUS, 'machineName': TEXT,
    'location': {'type': 'string'}, 'start': TIME, 'startUTC': TIME, 'uut': {'type': 'object', 'required': ['user']},
    'root': message({'id': {'const': 0}, 'group': {'const': 'M'}, 'stepType': {'const': 'SequenceCall'}, 'name': TEXT,
                     'status': STATUS, 'totTime': {'type': 'number'}, 'causedUUTFailure': {'type': 'boolean'},
                     'seqCall': message({'path': TEXT, 'name': TEXT, 'version': TEXT}), 'steps': {'type': 'array', 'items': STEP}}),
    'miscInfos': {'type': 'array', 'items': message({'description': TEXT, 'text': TEXT, 'numeric': {'type': 'null'}})},
    'subUnits': {'type': 'array', 'items': message({k: {'type': 'string'} for k in ('partType', 'pn', 'rev', 'sn')})}})


class Server:
    """/api/Report/WSJF of somebody's WATS: [(path, headers, report)]. Says 503 to the first that comes."""

    def __init__(self):
        got = self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                got.append((self.path, self.headers, json.loads(body)))
                self.send_response(503 if len(got) == 1 else 200)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = 'http://127.0.0.1:%d/api/Report/WSJF' % self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Row(test_cfx.Row):
    """Without a broker; its spool folder has reports."""

    def configure(self):
        self.spool = os.path.join(self.home, 'spool')
        os.makedirs(self.spool, exist_ok=True)
        line.write(os.path.join(self.home, 'sign'), 'whsec_%s\n' % test_webhooks.SECRETS['one'])
        line.write(os.path.join(self.home, 'token'), 'Basic d2F0czpzZXNhbWU=\n')
        line.write(os.path.join(self.home, 'lines'), 'Basic a\nX-Evil: 1\n')
        self.config('spool: {dir: %s, format: wsjf}\nwats: {process_code: "42", process_name: Flash, location: hall 2}\n'
                    'webhooks: {allow: [127.0.0.1]}\nservices: {nobody: {url: "http://127.0.0.1:1", timeout: 1s}}\n'
                    'secrets: {sign: {file: %s/sign}, token: {file: %s/token}, lines: {file: %s/lines}}\n' % (
                        self.spool, self.home, self.home, self.home))

    def files(self):
        return sorted(f for f in os.listdir(self.spool) if f.endswith('.json'))


@unittest.skipIf(jsonschema is None, 'python3-jsonschema is not installed')
class Wats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = Row('')
        cls.addClassCleanup(cls.line.close)
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def check(self, report, **want):
        self.assertEqual(list(jsonschema.Draft202012Validator(REPORT).iter_errors(report)), [], json.dumps(report, indent=1))
        self.assertEqual({k: report[k] for k in want}, want)
        # One limit alone is in the low one.
        for m in (m for s in report['root']['steps'] for m in s.get('numericMeas', [])):
            self.assertEqual((m['lowLimit'] is None, m['highLimit'] is None),
                             {'GELE': (False, False), 'GE': (False, True), 'LE': (False, True), 'LOG': (True, True)}[m['compOp']])

    def test_a_report_of_each_run_is_a_file_and_a_post(self):
        l = self.line
        api = l.api
        p = l.provctl('--json', 'webhook', 'add', self.server.url, '--secret', 'sign', '--auth', 'token', '--format', 'wsjf')
        hook, = json.loads(p.stdout)['items']
        self.assertEqual((hook['types'], hook['format'], hook['auth']), (['run-finished'], 'wsjf', 'token'))
        line.wait_for('the spool has begun', lambda: l.provd.db().execute('SELECT 1 FROM spool').fetchone())
        l.order(external_ref='PO-4711')
        l.fault()
        line.wait_for('two files', lambda: len(l.files()) >= 2)
        good, bad = (json.loads(line.read(os.path.join(l.spool, f))) for f in l.files()[:2])
        run = api.get('/runs/' + good['id'])
        self.check(good, result='P', sn=run['serial'], pn='thing', processCode='42', processName='Flash', location='hall 2')
        self.check(bad, result='E')
        self.assertEqual([(s['name'], s['stepType'], s['status']) for s in good['root']['steps']],
                         [('name', 'ET_PFT', 'P'), ('temperature', 'ET_NLT', 'P')])
        measured, = good['root']['steps'][1]['numericMeas']
        self.assertEqual((measured['compOp'], measured['lowLimit'], measured['highLimit'], measured['unit']), ('GELE', 0, 99, 'degC'))
        self.assertIn({'description': 'work order', 'text': 'PO-4711', 'numeric': None}, good['miscInfos'])
        self.assertEqual([s['causedUUTFailure'] for s in bad['root']['steps']], [False, False, True])
        line.wait_for('it was tried', lambda: self.server.got)
        api.ok('PATCH', '/webhooks/' + hook['id'], {'enabled': True}, {'If-Match': '*'})
        line.wait_for('all of them came', lambda: len(self.server.got) >= 3)
        # The first one was refused, and came once more; the other unit's goes its own way.
        first, *later = self.server.got[:3]
        self.assertEqual([g[1]['webhook-id'] for g in later].count(first[1]['webhook-id']), 1)
        self.assertEqual({g[2]['id']: g[2] for g in self.server.got}, {good['id']: good, bad['id']: bad})
        self.assertEqual((first[0], first[1]['Authorization']), ('/api/Report/WSJF', 'Basic d2F0czpzZXNhbWU='))
        self.assertNotIn('d2F0czpzZXNhbWU=', l.provd.log_text())
        schema = test_api.Schema(api.get('/openapi.json'))
        self.assertEqual(schema.errors(api.get('/webhooks'), {'$ref': '#/components/schemas/WebhookList'}), [])

    def test_what_cannot_be_a_report_is_refused_at_its_place(self):
        api = self.line.api
        for body, pointer in (({'format': 'cfx'}, '/format'), ({'format': 'wsjf', 'types': ['job-created']}, '/types'),
                              ({'auth': 'nobody'}, '/auth'), ({'auth': 'lines'}, '/auth')):
            a = api.request('POST', '/webhooks', dict({'url': self.server.url, 'secret': 'sign'}, **body))
            self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, pointer), a.body)
        hook = api.post('/webhooks', {'url': self.server.url, 'secret': 'sign', 'format': 'wsjf', 'enabled': False})
        for path, body in (('', {'types': []}), ('/actions/test', None)):
            a = api.request('POST' if path else 'PATCH', '/webhooks/' + hook['id'] + path, body, {'If-Match': '*'})
            self.assertEqual((a.status, a.json['code']), (409, 'conflict'), a.body)


if __name__ == '__main__':
    line.main()
