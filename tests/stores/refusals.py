"""What must be refused, with which exit status, and what it leaves: nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from checks import MIB, Bench, Failure, await_status, nothing_beside, same_bytes, shown, url
from proxy import Proxy
from servers import KEY_ID, READER_ID, READER_SECRET, SECRET, Store, free_ports

DAMAGED, NOT_THERE, EXISTS, TRY_AGAIN, NO_PERMISSION, CONFIGURATION = 65, 66, 73, 75, 77, 78


def jobs(bench: Bench) -> list[Callable[[], None]]:
    found = [wrong_credentials, read_only, missing, existing, damaged, replaced, created_meanwhile, unknown_authority, bad_endpoint, no_server, server_gone]
    return [partial(job, bench) for job in found]


def short_jobs(bench: Bench) -> list[Callable[[], None]]:
    """For a second store, which does not verify signatures."""
    return [partial(job, bench) for job in [missing, existing, damaged, created_meanwhile]]


def refused(bench: Bench, status: int, *args, store: Store | None = None, data: bytes | None = None) -> str:
    """It ends with this status and says something, which is returned, but no secret."""
    done = bench.run(*args, store=store, data=data)
    if done.returncode != status:
        raise Failure(f"{shown(args)}: status {done.returncode} instead of {status}: {done.stderr}")
    if not done.stderr:
        raise Failure(f"{shown(args)}: it says nothing")
    for secret in [SECRET, READER_SECRET]:
        if secret in done.stderr or secret.encode() in done.stdout:
            raise Failure(f"{shown(args)}: it tells the secret: {done.stderr}")
    return done.stderr


def wrong_credentials(bench: Bench) -> None:
    plain = bench.plain(20 * MIB)
    key = bench.put("encrypted", bench.encrypted(plain))
    for what, store in {
        "key id": bench.store.signed_by("AKIANOBODYNOBODYNOBO", SECRET),
        "secret": bench.store.signed_by(KEY_ID, SECRET[::-1]),
    }.items():
        for length in [4096, 20 * MIB]:
            with bench.check(f"a wrong {what} refuses encryption of {length} bytes"):
                target = bench.key("target")
                refused(bench, NO_PERMISSION, "encrypt", bench.plain(length), url(target), "-i", bench.identity, store=store)
                bench.nothing_at(target)
        with bench.check(f"a wrong {what} refuses decryption"):
            out = bench.new("out")
            refused(bench, NO_PERMISSION, "decrypt", url(key), out, "-i", bench.identity, store=store)
            nothing_beside(out)
        with bench.check(f"a wrong {what} refuses verify and inspect"):
            refused(bench, NO_PERMISSION, "verify", url(key), "-i", bench.identity, store=store)
            refused(bench, NO_PERMISSION, "inspect", url(key), store=store)


def read_only(bench: Bench) -> None:
    reader = bench.store.signed_by(READER_ID, READER_SECRET)
    key = bench.put("encrypted", bench.encrypted(bench.plain(4096)))
    with bench.check("a user who may only read decrypts, but does not encrypt"):
        bench.ours("verify", url(key), "-i", bench.identity, store=reader)
        for length in [4096, 20 * MIB]:
            target = bench.key("target")
            refused(bench, NO_PERMISSION, "encrypt", bench.plain(length), url(target), "-i", bench.identity, store=reader)
            bench.nothing_at(target)


def missing(bench: Bench) -> None:
    for what, source in {"key": url("nothing/here"), "bucket": "s3://no-such-bucket/key"}.items():
        with bench.check(f"a missing {what}"):
            out, target = bench.new("out"), bench.key("target")
            for command, to in [("decrypt", out), ("encrypt", out), ("decrypt", url(target))]:
                refused(bench, NOT_THERE, command, source, to, "-i", bench.identity)
            refused(bench, NOT_THERE, "verify", source, "-i", bench.identity)
            refused(bench, NOT_THERE, "inspect", source)
            refused(bench, NOT_THERE, "decrypt", "--range=0-9", source, "-", "-i", bench.identity)
            nothing_beside(out)
            bench.nothing_at(target)
    for length in [4096, 20 * MIB]:
        with bench.check(f"a missing bucket as the target of {length} bytes"):
            refused(bench, NOT_THERE, "encrypt", bench.plain(length), "s3://no-such-bucket/key", "-i", bench.identity)


def existing(bench: Bench) -> None:
    for length in [0, 4096, 20 * MIB]:
        with bench.check(f"an existing object is not replaced by {length} bytes"):
            key = bench.put("there", b"before")
            refused(bench, EXISTS, "encrypt", bench.plain(length), url(key), "-i", bench.identity)
            refused(bench, EXISTS, "encrypt", "-", url(key), "-i", bench.identity, data=bench.plain(length).read_bytes())
            same_bytes(bench.get(key), b"before")
            bench.no_uploads(key)
    with bench.check("an object is not its own target"):
        key = bench.put("there", bench.plain(4096))
        refused(bench, EXISTS, "encrypt", url(key), url(key), "--force", "-i", bench.identity)
        same_bytes(bench.get(key), bench.plain(4096).read_bytes())


def damaged(bench: Bench) -> None:
    whole = bench.encrypted(bench.plain(20 * MIB)).read_bytes()
    flipped = bytearray(whole)
    flipped[15 * MIB] ^= 1
    for what, content in {
        "a flipped byte": bytes(flipped),
        "a cut header": whole[:50],
        "a cut object": whole[: 12 * MIB],
        "a missing last byte": whole[:-1],
        "an object with more": whole + b"x",
        "an empty object": b"",
    }.items():
        with bench.check(what):
            key, out, target = bench.put("damaged", content), bench.new("out"), bench.key("target")
            refused(bench, DAMAGED, "decrypt", url(key), out, "-i", bench.identity)
            nothing_beside(out)
            refused(bench, DAMAGED, "decrypt", url(key), url(target), "-i", bench.identity)
            bench.nothing_at(target)
            refused(bench, DAMAGED, "verify", url(key), "-i", bench.identity)


def replaced(bench: Bench) -> None:
    """The store holds back what comes after some bytes, until the object is another one."""
    plain = bench.plain(100 * MIB)
    for command, before in {"decrypt": bench.encrypted(plain).read_bytes(), "encrypt": plain.read_bytes()}.items():
        key, out = bench.put("source", before), bench.new("out")
        args = [command, url(key), out, "-i", bench.identity]
        with bench.check(f"an object that is replaced while we {command} it"):
            with Proxy(bench.store.port, hold_after=20 * MIB) as proxy, bench.running(*args, store=bench.store.at(proxy.port)) as process:
                proxy.await_bytes("down", 20 * MIB)
                bench.put("source", before[::-1], key)
                proxy.release()
                await_status(process, TRY_AGAIN)
            nothing_beside(out)


def created_meanwhile(bench: Bench) -> None:
    """Somebody puts an object under the target's name after we have looked whether there is one."""
    key = bench.key("target")
    args = ["encrypt", bench.plain(20 * MIB), url(key), "-i", bench.identity]
    with bench.check("an object that others create during our upload is kept"):
        with Proxy(bench.store.port, rate_up=40 * MIB) as proxy, bench.running(*args, store=bench.store.at(proxy.port)) as process:
            proxy.await_bytes("up", 5 * MIB)
            bench.put("target", b"theirs", key)
            await_status(process, EXISTS)
        same_bytes(bench.get(key), b"theirs")
        bench.no_uploads(key)


def unknown_authority(bench: Bench) -> None:
    if not bench.store.https_port:
        return
    with bench.check("a server whose certificate nobody vouches for"):
        key, out = bench.put("encrypted", bench.encrypted(bench.plain(4096))), bench.new("out")
        stranger = replace(bench.store.over_https(), authority=None)
        text = refused(bench, TRY_AGAIN, "decrypt", url(key), out, "-i", bench.identity, store=stranger)
        if "certificate" not in text:
            raise Failure(f"it says {text}")
        nothing_beside(out)


def bad_endpoint(bench: Bench) -> None:
    with bench.check("an endpoint without http:// or https://"):
        out = bench.new("out")
        nowhere = replace(bench.store, other_endpoint=f"127.0.0.1:{bench.store.port}")
        refused(bench, CONFIGURATION, "decrypt", url("some/key"), out, "-i", bench.identity, store=nowhere)
        nothing_beside(out)


def no_server(bench: Bench) -> None:
    (port,) = free_ports(1)
    nobody = bench.store.at(port)
    with bench.check("no server"):
        out = bench.new("out")
        refused(bench, TRY_AGAIN, "decrypt", url("some/key"), out, "-i", bench.identity, store=nobody)
        nothing_beside(out)
        refused(bench, TRY_AGAIN, "encrypt", bench.plain(4096), url("some/key"), "-i", bench.identity, store=nobody)
        refused(bench, TRY_AGAIN, "inspect", url("some/key"), store=nobody)


def server_gone(bench: Bench) -> None:
    """The server ends in the middle: the upload cannot be aborted, but the object is not there."""
    key = bench.key("target")
    args = ["encrypt", bench.plain(100 * MIB), url(key), "-i", bench.identity]
    with bench.check("a server that ends in the middle of an upload"):
        with Proxy(bench.store.port, rate_up=40 * MIB) as proxy, bench.running(*args, store=bench.store.at(proxy.port)) as process:
            proxy.await_bytes("up", 20 * MIB)
            proxy.vanish()
            await_status(process, TRY_AGAIN)
        bench.no_object(key)
    out = bench.new("out")
    args = ["decrypt", url(bench.put("source", bench.encrypted(bench.plain(100 * MIB)))), out, "-i", bench.identity]
    with bench.check("a server that ends in the middle of a download"):
        with Proxy(bench.store.port, hold_after=20 * MIB) as proxy, bench.running(*args, store=bench.store.at(proxy.port)) as process:
            proxy.await_bytes("down", 20 * MIB)
            proxy.vanish()
            await_status(process, TRY_AGAIN)
        nothing_beside(out)
