#!/usr/bin/env python3
"""Pins the advisories of the RustSec database that concern our crates.

    ci/pin_advisories.py CLONE

CLONE is a clone of the database. Of each advisory about a crate in Cargo.lock, the facts
are written to ci/advisories: identifier, package, date, versions. The descriptions stay
where they are; each file has the address. ci/deny.sh uses these where the database
itself cannot be fetched.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERE = ROOT / "ci/advisories"
KEEP = ("id", "package", "date", "informational", "aliases", "related", "withdrawn")


def toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def main(clone):
    lock = (ROOT / "Cargo.lock").read_text()
    crates = set(re.findall(r'^name = "([^"]+)"', lock, re.M))

    def git(*arguments):
        return subprocess.check_output(["git", "-C", clone, *arguments], text=True)

    for old in HERE.glob("crates/*/*.md"):
        old.unlink()
    paths = [path.split("/") for path in git("ls-tree", "-r", "--name-only", "HEAD").split("\n")]
    for path in paths:
        if path[0] != "crates" or path[1] not in crates:
            continue
        text = git("show", "HEAD:" + "/".join(path))
        facts = tomllib.loads(re.match(r"```toml\n(.*?)\n```", text, re.S)[1])
        advisory = {key: facts["advisory"][key] for key in KEEP if key in facts["advisory"]}
        address = f"https://rustsec.org/advisories/{advisory['id']}"
        lines = ["```toml", "[advisory]"]
        lines += [f"{key} = {toml(value)}" for key, value in advisory.items()]
        lines += [f'url = "{address}"', "", "[versions]"]
        lines += [f"{key} = {toml(value)}" for key, value in facts["versions"].items()]
        lines += ["```", "", f"# {advisory['package']}: {advisory['id']}", "", f"See {address}.", ""]
        pinned = HERE.joinpath(*path)
        pinned.parent.mkdir(parents=True, exist_ok=True)
        pinned.write_text("\n".join(lines))
    (HERE / "DATE").write_text(git("log", "-1", "--format=%cs"))


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
