"""Several machines in one, for what only shows between machines: Linux namespaces, each with an SSH server.

Nothing of them is outside: their processes, networks and mounts end with the process that holds them, however a test
ends. `ray stop` stops every Ray of a machine; within such a host it finds only that host's.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

ROOT: Final = Path(__file__).parents[2]
_SCRIPT: Final = Path(__file__).with_name("site.sh")
_NEEDED: Final = ("unshare", "nsenter", "ip", "ssh", "ssh-keygen", "rsync", "/usr/sbin/sshd")
_NAMESPACES: Final = ("--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
_PATIENCE: Final = 30.0  # seconds for the hosts to come up


@dataclass(frozen=True)
class Site:
    """Machines by name, and the desk, from which one logs in to them."""

    folder: Path
    addresses: dict[str, str]
    process: int

    @property
    def key(self) -> Path:
        """That lets root in everywhere."""
        return self.folder / "key"

    @property
    def home(self) -> Path:
        """Of who sits at the desk."""
        return self.folder / "desk" / "home"

    def at_desk(self, command: str, timeout: float) -> "subprocess.CompletedProcess[str]":
        """Run a shell's command at the desk."""
        enter = ["nsenter", "--target", str(self.process), "--all", f"--wd={ROOT}", "bash", "-c", command]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "HOME": _home()}
        return subprocess.run(enter, env=environment, capture_output=True, text=True, timeout=timeout, check=False)

    def on(self, host: str, command: str, timeout: float) -> "subprocess.CompletedProcess[str]":
        """Run a command on a host, in a login shell over SSH."""
        (self.folder / "command").write_text(command)
        options = "-q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        login = f"ssh {options} -i {self.key} root@{self.addresses[host]} bash --login -s < {self.folder}/command"
        return self.at_desk(login, timeout)

    def processes(self, host: str) -> list[str]:
        """The command lines of all that runs on a host, but for its first process and who is logged in."""
        (first,) = (p for p in self._descendants(psutil.Process(self.process)) if _is_host(p, host))
        running: list[str] = []
        for process in self._descendants(first):
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                name = process.name()
                if name not in ("sshd", "sleep"):
                    running.append(" ".join(process.cmdline()) or name)
        return running

    @staticmethod
    def _descendants(process: psutil.Process) -> list[psutil.Process]:
        return process.children(recursive=True)


@contextmanager
def site(folder: Path, *names: str) -> Generator[Site]:
    """A site with hosts of these names; skips the test where this machine cannot have one, but in CI."""
    missing = _missing()
    if missing:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(f"hosts in namespaces need {missing} (Debian: openssh-server iproute2 rsync util-linux)")
        pytest.skip(f"hosts in namespaces need {missing}")
    addresses = {name: f"10.77.0.{number}" for number, name in enumerate(("desk", *names), 1)}
    _furnish(folder, addresses)
    command = ["unshare", *_NAMESPACES, "bash", str(_SCRIPT), "site", str(folder)]
    with (folder / "site.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as holder:
        try:
            deadline = time.monotonic() + _PATIENCE
            while not (folder / "ready").exists():
                if holder.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the hosts do not come up: {(folder / 'site.log').read_text()}")
                time.sleep(0.05)
            (first,) = psutil.Process(holder.pid).children()
            yield Site(folder, addresses, first.pid)
        finally:
            holder.kill()  # and with it everything within


def _missing() -> str:
    """What a site needs and is not here; empty where nothing is."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "root on Linux"
    if lacking := [tool for tool in _NEEDED if shutil.which(tool) is None]:
        return ", ".join(lacking)
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "ip", "link", "add", "site", "type", "bridge"], capture_output=True, check=False
    )
    return "leave to make namespaces and networks" if tried.returncode else ""


def _furnish(folder: Path, addresses: dict[str, str]) -> None:
    """Write what the hosts read: who is there, what they keep, keys, and what their login shells say."""
    _make_key(folder / "key")
    kept = dict.fromkeys([str(folder), str(ROOT), sys.prefix, sys.base_prefix])
    (folder / "keep").write_text("".join(f"{path}\n" for path in kept))
    (folder / "hosts").write_text("".join(f"{name} {address}\n" for name, address in addresses.items()))
    for name, address in addresses.items():
        for part in ("home", "tmp"):
            (folder / name / part).mkdir(parents=True)
        (folder / name / "home" / "skygarden").mkdir()
        (folder / name / "home" / "skygarden" / "venv").symlink_to(sys.prefix)
        (folder / name / "home" / ".bashrc").write_text("export PYTHONPATH=~/skygarden/source\n")
        (folder / name / "home" / ".profile").write_text("export PYTHONPATH=~/skygarden/source\n")
        _make_key(folder / name / "hostkey")
        (folder / name / "sshd_config").write_text(
            f"ListenAddress {address}\nHostKey {folder / name / 'hostkey'}\nAuthorizedKeysFile {folder / 'key.pub'}\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
        )


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _home() -> str:
    import pwd

    return pwd.getpwuid(0).pw_dir


def _is_host(process: psutil.Process, host: str) -> bool:
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:  # or a zombie: it has ended meanwhile
        return False
    return command[:1] == ["bash"] and command[2:3] == ["host"] and command[-1] == host
