"""The OpenAI Python client against a gateway process: what an application sees."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI

from support.fake_engine import Call, FakeEngine, chat_answer, chat_event
from support.gateway import Gateway, endpoint, served

STREAMS = 200
EVENTS = 20


async def engine_script(call: Call) -> None:
    asked = call.request.json
    if call.request.target == "/v1/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        await call.send_json({"object": "list", "data": data, "model": "m", "usage": usage})
    elif call.request.target == "/v1/completions":
        choice = {"index": 0, "text": f"after {asked['prompt']}", "finish_reason": "stop", "logprobs": None}
        await call.send_json({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]})
    elif asked.get("stream"):
        await stream(call, said(asked))
    else:
        await call.send_json(chat_answer(said(asked)))


async def stream(call: Call, text: str) -> None:
    await call.begin_stream()
    for number in range(EVENTS):
        await call.send_chunk(chat_event(f"{text}-{number} "))
    await call.send_chunk(b"data: [DONE]\n\n")
    await call.end_stream()


def said(asked: dict[str, object]) -> str:
    messages = asked["messages"]
    assert isinstance(messages, list)
    text = messages[-1]["content"]
    assert isinstance(text, str)
    return text


@asynccontextmanager
async def application(folder: Path) -> AsyncIterator[AsyncOpenAI]:
    loading = served(names=("loading",), reason="Downloading", message="Downloading the model, 40 %.")
    async with FakeEngine(engine_script) as engine:
        chat_only = served(endpoint(engine.port, "other"), names=("chat-only",), routes=("/v1/chat/completions",))
        every = served(endpoint(engine.port), names=("m", "org/m:tag"))
        async with (
            Gateway(folder, every, loading, chat_only) as gateway,
            AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client,
        ):
            yield client


async def test_chat_completions_embeddings_and_models(tmp_path: Path) -> None:
    async with application(tmp_path) as client:
        chat = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
        assert chat.choices[0].message.content == "hello"
        completion = await client.completions.create(model="org/m:tag", prompt="one")
        assert completion.choices[0].text == "after one"
        embedding = await client.embeddings.create(model="m", input="x", encoding_format="float")
        assert embedding.data[0].embedding == [0.5, -1.0]
        listed = [model.id async for model in client.models.list()]
        assert listed == ["m", "org/m:tag", "loading", "chat-only"]
        assert (await client.models.retrieve("org/m:tag")).id == "org/m:tag"


async def test_two_hundred_streams_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    async def one(client: AsyncOpenAI, number: int) -> str:
        events = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": f"stream {number}"}], stream=True
        )
        return "".join([event.choices[0].delta.content or "" async for event in events])

    async with application(tmp_path) as client:
        texts = await asyncio.gather(*(one(client, number) for number in range(STREAMS)))
    assert texts == ["".join(f"stream {number}-{event} " for event in range(EVENTS)) for number in range(STREAMS)]


async def test_errors_arrive_as_the_client_s_own_exceptions(tmp_path: Path) -> None:
    async with application(tmp_path) as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="orgm", messages=[])
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        assert "org/m:tag" in unknown.value.message
        assert unknown.value.response.headers["x-request-id"] == unknown.value.request_id

        with pytest.raises(openai.NotFoundError) as lacking:
            await client.embeddings.create(model="chat-only", input="x")
        assert lacking.value.code == "endpoint_not_supported_by_model"

        with pytest.raises(openai.InternalServerError) as loading:
            await client.chat.completions.create(model="loading", messages=[])
        assert (loading.value.status_code, loading.value.code) == (503, "model_starting")
        assert "Downloading the model, 40 %." in loading.value.message
        assert loading.value.response.headers["retry-after"] == "3"

        with pytest.raises(openai.NotFoundError) as missing:
            await client.models.retrieve("no/such")
        assert missing.value.code == "model_not_found"

        with pytest.raises(openai.BadRequestError) as bad:
            await client.post("/chat/completions", cast_to=object, body={"messages": []})
        assert bad.value.param == "model"

        with pytest.raises(openai.NotFoundError) as path:
            await client.post("/sleep", cast_to=object, body={"model": "m"})
        assert path.value.code == "unknown_url"


async def test_an_engine_s_refusal_keeps_its_status_and_words(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send_json({"error": {"message": "too long", "type": "x", "code": 400}}, "400 Bad Request")

    async with (
        FakeEngine(script) as engine,
        Gateway(tmp_path, served(endpoint(engine.port))) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="too long"):
            await client.chat.completions.create(model="m", messages=[], stream=True)


async def test_a_stream_that_breaks_is_an_error_and_not_a_short_answer(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.begin_stream()
        await call.send_chunk(chat_event("half"))
        call.cut()

    async with (
        FakeEngine(script) as engine,
        Gateway(tmp_path, served(endpoint(engine.port))) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client,
    ):
        events = await client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError) as broken:
            async for _ in events:
                pass
        assert broken.value.code == "upstream_disconnected"


async def test_a_model_that_becomes_ready_answers(tmp_path: Path) -> None:
    starting = served(reason="Loading", message="Loading the model.")
    async with (
        FakeEngine(engine_script) as engine,
        Gateway(tmp_path, starting) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="m", messages=[])
        await gateway.publish(served(endpoint(engine.port)))
        chat = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert chat.choices[0].message.content == "hi"
