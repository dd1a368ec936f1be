"""Clusters beside each other on one machine: each program has its own, joins another only where
that is asked for, and leaves nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from benchmarks.parts.processes import eventually, lives

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(150)]

# Says what it was told, its node's address and folder, and every process of its cluster; ends when
# it is sent a line.
PROGRAM = """
import sys, ray
from evoray.distributed.cluster.connection import cluster
from evoray.distributed.cluster.session import own_session

with cluster(sys.argv[1], dashboard=False) as told:
    ray.get(ray.remote(lambda: 1).remote())
    session = own_session()
    print(told, flush=True)
    print(ray.nodes()[0]["NodeManagerAddress"], *map(str, session.folders), flush=True)
    print(*(pid for pid, _ in session.processes), flush=True)
    sys.stdin.readline()
"""


def started(folder: Path, address: str = "", **environment: str) -> subprocess.Popen[str]:
    """A program with a cluster, in whose temporary folder a dead one has left its address."""
    (folder / "ray").mkdir(exist_ok=True)
    (folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:9", encoding="utf-8")
    mine = {**os.environ, "RAY_TMPDIR": str(folder), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address],
        env=mine,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(program: subprocess.Popen[str]) -> tuple[str, str, list[Path], list[int]]:
    """Reads what the program prints of itself: what it was told, address, session folders and
    processes.
    """
    assert program.stdout is not None
    told, where, pids = (program.stdout.readline().strip() for _ in range(3))
    address, *folders = where.split()
    return told, address, [Path(folder) for folder in folders], [int(pid) for pid in pids.split()]


def test_a_dead_clusters_address_one_that_ends_and_one_that_is_killed_disturb_nobody(
    local_ray: None, cluster_environment: str
) -> None:
    folder, here = Path(cluster_environment), ray.get_runtime_context().gcs_address
    ending = started(folder)
    joining = started(folder, RAY_ADDRESS=here)  # as in a submitted job
    told, _, folders, processes = said(joining)
    assert f"joined the Ray cluster at {here}" in told
    assert (folders, processes) == ([], [])
    told, address, (session,), processes = said(ending)
    assert "joined" not in told
    assert address == "127.0.0.1", "a local cluster listens to other machines"
    assert session.is_dir()
    killed = started(folder)
    _, _, _, others = said(killed)
    assert len(others) >= 3
    for program in (joining, ending):
        program.communicate("\n", timeout=60)
        assert program.returncode == 0
    assert not session.exists()
    assert not [pid for pid in processes if lives(pid)]
    assert all(lives(pid) for pid in others), (
        "the end of one cluster has ended processes of another"
    )
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    # Ray's two agents of a node look only once a minute whether it still lives; to wait for them
    # would prove nothing of ours.
    assert eventually(lambda: len([pid for pid in others if lives(pid)]) <= 2)
    assert ray.get(ray.remote(lambda: 1).remote()) == 1


# Is sent SIGTERM in the middle of the cluster's end: while it is looked for, while Ray ends it, or
# where Ray never comes back.
ENDING = """
import os, signal, sys, time, ray
import evoray.distributed.cluster.connection as module
from evoray.distributed.cluster.session import own_session
from jobs.terminal.stopping import stoppable

def disturbed(work, where):
    def run(*words, **named):
        if ending and where == sys.argv[1].removesuffix(" for ever"):
            os.kill(os.getpid(), signal.SIGTERM)
            found = work(*words, **named)
            time.sleep(60.0 if sys.argv[1].endswith("for ever") else 0.1)
            return found
        return work(*words, **named)
    return run

ending = False
with stoppable(), module.cluster("local", dashboard=False):
    session = own_session()
    print("", flush=True)
    print("", *map(str, session.folders), flush=True)
    print(*(pid for pid, _ in session.processes), flush=True)
    module.own_session = disturbed(module.own_session, "looked for")
    ray.shutdown = disturbed(ray.shutdown, "shut down")
    ending = True
"""


@pytest.mark.parametrize("where", ["looked for", "shut down", "shut down for ever"])
def test_a_signal_while_the_cluster_ends_leaves_nothing_of_it(
    cluster_environment: str, where: str
) -> None:
    mine = {**os.environ, "RAY_TMPDIR": cluster_environment}
    program = subprocess.Popen(
        [sys.executable, "-c", ENDING, where],
        env=mine,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    program.stdout.readline()
    folders, processes = (
        program.stdout.readline().split(),
        [int(pid) for pid in program.stdout.readline().split()],
    )
    errors = program.communicate(timeout=60)[1]
    assert program.returncode == 143, errors
    assert errors.count("interrupted") == 1
    assert len(folders) == 1
    assert not Path(folders[0]).exists()
    assert not [pid for pid in processes if lives(pid)]
