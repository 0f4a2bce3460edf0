#!/usr/bin/env python3
"""How the throughput grows with the number of cores and workers.

    bench/scaling.py PROGRAM [--mib N] [--files N] [--rounds N] [--folder DIR] [--only WORK...] [--json FILE]

One file (`encrypt`, `decrypt`, `verify`), files of 400 KiB (`files`) and of 4 KiB (`small files`),
with 0 to as many workers as there are cores, and `cp`. The small files, which threads of main
process, run on as many cores as the number says, and so does `cp -r`. The folder should be in
memory (/dev/shm), so that the storage is no limit. Every round does each work once, in an order
drawn by lot; medians count.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from waiting import run

CORES = sorted(os.sched_getaffinity(0))
LARGE = 400 << 10
SMALL = 4 << 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--only", nargs="+", metavar="WORK")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        seconds = measure(args, Path(folder))
    for name, times in seconds.items():
        work, number = name.rsplit(", ", 1)
        base = seconds.get(f"{work}, 0") or seconds[f"{work}, 1"]
        median = statistics.median(times)
        scatter = f"{min(times):.3f} to {max(times):.3f}"
        speedup = statistics.median(base) / median
        print(f"{name:18} {median:7.3f} s ({scatter}), {speedup:5.2f} times as fast as with the least")
    if args.json:
        report = {
            "machine": {"cores": len(CORES), "processor": processor(), "kernel": platform.release()},
            "arguments": {"mib": args.mib, "files": args.files, "rounds": args.rounds},
            "seconds": seconds,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    program = str(args.program.resolve())
    os.chdir(folder)
    run(program, "keygen", "-q", "-o", "id")
    with open("plain", "wb") as plain:
        for _ in range(args.mib):
            plain.write(os.urandom(1 << 20))
    run(program, "encrypt", "-i", "id", "plain", "sealed")
    for name, size, count in (("large", LARGE, args.files // 4), ("small", SMALL, args.files)):
        content = os.urandom(size)
        for number in range(count):
            path = Path(f"{name}/{number // 100}/{number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    numbers = sorted({n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if n < len(CORES)} | {len(CORES)})
    works = {"cp, 1": (["cp", "--reflink=never", "plain", "out"], len(CORES))}
    for n in [0, *numbers]:
        flags = ["-i", "id", "--processes", str(n)]
        works[f"encrypt, {n}"] = ([program, "encrypt", *flags, "plain", "out"], len(CORES))
        works[f"decrypt, {n}"] = ([program, "decrypt", *flags, "sealed", "out"], len(CORES))
        works[f"verify, {n}"] = ([program, "verify", "-q", *flags, "sealed"], len(CORES))
        works[f"files, {n}"] = ([program, "encrypt", "-q", *flags, "large", "out"], len(CORES))
    for n in numbers:
        works[f"small files, {n}"] = ([program, "encrypt", "-q", "-i", "id", "small", "out"], n)
    works["cp -r small, 1"] = (["cp", "-r", "small", "out"], 1)
    if args.only:
        works = {name: work for name, work in works.items() if name.rsplit(",", 1)[0] in args.only}
    seconds = {name: [] for name in works}
    for _ in range(args.rounds):
        for name in random.sample(list(works), len(works)):
            command, cores = works[name]
            start = time.perf_counter()
            run("taskset", "-c", ",".join(map(str, CORES[:cores])), *command)
            seconds[name].append(time.perf_counter() - start)
            out = Path("out")
            if out.is_dir():
                shutil.rmtree(out)
            else:
                out.unlink(missing_ok=True)
    return seconds


if __name__ == "__main__":
    main()
