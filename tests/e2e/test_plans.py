#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No statement of provd reads a whole table that grows with the units: SQLite's own program for each that is prepared while a line
works, is asked for everything that OpenAPI names, and starts again, says what it walks from one end.

    test_plans.py [BUILD]
"""
import collections
import os
import re
import unittest

import line

# Those with a row for each unit, or more.
GROW = ('runs', 'steps', 'measurements', 'run_log', 'events', 'units', 'serials', 'intents', 'certificates', 'outbox', 'deliveries',
        'run_records', 'record_nodes', 'run_traits', 'attachments', 'prompts', 'job_units', 'audit', 'unit_wear')
# What ends after a known number of rows, or is not for a line at work: part of the statement, why.
ALLOWED = (
    (r'^(DELETE FROM events WHERE seq IN \()?SELECT [^?]* FROM \w+( \w)? ORDER BY \w+( DESC)?(, \w+( DESC)?)? LIMIT (\?|1)( OFFSET \?)?(\)|$)',
     'a walk along the order of the rows that ends by itself'),
    (r'FROM (events|runs|serials) WHERE .* ORDER BY seq( DESC)? LIMIT \?$', 'a page ends after 4,000 rows (db/stmt.h), once there are as many'),
    (r' WHERE false AND ', 'it reads nothing'),
    (r'ORDER BY seq, place LIMIT \?$', 'an export, in the order of the runs'),
    (r'WHERE seq > c.after_seq ORDER BY seq DESC LIMIT \?', 'a known number of rows'),
    (r'ORDER BY seq DESC LIMIT \d+', 'the same'),
    (r'SELECT \(SELECT min\(seq\) FROM events\)', 'one row; the other table has few'),
    (r"WHERE state = 'open'|o.state = 'open'", 'a partial index: runs under way'),
    (r"state = 'ordered' LIMIT 1", 'a partial index: certificates under way'),
    (r"i.state <> 'committed' LIMIT 1|NOT IN \(SELECT id FROM runs\)|FROM runs WHERE state <> ", 'the check of all records, next to the line'),
)
BURN = '''
recipe: burn
version: 1
unit: {model: provsim-1, serial: {pool: production-sn}}
ports: {console: {kind: tty, baud: 115200}}
artifacts: {fields: otp-fields.yml}
steps:
  - {id: chip, action: device.identify, with: {port: console, prompt: '> ', send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - {id: id, action: unit.identity, with: {values: {eth0: {pool: macs}, license: {pool: keys}}}}
  - {id: mac, action: unit.mac, with: {port: console, sync: false, prompt: '> ', mac: '${steps.id.eth0}', index: 0}}
  - id: boot
    action: otp.write
    with: {port: console, sync: false, prompt: '> ', map: '${artifacts.fields}', field: boot, value: '0x5', irreversible: yes-i-mean-it}
'''
PARAMS = {'station': 'A1', 'fixture': 'F1', 'recipe': 'production', 'version': '1', 'from': '2020-01-01T00:00:00Z',
          'to': '2099-01-01T00:00:00Z', 'limit': '5', 'by': None, 'name': 'x', 'q': 'SN', 'model': 'provsim-1', 'type': 'run-finished',
          'kind': 'serial', 'code': 'timeout', 'step': 'flash', 'outcome': 'passed', 'value': 'x', 'after': '1', 'bound': 'true',
          'action': 'artifact.put', 'principal': 'mes', 'issuer': 'factory', 'unit': 'x', 'pool': 'production-sn'}


class Plans(unittest.TestCase):
    def setUp(self):
        self.preload = os.path.join(line.build_dir(), 'tests', 'e2e', 'plans.so')
        if not os.path.exists(self.preload):
            self.skipTest('a build with a sanitizer takes no preloaded library')

    def wrongs(self):
        found = {}
        for record in filter(None, line.read(self.plans).split('\x1e')):
            table, sql = record.split('\x1f')
            sql = ' '.join(sql.split())
            if not sql.startswith(('SELECT', 'WITH', 'UPDATE', 'DELETE', 'INSERT')):
                continue  # a migration
            if table in GROW and not any(re.search(allowed, sql) for allowed, _ in ALLOWED):
                found[sql] = table
        return found

    def ask_everything(self, api):
        """Each GET of the document, with each of its parameters alone, of things that are there."""
        doc = api.get('/openapi.json')
        asked = collections.Counter()
        run, job = api.get('/runs')['items'][0], api.get('/jobs')['items'][0]['id']
        ids = {'runs': run['id'], 'jobs': job, 'units': run['serial'], 'stations': 'A1', 'recipes': 'production', 'pools': 'production-sn',
               'prompts': 'x', 'artifacts': api.get('/artifacts')['items'][0]['sha256']}
        for path, item in doc['paths'].items():
            op = item.get('get')
            if not op or path in ('/api/v1/events/stream',):
                continue
            at = re.sub(r'\{\w+\}', lambda m: ids.get(path.split('/')[3], '1') if m.start() == path.index('{') else '1', path)
            params = [p if 'name' in p else doc['components']['parameters'][p['$ref'].rsplit('/', 1)[1]] for p in op.get('parameters', [])]
            queries = ['']
            for p in params:
                if p.get('in') == 'query':
                    value = PARAMS.get(p['name'])
                    for v in p['schema'].get('enum') or [value or 'x']:
                        queries.append('?%s=%s' % (p['name'], v))
            for q in queries:
                a = api.request('GET', at + q, raw=True, headers={'Accept': 'application/json'})
                self.assertLess(a.status, 500, at + q)
                asked[a.status] += 1
        return asked

    def test_no_statement_reads_all_rows_of_what_grows(self):
        with line.Line(2, sim_args=('--prompt', '1')) as l:
            line.write(os.path.join(l.home, 'one'), 'whsec_' + 'A' * 43 + '=\n')
            l.config('webhooks: {allow: [127.0.0.0/8], timeout: 1s}\nsecrets: {one: {file: %s/one}}\n' % l.home)
            self.plans = os.path.join(l.home, 'plans')
            l.provd.wrap = ['env', 'LD_PRELOAD=' + self.preload, 'PROVD_PLANS=' + self.plans]
            l.start()
            l.prepare(line.firmware(16 * 1024))
            l.api.post('/pools', {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48', 'first': 0, 'last': 999})
            l.api.post('/pools', {'id': 'keys', 'kind': 'license', 'values': ['LIC-1', 'LIC-2']})
            l.api.post('/webhooks', {'url': 'http://127.0.0.1:9/x', 'types': ['run-finished'], 'secret': 'one'})
            l.put_firmware(line._bytes_of(os.path.join(line.ROOT, 'recipes', 'otp-fields.yml')), 'otp-fields.yml')
            l.put_recipe(BURN)
            for recipe in ('production', 'burn'):
                job = l.job_done(l.api.post('/jobs', {'recipe': recipe, 'quantity': 1, 'stations': ['A1']})['id'])
                self.assertEqual(job['passed'], 1)
                l.sim.ctl('replug', board='b1', gap_ms=100)
            print('asked: %s' % dict(self.ask_everything(l.api)))
            l.api.request('POST', '/stations/A1/actions/disable')
            l.provd.kill()
            l.start()
            self.assertEqual(l.provd.term(), 0)
            self.assertGreater(os.path.getsize(self.plans), 1000)
            wrongs = self.wrongs()
            self.assertFalse(wrongs, '\n'.join('%s: %s' % (table, sql) for sql, table in wrongs.items()))


if __name__ == '__main__':
    line.main()
