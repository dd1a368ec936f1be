"""The whole eagan job, tiny, on a real cluster: interrupted between its stages, resumed, shown,
sampled.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from evoray.records.ledger import read_ledger
from evoray.records.rounds import round_ledgers
from evoray.records.run_folder import RunFolder
from evoray.report.pictures import read_pictures
from evoray.results.export import load_exported
from jobs.cli import main
from jobs.pipelines.gan import pipeline
from jobs.pipelines.gan.build import build_setup
from jobs.pipelines.gan.pipeline import PIPELINE
from jobs.pipelines.gan.run_files import read_pair

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STAGE = (
    "--{0}.channels",
    "4",
    "--{0}.population",
    "2",
    "--{0}.train.warmup-epochs",
    "0.05",
    "--{0}.train.epochs",
    "0.1",
)
SMALL = [
    *(word.format(stage) for stage in ("generators", "discriminators") for word in STAGE),
    *("--generators.train.rounds", "2", "--discriminators.train.rounds", "1"),
    *("--discriminators.pairing", "averaged", "--discriminators.average-every-steps", "1"),
    *("--final.epochs", "0.1", "--final.num-images", "100", "--cluster.score-workers", "1"),
    *(
        "--measure.num-images",
        "100",
        "--measure.calibration-images",
        "64",
        "--measure.classifier-epochs",
        "1",
    ),
]


def test_a_gan_search_that_was_interrupted_is_resumed_to_its_pair(
    local_ray: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as broken:
        broken.setattr(
            pipeline, "_second_stage", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(SystemExit) as stopped:
            main(["run", "eagan", "--run-dir", str(run), *SMALL])
        assert stopped.value.code == 130
    folder = RunFolder(run)
    before = read_ledger(run / "generators" / "ledger")
    assert before is not None
    assert len(before) == 2
    main(["resume", str(run)])
    assert read_ledger(run / "generators" / "ledger") == before, "the finished stage was repeated"
    pair = read_pair(folder)
    assert set(pair["final"]) >= {
        "is@digits-cnn",
        "fid@digits-cnn",
        "kid@digits-cnn",
        "weights_digest",
    }
    for stage, num_rounds in zip(folder.stages(), (2, 1), strict=True):
        frame = pd.concat([pd.read_parquet(place) for place in round_ledgers(stage)])
        assert {"is@digits-cnn", "fid@digits-cnn", "params", "weights_digest"} <= set(frame.columns)
        assert frame["generation"].tolist() == [0, 0, 1, 1][: 2 * num_rounds]
        assert frame["status"].tolist() == ["ok", "ok"] * num_rounds
        assert frame["weights_digest"].nunique() == num_rounds, (
            "both rounds were measured on the same weights"
        )
        assert read_pictures(stage)
    assert not [f for f in run.rglob("*") if f.suffix in (".pkl", ".pickle", ".pt")]
    assert "<h2>Rounds of run/generators</h2>" in folder.report.read_text(encoding="utf-8")
    capsys.readouterr()
    main(["show", str(run)])
    assert "evaluations of stage discriminators of job eagan" in capsys.readouterr().out
    for pick in ("final", pair["generator"]["key"], pair["discriminator"]["key"]):
        main(["sample", str(run), "--pick", pick, "--count", "9"])
        file = Path(capsys.readouterr().out.strip())
        with Image.open(file) as picture:
            assert picture.size == ((3 * 17 + 1) * 2, (3 * 17 + 1) * 2)
    main(["export", str(run), "--pick", pair["discriminator"]["key"], "--to", "safetensors"])
    place = Path(capsys.readouterr().out.splitlines()[0]).parent
    generator = load_exported(place, build_setup(PIPELINE.config_of(folder)).generators)  # type: ignore[arg-type]
    assert generator(torch.zeros(2, 60)).shape == (2, 1, 16, 16)
    with pytest.raises(SystemExit):
        main(["trust", str(run)])
    assert (
        "needs at least 3 probes and at most the 2 records of the run, got 8"
        in capsys.readouterr().err
    )
