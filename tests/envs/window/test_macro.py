"""Laws of the way to the start of an episode, in a game that is a table."""

import pytest

from envs.errors import ResetError
from envs.window.macro import Macro
from envs.window.profile import MacroStep, ResetProfile


class Menu:
    """A game with screens: a press that begins moves on from one to the next, if that button does there.

    `lag` is how long, in seconds, a change takes to be seen; those that came before it are seen before it.
    """

    def __init__(self, screens: dict[str, dict[str, str]], at: str, lag: float = 0.05) -> None:
        self.screens, self.at, self.lag = screens, at, lag
        self.now = 0.0
        self.held: str | None = None
        self.presses: list[tuple[str, float]] = []
        self.holds: list[float] = []
        self._changes = [(at, -lag)]

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def press(self, button: str | None) -> None:
        if button is not None and self.held is None:
            self.presses.append((button, self.now))
            to = self.screens[self.at].get(button)
            if to is not None:
                self.at = to
                self._changes.append((to, self.now))
        elif button is None and self.held is not None:
            self.holds.append(self.now - self.presses[-1][1])
        self.held = button

    def difference(self, look: str) -> float:
        seen = self._see()
        return 0.4 if seen == look else 3.0 + 0.1 * list(self.screens).index(seen)

    def _see(self) -> str:
        return [screen for screen, since in self._changes if self.now - since >= self.lag][-1]


GAME = {
    "play": {"START": "menu"},
    "menu": {"RIGHT": "monk", "A": "play"},
    "monk": {"RIGHT": "ninja"},
    "ninja": {"RIGHT": "menu", "A": "play"},
}
STEPS = (
    MacroStep(until="menu", press="START", every=1.0, timeout=5.0),
    MacroStep(until="ninja", press="RIGHT", every=0.2, timeout=5.0),
    MacroStep(until="play", press="A", every=1.0, timeout=5.0),
)


def run(menu: Menu, steps: tuple[MacroStep, ...] = STEPS, attempts: int = 2) -> None:
    Macro(ResetProfile(steps=steps, attempts=attempts, hold=0.08), menu.time, menu.sleep).run(menu)


def deaf_at_first(presses: int, screen: str, ways: dict[str, str]) -> Menu:
    """A menu at a screen whose ways on it does not know before so many presses."""
    menu = Menu({**GAME, screen: {}}, screen)
    heard = menu.press

    def press(button: str | None) -> None:
        if len(menu.presses) == presses:
            menu.screens[screen] = ways
        heard(button)

    menu.press = press
    return menu


def test_each_step_presses_until_the_window_looks_as_it_should():
    menu = Menu(GAME, "play")
    run(menu)
    assert menu.at == "play"
    assert [button for button, _ in menu.presses] == ["START", "RIGHT", "RIGHT", "A"]
    assert menu.held is None


def test_nothing_is_pressed_where_the_window_looks_as_it_should_already():
    menu = Menu(GAME, "menu")
    run(menu, STEPS[:1])
    assert menu.presses == []


def test_a_press_is_held_for_its_time_and_the_next_waits_for_its_turn():
    menu = Menu(GAME, "menu", lag=0.0)
    run(menu, (MacroStep(until="ninja", press="RIGHT", every=0.2, timeout=5.0),))
    (_, first), (_, second) = menu.presses
    assert second - first == pytest.approx(0.2, abs=0.034)
    assert menu.holds[0] == pytest.approx(0.08, abs=0.034)


def test_a_press_that_the_game_did_not_hear_is_tried_again():
    menu = deaf_at_first(2, "play", {"START": "menu"})
    run(menu, STEPS[:1])
    assert [button for button, _ in menu.presses] == ["START"] * 3


def test_where_presses_are_seen_late_each_waits_for_the_one_before_and_none_goes_too_far():
    hasty = (MacroStep(until="ninja", press="RIGHT", every=0.2, timeout=5.0),)
    menu = Menu(GAME, "menu", lag=0.5)
    run(menu, hasty)
    assert menu.at != "ninja"  # when it was seen, more presses were under way
    patient = (MacroStep(until="ninja", press="RIGHT", every=0.2, again=2.0, timeout=5.0),)
    menu = Menu(GAME, "menu", lag=0.5)
    run(menu, patient)
    assert (menu.at, len(menu.presses)) == ("ninja", 2)
    assert menu.now < 1.2  # as soon as it is seen, and no later


def test_a_press_that_is_waited_for_is_made_again_when_it_must_have_been_lost():
    menu = deaf_at_first(1, "menu", {"RIGHT": "monk"})
    run(menu, (MacroStep(until="monk", press="RIGHT", every=0.2, again=1.5, timeout=5.0),))
    (_, first), (_, second) = menu.presses
    assert second - first == pytest.approx(1.5, abs=0.034)


def test_a_step_without_a_button_only_waits():
    menu = Menu(GAME, "play")
    with pytest.raises(ResetError):
        run(menu, (MacroStep(until="menu", timeout=1.0),), attempts=1)
    assert menu.presses == []


def test_a_step_that_takes_too_long_begins_the_macro_anew_and_at_last_gives_up_saying_what_it_saw():
    menu = Menu({**GAME, "ninja": {}, "monk": {}}, "play")
    with pytest.raises(ResetError) as refused:
        run(menu, attempts=2)
    assert "in 2 attempts: step 2 waited 5 s for 'ninja', which was 3.1 times its tolerance away" in str(refused.value)
    assert "step 1 waited 5 s for 'menu'" in str(refused.value)  # the second attempt, from where the first one stuck
    assert menu.held is None


def test_the_button_is_let_go_when_the_game_is_lost():
    menu = Menu(GAME, "play")

    def lost(look: str) -> float:
        assert look
        if menu.held is not None:
            raise RuntimeError("gone")
        return 2.0

    menu.difference = lost
    with pytest.raises(RuntimeError, match="gone"):
        run(menu)
    assert menu.held is None
