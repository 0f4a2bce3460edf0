#!/usr/bin/env python3
"""Reports types of other projects in the public signatures of the crates named as arguments.

Such a type would make every new version of its crate a breaking change of ours. What is
declared `pub` is taken for public; the lint `unreachable_pub` sees to that.
"""
import pathlib
import re
import sys
import tomllib

ITEM = re.compile(
    r"^ *pub (?:(?:const )?fn [^{;]*|(?:type|const|static) [^;]*"
    r"|\w+: [^\n]*|enum \w+[^{]*\{.*?^\}|trait \w+[^{]*\{.*?^\})",
    re.M | re.S,
)


def foreign(code, dependencies):
    """Names that a file imports from other projects."""
    names = set()
    for root, rest in re.findall(r"^\s*(?:pub )?use (\w+)(::[^;]*);", code, re.M):
        if root in dependencies:
            names.update(re.findall(r"\w+(?=\s*(?:[,;}]|$))", rest))
    return names


def leaks(code, dependencies):
    """Lines with such names, and the names."""
    code = re.sub(r'//.*|"(?:\\.|[^"\\])*"', "", code)
    code = re.split(r"#\[cfg\(test\)\]\s*mod \w+", code)[0]
    names = foreign(code, dependencies) | dependencies
    for item in ITEM.finditer(code):
        for name in re.findall(r"\b[A-Za-z_]\w*\b", item.group()):
            if name in names:
                yield code.count("\n", 0, item.start()) + 1, name


# It must find what it is for.
SAMPLE = "use rustix::fs::{Mode, Stat};\n"
for sample in ["pub fn f(s: &Stat)", "    pub mode: Mode,", "pub enum E {\n    A(Stat),\n}",
               "pub fn f() -> libc::c_int"]:
    assert list(leaks(f"{SAMPLE}{sample}\n", {"libc", "rustix"})), sample
private = "pub(crate) fn f(s: &Stat);\npub fn g() { Mode::empty() }\n"
assert not list(leaks(SAMPLE + private, {"rustix"}))

found = []
for crate in sys.argv[1:]:
    folder = pathlib.Path("crates", crate)
    manifest = tomllib.loads((folder / "Cargo.toml").read_text())
    dependencies = {
        name.replace("-", "_")
        for name in manifest["dependencies"]
        if not name.startswith("cryptstream")
    }
    for path in sorted(folder.glob("src/**/*.rs")):
        for line, name in leaks(path.read_text(), dependencies):
            found.append(f"public signature with a foreign type: {path}:{line}: {name}")
print(*found, sep="\n", end="\n" if found else "")
sys.exit(bool(found))
