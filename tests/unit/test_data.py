"""Data sources: real readers on real and hand-made files."""

from __future__ import annotations

import gzip
import hashlib
import logging
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from evoray import data
from evoray.data import cifar10
from evoray.data.parts.contents import of_arrays
from tests.shared_data import real_data


def picture(
    file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30), mode: str = "RGB"
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(file)


def folder_of(root: Path, parts: tuple[str, ...] = ("train", "val")) -> Path:
    for part in parts:
        for name, colour in (("red", (250, 0, 0)), ("blue", (0, 0, 250))):
            for index in range(8):
                picture(root / part / name / f"{index}.png", colour)
    return root


def test_digits_are_split_60_20_20_without_overlap() -> None:
    source = data.load("digits", image_size=8)
    splits = [source.open(s) for s in ("train", "val", "test")]
    assert [len(s.labels) for s in splits] == [1079, 359, 359]
    images = [{row.numpy().tobytes() for row in s.images(range(len(s.labels)))} for s in splits]
    assert not images[0] & images[1]
    assert not images[0] & images[2]
    assert not images[1] & images[2]


def test_digits_are_those_of_scikit_learn() -> None:
    arrays = load_digits(return_X_y=True)
    assert data.load("digits").contents() == of_arrays(arrays)  # types, shapes and bytes


def test_digits_are_normalised_and_scaled() -> None:
    source = data.load("digits")
    split = source.open("train")
    images = split.images(range(500))
    assert images.shape == (500, *source.image_shape) == (500, 1, 32, 32)
    assert abs(float(images.mean())) < 0.05
    assert abs(float(images.std()) - 1) < 0.15
    assert split is source.open("train")


def test_a_limit_keeps_the_share_of_every_class() -> None:
    labels = data.load("digits", limit=200).open("train").labels
    assert 190 <= len(labels) <= 210
    assert torch.bincount(labels).min() >= 18


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ({"name": "digit"}, ValueError, "no data source 'digit'; did you mean 'digits'"),
        ({"name": "digits", "root": Path("x")}, ValueError, "embedded and reads no folder"),
        ({"name": "digits", "image_size": 4}, ValueError, "between 8 and 1024 pixels, got 4"),
        ({"name": "digits", "limit": 0}, ValueError, "at least 1 image, got 0"),
        ({"name": "cifar10"}, FileNotFoundError, "give --data.root DIR or set EVORAY_DATA"),
        (
            {"name": "cifar10", "root": Path("/no/such")},
            FileNotFoundError,
            "/no/such does not exist",
        ),
        (
            {"name": "cifar100", "root": Path("/no/such")},
            FileNotFoundError,
            "add --data.download to fetch",
        ),
        (
            {"name": "fashion_mnist", "root": Path("/no/such")},
            FileNotFoundError,
            "add --data.download to fetch",
        ),
        ({"name": "image_folder"}, FileNotFoundError, "give --data.root DIR with DIR/train/CLASS"),
    ],
    ids=str,
)
def test_what_is_not_there_is_said_before_anything_is_read(
    words: dict[str, Any], kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    with pytest.raises(kind, match=message):
        data.load(**words)


def test_cifar10_pickles_of_the_distribution_are_read() -> None:
    source = data.load("cifar10", root=real_data("cifar10_small"))
    sizes = [len(source.open(s).labels) for s in ("train", "val", "test")]
    assert sum(sizes[:2]) == 2500
    assert sizes[2] == 500
    assert source.open("test").labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    images = source.open("test").images(range(500))
    assert images.shape == (500, 3, 32, 32)
    assert abs(float(images.mean())) < 0.1


@pytest.mark.slow
def test_cifar10_sheets_hold_the_pixels_of_the_original() -> None:
    folder = real_data("cifar10")
    pixels, labels = cifar10._read_sheets(folder, test=True)
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    assert digest == "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56"
    small, small_labels = cifar10._read_pickles(
        real_data("cifar10_small") / "cifar-10-batches-py", test=True
    )
    assert (pixels[:500] == small).all()
    assert (labels[:500] == small_labels).all()
    source = data.load("cifar10", root=folder, limit=1000)
    assert len(source.open("val").labels) == 5000
    assert torch.bincount(source.open("train").labels).tolist() == [100] * 10


class Evil:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("the pickle ran code",))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    source = data.load("cifar10", root=tmp_path)
    with pytest.raises(ValueError, match="not what it claims to be"):
        source.open("test")
    assert "ran code" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "body", [b"", b"no pickle", pickle.dumps({"data": [1], "labels": []}), pickle.dumps({}), None]
)
def test_a_damaged_batch_is_one_clear_error(body: bytes | None, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    if body is not None:
        (folder / "test_batch").write_bytes(body)
    with pytest.raises(
        ValueError, match=f"test part of data source 'cifar10' in {folder} cannot be read"
    ):
        data.load("cifar10", root=tmp_path).open("test")


def test_fashion_mnist_is_read_in_torchvisions_layout(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, header, body in (
            (
                f"{part}-images-idx3-ubyte",
                struct.pack(">IIII", 2051, count, 28, 28),
                images.tobytes(),
            ),
            (f"{part}-labels-idx1-ubyte", struct.pack(">II", 2049, count), labels.tobytes()),
        ):
            (raw / name).write_bytes(header + body)
            (raw / f"{name}.gz").write_bytes(gzip.compress(header + body))
    source = data.load("fashion_mnist", root=tmp_path)
    assert len(source.open("test").labels) == 20
    assert len(source.open("train").labels) + len(source.open("val").labels) == 60
    assert source.open("train").images([0]).shape == (1, 1, 32, 32)


def test_pictures_in_folders_are_read_scaled_and_cropped(tmp_path: Path) -> None:
    source = data.load("image_folder", root=folder_of(tmp_path), image_size=16)
    assert source.num_classes == 2
    split = source.open("train")
    assert split.labels.tolist() == [0] * 8 + [1] * 8  # blue, red
    images = split.images([0, 15])
    assert images.shape == (2, 3, 16, 16)
    assert images[0, 2].mean() > images[0, 0].mean()
    assert images[1, 0].mean() > images[1, 2].mean()
    assert len(source.open("test").labels) == len(source.open("val").labels) == 16


def test_a_flat_folder_is_split(tmp_path: Path) -> None:
    source = data.load("image_folder", root=folder_of(tmp_path, parts=("",)), image_size=16)
    sizes = [len(source.open(s).labels) for s in ("train", "val", "test")]
    assert sum(sizes) == 16
    assert min(sizes) >= 2


def test_grey_pictures_become_rgb_and_damaged_ones_are_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(tmp_path)
    picture(tmp_path / "train" / "red" / "grey.png", (90, 90, 90), mode="L")
    (tmp_path / "train" / "red" / "broken.png").write_bytes(b"no picture")
    whole = (tmp_path / "train" / "red" / "0.png").read_bytes()
    (tmp_path / "train" / "blue" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        split = data.load("image_folder", root=tmp_path, image_size=16).open("train")
    assert len(split.labels) == 17
    assert "2 damaged pictures are left out" in caplog.text
    assert "broken.png" in caplog.text


def test_a_class_without_a_readable_picture_is_an_error(tmp_path: Path) -> None:
    folder_of(tmp_path)
    for file in (tmp_path / "train" / "red").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="class red has no readable picture in the train part"):
        data.load("image_folder", root=tmp_path, image_size=16).open("train")


def test_one_class_alone_is_no_data_set(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "red" / "0.png", (1, 2, 3))
    with pytest.raises(FileNotFoundError, match="pictures of 1 classes"):
        data.load("image_folder", root=tmp_path)


@pytest.mark.slow
def test_real_photos_are_read() -> None:
    source = data.load("image_folder", root=real_data("imagenette_subset"), image_size=64)
    assert source.num_classes == 10
    assert len(source.open("val").labels) == 500
    assert torch.isfinite(source.open("val").images(range(500))).all()


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="no split 'trian'; there is train, val, test"):
        data.load("digits").open("trian")
