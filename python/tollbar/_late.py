"""What is raised when a turn would come too late. Apart, so that importing tollbar imports little."""


class AcquireTimeout(TimeoutError):  # noqa: N818 - the name that its callers look for
    """A turn would come too late. Raised as soon as that is known; nothing is charged."""

    def __init__(self, key: str, retry_after: float, advice: str = "") -> None:
        unknown = retry_after == float("inf")
        when = "can never come" if unknown else f"would come in {retry_after:.3f} s"
        super().__init__(f"the turn of {key!r} {when}" + (f"; {advice}" if advice else ""))
        self.key = key
        self.retry_after = retry_after
        """Seconds until the turn would come, as far as is known; infinity: not known."""
        self._advice = advice

    def __reduce__(self) -> "tuple[type[AcquireTimeout], tuple[str, float, str]]":
        return type(self), (self.key, self.retry_after, self._advice)
