"""Processes that are interrupted or killed in the middle of a transfer, and which of them use the
network."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import processes
from checks import LIMIT_S, MIB, PASSPHRASE, Bench, Failure, await_status, nothing_beside, same, url
from proxy import Proxy
from servers import SECRET

LENGTH = 200 * MIB
# Slow enough that it is still in the middle when the signal comes.
RATE = 40 * MIB
MIDDLE = 40 * MIB
# How long main tries to abort an upload.
ABORT_S = 5
# Time for those who are left after main has ended.
END_S = 20


def jobs(bench: Bench) -> list[Callable[[], None]]:
    lost = [lost_transport, lost_transport_of_download]
    # That a process hangs is noticed after half a minute, so these come first.
    found = [partial(job, bench, number) for number in (signal.SIGSTOP, signal.SIGKILL) for job in lost]
    found += [partial(interrupted, bench, number, group) for number in (signal.SIGINT, signal.SIGTERM) for group in (False, True)]
    others = [killed_main, killed_worker, lost_transports, interrupted_download, descriptors, traced]
    return found + [partial(job, bench) for job in others]


@contextmanager
def uploading(bench: Bench) -> Iterator[tuple[subprocess.Popen, str]]:
    """An upload in its middle, with two workers."""
    key = bench.key("target")
    with Proxy(bench.store.port, rate_up=RATE) as proxy:
        args = ["encrypt", bench.plain(LENGTH), url(key), "-i", bench.identity, "--processes", "2"]
        with bench.running(*args, store=bench.store.at(proxy.port)) as process:
            proxy.await_bytes("up", MIDDLE)
            yield process, key


@contextmanager
def downloading(bench: Bench) -> Iterator[tuple[subprocess.Popen, Path, Proxy]]:
    """A download that is held in its middle, with two workers."""
    key, out = bench.put("source", bench.encrypted(bench.plain(LENGTH))), bench.new("out")
    with Proxy(bench.store.port, hold_after=MIDDLE) as proxy:
        args = ["decrypt", url(key), out, "-i", bench.identity, "--processes", "2"]
        with bench.running(*args, store=bench.store.at(proxy.port)) as process:
            proxy.await_bytes("down", MIDDLE)
            yield process, out, proxy


def end(process: subprocess.Popen, number: signal.Signals, everybody: list[int]) -> None:
    """The signal ends main, and then all its processes end."""
    await_status(process, -number, 128 + number)
    all_ended(everybody)


def all_ended(everybody: list[int]) -> None:
    if left := processes.await_end(everybody, END_S):
        raise Failure(f"these still run: {[processes.arguments(it)[:2] for it in left]}")


def the_transport(process: subprocess.Popen) -> int:
    """The transport that is connected; others may stand by."""
    found = [it for it in processes.transports(process.pid) if processes.connections(it)]
    if len(found) != 1:
        raise Failure(f"{len(found)} transport processes have connections")
    return found[0]


def interrupted(bench: Bench, number: signal.Signals, is_group: bool) -> None:
    whom = "all processes" if is_group else "main"
    with bench.check(f"{number.name} to {whom} aborts the upload"), uploading(bench) as (process, key):
        everybody = processes.descendants(process.pid)
        start = time.monotonic()
        if is_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        end(process, number, everybody)
        bench.no_object(key)
        # A server that does not answer in time is left with the upload.
        if time.monotonic() - start < ABORT_S:
            bench.no_uploads(key)


def killed_main(bench: Bench) -> None:
    with bench.check("SIGKILL of main leaves no object"), uploading(bench) as (process, key):
        everybody = processes.descendants(process.pid)
        process.kill()
        end(process, signal.SIGKILL, everybody)
        bench.no_object(key)
        if len(uploads := bench.uploads(key)) > 1:
            raise Failure(f"several uploads are open: {uploads}")


def lost_transport(bench: Bench, number: signal.Signals) -> None:
    """It dies, or hangs: another one does its work."""
    with bench.check(f"{number.name} to the transport in the middle of an upload"), uploading(bench) as (process, key):
        os.kill(the_transport(process), number)
        await_status(process, 0)
        bench.decrypts(url(key), bench.plain(LENGTH))
        bench.no_uploads(key)


def lost_transport_of_download(bench: Bench, number: signal.Signals) -> None:
    with bench.check(f"{number.name} to the transport in the middle of a download"), downloading(bench) as (process, out, proxy):
        os.kill(the_transport(process), number)
        proxy.release()
        await_status(process, 0)
        same(out, bench.plain(LENGTH))


def lost_transports(bench: Bench) -> None:
    with bench.check("SIGKILL of all transports in the middle of an upload"), uploading(bench) as (process, key):
        everybody = processes.descendants(process.pid)
        for transport in processes.transports(process.pid):
            os.kill(transport, signal.SIGKILL)
        await_status(process, 75)
        bench.no_object(key)
        if len(uploads := bench.uploads(key)) > 1:
            raise Failure(f"several uploads are open: {uploads}")
        all_ended(everybody)


def killed_worker(bench: Bench) -> None:
    with bench.check("SIGKILL of a worker"), uploading(bench) as (process, key):
        os.kill(processes.workers(process.pid)[0], signal.SIGKILL)
        await_status(process, 0)
        bench.decrypts(url(key), bench.plain(LENGTH))


def interrupted_download(bench: Bench) -> None:
    with bench.check("SIGINT in the middle of a download"), downloading(bench) as (process, out, _):
        everybody = processes.descendants(process.pid)
        process.send_signal(signal.SIGINT)
        end(process, signal.SIGINT, everybody)
        nothing_beside(out)


def descriptors(bench: Bench) -> None:
    """In the middle of an upload the transport alone has a connection, and the secret is nowhere
    among the arguments."""
    with bench.check("only the transport has connections, and no argument tells the secret"), uploading(bench) as (process, _):
        transport = the_transport(process)
        if not processes.connections(transport):
            raise Failure("the transport has no connection")
        for pid in [process.pid, *processes.descendants(process.pid)]:
            if SECRET in " ".join(processes.arguments(pid)):
                raise Failure(f"the secret is an argument of {processes.arguments(pid)}")
            if pid != transport and processes.connections(pid):
                raise Failure(f"this process has connections: {processes.arguments(pid)}")


def traced(bench: Bench) -> None:
    what = "only the transport calls socket and connect"
    if not shutil.which("strace"):
        bench.tally.skip(what, "strace is not installed")
        return
    plain, key, out = bench.plain(20 * MIB), bench.key("target"), bench.new("out")
    for args in [
        ["encrypt", plain, url(key)],
        ["decrypt", url(key), out],
        ["decrypt", "--range=0-99", url(key), bench.new("range")],
        ["verify", url(key)],
        ["inspect", url(key)],
    ]:
        with bench.check(f"{args[0]}: {what}"):
            trace = bench.new("trace")
            keys = [] if args[0] == "inspect" else ["--processes", "2"]
            strace = ["strace", "-f", "-v", "-s", "100000", "-e", "trace=socket,connect,execve,clone,clone3,fork,vfork", "-e", "signal=none", "-o", trace]
            done = subprocess.run(
                [*map(str, strace), bench.program, *map(str, args + keys)],
                env=bench.store.environment | {"CRYPTSTREAM_PASSPHRASE": PASSPHRASE},
                capture_output=True,
                timeout=LIMIT_S,
            )
            if done.returncode != 0:
                raise Failure(f"status {done.returncode}: {done.stderr.decode(errors='replace')}")
            judge_trace(trace.read_text(errors="replace"))


def judge_trace(text: str) -> None:
    found = processes.read_trace(text)
    networked = 0
    for traced_one in found:
        is_transport = f'"{processes.TRANSPORT}' in traced_one.arguments
        calls = processes.uses_network(traced_one)
        networked += is_transport and bool(calls)
        if calls and not is_transport:
            raise Failure(f"{traced_one.arguments[:200]}: {calls[:3]}")
        if is_transport and PASSPHRASE in traced_one.arguments:
            raise Failure("the transport got the passphrase")
    if networked != 1:
        raise Failure(f"{networked} transports among {len(found)} processes used the network")
