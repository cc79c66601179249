"""What is wrong with files for `ray up` is found, at its path and on its line; with those of deploy/ nothing is."""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from envs.errors import DeployError
from skygarden import cli
from skygarden.deploy import rays_own as rays_own_module
from skygarden.deploy.document import Document, spelt
from skygarden.deploy.findings import RAY, Finding, Launch
from skygarden.deploy.sizes import SIZES, retired
from skygarden.deploy_check import findings

ROOT: Final = Path(__file__).parents[2]
CLUSTER: Final = (ROOT / "deploy" / "cluster.yaml").read_text(encoding="utf-8")
LOCAL: Final = (ROOT / "deploy" / "local.yaml").read_text(encoding="utf-8")
MACHINE: Final = "available_node_types.render.node_config.azure_arm_parameters"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the token and the key that the files name."""
    for name in (".ray/auth_token", ".ssh/skygarden-cluster"):
        file = tmp_path / "home" / name
        file.parent.mkdir(parents=True)
        file.write_text("made", encoding="utf-8")
        file.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def found_in(text: str, *, ready: bool = False) -> list[tuple[Finding, int]]:
    """What is found in a file's text, with the lines, without what Ray itself says."""
    document = Document(Path("a.yaml"), text)
    found = findings(Launch(document, ROOT, ready))
    return [(finding, document.line(finding.where)) for finding in found if not finding.said.startswith("Ray: ")]


def changed(text: str, old: str, new: str) -> tuple[str, int]:
    """A copy with a mistake, and the line that it begins on."""
    assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
    return text.replace(old, new), text[: text.index(old)].count("\n") + 1


def begin(text: str, line: int) -> int:
    """Where the command begins that a line belongs to: where its dash is."""
    lines = text.split("\n")
    return next(number for number in range(line, 0, -1) if lines[number - 1].startswith("  - "))


def mistakes(text: str) -> Iterator[Finding]:
    yield from (finding for finding, _ in found_in(text) if finding.severity == "error")


@pytest.mark.parametrize("text", [CLUSTER, LOCAL], ids=["cluster", "local"])
def test_the_files_of_deploy_have_nothing_wrong(text: str) -> None:
    assert [finding for finding, _ in found_in(text) if finding.severity == "error"] == []


@pytest.mark.parametrize("text", [CLUSTER, LOCAL], ids=["cluster", "local"])
def test_ray_itself_takes_the_files_of_deploy(text: str) -> None:
    pytest.importorskip("ray", reason="Ray's own checks come with the extra `cluster`")
    assert list(rays_own_module.rays_own(Launch(Document(Path("a.yaml"), text), ROOT, False))) == []


SEEDED: Final = tomllib.loads((Path(__file__).parent / "seeded_mistakes.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", SEEDED)
def test_a_seeded_mistake_is_found_at_its_path_and_on_its_line(mistake: str) -> None:
    seeded = SEEDED[mistake]
    path, says = seeded["path"], seeded["says"]
    text, line = changed(CLUSTER, seeded["old"], seeded["new"])
    errors = [(f, at) for f, at in found_in(text) if f.severity == "error"]
    matching = [(f, at) for f, at in errors if spelt(f.where).endswith(path) and says in f.said]
    assert len(matching) >= 1, [(spelt(f.where), f.said) for f, _ in errors]
    if not seeded.get("absent"):
        assert matching[0][1] == (begin(text, line) if "_commands[" in path else line)


def test_a_mistake_in_a_size_is_answered_with_the_size_that_was_meant() -> None:
    text, _ = changed(CLUSTER, "vmSize: Standard_NV18ads_A10_v5", "vmSize: Standard_NV18ad_A10_v5")
    (finding,) = mistakes(text)
    assert finding.advice == "is it Standard_NV18ads_A10_v5?"


def test_a_size_without_gpu_that_is_not_in_the_table_is_no_error() -> None:
    text, line = changed(CLUSTER, "vmSize: Standard_NV18ads_A10_v5", "vmSize: Standard_D16ds_v5")
    assert list(mistakes(text)) == []
    assert [at for finding, at in found_in(text) if "not in the table" in finding.said] == [line]


def test_a_gpu_that_plays_nothing_is_a_warning() -> None:
    text, line = changed(CLUSTER, "render: 2 }", "render: 1 }")
    assert [(f.severity, at) for f, at in found_in(text) if "play nothing" in f.said] == [("warning", line)]


def test_a_ray_without_a_dashboard_is_a_warning() -> None:
    text, line = changed(CLUSTER, "ray[default,rllib]", "ray[rllib]")
    assert [(f.severity, at) for f, at in found_in(text) if "serves no dashboard" in f.said] == [("warning", line)]


def test_lines_are_those_of_the_file_with_its_comments() -> None:
    text, line = changed(CLUSTER, "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0")
    command = next(at for f, at in found_in(text) if "dashboard" in f.said)
    commented = "# one\n# two: three\n\n" + text.replace(
        "head_start_ray_commands:\n", "head_start_ray_commands:\n  # four\n"
    )
    assert next(at for f, at in found_in(commented) if "dashboard" in f.said) == command + 4
    assert command == begin(text, line)


def test_what_is_merged_in_counts_where_it_stands() -> None:
    document = Document(Path("a.yaml"), "one: &a\n  x: 1\n  y: 2\ntwo:\n  <<: *a\n  y: 3\n")
    assert document.get("two", "x") == 1
    assert [document.line(("two", key)) for key in ("x", "y")] == [2, 6]


@pytest.mark.parametrize(
    ("old", "new", "path", "word"),
    [
        ("RAY_AUTH_MODE=token RAY_enable_autoscaler_v2=0", "RAY_AUTH_MODE=token", "provider.worker_ips", "never"),
        ("--resources='{\"render\": 1}'", "", "worker_start_ray_commands", "no game"),
        ("  head_ip: 192.0.2.10", "  # head_ip: 192.0.2.10", "provider.head_ip", "no head_ip"),
        ("[192.0.2.11, 192.0.2.12]", "[192.0.2.11, 192.0.2.11]", "provider.worker_ips[1]", "twice"),
        ("[192.0.2.11, 192.0.2.12]", "[192.0.2.11, 127.0.0.1]", "provider.worker_ips[1]", "each of them"),
        ("min_workers: 2 #", "min_workers: 3 #", "min_workers", "2 worker_ips"),
        ("upscaling_speed: 4.0", "available_node_types: {}", "available_node_types", "refuses"),
    ],
)  # fmt: skip
def test_mistakes_with_machines_of_ones_own_are_found(old: str, new: str, path: str, word: str) -> None:
    text, _ = changed(LOCAL, old, new)
    assert any(spelt(f.where) == path and word in f.said for f in mistakes(text))


def test_a_spare_address_does_in_place_of_the_first_autoscaler() -> None:
    text, _ = changed(LOCAL, " RAY_enable_autoscaler_v2=0", "")
    text, _ = changed(text, "[192.0.2.11, 192.0.2.12]", "[192.0.2.11, 192.0.2.12, 192.0.2.13]")
    assert list(mistakes(text)) == []


def test_what_a_shared_file_cannot_hold_is_asked_for_when_all_is_to_be_ready(home: Path) -> None:
    (home / ".ray" / "auth_token").unlink()
    (home / ".ssh" / "skygarden-cluster").unlink()
    paths = ["file_mounts.~/.ray/auth_token", "auth.ssh_private_key", "provider.head_ip"]
    paths += ["provider.worker_ips[0]", "provider.worker_ips[1]"]
    for ready, severity in [(False, "warning"), (True, "error")]:
        assert [spelt(f.where) for f, _ in found_in(LOCAL, ready=ready) if f.severity == severity] == paths


def test_a_key_that_others_can_read_is_refused_as_ssh_does(home: Path) -> None:
    (home / ".ssh" / "skygarden-cluster").chmod(0o640)
    assert [(spelt(f.where), f.advice) for f in mistakes(LOCAL)] == [
        ("auth.ssh_private_key", "chmod 600 ~/.ssh/skygarden-cluster")
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "word"),
    [
        ("upscaling_speed: 4.0", "upscaling_sped: 4.0", "the file", "upscaling_sped"),
        ("max_workers: 16 # render", "max_workers: many # render", "max_workers", "'many' is not of type 'integer'"),
        ("ssh_user: skygarden", "ssh_usr: skygarden", "auth", "ssh_usr"),
        ("head_node_type: head", "head_node_type: heads", "the file", "head_node_type"),
    ],
)
def test_ray_itself_is_asked(old: str, new: str, path: str, word: str) -> None:
    pytest.importorskip("ray", reason="Ray's own checks come with the extra `cluster`")
    text, _ = changed(CLUSTER, old, new)
    (finding,) = rays_own_module.rays_own(Launch(Document(Path("a.yaml"), text), ROOT, False))
    assert (finding.severity, spelt(finding.where)) == ("error", path)
    assert word in finding.said


def test_without_ray_the_rest_is_checked_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    text, _ = changed(CLUSTER, "location: westeurope", "location: westeurop")
    found = [(f.severity, f.said.split(",")[0]) for f, _ in found_in(text)]
    assert ("note", "Ray is not installed here") in found
    assert ("error", "westeurop is no region of Azure that is known here") in found


def test_each_retired_size_is_none_of_those_to_be_had() -> None:
    assert [size for size in SIZES if retired(size)] == []
    assert SIZES["Standard_NV72ads_A10_v5"].games == 2
    assert SIZES["Standard_NV12ads_A10_v5"].games == 1  # a third of a GPU is one to the machine


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "provider: [unclosed\n"])
def test_what_is_no_cluster_file_is_said_in_one_line(text: str) -> None:
    with pytest.raises(DeployError, match=r"^bad\.yaml [^\n]*$"):
        Document(Path("bad.yaml"), text)


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of `skygarden deploy-check`, typed in the checkout's top folder."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["skygarden", "deploy-check", *arguments])
    try:
        cli.main()
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


def test_the_exit_status_tells_whether_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(monkeypatch, "deploy/cluster.yaml") == 0
    assert check(monkeypatch, "deploy/local.yaml") == 0
    assert check(monkeypatch, "deploy/local.yaml", "--ready") == 1
    text, line = changed(CLUSTER, "vmSize: Standard_NV72ads_A10_v5", "vmSize: Standard_NV12")
    bad = tmp_path / "bad.yaml"
    bad.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert check(monkeypatch, str(bad)) == 1
    assert f"{bad}:{line}: error: {MACHINE}.vmSize: Standard_NV12 is to be had no more" in capsys.readouterr().out
    assert check(monkeypatch, str(tmp_path / "none.yaml")) == 2
    assert "skygarden: a cluster file cannot be read" in capsys.readouterr().err


def test_the_ray_that_is_pinned_is_one_that_the_project_allows() -> None:
    assert f'"ray[rllib]~={RAY}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
