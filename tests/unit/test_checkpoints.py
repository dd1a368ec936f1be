"""Checkpoints: what is damaged or not finite is neither written nor read, and reading changes
nothing.
"""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

import pytest
import torch

from evoray.training import checkpoints


def test_what_is_not_finite_is_not_saved_and_a_saved_one_not_loaded(tmp_path: Path) -> None:
    good, bad = {"w": torch.ones(2)}, {"w": torch.tensor([1.0, math.nan])}
    checkpoints.save(tmp_path, good, {}, {"step": 1}, keep=2)
    for weights, moments in ((bad, {}), (good, {"w/exp_avg": bad["w"]})):
        with pytest.raises(RuntimeError, match=r"'w.*' is not finite after step 2"):
            checkpoints.save(tmp_path, weights, moments, {"step": 2}, keep=2)
    assert [place.name for place in tmp_path.iterdir()] == ["step-00000001"]
    checkpoints.save(
        tmp_path, {"bn.running_var": torch.tensor([math.inf])}, {}, {"step": 2}, keep=2
    )
    found = checkpoints.latest(tmp_path)
    assert found is not None
    assert found.state["step"] == 2, "running statistics are computed anew"


@pytest.mark.parametrize("damage", ["flip", "missing", "pipe", "another step", "not json", "list"])
def test_reading_passes_a_damaged_checkpoint_over_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    for step in (1, 2):
        checkpoints.save(tmp_path, {"w": torch.full((2,), float(step))}, {}, {"step": step}, keep=2)
    newest = tmp_path / "step-00000002"
    weights, state = newest / "weights.safetensors", newest / "state.json"
    if damage == "flip":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    elif damage in ("missing", "pipe"):
        weights.unlink()
    if damage == "pipe":
        os.mkfifo(weights)
    texts = {
        "another step": state.read_text(encoding="utf-8").replace(": 2,", ": 7,"),
        "not json": "{",
        "list": "[]",
    }
    if damage in texts:
        state.write_text(texts[damage], encoding="utf-8")
    before = sorted((p, p.lstat().st_mtime_ns) for p in tmp_path.rglob("*"))
    with caplog.at_level(logging.WARNING):
        tensors, _ = checkpoints.load_weights(tmp_path)
    assert tensors["w"].tolist() == [1.0, 1.0]
    assert f"checkpoint {newest} is damaged" in caplog.text
    assert sorted((p, p.lstat().st_mtime_ns) for p in tmp_path.rglob("*")) == before
    assert checkpoints.latest_to_go_on(tmp_path) is not None
    assert (tmp_path / "damaged-step-00000002").is_dir()
