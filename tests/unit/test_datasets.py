"""The data of a run: told apart by a digest, found again where it has moved, refused where it is
other data.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evoray import data
from evoray.records.run_folder import RunFolder
from jobs.pipelines.cosearch.config import CoSearch, TaskData, TaskOptions
from jobs.pipelines.datasets import keep_roots, located, settled
from jobs.pipelines.options import DataOptions
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.terminal.parsing import take_roots


def pictures(root: Path, count: int = 6) -> Path:
    for name, grey in (("cat", 10), ("dog", 90)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.full((16, 16, 3), grey + index, dtype=np.uint8)).save(
                root / name / f"{index}.png"
            )
    return root


def begun(tmp_path: Path, root: Path) -> tuple[RunFolder, SupernetSearch]:
    config, contents = settled(
        SupernetSearch(data=DataOptions(name="image_folder", root=root, image_size=16))
    )
    job = {
        "job": "quickstart",
        "stages": ["one"],
        "config": {"data": {"name": "image_folder", "root": str(root)}},
        "data": contents,
    }
    return RunFolder.create(tmp_path / "run", job), config


def test_moved_data_is_accepted_and_remembered(tmp_path: Path) -> None:
    folder, config = begun(tmp_path, pictures(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(FileNotFoundError, match=r"here does not exist: give --data\.root"):
        located(folder, config, {})
    roots = {"data": tmp_path / "there"}
    assert located(folder, config, roots).data.root == tmp_path / "there"
    keep_roots(folder, roots)
    assert folder.job()["config"]["data"]["root"] == str(tmp_path / "there")


def _pixel(root: Path) -> None:
    Image.fromarray(np.full((16, 16, 3), 7, dtype=np.uint8)).save(root / "cat/0.png")


def _label(root: Path) -> None:
    (root / "cat/0.png").rename(root / "dog/9.png")


@pytest.mark.parametrize(
    "change",
    [
        _pixel,
        _label,
        lambda root: (root / "dog/1.png").unlink(),
        lambda root: (root / "dog").rename(root / "dogs"),
    ],
)
def test_other_data_under_the_same_name_is_refused(change, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = pictures(tmp_path / "pics")
    folder, config = begun(tmp_path, root)
    located(folder, config, {})
    change(root)
    with pytest.raises(
        ValueError, match=r"is not what run .* was started with: .*digest .*, expected 12 files"
    ):
        located(folder, config, {})


def test_a_digest_does_not_depend_on_place_size_or_system_files(tmp_path: Path) -> None:
    one = data.load("image_folder", root=pictures(tmp_path / "one"), image_size=16)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two/.DS_Store").write_bytes(b"x")
    two = data.load("image_folder", root=tmp_path / "two", image_size=32)
    assert one.contents() == two.contents()


def test_a_limit_still_tells_other_pictures_apart(tmp_path: Path) -> None:
    root = pictures(tmp_path / "one", 20)
    before = data.load("image_folder", root=root, limit=4).contents()
    (root / "cat/19.png").write_bytes(b"other")
    assert data.load("image_folder", root=root, limit=4).contents() != before


@pytest.mark.parametrize("name", ["digits", "strokes"])
def test_embedded_data_has_a_digest_and_no_folder(name: str) -> None:
    source = data.load(name)
    assert source.folder is None
    assert source.contents() == data.load(name, image_size=8).contents()


def test_a_folder_from_the_environment_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stl10_binary").mkdir()
    (tmp_path / "stl10_binary/train_X.bin").write_bytes(b"x")
    monkeypatch.setenv("EVORAY_DATA", str(tmp_path))
    config, _ = settled(SupernetSearch(data=DataOptions(name="stl10")))
    assert config.data.root == tmp_path / "stl10_binary"


def test_each_task_of_a_co_search_can_be_pointed_elsewhere(tmp_path: Path) -> None:
    first = TaskOptions(data=TaskData(name="image_folder", root=pictures(tmp_path / "one")))
    config, contents = settled(dataclasses.replace(CoSearch(), first=first))
    assert sorted(contents) == ["first.data", "second.data"]
    folder = RunFolder.create(
        tmp_path / "run", {"job": "nasaic", "stages": ["one"], "data": contents}
    )
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    rest, roots = take_roots(["run", "--first.data.root", str(tmp_path / "two"), "--probes=3"])
    assert rest == ["run", "--probes=3"]
    assert located(folder, config, roots).first.data.root == tmp_path / "two"
    with pytest.raises(
        ValueError,
        match=r"--data\.root: run .* has no such data; it has --first\.data\.root, --second",
    ):
        located(folder, config, {"data": tmp_path})
