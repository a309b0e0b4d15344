"""At most so many accesses of a client in any period, whatever order their times come in.

`ClientAccess` answers, `Jail` is the timeout of those who do not stop asking.
"""

from tollbar._tollbar import ClientAccess, Jail

__all__ = ["ClientAccess", "Jail"]
