#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Orders as a MES thinks of them: its own number, an end by itself, holds, what a station must be able to do, and who may do what to
an order in which state.

    test_orders.py [BUILD]
"""
import concurrent.futures
import datetime
import http.client
import http.server
import json
import os
import select
import signal
import socket
import threading
import time
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

    def write_stations(self, more):
        """Once provd has read them."""
        path = os.path.join(self.home, 'stations.d', 'line.yaml')
        line.write(path, line.read(path) + more)
        self.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('they are read', lambda: 'stations read again' in self.provd.log_text())

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

    def patch(self, job, **change):
        return self.api.request('PATCH', '/jobs/' + job['id'], change, line.ANY)

    def test_a_number_is_of_one_order_whoever_sends_it_again(self):
        order = {'recipe': 'ask', 'quantity': 3, 'number': 'WO-1', 'external_ref': 'x'}
        first = self.api.request('POST', '/jobs', order)
        self.assertEqual((first.status, first.json['number']), (201, 'WO-1'))
        again = self.api.request('POST', '/jobs', dict(reversed(order.items())))
        self.assertEqual((again.status, again.json), (200, first.json))
        self.assertEqual(again.headers['Location'], first.headers['Location'])
        self.refused(self.api.request('POST', '/jobs', dict(order, quantity=4)), 409, '/number', "number 'WO-1' is that of an order with other content")
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
        self.api.ok('PATCH', '/jobs/' + later['id'], {'expires': soon(1.2)}, line.ANY)
        for one in (job, later['id']):
            ended = self.line.job_done(one)
            self.assertEqual((ended['state'], ended['ending']['how']), ('cancelled', 'expired'))
        self.assertEqual({e['job'] for e in self.line.events('job-expired')} & {job, later['id']}, {job, later['id']})
        self.refused(self.api.request('POST', '/jobs', {'recipe': 'ask', 'quantity': 1, 'expires': '2020-01-01T00:00:00Z'}), 422, '/expires')
        self.refused(self.api.request('PATCH', '/jobs/' + job, {'expires': None}, line.ANY), 409, said='nothing of it changes any more')

    def test_a_chip_is_that_of_one_unit_of_a_list(self):
        units = [{'serial': 'C1', 'chip_id': 'x'}, {'serial': 'C2'}, {'serial': 'C3', 'chip_id': 'x'}]
        order = {'recipe': 'name', 'assign': 'recognised', 'units': units}
        self.refused(self.api.request('POST', '/jobs', order), 422, '/units/2/chip_id', 'first as number 1')
        units[2]['chip_id'] = 'y'
        self.assertEqual(self.api.request('POST', '/jobs', order).status, 201)

    def test_a_time_that_is_over_is_no_expiry(self):
        order = {'recipe': 'ask', 'quantity': 1}
        self.refused(self.api.request('POST', '/jobs', dict(order, expires=soon(-1))), 422, '/expires', 'is over already')
        # 0 is what says never in the records: nobody gets that by a time.
        for over in ('1970-01-01T00:00:00Z', '1969-12-31T23:59:59Z'):
            self.refused(self.api.request('POST', '/jobs', dict(order, expires=over)), 422, '/expires', 'after 1970')
            self.refused(self.api.request('POST', '/tokens', {'name': 'x', 'role': 'mes', 'expires_at': over}), 422, '/expires_at', 'after 1970')
        job = self.line.order()
        self.refused(self.patch(job, expires=soon(-1)), 422, '/expires', 'is over already')
        self.assertEqual(self.line.job(job['id'])['state'], 'queued')

    def test_a_station_that_could_not_make_it_is_refused_later_as_well(self):
        job = self.line.order(stations=['A1'])
        self.line.write_stations("  - id: B9\n    ports: {probe: {path: 'platform-provsim-usb-0:1.9', kind: usb}}\n")
        patch = lambda ids: self.api.request('PATCH', '/jobs/' + job['id'], {'stations': ids}, line.ANY)
        self.refused(patch(['A1', 'B9']), 422, '/stations/1', 'station B9 has none')
        self.refused(patch(['nowhere']), 422, '/stations/0', "there is no station 'nowhere'")
        self.assertEqual(patch(['A2']).json['affinity'], ['A2'])
        self.refused(self.patch(job, requires=['x-ray']), 422, '/requires', 'no station that has the recipe')
        self.refused(self.patch(job, requires=['x-ray'], stations=['A1']), 422, '/stations/0', "requires 'x-ray'")
        self.assertEqual(self.line.job(job['id'])['requires'], [])

    def test_parameters_are_changed_until_it_begins(self):
        job = self.line.order(recipe='name', serials=['P1'], stations=['A1'], params={'power': 5})
        self.assertEqual(job['params'], {'variant': 'eu', 'power': 5})
        self.refused(self.patch(job, params={'variant': 'jp'}), 422, '/params/variant')
        self.refused(self.patch(job, params={'watts': 5}), 422, '/params/watts')
        self.assertEqual(self.patch(job, params={'variant': 'us'}).json['params'], {'variant': 'us', 'power': 5})
        self.assertEqual(self.patch(job, params={'power': None}).json['params'], {'variant': 'us', 'power': 10})
        listed = self.line.order(recipe='name', units=[{'serial': 'P2'}])
        self.refused(self.patch(listed, params={'variant': 'us'}), 400, said='each has its own parameters')

    def test_two_who_change_parameters_at_a_time_both_have_theirs(self):
        job = self.line.order(recipe='name', serials=['P3'], stations=['A1'])

        # Nobody else changes that one: what was answered is what it stays.
        def change(name, values):
            api = self.line.provd.api()
            try:
                for v in values:
                    self.assertEqual(api.request('PATCH', '/jobs/' + job['id'], {'params': {name: v}}, line.ANY).status, 200)
                    for _ in range(2):
                        self.assertEqual(api.get('/jobs/' + job['id'])['params'][name], v)
            finally:
                api.close()

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for one in (pool.submit(change, 'power', range(1, 61)), pool.submit(change, 'variant', ['us', 'eu'] * 30)):
                one.result()
        self.assertEqual(self.line.job(job['id'])['params'], {'power': 60, 'variant': 'eu'})

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


class Waiting(unittest.TestCase):
    """Prefer: wait=N."""

    def setUp(self):
        self.line = Row(boards=0)
        self.addCleanup(self.line.close)
        self.job = self.line.order()
        self.path = '/jobs/' + self.job['id']

    def wait(self, revision, seconds, answers, token=None):
        """Asks in a thread of its own, which puts (answer, seconds that it took) into the list."""
        def ask():
            api = self.line.provd.api(token)
            began = time.monotonic()
            try:
                a = api.request('GET', self.path, headers={'If-None-Match': '"%d"' % revision, 'Prefer': 'wait=%d' % seconds})
                answers.append((a, time.monotonic() - began))
            except (OSError, http.client.HTTPException):
                pass    # provd has ended
            api.close()
        t = threading.Thread(target=ask)
        t.start()
        return t

    def act(self, verb):
        return self.line.act(self.job['id'], verb).json['revision']

    def test_the_answer_comes_with_the_change(self):
        answers = []
        threads = [self.wait(self.job['revision'], 50, answers) for _ in range(20)]
        # All of them wait, and all threads of provd are free.
        self.assertEqual(self.line.api.get(self.path)['state'], 'queued')
        revision = self.act('pause')
        for t in threads:
            t.join()
        self.assertEqual({(a.status, a.json['state'], a.headers['ETag'], a.headers['Preference-Applied']) for a, _ in answers},
                         {(200, 'paused', '"%d"' % revision, 'wait=50')})
        self.assertLess(max(took for _, took in answers), 40)

    def test_a_change_that_was_before_is_answered_at_once(self):
        self.act('pause')
        answers = []
        self.wait(self.job['revision'], 50, answers).join()
        self.assertEqual((answers[0][0].status, answers[0][0].json['state']), (200, 'paused'))
        # Nothing is waited for without a revision to compare with, and what is not understood is no preference.
        for headers in ({'Prefer': 'wait=50'}, {'Prefer': 'wait=x', 'If-None-Match': '"2"'}, {'Prefer': 'x=1', 'If-None-Match': '"2"'}):
            a = self.line.api.request('GET', self.path, headers=headers)
            self.assertIn(a.status, (200, 304))
            self.assertNotIn('Preference-Applied', a.headers)

    def test_without_a_change_it_is_304_at_the_end(self):
        answers = []
        self.wait(self.job['revision'], 1, answers).join()
        a, took = answers[0]
        self.assertEqual((a.status, a.body, a.headers['Preference-Applied']), (304, b'', 'wait=1'))
        self.assertGreaterEqual(took, 1)

    def test_one_token_does_not_hold_all_places_and_a_stop_does_not_wait(self):
        answers = []
        threads = [self.wait(self.job['revision'], 50, answers) for _ in range(40)]
        line.wait_for('eight too many', lambda: len(answers) == 8)
        self.assertEqual({(a.status, a.headers['Retry-After'] is not None) for a, _ in answers}, {(429, True)})
        mes = self.line.api.post('/tokens', {'name': 'mes', 'role': 'mes'})['token']
        other = []
        t = self.wait(self.job['revision'], 1, other, mes)
        t.join()
        self.assertEqual(other[0][0].status, 304)
        self.assertEqual(self.line.provd.term(20), 0)
        for t in threads:
            t.join()
        # Each is answered or, where provd was gone before its bytes were, cut; none waits on.
        statuses = [a.status for a, _ in answers]
        self.assertEqual((statuses.count(429), set(statuses)), (8, {304, 429}))

    def test_clients_that_were_cut_keep_no_place(self):
        asked = 'GET /api/v1%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nPrefer: wait=60\r\nIf-None-Match: "%d"\r\n\r\n' % (
            self.path, self.line.provd.token, self.job['revision'])
        socks = [socket.create_connection(('127.0.0.1', self.line.provd.port)) for _ in range(33)]
        for s in socks:
            s.sendall(asked.encode())
        once = {'Prefer': 'wait=1', 'If-None-Match': '"%d"' % self.job['revision']}
        line.wait_for('one of them is too many', lambda: select.select(socks, [], [], 0)[0])
        self.assertEqual(self.line.api.request('GET', self.path, headers=once).status, 429)
        for s in socks:
            s.close()
        line.wait_for('one waits again', lambda: self.line.api.request('GET', self.path, headers=once).status == 304, 30)

    def test_what_is_no_number_of_seconds_is_no_preference(self):
        for prefer, applied in (('wait=-1', None), ('wait=+1', None), ('wait=1x', None), ('handling=lenient;wait=50', None), ('x="a, wait=50"', None),
                                ('wait = 1', 'wait=1'), ('wait="1"', 'wait=1'), ('respond-async, WAIT=1;x=y', 'wait=1'), ('x="\\",", wait=1', 'wait=1')):
            a = self.line.api.request('GET', self.path, headers={'Prefer': prefer, 'If-None-Match': '"%d"' % self.job['revision']})
            self.assertEqual((a.status, a.headers['Preference-Applied']), (304, applied), prefer)

    def test_a_token_that_is_revoked_meanwhile_learns_nothing(self):
        mes = self.line.api.post('/tokens', {'name': 'mes', 'role': 'mes'})
        answers = []
        t = self.wait(self.job['revision'], 50, answers, mes['token'])
        self.line.api.ok('DELETE', '/tokens/' + mes['id'])
        self.act('pause')
        t.join()
        self.assertEqual(answers[0][0].status, 401)


class Mes:
    """Answers what may be made: says(question) gives (status, answer)."""

    def __init__(self, says):
        self.asked, self.says, self.release = [], says, threading.Event()
        mes = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                mes.asked.append(question)
                status, answer = mes.says(question)
                text = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header('Content-Length', str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass    # provd does not wait any more

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = 'http://127.0.0.1:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


class Routes(unittest.TestCase):
    """Who is asked before a unit begins."""

    def row(self, says, stations=1, idle=None):
        self.mes = Mes(says)
        self.addCleanup(self.mes.close)
        l = Row(stations, idle=idle, config='services: {mes: {url: "%s", timeout: 20s}, gone: {url: "http://127.0.0.1:1"}}\n' % self.mes.url)
        self.addCleanup(l.close)
        return l

    def order(self, l, *serials, **check):
        return l.api.post('/jobs', {'recipe': 'name', 'units': [{'serial': s} for s in serials],
                                    'route_check': dict({'service': 'mes'}, **check)})['id']

    def runs(self, l, job, n):
        def ended():
            runs = [r for r in l.api.get('/runs?job_id=' + job)['items'] if r['outcome']]
            return runs if len(runs) >= n else None
        return line.wait_for('%d runs' % n, ended)

    def yes(self, q):
        return 200, {'id': q['id'], 'result': 'allow'}

    def test_a_unit_that_may_be_made_is(self):
        l = self.row(self.yes, idle='100')
        job = self.order(l, 'A1', 'A2')
        self.assertEqual(l.job_done(job)['passed'], 2)
        self.assertEqual([q['primary_identifier'] for q in self.mes.asked], ['A1', 'A2'])
        q = self.mes.asked[0]
        self.assertEqual((q['order']['id'], q['station'], q['recipe'], q['units']),
                         (job, 'A1', {'name': 'name', 'version': 1}, [{'unit_identifier': 'A1', 'unit_position_number': 1}]))
        self.assertEqual({(e['serial'], e['data']['result'], e['data']['answered']) for e in l.events('route-checked')},
                         {('A1', 'allow', True), ('A2', 'allow', True)})

    def test_a_unit_that_is_held_or_rejected_is_not_touched_and_says_why(self):
        answers = {'H1': ('hold', 'wait for quality'), 'J1': ('reject', 'made in hall 3')}
        l = self.row(lambda q: (200, dict(zip(('result', 'reason'), answers[q['primary_identifier']]), id=q['id'])))
        job = self.order(l, 'H1', 'J1')
        held, = self.runs(l, job, 1)
        self.assertEqual((held['outcome'], held['code'], held['step']), ('aborted', 'route-held', 'route-check'))
        self.assertIn("'mes' says hold: wait for quality", held['message'])
        self.assertIn('wait for quality', l.api.get('/stations/A1')['last']['message'])
        self.assertEqual(l.api.get('/runs/%s/steps' % held['id'])['items'], [])
        l.sim.ctl('next', board='b1', gap_ms=100)
        rejected = self.runs(l, job, 2)[0]
        self.assertEqual((rejected['outcome'], rejected['code']), ('aborted', 'route-rejected'))
        units = {u['serial']: (u['state'], u['reason']) for u in l.api.get('/jobs/%s/units' % job)['items']}
        self.assertEqual(units, {'H1': ('waiting', 'wait for quality'), 'J1': ('cancelled', 'made in hall 3')})
        self.assertEqual([e['data']['result'] for e in l.events('route-checked')], ['hold', 'reject'])
        self.assertFalse([u for _, u, _ in l.sim.units() if u.get('serial')])

    def test_what_silence_means_is_the_orders_to_say(self):
        l = self.row(lambda q: (self.mes.release.wait(30), self.yes(q))[1])
        for silence, outcome, code in (('allow', 'passed', None), ('hold', 'aborted', 'route-held'), ('reject', 'aborted', 'route-rejected')):
            job = self.order(l, 'Q' + silence, on_no_answer=silence, timeout='300ms')
            if silence != 'allow':
                l.sim.ctl('next', board='b1', gap_ms=100)
            run = self.runs(l, job, 1)[0]
            self.assertEqual((run['outcome'], run['code']), (outcome, code), run)
            l.act(job, 'stop')
        self.assertEqual([e['data']['answered'] for e in l.events('route-checked')], [False] * 3)
        job = self.order(l, 'gone1', service='gone', on_no_answer='reject')
        l.sim.ctl('next', board='b1', gap_ms=100)
        self.assertIn('the order says reject then', self.runs(l, job, 1)[0]['message'])

    def test_the_answer_to_an_earlier_unit_is_none_for_the_next(self):
        """A proxy that answers each question with the answer to the one before."""
        before = ['none']

        def late(q):
            before.append(q['id'])
            return 200, {'id': before[-2], 'result': 'allow'}
        l = self.row(late)
        job = self.order(l, 'L1', 'L2', on_no_answer='hold')
        self.runs(l, job, 1)
        l.sim.ctl('next', board='b1', gap_ms=100)
        for run in self.runs(l, job, 2):
            self.assertEqual(run['code'], 'route-held')
            self.assertIn("does not carry the 'id' of the question", run['message'])

    def test_a_provd_that_was_killed_while_it_asked_asks_again(self):
        first = threading.Event()

        def slow(q):
            if not first.is_set():
                first.set()
                self.mes.release.wait(30)
            return self.yes(q)
        l = self.row(slow)
        job = self.order(l, 'K1', timeout='20s')
        line.wait_for('it asks', first.is_set)
        self.assertEqual(l.api.get('/stations/A1')['run']['step']['id'], 'route-check')
        l.provd.kill()
        l.start()
        self.assertEqual(l.job_done(job)['passed'], 1)
        self.assertEqual([q['primary_identifier'] for q in self.mes.asked], ['K1', 'K1'])
        self.assertEqual(len({q['id'] for q in self.mes.asked}), 2)

    def test_a_unit_that_is_recognised_in_a_step_is_asked_about_then(self):
        l = self.row(lambda q: (200, {'id': q['id'], 'result': 'reject', 'reason': 'not here'}))
        uid = l.sim.boards()[0]['uid']
        job = l.api.post('/jobs', {'recipe': 'name', 'assign': 'recognised', 'units': [{'serial': 'C1', 'chip_id': uid}],
                                   'route_check': {'service': 'mes'}})['id']
        run = self.runs(l, job, 1)[0]
        self.assertEqual((run['outcome'], run['code']), ('aborted', 'route-rejected'), run)
        self.assertEqual([(q['primary_identifier'], q['chip_id']) for q in self.mes.asked], [('C1', uid)])
        self.assertEqual(l.job_done(job)['ending']['how'], 'short')
        self.assertFalse([u for _, u, _ in l.sim.units() if u.get('serial')])


class Lists(unittest.TestCase):
    """Units that the MES lists, each with what is its own."""

    def states(self, l, job):
        return {u['serial']: u['state'] for u in l.api.all('/jobs/%s/units' % job)}

    def test_each_unit_gets_its_own_parameters_and_number(self):
        units = [{'serial': 'U%03d' % i, 'params': {'variant': 'us' if i % 3 else 'eu', 'power': i}} for i in range(1, 13)]
        with Row(2) as l:
            job = l.api.post('/jobs', {'recipe': 'name', 'number': 'WO-7', 'params': {'variant': 'eu'}, 'units': units})
            self.assertEqual((job['quantity'], job['assign']), (12, 'in-order'))
            done = l.job_done(job['id'])
            self.assertEqual((done['passed'], done['ending']), (12, {'how': 'complete'}))
            runs = {r['serial']: r for r in l.api.all('/runs?job_id=' + job['id'])}
            self.assertEqual({s: r['params'] for s, r in runs.items()}, {u['serial']: u['params'] for u in units})
            self.assertEqual(set(self.states(l, job['id']).values()), {'passed'})
            # In the device as well: what it holds is what its row says.
            self.assertEqual({u['serial'] for _, u, _ in l.sim.units() if u.get('serial')} & set(runs), set(runs))
            one = l.api.get('/jobs/%s/units/U003' % job['id'])
            self.assertEqual([r['id'] for r in one['runs']], [runs['U003']['id']])
            self.assertEqual((one['n'], one['attempts'], one['run']), (3, 1, runs['U003']['id']))
            self.assertTrue(one['chip_id'])
            self.assertEqual(l.api.request('GET', '/jobs/%s/units/nosuch' % job['id']).status, 404)
            self.assertEqual(len(l.api.get('/jobs/%s/units?state=passed&limit=5' % job['id'])['items']), 5)
            lines = l.api.request('GET', '/jobs/%s/units?format=ndjson' % job['id']).body.decode().splitlines()
            self.assertEqual([json.loads(x)['serial'] for x in lines], [u['serial'] for u in units])
            csv = l.api.request('GET', '/jobs/%s/units?format=csv' % job['id']).body.decode().splitlines()
            self.assertEqual((len(csv), csv[0].split(',')[:4], csv[1].split(',')[1]), (13, ['n', 'serial', 'chip_id', 'state'], 'U001'))
            told = l.events('job-unit')
            self.assertEqual(sorted(e['serial'] for e in told), sorted(runs))
            self.assertEqual({(e['data']['state'], e['data']['number']) for e in told}, {('passed', 'WO-7')})
            # None of them is given out again.
            again = l.api.request('POST', '/jobs', {'recipe': 'name', 'units': [{'serial': 'N1'}, {'serial': 'U005'}, {'serial': 'U006'}]})
            self.assertEqual((again.status, [e['pointer'] for e in again.json['errors']]), (409, ['/units/1/serial', '/units/2/serial']))

    def test_units_that_are_known_get_their_own_rows_in_whatever_order_they_come(self):
        with Row(3, idle=None) as l:
            boards = {b['board']: b['uid'] for b in l.sim.boards()}
            rows = [{'serial': 'K' + b, 'chip_id': uid, 'params': {'power': int(b[1:])}} for b, uid in reversed(boards.items())]
            job = l.api.post('/jobs', {'recipe': 'name', 'assign': 'recognised', 'units': rows + [{'serial': 'K-away', 'chip_id': '0' * 24}]})['id']
            line.wait_for('three are made', lambda: list(self.states(l, job).values()).count('passed') == 3)
            for r in l.api.all('/runs?job_id=' + job):
                self.assertEqual((r['serial'], r['params']['power']), ('Kb' + r['station'][1:], int(r['station'][1:])))
            self.assertEqual(self.states(l, job)['K-away'], 'waiting')
            self.assertEqual(l.act(job, 'complete', 'that one is lost').json['ending']['how'], 'short')
            self.assertEqual(self.states(l, job)['K-away'], 'cancelled')

    def test_a_unit_that_failed_is_made_by_an_order_for_rework_and_keeps_its_number(self):
        with Row(1, idle=None) as l:
            l.sim.ctl('fault', board='b1', fault='refuse-serial')
            job = l.api.post('/jobs', {'recipe': 'name', 'units': [{'serial': 'R1'}]})['id']
            line.wait_for('it fails', lambda: self.states(l, job) == {'R1': 'failed'})
            rework = {'recipe': 'name', 'kind': 'rework', 'units': [{'serial': 'R1'}]}
            l.act(job, 'stop')
            l.sim.ctl('clear-faults', board='b1')
            back = l.api.post('/jobs', rework)
            self.assertEqual((back['kind'], back['assign']), ('rework', 'recognised'))
            l.sim.ctl('replug', board='b1', gap_ms=100)
            self.assertEqual(l.job_done(back['id'])['ending']['how'], 'complete')
            self.assertEqual({r['serial'] for r in l.api.all('/runs')}, {'R1'})
            self.assertEqual(l.api.get('/units/R1')['state'], 'passed')
            a = l.api.request('POST', '/jobs', rework)
            self.assertEqual((a.status, a.json['errors'][0]['pointer']), (409, '/units/0/serial'))
            self.assertIn('has passed', a.json['errors'][0]['detail'])

    def test_provctl_orders_a_list_out_of_a_file(self):
        with Row(1, boards=0) as l:
            path = os.path.join(l.home, 'units.csv')
            line.write(path, 'serial,variant,power\r\nC1,us,4\r\nC2,,\r\n')
            job = json.loads(l.provctl('--json', 'job', 'submit', 'name', '--units', path).stdout)['id']
            got = [(u['serial'], u['params']) for u in l.api.get('/jobs/%s/units' % job)['items']]
            self.assertEqual(got, [('C1', {'variant': 'us', 'power': 4}), ('C2', {'variant': 'eu', 'power': 10})])
            self.assertRegex(l.provctl('job', 'units', job).stdout, r'(?s)N +SERIAL +STATE.*\n1 +C1 +waiting.*\n2 +C2 +waiting')
            self.assertEqual(json.loads(l.provctl('job', 'units', job, 'C2').stdout)['n'], 2)
            self.assertEqual(len(l.provctl('job', 'units', job, '--format', 'ndjson').stdout.splitlines()), 2)
            line.write(path, 'serial,variant\nC3,mars\n')
            refused = l.provctl('job', 'submit', 'name', '--units', path)
            self.assertIn('/units/0/params/variant: ', refused.stderr)

    def test_a_list_of_100000_units_is_ordered_by_one_request(self):
        units = [{'serial': 'L%06d' % i, 'params': {'power': i}} for i in range(100000)]
        with Row(1, boards=0) as l:
            body = json.dumps({'recipe': 'name', 'number': 'long', 'units': units})
            job = l.api.request('POST', '/jobs', body, {'Content-Type': 'application/json'})
            self.assertEqual(job.status, 201, job.body[:300])
            self.assertEqual(l.api.request('POST', '/jobs', body, {'Content-Type': 'application/json'}).json['id'], job.json['id'])
            page = l.api.get('/jobs/%s/units?limit=1000' % job.json['id'])
            self.assertEqual((page['items'][999]['n'], page['items'][999]['params']['power']), (1000, 999))
            self.assertEqual(l.api.get('/jobs/%s/units/L099999' % job.json['id'])['n'], 100000)


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
