"""Ray's cluster launcher on deploy/local.yaml: two hosts with SSH come up, play, and go down without a trace."""

import json
import secrets
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.hosts import ROOT, Site, site

pytest.importorskip("ray")

UP: Final = "RAY_UP_enable_autoscaler_v2=0 RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0"
PATIENCE: Final = 240.0  # seconds, which nothing here takes
UPDATES: Final = 10
ALIGN: Final = f"align --to left --preset smoke --updates {UPDATES} --cluster auto --games 1 --out ~/run"


def cluster_file(place: Site) -> Path:
    """deploy/local.yaml with these hosts' addresses, user and key."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "local.yaml").read_text(encoding="utf-8"))
    workers = [address for name, address in place.addresses.items() if name not in {"desk", "head"}]
    config["provider"] |= {"head_ip": place.addresses["head"], "worker_ips": workers}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(place.key)}
    config |= {"min_workers": len(workers), "max_workers": len(workers)}
    path = place.folder / "local.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def until_nothing_runs(place: Site, host: str) -> None:
    """Wait for all on a host to end that is not the host's own."""
    deadline = time.monotonic() + PATIENCE
    while left := place.processes(host):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hosts_come_up_play_and_go_down_without_a_process_left(tmp_path: Path) -> None:
    with site(tmp_path, "head", "render") as place:
        token = place.home / ".ray" / "auth_token"
        token.parent.mkdir()
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        file = cluster_file(place)
        up = place.at_desk(f"{UP} ray up -y --no-config-cache {file}", PATIENCE)
        assert up.returncode == 0, up.stdout + up.stderr
        aligned = place.on("head", f"cd ~ && skygarden/venv/bin/python -m skygarden {ALIGN}", 2 * PATIENCE)
        assert aligned.returncode == 0, aligned.stdout + aligned.stderr
        (metrics,) = (place.folder / "head" / "home" / "run").rglob("metrics.jsonl")
        assert [json.loads(line)["update"] for line in metrics.read_text().splitlines()] == [*range(1, UPDATES + 1)]
        (record,) = (place.folder / "render" / "home").rglob("worker-0/worker.log")
        assert "episodes played" in record.read_text()
        down = place.at_desk(f"{UP} ray down -y {file}", PATIENCE)
        assert down.returncode == 0, down.stdout + down.stderr
        until_nothing_runs(place, "head")
        until_nothing_runs(place, "render")
