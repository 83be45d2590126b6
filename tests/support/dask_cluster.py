"""A Dask scheduler with workers on this machine, in processes of their own.

As a program (``python -m tests.support.dask_cluster WORKERS FOLDER``) it prints the scheduler's
address, and ends when its input ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from distributed import LocalCluster

from tests.support.checkout import PROJECT

CLOSE_SECONDS = 60.0  # that a cluster gets to end


@contextmanager
def dask_cluster(
    folder: Path, workers: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start a cluster and yield its address.

    Parameters
    ----------
    folder
        Where its workers keep their files.
    workers
        Number of workers.
    environment
        Additional environment variables, such as Dask's settings.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.dask_cluster", str(workers), str(folder)],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            # It ends at once, and says then what it has not put away.
            "PYTHONWARNINGS": "ignore:resource_tracker",
            **(environment or {}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdin
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def main(workers: str, folder: str) -> None:
    """Run a cluster until the end of the input."""
    secure = "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION" in os.environ
    with LocalCluster(
        n_workers=int(workers),
        threads_per_worker=1,
        host="127.0.0.1",
        protocol="tls://" if secure else "tcp://",
        dashboard_address=":0",
        local_directory=folder,
        # A machine that is busy takes as long for that as a run waits for a worker's answer.
        preload="filmkit.render.cluster_worker",
    ) as local:
        sys.stdout.write(f"{local.scheduler_address}\n")
        sys.stdout.flush()
        sys.stdin.read()
        # Workers end at once when this process is gone. Asked to, those that have loaded Manim
        # would take four seconds until they are killed.
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
