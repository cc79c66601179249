"""The law of the wire: its code is what the protocol compiler makes of proto/."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROTO: Final = "skygarden/rollout/v1/rollout.proto"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the compiler has put what it makes of the definition."""
    folder = tmp_path_factory.mktemp("wire")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", f"--python_out={folder}", f"--pyi_out={folder}"]
    subprocess.run([*command, PROTO], check=True, cwd=ROOT, timeout=120)
    return folder / Path(PROTO).parent


@pytest.mark.parametrize("name", ["rollout_pb2.py", "rollout_pb2.pyi"])
def test_the_messages_are_those_of_the_definition(made: Path, name: str) -> None:
    same = (made / name).read_bytes() == (ROOT / "rollout" / "wire" / name).read_bytes()
    assert same, f"rollout/wire/{name} is not what comes of proto/{PROTO}; `make proto` makes it anew"


def test_nothing_else_is_made(made: Path) -> None:
    kept = {path.name for path in (ROOT / "rollout" / "wire").iterdir() if path.is_file()}
    assert kept == {path.name for path in made.iterdir()} | {"__init__.py"}
