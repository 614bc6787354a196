# SPDX-License-Identifier: Apache-2.0
"""Each answer of the API against /openapi.json, by a validator that is not ours (Debian: python3-jsonschema).

watch() makes every request of line.Api go by it; what does not fit fails the test that asked.
"""
import re

import line

try:
    import jsonschema
except ImportError:
    jsonschema = None


class Document:
    def __init__(self, doc):
        self.doc, self.validators, self.seen = doc, {}, set()
        self.paths = [(re.compile(re.sub(r'\\?\{\w+\\?\}', '[^/]+', re.escape(p)) + '$'), p) for p in doc['paths']]
        # A path of words is meant before one with a name in it.
        self.paths.sort(key=lambda p: p[1].count('{'))

    def of(self, o):
        while '$ref' in o:
            at = self.doc
            for part in o['$ref'][2:].split('/'):
                at = at[part]
            o = at
        return o

    def operations(self):
        return [(m.upper(), p, o) for p, item in self.doc['paths'].items() for m, o in item.items()]

    def operation(self, method, path):
        """(template, operation); operation None: no such method, template None: no such path."""
        found = [p for r, p in self.paths if r.match(path)]
        method = 'get' if method == 'HEAD' else method.lower()
        for p in found:
            if method in self.doc['paths'][p]:
                return p, self.doc['paths'][p][method]
        return (found[0] if found else None), None

    def validator(self, schema, key):
        if key not in self.validators:
            cls = jsonschema.Draft202012Validator
            self.validators[key] = cls(schema, resolver=jsonschema.RefResolver('', self.doc), format_checker=None)
        return self.validators[key]

    def errors(self, value, schema, key):
        return ['%s: %s' % ('/'.join(str(x) for x in e.absolute_path), e.message)
                for e in self.validator(schema, key).iter_errors(value)]

    def check(self, method, path, answer):
        """What of the answer is not as described."""
        template, op = self.operation(method, path.split('?')[0])
        kind = (answer.headers.get('Content-Type') or '').split(';')[0]
        if op is None:
            response = self.of({'$ref': '#/components/responses/Other'})
        else:
            named = op['responses'].get(str(answer.status)) or op['responses'].get('default')
            if named is None or (answer.status < 400 and str(answer.status) not in op['responses']):
                return ['%d is not described' % answer.status]
            response = self.of(named)
        if method == 'HEAD' or answer.status == 304 or not answer.body:
            return []
        if kind not in response.get('content', {}):
            return ['%d comes as %s, %s is described' % (answer.status, kind, list(response.get('content', {})))]
        if not kind.endswith('json'):
            return []
        self.seen.add((template, method, answer.status))
        return self.errors(answer.json, response['content'][kind]['schema'], (template, method, answer.status, kind))


def watch(doc):
    """From now on; returns what ends it."""
    request = line.Api.request

    def checked(self, method, path, body=None, headers=None, raw=False):
        answer = request(self, method, path, body, headers, raw)
        whole = path if raw else '/api/v1' + path
        # What the dashboard serves is not the API, and is not described.
        if whole.startswith('/api/') or whole.split('?')[0] in doc.doc['paths']:
            wrong = doc.check(method, whole, answer)
            assert not wrong, '%s %s: %d is not as /openapi.json says: %s\n%s' % (
                method, whole, answer.status, '; '.join(wrong)[:2000], answer.body[:600])
        return answer
    line.Api.request = checked
    return lambda: setattr(line.Api, 'request', request)
