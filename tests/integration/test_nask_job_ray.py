"""The whole nask job, tiny, on a real cluster: searched, reported, exported, used on pictures,
probed, retrained; nothing is repeated when it is resumed.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.report.text_gallery import text_place
from jobs.cli import main
from objectives.detection.kept import FILE, read_parquet

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SMALL = shlex.split("""
    --data.image-size 64 --data.limit 24 --train.epochs 1 --train.log-every-steps 1
    --search.evaluations 4 --search.population 2 --search.shards 1 --search.no-baseline
    --measure.calibration-images 4 --measure.validation-limit 4 --cluster.train-workers 1
""")


def test_detectors_are_searched_reported_exported_and_used(
    local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    main(["run", "nask", "--run-dir", str(run), *SMALL])
    folder, table = RunFolder(run), read_ledger(run / "ledger")
    assert table is not None
    names = {"f50", "f_mean", "f50_held_out", "tiou", "latency", "latency_35_rois", "macs"}
    assert names <= set(table.column_names)
    assert "detection_seconds" in table.column_names, "one look, one time"
    for key in table["key"].to_pylist():
        kept = read_parquet(folder.candidate_file(key, "detection", FILE).read_bytes())
        assert len(kept) == 4
    assert text_place(folder, "texts.json").is_file()
    assert "<h2>Texts found</h2>" in folder.report.read_text(encoding="utf-8")
    capsys.readouterr()

    main(["resume", str(run)])
    assert read_ledger(run / "ledger") == table, "a finished run was repeated"
    capsys.readouterr()

    exported(run, capsys)
    detected(run, tmp_path, capsys)

    main(["trust", str(run), "--probes", "3"])
    assert (
        json.loads((run / "trust.json").read_text(encoding="utf-8"))["objective"]["name"] == "f50"
    )
    capsys.readouterr()
    main(["retrain", str(run), "--pick", "best:f50", "--workers", "1"])
    told = capsys.readouterr().out
    assert "alone, f50: " in told
    assert "alone, f_mean: " in told


def exported(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    main(["export", str(run), "--pick", "best:f50", "--to", "onnx"])
    files = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith("/")]
    assert [file.name for file in files] == ["first.onnx", "second.onnx", "architecture.json"]
    decoding = json.loads(files[-1].read_text(encoding="utf-8"))["decoding"]
    assert decoding["fiducial_points"] in (4, 5, 6, 7, 8, 10, 12)


def detected(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures of odd forms, and mistakes that are told in one line."""
    rng = np.random.default_rng(0)
    pictures = {
        "grey.png": rng.integers(0, 255, (40, 90), dtype=np.uint8),
        "line.png": rng.integers(0, 255, (1, 300, 3), dtype=np.uint8),
        "alpha.png": rng.integers(0, 255, (50, 30, 4), dtype=np.uint8),
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / name)
    out = tmp_path / "out"
    places = [str(tmp_path / name) for name in pictures]
    main(["detect", str(run), *places, "--out", str(out)])
    found = json.loads((out / "detections.json").read_text(encoding="utf-8"))["images"]
    assert {image["image"] for image in found} == set(pictures)
    for image in found:
        height, width = pictures[image["image"]].shape[:2]
        for one in image["instances"]:
            corners = np.array(one["polygon"])
            assert (corners >= 0).all()
            assert (corners <= (width, height)).all()
        assert (out / f"{image['image']}.png").is_file()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    capsys.readouterr()
    for words, told in (
        ([str(torn)], "torn.jpg is no picture that can be read"),
        ([], "detect needs pictures"),
        ([places[0], "--pick", "zzz"], "zzz"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["detect", str(run), *words])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
