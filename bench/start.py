#!/usr/bin/env python3
"""What starting the program costs, in several builds of it side by side.

    bench/start.py [--runs N] NAME=PATH [NAME=PATH ...]

Each round runs every build once for each job, in an order drawn by lot; the
median of a job is compared with that of `cp` of the same 4 KiB. `true` shows
what the system takes for any program. Copies are run: a file as a linker leaves
it lies in the page cache in smaller pieces, which takes longer to map.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time


def spend(command):
    """Seconds from starting a program to its end."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    begin = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status = os.waitpid(child, 0)
    taken = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"failed: {command}")
    return taken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("builds", nargs="+", metavar="NAME=PATH")
    options = parser.parse_args()
    builds = dict(build.split("=", 1) for build in options.builds)
    builds = {name: os.path.abspath(path) for name, path in builds.items()}
    first = next(iter(builds))
    # What others do for any of the jobs.
    others = {"true": [], "cp": ["--reflink=never", "small"]}
    builds |= {name: shutil.which(name) for name in others}

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in builds:
            builds[name] = shutil.copy(builds[name], os.path.join(folder, name))
        with open("small", "wb") as small:
            small.write(os.urandom(4096))
        subprocess.run([builds[first], "keygen", "-q", "-o", "id"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([builds[first], "encrypt", "-i", "id", "small", "sealed"], check=True)
        jobs = {
            "--version": ["--version"],
            "encrypt 4 KiB": ["encrypt", "-i", "id", "small"],
            "decrypt 4 KiB": ["decrypt", "-i", "id", "sealed"],
        }
        times = {(name, job): [] for name in builds for job in jobs}
        for turn in range(options.runs):
            os.mkdir(str(turn))
            turns = list(times)
            random.shuffle(turns)
            for number, (name, job) in enumerate(turns):
                arguments = others.get(name, jobs[job])
                # Outputs are kept: after files were removed, ext4 creates others more slowly.
                output = [f"{turn}/{number}"] if "small" in arguments or "sealed" in arguments else []
                times[name, job].append(spend([builds[name], *arguments, *output]))

    for job in jobs:
        print(f"{job}, {options.runs} runs")
        base = statistics.median(times["cp", job])
        for name in builds:
            low, middle, high = statistics.quantiles(times[name, job], n=4)
            print(f"  {name:24} {middle * 1e3:7.3f} ms  x{middle / base:.3f}  [{low * 1e3:.3f} {high * 1e3:.3f}]")


if __name__ == "__main__":
    main()
