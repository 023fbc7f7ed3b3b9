"""Django settings: one file, laptop defaults, every knob an environment variable (docs/running.md)."""

import sqlite3
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from cryptography.fernet import Fernet
from csp.constants import NONCE, NONE, SELF
from django.core.management.utils import get_random_secret_key

from console import env
from engines.network import DEFAULT_NETWORKS, parse_networks

# Where things are
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.data_dir(BASE_DIR)
CONSOLE_HOST = env.text("CONSOLE_HOST", "127.0.0.1")
CONSOLE_PORT = env.number("CONSOLE_PORT", 8000)
GATEWAY_HOST = env.text("GATEWAY_HOST", "127.0.0.1")
GATEWAY_PORT = env.number("GATEWAY_PORT", 8080)
ENGINE_PORT = env.number("ENGINE_PORT", 8100)
CONSOLE_URL = env.text("CONSOLE_URL", f"http://127.0.0.1:{CONSOLE_PORT}")
GATEWAY_URL = env.text("GATEWAY_URL", f"http://127.0.0.1:{GATEWAY_PORT}")
NOTIFY_NETWORKS = parse_networks(env.text("NOTIFY_NETWORKS"))
ENGINE_NETWORKS = parse_networks(env.text("ENGINE_NETWORKS")) or DEFAULT_NETWORKS
ENVIRONMENT_NAME = env.text("ENVIRONMENT_NAME", "local")
REDIS_URL = env.text("REDIS_URL")
OTLP_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT")
GATE_SAMPLE_DAYS = env.number("GATE_SAMPLE_DAYS", 90, high=36500)

# Secrets
SECRET_KEY = env.secret("SECRET_KEY", DATA_DIR, make=get_random_secret_key)
FERNET_KEY = env.secret("FERNET_KEY", DATA_DIR, make=lambda: Fernet.generate_key().decode())
INTERNAL_TOKEN_KEY = env.secret("INTERNAL_TOKEN_KEY", DATA_DIR)
EVIDENCE_KEY = env.secret("EVIDENCE_KEY", DATA_DIR, make=lambda: token_hex(32))  # the seed of an ed25519 key

# Security
DEBUG = False
SECURE = CONSOLE_URL.startswith("https://")
CONSOLE_ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(CONSOLE_URL))
ALLOWED_HOSTS = [urlsplit(CONSOLE_URL).hostname or "127.0.0.1", *env.listing("ALLOWED_HOSTS")]
if not SECURE:
    ALLOWED_HOSTS += ["127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = [CONSOLE_ORIGIN]
SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
X_FRAME_OPTIONS = "DENY"
# Two copies on one machine share the host 127.0.0.1, and cookies know no ports.
COOKIE_SUFFIX = "" if SECURE else f"-{CONSOLE_PORT}"
SESSION_COOKIE_NAME = "__Host-session" if SECURE else f"session{COOKIE_SUFFIX}"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else f"csrf{COOKIE_SUFFIX}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_USE_SESSIONS = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Applications
INSTALLED_APPS = [
    "daphne",
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "template_partials",
    "engines",
    "routing",
    "gates",
    "console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "console.shell.shell",
            ],
        },
    }
]

# Database: SQLite before 3.51.3 keeps the rollback journal (reliability.md D4)
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'console.sqlite3'}"))
}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    JOURNAL = "WAL" if sqlite3.sqlite_version_info >= (3, 51, 3) else "TRUNCATE"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        "init_command": f"PRAGMA journal_mode={JOURNAL}; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
        "PRAGMA mmap_size=0;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Live updates and tasks
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "console"},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "console_cache"}
}

# People
AUTH_USER_MODEL = "console.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_REDIRECT_URL = "console:overview"
LOGIN_URL = "account_login"
ACCOUNT_ADAPTER = "console.accounts.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

# Text, time and static files
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static", BASE_DIR / "static_vendor"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# Logs: one readable line each, to the process's own stream
PROCESS = f"{env.text('PROCESS_NAME', 'manage'):<10}"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} " + PROCESS + " {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        **{name: {"level": "WARNING"} for name in ("django.server", "daphne", "uvicorn", "httpx")},
        # whoever sends a bad request is told so; the log is for our own faults
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
