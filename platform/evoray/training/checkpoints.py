"""Checkpoints: FOLDER/step-XXXXXXXX/ with weights and optimizer as safetensors and the rest as
JSON. Nothing in them can run code.

Written to a temporary folder, made durable, then renamed: a checkpoint is whole or not there.
Digests tell a damaged one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from evoray.files.atomic import beside, sync_folder
from evoray.files.checksums import unsealed
from evoray.records.run_folder import write_json

_log = logging.getLogger(__name__)
_FILES = ("weights.safetensors", "optimizer.safetensors")
# Recalibration computes these anew, and one forward pass of images that overflow spoils them
# without a step.
_RUNNING_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        folder: Folder of its files.
        state: state.json: step, steps, seed, restarts, sampler, config, digests.
    """

    folder: Path
    state: dict[str, Any]  # JSON

    @classmethod
    def at(cls, folder: Path, step: int) -> Checkpoint:
        """The checkpoint of one step, verified before by `latest`."""
        place = folder / f"step-{step:08d}"
        return cls(place, unsealed((place / "state.json").read_bytes()))

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the weights' SHA-256."""
        return str(self.state["digests"][_FILES[0]])[:16]

    def weights(self) -> dict[str, torch.Tensor]:
        """The module's state dict."""
        return load_file(self.folder / _FILES[0])

    def optimizer(self) -> dict[str, torch.Tensor]:
        """The optimizer's tensors, named "PARAMETER/KEY"."""
        return load_file(self.folder / _FILES[1])


def save(
    folder: Path,
    weights: dict[str, torch.Tensor],
    optimizer: dict[str, torch.Tensor],
    state: dict[str, Any],
    *,
    keep: int,
) -> None:
    """Writes folder/step-XXXXXXXX durably and removes all but the newest `keep`.

    Raises:
        RuntimeError: Something is not finite: nothing was written, for every later start would load
            it.
    """
    spoilt = _not_finite(weights) or _not_finite(optimizer)
    if spoilt:
        raise RuntimeError(
            f"training diverged: {spoilt!r} is not finite after step {state['step']}, and no "
            "checkpoint of it was "
            f"written to {folder}: lower the learning rate or the clipping norm, then go on from "
            "the one before"
        )
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{state['step']:08d}"
    for left_over in folder.glob(".step-*.tmp"):
        _remove(left_over)
    temporary = beside(final)
    temporary.mkdir()
    for name, tensors in zip(_FILES, (weights, optimizer), strict=True):
        save_file(
            {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()},
            temporary / name,
        )
        with (temporary / name).open("rb") as stream:
            os.fsync(stream.fileno())
    write_json(
        temporary / "state.json",
        {**state, "digests": {name: _digest(temporary / name) for name in _FILES}},
    )
    _remove(final)
    temporary.rename(final)
    sync_folder(folder)
    for old in sorted(folder.glob("step-*"))[:-keep]:
        _remove(old)


def latest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint; damaged ones are named and passed over. None when there is none.
    Nothing on disk changes.
    """
    return _newest(folder, set_aside=False)


def latest_to_go_on(folder: Path) -> Checkpoint | None:
    """Finds the newest checkpoint, for the one who trains on: damaged ones are renamed to
    "damaged-...", so that they do not count among those kept.
    """
    return _newest(folder, set_aside=True)


def give_up(folder: Path, step: int) -> None:
    """Renames the checkpoint of a step from which training has failed again to "diverged-..."; the
    one before is then the newest.
    """
    _move_aside(folder / f"step-{step:08d}", "diverged")


def _newest(folder: Path, *, set_aside: bool) -> Checkpoint | None:
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        try:
            return _checked(candidate)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            done = "passed over"
            if set_aside:
                done = f"set aside as {_move_aside(candidate, 'damaged').name}"
            _log.warning(
                "checkpoint %s is damaged (%s): it was %s, an older one is used",
                candidate,
                error,
                done,
            )
    return None


def _checked(candidate: Path) -> Checkpoint:
    """The checkpoint, whose files are what their digests say, hold finite values, and belong to the
    step of their folder.
    """
    for name in (*_FILES, "state.json"):
        if not (candidate / name).is_file():  # a pipe would be waited for
            raise ValueError(f"{name} is no file")
    state = unsealed((candidate / "state.json").read_bytes())
    if type(state["step"]) is not int or f"step-{state['step']:08d}" != candidate.name:
        raise ValueError(f"state.json is of step {state['step']!r}")
    for name in _FILES:
        if _digest(candidate / name) != state["digests"][name]:
            raise ValueError(f"{name} differs from its digest")
        spoilt = _not_finite(load_file(candidate / name))
        if spoilt:
            raise ValueError(f"{spoilt!r} in {name} is not finite")
    return Checkpoint(candidate, state)


def _move_aside(checkpoint: Path, why: str) -> Path:
    aside = checkpoint.with_name(f"{why}-{checkpoint.name}")
    with suppress(FileNotFoundError):  # another of the workers that share a stage was faster
        checkpoint.lstat()
        shutil.rmtree(aside, ignore_errors=True)
        checkpoint.rename(aside)
    return aside


def _not_finite(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name of the first tensor with a value that is not finite, "" where there is none."""
    trained = (
        (name, t)
        for name, t in tensors.items()
        if t.is_floating_point() and not name.endswith(_RUNNING_STATISTICS)
    )
    return next((name for name, tensor in trained if not bool(torch.isfinite(tensor).all())), "")


def load_weights(folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The newest weights, and the first 16 hex digits of their SHA-256.

    Raises:
        FileNotFoundError: There is no whole checkpoint.
    """
    found = latest(folder)
    if found is None:
        raise FileNotFoundError(
            f"no whole checkpoint in {folder}: train first, with `evoray resume RUN`"
        )
    return found.weights(), found.digest


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: dict[int, str]
) -> dict[str, torch.Tensor]:
    """Every tensor that the optimizer keeps, named "PARAMETER/KEY"; `names` gives each parameter's
    name by its id.
    """
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, kept in optimizer.state.items()
        for key, value in kept.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: dict[str, torch.Tensor],
    parameters: dict[str, torch.nn.Parameter],
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
