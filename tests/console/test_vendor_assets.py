"""Third-party browser files: checked, only the listed ones, never fetched twice."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from console.management.commands import vendor_assets as vendor


def archive(folder: Path) -> Path:
    path = folder / "thing-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (("package/thing.js", b"good()"), ("package/other.js", b"bad()")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_package_that_was_altered_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    vendor.check_integrity(path, f"sha512-{digest}")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CommandError, match="not the file"):
        vendor.check_integrity(path, f"sha512-{digest}")


def test_only_the_listed_files_leave_the_archive(tmp_path: Path) -> None:
    vendor.unpack(archive(tmp_path), {"thing.js": "vendor/thing.js"}, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.js")] == ["thing.js"]


def test_the_wheel_fills_the_same_place_as_npm(tmp_path: Path) -> None:
    (asset,) = vendor.read_lock(vendor.LOCK)
    assert not vendor.present(asset, tmp_path)
    vendor.from_wheel(asset, tmp_path)
    assert vendor.present(asset, tmp_path)
