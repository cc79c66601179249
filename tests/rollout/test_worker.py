"""Laws of a worker: what it plays arrives as it was played, and how it leaves, is sent away, or gives up."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from agents.checkpoint import trunk_hash
from agents.policy import Policy
from envs.episode import Episode
from envs.errors import DataError, DeliveryError, StepError
from envs.vector import SkygardenVectorEnv
from rollout.codec import PROTOCOL, Stamp, encode
from rollout.delivery.assignment import Assignment, Contract
from rollout.desk import Patience
from rollout.direct import DirectWorkers
from rollout.identity.trust import Token
from rollout.player import Player
from rollout.wire import rollout_pb2 as wire
from rollout.worker import work
from tests.rollout.ring import ACTING, CALM, PATIENCE, TOKENS, Ring, assignment, head_of, until

Content = Callable[[Episode], dict[str, Any]]
MakeRing = Callable[..., Ring]


class Gate:
    """Stops a game at a step until it is let go on."""

    def __init__(self, step: int = 1) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._step, self._steps = step, 0

    def __call__(self) -> None:
        self._steps += 1
        if self._steps == self._step:
            self.reached.set()
            assert self.go_on.wait(PATIENCE)


def directly(policy: Policy, game: Any, heads: Sequence[dict[str, Tensor]], asked: Sequence[Assignment]) -> Any:
    """What comes of assignments without a wire."""
    contract = Contract(trunk=trunk_hash(policy), width=32, reads="embeddings", context="chunked", temperature=0.7)
    player = Player(policy, ACTING, game)
    workers = DirectWorkers(player, contract)
    for version, head in enumerate(heads):
        workers.publish(version, head, 0)
    for one in asked:
        workers.post(one)
    played = workers.wait([one.number for one in asked], PATIENCE)
    player.close()
    return played


def same(came: Any, played: Any, content: Content) -> None:
    """Compare episodes and stamps, bit for bit; the key says who played, and a temperature went through float32."""
    assert len(came) == len(played)
    for (episode, stamp), (expected, stamped) in zip(came, played, strict=True):
        assert content(episode) == content(expected)
        for name in ("assignment", "index", "version", "trunk", "context"):
            assert getattr(stamp, name) == getattr(stamped, name)
        assert stamp.temperature == pytest.approx(stamped.temperature)


# What arrives


def test_over_the_wire_comes_what_is_played_without_one_bit_for_bit(
    ring: Ring, policy: Policy, walks: Any, content: Content
) -> None:
    heads = [head_of(0), head_of(1)]
    ring.server.publish(1, heads[1], 0)
    asked = [assignment(0, 4, 7), assignment(1, 5, 8), assignment(2, 4, 7, version=1), assignment(3, 6, version=0)]
    for one in asked:
        ring.server.post(one)
    ann = ring.at_work("ann", walks)
    came = ring.server.wait(range(4), PATIENCE)
    same(came, directly(policy, walks, heads, asked), content)
    assert [episode.seed for episode, _ in came] == [4, 7, 5, 8, 4, 7, 6]
    assert not np.array_equal(came[0][0].log_probs, came[4][0].log_probs)  # the heads differ
    until(lambda: not ring.spooled("ann"))
    ring.server.close()
    assert ann.result() == 7
    assert all(walk.let_go for walk in walks.made)


def test_over_the_wire_comes_what_is_played_in_the_stand_in_without_one(
    make_ring: MakeRing, policy: Policy, content: Content
) -> None:
    ring = make_ring(replace(CALM, standstill=300.0))  # its code may have to be compiled first
    asked = [assignment(0, 10_000_000, 10_000_001)]
    ring.server.post(asked[0])
    ann = ring.at_work("ann", SkygardenVectorEnv)
    came = ring.server.wait([0], 240.0)
    same(came, directly(policy, SkygardenVectorEnv, [head_of(0)], asked), content)
    ring.server.close()
    assert ann.result() == 2


def test_two_workers_share_what_is_posted(ring: Ring, policy: Policy, walks: Any, content: Content) -> None:
    asked = [assignment(number, 2 * number, 2 * number + 1) for number in range(4)]
    workers = [ring.at_work(name, walks) for name in TOKENS]
    until(lambda: ring.desk.workers == ["ann", "bob"])
    for one in asked:
        ring.server.post(one)
    came = ring.server.wait(range(4), PATIENCE)
    same(came, directly(policy, walks, [head_of(0)], asked), content)
    ring.server.close()
    assert sum(worker.result() for worker in workers) == 8
    assert {stamp.key.worker for _, stamp in came} <= {"ann", "bob"}


def test_only_what_is_missing_of_an_assignment_is_reported_and_it_is_what_it_would_have_been(
    make_ring: MakeRing, policy: Policy, walks: Any, content: Content, sent: Callable[..., wire.Episode]
) -> None:
    """Ann reports one of three and is gone for good."""
    ring = make_ring(Patience(heartbeat=0.1, silence=PATIENCE))
    asked = assignment(0, 5, 6, 7)
    ring.server.post(asked)
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    ann.say(episode=sent(0, 1, 6))
    ann.hear("acknowledged")
    ann.say(goodbye=wire.Goodbye())
    ann.end()
    bob = ring.at_work("bob", walks)
    came = ring.server.wait([0], PATIENCE)
    assert [stamp.key.worker for _, stamp in came] == ["bob", "ann", "bob"]
    expected = directly(policy, walks, [head_of(0)], [asked])
    same([came[0], came[2]], [expected[0], expected[2]], content)
    ring.server.close()
    assert bob.result() == 2
    assert ring.desk.counts.refused == 0


# What is turned away, and what is lost


def test_a_report_that_is_refused_is_told_of_and_kept_apart_and_the_worker_goes_on(
    ring: Ring, walks: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(episode: Episode, stamp: Stamp) -> wire.Episode:
        message = encode(episode, stamp)
        if episode.seed == 6:
            message.log_probs = message.log_probs[:-1]
        return message

    monkeypatch.setattr("rollout.worker.encode", spoilt)
    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    ann = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [5, 7, 8]
    until(lambda: not ring.spooled("ann"))
    ring.server.close()
    assert ann.result() == 4
    assert "the learner refused episode 1: log_probs take 16 bytes for shape (4,), got 15" in caplog.text
    (kept,) = (ring.folder / "spool" / "ann" / ring.desk.run / "refused").iterdir()
    assert kept.name.endswith("-0000000001.report")


def test_the_episodes_of_a_game_that_is_lost_are_dropped_and_the_next_are_played(
    ring: Ring, walks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []

    def fails() -> None:
        steps.append(1)
        if len(steps) == 2:
            raise StepError("the window is gone")

    walks.fails = fails
    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    ann = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [7, 8]
    assert "episode 0 of assignment 0 is dropped: the window is gone" in caplog.text
    assert "episode 1 of assignment 0 is dropped: the window is gone" in caplog.text
    assert "assignment 0 was interrupted: the window is gone" in caplog.text
    ring.server.close()
    assert ann.result() == 2


def test_a_game_that_does_not_start_is_tried_again_with_the_next_assignment(ring: Ring, walks: Any) -> None:
    tries: list[int] = []

    def late(count: int) -> Any:
        tries.append(count)
        if len(tries) == 1:
            raise StepError("no window titled 'Sky'")
        return walks(count)

    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    ann = ring.at_work("ann", late)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [7, 8]
    ring.server.close()
    assert ann.result() == 2
    assert tries == [2, 2]


def test_an_episode_that_cannot_be_sent_is_dropped_with_those_after_it(
    ring: Ring, walks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(episode: Episode, stamp: Stamp) -> wire.Episode:
        if episode.seed == 6:
            raise DataError("it was interrupted")
        return encode(episode, stamp)

    monkeypatch.setattr("rollout.worker.encode", picky)
    ring.server.post(assignment(0, 5, 6, 7))
    ring.server.post(assignment(1, 8))
    ann = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [5, 8]
    ring.server.close()
    assert ann.result() == 2


# Who is sent away


def test_a_worker_with_another_token_is_told(ring: Ring, walks: Any) -> None:
    with pytest.raises(DeliveryError, match="sends us away: not a worker of this run: check its name and its token"):
        work(ring.config("ann", trust=Token("guessed")), walks)
    assert walks.made == []


def test_a_worker_that_speaks_another_protocol_is_told(ring: Ring, walks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.delivery.line.PROTOCOL", 7)
    with pytest.raises(DeliveryError, match=f"speaks protocol {PROTOCOL}, got 7; install the same version"):
        work(ring.config("ann"), walks)


def test_a_worker_whose_policy_is_not_the_learners_goes(make_ring: MakeRing, walks: Any) -> None:
    ring = make_ring(trunk="ab" * 32)
    with pytest.raises(DeliveryError, match="the learner's policy is not the one it sent"):
        work(ring.config("ann"), walks)
    until(lambda: ring.desk.workers == [])


def test_of_two_processes_with_one_name_the_first_is_sent_away(ring: Ring, walks: Any) -> None:
    first = ring.at_work("ann", walks, spool=ring.folder / "first")
    until(lambda: ring.desk.workers == ["ann"])
    second = ring.at_work("ann", walks, spool=ring.folder / "second")
    with pytest.raises(DeliveryError, match="another process works as ann, started later; give each its own name"):
        first.result()
    ring.server.post(assignment(0, 5))
    assert len(ring.server.wait([0], PATIENCE)) == 1
    ring.server.close()
    assert second.result() == 1


def test_a_worker_of_a_learner_that_is_done_goes_home(ring: Ring, walks: Any) -> None:
    ring.desk.close("enough for today")
    with pytest.raises(DeliveryError, match="the learner is done: enough for today"):
        work(ring.config("ann"), walks)


def test_without_a_learner_a_worker_says_so_when_its_patience_ends(tmp_path: Path, walks: Any, ring: Ring) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(DeliveryError, match=f"no learner at {address} for 0.1 seconds .nothing listens there"):
            work(ring.config("ann", learner=address, patience=0.1), walks)


# How it leaves


def test_who_is_to_leave_and_plays_plays_to_the_end_delivers_and_says_goodbye(ring: Ring, walks: Any) -> None:
    """Silence lasts longer than the test, so what bob gets he gets because ann said goodbye."""
    walks.fails = gate = Gate(2)
    ring.server.post(assignment(0, 4))
    ann = ring.at_work("ann", walks)
    assert gate.reached.wait(PATIENCE)
    ann.leaving.set()
    gate.go_on.set()
    assert ann.result() == 1
    assert [stamp.key.worker for _, stamp in ring.server.wait([0], PATIENCE)] == ["ann"]
    assert ring.desk.workers == []
    assert ring.spooled("ann") == []
    assert [walk.let_go for walk in walks.made] == [True]


def test_who_is_to_leave_and_has_no_time_gives_up_what_it_plays_and_it_is_for_others_at_once(
    ring: Ring, walks: Any
) -> None:
    walks.fails = gate = Gate(2)
    ring.server.post(assignment(0, 7))
    ann = ring.at_work("ann", walks, notice=0.0)
    assert gate.reached.wait(PATIENCE)
    ann.leaving.set()
    gate.go_on.set()
    assert ann.result() == 0
    assert ring.desk.workers == []
    walks.fails = lambda: None
    bob = ring.at_work("bob", walks)
    assert [stamp.key.worker for _, stamp in ring.server.wait([0], PATIENCE)] == ["bob"]
    ring.server.close()
    assert bob.result() == 1


def test_of_what_it_plays_one_after_another_who_leaves_delivers_the_finished_ones(ring: Ring, walks: Any) -> None:
    """A real game plays one at a time: here 4 is done in two steps, and 7 is given up at its first."""
    walks.fails = gate = Gate(3)
    ring.server.post(assignment(0, 4, 7))
    ann = ring.at_work("ann", lambda _: walks(1), notice=0.0)
    assert gate.reached.wait(PATIENCE)
    ann.leaving.set()
    gate.go_on.set()
    assert ann.result() == 1
    assert ring.spooled("ann") == []
    walks.fails = lambda: None
    bob = ring.at_work("bob", lambda _: walks(1))
    assert [(e.seed, stamp.key.worker) for e, stamp in ring.server.wait([0], PATIENCE)] == [(4, "ann"), (7, "bob")]
    ring.server.close()
    assert bob.result() == 1


def test_who_is_to_leave_and_waits_leaves(ring: Ring, walks: Any) -> None:
    ann = ring.at_work("ann", walks)
    until(lambda: ring.desk.workers == ["ann"])
    ann.leaving.set()
    assert ann.result() == 0
    assert ring.desk.workers == []


def test_who_is_to_leave_and_has_found_no_learner_yet_leaves(ring: Ring, walks: Any) -> None:
    ring.kill()
    ann = ring.at_work("ann", walks, patience=float("inf"))
    ann.leaving.set()
    assert ann.result() == 0


def test_who_leaves_without_a_learner_keeps_what_it_has(
    ring: Ring, walks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    walks.fails = gate = Gate(2)
    ring.server.post(assignment(0, 4))
    ann = ring.at_work("ann", walks, notice=0.1, patience=float("inf"))
    assert gate.reached.wait(PATIENCE)
    ring.kill()
    gate.go_on.set()
    until(lambda: len(ring.spooled("ann")) == 1)
    ann.leaving.set()
    assert ann.result() == 1
    assert "left before all was delivered; the rest is in the spool for the next start" in caplog.text
    assert len(ring.spooled("ann")) == 1
    ring.start(ring.port)
    ring.server.publish(0, head_of(0), 0)
    ring.server.post(assignment(0, 4))
    ring.at_work("ann", walks)
    ((_, stamp),) = ring.server.wait([0], PATIENCE)
    assert (stamp.key.worker, stamp.key.sequence) == ("ann", 0)
    assert sum(walk.rounds for walk in walks.made) == 1  # it was not played again
    until(lambda: not ring.spooled("ann"))


@pytest.mark.slow
def test_a_process_that_gets_a_sigterm_says_goodbye_and_ends_well(ring: Ring) -> None:
    command = [sys.executable, "-m", "skygarden", "worker", "--learner", f"127.0.0.1:{ring.port}", "--name", "ann"]
    spool = ring.folder / "spool" / "ann"
    worker = subprocess.Popen(
        [*command, "--spool", str(spool.parent), "--device", "cpu"],
        env={**os.environ, "SKYGARDEN_TOKEN": TOKENS["ann"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number in range(200):  # more than it will play
            ring.server.post(assignment(number, 10_000_000 + number))
        ring.server.wait([0], 4 * PATIENCE)
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
    assert worker.returncode == 0, err
    played = ring.desk.counts.accepted
    assert 1 <= played < 200
    assert f"{played} episodes played" in out
    assert "told to leave by signal 15" in err
    assert ring.desk.workers == []
    assert ring.spooled("ann") == []
    assert ring.desk.counts == type(ring.desk.counts)(accepted=played)


def test_no_time_is_no_reason_to_leave_while_nobody_says_so(make_ring: MakeRing, walks: Any) -> None:
    ring = make_ring(CALM)
    ring.server.post(assignment(0, 4))
    ann = ring.at_work("ann", walks, notice=0.0)
    assert len(ring.server.wait([0], PATIENCE)) == 1
    ring.server.close()
    assert ann.result() == 1
