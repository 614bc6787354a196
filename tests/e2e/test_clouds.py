#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped recipes for real clouds against virtual ones that enforce what those document.

    test_clouds.py [BUILD]
"""
import json
import os
import subprocess
import unittest

import cloud
import line
import test_cloud
import virtual_clouds

COMMON = 'timeout: 10s, ca: %s'


class Row(test_cloud.Row):
    """One station and a cloud. secrets: the texts of the secrets of provd.yaml; service: the rest of its row."""

    def __init__(self, kind, recipe, name, service='', secrets=None):      # pylint: disable=super-init-not-called
        line.Line.__init__(self, stations=1, boards=0)
        self.cloud = None
        try:
            self.cloud = kind(self.home)
            self.name, self.secrets = name, secrets or {}
            for key, text in self.secrets.items():
                with open(os.path.join(self.home, key), 'w') as f:
                    f.write(text + '\n')
            self.configure(service)
            image = os.path.join(self.home, 'old.bin')
            with open(image, 'wb') as f:
                f.write(test_cloud.FIRMWARE)
            self.sim = line.Sim(self.home, 1, '--preload', image)
            self.start()
            with open(os.path.join(line.ROOT, 'recipes', recipe + '.yaml'), encoding='utf-8') as f:
                self.prepare(test_cloud.FIRMWARE, f.read().replace('delay: 2s', 'delay: 10ms'))
            self.recipe, self.seen = recipe, set()
        except BaseException:
            self.close()
            raise

    def configure(self, service):
        secrets = ''.join('  %s: {file: %s/%s}\n' % (k, self.home, k) for k in self.secrets)
        self.config('%sservices:\n  %s: {url: %r, %s%s}\n' % (
            'secrets:\n' + secrets if secrets else '', self.name, self.cloud.url, COMMON % self.cloud.ca, service))

    def make(self, **params):
        """One unit: its run."""
        job = self.api.post('/jobs', dict({'recipe': self.recipe, 'quantity': 1}, **({'params': params} if params else {})))
        run = self.next_run()
        self.stop(job['id'])
        return run

    def everything(self):
        """All that provd wrote, but its secrets and what the board keeps."""
        self.provd.stop()
        for where, _, files in os.walk(self.home):
            for f in files:
                if f not in self.secrets and 'boards' not in where and os.path.isfile(os.path.join(where, f)):
                    yield line._bytes_of(os.path.join(where, f))


class ThingsBoard(unittest.TestCase):
    KIND = virtual_clouds.ThingsBoard

    def row(self, secret=virtual_clouds.ThingsBoard.SECRET):
        return Row(self.KIND, 'thingsboard', 'thingsboard', secrets={'thingsboard-provision': secret})

    def test_a_device_gets_its_token_and_the_unit_alone_keeps_it(self):
        with self.row() as l:
            run = l.make(provision_key=self.KIND.KEY)
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused))
            token = l.cloud.devices[run['serial']]
            self.assertEqual(l.holds()['config'], {'DEVICE_NAME': run['serial'], 'ACCESS_TOKEN': token})
            for text in l.everything():
                self.assertNotIn(token.encode(), text)
                self.assertNotIn(self.KIND.SECRET.encode(), text)

    def test_a_wrong_secret_and_a_device_that_exists_are_refused_with_the_status(self):
        with self.row(secret='not-the-secret') as l:
            run = l.make(provision_key=self.KIND.KEY)
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
            self.assertIn("'NOT_FOUND'", run['message'])
        with self.row() as l:
            l.cloud.faults = ['lost']
            run = l.make(provision_key=self.KIND.KEY)
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-unreachable'), run)
            self.assertEqual(len(l.cloud.requests), 1)      # a POST that left is not sent again
            job = l.api.post('/jobs', {'recipe': 'thingsboard', 'quantity': 1,
                                       'params': {'provision_key': self.KIND.KEY}})
            l.again()
            run = l.next_run()
            self.assertEqual((run['code'], len(l.cloud.devices)), ('service-refused', 1), run)
            self.assertIn("'FAILURE'", run['message'])
            l.stop(job['id'])


class Azure(unittest.TestCase):
    KIND = virtual_clouds.AzureDps

    def row(self, key=virtual_clouds.AzureDps.GROUP):
        return Row(self.KIND, 'azure-dps', 'dps', ', token: dps-group, auth: azure-dps', {'dps-group': key})

    def test_a_device_of_a_group_signs_with_its_own_key_and_waits_until_it_has_a_hub(self):
        with self.row() as l:
            run = l.make()
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused))
            serial, key = run['serial'], l.cloud.device_key(run['serial'])
            self.assertEqual(l.holds()['config'], {'IOT_HUB': 'hub.azure-devices.example', 'DEVICE_ID': serial,
                                                   'DEVICE_KEY': key})
            self.assertEqual(list(l.cloud.devices), [serial])
            self.assertEqual(l.cloud.refused, [])
            self.assertEqual(l.step(run, 'assigned')['evidence']['asked'], 2)
            # The same unit again is the same registration.
            job = l.order('azure-dps')
            l.again()
            self.assertEqual(l.next_run()['outcome'], 'passed')
            l.stop(job)
            self.assertEqual(list(l.cloud.devices), [serial])
            for text in l.everything():
                self.assertNotIn(key.encode(), text)
                self.assertNotIn(self.KIND.GROUP.encode(), text)

    def test_a_429_is_waited_out_and_a_service_without_time_has_its_own_code(self):
        with self.row() as l:
            l.cloud.faults = ['429', None, '429']
            run = l.make()
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused))
            log = l.api.request('GET', '/runs/%s/log' % run['id']).body
            self.assertIn(b'HTTP 429: again in 1 s', log)
            l.another_unit()
            l.cloud.faults = ['503'] * 3
            run = l.make()
            self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'service-busy', 'register'), run)

    def test_a_wrong_key_and_a_disabled_enrolment_are_refused(self):
        with self.row(key='bm90IHRoZSBrZXkgb2YgdGhlIGdyb3Vw') as l:
            run = l.make()
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
            self.assertIn('HTTP 401', run['message'])
            self.assertEqual(l.cloud.refused, ['the signature is not right'])
        with self.row(key='no base64!') as l:
            run = l.make()
            self.assertEqual(run['outcome'], 'error', run)
            self.assertIn('is not a key in base64', run['message'])
            self.assertEqual(l.cloud.requests, [])
        with self.row() as l:
            l.cloud.fate = 'disabled'
            run = l.make()
            self.assertEqual((run['code'], run['step']), ('service-refused', 'assigned'), run)
            self.assertIn("'disabled' at '/status', 'assigned' expected", run['message'])

    def test_an_assignment_that_takes_too_long_ends_with_the_step(self):
        with self.row() as l:
            l.cloud.questions = 1000
            with open(os.path.join(line.ROOT, 'recipes', 'azure-dps.yaml'), encoding='utf-8') as f:
                l.put_recipe(f.read().replace('recipe: azure-dps', 'recipe: hasty').replace('timeout: 2m', 'timeout: 3s'))
            l.recipe = 'hasty'
            run = l.make()
            self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'service-busy', 'assigned'), run)
            self.assertIn('not done in the time of the step', run['message'])
            self.assertEqual(l.cloud.refused, [])

    def test_a_device_with_a_certificate_is_the_registration_of_its_name(self):
        with Row(self.KIND, 'azure-dps-x509', 'dps') as l:
            cert, key = l.cloud.by_certificate('thermo-0042')
            l.configure(', cert: %s, key: %s' % (cert, key))
            l.provd.stop()
            l.start()
            run = l.make(registration='thermo-0042')
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused))
            self.assertEqual(list(l.cloud.devices), ['thermo-0042'])
            l.another_unit()
            run = l.make(registration='thermo-0043')
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
            self.assertEqual(list(l.cloud.devices), ['thermo-0042'])


class Aws(unittest.TestCase):
    KIND = virtual_clouds.AwsIot

    def row(self, secret=virtual_clouds.AwsIot.SECRET):
        return Row(self.KIND, 'aws-iot', 'aws', ', token: aws-key, auth: sigv4, user: %s, scope: %s/%s' % (
            self.KIND.USER, self.KIND.REGION, self.KIND.SERVICE), {'aws-key': secret})

    def csr(self, l):
        """What a unit gives: a request by a key that stays with it."""
        key, csr = os.path.join(l.home, 'unit.key'), os.path.join(l.home, 'unit.csr')
        cloud.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', csr,
                      '-subj', '/CN=unit')
        return line._bytes_of(csr).decode()

    def test_a_request_is_signed_and_a_template_makes_the_thing(self):
        with self.row() as l:
            run = l.make(csr=self.csr(l))
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused))
            self.assertEqual(l.cloud.refused, [])
            ((id_, pem),) = l.cloud.certificates.items()
            self.assertEqual(l.cloud.devices, {run['serial']: id_})
            self.assertEqual(l.holds()['config'], {'THING_NAME': run['serial'], 'CERTIFICATE_ID': id_})
            self.assertEqual(l.step(run, 'certificate')['outputs']['value2'], pem)
            for text in l.everything():
                self.assertNotIn(self.KIND.SECRET.encode(), text)

    def test_a_wrong_key_and_a_request_that_is_none_are_refused(self):
        with self.row(secret='notTheKey/K7MDENG') as l:
            run = l.make(csr=self.csr(l))
            self.assertEqual((run['outcome'], run['code']), ('error', 'service-refused'), run)
            self.assertIn('HTTP 403', run['message'])
            self.assertTrue(l.cloud.refused[0].startswith('SignatureDoesNotMatch'), l.cloud.refused)
        with self.row() as l:
            run = l.make(csr='no request')
            self.assertEqual((run['code'], l.cloud.certificates), ('service-refused', {}), run)
            self.assertIn('InvalidRequestException', run['message'])


class Basic(unittest.TestCase):
    def test_what_provd_yaml_says_of_auth_is_checked_before_anything_starts(self):
        for service, why in (('auth: basic, token: t', "'user' is for the auth kinds basic and sigv4"),
                             ('auth: sigv4, token: t, user: u', "'scope' is for the auth kind sigv4"),
                             ('auth: sigv4, token: t, user: u, scope: x', 'REGION/SERVICE'),
                             ('auth: azure-dps, token: t', 'needs the id scope'),
                             ('auth: basic, user: u', "needs a 'token'"),
                             ('user: u, token: t', "'user' is for"),
                             ('auth: digest, token: t', 'digest')):
            with line.Line(stations=1, boards=0) as l, self.subTest(service):
                l.config("secrets: {t: {file: /x}}\nservices: {s: {url: 'https://h.example', %s}}\n" % service)
                done = subprocess.run([line.binary('provd'), '--check', '--config', l.provd.config], capture_output=True,
                                      text=True, timeout=line.DEADLINE_S, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(why, done.stdout + done.stderr)

    def test_the_name_and_the_password_of_a_service_are_in_the_one_header(self):
        class Echo(virtual_clouds.Virtual):
            def handle(self, rq, path, query, body):
                if rq.headers.get('Authorization') != 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==':     # RFC 7617, 2
                    raise virtual_clouds.Refused(401, 'who is there?')
                return 200, {'got': body}, {}
        with Row(Echo, 'thingsboard', 's', ', auth: basic, user: Aladdin, token: word', {'word': 'open sesame',
                                                                                       'thingsboard-provision': 'x' * 8}) as l:
            l.put_recipe('recipe: ask\nversion: 1\nsteps:\n  - id: a\n    action: http.request\n    with: {service: s, '
                         'path: /x, method: POST, body: {/a/b: 1, /a/c~1d: two, e: true}, expect_json: {/got/a/c~1d: two, '
                         '/got/a/b: 1, /got/e: true}}\n')
            l.recipe = 'ask'
            run = l.make()
            self.assertEqual(run['outcome'], 'passed', (run, l.cloud.refused, json.dumps(l.cloud.requests)))


if __name__ == '__main__':
    line.main()
