"""How kernels are compiled: once for this processor, kept on disk, loaded in a moment after that.

Numba keys its cache on one source file, so it would serve a stale kernel after an edit to a function that the kernel
calls in another file. Ours lies in a folder named after a hash of all that a kernel may call, the sources on top of
`envs` and those beside its own: an edit compiles anew, and two versions never meet. Nothing need be writable where the
package is installed; without a writable home the cache lasts as long as the process.

Kernels neither make arrays nor return them, so numba need not count who holds one: counting took nine tenths of the
time of the physics, which looks at many small arrays for a moment each.
"""

import atexit
import hashlib
import inspect
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

import numba
import numpy as np
import platformdirs
from numba.core import config

log = logging.getLogger("skygarden")

P = ParamSpec("P")
R = TypeVar("R")

# What a kernel's scalars are: of Python, where it counts, and of numpy, where the width matters. Annotations do not
# reach numba, which compiles for the types that come.
Whole: TypeAlias = int | np.integer[Any]
Real: TypeAlias = float | np.floating[Any] | Whole


# `_nrt` is numba's runtime, which counts references to arrays. Without it, one that makes an array does not compile.
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "_nrt": False}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that other kernels call; it becomes part of each of them."""
    return numba.njit(forceinline=True, **_OPTIONS)(function)


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel that Python calls: kept on disk, and announced when it has to be compiled first."""
    folder = _cache_folder(Path(inspect.getfile(function)).parent)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)  # numba reads it while it decorates, and only then
    try:
        compiled = numba.njit(cache=True, **_OPTIONS)(function)
    finally:
        config.CACHE_DIR = before

    first_call = threading.Lock()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not compiled.signatures:
            with first_call:
                if not compiled.signatures and not any(folder.rglob(f"*.{function.__name__}-*.nbi")):
                    log.warning("compiling %s for this processor, once; it takes up to a minute", function.__name__)
                return compiled(*args, **kwargs)
        return compiled(*args, **kwargs)

    return call


@cache
def _cache_folder(beside: Path) -> Path:
    """A writable folder for this version of the kernels that lie in a folder of sources."""
    digest = hashlib.sha256()
    for source in sorted({*Path(__file__).parent.glob("*.py"), *beside.glob("*.py")}):
        digest.update(source.read_bytes())
    folder = Path(platformdirs.user_cache_dir("skygarden")) / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="skygarden-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        log.warning("no writable cache folder; kernels are compiled anew in each process (set XDG_CACHE_HOME)")
    return folder
