"""A limited FastAPI route in a module whose annotations are text, with `Annotated` dependencies."""

from __future__ import annotations

import math
import warnings
from typing import Annotated

import pytest

from tollbar import AcquireTimeout, Limiter, ManualClock, Window

pytest.importorskip("httpx")
pytest.importorskip("fastapi")
with warnings.catch_warnings():
    # Newer releases want another client and say so.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse


def tenant(request: Request) -> str:
    return request.headers.get("x-tenant", "anonymous")


Tenant = Annotated[str, Depends(tenant)]


def application() -> FastAPI:
    app = FastAPI()
    limiter = Limiter(Window(2, per=60), clock=ManualClock())

    @app.get("/task")
    @limiter.limited(key=lambda who: f"task {who}", timeout=0)
    async def task(who: Tenant) -> dict[str, str]:
        return {"who": who}

    @app.get("/thread")
    @limiter.limited(key=lambda who: f"thread {who}", timeout=0)
    def thread(who: Tenant) -> dict[str, str]:
        return {"who": who}

    @limiter.limited(key=lambda who: f"stream {who}", timeout=0)
    async def words(who: str):
        yield '{"who":'
        yield f'"{who}"}}'

    @app.get("/stream")
    async def stream(who: Tenant) -> StreamingResponse:
        made = words(who)
        first = await anext(made)

        async def all_words():
            yield first
            async for word in made:
                yield word

        return StreamingResponse(all_words())

    @limiter.limited(key=lambda who: f"dependency {who}", timeout=0)
    async def budget(who: Tenant):
        yield

    @app.get("/dependency", dependencies=[Depends(budget)])
    async def dependency(who: Tenant) -> dict[str, str]:
        return {"who": who}

    @app.exception_handler(AcquireTimeout)
    async def late(request: Request, error: AcquireTimeout) -> JSONResponse:
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
        return JSONResponse({"error": str(error)}, 429, headers=headers)

    return app


@pytest.mark.parametrize("path", ["/task", "/thread", "/stream", "/dependency"])
def test_a_limited_route_answers_429(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = TestClient(application())
        answers = [client.get(path, headers={"x-tenant": "acme"}) for _ in range(3)]
        other = client.get(path, headers={"x-tenant": "other"})
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].json() == {"who": "acme"}
    assert answers[2].headers["retry-after"] == "60"
    assert other.json() == {"who": "other"}
