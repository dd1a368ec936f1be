"""Teachers from outside run no code: weights and architecture are data, and a file that could is
refused until it is trusted.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import searchspaces
from evoray import data
from evoray.files.checksums import unsealed
from evoray.records.run_folder import RunFolder
from evoray.results.export import export
from evoray.training.config import TrainConfig
from evoray.training.recipe.teachers import Teacher
from jobs import nasaic, quickstart
from jobs.pipelines.cosearch.pipeline import PIPELINE as COSEARCH
from jobs.pipelines.supernet.pipeline import PIPELINE
from jobs.pipelines.teachers import teachers_of, trusting, untaught
from searchspaces.base import smallest

SOURCE = data.load("digits", limit=100)
SPACE: Any = dataclasses.replace(searchspaces.load("bignas:digits"), num_classes=10, in_channels=1)  # type: ignore[type-var]


class Evil:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("ran",))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    export(
        SPACE.build_subnet(None, smallest(SPACE)),
        smallest(SPACE),
        SPACE,
        SOURCE.image_shape,
        "safetensors",
        folder,
    )
    return folder


def copied(exported: Path, place: Path) -> Path:
    place.mkdir()
    for file in exported.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def found(place: Path, trust_code: bool = False, known: Any = (SPACE,)) -> tuple[Teacher, ...]:
    return teachers_of(TrainConfig(teachers=(place,)), known, SOURCE, trust_code=trust_code)


@pytest.mark.parametrize("known", [(SPACE,), ()])
def test_an_export_is_rebuilt_from_its_space_also_where_another_one_is_searched(
    exported: Path, known: Any
) -> None:
    network = found(exported, known=known)[0].load()
    weights = network.state_dict()
    assert all(
        torch.equal(weights[name], tensor)
        for name, tensor in load_file(exported / "weights.safetensors").items()
    )
    assert not any(p.requires_grad for p in network.parameters())


def evil_program(place: Path) -> Path:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    torch.export.save(torch.export.export(network, (torch.zeros(2, 1, 8, 8),)), place / "good.pt2")
    content = io.BytesIO()
    torch.save(Evil(), content)
    with (
        zipfile.ZipFile(place / "good.pt2") as good,
        zipfile.ZipFile(place / "evil.pt2", "w", zipfile.ZIP_STORED) as evil,
    ):
        for name in good.namelist():
            evil.writestr(name, content.getvalue() if "sample_inputs" in name else good.read(name))
    return place / "evil.pt2"


def test_a_file_that_can_run_code_is_refused_until_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = evil_program(tmp_path)
    for name in ("evil.pt2", "copy.pt", "copy.safetensors", "copy"):
        (tmp_path / name).write_bytes(evil.read_bytes())
        with pytest.raises(
            ValueError, match=r"can run any code of whoever made it.*add --trust-code"
        ):
            found(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    teacher = found(tmp_path / "good.pt2", trust_code=True)[0].load()
    assert teacher(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert "unpickles: if it was made to, it runs any code now" in caplog.text


def test_a_folder_with_a_pickle_in_the_weights_place_runs_nothing(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = copied(exported, tmp_path / "t")
    (place / "weights.safetensors").write_bytes(evil_program(tmp_path).read_bytes())
    with pytest.raises(ValueError, match="not those of its architecture"):
        found(place, trust_code=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": [10**9]}, "choices that are none of space"),
        ({"choices": "all"}, "does not tell space, key and choices"),
        ({"key": "../../evil"}, "not of ../../evil"),
        ({"space": "../../evil:it"}, "does not say what is imported|no search space"),
        ({"space": "evil:it"}, "does not say what is imported|no search space"),
        ({"space": "vit_resnas:digits"}, "choices that are none of space"),
        ({"space": 3}, "does not tell space, key and choices"),
    ],
)
def test_a_wrong_architecture_is_one_clear_error_and_imports_nothing(
    exported: Path,
    tmp_path: Path,
    change: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("import os\nos.mkdir('ran')\n", encoding="utf-8")
    place = copied(exported, tmp_path / "t")
    about = unsealed((place / "architecture.json").read_bytes())
    (place / "architecture.json").write_text(json.dumps({**about, **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        found(place)
    assert not (tmp_path / "ran").exists()


def test_other_weights_are_refused(exported: Path, tmp_path: Path) -> None:
    place = copied(exported, tmp_path / "t")
    weights = load_file(place / "weights.safetensors")
    del weights[next(name for name in weights if name.endswith("weight"))]
    save_file(weights, place / "weights.safetensors")
    with pytest.raises(ValueError, match="not those of its architecture"):
        found(place)
    (place / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        found(place)


@pytest.mark.parametrize(
    ("pipeline", "preset"), [(PIPELINE, quickstart.digits), (COSEARCH, nasaic.digits)]
)
def test_a_run_folder_never_says_that_code_is_trusted(
    tmp_path: Path, pipeline: Any, preset: Any
) -> None:
    config = trusting(preset(), True)
    setup = pipeline.build_setup(config)
    job = pipeline.job_of("quickstart", "digits", config, setup)
    assert job["config"]["trust_code"] is False
    job["config"]["trust_code"] = True
    folder = RunFolder.create(tmp_path / "run", job)
    assert pipeline.config_of(folder).trust_code is False


def test_reading_a_run_needs_no_teacher() -> None:
    config = quickstart.digits()
    taught = dataclasses.replace(
        config, train=dataclasses.replace(config.train, teachers=(Path("gone.pt2"),))
    )
    with pytest.raises(FileNotFoundError, match="there is no teacher"):
        PIPELINE.build_setup(taught)
    assert PIPELINE.build_setup(untaught(taught)).teachers == ()
