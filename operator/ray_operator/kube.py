"""The only client of the Kubernetes API: requests in, bytes or typed errors out.

Owns: HTTP against the API server, concurrency and rate limits. Does not own: what the bytes mean
(`informers`, `api`), refusals too (`refusals`), or when to retry (`reconcile`). Invariant: every
failure leaves as a `KubeError`; nothing is retried here.

aiohttp with plain JSON was chosen by measurement: CPU for one Pod created was 0.26 ms, against
0.85-5.6 ms of the typed clients, which also drop Pod fields they don't know.
"""

import asyncio
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from ray_operator import credentials, errors, metrics, records, refusals, rehearsal

REQUEST_TIMEOUT_SECONDS = 30.0
WATCH_SECONDS, WATCH_SILENCE_SECONDS = 580, 120.0
"""A healthy watch speaks at least once a minute (bookmarks)."""
MUTE_WATCH_SECONDS = 290
"""Of one without bookmarks, whose end is the only sign of life."""
MAX_IN_FLIGHT = 64

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # of which JSON is a part
FIELD_MANAGER = "ray-operator"
MAKER = "ray-operator-make"
"""Owns what an object was made with until it is first applied, apart from what is patched."""
METADATA_ITEM = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class RateLimit:
    """A token bucket: `qps` requests a second on average, `burst` at once."""

    def __init__(self, *, qps: float, burst: int) -> None:
        self._interval_seconds = 1.0 / qps
        self._ahead_seconds = self._interval_seconds * max(burst, 1)
        self._next = 0.0

    async def acquire(self) -> None:
        """Wait until one more request is allowed."""
        now = time.monotonic()
        self._next = max(self._next, now - self._ahead_seconds) + self._interval_seconds
        if self._next > now:
            await asyncio.sleep(self._next - now)


class Kube:
    """Requests against one API server.

    All methods raise the `KubeError` family: `Unavailable` when the outcome is unknown.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        access: credentials.Credentials,
        *,
        user_agent: str,
        rate_limit: RateLimit | None = None,
        may_write: Callable[[], bool] = lambda: True,
        rehearsal: rehearsal.Rehearsal | None = None,
    ) -> None:
        """`may_write` is asked right before each change is sent, however long that had to wait.

        Of a `rehearsal` the API server keeps nothing: it only says what it would do.
        """
        self._session = session
        self._access = access
        self._ssl = access.ssl_context()
        self._user_agent = user_agent
        self._rate_limit = rate_limit
        self._may_write = may_write
        self._rehearsal = rehearsal
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._host = urllib.parse.urlsplit(access.server).netloc

    async def get(self, resource: records.Resource, namespace: str, name: str) -> bytes | None:
        """Return the object's JSON, None when it does not exist."""
        try:
            return await self._request("GET", _url(resource, namespace, name))
        except errors.NotFound:
            return None

    async def read(self, path: str) -> bytes:
        """Return the JSON at a path of the API server that is no resource of ours."""
        return await self._request("GET", path)

    async def list(
        self,
        resource: records.Resource,
        *,
        namespace: str | None,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        limit: int = 0,
        after: str = "",
    ) -> bytes:
        """List from the server's newest state; `namespace=None` lists the whole cluster.

        `selector` selects by labels, `fields` by fields. With a `limit` it is a page, which comes
        `after` the one whose metadata has that `continue`. Raises `Gone` when that is too long ago.
        """
        page = {"limit": str(limit), **({"continue": after} if after else {})} if limit else {}
        return await self._request(
            "GET",
            _url(resource, namespace),
            params=_selectors(selector, fields) | page,
            accept=METADATA_ONLY if metadata_only else "application/json",
        )

    async def create(
        self,
        resource: records.Resource,
        namespace: str,
        manifest: Mapping[str, Any],
        *,
        manager: str = FIELD_MANAGER,
    ) -> bytes:
        """Create the object, as the owner of its fields by that name; return it as stored."""
        params = {"fieldManager": manager}
        return await self._request("POST", _url(resource, namespace), params=params, body=manifest)

    async def try_create(
        self, resource: records.Resource, namespace: str, manifest: Mapping[str, Any]
    ) -> bytes:
        """Return the object as it would be stored; nothing is."""
        url = _url(resource, namespace)
        return await self._request("POST", url, params={"dryRun": "All"}, body=manifest)

    async def delete(
        self,
        resource: records.Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        propagation: str = "",
    ) -> bytes:
        """Delete the object if it has that UID; return it as it is now (or a Status).

        `propagation` is a `propagationPolicy`; empty leaves it to the kind.
        """
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            **({"propagationPolicy": propagation} if propagation else {}),
        }
        return await self._request("DELETE", _url(resource, namespace, name), body=body)

    async def replace(
        self, resource: records.Resource, namespace: str, manifest: Mapping[str, Any]
    ) -> bytes:
        """Replace the object; its resourceVersion guards against lost updates."""
        name = manifest["metadata"]["name"]
        return await self._request("PUT", _url(resource, namespace, name), body=manifest)

    async def patch(
        self,
        resource: records.Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        change: Mapping[str, Any],
    ) -> bytes:
        """Merge `change` in, only if the object still has that UID; return the object."""
        body = {**change, "metadata": {**change.get("metadata", {}), "uid": uid}}
        url = _url(resource, namespace, name)
        return await self._request("PATCH", url, body=body, content_type=MERGE_PATCH)

    async def patch_exactly(
        self,
        resource: records.Resource,
        namespace: str,
        name: str,
        *,
        operations: Sequence[Mapping[str, Any]],
    ) -> bytes:
        """Carry out a JSON patch, all or nothing; a `test` that fails is `Invalid`."""
        url = _url(resource, namespace, name)
        return await self._request("PATCH", url, body=operations, content_type=JSON_PATCH)

    async def apply(
        self,
        resource: records.Resource,
        namespace: str,
        manifest: Mapping[str, Any],
    ) -> bytes:
        """Apply the object server-side, as the owner of what the manifest says; return it."""
        return await self._request(
            "PATCH",
            _url(resource, namespace, manifest["metadata"]["name"]),
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type=APPLY_PATCH,
        )

    async def patch_status(
        self,
        resource: records.Resource,
        namespace: str,
        name: str,
        *,
        status: Mapping[str, Any],
        resource_version: str,
    ) -> bytes:
        """Merge `status` in, only if the object is still at that version; return the object."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        url = _url(resource, namespace, name) + "/status"
        return await self._request("PATCH", url, body=body, content_type=MERGE_PATCH)

    async def watch(
        self,
        resource: records.Resource,
        *,
        namespace: str | None,
        selector: str,
        resource_version: str,
        fields: str = "",
        metadata_only: bool = False,
        has_bookmarks: bool = True,
    ) -> AsyncIterator[bytes]:
        """Yield watch events as JSON lines until the server ends the watch.

        Bookmarks are asked for; `has_bookmarks` tells that there are some. An `ERROR` event is
        yielded like any other. A server that is silent for too long is `Unavailable`.
        """
        seconds = WATCH_SECONDS if has_bookmarks else MUTE_WATCH_SECONDS
        silence = WATCH_SILENCE_SECONDS if has_bookmarks else seconds + REQUEST_TIMEOUT_SECONDS
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        } | _selectors(selector, fields)
        timeout = aiohttp.ClientTimeout(
            total=None, connect=REQUEST_TIMEOUT_SECONDS, sock_read=silence
        )
        try:
            async with self._session.get(
                self._access.server + _url(resource, namespace),
                params=params,
                headers=self._headers(METADATA_ITEM if metadata_only else "application/json"),
                ssl=self._ssl,
                timeout=timeout,
            ) as response:
                self._count("WATCH", str(response.status))
                if response.status != 200:
                    raise refusals.error(response.status, response.headers, await response.read())
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.Unavailable(f"watch {resource.plural}: {_reason(error)}") from error

    def _count(self, method: str, code: str) -> None:
        metrics.kube_requests.labels(method, code, self._host).inc()

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": self._user_agent}
        if token := self._access.bearer():
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        if self._rate_limit is not None:
            with metrics.kube_limited_seconds.labels(method, self._host).time():
                await self._rate_limit.acquire()
        if self._rehearsal is not None and method != "GET":
            params = {**(params or {}), "dryRun": "All"}
        headers = self._headers(accept)
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = msgspec.json.encode(body)
            metrics.kube_request_bytes.labels(method, self._host).observe(len(data))
        try:
            async with self._in_flight:
                if method != "GET" and not self._may_write():
                    raise errors.NotLeading
                started = time.monotonic()
                async with self._session.request(
                    method,
                    self._access.server + url,
                    params=params,
                    data=data,
                    headers=headers,
                    ssl=self._ssl,
                    timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
                ) as response:
                    answer = await response.read()
                    self._count(method, str(response.status))
                    took = time.monotonic() - started
                    metrics.kube_seconds.labels(method, self._host).observe(took)
                    metrics.kube_response_bytes.labels(method, self._host).observe(len(answer))
                    if response.status >= 300:
                        raise refusals.error(response.status, response.headers, answer)
                    if self._rehearsal is not None and method != "GET":
                        self._rehearsal.take(method, url, body)
                    return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            self._count(method, "<error>")
            raise errors.Unavailable(f"{method} {url}: {_reason(error)}") from error


def _url(resource: records.Resource, namespace: str | None, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{resource.path}{scope}/{resource.plural}" + (f"/{name}" if name else "")


def _selectors(labels: str, fields: str) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: text for name, text in given.items() if text}


def _reason(error: Exception) -> str:
    """Say why there was no answer; a time-out has no text of its own."""
    return str(error) or type(error).__name__
