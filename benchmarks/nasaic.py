"""Networks and chip searched together against one after the other, at equal numbers of network
tuples; one JSON line.

    evoray bench nasaic [--workloads W1 W2 W3] [--seeds 0 1 2] [--networks 100]
                        [--methods ...] [--chips heterogeneous ...] [--log FILE]
    # accuracies inherited from supernets that it trains first, in this process
    evoray bench nasaic --workloads digits --networks 40
    # CIFAR-10 and nuclei, from EVORAY_DATA: short training
    evoray bench nasaic --workloads w1-cpu w3-cpu --networks 24 --population 8 [--supernets DIR]
    # CIFAR-10 and photos at 96 pixels in STL-10's place
    evoray bench nasaic --workloads w2-cpu --networks 24 --population 8 --photos DIR

W1 to W3 are the cost side alone: chips are priced by the cost model under the paper's specs, and
accuracy is a stub (0 for a task's smallest network, 100 for its largest, linear in log MACs
between: `accuracy@stub`), which is no accuracy of anything trained. For each method the design it
hands over, whether it meets the specs, and the hypervolume of feasible (error, latency, energy,
area) up to (1, 2 LS, 2 ES, 2 AS) after each quarter of the network tuples. The kinds of chip are
compared by evolution alone. The presets of `evoray run nasaic` have supernets: of digits one a
search seed, of the others one (seed 0) for all, on which a network is measured once for all
methods.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.codesign import stub_study
from evoray import variation
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.shared import SharedEvaluator, direct
from evoray.evaluation.worker import weights_of
from evoray.pareto import dominance
from evoray.records.records import Records
from evoray.training import tasks
from evoray.training.loop import train_supernet
from jobs.nasaic import PRESETS
from jobs.pipelines.cosearch import methods
from jobs.pipelines.cosearch.build import SearchSetup, build_setup
from jobs.pipelines.cosearch.study import ACCURACY, COSTS, Study
from objectives.asic.inner import ChipSearch
from objectives.asic.specs import METRICS, WORKLOADS
from objectives.base import Candidate, Objective
from objectives.tasks import TaskObjective, WeightedMean
from searchspaces.parts.product import Product

KINDS: dict[str, dict[str, Any]] = {
    "heterogeneous": {},
    "homogeneous": {"same_dataflow": True},
    "single": {"num_slots": 1},
}
DIGITS = "digits"
TRAINED = (DIGITS, "w1-cpu", "w2-cpu", "w3-cpu")  # presets of the job
Known = dict[str, dict[str, float]]  # by supernet and network
QUARTERS = (0.25, 0.5, 0.75, 1.0)


def hypervolume(study: Study, records: Records) -> float:
    """Hypervolume of the feasible records, in units of the specs; 0 where they have no chip."""
    if COSTS[0] not in records.values:
        return 0.0
    met = records.take(np.flatnonzero(records.violations <= 0))
    shares = [
        met.values[name] / getattr(study.specs, metric)
        for name, metric in zip(COSTS, METRICS, strict=True)
    ]
    losses = np.stack([1.0 - met.values[ACCURACY] / 100.0, *shares], axis=1)
    return (
        float(
            dominance.hypervolume(losses[dominance.front(losses)], np.array([1.0, 2.0, 2.0, 2.0]))
        )
        if len(losses)
        else 0.0
    )


def growth(study: Study, records: Records, networks: int) -> list[float]:
    """The hypervolume when a quarter, a half, three quarters and all of the network tuples had been
    measured.
    """
    if COSTS[0] not in records.values:
        return []
    problem = study.problem()
    counter = SharedEvaluator(problem, LocalEvaluator(direct(problem)))
    ends, wanted = [], [max(1, round(share * networks)) for share in QUARTERS]
    seen: set[Any] = set()
    for index in range(len(records)):
        seen |= counter.subjects(records[index : index + 1])
        while wanted and len(seen) >= wanted[0]:
            ends.append(index + 1)
            wanted.pop(0)
    return [round(hypervolume(study, records[:end]), 4) for end in ends]


class Remembering:
    """An objective that measures a network once, whatever it is paired with and whoever asks."""

    def __init__(self, inner: Objective, known: dict[str, float]) -> None:
        self._inner, self._known = inner, known

    def __getattr__(
        self, name: str
    ) -> Any:  # Any: name, unit, goal, needs and open are the inner one's
        return getattr(self._inner, name)

    def measure(self, candidate: Candidate) -> float:
        key = candidate.architecture.key
        if key not in self._known:
            self._known[key] = self._inner.measure(candidate)
        return self._known[key]


@dataclass(frozen=True)
class Places:
    """Folders: where trained supernets stay, and where the photos of w2-cpu are."""

    supernets: Path | None = None
    photos: Path | None = None


def trained_study(preset: str, kind: str, seed: int, places: Places) -> Study:
    """The job's preset with this kind of chip, its supernets trained in this process or found where
    they stay.
    """
    config, options = dataclasses.replace(PRESETS[preset](), seed=seed), KINDS[kind]
    slots, same = options.get("num_slots", config.chip.slots), options.get("same_dataflow", False)
    second = config.second
    if preset == "w2-cpu":
        second = dataclasses.replace(
            second, data=dataclasses.replace(second.data, root=places.photos)
        )
    chip = dataclasses.replace(config.chip, slots=slots, same_dataflow=same)
    setup = build_setup(dataclasses.replace(config, chip=chip, second=second))
    arrays, known = trained(preset, seed, places, setup)
    return dataclasses.replace(
        setup.study,
        objectives=remembering(setup, known),
        evaluator=lambda problem: LocalEvaluator(direct(problem), arrays),
    )


_TRAINED: dict[tuple[str, int], tuple[dict[str, Any], Known]] = {}


def trained(
    preset: str, seed: int, places: Places, setup: SearchSetup
) -> tuple[dict[str, Any], Known]:
    """The supernets' weights, and what has been measured with them; once a process."""
    if (preset, seed) in _TRAINED:
        return _TRAINED[preset, seed]
    arrays: dict[str, Any] = {}
    for task in setup.tasks:
        with tempfile.TemporaryDirectory() as folder:
            place = (
                Path(folder)
                if places.supernets is None
                else places.supernets / f"{task.source.name}-{seed}"
            )
            supernet = train_supernet(
                task.space,
                tasks.of(task.source, task.options.train),
                task.options.train,
                seed=seed,
                folder=place,
            )
        arrays |= {
            f"networks.{task.label}.{name}": array for name, array in weights_of(supernet).items()
        }
    _TRAINED[preset, seed] = arrays, {task.supernet: {} for task in setup.tasks}
    return _TRAINED[preset, seed]


def remembering(setup: SearchSetup, known: Known) -> Callable[[Product], tuple[Objective, ...]]:
    """The study's objectives, each of whose networks is measured once."""
    inner: dict[str, Any] = {
        task.label: Remembering(task.objective, known[task.supernet]) for task in setup.tasks
    }
    weights = {task.label: task.options.weight for task in setup.tasks}

    def objectives(joint: Product) -> tuple[Objective, ...]:
        measured = [
            TaskObjective(joint, task.label, inner[task.label], data=task.supernet)
            for task in setup.tasks
        ]
        return (
            *measured,
            WeightedMean(
                {
                    one.name: weights[task.label]
                    for one, task in zip(measured, setup.tasks, strict=True)
                }
            ),
        )

    return objectives


def piece(
    workload: str, kind: str, method: str, budget: methods.Budget, places: Places = Places()
) -> dict[str, Any]:
    """One method once."""
    if workload in TRAINED:
        study = trained_study(workload, kind, budget.seed if workload == DIGITS else 0, places)
    else:
        study = stub_study(workload.lower(), WORKLOADS[workload], **KINDS[kind])
    start = time.perf_counter()
    outcome = methods.METHODS[method](study, budget)
    return {
        "workload": workload,
        "kind": kind,
        "method": method,
        "seed": budget.seed,
        "met": outcome.violation <= 0,
        "over_spec": {
            metric: round(outcome.values[name] / getattr(study.specs, metric), 4)
            for name, metric in zip(COSTS, METRICS, strict=True)
        },
        "source": "inherited" if workload in TRAINED else "accuracy@stub",
        "accuracy": round(outcome.values[ACCURACY], 3),
        "tasks": {name: round(value, 3) for name, value in outcome.values.items() if "@" in name},
        "hypervolume": growth(study, outcome.records, budget.networks),
        "networks": outcome.num_networks,
        "priced": outcome.num_priced,
        "skipped": outcome.num_skipped,
        "seconds": round(time.perf_counter() - start, 1),
    }


def fits(workload: str, pairs: int) -> dict[str, Any]:
    """Counts for each kind of chip how many of so many random network pairs it can serve within the
    specs, and compares the energy with that of heterogeneous chips.
    """
    studies = {
        kind: stub_study(workload.lower(), WORKLOADS[workload], **options)
        for kind, options in KINDS.items()
    }
    space = studies["heterogeneous"].networks
    networks = space.repair(
        variation.sample(variation.GeneKinds.of(space.genes), pairs, np.random.default_rng(0))
    )
    energies = {}
    for kind, study in studies.items():
        inner = ChipSearch(study.model, study.specs, directions=((0.0, 1.0, 0.0),), most_priced=512)
        rows = study.designs(
            networks, study.chip.repair(np.zeros((1, len(study.chip.genes)), dtype=np.int16))
        )
        found = (inner(row[None])[0] for row in rows)
        energies[kind] = np.array(
            [study.costs(best)["asic_energy"].min() if len(best) else np.nan for best in found]
        )
    served = np.isfinite(np.stack(list(energies.values()))).all(axis=0)
    return {
        kind: {
            "served": int(np.isfinite(own).sum()),
            "energy times": round(float((own / energies["heterogeneous"])[served].mean()), 4),
        }
        for kind, own in energies.items()
    }


def summary(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and spreads over the seeds, by workload, kind of chip and method."""
    found: dict[str, Any] = {}
    for one in pieces:
        found.setdefault(f"{one['workload']} {one['kind']} {one['method']}", []).append(one)
    told: dict[str, Any] = {}
    for name, group in found.items():
        told[name] = {
            "seeds": len(group),
            "met": sum(one["met"] for one in group),
            **{metric: _spread([one["over_spec"][metric] for one in group]) for metric in METRICS},
            "source": group[0]["source"],
            "accuracy": _spread([one["accuracy"] for one in group]),
            "tasks": {
                name: _spread([one["tasks"][name] for one in group])
                for name in group[0].get("tasks", {})
            },
            "hypervolume": [
                _spread(list(column))
                for column in zip(*(one["hypervolume"] for one in group), strict=False)
            ],
            "priced": round(statistics.mean(one["priced"] for one in group)),
            "seconds": _spread([one["seconds"] for one in group]),
        }
    return told


def reductions(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Evolution against each successive baseline, seed by seed: the baseline's cost over
    evolution's, and what accuracy is given up.
    """
    by = {
        (one["workload"], one["method"], one["seed"]): one
        for one in pieces
        if one["kind"] == "heterogeneous"
    }
    told: dict[str, Any] = {}
    for workload, baseline in sorted(
        {(w, m) for w, m, _ in by if m in ("nas then asic", "asic then nas")}
    ):
        pairs = [
            (own, by[workload, "evolution", s])
            for (w, m, s), own in by.items()
            if (w, m) == (workload, baseline)
        ]
        told[f"{workload} {baseline}"] = {
            **{
                f"{metric} times": _spread(
                    [a["over_spec"][metric] / b["over_spec"][metric] for a, b in pairs]
                )
                for metric in METRICS
            },
            "accuracy points lost": _spread([a["accuracy"] - b["accuracy"] for a, b in pairs]),
        }
    return told


def _spread(values: list[float]) -> list[float]:
    """[mean, smallest, largest]."""
    return [round(v, 3) for v in (statistics.mean(values), min(values), max(values))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench nasaic")
    parser.add_argument(
        "--workloads", nargs="+", default=list(WORKLOADS), choices=[*WORKLOADS, *TRAINED]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument(
        "--population", type=int, default=16, help="network tuples that a generation proposes"
    )
    parser.add_argument(
        "--methods", nargs="*", default=list(methods.METHODS), choices=list(methods.METHODS)
    )
    parser.add_argument(
        "--chips",
        nargs="*",
        default=list(KINDS),
        choices=list(KINDS),
        help="kinds of chip that evolution is run on",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=0,
        help="random network pairs that each kind of chip is asked to serve",
    )
    parser.add_argument(
        "--log",
        type=Path,
        default=None,
        help="a file of finished pieces: gets a line for each, and those in it are kept",
    )
    parser.add_argument(
        "--supernets", type=Path, default=None, help="a folder in which trained supernets stay"
    )
    parser.add_argument(
        "--photos", type=Path, default=None, help="a folder of photos, the second task of w2-cpu"
    )
    options = parser.parse_args()
    work = [
        (w, "heterogeneous", m, s)
        for s in options.seeds
        for w in options.workloads
        for m in options.methods
    ]
    work += [
        (w, k, "evolution", s)
        for s in options.seeds
        for w in options.workloads
        for k in options.chips
        if k != "heterogeneous"
    ]
    lines = (
        options.log.read_text(encoding="utf-8").splitlines()
        if options.log is not None and options.log.is_file()
        else []
    )
    done = {
        (one["workload"], one["kind"], one["method"], one["seed"]): one
        for one in map(json.loads, lines)
    }
    for words in work:
        if words in done:
            continue
        done[words] = piece(
            *words[:3],
            methods.Budget(options.networks, words[3], options.population),
            Places(options.supernets, options.photos),
        )
        if options.log is not None:
            with options.log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(done[words]) + "\n")
    pieces = [done[words] for words in work]
    told: dict[str, Any] = {
        "benchmark": "nasaic",
        "networks": options.networks,
        "population": options.population,
        "seeds": options.seeds,
    }
    if options.pairs:
        told |= {
            "pairs": options.pairs,
            "kinds": {w: fits(w, options.pairs) for w in options.workloads if w not in TRAINED},
        }
    print(json.dumps({**told, "results": summary(pieces), "evolution against": reductions(pieces)}))


if __name__ == "__main__":
    main()
