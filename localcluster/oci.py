"""The store of finished images: an OCI image layout on disk.

Owns reading the layout that buildah writes and streaming single images out of it. Deliberately
builds nothing. Invariant: an image is in the layout's index only when all of its blobs are there;
images share the blobs of their common layers.
"""

import collections.abc
import hashlib
import io
import json
import pathlib
import tarfile
import typing

_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


class Layout:
    """One OCI image layout folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def digests(self) -> dict[str, str]:
        """Map each image's reference to its manifest's digest (`sha256:…`)."""
        return {
            entry["annotations"][_NAME]: entry["digest"]
            for entry in self._index()
            if _NAME in entry.get("annotations", {})
        }

    def size(self, reference: str) -> int:
        """Sum up an image's blobs, in bytes."""
        return sum(blob["size"] for blob in self._blobs(self._entry(reference)))

    def write_tar(self, reference: str, to: typing.IO[bytes]) -> None:
        """Stream one image as an OCI archive that `ctr images import` and kind accept."""
        entry = self._entry(reference)
        named = {
            **{key: entry[key] for key in ("mediaType", "digest", "size")},
            "annotations": {_CONTAINERD_NAME: reference, _NAME: reference.rpartition(":")[2]},
        }
        index = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
        with tarfile.open(fileobj=to, mode="w|", bufsize=1 << 20) as archive:
            _put(archive, "oci-layout", _LAYOUT)
            _put(archive, "index.json", index)
            seen = set()
            for blob in self._blobs(entry):
                if blob["digest"] not in seen:
                    seen.add(blob["digest"])
                    path = self._path(blob["digest"])
                    archive.add(path, f"blobs/sha256/{path.name}", recursive=False)

    def prune(self) -> None:
        """Delete blobs of images that the index doesn't name any more."""
        used = {blob["digest"] for entry in self._index() for blob in self._blobs(entry)}
        for path in (self.folder / "blobs" / "sha256").glob("*"):
            if f"sha256:{path.name}" not in used:
                path.unlink()

    def _index(self) -> list[dict[str, typing.Any]]:
        try:
            content = json.loads((self.folder / "index.json").read_text())
        except FileNotFoundError:
            return []
        manifests: list[dict[str, typing.Any]] = content["manifests"]
        return manifests

    def _entry(self, reference: str) -> dict[str, typing.Any]:
        for entry in self._index():
            if entry.get("annotations", {}).get(_NAME) == reference:
                return entry
        raise KeyError(reference)

    def _blobs(
        self, entry: dict[str, typing.Any]
    ) -> collections.abc.Iterator[dict[str, typing.Any]]:
        """List the manifest, the configuration and the layers of an image."""
        manifest = json.loads(self._path(entry["digest"]).read_text())
        yield entry
        yield manifest["config"]
        yield from manifest["layers"]

    def _path(self, digest: str) -> pathlib.Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def digest(*parts: bytes) -> str:
    """Hash parts so that their borders matter."""
    result = hashlib.sha256()
    for part in parts:
        result.update(len(part).to_bytes(8, "big") + part)
    return result.hexdigest()[:32]
