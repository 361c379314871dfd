"""The configuration of Ray Serve in a RayService, `serveConfigV2`.

Owns: reading the text. Does not own: Serve's own rules, which Ray applies. Invariant: equal content
reads equal, whatever comments and layout say.
Source: Ray Serve, configuration files of several applications.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from ray_operator import content, go_yaml

EVERY_NODE = "EveryNode"
_REMEMBERED = 1024


class ServeConfig(NamedTuple):
    """A configuration; `digest` tells it from others, `applications` holds their names."""

    document: Mapping[str, Any]
    digest: str
    applications: frozenset[str]

    @property
    def proxy_location(self) -> str:
        """Where requests are taken: `EveryNode`, `HeadOnly` or `Disabled`."""
        return str(self.document.get("proxy_location") or EVERY_NODE)


def parse(text: str) -> object:
    """Read the YAML of the text's first document; the text itself when it is none."""
    try:
        return next(iter(go_yaml.load_all(text)), None)
    except ValueError:
        return text


@functools.lru_cache(maxsize=_REMEMBERED)
def read(text: str) -> ServeConfig | None:
    """Read a configuration; None when it lists no applications, so that there is none to deploy."""
    found = parse(text)
    listed = found.get("applications") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(listed, list) or not listed:
        return None
    applications = (each for each in listed if isinstance(each, dict))
    return ServeConfig(
        document=found,
        digest=content.digest(found),
        applications=frozenset(str(each.get("name") or "default") for each in applications),
    )
