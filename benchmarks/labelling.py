"""Hold labelling to the rate that a server allows: fixed latency, so many places, and what one percent more of pages costs.

    python -m benchmarks.labelling --places 4 --places 32 --places 256

The server is a process of its own on loopback. Its latency grows with its places, so that it takes the same number of pages a
second at best: one with few places answers fast, one with many slowly, as they do. Beside ours, on the same server, goes the
plain way: a pool of threads with `openai`'s client, and a file for each answer.
"""

import asyncio
import base64
import contextlib
import io
import json
import math
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

TEXT = "\n".join(f"Line {number}: {math.sin(number):.6f} of the {number * 7919 % 1009} parts." for number in range(40))  # no loop in it
ANSWER = json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m",
                     "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
                     "usage": {"prompt_tokens": 1000, "completion_tokens": 400, "total_tokens": 1400}}).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


def serve(places: int, latency_s: float, report) -> None:
    """Answer each request after `latency_s` at one of so many places; those that find none wait."""

    async def answer(reader, writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                async with free:
                    await asyncio.sleep(latency_s)
                writer.write(RESPONSE)
                await writer.drain()

    async def run() -> None:
        nonlocal free
        free = asyncio.Semaphore(places)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**22, backlog=1024)
        report.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    free = None
    asyncio.run(run())


@contextlib.contextmanager
def running(places: int, latency_s: float):
    """Run a server while the context lasts, and give its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(places, latency_s, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def draw_page(path: Path) -> None:
    """Write a page of some 100 kB."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (330, 330), dtype=np.uint8)
    Image.fromarray(noise, "L").save(path)


def label(url: str, image: Path, count: int, places: int, folder: Path) -> tuple[float, float]:
    """Have `count` pages read by our reader into a store; return wall and CPU seconds."""
    from ocrtune.params.teachers import Api, ChatRequest
    from ocrtune.readers.open import open_reader
    from ocrtune.reading import Page
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import Store

    profile = Api(base_url=url, model_name="m", request=ChatRequest(concurrent_requests=places))
    pages = [Page(f"p{number}", image, f"{number:064x}") for number in range(count)]
    began, busy = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        readings = read_pages(open_reader(profile), pages, Store(folder), "benchmark")
    assert all(reading.text == TEXT for _, reading in readings.values())
    return time.perf_counter() - began, time.process_time() - busy


def label_plainly(url: str, image: Path, count: int, places: int, folder: Path) -> tuple[float, float]:
    """Do the same with a thread for each place."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none")

    def read(number: int) -> None:
        uri = f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()}"
        parts = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": "Extract all text from the image."}]
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}], max_tokens=4096)
        (folder / f"{number}.txt").write_text(answer.choices[0].message.content)

    folder.mkdir()
    began, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(places) as pool:
        list(pool.map(read, range(count)))
    return time.perf_counter() - began, time.process_time() - busy


def main(
    places: Annotated[list[int] | None, typer.Option(help="requests that the server takes at a time")] = None,
    pages: Annotated[int, typer.Option(help="pages of a full run")] = 2000,
    rate: Annotated[float, typer.Option(help="pages a second that the server allows")] = 60.0,
    plain: Annotated[bool, typer.Option(help="the plain way, too")] = True,
) -> None:
    """Print the share of the ideal rate that labelling holds, and what one percent more of pages costs."""
    print(f"{pages} pages, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory() as name:
        root, image = Path(name), Path(name) / "page.png"
        draw_page(image)
        with running(8, 0.0) as url:  # imports and connections are not what is measured
            label(url, image, 16, 8, root / "warm")
        for count in places or [4, 32, 256]:
            latency_s, more = count / rate, max(1, pages // 100)
            ideal = math.ceil(pages / count) * latency_s
            with running(count, latency_s) as url:
                seconds, busy = label(url, image, pages, count, root / f"ours{count}")
                added, _ = label(url, image, pages + more, count, root / f"ours{count}")
                alone = math.ceil(more / count) * latency_s
                print(f"{count:4} places, {latency_s:.2f} s each: {100 * ideal / seconds:.1f} % of the ideal {pages / ideal:.1f} pages/s, "
                      f"{1000 * busy / pages:.1f} ms of CPU a page; {more} pages more: {100 * added / seconds:.1f} % of the full run "
                      f"(the server alone: {100 * alone / seconds:.1f} %)", flush=True)
                if plain:
                    theirs, busy = label_plainly(url, image, pages, count, root / f"plain{count}")
                    print(f"     the plain way: {100 * ideal / theirs:.1f} %, {1000 * busy / pages:.1f} ms of CPU a page", flush=True)


if __name__ == "__main__":
    typer.run(main)
