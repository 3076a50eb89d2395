"""Let a model answer many questions at a time: those that wait together share a batch, and each gets its text as it is written."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

from ocrtune.models.vlm import encode_pages, end_tokens, prompt_text, repeat_guards
from ocrtune.params.students import StudentProfile
from ocrtune.serving.chat_protocol import Question, RequestError

GATHER_S = 0.01  # what the first question waits for others; a step of a small model takes as long
MOST_WAITING = 1024


@dataclass(eq=False)
class Asked:
    """A question on its way: pieces of text come out of `pieces`, at last the finish reason or an error."""

    question: Question
    pieces: SimpleQueue = field(default_factory=SimpleQueue)
    prompt_tokens: int = 0
    tokens: list[int] = field(default_factory=list)
    gone: bool = False  # nobody listens any more

    def listen(self) -> Iterator[str]:
        """Yield the text as it comes, then set `finish_reason`; a failure is a `RequestError`."""
        while True:
            kind, value = self.pieces.get()
            if kind == "error":
                raise RequestError(500, value)
            if kind == "end":
                self.finish_reason = value
                return
            yield value


class ServedModel:
    """A model with a queue before it, run by a thread of its own."""

    def __init__(self, model, processor, profile: StudentProfile):
        self.model, self.processor, self.profile = model, processor, profile
        self.ends = set(end_tokens(model))
        self.frame = self.ends | set(processor.tokenizer.all_special_ids)
        self.waiting: list[Asked] = []
        self.changed, self.closed = threading.Condition(), False
        self.num_batches = self.num_answers = 0
        self.thread = threading.Thread(target=self.work, name="model", daemon=True)
        self.thread.start()

    def ask(self, question: Question) -> Asked:
        """Put a question into the queue; a prompt that the model can't be given is a `RequestError` (400), a queue too long one (429)."""
        try:
            prompt_text(self.processor, question.prompt or self.profile.prompt)
        except ValueError as error:
            raise RequestError(400, str(error)) from None
        asked = Asked(question)
        with self.changed:
            if len(self.waiting) >= MOST_WAITING:
                raise RequestError(429, f"{len(self.waiting)} questions are waiting")
            self.waiting.append(asked)
            self.changed.notify()
        return asked

    def close(self) -> None:
        """Finish the batch at work, answer nothing more."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        self.thread.join()

    def work(self) -> None:
        while batch := self.next_batch():
            self.answer(batch)
        for asked in self.waiting:
            asked.pieces.put(("error", "the server is being stopped"))

    def next_batch(self) -> list[Asked]:
        """Return the question that waited longest and those that can share its batch, the most alike in shape first."""
        with self.changed:
            while not self.waiting and not self.closed:
                self.changed.wait()
            latest = time.monotonic() + GATHER_S
            while len(self.waiting) < self.profile.batch_size and not self.closed and (left := latest - time.monotonic()) > 0:
                self.changed.wait(left)
            self.waiting = [asked for asked in self.waiting if not asked.gone]
            if self.closed or not self.waiting:
                return [] if self.closed else self.next_batch()
            first = self.waiting[0]
            alike = [asked for asked in self.waiting if asked is first or (
                asked.question.prompt, asked.question.temperature) == (first.question.prompt, first.question.temperature)]
            alike.sort(key=lambda asked: abs(shape(asked) - shape(first)))
            batch = alike[: self.profile.batch_size]
            self.waiting = [asked for asked in self.waiting if asked not in batch]
            return batch

    def answer(self, batch: list[Asked]) -> None:
        """Answer all questions of a batch; where one breaks it, the others are answered one by one."""
        try:
            self.generate(batch)
        except Exception as error:  # whatever it was, the server goes on with the next batch
            fresh = [asked for asked in batch if not asked.tokens]
            for asked in batch if len(batch) == 1 else [asked for asked in batch if asked.tokens]:
                asked.pieces.put(("error", f"the model failed on this image: {type(error).__name__}: {error}"))
            for asked in fresh if len(batch) > 1 else []:
                self.answer([asked])

    def generate(self, batch: list[Asked]) -> None:
        """Write the answers of a batch, token by token, into the queues of those who asked."""
        import torch

        first = batch[0].question
        inputs = encode_pages(self.processor, [asked.question.image for asked in batch], first.prompt or self.profile.prompt)
        for asked, mask in zip(batch, inputs["attention_mask"], strict=True):
            asked.prompt_tokens = int(mask.sum())
        start = inputs["input_ids"].shape[1]
        written = [Written(self, asked) for asked in batch]

        def watch(tokens, scores, **ignored):
            """Hand out the newest token of each answer, and say which answers are done."""
            done = [row.take(token) for row, token in zip(written, tokens[:, -1].tolist(), strict=True)]
            return torch.tensor(done, device=tokens.device)

        sampling = {"do_sample": True, "temperature": first.temperature} if first.temperature else {"do_sample": False}
        with torch.inference_mode():
            self.model.generate(**inputs.to(self.model.device), **sampling, stopping_criteria=[watch],
                                max_new_tokens=max(asked.question.max_tokens for asked in batch),
                                logits_processor=repeat_guards(self.processor.tokenizer, self.profile, start))
        for row in written:
            row.finish("length")
        self.num_batches += 1
        self.num_answers += len(batch)


class Written:
    """An answer being written: tokens in, text out as soon as it is certain."""

    def __init__(self, served: ServedModel, asked: Asked):
        self.served, self.asked, self.done = served, asked, False
        self.content: list[int] = []  # tokens of text
        self.shown = self.open = 0  # text up to token `open` was handed out; decoding begins at `shown`, for blanks hang on what is before

    def take(self, token: int) -> bool:
        """Take the next token; return whether the answer is done."""
        if self.done:
            return True
        self.asked.tokens.append(token)
        if token not in self.served.frame:
            self.content.append(token)
            self.hand_out()
        if token in self.served.ends:
            self.finish("stop")
        elif len(self.asked.tokens) >= self.asked.question.max_tokens or self.asked.gone:
            self.finish("length")
        return self.done

    def hand_out(self, last: bool = False) -> None:
        """Hand out the text of new tokens, unless it ends within a character whose bytes are still to come."""
        decode = self.served.processor.tokenizer.decode
        before, now = decode(self.content[self.shown : self.open]), decode(self.content[self.shown :])
        if len(now) > len(before) and (last or not now.endswith("�")):
            self.asked.pieces.put(("text", now[len(before) :]))
            self.shown, self.open = self.open, len(self.content)

    def finish(self, reason: str) -> None:
        if not self.done:
            self.done = True
            self.hand_out(last=True)
            self.asked.pieces.put(("end", reason))


def shape(asked: Asked) -> float:
    return asked.question.image.width / asked.question.image.height
