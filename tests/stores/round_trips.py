"""What goes into a store and comes back is the same, whoever puts it and whoever gets it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial

from checks import LIMIT_S, MIB, Bench, Failure, same, same_bytes, url
from proxy import Proxy
from servers import BUCKET

SMALL = [0, 1, 4096, MIB - 1, MIB, MIB + 1, 8 * MIB - 1, 8 * MIB + 1]
LARGE = [20 * MIB, 100 * MIB]


def jobs(bench: Bench) -> list[Callable[[], None]]:
    found = [partial(one_size, bench, length, peers) for length, peers in sizes(bench)]
    others = [between_stores, pipes, closed_pipe, ranges, small_range, verify_and_inspect, forced, parts, odd_keys]
    others += [cut_connections, https, age]
    return found + [partial(job, bench) for job in others]


def short_jobs(bench: Bench) -> list[Callable[[], None]]:
    """For a second store."""
    found = [partial(one_size, bench, length, bench.peers[:1]) for length in [0, 1, MIB + 1, 20 * MIB]]
    return found + [partial(job, bench) for job in [between_stores, pipes, ranges, verify_and_inspect, forced, parts]]


def sizes(bench: Bench):
    """The large ones first, and each with one of the others: they take longest."""
    for number, length in enumerate(reversed(LARGE)):
        yield length, [bench.peers[(number + 1) % len(bench.peers)]]
    for length in SMALL:
        yield length, bench.peers


def one_size(bench: Bench, length: int, peers: list) -> None:
    plain = bench.plain(length)
    encrypted = bench.encrypted(plain)
    key = bench.key("ours")
    with bench.check(f"{length} bytes: encrypted to the store and decrypted from it"):
        bench.ours("encrypt", plain, url(key), "-i", bench.identity)
        bench.decrypts(url(key), plain)
        kind = bench.client.head_object(Bucket=BUCKET, Key=key)["ContentType"]
        if kind != "application/octet-stream":
            raise Failure(f"the content type is {kind}")
        bench.no_uploads(key)
    for peer in peers:
        with bench.check(f"{length} bytes: encrypted to the store, fetched with {peer.name}"):
            fetched = bench.new("fetched")
            peer.get(BUCKET, key, fetched)
            bench.decrypts(fetched, plain)
            fetched.unlink()
        with bench.check(f"{length} bytes: put with {peer.name}, decrypted from the store"):
            theirs = bench.key("theirs")
            peer.put(encrypted, BUCKET, theirs)
            bench.decrypts(url(theirs), plain)
        with bench.check(f"{length} bytes: put unencrypted with {peer.name}, encrypted from the store"):
            theirs, local = bench.key("plain"), bench.new("local")
            peer.put(plain, BUCKET, theirs)
            bench.ours("encrypt", url(theirs), local, "-i", bench.identity)
            bench.decrypts(local, plain)
            local.unlink()
    encrypted.unlink()


def between_stores(bench: Bench) -> None:
    plain = bench.plain(20 * MIB + 1)
    with bench.check("from the store to the store, both ways"):
        source, encrypted, back = bench.put("plain", plain), bench.key("encrypted"), bench.key("back")
        bench.ours("encrypt", url(source), url(encrypted), "-i", bench.identity)
        bench.decrypts(url(encrypted), plain)
        bench.ours("decrypt", url(encrypted), url(back), "-i", bench.identity)
        same_bytes(bench.get(back), plain.read_bytes())


def pipes(bench: Bench) -> None:
    for length in [0, 4096, 20 * MIB]:
        plain = bench.plain(length).read_bytes()
        with bench.check(f"{length} bytes: from standard input, and to standard output"):
            key = bench.key("piped")
            bench.ours("encrypt", "-", url(key), "-i", bench.identity, data=plain)
            same_bytes(bench.ours("decrypt", url(key), "-", "-i", bench.identity), plain)


def closed_pipe(bench: Bench) -> None:
    plain = bench.plain(20 * MIB)
    key = bench.put("encrypted", bench.encrypted(plain))
    with bench.check("a reader that has enough ends it quietly"):
        with bench.running("decrypt", url(key), "-", "-i", bench.identity, stdout=subprocess.PIPE) as process:
            same_bytes(process.stdout.read(1000), plain.read_bytes()[:1000])
            process.stdout.close()
            process.wait(LIMIT_S)
            if text := process.stderr.read().decode():
                raise Failure(f"it says {text}")


def ranges(bench: Bench) -> None:
    length = 20 * MIB + 5
    content = bench.plain(length).read_bytes()
    key = bench.put("encrypted", bench.encrypted(bench.plain(length)))
    wanted = {
        "0-0": content[:1],
        "0+100": content[:100],
        f"{MIB - 10}-{MIB + 9}": content[MIB - 10 : MIB + 10],
        f"{9 * MIB + 3}+{3 * MIB}": content[9 * MIB + 3 : 12 * MIB + 3],
        f"{length - 1}-": content[-1:],
        "-5": content[-5:],
    }
    for words, slice_ in wanted.items():
        with bench.check(f"--range {words}"):
            same_bytes(bench.ours("decrypt", f"--range={words}", url(key), "-", "-i", bench.identity), slice_)


def small_range(bench: Bench) -> None:
    length = 100 * MIB
    content = bench.plain(length).read_bytes()
    key = bench.put("encrypted", bench.encrypted(bench.plain(length)))
    with bench.check("--range of 4 KiB fetches little"), Proxy(bench.store.port) as proxy:
        args = ["decrypt", f"--range={77 * MIB}+4096", url(key), "-", "-i", bench.identity]
        same_bytes(bench.ours(*args, store=bench.store.at(proxy.port)), content[77 * MIB : 77 * MIB + 4096])
        heads = 2048 * len(proxy.requests)
        if len(proxy.requests) > 3 or proxy.down > 64 * 1024 + heads:
            raise Failure(f"{proxy.down} bytes came in answer to {proxy.requests}")


def verify_and_inspect(bench: Bench) -> None:
    encrypted = bench.encrypted(bench.plain(20 * MIB))
    key = bench.put("encrypted", encrypted)
    with bench.check("verify"):
        bench.ours("verify", url(key), "-i", bench.identity)
    with bench.check("verify of several objects, one of which is damaged"):
        damaged = bench.put("damaged", encrypted.read_bytes()[:-1])
        done = bench.run("verify", url(key), url(damaged), encrypted, "-i", bench.identity)
        if done.returncode != 65 or url(damaged) not in done.stderr + done.stdout.decode():
            raise Failure(f"status {done.returncode}: {done.stderr}")
    with bench.check("inspect --json tells the same of the object as of the file"):
        here, there = (json.loads(bench.ours("inspect", "--json", it).splitlines()[0]) for it in [encrypted, url(key)])
        if there["file"] != url(key):
            raise Failure(f"the file is called {there['file']}")
        differ = [it for it in here.keys() | there.keys() if here.get(it) != there.get(it)]
        if differ != ["file"]:
            raise Failure(f"{differ} are not the same: {here}, {there}")


def forced(bench: Bench) -> None:
    plain = bench.plain(4096)
    for length in [4096, 20 * MIB]:
        with bench.check(f"an existing object is replaced with --force by {length} bytes"):
            key = bench.put("there", b"before")
            bench.ours("encrypt", bench.plain(length), url(key), "--force", "-i", bench.identity)
            bench.decrypts(url(key), bench.plain(length))
    with bench.check("an existing file is replaced with --force"):
        key, out = bench.put("encrypted", bench.encrypted(plain)), bench.new("out")
        out.write_bytes(b"before")
        bench.ours("decrypt", url(key), out, "--force", "-i", bench.identity)
        same(out, plain)


def parts(bench: Bench) -> None:
    """S3 wants 5 MiB at least in each part but the last, and R2 wants them all of one length."""
    with bench.check("all parts but the last are of one length"), Proxy(bench.store.port) as proxy:
        key = bench.key("encrypted")
        plain = bench.plain(100 * MIB if bench.store.name == "SeaweedFS" else 20 * MIB)
        bench.ours("encrypt", plain, url(key), "-i", bench.identity, store=bench.store.at(proxy.port))
        sent = {}
        for it in proxy.requests:
            if it.method == "PUT" and "partNumber=" in it.target:
                sent[int(it.target.split("partNumber=")[1].split("&")[0])] = it.body_length
        lengths = [sent[number] for number in sorted(sent)]
        if sorted(sent) != list(range(1, len(sent) + 1)) or len(set(lengths[:-1])) != 1 or lengths[0] < 5 * MIB:
            raise Failure(f"the parts are {sent}")
        if lengths[-1] > lengths[0]:
            raise Failure(f"the last part is the longest: {lengths}")


def odd_keys(bench: Bench) -> None:
    """What stands after the bucket is the key as it is, as with s5cmd and the AWS CLI."""
    plain = bench.plain(4096)
    for name in ["with space", "with+plus&and=or", "grüße/日本", "100%", "a%20b", "a?b#c", "~tilde'quote\"", "deep/er/and/deeper"]:
        with bench.check(f"the key {name!r}"):
            key = bench.key(name)
            bench.ours("encrypt", plain, url(key), "-i", bench.identity)
            bench.decrypts(url(key), plain)
            bench.peers[0].get(BUCKET, key, bench.new("fetched"))


def cut_connections(bench: Bench) -> None:
    plain = bench.plain(20 * MIB)
    with bench.check("connections that end in the middle of a part are made again"):
        key = bench.key("encrypted")
        with Proxy(bench.store.port, cut_after=3 * MIB, cuts_left=3) as proxy:
            bench.ours("encrypt", plain, url(key), "-i", bench.identity, store=bench.store.at(proxy.port))
            if proxy.cuts_left:
                raise Failure(f"only {3 - proxy.cuts_left} were cut off")
        bench.decrypts(url(key), plain)


def https(bench: Bench) -> None:
    """The name is looked up, and the authority of the certificate is known, in the sandbox."""
    if not bench.store.https_port:
        bench.tally.skip("HTTPS", "openssl is not installed, which makes the certificate")
        return
    store = bench.store.over_https()
    for length in [4096, 20 * MIB]:
        with bench.check(f"{length} bytes over HTTPS"):
            plain, key, out = bench.plain(length), bench.key("encrypted"), bench.new("out")
            bench.ours("encrypt", plain, url(key), "-i", bench.identity, store=store)
            bench.ours("decrypt", url(key), out, "-i", bench.identity, store=store)
            same(out, plain)


def age(bench: Bench) -> None:
    """The age format, with the program `age` on the other side."""
    if not shutil.which("age"):
        bench.tally.skip("the age format", "age is not installed")
        return
    recipient = bench.ours("keygen", "-y", bench.identity).decode().strip()
    for length in [0, 20 * MIB]:
        plain, theirs = bench.plain(length), bench.new("theirs")
        with bench.check(f"{length} bytes in the age format"):
            key = bench.key("encrypted.age")
            bench.ours("encrypt", plain, url(key), "-i", bench.identity)
            fetched = bench.new("fetched")
            bench.peers[0].get(BUCKET, key, fetched)
            done = subprocess.run(["age", "-d", "-i", bench.identity, fetched], check=True, capture_output=True)
            same_bytes(done.stdout, plain.read_bytes())
            subprocess.run(["age", "-r", recipient, "-o", theirs, plain], check=True)
            bench.decrypts(url(bench.put("theirs", theirs)), plain)
