"""The dispatch queue, both forms: options, jitter, sticky keys, the graveyard's lines, statistics."""

import asyncio
import contextlib
import json
import logging
import math
import random
import re
import sys
import threading

import pytest

from forms import FORMS, AsyncForm, Fails, Highest, settled

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar import Limiter, Rate, pacing
from tollbar.dispatch import DispatchQueue, Graveyard, Rejected, Retry, ThreadDispatchQueue, full_jitter


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def form(request):
    return request.param()


def test_the_jitter_is_full_and_bounded():
    wait = full_jitter(initial=0.5, base=3.0, longest=10.0)
    generator = random.Random(1)
    for tries, highest in [(1, 0.5), (2, 1.5), (3, 4.5), (4, 10.0), (5000, 10.0)]:
        drawn = [wait(tries, generator) for _ in range(2000)]
        assert 0 <= min(drawn) < highest * 0.01
        assert highest * 0.99 < max(drawn) <= highest
        assert sum(drawn) / len(drawn) == pytest.approx(highest / 2, rel=0.1)
    assert [wait(3, random.Random(7)) for _ in range(3)] == [wait(3, random.Random(7))] * 3


def test_the_graveyard_writes_json_lines_and_is_emptied_once(form, tmp_path):
    path = tmp_path / "graveyard.jsonl"

    async def scenario():
        async with form.queue(Fails(), max_tries=1, graveyard=Graveyard(unix=lambda: 1e9)) as queue:
            await queue.put({"to": "a@example.org"}, key="tenant")
            await queue.put(object())
        return queue

    queue = form.run(scenario)
    assert queue.graveyard.write(path) == 2
    assert queue.graveyard.write(str(path)) == 2
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 4
    assert lines[0] == {
        "number": 1,
        "key": "tenant",
        "payload": {"to": "a@example.org"},
        "reason": "tries",
        "tries": 1,
        "worker": "a",
        "error": "RuntimeError: not this time",
        "age": lines[0]["age"],
        "unix": 1e9,
    }
    assert lines[1]["payload"].startswith("<object object")
    assert len(queue.graveyard) == len(queue.graveyard.take()) == 2
    assert len(queue.graveyard) == len(queue.graveyard.take()) == 0
    assert settled(queue).buried == 2


def test_sticky_keys_stay_with_their_worker(form):
    seen = {}

    def handler(item):
        seen.setdefault(item.key, set()).add(item.worker)
        if item.tries == 1:
            raise RuntimeError("once more, from the same worker")

    async def scenario():
        async with form.queue(handler, ("a", "b", "c"), sticky=True, concurrency=2) as queue:
            for number in range(300):
                await queue.put(number, key=f"key {number % 30}")
            await queue.put(0, key="b")
            with pytest.raises(TypeError, match="key: must be text"):
                await queue.put(1)
        return queue

    queue = form.run(scenario)
    assert settled(queue).done == 301
    assert all(workers == {queue.worker_of(key)} for key, workers in seen.items())
    assert seen["b"] == {"b"}
    assert set().union(*seen.values()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"workers": {}}, ValueError, "workers: must not be empty"),
        ({"workers": {1: None}}, TypeError, "workers: names must be text, got 1"),
        ({"workers": {"a": object()}}, TypeError, "the pacer of 'a' must have acquire"),
        ({"maxsize": 0}, ValueError, "maxsize: must be at least 1, got 0"),
        ({"maxsize": 1.5}, TypeError, "maxsize: must be a whole number, got 1.5"),
        ({"maxsize": True}, TypeError, "maxsize: must be a whole number, got True"),
        ({"concurrency": 0}, ValueError, "concurrency: must be at least 1"),
        ({"max_tries": 0}, ValueError, "max_tries: must be at least 1"),
        ({"ttl": 0}, ValueError, "ttl: must be finite and above 0, got 0"),
        ({"ttl": math.nan}, ValueError, "ttl: must be finite and above 0, got nan"),
        ({"ttl": "1"}, TypeError, "ttl: must be seconds or None, got '1'"),
        ({"log_interval": -1}, ValueError, "log_interval: must be finite and above 0, got -1"),
        ({"backoff": 3}, TypeError, "backoff: must be a function"),
        ({"on_done": 3}, TypeError, "on_done: must be a plain function"),
        ({"on_bury": asyncio.sleep}, TypeError, "on_bury: must be a plain function"),
    ],
)
def test_options_that_are_none_are_refused(form, options, error, words):
    make = ThreadDispatchQueue if hasattr(form, "clock") else DispatchQueue
    with pytest.raises(error, match=words):
        make(Fails(), **{"workers": {"a": None}, **options})


class Managers:
    """Pacers of all sorts, good and bad."""

    class Plain:
        @contextlib.contextmanager
        def acquire(self):
            yield

    class Async:
        @contextlib.asynccontextmanager
        async def acquire(self):
            yield

    class Object:
        def acquire(self, timeout_ms=0):
            return contextlib.nullcontext()

    class Coroutine:
        async def acquire(self):
            return True

    class Generator:
        def acquire(self):
            yield

    class AsyncGenerator:
        async def acquire(self):
            yield

    class NeedsKey:
        def acquire(self, key):
            return contextlib.nullcontext()


BAD_FOR_BOTH = [
    (object(), "must have acquire"),
    (5, "must have acquire"),
    (Managers.Object, "must be an object and no class"),
    (pacing.RateLimiter, "must be an object and no class"),
    (Managers.Coroutine(), "must have an acquire.. that returns"),
    (Managers.Generator(), "must have an acquire.. under contextlib"),
    (Managers.AsyncGenerator(), "must have an acquire.. under contextlib"),
    (Managers.NeedsKey(), "must have an acquire.. that needs no arguments"),
    (Limiter(Rate(1, per=1)), "must have an acquire.. that needs no arguments"),
    (asyncio.Semaphore(), "must have an acquire.. that returns"),
    (threading.Lock(), "must have an acquire.. that returns"),
    (threading.RLock(), "must have an acquire.. that returns"),
    (threading.Semaphore(), "must have an acquire.. that returns"),
]


@pytest.mark.parametrize(("pacer", "words"), BAD_FOR_BOTH, ids=lambda value: f"{value!r:.40}")
def test_a_pacer_that_cannot_pace_is_refused_by_the_name_of_its_worker(pacer, words):
    for make in (DispatchQueue, ThreadDispatchQueue):
        with pytest.raises(TypeError, match=f"workers: the pacer of 'key-b' {words}"):
            make(Fails(), {"key-a": None, "key-b": pacer}, max_tries=1)


def test_a_pacer_of_the_other_form_is_refused():
    good = {
        DispatchQueue: [Managers.Async(), Managers.Object(), pacing.RateLimiter(1)],
        ThreadDispatchQueue: [Managers.Plain(), Managers.Object(), pacing.ThreadSafeRateLimiter(1)],
    }
    bad = {
        DispatchQueue: [
            (Managers.Plain(), "have an acquire.. that returns an async context manager"),
            (pacing.ThreadSafeRateLimiter(1), "be a tollbar.pacing.RateLimiter in this form"),
        ],
        ThreadDispatchQueue: [
            (Managers.Async(), "have an acquire.. that returns a context manager"),
            (pacing.RateLimiter(1), "be a tollbar.pacing.ThreadSafeRateLimiter in this form"),
        ],
    }
    for make in (DispatchQueue, ThreadDispatchQueue):
        for pacer in good[make]:
            assert make(Fails(), {"a": pacer}, max_tries=1).stats().accepted == 0
        for pacer, rule in bad[make]:
            with pytest.raises(TypeError, match=f"the pacer of 'a' must {rule}"):
                make(Fails(), {"a": pacer}, max_tries=1)


def test_a_429_whose_header_is_text_is_a_429(form):
    def handler(item):
        raise Rejected("429", retry_after=item.payload)

    async def scenario():
        async with form.queue(handler, max_tries=1) as queue:
            for said in ("20", "soon", None):
                await queue.put(said)
        return queue

    queue = form.run(scenario)
    errors = [burial.item.error for burial in queue.graveyard]
    assert [type(error) for error in errors] == [Rejected] * 3
    assert [error.retry_after for error in errors] == [20, None, None]
    assert settled(queue).buried == 3


def test_arguments_that_are_none_are_refused_and_accept_nothing(form):
    async def scenario():
        queue = form.queue(Fails())
        with pytest.raises(ValueError, match="ttl: must be finite"):
            await queue.put(1, ttl=-1)
        with pytest.raises(ValueError, match="timeout: must be finite and at least 0"):
            await queue.stop(timeout=-1)
        queue.put_nowait(1)
        assert queue.stats().accepted == 1

    form.run(scenario)
    for wrong in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="after: must be a finite number"):
            Retry(after=wrong)
        with pytest.raises(ValueError, match="initial: must be a finite number"):
            full_jitter(initial=wrong)


def test_without_tenacity_the_error_names_the_extra(form, monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(ImportError, match=r"pip install 'tollbar\[dispatch\]'"):
        form.queue(Fails())
    form.queue(Fails(), max_tries=1)
    form.queue(Fails(), backoff=lambda _tries, _random: 0.0)


def test_statistics_tell_rates_and_latencies(form):
    times = iter([1.0, 2.0, 3.0, 4.0])

    async def scenario():
        queue = form.queue(lambda _item: form.advance(next(times)))
        for number in range(4):
            await queue.put(number)
        before = queue.stats()
        async with queue:
            pass
        form.advance(1000.0)
        return queue, before

    queue, before = form.run(scenario)
    assert (before.main, before.workers, before.throughput) == (4, 0, 0.0)
    assert math.isnan(before.latency.p50)
    stats = settled(queue)
    assert (stats.latency.p50, stats.latency.p90, stats.latency.p99) == (3.0, 10.0, 10.0)
    assert (stats.seconds, stats.throughput) == (10.0, 0.4)
    assert stats.workers == 0


def test_a_log_line_tells_sizes_rates_and_latencies(form, caplog):
    words = "waiting 0, dead letters 0, in flight 0, graveyard 0; accepted 0.0/s, done 0.0/s, retried 0.0/s"
    # Among threads the log line's own time may jump while an item waits for its second try.
    latency = r"latency 100/100/100 ms" if isinstance(form, AsyncForm) else r"latency (\d+)/(\d+)/(\d+) ms"

    async def scenario():
        queue = form.queue(Fails(times=1), random=Highest(), log_interval=5.0)
        await queue.put("a")
        await queue.put("b")
        with caplog.at_level(logging.INFO, "tollbar.dispatch"):
            async with queue:
                # However many lines come before both are done, the third after that tells nothing new.
                await form.until(lambda: queue.stats().done == 2)
                lines = len(caplog.messages)
                await form.until(lambda: len(caplog.messages) >= lines + 3)

    form.run(scenario)
    lines = [line for line in caplog.messages if line.startswith(words)]
    assert any(re.search(latency, line) for line in lines), caplog.messages
