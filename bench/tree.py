#!/usr/bin/env python3
"""Folders: many small files, and small ones beside a large one.

    bench/tree.py PROGRAM [--files N] [--large-mib N] [--rounds N] [--folder DIR] [--json FILE]

Every round does each work once, in an order drawn by lot, always to a fresh
name; the median over the rounds counts. `age` runs once a file, on 500 of them.
Before each work a file as large as the large one is written and removed, as
bench/peers.py explains. Small outputs are kept until the end: ext4 does not use
the inodes of removed files again for up to five minutes, and looks for others
one by one, so that after `rm -r` a run can take several times as long.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

SMALL = 4096
SAMPLE = 500


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--large-mib", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results = measure(args, Path(folder))
    for name, (files, times) in results.items():
        seconds = [wall for wall, _ in times]
        median = statistics.median(seconds)
        cpu = statistics.median(cpu for _, cpu in times)
        scatter = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(f"{name:32} {median:7.3f} s ({scatter}), {cpu:6.2f} s of cores, {files / median:9,.0f} files/s")
    if args.json:
        report = {
            "machine": {"cores": os.cpu_count(), "kernel": platform.release()},
            "arguments": {"files": args.files, "large_mib": args.large_mib, "rounds": args.rounds},
            "seconds": {name: [wall for wall, _ in times] for name, (_, times) in results.items()},
            "core_seconds": {name: [cpu for _, cpu in times] for name, (_, times) in results.items()},
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, tuple[int, list[tuple[float, float]]]]:
    program = str(args.program.resolve())
    os.chdir(folder)
    run("keygen", program, "keygen", "-o", "id")
    recipient = subprocess.run([program, "keygen", "-y", "id"], check=True, capture_output=True, text=True)
    for number in range(args.files):
        path = Path(f"small/{number // 200}/{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL))
    Path("large").mkdir()
    with open("large/large", "wb") as large:
        for _ in range(args.large_mib):
            large.write(os.urandom(1 << 20))
    half = args.files // 2
    folders = sorted(Path("small").iterdir())
    for name, chosen in (("half", folders[: len(folders) // 2]), ("mixed", folders[: len(folders) // 2])):
        for one in chosen:
            shutil.copytree(one, Path(name) / one.name)
    os.link("large/large", "mixed/large")
    run("sealed", program, "encrypt", "-i", "id", "small", "sealed")
    sample = [str(path) for path in sorted(Path("small").rglob("*")) if path.is_file()][:SAMPLE]
    seal = [program, "encrypt", "-i", "id"]
    works = {
        "cp -r": (args.files, [["cp", "-r", "small", "out"]]),
        "encrypt": (args.files, [[*seal, "small", "out"]]),
        "encrypt --processes 0": (args.files, [[*seal, "small", "out", "--processes", "0"]]),
        "encrypt --key": (args.files, [[program, "encrypt", "small", "out", "--key", "x"]]),
        "decrypt": (args.files, [[program, "decrypt", "-i", "id", "sealed", "out"]]),
        "encrypt, all there already": (args.files, [[*seal, "small", "sealed"]]),
        "half of the small files": (half, [[*seal, "half", "out"]]),
        "the large file": (1, [[*seal, "large", "out"]]),
        "both together": (half + 1, [[*seal, "mixed", "out"]]),
    }
    # With one worker and one thread, two cores are enough for both at a time.
    for name in ("half of the small files", "the large file", "both together"):
        files, [command] = works[name]
        works[f"{name}, --processes 1"] = (files, [[*command, "--processes", "1"]])
    if shutil.which("turbocrypt"):
        run("keygen", "turbocrypt", "keygen", "turbo.key")
        turbocrypt = ["turbocrypt", "encrypt", "--key", "turbo.key"]
        works["turbocrypt"] = (args.files, [[*turbocrypt, "small", "out"]])
    if shutil.which("age"):
        key = recipient.stdout.strip()
        each = [["age", "-r", key, "-o", f"out/{number}", path] for number, path in enumerate(sample)]
        works["age, once a file"] = (SAMPLE, each)
    results = {name: (files, []) for name, (files, _) in works.items()}
    Path("kept").mkdir()
    for number in range(args.rounds):
        for name in random.sample(list(works), len(works)):
            warm(args.large_mib)
            if len(works[name][1]) > 1:
                Path("out").mkdir()
            start, before = time.perf_counter(), cores()
            for command in works[name][1]:
                run(name, *command)
            results[name][1].append((time.perf_counter() - start, cores() - before))
            if Path("out").exists():
                for large in Path("out").glob("large*"):
                    large.unlink()
                os.rename("out", f"kept/{number} {name.replace('/', ' ')}")
    return results


def cores() -> float:
    """Seconds of cores that the programs have used."""
    times = os.times()
    return times.children_user + times.children_system


def warm(mib: int) -> None:
    with open("warm", "wb") as file:
        for _ in range(mib):
            file.write(bytes(1 << 20))
    os.unlink("warm")
    os.sync()


def run(name: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{name} failed: {done.stderr.decode(errors='replace')}")


if __name__ == "__main__":
    main()
