"""Read with a vision-language model behind any OpenAI-compatible server."""

import asyncio
import base64
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ocrtune.params.teachers import Api
from ocrtune.readers.chat_answer import MOST_BYTES, StreamedAnswer, parse_answer
from ocrtune.readers.crew import Send, read_together
from ocrtune.readers.keys import environment_headers, environment_key
from ocrtune.readers.live_text import LiveText
from ocrtune.readers.pools import open_clients
from ocrtune.readers.prompts import Prompt
from ocrtune.readers.sent_image import is_blank, prepare_image
from ocrtune.readers.trouble import Trouble, describe_error, hide, hide_keys, judge_status, shorten
from ocrtune.reading import Page, Reading
from ocrtune.scoring.loops import find_loop

NO_KEY = "none"  # servers of one's own ask for none, the client insists on one
GRACE_S = 2.0  # for the end of a stream after its last word: a connection read to its end is used again
STREAM_LIMIT = 10  # times `timeout`: the longest that a stream may go on, however steadily


class ApiReader:
    """A model behind `/v1/chat/completions`. The key comes from the environment and goes nowhere else."""

    def __init__(self, profile: Api, prompt: Prompt):
        self.profile, self.prompt, self.prices = profile, prompt, profile.prices
        settings = profile.generation
        self.temperatures = [settings.temperature, *settings.retry_temperatures]
        self.attempts, self.max_completion = len(self.temperatures), settings.max_tokens  # a budget reckons with both
        self.identity = {
            "type": "api", "model": profile.model_name, "system": prompt.system, "user": prompt.user,
            "image": profile.image.model_dump(), **settings.model_dump(),
            **({"version": profile.model_version} if profile.model_version else {}),
        }

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Ask for up to `concurrent_requests` pages at a time; see `read_together`."""
        conversation = Conversation(self)
        yield from read_together(pages, conversation.read_page, self.profile.request, self.profile.base_url, conversation.close)


class Conversation:
    """One run of requests: client, key and what is shown."""

    def __init__(self, reader: ApiReader):
        from openai import AsyncOpenAI

        self.reader, self.profile = reader, reader.profile
        request = self.profile.request
        key = environment_key(self.profile.api_key_env)
        headers = environment_headers(self.profile.headers_env)
        self.secrets = [key, *headers.values()]
        self.clients = [
            AsyncOpenAI(base_url=self.profile.base_url, api_key=key or NO_KEY, default_headers=headers, max_retries=0, http_client=client)
            for client in open_clients(request.concurrent_requests)
        ]
        self.turns = itertools.cycle(self.clients)
        self.live = LiveText(request.concurrent_requests == 1) if request.stream else None

    async def close(self) -> None:
        """Close all connections."""
        for client in self.clients:
            await client.close()

    async def read_page(self, page: Page, send: Send) -> Reading:
        """Return the reading of a page: the first answer that is neither empty nor a loop, or the first that has any text."""
        media_type, content = await asyncio.to_thread(prepare_image, page.image, self.profile.image)
        image = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
        answers: list[Reading] = []
        for temperature in self.reader.temperatures:
            try:
                answer = await send(lambda now=temperature: self.ask(page.page_id, image, now))
            except Trouble as trouble:
                if trouble.kind == "page" and answers:  # a server that takes no other temperature
                    break
                raise
            answers.append(answer)
            if answer.text.strip() and not await asyncio.to_thread(find_loop, answer.text):
                return self.count_tokens(answer, answers)
            if not answer.text.strip() and await asyncio.to_thread(is_blank, page.image):
                break
        return self.count_tokens(next((answer for answer in answers if answer.text.strip()), answers[0]), answers)

    def count_tokens(self, answer: Reading, answers: list[Reading]) -> Reading:
        """Return an answer with the tokens of all attempts: that is what they cost."""
        counted = [each.tokens for each in answers if each.tokens]
        tokens = (sum(prompt for prompt, _ in counted), sum(completion for _, completion in counted)) if counted else None
        return replace(answer, text=hide_keys(answer.text, self.secrets), tokens=tokens)

    def body(self, image: str, temperature: float | None) -> dict:
        """Return the request for an image, a data URI."""
        prompt, settings = self.reader.prompt, self.profile.generation
        messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
        words = [{"type": "text", "text": prompt.user}] if prompt.user else []
        messages.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}, *words]})
        # What is extra goes as it is; the client would look into each message, which takes it longer than all else.
        body = {"model": self.profile.model_name, "messages": [], "extra_body": {"messages": messages, **settings.extra_body}}
        body |= {} if temperature is None else {"temperature": temperature}
        body |= {} if settings.max_tokens is None else {"max_tokens": settings.max_tokens}
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if self.live else {})

    async def ask(self, page_id: str, image: str, temperature: float | None) -> Reading:
        """Return the answer to one request; whatever comes instead is a `Trouble` without secrets."""
        timeout, note = self.profile.request.timeout, "called off"
        try:
            async with asyncio.timeout(timeout * STREAM_LIMIT if self.live else timeout):
                reading = await self.receive(page_id, self.body(image, temperature))
            note = ""
            return reading
        except TimeoutError:
            note = f"no answer within {timeout:g} s"
            raise Trouble(f"{note} (request.timeout)", "again") from None
        except Exception as error:
            trouble = await self.judge(error)
            note = shorten(hide(str(trouble), self.secrets))
            raise Trouble(note, trouble.kind, trouble.wait_s, trouble.status) from None
        finally:
            if self.live:
                self.live.end(page_id, note)

    async def receive(self, page_id: str, body: dict) -> Reading:
        """Send a request and return the answer, whole or piece by piece."""
        timeout, clock = self.profile.request.timeout, asyncio.get_running_loop().time
        streamed, whole, size = None, [], 0
        try:
            async with (asyncio.timeout(timeout) as patience,
                        next(self.turns).chat.completions.with_streaming_response.create(**body) as response):
                streamed = StreamedAnswer() if "text/event-stream" in response.headers.get("content-type", "") else None
                async for piece in response.iter_bytes():
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise Trouble(f"the answer is longer than {MOST_BYTES} bytes", "page")
                    if streamed is None:
                        whole.append(piece)
                        continue
                    if text := streamed.feed(piece):
                        patience.reschedule(clock() + timeout)
                        if self.live:
                            self.live.show(page_id, hide_keys(text, self.secrets))
                    if streamed.ended:
                        patience.reschedule(clock() + GRACE_S)
        except TimeoutError:
            if streamed is None or not streamed.ended:
                raise
        return streamed.finish() if streamed else parse_answer(b"".join(whole))

    async def judge(self, error: Exception) -> Trouble:
        """Return what an error of the client means, with the remedy where there is one; a bug of ours is raised again."""
        import httpx2
        from openai import APIStatusError, OpenAIError

        profile = self.profile
        if isinstance(error, APIStatusError):
            error = judge_status(error.status_code, error.response.headers, error.response.content)
        elif isinstance(error, OpenAIError | httpx2.RequestError | httpx2.InvalidURL | OSError):
            return Trouble(describe_error(error), "again")
        if not isinstance(error, Trouble):
            raise error
        if error.status == 401:
            known = "refuses the key in" if self.secrets[0] else "wants a key, and there is none in"
            return Trouble(f"the server {known} the environment variable {profile.api_key_env} ({error}); put a valid one there", "stop")
        if error.status == 404:
            names = await self.list_models()
            has = f"the server has: {', '.join(names)}; set model_name" if names else "is base_url right? As a rule it ends in /v1"
            return Trouble(f"no model {profile.model_name!r} there; {has} ({error})", "stop")
        return error

    async def list_models(self) -> list[str]:
        """Return the names of the models that the server tells of, a few at most."""
        from openai import OpenAIError

        try:
            async with asyncio.timeout(10):
                return [str(model.id) for model in (await self.clients[0].models.list()).data[:8]]
        except (OpenAIError, TimeoutError, AttributeError, TypeError, ValueError):
            return []
