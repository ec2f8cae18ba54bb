"""A log that is treated badly, and the driver's own list of what stands in which file and what became of it.

Nothing here asks postwake. What the list says is compared with the files themselves at the end (BadLog.really).
"""

import collections
import gzip
import os
import shutil
import time


class Line:
    """A line as it lies in a file. time: ms of its stamp; None: a fragment, which has none."""

    __slots__ = ('time', 'data', 'fate')

    def __init__(self, when, data):
        self.time, self.data = when, data
        self.fate = None  # the Destruction that took it; None: it still exists


class File:
    """What was written between two rotations. lines: (offset, Line), in their order."""

    def __init__(self, path):
        self.path, self.lines, self.size, self.fate = path, [], 0, 'exists'
        self.torn = b''  # of a line that has no newline yet
        self.open()

    def open(self):
        self.file = open(self.path, 'ab', buffering=0)
        self.ino = os.fstat(self.file.fileno()).st_ino

    def add(self, line):
        line.data = self.torn + line.data
        self.lines.append((self.size - len(self.torn), line))
        self.size += len(line.data) + 1 - len(self.torn)
        self.torn = b''


class Destruction:
    """Lines that are in no file any more: (offset in their file, Line), in their order. What lay before `known` had been
    read by then. `torn`: half a line vanished behind them. `down`: nobody was there to read. `killed`: the reader was killed
    while there was something new, and may have kept events of which it had not noted the lines. `blurred`: the copy of a
    copytruncate was compressed before it was seen, and nothing tells it from the file itself."""

    def __init__(self, how, ino, known, down, killed):
        self.how, self.ino, self.known, self.down, self.killed = how, ino, known, down, killed
        self.settled = self.blurred = False
        self.lines, self.torn, self.place = [], False, 0
        self.copy = None

    def take(self, lines, order):
        """order: all that was written before."""
        self.lines, self.place = list(lines), len(order)
        for _, line in self.lines:
            line.fate = self

    def __str__(self):
        state = 'killed' if self.killed else 'down' if self.down else 'up'
        return f'{self.how} ({state}): {len(self.lines)} lines from {self.lines[0][0] if self.lines else "-"}, read to {self.known}'


class BadLog:
    """The log at `path`. order: each line in the order in which it was written, which is that of reading; a Destruction
    stands in it where it happened."""

    def __init__(self, path, chance):
        self.path, self.chance = path, chance
        self.files, self.inodes, self.order, self.destructions = [], set(), [], []
        self.counts = collections.Counter()
        self.live = None
        self.create()

    def create(self):
        if self.live:
            self.live.file.close()
        self.live = File(self.path)
        self.files.append(self.live)
        self.inodes.add(self.live.ino)

    def write(self, lines):
        """Lines of (ms, bytes); the last one now and then in two pieces."""
        if not lines:
            return
        new = [Line(when, data) for when, data in lines]
        data = b''.join(line.data + b'\n' for line in new)
        if self.chance.random() < 0.2:
            cut = len(data) - self.chance.randrange(1, len(new[-1].data) + 2)
            self.live.file.write(data[:cut])
            time.sleep(self.chance.random() * 0.01)
            data = data[cut:]
            self.counts['partial write'] += 1
        self.live.file.write(data)
        for line in new:
            self.live.add(line)
        self.order += new

    def tear(self, data):
        """The beginning of a line, whose rest does not come before something happens."""
        self.live.file.write(data)
        self.live.torn += data
        self.live.size += len(data)

    # --- rotation ---

    def rotated(self):
        """Those that are rotated, newest first."""
        return sorted((f for f in self.files if f is not self.live and f.fate in ('exists', 'compressed')),
                      key=lambda f: int(f.path[len(self.path) + 1:].split('.')[0]))

    def move(self, file, path):
        os.rename(file.path, path)
        file.path = path

    def shift(self):
        """mail.log.1 becomes mail.log.2, and so on, compressed or not."""
        for file in reversed(self.rotated()):
            number, _, end = file.path[len(self.path) + 1:].partition('.')
            self.move(file, f'{self.path}.{int(number) + 1}' + (f'.{end}' if end else ''))

    def rename(self):
        self.shift()
        self.move(self.live, f'{self.path}.1')

    def pack(self, file):
        with open(file.path, 'rb') as plain, gzip.open(file.path + '.gz.new', 'wb', 1) as packed:
            shutil.copyfileobj(plain, packed)
        os.utime(file.path + '.gz.new', (os.stat(file.path).st_mtime,) * 2)
        os.rename(file.path + '.gz.new', file.path + '.gz')
        os.unlink(file.path)
        file.path, file.fate = file.path + '.gz', 'compressed'
        for destruction in self.destructions[-1:]:
            destruction.blurred |= destruction.copy is file and not destruction.settled

    def compress(self):
        """logrotate compresses what was rotated before the last time."""
        for file in self.rotated()[1:]:
            if file.fate == 'exists':
                self.pack(file)
                self.counts['compression'] += 1

    def create_as(self, ino):
        """A new log which, where the file system can be brought to it, has an inode that another file had."""
        self.live.file.close()
        names = [f'{self.path}_{n}' for n in range(60)]
        for number, name in enumerate(names):
            with open(name, 'ab') as file:
                same = os.fstat(file.fileno()).st_ino == ino
            if same or name == names[-1]:
                os.rename(name, self.path)
                break
        for name in names[:number]:
            os.unlink(name)
        self.create()
        self.counts['inode reuse' if self.live.ino == ino else 'inode not reused'] += 1

    # --- destruction ---

    def begin(self, how, known, down, killed):
        destruction = Destruction(how, self.live.ino, known, down, killed)
        self.destructions.append(destruction)
        return destruction

    def truncate(self, destruction):
        """Of a line that was not whole the rest comes then."""
        live = self.live
        os.truncate(self.path, 0)
        destruction.torn = live.torn != b''
        destruction.take(live.lines, self.order)
        self.order.append(destruction)
        live.lines, live.size, live.torn = [], 0, b''
        if destruction.torn:
            rest = Line(None, b'rest of a line')
            live.file.write(rest.data + b'\n')
            live.add(rest)
            self.order.append(rest)

    def killed(self):
        for destruction in self.destructions[-1:]:
            destruction.killed |= not destruction.settled

    def settled(self):
        """All was read and noted."""
        for destruction in self.destructions[-1:]:
            destruction.settled = True

    def copy(self):
        """The first half of copytruncate."""
        self.shift()
        shutil.copyfile(self.path, f'{self.path}.1')
        copy = File(f'{self.path}.1')
        copy.file.close()
        copy.lines, copy.size = list(self.live.lines), self.live.size
        self.files.append(copy)
        return copy

    def truncate_copied(self, destruction, copy):
        os.truncate(self.path, 0)
        destruction.copy = copy
        destruction.take(self.live.lines[len(copy.lines):], self.order)
        self.order.append(destruction)
        self.live.lines, self.live.size = [], 0

    def delete(self, destruction):
        os.unlink(self.path)
        self.live.fate = 'deleted'
        destruction.take(self.live.lines, self.order)
        self.order.append(destruction)

    def expire(self):
        """logrotate keeps the newest ones; all of the others have been read."""
        for file in self.rotated()[3:]:
            os.unlink(file.path)
            file.fate = 'deleted'
            self.counts['old file deleted'] += 1

    # --- the end ---

    def listed(self):
        """What must stand in the files."""
        return collections.Counter(line.data for f in self.files if f.fate in ('exists', 'compressed') for _, line in f.lines)

    def really(self):
        """What stands in the files."""
        found = collections.Counter()
        folder, base = os.path.split(self.path)
        for name in os.listdir(folder):
            if name == base or name.startswith(base + '.'):
                reader = gzip.open if name.endswith('.gz') else open
                with reader(os.path.join(folder, name), 'rb') as file:
                    found.update(file.read().split(b'\n')[:-1])
        return found

    def close(self):
        self.live.file.close()
