"""Imported by the operator's Python at start: count writes about `kill-<k>` and die at the k-th."""

import json
import os
import signal
from typing import Any

from ray_operator import kube

_request = kube.Kube._request
_k = int(os.environ["KILL_AFTER"])
_seen: list[str] = []


async def _counted(self: kube.Kube, method: str, url: str, **options: Any) -> bytes:
    answer = await _request(self, method, url, **options)
    about = f"kill-{_k:02}"
    if method != "GET" and (about in url or about in json.dumps(options.get("body"), default=str)):
        _seen.append(url)
        if len(_seen) == _k:
            os.kill(os.getpid(), signal.SIGKILL)
    return answer


kube.Kube._request = _counted  # type: ignore[method-assign]
