"""Runs what docs/guide.md says of object stores as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from checks import LIMIT_S, Bench, Failure, same, same_bytes

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
# What comes before makes the files and keys that the recipes use.
SECTIONS = ["Guide", "Keys", "An object store"]
# The bucket that is named there.
BUCKET = "my-backups"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In place of PostgreSQL's.
PG_DUMP = "#!/bin/sh\nseq 1 200000 | sed 's/.*/INSERT INTO numbers VALUES (&);/'\n"


def jobs(bench: Bench) -> list[Callable[[], None]]:
    return [partial(recipes, bench)]


def blocks() -> list[tuple[str, str]]:
    """The blocks of these sections: language and text."""
    sections = re.split(r"^##? ", GUIDE.read_text(), flags=re.MULTILINE)
    wanted = [it for it in sections if it.split("\n", 1)[0] in SECTIONS]
    return [(found[1], found[2]) for section in wanted for found in BLOCK.finditer(section)]


def recipes(bench: Bench) -> None:
    for bucket in [BUCKET, "other-bucket"]:
        bench.client.create_bucket(Bucket=bucket)
    folder = bench.new("recipes")
    for name in ["home", "bin", "work"]:
        (folder / name).mkdir(parents=True)
    (folder / "bin/cryptstream").symlink_to(bench.program)
    pg_dump = folder / "bin/pg_dump"
    pg_dump.write_text(PG_DUMP)
    pg_dump.chmod(0o755)
    work, url = folder / "work", ""
    environment = bench.store.environment | {"HOME": str(folder / "home"), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def run(words: list[str], text: str) -> str:
        more = {"url": url} if url else {}
        done = subprocess.run(words, cwd=work, env=environment | more, capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode != 0:
            raise Failure(f"status {done.returncode}: {done.stderr}: {text}")
        return done.stdout

    for language, text in blocks():
        with bench.check(f"the recipe {text.strip().splitlines()[0]!r}"):
            match language:
                case "sh" | "bash":
                    run(["bash", "-eu", "-o", "pipefail", "-c", text], text)
                case "python":
                    url = run([sys.executable, "-c", text], text).strip()
                case "json":
                    rule = json.loads(text)
                    bench.client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=rule)
                case "toml":
                    (work / "config").write_text(text)
                    run(["bash", "-c", "CRYPTSTREAM_CONFIG=config cryptstream config"], text)
                case "text":  # with URLs that do not exist
                    pass
                case _:
                    raise Failure(f"nothing is known of {language}")
    with bench.check("the recipes did what they say"):
        same(work / "from-store.raw", work / "photos/beach.raw")
        same(work / "from-colleague.raw", work / "photos/beach.raw")
        same_bytes((work / "hundred-bytes").read_bytes(), (work / "photos/beach.raw").read_bytes()[1000:1100])
        same_bytes((work / "app.sql").read_bytes(), subprocess.run([pg_dump], capture_output=True, check=True).stdout)
