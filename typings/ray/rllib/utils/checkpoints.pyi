from collections.abc import Collection

class Checkpointable:
    def _check_component(
        self, name: str, components: str | Collection[str] | None, not_components: str | Collection[str] | None
    ) -> bool: ...
