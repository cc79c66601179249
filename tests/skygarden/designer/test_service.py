"""Laws of the service: who may ask, what is refused and how, and that it does what it says it does."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from rollout.preferences import read_preferences
from skygarden.designer.service import LARGEST, STATIC
from tests.skygarden.designer.conftest import DIGEST, Seat, SeatMaker

Client = httpx2.Client
PUT = "PUT"
TOKEN = {"Authorization": "Bearer not-a-secret"}


@pytest.fixture
def running(seat: SeatMaker) -> Seat:
    """A service that asks about pairs of twenty."""
    return seat()


@pytest.fixture
def connect(running: Seat) -> Iterator[Callable[..., Client]]:
    """Connects to it, with the token if none is named."""
    address = urlsplit(running.address)
    with ExitStack() as stack:

        def make(token: str | None = parse_qs(address.query)["token"][0]) -> Client:
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            base = f"http://{address.netloc}"
            return stack.enter_context(Client(base_url=base, headers=headers, timeout=200))

        yield make


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


def answer(client: Client, number: int, points: Any, labeller: str = "designer", seconds: Any = 1.5) -> Any:
    body = {"labeller": labeller, "points": points, "seconds": seconds}
    return client.put(f"/api/questions/{number}/answer", json=body)


def send(client: Client, body: bytes | str, **headers: str) -> Any:
    kind = {"content-type": "application/json"}
    return client.put("/api/questions/1/answer", content=body, headers=kind | headers)


def exchange(running: Seat, request: bytes) -> bytes:
    """Send bytes as they are; what comes back until the service closes the connection."""
    address = urlsplit(running.address)
    with socket.create_connection((address.hostname, address.port), timeout=200) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_every_address_but_the_pages_parts_needs_the_token(connect: Callable[..., Client]) -> None:
    asks = [
        ("GET", "/api/session"),
        ("GET", "/api/progress?labeller=designer"),
        ("GET", "/api/videos/0"),
        ("GET", "/api/preferences"),
        (PUT, "/api/questions/1/answer"),
        ("DELETE", "/api/questions/1/answer?labeller=designer"),
    ]
    for token in (None, "not-a-secre", "not-a-secret2", "not a secret"):
        stranger = connect(None)
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        for method, path in asks:
            body = {"labeller": "designer", "points": [1, 2], "seconds": 1.0} if method == PUT else None
            refused = stranger.request(method, path, headers=headers, json=body)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json() == {"detail": "open the address that the terminal shows: this one has no valid token"}
        refused = stranger.get("/", headers=headers)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "text/plain; charset=utf-8")
        assert "open the address that the terminal shows" in refused.text
    assert stranger.get("/app.js").status_code == 200
    assert connect().get("/api/session").json()["progress"]["answered"] == 0


def test_a_link_carries_the_token_in_its_address(connect: Callable[..., Client], running: Seat) -> None:
    stranger = connect(None)
    token = urlsplit(running.address).query
    assert stranger.get(f"/?{token}").status_code == 200
    assert stranger.get(f"/api/videos/0?{token}").status_code == 200
    assert stranger.get("/api/videos/0?token=foreign").status_code == 401
    foreign = {"authorization": "Bearer foreign"}  # is not forgiven for a link's sake
    assert stranger.get(f"/api/session?{token}", headers=foreign).status_code == 401


def test_an_answer_brings_the_next_question_and_is_kept(client: Client, running: Seat) -> None:
    first = client.get("/api/session").json()
    assert (first["labeller"], first["mode"], first["question"]["points"]) == ("designer", "pairs", 2)
    with closing(running.store) as store:
        assert first["store"] == store.identity
    then = answer(client, first["question"]["id"], [2, 1], seconds=3).json()  # a whole number of seconds too
    assert then["question"] == first["next"]
    assert (then["progress"]["answered"], then["progress"]["seconds"]) == (1, 3.0)
    assert running.given() == [(2, 1)]
    assert client.get("/api/progress?labeller=designer").json() == then["progress"]


def test_an_answer_twice_is_one_and_another_a_conflict(client: Client, running: Seat) -> None:
    for points in ([2, 1], [2, 1]):
        assert answer(client, 1, points).json()["progress"]["answered"] == 1
    for points in ([1, 2], None):
        refused = answer(client, 1, points)
        assert (refused.status_code, refused.json()) == (
            409,
            {"detail": "question 1 is answered already; undo that first"},
        )
    undone = [client.delete("/api/questions/1/answer?labeller=designer").json() for _ in range(2)]
    assert undone[0] == undone[1]
    assert (undone[0]["question"]["id"], undone[0]["question"]["given"]) == (1, [2, 1])
    assert answer(client, 1, [1, 1]).status_code == 200
    assert running.given() == [(1, 1)]


def test_what_is_not_there_or_somebody_elses_is_said(client: Client) -> None:
    for refused, status, said in (
        (answer(client, 99, [1, 2]), 404, "there is no question 99"),
        (client.delete("/api/questions/99/answer?labeller=designer"), 404, "there is no question 99"),
        (answer(client, 1, [1, 2], "anna"), 409, "question 1 was put to designer, not to anna"),
        (client.delete("/api/questions/1/answer?labeller=anna"), 409, "question 1 was put to designer, not to anna"),
        (client.get("/api/videos/20"), 404, "trajectory 20 cannot be shown: there is no trajectory 20; there are 20"),
        (client.get("/api/preferences"), 404, "nothing has been compared yet"),
        (client.get("/api/nothing"), 404, "Not Found"),
    ):
        assert refused.status_code == status
        assert refused.json()["detail"].startswith(said)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"labeller": "designer", "points": [1, 2], "seconds": NaN}', ["body", "seconds"]),
        ('{"labeller": "designer", "points": [1, 2], "seconds": 1e999}', ["body", "seconds"]),
        ('{"labeller": "designer", "points": [1, 2], "seconds": -1}', ["body", "seconds"]),
        ('{"labeller": "designer", "points": [1, 2], "seconds": true}', ["body", "seconds"]),
        ('{"labeller": "designer", "points": [1, 2], "seconds": "1"}', ["body", "seconds"]),
        ('{"labeller": "designer", "points": [1, 2]}', ["body", "seconds"]),
        ('{"labeller": "designer", "seconds": 1}', ["body", "points"]),
        ('{"labeller": "designer", "points": [true, 2], "seconds": 1}', ["body", "points", 0]),
        ('{"labeller": "designer", "points": [1, 2.5], "seconds": 1}', ["body", "points", 1]),
        ('{"labeller": "designer", "points": [1, "2"], "seconds": 1}', ["body", "points", 1]),
        ('{"labeller": "designer", "points": [1], "seconds": 1}', ["body", "points"]),
        ('{"labeller": "designer", "points": [1, 2, 1], "seconds": 1}', ["body", "points"]),
        ('{"labeller": "designer", "points": [0, 1], "seconds": 1}', ["body", "points"]),
        ('{"labeller": "designer", "points": [1, 3], "seconds": 1}', ["body", "points"]),
        (f'{{"labeller": "designer", "points": [1, {"9" * 400}], "seconds": 1}}', ["body", "points"]),
        ('{"labeller": "designer", "points": [1, 2], "seconds": 1, "more": 1}', ["body", "more"]),
        ('{"labeller": "\\ud800", "points": [1, 2], "seconds": 1}', ["body", "labeller"]),
        ('{"labeller": " anna", "points": [1, 2], "seconds": 1}', ["body", "labeller"]),
        ('{"labeller": "", "points": [1, 2], "seconds": 1}', ["body", "labeller"]),
        ("[]", ["body"]),
        ("", ["body"]),
    ],
)
def test_a_malformed_answer_is_refused_with_where_it_is_wrong(
    client: Client, running: Seat, body: str, where: list[str | int]
) -> None:
    refused = send(client, body)
    assert refused.status_code == 422
    assert [error["loc"] for error in refused.json()["detail"]] == [where]
    assert running.given() == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'\xff{"labeller"', {}, 400),
        (b"[" * 8000, {}, 400),
        (b'{"points": [%s]}' % (b"9" * 5000), {}, 400),
        (b"{", {}, 422),
        (b'\xff{"labeller"', {"content-type": "text/plain"}, 422),
        (b'{"labeller": "designer", "points": [1, 2], "seconds": 1}', {"content-type": "text/plain"}, 422),
    ],
)
def test_what_is_no_json_is_refused(
    client: Client, running: Seat, body: bytes, headers: dict[str, str], status: int
) -> None:
    refused = send(client, body, **headers)
    assert refused.status_code == status
    assert refused.json()["detail"]
    assert running.given() == []


def test_a_body_that_is_too_large_is_not_read(client: Client, running: Seat) -> None:
    good = json.dumps({"labeller": "designer", "points": [1, 2], "seconds": 1.0})
    refused = send(client, good + " " * (LARGEST + 1 - len(good)))
    assert (refused.status_code, refused.json()["detail"]) == (413, "a body has at most 16384 bytes, got 16385")
    assert refused.headers["x-content-type-options"] == "nosniff"
    asked = client.request("GET", "/api/session", content=b" " * (LARGEST + 1))
    assert asked.status_code == 413
    assert running.given() == []
    assert send(client, good + " " * (LARGEST - len(good))).status_code == 200


@pytest.mark.parametrize("length", [b"", b"Content-Length: 10\r\n"])
def test_a_body_whose_length_is_not_said_is_not_read(client: Client, running: Seat, length: bytes) -> None:
    good = json.dumps({"labeller": "designer", "points": [1, 2], "seconds": 1.0}).encode()
    token = client.headers["authorization"].encode()
    head = b"PUT /api/questions/1/answer HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nConnection: close\r\n" % token
    chunks = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    reply = exchange(running, head + length + chunks % (len(good), good))
    assert reply.startswith(b"HTTP/1.1 411 ")
    assert b"content-length, and no chunks" in reply
    assert running.given() == []


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"\xb2", b"1e3"])
def test_a_length_that_is_none_is_refused(running: Seat, length: bytes) -> None:
    head = b"PUT /api/questions/1/answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
    assert exchange(running, head + length + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "path",
    [
        "/..%2Fservice.py",
        "/%2e%2e/service.py",
        "/../service.py",
        "/..%5cservice.js",
        "/%2fetc%2fpasswd.js",
        "/a%00.js",
        f"/{'a' * 300}.js",
        "/.js",
        "/index.html",
        "/service.py",
        "/docs",
        "/api/videos/..%2F..%2Fanswers.sqlite",
    ],
)
def test_no_path_leads_out_of_what_is_served(client: Client, running: Seat, path: str) -> None:
    token = client.headers["authorization"].encode()
    request = b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nConnection: close\r\n\r\n"
    reply = exchange(running, request % (path.encode(), token))  # as it is: clients tidy paths
    assert reply.split(b" ")[1] == b"404"
    assert b'"detail":' in reply


@pytest.mark.parametrize("number", ["-1", "1.5", "x", "9" * 30, "9" * 5000, str(2**31)])
def test_numbers_that_cannot_be_are_malformed(client: Client, number: str) -> None:
    assert client.get(f"/api/videos/{number}").status_code == 422
    assert client.delete(f"/api/questions/{number}/answer?labeller=anna").status_code == 422


@pytest.mark.parametrize("name", ["", "a" * 41, " anna", "anna ", "%20", "a%0Ab"])
def test_names_that_cannot_be_are_malformed(client: Client, name: str) -> None:
    assert client.get(f"/api/session?labeller={name}").status_code == 422
    assert client.get(f"/api/progress?labeller={name}").status_code == 422


@pytest.mark.parametrize("name", ["a", "a" * 40, "Anna K", "žofie", "名前", "a'; DROP TABLE answers; --"])
def test_names_of_all_kinds_are_kept(client: Client, running: Seat, name: str) -> None:
    asked = client.get("/api/session", params={"labeller": name}).json()
    assert asked["labeller"] == name
    assert answer(client, asked["question"]["id"], [1, 2], name).json()["labeller"] == name
    assert running.given(name) == [(1, 2)]


def test_a_video_plays_may_be_kept_and_read_in_parts(client: Client, tmp_path: Path) -> None:
    found = client.get("/api/videos/3")
    assert (found.status_code, found.headers["content-type"]) == (200, "video/mp4")
    assert found.headers["cache-control"] == "private, max-age=31536000"
    (tmp_path / "v.mp4").write_bytes(found.content)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (256, 256)
        assert len(list(container.decode(stream))) == 7 + 1  # steps of the fourth episode, and its end
    part = client.get("/api/videos/3", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, found.content[10:20])


def test_the_parts_of_the_page_are_served_as_what_they_are(client: Client) -> None:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    names = [path.name for path in STATIC.iterdir() if path.suffix in kinds]
    assert {"app.js", "style.css", "icon.svg"} <= set(names)
    for name in names:
        found = client.get(f"/{name}")
        assert found.headers["content-type"].split(";")[0] == kinds[Path(name).suffix]
        assert found.content == (STATIC / name).read_bytes()
    assert client.get("/?token=not-a-secret").headers["content-type"].startswith("text/html")


def test_a_browser_is_told_what_it_may_do(client: Client) -> None:
    for path in ("/", "/app.js", "/api/session", "/api/videos/0", "/nothing", "/api/videos/99"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")
        assert "cache-control" in headers
    assert client.get("/app.js").headers["cache-control"] == "no-cache"


def test_comparisons_are_taken_out_as_a_file_that_the_commands_read(client: Client, tmp_path: Path) -> None:
    asked = client.get("/api/session").json()["question"]
    answer(client, asked["id"], [1, 2])
    found = client.get("/api/preferences?token=not-a-secret")
    assert found.headers["content-disposition"] == 'attachment; filename="preferences.parquet"'
    (tmp_path / "preferences.parquet").write_bytes(found.content)
    preferences = read_preferences(tmp_path / "preferences.parquet", DIGEST)
    first, second = (shown["id"] for shown in asked["trajectories"])
    assert (preferences.first.tolist(), preferences.second.tolist()) == ([first], [second])
    assert (preferences.preference.tolist(), preferences.labeller.tolist()) == ([0.0], ["designer"])


def test_two_labellers_at_once_do_not_get_in_each_others_way(connect: Callable[..., Client], running: Seat) -> None:
    clients = {name: connect() for name in ("anna", "bert")}

    def work(name: str) -> list[int]:
        numbers: list[int] = []
        for k in range(10):
            asked = clients[name].get("/api/session", params={"labeller": name}).json()["question"]
            answer(clients[name], asked["id"], [1 + k % 2, 2], name).raise_for_status()
            numbers.append(asked["id"])
        return numbers

    with ThreadPoolExecutor(2) as pool:
        numbers = dict(zip(clients, pool.map(work, clients), strict=True))
    for name in clients:
        assert [question.id for question in running.answered(name)] == numbers[name]
        assert running.given(name) == [(1, 2), (2, 2)] * 5
    progress = clients["anna"].get("/api/progress?labeller=anna").json()
    assert (progress["answered"], progress["comparisons"]) == (10, 10)
    assert progress["everyone"] == {"labellers": 2, "answered": 20, "comparisons": 20}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/session"),
        ("GET", "/api/progress"),
        ("GET", "/api/videos/{trajectory}"),
        ("GET", "/api/preferences"),
        ("PUT", "/api/questions/{number}/answer"),
        ("DELETE", "/api/questions/{number}/answer"),
    ],
)
def test_the_service_does_what_its_schema_says(
    client: Client, running: Seat, method: str, path: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    assert sum(1 for _ in schema.get_all_operations()) == 6  # all of those above
    base = f"http://{urlsplit(running.address).netloc}"
    operation = schema[path][method]

    # A name given twice counts as wrong there; as with most services, the last one is heard.
    excluded = [negative_data_rejection] if path in ("/api/session", "/api/progress") else []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=base, headers=TOKEN, excluded_checks=excluded)

    check()
