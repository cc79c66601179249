"""Nothing that comes from elsewhere is ever run: what is read is checked data, never a pickle and never code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path for package in ("envs", "agents", "rollout", "skygarden") for path in (ROOT / package).rglob("*.py")
)
BANNED = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__"}


def offences(source: str) -> Iterator[str]:
    """What would run what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in BANNED)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in BANNED:
            yield str(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node.func.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.load", "torch.save", "torch.jit.load"}:
            yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield "allow_pickle"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_runs_nothing_that_it_reads(path: Path) -> None:
    assert list(offences(path.read_text(encoding="utf-8"))) == []


def test_what_would_is_found() -> None:
    bad = "import pickle\nfrom joblib import load\neval(x)\ntorch.load(f)\nnp.load(f, allow_pickle=True)\n"
    assert sorted(offences(bad)) == ["allow_pickle", "eval", "joblib", "pickle", "torch.load"]
    assert list(offences("model.eval()\nre.compile(x)\nnp.load(f)\n")) == []


def test_no_server_of_ours_tells_what_it_can_do() -> None:
    assert not [
        path for path in MODULES if "reflection" in path.read_text(encoding="utf-8").replace("gRPC's reflection", "")
    ]
