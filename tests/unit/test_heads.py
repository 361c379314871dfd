"""The way to a head: which address it is dialled at, and who gets which token."""

import ssl
from collections.abc import Mapping
from typing import Any, cast

import pytest

from ray_operator import credentials, dashboard, kube, ray_records, records
from ray_operator import heads as ways

HEAD = ray_records.RayHead(
    pod_uid="uid",
    restarts=0,
    is_up=True,
    host="demo-head-svc.ns1.svc.cluster.local",
    gcs_port=0,
    dashboard_port=8265,
    service="demo-head-svc",
)
PROXY = "https://api:6443/api/v1/namespaces/ns1/services/demo-head-svc:8265/proxy"
DIRECT = "http://demo-head-svc.ns1.svc.cluster.local:8265"


class Secrets:
    """The API server, which has the tokens of Ray."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    async def get(self, *asked: Any) -> bytes | None:
        self.asked.append(asked)
        return self.answer


SECRET = b'{"data": {"auth_token": "c2VjcmV0Cg=="}}'


async def dialled(
    *, is_proxied: bool, secret: bytes | None = SECRET, **fields: Any
) -> tuple[str, Mapping[str, str], bool]:
    """Tell the address, the headers, and whether TLS is checked as the API server's."""
    found: list[tuple[str, Mapping[str, str], Any]] = []

    def connect(
        url: str, headers: Mapping[str, str], tls: ssl.SSLContext | bool
    ) -> dashboard.Dashboard:
        found.append((url, headers, tls))
        return cast("dashboard.Dashboard", None)

    way = ways.Heads(
        cast("kube.Kube", Secrets(secret)),
        credentials.Credentials(server="https://api:6443", token="ours"),
        connect=connect,
        is_proxied=is_proxied,
    )
    head = ray_records.RayHead(
        **{**{f: getattr(HEAD, f) for f in HEAD.__struct_fields__}, **fields}
    )
    await way.dashboard("ns1", head)
    ((url, headers, tls),) = found
    return url, headers, isinstance(tls, ssl.SSLContext)


RAYS: dict[str, Any] = {"token_secret": "demo"}
KUBERNETES: dict[str, Any] = {"wants_own_token": True}


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, {}),
        (RAYS, {"Authorization": "Bearer secret"}),
        (KUBERNETES, {"Authorization": "Bearer ours"}),
    ],
    ids=["no token", "Ray's token", "Kubernetes' token"],
)
async def test_a_head_gets_its_own_token_or_ours_if_it_asks_kubernetes(
    fields: dict[str, Any], headers: dict[str, str]
) -> None:
    assert await dialled(is_proxied=False, **fields) == (DIRECT, headers, False)


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, {}),
        (RAYS, {"X-Ray-Authorization": "Bearer secret"}),
        (KUBERNETES, {"X-Ray-Authorization": "Bearer ours"}),
    ],
    ids=["no token", "Ray's token", "Kubernetes' token"],
)
async def test_the_api_server_gets_our_token_and_passes_on_rays(
    fields: dict[str, Any], headers: dict[str, str]
) -> None:
    expected = {"Authorization": "Bearer ours", **headers}
    assert await dialled(is_proxied=True, **fields) == (PROXY, expected, True)


async def test_an_address_of_ipv6_is_bracketed() -> None:
    url, _, _ = await dialled(is_proxied=False, host="fd00::1")
    assert url == "http://[fd00::1]:8265"


@pytest.mark.parametrize("secret", [None, b'{"data": {}}', b'{"data": {"auth_token": "IA=="}}'])
async def test_a_token_that_is_not_there_yet_is_none(secret: bytes | None) -> None:
    assert await dialled(is_proxied=False, secret=secret, **RAYS) == (DIRECT, {}, False)


async def test_the_secret_is_read_where_the_head_is_and_only_if_it_is_needed() -> None:
    secrets = Secrets(SECRET)
    way = ways.Heads(
        cast("kube.Kube", secrets),
        credentials.Credentials(server="https://api:6443", token="ours"),
        connect=lambda *_: cast("dashboard.Dashboard", None),
    )
    await way.dashboard("ns1", HEAD)
    assert secrets.asked == []
    head = ray_records.RayHead("uid", 0, True, "h", 0, 8265, token_secret="demo")
    assert await way.token("ns2", head) == "secret"
    assert secrets.asked == [(records.SECRETS, "ns2", "demo")]


@pytest.mark.parametrize(
    ("is_proxied", "url", "headers"),
    [
        (False, "http://10.0.0.7:9000", {}),
        (
            True,
            "https://api:6443/api/v1/namespaces/ns1/pods/head:9000/proxy",
            {"Authorization": "Bearer ours"},
        ),
    ],
)
async def test_a_proxy_of_serve_is_asked_without_rays_token(
    is_proxied: bool, url: str, headers: dict[str, str]
) -> None:
    found: list[tuple[Any, ...]] = []
    way = ways.Heads(
        cast("kube.Kube", Secrets(SECRET)),
        credentials.Credentials(server="https://api:6443", token="ours"),
        connect=lambda *given: cast("dashboard.Dashboard", found.append(given)),
        is_proxied=is_proxied,
    )
    way.proxy("ns1", pod="head", ip="10.0.0.7", port=9000)
    ((called, sent, tls),) = found
    assert (called, sent, isinstance(tls, ssl.SSLContext)) == (url, headers, is_proxied)
