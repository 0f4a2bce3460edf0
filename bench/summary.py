#!/usr/bin/env python3
"""One table of what bench/all.sh measured.

    bench/summary.py FOLDER

Each row is a ratio of medians of one run, with the smallest and largest ratio that single rounds
gave, and what CryptStream is meant to reach. A row says `not measured` if its results are missing.
"""

import json
import statistics
import sys
from pathlib import Path

ALONE = "cryptstream --processes 0"


def main() -> None:
    folder = Path(sys.argv[1])
    rows = list(table(Results(folder)))
    width = max(len(what) for _, what, _, _ in rows)
    for number, what, ratio, must in rows:
        print(f"{number:4} {what:{width}}  {ratio:28} {must}")


class Results:
    """The raw results of a run, by file."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}

    def peers(self, part: str, work: str, name: str) -> list[float]:
        """The seconds of one contestant of bench/peers.py."""
        works = [r for r in self.files[part]["results"] if r["work"].startswith(work)]
        return next(c["seconds"] for c in works[0]["contestants"] if c["name"].startswith(name))

    def tree(self, work: str) -> list[float]:
        return self.files["tree"]["seconds"][work]

    def cold(self, work: str) -> list[float]:
        return [run["seconds"] for run in self.files["cold"]["results"][work]]

    def cached(self, work: str) -> float:
        """The largest share of a file that was left in the page cache."""
        runs = self.files["cold"]["results"][work]
        return max(share for run in runs for share in run["cached"].values())

    def waiting(self, work: str) -> list[float]:
        return self.files["waiting"]["seconds"][work]

    def benchmark(self, operation: str, workers: int) -> list[float]:
        """Seconds for the largest size, with workers that run already."""
        size = self.files["benchmark"]["sizes"][-1]
        fits = [m for m in size[operation] if m["workers"] == workers and m["pool"] != "cold"]
        return fits[0]["seconds"]


def ratio(ours, theirs) -> str:
    """`median (smallest..largest)` of two lists of seconds, of which each round gave one pair."""
    try:
        one, other = ours(), theirs()
    except (KeyError, IndexError, StopIteration):
        return "not measured"
    pairs = [a / b for a, b in zip(one, other)]
    median = statistics.median(one) / statistics.median(other)
    return f"{median:.2f} ({min(pairs):.2f}..{max(pairs):.2f})"


def value(tell) -> str:
    try:
        return tell()
    except (KeyError, IndexError, StopIteration):
        return "not measured"


def table(it: Results):
    """Rows of a number, what is measured, the ratio, and what is to be reached."""
    size = next((r["work"].split(" ", 1)[1] for r in it.files.get("large", {"results": []})["results"]), "1024 MiB")
    own = "cryptstream"
    for number, work, must, alone in [("P1", "encrypt", "0.85", None), ("P2", "decrypt", "0.90", None),
                                      ("P3", "encrypt", "1.6", ALONE), ("P3", "decrypt", "1.6", ALONE)]:
        label = f"{work} {size}, {'--processes 0' if alone else 'workers'} / cp"
        yield number, label, ratio(lambda: it.peers("large", work, alone or own), lambda: it.peers("large", work, "cp")), f"<= {must}"
    for work in ("encrypt", "decrypt"):
        for peer, must in (("age", "0.40"), ("rage", "0.22")):
            yield "P14", f"age v1, {work} {size} / {peer}", ratio(
                lambda: it.peers("age", f"age v1, {work}", own), lambda: it.peers("age", f"age v1, {work}", peer)), f"<= {must}"
    yield "P5", f"verify {size} / cp", ratio(
        lambda: it.peers("age", "verify", "verify sealed.enc"), lambda: it.peers("age", "verify", "cp")), "<= 0.50"
    for work in ("encrypt", "decrypt"):
        yield "P17", f"{work} 4 KiB / cp", ratio(
            lambda: it.peers("small", work, own), lambda: it.peers("small", work, "cp")), "<= 1.0"
    for work in ("encrypt", "decrypt"):
        label = f"cat f | X {work} | cat > g"
        yield "P7", f"{label} / with cat", ratio(
            lambda: it.peers("pipe", label, own), lambda: it.peers("pipe", label, "cat")), "<= 1.1"

    def per_second(work: str) -> str:
        files = it.files["tree"]["arguments"]["files"]
        return f"{files / statistics.median(it.tree(work)):,.0f} files/s"

    yield "P8", "small files, encrypt", value(lambda: per_second("encrypt")), ">= 8,000"
    yield "P15", "small files, encrypt / cp -r", ratio(lambda: it.tree("encrypt"), lambda: it.tree("cp -r")), ""
    yield "P15", "small files, one passphrase / cp -r", ratio(lambda: it.tree("encrypt --key"), lambda: it.tree("cp -r")), ""
    yield "P15", "small files, encrypt / turbocrypt", ratio(lambda: it.tree("encrypt"), lambda: it.tree("turbocrypt")), ""
    yield "P15", "small files, one passphrase / turbocrypt", ratio(
        lambda: it.tree("encrypt --key"), lambda: it.tree("turbocrypt")), "<= 1.5"
    yield "P15", "large and small files together / the large one", ratio(
        lambda: it.tree("both together"), lambda: it.tree("the large file")), ""

    def memory(workers: int) -> str:
        work = f"memory, encrypt 8 GiB, {workers} workers"
        kib = next(r["peak_pss_kib"] for r in it.files["memory"]["results"] if r["work"] == work)
        return f"{kib / 1024:.1f} MiB"

    for workers, must in ((0, 16), (2, 24), (4, 32)):
        yield "P9", f"memory of all processes, {workers} workers", value(lambda: memory(workers)), f"<= {must} MiB"
    for work in ("encrypt", "decrypt"):
        yield "P10", f"400 KiB files in memory, {work}, none / 2 warm workers", ratio(
            lambda: it.benchmark(work, 0), lambda: it.benchmark(work, 2)), ">= 1.7"
    yield "P11", f"passphrase, {size} / derivation and encryption apart", ratio(
        lambda: it.peers("passphrase", "passphrase", "passphrase"),
        lambda: [a + b for a, b in zip(it.peers("passphrase", "passphrase", "seal alone"),
                                       it.peers("passphrase", "passphrase", "derivation alone"))]), "<= 1"
    for number, work, base, must in [
        ("P12", "encrypt --sync", "cp, sync", "0.30"), ("P12", "encrypt --sync", "copy uncached", "1.05"),
        ("P13", "decrypt --sync", "cp, sync", "0.30"), ("P13", "decrypt --sync", "copy uncached", "1.05"),
        ("P13", "verify", "read (cat)", "1.05"), ("P13", "verify --cache drop", "read (cat)", "1.05"),
    ]:
        yield number, f"cold, {work} / {base}", ratio(lambda: it.cold(work), lambda: it.cold(base)), f"<= {must}"
    for work in ("encrypt --sync", "decrypt --sync"):
        yield "P12", f"left in the page cache, {work}", value(lambda: f"{it.cached(work):.1%}"), "<= 5 %"
    for work in ("verify", "read", "write", "files", "small files"):
        for workers in (4, 16):
            yield "P16", f"slow storage, {work}, 1 worker / {workers}", ratio(
                lambda: it.waiting(f"{work}, 1"), lambda: it.waiting(f"{work}, {workers}")), f">= {0.8 * workers:.1f}"
        yield "P16", f"slow storage, {work}, 1 worker / auto", ratio(
            lambda: it.waiting(f"{work}, 1"), lambda: it.waiting(f"{work}, auto")), ""


if __name__ == "__main__":
    main()
