"""Breaks copies of a store, to see whether a judge finds it."""

import contextlib
import os
import shutil
import sqlite3


def sql(name, text):
    def damage(store):
        with sqlite3.connect(os.path.join(store, name)) as db:
            db.executescript(text)
        db.close()
    return damage


def drop_event(store):
    days = sorted(n for n in os.listdir(store) if n.endswith('.db'))
    sql(days[0], 'DELETE FROM event WHERE rowid = (SELECT max(rowid) FROM event)')(store)


@contextlib.contextmanager
def damaged(store, damage):
    """A copy of the store, broken."""
    copy = store + '.damaged'
    shutil.copytree(store, copy)
    try:
        damage(copy)
        yield copy
    finally:
        shutil.rmtree(copy)
