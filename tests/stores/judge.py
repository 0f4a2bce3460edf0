"""cryptstream and object stores.

What it puts into SeaweedFS is fetched with boto3, s5cmd and rclone, and what they put is read by
it. What must be refused is refused and leaves nothing, as does what is interrupted. Only the
transport process uses the network. A short list is repeated with moto, and another one with emulators
of Azure Blob Storage and Google Cloud Storage.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

import clouds  # noqa: E402
import interruptions  # noqa: E402
import maintenance  # noqa: E402
import recipes  # noqa: E402
import refusals  # noqa: E402
import round_trips  # noqa: E402
import trees  # noqa: E402
from checks import Bench, Tally, run_all  # noqa: E402
from servers import Unavailable, moto, seaweedfs  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--only", default="", help="a part of the name of a check's function")
    parser.add_argument("-v", "--verbose", action="store_true", help="names the checks that hold")
    arguments = parser.parse_args()
    program = str(arguments.program.resolve())
    start = time.monotonic()
    tally = Tally(arguments.verbose)
    with tempfile.TemporaryDirectory(prefix="cryptstream-stores-") as name:
        for server, parts in {
            seaweedfs: [
                interruptions.jobs, trees.jobs, round_trips.jobs, refusals.jobs, maintenance.jobs, recipes.jobs,
            ],
            moto: [round_trips.short_jobs, refusals.short_jobs, maintenance.jobs],
        }.items():
            with contextlib.ExitStack() as running:
                try:
                    store = running.enter_context(server(Path(name) / server.__name__))
                except Unavailable as error:
                    tally.skip(server.__name__, error)
                    continue
                bench = Bench(program, Path(name) / f"with-{server.__name__}", store, tally)
                jobs = [job for part in parts for job in part(bench)]
                run_all([job for job in jobs if arguments.only in job.func.__name__])
        for kind in [clouds.Azure, clouds.Google]:
            try:
                with clouds.running(kind, Path(name) / kind.__name__) as store:
                    cloud = clouds.Cloud(program, Path(name) / f"with-{kind.__name__}", store, tally)
                    run_all([job for job in clouds.jobs(cloud) if arguments.only in job.func.__name__])
            except Unavailable as error:
                tally.skip(kind.name, error)
    print(f"stores: in {time.monotonic() - start:.0f} s")
    print(f"stores: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
