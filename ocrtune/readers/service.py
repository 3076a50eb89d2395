"""Read with an OCR service of its own shape: upload an image as a form, find the text in the JSON that comes back."""

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator

from ocrtune.params.json_path import find_values, parse_path
from ocrtune.params.teachers import Service
from ocrtune.readers.chat_answer import MOST_BYTES, shown
from ocrtune.readers.crew import Send, read_together
from ocrtune.readers.keys import environment_headers
from ocrtune.readers.pools import open_clients
from ocrtune.readers.sent_image import prepare_image
from ocrtune.readers.trouble import Trouble, describe_error, hide, hide_keys, judge_status, shorten
from ocrtune.reading import Page, Reading


class ServiceReader:
    """A service that takes `multipart/form-data` (RFC 7578). Keys come from the environment and go into its headers alone."""

    def __init__(self, profile: Service):
        self.profile = profile
        self.identity = {
            "type": "service", "model": profile.model_name, "form": profile.form, "text_path": profile.text_path,
            "joiner": profile.joiner, "image": profile.image.model_dump(),
        }

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Upload up to `concurrent_requests` pages at a time; see `read_together`."""
        upload = Upload(self.profile)
        place = self.profile.url.partition("?")[0]  # what follows may be a key
        yield from read_together(pages, upload.read_page, self.profile.request, place, upload.close)


class Upload:
    """One run of requests."""

    def __init__(self, profile: Service):
        headers = environment_headers(profile.headers_env)
        self.profile, self.secrets = profile, list(headers.values())
        self.clients = open_clients(profile.request.concurrent_requests, headers)
        self.turns = itertools.cycle(self.clients)

    async def close(self) -> None:
        """Close all connections."""
        for client in self.clients:
            await client.aclose()

    async def read_page(self, page: Page, send: Send) -> Reading:
        """Return the reading of a page."""
        media_type, content = await asyncio.to_thread(prepare_image, page.image, self.profile.image)
        name = f"image.{media_type.removeprefix('image/')}"  # some look at it; ours is nobody's business
        return await send(lambda: self.ask({self.profile.file_field: (name, content, media_type)}))

    async def ask(self, files: dict) -> Reading:
        """Return the answer to one upload; whatever comes instead is a `Trouble` without secrets."""
        import httpx2

        timeout = self.profile.request.timeout
        try:
            async with asyncio.timeout(timeout):
                content = await self.receive(files)
            return Reading(hide_keys(find_text(content, self.profile.text_path, self.profile.joiner), self.secrets))
        except TimeoutError:
            raise Trouble(f"no answer within {timeout:g} s (request.timeout)", "again") from None
        except (Trouble, httpx2.RequestError, httpx2.InvalidURL, OSError) as error:
            trouble = error if isinstance(error, Trouble) else Trouble(describe_error(error), "again")
            problem = shorten(hide(str(trouble), self.secrets))
            if trouble.kind == "stop":
                problem += f"; check url and headers_env ({', '.join(self.profile.headers_env.values()) or 'none'})"
            raise Trouble(problem, trouble.kind, trouble.wait_s, trouble.status) from None

    async def receive(self, files: dict) -> bytes:
        """Send a form and return the body of the answer."""
        async with next(self.turns).stream("POST", self.profile.url, data=self.profile.form, files=files) as response:
            size, pieces = 0, []
            async for piece in response.aiter_bytes():
                size += len(piece)
                if size > MOST_BYTES:
                    raise Trouble(f"the answer is longer than {MOST_BYTES} bytes", "page")
                pieces.append(piece)
        if not response.is_success:
            raise judge_status(response.status_code, response.headers, b"".join(pieces))
        return b"".join(pieces)


def find_text(content: bytes, path: str, joiner: str) -> str:
    """Return the texts at `path` in a JSON answer, joined; null counts as no text."""
    if not path:
        return content.decode("utf-8", errors="replace")
    try:
        found = find_values(json.loads(content), parse_path(path))
    except (ValueError, RecursionError):
        raise Trouble(f"the answer is no JSON: {shown(content)}", "again") from None
    except LookupError as error:
        raise Trouble(f"text_path {path}: {error.args[0]}", "again") from None
    texts = ["" if value is None else str(value) if isinstance(value, int | float) else value for value in found]
    if not all(isinstance(text, str) for text in texts):
        raise Trouble(f"text_path {path}: no text but {shown(json.dumps(found).encode())}", "again")
    return joiner.join(texts)
