"""Folders of pictures as people have them: odd values, odd names, splits that do not fit."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evoray import data
from evoray.data.parts.pictures import Scale, decode, scale_of

_RAMP = np.tile(np.linspace(0.0, 1.0, 32), (32, 1))


def fill(folder: Path, count: int = 6, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        file = folder / f"{index}{suffix}"
        Image.fromarray(np.full((16, 16, 3), 20 * index, dtype=np.uint8)).save(file, format="PNG")


def layout(root: Path, *folders: str) -> Path:
    for name in folders:
        fill(root / name)
    return root


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        ((_RAMP * 65535).astype(np.uint16), "png"),
        ((_RAMP * 4095).astype(np.uint16), "png"),
        ((_RAMP * 65535).astype(np.uint16), "tif"),
        ((_RAMP * 2000 - 1000).astype(np.int16), "tif"),
        ((_RAMP * 1e6).astype(np.int32), "tif"),
        (_RAMP.astype(np.float32), "tif"),
        ((_RAMP * 2 - 1).astype(np.float32), "tif"),
        ((_RAMP * 255).astype(np.float32), "tif"),
        ((_RAMP * 7e4 - 12).astype(np.float32), "tif"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype} to {value.max():g}",
)
def test_deep_pictures_are_scaled_by_the_range_of_their_data(
    values: NDArray[np.generic], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"ramp.{suffix}"
    Image.fromarray(values).save(file)
    shown = decode(file, 32, scale_of([file]))
    assert (
        np.abs(shown[0, 16].astype(int) - np.rint(_RAMP[0] * 255)).max() <= 1
    )  # rounded once when stored, once when shown
    assert (shown[0] == shown[2]).all()


def test_the_scale_is_the_data_sets_so_that_a_dark_picture_stays_dark(tmp_path: Path) -> None:
    for name, share in (("dark", 0.1), ("bright", 1.0)):
        Image.fromarray((_RAMP * share * 65535).astype(np.uint16)).save(tmp_path / f"{name}.png")
    scale = scale_of(sorted(tmp_path.iterdir()))
    assert decode(tmp_path / "dark.png", 32, scale).max() <= 26
    assert decode(tmp_path / "bright.png", 32, scale).max() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_show_white_and_not_what_is_hidden(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (16, 16), (200, 0, 0, 0)).convert(mode)
    picture.save(tmp_path / "x.png")
    assert (decode(tmp_path / "x.png", 16, Scale()) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB"])
@pytest.mark.parametrize("grey", [0, 255])
def test_every_mode_becomes_rgb(mode: str, grey: int, tmp_path: Path) -> None:
    Image.new("RGB", (20, 16), (grey,) * 3).convert(mode).save(tmp_path / "x.tif")
    assert (decode(tmp_path / "x.tif", 16, Scale()) == grey).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize(
    ("orientation", "bright"),
    [(1, "top"), (3, "bottom"), (6, "right"), (8, "left"), (2, "top"), (4, "bottom")],
)
def test_pictures_are_turned_upright(
    orientation: int, bright: str, suffix: str, tmp_path: Path
) -> None:
    pixels = np.zeros((24, 24, 3), dtype=np.uint8)
    pixels[:12] = 250
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"x.{suffix}", exif=exif)
    shown = decode(tmp_path / f"x.{suffix}", 24, Scale())[0]
    halves = {"top": shown[:8], "bottom": shown[16:], "left": shown[:, :8], "right": shown[:, 16:]}
    assert max(halves, key=lambda name: float(halves[name].mean())) == bright


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize(
    ("val", "part"),
    [("valid", "val"), ("Validation", "val"), ("dev", "val"), ("Val", "val"), ("Testing", "test")],
)
def test_split_names_have_synonyms(train: str, val: str, part: str, tmp_path: Path) -> None:
    layout(tmp_path, f"{train}/cat", f"{train}/dog", f"{val}/Cat", f"{val}/dog")
    source = data.load("image_folder", root=tmp_path, image_size=16)
    assert source.num_classes == 2
    assert len(source.open(part)) == 12


def _flat_val(root: Path) -> None:
    fill(root / "val")


def _link(root: Path) -> None:
    (root / "train/cat2").symlink_to(root / "train/cat")


@pytest.mark.parametrize(
    ("folders", "change", "message"),
    [
        (("train/a", "train/b", "Training/a", "Training/b"), None, "which all mean train"),
        (("train/a", "train/b", "trian/a"), None, "trian may be meant as a split or as a class"),
        (
            ("train_set/a", "train_set/b", "test_set/a", "test_set/b"),
            None,
            "may be meant as a split or as a class",
        ),
        (
            ("fold1/a", "fold1/b", "fold2/a", "fold2/b"),
            None,
            "if they are splits, name them train, val and test",
        ),
        (("val/a", "val/b"), None, "no folder of training pictures"),
        (("train/a", "train/b", "val/a", "val/c"), None, "a, c, expected a, b"),
        (("train/a", "train/b", "val/a"), None, "other classes than"),
        (("train/a", "train/b"), _flat_val, "none with pictures, expected a, b"),
        (
            ("train/a", "train/b"),
            lambda root: (root / "val").mkdir(),
            "none with pictures, expected a, b",
        ),
        (("train/cat", "train/dog"), _link, "are links to one folder"),
        (("pics/a", "pics/b"), None, "if the classes are inside it, give that folder"),
        ((), None, "holds pictures of 0 classes"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    folders: tuple[str, ...], change: Callable[[Path], None] | None, message: str, tmp_path: Path
) -> None:
    layout(tmp_path, *folders)
    if change:
        change(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        data.load("image_folder", root=tmp_path, image_size=16)
    assert str(tmp_path) in str(error.value)


def test_what_is_left_out_is_counted_in_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout(tmp_path, "cat", "dog", ".cache/x", "__MACOSX/cat")
    fill(tmp_path / "dog/more", suffix="")  # readable without a suffix
    (tmp_path / "cat/notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "cat/.hidden.png").write_bytes((tmp_path / "cat/0.png").read_bytes())
    (tmp_path / "loose.jpg").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "dog/round").symlink_to(tmp_path / "dog")
    with caplog.at_level(logging.WARNING):
        source = [data.load("image_folder", root=tmp_path, image_size=16) for _ in range(2)][-1]
        sizes = [len(source.open(split)) for split in ("train", "val", "test")]
    assert source.num_classes == 2
    assert sum(sizes) == 18
    assert len(caplog.records) == 1
    assert "3 files are left out" in caplog.text
    assert "1 folders without pictures are no classes" in caplog.text


def test_a_rare_class_keeps_a_training_picture_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, count in (("common", 12), ("pair", 2), ("single", 1)):
        fill(tmp_path / name, count)
    with caplog.at_level(logging.WARNING):
        source = data.load("image_folder", root=tmp_path, image_size=16)
    counts = {
        split: np.bincount(source.open(split).labels.numpy(), minlength=3).tolist()
        for split in ("train", "val", "test")
    }
    assert counts["train"][1:] == [1, 1]
    assert counts["val"][1:] == [1, 0]
    assert counts["test"][1:] == [0, 0]
    assert "single: too few pictures for the val part" in caplog.text
    assert "pair, single: too few pictures for the test part" in caplog.text


def test_a_relative_root_is_the_same_folder_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout(tmp_path / "pics", "cat", "dog")
    monkeypatch.chdir(tmp_path)
    source = data.load("image_folder", root=Path("pics"), image_size=16)
    monkeypatch.chdir("/")
    assert len(source.open("train")) == 8


def test_a_pipe_among_the_pictures_is_left_out_and_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout(tmp_path, "cat", "dog")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    os.mkfifo(tmp_path / "dog" / "pipe")
    source = data.load("image_folder", root=tmp_path, image_size=16)
    assert sum(len(source.open(split)) for split in ("train", "val", "test")) == 12
    assert str(tmp_path / "cat" / "pipe.png") in caplog.text
    assert str(tmp_path / "dog" / "pipe") in caplog.text
