"""The page, in a real browser, against the real service: what counts is what is in the file of answers."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Route, expect

from tests.skygarden.designer.conftest import ANSWERS, Seat, SeatMaker

Opener = Callable[..., Page]
SAVED = re.compile("Saved")
pytestmark = pytest.mark.slow


def stage(page: Page) -> Locator:
    return page.get_by_test_id("stage")


def enter(page: Page, seat: Seat) -> int:
    """Open the page; its first question."""
    page.goto(seat.address)
    return ready(page)


def ready(page: Page) -> int:
    """The question on the screen, when its videos play and it may be answered."""
    expect(page.locator("#work[data-busy=false] #stage[data-ready=true]")).to_be_visible(timeout=60_000)
    return int(stage(page).get_attribute("data-question") or 0)


def after(page: Page, question: int) -> int:
    """The question after one, when the answer to that is saved."""
    expect(page.locator(f"#stage:not([data-question='{question}'])")).to_have_count(1)
    expect(page.get_by_test_id("saved")).to_have_attribute("data-state", "saved")
    return ready(page)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def drag(page: Page, what: Locator, where: Locator) -> None:
    """As a hand does: in many small moves."""
    start, end = what.bounding_box(), where.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] * 0.7, end["y"] + end["height"] / 2, steps=8)
    page.mouse.up()


def lane(page: Page, points: int) -> Locator:
    return page.locator(f".lane[data-points='{points}']")


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=name)


def test_pairs_are_answered_by_keyboard_alone(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(goal=100), open_page()
    question = enter(page, served)
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "s", "ArrowRight"):
        press(page, key)
        question = after(page, question)
    assert served.given() == [(2, 1), (1, 2), (1, 1), None, (1, 2)]
    assert served.export().preference.tolist() == [1.0, 0.0, 0.5, 0.0]
    expect(page.locator("#answered")).to_have_text("4")
    expect(page.locator("#skipped")).to_have_text("1")
    expect(page.locator("#comparisons")).to_have_text("4 of 100")
    expect(page.get_by_text("The keyboard alone is enough")).to_be_visible()


def test_groups_are_answered_by_keyboard_alone(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3, points=5), open_page()
    question = enter(page, served)
    press(page, "3", "5", "5", "Enter")  # each goes on to the next
    question = after(page, question)
    press(page, "ArrowRight", "1", "2", "4")  # the second's, the third's, the first's
    press(page, "ArrowRight", "Backspace", "Enter")
    expect(page.locator("#ranking-note")).to_have_text("2 of 3 have points")
    expect(page.get_by_test_id("live")).to_have_text(re.compile("One trajectory has no points yet"))
    press(page, "3", "Enter")
    question = after(page, question)
    press(page, "9", "0", "S")  # beyond the scale: no points
    after(page, question)
    assert served.given() == [(3, 5, 5), (4, 3, 2), None]
    told = served.export()
    assert told.preference.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert len(set(told.group.tolist())) == 2


def test_buttons_do_what_keys_do(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    for name in ("Left is better", "Equal", "Right is better", "Skip"):
        page.get_by_role("button", name=name).click()
        question = after(page, question)
    press(page, " ")  # a button that was clicked keeps no key
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert served.given() == [(2, 1), (1, 1), (1, 2), None]


def test_a_button_in_focus_is_pressed_by_its_own_keys(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    button = page.get_by_role("button", name="Equal")
    button.focus()
    for _ in range(2):
        press(page, "Enter")
        question = after(page, question)
        expect(button).to_be_focused()
    assert served.given() == [(1, 1), (1, 1)]


def test_the_better_of_a_pair_is_dragged(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    drag(page, card(page, "Left"), page.locator(".lane"))
    question = after(page, question)
    drag(page, card(page, "Right"), page.locator(".lane"))
    question = after(page, question)
    drag(page, card(page, "Right"), page.get_by_role("heading", name="Progress"))  # not where it counts
    press(page, "ArrowDown")
    after(page, question)
    assert served.given() == [(2, 1), (1, 2), (1, 1)]


def test_cards_of_a_group_are_dragged_to_points(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3, points=5), open_page()
    question = enter(page, served)
    drag(page, card(page, "Trajectory 1"), lane(page, 5))
    drag(page, card(page, "Trajectory 3"), lane(page, 2))
    drag(page, card(page, "Trajectory 2"), lane(page, 2))
    expect(card(page, "Trajectory 2 of 3, 2 of 5 points")).to_be_visible()
    drag(page, page.get_by_role("button", name="Go to trajectory 1"), lane(page, 1))  # from lane to lane
    expect(lane(page, 5).locator(".chip")).to_have_count(0)
    page.get_by_role("button", name="Send answer").click()
    after(page, question)
    assert served.given() == [(1, 2, 2)]


def test_lanes_are_buttons_for_the_card_in_focus(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3, points=4), open_page()
    question = enter(page, served)
    page.get_by_role("button", name="Keep").click()
    for name in ("Give 4 points, best", "Give 1 point, worst", "Give 3 points"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Send answer").click()
    after(page, question)
    assert served.given() == [(4, 1, 3)]


def test_a_finger_drags_as_a_mouse_does(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page(viewport={"width": 380, "height": 800}, has_touch=True)
    question = enter(page, served)
    page.get_by_role("button", name="Keep").tap()
    start, end = card(page, "Right").bounding_box(), page.locator(".lane").bounding_box()
    assert start is not None
    assert end is not None
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in places]})

    touch("touchStart", (start["x"] + 60, start["y"] + 60))
    for step in range(1, 9):
        x, y = (start[axis] + 60 + (end[axis] + 30 - start[axis] - 60) * step / 8 for axis in ("x", "y"))
        touch("touchMove", (x, y))
    touch("touchEnd")
    after(page, question)
    assert served.given() == [(1, 2)]


def test_undo_opens_the_last_question_with_its_answer(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3, points=5), open_page()
    first = enter(page, served)
    press(page, "1", "2", "3", "Enter")
    second = after(page, first)
    press(page, "Control+z")
    expect(stage(page)).to_have_attribute("data-question", str(first))
    ready(page)
    assert served.given() == []
    expect(page.locator("#ranking-note")).to_have_text("3 of 3 have points")
    press(page, "5", "Enter")  # the first card's, the others as before
    assert after(page, first) == second
    assert served.given() == [(5, 2, 3)]
    press(page, "s")
    after(page, second)
    press(page, "u")
    expect(stage(page)).to_have_attribute("data-question", str(second))
    ready(page)
    press(page, "u")
    expect(stage(page)).to_have_attribute("data-question", str(first))
    ready(page)
    press(page, "u")  # nothing is left to undo
    assert ready(page) == first
    assert served.given() == []


def test_an_undone_pair_says_what_was_said_before(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    first = enter(page, served)
    press(page, "ArrowRight")
    after(page, first)
    press(page, "u")
    expect(page.locator("#ranking-note")).to_have_text("Before: right is better")
    ready(page)
    press(page, "ArrowLeft")
    after(page, first)
    assert served.given() == [(2, 1)]
    assert served.export().preference.tolist() == [1.0]


def test_a_reload_keeps_the_question(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = after(page, answered_first(page, served))
    page.reload()
    assert ready(page) == question
    press(page, "ArrowDown")
    after(page, question)
    assert served.given() == [(2, 1), (1, 1)]


def answered_first(page: Page, served: Seat) -> int:
    """Say of the first question that the left is better."""
    question = enter(page, served)
    press(page, "ArrowLeft")
    return question


def test_two_labellers_at_once(seat: SeatMaker, open_page: Opener) -> None:
    served = seat()
    ada, bob = open_page(), open_page()
    questions = []
    for page, name in ((ada, "ada"), (bob, "bob")):
        enter(page, served)
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Use this name").click()
        expect(page.locator("#labeller")).to_have_text(name)
        questions.append(ready(page))
    for ada_says, bob_says in (("ArrowLeft", "ArrowRight"), ("ArrowDown", "s"), ("ArrowRight", "ArrowRight")):
        press(ada, ada_says)
        press(bob, bob_says)
        questions = [after(page, question) for page, question in zip((ada, bob), questions, strict=True)]
    assert served.given("ada") == [(2, 1), (1, 1), (1, 2)]
    assert served.given("bob") == [(1, 2), None, (1, 2)]
    assert served.given() == []
    ada.reload()
    assert ready(ada) == questions[0]  # the name is remembered
    expect(ada.locator("#labeller")).to_have_text("ada")
    expect(ada.locator("#naming")).to_be_hidden()


def test_two_tabs_of_one_labeller_answer_a_question_once(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    other = open_page(beside=page)
    assert enter(other, served) == question
    press(page, "ArrowLeft")
    following = after(page, question)
    press(other, "ArrowRight")
    expect(other.get_by_role("alert")).to_contain_text("answered already")
    assert ready(other) == following
    assert served.given() == [(2, 1)]
    press(other, "ArrowDown")
    after(other, following)
    assert served.given() == [(2, 1), (1, 1)]


def test_an_answer_given_without_a_connection_is_kept_and_sent(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    cut(page)
    press(page, "ArrowLeft")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("Connection lost: your last answer is kept here and will be sent")
    expect(page.get_by_test_id("saved")).to_have_text("Saving…")
    press(page, "ArrowRight", "s", "u")  # no other is taken meanwhile
    assert served.answered() == []
    page.unroute(ANSWERS)
    after(page, question)
    expect(banner).to_be_hidden()
    assert served.given() == [(2, 1)]
    assert kept(page) == 0


def test_an_answer_whose_reply_is_lost_counts_once(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3, points=3), open_page()
    question = enter(page, served)
    lost = []

    def lose(route: Route) -> None:
        lost.append(route.fetch().status)
        route.abort()

    page.route(ANSWERS, lose, times=2)
    press(page, "3", "2", "1", "Enter")
    after(page, question)
    assert lost == [200, 200]
    assert served.given() == [(3, 2, 1)]
    assert served.export().preference.tolist() == [1.0, 1.0, 1.0]
    assert kept(page) == 0


@pytest.mark.parametrize("arrives", [False, True])
def test_a_reload_sends_the_answer_that_is_kept(seat: SeatMaker, open_page: Opener, arrives: bool) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)

    def lose(route: Route) -> None:
        if arrives:
            route.fetch()
        route.abort()

    page.route(ANSWERS, lose)
    press(page, "ArrowRight")
    expect(page.get_by_role("alert")).to_contain_text("kept here")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("kept here")  # the connection is still lost
    page.unroute_all(behavior="wait")
    following = after(page, question)
    assert served.given() == [(1, 2)]
    assert kept(page) == 0
    press(page, "ArrowLeft")
    after(page, following)
    assert served.given() == [(1, 2), (2, 1)]


def test_an_answer_to_other_episodes_is_not_sent_here(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    cut(page)
    press(page, "ArrowLeft")
    expect(page.get_by_role("alert")).to_contain_text("kept here")
    # As if another file of answers had been served at this port, whose question has the same number.
    page.evaluate(
        """() => {
          for (const [key, value] of Object.entries(localStorage)) {
            if (!key.startsWith("skygarden answer")) continue;
            const answer = { ...JSON.parse(value), store: "another" };
            localStorage.removeItem(key);
            localStorage.setItem(`skygarden answer ${JSON.stringify(["another", "designer", answer.question])}`,
              JSON.stringify(answer));
          }
        }"""
    )
    page.reload()
    assert ready(page) == question
    assert served.answered() == []
    page.unroute(ANSWERS)
    press(page, "ArrowRight")
    after(page, question)
    assert served.given() == [(1, 2)]
    assert kept(page) == 1  # it waits for its own


def kept(page: Page) -> int:
    """Answers that the browser keeps."""
    return page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('skygarden answer')).length")


def test_an_undo_whose_reply_is_lost_is_one_undo(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    first = enter(page, served)
    press(page, "ArrowLeft")
    second = after(page, first)
    press(page, "ArrowRight")
    after(page, second)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(ANSWERS, lose, times=1)
    press(page, "u")
    expect(stage(page)).to_have_attribute("data-question", str(second))
    assert served.given() == [(2, 1)]


def test_an_address_that_is_no_longer_valid_loses_no_answer(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    page.route(ANSWERS, lambda route: route.fulfill(status=401, json={"detail": "foreign token"}))
    press(page, "ArrowLeft")
    expect(page.get_by_role("alert")).to_contain_text("no longer valid. Open the one that “skygarden label” printed")
    press(page, "ArrowRight")
    assert served.answered() == []
    page.unroute(ANSWERS)
    page.goto(served.address)
    after(page, question)
    assert served.given() == [(2, 1)]


def test_a_trajectory_that_is_gone_can_be_skipped(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    page.route("**/api/videos/**", lambda route: route.fulfill(status=404, json={"detail": "gone"}), times=1)
    question = enter(page, served)
    expect(page.get_by_text("This trajectory is gone. Skip the question.")).to_be_visible()
    press(page, "ArrowLeft")
    assert ready(page) == question
    press(page, "s")
    after(page, question)
    assert served.given() == [None]


def test_a_video_that_is_lost_on_the_way_is_asked_for_again(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    page.route("**/api/videos/**", lambda route: route.abort(), times=3)
    question = enter(page, served)
    press(page, "ArrowDown")
    after(page, question)
    assert served.given() == [(1, 1)]


def test_the_next_question_does_not_wait_for_the_service(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    expect(page.locator(".waiting .loaded")).to_have_count(2)
    held: list[Route] = []
    page.route(ANSWERS, lambda route: (held.append(route), None)[1], times=1)
    press(page, "ArrowLeft")
    expect(page.locator(f"#stage[data-ready=true]:not([data-question='{question}'])")).to_be_visible()
    expect(page.get_by_test_id("saved")).to_have_text("Saving…")  # and no more, before the service has said so
    press(page, "ArrowRight")  # pressed twice by mistake: no second answer
    assert served.answered() == []
    held[0].continue_()
    after(page, question)
    assert served.given() == [(2, 1)]


def test_videos_start_together_and_again_when_all_have_ended(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=3), open_page(bypass_csp=True)  # or the test's own scripts would not run
    page.add_init_script(
        """
        window.told = [];
        const tell = (event) => {
          const card = event.target.closest?.(".card");
          if (card) window.told.push([event.type, Number(card.dataset.index)]);
        };
        for (const type of ["play", "ended"]) addEventListener(type, tell, { capture: true });
        """
    )
    enter(page, served)
    page.wait_for_function("told.filter(([type]) => type === 'play').length >= 9")
    told: list[list[Any]] = page.evaluate("told")
    for start in (0, 6):
        assert sorted(told[start : start + 3]) == [["play", 0], ["play", 1], ["play", 2]]
    assert sorted(told[3:6]) == [["ended", 0], ["ended", 1], ["ended", 2]]


def test_playback_by_keyboard(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page(bypass_csp=True)
    enter(page, served)
    press(page, " ")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('.deck:not(.waiting) video')].every((video) => video.paused)")
    times = "[...document.querySelectorAll('.deck:not(.waiting) video')].map((video) => video.currentTime)"
    press(page, *[","] * 12)
    page.wait_for_function(f"{times}.every((time) => Math.abs(time - 0.05) < 0.01)")
    press(page, ".", ".", ".", ",")
    page.wait_for_function(f"{times}.every((time) => Math.abs(time - 0.25) < 0.01)")
    press(page, "+", "+")
    expect(page.get_by_label("Speed", exact=True)).to_have_text(re.compile("^4"))
    press(page, "-", "-", "-", "-")
    expect(page.get_by_label("Speed", exact=True)).to_have_text(re.compile("^0.5"))
    press(page, "r")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    press(page, "f")
    page.wait_for_function("document.fullscreenElement?.id === 'work'")
    press(page, "f")
    page.wait_for_function("document.fullscreenElement === null")
    assert served.answered() == []


def test_the_keys_are_listed_and_answer_nothing_meanwhile(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    page.get_by_role("button", name="Keep").click()
    press(page, "?")
    dialog = page.get_by_role("dialog", name="Everything works with the keyboard alone")
    expect(dialog).to_contain_text("left is better")
    press(page, "ArrowLeft", "s")
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Labelling as").click()
    page.get_by_label("Your name").fill("u s ")  # letters of a name are no keys
    press(page, "s", "Control+z", "Escape")
    assert ready(page) == question
    assert served.answered() == []


def test_when_nothing_is_left_the_page_says_so(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=2, episodes=10), open_page()
    question = enter(page, served)
    while page.locator("#empty").is_hidden():
        press(page, "ArrowLeft")
        expect(page.locator(f"#stage:not([data-question='{question}'])")).to_have_count(1)
        expect(page.locator("#work")).to_have_attribute("data-busy", "false")
        question = int(stage(page).get_attribute("data-question") or 0)
        if question:
            ready(page)
    expect(page.get_by_role("heading", name="Nothing is left to ask about")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#empty").get_by_role("link", name="Download preferences").click()
    assert download.value.suggested_filename == "preferences.parquet"
    assert len(served.export()) == len(served.given())
    press(page, "u")
    assert ready(page) > 0


@pytest.mark.parametrize("items", [2, 5])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1600])
def test_it_is_accessible(seat: SeatMaker, open_page: Opener, items: int, scheme: str, width: int) -> None:
    served = seat(items=items, goal=100)
    store = served.store
    for comparisons in (20, 40, 60):
        store.add_accuracy(comparisons, 0.8 * comparisons, comparisons)
    store.close()
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    question = enter(page, served)
    assert violations(page) == []  # with the question of who is there
    press(page, *("ArrowLeft",) if items == 2 else ("5", "4", "3", "2", "1", "Enter"))
    after(page, question)
    if items > 2:
        press(page, "1", "2")
    expect(page.locator("#accuracy")).to_contain_text("80% of held-out comparisons right after 60")
    assert violations(page) == []
    press(page, "?")
    assert violations(page) == []
    press(page, "Escape")
    cut(page)
    press(page, "s")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"


def cut(page: Page) -> None:
    """Have no answer come through from now on, which the browser may take a moment to begin with."""
    page.route(ANSWERS, lambda route: route.abort())
    deadline = time.monotonic() + 30
    while not page.evaluate("fetch('/api/questions/none/line').then(() => false, () => true)"):
        assert time.monotonic() < deadline


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG, level AA."""
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found: dict[str, Any] = Axe().run(page, options={"runOnly": levels}).response
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def test_nine_fit_a_small_screen(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(items=9, points=9), open_page(viewport={"width": 1280, "height": 800})
    enter(page, served)
    boxes = [box for each in page.locator(".deck:not(.waiting) .card").all() if (box := each.bounding_box())]
    boxes += [box for points in range(1, 10) if (box := lane(page, points).bounding_box())]
    assert len(boxes) == 18
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1280 for box in boxes)
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 800 for box in boxes)


def test_time_counts_while_somebody_is_there(seat: SeatMaker, open_page: Opener) -> None:
    served, page = seat(), open_page()
    question = enter(page, served)
    read = page.evaluate(
        """async () => {
          const { Stopwatch } = await import("/clock.js");
          let now = 0;
          const watch = new Stopwatch(() => now);
          const read = [];
          const after = (seconds) => { now += 1000 * seconds; read.push(watch.read()); };
          after(50); after(50); // nobody moves: a minute counts
          watch.move(); after(5);
          watch.show(false); after(5); // hidden
          watch.show(true); after(5);
          watch.reset(); after(5);
          return read;
        }"""
    )
    assert read == [50, 60, 65, 65, 70, 5]
    press(page, "ArrowLeft")
    after(page, question)
    store = served.store
    assert 0 < store.work("designer").seconds < 60
    store.close()


def test_a_sentence_says_whether_more_answers_help(seat: SeatMaker, open_page: Opener) -> None:
    page = open_page()
    enter(page, seat())

    def sentence(*shares: float) -> str:
        trend = [
            {"comparisons": 20 * (k + 1), "share": share, "low": share - 0.1, "high": share + 0.07}
            for k, share in enumerate(shares)
        ]
        return page.evaluate("async (trend) => (await import('/progress.js')).accuracySentence(trend)", trend)

    assert sentence().startswith("Not known yet")
    assert sentence(0.7).endswith("after 20, interval 60 to 77%; too early to say whether it still rises.")
    rising = "84% of held-out comparisons right after 60, interval 74 to 91%; still rising."
    assert sentence(0.7, 0.83, 0.84) == rising
    assert sentence(0.83, 0.7, 0.84).endswith("level: more answers help little.")
