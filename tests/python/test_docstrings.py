"""`help()` shows at run time what the stub says: the same docstrings, from one source."""

from __future__ import annotations

import ast
import inspect
import itertools
import pydoc
from pathlib import Path

import pytest

import tollbar
from tollbar import _tollbar

STUB = Path(tollbar.__file__).with_name("_tollbar.pyi")
# Names of the stub that the module does not have: types, and hooks that are handed to os.register_at_fork.
ONLY_IN_THE_STUB = {"_Account", "_Ready", "_before_fork", "_after_fork", "_after_fork_in_child"}


def of_attributes(body):
    """Docstrings below annotated names."""
    for one, after in itertools.pairwise(body):
        if isinstance(one, ast.AnnAssign) and isinstance(after, ast.Expr):
            yield one.target.id, inspect.cleandoc(ast.literal_eval(after.value))


def documented():
    """Every class, function and attribute of the stub that has a docstring, by its dotted name."""
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    found = {"": ast.get_docstring(tree)}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name in ONLY_IN_THE_STUB:
            continue
        found[node.name] = ast.get_docstring(node)
        for member in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(member, ast.FunctionDef):
                # Of several overloads the first one has it.
                found.setdefault(f"{node.name}.{member.name}", ast.get_docstring(member))
        found.update({f"{node.name}.{name}": text for name, text in of_attributes(node.body)})
    return {name: text for name, text in found.items() if text}


DOCUMENTED = documented()


def member(name):
    """What has this dotted name at run time: a descriptor as it is, and not what it gives."""
    thing = _tollbar
    for part in filter(None, name.split(".")):
        thing = vars(thing)[part]
    return thing


def test_the_stub_is_documented():
    assert len(DOCUMENTED) > 110
    assert {"Limiter", "Limiter.try_acquire", "Limiter.limited", "Decision.reason"} <= DOCUMENTED.keys()
    assert {"c_handle", "RateLimitExceeded.retry_after"} <= DOCUMENTED.keys()


@pytest.mark.parametrize("name", DOCUMENTED, ids=lambda name: name or "module")
def test_the_docstring_is_there_at_run_time(name):
    if name == "RateLimiterTimeout.retry_after":
        assert member(name) is None, "a plain value, which has no docstring of its own"
    else:
        assert member(name).__doc__ == DOCUMENTED[name]


def test_nothing_of_the_module_is_undocumented():
    public = {
        f"{kind.__name__}.{name}"
        for kind in vars(_tollbar).values()
        if inspect.isclass(kind)
        for name in vars(kind)
        if not name.startswith("_") and not hasattr(kind.__base__, name)
    }
    assert len(public) > 90
    assert public - DOCUMENTED.keys() == set()


@pytest.mark.parametrize(
    ("thing", "signature"),
    [
        (tollbar.Limiter.try_acquire, "(self, /, key, cost=1, *, costs=None)"),
        (tollbar.RateLimiter.acquire, "(self, /, account_email, account=None, tokens=1)"),
        (tollbar.TokenBucket.try_acquire, "(self, /, tokens=1)"),
        (tollbar.Limiter.reserve, "(self, /, key, cost=1, lease=None, *, lost='sent', costs=None)"),
    ],
)
def test_help_shows_signature_and_documentation(thing, signature):
    shown = pydoc.plain(pydoc.render_doc(thing))
    assert thing.__name__ + signature in shown
    assert inspect.getdoc(thing).splitlines()[0] in shown
