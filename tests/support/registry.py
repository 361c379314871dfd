"""An image registry that has nothing: it answers 401 or 404, by the image's first folder.

Owns: the Pod that serves it on a node's loopback, where container runtimes speak plain HTTP.
Invariant: an image named here is pulled by Pods on the registry's own node only.
"""

from typing import Any

HOST = "localhost:5055"
DENIED = f"{HOST}/denied/ray:1"
MISSING = f"{HOST}/missing/ray:1"
NAME = "registry"
_SCRIPT = """
import http.server

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        denied = self.path.startswith("/v2/denied/")
        self.send_response(401 if denied else 404)
        if denied:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

http.server.ThreadingHTTPServer(("127.0.0.1", 5055), Answer).serve_forever()
"""


def pod(image: str) -> dict[str, Any]:
    """Return the registry's Pod; `image` has a Python."""
    container = {
        "name": NAME,
        "image": image,
        "command": ["python", "-c", _SCRIPT],
        "readinessProbe": {
            "tcpSocket": {"host": "127.0.0.1", "port": 5055},
            "periodSeconds": 1,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME},
        "spec": {
            "hostNetwork": True,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }
