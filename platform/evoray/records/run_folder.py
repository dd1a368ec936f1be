"""The run folder: one place that knows which file of a run is called what.

job.json                 the whole configuration, versions, seed
supernet/                step-*/ checkpoints, metrics.jsonl (training curves)
ledger/part-*.parquet    one row an evaluation of the search
baseline/part-*.parquet  random search with the same number of evaluations, when the job asks for it
shards/generation-*.json searcher states and counters at each barrier
phases.json              seconds of each phase: {"train": 61.2, "search": 40.1, "baseline": 35.0}
front.parquet            the Pareto front, the ledger's columns
candidates/KEY/OBJECTIVE/ small files that an objective has left of a candidate, when one does
NAME/                    of a run of several stages: each stage's own run folder
trust.json               rank correlation of inherited and stand-alone accuracy: `evoray trust`
report.html              the picture of the run

Systems keep files of their own beside these; the module that writes them says which.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from evoray.files.atomic import remove_left_overs, replace_bytes, replace_text, replacing
from evoray.files.checksums import sealed_json, sealed_table, unsealed_table
from evoray.files.storage import open_storage
from evoray.records.run_files import (
    Job,
    Phases,
    Searched,
    Snapshot,
    Trust,
    read_metrics,
    read_object,
    read_optional,
)

_log = logging.getLogger(__name__)

_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]+:/"
)  # one slash: a URI that was a Path has lost the other


def check_local(path: str | os.PathLike[str], what: str) -> None:
    """
    Raises:
        ValueError: It is a URI, which would become a local folder called "s3:".
    """
    if _URI.match(os.fspath(path)):
        raise ValueError(
            f"{what} must be a local path, got the URI {os.fspath(path)!r}: give the path of a "
            "folder or file here"
        )


_RENAMED_OPTIONS = {"rewire_epochs": "channel_sorting_epochs", "gpus": "train_gpus"}
_LONGEST_NAME = (
    200  # bytes; a file system allows 255, and a name gets an ending or a temporary one beside it
)


class RunFolder:
    """Paths and small files of one run.

    Attributes:
        path: The folder, absolute: whoever changes the working folder does not scatter the run.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """
        Raises:
            ValueError: It is a URI, or no path at all.
        """
        text = os.fspath(path)
        check_local(text, "a run folder")
        if not text or "\0" in text:
            raise ValueError(
                f"a run folder needs a path, got {text!r}: give the path of a folder, such as "
                "runs/mine"
            )
        self.path = Path(text).absolute()

    @classmethod
    def create(cls, path: str | os.PathLike[str], job: dict[str, Any]) -> RunFolder:
        """Makes the folder and writes job.json; when that fails, nothing is left behind.

        Raises:
            FileExistsError: Something is there already.
            TypeError: `job` holds something that is not plain data.
        """
        folder = cls(path)
        folder.check_free()
        made = [place for place in (folder.path, *folder.path.parents) if not place.exists()]
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            write_json(folder.path / "job.json", job)
        except BaseException:
            for place in made:
                with suppress(OSError):  # not made yet, or somebody else has put something into it
                    place.rmdir()
            raise
        return folder

    def check_free(self) -> None:
        """
        Raises:
            FileExistsError: Something is there that a new run must not touch; what a killed
                `create` has left is nothing.
        """
        if self.path.is_dir():
            taken = any(not file.name.startswith(".job.json.") for file in self.path.iterdir())
        else:
            taken = self.path.exists() or self.path.is_symlink()
        if taken:
            advice = f"resume it with `evoray resume {self.path}` or choose another --run-dir"
            raise FileExistsError(
                f"run folder {self.path} exists already and is not empty: {advice}"
            )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """A folder that is there.

        Raises:
            FileNotFoundError: It is not, or is no run folder.
        """
        folder = cls(path)
        if not (folder.path / "job.json").is_file():
            raise FileNotFoundError(
                f"{folder.path} is no run folder (it has no job.json): give the folder that "
                "`evoray run` printed"
            )
        for entry in folder.path.iterdir():
            if entry.is_symlink():
                folder.inside(entry.name)
        return folder

    def inside(self, *names: str) -> Path:
        """The path below the folder to which these names lead, one a level. They may come from a
        file that somebody else has made.

        Raises:
            ValueError: One is no name of a file, or a link leads out of the folder.
        """
        for name in names:
            good = (
                isinstance(name, str)
                and name not in ("", ".", "..")
                and not set(name) & set("/\\\0")
            )
            if not good or len(os.fsencode(name)) > _LONGEST_NAME:
                raise ValueError(
                    f"{str(name)[:80]!r} is no name that a file in run folder {self.path} may "
                    "have: letters and digits, no path; "
                    "the file that says it was damaged or made by somebody else"
                )
        place = self.path.joinpath(*names)
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(
                f"{place} is a link that leads out of run folder {self.path}: nothing is read or "
                "written there; "
                "put what it leads to into its place, or remove it"
            )
        return place

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Makes this process the one that goes on with the run, until the block ends or the process
        dies.

        Raises:
            BlockingIOError: Another process does.
            OSError: The folder cannot be written.
        """
        try:
            give_up = open_storage(self.path).lock()
        except RuntimeError as error:
            raise BlockingIOError(str(error)) from None
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: run folder {self.path} cannot be written: make it writable, "
                "then resume the run",
            ) from None
        try:
            remove_left_overs(self.path)
            yield
        finally:
            give_up()

    @property
    def supernet(self) -> Path:
        return self.path / "supernet"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger"

    @property
    def baseline(self) -> Path:
        return self.path / "baseline"

    @property
    def shards(self) -> Path:
        return self.path / "shards"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def job(self) -> dict[str, Any]:
        """job.json."""
        file = self.path / "job.json"
        found = read_object(file, Job)
        found = found if found.get("stages") else read_object(file, Searched)
        return {**found, "config": renamed_options(found["config"])} if "config" in found else found

    def keep_files(self, key: str, objective: str, files: Mapping[str, bytes]) -> None:
        """Keeps what an objective has left of the candidate `key`, each file whole or not at all;
        what was left of an earlier measurement is replaced.

        Raises:
            OSError: They cannot be written.
            ValueError: A name leads out of the folder.
        """
        for name, content in files.items():
            file = self.candidate_file(key, objective, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(file, content)

    def candidate_file(self, key: str, objective: str, name: str) -> Path:
        """The place of a file that an objective has left of a candidate, or would leave.

        Raises:
            ValueError: A name leads out of the folder.
        """
        if len(key) > _LONGEST_NAME:
            key = f"{key[: _LONGEST_NAME // 2]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        of = re.sub(r"[^A-Za-z0-9_@-]", "_", objective)[:_LONGEST_NAME]
        return self.inside("candidates", key, of, name)

    def stages(self) -> list[RunFolder]:
        """The stages that have begun, in order; the run itself where it has none."""
        names = self.job().get("stages", [])
        begun = [
            RunFolder.open(place)
            for place in map(self.inside, names)
            if (place / "job.json").is_file()
        ]
        return begun if names else [self]

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of supernet/metrics.jsonl in order; a last line cut short by a crash is left
        out.

        Where a run has several supernets, all of their lines, with the loss named "TASK LOSS".
        """
        several = sorted(file.parent for file in self.supernet.glob("*/metrics.jsonl"))
        return read_metrics(self.supernet) + [
            {**line, "loss": {f"{place.name} {name}": loss for name, loss in line["loss"].items()}}
            for place in several
            for line in read_metrics(place)
        ]

    def statistics(self) -> dict[str, Any]:
        """Counters of proposals in the newest sound snapshot; empty before the first barrier."""
        for file in sorted(self.shards.glob("generation-*.json"), reverse=True):
            found = read_optional(file, Snapshot)
            if found is not None:
                statistics: dict[str, Any] = found["statistics"]
                return statistics
        return {}

    def phases(self) -> dict[str, float]:
        """Seconds of each phase that has ended."""
        return read_optional(self.path / "phases.json", Phases) or {}

    def add_phase(self, name: str, seconds: float) -> None:
        """Adds to a phase's seconds; a resumed phase sums up."""
        phases = read_optional(self.path / "phases.json", Phases, set_aside=True) or {}
        write_json(self.path / "phases.json", {**phases, name: phases.get(name, 0.0) + seconds})

    def trust(self) -> dict[str, Any] | None:
        """trust.json, or None when `evoray trust` was not run."""
        return read_optional(self.path / "trust.json", Trust)

    def write_trust(self, trust: dict[str, Any]) -> None:
        write_json(self.path / "trust.json", trust)

    def front(self) -> pa.Table | None:
        """front.parquet; None before the search has written one, or where it is damaged, which is
        named.
        """
        file = self.path / "front.parquet"
        try:
            return unsealed_table(pa.py_buffer(file.read_bytes())).table if file.is_file() else None
        except (ValueError, OSError) as error:
            _log.warning("%s is damaged (%s): it is left out", file, error)
            return None

    def write_front(self, table: pa.Table) -> None:
        with replacing(self.path / "front.parquet") as stream:
            stream.write(sealed_table(table))


def renamed_options(config: Any) -> Any:
    """The configuration of an older version with today's names of its options, at every depth;
    JSON.
    """
    if isinstance(config, dict):
        return {
            _RENAMED_OPTIONS.get(name, name): renamed_options(value)
            for name, value in config.items()
        }
    return config


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Writes durably, with a digest: a reader sees the old file or the whole new one, also after a
    crash.
    """
    replace_text(file, sealed_json(value, indent=2) + "\n")
