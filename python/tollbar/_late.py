"""What is raised when a turn would come too late. Apart, so that importing tollbar imports little."""


class AcquireTimeout(TimeoutError):  # noqa: N818 - the name that its callers look for
    """A turn would come too late, or never. Raised as soon as that is known; nothing is charged."""

    def __init__(self, key: str, retry_after: float) -> None:
        never = retry_after == float("inf")
        when = "can never come" if never else f"would come in {retry_after:.3f} s"
        super().__init__(f"the turn of {key} {when}")
        self.key = key
        self.retry_after = retry_after
        """Seconds until the turn would come, as far as is known; infinity: never."""

    def __reduce__(self) -> "tuple[type[AcquireTimeout], tuple[str, float]]":
        return type(self), (self.key, self.retry_after)
