#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped recipes/commission.yaml against a virtual cloud that fails in every way: one registration for a unit or a
clear error, never two, also where provd is killed between the request and its record.

    test_cloud.py [BUILD]
"""
import json
import os
import unittest
import unittest.mock

import cloud
import line

FIRMWARE = line.firmware(2048)
with open(os.path.join(line.ROOT, 'recipes', 'commission.yaml'), encoding='utf-8') as f:
    COMMISSION = f.read().replace('delay: 2s', 'delay: 10ms')
CONFIG = """secrets: {cloud-token: {file: %s/token}}
services:
  cloud: {url: '%s', ca: %s, token: cloud-token, timeout: %s}
"""


class Row(line.Line):
    """One station with boards that run their application, and the cloud."""

    def __init__(self, recipe=COMMISSION, timeout='1s', ca=None, before=None):
        super().__init__(stations=1, boards=0)
        try:
            self.cloud = cloud.Cloud(self.home)
            with open(os.path.join(self.home, 'token'), 'w') as f:
                f.write(cloud.TOKEN + '\n')
            self.config(CONFIG % (self.home, self.cloud.url, ca or self.cloud.ca, timeout))
            image = os.path.join(self.home, 'old.bin')
            with open(image, 'wb') as f:
                f.write(FIRMWARE)
            self.sim = line.Sim(self.home, 1, '--preload', image)
            if before:
                before(self)
            self.start()
            self.prepare(FIRMWARE, recipe)
            self.seen = set()
        except BaseException:
            self.close()
            raise

    def close(self):
        if getattr(self, 'cloud', None):
            self.cloud.__exit__()
            self.cloud = None
        super().close()

    def order(self, recipe='commission'):
        return self.api.post('/jobs', {'recipe': recipe, 'quantity': 1})['id']

    def next_run(self):
        """The next run that ends and was not seen before."""
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished&limit=50')['items']
                    if r['id'] not in self.seen and not r['completes']]
            return runs[-1] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def another_unit(self):
        self.sim.ctl('next', board='b1', gap_ms=100)

    def again(self):
        """The same unit once more."""
        self.api.post('/stations/A1/actions/start')

    def stop(self, job):
        if self.api.get('/jobs/' + job)['state'] not in ('done', 'aborted', 'cancelled'):
            self.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        line.wait_for('the station rests', lambda: self.api.get('/stations/A1')['run'] is None)

    def step(self, run, step_id):
        """Its last attempt; None: there was none."""
        steps = [s for s in self.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == step_id]
        return steps[-1] if steps else None

    def holds(self):
        return self.sim.ctl('state', board='b1')['state']['unit']


class Whole(unittest.TestCase):
    def test_a_unit_is_registered_configured_and_activated_and_its_secret_is_nowhere_else(self):
        with Row() as l:
            job = l.order()
            run = l.next_run()
            self.assertEqual(run['outcome'], 'passed', run)
            self.assertEqual(l.job_done(job)['passed'], 1)
            (device,) = l.cloud.devices
            self.assertEqual((device['serial_number'], device['device_type'], device['state']),
                             (run['serial'], 'provsim-1', 'active'))
            self.assertTrue(device['firmware_version'].startswith('v'))
            config = l.holds()['config']
            self.assertEqual((config['CLIENT_ID'], config['CLIENT_SECRET']),
                             ('cl-' + device['device_id'], device['client_secret']))
            evidence = l.step(run, 'register')['evidence']
            self.assertEqual((evidence['registered'], evidence['status'], evidence['proof']), ('now', 201, 'observed'))
            self.assertEqual(l.step(run, 'credentials')['outputs']['client_secret'], '[secret]')
            self.assertIn('[secret]', json.dumps(l.step(run, 'configure')['evidence']))
            self.assertEqual([name for name, _ in l.cloud.requests],
                             ['look-up', 'register', 'look-up', 'credentials', 'activate'])
            report = l.api.request('GET', '/runs/%s/report' % run['id']).body
            log = l.api.request('GET', '/runs/%s/log' % run['id']).body
            self.assertIn(b'credentials to cloud', log)
            l.provd.stop()
            for where in [report, log] + [line._bytes_of(os.path.join(d, f)) for d, _, files in os.walk(l.home)
                                          for f in files if f != 'token' and 'boards' not in d
                                          and os.path.isfile(os.path.join(d, f))]:
                self.assertNotIn(device['client_secret'].encode(), where)
                self.assertNotIn(cloud.TOKEN.encode(), where)

    def test_a_service_that_asks_for_a_certificate_is_shown_one(self):
        with Row() as l:
            l.cloud.ask_for_certificate()
            job = l.order()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['step']), ('error', 'register'), run)
            self.assertIn(run['code'], ('service-untrusted', 'service-unreachable'))
            self.assertEqual(l.cloud.requests, [])
            l.stop(job)
            shown = CONFIG.replace('token: cloud', "cert: '%s', key: '%s', token: cloud" % (l.cloud.cert, l.cloud.key))
            l.config(shown % (l.home, l.cloud.url, l.cloud.ca, '5s'))
            l.provd.stop()
            l.start()
            l.order()
            l.again()
            run = l.next_run()
            self.assertEqual(run['outcome'], 'passed', run)
            self.assertEqual(len(l.cloud.devices), 1)

    def test_a_missing_token_is_found_before_the_unit_is_touched(self):
        with Row() as l:
            os.unlink(os.path.join(l.home, 'token'))
            job = l.order()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('error', 'preflight'), run)
            self.assertIn("step 'register': secret 'cloud-token'", run['message'])
            self.assertEqual(l.api.get('/runs/%s/steps' % run['id'])['items'], [])
            l.stop(job)

    def test_a_rework_is_the_same_device(self):
        with Row() as l:
            l.order()
            first = l.next_run()
            l.order()
            l.again()
            second = l.next_run()
            self.assertEqual((second['outcome'], second['serial']), ('passed', first['serial']), second)
            self.assertEqual(len(l.cloud.devices), 1)
            self.assertEqual(l.step(second, 'register')['evidence']['registered'], 'before')


class Faults(unittest.TestCase):
    # fault of the step's request: the codes that it may end with, None for a pass; registrations then
    REGISTER = {
        'lost': (None, 1), '500-after': (None, 1), 'html-after': (None, 1), 'huge': (None, 1), 'cut': (None, 1),
        'slow': (None, 1), '409': (None, 1), 'redirect': (None, 1),
        '500': ('service-refused', 0), 'html': ('service-answer', 0), 'refused': ('service-refused', 0),
        'late': ('service-unreachable', 0), 'duplicate': ('service-conflict', 2),
    }
    LOOK_UP = {'lost': 'service-unreachable', '500': 'service-refused', 'html': 'service-answer',
               'huge': 'service-answer', 'slow': 'service-unreachable', 'redirect': 'service-answer'}

    def test_each_fault_of_the_registration_ends_with_one_device_or_an_error(self):
        with Row() as l:
            for kind, (code, registrations) in self.REGISTER.items():
                with self.subTest(kind):
                    l.cloud.fault('register', kind)
                    job = l.order()
                    run = l.next_run()
                    serial = l.holds()['serial']
                    self.assertEqual((run['outcome'], run['code'], run['serial']),
                                     ('error', code, serial) if code else ('passed', None, serial), run)
                    self.assertEqual(len(l.cloud.of(serial)), registrations)
                    l.cloud.release.set()
                    if code:
                        self.assertIn('cloud', run['message'])
                        self.the_next_run_settles_it(l, kind, serial)
                    else:
                        self.assertEqual(l.cloud.of(serial)[0]['state'], 'active')
                    l.stop(job)
                    l.another_unit()

    def the_next_run_settles_it(self, l, kind, serial):
        if kind == 'late':
            line.wait_for('its effect came', lambda: l.cloud.of(serial))
        if kind == 'duplicate':     # a person removed the wrong one
            l.cloud.devices.remove(l.cloud.of(serial)[1])
        l.again()
        run = l.next_run()
        self.assertEqual((run['outcome'], run['serial']), ('passed', serial), run)
        self.assertEqual([d['state'] for d in l.cloud.of(serial)], ['active'])
        evidence = l.step(run, 'register')['evidence']
        decided = 'done before' if kind in ('late', 'duplicate') else 'not done'
        self.assertEqual(evidence['earlier_intent']['decided'], decided)

    def test_nothing_is_sent_where_the_look_up_has_no_answer(self):
        with Row() as l:
            for kind, code in self.LOOK_UP.items():
                with self.subTest(kind):
                    l.cloud.fault('look-up', kind)
                    job = l.order()
                    run = l.next_run()
                    self.assertEqual((run['outcome'], run['code'], run['step']), ('error', code, 'register'), run)
                    l.cloud.release.set()
                    self.assertEqual(l.cloud.devices, [])
                    l.stop(job)
                    l.another_unit()
            # That many in a row, and no fixture is to blame: the next unit has its run.
            l.order()
            self.assertEqual(l.next_run()['outcome'], 'passed')

    def test_an_activation_whose_answer_is_lost_is_seen_in_the_state(self):
        with Row() as l:
            for kind in ('lost', '500-after', 'html-after', 'cut', 'slow'):
                with self.subTest(kind):
                    l.cloud.fault('activate', kind)
                    job = l.order()
                    run = l.next_run()
                    l.cloud.release.set()
                    self.assertEqual(run['outcome'], 'passed', run)
                    # A page in the place of an answer came with a status of 200, and proves nothing by itself.
                    self.assertEqual(l.step(run, 'activate')['evidence']['proof'], 'observed')
                    self.assertEqual(l.cloud.of(run['serial'])[0]['state'], 'active')
                    l.stop(job)
                    l.another_unit()
            l.cloud.fault('activate', 'refused')
            l.order()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
            self.assertIn('not\\n this one; the device is not active', run['message'])

    def test_credentials_that_do_not_come_end_in_an_error_and_are_fetched_again(self):
        with Row() as l:
            l.cloud.fault('credentials', 'lost')
            l.order()
            run = l.next_run()
            self.assertEqual(run['outcome'], 'passed', run)
            self.assertEqual([n for n, _ in l.cloud.requests].count('credentials'), 2)
            l.another_unit()
            l.cloud.fault('credentials', 'html')
            job = l.order()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-answer'), run)
            self.assertIn('HTML (a login page or a proxy?)', run['message'])
            l.stop(job)

    def test_a_serial_number_of_another_type_is_left_alone(self):
        with Row() as l:
            l.order()
            first = l.next_run()
            self.assertEqual(first['outcome'], 'passed')
            l.cloud.devices[0]['device_type'] = 'T9'
            job = l.order()
            l.again()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-conflict'), run)
            self.assertIn("'T9'", run['message'])
            self.assertEqual(len(l.cloud.devices), 1)
            l.stop(job)

    def test_a_service_that_cannot_prove_who_it_is_hears_nothing(self):
        with Row() as l:
            l.config(CONFIG % (l.home, l.cloud.url, l.cloud.other_ca, '1s'))
            l.provd.stop()
            l.start()
            job = l.order()
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-untrusted'), run)
            self.assertEqual(l.cloud.requests, [])
            l.stop(job)


class Crash(unittest.TestCase):
    def test_provd_killed_after_the_registration_finds_it_again(self):
        with Row(timeout='60s') as l:
            l.cloud.fault('register', 'hang')
            job = l.order()
            self.assertTrue(l.cloud.acted.wait(line.DEADLINE_S))
            line.wait_for('it is registered', lambda: l.cloud.devices)
            l.provd.kill()
            l.cloud.release.set()
            l.start()
            self.assertEqual(l.job_done(job)['passed'], 1)
            runs = l.api.get('/runs?limit=10')['items']
            self.assertEqual([r['outcome'] for r in runs], ['passed', 'interrupted'])
            self.assertEqual(runs[0]['serial'], l.cloud.devices[0]['serial_number'])
            evidence = l.step(runs[0], 'register')['evidence']
            self.assertEqual((evidence['registered'], evidence['earlier_intent']['run'],
                              evidence['earlier_intent']['decided']), ('before', runs[1]['id'], 'done before'))
            self.assertEqual([n for n, _ in l.cloud.requests].count('register'), 1)
            self.assertEqual([d['state'] for d in l.cloud.devices], ['active'])
            with l.provd.db() as db:
                intents = [tuple(r) for r in db.execute('SELECT run_id, state FROM intents')]
            self.assertEqual(intents, [(runs[1]['id'], 'committed')])

    def test_a_run_that_is_stopped_while_it_waits_ends_at_once(self):
        with Row(timeout='60s') as l:
            l.cloud.fault('register', 'hang')
            l.order()
            self.assertTrue(l.cloud.acted.wait(line.DEADLINE_S))
            l.api.post('/stations/A1/actions/abort')
            run = l.next_run()
            self.assertEqual((run['outcome'], run['code']), ('aborted', 'aborted'), run)


class Bench(unittest.TestCase):
    def run_it(self, l, **service):
        names = {'url': 'PROVD_SERVICE_cloud', 'token': 'PROVD_SERVICE_cloud_TOKEN', 'ca': 'PROVD_SERVICE_cloud_CA'}
        with unittest.mock.patch.dict(os.environ, {names[k]: v for k, v in service.items()}):
            return l.provctl('recipe', 'run', os.path.join(line.ROOT, 'recipes', 'commission.yaml'), '--port',
                             'console=sim:b1', '--serial', 'SN20261129004711', '--json')

    def test_a_bench_takes_its_services_from_the_environment(self):
        with Row() as l:
            said = json.loads(self.run_it(l).stdout)
            self.assertEqual((said['code'], said['step']), ('not-found', 'register'), said)
            self.assertIn('set PROVD_SERVICE_cloud to its address', said['message'])
            said = json.loads(self.run_it(l, url='http://cloud.example', token=cloud.TOKEN).stdout)
            self.assertIn('in the clear', said['message'])
            done = self.run_it(l, url=l.cloud.url, token=cloud.TOKEN, ca=l.cloud.ca)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            (device,) = l.cloud.devices
            self.assertEqual((device['serial_number'], device['state']), ('SN20261129004711', 'active'))
            self.assertNotIn(device['client_secret'], done.stdout + done.stderr)
            self.assertNotIn(cloud.TOKEN, done.stdout + done.stderr)


REQUEST = """recipe: ask
version: 1
ports: {console: {kind: tty}}
steps:
  - id: ask
    action: http.request
    with: %s
    retry: {attempts: 3, delay: 10ms}
  - {id: tell, action: console.config, with: {port: console, values: {KEY: '%s'}}}
"""


class Request(unittest.TestCase):
    def ask(self, with_, told='x', fault=None, **values):
        with Row(REQUEST % (with_, told)) as l:
            l.cloud.values = values
            if fault:
                l.cloud.fault('echo', fault)
            job = l.order('ask')
            run = l.next_run()
            l.stop(job)
            step = l.step(run, 'ask')
            return run, step, l.cloud.requests, l.holds().get('config')

    def test_what_the_answer_must_be_and_what_is_taken_of_it(self):
        run, step, requests, config = self.ask(
            "{service: cloud, method: POST, path: /echo, body: {a: 1, b: x y}, idempotency_key: k-1, "
            "expect_json: {/ok: true, /got/a: 1}, values: [/list/1, /a~1b], secrets: [/pin]}",
            '${steps.ask.value1}+${steps.ask.secret1}', ok=True, list=[0, 'one'], **{'a/b': 7}, pin='hush-4711')
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(requests, [('echo', 'k-1')])
        self.assertEqual(config, {'KEY': 'one+hush-4711'})
        outputs = step['outputs']
        self.assertEqual((outputs['value1'], outputs['value2'], outputs['secret1']), ('one', '7', '[secret]'))

    def test_a_secret_that_cannot_be_masked_is_not_taken(self):
        run, step, _, config = self.ask("{service: cloud, path: /echo, secrets: [/key, /pin]}", key='long-enough-77', pin='abc')
        self.assertEqual((run['outcome'], run['code']), ('error', 'invalid'), run)
        self.assertIn("output 'secret2': a secret needs at least 4 characters", run['message'])
        self.assertEqual((step['outputs'], config), ({'status': 200, 'secret1': '[secret]'}, {}))

    def test_an_answer_that_says_no_is_not_passed(self):
        run, step, requests, _ = self.ask("{service: cloud, path: /echo, expect_json: {/released: true}}", released=False)
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
        self.assertIn("has 'false' at '/released', 'true' expected", run['message'])
        self.assertEqual(len(requests), 3)      # a GET is asked again as the recipe says

    def test_a_post_without_a_key_is_sent_once_whatever_the_recipe_says(self):
        run, _, requests, _ = self.ask("{service: cloud, method: POST, path: /echo}", fault='lost')
        self.assertEqual((run['outcome'], run['code']), ('error', 'service-unreachable'), run)
        self.assertEqual(len(requests), 1)
        run, _, requests, _ = self.ask("{service: cloud, method: POST, path: /echo, idempotency_key: k}", fault='lost')
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(requests, [('echo', 'k')] * 2)

    def test_only_services_of_the_list_are_asked_and_only_below_their_address(self):
        run, step, requests, _ = self.ask("{service: clout, path: /echo}")
        self.assertEqual((run['outcome'], run['code'], step), ('error', 'preflight', None), run)
        self.assertIn("step 'ask': provd.yaml names no service 'clout', did you mean 'cloud'?", run['message'])
        self.assertEqual(requests, [])
        run, _, requests, _ = self.ask("{service: cloud, path: '/${station.id}/../x'}")
        self.assertEqual((run['outcome'], run['code']), ('error', 'recipe-invalid'), run)
        self.assertEqual(requests, [])


if __name__ == '__main__':
    line.main()
