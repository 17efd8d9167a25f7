"""However requests are cut, chunked and pipelined, the engine gets exactly them, and the client exactly the answers."""

import asyncio
import random
from dataclasses import dataclass
from itertools import pairwise

from inferry.gateway.chunks import ChunkWalker
from support.wire import Client, Wire, turns

VARIATIONS = 30_000
MOST_PIPELINED = 4
SPELLINGS = (b"Content-Length", b"content-length", b"CONTENT-LENGTH")


@dataclass(frozen=True)
class Asked:
    wire: bytes
    body: bytes


async def test_no_request_and_no_answer_differs_from_what_was_sent() -> None:
    chance = random.Random(20261120)
    done = 0
    async with asyncio.TaskGroup() as tasks:
        wire = Wire(tasks)
        client = wire.client()
        while done < VARIATIONS:
            asked = [make_request(chance, done + number) for number in range(chance.randint(1, MOST_PIPELINED))]
            answers = [make_answer(chance, done + number) for number in range(len(asked))]
            await run(wire, client, chance, asked, answers)
            done += len(asked)
        assert wire.in_flight() == 0
        assert wire.worker.buffered_bytes == 0
        client.transport.lose()


async def run(
    wire: Wire, client: Client, chance: random.Random, asked: list[Asked], answers: list[tuple[bytes, bytes]]
) -> None:
    for piece in cut(chance, b"".join(each.wire for each in asked)):
        client.send(piece)
    for each, (answer, _) in zip(asked, answers, strict=True):
        await turns(1)
        if not wire.engines or not wire.engines[-1].connection.usable:
            await turns()
        engine = wire.engines[-1]
        got = engine.transport.take()
        head, _, body = got.partition(b"\r\n\r\n")
        assert body == each.body
        assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
        for piece in cut(chance, answer):
            engine.answer(piece)
    received = client.transport.take()
    for _, body in answers:
        answer_body, received = read_answer(received)
        assert answer_body == body
    assert received == b""


def make_request(chance: random.Random, number: int) -> Asked:
    filler = chance.choice(["", "x" * chance.randint(1, 300), "\\r\\n\\r\\nPOST / HTTP/1.1", '\\"model\\"'])
    body = f'{{"model":"m","n":{number},"text":"{filler}"}}'.encode()
    headers = [b"Host: gateway", *(b"X-%d: %d" % (n, n) for n in range(chance.randint(0, 4)))]
    chunked = chance.random() < 0.4
    headers.append(b"Transfer-Encoding: chunked" if chunked else b"%b: %d" % (chance.choice(SPELLINGS), len(body)))
    chance.shuffle(headers)
    lead = b"\r\n" * chance.choice([0, 0, 0, 1, 2])
    head = lead + b"POST /v1/chat/completions HTTP/1.1\r\n" + b"\r\n".join(headers) + b"\r\n\r\n"
    return Asked(head + (in_chunks(chance, body) if chunked else body), body)


def make_answer(chance: random.Random, number: int) -> tuple[bytes, bytes]:
    """What the engine sends, and the body that must come out."""
    body = b"answer %d " % number + b"\r\n0\r\n\r\n" * chance.randint(0, 3)
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * chance.choice([0, 0, 0, 1])
    head = interim + b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
    if chance.random() < 0.5:
        return head + b"content-length: %d\r\n\r\n" % len(body) + body, body
    return head + b"transfer-encoding: chunked\r\n\r\n" + in_chunks(chance, body), body


def in_chunks(chance: random.Random, body: bytes) -> bytes:
    pieces = cut(chance, body)
    size = chance.choice([b"%x\r\n%b\r\n", b"%X\r\n%b\r\n", b"0%x\r\n%b\r\n"])
    return b"".join(size % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    places = sorted({0, len(data), *(chance.randint(0, len(data)) for _ in range(chance.choice([0, 0, 1, 2, 8])))})
    return [data[start:end] for start, end in pairwise(places)]


def read_answer(data: bytes) -> tuple[bytes, bytes]:
    head, _, rest = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        walker = ChunkWalker(collect=True)
        walker.feed(rest)
        assert walker.done
        return walker.take_payload(), walker.surplus
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return rest[:length], rest[length:]
