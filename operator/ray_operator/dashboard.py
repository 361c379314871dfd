"""The only HTTP client of Ray: what a head's dashboard answers.

Owns: requests to one dashboard and their errors. Does not own: when to ask (`pollers`). Invariant:
every failure leaves as a `RayError`; nothing is retried here, no redirect is followed, and an
answer is read only as far as a sane one goes.
Source: Ray, dashboard REST API; the same from 2.46 to 2.60.
"""

from datetime import timedelta

import aiohttp
import msgspec

from ray_operator import errors

DEADLINE = timedelta(seconds=5)
LONGEST_ANSWER = 16 * 2**20


class _Version(msgspec.Struct):
    ray_version: str


class Dashboard:
    """Requests to one dashboard. All raise `RayError`.

    The user agent must not be a browser's, or Ray refuses what changes something.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        host: str,
        port: int,
        token: str | None = None,
        *,
        user_agent: str,
    ) -> None:
        """`host` is an address or a name, `token` what Ray's token authentication expects."""
        self._session = session
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._headers = {"User-Agent": user_agent}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    async def version(self) -> str:
        """Return the version of Ray that runs, as `2.46.0`."""
        body = await self._get("/api/version")
        try:
            return msgspec.json.decode(body, type=_Version).ray_version
        except msgspec.MsgspecError as error:
            raise errors.Rejected(f"/api/version: not what Ray answers: {error}") from error

    async def _get(self, path: str) -> bytes:
        try:
            async with self._session.get(
                self._url + path,
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=DEADLINE.total_seconds()),
            ) as response:
                body = await response.content.read(LONGEST_ANSWER)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.Unreachable(f"{path}: {error or 'no answer'}") from error
        if response.status >= 500:
            raise errors.Unreachable(f"{path}: {response.status}")
        if response.status != 200:
            raise errors.Rejected(f"{path}: {response.status}")
        return body
