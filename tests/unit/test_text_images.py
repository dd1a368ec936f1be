"""Generated images of text: what is annotated is what is drawn."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from evoray import data
from evoray.data.parts.text import backgrounds, fonts, rendering
from evoray.data.parts.text.facts import facts_of, rectangle_share
from evoray.data.parts.text.fonts import Fonts
from evoray.data.parts.text.generator import Generator
from evoray.data.parts.text.layouts import MARGIN, PlacedText, layout
from evoray.data.parts.text.presets import PRESETS
from evoray.data.parts.text.strips import Arc, Strip, Wave
from evoray.data.text import GeneratedText

FACES = fonts.installed()
REAL_SHARES = {"total_text": (0.958, 0.771), "ctw": (0.924, 0.774)}  # of the sets' test parts


def source_of(name: str = "text", **options: object) -> GeneratedText:
    found = data.load(name, **options)  # type: ignore[arg-type]
    assert isinstance(found, GeneratedText)
    return found


def texts_of(preset: str, images: int) -> list[PlacedText]:
    generator = source_of(f"text:{preset}").generator("train")
    return [text for index in range(images) for text in generator.texts(index)]


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_is_a_function_of_seed_and_index(preset: str) -> None:
    source = source_of(f"text:{preset}", image_size=64)
    first, again = source.generator("val"), pickle.loads(pickle.dumps(source)).generator("val")
    pixels, regions = again.image(7)
    first.image(3)
    assert np.array_equal(first.image(7)[0], pixels)
    assert [region.text for region in first.image(7)[1]] == [region.text for region in regions]
    split = source.open("val")
    assert np.array_equal(split.pixels(7), pixels)
    assert not np.array_equal(first.image(8)[0], pixels)
    assert not np.array_equal(source.generator("test").image(7)[0], pixels)


def test_names_carry_presets_as_those_of_spaces_do() -> None:
    assert data.presets("text") == ["curved", "hard", "total_text", "ctw"]
    assert source_of("text") == source_of("text:curved")
    assert source_of("text:hard").name == "text:hard"
    with pytest.raises(ValueError, match="'text' has no preset 'easy'; there is curved, hard"):
        data.load("text:easy")
    with pytest.raises(ValueError, match="'digits' has no preset 'hard'; it has none"):
        data.load("digits:hard")


@pytest.mark.parametrize("preset", PRESETS)
def test_polygons_are_valid_apart_and_inside(preset: str) -> None:
    generator = source_of(f"text:{preset}").generator("train")
    for index in range(12):
        shapes = [shapely.Polygon(text.polygon) for text in generator.texts(index)]
        assert shapes
        for number, shape in enumerate(shapes):
            assert shape.is_valid
            assert shapely.box(0, 0, 256, 256).contains(shape)
            assert all(shape.disjoint(other) for other in shapes[:number])


@pytest.mark.parametrize("preset", PRESETS)
def test_heights_and_numbers_of_texts_are_the_presets(preset: str) -> None:
    wanted, generator = PRESETS[preset], source_of(f"text:{preset}").generator("train")
    for index in range(12):
        texts = generator.texts(index)
        assert len(texts) <= wanted.lines[1]
        for text in texts:
            assert wanted.heights[0] <= text.strip.height <= wanted.heights[1]
            assert wanted.words[0] <= len(text.text.split()) <= wanted.words[1]


def test_texts_grow_with_the_image() -> None:
    small, large = (
        source_of(image_size=size).generator("train").texts(0)[0] for size in (128, 512)
    )
    assert large.text == small.text
    assert large.strip.height == pytest.approx(4 * small.strip.height)


CURVES = [Arc(60.0), Arc(-45.0), Arc(25.0), Wave(), Wave(12.0, 0.07, 1.3)]
ALL = slice(0, 256)


def bent(curve: Arc | Wave, text: str = "Blajing Stoun 84", font: int = 0) -> PlacedText:
    turned = Strip(110.0, 20.0, curve, taper=0.1, matrix=(0.9, -0.3, 0.4, 0.8), offset=(130, 120))
    return PlacedText(text, font, turned, turned.polygon())


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_a_strips_formula_is_inverted(curve: Arc | Wave) -> None:
    strip = bent(curve).strip
    along, across = (part.ravel() for part in np.meshgrid(np.linspace(0, 1, 9), [0, 0.4, 1]))
    back = strip.shares(*strip.points(along, across).T)
    assert np.allclose(back, (along, across))


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_ink_lies_in_its_polygon_and_reaches_all_of_it(curve: Arc | Wave) -> None:
    text = bent(curve)
    along, across = rendering.places(text, ALL, ALL)
    ink = rendering.coverage(text, FACES, along, across) > 0.02
    polygon = shapely.Polygon(text.polygon)
    assert polygon.is_valid
    x, y = np.meshgrid(np.arange(256) + 0.5, np.arange(256) + 0.5)
    assert not (ink & ~shapely.contains_xy(polygon, x, y)).any()
    assert along[ink].min() < 0.03
    assert along[ink].max() > 0.97
    assert across[ink].min() < 0.12
    assert across[ink].max() > 0.88
    assert (np.histogram(along[ink], 8, (0, 1))[0] > 10).all()


def test_a_straight_text_is_drawn_as_its_font_has_it() -> None:
    ink = FACES.drawn(3, "Brenty", 90.0)
    height, width = (round(side / 1.5) for side in ink.shape)
    rim = 2 * MARGIN * height
    strip = Strip(width + rim, height + rim, Wave(), offset=(20 + width / 2, 100 + height / 2))
    text = PlacedText("Brenty", 3, strip, strip.polygon())
    shown = rendering.coverage(text, FACES, *rendering.places(text, ALL, ALL))
    part = shown[100 : 100 + height, 20 : 20 + width]
    same = np.asarray(Image.fromarray(ink).resize(part.shape[::-1], Image.Resampling.BILINEAR))
    assert np.corrcoef(part.ravel(), same.ravel())[0, 1] > 0.95


def test_no_text_is_drawn_in_the_colour_behind_it() -> None:
    source = source_of()
    for index in range(6):
        generator = source.generator("train")
        pixels, regions = generator.image(index)
        luma = np.tensordot((0.299, 0.587, 0.114), pixels, 1)
        for text in generator.texts(index):
            along, across = rendering.places(text, ALL, ALL)
            ink = rendering.coverage(text, FACES, along, across)
            ground = (along > 0) & (along < 1) & (across > 0) & (across < 1) & (ink < 0.02)
            if (ink > 0.8).sum() > 5:
                assert abs(luma[ink > 0.8].mean() - luma[ground].mean()) > 35
        assert len(regions) == len(generator.texts(index))


def test_only_images_that_are_asked_for_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = Generator.image
    monkeypatch.setattr(Generator, "image", lambda self, i: made.append(i) or real(self, i))
    split = source_of(image_size=40, limit=30).open("train")
    split.images([3, 5, 3])
    split.pixels(5)
    split.regions(-1)
    assert made == [3, 5, 29]
    with pytest.raises(IndexError):
        split.regions(30)
    with pytest.raises(ValueError, match="read-only"):
        split.pixels(3)[:] = 0


def test_more_images_than_the_usual_ones_are_made_where_that_is_wanted() -> None:
    assert source_of().size == len(source_of().open("train")) == 2000
    assert source_of(limit=5000).size == 5000
    with pytest.raises(ValueError, match=r"take 117\.2 GiB, more than 8"):
        data.load("text", limit=10_000_000 // 250, image_size=1024)


def test_the_digest_tells_fonts_and_presets_apart(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    (folder / "one.ttf").write_bytes(FACES.files[0].read_bytes())
    own, usual = source_of(root=tmp_path), source_of()
    assert own.generator("val").fonts.files == (folder / "one.ttf",)
    assert own.generator("val").backgrounds == usual.generator("val").backgrounds
    digests = {source.contents().digest for source in (own, usual, source_of("text:hard"))}
    assert len(digests) == 3
    assert source_of(image_size=64).contents() == usual.contents()


def test_matplotlibs_text_faces_are_found_and_its_symbols_left_out() -> None:
    names = [file.name for file in FACES.files if "matplotlib" in file.parts]
    assert len(names) == 21
    assert {"DejaVuSans.ttf", "STIXGeneral.ttf", "cmr10.ttf"} <= set(names)
    folder = FACES.files[0].parent
    symbols = ["LastResortHE-Regular.ttf", "STIXSizOneSymReg.ttf", "STIXNonUni.ttf"]
    assert not any(fonts.has_letters(folder / name) for name in symbols)
    assert not {"cmex10.ttf", "cmmi10.ttf", "cmsy10.ttf"} & set(names)  # symbols named as letters
    assert all(map(fonts.has_letters, FACES.files))


def test_a_folder_without_fonts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "readme.txt").write_text("none here", encoding="utf-8")
    with pytest.raises(ValueError, match=r"fonts holds no font: expected \.ttf"):
        data.load("text", root=tmp_path)


def test_a_font_without_the_letters_is_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "fonts"
    folder.mkdir()
    symbols = next(f for f in FACES.files if f.name == "cmr10.ttf").with_name("STIXNonUni.ttf")
    (folder / "symbols.ttf").write_bytes(symbols.read_bytes())
    (folder / "broken.otf").write_bytes(b"no font at all")
    with pytest.raises(ValueError, match=r"none of the fonts in .*broken\.otf, symbols\.ttf"):
        data.load("text", root=tmp_path)
    (folder / "good.ttf").write_bytes(FACES.files[0].read_bytes())
    with caplog.at_level(logging.WARNING):
        assert fonts.of_folder(folder) == Fonts((folder / "good.ttf",))
    assert "broken.otf, symbols.ttf" in caplog.text


def test_own_backgrounds_are_used_and_damaged_ones_refused(tmp_path: Path) -> None:
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    with pytest.raises(ValueError, match="backgrounds holds no picture"):
        data.load("text", root=tmp_path)
    Image.new("L", (90, 60), 200).save(folder / "grey.png")
    (tmp_path / "again").mkdir()
    assert backgrounds.of_folder(folder).photos == (folder / "grey.png",)
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"torn\.jpg is no picture that can be read"):
        backgrounds.of_folder(folder)


def test_a_folder_with_neither_fonts_nor_backgrounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds neither fonts/ nor backgrounds/"):
        data.load("text", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        data.load("text", root=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"leave out --data\.download"):
        data.load("text", download=True)


def test_an_image_too_small_for_text_has_none() -> None:
    rng = np.random.default_rng(0)
    assert layout(PRESETS["curved"], 2, len(FACES), FACES.aspect, rng) == ()
    pixels, regions = source_of(image_size=8).generator("train").image(0)
    assert pixels.shape == (3, 8, 8)
    assert isinstance(regions, tuple)


def test_facts_count_what_rectangles_fit() -> None:
    square, flat = (
        np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]]),
        np.array([[0, 0], [9, 0], [9.0, 0]]),
    )
    corner = np.array([[0, 0], [60, 0], [60, 60], [55, 60], [55, 5], [0, 5.0]])
    facts = facts_of([[square, corner], []], [100.0, 100.0])
    assert facts["texts an image"] == "1.0"
    assert facts["over a third of the image"] == "50%"
    assert facts["rectangle's IoU >= 0.5"] == "50.0%"
    assert rectangle_share(corner) == pytest.approx(575 / 3600)
    assert rectangle_share(flat) == 0.0
    assert facts_of([[], []], [9.0, 9.0]) == {"texts an image": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("preset", REAL_SHARES)
def test_rectangles_fit_as_many_texts_as_in_the_real_sets(preset: str) -> None:
    shares = np.array([rectangle_share(text.polygon) for text in texts_of(preset, 900)])
    at_half, at_seven = REAL_SHARES[preset]
    assert abs((shares >= 0.5).mean() - at_half) < 0.02
    assert abs((shares >= 0.7).mean() - at_seven) < 0.025


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["curved", "hard"])
def test_rectangles_fit_few_texts_of_the_curved_presets(preset: str) -> None:
    shares = np.array([rectangle_share(text.polygon) for text in texts_of(preset, 600)])
    assert 0.62 < (shares >= 0.5).mean() < 0.72
    assert 0.36 < (shares >= 0.7).mean() < 0.46
