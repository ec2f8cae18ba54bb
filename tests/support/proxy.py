"""A way to a postwaked on which things go wrong: ends TLS with a certificate of its own, passes requests on over TLS."""

import http.client
import json
import os
import ssl
import subprocess

from ingest import Handler, IngestSink


class Authority:
    """Makes certificates for 127.0.0.1; who trusts `file` trusts them."""

    def __init__(self, directory):
        self.directory, self.file = directory, os.path.join(directory, 'authority.pem')
        self._openssl('-subj', '/CN=authority', '-addext', 'basicConstraints=critical,CA:TRUE',
                      '-out', self.file, '-keyout', self.path('authority-key'))

    def path(self, name):
        return os.path.join(self.directory, name + '.pem')

    @staticmethod
    def _openssl(*words):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-days', '2', *words], check=True, capture_output=True)

    def pair(self, name):
        """(certificate, key)"""
        request, files = self.path(name + '-request'), (self.path(name), self.path(name + '-key'))
        subprocess.run(['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-subj', f'/CN={name}', '-addext', 'subjectAltName=IP:127.0.0.1',
                        '-out', request, '-keyout', files[1]], check=True, capture_output=True)
        subprocess.run(['openssl', 'x509', '-req', '-in', request, '-CA', self.file, '-CAkey', self.path('authority-key'),
                        '-days', '2', '-copy_extensions', 'copy', '-out', files[0]], check=True, capture_output=True)
        return files


class Refused(Exception):
    """The other side has not taken a batch; its status and body."""


class RelayHandler(Handler):
    def do_POST(self):
        try:
            super().do_POST()
        except Refused as refused:
            status, body = refused.args
            self.answer(status, None, raw=body)

    def do_GET(self):
        sink = self.server.sink
        if sink.next_fault(self.path) == '500':
            return self.answer(500, {'errors': [{'message': 'not now'}]})
        return self.answer(*sink.ask('GET', self.path, self.headers.get('Authorization')))


class FaultProxy(IngestSink):
    """The faults of IngestSink on the way to the TLS port `far`; questions for verdicts fail, too, a few times. What was
    passed on stands in `taken`. Where the other side is dead the connection is cut."""
    handler = RelayHandler

    def __init__(self, far, authority, key, faults=(), bad_questions=0):
        self.far, self.taken, self.bad_questions = far, [], bad_questions
        self.context = ssl.create_default_context(cafile=authority.file)
        super().__init__(faults, tls=authority.pair('proxy'), key=key)

    def next_fault(self, path=None):
        if path is None:
            return super().next_fault()
        with self.lock:
            self.bad_questions -= 1
            return '500' if self.bad_questions >= 0 else ''

    def ask(self, method, path, key, body=None):
        """(status, None, headers, body) of the other side."""
        connection = http.client.HTTPSConnection('127.0.0.1', self.far, context=self.context, timeout=20)
        headers = {'Authorization': key} if key else {}
        if body is not None:
            headers.update({'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip'})
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, None, (), answer.read()
        finally:
            connection.close()

    def accept(self, body):
        status, _, _, answer = self.ask('POST', '/api/v1/ingest/events', self.key, body)
        if status != 200:
            raise Refused(status, answer)
        self.taken.append(body)
        return json.loads(answer)['results']['id']
