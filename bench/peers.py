"""Side-by-side measurements of cryptstream and its peers; see peers.sh.

Every round runs each contestant once, in turn, so that a slow minute hits all
of them; the median over the rounds counts, and only as a ratio to `cp` (or
`cat`) in the same rounds. Page cache warm, outputs always to a fresh name.
Before each large run a file of the same size is written and removed: a virtual
machine gives free memory back to its host after two seconds, and whoever comes
next would pay for fetching it again.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
ALONE = "cryptstream --processes 0"
PASSPHRASE = "correct horse battery staple"


@dataclass
class Contestant:
    """One command of a work, run by a shell in the work's folder."""

    name: str
    command: str
    seconds: list[float] = field(default_factory=list)

    def run(self, folder: Path) -> None:
        """Runs the command once, without a shell where it has no pipe."""
        words = ["sh", "-c", self.command] if any(c in self.command for c in "|<>") else self.command.split()
        start = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE)
        status = process.wait()
        self.seconds.append(time.perf_counter() - start)
        if status != 0:
            sys.exit(f"{self.command}: status {status}: {process.stderr.read().decode()}")


def compare(folder: Path, work: str, contestants: list[Contestant], runs: int, warm: str | None) -> dict:
    """Runs the rounds of one work and prints its table; the first is the measure.

    Every contestant writes the file `out`; `warm` is the file that is copied
    and removed before each run.
    """
    for round_number in range(runs + 1):
        for contestant in contestants:
            (folder / "out").unlink(missing_ok=True)
            if warm:
                for copy in ["warm0", "warm1"]:
                    shutil.copyfile(folder / warm, folder / copy)
                for copy in ["warm0", "warm1"]:
                    (folder / copy).unlink()
            contestant.run(folder)
            if round_number == 0:  # warms caches; does not count
                contestant.seconds.clear()
    measure = statistics.median(contestants[0].seconds)
    print(f"\n{work}: median of {runs}, against {contestants[0].name}")
    for contestant in contestants:
        median = statistics.median(contestant.seconds)
        spread = f"{min(contestant.seconds) * 1e3:.2f}..{max(contestant.seconds) * 1e3:.2f} ms"
        print(f"  {contestant.name:34} {median * 1e3:10.2f} ms  {median / measure:6.2f} x  {spread}", flush=True)
    return {
        "work": work,
        "runs": runs,
        "contestants": [
            {
                "name": c.name,
                "command": c.command,
                "median_seconds": statistics.median(c.seconds),
                "ratio": statistics.median(c.seconds) / measure,
                "seconds": c.seconds,
            }
            for c in contestants
        ],
    }


class Bench:
    """The files, the keys and the contestants that are there."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.cs = str(program.resolve())
        self.folder = folder
        self.has = {name: shutil.which(name) is not None for name in ["age", "rage", "openssl", "gpg", "concryptor"]}
        print("peers:", ", ".join(f"{n} ({self.version(n)})" if there else f"no {n}" for n, there in self.has.items()))
        subprocess.run([self.cs, "keygen", "-o", "id"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        recipient = subprocess.run([self.cs, "keygen", "-y", "id"], cwd=folder, check=True, capture_output=True)
        self.recipient = recipient.stdout.decode().strip()
        (folder / "word").write_text(PASSPHRASE)

    def version(self, name: str) -> str:
        argument = "version" if name == "openssl" else "--version"
        text = subprocess.run([name, argument], capture_output=True, text=True).stdout
        return text.splitlines()[0].strip() if text else "?"

    def make(self, name: str, size: int) -> None:
        """A file of random bytes, in the page cache."""
        with (self.folder / name).open("wb") as file:
            for start in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - start)))

    def encrypters(self, plain: str) -> list[Contestant]:
        key = "00" * 32
        gpg = "gpg --batch --yes --homedir gnupg --pinentry-mode loopback --passphrase-file word"
        found = [
            Contestant("cp", f"cp --reflink=never {plain} out"),
            Contestant("cryptstream", f"{self.cs} encrypt {plain} out -r {self.recipient}"),
        ]
        if plain == "large":
            found.append(Contestant(ALONE, f"{self.cs} encrypt {plain} out -r {self.recipient} --processes 0"))
        for name in ["age", "rage"]:
            if self.has[name]:
                found.append(Contestant(name, f"{name} -r {self.recipient} -o out {plain}"))
        if self.has["openssl"]:
            found.append(Contestant("openssl aes-256-ctr (no seal)", f"openssl enc -aes-256-ctr -K {key} -iv {key[:32]} -in {plain} -out out"))
        if self.has["gpg"]:
            (self.folder / "gnupg").mkdir(mode=0o700, exist_ok=True)
            found.append(Contestant("gpg -c -z0", f"{gpg} -c -z0 -o out {plain}"))
        return found

    def decrypters(self, plain: str) -> list[Contestant]:
        """Seals the file with everybody first."""
        found = [Contestant("cp", f"cp --reflink=never {plain} out")]
        opening = {
            "cryptstream": f"{self.cs} decrypt SEALED out -i id",
            ALONE: f"{self.cs} decrypt SEALED out -i id --processes 0",
            "age": "age -d -i id -o out SEALED",
            "rage": "rage -d -i id -o out SEALED",
            "openssl aes-256-ctr (no seal)": f"openssl enc -d -aes-256-ctr -K {'00' * 32} -iv {'00' * 16} -in SEALED -out out",
            "gpg -c -z0": "gpg --batch --yes --homedir gnupg --pinentry-mode loopback --passphrase-file word -d -o out SEALED",
        }
        for number, sealer in enumerate(self.encrypters(plain)[1:]):
            (self.folder / "out").unlink(missing_ok=True)
            sealer.run(self.folder)
            (self.folder / "out").rename(self.folder / f"sealed{number}")
            found.append(Contestant(sealer.name, opening[sealer.name].replace("SEALED", f"sealed{number}")))
        return found

    def large(self, runs: int, size: int) -> list[dict]:
        self.make("large", size)
        label = f"{size // MIB} MiB"
        return [
            compare(self.folder, f"encrypt {label}", self.encrypters("large"), runs, "large"),
            compare(self.folder, f"decrypt {label}", self.decrypters("large"), runs, "large"),
        ]

    def age(self, runs: int, size: int) -> list[dict]:
        """The same format by all, and `verify`, which writes nothing."""
        self.make("large", size)
        label = f"{size // MIB} MiB"
        cs, copy = self.cs, "cp --reflink=never large out"
        sealers = [Contestant("cp", copy), Contestant("cryptstream", f"{cs} encrypt --format age large out -r {self.recipient}")]
        openers = [Contestant("cp", copy), Contestant("cryptstream", f"{cs} decrypt sealed.age out -i id")]
        for name in filter(self.has.get, ["age", "rage"]):
            sealers.append(Contestant(name, f"{name} -r {self.recipient} -o out large"))
            openers.append(Contestant(name, f"{name} -d -i id -o out sealed.age"))
        for name in ["sealed.age", "sealed.enc"]:
            subprocess.run([cs, "encrypt", "large", name, "--force", "-i", "id"], cwd=self.folder, check=True)
        results = [
            compare(self.folder, f"age v1, encrypt {label}", sealers, runs, "large"),
            compare(self.folder, f"age v1, decrypt {label}", openers, runs, "large"),
        ]
        if subprocess.run([cs, "verify", "--help"], capture_output=True).returncode == 0:
            verifiers = [Contestant(f"verify {name}", f"{cs} verify -q {name} -i id") for name in ["sealed.enc", "sealed.age"]]
            verifiers.insert(0, Contestant("cp", copy))
            results.append(compare(self.folder, f"verify {label}", verifiers, runs, "large"))
        return results

    def small(self, runs: int) -> list[dict]:
        self.make("small", 4096)
        slow = ["gpg -c -z0"]
        encrypters = [c for c in self.encrypters("small") if c.name not in slow]
        decrypters = [c for c in self.decrypters("small") if c.name not in slow]
        return [
            compare(self.folder, "encrypt 4 KiB", encrypters, 30 * runs, None),
            compare(self.folder, "decrypt 4 KiB", decrypters, 30 * runs, None),
        ]

    def passphrase(self, runs: int, size: int) -> list[dict]:
        self.make("large", size)
        self.make("tiny", 1)
        contestants = [
            Contestant("cp", "cp --reflink=never large out"),
            Contestant("seal alone (-r)", f"{self.cs} encrypt large out -r {self.recipient}"),
            Contestant("derivation alone (1 byte)", f"{self.cs} encrypt tiny out --passphrase-file word"),
            Contestant("passphrase", f"{self.cs} encrypt large out --passphrase-file word"),
        ]
        if shutil.which("concryptor"):
            contestants.append(Contestant("concryptor", "concryptor encrypt -p word -o out large"))
        return [compare(self.folder, f"passphrase, {size // MIB} MiB", contestants, runs, "large")]

    def pipe(self, runs: int, size: int) -> list[dict]:
        self.make("large", size)
        (self.folder / "sealed").unlink(missing_ok=True)
        subprocess.run([self.cs, "encrypt", "large", "sealed", "-i", "id"], cwd=self.folder, check=True)
        sealers = {"cat": "cat", "cryptstream": f"{self.cs} encrypt -r {self.recipient}"}
        openers = {"cat": "cat", "cryptstream": f"{self.cs} decrypt -i id"}
        if self.has["age"]:
            sealers["age"] = f"age -r {self.recipient}"
        return [
            compare(self.folder, f"cat f | X {what} | cat > g", [Contestant(n, f"cat {file} | {c} | cat > out") for n, c in commands.items()], runs, "large")
            for what, file, commands in [("encrypt", "large", sealers), ("decrypt", "sealed", openers)]
        ]

    def memory(self) -> list[dict]:
        """The most memory of all processes together (PSS) while 8 GiB are sealed.

        The input has no blocks, so that only the output takes room.
        """
        with (self.folder / "sparse").open("wb") as file:
            file.truncate(8 << 30)
        results = []
        for processes in ["0", "2", "4"]:
            (self.folder / "out").unlink(missing_ok=True)
            words = [self.cs, "encrypt", "sparse", "out", "-r", self.recipient, "--processes", processes]
            process = subprocess.Popen(words, cwd=self.folder)
            peak_kib = 0
            while process.poll() is None:
                peak_kib = max(peak_kib, pss_kib(process.pid))
                time.sleep(0.02)
            print(f"\nmemory: encrypt 8 GiB, {processes} workers: {peak_kib / 1024:.1f} MiB (PSS, all processes)", flush=True)
            results.append({"work": f"memory, encrypt 8 GiB, {processes} workers", "peak_pss_kib": peak_kib, "status": process.returncode})
        (self.folder / "out").unlink()
        return results


def pss_kib(main: int) -> int:
    """Memory of a process and its children, what they share counted once."""
    total = 0
    try:
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in [str(main), *children]:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:  # it has ended meanwhile
        return 0
    return total


def machine() -> dict:
    def output(*words: str) -> str:
        try:
            return subprocess.run(words, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            return ""

    models = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "commit": output("git", "rev-parse", "--short", "HEAD"),
        "dirty": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where the files are made")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--only", choices=["large", "small", "age", "passphrase", "pipe", "memory"])
    parser.add_argument("--keep", type=Path, help="file for the raw results, such as bench/results/NAME.json")
    arguments = parser.parse_args()
    facts = machine()
    with tempfile.TemporaryDirectory(dir=arguments.dir, prefix="cryptstream-bench-") as name:
        facts["file system"] = subprocess.run(["stat", "-f", "-c", "%T", name], capture_output=True, text=True).stdout.strip()
        print(", ".join(f"{key}: {value}" for key, value in facts.items()))
        bench = Bench(arguments.program, Path(name))
        size = arguments.size * MIB
        parts = {
            "small": lambda: bench.small(arguments.runs),
            "large": lambda: bench.large(arguments.runs, size),
            "age": lambda: bench.age(arguments.runs, size),
            "passphrase": lambda: bench.passphrase(arguments.runs, size),
            "pipe": lambda: bench.pipe(arguments.runs, size),
            "memory": bench.memory,
        }
        results = []
        for part, measure in parts.items():
            if arguments.only in (None, part):
                results += measure()
    for contestant in (c for result in results for c in result.get("contestants", [])):
        contestant["command"] = contestant["command"].replace(bench.cs, "cryptstream")
    if arguments.keep:
        arguments.keep.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
