"""The page's service on this machine: typed messages and videos over HTTP, behind a token."""

import hmac
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from envs.errors import AnswerError, DataError
from skygarden.designer.interview import Interview, Progress, Session

STATIC: Final = Path(__file__).parent / "static"
LARGEST: Final = 16_384  # bytes of a request's body
_STATUS: Final = {"missing": 404, "conflict": 409, "malformed": 422}
_LATEST: Final = 2**31 - 1  # question or trajectory
_POLICY: Final = "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; frame-ancestors 'none'"

Labeller = Annotated[str, Query(min_length=1, max_length=40, pattern=r"^\S(.*\S)?$")]
Number = Annotated[int, Field(ge=0, le=_LATEST)]


class AnswerMessage(BaseModel):
    """An answer: points for every trajectory, or none to pass. Nothing is guessed, and nothing unknown passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labeller: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^\S(.*\S)?$")]
    points: Annotated[list[int], Field(min_length=2, max_length=9)] | None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class ErrorMessage(BaseModel):
    """What is wrong."""

    detail: str


def make_app(interview: Interview, token: str) -> FastAPI:
    """The service.

    Args: token: that every request needs, as a bearer token or in the address.
    """

    def authorised(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        offered = given if scheme.lower() == "bearer" else request.query_params.get("token", "")
        if not hmac.compare_digest(offered.encode(), token.encode()):
            raise HTTPException(401, "open the address that the terminal shows: this one has no valid token")

    app = FastAPI(title="Skygarden's designer's seat", docs_url=None, redoc_url=None)
    app.middleware("http")(_guard)
    app.add_exception_handler(AnswerError, _refusal)
    app.include_router(_pages(authorised))
    app.include_router(_api(interview), prefix="/api", dependencies=[Depends(authorised)])
    return app


def _pages(authorised: Callable[[Request], None]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page(request: Request) -> Response:
        try:
            authorised(request)
        except HTTPException as error:
            return PlainTextResponse(f"Please {error.detail}.", 401)
        return FileResponse(STATIC / "index.html")

    @router.get("/{name}")
    def asset(name: str) -> Response:
        path = STATIC / name
        if path.suffix not in (".js", ".css", ".svg") or path.parent != STATIC or not path.is_file():
            raise HTTPException(404, f"there is no {name!r} here")
        return FileResponse(path, headers={"cache-control": "no-cache"})  # modules of one version, never of two

    return router


def _api(interview: Interview) -> APIRouter:
    errors: dict[int | str, dict[str, Any]] = {code: {"model": ErrorMessage} for code in (400, 401, 404, 409, 413)}
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
    length = request.headers.get("content-length", "0" if request.method in ("GET", "DELETE", "HEAD") else "")
    if request.method in ("PUT", "POST", "PATCH") and not length.isdigit():
        return JSONResponse({"detail": "a body needs its length in bytes: content-length"}, 411)
    if length.isdigit() and int(length) > LARGEST:
        return JSONResponse({"detail": f"a body has at most {LARGEST} bytes, got {length}"}, 413)
    response = await call_next(request)
    response.headers["content-security-policy"] = _POLICY
    response.headers["referrer-policy"] = "no-referrer"  # the address holds the token
    response.headers["x-content-type-options"] = "nosniff"
    return response


async def _refusal(_: Request, error: Exception) -> JSONResponse:
    status = _STATUS[error.reason] if isinstance(error, AnswerError) else 500
    return JSONResponse({"detail": str(error)}, status)
