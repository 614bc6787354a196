#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a unit gets on the line: the set of recipes/identity.yaml on virtual boards.

    test_identity.py [BUILD]
"""
import os
import unittest

import line

RECIPE = os.path.join(line.ROOT, 'recipes', 'identity.yaml')


class Identity(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware())
        self.line.sim = line.Sim(self.line.home, 1, '--preload', app)
        self.line.start()
        self.api = self.line.api
        self.api.post('/pools', {'id': 'identity-sn', 'pattern': 'ID{seq:06}', 'first': 1, 'last': 999})
        self.api.post('/pools', {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48', 'first': 0, 'last': 99})
        self.api.post('/pools', {'id': 'keys', 'kind': 'license', 'values': ['L-1', 'L-2', 'L-3', 'L-4']})
        with open(RECIPE) as f:
            self.line.put_recipe(f.read())
        self.seen = set()

    def order(self, quantity):
        return self.api.post('/jobs', {'recipe': 'identity@1', 'quantity': quantity})['id']

    def next_run(self):
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished')['items'] if r['id'] not in self.seen]
            return runs[0] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def board(self):
        return self.line.sim.ctl('state', board='b1')['state']['unit']

    def ledger(self, pool):
        return {v['value']: v for v in self.api.get('/pools/%s/serials' % pool)['items']}

    def test_a_unit_gets_its_set_and_the_next_one_another(self):
        self.order(2)
        run = self.next_run()
        self.assertEqual((run['outcome'], run['serial']), ('passed', 'ID000001'), run)
        self.assertEqual(self.board()['values'], {'mac': {'0': 'ac:de:48:00:00:00', '1': 'ac:de:48:00:00:01'},
                                                  'license': {'key': 'L-1'}, 'flags': {'radio': '1', 'debug': '0'}})
        rows = [v for p in ('identity-sn', 'macs', 'keys') for v in self.ledger(p).values() if v['run'] == run['id']]
        self.assertEqual(sorted(v['value'] for v in rows), ['AC:DE:48:00:00:00', 'AC:DE:48:00:00:01', 'ID000001', 'L-1'])
        self.assertEqual({v['state'] for v in rows}, {'committed'})
        self.assertEqual(len({v['lease'] for v in rows}), 1)
        of_unit = self.api.get('/serials?unit_id=' + run['unit'])['items']
        self.assertEqual({(v['slot'], v['value']) for v in of_unit}, {(v['slot'], v['value']) for v in rows})
        pools = {p['id']: p for p in self.api.get('/pools')['items']}
        self.assertEqual([pools[p]['spent_week'] for p in ('identity-sn', 'macs', 'keys')], [1, 2, None])
        self.line.sim.ctl('next', board='b1', gap_ms=200)
        run = self.next_run()
        self.assertEqual((run['outcome'], run['serial']), ('passed', 'ID000002'), run)
        self.assertEqual(self.board()['values']['mac'], {'0': 'ac:de:48:00:00:02', '1': 'ac:de:48:00:00:03'})
        self.assertEqual(self.api.get('/pools/macs/gaps')['items'], [])

    def test_what_never_left_goes_back_and_rework_keeps_what_did(self):
        self.line.sim.ctl('fault', board='b1', fault='value-wrong')
        job = self.order(1)
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('failed', 'read-back-mismatch', 'set-eth0'), run)
        macs = self.ledger('macs')
        self.assertEqual({v: macs[v]['state'] for v in macs}, {'AC:DE:48:00:00:00': 'committed', 'AC:DE:48:00:00:01': 'void'})
        self.assertEqual(self.ledger('keys')['L-1']['state'], 'free')
        gaps = self.api.get('/pools/macs/gaps')['items']
        self.assertEqual([(g['first'], g['run'], g['code']) for g in gaps],
                         [(0, run['id'], 'read-back-mismatch'), (1, run['id'], 'read-back-mismatch')])
        # The same unit again: it keeps the address that it was sent.
        self.line.sim.ctl('unplug', board='b1')
        line.wait_for('the unit is gone', lambda: self.api.get('/stations/A1')['state'] == 'empty')
        self.line.sim.ctl('plug', board='b1')
        run = self.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(self.board()['values']['mac'], {'0': 'ac:de:48:00:00:00', '1': 'ac:de:48:00:00:02'})
        self.assertEqual(self.line.job_done(job)['passed'], 1)
        self.assertEqual([g['first'] for g in self.api.get('/pools/macs/gaps')['items']], [1])

    def test_a_trouble_of_the_line_after_the_unit_has_its_value_says_nothing_of_the_unit(self):
        self.line.put_recipe('''
recipe: trouble
version: 1
unit: {model: provsim-1, serial: {pool: identity-sn}}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - {id: set, action: console.command, with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$'}}
  - {id: tool, action: tool.run, with: {argv: ['/bin/false'], success: [done]}}
''')
        self.api.post('/jobs', {'recipe': 'trouble', 'quantity': 1})
        run = self.next_run()
        self.assertEqual((run['outcome'], run['step'], self.api.get('/units/' + run['unit'])['state']), ('error', 'tool', 'new'), run)
        self.assertEqual(self.ledger('identity-sn')['ID000001']['state'], 'committed')

    def test_after_a_kill_what_may_have_left_stays_with_the_unit(self):
        """The unit hangs in the answer to its first address, and provd is killed there."""
        self.line.sim.ctl('fault', board='b1', fault='stall=32')
        self.order(1)
        line.wait_for('the address leaves', lambda: self.ledger('macs').get('AC:DE:48:00:00:00', {}).get('exposed'))
        self.line.provd.kill()
        self.line.start()
        self.api = self.line.api
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code']), ('interrupted', 'interrupted'), run)
        macs = self.ledger('macs')
        self.assertEqual({v: macs[v]['state'] for v in macs}, {'AC:DE:48:00:00:00': 'committed', 'AC:DE:48:00:00:01': 'void'})
        self.assertEqual(self.ledger('keys')['L-1']['state'], 'free')
        first = self.api.get('/pools/macs/gaps')['items'][0]
        self.assertEqual((first['first'], first['run'], first['outcome']), (0, run['id'], 'interrupted'))
        self.assertIn('suspect', first['why'])

    def test_a_pool_that_is_empty_takes_nothing_from_the_others(self):
        self.api.post('/pools', {'id': 'one', 'kind': 'mac', 'pattern': '{mac:dash}', 'block': 'AC:DE:48', 'first': 500, 'last': 500})
        self.api.post('/jobs', {'recipe': 'identity@1', 'quantity': 1, 'params': {'mac_pool': 'one'}})
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'pool-empty', 'id'), run)
        self.assertIn('wifi', run['message'])
        self.assertEqual(self.ledger('one'), {})
        self.assertEqual(self.ledger('identity-sn'), {})
        self.assertEqual({v['state'] for v in self.ledger('keys').values()}, {'free'})
        self.assertEqual(self.board()['values'], {})


if __name__ == '__main__':
    line.main()
