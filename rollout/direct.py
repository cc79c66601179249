"""The ring in one process: assignments are played on the spot, and no wire is between."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from envs.episode import Episode
from rollout.codec import Stamp
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.keys import Key, KeySet
from rollout.player import Player


class DirectWorkers:
    """Plays each assignment when it is waited for; see `rollout.learner.Workers`."""

    def __init__(self, player: Player, contract: Contract) -> None:
        self._player, self._contract = player, contract
        self._heads: dict[int, Mapping[str, Tensor]] = {}
        self._posted: dict[int, Assignment] = {}
        self._sent = 0

    def publish(self, version: int, weights: Mapping[str, Tensor], oldest: int) -> None:
        """Have a version of the head played from now on."""
        heads = {number: head for number, head in self._heads.items() if number >= oldest}
        self._heads = {**heads, version: weights}

    def post(self, assignment: Assignment) -> None:
        """Have an assignment played, with the head that is its version's now."""
        self._posted[assignment.number] = assignment

    def recover(self, keys: Tensor | None, first: int) -> None:
        """Nothing was sent, so nothing can come twice."""

    def keys(self) -> Tensor:
        """None."""
        return KeySet().tensor()

    def saved(self, below: int) -> None:
        """Nothing is kept."""

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """Play."""
        return [played for number in numbers for played in self._play(self._posted.pop(number))]

    def _play(self, assignment: Assignment) -> list[tuple[Episode, Stamp]]:
        self._player.load_head(self._heads[assignment.version])
        played: list[tuple[Episode, Stamp]] = []
        for index, episode in self._player.play(assignment.seeds, assignment.sampling_seed):
            if episode.interrupted is not None:
                continue
            key = Key("direct", 0, self._sent)
            contract = self._contract
            stamp = Stamp(
                key,
                assignment.number,
                index,
                assignment.version,
                contract.trunk,
                contract.context,
                contract.temperature,
                contract.reads,
            )
            played.append((episode, stamp))
            self._sent += 1
        return played
