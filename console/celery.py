"""The Celery application: Redis when REDIS_URL is set, else a broker in files under DATA_DIR."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 2, "retry_on_timeout": False}


def make_app() -> Celery:
    app = Celery("console")
    app.conf.update(
        task_acks_late=False,  # the row owns the state; a lost message is found by the reaper (reliability.md D3)
        worker_prefetch_multiplier=1,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_publish_retry=False,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )
    if settings.REDIS_URL:
        app.conf.update(
            broker_url=settings.REDIS_URL,
            broker_transport_options={**TIMEOUTS, "global_keyprefix": "console:"},
        )
    else:
        folder = settings.DATA_DIR / "broker"
        for name in ("queue", "control", "processed"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        app.conf.update(
            broker_url="filesystem://localhost//",
            broker_transport_options={
                "data_folder_in": str(folder / "queue"),
                "data_folder_out": str(folder / "queue"),
                "control_folder": str(folder / "control"),
                "processed_folder": str(folder / "processed"),
            },
        )
    app.autodiscover_tasks(["engines", "gates", "console"])
    return app


app = make_app()
