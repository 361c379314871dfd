"""Settings of this machine that images need to reach package indexes from inside.

Owns reading them: CA certificates, pip's configuration, the Debian mirror. Deliberately writes
nothing on the host. Invariant: what is read here goes into images of this machine's cache only,
never into the source tree.
"""

import collections.abc
import configparser
import hashlib
import os
import pathlib
import shutil

CA_BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_EXTRA_CAS = pathlib.Path("/usr/local/share/ca-certificates")
_DEFAULT_MIRROR = "http://deb.debian.org/debian"
# Paths of the host mean nothing inside an image; `cert` is set to the image's own bundle.
_DROPPED = {
    *("cert", "client-cert", "find-links", "cache-dir", "log", "target", "prefix", "root"),
    *("user", "require-virtualenv", "python", "config-file", "src", "build"),
}


def debian_mirror() -> str:
    """Give the mirror that images are made from: LOCALCLUSTER_DEBIAN_MIRROR or Debian's own."""
    return os.environ.get("LOCALCLUSTER_DEBIAN_MIRROR", _DEFAULT_MIRROR).rstrip("/")


def pip_configuration(environment: collections.abc.Mapping[str, str] = os.environ) -> str:
    """Render the host's pip configuration, files and PIP_* variables, as a pip.conf for images."""
    home = pathlib.Path(environment.get("HOME", "/root"))
    files = [
        pathlib.Path("/etc/xdg/pip/pip.conf"),
        pathlib.Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        pathlib.Path(environment.get("XDG_CONFIG_HOME", home / ".config")) / "pip" / "pip.conf",
        pathlib.Path(environment.get("PIP_CONFIG_FILE", os.devnull)),
    ]
    return render_pip_configuration(files, environment)


def render_pip_configuration(
    files: collections.abc.Iterable[pathlib.Path], environment: collections.abc.Mapping[str, str]
) -> str:
    """Merge pip's configuration as pip does: later files win over earlier, variables over files.

    Source: pip's documentation, "Configuration precedence".
    """
    parser = configparser.RawConfigParser()
    parser.read([file for file in files if file.is_file()])
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= dict(parser.items(section))
    for name, value in environment.items():
        if name.startswith("PIP_"):
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    kept = {option: value for option, value in settings.items() if option not in _DROPPED}
    kept["cert"] = str(CA_BUNDLE)
    lines = [
        f"{option} = {value.replace(chr(10), chr(10) + '    ')}"
        for option, value in sorted(kept.items())
    ]
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
