"""Small frozen types that cross layers: what Ray Serve says, and what is wanted of it.

Owns: what the operator knows of the applications of one cluster. Does not own: heads
(`ray_records`), asking (`serve_pollers`) or decisions. Invariant: every value is immutable, times
are aware UTC.
Source: Ray Serve, REST API; statuses are passed on as Ray says them.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ray_operator import ray_records

RUNNING = "RUNNING"
"""What Serve says of an application that answers."""


class Deployment(msgspec.Struct, frozen=True):
    """What Serve says of a deployment: UPDATING, HEALTHY, UNHEALTHY, DEPLOY_FAILED, …."""

    status: str = ""
    message: str = ""


class Application(msgspec.Struct, frozen=True):
    """What Serve says of an application, and of its deployments by name.

    `status` is NOT_STARTED, DEPLOYING, DEPLOY_FAILED, RUNNING, UNHEALTHY or DELETING.
    """

    status: str = ""
    message: str = ""
    deployments: Mapping[str, Deployment] = {}


class ServeState(msgspec.Struct, frozen=True):
    """All that was deployed by configuration, by name, and where requests are taken.

    `proxies` holds the addresses of the nodes whose proxy is healthy.
    """

    applications: Mapping[str, Application] = {}
    proxies: frozenset[str] = frozenset()


class Proxy(enum.Enum):
    """What is known of a head's Serve proxy: whether it takes requests, or is late to say so."""

    SERVES = "serves"
    SLOW = "slow"
    REFUSES = "refuses"


class ServeAnswer(msgspec.Struct, frozen=True):
    """What a cluster has said of Serve so far.

    Attributes:
        state: the newest that is known; None before the first.
        applied: digest of the configuration that Ray has taken; empty when that isn't known.
        running_since: since when all applications that are wanted run; None while they don't.
        refusal: why Ray won't take the newest configuration; empty while it may.
        error: why the newest question got no answer; empty when it did.
        unanswered_since: since when there has been no answer; None while there is.
        head_proxy: of the head; None while nothing is known.
    """

    state: ServeState | None = None
    applied: str = ""
    running_since: datetime | None = None
    refusal: str = ""
    error: str = ""
    unanswered_since: datetime | None = None
    head_proxy: Proxy | None = None


class ServeInquiry(msgspec.Struct, frozen=True):
    """What a RayService wants of one of its clusters, until it says otherwise.

    Attributes:
        pod, ip: name and address of the head Pod.
        port: of the head's Serve proxy; 0 to leave it alone.
        config: what to deploy as long as Ray doesn't have it; None for nothing.
        digest: of that configuration.
        applications: names of the applications in it.
        applied: digest of the configuration that Ray is known to have taken earlier.
        is_steady: nothing is about to change, so there is no hurry.
    """

    head: ray_records.RayHead
    pod: str
    ip: str
    port: int
    config: Mapping[str, Any] | None = None
    digest: str = ""
    applications: frozenset[str] = frozenset()
    applied: str = ""
    is_steady: bool = False
