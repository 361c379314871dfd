"""The only HTTP client of Ray: what a head's dashboard answers.

Owns: requests to one dashboard, or Serve proxy, and their errors. Does not own: when to ask
(`pollers`, `job_pollers`, `serve_pollers`) or the way there (`heads`). Invariant: every failure
leaves as a `RayError`; nothing is retried here, no redirect is followed, and an answer is read only
as far as a sane one goes; what an API server in between says is never taken for Ray's word.
Source: Ray, dashboard, Jobs and Serve REST API; the same from 2.46 to 2.60.
"""

import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ssl import SSLContext
from typing import Any, NamedTuple

import aiohttp
import msgspec

from ray_operator import errors, ray_records, serve_records

DEADLINE = timedelta(seconds=5)
SUBMISSION_DEADLINE = timedelta(seconds=15)
"""The head's agent may take 10 s to say that it isn't there."""
HEALTH_DEADLINE = timedelta(seconds=5)
"""A proxy answers in milliseconds; one that is busy, in line with its requests."""
LONGEST_ANSWER = 16 * 2**20
LONGEST_REASON = 500
JOBS = "/api/jobs/"
SERVE = "/api/serve/applications/"
PROXY_HEALTH = "/-/healthz"
STATUSES = ray_records.JOB_ENDS | {"PENDING", "RUNNING"}
_TAKEN = "already exists. Please use a different submission_id"


class Version(msgspec.Struct):
    """Which Ray runs, as `2.46.0`, and the life of it; a new one begins with each start."""

    ray_version: str
    session_name: str = ""


class _Job(msgspec.Struct):
    status: str
    message: str | None = None
    start_time: float | None = None
    end_time: float | None = None


class _Stopped(msgspec.Struct):
    stopped: bool


class _Proxy(msgspec.Struct):
    status: str = ""
    node_ip: str = ""


class _Serve(msgspec.Struct):
    applications: dict[str, serve_records.Application] = {}
    proxies: dict[str, _Proxy] | None = None


class _Kubernetes(msgspec.Struct):
    """Tells the API server's own objects from Ray's answers."""

    kind: str = ""


class _Answer(NamedTuple):
    status: int
    body: bytes


class Dashboard:
    """Requests to one dashboard. All raise `RayError`.

    The user agent must not be a browser's, or Ray refuses what changes something.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        ssl: SSLContext | bool = True,
        *,
        user_agent: str,
    ) -> None:
        """`url` is where the paths of the API begin, `ssl` what to check of its certificate."""
        self._session = session
        self._url = url
        self._headers = {**headers, "User-Agent": user_agent}
        self._ssl = ssl

    async def version(self) -> Version:
        """Return what runs."""
        path = "/api/version"
        found: Version = _read(path, _checked(path, await self._send("GET", path)), Version)
        return found

    async def job(self, job_id: str) -> ray_records.JobInfo | None:
        """Return what Ray knows of a job; None when it doesn't know it."""
        path = JOBS + _quoted(job_id)
        answer = await self._send("GET", path)
        if _is_unknown(answer):
            return None
        found: _Job = _read(path, _checked(path, answer), _Job)
        if found.status not in STATUSES:
            raise errors.Rejected(f"{path}: no status of a job: {found.status!r}")
        return ray_records.JobInfo(
            status=found.status,
            message=found.message or "",
            started_at=_moment(found.start_time),
            ended_at=_moment(found.end_time),
        )

    async def submit(self, payload: Mapping[str, Any]) -> None:
        """Submit a job; one of that id that is there already is as good.

        Raises `Refused` when Ray won't take it however often it is asked.
        """
        answer = await self._send("POST", JOBS, payload, within=SUBMISSION_DEADLINE)
        text = answer.body.decode(errors="replace")
        if answer.status == 500 and _TAKEN in text:
            return
        if answer.status == 400 and not _is_kubernetes(answer.body):
            raise errors.Refused(f"Ray refuses the job: {_reason(text)}")
        _checked(JOBS, answer)

    async def stop(self, job_id: str) -> None:
        """Have a job stopped; one that has ended, or isn't there, is as good."""
        path = f"{JOBS}{_quoted(job_id)}/stop"
        answer = await self._send("POST", path)
        if _is_unknown(answer):
            return
        _read(path, _checked(path, answer), _Stopped)

    async def serve(self) -> serve_records.ServeState:
        """Return what Serve has deployed by configuration; nothing when it wasn't started."""
        path = f"{SERVE}?api_type=declarative"
        found: _Serve = _read(path, _checked(path, await self._send("GET", path)), _Serve)
        proxies = (found.proxies or {}).values()
        return serve_records.ServeState(
            applications={name or "default": each for name, each in found.applications.items()},
            proxies=frozenset(each.node_ip for each in proxies if each.status == "HEALTHY"),
        )

    async def deploy(self, config: Mapping[str, Any]) -> None:
        """Have Serve run exactly the applications of this configuration; it does so later.

        Raises `Refused` when Ray won't take it however often it is asked.
        """
        answer = await self._send("PUT", SERVE, config, within=SUBMISSION_DEADLINE)
        if answer.status == 400 and not _is_kubernetes(answer.body):
            text = answer.body.decode(errors="replace")
            raise errors.Refused(f"Ray refuses the configuration: {_reason(text)}")
        _checked(SERVE, answer)

    async def takes_requests(self) -> bool:
        """Tell whether the Serve proxy at this address says that it does."""
        answer = await self._send("GET", PROXY_HEALTH, within=HEALTH_DEADLINE)
        return answer.status == 200

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        within: timedelta = DEADLINE,
    ) -> _Answer:
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=None if body is None else msgspec.json.encode(body),
                headers=self._headers
                | ({} if body is None else {"Content-Type": "application/json"}),
                allow_redirects=False,
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=within.total_seconds()),
            ) as response:
                return _Answer(response.status, await _body(response.content))
        except TimeoutError as error:
            seconds = within.total_seconds()
            raise errors.Slow(f"{path}: no answer within {seconds:g} s") from error
        except aiohttp.ClientError as error:
            raise errors.Unreachable(f"{path}: {error or 'no answer'}") from error


async def _body(stream: aiohttp.StreamReader) -> bytes:
    """Read to the end, or as far as a sane answer goes."""
    body = bytearray()
    async for piece in stream.iter_any():  # `read` ends with what has come so far
        body += piece
        if len(body) > LONGEST_ANSWER:
            break
    return bytes(body[:LONGEST_ANSWER])


def _checked(path: str, answer: _Answer) -> bytes:
    """Return the body of a good answer."""
    if answer.status == 200:
        return answer.body
    text = _reason(answer.body.decode(errors="replace"))
    said = f"{path}: {answer.status}" + (f": {text}" if text else "")
    if answer.status >= 500 or _is_kubernetes(answer.body):
        raise errors.Unreachable(said)
    raise errors.Rejected(said)


def _read(path: str, body: bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.Rejected(f"{path}: not what Ray answers: {error}") from error


def _is_kubernetes(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Kubernetes).kind == "Status"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _is_unknown(answer: _Answer) -> bool:
    """Tell Ray's word that there is no such job from that of anything between."""
    is_said = answer.status == 404 and b"does not exist" in answer.body
    return is_said and not _is_kubernetes(answer.body)


def _reason(text: str) -> str:
    """Return what an error's text ends in, where a traceback says what is wrong."""
    return text.strip()[-LONGEST_REASON:]


def _quoted(job_id: str) -> str:
    return urllib.parse.quote(job_id, safe="")


def _moment(milliseconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
