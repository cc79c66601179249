"""Laws of where workers are and who they are: what the command line says of it, and what it refuses."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.checkpoint import save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward
from envs.errors import OptionError
from rollout.delivery.link import LinkConfig
from rollout.environments import EnvConfig
from rollout.identity.trust import Certificate, MutualTls, SharedTokens, Token
from rollout.worker import WorkerConfig
from skygarden.certs import CertsConfig, certs
from skygarden.workplace import Elsewhere, Here

Command = Callable[..., None]


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Certificates of a learner and of ann."""
    certs(tmp_path / "certs", CertsConfig(learner=("127.0.0.1",), workers=("ann",)))
    return tmp_path / "certs"


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[WorkerConfig]:
    """What workers were told, of whom each plays seven episodes at once; nothing listens to signals afterwards."""
    told: list[WorkerConfig] = []
    before = signal.getsignal(signal.SIGTERM)

    def work(config: WorkerConfig, make_envs: Any, leaving: Any) -> int:
        assert make_envs.__self__ == EnvConfig()
        assert not leaving.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert leaving.wait(10.0)
        signal.signal(signal.SIGTERM, before)
        told.append(config)
        return 7

    monkeypatch.setattr("skygarden.worker.work", work)
    return told


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where the workers of online runs are to be."""
    told: list[Any] = []
    monkeypatch.setattr("skygarden.online.online", lambda *given: told.append(given[-1]))
    monkeypatch.setattr("skygarden.pipeline.align", lambda alignment: told.append(alignment.workplace))
    return told


# A worker


def test_a_worker_is_known_by_its_name_and_a_token_that_nobody_sees_on_the_command_line(
    command: Command,
    worked: list[WorkerConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SKYGARDEN_TOKEN", "a-token")
    where = ["--learner", "127.0.0.1:5", "--name", "ann", "--spool", tmp_path / "spool", "--patience", "inf"]
    command("worker", *where, "--device", "cpu", "--processors", 2)
    link = LinkConfig(
        learner="127.0.0.1:5",
        name="ann",
        trust=Token("a-token"),
        spool=tmp_path / "spool" / "ann",
        patience=float("inf"),
    )
    assert worked == [WorkerConfig(link=link, device="cpu", processors=2)]
    assert "7 episodes played" in capsys.readouterr().out


def test_a_worker_with_a_certificate_needs_no_name_and_has_a_spool(
    command: Command, worked: list[WorkerConfig], papers: Path
) -> None:
    command("worker", "--learner", "127.0.0.1:5", "--certificate", papers / "workers" / "ann")
    (config,) = worked
    assert (config.link.name, config.link.patience) == ("ann", 300.0)
    assert config.link.trust == Certificate(papers / "workers" / "ann")
    assert config.link.spool.name == "ann"
    assert config.link.spool.parent.name == "spool"


@pytest.mark.parametrize("given", [[], ["--name", "ann"]])
def test_a_worker_that_nobody_could_know_is_refused(
    command: Command, given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SKYGARDEN_TOKEN", raising=False)
    with pytest.raises(SystemExit) as error:
        command("worker", "--learner", "127.0.0.1:5", *given)
    assert error.value.code == 2
    assert "a worker shows who it is by a certificate" in capsys.readouterr().err


def test_a_worker_whose_name_is_a_path_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKYGARDEN_TOKEN", "a-token")
    with pytest.raises(SystemExit):
        command("worker", "--learner", "127.0.0.1:5", "--name", "../escape")
    assert "a worker's name has 1 to 63 letters" in capsys.readouterr().err


# A run's workers


@pytest.mark.parametrize("line", [["online", "base-4m"], ["align", "--to", "left"]])
def test_workers_are_here_unless_there_is_an_address_for_them(
    command: Command, places: list[Any], line: list[str], papers: Path, tmp_path: Path
) -> None:
    command(*line)
    command(*line, "--listen", "0.0.0.0:50051", "--certificates", papers / "learner")
    tokens = tmp_path / "tokens"
    command(*line, "--listen", "127.0.0.1:0", "--tokens", tokens)
    assert places == [
        Here(),
        Elsewhere(listen="0.0.0.0:50051", certificates=papers / "learner"),
        Elsewhere(listen="127.0.0.1:0", tokens=tokens),
    ]
    assert (Here().windows, places[1].windows) == (1, None)


@pytest.mark.parametrize("line", [["online", "base-4m"], ["align", "--to", "left"]])
@pytest.mark.parametrize("option", ["--certificates", "--tokens"])
def test_papers_without_an_address_are_refused(
    command: Command, places: list[Any], line: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(*line, option, "somewhere")
    assert "add --listen HOST:PORT" in capsys.readouterr().err
    assert places == []


def test_workers_from_elsewhere_are_known_by_certificates_or_by_tokens(papers: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ann token-of-ann\n\n  bob   token-of-bob  \n")
    known = {"ann": "token-of-ann", "bob": "token-of-bob"}
    assert Elsewhere(listen="127.0.0.1:0", tokens=tokens)._trust() == SharedTokens(known)
    learner = papers / "learner"
    assert Elsewhere(listen="h:1", tokens=tokens, certificates=learner)._trust() == SharedTokens(known, learner)
    assert Elsewhere(listen="h:1", certificates=learner)._trust() == MutualTls(learner)
    with pytest.raises(OptionError, match=r"are known by certificates .* or by tokens"):
        Elsewhere(listen="127.0.0.1:0")._trust()


@pytest.mark.parametrize("text", ["", "ann\n", "ann one two\n", None])
def test_a_file_of_tokens_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    tokens = tmp_path / "tokens"
    if text is not None:
        tokens.write_text(text)
    reason = "cannot be read" if text is None else "has a line NAME TOKEN for each worker, and is otherwise"
    with pytest.raises(OptionError, match=reason):
        Elsewhere(listen="127.0.0.1:0", tokens=tokens)._trust()


def test_plain_text_is_not_spoken_to_others(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    save_policy(policy, tmp_path / "start.safetensors")
    model = RewardModel(32, torch.Generator().manual_seed(0))
    save_reward(RewardArtefact(model, "embeddings", trunk_hash(policy), 0.5, {}), tmp_path / "reward.safetensors")
    (tmp_path / "tokens").write_text("ann a-token-of-ann-that-is-long\n")
    files = ["--reward", tmp_path / "reward.safetensors", "--out", tmp_path / "run", "--tokens", tmp_path / "tokens"]
    with pytest.raises(SystemExit):
        command("online", tmp_path / "start.safetensors", "--preset", "smoke", *files, "--listen", "0.0.0.0:0")
    assert "plain text is spoken on this machine only" in capsys.readouterr().err
