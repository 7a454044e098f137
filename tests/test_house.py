"""The house rules: layers without cycles, short modules and functions, documented names, examples that run."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "partbook"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Higher may import lower; folders of one layer never import each other. separate is what the package itself exports.
LAYERS = [
    {"axes", "errors", "progress"},
    {"config", "audio", "ensemble", "zoo"},
    {"dsp"},
    {"pitch", "sources", "singer", "room"},
    {"fit", "wiener", "coherent", "stereo", "stems"},
    {"engine", "data"},
    {"separate", "track", "__init__"},
    {"train", "evaluate", "listen", "report"},
    {"cli", "__main__", "demo", "doctor", "studio"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}


def unit(path):
    """Return the folder or module, right under the package, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Yield (module as dotted path inside the package, whether at the top level) of every import of our own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["partbook", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            found = [*base[1:], *(node.module or "").split(".")] if node.module else base[1:]
            yield from ([found] if node.module else [[*found, alias.name] for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "partbook":
            yield node.module.split(".")[1:]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1:] for a in node.names if a.name.split(".")[0] == "partbook")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_lower_layers_only(path):
    own = unit(path)
    assert own in LAYER, f"{own} has no layer"
    for target in imported(path):
        other = target[0] if target and target[0] else "__init__"
        if other == own:
            continue
        below = LAYER[other] < LAYER[own]
        modules = LAYER[other] == LAYER[own] and not (PACKAGE / other).is_dir()
        assert below or modules or own == "__init__" or (own, other) in ALLOWED, f"{own} imports {other}"


# audio speaks of source ids, which ensemble defines in the same layer; python -m partbook is the command line.
ALLOWED = {("audio", "ensemble"), ("__main__", "cli")}


def test_there_are_no_cycles():
    graph = {}
    names = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in MODULES}
    for name, path in names.items():
        targets = set()
        for target in imported(path):
            joined = ".".join(target)
            targets |= {n for n in (joined, f"{joined}.__init__" if joined else "__init__") if n in names}
        graph[name] = targets - {name, "__init__"}
    while graph:
        leaves = [name for name, targets in graph.items() if not targets & graph.keys()]
        assert leaves, f"a cycle among {sorted(graph)}"
        for name in leaves:
            del graph[name]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short_documented_and_silent(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) < 400
    assert not text.strip() or ast.get_docstring(tree), "no docstring"
    outer = [*tree.body, *(inner for each in tree.body if isinstance(each, ast.ClassDef) for inner in each.body)]
    for node in outer:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines < 60, f"{node.name} has {lines} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or unit(path) == "cli"
    assert not re.search(r"\bpickle\b|np\.random\.seed|torch\.manual_seed", text)


WITH_EXAMPLES = [path for path in MODULES if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_of_a_module_run(path):
    name = ".".join(["partbook", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_test_file_is_collected_under_a_name_of_its_own():
    files = [path for path in (REPOSITORY / "tests").rglob("*.py") if "def test_" in path.read_text(encoding="utf-8")]
    assert all(path.name.startswith("test_") for path in files)
    assert len({path.name for path in files}) == len(files)
