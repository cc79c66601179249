"""What goes wrong with a cluster file for machines that one has."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from skygarden.deploy.findings import Finding, Launch

_EXAMPLES: Final = tuple(ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
_VERSION_1: Final = re.compile(r"\bRAY_enable_autoscaler_v2=['\"]?0")
_WORKERS: Final = ("provider", "worker_ips")


def addresses(launch: Launch) -> Iterator[Finding]:
    """The machines: each there once, and none of them an example."""
    head = launch.document.get("provider", "head_ip")
    workers = [str(worker) for worker in launch.document.items(*_WORKERS)]
    if launch.document.has("provider", "coordinator_address"):
        return
    if not head:
        yield Finding("error", ("provider", "head_ip"), "no head_ip: whose machine is the learner's?", "name one")
    if not workers:
        yield Finding("warning", _WORKERS, "no worker_ips, so nobody renders but the head", "name the render machines")
    for index, worker in enumerate(workers):
        if worker == str(head) or worker in workers[:index]:
            yield Finding("error", (*_WORKERS, index), f"{worker} is named twice", "each machine is one of them, once")
    for where, said in [(("provider", "head_ip"), head), *(((*_WORKERS, i), w) for i, w in enumerate(workers))]:
        if said and _is_example(str(said)):
            yield Finding(launch.by_now, where, f"{said} is an example, and nobody's address", "write your machine's")
        elif said and workers and _is_own(str(said)):
            yield Finding("error", where, f"{said} is another machine to each of them", "write one that all can reach")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None  # a name


def _is_example(text: str) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in _EXAMPLES)


def _is_own(text: str) -> bool:
    address = _address(text)
    return text == "localhost" or (address is not None and (address.is_loopback or address.is_unspecified))


def last_worker(launch: Launch) -> Iterator[Finding]:
    """Version 2 of the autoscaler, Ray's default, leaves the last machine of a local cluster out."""
    workers = len(launch.document.items(*_WORKERS))
    wanted = launch.document.get("min_workers")
    spare = isinstance(wanted, int) and wanted < workers
    first = any(_VERSION_1.search(command) for _, command in launch.commands("head_start_ray_commands"))
    if workers and not spare and not first:
        said = "version 2 of Ray's autoscaler never starts the last of a local cluster's workers"
        advice = "export RAY_enable_autoscaler_v2=0 before `ray start --head`, or name a spare address"
        yield Finding("error", _WORKERS, said, advice)
    if isinstance(wanted, int) and wanted > workers:
        said = f"min_workers is {wanted}, and there are {workers} worker_ips"
        yield Finding("error", ("min_workers",), said, "name as many machines")


def render(launch: Launch) -> Iterator[Finding]:
    """Somebody must play; a local file has no node types, so `ray start` has to say it."""
    starts = list(launch.commands("worker_start_ray_commands"))
    if starts and not any("render" in command and "--resources" in command for _, command in starts):
        said = "no node has the resource render, so no game is ever placed"
        advice = "add --resources='{\"render\": 1}' to `ray start`: how many games a machine takes"
        yield Finding("error", ("worker_start_ray_commands",), said, advice)
    if launch.document.has("available_node_types"):
        said = "Ray refuses node types where the provider is local"
        yield Finding("error", ("available_node_types",), said, "leave them out; see deploy/local.yaml")


LOCAL: Final = (addresses, last_worker, render)
