"""The processes of a running cryptstream, and which of them used the network."""

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

TRANSPORT = "__transport"
INET = re.compile(r"AF_INET6?\b")
CLONE = re.compile(r"^(clone3?|v?fork)\(")


def parents() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:  # it has ended
                continue
            state, parent = stat.rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                found[int(entry)] = int(parent)
    return found


def descendants(pid: int) -> list[int]:
    """Everybody whom this process has started, themselves or through others."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found, ahead = [], [pid]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def transports(pid: int) -> list[int]:
    return [it for it in descendants(pid) if TRANSPORT in arguments(it)]


def workers(pid: int) -> list[int]:
    """Those who do neither the network's part nor main's."""
    return [it for it in descendants(pid) if TRANSPORT not in arguments(it)]


def await_end(pids: list[int], seconds: float) -> list[int]:
    """Those who still run after so long."""
    deadline = time.monotonic() + seconds
    while (left := [it for it in pids if it in parents()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@dataclass
class Traced:
    """One process in the output of `strace -f`, with all its threads."""

    arguments: str = ""
    calls: list[str] = field(default_factory=list)


def read_trace(text: str) -> list[Traced]:
    """The processes in the output of `strace -f -o FILE`.

    Each line begins with the number of a thread. A thread belongs to the process that has
    cloned it with CLONE_THREAD; everything else that was cloned is a process.
    """
    found: list[Traced] = []
    of_thread: dict[str, Traced] = {}
    # Children whose first call stands before the end of the call that made them.
    is_thread: dict[str, bool] = {}
    started: dict[str, str] = {}

    lines = [line.split(None, 1) for line in text.splitlines() if " " in line]
    parent_of: dict[str, str] = {}
    for thread, call in lines:
        if CLONE.match(call):
            started[thread] = call
        if (CLONE.match(call) or re.match(r"<\.\.\. (clone3?|v?fork) resumed", call)) and "unfinished" not in call:
            if number := re.search(r"= (\d+)$", call):
                parent_of[number[1]] = thread
                is_thread[number[1]] = "CLONE_THREAD" in started[thread]

    def process(thread: str) -> Traced:
        if thread not in of_thread:
            if is_thread.get(thread):
                of_thread[thread] = process(parent_of[thread])
            else:
                # What it has not replaced by `execve` it has from its parent.
                parent = parent_of.get(thread)
                of_thread[thread] = Traced(process(parent).arguments if parent else "")
                found.append(of_thread[thread])
        return of_thread[thread]

    for thread, call in lines:
        here = process(thread)
        if call.startswith("execve("):
            here.arguments = call
        here.calls.append(call)
    return found


def uses_network(traced: Traced) -> list[str]:
    return [call for call in traced.calls if call.startswith(("socket(", "connect(")) and INET.search(call)]


def connections(pid: int) -> list[str]:
    """The Internet sockets that a process has, whoever opened them."""
    inodes = set()
    for table in ["tcp", "tcp6", "udp", "udp6"]:
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        inodes |= {line.split()[9] for line in lines}
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if link.startswith("socket:[") and link[8:-1] in inodes:
            found.append(link)
    return found
