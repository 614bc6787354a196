# SPDX-License-Identifier: Apache-2.0
"""Virtual clouds: what ThingsBoard, the Azure Device Provisioning Service and AWS IoT document of their HTTP, over TLS. Each
refuses what its documentation does not have, and checks every signature with an implementation of its own.

    with virtual_clouds.AzureDps(directory) as c:
        ... c.url, c.devices, c.refused
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

import cloud
import line


class Refused(Exception):
    def __init__(self, status, why, **more):
        super().__init__(why)
        self.status, self.body = status, dict(more, message=why)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        c = self.server.cloud
        url = urllib.parse.urlsplit(self.path)
        self.raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.close_connection = True
        with c.lock:
            kind = c.faults.pop(0) if c.faults else None
            c.requests.append('%s %s' % (self.command, url.path))
            if kind == '429':
                return self.answer(429, {'message': 'too many requests'}, {'Retry-After': '1'})
            if kind == '503':
                return self.answer(503, {'message': 'unavailable'}, {})
            try:
                body = json.loads(self.raw) if self.raw else None
                if body is not None and self.headers.get('Content-Type') != 'application/json':
                    raise Refused(415, 'application/json expected')
                status, o, headers = c.handle(self, url.path, url.query, body)
            except Refused as e:
                c.refused.append(str(e))
                status, o, headers = e.status, e.body, {}
            except (AttributeError, KeyError, TypeError, ValueError) as e:
                c.refused.append('%r of %s' % (e, dict(self.headers)))
                status, o, headers = 400, {'message': repr(e)}, {}
        if kind == 'lost':
            return None
        return self.answer(status, o, headers)

    do_POST = do_PUT = do_GET

    def answer(self, status, o, headers):
        text = json.dumps(o).encode()
        try:
            self.send_response(status)
            for name, value in dict(headers, **{'Content-Type': 'application/json; charset=utf-8',
                                                'Content-Length': str(len(text))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            pass


class Virtual:
    base = ''

    def __init__(self, where):
        self.devices, self.requests, self.refused, self.faults = {}, [], [], []
        self.lock = threading.Lock()
        self.where = where
        self.ca, self.cert, self.key = cloud.certificates(where, 'cloud')
        self.server = cloud.Server(('127.0.0.1', 0), Handler)
        self.server.cloud = self
        self.server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.tls.load_cert_chain(self.cert, self.key)
        self.url = 'https://127.0.0.1:%d%s' % (self.server.server_address[1], self.base)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class ThingsBoard(Virtual):
    """thingsboard.io/docs/reference/http-api/provisioning: profile strategy "allow to create new devices"."""
    KEY, SECRET = 'prov-key-1', 'prov-secret-9e7d'

    def handle(self, rq, path, query, body):
        if (rq.command, path, query) != ('POST', '/api/v1/provision', ''):
            raise Refused(404, 'not found')
        if rq.headers.get('Authorization'):
            raise Refused(400, 'no access token is used here')
        if not {'provisionDeviceKey', 'provisionDeviceSecret'} <= set(body) <= {
                'deviceName', 'provisionDeviceKey', 'provisionDeviceSecret', 'gateway'}:
            raise Refused(400, 'fields: %s' % sorted(body))
        name = body['deviceName']
        good = (body['provisionDeviceKey'], body['provisionDeviceSecret']) == (self.KEY, self.SECRET)
        if not good or name in self.devices:
            self.refused.append(name)
            return 200, {'status': 'NOT_FOUND' if not good else 'FAILURE'}, {}
        self.devices[name] = 'tok' + os.urandom(9).hex()
        return 200, {'status': 'SUCCESS', 'credentialsType': 'ACCESS_TOKEN', 'credentialsValue': self.devices[name]}, {}


class AzureDps(Virtual):
    """learn.microsoft.com/azure/iot-dps/iot-dps-https-sym-key-support and -x509-support: an enrolment group, whose devices
    are assigned after some questions."""
    SCOPE = '0ne00111111'
    base = '/' + SCOPE
    GROUP = base64.b64encode(bytes(range(64))).decode()

    def __init__(self, where):
        super().__init__(where)
        self.operations, self.questions, self.fate, self.asked_at = {}, 2, 'assigned', {}

    def by_certificate(self, name):
        """From now on devices show a certificate of this authority: (certificate, key) of that name."""
        key, request, cert = (os.path.join(self.where, 'device' + x) for x in ('.key', '.csr', '.pem'))
        cloud.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', request,
                      '-subj', '/CN=' + name)
        cloud.openssl('x509', '-req', '-in', request, '-CA', self.ca, '-CAkey', os.path.join(self.where, 'cloud-ca.key'),
                      '-CAcreateserial', '-days', '2', '-out', cert)
        self.server.tls.verify_mode = ssl.CERT_REQUIRED
        self.server.tls.load_verify_locations(self.ca)
        return cert, key

    def device_key(self, registration):
        mac = hmac.new(base64.b64decode(self.GROUP), registration.encode(), hashlib.sha256)
        return base64.b64encode(mac.digest()).decode()

    def check_sas(self, header, registration):
        kind, _, rest = (header or '').partition(' ')
        fields = dict(urllib.parse.parse_qsl(rest))
        resource = '%s/registrations/%s' % (self.SCOPE, registration)
        if kind != 'SharedAccessSignature' or set(fields) != {'sr', 'sig', 'se', 'skn'} or fields['skn'] != 'registration':
            raise Refused(401, 'no token of a registration: %s' % sorted(fields), errorCode=401002)
        if fields['sr'] != resource or not 0 < int(fields['se']) - time.time() < 86400:
            raise Refused(401, 'the token is for %s until %s' % (fields['sr'], fields['se']), errorCode=401002)
        text = urllib.parse.quote_plus(resource) + '\n' + fields['se']
        mac = hmac.new(base64.b64decode(self.device_key(registration)), text.encode(), hashlib.sha256)
        if not hmac.compare_digest(base64.b64encode(mac.digest()).decode(), fields['sig']):
            raise Refused(401, 'the signature is not right', errorCode=401002)

    def check_who(self, rq, registration):
        if self.server.tls.verify_mode != ssl.CERT_REQUIRED:
            return self.check_sas(rq.headers.get('Authorization'), registration)
        subject = dict(x[0] for x in rq.connection.getpeercert()['subject'])
        if rq.headers.get('Authorization') or subject['commonName'] != registration:
            raise Refused(401, 'the certificate is of %s' % subject, errorCode=401002)
        return None

    def handle(self, rq, path, query, body):
        m = re.fullmatch(r'/%s/registrations/([\w.:-]{1,128})/(register|operations/([\w.-]+))' % self.SCOPE, path)
        if not m or not re.fullmatch(r'api-version=20\d\d-\d\d-\d\d', query):
            raise Refused(404, 'not found', errorCode=404001)
        registration, operation = m[1], m[3]
        self.check_who(rq, registration)
        if m[2] == 'register' and rq.command == 'PUT':
            if body != {'registrationId': registration}:
                raise Refused(400, 'the body is %s' % body, errorCode=400004)
            operation = '5.%s.%d' % (os.urandom(8).hex(), len(self.operations))
            self.operations[operation] = [registration, self.questions]
            self.asked_at[operation] = time.monotonic()
            return 202, {'operationId': operation, 'status': 'assigning'}, {'Retry-After': '1'}
        if rq.command != 'GET' or self.operations.get(operation, [None])[0] != registration:
            raise Refused(404, 'no such operation', errorCode=404200)
        return self.ask(operation, registration)

    def ask(self, operation, registration):
        self.operations[operation][1] -= 1
        left, before = self.operations[operation][1], self.asked_at[operation]
        self.asked_at[operation] = time.monotonic()
        # The first question comes at once: the client of the documentation asks then. The others keep the time.
        if left < self.questions - 1 and time.monotonic() - before < 0.95:
            raise Refused(429, 'asked before Retry-After', errorCode=429001)
        if left > 0:
            return 202, {'operationId': operation, 'status': 'assigning'}, {'Retry-After': '1'}
        state = {'registrationId': registration, 'status': self.fate}
        if self.fate == 'assigned':
            state.update(assignedHub='hub.azure-devices.example', deviceId=registration)
            self.devices[registration] = state
        return 200, {'operationId': operation, 'status': self.fate, 'registrationState': state}, {}


class AwsIot(Virtual):
    """docs.aws.amazon.com/iot/latest/apireference: CreateCertificateFromCsr, RegisterThing; signatures as in
    docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html."""
    USER, SECRET, REGION, SERVICE = 'AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', 'eu-central-1', 'iot'

    def __init__(self, where):
        super().__init__(where)
        self.certificates = {}

    def check_signature(self, rq):
        m = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?'
                         r'SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})', rq.headers.get('Authorization') or '')
        if not m or (m[1], m[3], m[4]) != (self.USER, self.REGION, self.SERVICE):
            raise Refused(403, 'MissingAuthenticationToken: %s' % rq.headers.get('Authorization'))
        date, signed = rq.headers['X-Amz-Date'], m[5].split(';')
        if not {'host', 'x-amz-date'} <= set(signed) or signed != sorted(signed) or not date.startswith(m[2]):
            raise Refused(403, 'IncompleteSignature: %s' % signed)
        if abs(time.time() - time.mktime(time.strptime(date, '%Y%m%dT%H%M%SZ')) + time.timezone) > 300:
            raise Refused(403, 'RequestExpired: %s' % date)
        url = urllib.parse.urlsplit(rq.path)
        query = '&'.join(sorted('%s=%s' % tuple(urllib.parse.quote(x, safe='-_.~') for x in pair)
                                for pair in urllib.parse.parse_qsl(url.query, keep_blank_values=True)))
        canonical = '\n'.join([rq.command, urllib.parse.quote(url.path), query,
                               ''.join('%s:%s\n' % (n, ' '.join(rq.headers[n].split())) for n in signed),
                               m[5], hashlib.sha256(rq.raw).hexdigest()])
        scope = '/'.join([m[2], self.REGION, self.SERVICE, 'aws4_request'])
        text = '\n'.join(['AWS4-HMAC-SHA256', date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ('AWS4' + self.SECRET).encode()
        for part in scope.split('/'):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), m[6]):
            raise Refused(403, 'SignatureDoesNotMatch: %r' % canonical)

    def sign(self, csr):
        """By this authority, of the request's own key: (id, PEM)."""
        request, cert = os.path.join(self.where, 'aws.csr'), os.path.join(self.where, 'aws.pem')
        with open(request, 'w') as f:
            f.write(csr)
        try:
            cloud.openssl('x509', '-req', '-in', request, '-CA', self.ca, '-CAkey', os.path.join(self.where, 'cloud-ca.key'),
                          '-CAcreateserial', '-days', '2', '-out', cert)
        except subprocess.CalledProcessError:
            raise Refused(400, 'InvalidRequestException: no certificate signing request') from None
        pem = line._bytes_of(cert).decode()
        return hashlib.sha256(pem.encode()).hexdigest(), pem

    def handle(self, rq, path, query, body):
        self.check_signature(rq)
        if (rq.command, path, query) == ('POST', '/certificates', 'setAsActive=true'):
            if set(body) != {'certificateSigningRequest'}:
                raise Refused(400, 'InvalidRequestException: %s' % sorted(body))
            id_, pem = self.sign(body['certificateSigningRequest'])
            self.certificates[id_] = pem
            return 200, {'certificateArn': 'arn:aws:iot:eu-central-1:1:cert/' + id_, 'certificateId': id_,
                         'certificatePem': pem}, {}
        if (rq.command, path, query) == ('POST', '/things', ''):
            return self.register(body)
        raise Refused(404, 'UnknownOperationException')

    def register(self, body):
        if set(body) != {'templateBody', 'parameters'}:
            raise Refused(400, 'InvalidRequestException: %s' % sorted(body))
        template, parameters = json.loads(body['templateBody']), body['parameters']
        if set(template['Parameters']) != set(parameters) or parameters['CertificateId'] not in self.certificates:
            raise Refused(400, 'ResourceRegistrationFailureException: %s' % parameters)
        name = parameters[template['Resources']['thing']['Properties']['ThingName']['Ref']]
        self.devices[name] = parameters['CertificateId']
        return 200, {'certificatePem': self.certificates[parameters['CertificateId']],
                     'resourceArns': {'thing': 'arn:aws:iot:eu-central-1:1:thing/' + name}}, {}
