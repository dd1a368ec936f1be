"""Text data sets on disk: published layouts, one's own images, and what is wrong with them."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evoray import data
from evoray.data.parts.text.folders import TextFolders
from evoray.data.parts.text.letterbox import letterboxed, scale_of
from tests.shared_data import real_data

LINE = "10,5,60,8,58,20,9,18,EXIT, 2\r\n"


def picture(file: Path, size: tuple[int, int] = (80, 40), mode: str = "RGB") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 40, 90)).convert(mode).save(file)
    return file


def icdar(root: Path, images: int = 10) -> Path:
    for split in ("training", "test"):
        gt = {
            "training": "ch4_training_localization_transcription_gt",
            "test": "Challenge4_Test_Task1_GT",
        }[split]
        (root / gt).mkdir(parents=True)
        for number in range(1, images + 1):
            picture(root / f"ch4_{split}_images" / f"img_{number}.jpg")
            (root / gt / f"gt_img_{number}.txt").write_text(LINE, encoding="utf-8-sig")
    return root


def own(root: Path, polygon: object = ((10, 5), (60, 8), (58, 20)), images: int = 8) -> Path:
    entries = []
    for number in range(images):
        picture(root / "images" / f"{number}.png")
        entries.append({"image": f"{number}.png", "instances": [{"polygon": polygon}]})
    (root / "annotations.json").write_text(json.dumps({"images": entries}), encoding="utf-8")
    return root


def source_of(name: str, root: Path, **options: object) -> TextFolders:
    found = data.load(name, root=root, **options)  # type: ignore[arg-type]
    assert isinstance(found, TextFolders)
    return found


def test_icdar2015_is_read_as_published(tmp_path: Path) -> None:
    source = source_of("icdar2015", icdar(tmp_path), image_size=64)
    splits = {name: source.open(name) for name in ("train", "val", "test")}
    assert [len(split) for split in splits.values()] == [9, 1, 10]
    names = [split.name(i) for split in splits.values() for i in range(len(split))][:10]
    assert sorted(names) == sorted(f"img_{number}" for number in range(1, 11))
    (region,) = splits["val"].regions(0)
    assert region.text == "EXIT, 2"
    assert region.polygon.tolist() == [[10, 5], [60, 8], [58, 20], [9, 18]]
    assert splits["val"].pixels(0).shape == (3, 40, 80)
    assert splits["val"].scale(0) == 0.8
    images = splits["val"].images([0])
    assert images.shape == (1, 3, 64, 64)
    assert float(images[0, 0, 20, 30]) == pytest.approx((200 / 255 - 0.485) / 0.229, abs=0.05)
    black = -np.array(source.mean) / source.std
    assert np.allclose(images[0, :, 32:].numpy(), black[:, None, None], atol=1e-5)
    assert source.size == 9
    assert source_of("icdar2015", tmp_path, limit=4).size == 4


def test_ctw1500_is_read_with_archives_and_other_numbers(tmp_path: Path) -> None:
    corners = ",".join(str(v) for x in range(7) for v in (10 + x, 5)) + ","
    corners += ",".join(str(v) for x in range(7) for v in (16 - x, 15))
    box = f"<box><label>a b</label><segs>{corners}</segs></box>"
    xml = f"<Annotations><image>{box}</image></Annotations>"
    (tmp_path / "ctw1500" / "ctw1500_train_labels").mkdir(parents=True)
    for number in range(1, 7):
        picture(tmp_path / "ctw1500" / "train_images" / f"{number:04d}.jpg")
        place = tmp_path / "ctw1500" / "ctw1500_train_labels" / f"{number:04d}.xml"
        place.write_text(xml, encoding="utf-8")
    picture(tmp_path / "ctw1500" / "test_images" / "1001.jpg")
    with zipfile.ZipFile(tmp_path / "ctw1500" / "gt_ctw1500.zip", "w") as archive:
        archive.writestr("0001001.txt", f"{corners},#######\n")
    source = source_of("ctw1500", tmp_path, image_size=64)
    assert source.folder == tmp_path / "ctw1500"
    test = source.open("test")
    assert test.name(0) == "1001"
    assert test.regions(0)[0].ignored
    assert source.open("train").regions(0)[0].text == "a b"


def test_total_text_is_read_from_its_matlab_files(tmp_path: Path) -> None:
    sample = real_data("text_sample")
    for split, side in (("Train", 9), ("Test", 1000)):
        for number in (1, 2, 3, 4, 5):
            picture(tmp_path / "Images" / split / f"img{number}.jpg", size=(side, side))
        shutil.copytree(
            sample / "annotations" / "totaltext_mat",
            tmp_path / "Groundtruth" / "Polygon" / split,
            ignore=shutil.ignore_patterns("t3tool*"),
        )
    source = source_of("total_text", tmp_path, image_size=64)
    assert len(source.open("test")) == 5
    assert [region.text for region in source.open("test").regions(2)][:2] == ["KELUAR", "naughty"]


def test_the_sample_images_are_ones_own_form(tmp_path: Path) -> None:
    source = source_of("text_folder", real_data("text_sample"), image_size=256)
    images = {name: source.images_of(name) for name in ("train", "val", "test")}
    regions = [region for part in images.values() for image in part for region in image.regions]
    assert [len(part) for part in images.values()] == [8, 2, 2]
    assert len(regions) == 90
    assert sum(region.ignored for region in regions) == 61
    split = source.open("val")
    for index, image in enumerate(images["val"]):
        assert split.name(index) == image.name
        with Image.open(image.file) as shown:
            assert split.pixels(index).shape == (3, shown.height, shown.width)
            assert split.scale(index) == 256 / max(shown.size)


def test_facts_leave_out_what_does_not_count() -> None:
    facts = source_of("text_folder", real_data("text_sample")).facts()
    counted = [
        region
        for image in source_of("text_folder", real_data("text_sample")).images_of("train")
        for region in image.regions
        if not region.ignored
    ]
    assert facts["texts an image"] == f"{len(counted) / 8:.1f}"


def test_own_images_may_have_parts_of_their_own(tmp_path: Path) -> None:
    own(tmp_path / "training", images=4)
    own(tmp_path / "valid", images=2)
    source = source_of("text_folder", tmp_path, image_size=64)
    assert [len(source.open(split)) for split in ("train", "val", "test")] == [3, 2, 1]


def test_it_is_the_same_elsewhere_and_other_data_is_not(tmp_path: Path) -> None:
    source = source_of("text_folder", own(tmp_path / "a"))
    assert pickle.loads(pickle.dumps(source)) == source
    again = source_of("text_folder", own(tmp_path / "b"))
    assert again.contents() == source.contents()
    other = source_of("text_folder", own(tmp_path / "c", ((1, 1), (9, 1), (9, 9))))
    assert other.contents().digest != source.contents().digest
    assert other.contents().files == 9


def test_orientation_of_exif_is_ignored(tmp_path: Path) -> None:
    own(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(8):
        Image.new("RGB", (80, 40)).save(tmp_path / "images" / f"{number}.png", exif=exif)
    assert source_of("text_folder", tmp_path).open("train").pixels(0).shape == (3, 40, 80)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("P", "gif"), ("1", "png")]
)
def test_every_kind_of_picture_becomes_colours(tmp_path: Path, mode: str, suffix: str) -> None:
    own(tmp_path)
    (tmp_path / "images" / "3.png").unlink()
    picture(tmp_path / "images" / f"3.{suffix}", mode=mode)
    source = source_of("text_folder", tmp_path, image_size=64)
    shapes = [
        split.pixels(i).shape
        for split in map(source.open, ("train", "val", "test"))
        for i in range(len(split))
    ]
    assert shapes == [(3, 40, 80)] * 8


def test_sixteen_bits_have_one_scale_for_the_data_set(tmp_path: Path) -> None:
    own(tmp_path)
    for number in range(8):
        values = np.full((40, 80), 4000 if number else 1000, dtype=np.uint16)
        Image.fromarray(values).save(tmp_path / "images" / f"{number}.png")
    source = source_of("text_folder", tmp_path, image_size=64)
    found = {
        int(split.pixels(i)[0, 0, 0])
        for split in map(source.open, ("train", "val", "test"))
        for i in range(len(split))
    }
    assert found == {62, 249}  # of 4,095


def test_a_torn_picture_is_refused_by_name(tmp_path: Path) -> None:
    own(tmp_path)
    file = picture(tmp_path / "images" / "5.jpg", size=(300, 300))
    (tmp_path / "images" / "5.png").unlink()
    file.write_bytes(file.read_bytes()[:-400])
    source = source_of("text_folder", tmp_path)
    with pytest.raises(ValueError, match=r"5\.jpg is no picture that can be read"):
        [source.open(split) for split in ("train", "val", "test")]


@pytest.mark.parametrize("size", [(5000, 3), (5000, 1), (1, 5000), (1, 1), (5000, 4000), (37, 91)])
def test_pictures_of_any_size_are_letterboxed_to_scale(size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    square, scale = letterboxed(pixels, 128), scale_of(height, width, 128)
    rows, columns = (int((square[0] > 0).any(axis=axis).sum()) for axis in (1, 0))
    assert scale * max(size) == 128
    assert max(rows, columns) == 128
    assert rows == max(1, int(height * scale + 1e-6))
    assert columns == max(1, int(width * scale + 1e-6))


def test_a_point_stays_where_the_scale_says() -> None:
    pixels = np.zeros((301, 777, 3), dtype=np.uint8)
    pixels[200:220, 600:620] = 255
    square, scale = letterboxed(pixels, 256), scale_of(301, 777, 256)
    rows, columns = np.nonzero(square[0] > 127)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert np.abs(middle - np.array([610, 210]) * scale).max() < 0.5


def test_polygons_outside_the_image_are_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own(tmp_path, ((100, 5), (120, 5), (120, 20)))
    with caplog.at_level(logging.WARNING):
        assert source_of("text_folder", tmp_path).open("train").regions(0) == ()
    assert "1 polygons outside its 80 x 40 pixels are left out" in caplog.text
    own(tmp_path / "b", ((70, 5), (120, 5), (120, 20)))
    assert len(source_of("text_folder", tmp_path / "b").open("train").regions(0)) == 1


def test_partners_that_are_missing_are_named(tmp_path: Path) -> None:
    root = icdar(tmp_path / "a")
    (root / "ch4_test_images" / "img_3.jpg").unlink()
    with pytest.raises(ValueError, match=r"img_3: no image of that name in .*ch4_test_images"):
        source_of("icdar2015", root).open("test")
    root = icdar(tmp_path / "b")
    (root / "Challenge4_Test_Task1_GT" / "gt_img_3.txt").unlink()
    with pytest.raises(ValueError, match=r"img_3\.jpg: no annotations of that name in .*Task1_GT"):
        source_of("icdar2015", root).open("test")
    picture(root / "ch4_training_images" / "more" / "img_3.png")
    with pytest.raises(ValueError, match=r"two have the name 'img_3'"):
        source_of("icdar2015", root).open("train")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations.json").write_text('{"images": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="images holds no picture"):
        source_of("text_folder", tmp_path).open("train")


@pytest.mark.parametrize("name", ["total_text", "ctw1500", "icdar2015", "text_folder"])
def test_a_wrong_root_is_refused_with_what_is_expected(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"needs a folder.*--data\.root"):
        data.load(name)
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist"):
        data.load(name, root=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"expected"):
        data.load(name, root=tmp_path)
    with pytest.raises(ValueError, match=r"fetched"):
        data.load(name, root=tmp_path, download=True)


def test_more_than_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoray.data.parts.text.folders._MEMORY_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"choose a smaller --data\.image-size"):
        source_of("text_folder", own(tmp_path)).open("train")
