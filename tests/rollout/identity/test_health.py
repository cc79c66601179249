"""Laws of who may ask how a learner is, and that nothing answers that was not asked for."""

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from rollout.identity.health import Health
from rollout.identity.trust import SharedTokens, Token
from tests.rollout.trusting import ANN, PAIR, PATIENCE, TOKENS, Realm, ask, mutual, served


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return Realm(tmp_path_factory.mktemp("realm") / "certs")


def health(channel: grpc.Channel, method: str = "Check", metadata: Any = (), service: str = "") -> Any:
    made: Any = channel.unary_stream if method == "Watch" else channel.unary_unary
    call = made(
        f"/grpc.health.v1.Health/{method}",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return call(health_pb2.HealthCheckRequest(service=service), metadata=metadata, timeout=PATIENCE)


SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_on_loopback_anyone_may_ask_how_a_learner_is_and_workers_may_watch():
    trust, made = SharedTokens(TOKENS), list[Health]()
    with (
        served(trust, lambda server: made.append(Health(server, trust, "Test"))) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert health(channel).status == SERVING
        assert health(channel, service="Test").status == SERVING
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            health(channel, service="Other")
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            next(health(channel, "Watch"))
        seen = health(channel, "Watch", PAIR)
        assert next(seen).status == SERVING
        made[0].serving(False)
        assert next(seen).status == NOT_SERVING
        made[0].serving(True)
        assert next(seen).status == SERVING
        made[0].close()
        assert next(seen).status == NOT_SERVING
        assert health(channel, service="Test").status == NOT_SERVING


def test_who_watches_holds_no_thread():
    trust = SharedTokens(TOKENS)
    with (
        served(trust, lambda server: Health(server, trust)) as port,  # has four threads
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        watchers = [health(channel, "Watch", PAIR) for _ in range(16)]
        assert [next(watcher).status for watcher in watchers] == [SERVING] * 16
        assert ask(Token(ANN), port) == "ann"
        for watcher in watchers:
            watcher.cancel()


@pytest.mark.parametrize("opened", [False, True])
def test_over_tls_who_has_no_token_is_told_only_if_that_was_said(realm: Realm, opened: bool):
    trust = SharedTokens(TOKENS, realm.learner(), open_health=opened)
    shown = grpc.ssl_channel_credentials(realm.authority.pem)
    with (
        served(trust, lambda server: Health(server, trust)) as port,
        grpc.secure_channel(f"127.0.0.1:{port}", shown) as channel,
    ):
        assert health(channel, metadata=PAIR).status == SERVING
        if opened:
            assert health(channel).status == SERVING
        else:
            with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
                health(channel)


def test_over_mutual_tls_health_takes_papers(realm: Realm):
    learner, worker = mutual(realm, "probe")
    shown = grpc.ssl_channel_credentials(realm.authority.pem)
    with served(learner, lambda server: Health(server, learner)) as port:
        with worker.channel(f"127.0.0.1:{port}") as channel:
            assert health(channel).status == SERVING
        with (
            grpc.secure_channel(f"127.0.0.1:{port}", shown) as channel,
            pytest.raises(grpc.RpcError, match="UNAVAILABLE"),
        ):
            health(channel)


def test_nobody_is_told_what_a_server_can_do(realm: Realm):
    learner, worker = mutual(realm)
    with (
        served(learner, lambda server: Health(server, learner)) as port,
        worker.channel(f"127.0.0.1:{port}") as channel,
    ):
        for version in ("v1", "v1alpha"):
            call: Any = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                next(call(iter([b""]), timeout=PATIENCE))
