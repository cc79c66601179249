"""A learner to be killed: `python -m tests.chaos.learner FOLDER OUT PORT LAG`. Its policy is tiny, its journal kept."""

import logging
import sys
from functools import partial
from pathlib import Path

import skygarden.online
from agents.reinforce import ReinforceConfig
from rollout.desk import Desk, Patience
from rollout.learner import OnlineConfig
from skygarden.workplace import Elsewhere, Workplace

UPDATES, BATCH = 50, 4


def learn(folder: Path, out: Path, lag: int, place: Workplace) -> None:
    """Learn what `folder` has, with the workers of a workplace."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    patience = Patience(heartbeat=0.5, silence=3.0, standstill=20.0)  # shorter, so that more happens
    skygarden.online.Desk = partial(Desk, patience=patience)  # pyright: ignore
    config = OnlineConfig(
        updates=UPDATES,
        reinforce=ReinforceConfig(batch_size=BATCH, baseline="value", passes=2),
        max_policy_lag=lag,
        shares=BATCH,
        checkpoint_every=4,
        patience=150.0,
        keep_journal=True,
    )
    start = str(folder / "start.safetensors")
    skygarden.online.online(config, start, start, folder / "reward.safetensors", out, workplace=place)


def main(folder: Path, out: Path, port: int, lag: int) -> None:
    """Learn, with workers that come by themselves."""
    learn(folder, out, lag, Elsewhere(listen=f"127.0.0.1:{port}", tokens=folder / "tokens"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
