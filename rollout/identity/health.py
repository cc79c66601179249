"""Whether a learner is well, for those who watch over machines: the service `grpc.health.v1` of every gRPC server.

Over mutual TLS nobody without a certificate comes so far as to ask: a probe gets papers of its own (`skygarden certs
DIR --workers probe`; grpc_health_probe takes them as -tls-client-cert, -tls-client-key and -tls-ca-cert), or is content
that the port can be connected to. To open a second, plain port for it would be to open what mutual TLS closes. With
tokens, who asks shows one, unless the learner's trust says that anyone may (`LearnerTrust.anonymous_health`): then a
single check is answered to all, which tells no more than a connection would; a watch, which holds a call open, is for
those who are known.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, final

import grpc
from grpc_health.v1 import health, health_pb2

from envs.errors import TrustError
from rollout.identity.trust import LearnerTrust

_Answer = Callable[..., Any]


@final
class Health:
    """Answers for a server that is not started yet.

    Args: server: to add the service to. trust: who may ask. services: by full name, that are asked about; the empty
      name is the whole server. greeted: called with the context of a call that has said what it asks.
    """

    def __init__(
        self,
        server: grpc.Server,
        trust: LearnerTrust,
        *services: str,
        greeted: Callable[[grpc.ServicerContext], object] = id,
    ) -> None:
        self._greeted = greeted
        self._servicer: Final = health.HealthServicer()
        self._services, self._trust = ("", *services), trust
        self.serving(True)
        server.add_generic_rpc_handlers((self._handlers(),))

    def serving(self, yes: bool) -> None:
        """Say whether work is taken."""
        state = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            self._servicer.set(service, state)

    def close(self) -> None:
        """Say that it is over, to those who watch as well; before the server stops."""
        self._servicer.enter_graceful_shutdown()

    def _handlers(self) -> grpc.GenericRpcHandler:
        request, answer = health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString
        watch: Any = self._guarded(self._servicer.Watch, anybody=False)
        watch.experimental_non_blocking = True  # or everyone who watches would hold one of the server's threads
        check = self._guarded(self._servicer.Check, anybody=self._trust.anonymous_health)
        return grpc.method_handlers_generic_handler(
            health.SERVICE_NAME,
            {
                "Check": grpc.stream_unary_rpc_method_handler(check, request, answer),
                "Watch": grpc.stream_stream_rpc_method_handler(watch, request, answer),
            },
        )

    def _guarded(self, method: _Answer, *, anybody: bool) -> _Answer:
        """A method that looks who asks before it waits for the question, which somebody may never send."""

        def guarded(questions: Iterator[Any], context: grpc.ServicerContext, *more: Any, **named: Any) -> Any:
            try:
                self._trust.worker(context)
            except TrustError as error:
                if not anybody:
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            question = next(questions, None)
            if question is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nothing was asked")
            self._greeted(context)
            return method(question, context, *more, **named)

        return guarded
