"""Makes a latency table of a space: here, or from operators timed on another device; it predicts
latency in searches.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from rich.table import Table

import searchspaces
from evoray.files.atomic import replace_text
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import call
from jobs.terminal.progress import phase
from objectives.latency_table import LatencyTable, time_operators
from objectives.latency_table.fitting import Sample, Times, fit, sample, times_here
from searchspaces.base import SearchSpace, architectures

_SPACE = Annotated[str, tyro.conf.Positional]
_HERE = Annotated[Path, tyro.conf.Positional]


def main(arguments: Sequence[str]) -> None:
    verbs: dict[str, Callable[..., Any]] = {
        "measure": measure,
        "operators": operators,
        "fit": fit_times,
        "show": show,
    }
    call(verbs, arguments, prog="evoray latency")


def measure(
    space: _SPACE,
    /,
    output: Path,
    image_size: int = 32,
    label: str = "here",
    samples: int = 400,
    networks: int = 80,
    threads: int = 1,
    seed: int = 0,
) -> None:
    """Times a space's operators on this machine and fits a predictor.

    Args:
        space: NAME or NAME:PRESET, as `evoray spaces` lists them, or a space of your own.
            That is named as package.module:object or path/to/file.py:object.
        output: Parquet file to write the table to.
        image_size: Side of the networks' input in pixels.
        label: Name of this device: the cost will be "predicted_latency@LABEL".
        samples: Subnets whose operators are timed, 32 or more.
            More of them cover rare operators and take longer.
        networks: Number of the samples to time whole, 8 or more.
            Half of them tell how good the predictions are.
        threads: CPU threads of one forward pass; take the number that you deploy with.
        seed: Seeds the choice of the subnets.
    """
    console = Terminal()
    with user_input():
        chosen, taken = _sampled(space, image_size, samples, networks, seed, output, console)
        with console.status(f"timing {len(taken.operators)} operators and {networks} networks"):
            times = times_here(chosen, taken, threads=threads)
        _write(fit(chosen, taken, times, label), output, console)


def operators(
    space: _SPACE,
    /,
    output: Path,
    image_size: int = 32,
    samples: int = 400,
    networks: int = 24,
    seed: int = 0,
) -> None:
    """Writes a folder for a device that has torch and nothing else: operators, exported networks,
    and the script that times them.

    Args:
        space: NAME or NAME:PRESET, as `evoray spaces` lists them, or a space of your own.
            That is named as package.module:object or path/to/file.py:object.
        output: Folder to write, which does not exist yet.
        image_size: Side of the networks' input in pixels.
        samples: Subnets whose operators are timed, 32 or more.
            More of them cover rare operators and take longer.
        networks: Number of the samples to time whole, 8 or more.
        seed: Seeds the choice of the subnets.
    """
    console = Terminal()
    with user_input():
        if output.exists():
            raise FileExistsError(f"{output} exists already: name a folder that does not")
        chosen, taken = _sampled(space, image_size, samples, networks, seed, output, console)
        files = [f"network-{number:03d}.ts" for number in range(len(taken.networks))]
        output.mkdir()
    with phase(console, "networks", len(files)) as bar:
        for number, architecture in enumerate(
            architectures(chosen, taken.choices[list(taken.networks)])
        ):
            network = chosen.build_subnet(None, architecture).eval()
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # TorchScript is old, and therefore what every device's torch can read
                traced: Any = torch.jit.trace(network, torch.randn(taken.input_shape))  # type: ignore[no-untyped-call]
            traced.save(str(output / files[number]))
            bar.update(number + 1, architecture.key)
    about = {
        "space": space,
        "input": taken.input_shape,
        "operators": [json.loads(text) for text in taken.operators],
        "choices": taken.choices.tolist(),
        "counts": taken.counts.tolist(),
        "networks": [
            {"file": file, "sample": row} for file, row in zip(files, taken.networks, strict=True)
        ],
    }
    replace_text(output / "operators.json", json.dumps(about))
    shutil.copy(Path(time_operators.__file__), output / "time_operators.py")
    again = f" --space {space}" if searchspaces.own_paths([space]) else ""
    console.print(f"on the device: python {output.name}/time_operators.py {output.name} times.json")
    console.print(
        f"here again:    evoray latency fit {output} times.json --label DEVICE --output "
        f"table.parquet{again}"
    )


def fit_times(folder: _HERE, times: _HERE, /, label: str, output: Path, space: str = "") -> None:
    """Makes a table from what the script of `evoray latency operators` measured.

    Args:
        folder: Folder that `evoray latency operators` wrote.
        times: File that its script wrote on the device.
        label: Name of the device: the cost will be "predicted_latency@LABEL".
        output: Parquet file to write the table to.
        space: Import path of a space of your own, named again.
            Other spaces are known from the folder.
    """
    with user_input():
        about, measured = (_read_json(path) for path in (folder / "operators.json", times))
        try:
            taken = Sample(
                np.array(about["choices"], dtype=np.int16),
                [json.dumps(operator, sort_keys=True) for operator in about["operators"]],
                np.array(about["counts"], dtype=np.int64),
                [network["sample"] for network in about["networks"]],
                tuple(about["input"]),
            )
            found = Times(
                **{
                    name: measured[name]
                    for name in ("operators", "networks", "threads", "torch", "machine")
                }
            )
        except KeyError as missing:
            raise ValueError(
                f"{folder} and {times} are not what `evoray latency operators` and its script "
                f"write: no {missing}"
            ) from None
        _write(
            fit(searchspaces.load(space or _named(about)), taken, found, label), output, Terminal()
        )


def show(table: _HERE, /) -> None:
    """Prints what a table is of, how well it predicts, and its dearest operators.

    Args:
        table: Parquet file of a latency table.
    """
    with user_input():
        _print(LatencyTable.load(table), Terminal())


def _sampled(
    name: str,
    image_size: int,
    samples: int,
    networks: int,
    seed: int,
    output: Path,
    console: Terminal,
) -> tuple[SearchSpace, Sample]:
    space: Any = searchspaces.load(
        name
    )  # Any: not every space says how many channels its images have
    if not output.resolve().parent.is_dir():
        raise FileNotFoundError(f"{output} cannot be written: its folder does not exist")
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1, got {image_size}")
    shape = (getattr(space, "in_channels", 3), image_size, image_size)
    with phase(console, "operators", samples) as bar:
        note = "tracing subnets"
        taken = sample(
            space,
            shape,
            num_samples=samples,
            num_networks=networks,
            seed=seed,
            on_progress=lambda number: bar.update(number, note),
        )
    return space, taken


def _named(about: dict[str, Any]) -> str:
    """The space of `evoray latency operators`; a file that may come from elsewhere does not say
    what is imported.

    Raises:
        ValueError: It is an import path.
    """
    name = str(about.get("space"))
    if searchspaces.own_paths([name]):
        raise ValueError(
            f"the operators are of space {name!r}, which is no space of evoray: if you trust that "
            f"code, add --space {name}"
        )
    return name


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}: `evoray latency operators` and the script that it writes "
            "make it"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        raise ValueError(f"{path} is no JSON: was it copied whole?") from None
    return found if isinstance(found, dict) else {}


def _write(table: LatencyTable, output: Path, console: Terminal) -> None:
    table.save(output)
    _print(table, console)
    console.print(
        f"in a search: --measure.latency-tables {output} --search.constraints "
        f"'predicted_latency@{table.label}<=MS'",
    )


def _print(table: LatencyTable, console: Terminal) -> None:
    about = ", ".join(f"{name} {value}" for name, value in table.about.items())
    console.print(f"{len(table.seconds)} operators of {table.space} on {table.label} ({about})")
    held = table.held_out
    console.print(
        f"on {held['networks']:.0f} networks that it was not fitted to: Kendall tau "
        f"{held['kendall_tau']:.3f}, "
        f"RMSE {held['rmse_ms']:.4g} ms ({held['rmse_percent']:.1f} %), "
        f"{held['within_10_percent']:.0f} % within 10 %",
    )
    dearest = Table("operator", "microseconds", "inputs")
    for text in sorted(table.seconds, key=table.seconds.__getitem__, reverse=True)[:8]:
        operator = json.loads(text)
        shapes = [
            str(a["tensor"]["shape"])
            for a in operator["arguments"]
            if isinstance(a, dict) and "tensor" in a
        ]
        dearest.add_row(operator["name"], f"{1e6 * table.seconds[text]:,.1f}", " ".join(shapes))
    console.print(dearest)
