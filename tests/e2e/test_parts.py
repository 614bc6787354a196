#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Loops over lists and recipes that other recipes use: from the upload to the record of a run.

    test_parts.py [BUILD]
"""
import json
import os
import re
import subprocess
import unittest

import line

YAML = {'Content-Type': 'application/yaml'}


def shipped(name):
    with open(os.path.join(line.ROOT, 'recipes', name), encoding='utf-8') as f:
        return f.read()


SENSOR, SENSORS = shipped('sensor.yaml'), shipped('sensors.yaml')


class Parts(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=1)
        self.addCleanup(self.line.close)
        self.line.start()
        self.api = self.line.api

    def put(self, text, status):
        got = self.api.request('POST', '/recipes', text, YAML)
        self.assertEqual(got.status, status, got.body)
        return got.json

    def approve(self, what, status=200):
        got = self.api.request('POST', '/recipes/%s/versions/1/actions/approve' % what)
        self.assertEqual(got.status, status, got.body)
        return got.json

    def steps(self, params, serial='T1', outcome='passed'):
        job = self.api.post('/jobs', {'recipe': 'sensors', 'serials': [serial], 'params': params})
        run = line.wait_for('the run ends', lambda: next(
            (r for r in self.api.get('/runs?state=finished')['items'] if r['job'] == job['id']), None))
        self.assertEqual(run['outcome'], outcome, run)
        return run, self.api.get('/runs/%s/steps' % run['id'])['items']

    def test_from_the_upload_of_a_part_to_the_steps_of_a_run(self):
        self.line.put_firmware(line.firmware(), 'application.bin')
        told = self.put(SENSORS, 422)
        self.assertIn("there is no recipe 'sensor@1': put it first", str(told))
        where = SENSORS[:SENSORS.index('use: sensor@1')].count('\n') + 1
        self.assertEqual([e['line'] for e in told['errors']], [where])

        self.put(SENSOR, 201)
        draft = self.put(SENSORS, 201)
        self.assertEqual(draft['recipe']['parts']['sensor@1']['recipe'], 'sensor')
        self.assertIn("'sensor@1' is a draft", str(self.approve('sensors', 409)))
        # The draft has the part as it was: what is approved has it as it was approved.
        self.put(SENSOR.replace('default: 20', 'default: 21'), 201)
        self.approve('sensor')
        self.assertIn('put the draft again', str(self.approve('sensors', 409)))
        self.put(SENSORS, 201)
        approved = self.approve('sensors')

        # A token that may not read the part cannot read it by way of another recipe.
        cell = self.api.post('/tokens', {'name': 'cell', 'role': 'engineer', 'scopes': {'recipes': ['sensors']}})['token']
        limited = self.line.provd.api(cell)
        self.addCleanup(limited.close)
        told = limited.request('POST', '/recipes/check', SENSORS, YAML)
        self.assertEqual(told.status, 422, told.body)
        self.assertIn("there is no recipe 'sensor@1'", str(told.json))

        # A mistake that only the part and who uses it make together is in the text of the part.
        told = self.put(SENSORS.replace('version: 1', 'version: 2').replace('low: 20', 'low: 40')
                        .replace("high: '${params.limit}'", 'high: 30'), 422)
        self.assertRegex(str(told), r"sensor@1:%d:\d+: 'low' is 40, above 'high'" % (
            SENSOR[:SENSOR.index('port: console\n')].count('\n') + 1))

        # A list that makes no good steps is refused before any unit.
        for bad, why in ((['read temp'] * 101, '1 to 100'), ([], '1 to 100'), ('read temp', 'must be a list'), ([None], 'item 1')):
            got = self.api.request('POST', '/jobs', {'recipe': 'sensors', 'serials': ['X'], 'params': {'commands': bad}})
            self.assertEqual((got.status, why in str(got.json)), (422, True), got.body)

        run, steps = self.steps({'commands': ['read temp', 'read temp']})
        self.assertEqual([s['id'] for s in steps], ['flash', 'set[1]', 'set[2]', 'check[1].read[1]', 'check[1].read[2]',
                                                    'check[2].read[1]', 'check[2].read[2]'])
        self.assertEqual([s['outcome'] for s in steps], ['passed'] * 7)
        self.assertEqual(run['params']['commands'], ['read temp', 'read temp'])

        # From the command line: the name once for each item, and a list of one.
        for given, items in (('commands=read temp,commands=read temp', ['read temp'] * 2), ('commands=["read temp"]', ['read temp'])):
            job = self.line.provctl('--json', 'job', 'submit', 'sensors', '--serials', 'S%d' % len(items), '--params', given)
            self.assertEqual(json.loads(job.stdout)['params']['commands'], items, job.stderr)

        # The approved recipe is the same whatever becomes of its part.
        self.api.post('/recipes/sensor/versions/1/actions/retire')
        after = self.api.get('/recipes/sensors/versions/1')
        self.assertEqual((after['sha256'], after['recipe']), (approved['sha256'], approved['recipe']))

    def test_provctl_takes_parts_next_to_the_file_and_says_where_a_mistake_is(self):
        home = os.path.join(self.line.home, 'bench')
        os.mkdir(home)
        line.write(os.path.join(home, 'sensors.yaml'), SENSORS)
        check = lambda: subprocess.run([line.binary('provctl'), 'recipe', 'check', os.path.join(home, 'sensors.yaml')],
                                       capture_output=True, text=True, timeout=60)
        self.assertIn("there is no part 'sensor@1'", check().stderr)
        line.write(os.path.join(home, 'sensor.yaml'), SENSOR.replace('version: 1', 'version: 2'))
        self.assertIn('sensor.yaml is sensor@2: sensor@1 expected', check().stderr)
        line.write(os.path.join(home, 'sensor@1.yaml'), SENSOR.replace('${params.low}', '${params.lov}'))
        self.assertTrue(re.search(r"sensor@1\.yaml:\d+:\d+: '\$\{params\.lov\}': unknown 'lov', did you mean 'low'\?", check().stderr))
        line.write(os.path.join(home, 'sensor@1.yaml'), SENSOR + '  - {id: again, use: sensors@1}\n')
        self.assertIn('uses itself', check().stderr)
        line.write(os.path.join(home, 'sensor@1.yaml'), SENSOR)
        done = check()
        self.assertEqual((done.returncode, done.stderr), (0, ''))


if __name__ == '__main__':
    line.main()
