"""What was asked for and what came of it: of every seed of every assignment one report, and no report twice.

Nothing here knows who sits where, what time it is, or of threads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from envs.episode import Episode
from envs.errors import DataError
from rollout.codec import Stamp
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.keys import KeySet
from rollout.delivery.reports import Played, Report, recall_report


@dataclass(slots=True)
class _Open:
    """An assignment and what has come of it."""

    assignment: Assignment
    reports: dict[int, Report] = field(default_factory=dict[int, Report])
    coming: set[int] = field(default_factory=set[int])  # on their way into the journal
    fresh: bool = False  # whether anything came since the learner started


class Asked:
    """Open assignments by number, and the keys of all that is in."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._open: dict[int, _Open] = {}
        self._recovered: dict[int, list[Report]] = {}
        self.keys = KeySet()
        self.newest = -1  # assignment that was posted

    def recover(self, keys: Tensor | None, first: int, reports: Iterable[bytes]) -> None:
        """Go on from a checkpoint with the assignments from `first` on, of which there are reports.

        Raises: CheckpointError: these are no keys, or no reports.
        """
        self.keys = KeySet() if keys is None else KeySet.of_tensor(keys)
        self.newest = first - 1
        for data in reports:
            report = recall_report(data)
            if report.key:
                self.keys.add(report.key)
            self._recovered.setdefault(report.assignment, []).append(report)

    def post(self, assignment: Assignment) -> int:
        """Open an assignment; returns how much of it was recovered.

        Raises: DataError: what was recovered is not what is asked for.
        """
        opened = _Open(assignment)
        recovered = self._recovered.pop(assignment.number, [])
        for report in recovered:
            self._compare(assignment, report)
            opened.reports[report.index] = report
        self._open[assignment.number] = opened
        self.newest = max(self.newest, assignment.number)
        return len(recovered)

    def reopen(self, numbers: Sequence[int]) -> Sequence[int]:
        """Have a batch played again that ended an earlier run because all of it was dropped; returns its numbers."""
        batch = [self._open[number] for number in numbers]
        reports = [report for opened in batch for report in opened.reports.values()]
        done = all(self.done(number) for number in numbers)
        if not done or any(opened.fresh for opened in batch) or any(isinstance(r, Played) for r in reports):
            return ()
        for opened in batch:
            opened.reports.clear()
        return numbers

    def assignment(self, number: int) -> Assignment:
        """An open assignment."""
        return self._open[number].assignment

    def wanted(self, number: int) -> tuple[int, ...]:
        """The indices of an open assignment of which there is no report, nor one on its way into the journal."""
        opened = self._open[number]
        places = range(len(opened.assignment.seeds))
        return tuple(k for k in places if k not in opened.reports and k not in opened.coming)

    def done(self, number: int) -> bool:
        """Whether all of an open assignment is in."""
        opened = self._open[number]
        return len(opened.reports) == len(opened.assignment.seeds)

    def check(self, report: Report) -> None:
        """Compare a report with what was asked for.

        Raises: DataError: it is something else, or is there already.
        """
        if report.assignment not in self._open:
            raise DataError(f"assignment {report.assignment} is over")
        asked = self._open[report.assignment].assignment
        if report.index < len(asked.seeds) and report.index not in self.wanted(asked.number):
            raise DataError(f"number {report.index} of assignment {report.assignment} is there already")
        self._compare(asked, report)

    def expect(self, report: Report) -> None:
        """A report is on its way into the journal: no other has its place."""
        self._open[report.assignment].coming.add(report.index)

    def enter(self, report: Report) -> None:
        """A report is durable."""
        opened = self._open[report.assignment]
        opened.coming.discard(report.index)
        opened.fresh = True
        opened.reports[report.index] = report
        if report.key:
            self.keys.add(report.key)

    def take(self, numbers: Sequence[int]) -> list[tuple[Episode, Stamp]]:
        """Close assignments; returns their episodes, in order and without those that were dropped."""
        done = [self._open.pop(number) for number in numbers]
        reports = [opened.reports[index] for opened in done for index in sorted(opened.reports)]
        return [(report.episode, report.stamp) for report in reports if isinstance(report, Played)]

    def _compare(self, asked: Assignment, report: Report) -> None:
        if report.index >= len(asked.seeds):
            raise DataError(f"assignment {asked.number} has no number {report.index}")
        if not isinstance(report, Played):
            return
        episode, stamp, contract = report.episode, report.stamp, self._contract
        if asked.seeds[stamp.index] != episode.seed:
            raise DataError(f"seed {episode.seed} is not number {stamp.index} of the assignment")
        needed = (asked.version, contract.trunk, contract.context, contract.width, contract.reads)
        given = (stamp.version, stamp.trunk, stamp.context, episode.features.shape[1], stamp.reads)
        for name, need, got in zip(("version", "trunk", "context", "width", "reads"), needed, given, strict=True):
            if need != got:
                raise DataError(f"{name} {str(need)[:12]} was asked for, and {str(got)[:12]} played")
        if not abs(stamp.temperature - contract.temperature) <= 1e-6:  # nor is NaN near it
            raise DataError(f"temperature {contract.temperature} was asked for, and {stamp.temperature} played")
