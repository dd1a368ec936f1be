"""Exported networks compute what torch computes, with the recalibrated batch norm in them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import searchspaces
from evoray import data
from evoray.results import export
from evoray.training.recipe.calibration import Calibration
from searchspaces.base import Graph, architectures

SPACE: Any = searchspaces.load("bignas:digits")
SHAPE = (1, 32, 32)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    subnet = SPACE.build_subnet(None, architecture())
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    Calibration(source=data.load("digits", limit=100), num_images=64)(subnet, torch.device("cpu"))
    return subnet.eval()


def architecture() -> Any:
    return architectures(SPACE, np.ones((1, len(SPACE.genes)), dtype=np.int16))[0]


def test_safetensors_come_back_as_the_same_network(network: nn.Module, tmp_path: Path) -> None:
    files = export.export(
        network, architecture(), SPACE, SHAPE, "safetensors", tmp_path, extra={"source": "digits"}
    )
    assert (
        sorted(f.name for f in files)
        == sorted(f.name for f in tmp_path.iterdir())
        == ["architecture.json", "weights.safetensors"]
    )
    about = json.loads((tmp_path / "architecture.json").read_text(encoding="utf-8"))
    assert about["key"] == architecture().key
    assert about["input_shape"] == list(SHAPE)
    assert about["source"] == "digits"
    x = torch.randn(2, *SHAPE)
    with torch.inference_mode():
        loaded = export.load_exported(tmp_path, SPACE)
        # Equal weights at other addresses: a kernel may add in another order.
        torch.testing.assert_close(loaded(x), network(x), rtol=1e-5, atol=1e-5)
    assert all(
        torch.equal(tensor, network.state_dict()[name])
        for name, tensor in loaded.state_dict().items()
    )


@pytest.mark.slow
def test_onnx_computes_the_same_at_any_batch_size(network: nn.Module, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    export.export(network, architecture(), SPACE, SHAPE, "onnx", tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    for batch in (1, 5):
        x = torch.randn(batch, *SHAPE)
        with torch.inference_mode():
            difference = np.abs(
                session.run(None, {"images": x.numpy()})[0] - network(x).numpy()
            ).max()
        assert difference < 1e-4
    assert sorted(f.name for f in tmp_path.iterdir()) == ["architecture.json", "network.onnx"]


@pytest.mark.slow
def test_pt2_computes_the_same_at_any_batch_size(network: nn.Module, tmp_path: Path) -> None:
    export.export(network, architecture(), SPACE, SHAPE, "pt2", tmp_path)
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    x = torch.randn(5, *SHAPE)
    with torch.inference_mode():
        assert torch.allclose(loaded(x), network(x), atol=1e-5)


def test_an_export_that_computes_something_else_is_refused_and_leaves_nothing(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Graph, file: Path) -> float:
        file.write_text("something", encoding="utf-8")
        return 0.5

    monkeypatch.setitem(export._WRITERS, "safetensors", wrong)
    with pytest.raises(RuntimeError, match=r"differs from torch by 0\.5"):
        export.export(network, architecture(), SPACE, SHAPE, "safetensors", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_and_a_missing_package_are_named(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ValueError, match="cannot export to 'tflite'; there is onnx, pt2, safetensors"
    ):
        export.export(network, architecture(), SPACE, SHAPE, "tflite", tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'evoray\[onnx\]'"):
        export.export(network, architecture(), SPACE, SHAPE, "onnx", tmp_path)


def test_a_network_of_another_space_is_refused(network: nn.Module, tmp_path: Path) -> None:
    export.export(network, architecture(), SPACE, SHAPE, "safetensors", tmp_path)
    with pytest.raises(ValueError, match="holds a network of space 'bignas:digits'"):
        export.load_exported(tmp_path, searchspaces.load("bignas"))
