"""What waiting raises instead of a turn. Apart, so that importing tollbar imports little."""

INFINITY = float("inf")


class AcquireTimeout(TimeoutError):  # noqa: N818 - the name that its callers look for
    """A turn would come too late. Raised as soon as that is known; nothing is charged."""

    def __init__(self, key: str, retry_after: float, advice: str = "") -> None:
        when = "is not in sight" if retry_after == INFINITY else f"would come in {retry_after:.3f} s"
        super().__init__(f"the turn of {key!r} {when}" + (f"; {advice}" if advice else ""))
        self.key = key
        self.retry_after = retry_after
        """Seconds until the turn would come, as far as is known; infinity: not known."""
        self._advice = advice

    def __reduce__(self) -> "tuple[type[AcquireTimeout], tuple[str, float, str]]":
        return type(self), (self.key, self.retry_after, self._advice)


class NeverFits(ValueError):  # noqa: N818 - what is wrong with the cost
    """A cost is more than a limit can ever hold, so that no wait helps. Nothing is charged.

    No TimeoutError: a loop that tries again after one would never end.
    """

    retry_after = INFINITY
    """Infinity, as in the decision about such a cost."""

    def __init__(self, key: str, cost: int, limit: str, most: int, measure: str = "limit") -> None:
        super().__init__(
            f"the turn of {key!r} can never come: cost {cost} is more than the limit {limit!r} "
            f"can hold at once ({measure} {most})"
        )
        self.key = key
        self.cost = cost
        self.limit = limit
        """The name of the limit; of several that are too small, the smallest."""
        self.most = most
        """The largest cost that the limit can hold."""
        self._measure = measure

    def __reduce__(self) -> "tuple[type[NeverFits], tuple[str, int, str, int, str]]":
        return type(self), (self.key, self.cost, self.limit, self.most, self._measure)
