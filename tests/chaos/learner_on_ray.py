"""A learner with its games on Ray: `python -m tests.chaos.learner_on_ray FOLDER OUT HEAD LAG AUDIT`, as `learner`.

The workers are those of `tests.chaos.worker`, which the supervisors start as they would start `skygarden worker`.
"""

import sys
from pathlib import Path

import skygarden.clustering
from rollout.environments import EnvConfig
from skygarden.clustering import OnRay, worker_command
from tests.chaos.learner import learn


def main(folder: Path, out: Path, head: str, lag: int, audit: Path) -> None:
    """Learn, with workers on render machines."""

    def audited(learner: str, env: EnvConfig) -> list[str]:
        command = worker_command(learner, env)
        assert command[:4] == ["{python}", "-m", "skygarden", "worker"]
        return ["{python}", "-m", "tests.chaos.worker", str(audit), *command[4:]]

    skygarden.clustering.worker_command = audited
    learn(folder, out, lag, OnRay(address=head))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
