"""Settings of this machine that images need to reach package indexes from inside.

Owns reading them: CA certificates, pip's configuration, the Debian mirror. Deliberately writes
nothing on the host. Invariant: what is read here goes into images of this machine's cache only,
never into the source tree.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

CA_BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_EXTRA_CAS = pathlib.Path("/usr/local/share/ca-certificates")
_DEFAULT_MIRROR = "http://deb.debian.org/debian"
# Paths of the host mean nothing inside an image; `cert` is set to the image's own bundle.
_DROPPED = {"cert", "find-links", "cache-dir", "client-cert", "log", "target", "prefix", "user"}


def debian_mirror() -> str:
    """Give the mirror that images are made from: LOCALCLUSTER_DEBIAN_MIRROR or Debian's own."""
    return os.environ.get("LOCALCLUSTER_DEBIAN_MIRROR", _DEFAULT_MIRROR).rstrip("/")


def pip_configuration() -> str:
    """Render the effective pip configuration of the host as a pip.conf for images."""
    listed = ""
    pip = shutil.which("pip") or shutil.which("pip3")
    if pip:
        asked = subprocess.run([pip, "config", "list"], capture_output=True, text=True, check=False)
        listed = asked.stdout
    return render_pip_configuration(listed)


def render_pip_configuration(listed: str) -> str:
    """Turn the output of `pip config list` into a pip.conf; variables win over files."""
    settings: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if value and option not in _DROPPED:
            settings[option] = value.strip("'\"").replace("\\n", "\n    ")
    settings["cert"] = str(CA_BUNDLE)
    lines = [f"{option} = {value}" for option, value in sorted(settings.items())]
    return "\n".join(["[global]", *lines, ""])


def settings_key() -> tuple[str, ...]:
    """Hash what `write_settings` would write."""
    extra = b"".join(path.read_bytes() for path in _extra_certificates())
    bundle = CA_BUNDLE.read_bytes() if CA_BUNDLE.exists() else b""
    return (pip_configuration(), hashlib.sha256(bundle + extra).hexdigest())


def write_settings(root: pathlib.Path) -> None:
    """Write certificates and pip's and uv's settings into an image's root folder."""
    if CA_BUNDLE.exists():
        target = root / CA_BUNDLE.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CA_BUNDLE, target)
    # Where an image installs ca-certificates, the bundle is made anew: from these, too.
    local = root / _EXTRA_CAS.relative_to("/")
    local.mkdir(parents=True, exist_ok=True)
    for certificate in _extra_certificates():
        shutil.copyfile(certificate, local / certificate.name)
    (root / "etc/pip.conf").write_text(pip_configuration())
    (root / "etc/uv").mkdir(exist_ok=True)
    (root / "etc/uv/uv.toml").write_text("native-tls = true\n")


def _extra_certificates() -> list[pathlib.Path]:
    return sorted(_EXTRA_CAS.rglob("*.crt")) if _EXTRA_CAS.exists() else []
