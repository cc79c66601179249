"""Ray's own checks: unknown keys, wrong types, less than least. They are not part of what Ray promises to keep."""

import contextlib
import copy
import importlib
import io
import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from skygarden.deploy.findings import RAY, REQUIREMENT, Finding, Launch

_MODULE: Final = "ray.autoscaler._private.util"


def rays_own(launch: Launch) -> Iterator[Finding]:
    """What Ray itself says of a file, before it would ask a provider for anything."""
    try:
        ray: Any = importlib.import_module("ray")
        checks: Any = importlib.import_module(_MODULE)
    except ImportError:
        said = "Ray is not installed here, so its own checks were left out"
        yield Finding("note", (), said, f"pip install '{REQUIREMENT}', which `ray up` needs as well")
        return
    if ray.__version__ != RAY:
        said = f"this machine has Ray {ray.__version__}, and the cluster {RAY}: `ray up` needs the same"
        yield Finding("warning", (), said, f"pip install '{REQUIREMENT}'")
    if not isinstance(launch.document.get("provider"), dict):
        yield Finding("error", ("provider",), "no provider: whose machines?", "as in deploy/cluster.yaml")
        return
    told = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # it logs which defaults it fills in
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            checks.validate_config(checks.prepare_config(copy.deepcopy(launch.document.content)))
    except Exception as error:  # of no common kind: jsonschema's, click's, ValueError, AssertionError, KeyError
        path = tuple(cast("Iterable[str | int]", getattr(error, "absolute_path", ())))
        first = str(getattr(error, "message", "") or error).strip() or told.getvalue().strip() or type(error).__name__
        yield Finding("error", path, f"Ray: {first.splitlines()[0]}", "see Ray's page on cluster YAML configuration")
    finally:
        logging.disable(before)
