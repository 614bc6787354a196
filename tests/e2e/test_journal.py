#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What cannot be undone, and provd killed between the act and its record: the next run looks at the device before it
acts, and acts only where the device shows that nothing happened.

    test_journal.py [BUILD]
"""
import json
import os
import re
import subprocess
import unittest

import fastboot_bench
import line

# version, unlocked, serialno, unlocked: then the command itself.
COMMAND = 4
RECIPE = '''
recipe: lock
version: 1
unit: {model: provsim}
ports:
  dut: {kind: tcp}
steps:
  - id: lock
    action: fastboot.flashing
    with: {port: dut, command: %s, accept_wipe: true}
    timeout: 60s
'''
STATION = "stations:\n  - {id: F1, ports: {dut: {path: 'platform-provsim-usb-0:1.1'}}}\n"


class Row(line.Line):
    """One station with a fastboot device, and an order for one unit."""

    def __init__(self, command):
        super().__init__(stations=0, boards=0)
        with open(os.path.join(self.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write(STATION)
        self.sim = line.Sim(self.home, 1, '--device', 'fastboot', '--link', 'tcp', '--partitions', 'userdata:1M')
        self.start()
        self.put_recipe(RECIPE % command)
        self.command = 'flashing ' + command

    def heard(self):
        """How often the device heard the command, in its whole life."""
        said = re.search(r'"commands": "([^"]*)"', json.dumps(self.sim.ctl('state', board='b1')))
        return said[1].encode().decode('unicode_escape').split('\n').count(self.command) if said else 0

    def intents(self):
        db = self.provd.db()
        try:
            return [tuple(r) for r in db.execute('SELECT run_id, state, observed FROM intents ORDER BY seq')]
        finally:
            db.close()

    def killed_after_the_act(self):
        """The device has done it and says nothing; provd waits for its answer and is killed."""
        self.sim.ctl('fault', board='b1', fault='silence=%d' % COMMAND)
        job = self.api.post('/jobs', {'recipe': 'lock', 'quantity': 1})['id']
        line.wait_for('the device has heard it', lambda: self.heard() == 1)
        self.provd.kill()
        intents = self.intents()
        assert [i[1] for i in intents] == ['intent'], intents
        return job, intents[0][0]

    def fastboot(self, *args):
        link = self.sim.boards()[0]['link']
        subprocess.run([fastboot_bench.FASTBOOT, '-s', link, *args], check=True, capture_output=True,
                       timeout=line.DEADLINE_S)

    def run_after(self, run):
        """The run that came after that one, when it is over."""
        def ended():
            last = self.api.get('/runs?limit=1')['items'][0]
            return last if last['id'] != run and last['state'] == 'finished' else None
        return line.wait_for('another run ends', ended)

    def step_of(self, run):
        return self.api.get('/runs/%s/steps' % run['id'])['items'][0]


class Journal(unittest.TestCase):
    def test_what_was_done_before_the_crash_is_seen_and_not_done_again(self):
        with Row('lock') as l:
            job, first = l.killed_after_the_act()
            l.start()
            self.assertEqual(l.job_done(job)['passed'], 1)
            run = l.run_after(first)
            self.assertEqual(run['outcome'], 'passed', run)
            self.assertEqual(l.api.get('/runs/' + first)['outcome'], 'interrupted')
            evidence = l.step_of(run)['evidence']
            self.assertEqual(evidence['earlier_intent']['run'], first)
            self.assertEqual(evidence['earlier_intent']['decided'], 'done before')
            self.assertEqual((evidence['lock'], evidence['skipped']), ('locked', True))
            self.assertEqual(l.heard(), 1)
            (intent,) = l.intents()
            self.assertEqual(intent[:2], (first, 'committed'))
            self.assertIn('locked', intent[2])

    def test_what_was_not_done_is_seen_and_done(self):
        with Row('lock') as l:
            job, first = l.killed_after_the_act()
            l.fastboot('flashing', 'unlock')  # as though the power had gone before the act
            l.start()
            self.assertEqual(l.job_done(job)['passed'], 1)
            run = l.run_after(first)
            evidence = l.step_of(run)['evidence']
            self.assertEqual(evidence['earlier_intent']['decided'], 'not done')
            self.assertEqual(evidence['proof'], 'observed')
            self.assertEqual(l.heard(), 2)
            old, new = l.intents()
            self.assertEqual((old[:2], new[:2]), ((first, 'void'), (run['id'], 'committed')))
            self.assertEqual(json.loads(new[2])['lock'], 'locked')

    def test_where_nobody_can_tell_a_person_decides(self):
        with Row('lock_critical') as l:
            job, first = l.killed_after_the_act()
            l.start()
            run = l.run_after(first)
            self.assertEqual((run['outcome'], run['code']), ('error', 'unit-suspect'), run)
            unit = l.api.get('/runs/' + first)['unit']
            self.assertIn(unit, run['message'])
            self.assertIn(first, run['message'])
            self.assertEqual(l.api.get('/units/' + unit)['state'], 'suspect')
            self.assertEqual(len(l.api.get('/units?state=suspect')['items']), 1)
            self.assertEqual(l.intents()[0][:2], (first, 'suspect'))
            self.assertEqual(l.heard(), 1)
            (act,) = l.api.get('/units/%s/journal' % unit)['items']
            self.assertEqual((act['run_id'], act['state'], act['action']), (first, 'suspect', 'fastboot.flashing'))
            self.assertEqual(l.provctl('unit', 'release', unit).returncode, 2)
            said = l.provctl('unit', 'release', unit, '--reason', 'seen with the vendor tool')
            self.assertEqual((said.returncode, said.stdout), (0, 'released: it is failed until it passes a run\n'), said)
            l.sim.ctl('replug', board='b1', gap_ms=400)
            self.assertEqual(l.job_done(job)['passed'], 1)
            self.assertEqual(l.heard(), 2)
            self.assertEqual([i[1] for i in l.intents()], ['void', 'committed'])
            self.assertIn('seen with the vendor tool', l.intents()[0][2])


if __name__ == '__main__':
    line.main()
