"""Imported by the operator's Python at start: count writes about an object and die at the k-th.

It is the one that the file `about` names, else `kill-<k>`.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

from ray_operator import kube

_request = kube.Kube._request
_k = int(os.environ["KILL_AFTER"])
_named = Path(__file__).with_name("about")
_about = _named.read_text() if _named.exists() else f"kill-{_k:02}"
_seen: list[str] = []


async def _counted(self: kube.Kube, method: str, url: str, **options: Any) -> bytes:
    answer = await _request(self, method, url, **options)
    body = json.dumps(options.get("body"), default=str)
    if method != "GET" and (_about in url or _about in body):
        _seen.append(url)
        if len(_seen) == _k:
            os.kill(os.getpid(), signal.SIGKILL)
    return answer


kube.Kube._request = _counted  # type: ignore[method-assign]
