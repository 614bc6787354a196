#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped recipes/commission-later.yaml: the cloud is away, and the line goes on: what a unit does not need is told later, in order, once, by a sender that is
killed at any place.

    test_outbox.py [BUILD]
"""
import json
import os
import shutil
import unittest

import cloud
import line
import test_cloud
import test_records

with open(os.path.join(line.ROOT, 'recipes', 'commission-later.yaml'), encoding='utf-8') as f:
    LATER = f.read().replace('delay: 2s', 'delay: 10ms')


class Row(test_cloud.Row):
    """A station, boards, and a cloud that can go away; a look at what waits."""

    def __init__(self, timeout='1s', **kw):
        super().__init__(recipe=LATER, timeout=timeout, **kw)

    def order(self, recipe='commission-later'):
        return super().order(recipe)

    def outbox(self, **query):
        return self.api.get('/outbox?' + '&'.join('%s=%s' % q for q in query.items()))['items']

    def unit(self, run):
        return self.api.get('/units/' + run['serial'])

    def unit_is(self, run, state):
        return line.wait_for('the unit is ' + state, lambda: self.unit(run)['state'] == state and self.unit(run))

    def made_offline(self):
        """A unit that was made while the cloud is away: its run."""
        self.cloud.away()
        job = self.order()
        run = self.next_run()
        self.job_done(job)
        return run

    def names(self):
        return [name for name, _ in self.cloud.requests]

    def retry_all(self):
        for row in self.outbox(state='waiting'):
            answer = self.api.request('POST', '/outbox/%s/retry' % row['id'], {})
            if answer.status != 409:    # it was done meanwhile
                assert answer.status == 200, answer.json


class Later(unittest.TestCase):
    def test_a_unit_is_provisioned_while_the_cloud_is_away_and_passes_when_it_is_back(self):
        with Row() as l:
            run = l.made_offline()
            self.assertEqual((run['outcome'], run['code'], run['kind']), ('provisioned', None, 'production'), run)
            self.assertEqual(l.api.get('/stations/A1')['last']['outcome'], 'provisioned')
            self.assertEqual(l.unit(run)['state'], 'provisioned')
            self.assertEqual(l.api.get('/runs?outcome=passed')['items'], [])
            self.assertEqual([r['id'] for r in l.api.get('/runs?outcome=provisioned')['items']], [run['id']])
            for step in ('register', 'activate'):
                self.assertEqual((l.step(run, step)['outcome'], l.step(run, step)['code']),
                                 ('deferred', 'service-unreachable'))
            report = l.api.get('/runs/%s/report' % run['id'])
            self.assertEqual((report['outcome'], report['passed']), ('provisioned', False))
            rows = line.wait_for('a first attempt', lambda: (r := l.outbox())[0]['attempts'] and r)
            self.assertEqual([(r['step'], r['action'], r['target'], r['state'], r['serial']) for r in rows],
                             [('register', 'cloud.register', 'cloud', 'waiting', run['serial']),
                              ('activate', 'cloud.activate', 'cloud', 'waiting', run['serial'])])
            line.wait_for('its end', lambda: l.outbox()[0]['code'] == 'service-unreachable')
            self.assertEqual(l.outbox()[1]['attempts'], 0)
            self.assertEqual(rows[1]['payload']['with']['device_id'], '${steps.register.device_id}')
            metrics = l.api.request('GET', '/metrics').body.decode()
            self.assertIn('provd_outbox_rows{state="waiting"} 2\n', metrics)
            self.assertIn('waiting', l.provctl('outbox', 'list').stdout)
            self.assertNotIn(cloud.TOKEN, json.dumps(rows))
            for name in ('provd.db', 'provd.db-wal'):
                self.assertNotIn(cloud.TOKEN.encode(), line._bytes_of(os.path.join(l.home, 'state', name)))

            l.cloud.back()
            l.provctl('outbox', 'retry', rows[0]['id'])
            l.unit_is(run, 'passed')
            (device,) = l.cloud.devices
            self.assertEqual((device['serial_number'], device['state']), (run['serial'], 'active'))
            self.assertEqual(l.names(), ['look-up', 'register', 'look-up', 'activate'])
            self.assertEqual([r['state'] for r in l.outbox()], ['done', 'done'])
            (completion,) = [r for r in l.api.get('/runs')['items'] if r['completes']]
            self.assertEqual((completion['kind'], completion['completes'], completion['outcome']),
                             ('completion', run['id'], 'passed'))
            steps = l.api.get('/runs/%s/steps' % completion['id'])['items']
            self.assertEqual([(s['id'], s['outcome']) for s in steps], [('register', 'passed'), ('activate', 'passed')])
            self.assertEqual(steps[0]['evidence']['device_id'], device['device_id'])
            # It counts once, as passed, and the record of the run has not changed.
            self.assertEqual(l.api.get('/reports/yield')['runs']['passed'], 1)
            self.assertEqual(l.api.get('/stations/A1')['last']['run_id'], run['id'])
            self.assertEqual(l.api.get('/runs/%s/report' % run['id'])['hash'], report['hash'])
            self.assertEqual(l.unit(run)['serial'], run['serial'])
            # The record of the run and that of its completion, and nothing that came later is taken for a change.
            self.assertEqual(l.found_in_records(), [])
            self.assertEqual(l.api.get('/runs/%s/record' % run['id'])['n'], 1)

    def test_what_waits_outlives_provd_and_goes_out_in_the_order_of_each_unit(self):
        with Row() as l:
            first = l.made_offline()
            l.another_unit()
            l.order()
            second = l.next_run()
            self.assertEqual(second['outcome'], 'provisioned', second)
            l.provd.kill()
            l.cloud.back()
            l.start()
            for run in (first, second):
                l.unit_is(run, 'passed')
            self.assertEqual({d['serial_number'] for d in l.cloud.devices}, {first['serial'], second['serial']})
            self.assertEqual(len(l.cloud.devices), 2)
            self.assertEqual([d['state'] for d in l.cloud.devices], ['active', 'active'])
            self.assertEqual(l.names().count('register'), 2)

    def test_a_run_that_does_not_pass_leaves_nothing_to_tell(self):
        with Row() as l:
            failing = LATER.replace('recipe: commission-later', 'recipe: failing') + \
                '  - {id: bad, action: console.command, with: {port: console, send: GET_SERIAL, expect: "^never$"}}\n'
            l.put_recipe(failing)
            l.cloud.away()
            job = l.order('failing')
            run = l.next_run()
            self.assertEqual((run['outcome'], run['step']), ('failed', 'bad'), run)
            self.assertEqual([r['state'] for r in l.outbox()], ['void', 'void'])
            l.stop(job)

    def test_a_run_that_does_it_again_is_enough(self):
        with Row() as l:
            first = l.made_offline()
            l.cloud.back()
            l.order()
            l.again()
            second = l.next_run()
            self.assertEqual((second['outcome'], second['serial']), ('passed', first['serial']), second)
            self.assertLessEqual({r['state'] for r in l.outbox()}, {'void', 'done'})
            self.assertEqual(l.unit(first)['state'], 'passed')
            self.assertEqual(len(l.cloud.devices), 1)


class Faults(unittest.TestCase):
    def test_whatever_the_cloud_answers_there_is_one_device_in_the_end(self):
        with Row() as l:
            for what, kind in (('register', 'lost'), ('register', '500-after'), ('register', 'html-after'),
                               ('register', 'huge'), ('register', 'cut'), ('register', 'slow'), ('register', '500'),
                               ('register', '429'), ('register', '503'), ('look-up', '500'), ('look-up', 'html'),
                               ('look-up', 'lost'), ('activate', 'lost'), ('activate', '500-after'),
                               ('activate', 'cut'), ('activate', '429')):
                with self.subTest(what=what, kind=kind):
                    run = l.made_offline()
                    self.assertEqual(run['outcome'], 'provisioned', run)
                    l.cloud.fault(what, kind)
                    l.cloud.back()
                    l.retry_all()
                    line.wait_for('it was hit', lambda: what not in l.cloud.faults)
                    l.cloud.release.set()
                    line.wait_for('it is done', lambda: l.retry_all() or l.unit(run)['state'] == 'passed')
                    self.assertEqual([d['state'] for d in l.cloud.of(run['serial'])], ['active'])
                    l.another_unit()

    def test_a_refusal_makes_the_unit_suspect_and_stops_no_other(self):
        with Row() as l:
            bad = l.made_offline()
            l.another_unit()
            l.order()
            good = l.next_run()
            l.cloud.refused = bad['serial']
            l.cloud.back()
            l.retry_all()
            l.unit_is(bad, 'suspect')
            l.unit_is(good, 'passed')
            refused, after = l.outbox(unit=l.unit(bad)['id'])
            self.assertEqual((refused['state'], refused['code'], after['state'], after['attempts']),
                             ('refused', 'service-refused', 'waiting', 0))
            self.assertIn('HTTP 422', refused['message'])
            self.assertEqual(l.cloud.of(bad['serial']), [])
            l.cloud.refused = None
            l.api.post('/outbox/%s/retry' % refused['id'])
            l.unit_is(bad, 'passed')
            self.assertEqual(len(l.cloud.of(bad['serial'])), 1)
            again = l.api.request('POST', '/outbox/%s/retry' % refused['id'], {})
            self.assertEqual(again.status, 409)

    def test_a_token_that_is_not_valid_is_no_fault_of_the_units(self):
        with Row() as l:
            run = l.made_offline()
            with open(os.path.join(l.home, 'token'), 'w') as f:
                f.write('tok-not-valid\n')
            l.cloud.back()
            l.retry_all()
            line.wait_for('the refusal', lambda: 'token' in (l.outbox()[0]['message'] or ''))
            self.assertEqual((l.outbox()[0]['state'], l.unit(run)['state']), ('waiting', 'provisioned'))
            with open(os.path.join(l.home, 'token'), 'w') as f:
                f.write(cloud.TOKEN + '\n')
            l.retry_all()
            l.unit_is(run, 'passed')

    def test_a_scrapped_unit_is_told_to_nobody(self):
        with Row() as l:
            run = l.made_offline()
            l.api.post('/units/%s/actions/scrap' % run['serial'], {'reason': 'dropped'})
            l.cloud.back()
            self.assertEqual([r['state'] for r in l.outbox()], ['void', 'void'])
            self.assertEqual(l.unit(run)['state'], 'scrapped')
            self.assertEqual(l.cloud.devices, [])


class Crash(unittest.TestCase):
    def killed(self, l, what, kind):
        """provd killed while the cloud has the request in its hands; the run of the unit."""
        run = l.made_offline()
        l.cloud.fault(what, kind)
        l.cloud.back()
        l.retry_all()
        line.wait_for('the cloud has it', lambda: l.cloud.acted.is_set() or what not in l.cloud.faults)
        l.provd.kill()
        l.cloud.release.set()
        l.start()
        l.unit_is(run, 'passed')
        return run

    def test_provd_killed_with_the_request_under_way_registers_once(self):
        with Row(timeout='60s') as l:
            for what, kind in (('register', 'hang'), ('look-up', 'hang'), ('activate', 'hang')):
                with self.subTest(what):
                    run = self.killed(l, what, kind)
                    self.assertEqual([d['state'] for d in l.cloud.of(run['serial'])], ['active'])
                    l.another_unit()
            self.assertEqual(l.names().count('register'), 3)
            with l.provd.db() as db:
                self.assertEqual([tuple(r) for r in db.execute("SELECT count(*) FROM outbox WHERE state <> 'done'")],
                                 [(0,)])

    def test_provd_killed_after_each_request_tells_every_unit_once(self):
        with Row(timeout='60s') as l:
            runs = [l.made_offline()]
            for _ in range(2):
                l.another_unit()
                l.order()
                runs.append(l.next_run())
            l.cloud.back()
            while not all(l.unit(run)['state'] == 'passed' for run in runs):
                heard = len(l.cloud.requests)
                line.wait_for('a request, or the end', lambda: len(l.cloud.requests) > heard or
                              all(l.unit(run)['state'] == 'passed' for run in runs))
                l.provd.kill()
                l.start()
            self.assertEqual(sorted(d['serial_number'] for d in l.cloud.devices), sorted(r['serial'] for r in runs))
            self.assertEqual([d['state'] for d in l.cloud.devices], ['active'] * 3)
            self.assertEqual(len([r for r in l.api.get('/runs?limit=50')['items'] if r['completes']]), 3)
            self.assertNotIn('records-damaged', json.dumps(l.api.get('/records')))

    def test_a_stop_ends_an_exchange_that_hangs_and_the_next_start_goes_on(self):
        with Row(timeout='60s') as l:
            run = l.made_offline()
            l.cloud.fault('register', 'hang')
            l.cloud.back()
            l.retry_all()
            self.assertTrue(l.cloud.acted.wait(line.DEADLINE_S))
            l.provd.stop()
            l.cloud.release.set()
            l.start()
            l.unit_is(run, 'passed')
            self.assertEqual(len(l.cloud.of(run['serial'])), 1)
            self.assertEqual(l.names().count('register'), 1)

    small_disk = test_records.RecordsTest.small_disk

    @unittest.skipIf(os.getuid() != 0, 'a file system of its own needs root')
    def test_a_disk_that_is_full_when_the_answer_comes_sends_nothing_twice(self):
        disks = []
        with Row(timeout='60s', before=lambda l: disks.append(self.small_disk(l, b'24m'))) as l:
            run = l.made_offline()
            l.cloud.fault('register', 'hang')
            l.cloud.back()
            l.retry_all()
            self.assertTrue(l.cloud.acted.wait(line.DEADLINE_S))
            filler = test_records.Filler(disks[0])
            line.wait_for('it is full', lambda: filler.full() and 'disk-full' in
                          [h['code'] for h in l.api.request('GET', '/readyz', raw=True).json['holds']])
            l.cloud.release.set()
            line.wait_for('provd has looked what came of it', lambda: l.names()[2:] == ['look-up'])
            # Whether its end found the last free page or not: the unit is not told as passed without its record.
            self.assertEqual(l.unit(run)['state'], 'provisioned')
            filler.end()
            l.unit_is(run, 'passed')
            self.assertEqual(l.names().count('register'), 1)
            self.assertEqual([d['state'] for d in l.cloud.of(run['serial'])], ['active'])

    def test_records_that_are_held_tell_nobody_until_a_person_accepts_them(self):
        with Row() as l:
            run = l.made_offline()
            self.assertEqual(l.provd.term(), 0)
            database = os.path.join(l.home, 'state', 'provd.db')
            shutil.copy(database, os.path.join(l.home, 'backup'))
            l.start()
            l.another_unit()
            l.order()
            self.assertEqual(l.next_run()['outcome'], 'provisioned')
            self.assertEqual(l.provd.term(), 0)
            for name in os.listdir(os.path.dirname(database)):
                if name.startswith('provd.db'):
                    os.unlink(os.path.join(l.home, 'state', name))
            shutil.copy(os.path.join(l.home, 'backup'), database)
            os.chmod(database, 0o600)
            l.cloud.back()
            l.start()
            self.assertIn('records-held', [h['code'] for h in l.api.get('/records')['holds']])
            self.assertEqual((l.outbox()[0]['state'], l.cloud.requests), ('waiting', []))
            l.api.post('/records/actions/accept', {'reason': 'restored'})
            l.unit_is(run, 'passed')
            self.assertEqual(l.names().count('register'), 1)


if __name__ == '__main__':
    line.main()
