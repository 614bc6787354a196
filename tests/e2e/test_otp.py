#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fuses: recipes/otp.yaml on virtual boards that count each burn, with provd killed between a burn and its record, and
with power lost in the middle of one. No board is ever burnt twice, and no record shows the key.

    test_otp.py [BUILD]
"""
import os
import unittest

import line

RECIPES = os.path.join(line.ROOT, 'recipes')
KEY = '5ec2e7' + '0123456789abcdef' * 3 + '5ec2e70012'
ONE = '''
recipe: one
version: 1
unit: {model: provsim-1}
ports:
  console: {kind: tty, baud: 115200}
artifacts:
  fields: otp-fields.yml
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - id: burn
    action: %s
    with: {port: console, map: '${artifacts.fields}', field: %s, irreversible: yes-i-mean-it, timeout: 30s%s}
    timeout: 60s
'''

# Each burn is a turn; the list is the order's.
TURNS = '''
recipe: turns
version: 1
unit: {model: provsim-1}
ports:
  console: {kind: tty, baud: 115200}
artifacts:
  fields: otp-fields.yml
params: {fuses: {type: list}}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - for_each: '${params.fuses}'
    steps:
      - {id: ask, action: operator.prompt, when: '${turn} == 3', with: {text: go on}}
      - id: burn
        action: otp.write
        with: {port: console, map: '${artifacts.fields}', field: '${item.field}', value: '${item.value}', irreversible: yes-i-mean-it, timeout: 30s}
        timeout: 60s
'''


class Fuses(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        key, app = (os.path.join(self.line.home, n) for n in ('key', 'app.bin'))
        with open(key, 'w') as f:
            f.write(KEY)
        with open(app, 'wb') as f:
            f.write(line.firmware())
        self.line.config('secrets: {otp-key: {file: %s}}\n' % key)
        self.line.sim = line.Sim(self.line.home, 1, '--preload', app)
        self.line.start()
        with open(os.path.join(RECIPES, 'otp-fields.yml'), 'rb') as f:
            self.line.put_firmware(f.read(), 'otp-fields.yml')
        self.seen = set()

    @property
    def api(self):
        return self.line.api

    def put(self, field, value, action='otp.write'):
        """The recipe of one burn, and an order for one unit."""
        self.line.put_recipe(ONE % (action, field, ", value: '%s'" % value if value else ''))
        return self.api.post('/jobs', {'recipe': 'one', 'quantity': 1})['id']

    def put_version_2(self, field):
        self.line.put_recipe((ONE % ('otp.write', field, '')).replace('version: 1', 'version: 2'))
        self.api.post('/jobs', {'recipe': 'one@2', 'quantity': 1})
        self.line.sim.ctl('replug', board='b1', gap_ms=400)

    def fault(self, spec):
        self.line.sim.ctl('fault', board='b1', fault=spec)

    def next_run(self):
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished')['items'] if r['id'] not in self.seen]
            return runs[-1] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run

    def step(self, run, name):
        return [s for s in self.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == name][-1]

    def field(self, name):
        unit = self.line.sim.ctl('state', board='b1')['state']['unit']
        return unit['values'].get('otp', {}).get(name, {'writes': []})

    def burns(self, name):
        return len(self.field(name)['writes'])

    def intents(self):
        db = self.line.provd.db()
        try:
            return [tuple(r) for r in db.execute('SELECT run_id, action, what, state FROM intents ORDER BY seq')]
        finally:
            db.close()

    def killed_after_the_burn(self, field):
        """The board has burnt it and says nothing; provd waits for its answer and is killed."""
        line.wait_for('the board has burnt it', lambda: self.burns(field) == 1)
        self.line.provd.kill()
        rows = self.intents()
        self.assertEqual([r[3] for r in rows], ['intent'], rows)
        self.seen.add(rows[0][0])
        return rows[0][0]

    def unit(self, run):
        return self.api.get('/units/' + self.api.get('/runs/' + run['id'])['unit'])


class TheRecipe(Fuses):
    def test_the_shipped_recipe_burns_each_field_once_and_no_record_shows_the_key(self):
        with open(os.path.join(RECIPES, 'otp.yaml')) as f:
            self.line.put_recipe(f.read())
        self.api.post('/jobs', {'recipe': 'otp', 'quantity': 2})
        run = self.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual((self.field('key')['value'], self.field('boot')['value']), (KEY, '05'))
        self.assertTrue(self.field('boot')['locked'])
        self.assertEqual([r[1:] for r in self.intents()], [
            ('otp.write', 'otp key', 'committed'), ('otp.lock', 'lock of otp key', 'committed'),
            ('otp.write', 'otp boot', 'committed'), ('otp.lock', 'lock of otp boot', 'committed')])
        self.assertEqual(self.step(run, 'key')['evidence']['proof'], 'read-back')
        # The same unit once more: it is looked at, and nothing is done. What does not read is on record.
        self.line.sim.ctl('replug', board='b1', gap_ms=400)
        again = self.next_run()
        self.assertEqual(again['outcome'], 'passed', again)
        self.assertEqual([self.step(again, s)['evidence']['proof'] for s in ('key', 'lock-key', 'boot', 'lock-boot')],
                         ['journal'] + ['observed'] * 3)
        self.assertEqual((self.burns('key'), self.burns('boot')), (1, 1))
        self.assertEqual(len(self.intents()), 4)
        self.line.provd.term()
        for root, _, files in os.walk(os.path.join(self.line.home, 'state')):
            for name in files:
                data = line._bytes_of(os.path.join(root, name)).lower()
                self.assertNotIn(KEY[:16].encode(), data, name)
                self.assertNotIn(bytes.fromhex(KEY), data, name)
        self.assertNotIn(KEY[:16], self.line.provd.log_text())

    def test_the_digest_in_the_journal_is_not_that_of_the_key(self):
        with open(os.path.join(RECIPES, 'otp.yaml')) as f:
            self.line.put_recipe(f.read())
        self.api.post('/jobs', {'recipe': 'otp', 'quantity': 1})
        self.assertEqual(self.next_run()['outcome'], 'passed')
        db = self.line.provd.db()
        try:
            (digest,) = db.execute("SELECT digest FROM intents WHERE what = 'otp key'").fetchone()
        finally:
            db.close()
        self.assertNotIn(digest, (line.sha256(bytes.fromhex(KEY)), line.sha256(KEY.encode())))
        salt = [os.path.join(r, f) for r, _, fs in os.walk(os.path.join(self.line.home, 'state')) for f in fs if f == 'otp-salt']
        self.assertEqual([os.stat(s).st_mode & 0o777 for s in salt], [0o600])
        self.assertEqual(digest, line.sha256(line._bytes_of(salt[0]) + bytes.fromhex(KEY)))


class Preflight(Fuses):
    def test_a_mistake_in_the_last_burn_is_found_before_the_first(self):
        with open(os.path.join(RECIPES, 'otp.yaml')) as f:
            text = f.read()
        for n, (old, new) in enumerate((("field: boot, value: '0x5'", "field: boot, value: '0x10'"), ('field: boot', 'field: boots'))):
            self.line.put_recipe(text.replace(old, new).replace('version: 1', 'version: %d' % (n + 1)))
            self.api.post('/jobs', {'recipe': 'otp@%d' % (n + 1), 'quantity': 1})
            if n:
                self.line.sim.ctl('replug', board='b1', gap_ms=400)
            run = self.next_run()
            self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'preflight', 'preflight'), run)
            self.assertIn("step 'boot", run['message'].replace('lock-', ''))
        self.assertEqual(self.burns('key'), 0)
        self.assertEqual(self.intents(), [])


class Crash(Fuses):
    def test_what_was_burnt_before_the_crash_is_not_burnt_again(self):
        self.fault('otp-lost')
        job = self.put('flags', '0000beef')
        first = self.killed_after_the_burn('flags')
        self.line.start()
        self.assertEqual(self.line.job_done(job)['passed'], 1)
        run = self.next_run()
        evidence = self.step(run, 'burn')['evidence']
        self.assertEqual(evidence['earlier_intent']['run'], first)
        self.assertEqual((evidence['earlier_intent']['decided'], evidence['proof']), ('done before', 'observed'))
        self.assertEqual(self.burns('flags'), 1)
        self.assertEqual([r[3] for r in self.intents()], ['committed'])

    def test_a_crash_in_the_third_turn_of_a_loop_does_no_turn_again(self):
        fuses = [{'field': 'boot', 'value': '0x5'}, {'field': 'serial', 'value': '00000000000000000000000000000001'},
                 {'field': 'flags', 'value': '0000beef'}]
        self.line.put_recipe(TURNS)
        job = self.api.post('/jobs', {'recipe': 'turns', 'quantity': 1, 'params': {'fuses': fuses}})['id']

        def go_on(answered):
            asked = line.wait_for('the third turn', lambda: next(
                (p for p in self.api.get('/prompts?state=open')['items'] if p['id'] not in answered), None))
            self.assertEqual([self.burns(f['field']) for f in fuses[:2]], [1, 1])
            return asked['id']

        first_prompt = go_on(())
        self.fault('otp-lost')
        self.api.post('/prompts/%s/answer' % first_prompt, {'answer': 'yes'})
        line.wait_for('the board has burnt it', lambda: self.burns('flags') == 1)
        self.line.provd.kill()
        self.assertEqual([r[3] for r in self.intents()], ['committed', 'committed', 'intent'])
        first = self.intents()[0][0]
        self.seen.add(first)
        self.line.start()
        second_prompt = go_on((first_prompt,))
        self.api.post('/prompts/%s/answer' % second_prompt, {'answer': 'yes'})
        self.assertEqual(self.line.job_done(job)['passed'], 1)
        run = self.next_run()
        for turn in (1, 2, 3):
            evidence = self.step(run, 'burn[%d]' % turn)['evidence']
            self.assertEqual(evidence['earlier_intent']['run'] if turn == 3 else evidence['proof'], first if turn == 3 else 'observed', evidence)
        self.assertEqual([self.burns(f['field']) for f in fuses], [1, 1, 1])
        self.assertEqual([r[3] for r in self.intents()], ['committed'] * 3)

    def test_where_the_field_does_not_read_a_person_decides(self):
        self.fault('otp-lost')
        self.put('flags', '0000beef')
        first = self.killed_after_the_burn('flags')
        self.fault('otp-protected')
        self.line.start()
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code']), ('error', 'unit-suspect'), run)
        self.assertIn(first, run['message'])
        self.assertEqual(self.unit({'id': first})['state'], 'suspect')
        self.assertEqual(self.burns('flags'), 1)
        self.assertEqual([r[3] for r in self.intents()], ['suspect'])

    def test_a_lock_before_the_crash_is_seen(self):
        self.fault('otp-lost')
        job = self.put('boot', None, 'otp.lock')
        line.wait_for('the board has locked it', lambda: self.field('boot').get('locked'))
        self.line.provd.kill()
        self.seen.add(self.intents()[0][0])
        self.line.start()
        self.assertEqual(self.line.job_done(job)['passed'], 1)
        self.assertEqual(self.step(self.next_run(), 'burn')['evidence']['earlier_intent']['decided'], 'done before')
        unit = self.line.sim.ctl('state', board='b1')['state']['unit']
        self.assertEqual(unit['counters']['locks'], 1)


class Aborted(Fuses):
    def test_an_abort_of_the_order_does_not_cut_what_cannot_be_undone(self):
        self.fault('otp-lost')
        self.line.put_recipe((ONE % ('otp.write', 'flags', ", value: '0000beef'")).replace('timeout: 30s', 'timeout: 3s'))
        job = self.api.post('/jobs', {'recipe': 'one', 'quantity': 1})['id']
        line.wait_for('the board has burnt it', lambda: self.burns('flags') == 1)
        self.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        run = self.next_run()
        # The step has its own end, by its own time; one that is cut is 'aborted'.
        self.assertEqual((run['outcome'], run['code']), ('failed', 'timeout'), run)
        self.assertEqual(self.step(run, 'burn')['code'], 'timeout')
        self.assertEqual(self.api.get('/jobs/' + job)['state'], 'aborted')
        self.assertEqual(self.burns('flags'), 1)


class Half(Fuses):
    def test_half_a_coded_field_is_never_completed_and_the_unit_is_suspect(self):
        self.fault('otp-half=3')
        self.put('key', '${secrets.otp-key}')
        cut = self.next_run()
        self.assertEqual((cut['outcome'], cut['code']), ('error', 'device-gone'), cut)
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code']), ('error', 'otp-half-burnt'), run)
        self.assertIn('scrap the unit', run['message'])
        unit = self.unit(cut)
        self.assertEqual(unit['state'], 'suspect')
        self.assertEqual([r[::3] for r in self.intents()], [(cut['id'], 'suspect')])
        # A release does not make it whole: it is suspect again, and nothing was burnt.
        said = self.line.provctl('unit', 'release', unit['id'], '--reason', 'to see')
        self.assertEqual(said.returncode, 0, said)
        self.line.sim.ctl('replug', board='b1', gap_ms=400)
        run = self.next_run()
        self.assertEqual(run['code'], 'otp-half-burnt', run)
        self.assertEqual(self.unit(run)['state'], 'suspect')
        self.assertEqual(self.burns('key'), 1)
        self.assertEqual(self.line.provctl('unit', 'scrap', unit['id'], '--reason', 'half a key').returncode, 0)
        self.assertEqual(self.unit(run)['state'], 'scrapped')

    def test_half_a_plain_field_is_completed_where_the_recipe_says_so(self):
        self.fault('otp-half=3')
        job = self.put('flags', '0000beef')
        cut = self.next_run()
        self.assertEqual(cut['code'], 'device-gone', cut)
        self.assertEqual(self.next_run()['code'], 'otp-half-burnt')
        self.assertEqual(self.burns('flags'), 1)
        self.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        self.put_version_2("flags, value: '0000beef', complete: true")
        run = self.next_run()
        self.assertEqual(run['outcome'], 'passed', run)
        self.assertEqual(self.field('flags')['value'], '0000beef')
        self.assertEqual(self.burns('flags'), 2)
        self.assertEqual([r[3] for r in self.intents()], ['void', 'committed'])

    def test_a_locked_field_and_another_value_fail_the_unit(self):
        self.put('boot', None, 'otp.lock')
        self.assertEqual(self.next_run()['outcome'], 'passed')
        self.put_version_2("boot, value: '0x5'")
        run = self.next_run()
        self.assertEqual((run['outcome'], run['code']), ('failed', 'otp-locked'), run)
        self.assertEqual(self.burns('boot'), 0)


if __name__ == '__main__':
    line.main()
