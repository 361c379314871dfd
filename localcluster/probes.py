"""Questions of the form "does it answer yet?".

Owns probing only. Invariant: a probe never raises and never takes longer than about a second.
"""

import http.client
import socket
import ssl
import urllib.parse

_TIMEOUT_SECONDS = 1.0


def answers(probe: str) -> bool:
    """Ask one probe: `unix:PATH` accepts a connection, `https://…` answers 200."""
    scheme, _, rest = probe.partition(":")
    return unix_accepts(rest) if scheme == "unix" else https_is_ok(probe)


def unix_accepts(path: str) -> bool:
    """Tell whether something listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_SECONDS)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def https_is_ok(url: str) -> bool:
    """Tell whether the URL answers 200; identities are not checked, nothing is sent."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS, context=context
    )
    try:
        client.request("GET", parts.path)
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()
