"""Folders that go to prefixes and come back, interrupted on the way, and what rclone makes of them."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from checks import LIMIT_S, MIB, Bench, Failure, url
from clients import Program
from servers import BUCKET

FILES = 10_000
INTERRUPTIONS = 5
SIGNALS = [signal.SIGINT, signal.SIGKILL, signal.SIGTERM]
MODES = [0o644, 0o600, 0o755, 0o400, 0o640]


def jobs(bench: Bench) -> list[Callable[[], None]]:
    return [partial(job, bench) for job in [large_tree, between_prefixes, with_rclone]]


def make_tree(folder: Path, count: int) -> None:
    """Files with times before and after 1970, and all kinds of permission bits and lengths."""
    numbers = random.Random(count)
    for number in range(count):
        name = f"{number % 7}/deep {number % 100}/ä{number}" if number % 3 else f"flat/{number}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        length = 9 * MIB if number in (10, 20) else numbers.choice([0, 1, 4096, numbers.randrange(20_000)])
        path.write_bytes(numbers.randbytes(length))
        os.utime(path, ns=(0, numbers.randrange(-(10**18), 2 * 10**18)))
        path.chmod(MODES[number % len(MODES)])


def described(folder: Path, with_modes: bool = True) -> dict[str, tuple]:
    """The time, the permission bits and the content of each file."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            stat = path.stat()
            mode = stat.st_mode & 0o777 if with_modes else None
            found[str(path.relative_to(folder))] = (stat.st_mtime_ns, mode, path.read_bytes())
    return found


def same_trees(one: dict[str, tuple], other: dict[str, tuple]) -> None:
    if missing := one.keys() ^ other.keys():
        raise Failure(f"{len(missing)} files are on one side only: {sorted(missing)[:3]}")
    if differ := [name for name in one if one[name] != other[name]]:
        name = differ[0]
        raise Failure(f"{len(differ)} files differ: {name}: {one[name][:2]} and {other[name][:2]}")


def interrupted(bench: Bench, numbers: random.Random, has_begun: Callable[[], bool], *args) -> None:
    """Starts a run, and interrupts it somewhere once its output exists; it may be done before."""
    with bench.running(*args, "-q") as process:
        while not has_begun() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(numbers.uniform(0, 1))
        process.send_signal(number := numbers.choice(SIGNALS))
        process.communicate(timeout=LIMIT_S)
        if process.returncode not in (0, -number, 128 + number):
            raise Failure(f"status {process.returncode} after {number.name}")


def large_tree(bench: Bench) -> None:
    with bench.check(f"{FILES} files go to a prefix and come back, interrupted {INTERRUPTIONS} times each way"):
        folder, out, prefix = bench.new("tree"), bench.new("out"), bench.key("tree/")
        make_tree(folder, FILES)
        wanted = described(folder)
        numbers = random.Random(FILES)

        def has_objects() -> bool:
            return bench.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix, MaxKeys=1)["KeyCount"] > 0

        def has_files() -> bool:
            return any(names for _, _, names in os.walk(out))

        for has_begun, *args in [
            (has_objects, "encrypt", folder, url(prefix)),
            (has_files, "decrypt", url(prefix), out),
        ]:
            args += ["-i", bench.identity]
            for _ in range(INTERRUPTIONS):
                interrupted(bench, numbers, has_begun, *args)
            report = json.loads(bench.ours(*args, "--json"))
            if report["kept"] == 0 or report["files"] + report["kept"] != FILES or report["failed"]:
                raise Failure(f"the last run has not continued: {report}")
        same_trees(wanted, described(out))
        # Nothing is done again.
        report = json.loads(bench.ours("encrypt", folder, url(prefix), "-i", bench.identity, "--json"))
        if report["kept"] != FILES:
            raise Failure(f"the tree is not up to date: {report}")


def between_prefixes(bench: Bench) -> None:
    with bench.check("a tree goes from prefix to prefix"):
        folder, out = bench.new("tree"), bench.new("out")
        make_tree(folder, 30)
        one, other, back = (bench.key(f"{name}/") for name in ["one", "other", "back"])
        for args in [["encrypt", folder, url(one)], ["encrypt", url(one), url(other)], ["decrypt", url(other), url(back)]]:
            bench.ours(*args, "-i", bench.identity)
        bench.ours("verify", url(back), "-i", bench.identity)
        bench.ours("decrypt", url(back), out, "-i", bench.identity)
        same_trees(described(folder), described(out))
    with bench.check("--delete removes what the folder no longer has"):
        (folder / "flat" / "0").unlink()
        report = json.loads(bench.ours("encrypt", "--delete", folder, url(one), "-i", bench.identity, "--json"))
        if (report["removed"], len(bench.keys(one))) != (1, 29):
            raise Failure(f"this was removed: {report}")


def with_rclone(bench: Bench) -> None:
    rclone = next((peer for peer in bench.peers if isinstance(peer, Program) and peer.name == "rclone"), None)
    if rclone is None:
        bench.tally.skip("trees with rclone", "it is not installed")
        return
    folder, encrypted = bench.new("tree"), bench.new("encrypted")
    make_tree(folder, 100)
    wanted = described(folder)
    ours, theirs = bench.key("ours/"), bench.key("theirs/")
    with bench.check("rclone fetches a tree with times and permission bits"):
        bench.ours("encrypt", folder, url(ours), "-i", bench.identity)
        fetched, out = bench.new("fetched"), bench.new("out")
        rclone.run([rclone.path, "copy", "--metadata", f"store:{BUCKET}/{ours}", str(fetched)])
        bench.ours("decrypt", fetched, out, "-i", bench.identity)
        same_trees(wanted, described(out))
    with bench.check("rclone sees nothing to do after us, and we see nothing to do after rclone"):
        check = [rclone.path, "copy", "--metadata", "-vv", str(fetched), f"store:{BUCKET}/{ours}"]
        done = subprocess.run(check, env=rclone.environment, capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode or "Copied (" in done.stderr:
            raise Failure(f"rclone copies: {done.stderr[-500:]}")
        bench.ours("encrypt", folder, encrypted, "-i", bench.identity)
        rclone.run([rclone.path, "copy", "--metadata", str(encrypted), f"store:{BUCKET}/{theirs}"])
        report = json.loads(bench.ours("encrypt", folder, url(theirs), "-i", bench.identity, "--json"))
        if report["kept"] != len(wanted):
            raise Failure(f"not all is up to date: {report}")
    with bench.check("what rclone has put comes back with times and permission bits"):
        out = bench.new("out")
        bench.ours("decrypt", url(theirs), out, "-i", bench.identity)
        same_trees(wanted, described(out))
