"""What the tests of the commands share: the command line, a policy that knows one thing, and gameplay to learn from."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from agents import parallel
from agents.checkpoint import save_policy
from agents.policy import Policy, PolicyConfig
from envs.standin.gameplay import match_path, record_match
from skygarden import cli

Command = Callable[..., None]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The work is too small to share, and on a busy machine threads that wait for each other take far longer."""
    with parallel.one_thread():
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line with arguments as a user types them."""

    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["skygarden", *map(str, arguments)])
        cli.main()

    return run


@pytest.fixture(scope="session")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny policy that always walks straight ahead, whatever it sees."""
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy.head.out.weight.zero_()
        policy.head.out.bias.zero_()
        policy.head.out.bias[0:24:2] = 100  # of each button's two: up
        policy.head.out.bias[24 + torch.tensor([5, 11 + 10, 22 + 5, 33 + 5])] = 100  # LX, LY, RX, RY
    path = tmp_path_factory.mktemp("walker") / "walker.safetensors"
    save_policy(policy, path, {"about": "walks"})
    return path


@pytest.fixture(scope="session")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the smoke preset asks for, recorded as the commands would record it."""
    folder = tmp_path_factory.mktemp("gameplay")
    for kind, character, matches in (("everybody", None, 3), ("ninja", "ninja", 6)):
        (folder / kind).mkdir()
        for index in range(matches):
            replay = record_match(seed=int(kind == "ninja"), index=index, character=character)
            replay.save(match_path(folder / kind, index))
    return folder


@pytest.fixture
def gameplay(_recorded: Path, tmp_path: Path) -> Path:
    """A folder with the folders `everybody` and `ninja` of gameplay: as much as the smoke preset asks for."""
    return Path(shutil.copytree(_recorded, tmp_path / "gameplay"))
