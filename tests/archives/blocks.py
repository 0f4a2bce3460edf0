"""Archives block by block, as programs write them that cannot be installed here."""

BLOCK = 512
USTAR = b"ustar\x0000"
GNU = b"ustar  \x00"
V7 = b"\0" * 8


def octal(number, width):
    return b"%0*o\0" % (width - 1, number)


def base256(number, width):
    return number.to_bytes(width, "big", signed=True) if number < 0 else (
        b"\x80" + number.to_bytes(width - 1, "big"))


def header(name, kind=b"0", size=0, *, link=b"", mode=0o644, mtime=1_000_000_000, magic=USTAR,
           prefix=b"", fields=(), signed=False, tail=b""):
    """A header; `fields` are (offset, bytes) that overwrite others, `tail` its last bytes."""
    block = bytearray(BLOCK)

    def put(at, value):
        block[at:at + len(value)] = value

    put(0, name[:100])
    put(100, mode if isinstance(mode, bytes) else octal(mode, 8))
    put(108, octal(0, 8))
    put(116, octal(0, 8))
    put(124, size if isinstance(size, bytes) else octal(size, 12))
    put(136, mtime if isinstance(mtime, bytes) else octal(mtime, 12))
    put(156, kind)
    put(157, link[:100])
    put(257, magic)
    put(345, prefix)
    put(BLOCK - len(tail), tail)
    for at, value in fields:
        put(at, value)
    put(148, b" " * 8)
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    put(148, b"%06o\0 " % total)
    return bytes(block)


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def member(name, kind=b"0", data=b"", **more):
    more.setdefault("size", len(data))
    return header(name, kind, **more) + pad(data)


def record(key, value):
    rest = len(key) + len(value) + 3
    length = rest + 1
    while rest + len(str(length)) != length:
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pax(*records, kind=b"x"):
    return member(b"PaxHeaders/x", kind, b"".join(record(*one) for one in records))


def end(*parts, blocks=2):
    return b"".join(parts) + b"\0" * (BLOCK * blocks)


def star_sparse(name, pieces, size, **more):
    """A file with holes as star writes it: up to four pieces in the header, others behind."""
    pairs = [octal(offset, 12) + octal(len(data), 12) for offset, data in pieces]
    first, rest = pairs[:4], pairs[4:]
    fields = [(345, b"\0" * 163), (355, b"1" if rest else b"\0"), (356, b"".join(first)),
              (452, octal(size, 12)), (476, b"%011o " % 1), (488, b"%011o " % 1)]
    stored = b"".join(data for _, data in pieces)
    blocks = b""
    while rest:
        now, rest = rest[:21], rest[21:]
        blocks += b"".join(now).ljust(504, b"\0") + (b"1" if rest else b"\0").ljust(8, b"\0")
    head = header(name, b"S", size=len(stored), fields=fields, tail=b"tar\0", **more)
    return head + blocks + pad(stored)


def gnu_sparse(name, pieces, size, **more):
    """The same as GNU tar wrote it before POSIX."""
    pairs = [octal(offset, 12) + octal(len(data), 12) for offset, data in pieces]
    first, rest = pairs[:4], pairs[4:]
    fields = [(386, b"".join(first)), (482, b"\1" if rest else b"\0"), (483, octal(size, 12))]
    stored = b"".join(data for _, data in pieces)
    blocks = b""
    while rest:
        now, rest = rest[:21], rest[21:]
        blocks += b"".join(now).ljust(504, b"\0") + (b"\1" if rest else b"\0").ljust(8, b"\0")
    return header(name, b"S", size=len(stored), magic=GNU, fields=fields, **more) + blocks + pad(stored)
