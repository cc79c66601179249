"""Certificates for a cluster: one authority that stays here, and a folder for each machine, to be copied as it is.

    DIR/authority/     its key makes learners and workers: it is copied nowhere
    DIR/learner/       to the learner
    DIR/workers/NAME/  to the worker of that name

A folder that is there is renewed: the same key, a new certificate. Everything asked for is looked at before anything is
written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from envs.errors import OptionError, TrustError
from rollout.identity.certificates import DAYS, Authority, check_days, host_name
from rollout.identity.papers import AUTHORITY, KEY, Clock, Papers, read_pem, utc_now, worker_name

LOCAL: Final = ("localhost", "127.0.0.1", "::1")  # hosts that every learner has, for workers beside it

_Issue = Callable[[bytes | None], Papers]  # papers for a key, or for a new one


@dataclass(frozen=True, kw_only=True)
class CertsConfig:
    """For whom."""

    learner: tuple[str, ...] = ()  # host names and IP addresses that workers reach the learner by; none: as it is
    workers: tuple[str, ...] = ()  # names
    days: float = DAYS  # that the certificates are valid for


def certs(folder: Path, config: CertsConfig, clock: Clock = utc_now) -> str:
    """Make the authority where there is none, and papers for the learner and the workers; returns what to do with them.

    Raises: OptionError: nobody is named, or by what is no host or name. TrustError: what is there does not fit.
    """
    _check(folder, config)
    home = folder / "authority"
    made = not home.exists()
    authority = Authority.make(home, clock) if made else Authority.load(home, clock)
    ends = min(clock() + timedelta(days=config.days), authority.certificate.not_valid_after_utc).strftime("%Y-%m-%d")
    stays = "stays here: whoever has its key can make learners and workers"
    lines = [f"authority {home}, {'made' if made else 'kept'}, {stays}"]
    if config.learner:
        hosts = tuple(dict.fromkeys((*config.learner, *LOCAL)))
        done = _write(folder / "learner", authority, lambda key: authority.issue_learner(hosts, config.days, key))
        lines.append(f"learner {folder / 'learner'}, {done} until {ends}: copy it to the learner's machine")
        lines.append(f"  workers reach it by {', '.join(hosts)}")
        lines.append("  there: skygarden online (or align) --listen HOST:PORT --certificates FOLDER")
    for name in dict.fromkeys(config.workers):
        place = folder / "workers" / name
        done = _write(place, authority, lambda key, name=name: authority.issue_worker(name, config.days, key))
        lines.append(f"worker {name} {place}, {done} until {ends}: copy it to that worker's machine")
    if config.workers:
        lines.append("  there: skygarden worker --learner HOST:PORT --certificate FOLDER")
    lines.append("Private keys are in these folders: copy them by ssh (scp -rp) or the like, each to its machine only.")
    return "\n".join(lines)


def _check(folder: Path, config: CertsConfig) -> None:
    if not config.learner and not config.workers:
        raise OptionError("nobody to certify: give --learner HOST, --workers NAME, or both")
    check_days(config.days)
    for host in config.learner:
        host_name(host)
    workers = folder / "workers"
    there = [path.name for path in workers.iterdir()] if workers.exists() else []
    spelt: dict[str, str] = {}
    for name in (*there, *map(worker_name, config.workers)):
        if spelt.setdefault(name.casefold(), name) != name:
            raise OptionError(f"workers {spelt[name.casefold()]} and {name} would share a folder on some systems")
    learner = folder / "learner"
    if not learner.exists() and not there and not config.learner:
        raise OptionError("the first time the learner is needed as well: --learner HOST, by which workers reach it")
    if not (folder / "authority").exists() and (learner.exists() or there):
        raise TrustError(
            f"{folder} has certificates, but not the authority that signed them: bring {folder / 'authority'} back, or "
            f"begin anew in another folder and copy all of that one"
        )


def _write(place: Path, authority: Authority, issue: _Issue) -> str:
    """Write papers; returns whether they are new. A key that is there is gone on with."""
    if (place / AUTHORITY).exists() and read_pem(place / AUTHORITY) != authority.pem:
        raise TrustError(f"{place} is of another authority; move it away, or take the folder of that authority")
    key = read_pem(place / KEY) if (place / KEY).exists() else None
    issue(key).write(place)
    return "made" if key is None else "renewed"
