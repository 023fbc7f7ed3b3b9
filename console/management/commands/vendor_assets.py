"""Put the browser's copy of Plotly into static_vendor/: npm's small bundle if npm answers, else the Python wheel's."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

LOCK = Path(__file__).resolve().parents[2] / "vendor.lock.json"
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Asset:
    """One npm package and where its files go, relative to static_vendor/. `fallback` fills the same places."""

    package: str
    version: str
    integrity: str
    files: dict[str, str]
    fallback: dict[str, str]


class Command(BaseCommand):
    help = "Fetch third-party browser files that are not committed. Does nothing when they are there."

    def handle(self, *_: Any, **__: Any) -> None:
        target = Path(settings.BASE_DIR) / "static_vendor"
        for asset in read_lock(LOCK):
            if present(asset, target):
                continue
            if not from_npm(asset, target, self.stderr.write):
                from_wheel(asset, target)
            self.stdout.write(f"{asset.package} {asset.version} is in {target}")


def read_lock(path: Path) -> list[Asset]:
    return [Asset(**row) for row in json.loads(path.read_text())]


def present(asset: Asset, target: Path) -> bool:
    return all((target / name).is_file() for name in asset.files.values())


def from_npm(asset: Asset, target: Path, say: Any) -> bool:
    """False when npm is missing or does not answer; a wrong checksum is an error, never a fallback."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{asset.package}@{asset.version}", "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)  # noqa: S603
        except (subprocess.SubprocessError, OSError) as error:
            say(f"npm did not give {asset.package}: {error}. Using the copy in the Python wheel.")
            return False
        archive = next(Path(folder).glob("*.tgz"))
        check_integrity(archive, asset.integrity)
        unpack(archive, asset.files, target)
    return True


def check_integrity(archive: Path, expected: str) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != expected:
        raise CommandError(f"{archive.name} is not the file of vendor.lock.json: {found} instead of {expected}.")


def unpack(archive: Path, wanted: dict[str, str], target: Path) -> None:
    """Only the listed files, one by one: nothing else in the archive is written."""
    with tarfile.open(archive) as tar:
        for inside, name in wanted.items():
            source = tar.extractfile(f"package/{inside}")
            if source is None:
                raise CommandError(f"{archive.name} holds no {inside}.")
            place(target / name, source.read())


def from_wheel(asset: Asset, target: Path) -> None:
    for inside, name in asset.fallback.items():
        package, _, path = inside.partition("/")
        place(target / name, files(package).joinpath(path).read_bytes())


def place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(path.suffix + ".part")
    half.write_bytes(content)
    half.replace(path)
