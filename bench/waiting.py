#!/usr/bin/env python3
"""Storage that makes its callers wait: how the throughput grows with the number of workers.

    bench/waiting.py PROGRAM [--mib N] [--delay MS] [--call MS] [--files N] [--rounds N] [--only WORK...]
                     [--json FILE]

tests/filesystems/delaying.py is mounted over a folder in memory: a MiB takes MS more to read or
to write (--delay), and with --call each call takes that much more in the work with small files.
The works: `verify` and `read` one file, the latter to write the output elsewhere; `write`, where
the output is slow too; `files` of 4 MiB; `small files` of 4 KiB.
Every round does each work once, in an order drawn by lot; medians count. Needs root.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DELAYING = Path(__file__).resolve().parent.parent / "tests/filesystems/delaying.py"
WORKERS = [1, 2, 4, 8, 16]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--delay", type=float, default=20)
    parser.add_argument("--call", type=float, default=2)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="WORK")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        seconds = measure(args, Path(folder))
    for name, times in seconds.items():
        first = statistics.median(seconds[name.rsplit(",", 1)[0] + ", 1"])
        median = statistics.median(times)
        scatter = f"{min(times):.3f} to {max(times):.3f}"
        print(f"{name:24} {median:8.3f} s ({scatter}), {first / median:5.2f} times as fast as 1")
    if args.json:
        names = ("mib", "delay", "call", "files", "rounds")
        report = {
            "machine": {"cores": os.cpu_count(), "kernel": platform.release()},
            "arguments": {name: getattr(args, name) for name in names},
            "seconds": seconds,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    program = str(args.program.resolve())
    os.chdir(folder)
    run(program, "keygen", "-q", "-o", "id")
    for name in ("slow", "calls"):
        Path(name).mkdir()
        Path(f"{name}-content").mkdir()
    with open("slow-content/plain", "wb") as plain:
        for _ in range(args.mib):
            plain.write(os.urandom(1 << 20))
    run(program, "encrypt", "-i", "id", "slow-content/plain", "slow-content/sealed")
    Path("slow-content/files").mkdir()
    for number in range(args.mib // 4):
        with open(f"slow-content/files/{number}", "wb") as part:
            part.write(os.urandom(4 << 20))
    for number in range(args.files):
        path = Path(f"calls-content/small/{number // 100}/{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(4096))
    mount(Path("slow"), "--mib", str(args.delay))
    mount(Path("calls"), "--call", str(args.call))
    works = {}
    for workers in [*WORKERS, "auto"]:
        flags = ["-i", "id", "--processes", str(workers)]
        works[f"verify, {workers}"] = [program, "verify", "-q", *flags, "slow/sealed"]
        works[f"read, {workers}"] = [program, "encrypt", *flags, "slow/plain", "out"]
        works[f"write, {workers}"] = [program, "encrypt", *flags, "slow/plain", "slow/out"]
        works[f"files, {workers}"] = [program, "encrypt", *flags, "slow/files", "slow/out"]
        works[f"small files, {workers}"] = [program, "encrypt", *flags, "calls/small", "calls/out"]
    if args.only:
        works = {name: work for name, work in works.items() if name.rsplit(",", 1)[0] in args.only}
    seconds = {name: [] for name in works}
    try:
        for _ in range(args.rounds):
            for name in random.sample(list(works), len(works)):
                start = time.perf_counter()
                run(*works[name])
                seconds[name].append(time.perf_counter() - start)
                for out in (Path("out"), Path("slow-content/out"), Path("calls-content/out")):
                    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    finally:
        for name in ("slow", "calls"):
            subprocess.run(["umount", "-l", name], check=False)
    return seconds


def mount(at: Path, *flags: str) -> None:
    # It goes on in the background, so it must not hold a pipe that is read to its end.
    command = [sys.executable, str(DELAYING), f"{at}-content", str(at), *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')}")


if __name__ == "__main__":
    main()
