"""Prints the house: every room with its modules, its lines, and the rooms that it imports.

python docs/import_graph.py            # a table
python docs/import_graph.py --dot      # for Graphviz
"""

from __future__ import annotations

import argparse
import ast
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOMES = {
    "benchmarks": ROOT / "benchmarks",
    "jobs": ROOT / "jobs",
    "evoray": ROOT / "platform" / "evoray",
    "objectives": ROOT / "objectives",
    "searchspaces": ROOT / "searchspaces",
}  # from the top layer down: each imports those below it


@dataclass
class Room:
    """One package.

    Attributes:
        modules: Number of its own files, rooms within it not counted.
        lines: Lines of all of these files.
        imports: The other rooms that they import.
    """

    modules: int = 0
    lines: int = 0
    imports: set[str] = field(default_factory=set)


def main() -> None:
    """Reads the command line and prints the graph."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dot", action="store_true", help="Print Graphviz's language instead.")
    print((dot if parser.parse_args().dot else table)(rooms()))


def rooms() -> dict[str, Room]:
    """Every package by its import name, from the top layer down."""
    files = {
        _module(layer, home, file): file
        for layer, home in HOMES.items()
        for file in sorted(home.rglob("*.py"))
    }
    packages = {name for name, file in files.items() if file.name == "__init__.py"}
    found = {name: Room() for name in files if name in packages}
    for name, file in files.items():
        room = _room(name, packages)
        text = file.read_text(encoding="utf-8")
        found[room].modules += 1
        found[room].lines += text.count("\n")
        found[room].imports |= {_room(target, packages) for target in _targets(text, files)}
    for name, room in found.items():
        room.imports.discard(name)
    return found


def _module(layer: str, home: Path, file: Path) -> str:
    parts = [layer, *file.relative_to(home).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(name: str, packages: set[str]) -> str:
    return name if name in packages else name.rpartition(".")[0]


def _targets(text: str, files: dict[str, Path]) -> set[str]:
    """Our own modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & files.keys()) or {str(node.module)}
    return names & files.keys()


def table(found: dict[str, Room]) -> str:
    """One line a room."""
    width = max(map(len, found))
    lines = [f"{'room':<{width}} {'files':>5} {'lines':>6}  imports"]
    for name, room in found.items():
        imports = " ".join(sorted(room.imports)) or "-"
        lines.append(f"{name:<{width}} {room.modules:>5} {room.lines:>6}  {imports}")
    return "\n".join(lines)


def dot(found: dict[str, Room]) -> str:
    """The same as a directed graph, a cluster each layer."""
    lines = ["digraph house {", "  rankdir=TB; node [shape=box];"]
    for layer in HOMES:
        inside = [name for name in found if name.split(".")[0] == layer]
        lines.append(f'  subgraph "cluster_{layer}" {{ label="{layer}";')
        lines += [f'    "{name}";' for name in inside]
        lines.append("  }")
    edges = [(name, to) for name, room in found.items() for to in sorted(room.imports)]
    return "\n".join([*lines, *(f'  "{name}" -> "{to}";' for name, to in edges), "}"])


def on_page_markdown(markdown: str, **_: object) -> str:
    """Puts the table into the site's page where it is asked for; mkdocs calls this."""
    return markdown.replace("<!-- import graph -->", f"```\n{table(rooms())}\n```")


if __name__ == "__main__":
    main()
