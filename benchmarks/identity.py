"""Every preset run small, and digests of what it trained, measured and found: two versions that
should do the same are held together.

    evoray bench identity [--runs quickstart bignas ...] [--against FILE] [--write FILE]

Only what a seed decides is digested: losses, learning rates, trained weights, the records without
times and workers, the front. One thread a training worker, for sums depend on their order. The
digests of two processors or versions of torch differ; those of one must not. `--write` keeps them
as JSON, `--against` holds them beside such a file and ends with 1 where one differs, 2 where the
file is of another machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from evoray.records import environment

_ROOT = Path(__file__).resolve().parents[1]
_SUPERNET = """
    --data.name digits --data.limit 128 --train.epochs 1 --train.batch-size 16
    --train.log-every-steps 1 --search.evaluations 12 --search.population 4 --search.shards 2
    --search.targets accuracy macs --measure.calibration-images 32 --measure.validation-limit 32
    --search.no-baseline
"""
_STAGE = """
    --{0}.channels 4 --{0}.population 2 --{0}.train.warmup-epochs 0.05 --{0}.train.epochs 0.1
"""
_EAGAN = """
    --generators.train.rounds 2 --discriminators.train.rounds 1 --cluster.train-workers 1
    --generators.train.log-every-steps 1 --discriminators.train.log-every-steps 1
    --final.epochs 0.1 --final.num-images 100 --cluster.score-workers 1 --measure.num-images 100
    --measure.calibration-images 64 --measure.classifier-epochs 1
"""
_NASAIC = """
    --first.train.epochs 1 --first.data.limit 128 --first.calibration-images 32
    --second.train.epochs 1 --second.data.limit 64 --second.calibration-images 32
    --first.train.log-every-steps 1 --second.train.log-every-steps 1 --cluster.train-workers 1
    --first.validation-limit 64 --second.validation-limit 32 --search.evaluations 8
    --search.population 4 --search.compare "nas then asic"
"""
_ONE, _TWO = "--cluster.train-workers 1", "--cluster.train-workers 2"
RUNS = {
    "quickstart": f"quickstart {_SUPERNET} {_ONE}",
    "bignas": f"bignas {_SUPERNET} {_ONE} --space bignas:digits",
    "elasticvit": f"elasticvit {_SUPERNET} {_ONE} --space elasticvit:digits",
    "elasticvit-2": f"elasticvit {_SUPERNET} {_TWO} --space elasticvit:digits",
    "vit_resnas": f"vit_resnas {_SUPERNET} {_ONE} --space vit_resnas:digits",
    "eagan": f"eagan {_STAGE.format('generators')} {_STAGE.format('discriminators')} {_EAGAN}",
    "nasaic": f"nasaic {_NASAIC}",
}
# which worker measured it, and how often it was begun
_BY_CHANCE = {"worker", "shard", "attempts"}


def digest(parts: Iterable[object]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else repr(part).encode())
    return found.hexdigest()[:16]


def rows(files: Iterable[Path]) -> list[dict[str, Any]]:
    found = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted((certain(row) for row in found), key=lambda row: str(row["key"]))


def certain(row: dict[str, Any]) -> dict[str, Any]:
    """Keeps the part of a record that the seed decides: no time, no place, no latency that was
    measured.
    """
    chance = {*_BY_CHANCE, "latency"} if "latency_seconds" in row else _BY_CHANCE
    return {
        name: value
        for name, value in row.items()
        if name not in chance and not name.endswith("seconds")
    }


def lines(file: Path) -> list[tuple[object, ...]]:
    read = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        (line["step"], repr(line["learning_rate"]), *map(repr, line["loss"].values()))
        for line in read
    ]


def digests(run: Path) -> dict[str, str]:
    """Digests by what they are of, for every folder of a finished run: "losses PLACE", "weights
    PLACE", "records PLACE", "front".
    """
    found = {}
    for file in sorted(run.rglob("metrics.jsonl")):
        found[f"losses {file.parent.relative_to(run)}"] = digest(lines(file))
    for folder in sorted({file.parent.parent for file in run.rglob("step-*/weights.safetensors")}):
        newest = max(folder.glob("step-*/weights.safetensors"))
        found[f"weights {folder.relative_to(run)}"] = digest([newest.read_bytes()])
    for folder in sorted({file.parent for file in run.rglob("part-*.parquet")}):
        found[f"records {folder.relative_to(run)}"] = digest(rows(folder.glob("part-*.parquet")))
    for file in sorted(run.rglob("front.parquet")):
        found[f"front {file.parent.relative_to(run)}"] = digest(rows([file]))
    return found


def run_small(name: str, folder: Path) -> dict[str, str]:
    """The digests of one of `RUNS`, done in `folder`.

    Raises:
        RuntimeError: It did not end well.
    """
    own = Path(tempfile.mkdtemp(prefix="evoray-same-", dir="/tmp"))  # sockets' paths are limited
    environment = {
        **os.environ,
        **{
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": str(own),
            "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "platform")]),
        },
    }
    job, *options = shlex.split(RUNS[name])
    command = [sys.executable, "-m", "jobs.cli", "run", job, "--run-dir", str(folder), *options]
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(own, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return digests(folder)


def machine() -> dict[str, str]:
    """Facts that results of floating-point sums depend on."""
    about = environment.surroundings()
    return {
        "processor": about["machine"]["processor"],
        "vector units": torch.backends.cpu.get_cpu_capability(),
        "torch": about["versions"]["torch"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="evoray bench identity", description=__doc__.split("\n", 1)[0]
    )
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--against", type=Path, help="digests of another version on this machine")
    parser.add_argument("--write", type=Path, help="where to keep the digests")
    options = parser.parse_args()
    before = json.loads(options.against.read_text(encoding="utf-8")) if options.against else None
    if before and before["machine"] != machine():
        print(f"of another machine: {before['machine']}, this is {machine()}", file=sys.stderr)
        sys.exit(2)
    place = Path(tempfile.mkdtemp(prefix="evoray-identity-"))
    try:
        found = {name: run_small(name, place / name) for name in options.runs}
    finally:
        shutil.rmtree(place, ignore_errors=True)
    told = json.dumps({"machine": machine(), "digests": found}, indent=1)
    print(told)
    if options.write:
        options.write.write_text(told + "\n", encoding="utf-8")
    if before:
        sys.exit(compared(before["digests"], found))


def compared(before: dict[str, dict[str, str]], found: dict[str, dict[str, str]]) -> int:
    """Prints what differs; 1 where something does."""
    differs = 0
    for name, values in found.items():
        names = sorted(before[name].keys() | values.keys())
        changed = [what for what in names if before[name].get(what) != values.get(what)]
        differs |= bool(changed)
        print(f"{name}: {f'differs in {changed}' if changed else 'the same'}", file=sys.stderr)
    return int(differs)


if __name__ == "__main__":
    main()
