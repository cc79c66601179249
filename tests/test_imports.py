"""Imports point down only: envs <- agents <- rollout <- skygarden. See design.md, The house."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LAYERS: Final = ("envs", "agents", "rollout", "skygarden")  # from the ground up
FOR_AGENTS: Final = ("envs.gamepad", "envs.episode", "envs.errors", "envs.jit", "envs.simd")
FOREIGN: Final = {  # what a package has no business with
    "envs": {"torch", "grpc", "ray"},
    "agents": {"gymnasium", "grpc", "ray", "socket"},
}


def imports_of(source: str, package: str) -> set[str]:
    """The dotted names that a module of `package` imports, wherever in its source."""
    return set(_imported(ast.parse(source), package))


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imports_in(layer: str) -> Iterator[tuple[str, str]]:
    """(file, imported name) for every import in a layer."""
    for path in sorted((ROOT / layer).rglob("*.py")):
        relative = path.relative_to(ROOT)
        for name in sorted(imports_of(path.read_text(encoding="utf-8"), ".".join(relative.parent.parts))):
            yield str(relative), name


def lies_in(name: str, modules: tuple[str, ...]) -> bool:
    """Whether an imported name is one of the modules or something in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer: str):
    above = LAYERS[LAYERS.index(layer) + 1 :]
    assert [pair for pair in imports_in(layer) if lies_in(pair[1], above)] == []


def test_agents_take_from_envs_only_the_vocabulary_the_record_the_errors_and_how_kernels_are_written():
    """`jit` and `simd` know no world: they compile what they are given."""
    taken = [pair for pair in imports_in("agents") if lies_in(pair[1], ("envs",))]
    assert [pair for pair in taken if not lies_in(pair[1], FOR_AGENTS)] == []


@pytest.mark.parametrize("layer", FOREIGN)
def test_worlds_know_no_learning_and_learning_knows_no_world_and_no_socket(layer: str):
    assert [pair for pair in imports_in(layer) if pair[1].split(".")[0] in FOREIGN[layer]] == []


def test_proto_is_no_package():
    # An __init__.py there would shadow the `proto` package that Ray's dependencies import.
    strangers = [p for p in (ROOT / "proto").rglob("*") if p.is_file() and p.suffix != ".proto"]
    assert strangers == []


def test_the_reader_of_imports_sees_every_kind():
    source = "import a.b\nfrom c import d as e\nfrom . import f\nfrom ..g import h\ndef late():\n    import i\n"
    assert imports_of(source, "envs.standin") == {"a.b", "c.d", "envs.standin.f", "envs.g.h", "i"}


def test_importing_skygarden_loads_no_torch():
    script = "import sys, skygarden; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, cwd=ROOT, timeout=120)
