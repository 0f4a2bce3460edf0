"""Uploads and downloads of cryptstream, beside s5cmd and rclone, which do not encrypt.

All talk to one SeaweedFS on this machine, which takes most of the time; the ratio to the better
of s5cmd and rclone counts. Every round runs each contestant once, in turn, so that a slow minute
hits all of them. Each upload goes into a bucket of its own, each download into a new file. The
processor time is the contestant's own, without the server's.

Needs the virtual environment that ci/stores.sh makes:

    .venv/stores/bin/python bench/stores.py --program target/release/cryptstream
    .venv/stores/bin/python bench/stores.py                  s5cmd and rclone alone
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "stores"))
from clients import Program  # noqa: E402
from peers import machine, pss_kib  # noqa: E402
from servers import Store, find, make_bucket, seaweedfs  # noqa: E402

MIB = 1 << 20
US = "cryptstream"


class Failed(Exception):
    pass


@dataclass
class Contestant:
    """One command of a work, in which `BUCKET` is written for a bucket and `out` for a new file."""

    name: str
    command: list[str]
    environment: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)

    def run(self, folder: Path, bucket: str) -> None:
        words = [word.replace("BUCKET", bucket) for word in self.command]
        before = os.times()
        start = time.perf_counter()
        done = subprocess.run(words, cwd=folder, env=self.environment, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        after = os.times()
        if done.returncode != 0:
            raise Failed(f"{self.name}: status {done.returncode}: {done.stderr.strip()}")
        self.seconds.append(seconds)
        used = after.children_user + after.children_system - before.children_user - before.children_system
        self.processor_seconds.append(used)


class Bench:
    """The store, the files and the contestants that are there."""

    def __init__(self, store: Store, folder: Path, program: Path | None, runs: int) -> None:
        self.store, self.folder, self.runs = store, folder, runs
        self.numbers = itertools.count()
        self.client = store.client()
        self.others = {name: Program(name, store) for name in ["s5cmd", "rclone"] if find(name)}
        if not self.others:
            sys.exit("neither s5cmd nor rclone is installed; ci/stores.sh brings them")
        self.program = program and str(program.resolve())
        if self.program:
            subprocess.run([self.program, "keygen", "-o", "id"], cwd=folder, check=True, stderr=subprocess.DEVNULL)

    def contestants(self, others: dict[str, list[str]], ours: list[str]) -> list[Contestant]:
        """`others` are the arguments of each; `ours` are those of cryptstream, if it takes part."""
        found = [
            Contestant(name, [peer.path, *others[name]], peer.environment)
            for name, peer in self.others.items()
        ]
        if self.program and ours:
            found.append(Contestant(US, [self.program, *ours, "-i", str(self.folder / "id")], self.store.environment))
        return found

    def new_bucket(self) -> str:
        bucket = f"bench{next(self.numbers)}"
        make_bucket(self.client, bucket)
        return bucket

    def drop_bucket(self, bucket: str) -> None:
        """SeaweedFS frees the room of a bucket at once, but that of an object later."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for it in page.get("Contents", []):
                self.client.delete_object(Bucket=bucket, Key=it["Key"])
        self.client.delete_bucket(Bucket=bucket)

    def compare(self, work: str, contestants: list[Contestant], objects: int, source: str | None) -> dict:
        """Runs the rounds of one work and prints its table.

        With a `source` they all read that bucket; otherwise each one gets a bucket, in which
        so many objects are expected afterwards.
        """
        for round_number in range(self.runs + 1):
            for contestant in list(contestants):
                bucket = source or self.new_bucket()
                try:
                    contestant.run(self.folder, bucket)
                except Failed as error:
                    print(f"\n{work}: not measured: {error}")
                    contestants.remove(contestant)
                    continue
                if not source:
                    pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
                    found = sum(page["KeyCount"] for page in pages)
                    if found != objects:
                        sys.exit(f"{contestant.name}: {found} objects instead of {objects}")
                    self.drop_bucket(bucket)
                else:
                    (self.folder / "out").unlink()
                if round_number == 0:  # warms caches; does not count
                    contestant.seconds.clear()
                    contestant.processor_seconds.clear()
        medians = {it.name: statistics.median(it.seconds) for it in contestants}
        measure = min(seconds for name, seconds in medians.items() if name != US)
        print(f"\n{work}: median of {self.runs}, against the better of {' and '.join(self.others)}")
        results = []
        for it in contestants:
            processor = statistics.median(it.processor_seconds)
            spread = f"{min(it.seconds):.2f}..{max(it.seconds):.2f} s"
            ratio = medians[it.name] / measure
            print(f"  {it.name:12} {medians[it.name]:8.2f} s  {ratio:6.2f} x  {spread:18} processor {processor:6.2f} s", flush=True)
            results.append({
                "name": it.name,
                "command": ["cryptstream" if word == self.program else word for word in it.command],
                "median_seconds": medians[it.name],
                "ratio": ratio,
                "median_processor_seconds": processor,
                "seconds": it.seconds,
                "processor_seconds": it.processor_seconds,
            })
        return {"work": work, "runs": self.runs, "contestants": results}

    def large(self, mib: int) -> list[dict]:
        """One file up, and the same file down."""
        with (self.folder / "large").open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
        up = self.contestants(
            {"s5cmd": ["cp", "large", "s3://BUCKET/out"], "rclone": ["copyto", "large", "store:BUCKET/out"]},
            ["encrypt", "large", "s3://BUCKET/out"],
        )
        results = [self.compare(f"{mib} MiB up", up, 1, None), self.memory(f"{mib} MiB up", up)]
        bucket = self.new_bucket()
        self.client.upload_file(str(self.folder / "large"), bucket, "plain")
        if self.program:
            encrypt = [self.program, "encrypt", "large", "encrypted", "-i", "id"]
            subprocess.run(encrypt, cwd=self.folder, check=True)
            self.client.upload_file(str(self.folder / "encrypted"), bucket, "encrypted")
            (self.folder / "encrypted").unlink()
        (self.folder / "large").unlink()
        down = self.contestants(
            {"s5cmd": ["cp", "s3://BUCKET/plain", "out"], "rclone": ["copyto", "store:BUCKET/plain", "out"]},
            ["decrypt", "s3://BUCKET/encrypted", "out"],
        )
        results.append(self.compare(f"{mib} MiB down", down, 0, bucket))
        self.drop_bucket(bucket)
        return results

    def memory(self, work: str, contestants: list[Contestant]) -> dict:
        """The most memory of all processes of a contestant together (PSS), in a run of its own."""
        peaks = {}
        for contestant in contestants:
            bucket, peak = self.new_bucket(), 0
            words = [word.replace("BUCKET", bucket) for word in contestant.command]
            process = subprocess.Popen(words, cwd=self.folder, env=contestant.environment, stdout=subprocess.DEVNULL)
            while process.poll() is None:
                peak = max(peak, pss_kib(process.pid))
                time.sleep(0.1)
            self.drop_bucket(bucket)
            peaks[contestant.name] = peak
            print(f"  {contestant.name:12} {peak / 1024:8.1f} MiB of memory at most", flush=True)
        return {"work": f"memory, {work}", "peak_pss_kib": peaks}

    def small(self, files: int) -> list[dict]:
        """A folder of files of 4 KiB up."""
        many = self.folder / "many"
        many.mkdir()
        for number in range(files):
            (many / f"{number:06}").write_bytes(os.urandom(4096))
        up = self.contestants(
            {"s5cmd": ["cp", "many/*", "s3://BUCKET/many/"], "rclone": ["copy", "many", "store:BUCKET/many"]},
            ["encrypt", "many", "s3://BUCKET/many/"],
        )
        results = [self.compare(f"{files} files of 4 KiB up", up, files, None)]
        shutil.rmtree(many)
        return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, help="measures this cryptstream too")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where files and store are")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--files", type=int, default=2000, help="how many small files")
    parser.add_argument("--only", choices=["large", "small"])
    parser.add_argument("--keep", type=Path, help="file for the raw results, such as bench/results/NAME.json")
    arguments = parser.parse_args()
    facts = machine()
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="cryptstream-bench-") as name:
        folder = Path(name)
        with seaweedfs(folder / "store") as store:
            print(", ".join(f"{key}: {value}" for key, value in facts.items()))
            bench = Bench(store, folder, arguments.program, arguments.runs)
            results = []
            if arguments.only in (None, "large"):
                results += bench.large(arguments.size)
            if arguments.only in (None, "small"):
                results += bench.small(arguments.files)
    if arguments.keep:
        arguments.keep.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
