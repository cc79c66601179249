"""Laws of a learner with a journal: it can be stopped anywhere, nothing is played twice, and it learns the same."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.checkpoint import trunk_hash
from agents.inference import ActorConfig
from agents.policy import Policy, PolicyConfig
from agents.reinforce import ReinforceConfig
from agents.reward import RewardArtefact, RewardModel
from envs.episode import Episode
from envs.errors import DeliveryError
from rollout.codec import Stamp
from rollout.delivery.assignment import Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key, KeySet
from rollout.delivery.reports import Dropped, Played, Report, recall_report, written
from rollout.delivery.seat import Given
from rollout.desk import Desk
from rollout.learner import OnlineConfig, train_online
from rollout.player import Player
from tests.rollout.desks import message, notes

REINFORCE = ReinforceConfig(batch_size=4, learning_rate=1e-2, baseline="value", passes=2)
CONFIG = OnlineConfig(updates=5, reinforce=REINFORCE, checkpoint_every=2)
ACTING = ActorConfig(precision="float32", processors=1)

Place = tuple[int, int]  # an assignment and an index


class PowerCut(Exception):
    """The learner is gone."""


def new_policy() -> Policy:
    """The same tiny policy every time."""
    return Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))


class House:
    """A learner's folder, and a worker that plays what a desk gives it while the learner waits.

    Args: lost: places whose game is lost.
    """

    def __init__(self, folder: Path, walks: Any, config: OnlineConfig = CONFIG, lost: Sequence[Place] = ()) -> None:
        self.folder, self.config, self.lost = folder, config, lost
        self._walks = walks
        self.incarnations = count()
        self.reported: list[Place] = []
        self.updates: list[int] = []  # that were made

    def learn(self, power: int | None = None) -> Policy:
        """Go on until the end, or until so many reports are on the disk."""
        policy = new_policy()
        reward = RewardArtefact(
            RewardModel(32, torch.Generator().manual_seed(1)), "features", trunk_hash(policy), 0.5, {}
        )
        with closing(Journal(self.folder / "journal", keep=self.config.keep_journal)) as journal:
            workers = Worker(self, Desk(self.contract(policy), journal), self._walks, power)
            trunk = trunk_hash(policy)
            for metrics in train_online(policy, new_policy(), reward, trunk, workers, self.config, self.folder / "run"):
                self.updates.append(metrics.update)
        return policy

    def contract(self, policy: Policy) -> Contract:
        """Of the run."""
        config = self.config
        return Contract(
            trunk=trunk_hash(policy), width=32, reads="features", context=config.context, temperature=config.temperature
        )

    def journal(self) -> list[Report]:
        """What the journal has."""
        with closing(Journal(self.folder / "journal")) as journal:
            return [recall_report(data) for data in journal.reports()]


class Worker:
    """A process that plays, and the desk before it, as the learner sees them; both die with the learner."""

    def __init__(self, house: House, desk: Desk, walks: Any, power: int | None) -> None:
        self._house, self._desk, self._power = house, desk, power
        self._player = Player(new_policy(), ACTING, walks)
        self._contract = house.contract(new_policy())
        self._heads: dict[int, Mapping[str, Tensor]] = {}
        self._incarnation = next(house.incarnations)
        self._sequence = 0
        self._seat = desk.sit("ann", self._incarnation)
        desk.ready(self._seat)
        self.recover, self.keys, self.saved, self.post = desk.recover, desk.keys, desk.saved, desk.post

    def publish(self, version: int, weights: Mapping[str, Tensor], oldest: int) -> None:
        """Play with it from now on."""
        self._heads = {number: head for number, head in self._heads.items() if number >= oldest}
        self._heads[version] = {name: tensor.clone() for name, tensor in weights.items()}

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """Play all that there is to play."""
        for _ in range(100):
            while given := next((note for note in notes(self._seat) if isinstance(note, Given)), None):
                self._play(given)
                self._desk.ready(self._seat)
            try:
                return self._desk.wait(numbers, 0.3)
            except DeliveryError:  # there is more to play now, or the disk is slow
                continue
        raise DeliveryError("nobody plays")

    def _play(self, given: Given) -> None:
        asked, contract = given.assignment, self._contract
        self._player.load_head(self._heads[asked.version])
        for index, episode in self._player.play(asked.seeds, asked.sampling_seed, given.wanted):
            if self._power == self._sequence:
                raise PowerCut
            key = Key("ann", self._incarnation, self._sequence)
            self._sequence += 1
            made_by = contract.trunk, contract.context, contract.temperature, contract.reads
            stamp = Stamp(key, asked.number, index, asked.version, *made_by)
            lost = (asked.number, index) in self._house.lost
            report = Dropped(key, asked.number, index, "the game was lost") if lost else Played(episode, stamp)
            self._house.reported.append((asked.number, index))
            self._desk.accept(self._seat, report, written(report) if isinstance(report, Dropped) else message(report))


def equal(policy: Policy, other: Policy) -> bool:
    """Whether two policies are the same, bit for bit."""
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in policy.state_dict().items())


@pytest.mark.parametrize(("lag", "power"), [(0, [0, 0]), (0, [3]), (0, [8, 1]), (1, [9]), (1, [11, 2, 4]), (0, [17])])
def test_a_learner_that_is_stopped_anywhere_goes_on_without_anything_played_or_learnt_twice(
    tmp_path: Path, walks: Any, lag: int, power: list[int]
) -> None:
    config = replace(CONFIG, max_policy_lag=lag)
    whole = House(tmp_path / "whole", walks, config, lost=[(2, 1)])
    parts = House(tmp_path / "parts", walks, config, lost=[(2, 1)])
    learnt = whole.learn()
    for reports in power:
        with pytest.raises(PowerCut):
            parts.learn(reports)
    assert equal(parts.learn(), learnt)
    assert parts.updates == [1, 2, 3, 4, 5]
    assert sorted(parts.reported) == sorted(whole.reported)
    assert sorted(parts.reported) == [(number, index) for number in range(10) for index in range(2)]


def test_a_kept_journal_is_learnt_again_without_workers_to_the_same_weights(tmp_path: Path, walks: Any) -> None:
    house = House(tmp_path, walks, replace(CONFIG, keep_journal=True), lost=[(3, 0)])
    for power in (5, 6):
        with pytest.raises(PowerCut):
            house.learn(power)
    learnt = house.learn()
    assert len(house.journal()) == 20
    (tmp_path / "run").rename(tmp_path / "first run")
    before = list(house.reported)
    again = house.learn()
    assert equal(again, learnt)
    assert house.reported == before  # nobody played


def test_a_journal_that_is_not_kept_holds_what_the_last_checkpoint_does_not(
    tmp_path: Path, walks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.delivery.journal._SEGMENT", 1)
    house = House(tmp_path, walks)
    with pytest.raises(PowerCut):
        house.learn(15)
    left = {report.assignment for report in house.journal()}
    assert left >= {6, 7}
    assert not left & {0, 1, 2, 3, 4}  # what was written to last may stay


def test_the_checkpoint_has_the_keys_of_all_that_is_in(tmp_path: Path, walks: Any) -> None:
    house = House(tmp_path, walks)
    house.learn()
    found: list[KeySet] = []

    class Asked(Worker):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.recover = lambda keys, first: found.append(KeySet.of_tensor(keys))

    with closing(Journal(tmp_path / "journal")) as journal:
        policy = new_policy()
        reward = RewardArtefact(
            RewardModel(32, torch.Generator().manual_seed(1)), "features", trunk_hash(policy), 0.5, {}
        )
        workers = Asked(house, Desk(house.contract(policy), journal), walks, None)
        trunk = trunk_hash(policy)
        assert list(train_online(policy, new_policy(), reward, trunk, workers, CONFIG, tmp_path / "run")) == []
    assert [len(keys) for keys in found] == [20]
    assert all(Key("ann", 0, sequence) in found[0] for sequence in range(20))


def test_a_batch_of_which_all_was_lost_is_played_again_when_the_run_goes_on(tmp_path: Path, walks: Any) -> None:
    config = replace(CONFIG, keep_journal=True)
    whole = House(tmp_path / "whole", walks, config).learn()
    batch = [(number, index) for number in (4, 5) for index in range(2)]
    house = House(tmp_path / "parts", walks, config, lost=batch)
    with pytest.raises(DeliveryError, match="all episodes of batch 3 were dropped"):
        house.learn()
    house.lost = ()
    assert equal(house.learn(), whole)
    assert [place for place in house.reported if place in batch] == batch * 2
    (tmp_path / "parts" / "run").rename(tmp_path / "first run")
    assert equal(house.learn(), whole)
