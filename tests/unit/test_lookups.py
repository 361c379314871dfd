"""What an older Kubernetes lacks is said at start."""

from typing import cast

import pytest

from ray_operator import kube, lookups
from tests.unit import builders


class Server:
    """An API server of some version."""

    def __init__(self, minor: str) -> None:
        self._minor = minor

    async def read(self, path: str) -> bytes:
        assert path == "/version"
        return f'{{"major": "1", "minor": "{self._minor}"}}'.encode()


@pytest.mark.parametrize(("minor", "told"), [("27+", 2), ("29", 1), ("30", 0), ("34", 0), ("", 0)])
async def test_an_old_kubernetes_is_told(
    minor: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    found = lookups.Lookups(cast("kube.Kube", Server(minor)), builders.SETTINGS)
    await found.tell_age()
    assert len([each for each in caplog.messages if "is older than" in each]) == told
