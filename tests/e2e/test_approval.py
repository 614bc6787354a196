#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What nothing takes back (read-out protection of level 2 of an STM32) is done once a second person said yes: not whoever made
the order or the recipe, no operator, no engineer, and nobody where there is no answer.

    test_approval.py [BUILD]
"""
import json
import os
import subprocess
import unittest

import line

STATION = "stations:\n  - {id: A1, ports: {rom: {path: 'platform-provsim-usb-0:1.1'}}, quarantine_after: 0}\n"
RECIPE = '''
recipe: closed
version: 1
unit: {model: f405}
ports:
  rom: {kind: tty, baud: 115200}
steps:
  - id: close
    action: stm32.protect
    with: {port: rom, parity: none, what: readout, level: '2', irreversible: yes-i-mean-it}
    timeout: %s
'''


class Approval(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=0, boards=0)
        self.addCleanup(self.line.close)
        line.write(os.path.join(self.line.home, 'stations.d', 'line.yaml'), STATION)
        self.line.sim = line.Sim(self.line.home, 1, '--device', 'stm32-uart', '--stm32-pid', '0x413')
        self.line.start()
        self.who = {}
        for name, role in (('boss', 'supervisor'), ('anna', 'supervisor'), ('eva', 'engineer'), ('otto', 'operator'), ('root', 'admin')):
            token = self.line.api.post('/tokens', {'role': role, 'name': name})['token']
            self.who[name] = self.line.provd.api(token)
            self.addCleanup(self.who[name].close)

    def order(self, timeout='60s'):
        made = self.who['eva'].post('/recipes', RECIPE % timeout, {'Content-Type': 'application/yaml'})
        self.who['root'].post('/recipes/closed/versions/%d/actions/approve' % made['version'])
        self.who['boss'].post('/jobs', {'recipe': 'closed', 'quantity': 1})

    def prompt(self):
        return line.wait_for('the question', lambda: (self.line.api.get('/prompts?state=open')['items'] or [None])[0])

    def answer(self, who, text='yes'):
        return self.who[who].request('POST', '/prompts/%s/answer' % self.asked['id'], {'answer': text})

    def ended(self):
        run = line.wait_for('the run ends', lambda: (self.line.api.get('/runs?state=finished')['items'] or [None])[0])
        return run, self.line.api.get('/runs/%s/steps' % run['id'])['items'][-1]

    def level(self):
        return self.line.sim.boards()[0]['rdp_level']

    def intents(self):
        d = self.line.provd.db()
        try:
            return [tuple(r) for r in d.execute('SELECT what, state FROM intents')]
        finally:
            d.close()

    def test_only_a_second_person_says_yes(self):
        self.order()
        self.asked = self.prompt()
        uid = self.line.sim.boards()[0]['uid']
        self.assertTrue(self.asked['approval'])
        self.assertIn('nothing ever takes it back', self.asked['text'])
        self.assertIn(uid, self.asked['text'])
        for who, says in (('boss', "'boss' made the order"), ('root', 'approved the recipe'), ('eva', 'a supervisor is asked'), ('otto', 'a supervisor is asked')):
            a = self.answer(who)
            self.assertEqual((a.status, a.json['code']), (403, 'forbidden'), a.body)
            self.assertIn(says, a.json['detail'])
        self.assertEqual((self.level(), self.intents(), self.prompt()['state']), (0, [], 'open'))
        self.assertEqual(self.answer('anna').status, 200)
        run, step = self.ended()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual((step['evidence']['approved_by'], step['evidence']['unit'] if 'unit' in step['evidence'] else uid), ('anna', uid))
        self.assertEqual((self.level(), self.intents()), (2, [('readout protection of level 2', 'committed')]))
        audit = [a for a in self.line.api.get('/audit')['items'] if a['action'] == 'prompt.answer']
        self.assertEqual(audit[0]['principal'], 'anna', audit)
        # For ever: power, and every command of the boot ROM.
        self.line.sim.ctl('reset', board='b1')
        self.assertEqual((self.level(), self.line.sim.boards()[0]['state']), (2, 'application'))

    def test_who_wrote_or_approved_a_part_is_no_second_person(self):
        token = self.line.api.post('/tokens', {'role': 'admin', 'name': 'rita'})['token']
        self.who['rita'] = self.line.provd.api(token)
        self.addCleanup(self.who['rita'].close)
        yaml = {'Content-Type': 'application/yaml'}
        self.who['eva'].post('/recipes', RECIPE.replace('recipe: closed', 'recipe: inner') % '60s', yaml)
        self.who['rita'].post('/recipes/inner/versions/1/actions/approve')
        for name, use in (('outer', 'inner'), ('closed', 'outer')):
            self.who['eva'].post('/recipes', 'recipe: %s\nversion: 1\nunit: {model: f405}\nports: {rom: {kind: tty, baud: 115200}}\n'
                                 'steps: [{id: u, use: %s@1, ports: {rom: rom}}]\n' % (name, use), yaml)
            self.who['root'].post('/recipes/%s/versions/1/actions/approve' % name)
        self.who['boss'].post('/jobs', {'recipe': 'closed', 'quantity': 1})
        self.asked = self.prompt()
        for who in ('rita', 'root', 'boss'):
            a = self.answer(who)
            self.assertEqual((a.status, a.json['code']), (403, 'forbidden'), a.body)
        self.assertEqual((self.level(), self.intents()), (0, []))
        self.assertEqual(self.answer('anna').status, 200)
        run, step = self.ended()
        self.assertEqual((run['outcome'], step['id'], step['evidence']['approved_by']), ('passed', 'u.u.close', 'anna'), run)

    def test_no_stops_it_whoever_says_it(self):
        self.order()
        self.asked = self.prompt()
        self.assertEqual(self.answer('otto', 'no').status, 200)
        run, _ = self.ended()
        self.assertEqual((run['outcome'], run['code']), ('aborted', 'aborted'), run)
        self.assertIn("'otto' does not approve", run['message'])
        self.assertEqual((self.level(), self.intents()), (0, []))

    def test_nothing_is_done_where_nobody_answers(self):
        self.order('2s')
        self.asked = self.prompt()
        run, _ = self.ended()
        self.assertEqual((run['outcome'], run['code']), ('aborted', 'aborted'), run)
        self.assertIn('nobody answered', run['message'])
        self.assertEqual((self.level(), self.intents()), (0, []))
        self.assertEqual(self.answer('anna').status, 409)   # too late
        self.assertEqual(self.level(), 0)

    def test_an_answer_does_not_outlive_its_run(self):
        self.order()
        self.asked = self.prompt()
        self.line.provd.kill()
        self.line.start()
        for who in self.who:
            self.who[who].close()
            self.who[who].port = self.line.provd.port
        again = line.wait_for('it is asked again', lambda: next((p for p in self.line.api.get('/prompts?state=open')['items'] if p['id'] != self.asked['id']), None))
        self.assertEqual(self.answer('anna').status, 409)
        self.assertEqual(self.level(), 0)
        self.asked = again
        self.assertEqual(self.answer('anna').status, 200)
        line.wait_for('it is done', lambda: self.level() == 2)

    def test_a_bench_has_no_second_person(self):
        link = self.line.sim.boards()[0]['link']
        self.line.provd.term()
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'stm32.protect', 'port=tty:' + link.removeprefix('tty:'), 'parity=none', 'what=readout', 'level=2',
                            'irreversible=yes-i-mean-it'], capture_output=True, text=True, timeout=line.DEADLINE_S)
        self.assertIn('a bench has none', json.loads(p.stdout)['message'])
        self.assertEqual(self.level(), 0)


if __name__ == '__main__':
    line.main()
