"""The committed CRDs and RBAC rules are what the code says."""

from scripts import generate


def test_generated_files_are_up_to_date() -> None:
    """Run `make crds` when this fails."""
    wanted = generate.files()
    found = {
        path: (generate.ROOT / path).read_text() if (generate.ROOT / path).exists() else None
        for path in wanted
    }
    assert found == wanted


def test_no_stale_crd_is_left() -> None:
    wanted = set(generate.files())
    for directory in generate.CRDS:
        found = {path.relative_to(generate.ROOT) for path in (generate.ROOT / directory).iterdir()}
        assert found == {path for path in wanted if path.parent == directory}
