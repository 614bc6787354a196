#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""IPC-CFX over AMQP 1.0: one order through RabbitMQ to a client that shares nothing with provd, validated against schemas of the
standard; a broker that is killed, does not know the address, gives no credit, rejects, or says nothing.

    test_cfx.py [BUILD]
"""
import collections
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import unittest.mock

import cfx_schemas
import cloud
import line
import rabbit
import test_openapi

try:
    import jsonschema
except ImportError:
    jsonschema = None

HERE = os.path.dirname(os.path.abspath(__file__))
HANDLE = 'Acme.Provd-1.{station}'
RECIPE = '''
recipe: NAME
version: 1
unit: {model: thing, serial: {pool: sn}}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - id: name
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
  - id: temperature
    action: console.measure
    with: {port: console, send: read temp, name: temperature, unit: degC, low: LOW, high: 99}
MORE'''
BROKEN = '''  - id: book
    action: http.request
    with: {service: nobody, method: POST, path: /units}
'''
RUN = ['Production.UnitsArrived', 'ResourcePerformance.StationStateChanged', 'Production.WorkStarted',
       'Production.WorkStageStarted', 'Production.WorkStageCompleted', 'Production.WorkStageStarted', 'Production.WorkStageCompleted',
       'Production.Assembly.UnitsPersonalized', 'Production.TestAndInspection.UnitsTested', 'Production.WorkCompleted',
       'ResourcePerformance.StationStateChanged', 'Production.UnitsDeparted']


def setUpModule():
    """Erlang takes its time: RabbitMQ starts while the other tests run."""
    global pool, starting
    with open(line.binary('provd'), 'rb') as f:
        if b'libqpid-proton.so' not in f.read():
            raise unittest.SkipTest('this provd was built without IPC-CFX (-Dcfx)')
    pool = concurrent.futures.ThreadPoolExecutor(1)
    starting = pool.submit(rabbit.Broker, ['cfx', 'first', 'held', 'killed', 'manual', 'questions', 'answers'])


def tearDownModule():
    try:
        starting.result().close()
    except unittest.SkipTest:
        pass
    pool.shutdown()


class Lines(threading.Thread):
    """What a program of node prints, a JSON object a line."""

    def __init__(self, script, *args):
        super().__init__(daemon=True)
        self.got, self.lock = [], threading.Lock()
        self.process = subprocess.Popen(['node', os.path.join(HERE, 'cfx', script), *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=line._with_parent)
        self.start()

    def run(self):
        for text in self.process.stdout:
            with self.lock:
                self.got.append(json.loads(text))

    def all(self, key):
        with self.lock:
            return [x for x in self.got if key in x]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Receiver(Lines):
    """A queue of RabbitMQ, emptied."""

    def __init__(self, broker, queue):
        super().__init__('receive.mjs', test_openapi.modules(), str(broker.port), rabbit.USER, rabbit.PASSWORD, '/amq/queue/' + queue)
        line.wait_for('it is there', lambda: self.all('open'))

    def envelopes(self, start='CFX.'):
        got = [dict(m, body=json.loads(m['body'])) for m in self.all('body')]
        return [m for m in got if m['body']['MessageName'].startswith(start)]

    def names(self, start='CFX.'):
        return [m['body']['MessageName'] for m in self.envelopes(start)]


class Peer(Lines):
    """A broker that does what it is told."""

    def __init__(self, *args, **how):
        super().__init__('broker.mjs', test_openapi.modules(), '0', *args)
        self.port = line.wait_for('it listens', lambda: self.all('listening'))[0]['listening']
        self.be(**how)

    def be(self, **how):
        n = len(self.all('how'))
        self.process.stdin.write(json.dumps(how) + '\n')
        self.process.stdin.flush()
        line.wait_for('it is so', lambda: len(self.all('how')) > n)

    def messages(self, name=''):
        return [m for m in self.all('name') if m['name'].endswith(name)]

    def ids(self, name=''):
        """One that comes twice is one."""
        return {m['id'] for m in self.messages(name)}


class Endpoint(Lines):
    """Who answers ValidateUnitsRequest."""

    def __init__(self, *broker):
        super().__init__('endpoint.mjs', test_openapi.modules(), *(broker or ('0',)))
        if broker:
            line.wait_for('it is there', lambda: self.all('open'))
        else:
            self.port = line.wait_for('it listens', lambda: self.all('listening'))[0]['listening']

    def be(self, how):
        n = len(self.all('how'))
        self.process.stdin.write(json.dumps({'how': how}) + '\n')
        self.process.stdin.flush()
        line.wait_for('it is so', lambda: len(self.all('how')) > n)


class Row(line.Line):
    """A station whose boards have their application, and provd with `cfx`."""

    def __init__(self, url, address='/queue/cfx', more='', timeout='700ms', also='', stations=1, replace=True):
        self.cfx = 'cfx: {url: "%s", handle: "%s", address: %s, timeout: %s%s}\n%s' % (
            url, HANDLE, address, timeout, more, also)
        super().__init__(stations=stations, boards=0)
        try:
            app = os.path.join(self.home, 'app.bin')
            with open(app, 'wb') as f:
                f.write(line.firmware(2048))
            self.sim = line.Sim(self.home, stations, '--preload', app, '--boot-ms', '1',
                                *(('--replace-after-idle', '100', '--when-serial') if replace else ()))
            line.write(os.path.join(self.home, 'password'), rabbit.PASSWORD + '\n')
            self.configure()
            self.start()
            self.api.post('/pools', {'id': 'sn', 'pattern': 'SN{seq:06}', 'first': 1, 'last': 999999})
            for name, low, broken in (('good', 0, ''), ('broken', 0, BROKEN)):
                self.put_recipe(RECIPE.replace('NAME', name).replace('LOW', str(low)).replace('MORE', broken))
        except BaseException:
            self.close()
            raise

    def configure(self):
        self.config(self.cfx + 'secrets: {cfx: {file: %s/password}}\n'
                    'services: {nobody: {url: "http://127.0.0.1:1", timeout: 1s}}\n' % self.home)

    def reload(self):
        n = self.provd.log_text().count('read again')
        self.provd.process.send_signal(signal.SIGHUP)
        line.wait_for('it is read', lambda: self.provd.log_text().count('read again') > n)

    def order(self, recipe='good', quantity=1, **kw):
        job = self.api.post('/jobs', dict({'recipe': recipe, 'quantity': quantity}, **kw))['id']
        self.job_done(job)
        return job

    def fault(self):
        """An order whose only run a fault of the line ends."""
        job = self.api.post('/jobs', {'recipe': 'broken', 'quantity': 1})['id']
        line.wait_for('it is begun', lambda: self.api.get('/runs?job_id=' + job)['items'], every_s=0.005)
        self.api.post('/jobs/%s/actions/hold' % job, {'reason': 'once'}, line.ANY)
        line.wait_for('it ends', lambda: all(r['state'] == 'finished' for r in self.api.get('/runs?job_id=' + job)['items']))
        self.api.post('/jobs/%s/actions/abort' % job, None, line.ANY)

    def hooks(self):
        return self.api.get('/webhooks')['items']

    def hook(self, end=''):
        return next(h for h in self.hooks() if h['url'].endswith(end))

    def deliveries(self, hook, **query):
        return self.api.get('/webhooks/%s/deliveries?%s' % (hook['id'], '&'.join('%s=%s' % q for q in query.items())))['items']

    def failed(self, end=''):
        tried = [d for d in self.deliveries(self.hook(end), state='waiting') if d['attempts'] > 0]
        return tried[-1] if tried else None

    def fails(self, code, end=''):
        """It is on record that the oldest message was not taken, and why."""
        return line.wait_for('it is on record: ' + code,
                             lambda: (lambda d: d if d and d['code'] == code else None)(self.failed(end)))

    def now(self, end=''):
        """What waits for a time is tried now."""
        self.api.ok('PATCH', '/webhooks/' + self.hook(end)['id'], {'enabled': True}, {'If-Match': '*'})

    def all_told(self):
        return all(h['waiting'] == 0 and h['behind'] == 0 for h in self.hooks())


@unittest.skipIf(jsonschema is None, 'python3-jsonschema is not installed')
class Rabbit(unittest.TestCase):
    """One RabbitMQ for all of these."""

    @classmethod
    def setUpClass(cls):
        cls.broker = starting.result()

    def setUp(self):
        self.url = 'amqp://127.0.0.1:%d' % self.broker.port

    def line(self, more='', **kw):
        return Row(self.url, more=', user: %s, password: cfx%s' % (rabbit.USER, more), timeout='5s', **kw)

    def receiver(self, queue='cfx'):
        r = Receiver(self.broker, queue)
        self.addCleanup(r.close)
        return r

    def check(self, message):
        body = message['body']
        name = body['MessageName']
        problems = list(jsonschema.Draft202012Validator(cfx_schemas.envelope(name)).iter_errors(body))
        self.assertEqual(problems, [], json.dumps(body, indent=1))
        self.assertEqual((message['id'], message['reply_to'], message['durable']), (body['UniqueID'], body['Source'], True))
        self.assertEqual(message['subject'], body['Source'] + '.' + name)
        self.assertEqual(message['content_type'], 'application/json; charset="utf-8"')
        self.assertEqual(message['properties'], {'cfx-topic': name.rsplit('.', 1)[0], 'cfx-message': name,
                                                 'cfx-handle': body['Source'], 'cfx-target': ''})
        self.assertEqual(message['created'], body['TimeStamp'])

    def test_every_message_of_an_order_is_what_the_standard_says(self):
        r = self.receiver()
        with self.line(more=', heartbeat: 1s') as l:
            job = l.order(external_ref='PO-4711')
            line.wait_for('the unit departs', lambda: r.names('CFX.Production.UnitsDeparted'))
            line.wait_for('a second heartbeat', lambda: len(r.names('CFX.Heartbeat')) > 1)
            self.assertEqual(r.names()[:2], ['CFX.EndpointConnected', 'CFX.Heartbeat'])
            l.fault()
            line.wait_for('it departs', lambda: len(r.names('CFX.Production.UnitsDeparted')) == 2)
            l.order()
            line.wait_for('it departs', lambda: len(r.names('CFX.Production.UnitsDeparted')) == 3)
            run = l.api.get('/runs?job_id=' + job)['items'][0]
            self.assertEqual(l.provd.term(), 0)
            line.wait_for('it says goodbye', lambda: r.names('CFX.EndpointShuttingDown'))
            for m in r.envelopes():
                self.check(m)
                self.assertEqual(m['body']['Source'], 'Acme.Provd-1.A1')
            told = [m for m in r.envelopes() if m['body']['MessageName'].count('.') > 1]
            self.assertEqual(len({m['id'] for m in r.envelopes()}), len(r.envelopes()))
            self.passed_run([m['body'] for m in told[:len(RUN)]], run)
            self.broken_run([m['body'] for m in told[len(RUN):]])

    def test_the_receiver_of_the_manual_gets_each_message_once(self):
        page = line.read(os.path.join(line.ROOT, 'docs', 'integrator.md'))
        script = page[page.index('```js\n// a receiver of CFX') + 6:]
        script = script[:script.index('```')]
        env = dict(os.environ, NODE_PATH=os.path.join(test_openapi.modules(), 'node_modules'), HOST='127.0.0.1',
                   PORT=str(self.broker.port), NAME=rabbit.USER, PASSWORD=rabbit.PASSWORD, ADDRESS='/queue/manual')
        with self.line(address='/queue/manual', more=', types: [CFX.Production.Work*]') as l:
            l.order()
            line.wait_for('all is told', l.all_told)
            p = subprocess.Popen(['node', '-e', script], env=env, stdout=subprocess.PIPE, text=True, preexec_fn=line._with_parent)
            try:
                got = [p.stdout.readline().split() for _ in range(6)]
            finally:
                p.kill()
                p.communicate()
            self.assertEqual(got, [['CFX.Production.' + n, 'Acme.Provd-1.A1'] for n in (
                'WorkStarted', 'WorkStageStarted', 'WorkStageCompleted', 'WorkStageStarted', 'WorkStageCompleted', 'WorkCompleted')])

    def passed_run(self, bodies, run):
        self.assertEqual([b['MessageName'] for b in bodies], ['CFX.' + n for n in RUN])
        said = collections.defaultdict(list)
        for b in bodies:
            said[b['MessageName'].rsplit('.', 1)[1]].append(b['MessageBody'])
        started, tested, done = said['WorkStarted'][0], said['UnitsTested'][0], said['WorkCompleted'][0]
        self.assertEqual((started['RecipeName'], started['Revision'], started['WorkOrderIdentifier']['WorkOrderId']),
                         ('good', '1', 'PO-4711'))
        for b in (started, done, *said['WorkStageStarted'], *said['WorkStageCompleted']):
            self.assertEqual(b['TransactionID'], run['id'])
        self.assertEqual((done['Result'], done['PrimaryIdentifier']), ('Completed', run['serial']))
        self.assertEqual([s['Stage']['StageName'] for s in said['WorkStageCompleted']], ['name', 'temperature'])
        unit, = said['UnitsPersonalized'][0]['PersonalizedUnits']
        self.assertEqual((unit['UnitIdentifier'], unit['Characteristics']), (run['serial'], [{'Name': 'serial', 'Value': run['serial']}]))
        unit, = tested['TestedUnits']
        self.assertEqual([(t['TestName'], t['Result']) for t in unit['Tests']], [('name', 'Passed'), ('temperature', 'Passed')])
        measured, = unit['Tests'][1]['Measurements']
        value = measured['MeasuredValue']
        self.assertEqual((measured['MeasurementName'], value['ValueUnits'], value['MinimumAcceptableValue'],
                          value['MaximumAcceptableValue']), ('temperature', 'degC', 0, 99))
        self.assertTrue(0 <= value['Value'] <= 99)
        self.assertEqual([(s['OldState'], s['NewState']) for s in said['StationStateChanged']], [(2000, 1000), (1000, 2000)])

    def broken_run(self, bodies):
        """A station's fault, which the next run clears."""
        said = collections.defaultdict(list)
        for b in bodies:
            said[b['MessageName'].rsplit('.', 1)[1]].append(b['MessageBody'])
        fault = said['FaultOccurred'][0]['Fault']
        self.assertEqual((fault['FaultCode'], fault['Cause']), ('service-unreachable', 'ServicesFailure'))
        self.assertEqual([w['Result'] for w in said['WorkCompleted']], ['Aborted', 'Completed'])
        self.assertEqual(said['UnitsTested'][0]['TestedUnits'][0]['OverallResult'], 'Error')
        self.assertEqual(said['FaultCleared'][0]['FaultOccurrenceId'], fault['FaultOccurrenceId'])
        self.assertEqual([(s['OldState'], s['NewState']) for s in said['StationStateChanged']],
                         [(2000, 1000), (1000, 5000), (5000, 1000), (1000, 2000)])
        self.assertEqual(said['StationStateChanged'][1]['RelatedFault']['FaultOccurrenceId'], fault['FaultOccurrenceId'])

    def test_a_station_that_is_held_is_down_as_planned_or_by_a_fault(self):
        types = ', types: [CFX.ResourcePerformance.StationStateChanged, CFX.ResourcePerformance.FaultOccurred, CFX.ResourcePerformance.FaultCleared]'
        r = self.receiver('held')
        with self.line(address='/queue/held', more=types, also='quarantine_after: 2\n') as l:
            def states():
                return [(m['body']['MessageBody']['OldState'], m['body']['MessageBody']['NewState']) for m in r.envelopes()
                        if m['body']['MessageName'].endswith('StationStateChanged')]

            def do(verb, after, **body):
                self.assertEqual(l.api.request('POST', '/stations/A1/actions/' + verb, body or None).status, 202)
                line.wait_for(verb, lambda: states()[-1:] == [after])

            l.order()
            line.wait_for('the run is told', lambda: states() == [(2000, 1000), (1000, 2000)])
            do('disable', (2000, 4000))
            do('enable', (4000, 2000))
            l.put_recipe(RECIPE.replace('NAME', 'bad').replace('LOW', '98').replace('MORE', ''))
            job = l.api.post('/jobs', {'recipe': 'bad', 'quantity': 1})['id']
            line.wait_for('it is quarantined', lambda: l.api.get('/stations/A1')['state'] == 'quarantined')
            line.wait_for('that is told', lambda: states()[-1] == (2000, 5000))
            l.api.post('/jobs/%s/actions/abort' % job, None, line.ANY)
            do('clear', (5000, 2000))
            for m in r.envelopes():
                self.check(m)
            faults = [m['body']['MessageBody'] for m in r.envelopes() if '.Fault' in m['body']['MessageName']]
            # On a busy machine a unit may be seen to leave within its run, which is a fault of its own.
            told = [f['Fault'] for f in faults if f.get('Fault', {}).get('FaultCode') == 'quarantined']
            self.assertEqual(len(told), 1, faults)
            self.assertEqual([f['FaultOccurrenceId'] for f in faults if 'Fault' not in f][-1], told[0]['FaultOccurrenceId'])
            held = [(e['type'], e['data'].get('held'), e['data'].get('was'), e['data'].get('by'), e['run'] is not None)
                    for e in l.api.all('/events') if e['type'] in ('station-held', 'station-freed')]
            self.assertEqual(held, [('station-held', 'disabled', None, 'first admin', False), ('station-freed', None, 'disabled', 'first admin', False),
                                    ('station-held', 'quarantined', None, None, True), ('station-freed', None, 'quarantined', 'first admin', False)])

    def test_a_broker_that_is_killed_costs_no_message_and_no_order(self):
        with self.line(address='/queue/killed') as l:
            r = self.receiver('killed')
            l.order(quantity=2)
            self.broker.kill()
            l.order(quantity=2)
            line.wait_for('it is said', lambda: l.failed())
            self.assertIn(l.failed()['code'], ('unreachable', 'connection-lost'))
            l.provd.kill()
            self.broker.start()
            l.start()
            l.order(quantity=1)
            line.wait_for('all is told', l.all_told)
            runs = {run['id'] for run in l.api.all('/runs')}
            line.wait_for('all of it came', lambda: self.runs_of(r) >= runs)
            told = collections.defaultdict(list)
            for m in r.envelopes('CFX.'):
                body = m['body']['MessageBody']
                run = body.get('TransactionID') or body.get('TransactionId')
                if run and m['id'] not in [i for i, _ in told[run]]:
                    told[run].append((m['id'], m['body']['MessageName']))
            for run in runs:
                self.assertEqual([n for _, n in told[run]], [
                    'CFX.Production.WorkStarted', *['CFX.Production.WorkStageStarted', 'CFX.Production.WorkStageCompleted'] * 2,
                    'CFX.Production.Assembly.UnitsPersonalized', 'CFX.Production.TestAndInspection.UnitsTested',
                    'CFX.Production.WorkCompleted'])
            # What came twice is the same message.
            once = {}
            for m in r.envelopes():
                self.assertEqual(once.setdefault(m['id'], m['body']), m['body'])
            self.assertEqual(l.found_in_records(), [])

    @staticmethod
    def runs_of(r):
        return {m['body']['MessageBody']['TransactionID'] for m in r.envelopes('CFX.Production.WorkCompleted')}

    def test_a_queue_that_does_not_exist_stops_nobody_else(self):
        with self.line(address='[/queue/first, /exchange/nowhere/line4, /queue/forbidden]') as l:
            r = self.receiver('first')
            l.order()
            line.wait_for('the other one departs', lambda: r.names('CFX.Production.UnitsDeparted'))
            for end, said in (('line4', "no exchange 'nowhere'"), ('forbidden', 'ACCESS_REFUSED')):
                self.assertIn(said, l.fails('detached', end)['message'])
            self.assertEqual(l.hook('first')['dead'] + l.hook('first')['waiting'], 0)


class Peers(unittest.TestCase):
    """What a broker does rarely."""

    def peer(self, *args, **how):
        p = Peer(*args, **how)
        self.addCleanup(p.close)
        return p

    def line(self, p, scheme='amqp', **kw):
        return Row('%s://localhost:%d' % (scheme, p.port), **dict({'address': 'line4'}, **kw))

    def test_without_credit_nothing_goes_and_all_of_it_once_there_is_some(self):
        p = self.peer(credit=0)
        with self.line(p, also='outbox: {stop_after: 3}\n') as l:
            def ready():
                a = l.api.request('GET', '/readyz')
                return a.status, [h['message'] for h in a.json['holds']]
            l.order()
            self.assertIn('gives no credit', l.fails('no-credit')['message'])
            self.assertEqual(p.messages(), [])
            self.assertEqual([(b['kind'], b['level']) for b in l.api.get('/backlog')['items']], [('cfx', 'stops')])
            line.wait_for('the line waits', lambda: ready()[0] == 503)
            self.assertIn('wait for the cfx amqp://localhost', ready()[1][0])
            p.be(credit=100)
            l.now()
            line.wait_for('all is told', l.all_told)
            self.assertEqual(len(p.ids('UnitsDeparted')), 1)
            line.wait_for('the line goes on', lambda: ready() == (200, []))
            metrics = l.api.request('GET', '/metrics').body.decode()
            accepted = re.search('^provd_cfx_messages_total{end="accepted"} ([0-9]+)$', metrics, re.M)
            self.assertGreaterEqual(int(accepted[1]), len({m['id'] for m in p.messages() if m['name'].count('.') > 1}))
            self.assertRegex(metrics, '(?m)^provd_cfx_messages_total{end="no-credit"} [1-9]')
            self.assertIn('provd_backlog_messages{kind="cfx",target="localhost"} 0\n', metrics)

    def test_credit_for_one_message_at_a_time_is_enough_however_slow_it_comes(self):
        # The five messages of a run's end take longer than `timeout`, each of them less.
        p = self.peer(credit=1, slow=700)
        with self.line(p, timeout='2s') as l:
            l.order()
            line.wait_for('all is told', l.all_told)
            self.assertEqual(len(p.ids('UnitsDeparted')), 1)
            metrics = l.api.request('GET', '/metrics').body.decode()
            self.assertNotIn('end="no-credit"} ', metrics.replace('end="no-credit"} 0\n', ''))

    def test_a_message_that_is_rejected_stops_its_unit_and_comes_again_under_its_id(self):
        p = self.peer(verdict={'CFX.Production.TestAndInspection.UnitsTested': 'reject'})
        with self.line(p) as l:
            l.order()
            self.assertIn('not this one', l.fails('rejected')['message'])
            self.assertEqual(p.messages('WorkCompleted'), [])
            l.order()
            line.wait_for('the next unit goes on', lambda: len(p.ids('UnitsArrived')) == 2)
            p.be(verdict={'CFX.Production.TestAndInspection.UnitsTested': 'release'})
            l.now()
            l.fails('released')
            p.be(verdict={'CFX.Production.TestAndInspection.UnitsTested': 'modify'})
            l.now()
            l.fails('modified')
            p.be(verdict={})
            l.now()
            line.wait_for('all is told', l.all_told)
            tested = p.messages('UnitsTested')
            self.assertEqual(len(p.ids('UnitsTested')), 2)
            self.assertGreaterEqual(len(tested), 5)
            self.assertEqual(len(p.ids('WorkCompleted')), 2)
            sent = [d for d in l.deliveries(l.hook(), state='done') if d['type'] == 'run-finished'][0]
            before = len(p.messages())
            l.api.post('/webhooks/%s/deliveries/%d/actions/redeliver' % (l.hook()['id'], sent['n']))
            line.wait_for('once more', lambda: len(p.messages()) > before)
            self.assertIn(p.messages()[before]['id'], {m['id'] for m in p.messages()[:before]})

    def test_a_wrong_password_is_said_and_is_nowhere(self):
        p = self.peer(password=rabbit.PASSWORD)
        # qpid-proton would print what it sends where the environment asks for it.
        with unittest.mock.patch.dict(os.environ, {'PN_TRACE_FRM': '1', 'PN_TRACE_RAW': '1', 'PN_LOG': 'all'}), \
                self.line(p, more=', user: provd, password: cfx') as l:
            l.order()
            line.wait_for('all is told', l.all_told)
            line.write(os.path.join(l.home, 'password'), 'a wrong one 0815\n')
            l.provd.stop()
            l.start()
            l.order()
            self.assertIn("'user' and 'password'", l.fails('refused')['message'])
            self.assertEqual(l.provd.term(), 0)
            for path in (l.provd.log_path, os.path.join(l.home, 'state', 'provd.db')):
                with open(path, 'rb') as f:
                    text = f.read()
                for password in ('a wrong one 0815', rabbit.PASSWORD):
                    self.assertNotIn(password.encode(), text, path)

    def test_a_broker_that_is_named_later_gets_what_happens_from_then_on_until_it_is_not(self):
        p = self.peer()
        with self.line(p) as l:
            named, l.cfx = l.cfx, ''
            l.configure()
            l.reload()
            line.wait_for('nobody is told', lambda: l.hooks() == [])
            l.order()
            l.cfx = named
            l.configure()
            l.reload()
            line.wait_for('somebody is', l.hooks)
            l.order()
            line.wait_for('all is told', lambda: p.messages('UnitsDeparted') and l.all_told())
            self.assertEqual(len(p.ids('UnitsDeparted')), 1)

    def test_a_message_that_is_too_large_is_not_sent(self):
        p = self.peer(max=900)
        with self.line(p) as l:
            l.order()
            self.assertIn('at most 900 bytes', l.fails('too-large')['message'])
            self.assertEqual(p.messages('UnitsTested'), [])
            self.assertEqual(len(p.ids('UnitsArrived')), 1)

    def test_a_broker_that_does_not_say_what_became_of_a_message_gets_it_again(self):
        p = self.peer(verdict={'CFX.Production.WorkStarted': 'none'})
        with self.line(p) as l:
            l.order()
            l.fails('no-answer')
            p.be(verdict={})
            l.now()
            line.wait_for('all is told', l.all_told)
            self.assertEqual(len(p.ids('WorkStarted')), 1)
            self.assertGreaterEqual(len(p.messages('WorkStarted')), 2)

    def test_an_address_that_is_refused_is_tried_again(self):
        p = self.peer(refuse='line4')
        with self.line(p) as l:
            l.order()
            self.assertIn('there is no line4', l.fails('detached')['message'])
            p.be(refuse='')
            l.now()
            line.wait_for('all is told', l.all_told)
            self.assertEqual(len(p.ids('UnitsDeparted')), 1)

    def test_a_broker_that_says_nothing_holds_up_no_stop(self):
        p = self.peer(mute=True)
        with self.line(p) as l:
            l.order()
            self.assertIn('does not open it in time', l.fails('unreachable')['message'])
            self.assertEqual(l.provd.term(), 0)

    def test_what_speaks_something_else_is_said_and_tried_again(self):
        says, kept = [b''], []

        def serve(server):
            while True:
                try:
                    s, _ = server.accept()
                except OSError:
                    return
                s.sendall(says[0])
                kept.append(s)
        with socket.create_server(('127.0.0.1', 0)) as server:
            t = threading.Thread(target=serve, args=(server,), daemon=True)
            t.start()
            with Row('amqp://127.0.0.1:%d' % server.getsockname()[1], address='x') as l:
                l.order()
                l.fails('unreachable')
                # HTTP, AMQP 0-9-1, and a frame that is none.
                for says[0] in (b'HTTP/1.1 400 Bad Request\r\n\r\n', b'AMQP\0\0\x09\x01', b'AMQP\x03\1\0\0\0\0\0\7\2\1\0\0'):
                    with self.subTest(says[0]):
                        tried = l.failed()['attempts']
                        l.now()
                        line.wait_for('it is tried', lambda tried=tried: l.failed()['attempts'] > tried)
                        self.assertIn('does not speak AMQP 1.0', l.fails('no-amqp')['message'])
            server.shutdown(socket.SHUT_RDWR)
            t.join()
        for s in kept:
            s.close()

    def test_a_broker_is_who_its_certificate_says(self):
        with tempfile.TemporaryDirectory() as where:
            right, key = certificate(where, 'right', 'localhost')
            other, _ = certificate(where, 'other', 'localhost')
            wrong, wrong_key = certificate(where, 'wrong', 'elsewhere.example')
            p, q = self.peer(right, key), self.peer(wrong, wrong_key)
            with self.line(p, 'amqps', more=', ca: ' + other) as l:
                l.order()
                self.assertIn('(see \'ca\')', l.fails('untrusted')['message'])
                for peer, ca in ((q, wrong), (p, right)):
                    tried = l.failed()['attempts']
                    l.cfx = 'cfx: {url: "amqps://localhost:%d", handle: "%s", address: line4, ca: %s}\n' % (peer.port, HANDLE, ca)
                    l.configure()
                    l.reload()
                    if peer is q:
                        line.wait_for('it is tried', lambda tried=tried: l.failed()['attempts'] > tried)
                        l.fails('untrusted')
                # The broker has moved, and gets what waited.
                line.wait_for('all is told', l.all_told)
                self.assertEqual((len(p.ids('UnitsDeparted')), q.messages()), (1, []))


ASKED = '''
recipe: asked
version: 1
unit: {model: thing, serial: {from: job}}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - id: name
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$'}
'''


class Validation(unittest.TestCase):
    """An endpoint that says whether a unit may begin: one that listens as endpoints of CFX do, and one at a broker."""

    def line(self, url, more, **kw):
        self.used = False
        l = Row(url, more=', types: [CFX.EndpointConnected]' + more, replace=False, **kw)
        self.addCleanup(l.close)
        l.put_recipe(ASKED)
        return l

    def run_of(self, l, serial, **check):
        """Of a unit that was put in for it, and what came of the question."""
        def ready(since=None):
            now = l.api.get('/stations/A1')
            return now['state'] == 'ready' and now['since'] != since
        since = l.api.get('/stations/A1')['since']
        if self.used:
            l.sim.ctl('next', board='b1', gap_ms=100)
        line.wait_for('a unit is there', lambda: ready(since if self.used else None))
        self.used = True
        job = l.api.post('/jobs', {'recipe': 'asked', 'units': [{'serial': serial}],
                                   'route_check': dict({'service': 'cfx', 'timeout': '5s'}, **check)})['id']
        run = line.wait_for('its run', lambda: [r for r in l.api.get('/runs?job_id=' + job)['items'] if r['outcome']])[0]
        if l.api.get('/jobs/' + job)['state'] not in ('done', 'cancelled', 'aborted'):
            l.api.post('/jobs/%s/actions/stop' % job, None, line.ANY)
        return run, l.api.get('/events?run_id=%s&type=route-checked' % run['id'])['items'][0]['data']

    def test_what_an_endpoint_says_is_done_and_what_says_nothing_is_the_orders_to_say(self):
        end = Endpoint()
        self.addCleanup(end.close)
        l = self.line('amqp://127.0.0.1:1', ', validate_url: "amqp://127.0.0.1:%d", validate_address: MES.Router.1' % end.port)
        run, said = self.run_of(l, 'P1')
        self.assertEqual((run['outcome'], said['result'], said['answered'], said.get('code')), ('passed', 'allow', True, None), run)
        asked, = end.all('request')
        q = asked['request']
        self.assertEqual((q['MessageName'], q['Target'], q['Source'], q['MessageBody']['PrimaryIdentifier']),
                         ('CFX.InformationSystem.UnitValidation.ValidateUnitsRequest', 'MES.Router.1', 'Acme.Provd-1.A1', 'P1'))
        self.assertEqual((asked['id'], asked['correlation'], asked['reply']), (q['RequestID'], q['RequestID'], 'Acme.Provd-1.A1'))
        self.assertEqual([(u['UnitIdentifier'], u['PositionNumber']) for u in q['MessageBody']['Units']], [('P1', 1)])
        self.assertEqual(q['MessageBody']['Validations'], ['UnitRouteValidation', 'UnitStatusValidation'])
        for i, (how, outcome, code, said_code, text) in enumerate((
                ('fail', 'aborted', 'route-rejected', None, 'made in hall 3'),
                ('early', 'passed', None, None, ''),  # the late answer to the one before says no, and is left out
                ('double', 'passed', None, None, ''),
                ('silent', 'aborted', 'route-held', 'late', 'no answer came in time'),
                ('foreign', 'aborted', 'route-held', 'foreign', 'answers to other questions'),
                ('differ', 'aborted', 'route-held', 'doubled', 'they differ'),
                ('other', 'aborted', 'route-held', 'malformed', "is of the unit 'X"),
                ('text', 'aborted', 'route-held', 'malformed', 'no JSON object'),
                ('list', 'aborted', 'route-held', 'malformed', 'no JSON object'),
                ('large', 'aborted', 'route-held', 'malformed', '64 KiB'),
                ('unsupported', 'aborted', 'route-held', 'malformed', 'NotSupportedResponse'),
                ('busy', 'aborted', 'route-held', 'malformed', 'could not look'),
                ('reject', 'aborted', 'route-held', 'refused', 'not now'),
                ('drop', 'aborted', 'route-held', 'unreachable', 'is gone'))):
            with self.subTest(how):
                end.be(how)
                run, said = self.run_of(l, 'U%d' % i, timeout='600ms' if said_code in ('late', 'foreign') else '5s')
                self.assertEqual((run['outcome'], run['code'], said.get('code')), (outcome, code, said_code), (run, said))
                self.assertIn(text, said['reason'])
        self.assertEqual(len({a['request']['RequestID'] for a in end.all('request')}), len(end.all('request')))
        end.close()
        run, said = self.run_of(l, 'G1', on_no_answer='allow')
        self.assertEqual((run['outcome'], said['answered'], said['code']), ('passed', False, 'unreachable'), said)

    def test_an_order_that_asks_an_endpoint_which_nobody_named_is_refused(self):
        l = self.line('amqp://127.0.0.1:1', '')
        a = l.api.request('POST', '/jobs', {'recipe': 'asked', 'units': [{'serial': 'N1'}], 'route_check': {'service': 'cfx'}})
        self.assertEqual((a.status, a.json['errors'][0]['pointer']), (422, '/route_check/service'), a.body)

    def test_over_a_broker_the_answer_comes_from_a_queue_and_a_late_one_is_left_out(self):
        broker = starting.result()
        end = Endpoint(str(broker.port), rabbit.USER, rabbit.PASSWORD, '/queue/questions')
        self.addCleanup(end.close)
        l = self.line('amqp://127.0.0.1:%d' % broker.port, ', user: %s, password: cfx, validate_address: /queue/questions,'
                      ' validate_target: MES.Router.1, validate_reply: /queue/answers' % rabbit.USER, timeout='5s')
        end.be('silent')
        run, said = self.run_of(l, 'B1', timeout='700ms')
        self.assertEqual((run['code'], said['code']), ('route-held', 'late'), said)
        end.be('early')
        run, said = self.run_of(l, 'B2')
        self.assertEqual((run['outcome'], said['answered']), ('passed', True), (run, said))
        end.be('fail')
        run, said = self.run_of(l, 'B3')
        self.assertEqual((run['code'], said['reason']), ('route-rejected', 'made in hall 3'), said)
        self.assertEqual({a['reply'] for a in end.all('request')}, {'/queue/answers'})


def certificate(where, name, host):
    """One that is its own issuer, and its key."""
    cert, key = (os.path.join(where, name + x) for x in ('.pem', '.key'))
    cloud.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert,
                  '-days', '2', '-subj', '/CN=' + name, '-addext', 'subjectAltName=DNS:' + host)
    return cert, key


if __name__ == '__main__':
    line.main()
