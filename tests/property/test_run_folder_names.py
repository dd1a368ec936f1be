"""No name that a file of a run folder says leads out of the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoray.records.run_folder import RunFolder

PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "\0", "a", "~", "", "link", " ", "\n", "%2e", "evil"]
)
NAMES = st.one_of(
    st.text(max_size=300),
    st.lists(PIECES, max_size=8).map("".join),
    st.text(max_size=5).map(lambda t: t * 100),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    base = tmp_path_factory.mktemp("base")
    (base / "run").mkdir()
    (base / "run" / "link").symlink_to(base)
    (base / "run" / "real").mkdir()
    (base / "run" / "real" / "link").symlink_to("../..")
    return RunFolder(base / "run")


@given(names=st.lists(NAMES, min_size=1, max_size=3))
def test_a_name_stays_in_the_run_folder_or_is_refused(folder: RunFolder, names: list[str]) -> None:
    try:
        place = folder.inside(*names)
    except (ValueError, UnicodeEncodeError):  # a lone surrogate is no name either
        return
    real = Path(os.path.realpath(place))
    assert real != folder.path
    assert folder.path in real.parents
    assert len(os.fsencode(place.name)) < 255


@pytest.mark.parametrize(
    "names",
    [
        ("link",),
        ("link", "x"),
        ("real", "link"),
        ("..",),
        ("a/b",),
        ("a\\b",),
        ("\0",),
        ("x" * 256,),
        ("",),
    ],
)
def test_links_and_paths_are_refused_by_name(folder: RunFolder, names: tuple[str, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"is a link that leads out|is no name that a file in run folder"
    ):
        folder.inside(*names)
    assert folder.inside("real", "new").parent.name == "real"
