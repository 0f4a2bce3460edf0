#!/usr/bin/env python3
"""Calls the Python package 10,000 times, and fails if memory, references or descriptors grow.

The package must be installed for the interpreter that runs this.
"""
import gc
import io
import os
import sys
import tempfile
import threading

import cryptstream

CALLS = 10_000
#: What the allocator may keep over all calls, in bytes. A leak of 1 KiB per call is ten times this.
ALLOWED = 8 << 20

identity = cryptstream.Identity.generate()
recipient = identity.recipient
wrong = cryptstream.Identity.generate()
text = b"some text" * 100
encrypted = cryptstream.encrypt_bytes(text, recipients=recipient)
folder = tempfile.mkdtemp()
path = os.path.join(folder, "a")
with open(path, "wb") as file:
    file.write(encrypted)


def refused():
    try:
        cryptstream.decrypt_bytes(encrypted, identities=wrong)
    except cryptstream.WrongKey:
        return
    raise SystemExit("the wrong key fits")


def read():
    with cryptstream.open(path, identities=identity) as reader:
        assert reader.read() == text


def written():
    with cryptstream.open(path + ".new", "wb", recipients=recipient, processes=0) as writer:
        writer.write(text)


KINDS = [
    lambda: cryptstream.encrypt_bytes(text, recipients=recipient),
    lambda: cryptstream.decrypt_bytes(encrypted, identities=identity),
    refused,
    read,
    written,
    lambda: cryptstream.decrypt(io.BytesIO(encrypted), io.BytesIO(), identities=identity,
                                processes=0),
    lambda: cryptstream.inspect(path),
    lambda: cryptstream.Identity.generate().recipients,
]


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def state():
    gc.collect()
    fds = len(os.listdir("/proc/self/fd"))
    return resident(), len(gc.get_objects()), fds, len(os.listdir("/proc/self/task"))


for _ in range(50):
    for kind in KINDS:
        kind()
watched = [identity, recipient, text, encrypted, KINDS]
references = [sys.getrefcount(one) for one in watched]
before = state()
for number in range(CALLS):
    KINDS[number % len(KINDS)]()
after = state()
assert [sys.getrefcount(one) for one in watched] == references, "references were kept"
assert after[0] - before[0] < ALLOWED, f"memory grew from {before[0]} to {after[0]} bytes"
assert after[1] - before[1] < 100, f"objects grew from {before[1]} to {after[1]}"
assert after[2] == before[2], f"descriptors grew from {before[2]} to {after[2]}"
assert after[3] <= before[3] + 1 and threading.active_count() == 1, "threads were left"
print(f"{CALLS} calls: {(after[0] - before[0]) >> 10} KiB more, no references, no descriptors")
