"""The page's service on this machine: typed messages and videos over HTTP, behind a token."""

import hmac
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyQuery, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from envs.errors import AnswerError, DataError
from skygarden.designer.interview import NAME, Interview, Progress, Session

STATIC: Final = Path(__file__).parent / "static"
LARGEST: Final = 16_384  # bytes of a request's body
_STATUS: Final = {"missing": 404, "conflict": 409}
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}  # not what the machine thinks
_LATEST: Final = 2**31 - 1  # question or trajectory
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_BEARER: Final = HTTPBearer(auto_error=False, description="The token in the address that the terminal shows.")
_LINK: Final = APIKeyQuery(name="token", auto_error=False, description="The same, for links.")

_UNINVITED: Final = "open the address that the terminal shows: this one has no valid token"

Labeller = Annotated[str, Query(min_length=1, max_length=40, pattern=NAME)]
Number = Annotated[int, Field(ge=0, le=_LATEST)]


class AnswerMessage(BaseModel):
    """An answer: points for every trajectory, or none to pass. Nothing is guessed, and nothing unknown passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labeller: Annotated[str, Field(min_length=1, max_length=40, pattern=NAME)]
    points: Annotated[list[int], Field(min_length=2, max_length=9)] | None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class ErrorMessage(BaseModel):
    """What is wrong."""

    detail: str


def make_app(interview: Interview, token: str) -> FastAPI:
    """The service.

    Args: token: that every request needs, as a bearer token or in the address.
    """

    def invited(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
        link: Annotated[str | None, Security(_LINK)],
    ) -> bool:
        offered = bearer.credentials if bearer else link or ""
        return hmac.compare_digest(offered.encode(), token.encode())

    def authorised(invited: Annotated[bool, Depends(invited)]) -> None:
        if not invited:
            raise HTTPException(401, _UNINVITED, {"www-authenticate": "Bearer"})

    app = FastAPI(title="Skygarden's designer's seat", docs_url=None, redoc_url=None)
    app.middleware("http")(_guard)
    app.add_exception_handler(AnswerError, _refusal)
    app.add_exception_handler(RequestValidationError, _refusal)
    app.include_router(_pages(invited))
    app.include_router(_api(interview), prefix="/api", dependencies=[Depends(authorised)])
    return app


def _pages(invited: Callable[..., bool]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page(allowed: Annotated[bool, Depends(invited)]) -> Response:
        if not allowed:
            return PlainTextResponse(f"Please {_UNINVITED}.", 401)
        return FileResponse(STATIC / "index.html")

    @router.get("/{name}")
    def asset(name: str) -> Response:
        path = {path.name: path for path in STATIC.iterdir()}.get(name)
        if path is None or path.suffix not in _TYPES:
            raise HTTPException(404, f"there is no {name!r} here")
        return FileResponse(path, media_type=_TYPES[path.suffix])

    return router


def _api(interview: Interview) -> APIRouter:
    errors: dict[int | str, dict[str, Any]] = {code: {"model": ErrorMessage} for code in (400, 401, 404, 409, 411, 413)}
    router = APIRouter(responses=errors)

    @router.get("/session")
    def get_session(labeller: Labeller | None = None) -> Session:
        return interview.session(labeller or interview.config.labeller)

    @router.put("/questions/{number}/answer")
    def put_answer(number: Number, answer: AnswerMessage) -> Session:
        interview.answer(number, answer.labeller, answer.points, answer.seconds)
        return interview.session(answer.labeller)

    @router.delete("/questions/{number}/answer")
    def delete_answer(number: Number, labeller: Labeller) -> Session:
        interview.undo(number, labeller)
        return interview.session(labeller)

    @router.get("/progress")
    def get_progress(labeller: Labeller) -> Progress:
        return interview.progress(labeller)

    @router.get("/videos/{trajectory}", response_class=FileResponse)
    def get_video(trajectory: Number) -> FileResponse:
        try:
            path = interview.clips.video(trajectory)
        except (IndexError, OSError) as error:
            raise HTTPException(404, f"trajectory {trajectory} cannot be shown: {error}") from error
        return FileResponse(path, media_type="video/mp4", headers={"cache-control": "private, max-age=31536000"})

    @router.get("/preferences", response_class=Response)
    def get_preferences() -> Response:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "preferences.parquet"
            try:
                interview.export(path)
            except DataError as error:
                raise HTTPException(404, str(error)) from error
            headers = {"content-disposition": 'attachment; filename="preferences.parquet"'}
            return Response(path.read_bytes(), media_type="application/vnd.apache.parquet", headers=headers)

    return router


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse bodies that are too large before they are read, and say what browsers may do with an answer."""
    response = _too_large(request) or await call_next(request)
    response.headers.setdefault("cache-control", "no-cache")  # a new version's page is not mixed with an old one's
    response.headers["content-security-policy"] = _POLICY
    response.headers["referrer-policy"] = "no-referrer"  # the address holds the token
    response.headers["x-content-type-options"] = "nosniff"
    return response


def _too_large(request: Request) -> Response | None:
    length = request.headers.get("content-length", "")
    sends = request.method in ("PUT", "POST", "PATCH")
    if "transfer-encoding" in request.headers or (sends and not length.isdecimal()):
        return JSONResponse({"detail": "a body needs its length in bytes: content-length, and no chunks"}, 411)
    if length.isdecimal() and int(length) > LARGEST:
        return JSONResponse({"detail": f"a body has at most {LARGEST} bytes, got {length}"}, 413)
    return None


async def _refusal(_: Request, error: Exception) -> Response:
    if isinstance(error, AnswerError) and error.reason in _STATUS:
        return JSONResponse({"detail": str(error)}, _STATUS[error.reason])
    found = [{"type": "value_error", "loc": ("body", "points"), "msg": str(error)}]
    if isinstance(error, RequestValidationError):
        # Without what was sent: not all that Python reads as JSON, such as NaN, can be written as JSON.
        found = [{part: of[part] for part in ("type", "loc", "msg")} for of in error.errors()]
    return Response(json.dumps({"detail": found}), 422, media_type="application/json")
