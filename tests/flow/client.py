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


class Events(Resource):
    def __init__(self, key):
        self.key = key
        super().__init__(f"http+unix://{urllib.parse.quote(sys.argv[1], safe='')}/api/v1", 'any key', UnixTransport)

    def list(self, **options):
        return self.request('GET', self.uri, params=options)


answers = {}
for key, fault in (('message-events', {'per_page': 'many'}), ('events/message', {'cursor': 'no cursor'})):
    events = Events(key)
    found = events.list(events='bounce', recipients='carol@bounce.example')
    try:
        events.list(**fault)
        status = 200
    except SparkPostAPIException as error:
        status = error.status
    answers[key] = {'recipients': [e['rcpt_to'] for e in found], 'status': status}
print(json.dumps(answers))
