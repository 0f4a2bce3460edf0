#!/usr/bin/env python3
"""Files that are not in the page cache, until the output is on the disk, and what stays in the cache.

    bench/cold.py PROGRAM [--mib N] [--rounds N] [--pause S] [--folder DIR] [--json FILE]

Every round does each work once, in an order drawn by lot; medians count. Before each, everything
leaves the page cache (as root; otherwise only the input does), and then nothing happens for a few
seconds (--pause), in which a virtual machine returns its free memory to the host. `copy uncached`
is a copy with RWF_DONTCACHE, on Linux before 6.14 without it. fincore(1) tells what is cached.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

RWF_DONTCACHE = 0x80
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pause", type=float, default=4)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results = measure(args, Path(folder))
    for name, runs in results.items():
        seconds = [run["seconds"] for run in runs]
        cores = statistics.median(run["core_seconds"] for run in runs)
        scatter = f"{min(seconds):.2f} to {max(seconds):.2f}"
        cached = ", ".join(f"{runs[-1]['cached'][file]:.0%} of {file}" for file in runs[-1]["cached"])
        print(f"{name:24} {statistics.median(seconds):7.2f} s ({scatter}), {cores:6.2f} s of cores; cached: {cached}")
    if args.json:
        report = {
            "machine": {"cores": os.cpu_count(), "kernel": platform.release()},
            "arguments": {"mib": args.mib, "rounds": args.rounds, "pause": args.pause},
            "results": results,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, list[dict]]:
    program = str(args.program.resolve())
    os.chdir(folder)
    run(program, "keygen", "-q", "-o", "id")
    with open("plain", "wb") as plain:
        for _ in range(args.mib):
            plain.write(os.urandom(MIB))
    run(program, "encrypt", "-i", "id", "plain", "sealed", "--sync")
    encrypt = [program, "encrypt", "-i", "id", "plain", "out", "--sync"]
    decrypt = [program, "decrypt", "-i", "id", "sealed", "out", "--sync"]
    verify = [program, "verify", "-q", "-i", "id", "sealed"]
    works = {
        "cp, sync": lambda: (run("cp", "--reflink=never", "plain", "out"), run("sync", "out")),
        "copy uncached": lambda: copy_uncached("plain", "out"),
        "encrypt --sync": lambda: run(*encrypt),
        "encrypt --sync --cache keep": lambda: run(*encrypt, "--cache", "keep"),
        "decrypt --sync": lambda: run(*decrypt),
        "decrypt --sync --cache keep": lambda: run(*decrypt, "--cache", "keep"),
        "read (cat)": lambda: run("sh", "-c", "cat sealed > /dev/null"),
        "verify": lambda: run(*verify),
        "verify --cache drop": lambda: run(*verify, "--cache", "drop"),
    }
    results = {name: [] for name in works}
    for _ in range(args.rounds):
        for name in random.sample(list(works), len(works)):
            Path("out").unlink(missing_ok=True)
            empty_cache("plain", "sealed")
            time.sleep(args.pause)
            start, before = time.perf_counter(), os.times()
            works[name]()
            seconds, after = time.perf_counter() - start, os.times()
            names = ["user", "system", "children_user", "children_system"]
            cores = sum(getattr(after, field) - getattr(before, field) for field in names)
            files = [file for file in ("plain", "sealed", "out") if Path(file).exists()]
            cached = {file: cached_len(file) / os.stat(file).st_size for file in files}
            results[name].append({"seconds": seconds, "core_seconds": cores, "cached": cached})
    return results


def copy_uncached(source: str, target: str) -> None:
    """Copies past the page cache, in pieces of 1 MiB, and waits until the copy is on the disk."""
    reader = os.open(source, os.O_RDONLY)
    writer = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
    size, offset = os.fstat(reader).st_size, 0
    os.posix_fallocate(writer, 0, size)
    buffer = bytearray(MIB)
    flags = RWF_DONTCACHE
    while offset < size:
        try:
            done = os.preadv(reader, [buffer], offset, flags)
            os.pwritev(writer, [memoryview(buffer)[:done]], offset, flags)
        except OSError:
            if flags == 0:
                raise
            flags = 0
            continue
        offset += done
    os.fsync(writer)
    os.close(reader)
    os.close(writer)


def empty_cache(*files: str) -> None:
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        for file in files:
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def cached_len(file: str) -> int:
    told = subprocess.run(["fincore", "-b", "-n", "-o", "RES", file], capture_output=True, text=True)
    return int(told.stdout.strip() or 0)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')}")


if __name__ == "__main__":
    main()
