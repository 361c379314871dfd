"""How a head is reached: by which address, and with which token.

Owns: the way to a dashboard, directly or through the API server, and reading tokens. Does not own:
what is said there (`dashboard`, `gcs`) or when (`pollers`, `job_pollers`). Invariant: our own
credentials go to the API server and to Ray that asks Kubernetes who calls, and to nobody else.
"""

from collections.abc import Callable, Mapping
from ssl import SSLContext

from ray_operator import credentials, dashboard, kube, ray_records, records, wire
from ray_operator.raycluster import auth

Connect = Callable[[str, Mapping[str, str], SSLContext | bool], dashboard.Dashboard]


class Heads:
    """The way to each head."""

    def __init__(
        self,
        client: kube.Kube,
        access: credentials.Credentials,
        *,
        connect: Connect,
        is_proxied: bool = False,
    ) -> None:
        """`connect` makes a client of an address, with headers and what to check of TLS."""
        self._client = client
        self._access = access
        self._connect = connect
        self._ssl = access.ssl_context() if is_proxied else None

    async def dashboard(self, namespace: str, head: ray_records.RayHead) -> dashboard.Dashboard:
        """Return a client of the head's dashboard. Raises `KubeError`."""
        token = await self.token(namespace, head)
        if self._ssl is None:
            host = f"[{head.host}]" if ":" in head.host else head.host
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return self._connect(f"http://{host}:{head.dashboard_port}", headers, True)
        headers = {"X-Ray-Authorization": f"Bearer {token}"} if token else {}
        if own := self._access.bearer():
            headers["Authorization"] = f"Bearer {own}"
        service = f"{head.service}:{head.dashboard_port}"
        path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy"
        return self._connect(self._access.server + path, headers, self._ssl)

    async def token(self, namespace: str, head: ray_records.RayHead) -> str | None:
        """Return the token that lets us in; None where there is none (yet), or none is needed.

        Raises `KubeError`.
        """
        if head.wants_own_token:
            return self._access.bearer()
        if not head.token_secret:
            return None
        found = await self._client.get(records.SECRETS, namespace, head.token_secret)
        token = wire.secret(found).get(auth.TOKEN_KEY, b"") if found else b""
        return token.decode(errors="ignore").strip() or None
