"""Taking a network away: ONNX, torch.export, or safetensors with the architecture beside them.
Checked before it is there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from evoray.records.run_files import Exported, read_object
from evoray.records.run_folder import write_json
from searchspaces.base import (
    Architecture,
    Graph,
    RunsInParts,
    SearchSpace,
    architectures,
    as_json,
)

Format = Literal["onnx", "pt2", "safetensors"]
_TOLERANCE = 1e-4  # largest difference of an output between the exported network and torch
_CHECKED_SIZES = (1, 3)  # of a batch


@dataclass(frozen=True)
class ExportedNetwork:
    """A network of a run that is to be taken away.

    Attributes:
        network: Stand-alone, batch norm recalibrated.
        architecture: Architecture that it was built from.
        space: Space of the architecture.
        input_shape: Shape of one input.
        about: Facts for architecture.json, beside the architecture.
        names: Names of input and output.
        design: Key of the design that it is a part of, "" where it is all of it.
        label: Part of the design that it is.
    """

    network: nn.Module
    architecture: Architecture
    space: SearchSpace
    input_shape: tuple[int, ...]
    about: Mapping[str, Any]  # Any: JSON
    names: tuple[str, str] = ("images", "logits")
    design: str = ""
    label: str = ""


def export(
    network: nn.Module,
    architecture: Architecture,
    space: SearchSpace,
    input_shape: tuple[int, ...],
    to: Format,
    folder: Path,
    *,
    names: tuple[str, str] = ("images", "logits"),
    extra: Mapping[str, Any] | None = None,  # Any: JSON
) -> list[Path]:
    """Writes the network to `folder` and returns the files; architecture.json always stands beside
    the weights.

    Args:
        network: Stand-alone, in eval mode, batch norm recalibrated; its forward takes (b,
            *input_shape). One that `RunsInParts` becomes a file for each of its graphs, but all of
            its weights are one file of safetensors.
        architecture: Architecture that it was built from.
        space: Space of the architecture.
        input_shape: (channels, height, width) of an image, or (length,) of a generator's latent
            vector.
        to: "onnx" (opset of the installed exporter, any batch size), "pt2" (torch.export) or
            "safetensors".
        folder: Folder, made if need be; files of that name are replaced when the new ones are
            complete.
        names: Names of input and output in ONNX.
        extra: Facts that go into architecture.json.

    Raises:
        ValueError: The format needs a package that is not installed.
        RuntimeError: The exported network does not compute what torch computes.
    """
    if to not in _WRITERS:
        raise ValueError(f"cannot export to {to!r}; there is {', '.join(_WRITERS)}")
    if to == "onnx":
        _need_onnx()
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval().cpu()
    graphs: Mapping[str, Graph] = {"network": _whole(network, input_shape, names)}
    if to == "safetensors":
        graphs = {"weights": graphs["network"]}
    elif isinstance(network, RunsInParts):
        graphs = network.graphs(input_shape)
    files = [f"{name}.{to}" for name in graphs]
    with tempfile.TemporaryDirectory(dir=folder, prefix="part-") as written:
        pairs = zip(graphs.values(), files, strict=True)
        difference = max(_checked(graph, to, Path(written, name)) for graph, name in pairs)
        for name in files:
            os.replace(Path(written, name), folder / name)
    about = {
        **as_json(architecture, space),
        "input_shape": list(input_shape),
        "format": to,
        "max_difference": difference,
        **(extra or {}),
    }
    write_json(folder / "architecture.json", about)
    return [folder / name for name in (*files, "architecture.json")]


def _whole(network: nn.Module, input_shape: tuple[int, ...], names: tuple[str, str]) -> Graph:
    def inputs(size: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        return (torch.randn(size, *input_shape, generator=generator),)

    return Graph(network, inputs, names[:1], names[1:])


def _checked(graph: Graph, to: Format, file: Path) -> float:
    """Writes a graph; the largest difference of what the file computes.

    Raises:
        RuntimeError: It is too large.
    """
    difference = _WRITERS[to](graph, file)
    if not difference <= _TOLERANCE:
        raise RuntimeError(
            f"the exported network differs from torch by {difference:g} in an output; at most "
            f"{_TOLERANCE:g} is allowed"
        )
    return difference


def read_architecture(folder: Path) -> dict[str, Any]:
    """Reads architecture.json of an export, its space, key and choices checked for what they are.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is no such file.
    """
    file = folder / "architecture.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} holds no architecture.json: give the folder of `evoray export RUN --to "
            "safetensors`"
        )
    try:
        return read_object(file, Exported)
    except ValueError as error:
        raise ValueError(
            f"{file} does not tell space, key and choices of a network: export it anew; {error}"
        ) from None


def load_exported(folder: Path, space: SearchSpace) -> nn.Module:
    """The network that was exported as safetensors, in eval mode. Nothing in the folder can run
    code.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is of another space, or its weights are not those of its architecture.
    """
    if not (folder / "weights.safetensors").is_file():
        raise FileNotFoundError(
            f"{folder} holds no weights.safetensors: export with --to safetensors"
        )
    about = read_architecture(folder)
    if about["space"] != space.name:
        raise ValueError(
            f"{folder} holds a network of space {about['space']!r}, not of {space.name!r}"
        )
    choices = about["choices"]
    sizes = [len(gene.options) for gene in space.genes]
    if len(choices) != len(sizes) or not all(
        0 <= choice < size for choice, size in zip(choices, sizes, strict=True)
    ):
        raise ValueError(
            f"{folder} holds choices that are none of space {space.name!r}: export the network anew"
        )
    architecture = architectures(space, np.array([choices], dtype=np.int16))[0]
    if architecture.key != about["key"]:
        raise ValueError(
            f"{folder} holds the choices of network {architecture.key}, not of {about['key']}: "
            "export the network anew"
        )
    with torch.random.fork_rng(devices=[]):
        network = space.build_subnet(None, architecture)
    try:
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    except (RuntimeError, SafetensorError) as error:
        why = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights in {folder} are not those of its architecture ({why}): export the "
            "network anew"
        ) from None
    return network.eval()


def _write_safetensors(graph: Graph, file: Path) -> float:
    state = graph.module.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    written = load_file(file)
    return max(
        float((written[name].double() - tensor.double()).abs().max())
        for name, tensor in state.items()
    )


def _write_pt2(graph: Graph, file: Path) -> float:
    example = _example(graph)
    program = torch.export.export(graph.module, example, dynamic_shapes=_first_varies(example))
    torch.export.save(program, file)
    loaded = torch.export.load(file).module()
    return _difference(graph, loaded)


def _write_onnx(graph: Graph, file: Path) -> float:
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    example = _example(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            example,
            file,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=_first_varies(example),
            input_names=graph.input_names,
            output_names=graph.output_names,
        )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = {
            name: tensor.numpy() for name, tensor in zip(graph.input_names, inputs, strict=True)
        }
        return tuple(torch.from_numpy(np.asarray(one)) for one in session.run(None, given))

    return _difference(graph, run)


_WRITERS: dict[str, Callable[[Graph, Path], float]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "safetensors": _write_safetensors,
}


def _example(graph: Graph) -> tuple[torch.Tensor, ...]:
    return graph.inputs(2, torch.Generator().manual_seed(0))


def _first_varies(example: tuple[torch.Tensor, ...]) -> tuple[dict[int, Any], ...]:
    return tuple({0: torch.export.Dim(f"b{place}")} for place in range(len(example)))


def _difference(graph: Graph, other: Callable[..., Any]) -> float:
    """Largest difference of an output on random inputs, of several sizes; where an output goes
    beyond 1, as a share of the largest.
    """
    generator = torch.Generator().manual_seed(1)
    differences = []
    with torch.inference_mode():
        for size in _CHECKED_SIZES:
            inputs = graph.inputs(size, generator)
            pairs = zip(_tuple(graph.module(*inputs)), _tuple(other(*inputs)), strict=True)
            differences += [
                float((ours - theirs).abs().max() / ours.abs().max().clamp_min(1.0))
                for ours, theirs in pairs
            ]
    return max(differences)


def _tuple(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)


def _need_onnx() -> None:
    missing = [
        name
        for name in ("onnx", "onnxruntime", "onnxscript")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ValueError(f"export to ONNX needs {', '.join(missing)}: pip install 'evoray[onnx]'")
