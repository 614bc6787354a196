#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of recipes against the check of recipes: an editor refuses nothing that provd takes.

The validator and the reader of YAML are not ours (Debian: python3-jsonschema, python3-yaml).

    test_recipe_schema.py [BUILD]
"""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import line

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print('skipped: %s (Debian: python3-jsonschema, python3-yaml)' % missing)
    sys.exit(77)


class Yaml12(yaml.SafeLoader):
    """Plain scalars as YAML 1.2 has them, and editors: `on` is a text."""
    yaml_implicit_resolvers = {}


for tag, pattern, first in (('bool', r'true|false', 'tf'), ('int', r'[-+]?[0-9]+|0x[0-9a-fA-F]+', '-+0123456789'),
                            ('float', r'[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?', '-+0123456789'), ('null', r'null|~|', 'n~')):
    Yaml12.add_implicit_resolver('tag:yaml.org,2002:' + tag, re.compile('(?:%s)$' % pattern), list(first))

# What is written for an argument of each type, good or bad for it.
VALUES = [0, 1, 7, -1, 2.5, 10 ** 9, True, False, None, 'true', 'on', 'x', '12', '0x10', '64K', '5s', '500ms', '5 s', '1e3', '',
          '${params.p}', 'a${params.p}b', [], ['a'], [1], ['a', '${params.p}'], {}, {'a': 1}, {'a': {}}, {'a': ['x']}]
GOOD = {'string': 'x', 'pattern': 'x', 'true or false': True, 'integer': 1, 'number': 1.5, 'size or address': 4096, 'duration': '5s',
        'port': 'c', 'image': '${artifacts.a}', 'output': 'x.bin', 'list': ['x'], 'mapping': {}, 'mappings': {'x': {}}}
# Of these the schema knows all that the check knows of what is written as a literal of JSON.
WHOLE = ('true or false', 'integer', 'number', 'size or address', 'duration', 'choice', 'list', 'mapping', 'mappings')


def provctl(*args):
    return subprocess.run([line.binary('provctl'), *args], capture_output=True, text=True, check=False)


def good(arg):
    if arg['type'] == 'choice':
        return arg['choices'][0]
    if arg['type'] in ('integer', 'number') and 'low' in arg:
        return arg['low'] if arg['type'] == 'number' else int(arg['low'])
    fields = {f['name']: good(f) for f in arg.get('fields', []) if f['required']}
    if 'fields' in arg:
        return {'x': fields} if arg['type'] == 'mappings' else fields
    return GOOD[arg['type']]


def head(steps):
    return {'recipe': 'x', 'version': 1, 'ports': {'c': {'kind': 'any'}}, 'params': {'p': {'type': 'string', 'default': 'a'}},
            'artifacts': {'a': 'a.bin'}, 'unit': {'serial': {'pool': 's'}}, 'steps': steps}


def check(recipes):
    """The mistakes of each, by `provctl recipe check`."""
    with tempfile.TemporaryDirectory() as d:
        names = []
        for i, r in enumerate(recipes):
            names.append(os.path.join(d, '%d.yaml' % i))
            with open(names[-1], 'w', encoding='utf-8') as f:
                json.dump(r, f)
        out = provctl('--json', 'recipe', 'check', *names).stdout
    answers, at = [], 0
    while at < len(out.rstrip()):
        answer, at = json.JSONDecoder().raw_decode(out, at)
        answers.append(answer['errors'])
        at += len(out[at:]) - len(out[at:].lstrip())
    assert len(answers) == len(recipes), out[-400:]
    return answers


class RecipeSchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        got = provctl('recipe', 'schema')
        assert got.returncode == 0, got.stderr
        cls.schema = json.loads(got.stdout)
        cls.actions = json.loads(provctl('--json', 'actions').stdout)

    def validator(self, ref=None):
        schema = self.schema if ref is None else {'$ref': '#/$defs/' + ref, '$defs': self.schema['$defs']}
        return jsonschema.Draft202012Validator(schema)

    def test_it_is_a_schema_and_names_every_action(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)
        names = self.schema['$defs']['step']['properties']['action']['enum']
        self.assertEqual(names, [a['name'] for a in self.actions])
        self.assertGreater(len(names), 100)

    def test_every_shipped_recipe_is_as_the_schema_says(self):
        validator, seen = self.validator(), 0
        for path in sorted(glob.glob(os.path.join(line.ROOT, 'recipes', '**', '*.yaml'), recursive=True)):
            with open(path, encoding='utf-8') as f:
                recipe = yaml.load(f, Yaml12)
            if 'recipe' not in recipe:
                continue     # a label, a part of a recipe's artifacts
            with self.subTest(path=path):
                self.assertEqual(provctl('recipe', 'check', path).returncode, 0)
                self.assertEqual([e.message for e in validator.iter_errors(recipe)], [])
            seen += 1
        self.assertGreater(seen, 20)

    def test_a_broken_recipe_is_refused_by_both(self):
        step = {'id': 'a', 'action': 'console.command', 'with': {'port': 'c', 'send': 'x'}}
        rows = [({'versio': 1}, {}), ({'version': 0}, {}), ({'version': '1'}, {}), ({'steps': []}, {}), ({'steps': {}}, {}),
                ({'power_after': 'of'}, {}), ({'timeout': 5}, {}), ({'ports': {'c': {'bod': 1}}}, {}), ({'unit': {'modl': 'x'}}, {}),
                ({'params': {'p': {'type': 'text'}}}, {}), ({}, {'wth': {}}), ({}, {'action': 'console.comand'}), ({}, {'action': 5}),
                ({}, {'with': {'port': 'c'}}), ({}, {'with': {'port': 'c', 'sent': 'x', 'send': 'x'}}), ({}, {'with': []}),
                ({}, {'with': {'port': 'c', 'send': 'x', 'timeout': 5}}), ({}, {'timeout': 5}), ({}, {'on_fail': 'go'}),
                ({}, {'offline': 'never'}), ({}, {'attach': 'yes'}), ({}, {'when': True}), ({}, {'id': 5}), ({}, {'title': []}),
                ({}, {'retry': 2}), ({}, {'retry': {}}), ({}, {'retry': {'attempts': 0}}), ({}, {'retry': {'attempts': 21}}),
                ({}, {'retry': {'attempts': 2, 'on': ['timeot']}}), ({}, {'retry': {'attempts': 2, 'delay': 1}}),
                ({}, {'retry': {'attempts': 2, 'dely': '1s'}})]
        recipes = [dict(head([dict(copy.deepcopy(step), **s)]), **h) for h, s in rows] + [head([step])]
        refused = [bool(e) for e in check(recipes)]
        self.assertEqual(refused, [True] * len(rows) + [False])
        for row, recipe in zip(rows + [None], recipes):
            with self.subTest(row=row):
                self.assertEqual(self.validator().is_valid(recipe), row is None)

    def test_of_every_argument_it_says_what_the_check_says(self):
        """Each argument of each action with each value: what the schema refuses the check refuses too; of what is not a text
        and has no meaning beyond its shape, the other way round as well."""
        cases = []
        for a in self.actions:
            base = {g['name']: good(g) for g in a['args'] if g['required']}
            rows = [(g, v) for g in a['args'] for v in VALUES]
            for i in range(0, len(rows), 400):
                cases.append((a['name'], rows[i:i + 400], [dict(base, **{g['name']: v}) for g, v in rows[i:i + 400]]))
        mistakes = check([head([{'action': name, 'with': w} for w in withs]) for name, _, withs in cases])
        compared = refused = 0
        for (name, rows, withs), errors in zip(cases, mistakes):
            validator = self.validator(name)
            for i, ((arg, value), with_) in enumerate(zip(rows, withs)):
                at = '/steps/%d/with' % i
                mine = [e for e in errors if e['pointer'] == at or e['pointer'].startswith(at + '/')]
                own = [e for e in mine if e['pointer'].startswith('%s/%s' % (at, arg['name'])) and 'bench' not in e['detail']]
                valid = validator.is_valid(with_)
                what = (name, arg['name'], arg['type'], value, mine)
                self.assertTrue(valid or mine, 'the schema refuses what the check takes: %s' % (what,))
                if arg['type'] in WHOLE and not isinstance(value, str) and own:
                    self.assertFalse(valid, 'the schema takes what the check refuses: %s' % (what,))
                compared += 1
                refused += not valid
        self.assertGreater(compared, 10000)
        self.assertGreater(refused, 1000)


if __name__ == '__main__':
    line.main()
