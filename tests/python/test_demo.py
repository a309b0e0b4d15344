"""The demo: its reference limiters limit right, its relay answers right, and a small run counts exactly."""

import argparse
import asyncio
import io
import logging
import math
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest

import tollbar
from tollbar import __main__ as command_line

for extra in command_line.DEMO_EXTRAS:
    pytest.importorskip(extra, reason=f"the demo's extras are not installed: {extra}")

from rich.console import Console  # noqa: E402

from tollbar.demo import references, relay, report, run, stall, summary  # noqa: E402
from tollbar.demo.contenders import CONTENDERS, GLOBAL_LOCK, NONE, TOLLBAR  # noqa: E402
from tollbar.demo.loopback import serving  # noqa: E402
from tollbar.demo.rounds import denial_log, play_round  # noqa: E402
from tollbar.demo.sink import running_sink  # noqa: E402
from tollbar.demo.traffic import Account, RateConfig, Traffic, plan_traffic, send_traffic  # noqa: E402

REFERENCES = [references.GlobalLockLimiter, references.AccountLockLimiter]
LIMITED = [contender for contender in CONTENDERS if contender.limits]


class WallClock:
    """Stands in for the references' `datetime`, and moves only when told."""

    def __init__(self, start):
        self.time = start

    def now(self, _zone):
        return self.time

    def advance(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def wall_clock(monkeypatch):
    clock = WallClock(references.datetime.now(references.timezone.utc))
    monkeypatch.setattr(references, "datetime", clock)
    return clock


async def admitted(limiter, email, times, account=None):
    """How many of so many requests pass."""
    passed = 0
    for _ in range(times):
        try:
            passed += await limiter.acquire(email, account)
        except (tollbar.RateLimitExceeded, references.LimitReachedError):  # noqa: PERF203
            continue
    return passed


def options(**changed):
    chosen = {"accounts": 6, "messages": 60, "limit": 12, "clients": 4, "rounds": 1, "seed": 1, "plot": None}
    return argparse.Namespace(**{**chosen, **changed})


@pytest.mark.parametrize("make", REFERENCES)
def test_a_reference_admits_its_limit_and_then_what_time_gives_back(make, wall_clock):
    async def scenario():
        limiter = make(5)
        first = await admitted(limiter, "a@example.org", 9)
        wall_clock.advance(719)
        early = await admitted(limiter, "a@example.org", 1)
        wall_clock.advance(1)
        due = await admitted(limiter, "a@example.org", 2)
        wall_clock.advance(36_000)
        full = await admitted(limiter, "a@example.org", 9)
        return first, early, due, full

    assert asyncio.run(scenario()) == (5, 0, 1, 5)


@pytest.mark.parametrize("make", REFERENCES)
def test_a_reference_reads_the_account_and_keeps_accounts_apart(make, wall_clock):
    own = Account("a@example.org", 2, RateConfig(2))
    default = Account("b@example.org", 5, None)

    async def scenario():
        limiter = make(5)
        return [await admitted(limiter, account.email, 9, account) for account in (own, default, own)]

    assert asyncio.run(scenario()) == [2, 5, 0]


@pytest.mark.parametrize("make", REFERENCES)
def test_a_reference_admits_exactly_its_limit_to_many_at_once(make, wall_clock):
    async def scenario():
        limiter = make(100)
        asked = [limiter.acquire("a@example.org") for _ in range(1000)]
        return Counter(type(answer) for answer in await asyncio.gather(*asked, return_exceptions=True))

    assert asyncio.run(scenario()) == {bool: 100, references.LimitReachedError: 900}


@pytest.mark.parametrize("make", REFERENCES)
def test_a_reference_raises_what_it_is_told_and_logs_a_line_per_denial(make, wall_clock, caplog):
    async def scenario():
        limiter = make(1, exception=KeyError)
        await limiter.acquire("a@example.org")
        for _ in range(3):
            with pytest.raises(KeyError, match="a@example.org"):
                await limiter.acquire("a@example.org")

    with caplog.at_level(logging.WARNING, references.logger.name):
        asyncio.run(scenario())
    assert len(caplog.records) == 3


@pytest.mark.parametrize("make", REFERENCES)
def test_a_reference_drops_its_oldest_bucket_when_full(make, wall_clock):
    async def scenario():
        limiter = make(5, 3)
        for email in ("a", "b", "c", "a", "d"):
            await limiter.acquire(email)
            wall_clock.advance(1)
        return set(limiter.buckets), set(limiter.bucket_created_at)

    assert asyncio.run(scenario()) == ({"b", "c", "d"}, {"b", "c", "d"})


def test_no_limiter_admits_everything():
    assert asyncio.run(admitted(references.NoLimiter(), "a@example.org", 50)) == 50


@pytest.mark.parametrize(
    ("retry_after", "told"),
    [
        (0.0, "try again in 1 second"),
        (1.0, "try again in 1 second"),
        (1.2, "try again in 2 seconds"),
        (359.0001, "try again in 360 seconds"),
        (math.inf, "trying again will not help"),
        (None, "try again later"),
    ],
)
def test_a_refusal_tells_when_to_retry(retry_after, told):
    reply = relay.refusal_reply(retry_after)
    assert reply.startswith("451 4.7.1 ")
    assert reply.endswith(told)


def send(contender, traffic, *, directory, default_limit=12, clients=4):
    async def scenario():
        with denial_log(directory / "denials.log") as log:
            async with running_sink() as sink:
                return await play_round(
                    contender,
                    traffic,
                    lambda: None,
                    default_limit=default_limit,
                    clients=clients,
                    sink=sink,
                    log=log,
                )

    return asyncio.run(scenario())


@pytest.mark.parametrize("contender", LIMITED, ids=lambda contender: contender.name)
def test_each_account_gets_exactly_its_due_end_to_end(contender, tmp_path):
    traffic = plan_traffic(6, 60, 12, seed=1)
    played = send(contender, traffic, directory=tmp_path)
    sent = traffic.sent()
    # The bound leaves room for a machine that takes minutes; on any other it is the limit itself.
    bounds = {
        account.email: summary.bound(account.limit, played.window_ns.get(account.email, 0))
        for account in traffic.accounts
    }
    for account in traffic.accounts:
        most = min(sent[account.email], bounds[account.email])
        assert min(sent[account.email], account.limit) <= played.admitted[account.email] <= most
    assert any(sent[account.email] > account.limit for account in traffic.accounts)
    assert any(0 < sent[account.email] < account.limit for account in traffic.accounts)
    assert played.admitted == played.received
    assert played.admitted + played.refused == +sent
    assert all(check.as_expected for check in summary.check_accounts(played, traffic))


def test_tollbar_tells_the_client_when_to_retry_and_logs_once_per_account(tmp_path):
    busy = Account("busy@example.org", 4, RateConfig(4))
    played = send(TOLLBAR, Traffic((busy,), (busy,) * 7), directory=tmp_path)
    assert (played.admitted.total(), played.refused.total()) == (4, 3)
    words = played.last_refusal[busy.email].split()
    assert words[:2] == ["451", "4.7.1"]
    assert words[-4:-2] == ["again", "in"]
    assert 0 < int(words[-2]) <= 900
    assert played.log_lines == 1
    assert "busy@example.org" in (tmp_path / "denials.log").read_text()


def test_an_account_that_may_not_send_is_told_so(tmp_path):
    barred = Account("barred@example.org", 0, RateConfig(0))
    played = send(TOLLBAR, Traffic((barred,), (barred,)), directory=tmp_path)
    assert played.last_refusal[barred.email] == relay.refusal_reply(math.inf)


def test_a_sender_the_relay_does_not_know_gets_the_default(tmp_path):
    known = Account("known@example.org", 50, RateConfig(50))
    stranger = Account("stranger@example.org", 3, RateConfig(50))
    played = send(TOLLBAR, Traffic((known,), (stranger,) * 5), default_limit=3, directory=tmp_path)
    assert played.admitted == {stranger.email: 3}


def test_the_references_log_into_the_same_file(tmp_path):
    busy = Account("busy@example.org", 4, RateConfig(4))
    played = send(GLOBAL_LOCK, Traffic((busy,), (busy,) * 7), directory=tmp_path)
    assert played.log_lines == 3
    assert played.last_refusal[busy.email] == relay.refusal_reply(None)


def test_a_failing_next_server_is_not_taken_for_the_limit():
    async def scenario():
        async with serving(object()) as port:
            closed = port
        account = Account("a@example.org", 5, None)
        upstream = relay.Upstream(closed)
        handler = relay.Relay(references.NoLimiter(), tollbar.RateLimitExceeded, {}, upstream)
        async with serving(handler) as port:
            await send_traffic(Traffic((account,), (account,)), port, 1, lambda: None)

    with pytest.raises(relay.aiosmtplib.SMTPDataError, match="4.4.1"):
        asyncio.run(scenario())


def test_traffic_is_the_same_for_the_same_seed_only():
    assert plan_traffic(20, 200, 100, 7) == plan_traffic(20, 200, 100, 7)
    assert plan_traffic(20, 200, 100, 7) != plan_traffic(20, 200, 100, 8)
    assert sum(plan_traffic(20, 200, 100, 7).sent().values()) == 200


@pytest.mark.parametrize(
    ("limit", "seconds", "most"), [(10, 0, 10), (10, 359.999, 10), (10, 360, 11), (100, 36, 101), (0, 9, 0)]
)
def test_the_bound_is_the_burst_and_the_whole_tokens_earned(limit, seconds, most):
    assert summary.bound(limit, round(seconds * 1e9)) == most


def test_percentiles():
    assert summary.percentile(range(1, 101), 0.5) == 50
    assert summary.percentile(range(1, 101), 0.99) == 99
    assert summary.percentile([7], 0.99) == 7
    assert summary.percentile([], 0.5) == 0


def test_stalls_are_measured_for_whoever_keeps_a_table(tmp_path):
    with denial_log(tmp_path / "denials.log"):
        measured = asyncio.run(stall.measure_stalls(CONTENDERS, 100, table_size=50, newcomers=10, repeats=1))
    assert set(measured) == {contender.name for contender in LIMITED}
    assert all(0 < one.median_ns <= one.largest_ns for one in measured.values())
    assert NONE.name not in measured


def test_the_demo_reports_and_plots(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "measure_stalls", small_stalls)
    picture = tmp_path / "demo.png"
    out = io.StringIO()
    results = run.run(options(plot=picture), Console(file=out, width=200))
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert [one.contender for one in results.summaries] == list(CONTENDERS)
    for one in results.summaries:
        assert one.counts_agree
        assert one.admitted + one.refused == 60
        assert (one.off == []) == one.contender.limits
    printed = out.getvalue()
    assert "With tollbar every account got exactly its due in all 6 checks." in printed
    assert "One round only" in printed


async def small_stalls(contenders, limit):
    return await stall.measure_stalls(contenders, limit, table_size=50, newcomers=10, repeats=1)


def test_the_report_lists_an_account_that_is_off(tmp_path):
    busy = Account("busy@example.org", 4, RateConfig(4))
    traffic = Traffic((busy,), (busy,) * 7)
    played = [summary.summarise([send(NONE, traffic, directory=tmp_path)], traffic)]
    ours = [summary.summarise([send(TOLLBAR, traffic, directory=tmp_path)], traffic)]
    stalls = {TOLLBAR.name: stall.Stall(1.0, 1.0, 1.0, 1.0)}
    results = report.Results(played + ours, stalls, accounts=1, messages=7, clients=4, rounds=1)
    told = report.sentences(results)
    assert "With no limiter 1 of 1 checks are off, 1 over the bound." in told
    assert "  busy@example.org: limit 4, sent 7, admitted 7, bound 4" in told


def test_the_sink_ends_with_its_life():
    ended = subprocess.run(
        [sys.executable, "-m", "tollbar.demo.sink", "--life", "0.01"],
        stdin=subprocess.PIPE,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith(b'{"port": ')


def test_missing_extras_are_named_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "DEMO_EXTRAS", ("sys", "an_extra_that_is_missing"))
    assert command_line.main(["demo"]) == 2
    told = capsys.readouterr().err
    assert told == "The demo needs an_extra_that_is_missing: pip install 'tollbar[demo]'\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["demo", "--messages", "0"],
        ["demo", "--limit", "-1"],
        ["demo", "--clients", "many"],
        ["demo", "--plot", "no/such/directory/demo.png"],
    ],
)
def test_the_command_line_refuses_nonsense(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_and_version_import_no_extra():
    code = (
        "import sys, tollbar.__main__ as m\n"
        "try: m.main([sys.argv[1]])\n"
        "except SystemExit as e: code = e.code\n"
        "sys.exit(code or any(name in sys.modules for name in m.DEMO_EXTRAS))"
    )
    for argument in ("--help", "--version"):
        subprocess.run([sys.executable, "-c", code, argument], check=True, capture_output=True, timeout=60)
