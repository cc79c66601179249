from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ending(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENDING_UNSPECIFIED: _ClassVar[Ending]
    ENDING_TERMINATED: _ClassVar[Ending]
    ENDING_TRUNCATED: _ClassVar[Ending]
ENDING_UNSPECIFIED: Ending
ENDING_TERMINATED: Ending
ENDING_TRUNCATED: Ending

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PolicyPiece(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class FromWorker(_message.Message):
    __slots__ = ("hello", "episode", "dropped", "ready", "heartbeat", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    EPISODE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    episode: Episode
    dropped: Dropped
    ready: Ready
    heartbeat: Heartbeat
    goodbye: Goodbye
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., episode: _Optional[_Union[Episode, _Mapping]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., ready: _Optional[_Union[Ready, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class FromLearner(_message.Message):
    __slots__ = ("welcome", "assignment", "acknowledged", "refused", "alive", "finished")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignment: Assignment
    acknowledged: Acknowledged
    refused: Refused
    alive: Alive
    finished: Finished
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignment: _Optional[_Union[Assignment, _Mapping]] = ..., acknowledged: _Optional[_Union[Acknowledged, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "incarnation", "assignments")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    incarnation: int
    assignments: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, protocol: _Optional[int] = ..., incarnation: _Optional[int] = ..., assignments: _Optional[_Iterable[int]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("trunk", "context", "temperature", "run", "credits", "heartbeat", "reads")
    TRUNK_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    trunk: str
    context: str
    temperature: float
    run: str
    credits: int
    heartbeat: float
    reads: str
    def __init__(self, trunk: _Optional[str] = ..., context: _Optional[str] = ..., temperature: _Optional[float] = ..., run: _Optional[str] = ..., credits: _Optional[int] = ..., heartbeat: _Optional[float] = ..., reads: _Optional[str] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("steps", "episodes", "spooled")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EPISODES_FIELD_NUMBER: _ClassVar[int]
    SPOOLED_FIELD_NUMBER: _ClassVar[int]
    steps: int
    episodes: int
    spooled: int
    def __init__(self, steps: _Optional[int] = ..., episodes: _Optional[int] = ..., spooled: _Optional[int] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Alive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Finished(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("number", "version", "head", "seeds", "sampling_seed", "wanted")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_SEED_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    number: int
    version: int
    head: _containers.RepeatedCompositeFieldContainer[Tensor]
    seeds: _containers.RepeatedScalarFieldContainer[int]
    sampling_seed: int
    wanted: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, number: _Optional[int] = ..., version: _Optional[int] = ..., head: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., seeds: _Optional[_Iterable[int]] = ..., sampling_seed: _Optional[int] = ..., wanted: _Optional[_Iterable[int]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("name", "shape", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("worker", "incarnation", "sequence")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: int
    sequence: int
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Episode(_message.Message):
    __slots__ = ("key", "assignment", "index", "version", "trunk", "context", "temperature", "seed", "spawn", "character", "skin", "ending", "jumppad", "steps", "width", "actions", "log_probs", "features", "positions", "reads", "embeddings")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRUNK_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SPAWN_FIELD_NUMBER: _ClassVar[int]
    CHARACTER_FIELD_NUMBER: _ClassVar[int]
    SKIN_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    JUMPPAD_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    LOG_PROBS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    key: Key
    assignment: int
    index: int
    version: int
    trunk: str
    context: str
    temperature: float
    seed: int
    spawn: int
    character: str
    skin: int
    ending: Ending
    jumppad: str
    steps: int
    width: int
    actions: bytes
    log_probs: bytes
    features: bytes
    positions: bytes
    reads: str
    embeddings: bytes
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., assignment: _Optional[int] = ..., index: _Optional[int] = ..., version: _Optional[int] = ..., trunk: _Optional[str] = ..., context: _Optional[str] = ..., temperature: _Optional[float] = ..., seed: _Optional[int] = ..., spawn: _Optional[int] = ..., character: _Optional[str] = ..., skin: _Optional[int] = ..., ending: _Optional[_Union[Ending, str]] = ..., jumppad: _Optional[str] = ..., steps: _Optional[int] = ..., width: _Optional[int] = ..., actions: _Optional[bytes] = ..., log_probs: _Optional[bytes] = ..., features: _Optional[bytes] = ..., positions: _Optional[bytes] = ..., reads: _Optional[str] = ..., embeddings: _Optional[bytes] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("assignment", "index", "reason", "key")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    assignment: int
    index: int
    reason: str
    key: Key
    def __init__(self, assignment: _Optional[int] = ..., index: _Optional[int] = ..., reason: _Optional[str] = ..., key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class Acknowledged(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: Key
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("key", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: Key
    reason: str
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...
