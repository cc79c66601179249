"""Every error that Skygarden raises on purpose, in one tree.

A message says what was needed, what came, and what to do about it.
"""


class SkygardenError(Exception):
    """The root: catch this to catch all of them."""


class ActionError(SkygardenError, ValueError):
    """An action has the wrong shape, type or bucket index."""


class OptionError(SkygardenError, ValueError):
    """A setting, reset option or argument is unknown or out of range."""


class StepError(SkygardenError, RuntimeError):
    """A call came at the wrong time: a step before a reset, or anything after close."""


class ReplayError(SkygardenError, ValueError):
    """A replay file cannot be read: damaged, cut short, or of another version."""


class MissingPackageError(SkygardenError, ImportError):
    """An optional package is needed and is not installed."""


class CheckpointError(SkygardenError, ValueError):
    """A checkpoint cannot be written or read: damaged, incomplete, of another version, size or run."""


class DataError(SkygardenError, ValueError):
    """Training data is missing, too little, or not what the settings ask for."""


class DivergedError(SkygardenError, ArithmeticError):
    """A loss or gradient is not a finite number; training stopped before it changed the weights."""


class DeliveryError(SkygardenError, ConnectionError):
    """Episodes do not come, or a learner cannot be reached: a worker or the connection is gone."""


class TrustError(SkygardenError, PermissionError):
    """A learner or worker is not who it has to be: a certificate or token is missing, over, another's or unknown."""


class PadLostError(SkygardenError, ConnectionError):
    """The virtual pad cannot be opened, or the process that owns it is dead or hangs."""


class WindowLostError(SkygardenError, RuntimeError):
    """The game's window cannot be found or followed: none, several, no screen, or one that tells no positions."""


class CaptureError(SkygardenError, RuntimeError):
    """The screen cannot be read: a region of no size or off the screen, or a grab that failed."""


class AnswerError(SkygardenError, ValueError):
    """An answer about trajectories does not fit its question: `reason` is "missing", "conflict" or "malformed"."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProfileError(SkygardenError, ValueError):
    """A game's profile is missing, damaged, or asks for what there is not."""


class ResetError(SkygardenError, RuntimeError):
    """A game did not come to where an episode begins."""


class DetectorError(SkygardenError, ValueError):
    """A jump-pad detector cannot be read, or was shown something that is no frame."""


class DeployError(SkygardenError, ValueError):
    """A file that describes a cluster is missing, or is not one."""
