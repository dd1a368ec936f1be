"""`evoray retrain` on a real cluster: from fresh weights, then at a higher resolution from
those.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("ray")

from jobs import vit_resnas
from jobs.cli import main
from tests.unit.test_retraining import searched

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = ["--workers", "1", "--train.epochs", "0.2", "--train.mixing", "tokens"]


def test_a_winner_is_trained_alone_and_then_at_a_higher_resolution(
    local_ray: None, tmp_path: Path
) -> None:
    folder = searched(tmp_path / "run", vit_resnas.digits())
    main(["retrain", str(folder.path), "--pick", "best:accuracy", *SHORT])
    (first,) = (folder.path / "retrained").iterdir()
    about = json.loads((first / "architecture.json").read_text(encoding="utf-8"))
    assert set(about["values"]) == {"val", "test"}
    assert about["inherited"]["accuracy"] == 50.0
    larger = tmp_path / "larger"
    # so small a learning rate that what it started from still shows
    slow = [
        "--image-size",
        "48",
        "--weights",
        str(first),
        "--train.learning-rate",
        "1e-9",
        "--train.weight-decay",
        "0",
    ]
    main(
        [
            "retrain",
            str(folder.path),
            "--pick",
            "best:accuracy",
            *SHORT,
            *slow,
            "--output",
            str(larger),
        ]
    )
    before, after = (
        load_file(first / "weights.safetensors"),
        load_file(larger / "weights.safetensors"),
    )
    assert before.keys() == after.keys()
    assert not [name for name in after if "patch_head" in name]
    assert (len(before["stem.positions"]), len(after["stem.positions"])) == (65, 145)
    torch.testing.assert_close(
        before["classifier.weight"], after["classifier.weight"], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        before["stem.positions"][0], after["stem.positions"][0], atol=1e-5, rtol=0
    )
