#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Orders as a MES thinks of them: its own number, an end by itself, holds, what a station must be able to do, and who may do what to
an order in which state.

    test_orders.py [BUILD]
"""
import datetime
import json
import os
import unittest

import line

# A unit says who it is, gets its serial number, and says it back.
RECIPE = '''
recipe: name
version: 1
unit: {model: m, serial: {from: job}}
ports: {console: {kind: tty, baud: 115200}}
params:
  variant: {type: string, default: eu, choices: [eu, us]}
  power: {type: integer, default: 10}
steps:
  - id: chip
    action: device.identify
    with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}
  - id: name
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
  - id: said
    action: console.command
    with: {port: console, send: 'GET_SERIAL', expect: '^${unit.serial}$'}
'''
ASK = '''
recipe: ask
version: 1
unit: {model: m}
ports: {console: {kind: tty}}
steps: [{id: look, action: operator.prompt, with: {text: 'Green?'}}]
'''


class Row(line.Line):
    """Stations whose boards have their application."""

    def __init__(self, stations=2, idle='100', boards=None, config='', **kw):
        super().__init__(stations=stations, boards=0, config=config, **kw)
        try:
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware(2048))
            if boards != 0:
                self.sim = line.Sim(self.home, boards or stations, '--preload', app, '--boot-ms', '1',
                                    *(('--replace-after-idle', idle, '--when-serial') if idle else ()))
            self.start()
            self.put_recipe(RECIPE)
            self.put_recipe(ASK)
        except BaseException:
            self.close()
            raise

    def order(self, **kw):
        return self.api.post('/jobs', dict({'recipe': 'ask', 'quantity': 1}, **kw))

    def act(self, job, verb, reason=None, match='*'):
        return self.api.request('POST', '/jobs/%s/actions/%s' % (job, verb), {'reason': reason} if reason else None,
                                {'If-Match': match} if match else {})

    def job(self, job):
        return self.api.get('/jobs/' + job)

    def events(self, type):
        return self.api.get('/events?type=' + type)['items']


def soon(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')[:-4] + 'Z'


class Orders(unittest.TestCase):
    """One line without units, for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.line = Row(boards=0)
        cls.addClassCleanup(cls.line.close)
        cls.api = cls.line.api

    def refused(self, answer, status, pointer=None, said=''):
        self.assertEqual(answer.status, status, answer.body)
        if pointer is not None:
            self.assertEqual([e['pointer'] for e in answer.json['errors']], [pointer], answer.body)
        self.assertIn(said, answer.json['detail'])

    def test_a_number_is_of_one_order_whoever_sends_it_again(self):
        order = {'recipe': 'ask', 'quantity': 3, 'number': 'WO-1', 'external_ref': 'x'}
        first = self.api.request('POST', '/jobs', order)
        self.assertEqual((first.status, first.json['number']), (201, 'WO-1'))
        again = self.api.request('POST', '/jobs', dict(reversed(order.items())))
        self.assertEqual((again.status, again.json), (200, first.json))
        self.assertEqual(again.headers['Location'], first.headers['Location'])
        self.refused(self.api.request('POST', '/jobs', dict(order, quantity=4)), 409, '/number', "number 'WO-1' is that of job " + first.json['id'])
        self.assertEqual([j['id'] for j in self.api.get('/jobs?number=WO-1')['items']], [first.json['id']])
        # Also when it has ended, and its recipe is not what it was.
        self.assertEqual(self.line.act(first.json['id'], 'cancel').status, 200)
        again = self.api.request('POST', '/jobs', order)
        self.assertEqual((again.status, again.json['state']), (200, 'cancelled'))
        self.assertEqual(len([e for e in self.line.events('job-created') if e['data'].get('number') == 'WO-1']), 1)

    def test_a_verb_needs_the_revision_that_was_seen(self):
        job = self.line.order()
        path = '/jobs/%s/actions/pause' % job['id']
        self.refused(self.api.request('POST', path), 428, said='If-Match is needed')
        self.refused(self.api.request('POST', path, headers={'If-Match': '"%d"' % (job['revision'] + 1)}), 412, said='was changed meanwhile')
        a = self.api.request('POST', path, headers={'If-Match': '"%d"' % job['revision']})
        self.assertEqual((a.status, a.json['state']), (200, 'paused'))
        self.refused(self.api.request('POST', path, headers={'If-Match': '"%d"' % job['revision']}), 409, said="'pause' is not possible now")

    def test_a_hold_says_who_and_why_until_it_is_released(self):
        job = self.line.order()['id']
        self.refused(self.line.act(job, 'hold'), 422, '/reason', "'reason' is missing")
        held = self.line.act(job, 'hold', 'a wrong label').json
        self.assertEqual((held['state'], held['hold']['reason'], held['hold']['by']), ('queued', 'a wrong label', 'first admin'))
        self.refused(self.line.act(job, 'hold', 'once more'), 409, said='is held already')
        self.assertEqual(self.line.act(job, 'pause').json['hold'], held['hold'])
        self.assertIsNone(self.line.act(job, 'release').json['hold'])
        self.refused(self.line.act(job, 'release'), 409, said='nothing to release')
        self.assertEqual([e['data']['reason'] for e in self.line.events('job-held') if e['job'] == job], ['a wrong label'])
        self.assertEqual(len([e for e in self.line.events('job-released') if e['job'] == job]), 1)

    def test_fewer_units_are_enough_where_the_mes_says_so(self):
        job = self.line.order(quantity=5)['id']
        self.refused(self.line.act(job, 'complete'), 422, '/reason')
        done = self.line.act(job, 'complete', 'the customer takes what there is').json
        self.assertEqual((done['state'], done['ending']), ('done', {'how': 'short', 'by': 'first admin', 'reason': 'the customer takes what there is'}))

    def test_an_order_that_nobody_began_lapses_by_itself(self):
        job = self.line.order(expires=soon(1.2))['id']
        later = self.line.order()
        self.api.ok('PATCH', '/jobs/' + later['id'], {'expires': soon(0.3)}, line.ANY)
        for one in (job, later['id']):
            ended = self.line.job_done(one)
            self.assertEqual((ended['state'], ended['ending']['how']), ('cancelled', 'expired'))
        self.assertEqual({e['job'] for e in self.line.events('job-expired')} & {job, later['id']}, {job, later['id']})
        self.refused(self.api.request('POST', '/jobs', {'recipe': 'ask', 'quantity': 1, 'expires': '2020-01-01T00:00:00Z'}), 422, '/expires')
        self.refused(self.api.request('PATCH', '/jobs/' + job, {'expires': None}, line.ANY), 409, said='nothing of it changes any more')

    def test_provctl_orders_holds_and_ends(self):
        ask = self.line.provctl('--json', 'job', 'submit', 'ask', '--quantity', '2', '--number', 'WO-ctl', '--expires', soon(900))
        job = json.loads(ask.stdout)
        self.assertEqual((job['number'], job['ending']), ('WO-ctl', None))
        self.assertEqual(self.line.provctl('job', 'hold', job['id']).returncode, 2)
        held = self.line.provctl('job', 'hold', job['id'], '--reason', 'look at it')
        self.assertEqual((held.returncode, held.stdout), (0, job['id'] + ': queued, held\n'))
        stale = self.line.provctl('job', 'release', job['id'], '--if-match', '1')
        self.assertNotEqual(stale.returncode, 0)
        self.assertIn('was changed meanwhile', stale.stderr)
        self.assertEqual(self.line.provctl('job', 'release', job['id']).returncode, 0)
        short = self.line.provctl('job', 'complete', job['id'], '--reason', 'enough')
        self.assertEqual(short.stdout, job['id'] + ': done\n')
        self.assertIn('no station that has the recipe', self.line.provctl('job', 'submit', 'ask', '--quantity', '1', '--requires', 'x-ray').stderr)


class Stations(unittest.TestCase):
    def test_only_a_station_that_is_able_to_takes_a_unit(self):
        with Row(2, boards=0, station_extra='    capabilities: [rf]\n') as l:
            app = os.path.join(l.home, 'app.bin')
            text = line.read(os.path.join(l.home, 'stations.d', 'line.yaml'))
            line.write(os.path.join(l.home, 'stations.d', 'line.yaml'), text.replace('[rf]', '[rf, camera]', 1))
            l.provd.stop()
            l.start()
            l.sim = line.Sim(l.home, 2, '--preload', app, '--boot-ms', '1', '--replace-after-idle', '100', '--when-serial')
            a = l.api.request('POST', '/jobs', {'recipe': 'name', 'serials': ['S1'], 'requires': ['x-ray']})
            self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, '/requires'))
            job = l.api.post('/jobs', {'recipe': 'name', 'serials': ['S1', 'S2', 'S3'], 'requires': ['camera']})['id']
            self.assertEqual(l.job_done(job)['ending']['how'], 'complete')
            self.assertEqual({r['station'] for r in l.api.get('/runs?job_id=' + job)['items']}, {'A1'})


if __name__ == '__main__':
    line.main()
