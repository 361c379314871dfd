"""How a head is reached: by which address, and with which token.

Owns: the way to a dashboard, directly or through the API server, and reading tokens. Does not own:
what is said there (`dashboard`, `gcs`) or when (`pollers` and the like). Invariant: our own
credentials go to the API server and to Ray that asks Kubernetes who calls, and to nobody else.
"""

from collections.abc import Callable, Mapping
from ssl import SSLContext

from ray_operator import credentials, dashboard, kube, ray_records, records, wire
from ray_operator.raycluster import auth

Client = dashboard.Dashboard
Connect = Callable[[str, Mapping[str, str], SSLContext | bool], Client]


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

    async def dashboard(self, namespace: str, head: ray_records.RayHead) -> Client:
        """Return a client of the head's dashboard. Raises `KubeError`."""
        token = await self.token(namespace, head)
        if self._ssl is None:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return self._connect(_url(head.host, head.dashboard_port), headers, True)
        headers = {"X-Ray-Authorization": f"Bearer {token}"} if token else {}
        where = f"services/{head.service}:{head.dashboard_port}"
        return self._proxied(namespace, where, headers, self._ssl)

    def proxy(self, namespace: str, *, pod: str, ip: str, port: int) -> Client:
        """Return a client of the Serve proxy in a Pod, which asks for no token."""
        if self._ssl is None:
            return self._connect(_url(ip, port), {}, True)
        return self._proxied(namespace, f"pods/{pod}:{port}", {}, self._ssl)

    def _proxied(
        self, namespace: str, where: str, headers: Mapping[str, str], ssl: SSLContext
    ) -> Client:
        """Return a client that goes through the API server, which asks who we are."""
        own = self._access.bearer()
        told = {**headers, "Authorization": f"Bearer {own}"} if own else headers
        path = f"/api/v1/namespaces/{namespace}/{where}/proxy"
        return self._connect(self._access.server + path, told, ssl)

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


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
