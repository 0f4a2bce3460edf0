#!/usr/bin/env python3
"""Runs a command on a terminal of its own and answers what it asks for.

    python terminal.py SECRET command...

SECRET is typed whenever the command has switched the echo off and waits. What
the terminal showed goes to standard error; the exit status is the command's.
"""

import os
import pty
import select
import sys
import termios
import time

PATIENCE = 60  # seconds
MOST_ANSWERS = 4  # a command that asks more often does not like the answers


def echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def main() -> int:
    secret, command = sys.argv[1], sys.argv[2:]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    shown, asked_at, answers = b"", 0, 0
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        # A question is text since the last answer, and no echo.
        elif answers < MOST_ANSWERS and len(shown) > asked_at and not echoes(terminal):
            os.write(terminal, secret.encode() + b"\n")
            asked_at, answers = len(shown), answers + 1
    else:
        os.kill(pid, 9)
        shown += b"\n(killed: it took too long)"
    status = os.waitpid(pid, 0)[1]
    os.write(2, shown)
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())
