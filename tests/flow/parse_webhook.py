"""parse_webhook.py < EVENTS: what Debian's django-anymail reads in SparkPost's events, as JSON; status 77 where it is not
installed."""

import json
import sys

try:
    import django
    from django.conf import settings
    settings.configure(ANYMAIL={'WEBHOOK_SECRET': 'user:word'})
    django.setup()
    from anymail.webhooks.sparkpost import SparkPostTrackingWebhookView
    from django.test import RequestFactory
except ImportError as missing:
    print(missing)
    sys.exit(77)

request = RequestFactory().post('/', data=sys.stdin.read(), content_type='application/json')
names = ('event_id', 'event_type', 'recipient', 'mta_response', 'tags', 'metadata')
print(json.dumps([dict({name: getattr(event, name) for name in names},
                       timestamp=event.timestamp.strftime('%Y-%m-%dT%H:%M:%S'))
                  for event in SparkPostTrackingWebhookView().parse_events(request)]))
