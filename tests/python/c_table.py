"""The functions of `tollbar._tollbar.c_api`, called through ctypes as include/tollbar.h declares them."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

HEADER = (Path(__file__).parents[2] / "include" / "tollbar.h").read_text()
NAMES = re.findall(r"\(\*(\w+)\)", HEADER.split("typedef struct tollbar_api {")[1].split("} tollbar_api;")[0])
NEVER = 2**64 - 1


def number(name: str) -> int:
    """Return the value of one of the header's numbers."""
    found = re.search(rf"^#define TOLLBAR_{name} (-?\d+)$", HEADER, re.MULTILINE)
    assert found, name
    return int(found[1])


class Ask(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("cost", "timeout_ns", "lease_ns")] + [
        (name, ctypes.c_uint32) for name in ("priority", "gives_back")
    ]


class Turn(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64) for name in ("place", "reservation", "look_after_ns", "retry_after_ns")
    ]


class Api(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("abi", ctypes.c_uint32)] + [
        (name, ctypes.c_void_p) for name in NAMES
    ]


def api() -> Api:
    """Look the table up as `PyCapsule_Import` does."""
    find = ctypes.pythonapi.PyCapsule_Import
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    return Api.from_address(find(b"tollbar._tollbar.c_api", 0))


_U64, _SIZE, _TEXT = ctypes.c_uint64, ctypes.c_size_t, ctypes.c_char_p
_ASK, _TURN = ctypes.POINTER(Ask), ctypes.POINTER(Turn)
_ID = ctypes.POINTER(_U64)
ARGUMENTS: dict[str, list[Any]] = {
    "limiter_free": [_U64],
    "limiter_clone": [_U64, _ID],
    "try_acquire": [_U64, _TEXT, _SIZE, _U64],
    "peek": [_U64, _TEXT, _SIZE, _U64, ctypes.c_void_p, _SIZE],
    "try_acquire_packed": [_U64, _TEXT, _SIZE, ctypes.POINTER(ctypes.c_uint32), _SIZE, _U64, _TEXT],
    "bucket_new": [_U64, _TEXT, _SIZE, _ID],
    "bucket_try_acquire": [_U64, _U64],
    "bucket_free": [_U64],
    "reserve": [_U64, _TEXT, _SIZE, _U64, _U64, ctypes.c_bool, _ID, ctypes.c_void_p, _SIZE],
    "cancel": [_U64],
    "acquire": [_U64, _TEXT, _SIZE, _ASK, _SIZE, _TURN, _SIZE],
    "join": [_U64, _TEXT, _SIZE, _ASK, _SIZE, _U64, _U64, _TURN, _SIZE],
    "look": [_U64, _TURN, _SIZE],
    "leave": [_U64],
    "wakeups_new": [_ID],
}
"""A handle is a structure of one number, which is passed as that number is."""


class Table:
    """The functions by name; `attached` ones are called with the interpreter's lock held, others without."""

    def __init__(self, *, attached: bool = False) -> None:
        make = ctypes.PYFUNCTYPE if attached else ctypes.CFUNCTYPE
        table = api()
        for name, arguments in ARGUMENTS.items():
            setattr(self, name, make(ctypes.c_int32, *arguments)(getattr(table, name)))

    def __getattr__(self, name: str) -> Any:  # what is not set above does not exist
        raise AttributeError(name)

    def one(self, limiter: int, key: bytes) -> int:
        """Ask for one token."""
        return self.try_acquire(limiter, key, len(key), 1)

    def made(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument is where the new handle is written."""
        handle = _U64()
        status = getattr(self, name)(*arguments, handle)
        assert status >= 0, (name, status)
        return handle.value
