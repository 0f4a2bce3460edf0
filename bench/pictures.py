#!/usr/bin/env python3
"""Draws the pictures of the README from real runs.

    pictures.py terminal PROGRAM        runs PROGRAM in a pseudo-terminal
    pictures.py speed RESULTS.json      draws the medians of bench/peers.sh

Both write an SVG to docs/images. The first needs `pip install pyte`, a terminal emulator.
"""

import html
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs/images"
COLUMNS, LINES = 100, 40
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
# The colours of the terminal's palette, as pyte names them.
COLOURS = {
    "default": "#d8dee9", "red": "#ff6b6b", "green": "#8fd694", "brown": "#ffd166",
    "blue": "#7aa2f7", "magenta": "#c792ea", "cyan": "#5ad4e6", "white": "#ffffff",
    "brightred": "#ff6b6b", "brightcyan": "#5ad4e6", "brightgreen": "#8fd694",
}

# What is typed; `#` runs unseen.
SESSION = """
# mkdir -p photos/2025 photos/2026
# for i in $(seq 400); do head -c 1500000 /dev/urandom > photos/2025/$i.raw; done
# for i in $(seq 300); do head -c 400000 /dev/urandom > photos/2026/$i.jpg; done
# cryptstream keygen -o me.key 2> /dev/null
cryptstream encrypt photos backup -i me.key
cryptstream encrypt photos backup -i me.key --newer
cryptstream inspect backup/2025/7.raw.enc
# printf 'x' | dd of=backup/2025/7.raw.enc bs=1 seek=700000 conv=notrunc status=none
cryptstream verify backup -i me.key
cryptstream decrypt backup/2025/7.raw.enc 7.raw -i me.key
ls 7.raw
"""


def run(command: str, folder: str, environment: dict[str, str]) -> bytes:
    """Runs a command in a pseudo-terminal; returns what it prints."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("sh", ["sh", "-c", f"stty cols {COLUMNS} rows {LINES}; {command}"], environment)
    printed = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if not part:
            break
        printed += part
    os.waitpid(pid, 0)
    os.close(terminal)
    return printed


def terminal(program: str) -> str:
    import pyte

    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/bin")
        os.symlink(Path(program).resolve(), f"{folder}/bin/cryptstream")
        work = f"{folder}/work"
        os.mkdir(work)
        environment = {
            "PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": folder,
            "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
        }
        for line in SESSION.strip().splitlines():
            if line.startswith("# "):
                subprocess.run(["bash", "-c", line[2:]], cwd=work, env=environment, check=True)
                continue
            stream.feed(f"\x1b[1;32m$\x1b[0m \x1b[1m{line}\x1b[0m\r\n".encode())
            stream.feed(run(line, work, environment))
    rows = [screen.buffer[y] for y in range(LINES)]
    last = max(y for y in range(LINES) if any(rows[y][x].data.strip() for x in range(COLUMNS)))
    width, height = COLUMNS * 8.4 + 40, (last + 1) * 19 + 56
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'role="img" aria-label="CryptStream in a terminal">',
        f'<rect width="100%" height="100%" rx="10" fill="#1b1f2a"/>',
        *(f'<circle cx="{24 + 18 * n}" cy="20" r="6" fill="{c}"/>' for n, c in enumerate(["#ff6b6b", "#ffd166", "#8fd694"])),
        f'<g font-family="{FONT}" font-size="14" xml:space="preserve">',
    ]
    for y in range(last + 1):
        # Runs of characters of one look, each at its column.
        x = 0
        while x < COLUMNS:
            look = (rows[y][x].fg, rows[y][x].bold)
            end = x
            while end < COLUMNS and (rows[y][end].fg, rows[y][end].bold) == look:
                end += 1
            text = "".join(rows[y][n].data for n in range(x, end)).rstrip()
            if text:
                fill = COLOURS.get(look[0]) or f"#{look[0]}"
                weight = ' font-weight="bold"' if look[1] else ""
                out.append(
                    f'<text x="{20 + 8.4 * x:.1f}" y="{52 + 19 * y}" fill="{fill}"{weight} '
                    f'textLength="{8.4 * len(text):.1f}">{html.escape(text)}</text>'
                )
            x = end
    return "\n".join([*out, "</g>", "</svg>", ""])


# The contestants that the chart shows, and how it names them.
SHOWN = {
    "cp": "cp", "cryptstream": "CryptStream", "age": "age", "rage": "rage",
    "openssl": "openssl*", "gpg": "gpg",
}


def speed(results: str) -> str:
    """Bars of the medians of encrypting and decrypting 1 GiB, relative to cp."""
    report = json.loads(Path(results).read_text())
    rows = []
    for word in ["encrypt", "decrypt"]:
        works = [r for r in report["results"] if re.search(rf"\b{word} 1024 MiB$", r["work"])]
        bars = {}
        for work in works:
            for contestant in work["contestants"]:
                name = re.split(r"[ ,]", contestant["name"])[0]
                if name in SHOWN and "--processes 0" not in contestant["name"] and name not in bars:
                    bars[name] = contestant["ratio"]
        rows.append((word, bars))
    longest = max(ratio for _, bars in rows for ratio in bars.values())
    scale = 440 / longest
    machine = report["machine"]
    out, y = [], 56
    for word, bars in rows:
        out.append(f'<text x="20" y="{y}" class="head">{word.capitalize()} 1 GiB, time relative to cp (shorter is better)</text>')
        y += 14
        for name, label in SHOWN.items():
            if name not in bars:
                continue
            own = " own" if name == "cryptstream" else ""
            length = bars[name] * scale
            out.append(f'<text x="118" y="{y + 16}" text-anchor="end" class="label{own}">{label}</text>')
            out.append(f'<rect x="128" y="{y + 2}" width="{length:.1f}" height="18" rx="3" class="bar{own}"/>')
            out.append(f'<text x="{136 + length:.1f}" y="{y + 16}" class="label{own}">{bars[name]:.2f}</text>')
            y += 26
        y += 34
    note = f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}, medians of {report['results'][0]['runs']} runs; * without authentication"
    out.append(f'<text x="20" y="{y - 6}" class="note">{html.escape(note)}</text>')
    style = (
        f"text{{font-family:system-ui,sans-serif;fill:#24292f}}.head{{font-size:15px;font-weight:600}}"
        ".label{font-size:13px}.note{font-size:12px;opacity:.7}.own{font-weight:700}"
        ".bar{fill:#9aa7b8}.bar.own{fill:#2f6fed}rect.back{fill:#fff}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#5b6675}.bar.own{fill:#5b9bff}rect.back{fill:#0d1117}}"
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {y + 10}" role="img" '
        'aria-label="Time to encrypt and decrypt 1 GiB relative to cp">',
        f"<style>{style}</style>", '<rect class="back" width="100%" height="100%" rx="8"/>',
        '<text x="20" y="26" class="head">CryptStream beside other programs</text>',
        *out, "</svg>", "",
    ])


def main() -> None:
    match sys.argv[1:]:
        case ["terminal", program]:
            (IMAGES / "terminal.svg").write_text(terminal(program))
        case ["speed", results]:
            (IMAGES / "speed.svg").write_text(speed(results))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
