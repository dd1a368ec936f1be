"""A run folder of somebody else: what it says and links to embeds no other file, and writes nowhere
else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import searchspaces
from evoray.records.run_folder import RunFolder
from evoray.report.pictures import read_pictures, write_list
from evoray.results import picking
from searchspaces.base import SearchSpace, smallest

PNG = b"\x89PNG\r\n\x1a\n"
SPACE: SearchSpace = searchspaces.load("bignas:digits")


def run_with(tmp_path: Path, **job: Any) -> RunFolder:
    searched = {"space": "bignas", "values": [], "genes": [], "constraints": [], "seed": 0}
    return RunFolder.create(tmp_path / "run", {"job": "quickstart", **searched, **job})


@pytest.mark.parametrize(
    "kind",
    [
        "link",
        "link to png",
        "relative",
        "dots",
        "absolute",
        "pipe",
        "folder",
        "text",
        "huge",
        "missing",
        "number",
    ],
)
def test_a_picture_that_is_none_of_the_folder_is_left_out(tmp_path: Path, kind: str) -> None:
    folder = run_with(tmp_path)
    (folder.path / "pictures").mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG + b"secret")
    name: Any = "a.png"
    place = folder.path / "pictures" / "a.png"
    if kind in ("link", "link to png"):
        place.symlink_to(secret)
    elif kind == "relative":
        place.symlink_to("../../secret.png")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "text":
        place.write_bytes(b"root:x:0:0")
    elif kind == "huge":
        with place.open("wb") as stream:
            stream.write(PNG)
            stream.truncate(1 << 40)
    name = {"dots": "../../secret.png", "absolute": str(secret), "number": 7}.get(kind, name)
    good = place.with_name("good.png")
    good.write_bytes(PNG)
    write_list(folder, [{"file": name}, {"file": "good.png"}])
    # A name that is no text makes the whole list a damaged one.
    assert [line["file"] for line in read_pictures(folder)] == (
        [] if kind == "number" else ["good.png"]
    )


@pytest.mark.parametrize(
    "name", ["pictures", "ledger", "supernet", "export", "retrained", "shards", "job.json", "final"]
)
def test_a_link_out_of_the_folder_is_refused_when_it_is_opened(tmp_path: Path, name: str) -> None:
    folder = run_with(tmp_path)
    outside = tmp_path / "outside"
    if name == "job.json":
        (folder.path / name).rename(outside)
    else:
        outside.mkdir()
    (folder.path / name).symlink_to(outside)
    with pytest.raises(ValueError, match=f"{name} is a link that leads out of run folder"):
        RunFolder.open(folder.path)


def test_a_run_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    folder = run_with(tmp_path)
    (tmp_path / "link").symlink_to(folder.path)
    assert RunFolder.open(tmp_path / "link").inside("export", "abc").parent.name == "export"


@pytest.mark.parametrize("stage", ["..", "../..", "/etc", "", "a/b", 3])
def test_stages_are_folders_of_the_run(tmp_path: Path, stage: Any) -> None:
    with pytest.raises(ValueError, match=r"is damaged .*stages"):
        run_with(tmp_path, stages=[stage]).stages()


@pytest.mark.parametrize("key", ["../../../evil", "/tmp/evil", "a\0b", "", "x" * 5000, "00"])
def test_a_key_is_that_of_its_choices(key: str) -> None:
    choices = list(smallest(SPACE).choices)
    with pytest.raises(ValueError, match=r"has the choices of network .* made by somebody else"):
        picking.network(SPACE, {"key": key, "choices": choices})
    assert picking.network(SPACE, {"key": smallest(SPACE).key, "choices": choices}) == smallest(
        SPACE
    )


@pytest.mark.parametrize("choices", [[], [0], [-1] * 99, [30000]])
def test_choices_are_those_of_the_space(choices: list[int]) -> None:
    wrong = (choices * len(SPACE.genes))[: len(SPACE.genes)] if choices == [30000] else choices
    with pytest.raises(ValueError, match="are none of space"):
        picking.network(SPACE, {"key": "x", "choices": wrong})


def _value(name: str, target: bool = True) -> dict[str, Any]:
    return {"name": name, "unit": "", "goal": "minimize", "target": target}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([_value("error"), _value("seconds")], "they lack seconds"),
        ([_value("loss"), _value("loss")], "a value twice, or a column that is none: loss"),
        ([_value("key")], "a value twice, or a column that is none: key"),
        ([_value("loss", target=False)], "names no target"),
        ([], "names no target"),
    ],
)
def test_values_that_job_json_was_given_by_hand_are_told(
    values: list[dict[str, Any]], told: str
) -> None:
    columns = {"key": ["a"], "choices": [[0, 1]], "error": [""], "loss": [0.5]}
    job = {"values": values, "genes": [{"options": [1, 2]}, {"options": [1, 2]}]}
    with pytest.raises(ValueError, match=told):
        picking.check_of_one_run(pa.table(columns), job)
