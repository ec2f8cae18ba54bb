#!/usr/bin/python3
"""Makes what a fuzz target starts from: seeds.py TARGET DIR fills DIR/seeds, and DIR/dict with words.

The comment at the top of tests/fuzz/fuzz_TARGET.c says of what: "Seeds:" names files and directories whose contents are
inputs (long ones are cut into pieces), "Words:" C files whose string literals are words worth trying. The inputs that have
a form of their own are made here: a function of the target's name gives them.
"""

import base64
import gzip
import json
import pathlib
import re
import struct
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
LONG, PIECE = 16 * 1024, 2000

# A string literal of C, also of several parts; and a single character.
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
CHARACTER = r"'(?:[^'\\\n]|\\.)'"


def literal(text):
    parts = re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    return ''.join(parts).encode().decode('unicode_escape').encode('latin-1')


# ---- events ----

def fields():
    """(number, name in Events Ingest, kind, sample) of each field."""
    row = re.compile(r'^FIELD\(\w+, (\d+), "\w+", "(\w+)", (\w+), \w+, \w+,\s*(' + LITERAL.pattern + ')', re.M)
    text = (TOP / 'schema/fields.def').read_text()
    return [(int(number), name, kind, literal(sample)) for number, name, kind, sample in row.findall(text)]


def member(kind, sample):
    return json.loads(sample) if kind in ('OBJECT', 'STRINGS', 'INTEGER', 'BOOLEAN') else sample.decode()


def lines():
    """An event of each type in the form of Events Ingest, with all fields."""
    rows = re.findall(r'^EVENT\(\w+, \d+, "\w+", "[^"]*", "(\w+)",\s*"(\w+)"', (TOP / 'schema/events.def').read_text(), re.M)
    event = {name: member(kind, sample) for _, name, kind, sample in fields()}
    event['timestamp'] = '1549054700'
    for wrapper, kind in rows:
        yield json.dumps({'msys': {wrapper: event | {'type': kind}}}).encode()


# ---- the inputs of each target ----

def make_answer():
    verdict = {'batch_id': 'b-1', 'type': 'error', 'error_type': 'validation', 'href': '/api/v1/x', 'retryable': False,
               'number_succeeded': 3, 'number_failed': '2', 'number_duplicates': 0}
    failed = b'{"msys":{"message_event":{}},"error":{"message":"no"}}\n{"errors":["a",{"message":"b"}],"reason":"c"}\n'
    yield b'{"results":{"id":"6f1b8a34-0d1c"}}'
    yield json.dumps({'results': [verdict, verdict | {'type': 'success', 'error_type': None}]}).encode()
    yield b'{"errors":[{"message":"Unauthorized.","description":"a\\nb"},{"message":"x"}]}'
    yield b'<html>502 \xff Bad Gateway'
    yield failed
    yield gzip.compress(failed, mtime=0)
    yield b'https://api.example.com:443/api/v1/events/ingest/failed?x=1'
    yield b'../failed/1'


def make_authorization():
    yield b'0a1b2c3d4e5f-secret'
    yield b'Basic ' + base64.b64encode(b'0a1b2c3d4e5f-secret:')
    yield b' basic\t' + base64.b64encode(b'key:password') + b' '
    yield b'read ingest,upload'
    yield b'0 101,102'
    yield b'example.com *.example.net b\xc3\xbccher.example'


def make_classify():
    for line in (TOP / 'tests/golden/replies/replies.tsv').read_bytes().splitlines()[1::10]:
        yield b'r' + line.split(b'\t')[-1]
    for name in 'bounce-rules', 'reason-rules':
        for part in re.split(r'\n\n+', (TOP / 'schema' / name).read_text()):
            yield b'!' + part.encode() + b'\n'


def make_config():
    sample = (TOP / 'contrib/postwake.conf.sample').read_text()
    plain = re.sub(r'^#(\[|[a-z_]+ =)', r'\1', sample, flags=re.M)
    yield sample.encode()
    yield plain.encode()
    yield plain.replace('journal = system\n', '').encode()
    yield b'[source a]\nfile = /x\n[source b]\njournal = system\ninstance = b\n[access x]\nusers = *\ngrants = read\n'
    for url in b'https://api.eu.example.com:443', b'http://127.0.0.1:1/', b'http://[::1]:80', b'http://x.example', b'ftp://x':
        yield b'[upload a]\nkind = postwake\nprivacy = yes\nurl = ' + url + b'\n'
    yield b'[milter]\nmode = 0999\n'
    yield b'[query]\nthreads = 65\n'


def packed(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def make_dict():
    def block(strings):
        heads = b''.join(packed(len(text) << 1 | (of > 0)) + (packed(of) if of else b'') for text, of in strings)
        plain = all(text.isascii() for text, _ in strings)
        return packed(len(heads) << 1 | (not plain)) + heads + b''.join(text for text, _ in strings)

    words = [(b'Your order', 0), (b'550 5.1.1 user unknown', 3), (b'', 0), (b'Hello, World', 0)]
    for pattern in b'%', b'%order%', b'your%', b'%World', b'%o%r%', b'':
        yield bytes([len(pattern)]) + pattern + block(words)
        yield bytes([len(pattern)]) + pattern + block(words + [('Gr\xfc\xdfe'.encode(), 200)])


HEADERS = (
    ('From', '=?utf-8?q?J=C3=BCrgen?= <news@shop.example>'),
    ('To', 'Undisclosed: a@example.com, "B C" <b@example.com>;'),
    ('Cc', 'c@example.com'),
    ('Subject', '=?iso-8859-1?b?R3L832U=?= =?utf-8?q?_x?='),
    ('Subject', 'Plain \xfc'),
    ('Message-ID', '\n <1@shop.example>'),
    ('X-MSYS-API', json.dumps({
        'campaign_id': 'c', 'template_id': 't', 'tags': ['a', 'b'], 'metadata': {'k': 'v', 'n': 1},
        'options': {'open_tracking': True, 'click_tracking': 'no', 'transactional': 1, 'ip_pool': 'p'},
        'cc': [{'email': 'c@example.com', 'header_to': 'a@example.com'}], 'archive': ['d@example.com'],
        'recipients': [{'address': {'email': 'a@example.com'}, 'metadata': {'k': 'w'}, 'tags': ['z'],
                        'substitution_data': {'s': 1}}]})),
    ('X-MSYS-API', '{"options":{"open_tracking":false},\n "metadata":{"k":"v"}}'),
    ('X-SMTPAPI', '{"category":["a","b"],"unique_args":{"k":"v"},"filters":{"opentrack":{"settings":{"enable":1}}}}'),
    ('X-Mailgun-Variables', '{"k":{"deep":[1,2]}}'),
    ('X-Mailgun-Tag', 'tag'),
    ('X-Mailgun-Track-Opens', 'htmlonly'),
    ('X-MC-Tags', 'one,two'),
    ('X-MC-Track', 'opens, clicks_all'),
    ('X-SES-Message-Tags', 'campaign=book, flavour=sweet'),
    ('X-PM-Metadata-color', 'blue'),
    ('X-PM-Tag', '=?utf-8?q?T=C3=A4g?='),
    ('Content-Type', 'multipart/report; report-type=delivery-status'),
)


def make_headers():
    whole = [f'{name}:{value}'.encode('latin-1') for name, value in HEADERS]
    for one in whole:
        yield b'<a@example.com>\0' + one + b'\0'
    yield b'<a@example.com>\0' + b'\0'.join(whole) + b'\0'


def make_ingest():
    every = list(lines())
    yield from every
    yield b'{"msys":{"track_event":{"type":"open","event_id":"1","timestamp":"never"}}}\nno JSON\n{}\n'
    yield gzip.compress(b'\n'.join(every[:6]), mtime=0)
    yield gzip.compress(every[0], mtime=0) + gzip.compress(b'\n' + every[9] + b'\n', mtime=0) + bytes(4)
    yield gzip.compress(every[1], mtime=0)[:-5]


def make_json():
    every = [(number, sample[:255]) for number, _, _, sample in fields()]
    deep = b'{"a":[1,{"b":[[],"x"]}],"latitude":"1.5","longitude":-2}'
    yield b'\0' + b''.join(bytes([number, len(deep)]) + deep for number, _, kind, _ in fields() if kind == 'OBJECT')
    for kind in range(25):
        mine = every if kind < 2 else every[kind * 3:] + every[:kind]
        yield bytes([kind]) + b''.join(bytes([number, len(text)]) + text for number, text in mine)
    yield b'\1' + b''.join(bytes([number, 5]) + b'\xff"\\\x01\xc3' for number, _ in every)


def make_peer():
    def packets(*commands):
        return b''.join(command[:1] + bytes([len(command) - 1]) + command[1:] for command in commands if len(command) <= 256)

    mail = [b'DMi\x004F2A1B\0{auth_authen}\0jane\0{auth_type}\0PLAIN\0', b'M<s@shop.example>\0SIZE=100\0',
            b'DRi\x004F2A1B\0', b'R<a@example.com>\0ORCPT=rfc822;a\0', b'R<b@example.com>\0']
    head = [f'L{name}\0{value}\0'.encode('latin-1') for name, value in HEADERS]
    hello = [b'DCj\0mx.example\0', b'Cclient.example\x004\x12\x34192.0.2.1\0', b'Hclient.example\0']
    report = [b'M<>\0', b'R<b@example.com>\0', head[-1], b'N', b'BReporting-MTA: dns; x\n', b'B\n', b'E']
    plain = packets(*hello, *mail, *head, b'T', b'N', b'BHello', b'DEi\x004F2A1B\0{msg_id}\x00x\0', b'E.', *mail, b'A', b'Q')
    refused = packets(*hello, b'M<s@shop.example>\0',
                      b'DRi\0X\0{rcpt_mailer}\0error\0{rcpt_host}\x005.1.1\0{rcpt_addr}\0User unknown\0',
                      b'R<a@example.com>\0', b'E', b'K',
                      b'Cx\x006\0\x19IPv6:2001:db8::1\0', b'Cx\0U', b'Cx\0L\0\0/run/x\0', b'U', b'Z')
    for switches in 0, 4, 8, 16, 32, 60:
        for piece in b'\xff\x06':
            yield bytes([switches, piece]) + plain
            yield bytes([switches, piece]) + refused
            yield bytes([switches, piece]) + packets(*hello, *report)
    yield b'\3\x0f' + struct.pack('>Ic3I', 13, b'O', 6, 0x1ff, 0x1fffff) + struct.pack('>Ic', 1, b'Q')
    yield b'\3\x0f' + struct.pack('>Ic3I', 13, b'O', 1, 0, 0)
    yield b'\3\x0f' + struct.pack('>I', 1 << 30)


def make_position():
    print_ = '2000:00ff00ff00ff00ff'
    yield (f'v=1 dev=fe01 ino=1a2b born=1795309024 offset=4711 head={print_} tail={print_} mtime=1795309024 '
           f'stamp=1795309024000 again.dev=0 again.ino=0 again.offset=9000 again.head={print_} again.tail={print_}').encode()
    yield b'v=1 offset=1 tail=1:0 more=1'
    yield b'v=2 offset=1'


def make_pseudonym():
    address = 'q7x.zz-9@example.com'
    yield f'"q7x.zz-9"@example.com\nq7x.zz-9 of <{address}>, Q7X.zz-9, "q7x.zz-9"@example.com'.encode()
    yield b'\nhttp://x.example/?a=q7x.zz-9%40example.com&b=bounces-q7x.zz-9=example.com'
    yield b'q7x.zz-9+detail@example.com\nsmtp:q7x.zz-9@example.com, q7x.zz-9+x@example.com'
    yield b'\n' + json.dumps({'a': address, address: ['x', {'b': 'Dear\n' + address}], 'c': 'q7x.zz-9'}).encode()
    yield b'\n{"a":"q7x.zz-9\\u0040example.com"}'
    yield 'x\n„q7x.zz-9“, 请问q7x.zz-9：'.encode()
    yield b'\0x@example.com\n\0 q7x.zz-9'
    yield b'\nu=a.b%40example.com&amp;c.d=example.com&#64;x e=40f.example a.b=example.com'
    yield b'\n<' + base64.b64encode(b'anna.b-7@example.com') + b'> ' + b'anna.b-7@example.com'.hex().encode()


def make_query():
    rows = (
        'events=bounce,delivery&recipients=a@example.com,b%40example.com&bounce_classes=10,30&subaccounts=0,101',
        'from=2026-06-14T00:00&to=2026-06-15T12:34&timezone=Europe/Berlin&per_page=100&page=2&as_of=77',
        'from=2026-06-14T00:00:00Z&to=2026-06-15T12:34:56Z&cursor=initial&per_page=10000',
        'cursor=NzcsMTIz&reasons=user%20unknown,full&subjects=order+1234&ab_tests=x&ab_test_versions=1',
        'reason=%25user%25&subjects=Hello,%C3%BC&delimiter=%3B&campaign_ids=a;b&since=5',
        'friendly_froms=a@b.example&template_ids=t&message_ids=000443ee14578172be22,%3Cx@y.example%3E&queue_ids=4F2A',
        'recipient_domains=mail.example.com&sending_domains=x.example&sending_ips=192.0.2.1&ip_pools=p&event_ids=1,2',
        'mailbox_providers=Gmail&mailbox_provider_regions=Global&campaigns=a%20b&templates=c&messages=m&transmissions=t',
        'start=2026-05-31&end=2026-06-15&tags=a;b',
        'batch_ids=6f1b8a34-0d1c-4d1c-8a34-000000000000&error_types=validation,system&retryable=true&event_ids=x&api=v1',
        'subaccounts=101&events=success&per_page=10&cursor=initial&api=events',
        'events=reception,feedback,injection',
        'to=2026-05--5T00:00:00Z',
        'source=mail&not_after=1781526896789&damage=none',
        '%zz=1&events=nothing&per_page=0&from=x&to=y&timezone=Mars&since=1&as_of=2&page=-1',
    )
    for row in rows:
        yield b'/api/v1/message-events?' + row.encode()
    yield b'http://127.0.0.1/api/v1/events/message?' + rows[0].encode()


def change(at, value):
    """As tests/fuzz/box.h takes it."""
    return struct.pack('<I', at)[:3] + bytes([value])


def make_rows():
    yield b''
    for page in range(40):
        # What SQLite itself reads, and then only what stands in a row.
        yield b''.join(change(page * 8192 + at, value) for at, value in ((0, page), (3, 200), (4100, 0x81), (8100, 0xff)))
        yield change(page * 8192 + 8189, 0x55)


def make_damage():
    for mode in range(12):
        # A repair is another one in each table.
        for changes in list(make_rows())[:None if mode == 3 else 9 if mode % 3 == 2 else 40]:
            yield bytes([mode]) + changes
    for at in 0, 3, 10, 20, 60:  # of the bytes of a batch
        yield bytes([8]) + change(at, 0xff)


def make_session():
    def step(which, *texts):
        return bytes([which]) + b''.join((texts[i].encode('latin-1') if i < len(texts) else b'') + b'\0' for i in range(3))

    begin = step(0, 'client.example', '192.0.2.1') + step(1, 'client.example')
    mail = step(2, '<s@shop.example>', 'SIZE=100', '4F2A1B') + step(3, '<a@example.com>', '', '4F2A1B') + step(3, '<b@example.com>')
    head = b''.join(step(5, name, value) for name, value in HEADERS)
    yield begin + mail + head + step(6, '4F2A1B', 'x')
    yield begin + mail + step(7) + mail + step(6)
    yield begin + step(2, '<s@shop.example>') + step(4, '<a@example.com>', '5.1.1', 'User unknown') + step(6)
    yield begin + step(2, '<>') + step(3, '<a@example.com>') + step(5, *HEADERS[-1]) + step(8, 'Reporting-MTA: x\n') + step(6)


def make_tombstone():
    yield b'Dear a.b, a.b%40example.com, "a.b"@example.com, bounces+a.b=example.com@x.example, x@d.example'
    yield 'SRS0=HHH=TT=example.com=a.b@x.example “a.b@example.com” 请联系a.b@example.com'.encode()
    for line in lines():
        yield line
        yield line.replace(b'recipient@example.com', b'a.b@example.com').replace(b'Summer', b'Dear a\\u002eb,')
        yield line.replace(b'Summer', b'To a\\u002eb@example.com:')
    yield b'{"errors":["a.b@example.com"]}'
    yield gzip.compress(b'{"a":"a.b@example.com"}\n{}\nlast', mtime=0)


def make_trace_state():
    """Messages, envelopes and streams as trace/state.c writes them."""
    def signed(value):
        return packed((value << 1) ^ (value >> 63) & (1 << 64) - 1)

    def text(value):
        return packed(0) if value is None else packed(len(value) + 1) + value

    def letter(*of):
        mine = ((21, b'news@shop.example'), (25, b'Hello'))
        return (packed(1) + packed(len(mine)) + b''.join(packed(number) + text(value) for number, value in mine) +
                packed(len(of)) + b''.join(text(a) + text(b'cc') + text(b'{"k":1}') + text(b'["t"]') + text(None) for a in of))

    def recipient(name, deferred):
        known = packed(2) + signed(START // 1000) + packed(2) + packed(77) + packed(78)
        last = b''.join(map(text, (name, None, b'4.2.1', b'450', b'450 4.2.1 busy')))
        return text(name) + packed(deferred) + known + (last if deferred else b'')

    def story(flags, born):
        texts = (b's@shop.example', b'<1@shop.example>', b'client.example', b'192.0.2.1', b'4711', b'helo', b'jane')
        return (packed(flags) + signed(START if born else 0) + signed(321) + text(b'000443ee14578172be22' if born else None) +
                text(None) + b''.join(map(text, texts)) + packed(2) + text(b'a@b') + text(b'c@d'))

    START = 1795305600000
    queue = text(b'n') + text(b'') + text(b'Q')

    def message(flags, ended, its_story, its_letter):
        return (packed(2) + packed(flags) + signed(START) + signed(START) + signed(START) + signed(START if ended else 0) +
                packed(2) + recipient(b'a@b', 1) + recipient(b'c@d', 0) + its_story + its_letter + packed(2))

    def entry(key, value):
        return bytes([len(key)]) + key + struct.pack('<H', len(value)) + value

    for flags in 0, 2, 4, 1 << 4, 1 << 5, 1 << 6, 0x3ff:
        for ended in False, True:
            yield entry(b'M' + queue, message(flags, ended, story(0x26, True), letter(b'a@b', b'c@d')))
            yield entry(b'M' + queue, message(flags, ended, story(0x41, flags > 2), packed(0)))
            yield entry(b'M' + queue, message(flags, ended, story(0x40, False), packed(0)))
    yield entry(b'E' + queue + signed(START), packed(2) + signed(START) + signed(321) + text(b's@x') + letter(b'a@b'))
    yield entry(b'S' + text(b'n') + text(b''), packed(2) + packed(3))
    yield entry(b'M' + queue, packed(1))
    mine = message(2, False, story(0x27, True), letter(b'a@b'))
    yield entry(b'M' + queue, mine) + entry(b'M' + text(b'n') + text(b'') + text(b'R'), mine)


# ---- putting them down ----

def pieces(data):
    """Whole lines, as many as fit."""
    piece = b''
    for line in data.splitlines(keepends=True):
        if piece and len(piece) + len(line) > PIECE:
            yield piece
            piece = b''
        piece += line
    yield piece


def named(comment, what):
    return [TOP / path for row in re.findall(what + r': ([^*]*)', comment) for path in row.split()]


def given(comment):
    for path in named(comment, 'Seeds'):
        files = sorted(path.rglob('*')) if path.is_dir() else [path]
        for data in (file.read_bytes() for file in files if file.is_file()):
            yield from [data] if len(data) <= LONG else pieces(data)


def literals(source):
    plain = re.sub(r'/\*.*?\*/', '', source, flags=re.S)
    found = re.findall(f'{CHARACTER}|{LITERAL.pattern}', plain)
    return [literal(text) for text in found if text.startswith('"')]


def quoted(word):
    return '"' + ''.join(chr(c) if 0x20 <= c < 0x7f and c not in b'"\\' else f'\\x{c:02x}' for c in word) + '"\n'


def main():
    target, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    comment = (TOP / f'tests/fuzz/fuzz_{target}.c').read_text().split('*/')[0]
    made = globals().get('make_' + target, lambda: ())
    seeds = directory / 'seeds'
    seeds.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*given(comment), *made()]):
        (seeds / f'{number:04}').write_bytes(data)
    words = {word for path in named(comment, 'Words') for text in literals(path.read_text())
             for word in [text, *re.split(rb'[\s=]+', text)]}
    rows = (quoted(word) for word in sorted(words) if 0 < len(word) <= 64)
    (directory / 'dict').write_text('# libFuzzer takes no empty file.\n' + ''.join(rows))


main()
