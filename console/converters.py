"""Parts of addresses: what cannot be a name is no address either, so it never reaches the database."""

from django.urls import register_converter


class NameConverter:
    """The name of an engine or a route, as engines.models.ENGINE_NAME has it."""

    regex = r"[a-z0-9][a-z0-9.-]{0,62}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NameConverter, "name")
