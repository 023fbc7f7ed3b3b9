"""Django's registration of the console, which listens to every app below."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from console.audit import record
        from console.celery import app
        from engines.signals import changed as engine_changed
        from engines.signals import noted as engine_noted
        from gates.signals import changed as gate_changed
        from routing.signals import changed as route_changed

        app.set_default()  # gates publish from any thread of any process
        engine_changed.connect(record, dispatch_uid="audit.engines")
        engine_noted.connect(record, dispatch_uid="audit.profiles")
        route_changed.connect(record, dispatch_uid="audit.routing")
        gate_changed.connect(record, dispatch_uid="audit.gates")
