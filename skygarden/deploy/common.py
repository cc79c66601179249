"""What goes wrong with a cluster file whoever has the machines."""

import re
from collections.abc import Iterator
from typing import Final

from skygarden.deploy.document import spelt
from skygarden.deploy.findings import RAY, REQUIREMENT, Finding, Launch

_STARTS: Final = ("head_start_ray_commands", "worker_start_ray_commands")
_SETUPS: Final = ("setup_commands", "head_setup_commands", "worker_setup_commands", "initialization_commands")
_NIGHTLY: Final = re.compile(r"ray-wheels|ray-\d+\.\d+\.\d+\.?dev\d*|nightly", re.IGNORECASE)
_RAY: Final = re.compile(
    r"(?<![\w./-])ray(?:\[(?P<extras>[\w,\s-]*)\])?\s*(?P<pin>[=~<>!]=?[^'\"\s;&|]*|@\s*\S+)?(?=['\"\s;&|]|$)"
)
_INSTALLS: Final = re.compile(r"\b(?:pip3?|uv)\b.*\binstall\b|node-setup\.sh|\bconda install\b")
_SECRET: Final = re.compile(
    r"BEGIN [A-Z ]*PRIVATE KEY|AccountKey="
    r"|\b(?:SKYGARDEN_TOKEN|RAY_AUTH_TOKEN|password|secret)\s*[=:]\s*['\"]?(?![$'\"])\S+",
    re.IGNORECASE,
)
_DASHBOARD: Final = re.compile(r"--dashboard-host[= ]+['\"]?([^\s'\";]+)")
_OPEN_HANDED: Final = {"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"}


def repeated_keys(launch: Launch) -> Iterator[Finding]:
    """A key that stands there twice: the first one does nothing."""
    for where in launch.document.repeated():
        yield Finding(
            "error", where, f"{spelt(where)} stands there twice, and only this one counts", "keep one of them"
        )


def secrets(launch: Launch) -> Iterator[Finding]:
    """A secret in the file is one on every machine, in its history and in whatever repository holds it."""
    for where, command in launch.commands(*_STARTS, *_SETUPS):
        if _SECRET.search(command):
            advice = "put it into a file that only you can read, and copy that with file_mounts"
            yield Finding("error", where, "a secret stands in this command", advice)


def ray_starts(launch: Launch) -> Iterator[Finding]:
    """How Ray starts: authentication, dashboard, where its head and its autoscaler are."""
    for name in _STARTS:
        if not launch.document.has(name):
            said = f"{name} is not there, and Ray's own says nothing of RAY_AUTH_MODE"
            if launch.cloud and name.startswith("head"):
                said += " and opens the dashboard on 0.0.0.0"
            yield Finding("error", (name,), said, "take the commands of deploy/cluster.yaml")
        elif not any("ray start" in command for _, command in launch.commands(name)):
            yield Finding("error", (name,), "no command here starts Ray", "add `ray start`, as in deploy/cluster.yaml")
        elif not any(re.search(r"\bray stop\b", command) for _, command in launch.commands(name)):
            said = "`ray up` a second time fails where Ray runs already"
            yield Finding("warning", (name,), said, "begin with the command `ray stop`")
    for where, command in launch.commands(*_STARTS):
        if "ray start" in command:
            yield from _ray_start(launch, where, command)


def _ray_start(launch: Launch, where: tuple[str | int, ...], command: str) -> Iterator[Finding]:
    mode = re.search(r"\bRAY_AUTH_MODE=['\"]?(\w+)", command)
    if mode is None:
        said = "RAY_AUTH_MODE is not said, so whether Ray wants a token depends on whether a file lies there"
        yield Finding("error", where, said, "begin with `export RAY_AUTH_MODE=token; `")
    elif mode[1] != "token":
        said = f"RAY_AUTH_MODE={mode[1]}: whoever reaches this machine's ports runs programs on it"
        yield Finding("error" if launch.cloud else "warning", where, said, "say RAY_AUTH_MODE=token")
    if "--head" in command:
        host = _DASHBOARD.search(command)
        if host and host[1] not in {"127.0.0.1", "localhost", "::1"}:
            said = f"the dashboard, which can run anything, listens on {host[1]}"
            advice = "say --dashboard-host=127.0.0.1, and look at it through `ray dashboard`"
            yield Finding("error", where, said, advice)
        elif host is None and "--include-dashboard=false" not in command.lower():
            said = "where the dashboard listens is left to Ray, whose defaults have differed"
            yield Finding("warning", where, said, "say --dashboard-host=127.0.0.1")
        if "--autoscaling-config" not in command:
            said = "no worker will start, for the head is not told of the cluster"
            yield Finding("error", where, said, "add --autoscaling-config=~/ray_bootstrap_config.yaml")
    elif "RAY_HEAD_IP" not in command:
        yield Finding("error", where, "this worker does not look for its head", "add --address=$RAY_HEAD_IP:6379")


def ray_version(launch: Launch) -> Iterator[Finding]:
    """Which Ray is installed: the pinned one, the same everywhere."""
    if not launch.document.has("setup_commands"):
        if launch.cloud:
            said = f"setup_commands is not there, and Ray's own for {launch.provider} install a nightly Ray"
            yield Finding("error", ("setup_commands",), said, f"install '{REQUIREMENT}' there")
        return
    pinned = False
    for where, command in launch.commands(*_SETUPS):
        if not _INSTALLS.search(command):
            continue
        if _NIGHTLY.search(command):
            yield Finding("error", where, "this installs a nightly Ray", f"install '{REQUIREMENT}'")
            pinned = True
            continue
        for match in _RAY.finditer(command):
            pinned = True
            if match["pin"] != f"=={RAY}":
                said = f"this installs Ray {match['pin'] or 'of whatever version is the newest'}, not {RAY}"
                yield Finding("error", where, said, f"install '{REQUIREMENT}'")
            elif "default" not in (match["extras"] or ""):
                said = "without its extra `default` Ray starts, and serves no dashboard"
                yield Finding("warning", where, said, f"install '{REQUIREMENT}'")
    if not pinned:
        said = "no command pins Ray's version, which must be the same on all machines"
        yield Finding("error" if launch.cloud else "warning", ("setup_commands",), said, f"install '{REQUIREMENT}'")


def token(launch: Launch) -> Iterator[Finding]:
    """Ray's token, which all nodes need where authentication is on."""
    if not any("RAY_AUTH_MODE=token" in command for _, command in launch.commands(*_STARTS)):
        return
    if not any(remote.rstrip("/").endswith("auth_token") for remote in launch.document.table("file_mounts")):
        advice = 'mount "~/.ray/auth_token": "~/.ray/auth_token"'
        yield Finding("error", ("file_mounts",), "RAY_AUTH_MODE=token, and no token is copied to the nodes", advice)


def file_mounts(launch: Launch) -> Iterator[Finding]:
    """What is copied to the nodes must be there."""
    for remote, local in launch.document.table("file_mounts").items():
        where = ("file_mounts", remote)
        if not isinstance(local, str):
            yield Finding("error", where, f"a path of this machine is wanted, got {local!r}", "write one")
        elif local.rstrip("/").endswith(".ssh") or launch.local(local).name in _OPEN_HANDED:
            said = f"{local} is copied to every node, with the keys to whatever you can log in to"
            yield Finding("error", where, said, "leave it out: Ray copies the cluster's own key to the head")
        elif not launch.local(local).exists():
            if launch.local(local).name == "auth_token":
                yield Finding(launch.by_now, where, f"{local} is not here yet", "`ray get-auth-token --generate`")
            else:
                said = (
                    f"{local} does not exist in {launch.folder}"
                    if not local.startswith(("~", "/"))
                    else (f"{local} does not exist")
                )
                yield Finding("error", where, said, "mend the path, or type the command in the checkout's top folder")


def keys(launch: Launch) -> Iterator[Finding]:
    """The keys for SSH: there, private where that is wanted, and nobody's own."""
    for name in ("ssh_private_key", "ssh_public_key"):
        said = launch.document.get("auth", name)
        if said is None:
            continue
        where, path = ("auth", name), launch.local(str(said))
        if name == "ssh_private_key" and path.suffix == ".pub":
            yield Finding("error", where, f"{said} is a public key", "name the private one, without .pub")
        elif name == "ssh_public_key" and path.suffix != ".pub":
            yield Finding("error", where, f"{said} may be a private key, and is sent to Azure", "name the .pub file")
        elif name == "ssh_private_key" and path.name in _OPEN_HANDED:
            yield Finding("error", where, f"`ray up` copies {said} to the head", "make a key for this cluster alone")
        elif not path.is_file():
            severity = launch.by_now if path.parent.name == ".ssh" and str(said).startswith("~") else "error"
            advice = f"ssh-keygen -t ed25519 -N '' -f {str(said).removesuffix('.pub')}"
            yield Finding(severity, where, f"there is no key {said} on this machine", advice)
        elif name == "ssh_private_key" and path.stat().st_mode & 0o077:
            yield Finding("error", where, f"others can read {said}, so SSH will refuse it", f"chmod 600 {said}")
    if not launch.document.has("auth", "ssh_user"):
        yield Finding("error", ("auth",), "ssh_user is not there", "say whom to log in as")


def numbers_of_workers(launch: Launch) -> Iterator[Finding]:
    """Least and most numbers of workers, which must fit."""
    most = launch.document.get("max_workers")
    if not isinstance(most, int):
        if launch.cloud:
            yield Finding(
                "warning", ("max_workers",), "how many machines it may grow to is left to Ray", "say how many"
            )
        return
    least = 0
    for name, where in launch.workers():
        own_least = launch.document.get(*where, "min_workers") or 0
        own_most = launch.document.get(*where, "max_workers")
        least += own_least
        if own_most is not None and own_least > own_most:
            said = f"at least {own_least} and at most {own_most} nodes of {name}"
            yield Finding("error", (*where, "min_workers"), said, "make the first number the smaller one")
        if own_most is not None and own_most > most:
            said = f"{own_most} nodes of {name}, and {most} of all types"
            yield Finding("warning", (*where, "max_workers"), said, "raise max_workers, or lower this")
    if least > most:
        said = f"max_workers is {most}, and the types want at least {least} in all"
        yield Finding("error", ("max_workers",), said, "raise it, or lower a min_workers")
    if launch.cloud and least:
        said = f"{least} render nodes are paid for as long as the cluster is up"
        yield Finding("note", ("max_workers",), said, "min_workers: 0 starts them only when they are wanted")


def idle_timeout(launch: Launch) -> Iterator[Finding]:
    """Paid machines that wait must go."""
    minutes = launch.document.get("idle_timeout_minutes")
    where = ("idle_timeout_minutes",)
    if not launch.cloud:
        return
    if minutes is None:
        yield Finding("error", where, "nothing says when an idle machine is deleted", "say idle_timeout_minutes: 10")
    elif not isinstance(minutes, int | float) or minutes < 2:
        said = f"after {minutes} minutes a node is gone before its game has started"
        yield Finding("error", where, said, "say idle_timeout_minutes: 10")
    elif minutes > 60:
        said = f"an idle machine is paid for {minutes} minutes"
        yield Finding("warning", where, said, "say idle_timeout_minutes: 10")


COMMON: Final = (
    repeated_keys,
    secrets,
    ray_starts,
    ray_version,
    token,
    file_mounts,
    keys,
    numbers_of_workers,
    idle_timeout,
)
