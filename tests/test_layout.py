"""The house's rules that nobody should need to remember."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    "searchspaces",
    "objectives",
    "evoray",
    "jobs",
    "benchmarks",
]  # each may import those before it
KNOWN = (
    "searchspaces.base",
    "searchspaces.plugins",
    "objectives.base",
    "objectives.parts",
)  # contracts, what finds plug-ins, and parts that know no concrete one
HOMES = {
    "searchspaces": ROOT / "searchspaces",
    "objectives": ROOT / "objectives",
    "evoray": ROOT / "platform" / "evoray",
    "jobs": ROOT / "jobs",
    "benchmarks": ROOT / "benchmarks",
}
PYTHON = sorted(file for home in (*HOMES.values(), ROOT / "tests") for file in home.rglob("*.py"))
FILES = [(layer, file) for layer, home in HOMES.items() for file in sorted(home.rglob("*.py"))]


def imports_of(file: Path) -> set[str]:
    """Dotted names that a file imports, also under TYPE_CHECKING and inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; write the full name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def module_name(layer: str, file: Path) -> str:
    parts = [layer, *file.relative_to(HOMES[layer]).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_platform_is_a_source_root_and_never_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists(), (
        "it would shadow the standard library's `platform` in every Ray worker"
    )
    assert not (ROOT / "tests" / "platform").exists()


@pytest.mark.parametrize(("layer", "file"), FILES, ids=[str(f.relative_to(ROOT)) for _, f in FILES])
def test_imports_point_one_way(layer: str, file: Path) -> None:
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    for name in imports_of(file):
        top = name.split(".")[0]
        if top not in LAYERS:
            continue
        assert top in allowed, f"{file} imports {name}: imports go {' <- '.join(LAYERS)}"
        if layer == "objectives" and top == "searchspaces":
            assert name.startswith(KNOWN), (
                f"{file} imports {name}: objectives know no concrete space"
            )
        if layer == "evoray" and top in ("searchspaces", "objectives"):
            assert name.startswith(KNOWN), (
                f"{file} imports {name}: the platform knows no concrete space or objective"
            )


@pytest.mark.parametrize(("layer", "file"), FILES, ids=[str(f.relative_to(ROOT)) for _, f in FILES])
def test_ray_stays_in_distributed(layer: str, file: Path) -> None:
    if HOMES["evoray"] / "distributed" in file.parents or layer in ("jobs", "benchmarks"):
        return
    assert not any(name.split(".")[0] == "ray" for name in imports_of(file)), (
        f"{file} imports ray; only platform/evoray/distributed does"
    )


def written_in_the_locales_encoding(call: ast.Call) -> bool:
    """Returns True for a call that opens, reads or writes a text file without saying in which
    encoding.
    """
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if is_method and name in ("read_text", "write_text"):
        return len(call.args) < (2 if name == "write_text" else 1)
    if name != "open":
        return False
    before_mode = 0 if is_method else 1
    modes = [
        *call.args[before_mode : before_mode + 1],
        *(k.value for k in call.keywords if k.arg == "mode"),
    ]
    if not modes:
        return len(call.args) == before_mode and not (is_method and call.keywords)
    texts = [
        mode.value
        for mode in modes
        if isinstance(mode, ast.Constant) and isinstance(mode.value, str)
    ]
    return any(set(text) <= set("rwax+t") for text in texts)


@pytest.mark.parametrize("file", PYTHON, ids=[str(f.relative_to(ROOT)) for f in PYTHON])
def test_text_files_name_their_encoding(file: Path) -> None:
    calls = [
        n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)
    ]
    bare = [call.lineno for call in calls if written_in_the_locales_encoding(call)]
    assert not bare, (
        f'{file}, lines {bare}: say encoding="utf-8", or another locale reads and writes other '
        "bytes"
    )


def test_one_file_opens_the_terminal() -> None:
    opened = {
        file.relative_to(ROOT).as_posix() for _, file in FILES if "rich.console" in imports_of(file)
    }
    assert opened == {"jobs/terminal/console.py"}, (
        "print to a Terminal: a plain rich console takes names from outside for markup"
    )


def test_no_import_goes_in_a_circle() -> None:
    modules = {module_name(layer, file): file for layer, file in FILES}
    graph = {
        name: {i for i in imports_of(file) if i in modules and i != name}
        for name, file in modules.items()
    }
    # evoray/__init__.py finds its names on first use; what it imports for type checkers alone is no
    # circle at run time.
    graph["evoray"] = set()
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import circle: {' -> '.join((*path, name))}"
        if name not in done:
            for next_name in graph[name]:
                visit(next_name, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(("layer", "file"), FILES, ids=[str(f.relative_to(ROOT)) for _, f in FILES])
def test_files_have_a_docstring_and_no_standard_library_name(layer: str, file: Path) -> None:
    if file.parent == ROOT / "platform":
        return
    assert file.stem == "__init__" or file.stem not in sys.stdlib_module_names, (
        f"{file} bears the name of a standard library module"
    )
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), (
        f"{file} does not say in its first line why it exists"
    )


def test_every_package_is_in_pyproject() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
            "packages"
        ]
    )
    there = {module_name(layer, file) for layer, file in FILES if file.name == "__init__.py"}
    assert listed == there


def test_constraints_pin_exact_versions_and_no_addresses() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert lines
    assert all("==" in line and "://" not in line for line in lines)


def registries() -> dict[Path, ast.Call]:
    """The folders that find their plug-ins themselves, each with the call that says which."""
    found = {}
    for _, file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Registry":
                found[file.parent] = node
    return found


def test_no_registry_has_a_list_of_exceptions() -> None:
    folders = registries()
    assert len(folders) >= 7
    for folder, call in folders.items():
        words = [*call.args, *(keyword.value for keyword in call.keywords)]
        assert all(isinstance(word, ast.Constant) for word in words), (
            f"{folder}/__init__.py lists modules: a plug-in is known by what it offers, and parts "
            "stand in a folder of their own"
        )


@pytest.mark.parametrize("package", [name for name in HOMES if name != "benchmarks"])
def test_at_most_seven_modules_stand_at_a_packages_top_beside_plug_ins(package: str) -> None:
    home = HOMES[package]
    offers = {"searchspaces": "build", "objectives": "build", "jobs": "PRESETS"}.get(package)
    beside = [
        file.name
        for file in sorted(home.glob("*.py"))
        if file.name != "__init__.py" and offers not in defined_in(file)
    ]
    assert len(beside) <= 7, f"{home} holds {', '.join(beside)}: give some of them a room"


def defined_in(file: Path) -> set[str]:
    """Names of a module's own functions and constants."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    targets = [
        target
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {node.name for node in body if isinstance(node, ast.FunctionDef)} | {
        target.id for target in targets if isinstance(target, ast.Name)
    }


# A text that begins so is the end of a sentence whose beginning is the name beside it.
_LEANS_ON_ITS_NAME = re.compile(r"(What|Of|As|Whether|Those|That|Which|Where|How)\b")
_ENTRY = re.compile(r"\s*[\w, `*.|\[\]]+?: +(.*)")
DOCUMENTED = [*HOMES.values(), ROOT / "tests", ROOT / "examples"]


def texts_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and the texts under fields, by line."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def beginnings(line: int, text: str) -> Iterator[tuple[int, str]]:
    """The first words of a text, and those of the entries of its sections, by line."""
    yield line, text
    inside = False
    for offset, words in enumerate(text.splitlines()):
        if words.strip() in ("Args:", "Attributes:", "Returns:", "Yields:", "Raises:"):
            inside = True
        elif inside and (entry := _ENTRY.fullmatch(words)):
            yield line + offset, entry[1]


@pytest.mark.parametrize("home", DOCUMENTED, ids=[home.name for home in DOCUMENTED])
def test_docstrings_are_sentences_that_one_understands_alone(home: Path) -> None:
    leaning = [
        f"{file}:{number}: {words.splitlines()[0]}"
        for file in sorted(home.rglob("*.py"))
        for line, text in texts_in(ast.parse(file.read_text(encoding="utf-8")))
        for number, words in beginnings(line, text)
        if _LEANS_ON_ITS_NAME.match(words)
    ]
    assert not leaning, "begin with a verb, or with the noun that it is or returns:\n" + "\n".join(
        leaning
    )


def test_an_options_text_breaks_between_sentences_alone() -> None:
    broken = [
        f"{file}:{after.lineno}: {line.strip()}"
        for file in (*HOMES["jobs"].rglob("*.py"), *HOMES["evoray"].rglob("training/**/config.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for field, after in itertools.pairwise(node.body)
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr)
        for line in ast.literal_eval(after.value).strip().splitlines()
        if line.strip()[-1:] not in ".:"
    ]
    assert not broken, (
        "tyro keeps the breaks of a text, so give each sentence its own line:\n" + "\n".join(broken)
    )
