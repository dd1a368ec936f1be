"""A small finished run folder with everything a report can show, made without training."""

from __future__ import annotations

import json
import math
from pathlib import Path

import evoray
from evoray import Constraint
from evoray.records.ledger import FolderLedger
from evoray.records.records import Record, Status
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.table import from_table, schema
from tests.synthetic import Faulty, Macs, Score, TableSpace


def make_run(
    path: Path,
    *,
    seed: int = 1,
    targets: tuple[str, ...] = ("score", "macs"),
    evaluations: int = 60,
) -> RunFolder:
    """A search of the synthetic space with some failures, a baseline, training curves, phases and a
    trust report.
    """
    objectives = [Faulty(inner=Score(), share=0.1), Macs()]
    limit = [Constraint("macs", at_most=1500.0)]
    common = {
        "constraints": limit,
        "targets": targets,
        "evaluations": evaluations,
        "population": 12,
    }
    evoray.search(
        TableSpace(), objectives, searcher="nsga2", num_shards=2, seed=seed, run_dir=path, **common
    )  # type: ignore[arg-type]
    folder = RunFolder.open(path)
    other = evoray.search(TableSpace(), objectives, searcher="random", seed=seed, **common)  # type: ignore[arg-type]
    with FolderLedger(folder.baseline, schema(["score", "macs"], ["score"])) as ledger:
        ledger.append(from_table(other.records))
    folder.supernet.mkdir()
    lines = [
        {
            "step": 10 * i,
            "steps": 100,
            "epoch": float(i),
            "images": 640 * i,
            "learning_rate": 0.1 * math.exp(-i / 3),
            "loss": {"largest": 2.0 / i, "random": 2.5 / i, "smallest": 2.2 / i},
            "images_per_second": 500.0,
            "seconds": 1.3 * i,
        }
        for i in range(1, 11)
    ]
    (folder.supernet / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    write_json(path / "phases.json", {"train": 61.0, "search": 20.5, "baseline": 18.0})
    probes = [
        {
            "key": f"p{i}",
            "inherited": 90.0 + i,
            "inherited_without_recalibration": 10.0 + i % 2,
            "stand_alone": 91.0 + i + (i == 2),
        }
        for i in range(5)
    ]
    sides = {"recalibrated": 0.8, "without": 0.1}
    folder.write_trust({"probes": probes, "kendall": sides, "spearman": sides, "seconds": 100.0})
    return folder


def hostile(folder: RunFolder) -> str:
    """Adds names and an error text that try to break out of the page; returns the text."""
    text = "</script><script>window.broken = 1</script>\"'<img src=x onerror='window.broken=1'>"
    job = folder.job()
    write_json(folder.path / "job.json", {**job, "job": text, "space": text, "config": {"x": text}})
    with FolderLedger(folder.ledger, schema(["score", "macs"], ["score"])) as ledger:
        ledger.append(
            [
                Record(
                    key=f"key{text}",
                    choices=(0, 0, 0, 0, 0),
                    status=Status.FAILED,
                    error=f"score: {text}",
                )
            ]
        )
    return text
