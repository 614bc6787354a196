#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, used: linted, each of its examples run, a client made from it at work.

    test_openapi.py [BUILD]
"""
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import described
import line

HERE = os.path.dirname(os.path.abspath(__file__))


def modules():
    """What package-lock.json of the browser test names; one install for all tests that need some."""
    for program in ('node', 'npm'):
        if not shutil.which(program):
            raise unittest.SkipTest('%s is not installed' % program)
    work = os.path.join(line.build_dir(), 'tests', 'browser')
    os.makedirs(work, exist_ok=True)
    with open(os.path.join(work, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(['node', os.path.join(HERE, 'browser', 'install.mjs'), work], check=True)
    return work


def text_of(path):
    with open(path) as f:
        return f.read()


class Made(unittest.TestCase):
    """What is made of the document."""

    @classmethod
    def setUpClass(cls):
        cls.modules = modules()
        cls.dir = tempfile.mkdtemp(prefix='provd-openapi-')
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.line = line.Line(2, boards=0)
        cls.addClassCleanup(cls.line.close)
        cls.line.start()
        cls.document = os.path.join(cls.dir, 'openapi.json')
        with open(cls.document, 'wb') as f:
            f.write(cls.line.api.request('GET', '/openapi.json', raw=True).body)

    def lint(self, document):
        p = subprocess.run(['node', os.path.join(HERE, 'openapi', 'lint.mjs'), self.modules, document], capture_output=True,
                           text=True)
        return p.returncode, p.stdout + p.stderr

    def test_a_linter_finds_nothing(self):
        self.assertEqual(self.lint(self.document), (0, '0 problems\n'))

    def test_the_linter_sees_an_example_that_is_wrong(self):
        doc = json.loads(text_of(self.document))
        doc['paths']['/api/v1/jobs']['post']['requestBody']['content']['application/json']['example']['quantity'] = 'ten'
        wrong = os.path.join(self.dir, 'wrong.json')
        with open(wrong, 'w') as f:
            json.dump(doc, f)
        status, text = self.lint(wrong)
        self.assertEqual(status, 1)
        self.assertIn('no-invalid-media-type-examples', text)

    def program(self):
        """guide.ts next to the types of the document, compiled strictly."""
        for name in ('guide.ts', 'tsconfig.json'):
            shutil.copy(os.path.join(HERE, 'openapi', name), self.dir)
        with open(os.path.join(self.dir, 'package.json'), 'w') as f:
            f.write('{"type": "module"}')
        os.symlink(os.path.join(self.modules, 'node_modules'), os.path.join(self.dir, 'node_modules'))
        tool = lambda name: os.path.join(self.modules, 'node_modules', '.bin', name)
        for argv in ([tool('openapi-typescript'), self.document, '-o', os.path.join(self.dir, 'provd.d.ts')],
                     [tool('tsc'), '-p', self.dir]):
            p = subprocess.run(argv, capture_output=True, text=True)
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        return os.path.join(self.dir, 'out', 'guide.js')

    def make_units(self, argv, reference, **kw):
        """A client at a line of its own; what it said."""
        with line.Line(2, sim_args=('--replace-after-idle', '200', '--when-serial', '--units', '4')) as l:
            l.start()
            p = subprocess.run(argv('http://127.0.0.1:%d' % l.provd.port, l.provd.token), capture_output=True, text=True,
                               timeout=line.DEADLINE_S, **kw)
            self.assertEqual(p.returncode, 0, p.stderr)
            said = json.loads(p.stdout)
            self.assertEqual((said['ready'], said['stations'], said['passed']), ('ok', ['A1', 'A2'], 2))
            self.assertEqual(said['refused'], [422, 'unprocessable', '/recipe'])
            job = l.api.get('/jobs/' + said['job'])
            self.assertEqual((job['state'], job['passed'], job['external_ref']), ('done', 2, reference))
            made = [r['serial'] for r in l.api.all('/runs') if r['outcome'] == 'passed']
            self.assertEqual(sorted(said['serials']), sorted(made))
        return said

    def test_a_typescript_client_makes_units(self):
        program = self.program()
        said = self.make_units(lambda url, token: ['node', program, url, token], 'PO-4711',
                               env=dict(os.environ, RECIPE=text_of(line.PRODUCTION)))
        self.assertEqual(said['report'], 'passed')

    def test_a_python_client_makes_units(self):
        shutil.copy(os.path.join(HERE, 'openapi', 'guide.py'), self.dir)
        subprocess.run(['node', os.path.join(HERE, 'openapi', 'models.mjs'), self.modules, self.document,
                        os.path.join(self.dir, 'provd_models.py'), 'Job', 'Run', 'Recipe', 'Artifact', 'Pool', 'Health', 'Problem',
                        'RunList', 'StationList'], check=True)
        self.make_units(lambda url, token: ['/usr/bin/python3', os.path.join(self.dir, 'guide.py'), url, token, self.document],
                        'PO-4712', input=text_of(line.PRODUCTION))


class Examples(unittest.TestCase):
    """Each example of a request is sent, and is taken."""

    # Those that a line that works refuses, with the status.
    REFUSED = {('POST', '/api/v1/records/actions/accept'): 409}

    @classmethod
    def setUpClass(cls):
        d = tempfile.mkdtemp(prefix='provd-secrets-')
        cls.addClassCleanup(shutil.rmtree, d)
        for name in ('a', 'b'):
            with open(os.path.join(d, name), 'w') as f:
                f.write('whsec_' + name.upper() * 32)
        cls.line = line.Line(2, sim_args=('--replace-after-idle', '200', '--when-serial', '--units', '6'), config=(
            'secrets: {mes-webhook: {file: %s/a}, mes-webhook-2: {file: %s/b}}\nwebhooks: {allow: [mes.example]}\n'
            'interlocks: {contacts: {limit: 1, policy: warn}}\n') % (d, d))
        cls.addClassCleanup(cls.line.close)
        l = cls.line.start()
        l.prepare(line.firmware(4096))
        l.job_done(l.api.post('/jobs', {'recipe': 'production', 'quantity': 2})['id'])
        cls.doc = described.Document(l.api.get('/openapi.json'))
        if described.jsonschema:
            cls.addClassCleanup(described.watch(cls.doc))

    def examples(self):
        """[(method, path, content type, example)]"""
        found = []
        for method, path, op in self.doc.operations():
            for kind, content in op.get('requestBody', {}).get('content', {}).items():
                if kind == 'application/octet-stream':
                    continue
                if 'example' in content:
                    found.append((method, path, kind, content['example']))
                else:
                    self.assertIn('/recipes', path, '%s %s has no example as %s' % (method, path, kind))
        return found

    def target(self, method, path):
        """The path, with a thing for which the example is right."""
        l = self.line
        first = lambda p: l.api.get(p)['items'][0]['id']
        if path == '/api/v1/jobs/{id}' or path == '/api/v1/pools/{id}':
            return path.replace('{id}', first(path.replace('/api/v1', '').replace('/{id}', '')))
        if path == '/api/v1/jobs/{id}/actions/{action}':
            job = l.api.post('/jobs', {'recipe': 'production', 'quantity': 1, 'priority': -5})['id']
            return path.replace('{id}', job).replace('{action}', 'hold')
        if path.startswith('/api/v1/recipes/{name}'):
            return path.replace('{name}', 'example').replace('{version}', '1')
        if path.startswith('/api/v1/units/'):
            run = next(r for r in l.api.get('/runs')['items'] if r['outcome'] == 'passed')
            return path.replace('{id}', run['serial']).replace('{action}', 'scrap')
        if path == '/api/v1/pools/{id}/values':
            self.pool += 1
            return path.replace('{id}', l.api.post('/pools', {'id': 'keys-%d' % self.pool, 'kind': 'license', 'values': []})['id'])
        if path == '/api/v1/pools/{id}/actions/advance':
            return path.replace('{id}', 'production-sn')
        if path.startswith('/api/v1/webhooks/{id}'):
            return path.replace('{id}', first('/webhooks'))
        if path.startswith('/api/v1/prompts/'):
            return path.replace('{id}', self.prompt())
        if path.startswith('/api/v1/tokens/{id}'):
            return path.replace('{id}', l.api.post('/tokens', {'name': 'to rotate', 'role': 'viewer'})['id'])
        return path.replace('{id}', 'A1').replace('{interlock}', 'contacts')

    def prompt(self):
        l = self.line
        l.put_recipe(PROMPT)
        l.api.post('/jobs', {'recipe': 'lamp', 'quantity': 1, 'priority': 900})
        return line.wait_for('a prompt', lambda: l.api.get('/prompts?state=open')['items'])[0]['id']

    def send(self, method, path, kind, example):
        l, headers = self.line, {'Content-Type': kind}
        if method == 'PATCH':
            headers['If-Match'] = l.api.request('GET', path, raw=True).headers['ETag'] or '"1"'
        if '/jobs/' in path and '/actions/' in path:
            headers['If-Match'] = '*'
        if path.endswith('/session'):
            example = {'token': l.provd.token}
        body = example if isinstance(example, str) else json.dumps(example)
        return l.api.request(method, path, body, headers, raw=True)

    def test_each_is_taken(self):
        self.pool = 0
        examples = self.examples()
        self.assertGreater(len(examples), 22)
        for method, path, kind, example in examples:
            a = self.send(method, self.target(method, path), kind, example)
            want = self.REFUSED.get((method, path))
            self.assertTrue(a.status == want if want else a.status < 300, '%s %s as %s: %d %s' % (
                method, path, kind, a.status, a.body[:600]))

    def test_no_mistake_of_a_request_is_without_its_place(self):
        """Each field of each example with a value that it cannot have: the problem points to it."""
        looked = 0
        for method, path, kind, example in self.examples():
            if kind != 'application/json' or path.endswith('/session'):
                continue
            for field in example:
                a = self.send(method, self.fixed(path), kind, dict(example, **{field: {'no': ['such', 'value']}}))
                if a.status in (404, 412, 428):
                    continue
                pointers = [e['pointer'] for e in a.json.get('errors', ())]
                self.assertEqual(a.status, 422, '%s %s %s: %s' % (method, path, field, a.body))
                self.assertTrue(any(p == '/' + field or p.startswith('/%s/' % field) for p in pointers), '%s %s %s: %s' % (
                    method, path, field, a.body))
                looked += 1
        self.assertGreater(looked, 25)

    def fixed(self, path):
        """A path with things of which some are not there; the form is looked at before."""
        first = {'jobs': self.line.api.get('/jobs')['items'][0]['id'], 'pools': 'production-sn'}.get(path.split('/')[3], 'A1')
        return path.replace('{id}', first).replace('{interlock}', 'contacts').replace('{action}', 'release')


PROMPT = '''
recipe: lamp
version: 1
unit: {model: lamp}
ports: {console: {kind: tty}}
steps:
  - id: look
    action: operator.prompt
    with: {text: 'Is it green?'}
'''

if __name__ == '__main__':
    line.main()
