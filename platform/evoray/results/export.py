"""Taking a network away: ONNX, torch.export, or safetensors with the architecture beside them.
Checked before it is there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from evoray.records.run_files import Exported, read_object
from evoray.records.run_folder import write_json
from searchspaces.base import Architecture, SearchSpace, architectures, as_json

Format = Literal["onnx", "pt2", "safetensors"]
_TOLERANCE = 1e-4  # largest difference of an output between the exported network and torch
_CHECKED_BATCHES = (1, 3)


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
            *input_shape).
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
    writers: dict[str, tuple[str, Callable[[nn.Module, torch.Tensor, Path], float]]] = {
        "onnx": ("network.onnx", partial(_write_onnx, names=names)),
        "pt2": ("network.pt2", _write_pt2),
        "safetensors": ("weights.safetensors", _write_safetensors),
    }
    if to not in writers:
        raise ValueError(f"cannot export to {to!r}; there is {', '.join(writers)}")
    if to == "onnx":
        _need_onnx()
    folder.mkdir(parents=True, exist_ok=True)
    name, write = writers[to]
    network = network.eval().cpu()
    example = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    temporary = (
        folder / f"part-{secrets.token_hex(8)}-{name}"
    )  # keeps its ending, which torch.export insists on
    try:
        difference = write(network, example, temporary)
        if not difference <= _TOLERANCE:
            raise RuntimeError(
                f"the exported network differs from torch by {difference:g} in an output; at most "
                f"{_TOLERANCE:g} is allowed"
            )
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    about = {
        **as_json(architecture, space),
        "input_shape": list(input_shape),
        "format": to,
        "max_difference": difference,
        **(extra or {}),
    }
    write_json(folder / "architecture.json", about)
    return [folder / name, folder / "architecture.json"]


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


def _write_safetensors(network: nn.Module, example: torch.Tensor, file: Path) -> float:
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, file)
    written = load_file(file)
    return max(
        float((written[name].double() - tensor.double()).abs().max())
        for name, tensor in network.state_dict().items()
    )


def _write_pt2(network: nn.Module, example: torch.Tensor, file: Path) -> float:
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("b")},))
    torch.export.save(program, file)
    loaded = torch.export.load(file).module()
    return _difference(network, example, loaded)


def _write_onnx(
    network: nn.Module, example: torch.Tensor, file: Path, names: tuple[str, str]
) -> float:
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            file,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("b")},),
            input_names=names[:1],
            output_names=names[1:],
        )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(session.run(None, {names[0]: images.numpy()})[0]))

    return _difference(network, example, run)


def _difference(
    network: nn.Module, example: torch.Tensor, other: Callable[[torch.Tensor], torch.Tensor]
) -> float:
    """Largest difference of an output on random images, for several batch sizes."""
    generator = torch.Generator().manual_seed(1)
    differences = []
    with torch.inference_mode():
        for batch in _CHECKED_BATCHES:
            images = torch.randn(batch, *example.shape[1:], generator=generator)
            differences.append(float((network(images) - other(images)).abs().max()))
    return max(differences)


def _need_onnx() -> None:
    missing = [
        name
        for name in ("onnx", "onnxruntime", "onnxscript")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ValueError(f"export to ONNX needs {', '.join(missing)}: pip install 'evoray[onnx]'")
