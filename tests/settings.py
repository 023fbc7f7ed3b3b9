"""Settings of the test suite: the real ones with a fast hasher and plain static files."""

import os
import tempfile

os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="console-tests-"))

from console.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if "sqlite3" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    # A file, as in real life: tables of an in-memory database are locked without waiting when threads share it.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}  # noqa: F405
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"  # noqa: F405
STATIC_ROOT.mkdir(exist_ok=True)  # noqa: F405  collectstatic makes it in real life; whitenoise warns without it
