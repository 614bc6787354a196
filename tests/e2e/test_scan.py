#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A serial that somebody scans: used for the unit, refused for a second one.

    test_scan.py [BUILD]
"""
import unittest

import line

RECIPE = """recipe: scanned
version: 1
unit: {serial: {from: scan, pattern: '^T2\\d{4}$'}}
ports: {console: {kind: tty}}
steps:
  - {id: scan, action: operator.scan, with: {text: Scan the label, pattern: '^T2'}}
  - {id: serial, action: unit.serial, with: {value: '${steps.scan.value}'}}
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', boot: true}
  - id: set
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
    retry: {attempts: 10, delay: 100ms, on: [timeout, unexpected-reply]}
artifacts: {application: firmware.bin}
"""


class Scan(unittest.TestCase):
    def answer(self, l, value):
        prompt = line.wait_for('the prompt', lambda: (l.api.get('/prompts?state=open')['items'] or [None])[0])
        self.assertEqual(prompt['kind'], 'scan')
        with self.assertRaises(line.Problem) as refused:
            l.api.post('/prompts/%s/answer' % prompt['id'], {'answer': 'rubbish'})
        self.assertEqual(refused.exception.answer.status, 400)
        l.api.post('/prompts/%s/answer' % prompt['id'], {'answer': value})

    def run_of(self, l, seen):
        def ended():
            runs = [r for r in l.api.get('/runs?state=finished')['items'] if r['id'] not in seen]
            return runs[0] if runs else None
        run = line.wait_for('the run ends', ended)
        seen.add(run['id'])
        return run

    def test_a_scanned_serial_is_used_once(self):
        with line.Line(1) as l:
            l.start()
            l.prepare(line.firmware(), RECIPE)
            l.api.post('/jobs', {'recipe': 'scanned', 'quantity': 2})
            seen = set()
            self.answer(l, 'T20001\r\n')     # as scanners end it
            first = self.run_of(l, seen)
            self.assertEqual((first['outcome'], first['serial']), ('passed', 'T20001'), first)
            l.sim.ctl('next', board='b1', gap_ms=200)
            self.answer(l, 'T20001')
            second = self.run_of(l, seen)
            self.assertEqual((second['outcome'], second['code']), ('error', 'serial-conflict'), second)
            l.sim.ctl('next', board='b1', gap_ms=200)
            self.answer(l, 'T2xyz')
            third = self.run_of(l, seen)
            self.assertEqual((third['outcome'], third['code']), ('failed', 'unexpected-reply'), third)


if __name__ == '__main__':
    line.main()
