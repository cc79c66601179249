"""What goes wrong with a cluster file for Azure, whose settings Ray hands on unread."""

from collections.abc import Iterator
from typing import Final

from skygarden.deploy.document import Where
from skygarden.deploy.findings import Finding, Launch
from skygarden.deploy.sizes import REGIONS, REPLACEMENT, SIZES, has_gpu, is_a_size, nearest, retired

# fmt: off
_PROVIDER: Final = frozenset((  # that Ray 2.60 reads
    "type", "location", "resource_group", "subscription_id", "tags", "unique_id", "subnet_mask",
    "availability_zone", "msi_name", "msi_resource_group", "use_internal_ips", "use_external_head_ip",
    "cache_stopped_nodes", "disable_node_updaters", "disable_launch_config_check",
))
_MACHINE: Final = frozenset((  # parameters of Ray's azure-vm-template.json that are not Ray's own to set
    "vmSize", "imagePublisher", "imageOffer", "imageSku", "imageVersion", "imageId", "osDiskSize", "priority",
    "evictionPolicy", "billingProfile", "enableAcceleratedNetworking", "availability_zone",
))
# fmt: on
_SDK: Final = "azure-mgmt-compute"
_OF: Final = ("node_config", "azure_arm_parameters")


def place(launch: Launch) -> Iterator[Finding]:
    """Where the machines are to be."""
    group = ("provider", "resource_group")
    if not launch.document.get(*group):
        yield Finding("error", group, "no resource group, without which `ray up` stops half-way", "name one")
    location = launch.document.get("provider", "location")
    where = ("provider", "location")
    if not location:
        yield Finding(
            "error", where, "no location, without which `ray up` stops half-way", "as in location: westeurope"
        )
    elif str(location) not in REGIONS:
        meant = nearest(str(location).replace(" ", ""), REGIONS)
        said = f"{location} is no region of Azure that is known here"
        advice = f"is it {meant}?" if meant else "`az account list-locations --output table` has them all"
        yield Finding("error" if meant else "warning", where, said, advice)


def unknown_settings(launch: Launch) -> Iterator[Finding]:
    """Names that Ray does not know, and says nothing about."""
    for name in launch.document.table("provider"):
        if name not in _PROVIDER:
            yield Finding("error", ("provider", name), f"Ray reads no provider.{name}", _meant(name, _PROVIDER))
    for _, where in _types(launch):
        for name in launch.document.table(*where, *_OF):
            if name not in _MACHINE:
                said = f"Ray's template for a machine has no parameter {name}, so Azure will refuse it"
                yield Finding("error", (*where, *_OF, name), said, _meant(name, _MACHINE))


def _meant(name: str, known: frozenset[str]) -> str:
    meant = nearest(name, known)
    return f"is it {meant}?" if meant else "leave it out"


def _types(launch: Launch) -> Iterator[tuple[str, Where]]:
    for name in launch.document.table("available_node_types"):
        yield name, ("available_node_types", name)


def machines(launch: Launch) -> Iterator[Finding]:
    """Sizes of machines, and what is said of them."""
    for name, where in _types(launch):
        size = launch.document.get(*where, *_OF, "vmSize")
        if not size:
            said = f"no vmSize for {name}, without which `ray up` stops half-way"
            yield Finding("error", (*where, *_OF, "vmSize"), said, "as in vmSize: Standard_NV72ads_A10_v5")
            continue
        yield from _size(str(size), (*where, *_OF, "vmSize"))
        yield from _resources(launch, name, where, str(size))
        image = launch.document.table(*where, *_OF)
        if not image.get("imageId") and not all(
            image.get(f"image{p}") for p in ("Publisher", "Offer", "Sku", "Version")
        ):
            advice = "imagePublisher, imageOffer, imageSku and imageVersion, or imageId"
            yield Finding("error", (*where, *_OF), f"{name} says no image to start from", advice)


def _size(size: str, where: Where) -> Iterator[Finding]:
    if size in SIZES:
        return
    why = retired(size)
    meant = nearest(size, SIZES)
    if why:
        yield Finding("error", where, f"{size} is to be had no more: {why}", REPLACEMENT)
    elif has_gpu(size) or not is_a_size(size):
        said = f"{size} is no size that is known here"
        advice = f"is it {meant}?" if meant else "`az vm list-skus --location … --output table` has them all"
        yield Finding("error", where, said, advice)
    else:
        said = f"{size} is not in the table here, so what it has was not checked"
        yield Finding("warning", where, said, "see that it is a size without a GPU that your region has")


def _resources(launch: Launch, name: str, where: Where, size: str) -> Iterator[Finding]:
    """What Ray is told that a machine has, against what it has."""
    told = launch.document.table(*where, "resources")
    known = SIZES.get(size)
    if known is None:
        return
    games = told.get("render", 0)
    if games and not known.graphics:
        said = f"{size} ({known.gpu}) has no licence to draw a game"
        yield Finding("error", (*where, *_OF, "vmSize"), said, REPLACEMENT)
    if known.price == "high":
        said = f"{size} ({known.gpu}) is of the highest price class, and neither the learner nor a game needs it"
        yield Finding("warning", (*where, *_OF, "vmSize"), said, "Standard_NV18ads_A10_v5 is enough for a learner")
    if told.get("CPU", 0) > known.processors:
        said = f"{told['CPU']} processors are promised, and {size} has {known.processors}"
        yield Finding("error", (*where, "resources", "CPU"), said, f"say at most CPU: {known.processors}")
    if told.get("GPU", 0) > known.games:
        said = f"{told['GPU']} GPUs are promised, and {size} has {known.games} ({known.gpu})"
        yield Finding("error", (*where, "resources", "GPU"), said, f"say GPU: {known.games}")
    if games > known.games:
        said = f"{games} games are promised, and {size} has GPUs for {known.games} ({known.gpu})"
        yield Finding("error", (*where, "resources", "render"), said, f"say render: {known.games}, one game a GPU")
    elif 0 < games < known.games:
        said = f"{known.games - games} of {known.games} GPUs of {name} are paid for and play nothing"
        yield Finding("warning", (*where, "resources", "render"), said, f"say render: {known.games}")
    if games and launch.document.get("head_node_type") == name:
        said = "games on the head take its processors from the learner"
        yield Finding("warning", (*where, "resources", "render"), said, "leave render to the other types")


def render(launch: Launch) -> Iterator[Finding]:
    """Somebody must play."""
    players = [where for _, where in launch.workers() if launch.document.get(*where, "resources", "render")]
    if not players:
        workers = [where for _, where in launch.workers()]
        where = (*workers[0], "resources") if workers else ("available_node_types",)
        said = "no node type has the resource render, so no game is ever placed"
        yield Finding("error", where, said, "say render: 2 for a machine with two GPUs, one game a GPU")


def open_to_the_world(launch: Launch) -> Iterator[Finding]:
    """Addresses and ports: Ray's template lets anybody try port 22 of whatever has a public address."""
    get = launch.document.get
    internal = ("provider", "use_internal_ips")
    external = ("provider", "use_external_head_ip")
    if get(*internal) is not True:
        said = "every node gets a public address, with port 22 open to the whole internet by Ray's template"
        yield Finding("error", internal, said, "say use_internal_ips: true and use_external_head_ip: true")
    elif get(*external) is True:
        said = "`ray up` opens port 22 of the head to the whole internet, by key alone"
        yield Finding("note", external, said, "run deploy/close-ssh.sh after it, which lets your address in alone")
    else:
        said = "no node has a public address, so `ray up` reaches the head only from within its network"
        yield Finding("warning", internal, said, "say use_external_head_ip: true, or go through a VPN")


def what_stays(launch: Launch) -> Iterator[Finding]:
    """What goes on costing after `ray down`."""
    if launch.document.get("provider", "cache_stopped_nodes") is not False:
        said = "machines are stopped and not deleted, by Ray's default: their disks and addresses go on costing"
        yield Finding("error", ("provider", "cache_stopped_nodes"), said, "say cache_stopped_nodes: false")


def spot(launch: Launch) -> Iterator[Finding]:
    """Machines that can be taken back."""
    for name, where in _types(launch):
        machine = launch.document.table(*where, *_OF)
        at = (*where, *_OF, "priority")
        priority = machine.get("priority", "Regular")
        if priority not in {"Spot", "Regular"}:
            yield Finding("error", at, f"{priority} is no priority of Azure", "Spot or Regular")
        elif priority == "Spot" and name == launch.document.get("head_node_type"):
            said = "the head can be taken back at any time, and with it the learner"
            yield Finding("error", at, said, "leave Spot to the render nodes")
        elif priority == "Spot" and machine.get("evictionPolicy", "Delete") != "Delete":
            said = "a node that was taken back keeps its disk, which costs, and counts for the quota"
            yield Finding("warning", (*where, *_OF, "evictionPolicy"), said, "say evictionPolicy: Delete")
        elif priority != "Spot" and "billingProfile" in machine:
            yield Finding("error", (*where, *_OF, "billingProfile"), "Azure takes this with Spot alone", "leave it out")


def packages_of_the_head(launch: Launch) -> Iterator[Finding]:
    """What the head asks Azure with for render nodes."""
    if launch.document.has("head_setup_commands") and not any(
        _SDK in command for _, command in launch.commands("setup_commands", "head_setup_commands")
    ):
        said = f"the head gets no {_SDK}, so it can start no render nodes"
        yield Finding("error", ("head_setup_commands",), said, "take the command of deploy/cluster.yaml")


AZURE: Final = (
    place,
    unknown_settings,
    machines,
    render,
    open_to_the_world,
    what_stays,
    spot,
    packages_of_the_head,
)
