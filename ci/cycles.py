#!/usr/bin/env python3
"""Reports module cycles inside the crates named as arguments, and exits 1 if there are any.

A module is a file. It depends on the file that defines what it names, whatever re-exports lie
between. A re-export that the file does not use itself is no dependency, and tests do not count.
"""
import pathlib
import re
import sys

NAME = r"[A-Za-z_]\w*"


def code_of(path):
    """The code of a file, without comments, strings and tests."""
    code = re.sub(r'''//.*|'(?:\\.|[^'\\])'|"(?:\\.|[^"\\])*"|\br#''', "", path.read_text())
    code = re.sub(r"\bpub\(in [^)]*\)", "pub(super)", code)
    return re.split(r"#\[cfg\(test\)\]\s*(?:pub )?mod \w+ \{", code)[0]


def leaves(tree):
    """Pairs of path and local name that a `use` declaration brings in."""
    tree = tree.strip()
    if "{" in tree:
        prefix, inner = tree.split("{", 1)
        depth, start = 0, 0
        inner = inner.rsplit("}", 1)[0] + ","
        for at, letter in enumerate(inner):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                if inner[start:at].strip():
                    yield from leaves(prefix + inner[start:at].strip())
                start = at + 1
        return
    path, _, alias = tree.partition(" as ")
    parts = [part.strip() for part in path.split("::")]
    if parts[-1] in ("self", "*"):
        parts.pop()
    yield tuple(parts), alias.strip() or parts[-1]


class Crate:
    def __init__(self, src):
        self.code, self.names, self.globs, self.edges = {}, {}, {}, {}
        for path in sorted(src.rglob("*.rs")):
            module = path.relative_to(src).with_suffix("").parts
            if module[-1] != "tests":
                module = module[:-1] if module[-1] in ("lib", "main", "mod") else module
                self.code[module] = code_of(path)
        uses = {}
        for module, code in self.code.items():
            uses[module] = [
                (bool(public), leaf)
                for public, tree in re.findall(r"^ *(pub(?:\([^)]*\))? +)?use ([^;]+);", code, re.M)
                for leaf in leaves(tree)
            ]
            self.names[module] = {name: path for _, (path, name) in uses[module]}
            globs = re.findall(rf"^ *(?:pub(?:\([^)]*\))? +)?use ([\w:]+)::\*;", code, re.M)
            self.globs[module] = [tuple(path.split("::")) for path in globs]
        for module, code in self.code.items():
            body = re.sub(r"^ *(pub(?:\([^)]*\))? +)?(use [^;]+|mod \w+);", "", code, flags=re.M)
            paths = [
                path
                for public, (path, name) in uses[module]
                if not public or re.search(rf"\b{name}\b", body)
            ]
            paths += [tuple(p.split("::")) for p in re.findall(rf"\b{NAME}(?:::{NAME})+", body)]
            found = {self.definer(module, path) for path in paths}
            self.edges[module] = found - {None, module}

    def definer(self, module, path, seen=()):
        """The module in which the thing at `path`, named in `module`, is defined."""
        if (module, path) in seen:
            return None
        seen = (*seen, (module, path))
        first, rest = path[0], path[1:]
        if first == "crate":
            return self.inside((), rest, seen)
        if first in ("self", "super"):
            return self.inside(module if first == "self" else module[:-1], rest, seen)
        is_module = (*module, first) in self.code
        # `use a::a` names another crate.
        is_named = self.names[module].get(first, (first,))[0] != first
        return self.inside(module, path, seen) if is_module or is_named else None

    def inside(self, module, path, seen):
        if path and path[0] == "super":
            return self.inside(module[:-1], path[1:], seen)
        if path and (*module, path[0]) in self.code:
            return self.inside((*module, path[0]), path[1:], seen)
        if path and path[0] in self.names[module]:
            return self.definer(module, self.names[module][path[0]] + path[1:], seen)
        if path and not re.search(rf"\b(?:fn|struct|enum|trait|type|const|static) {path[0]}\b", self.code[module]):
            for glob in self.globs[module]:
                found = self.definer(module, glob + path, seen)
                if found and re.search(rf"\b{path[0]}\b", self.code[found]):
                    return found
        return module

    def cycles(self):
        """The strongly connected components of more than one module."""
        reach = {}
        for start in self.edges:
            todo, found = [start], set()
            while todo:
                new = self.edges[todo.pop()] - found
                found |= new
                todo += new
            reach[start] = found
        groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in reach}
        return sorted((group for group in groups if len(group) > 1), key=len)


def main():
    failed = False
    for name in sys.argv[1:]:
        crate = Crate(pathlib.Path(__file__).parent.parent / "crates" / name / "src")
        show = lambda module: "::".join(module) or "lib"
        for cycle in crate.cycles():
            failed = True
            print(f"{name}: a cycle of {len(cycle)} modules")
            for module in sorted(cycle):
                print("   ", show(module), "->", ", ".join(map(show, sorted(crate.edges[module] & cycle))))
    sys.exit(failed)


if __name__ == "__main__":
    main()
