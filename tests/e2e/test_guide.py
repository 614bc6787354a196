#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/guide.md: each action in it is one that provctl has, each test named in it runs that action, and what is marked
`e2e guide` is run here as it is written, on virtual devices.

    test_guide.py [BUILD]
"""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import line

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = re.compile(r'`([^`]+)`')
ACTION = re.compile(r'\b([a-z]+\.[a-z_]+)\b')
# What looks like an action in a command, and is a file.
FILES = {'firmware.bin', 'application.bin', 'backup.bin'}


def rows():
    """[(the guide's words, ours, the test)]"""
    with open(os.path.join(ROOT, 'docs', 'guide.md'), encoding='utf-8') as f:
        for text in f:
            cells = [c.strip() for c in text.strip().strip('|').split(' | ')]
            if text.startswith('| ') and len(cells) == 3 and not text.startswith('| the guide'):
                yield tuple(cells)


def actions_of(text):
    return {a for code in CODE.findall(text) for a in ACTION.findall(code)
            if a not in FILES and not a.endswith(('.yaml', '.json'))}


def source_of(test):
    kind, name = test.split()
    pattern = {'e2e': 'tests/e2e/test_%s.py', 'rig': 'tests/rigs/**/*%s*', 'unit': 'tests/unit/**/test_%s*.c'}[kind] % name
    found = [p for p in glob.glob(os.path.join(ROOT, pattern), recursive=True) if os.path.isfile(p)]
    # A rig's steps are in the files of its machine.
    if kind == 'rig':
        found += [p for p in glob.glob(os.path.join(ROOT, 'tests/rigs/vm/**/*'), recursive=True) if os.path.isfile(p)]
    text = ''
    for path in found:
        with open(path, encoding='utf-8', errors='replace') as f:
            text += f.read()
    return text


class Page(unittest.TestCase):
    def test_the_page_has_the_guide(self):
        self.assertGreater(len(list(rows())), 55)

    def test_each_action_is_there(self):
        known = json.loads(subprocess.run([line.binary('provctl'), '--json', 'actions'], capture_output=True, text=True,
                                          check=True).stdout)
        names = {a['name'] for a in (known['items'] if isinstance(known, dict) else known)}
        for row in rows():
            self.assertLessEqual(actions_of(row[1]), names, row)

    def test_each_test_is_there_and_runs_the_action(self):
        recipes = ''
        for path in glob.glob(os.path.join(ROOT, 'recipes', '*.yaml')):
            with open(path, encoding='utf-8') as f:
                recipes += f.read()
        for row in rows():
            text = source_of(row[2])
            self.assertTrue(text, 'no such test: %r' % (row,))
            if row[2] == 'e2e guide':
                continue
            for action in actions_of(row[1]):
                family, verb = action.split('.')
                # By its name, by the words that a test puts it together of, or by the recipe that the test runs.
                spoken = action in text or re.search(r"\b%s\b" % verb, text) and family in text
                self.assertTrue(spoken or action in recipes and 'recipes' in text, (action, row))

    @unittest.skipUnless(os.path.isfile(os.path.join(ROOT, '..', 'shared', 'guide.rst')), 'the guide is not next to this checkout')
    def test_no_command_of_the_guide_is_missing(self):
        with open(os.path.join(ROOT, '..', 'shared', 'guide.rst'), encoding='utf-8') as f:
            guide = f.read()
        with open(os.path.join(ROOT, 'docs', 'guide.md'), encoding='utf-8') as f:
            page = f.read()
        verbs = set(re.findall(r'^   (?:sudo )?(?:fastboot|adb) ([a-z-]+)', guide, re.M)) - {'devices', 'install'}
        verbs |= set(re.findall(r'^       def ([a-z_]+)\(', guide, re.M)) | set(re.findall(r'^   def ([a-z_]+)\(', guide, re.M))
        # Parts of what is listed: of a class that is listed whole, or of a script.
        inside = {'__init__', 'cli', 'send_command', 'download_data', 'flash_partition', 'reboot', 'register_device', 'provision_credentials',
                  'configure_device', 'activate_device', 'commission', 'provision', 'get_firmware_version', 'set_serial',
                  'start-server', 'jtag_flash', 'flash', 'test', 'shell'}
        self.assertEqual(sorted(v for v in verbs - inside if v not in page), [])


class Run(unittest.TestCase):
    """The commands, in the order of the page."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-guide-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.env = dict(os.environ, PATH='%s:%s' % (os.path.dirname(line.binary('provctl')), os.environ['PATH']))
        for name, n in (('firmware.bin', 5000), ('application.bin', 3000)):
            # The vector table of a part with flash at 0x08000000: no file of zeros, and no text.
            self.file(name, (0x20002000).to_bytes(4, 'little') + (0x08000101).to_bytes(4, 'little') + os.urandom(n - 8))

    def file(self, name, data):
        with open(os.path.join(self.dir, name), 'wb') as f:
            f.write(data)

    def sim(self, *args):
        home = tempfile.mkdtemp(prefix='sim-', dir=self.dir)
        s = line.Sim(home, 1, *args)
        self.addCleanup(s.stop)
        return s

    def marked(self, *variables):
        """The commands of the page that speak of these devices."""
        found = []
        for _, ours, test in rows():
            if test == 'e2e guide':
                found += [c for c in CODE.findall(ours) if c.startswith('provctl') and any('$' + v in c for v in variables)]
        return found

    def provctl(self, command, status=0):
        words = shlex.split(self.expand(command))
        r = subprocess.run([line.binary('provctl'), *words[1:]], cwd=self.dir, env=self.env, capture_output=True, text=True,
                           timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(r.returncode, status, '%s\n%s%s' % (command, r.stdout, r.stderr))
        return r

    def expand(self, command):
        return re.sub(r'\$([A-Z]+)', lambda m: self.env[m.group(1)], command)

    def test_the_serial_tools(self):
        sim = self.sim()
        self.env['PORT'] = sim.boards()[0]['link']
        commands = self.marked('PORT')
        self.assertEqual(len(commands), 6, commands)
        for command in commands:
            r = self.provctl(command)
            self.assertIn('passed', r.stdout, command)
        reports = glob.glob(os.path.join(self.dir, 'provision_SN*.json'))
        self.assertEqual(len(reports), 1, reports)
        with open(reports[0]) as f:
            report = json.load(f)
        unit = sim.units()[0][1]
        self.assertRegex(report['serial_number'], r'^SN20\d{6}\d{6}$')
        self.assertEqual(unit['serial'], report['serial_number'])
        self.assertEqual((report['passed'], [s['success'] for s in report['steps']]), (True, [True] * 5))
        self.assertRegex(report['firmware_version'], r'^v')
        self.assertRegex(os.path.basename(reports[0]), r'^provision_%s_\d{8}_\d{6}\.json$' % report['serial_number'])

    def test_without_proof_the_result_says_so(self):
        sim = self.sim()
        self.env['PORT'] = sim.boards()[0]['link']
        for more, proved in (('', True), (' --no-verify', False)):
            r = self.provctl('provctl --json flash firmware.bin --port $PORT' + more)
            evidence = json.loads(r.stdout)['steps'][0]['evidence']
            self.assertEqual((evidence['proved'], 'sha256_read' in evidence), (proved, proved))
        r = self.provctl('provctl flash firmware.bin --with stm32 --port $PORT --no-verify', 2)
        self.assertIn('always reads back', r.stderr)
        recipe = ('recipe: r\nversion: 1\nports: {c: {kind: tty}}\nartifacts: {a: f.bin}\nsteps:\n'
                  "  - {id: f, action: serialboot.flash, with: {port: c, image: '${artifacts.a}', unproved: true}}\n")
        self.file('r.yaml', recipe.encode())
        self.assertIn('no unit of the line passes unproved', self.provctl('provctl recipe check r.yaml', 2).stderr)

    def test_a_unit_that_fails_has_a_report_that_says_so(self):
        sim = self.sim()
        self.env['PORT'] = sim.boards()[0]['link']
        sim.ctl('fault', board=sim.boards()[0]['board'], fault='refuse-serial')
        r = self.provctl('provctl provision firmware.bin SN-7 --port $PORT --dir .', 1)
        with open(glob.glob(os.path.join(self.dir, 'provision_SN-7_*.json'))[0]) as f:
            report = json.load(f)
        self.assertEqual((report['passed'], report['steps'][-1]['success'], report['step']), (False, False, 'set-serial'), r.stdout)

    @unittest.skipUnless(shutil.which('openocd'), 'openocd is missing (scripts/install-deps test)')
    def test_the_probe(self):
        sim = self.sim('--device', 'jtag', '--link', 'tcp')
        self.env['PROBE'] = sim.boards()[0]['link']
        commands = self.marked('PROBE')
        self.assertEqual(len(commands), 3, commands)
        for command in commands:
            self.assertIn('passed', self.provctl(command).stdout, command)
        with open(os.path.join(self.dir, 'firmware.bin'), 'rb') as f, open(os.path.join(self.dir, 'backup.bin'), 'rb') as g:
            self.assertEqual(g.read(), f.read()[:4096])

    def test_the_phone_in_fastboot_mode(self):
        sim = self.sim('--device', 'fastboot', '--link', 'tcp')
        self.env['PHONE'] = sim.boards()[0]['link']
        commands = self.marked('PHONE')
        self.assertEqual(len(commands), 4, commands)
        for command in commands:
            self.assertIn('passed', self.provctl(command).stdout, command)

    def test_a_word_that_no_recipe_can_hold_leaves_no_step_out(self):
        firmware = os.path.join(tempfile.gettempdir(), 'f').encode() + b'\xff.bin'
        for words in ([b'provision', firmware, b'--port', b'/dev/null'], [b'flash', firmware, b'--with', b'dfu'],
                      [b'set-serial', b'S\xff', b'--port', b'/dev/null'],
                      [b'jtag-flash', b'fw.bin', b'speed=\xff', b'--port', b'tcp:127.0.0.1:1'],
                      [b'exec', b'device.wait', b'port=usb:9-9', b'timeout=\xff']):
            done = subprocess.run([line.binary('provctl').encode(), *words], capture_output=True, timeout=line.DEADLINE_S)
            self.assertEqual((done.returncode, done.stdout), (2, b''), words)
            self.assertIn(b'is not UTF-8', done.stderr)

    def test_scan_says_what_is_plugged(self):
        r = self.provctl('provctl --json scan')
        for item in json.loads(r.stdout)['items']:
            self.assertLessEqual({'kind', 'port', 'access', 'actions'}, item.keys())
        self.assertEqual(self.provctl('provctl scan').stderr, '')


if __name__ == '__main__':
    unittest.main()
