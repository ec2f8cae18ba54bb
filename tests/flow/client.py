"""client.py SOCKET: what Debian's python3-sparkpost finds, as JSON; status 77 where it is not installed."""

import json
import sys
import urllib.parse

try:
    import requests_unixsocket
    from sparkpost.base import RequestsTransport, Resource
    from sparkpost.exceptions import SparkPostAPIException
except ImportError as missing:
    print(missing)
    sys.exit(77)


class UnixTransport(RequestsTransport):
    def __init__(self):
        super().__init__()
        self.sess.mount('http+unix://', requests_unixsocket.UnixAdapter())


class MessageEvents(Resource):
    key = 'message-events'

    def list(self, **options):
        return self.request('GET', self.uri, params=options)


events = MessageEvents(f"http+unix://{urllib.parse.quote(sys.argv[1], safe='')}/api/v1", 'any key', UnixTransport)
found = events.list(events='bounce', recipients='carol@bounce.example')
try:
    events.list(per_page='many')
    status = 200
except SparkPostAPIException as error:
    status = error.status
print(json.dumps({'recipients': [e['rcpt_to'] for e in found], 'status': status}))
