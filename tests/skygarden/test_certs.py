"""Laws of `skygarden certs`: folders that can be copied as they are, of one authority, whenever they were made."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from envs.errors import OptionError, TrustError
from rollout.identity.papers import Papers, utc_now
from rollout.identity.trust import Certificate, MutualTls
from skygarden.certs import CertsConfig, certs
from tests.rollout.trusting import ask, days_from_now, served

Command = Callable[..., None]
BOTH = CertsConfig(learner=("learner.example.org", "10.0.0.4"), workers=("ann", "bob"))


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, by where it is."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ends_in(folder: Path) -> float:
    """Days that a certificate is still valid for."""
    ends = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes()).not_valid_after_utc
    return (ends - utc_now()).total_seconds() / 86_400


def test_folders_that_were_copied_work(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    command("certs", tmp_path / "c", "--learner", "learner.example.org", "10.0.0.4", "--workers", "ann", "bob")
    told = capsys.readouterr().out
    for name in ("authority", "learner", "workers/ann", "workers/bob"):
        assert str(tmp_path / "c" / name) in told
    shutil.copytree(tmp_path / "c" / "learner", tmp_path / "there")
    shutil.copytree(tmp_path / "c" / "workers" / "bob", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "c")
    with served(MutualTls(tmp_path / "there")) as port:
        assert ask(Certificate(tmp_path / "elsewhere"), port, "bob") == "bob"
    learner = x509.load_pem_x509_certificate((tmp_path / "there" / "certificate.pem").read_bytes())
    names = learner.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["learner.example.org", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.4", "127.0.0.1", "::1"]


def test_only_the_authoritys_folder_has_its_key(tmp_path: Path):
    certs(tmp_path, BOTH)
    files = everything(tmp_path)
    secret = files["authority/key.pem"]
    assert [name for name, data in files.items() if secret in data] == ["authority/key.pem"]
    assert len({data for name, data in files.items() if name.endswith("key.pem")}) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("key.pem")} == {0o600}


def test_workers_that_are_added_are_known_to_the_learner_that_was_there(tmp_path: Path):
    certs(tmp_path, BOTH)
    before = everything(tmp_path)
    with served(MutualTls(tmp_path / "learner")) as port:
        certs(tmp_path, CertsConfig(workers=("cleo",)))
        assert ask(Certificate(tmp_path / "workers" / "cleo"), port, "cleo") == "cleo"
        assert ask(Certificate(tmp_path / "workers" / "ann"), port, "ann") == "ann"
    assert {name: data for name, data in everything(tmp_path).items() if "cleo" not in name} == before


def test_who_is_named_again_is_renewed_with_the_same_key_and_authority(tmp_path: Path):
    certs(tmp_path, BOTH, days_from_now(-29))
    before = everything(tmp_path)
    assert 0.9 < ends_in(tmp_path / "workers" / "ann") < 1.1
    told = certs(tmp_path, CertsConfig(learner=("10.0.0.5",), workers=("ann",), days=7))
    assert "renewed" in told
    after = everything(tmp_path)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"learner/certificate.pem", "workers/ann/certificate.pem"}
    assert after.keys() == before.keys()
    assert 6.9 < ends_in(tmp_path / "workers" / "ann") < 7.1
    for role, place in (("learner", "learner"), ("worker", "workers/ann")):
        Papers.read(tmp_path / place).check("learner" if role == "learner" else "worker", utc_now(), place)


def test_a_worker_whose_folder_was_moved_away_gets_a_new_key(tmp_path: Path):
    certs(tmp_path, BOTH)
    old = Papers.read(tmp_path / "workers" / "ann")
    shutil.rmtree(tmp_path / "workers" / "ann")
    certs(tmp_path, CertsConfig(workers=("ann",)))
    assert Papers.read(tmp_path / "workers" / "ann").key != old.key


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CertsConfig(), "nobody"),
        (CertsConfig(workers=("ann",)), "--learner HOST"),
        (CertsConfig(learner=("a:1",)), "without port"),
        (CertsConfig(learner=("a",), workers=("../ann",)), "a worker's name"),
        (CertsConfig(learner=("a",), workers=("ann", "Ann")), "share a folder"),
        (CertsConfig(learner=("a",), days=0), "more than 0"),
        (CertsConfig(learner=("a",), days=10_000), "at most 3650"),
    ],
)
def test_what_cannot_be_leaves_nothing_behind(tmp_path: Path, config: CertsConfig, said: str):
    with pytest.raises(OptionError, match=said):
        certs(tmp_path / "c", config)
    assert not (tmp_path / "c").exists()


def test_a_worker_that_another_system_would_take_for_one_that_is_there_is_refused(tmp_path: Path):
    certs(tmp_path, BOTH)
    with pytest.raises(OptionError, match="ann and ANN would share"):
        certs(tmp_path, CertsConfig(workers=("ANN",)))


def test_an_authority_that_is_missing_is_not_made_anew_beside_its_papers(tmp_path: Path):
    certs(tmp_path, BOTH)
    (tmp_path / "authority").rename(tmp_path / "safe")
    before = everything(tmp_path)
    with pytest.raises(TrustError, match="back"):
        certs(tmp_path, BOTH)
    assert everything(tmp_path) == before


def test_papers_of_another_authority_are_not_written_over(tmp_path: Path):
    certs(tmp_path / "a", BOTH)
    certs(tmp_path / "b", BOTH)
    shutil.rmtree(tmp_path / "a" / "workers" / "ann")
    shutil.copytree(tmp_path / "b" / "workers" / "ann", tmp_path / "a" / "workers" / "ann")
    before = everything(tmp_path)
    with pytest.raises(TrustError, match="of another authority"):
        certs(tmp_path / "a", CertsConfig(workers=("ann",)))
    assert everything(tmp_path) == before


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        command("certs", tmp_path / "c", "--learner", "https://a", "--workers", "ann")
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
