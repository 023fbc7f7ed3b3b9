"""Django's registration of the routing app, and its ear for engine changes."""

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    name = "routing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from engines.signals import changed
        from routing.publish import on_engine_changed

        changed.connect(on_engine_changed, dispatch_uid="routing.publish")
