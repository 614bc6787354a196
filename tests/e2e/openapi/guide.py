# SPDX-License-Identifier: Apache-2.0
"""A client that knows provd by its OpenAPI document alone: an operation is called by its operationId, its answer is an object
of the class that quicktype made of the schema. What it says at the end is one line of JSON.

    guide.py URL TOKEN DOCUMENT      with provd_models.py next to it, and the recipe on standard input
"""
import hashlib
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

import provd_models as models

SNAKE = {'Job': models.job_from_dict, 'Run': models.run_from_dict, 'Recipe': models.recipe_from_dict,
         'Artifact': models.artifact_from_dict, 'Pool': models.pool_from_dict, 'Health': models.health_from_dict,
         'RunList': models.run_list_from_dict, 'StationList': models.station_list_from_dict}


class Refused(Exception):
    def __init__(self, problem):
        super().__init__(problem.detail)
        self.problem = problem


class Provd:
    def __init__(self, url, token, document):
        self.url, self.token = url, token
        self.operations = {op['operationId']: (method.upper(), path, op)
                           for path, item in document['paths'].items() for method, op in item.items()}

    def call(self, operation, body=None, kind='application/json', headers=None, query='', **names):
        method, path, op = self.operations[operation]
        send = {'Authorization': 'Bearer ' + self.token, 'Content-Type': kind, **(headers or {})}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        rq = urllib.request.Request(self.url + path.format(**names) + query, data, send, method=method)
        try:
            with urllib.request.urlopen(rq) as a:
                return self.read(op, a.status, a.read())
        except urllib.error.HTTPError as e:
            with e:
                raise Refused(models.problem_from_dict(json.loads(e.read()))) from None

    def read(self, op, status, text):
        schema = op['responses'][str(status)]['content']['application/json']['schema']
        return SNAKE[schema['$ref'].split('/')[-1]](json.loads(text))


def make_ready(provd, recipe):
    firmware = b'\0PROVD-TEST-IMAGE'.ljust(4096, b'y')
    provd.call('putArtifactsSha256', firmware, 'application/octet-stream', query='?name=firmware.bin',
               sha256=hashlib.sha256(firmware).hexdigest())
    provd.call('postPools', {'id': 'production-sn', 'pattern': 'SN{seq:06}', 'first': 1, 'last': 999})
    draft = provd.call('postRecipes', recipe, 'application/yaml')
    return provd.call('postRecipesNameVersionsVersionActionsAction', b'', name=draft.name, version=draft.version,
                      action='approve')


def main(url, token, document):
    with open(document) as f:
        provd = Provd(url, token, json.load(f))
    ready = provd.call('getReadyzRoot')
    stations = provd.call('getStations')
    recipe = make_ready(provd, sys.stdin.buffer.read())
    job = provd.call('postJobs', {'recipe': recipe.name, 'quantity': 2, 'external_ref': 'PO-4712'},
                     headers={'Idempotency-Key': str(uuid.uuid4())})
    while job.state.value != 'done':
        time.sleep(0.05)
        job = provd.call('getJobsId', id=job.id)
    runs = provd.call('getRuns', query='?job_id=' + job.id).items
    try:
        provd.call('postJobs', {'recipe': 'nowhere', 'quantity': 1})
    except Refused as e:
        refused = [e.problem.status, e.problem.code.value, e.problem.errors[0].pointer]
    print(json.dumps({'ready': ready.status.value, 'stations': [s.id for s in stations.items], 'job': job.id, 'passed': job.passed,
                      'serials': [r.serial for r in runs if r.outcome.value == 'passed'], 'refused': refused}))


if __name__ == '__main__':
    main(*sys.argv[1:])
