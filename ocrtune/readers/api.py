"""Read with a vision-language model behind any OpenAI-compatible server."""

import base64
import mimetypes
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from ocrtune.params.teachers import Api
from ocrtune.reading import Page, Reading

FAILURES_IN_A_ROW = 10
NO_KEY = "none"  # servers of one's own ask for none, the client insists on one


class ApiReader:
    """A model behind `/v1/chat/completions`. The key comes from the environment and goes nowhere else."""

    def __init__(self, profile: Api):
        self.profile = profile
        self.identity = {
            "type": "api", "model": profile.model_name, "system": profile.system, "user": profile.user,
            "temperature": profile.generation.temperature, "max_tokens": profile.generation.max_tokens,
        }

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Ask for up to `concurrent_requests` pages at a time; retries and Retry-After are the client's.

        After ten failures in a row no further page is asked for; those in flight are still waited for and yielded.
        """
        from openai import OpenAI

        request = self.profile.request
        key = os.environ.get(self.profile.api_key_env) or NO_KEY
        client = OpenAI(base_url=self.profile.base_url, api_key=key, timeout=request.timeout, max_retries=request.max_retries)
        waiting, failures, broken = iter(pages), 0, ""
        with ThreadPoolExecutor(request.concurrent_requests) as pool:
            running = {}
            while True:
                while not broken and len(running) < request.concurrent_requests and (page := next(waiting, None)):
                    running[pool.submit(self.ask, client, page)] = page
                if broken and not running:
                    raise ValueError(f"{self.profile.base_url}: {FAILURES_IN_A_ROW} failures in a row, the last: {broken}. "
                                     "What was read is kept; mend the server or the profile and run again")
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    page, (reading, problem) = running.pop(future), future.result()
                    failures = failures + 1 if problem else 0
                    if problem:
                        print(f"{page.page_id}: not read: {problem}", flush=True)
                    if failures >= FAILURES_IN_A_ROW:
                        broken = problem
                    yield page, reading

    def ask(self, client, page: Page) -> tuple[Reading, str]:
        """Return the reading of one page, and what went wrong (empty: nothing)."""
        from openai import OpenAIError

        kind = mimetypes.guess_type(page.image.name)[0] or "image/png"
        messages = [{"role": "system", "content": self.profile.system}] if self.profile.system else []
        try:
            address = f"data:{kind};base64,{base64.b64encode(page.image.read_bytes()).decode()}"
            messages.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}},
                                                         {"type": "text", "text": self.profile.user}]})
            answer = client.chat.completions.create(
                model=self.profile.model_name, messages=messages,
                temperature=self.profile.generation.temperature, max_tokens=self.profile.generation.max_tokens,
            )
            choice = answer.choices[0]
            text = choice.message.content or ""
            if not isinstance(text, str):
                raise TypeError(f"the answer is no text but {text!r}")
            return Reading(text, choice.finish_reason or "stop"), ""
        except (OpenAIError, AttributeError, IndexError, TypeError, ValueError, OSError) as error:
            problem = str(error).replace(client.api_key, "(key)") if client.api_key != NO_KEY else str(error)
            return Reading("", "error"), f"{type(error).__name__}: {problem[:200]}"
