#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""recipes/production-full.yaml, the guide's ProductionProvisioner, on a station whose probe and console are virtual, with
master and issuer in a token: what ends up in the unit, what is on record, and the report file.

    test_production.py [BUILD]
"""
import glob
import json
import os
import shutil
import unittest

import keyd
import line

RECIPES = os.path.join(line.ROOT, 'recipes')
PROFILES = os.path.join(line.ROOT, 'systemd', 'profiles')


class Row(line.Line):
    """One station with a probe and a console, and a token of SoftHSM2 that holds every key."""

    def __init__(self):
        super().__init__(stations=0, boards=1, sim_args=('--erase-ms', '0', '--boot-ms', '1'))
        self.probe = None
        try:
            self.vault = os.path.join(self.home, 'vault')
            os.mkdir(self.vault)
            self.keys()
            self.probe_dir = os.path.join(self.home, 'probe')
            os.mkdir(self.probe_dir)
            self.probe = line.Sim(self.probe_dir, 1, '--device', 'jtag', '--link', 'tcp')
            line.write(os.path.join(self.home, 'stations.d', 'line.yaml'),
                       "stations:\n  - id: A1\n    ports:\n      probe: {kind: probe, tcp: '%s'}\n"
                       "      console: {path: 'platform-provsim-usb-0:1.1'}\n" % self.probe.boards()[0]['link'][4:])
            self.bootloader, self.application = line.firmware(4000, seed=7), line.firmware(40000, seed=8)
            self.start()
            self.put_firmware(self.bootloader, 'bootloader.bin')
            self.put_firmware(line.read(os.path.join(RECIPES, 'otp-fields.yml')).encode(), 'otp-fields.yml')
            self.prepare(self.application, line.read(os.path.join(RECIPES, 'production-full.yaml')))
            self.seen = set()
        except BaseException:
            self.close()
            raise

    def keys(self):
        self.authority = keyd.Authority(self.vault, 'factory')
        token = keyd.SoftToken(self.vault)
        token.import_key(self.authority.key, 'issuer', 'a1')
        os.unlink(self.authority.key)
        self.authority.key, self.authority.pin = token.uri('issuer'), token.pin
        token.p11('--keygen', '--key-type', 'AES:32', '--label', 'fleet', '--id', 'b1', '--sensitive')
        os.environ.update(token.env, PROVD_KEYD=line.binary('provd-keyd'))
        self.config("profiles: %s\nmasters:\n  fleet: {key: '%s', pin: {file: %s}}\nissuers:\n%s"
                    % (PROFILES, token.uri('fleet'), token.pin, self.authority.yaml(['idevid'])))

    def close(self):
        super().close()
        if self.probe:
            self.probe.stop()
        for name in ('PROVD_KEYD', 'SOFTHSM2_CONF'):
            os.environ.pop(name, None)

    def order(self, n=1):
        return self.api.post('/jobs', {'recipe': 'production-full', 'quantity': n, 'params': {'work_area': '0'}})['id']

    def next_run(self):
        """The run, and its steps by their id."""
        def ended():
            runs = [r for r in self.api.get('/runs?state=finished')['items'] if r['id'] not in self.seen]
            return runs[-1] if runs else None
        run = line.wait_for('the run ends', ended)
        self.seen.add(run['id'])
        return run, {s['id']: s for s in self.api.get('/runs/%s/steps' % run['id'])['items']}

    def unit(self):
        _, unit, flash = self.sim.units()[0]
        return unit, flash


@unittest.skipUnless(shutil.which('openocd'), 'openocd is missing (scripts/install-deps test)')
@unittest.skipUnless(shutil.which('softhsm2-util'), 'softhsm2 is missing (scripts/install-deps test)')
class Production(unittest.TestCase):
    def setUp(self):
        self.line = Row()
        self.addCleanup(self.line.close)
        self.folder = os.path.join(self.line.home, 'reports')

    def fuse(self):
        return self.line.unit()[0]['values']['otp']['key']

    def reports(self, job):
        """The files that provctl wrote, by name."""
        done = self.line.provctl('run', 'report', '--job', job, '--dir', self.folder)
        self.assertEqual(done.returncode, 0, done)
        files = {os.path.basename(p): line.read(p) for p in glob.glob(self.folder + '/*')}
        self.assertLessEqual(set(done.stdout.split()), set(os.path.join(self.folder, n) for n in files))
        return files

    def test_a_unit_leaves_with_all_that_the_guide_gives_it(self):
        job = self.line.order()
        run, steps = self.line.next_run()
        self.assertEqual(run['outcome'], 'passed', steps)
        self.assertEqual(self.line.job_done(job)['passed'], 1)
        with open(os.path.join(self.line.probe.boards_dir, 'b1', 'flash.bin'), 'rb') as f:
            self.assertEqual(f.read(len(self.line.bootloader)), self.line.bootloader)
        unit, flash = self.line.unit()
        self.assertEqual(flash[-len(self.line.application):], self.line.application)
        self.assertEqual(unit['serial'], run['serial'])
        self.assertEqual(steps['flash-bootloader']['evidence']['sha256_image'], line.sha256(self.line.bootloader))
        # burn_keys: what the fuses hold is what the token derives for this serial number, burnt once and locked.
        other = keyd.Keyd(self.line.vault, os.path.join(self.line.home, 'provd.yaml')).start()
        self.addCleanup(other.stop)
        self.assertEqual(self.fuse()['value'], other.client().derive('fleet', 'fuse-key', run['serial'].encode(), 32).hex())
        self.assertEqual((len(self.fuse()['writes']), self.fuse()['locked']), (1, True))
        # ... and its own key has a certificate that openssl verifies.
        got, = self.line.api.get('/units/%s/certificates' % run['serial'])['items']
        self.assertEqual(got['state'], 'delivered')
        pem = os.path.join(self.line.home, 'unit.pem')
        line.write(pem, got['pem'])
        keyd.run('openssl', 'verify', '-x509_strict', '-CAfile', self.line.authority.root, '-untrusted', self.line.authority.cert, pem)

    def test_the_report_is_the_guides_file_and_holds_no_key(self):
        job = self.line.order()
        run, _ = self.line.next_run()
        (name, text), = self.reports(job).items()
        self.assertRegex(name, r'^provision_%s_\d{8}_\d{6}\.json$' % run['serial'])
        report = json.loads(text)
        self.assertEqual((report['serial_number'], report['passed'], report['id']), (run['serial'], True, run['id']))
        self.assertTrue(report['firmware_version'].startswith('v'), report['firmware_version'])
        self.assertEqual(name.split('_')[2:], [report['timestamp'][:10].replace('-', ''), report['timestamp'][11:19].replace(':', '') + '.json'])
        self.assertEqual([s['success'] for s in report['steps']], [True] * len(report['steps']))
        self.assertGreater(len(report['steps']), 20)
        self.assertEqual(report, self.line.api.get('/runs/%s/report' % run['id']))
        self.assertNotIn(self.fuse()['value'], text)
        # Once more is the same file. What has its name and is of another run stays.
        self.assertEqual(self.reports(job), {name: text})
        for other in ('{"id": "another"}', 'no JSON'):
            line.write(os.path.join(self.folder, name), other)
            self.assertEqual(self.reports(job), {name: other, name[:-5] + '_' + run['id'] + '.json': text})

    def test_the_key_of_the_fuses_is_in_no_file_of_provd(self):
        self.line.order()
        run, steps = self.line.next_run()
        self.assertEqual(run['outcome'], 'passed', steps)
        key = self.fuse()['value']
        self.line.provd.stop()
        seen_serial = False
        for folder, _, names in os.walk(os.path.join(self.line.home, 'state')):
            for name in names:
                with open(os.path.join(folder, name), 'rb') as f:
                    held = f.read()
                seen_serial |= run['serial'].encode() in held
                self.assertFalse(key.encode() in held or bytes.fromhex(key) in held, name)
        self.assertTrue(seen_serial, 'what is looked for would not be found')
        self.assertNotIn(key, self.line.provd.log_text())

    def test_a_unit_that_comes_again_is_not_burnt_again(self):
        job = self.line.order(2)
        first, _ = self.line.next_run()
        self.assertEqual(first['outcome'], 'passed', first)
        held = self.fuse()
        self.line.sim.ctl('replug', board='b1', gap_ms=400)
        again, steps = self.line.next_run()
        self.assertEqual((again['outcome'], again['serial']), ('passed', first['serial']), steps)
        self.assertEqual(self.fuse(), held)
        self.assertEqual([steps[s]['evidence']['proof'] for s in ('burn-key', 'lock-key')], ['journal', 'observed'])
        self.assertEqual(len(self.reports(job)), 2)

    def test_without_its_bootloader_no_unit_gets_a_serial_number(self):
        self.line.probe.ctl('fault', board='b1', fault='no-write,count=0')
        job = self.line.order()
        run, steps = self.line.next_run()
        self.assertEqual((run['outcome'], run['code']), ('failed', 'verify-mismatch'), steps)
        self.assertNotIn('set-serial', steps)
        self.assertIsNone(self.line.unit()[0]['serial'])
        (name, text), = self.reports(job).items()
        self.assertRegex(name, r'^provision_no-serial_\d{8}_\d{6}\.json$')
        self.assertFalse(json.loads(text)['passed'])


if __name__ == '__main__':
    line.main()
