"""The files of deploy/ that no Ray reads: scripts, image, Windows. What can be tried here is; the rest is read."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import yaml

from skygarden import cli
from skygarden.deploy.findings import RAY

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
SCRIPTS: Final = sorted(DEPLOY.glob("*.sh"))
WINDOWS: Final = DEPLOY / "windows-render-node.ps1"


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile's: name and the rest, in one line, without comments."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest


def options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: str) -> set[str]:
    """What a subcommand takes, as its help says."""
    monkeypatch.setattr(sys, "argv", ["skygarden", *command, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in {0, None}, command
    return set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))


def written_commands() -> Iterator[tuple[str, str, set[str]]]:
    """Each `skygarden ...` that a file of deploy/ tells people, or a machine, to run: file, subcommand, options."""
    for file in [*sorted(DEPLOY.glob("*.md")), *sorted(DEPLOY.glob("*.yaml")), DEPLOY / "Dockerfile"]:
        text = re.sub(r"\s*\\\n[#\s]*", " ", file.read_text(encoding="utf-8"))
        for subcommand, rest in re.findall(r"(?<![\w/~.-])skygarden ([a-z]+(?:-[a-z]+)*)((?: [^\s`'|;&]+)*)", text):
            if subcommand in cli.COMMANDS or "--" in rest:
                yield file.name, subcommand, set(re.findall(r"(?<=\s)--[a-z][a-z-]*", rest))
    worker = re.search(r"'skygarden', '(\w+)',(.*?)\) -join", WINDOWS.read_text(encoding="utf-8"), re.DOTALL)
    assert worker
    yield WINDOWS.name, worker[1], set(re.findall(r"'(--[a-z-]+)'", worker[2]))


@pytest.mark.parametrize(("file", "subcommand", "used"), list(written_commands()))
def test_a_command_that_is_written_down_is_one_that_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, subcommand: str, used: set[str]
) -> None:
    assert subcommand in cli.COMMANDS, file
    assert used <= options(monkeypatch, capsys, subcommand), file


def test_the_commands_that_matter_are_written_down() -> None:
    told = {(file, subcommand) for file, subcommand, _ in written_commands()}
    assert told >= {
        ("README.md", "align"),
        ("README.md", "certs"),
        ("README.md", "deploy-check"),
        ("Dockerfile", "worker"),
        ("windows-render-node.ps1", "worker"),
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_that_its_shell_and_shellcheck_take(script: Path) -> None:
    shell = script.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!/usr/bin/env ").removeprefix("#!/bin/")
    subprocess.run([shell, "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck comes with the extra `dev`")
    done = subprocess.run([str(shellcheck), str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("file", ["cluster.yaml", "local.yaml"])
def test_the_commands_of_a_cluster_file_are_shell_and_the_scripts_that_they_name_are_mounted(file: str) -> None:
    content = yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))
    commands = [command for name, value in content.items() if name.endswith("_commands") for command in value]
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)
        for script in re.findall(r"~/skygarden/deploy/[\w.-]+", command):
            assert content["file_mounts"]["~/skygarden/deploy"] == "deploy"
            assert (DEPLOY / Path(script).name).is_file()
    assert len(commands) > 4


def test_the_image_is_built_from_what_is_there_and_runs_without_rights() -> None:
    steps = list(instructions())
    assert steps[0] == ("FROM", "python:3.11-slim-bookworm")
    names = [name for name, _ in steps]
    assert {"ENTRYPOINT", "HEALTHCHECK", "USER"} <= set(names)
    assert "ADD" not in names
    assert max(i for i, (name, rest) in enumerate(steps) if name == "RUN" and "apt-get" in rest) < names.index("USER")
    assert [rest for name, rest in steps if name == "USER"] == ["10001"]
    assert f"ray[rllib]=={RAY}" in " ".join(rest for name, rest in steps if name == "RUN")
    for name, rest in steps:
        if name == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
        if name == "COPY" and not rest.startswith("dist/"):
            sources = [word for word in shlex.split(rest)[:-1] if not word.startswith("--")]
            assert all((ROOT / source).is_file() for source in sources)
        assert not re.search(r"token=|password|PRIVATE KEY", rest.replace("RAY_AUTH_MODE=token", ""), re.IGNORECASE)


def test_the_script_for_windows_is_powershell() -> None:
    tree_sitter = pytest.importorskip("tree_sitter", reason="reading PowerShell needs the extra `dev`")
    grammar = pytest.importorskip("tree_sitter_powershell", reason="reading PowerShell needs the extra `dev`")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    assert not parser.parse(WINDOWS.read_bytes()).root_node.has_error
    assert parser.parse(WINDOWS.read_bytes() + b"\nif (").root_node.has_error


def test_what_the_script_for_windows_is_given_is_checked_and_nothing_secret_is_among_it() -> None:
    text = WINDOWS.read_text(encoding="utf-8")
    block = text[text.index("\nparam(") : text.index("Set-StrictMode")]
    parameters = re.findall(r"\[string\] \$(\w+)", block)
    assert parameters == ["Learner", "Name", "Certificate", "GameProfile", "Wheel", "InstallDriver", "Torch", "Folder"]
    starts = [0, *(block.index(f"[string] ${name}") for name in parameters)]
    for name, (start, end) in zip(parameters, pairwise(starts), strict=True):
        assert "[Validate" in block[start:end], name
    assert "VGAMEPAD_SKIP_VIGEMBUS_INSTALL = 'true'" in text
    assert not re.search(r"SKYGARDEN_TOKEN|--token|password", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("learner", "fits"),
    [("10.0.0.4:50051", True), ("learner.example:1", True), ("[fd00::1]:50051", True)]
    + [(bad, False) for bad in ("10.0.0.4", "host:0", "host:123456", "a b:1", "host:1;calc", "-x:1")],
)
def test_the_learners_address_is_checked_on_windows(learner: str, fits: bool) -> None:
    pattern = re.search(r"ValidatePattern\('([^']+)'\)\]\n\s*\[string\] \$Learner", WINDOWS.read_text(encoding="utf-8"))
    assert pattern
    assert bool(re.search(pattern[1], learner)) is fits


def fake(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def sh(script: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(DEPLOY / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)


@pytest.fixture
def node(tmp_path: Path) -> dict[str, str]:
    """A machine where Skygarden and Ray are installed already, whose pip and uv and sudo must not be called."""
    home = tmp_path / "home"
    for file in ("source/skygarden/a.py", "source/pyproject.toml"):
        (home / "skygarden" / file).parent.mkdir(parents=True, exist_ok=True)
        (home / "skygarden" / file).write_text("a", encoding="utf-8")
    tools = home / "skygarden" / "venv" / "bin"
    for name in ("ray", "skygarden"):
        fake(tools, name, "#!/bin/sh\n")
    fake(
        tools,
        "python",
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.exit(\'{RAY}\' not in sys.argv[1])" "$2"\n',
    )
    for name in ("uv", "sudo", "curl"):
        fake(home / "bin", name, '#!/bin/sh\necho "$0 was called" >&2\nexit 9\n')
    (home / ".bashrc").write_text("case $- in *i*) ;; *) return ;; esac\necho end\n", encoding="utf-8")
    return {"HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin"}


def test_a_node_with_everything_installed_needs_no_internet_and_finds_ray_in_a_login_shell(
    node: dict[str, str],
) -> None:
    for _ in range(2):  # again changes nothing
        done = sh("node-setup.sh", f"ray[rllib]=={RAY}", env=node)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"has Ray {RAY} and Skygarden" in done.stdout
    bashrc = Path(node["HOME"], ".bashrc").read_text(encoding="utf-8").splitlines()
    assert bashrc[0].endswith("# Skygarden")
    assert bashrc[1:] == ["case $- in *i*) ;; *) return ;; esac", "echo end"]
    seen = subprocess.run(
        ["bash", "--login", "-c", "command -v ray; echo $RAY_AUTH_MODE"],
        capture_output=True, text=True, check=True, env=node,
    )  # fmt: skip
    assert seen.stdout.split() == [f"{node['HOME']}/skygarden/venv/bin/ray", "token"]


def test_a_node_with_another_ray_installs_the_pinned_one_and_one_without_pin_is_refused(node: dict[str, str]) -> None:
    home = Path(node["HOME"])
    fake(home / "skygarden" / "venv" / "bin", "uv", f'#!/bin/sh\necho "$@" >> {home}/asked\n')
    assert sh("node-setup.sh", "ray[rllib]==9.9.9", env=node).returncode == 0
    asked = (home / "asked").read_text(encoding="utf-8")
    assert "ray[rllib]==9.9.9" in asked
    assert f"skygarden[cluster,window] @ file://{home}/skygarden/source" in asked
    refused = sh("node-setup.sh", "ray[rllib]", env=node)
    assert refused.returncode == 2
    assert "pin Ray" in refused.stderr


def test_a_node_whose_source_has_changed_since_it_was_installed_installs_it_again(node: dict[str, str]) -> None:
    home = Path(node["HOME"])
    fake(home / "skygarden" / "venv" / "bin", "uv", f'#!/bin/sh\necho "$@" >> {home}/asked\n')
    (home / "skygarden" / "venv" / ".skygarden-source").write_text("what it was", encoding="utf-8")
    for _ in range(2):  # the second time it is what it was
        assert sh("node-setup.sh", f"ray[rllib]=={RAY}", env=node).returncode == 0
    assert len((home / "asked").read_text(encoding="utf-8").splitlines()) == 1


def test_ssh_is_opened_to_one_address_alone(tmp_path: Path) -> None:
    fake(
        tmp_path,
        "az",
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$3" = list ] && echo ray-skygarden-1a2b-nsg\nexit 0\n',
    )
    fake(tmp_path, "curl", "#!/bin/sh\necho 203.0.113.7\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert sh("close-ssh.sh", "mine", env=env).stdout == "ray-skygarden-1a2b-nsg: SSH from 203.0.113.7 alone\n"
    assert (tmp_path / "asked").read_text(encoding="utf-8").splitlines()[1] == (
        "network nsg rule update --resource-group mine --nsg-name ray-skygarden-1a2b-nsg --name SSH "
        "--source-address-prefixes 203.0.113.7 --output none"
    )
    for everybody in ("*", "0.0.0.0/0", "Internet", ""):
        assert sh("close-ssh.sh", "mine", everybody, env=env).returncode == (0 if everybody == "" else 2)
    fake(tmp_path, "az", "#!/bin/sh\nexit 0\n")
    assert sh("close-ssh.sh", "mine", env=env).returncode == 1  # nothing to close


def test_a_driver_that_works_is_left_alone_and_a_machine_without_gpu_is_told(tmp_path: Path) -> None:
    fake(tmp_path, "nvidia-smi", "#!/bin/sh\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert "a driver that works" in sh("nvidia-driver.sh", env=env).stdout
    fake(tmp_path, "nvidia-smi", "#!/bin/sh\nexit 9\n")
    fake(tmp_path, "lspci", "#!/bin/sh\necho VGA\n")
    refused = sh("nvidia-driver.sh", env=env)
    assert (refused.returncode, "no NVIDIA GPU" in refused.stderr) == (1, True)


def test_screens_for_games_are_started_once_and_end_where_no_ray_comes(tmp_path: Path) -> None:
    if shutil.which("Xvfb") is None:
        if os.environ.get("CI"):
            pytest.fail("Xvfb is not installed")
        pytest.skip("Xvfb is not installed")
    first = 300 + os.getpid() % 600
    fake(tmp_path, "pgrep", "#!/bin/sh\nexit 1\n")  # whatever Ray runs on this machine, for others
    later = tmp_path / "later"  # until it is there, no time passes for who waits for Ray
    fake(tmp_path, "sleep", f"#!/bin/sh\nuntil [ -e '{later}' ]; do /bin/sleep 0.05; done\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SKYGARDEN_FIRST_DISPLAY": str(first)}
    locks = [Path(f"/tmp/.X{first + game}-lock") for game in range(2)]
    sockets = [Path(f"/tmp/.X11-unix/X{first + game}") for game in range(2)]
    try:
        assert sh("displays.sh", "start", "2", env=env).returncode == 0
        assert wait_until(lambda: all(file.exists() for file in [*locks, *sockets]))
        owners = [lock.read_text(encoding="ascii") for lock in locks]
        assert sh("displays.sh", "start", "2", env=env).returncode == 0
        assert [lock.read_text(encoding="ascii") for lock in locks] == owners
    finally:
        later.touch()
    assert wait_until(lambda: not any(lock.exists() for lock in locks))


def wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()
