"""Values and weights belong together: others are refused on reading and measured again on resuming,
and reading changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
import torch

from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.records import Record
from evoray.records.run_folder import RunFolder
from evoray.records.table import schema
from evoray.records.weights_digest import check_weights, keep_only
from evoray.training import checkpoints
from jobs import cli, quickstart
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.pipeline import PIPELINE
from searchspaces.base import smallest

COLUMNS = schema(["accuracy"], ["accuracy"])
MINE, OTHER = "a" * 16, "b" * 16


def ledger_with(place: Path, *digests: str) -> None:
    with FolderLedger(place, COLUMNS) as ledger:
        ledger.append(
            [
                Record(
                    key=f"k{i}", choices=(i,), values={"accuracy": 1.0 * i}, weights_digest=digest
                )
                for i, digest in enumerate(digests)
            ]
        )


@pytest.mark.parametrize("digests", [(MINE, MINE), (MINE, ""), ("",)])
def test_values_of_these_weights_stay_where_they_are(
    tmp_path: Path, digests: tuple[str, ...]
) -> None:
    ledger_with(tmp_path / "ledger", *digests)
    assert keep_only(MINE, tmp_path / "ledger") is None
    assert keep_only(MINE, tmp_path / "none") is None
    assert [place.name for place in tmp_path.iterdir()] == ["ledger"]


def test_values_of_other_weights_are_put_aside_with_what_follows_from_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        ledger_with(tmp_path / "ledger", MINE, OTHER, "../../evil", MINE)
        (tmp_path / "shards").mkdir()
        with caplog.at_level(logging.WARNING):
            kept = keep_only(MINE, tmp_path / "ledger", [tmp_path / "shards"])
        assert kept is not None
        assert kept.keys.tolist() == [b"k0", b"k3"]
        assert "2 of the 4 values" in caplog.text
        aside = tmp_path / f"of-other-weights-{number}"
        assert sorted(place.name for place in aside.iterdir()) == ["ledger", "shards"]
        table = read_ledger(aside / "ledger")
        assert table is not None
        assert len(table) == 4
        assert not (tmp_path / "ledger").exists()


def test_weights_of_other_values_are_refused_with_both_digests(tmp_path: Path) -> None:
    check_weights({"key": "k", "weights_digest": MINE}, MINE, tmp_path)
    check_weights({"key": "k", "weights_digest": ""}, MINE, tmp_path)
    with pytest.raises(
        ValueError,
        match=rf"measured with weights {OTHER}, .* holds weights {MINE}: .* `evoray resume",
    ):
        check_weights({"key": "k", "weights_digest": OTHER}, MINE, tmp_path)


def tree(folder: Path) -> dict[str, str]:
    """Every path with the digest of its content."""
    paths = sorted(folder.rglob("*"))
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        if p.is_file()
        else ""
        for p in paths
    }


def test_reading_commands_change_nothing_also_where_a_checkpoint_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = quickstart.digits()
    setup = build_setup(config)
    folder = RunFolder.create(
        tmp_path / "run", PIPELINE.job_of("quickstart", "digits", config, setup)
    )
    supernet = setup.space.build_supernet()
    for step in (1, 2):
        checkpoints.save(
            folder.supernet, supernet.state_dict(), {}, {"step": step, "marker": step}, keep=2
        )
        with torch.no_grad():
            next(supernet.parameters()).add_(1.0)
    newest = checkpoints.latest(folder.supernet)
    assert newest is not None
    network = smallest(setup.space)
    values = {"accuracy": 50.0, "latency": 1.0, "macs": 1e6, "params": 1e4}
    with FolderLedger(folder.ledger, setup.problem.columns()) as ledger:
        ledger.append(
            [
                Record(
                    key=network.key,
                    choices=network.choices,
                    values=values,
                    weights_digest=newest.digest,
                )
            ]
        )
    weights = newest.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    before = tree(folder.path)
    out = str(tmp_path / "out")
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", str(folder.path), "--to", "safetensors", "--output", out])
    assert stop.value.code == 2
    assert f"measured with weights {newest.digest}" in capsys.readouterr().err
    for words in (["show", str(folder.path)], ["describe", "bignas:digits"]):
        cli.main(words)
    with pytest.raises(SystemExit):
        cli.main(["trust", str(folder.path), "--probes", "3"])
    assert tree(folder.path) == before
    assert not Path(out).exists()
