#!/venv/bin/python
"""KubeRay's operator as others meet it: it answers probes and competes for its Lease.

As client-go's: 15 seconds without a renewal are the end of a leader, which gives up nothing sooner.
"""

import http.server
import json
import os
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
GROUP = "https://kubernetes.default.svc/apis/coordination.k8s.io/v1"
LEASES = f"{GROUP}/namespaces/{(ACCOUNT / 'namespace').read_text()}/leases"
NAME = "ray-operator-leader"
IDENTITY = f"{os.uname().nodename}_{uuid.uuid4()}"
DURATION_SECONDS, RETRY_SECONDS = 15, 2


class Metrics(http.server.BaseHTTPRequestHandler):
    """Answer whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def ask(url: str, method: str = "GET", body: Any = None) -> Any:
    """Return what the API server answers, None for 404 and 409."""
    headers = {
        "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
        "Content-Type": "application/json",
    }
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers, method=method)
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in {404, 409}:
            return None
        raise


def compete() -> None:
    """Renew the Lease if it is ours, else take it when nobody has renewed it for its duration."""
    version, since = "", time.monotonic()
    while True:
        lease = ask(f"{LEASES}/{NAME}")
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        mine = {"holderIdentity": IDENTITY, "leaseDurationSeconds": DURATION_SECONDS}
        spec = {**mine, "renewTime": now}
        if lease is None:
            made = {"metadata": {"name": NAME}, "spec": spec}
            ask(LEASES, "POST", {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **made})
        else:
            if lease["metadata"]["resourceVersion"] != version:
                version, since = lease["metadata"]["resourceVersion"], time.monotonic()
            holder = lease["spec"].get("holderIdentity")
            if holder in {IDENTITY, "", None} or time.monotonic() - since > DURATION_SECONDS:
                lease["spec"] = {**lease["spec"], **spec}
                ask(f"{LEASES}/{NAME}", "PUT", lease)
        time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = http.server.ThreadingHTTPServer(("", 8080), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    compete()
