"""What a cluster of many games takes: machines, bandwidth, the learner's load, and cost, as a page.

The learner's figures are measured here, now, as in bench/learner.py; the rest is arithmetic that the page shows. Games
are the paper's: 5,800 episodes an hour from 16 of them. Prices are what you say; without them the page has them as
letters.

    python bench/scale.py [--out docs/scale.md] [--head-price USD] [--render-price USD]
"""

import sys

sys.path.append(sys.path.pop(0))  # learner.py's neighbours are not packages

import argparse
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from learner import WIDTH, Recording, learner, taken_in  # beside this file

from agents.parallel import one_thread
from agents.policy import Head
from rollout.codec import encode_head

GAMES = (16, 256, 4096)
EPISODES_AN_HOUR = 5_800 / 16  # of one game: the paper's
PAPER = 9_600  # episodes of its online stage
PER_MACHINE = 2  # games, as in deploy/cluster.yaml


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A learner on this machine, with episodes and heads of the 103M policy."""

    taken_in: float  # episodes a second
    learnt: float  # episodes a second, on one processor
    episode: int  # bytes
    head: int  # bytes


def measured(workers: int, episodes: int, learn: int) -> Measured:
    """Measure."""
    head = Head(WIDTH, torch.Generator().manual_seed(0)).state_dict()
    with one_thread():
        return Measured(
            taken_in=taken_in(workers, episodes)[0],
            learnt=taken_in(workers, learn, learner())[0],
            episode=len(Recording("w").message(0, 0, 0, 0)),
            head=sum(tensor.ByteSize() for tensor in encode_head(head)),
        )


def page(found: Measured, head_price: float | None, render_price: float | None) -> str:
    """The page, as Markdown."""
    rows: list[list[str]] = []
    for games in GAMES:
        rate = games * EPISODES_AN_HOUR / 3600  # episodes a second
        machines = -(-games // PER_MACHINE)
        hours = PAPER / (games * EPISODES_AN_HOUR)
        if head_price is None or render_price is None:
            cost = f"H + {machines:,} R an hour"
        else:
            hourly = head_price + machines * render_price
            cost = f"{hourly:,.0f} USD an hour, {hourly * hours:,.0f} for {PAPER:,} episodes"
        rows.append(
            [
                f"{games:,}",
                f"{machines:,}",
                f"{rate:,.1f}",
                f"{rate * found.episode / 1e6:,.1f} MB/s",
                f"{rate * found.head / 1e6:,.0f} MB/s",
                f"{rate * found.episode * 3600 / 1e9:,.0f} GB",
                f"{rate / found.taken_in:.1%}",
                f"{rate / found.learnt:.1%}",
                f"{hours * 60:,.1f} min",
                cost,
            ]
        )
    columns = (
        "games",
        "render machines",
        "episodes/s",
        "up",
        "down, at most",
        "journal an hour",
        "taking in, of 2 cores",
        "learning, of 1 core",
        f"{PAPER:,} episodes",
        "cost",
    )
    table = "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---:"] * len(columns), *rows))
    return f"""# How far one learner goes

Made by `python bench/scale.py` on {os.cpu_count()} cores, with what the largest policy (103M) sends: episodes of
{found.episode:,} bytes up, heads of {found.head:,} down. There one learner takes in
**{found.taken_in:,.0f} episodes/s** (received, checked, on disk, acknowledged; the simulated workers are on the same
cores), and learns from **{found.learnt:,.0f} episodes/s** with the paper's loss and a reward model on one core. A game
gives {EPISODES_AN_HOUR:,.1f} episodes an hour, as in the paper.

{table}

- *Up* is episodes; the policy itself is fetched once a worker. *Down* is the head, once an episode if each is played by
  another version; a worker that plays several episodes with one version fetches it once.
- A batch of 16 keeps 16 games busy. For more, let the batch or `--max-policy-lag` grow with them: G games want a batch
  of G, or a lag of G / 16 - 1.
- The learner computes on one core. *Learning* beyond 100% is more than one learner can do today; so is what exceeds
  *taking in* or the learner's network, where a batch that grows with the games means fewer versions to send.
- One learner has threads for 256 games. The last row says what the rest of it would take, not that it can be run today.
- The journal is deleted up to the last checkpoint: its size on disk stays near {2 * 64} MB.
- H and R are an hour of the head's and of a render machine's time: [deploy/](../deploy/README.md#what-it-costs) says
  where today's prices are.
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/scale.md"))
    parser.add_argument("--head-price", type=float, help="USD an hour")
    parser.add_argument("--render-price", type=float, help="USD an hour")
    parser.add_argument("--episodes", type=int, default=20_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    options.out.write_text(page(measured(64, options.episodes, 640), options.head_price, options.render_price))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
