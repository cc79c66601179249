"""What the tests of recording share: a screen in memory."""

from tests.envs.window.conftest import xvfb

__all__ = ["xvfb"]
