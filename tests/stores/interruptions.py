"""Processes that are interrupted or killed in the middle of a transfer, and which of them use the
network."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import processes
from checks import LIMIT_S, MIB, PASSPHRASE, Bench, Failure, nothing_beside, same, url
from proxy import Proxy
from servers import SECRET

LENGTH = 200 * MIB
# Slow enough that it is still in the middle when the signal comes.
RATE = 40 * MIB
MIDDLE = 40 * MIB
# Time for those who are left after main has ended.
END_S = 20


def jobs(bench: Bench) -> list[Callable[[], None]]:
    found = [partial(interrupted, bench, number, group) for number in (signal.SIGINT, signal.SIGTERM) for group in (False, True)]
    others = [killed_main, killed_transport, signalled_transport, killed_worker, interrupted_download, killed_transport_of_download]
    others += [descriptors, traced]
    return found + [partial(job, bench) for job in others]


@contextmanager
def uploading(bench: Bench) -> Iterator[tuple[subprocess.Popen, str]]:
    """An upload in its middle, with two workers."""
    key = bench.key("target")
    with Proxy(bench.store.port, rate_up=RATE) as proxy:
        args = ["encrypt", bench.plain(LENGTH), url(key), "-i", bench.identity, "--processes", "2"]
        with running(bench, proxy, args) as process:
            proxy.await_bytes("up", MIDDLE)
            yield process, key


@contextmanager
def downloading(bench: Bench) -> Iterator[tuple[subprocess.Popen, Path, Proxy]]:
    """A download that is held in its middle, with two workers."""
    key, out = bench.put("source", bench.encrypted(bench.plain(LENGTH))), bench.new("out")
    with Proxy(bench.store.port, hold_after=MIDDLE) as proxy:
        with running(bench, proxy, ["decrypt", url(key), out, "-i", bench.identity, "--processes", "2"]) as process:
            proxy.await_bytes("down", MIDDLE)
            yield process, out, proxy


@contextmanager
def running(bench: Bench, proxy: Proxy, args: list) -> Iterator[subprocess.Popen]:
    process = bench.start(*args, store=bench.store.at(proxy.port), stderr=subprocess.PIPE)
    everybody = []
    try:
        yield process
    finally:
        everybody = processes.descendants(process.pid)
        for pid in [process.pid, *everybody]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
        process.stderr.close()


def end(process: subprocess.Popen, expected: set[int], everybody: list[int]) -> int:
    """The status of main, which is one of these, after all its processes have ended."""
    _, text = process.communicate(timeout=LIMIT_S)
    if process.returncode not in expected:
        raise Failure(f"status {process.returncode} instead of {expected}: {text.decode(errors='replace')}")
    if left := processes.await_end(everybody, END_S):
        raise Failure(f"these still run: {[processes.arguments(it)[:2] for it in left]}")
    return process.returncode


def the_transport(process: subprocess.Popen) -> int:
    found = processes.transports(process.pid)
    if len(found) != 1:
        raise Failure(f"there are {len(found)} transport processes")
    return found[0]


def interrupted(bench: Bench, number: signal.Signals, is_group: bool) -> None:
    whom = "all processes" if is_group else "main"
    with bench.check(f"{number.name} to {whom} aborts the upload"), uploading(bench) as (process, key):
        everybody = processes.descendants(process.pid)
        if is_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        end(process, {128 + number}, everybody)
        bench.nothing_at(key)


def killed_main(bench: Bench) -> None:
    with bench.check("SIGKILL of main leaves no object"), uploading(bench) as (process, key):
        everybody = processes.descendants(process.pid)
        process.kill()
        end(process, {-signal.SIGKILL}, everybody)
        if keys := bench.keys(key):
            raise Failure(f"there are objects: {keys}")
        if len(uploads := bench.uploads(key)) > 1:
            raise Failure(f"several uploads are open: {uploads}")


def killed_transport(bench: Bench) -> None:
    with bench.check("SIGKILL of the transport"), uploading(bench) as (process, key):
        os.kill(the_transport(process), signal.SIGKILL)
        whole_or_nothing(bench, process, key)


def signalled_transport(bench: Bench) -> None:
    with bench.check("SIGINT to the transport alone"), uploading(bench) as (process, key):
        os.kill(the_transport(process), signal.SIGINT)
        whole_or_nothing(bench, process, key)


def killed_worker(bench: Bench) -> None:
    with bench.check("SIGKILL of a worker"), uploading(bench) as (process, key):
        os.kill(processes.workers(process.pid)[0], signal.SIGKILL)
        end(process, {0}, [])
        bench.decrypts(url(key), bench.plain(LENGTH))


def whole_or_nothing(bench: Bench, process: subprocess.Popen, key: str) -> None:
    """It goes on with another transport, or it fails; the object is whole or not there."""
    status = end(process, {0, 70, 74, 75}, [])
    if status == 0:
        bench.decrypts(url(key), bench.plain(LENGTH))
    elif keys := bench.keys(key):
        raise Failure(f"there are objects: {keys}")
    if len(uploads := bench.uploads(key)) > 1:
        raise Failure(f"several uploads are open: {uploads}")


def interrupted_download(bench: Bench) -> None:
    with bench.check("SIGINT in the middle of a download"), downloading(bench) as (process, out, _):
        everybody = processes.descendants(process.pid)
        process.send_signal(signal.SIGINT)
        end(process, {128 + signal.SIGINT}, everybody)
        nothing_beside(out)


def killed_transport_of_download(bench: Bench) -> None:
    with bench.check("SIGKILL of the transport in the middle of a download"), downloading(bench) as (process, out, proxy):
        os.kill(the_transport(process), signal.SIGKILL)
        proxy.release()
        if end(process, {0, 70, 74, 75}, []) == 0:
            same(out, bench.plain(LENGTH))
        else:
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
