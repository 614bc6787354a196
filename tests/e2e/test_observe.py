#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What provd says of itself to those who watch it: /metrics, what is shipped for Prometheus and Grafana, the access log, traces.

    test_observe.py [BUILD]
"""
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import line

ASK = '''
recipe: ask
version: 1
unit: {model: m}
ports: {console: {kind: tty}}
steps:
  - id: look
    action: operator.prompt
    with: {text: 'Green?'}
'''
PROMTOOL = shutil.which('promtool')


def parse(text):
    """{name: {labels as a tuple of pairs: value}} of the text format, with each line looked at."""
    values, types = {}, {}
    for l in text.splitlines():
        if l.startswith('# TYPE '):
            name, kind = l[7:].split()
            assert name not in types, '%s has two heads' % name
            types[name] = kind
        elif not l.startswith('# HELP '):
            m = re.fullmatch(r'([a-z_]+)(?:\{(.*)\})? (\S+)', l)
            assert m, 'no line of the text format: %r' % l
            labels = tuple(sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', m.group(2) or '')))
            assert labels not in values.setdefault(m.group(1), {}), 'twice: %s' % l
            values[m.group(1)][labels] = float(m.group(3))
    return values, types


def labels(**kw):
    return tuple(sorted(kw.items()))


class Scrapes(unittest.TestCase):
    """A line that has made units, and one that failed."""

    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(2, sim_args=('--replace-after-idle', '200', '--when-serial', '--units', '5'))
        cls.addClassCleanup(cls.line.close)
        l = cls.line.start()
        l.prepare(line.firmware(8192))
        l.job_done(l.api.post('/jobs', {'recipe': 'production', 'quantity': 4})['id'])

    def scrape(self):
        a = self.line.api.request('GET', '/metrics')
        self.assertEqual(a.status, 200)
        self.assertEqual(a.headers['Content-Type'], 'text/plain; version=0.0.4; charset=utf-8')
        return a.body.decode()

    @unittest.skipUnless(PROMTOOL, 'promtool is not installed (Debian: prometheus)')
    def test_promtool_finds_nothing_to_complain_of(self):
        p = subprocess.run([PROMTOOL, 'check', 'metrics'], input=self.scrape(), capture_output=True, text=True)
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, '', ''))

    def test_runs_and_steps_are_counted_by_what_they_were(self):
        values, types = parse(self.scrape())
        passed = {k: v for k, v in values['provd_runs_total'].items()
                  if dict(k)['outcome'] == 'passed' and dict(k)['recipe'] == 'production'}
        runs = self.line.api.all('/runs')
        self.assertEqual(sum(passed.values()), sum(r['outcome'] == 'passed' for r in runs))
        for station in ('A1', 'A2'):
            self.assertEqual(passed.get(labels(station=station, recipe='production', outcome='passed', code='none'), 0),
                             sum(r['station'] == station and r['outcome'] == 'passed' for r in runs))
        steps = sum(len(self.line.api.get('/runs/%s/steps' % r['id'])['items']) for r in runs)
        self.assertEqual(sum(values['provd_steps_total'].values()), steps)
        self.assertEqual(sum(values['provd_step_duration_seconds_count'].values()), steps)
        self.assertEqual(types['provd_step_duration_seconds'], 'histogram')
        of = labels(recipe='production', outcome='passed')
        took = sum(r['duration_ms'] for r in runs if r['outcome'] == 'passed') / 1000
        self.assertAlmostEqual(values['provd_run_duration_seconds_sum'][of], took, delta=took / 2)

    def test_buckets_rise_to_the_count(self):
        values, types = parse(self.scrape())
        for name in (n for n, kind in types.items() if kind == 'histogram'):
            series = {}
            for k, v in values.get(name + '_bucket', {}).items():
                k = dict(k)
                le = float(k.pop('le'))
                series.setdefault(tuple(sorted(k.items())), []).append((le, v))
            for k, found in series.items():
                found.sort()
                self.assertEqual([v for _, v in found], sorted(v for _, v in found), (name, k))
                self.assertEqual(found[-1], (float('inf'), values[name + '_count'][k]), (name, k))

    def test_no_label_names_a_unit_a_run_or_an_order(self):
        text = self.scrape()
        l = self.line
        ids = [r['id'] for r in l.api.all('/runs')] + [j['id'] for j in l.api.all('/jobs')]
        ids += [s['value'] for s in l.api.all('/serials')]
        self.assertGreater(len(ids), 8)
        for i in ids:
            self.assertNotIn(i, text)
        self.assertNotRegex(text, r'[{,](serial|run|job|unit|order)(_id)?="')

    def test_what_the_machine_has_is_what_others_see(self):
        # A unit that another test brought may be at work.
        line.wait_for('nothing runs', lambda: parse(self.scrape())[0]['provd_stations'][labels(state='running')] == 0)
        values, _ = parse(self.scrape())
        state = os.path.join(self.line.home, 'state')
        v = os.statvfs(state)
        self.assertEqual(values['provd_disk_size_bytes'][()], v.f_blocks * v.f_frsize)
        self.assertAlmostEqual(values['provd_disk_free_bytes'][()], v.f_bavail * v.f_frsize, delta=1 << 30)
        self.assertEqual(values['provd_database_wal_bytes'][()], os.stat(os.path.join(state, 'provd.db-wal')).st_size)
        self.assertGreater(values['provd_writer_commit_duration_seconds_count'][()], 0)
        self.assertEqual(values['provd_writer_commit_duration_seconds_count'][()], values['provd_writer_commits_total'][()])
        self.assertEqual(values['provd_stations'][labels(state='running')], 0)
        self.assertIn(values['provd_clock_synchronised'][()], (0, 1))
        self.assertAlmostEqual(values['process_start_time_seconds'][()], time.time(), delta=600)
        self.assertGreater(values['process_resident_memory_bytes'][()], 1 << 20)
        self.assertGreaterEqual(values['process_open_fds'][()], 10)

    def test_requests_are_counted_by_the_row_of_their_route(self):
        row = lambda values, **kw: values['provd_http_requests_total'].get(labels(**kw), 0)
        jobs = dict(method='GET', route='/api/v1/jobs/{id}', status='404')
        none = dict(method='GET', route='none', status='404')
        before, _ = parse(self.scrape())
        for i in range(3):
            self.line.api.request('GET', '/jobs/0190000%d-0000-7000-8000-000000000000' % i)
        self.line.api.request('GET', '/no/such/%d' % time.time())
        def counted():
            after, _ = parse(self.scrape())
            return after if row(after, **none) == row(before, **none) + 1 else None
        after = line.wait_for('the last one is counted', counted)
        self.assertEqual(row(after, **jobs), row(before, **jobs) + 3)
        self.assertGreaterEqual(
            after['provd_http_request_duration_seconds_count'][labels(route='/api/v1/jobs/{id}')], 3)

    def test_a_device_that_leaves_is_counted_and_the_step_that_it_broke(self):
        l = self.line
        broke = lambda: sum(v for k, v in parse(self.scrape())[0].get('provd_device_errors_total', {}).items()
                            if dict(k)['code'] == 'device-gone')
        left = lambda: sum(v for k, v in parse(self.scrape())[0]['provd_usb_events_total'].items()
                           if dict(k)['event'] == 'disconnect')
        before, left_before = broke(), left()
        l.put_recipe(ASK)
        l.api.post('/jobs', {'recipe': 'ask', 'quantity': 1})
        running = line.wait_for('a run that asks', lambda: [
            s for s in l.api.get('/stations')['items'] if s['state'] == 'running'])[0]
        l.sim.ctl('unplug', board='b%d' % int(running['id'][1:]))
        line.wait_for('the step that broke is counted', lambda: broke() == before + 1)
        self.assertGreater(left(), left_before)

    def test_a_scrape_reads_no_table(self):
        """What it asks the database, by the plans of its statements: each is by an index, or of what has few rows."""
        found = 0
        with self.line.provd.db() as d:
            for name, function in (('outbox', 'outbox_count'), ('backlog', 'add_services'), ('webhooks', 'webhooks_behind'),
                                   ('spool', 'spool_state')):
                with open(os.path.join(line.ROOT, 'db', name + '.c')) as f:
                    text = f.read()
                text = text[re.search(r'^(static )?int %s\(' % function, text, re.M).start():]
                sql = ''.join(re.findall(r'"([^"]*)"', re.search(r'SELECT\(\w+,\s*((?:\s*"[^"]*")+),', text).group(1)))
                for row in d.execute('EXPLAIN QUERY PLAN ' + sql):
                    found += 1
                    if row['detail'].startswith('SCAN '):
                        self.assertRegex(row['detail'], '^SCAN (w|webhooks|spool|sqlite_sequence|outbox USING INDEX .*)$', sql)
        self.assertGreater(found, 5)


class Monitoring(unittest.TestCase):
    """What is shipped for Prometheus and Grafana, against a live scrape."""

    FOLDER = os.path.join(line.ROOT, 'monitoring')

    def dashboard(self):
        with open(os.path.join(self.FOLDER, 'provd-grafana.json')) as f:
            return json.load(f)

    def expressions(self):
        with open(os.path.join(self.FOLDER, 'provd-rules.yaml')) as f:
            rules = f.read()
        return [rules] + [t['expr'] for p in self.dashboard()['panels'] for t in p.get('targets', ())]

    @unittest.skipUnless(PROMTOOL, 'promtool is not installed (Debian: prometheus)')
    def test_the_rules_are_sound_and_fire_by_what_they_are_for(self):
        for what, name in (('check', 'provd-rules.yaml'), ('test', 'provd-rules-test.yaml')):
            p = subprocess.run([PROMTOOL, what, 'rules', name], cwd=self.FOLDER, capture_output=True, text=True)
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)

    @unittest.skipUnless(PROMTOOL, 'promtool is not installed (Debian: prometheus)')
    def test_each_expression_of_the_dashboard_is_promql(self):
        rules = {'groups': [{'name': 'x', 'rules': [
            {'record': 'x:x', 'expr': e.replace('$instance', '.*')} for e in self.expressions()[1:]]}]}
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
            json.dump(rules, f)
            f.flush()
            p = subprocess.run([PROMTOOL, 'check', 'rules', '--lint=none', f.name], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)

    def test_each_alert_has_a_test(self):
        with open(os.path.join(self.FOLDER, 'provd-rules.yaml')) as f:
            alerts = set(re.findall(r'- alert: (\w+)', f.read()))
        with open(os.path.join(self.FOLDER, 'provd-rules-test.yaml')) as f:
            fired = set(re.findall(r'alertname: (\w+)\n\s+exp_alerts:\n', f.read()))
        self.assertEqual(alerts, fired)
        self.assertGreater(len(alerts), 10)

    def test_each_metric_that_they_name_is_one_that_provd_has(self):
        """By the heads of a scrape: a head is there before its first series."""
        with line.Line(1, boards=0) as l:
            l.start()
            _, types = parse(l.api.request('GET', '/metrics').body.decode())
        known = set(types) | {'provd:run_yield:ratio_1h'}
        for name, kind in types.items():
            if kind == 'histogram':
                known |= {name + '_bucket', name + '_sum', name + '_count'}
        # Of a provd with TLS alone.
        known |= {'provd_tls_certificate_end_seconds', 'provd_tls_files_refused'}
        for e in self.expressions():
            named = set(re.findall(r'\b((?:provd|process)[_:][a-z0-9_:]+)\b', re.sub(r'"[^"]*"', '', e)))
            self.assertLessEqual(named, known, e)

    def test_the_panels_of_the_dashboard_do_not_lie_over_each_other(self):
        taken = set()
        for p in self.dashboard()['panels']:
            g = p['gridPos']
            cells = {(x, y) for x in range(g['x'], g['x'] + g['w']) for y in range(g['y'], g['y'] + g['h'])}
            self.assertFalse(cells & taken, p['title'])
            self.assertLessEqual(g['x'] + g['w'], 24, p['title'])
            taken |= cells
        ids = [p['id'] for p in self.dashboard()['panels']]
        self.assertEqual(len(ids), len(set(ids)))


class AccessLog(unittest.TestCase):
    def lines(self, l):
        path = os.path.join(l.home, 'access.log')
        if not os.path.exists(path):
            return []
        with open(path) as f:
            return [json.loads(x) for x in f]

    def test_each_request_has_a_line_and_no_secret_is_in_it(self):
        trace = '0af7651916cd43dd8448eb211c80319c'
        with line.Line(1, boards=0) as l:
            l.config('access_log: %s/access.log\n' % l.home)
            l.start()
            token = l.api.post('/tokens', {'name': 'the MES', 'role': 'mes'})
            mes = l.provd.api(token['token'])
            asked = mes.request('GET', '/jobs/01900000-0000-7000-8000-000000000000?x=topsecret', headers={
                'traceparent': '00-%s-b7ad6b7169203331-01' % trace, 'X-Password': 'topsecret'})
            mes.request('GET', '/jobs?limit=7')
            mes.request('GET', '/no/such/path/topsecret')
            mes.request('POST', '/session', {'token': 'topsecret'})
            mes.close()
            found = line.wait_for('the lines', lambda: (lambda x: x if len(x) >= 5 else None)(self.lines(l)))
            by_id = {x['request_id']: x for x in found}
            one = by_id[asked.headers['X-Request-Id']]
            self.assertEqual(list(one), ['time', 'request_id', 'principal', 'address', 'method', 'route', 'status', 'bytes',
                                         'duration_us', 'trace_id'])
            self.assertEqual((one['principal'], one['address'], one['method'], one['route'], one['status'], one['bytes'],
                              one['trace_id']), ('the MES', '127.0.0.1', 'GET', '/api/v1/jobs/{id}', asked.status,
                                                 len(asked.body), trace))
            self.assertTrue(any(x['route'] is None and x['status'] == 404 for x in found))
            with open(os.path.join(l.home, 'access.log')) as f:
                text = f.read()
            for secret in ('topsecret', token['token'].rsplit('_', 1)[1], 'limit=7', l.provd.token.rsplit('_', 1)[1]):
                self.assertNotIn(secret, text)
            # SIGHUP opens it again, and may send it elsewhere.
            os.rename(os.path.join(l.home, 'access.log'), os.path.join(l.home, 'access.log.1'))
            l.provd.process.send_signal(signal.SIGHUP)
            line.wait_for('a new file', lambda: os.path.exists(os.path.join(l.home, 'access.log')))
            l.config('access_log: journal\n')
            l.provd.process.send_signal(signal.SIGHUP)
            line.wait_for('lines in the log', lambda: l.api.get('/summary') and '"route":"/api/v1/summary"' in l.provd.log_text())


CALL = '''
recipe: call
version: 1
unit: {model: m}
ports: {console: {kind: tty}}
steps:
  - id: ask
    action: http.request
    with: {service: mes, path: /hello, method: GET}
'''


class Other(http.server.BaseHTTPRequestHandler):
    """What a service and the receiver of a webhook see: (path, headers)."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers))
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Traces(unittest.TestCase):
    TRACE, PARENT = '0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'

    def test_the_trace_of_an_order_is_told_on_in_all_that_is_done_for_it(self):
        other = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Other)
        other.seen = []
        threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        url = 'http://127.0.0.1:%d' % other.server_address[1]
        with tempfile.NamedTemporaryFile('w', suffix='.key') as f:
            f.write('whsec_' + 'A' * 32)
            f.flush()
            json_log = ['/bin/sh', '-c', 'exec "$0" "$@" --log-format json']
            with line.Line(1, wrap=json_log, config='secrets: {s: {file: %s}}\nservices: {mes: {url: %s}}\nwebhooks: {allow: [127.0.0.1], '
                           'clear: [127.0.0.1]}\n' % (f.name, url)) as l:
                self.trace(l, other, url)

    def order(self, l, headers):
        return l.api.request('POST', '/jobs', {'recipe': 'call', 'quantity': 1}, headers).json

    def trace(self, l, other, url):
        l.start()
        l.put_recipe(CALL)
        l.api.post('/webhooks', {'url': url + '/hook', 'types': ['run-finished', 'job-created'], 'secret': 's'})
        sent = '00-%s-%s-01' % (self.TRACE, self.PARENT)
        job = self.order(l, {'traceparent': sent, 'tracestate': 'mes=1,x=2'})
        self.assertEqual(job['traceparent'], sent)
        run = line.wait_for('the run', lambda: [r for r in l.api.get('/runs?job_id=' + job['id'])['items'] if r['outcome']])[0]
        self.assertEqual(run['outcome'], 'passed', run)
        span = run['id'].replace('-', '')[16:]
        self.assertEqual(run['traceparent'], '00-%s-%s-01' % (self.TRACE, span))
        # The service is called by the run's span, each delivery has one of its own.
        called = [h for path, h in other.seen if path == '/hello'][0]
        self.assertEqual((called['traceparent'], called['tracestate']), (run['traceparent'], 'mes=1,x=2'))
        told = line.wait_for('both events', lambda: (lambda x: x if len(x) >= 2 else None)(
            [h for path, h in other.seen if path == '/hook']))
        parents = {h['traceparent'] for h in told}
        self.assertEqual(len(parents), len(told), 'each has a parent of its own')
        for parent in parents:
            self.assertRegex(parent, '^00-%s-[0-9a-f]{16}-01$' % self.TRACE)
            self.assertNotIn(span, parent)
            self.assertNotIn(self.PARENT, parent)
        self.assertEqual({h['tracestate'] for h in told}, {'mes=1,x=2'})
        # So do the lines of the log that were written for the run, and no others.
        log = [json.loads(x) for x in l.provd.log_text().splitlines() if x.startswith('{')]
        of_run = [x.get('trace_id') for x in log if x.get('run') == run['id']]
        self.assertGreater(len(of_run), 1)
        self.assertEqual(set(of_run), {self.TRACE})
        self.assertEqual({x.get('trace_id') for x in log if not x.get('run')}, {None})
        # The events say it, and it is the same after a restart.
        events = [json.loads(x) for x in l.api.request('GET', '/events?format=ndjson').body.splitlines()]
        of = {e['type']: e['data'].get('trace_id') for e in events if e.get('job') == job['id']}
        self.assertEqual((of['job-created'], of['run-started']), (self.TRACE, self.TRACE))
        l.provd.term()
        l.start()
        self.assertEqual(l.api.get('/jobs/' + job['id'])['traceparent'], sent)
        # What is malformed counts as none, a future version is taken, and so is no tracestate that is none.
        for header, state, kept in (('00-%s-%s-01x' % (self.TRACE, self.PARENT), None, None),
                                    ('ff-%s-%s-01' % (self.TRACE, self.PARENT), None, None),
                                    ('00-%s-%s-01' % ('0' * 32, self.PARENT), None, None),
                                    ('cc-%s-%s-01-more' % (self.TRACE, self.PARENT), 'not=a=state', sent)):
            headers = {'traceparent': header}
            if state:
                headers['tracestate'] = state
            self.assertEqual(self.order(l, headers)['traceparent'], kept, header)


if __name__ == '__main__':
    line.main()
