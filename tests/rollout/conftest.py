"""What the tests of the rollouts share: ninjas at play, episodes of anything, a tiny policy and a game it can play."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from agents import parallel
from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.gamepad import SIZES
from envs.standin.gameplay import record_match
from envs.standin.replay import Replay
from rollout.codec import Stamp, encode
from rollout.delivery.assignment import Contract
from rollout.delivery.keys import Key
from rollout.desk import Patience
from rollout.wire import rollout_pb2 as wire
from tests.rollout.ring import CALM, Ring, head_of, until


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The work is too small to share, and on a busy machine threads that wait for each other take far longer."""
    with parallel.one_thread():
        yield


@pytest.fixture(scope="session")
def ninjas() -> list[Replay]:
    """Three matches of ninjas who know the way to every pad."""
    return [record_match(seed=1, index=index, character="ninja") for index in (0, 2, 4)]


@pytest.fixture(scope="session")
def make_episode() -> Callable[..., Episode]:
    """Make a padded episode of anything, drawn from its seed."""

    def make(seed: int = 0, steps: int = 3, width: int = 2, jumppad: str | None = "left") -> Episode:
        rng = np.random.default_rng(seed)
        return Episode(
            seed=seed,
            start=Start(1, "monk", 2),
            actions=rng.integers(0, SIZES, (steps, 16), np.uint8),
            log_probs=-rng.exponential(size=steps).astype(np.float32),
            embeddings=rng.normal(size=(100, width)).astype(np.float16),
            features=rng.normal(size=(100, width)).astype(np.float16),
            positions=rng.normal(size=(steps + 1, 3)).astype(np.float32),
            ending=Ending.TERMINATED if jumppad else Ending.TRUNCATED,
            jumppad=jumppad,
        )

    return make


@pytest.fixture(scope="session")
def content() -> Callable[[Episode], dict[str, Any]]:
    """The parts of an episode, as what can be compared."""

    def parts(episode: Episode) -> dict[str, Any]:
        named = {name: getattr(episode, name) for name in Episode.__slots__}
        return {name: (p.dtype, p.tolist()) if isinstance(p, np.ndarray) else p for name, p in named.items()}

    return parts


@pytest.fixture
def policy() -> Policy:
    """A tiny policy, the same for every test."""
    return Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the tiny policy."""
    path = tmp_path_factory.mktemp("policy") / "policy.safetensors"
    tiny = PolicyConfig(width=32, layers=2, heads=2, context=8)
    save_policy(Policy(tiny, torch.Generator().manual_seed(0)), path)
    return path


class Walk(VectorEnv[Any, Any, Any]):
    """A strict fake of a game: 2 + seed % 4 steps to the pad seed % 3; frames follow from the seed and what is pressed.

    Args: fails: called before every step; may raise.
    """

    def __init__(self, count: int, fails: Callable[[], None] = lambda: None) -> None:
        self.num_envs, self._fails = count, fails
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.rounds = 0
        self.let_go = False
        self._seeds: list[int] = []
        self._pressed = np.zeros(count, np.int64)
        self._steps = 0

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        assert not self.let_go
        assert isinstance(seed, list)
        assert [type(one) for one in seed] == [int] * self.num_envs
        assert options is None
        self._seeds, self._steps = list(seed), 0
        self._pressed[:] = 0
        self.rounds += 1
        return self._frames(), self._infos()

    def step(self, actions: NDArray[np.uint8]) -> Any:
        assert not self.let_go
        assert actions.shape == (self.num_envs, 16)
        assert actions.dtype == np.uint8
        assert (actions < np.array(SIZES)).all()
        self._fails()
        self._steps += 1
        assert self._steps <= 100
        self._pressed = self._pressed * 31 % 2**31 + actions @ np.arange(1, 17)
        terminated = np.array([self._steps == 2 + seed % 4 for seed in self._seeds])
        nothing = np.zeros(self.num_envs)
        return self._frames(), nothing, terminated, nothing.astype(np.bool_), self._infos()

    def close_extras(self, **kwargs: Any) -> None:
        self.let_go = True

    def _frames(self) -> NDArray[np.uint8]:
        keys = zip(self._seeds, self._pressed.tolist(), strict=True)
        patches = [np.random.default_rng([self._steps, *key]).integers(1, 256, (16, 16, 3), np.uint8) for key in keys]
        return np.stack(patches).repeat(8, 1).repeat(8, 2)

    def _infos(self) -> dict[str, Any]:
        return {
            "jumppad": np.array([JUMPPADS[seed % 3] for seed in self._seeds], object),
            "spawn": np.array(self._seeds) % 4,
            "character": np.array(["monk"] * self.num_envs),
            "skin": np.zeros(self.num_envs, np.int64),
            "position": np.stack([self._pressed, np.array(self._seeds), np.full(self.num_envs, self._steps)], 1) / 7,
        }


class Walks:
    """Makes walks, and knows those it has made. `fails` may be set first: what is called before every step."""

    def __init__(self) -> None:
        self.made: list[Walk] = []
        self.fails: Callable[[], None] = lambda: None

    def __call__(self, count: int) -> Walk:
        self.made.append(Walk(count, self.fails))
        return self.made[-1]


@pytest.fixture
def walks() -> Walks:
    """Make batched walks."""
    return Walks()


@pytest.fixture
def make_ring(policy_file: Path, tmp_path: Path) -> Iterator[Callable[..., Ring]]:
    """Open rings for the tiny policy; they are closed after the test, and leave no thread behind.

    Args: patience: of the desk. What else is named is another in the contract than it is.
    """
    policy, _ = load_policy(policy_file)
    before = set(threading.enumerate())
    made: list[Ring] = []

    def make(patience: Patience = CALM, **changes: Any) -> Ring:
        usual = {"width": 32, "reads": "embeddings", "context": "chunked", "temperature": 0.7}
        contract = {"trunk": trunk_hash(policy), **usual, **changes}
        made.append(Ring(Contract(**contract), policy_file, tmp_path / str(len(made)), patience))
        made[-1].server.publish(0, head_of(0), 0)
        return made[-1]

    yield make
    for ring in made:
        ring.close()
    until(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def ring(make_ring: Callable[..., Ring]) -> Ring:
    """A ring whose version 0 of the head is `head_of(0)`."""
    return make_ring()


@pytest.fixture
def sent(make_episode: Callable[..., Episode], policy: Policy) -> Callable[..., wire.Episode]:
    """Make a good message for a seed and a place in an assignment, by incarnation 1 of ann."""
    trunk = trunk_hash(policy)

    def make(number: int, index: int, seed: int, width: int = 32) -> wire.Episode:
        stamp = Stamp(Key("ann", 1, 100 * number + index), number, index, 0, trunk, "chunked", 0.7, "embeddings")
        return encode(make_episode(seed=seed, width=width), stamp)

    return make
