#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A unit that restarts within its run and does not come back as it should: not at all, as another one, or on another
port. Each ends as what it is, and the next unit passes."""
import os
import unittest

import line

RECIPE = '''recipe: restart
version: 1
ports: {dut: {kind: any}}
steps:
  - id: restart
    action: adb.reboot
    with: {port: dut}
    timeout: %s
'''


class Restarting(line.Line):
    def __init__(self, timeout='4s', *sim_args):
        super().__init__(stations=0, boards=2, sim_args=('--device', 'adb', '--link', 'tcp', *sim_args))
        with open(os.path.join(self.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write("stations:\n  - {id: S1, ports: {dut: {path: 'platform-provsim-usb-0:1.1'}}}\n")
        self.timeout = timeout

    def start(self):
        super().start()
        self.put_recipe(RECIPE % self.timeout)
        return self

    def run_once(self, while_away=None):
        """The run of one job; while_away is called once its unit has left the bus."""
        job = self.api.post('/jobs', {'recipe': 'restart', 'quantity': 1})['id']
        if while_away:
            line.wait_for('the unit has left', lambda: not self.sim.boards()[0]['plugged'], every_s=0.005)
            while_away()
        run = line.wait_for('the run ends', lambda: next(
            (r for r in self.api.get('/runs?job_id=' + job)['items'] if r['state'] == 'finished'), None))
        if run['outcome'] != 'passed':
            self.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        return run

    def passes_again(self, t):
        self.sim.ctl('clear-faults', board='b1')
        self.sim.ctl('next', board='b1')
        t.assertEqual(self.run_once()['outcome'], 'passed')


class Replug(unittest.TestCase):
    def test_it_comes_back_on_the_same_port(self):
        with Restarting('20s') as row:
            row.start()
            self.assertEqual(row.run_once()['outcome'], 'passed')

    def test_it_does_not_come_back(self):
        with Restarting() as row:
            row.start()
            row.sim.ctl('fault', board='b1', fault='no-return')
            run = row.run_once()
            self.assertEqual((run['outcome'], run['code']), ('error', 'device-gone'), run)
            row.timeout = '20s'
            row.passes_again(self)

    def test_another_unit_comes_back(self):
        with Restarting('20s') as row:
            row.start()
            row.sim.ctl('fault', board='b1', fault='swap-reboot')
            run = row.run_once()
            self.assertEqual((run['outcome'], run['code']), ('error', 'wrong-device'), run)
            row.passes_again(self)

    def test_it_comes_back_on_another_port(self):
        with Restarting('4s', '--adb-serial', 'SN-0042') as row:
            row.sim.ctl('unplug', board='b2')
            row.start()
            row.sim.ctl('fault', board='b1', fault='no-return')
            run = row.run_once(lambda: row.sim.ctl('plug', board='b2'))
            self.assertEqual((run['outcome'], run['code']), ('error', 'wrong-device'), run)
            whole = row.api.get('/runs/' + run['id'])
            self.assertIn('1.2', str(whole), 'the other port is not named')
            self.assertIn('SN-0042', str(whole))

    def test_a_neighbour_with_another_serial_number_is_no_wrong_device(self):
        with Restarting('4s', '--set', 'b1:adb-serial=SN-1', '--set', 'b2:adb-serial=SN-2') as row:
            row.sim.ctl('unplug', board='b2')
            row.start()
            row.sim.ctl('fault', board='b1', fault='no-return')
            run = row.run_once(lambda: row.sim.ctl('plug', board='b2'))
            self.assertEqual((run['outcome'], run['code']), ('error', 'device-gone'), run)


if __name__ == '__main__':
    line.main()
