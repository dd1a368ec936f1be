"""Searches of the user's own objects on a real cluster, started by `evoray.search` itself: the same
records as in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

from tests.documents import ROOT, files

pytestmark = pytest.mark.ray

WALK_THROUGH = files((ROOT / "docs" / "own.md").read_text(encoding="utf-8"))
SEARCH = """
import sys

import numpy as np

import evoray
from few_shot import FewShot
from mlp import Mlp
from objectives.base import Goal, Needs
from objectives.complexity import Cost


class Ones:
    name, unit, goal, needs = "ones", "", Goal.MAXIMIZE, Needs(cpus=1)

    def open(self, device):
        pass

    def measure(self, candidate):
        return float(sum(candidate.architecture.choices)) / 3


if __name__ == "__main__":
    where = dict(cluster="local") if sys.argv[1] == "ray" else {}
    space = Mlp()
    found = evoray.search(
        space, [FewShot(), Ones(), Cost(space, "macs")], evaluations=24, population=6,
        num_shards=2, searcher="nsga2", run_dir=sys.argv[2], **where,
    )
    columns = ["key", "accuracy", "ones", "macs", "status", "shard", "generation"]
    rows = found.records.select(columns).to_pylist()
    for row in sorted(rows, key=lambda row: row["key"]):
        print(row)
    if where:
        import ray

        assert not ray.is_initialized()
"""


@pytest.mark.slow
def test_the_walk_through_and_objects_of_main_on_a_cluster_give_the_local_records(
    tmp_path: Path,
) -> None:
    for name, text in (*WALK_THROUGH.items(), ("both.py", SEARCH)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    installed = os.pathsep.join(
        [str(ROOT), str(ROOT / "platform")]
    )  # evoray itself; the user's folder is the current one alone
    environment = {**os.environ, "PYTHONPATH": installed}

    def told(where: str) -> str:
        command = [sys.executable, "both.py", where, f"runs/{where}"]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        ).stdout

    here = told("here")
    assert len(here.splitlines()) == 24
    assert told("ray") == here


def test_an_address_where_nothing_is_ends_in_time_and_writes_nothing(tmp_path: Path) -> None:
    import evoray
    from tests.synthetic import Macs, Score, TableSpace

    with pytest.raises(ConnectionError, match=r"no Ray cluster answers at .*:9 "):
        evoray.search(
            TableSpace(),
            [Score(), Macs()],
            evaluations=8,
            cluster="127.0.0.1:9",
            run_dir=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_sent_is_named_before_a_cluster_starts(tmp_path: Path) -> None:
    import threading

    import evoray
    from tests.synthetic import Macs, Score, TableSpace

    score = Score()
    object.__setattr__(score, "lock", threading.Lock())
    with pytest.raises(
        ValueError, match=r"Score 'score' cannot be sent to a worker.*get files, locks"
    ):
        evoray.search(
            TableSpace(), [score, Macs()], evaluations=8, cluster="local", run_dir=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()
