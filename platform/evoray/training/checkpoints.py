"""Checkpoints: FOLDER/step-XXXXXXXX/ with weights and optimizer as safetensors and the rest as JSON. Nothing in them can run code.

Written to a temporary folder, made durable, then renamed: a checkpoint is whole or not there. Digests tell a damaged one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from evoray.replacing import beside, sync_folder
from evoray.run_folder import write_json

_log = logging.getLogger(__name__)
_FILES = ("weights.safetensors", "optimizer.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        folder: Where it is.
        state: state.json: step, steps, seed, restarts, sampler, config, digests.
    """

    folder: Path
    state: dict[str, Any]  # JSON

    @classmethod
    def at(cls, folder: Path, step: int) -> Checkpoint:
        """The checkpoint of one step, verified before by `latest`."""
        place = folder / f"step-{step:08d}"
        return cls(place, json.loads((place / "state.json").read_text(encoding="utf-8")))

    def weights(self) -> dict[str, torch.Tensor]:
        """The module's state dict."""
        return load_file(self.folder / _FILES[0])

    def optimizer(self) -> dict[str, torch.Tensor]:
        """The optimizer's tensors, named "PARAMETER/KEY"."""
        return load_file(self.folder / _FILES[1])


def save(folder: Path, weights: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor], state: dict[str, Any], *, keep: int) -> None:
    """Writes folder/step-XXXXXXXX durably and removes all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{state['step']:08d}"
    for left_over in folder.glob(".step-*.tmp"):
        _remove(left_over)
    temporary = beside(final)
    temporary.mkdir()
    for name, tensors in zip(_FILES, (weights, optimizer), strict=True):
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, temporary / name)
        with (temporary / name).open("rb") as stream:
            os.fsync(stream.fileno())
    write_json(temporary / "state.json", {**state, "digests": {name: _digest(temporary / name) for name in _FILES}})
    _remove(final)
    temporary.rename(final)
    sync_folder(folder)
    for old in sorted(folder.glob("step-*"))[:-keep]:
        _remove(old)


def latest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint; damaged ones are named, renamed to "damaged-..." and passed over. None when there is none."""
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = json.loads((candidate / "state.json").read_text(encoding="utf-8"))
            wrong = [name for name in _FILES if _digest(candidate / name) != state["digests"][name]]
            if wrong:
                raise ValueError(f"{', '.join(wrong)} differs from its digest")
            for name in _FILES:
                load_file(candidate / name)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            aside = candidate.with_name(f"damaged-{candidate.name}")
            shutil.rmtree(aside, ignore_errors=True)
            candidate.rename(aside)
            _log.warning("checkpoint %s is damaged (%s): it was set aside as %s, an older one is used", candidate, error, aside.name)
            continue
        return Checkpoint(candidate, state)
    return None


def load_weights(folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The newest weights, and the first 16 hex digits of their SHA-256.

    Raises:
        FileNotFoundError: There is no whole checkpoint.
    """
    found = latest(folder)
    if found is None:
        raise FileNotFoundError(f"no checkpoint in {folder}: train first, with `evoray resume RUN`")
    return found.weights(), str(found.state["digests"][_FILES[0]])[:16]


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> dict[str, torch.Tensor]:
    """Every tensor that the optimizer keeps, named "PARAMETER/KEY"; `names` gives each parameter's name by its id."""
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, kept in optimizer.state.items()
        for key, value in kept.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], parameters: dict[str, torch.nn.Parameter]
) -> None:
    """Puts back what `optimizer_tensors` gave."""
    optimizer.state.clear()
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition("/")
        owner = parameters[parameter]
        place = tensor if tensor.ndim == 0 and key == "step" else tensor.to(owner.device)
        optimizer.state.setdefault(owner, {})[key] = place.clone()


def _remove(place: Path) -> None:
    """A folder with what is in it; of a link the link alone."""
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
