"""The MTA's side of the milter protocol (version 6), as libmilter's mfdef.h defines it."""

import socket
import struct

ACTIONS, STEPS = 0x1ff, 0x1fffff
# Command -> (bit that leaves it out, bit that leaves its reply out).
BITS = {b'C': (0x1, 0x1000), b'H': (0x2, 0x2000), b'M': (0x4, 0x4000), b'R': (0x8, 0x8000), b'T': (0x200, 0x10000),
        b'L': (0x20, 0x80), b'N': (0x40, 0x40000), b'B': (0x10, 0x80000), b'E': (0, 0)}
FINAL = b'ctyrdas'


class Gone(Exception):
    """The milter cannot be reached, or broke off."""


class Milter:
    """One connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        try:
            self.socket.connect(path)
            self.send(b'O', struct.pack('!III', 6, ACTIONS, STEPS))
            code, data = self.receive()
        except OSError as error:
            self.socket.close()
            raise Gone(str(error)) from error
        if code != b'O':
            raise Gone(f'negotiation answered with {code}')
        self.steps = struct.unpack('!III', data[:12])[2]

    def send(self, code, data=b''):
        self.socket.sendall(struct.pack('!I', len(data) + 1) + code + data)

    def exactly(self, count):
        data = b''
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise Gone('connection closed')
            data += chunk
        return data

    def receive(self):
        packet = self.exactly(struct.unpack('!I', self.exactly(4))[0])
        return packet[:1], packet[1:]

    def command(self, code, *words, macros=None, raw=None):
        """The final reply; b'c' where none is wanted."""
        leave_out, silent = BITS[code]
        try:
            if macros:
                pairs = b''.join(k.encode() + b'\0' + v.encode() + b'\0' for k, v in macros.items())
                self.send(b'D', code + pairs)
            if self.steps & leave_out:
                return b'c'
            self.send(code, raw if raw is not None else b''.join(w.encode() + b'\0' for w in words))
            if self.steps & silent:
                return b'c'
            while True:
                reply, _ = self.receive()
                if reply in FINAL:
                    return reply
        except (OSError, struct.error) as error:
            raise Gone(str(error)) from error

    def close(self):
        try:
            self.send(b'Q')
        except OSError:
            pass
        self.socket.close()


def transaction(path, sender, recipients, headers, queue_id, client=('client.example', '192.0.2.7', 4711)):
    """One message over a connection of its own: the reply at its end; Gone where the milter fails."""
    milter = Milter(path)
    try:
        host, address, port = client
        raw = host.encode() + b'\0' + b'4' + struct.pack('!H', port) + address.encode() + b'\0'
        milter.command(b'C', raw=raw, macros={'j': 'mx1.lab.example', '{daemon_name}': 'smtpd', 'v': 'Postfix 3.7.11'})
        milter.command(b'H', 'client.example')
        milter.command(b'M', f'<{sender}>', macros={'{mail_addr}': sender})
        for recipient in recipients:
            reply = milter.command(b'R', f'<{recipient}>', macros={'{rcpt_addr}': recipient})
            if reply not in (b'c', b'a'):
                return reply
        milter.command(b'T', macros={'i': queue_id})
        for name, value in headers:
            milter.command(b'L', name, value)
        milter.command(b'N')
        return milter.command(b'E', macros={'i': queue_id})
    finally:
        milter.close()
