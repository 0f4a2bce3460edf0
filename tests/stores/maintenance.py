"""What changes or removes objects: `rekey`, `--remove-source`, and unfinished uploads."""

import json
from collections.abc import Callable
from functools import partial

from checks import MIB, Bench, Failure, same, same_bytes, url
from servers import BUCKET


def jobs(bench: Bench) -> list[Callable[[], None]]:
    return [partial(job, bench) for job in [rekey, remove_source, uploads, dry_run]]


def rekey(bench: Bench) -> None:
    new = bench.new("new-id")
    bench.ours("keygen", "-o", new)
    for length, flags, methods in [
        (4096, [], ["rewritten"]),
        (20 * MIB, [], ["rewritten"]),
        (100 * MIB, [], ["copied", "rewritten"]),
        (20 * MIB, ["--reencrypt"], ["reencrypted"]),
    ]:
        with bench.check(f"rekey {' '.join(flags)} of {length} bytes"):
            plain, key = bench.plain(length), bench.put("encrypted", bench.encrypted(bench.plain(length)))
            args = ["rekey", "--json", url(key), "-i", bench.identity, "--new-identity", new, *flags]
            method = json.loads(bench.ours(*args))["method"]
            if method not in methods:
                raise Failure(f"the method is {method}")
            if length == 100 * MIB and method != "copied":
                bench.tally.skip(f"UploadPartCopy of {bench.store.name}", "it does not know that")
            out = bench.new("out")
            bench.ours("decrypt", url(key), out, "-i", new)
            same(out, plain)
            out.unlink()
            if bench.run("verify", url(key), "-i", bench.identity).returncode != 77:
                raise Failure("the old key still fits")
            bench.no_uploads(key)


def remove_source(bench: Bench) -> None:
    for length in [4096, 20 * MIB]:
        with bench.check(f"--remove-source of {length} bytes, there and back"):
            plain, key, other = bench.new("plain"), bench.key("there"), bench.key("other")
            content = bench.plain(length).read_bytes()
            plain.write_bytes(content)
            bench.ours("encrypt", "--remove-source", plain, url(key), "-i", bench.identity)
            if plain.exists():
                raise Failure("the input is still there")
            bench.ours("encrypt", "--remove-source", url(key), url(other), "-i", bench.identity)
            bench.no_object(key)
            bench.ours("decrypt", "--remove-source", url(other), url(key), "-i", bench.identity)
            bench.ours("decrypt", "--remove-source", url(key), plain, "-i", bench.identity)
            same_bytes(plain.read_bytes(), content)
            bench.no_object(key)
            bench.no_object(other)


def uploads(bench: Bench) -> None:
    """Some that another client has begun, more than fit into a page."""
    prefix = bench.key("")
    with bench.check("store uploads lists and aborts"):
        keys = sorted(f"{prefix}{number:02} & +äö" for number in range(23))
        for key in keys:
            bench.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        lines = bench.ours("store", "uploads", "--json", url(prefix)).splitlines()
        listed = [json.loads(line) for line in lines]
        if sorted(it["object"] for it in listed[:-1]) != [url(key) for key in keys]:
            raise Failure(f"{listed}")
        # For moto all were begun at the same time, long ago.
        if bench.store.name == "moto":
            return
        if any(it["age_seconds"] is None or it["age_seconds"] > 600 for it in listed[:-1]):
            raise Failure(f"an age is wrong: {listed[0]}")
        bench.ours("store", "uploads", "--abort", url(prefix))
        if len(bench.uploads(prefix)) != len(keys):
            raise Failure("young ones were aborted")
        bench.ours("store", "uploads", "--abort", "--older-than", "0s", url(prefix))
        bench.no_uploads(prefix)


def dry_run(bench: Bench) -> None:
    with bench.check("--dry-run writes nothing, and tells the truth"):
        plain, key = bench.plain(20 * MIB), bench.key("planned")
        args = ["encrypt", "--json", plain, url(key), "-i", bench.identity]
        planned = json.loads(bench.ours(*args, "--dry-run"))
        bench.nothing_at(key)
        done = json.loads(bench.ours(*args))
        if planned["planned"]["requests"] != done["store"]["requests"]:
            raise Failure(f"{planned['planned']} was planned, {done['store']} was done")
        if abs(planned["bytes_out"] - done["bytes_out"]) > 4096:
            raise Failure(f"{planned['bytes_out']} bytes were planned, {done['bytes_out']} written")
