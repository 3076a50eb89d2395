"""Read documents with any reader: the fine-tuned student, another model, an OCR engine, a server.

    python -m tools.infer scan.pdf
    python -m tools.infer --pdf my_documents --reader api --task document --output texts
    python -m tools.infer --base_url http://localhost:8000/v1 --model some-model --image_path page.png --prompt "Read this."

Whatever was read is in the store: a run that was stopped goes on where it was.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

CONSOLE = Path("-")
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"  # pages a second however slow, and time left
FREE = "--prompt"  # the name of a task given in words


@dataclass
class Job:
    """What a call asks for: sources with the media types wanted there, who reads them and on what words, and what is written."""

    paths: list[tuple[Path, str]]
    title: str
    profile: Any
    users: dict[str, dict[str, str]]
    words: str
    postprocessing: str
    output: Path
    form: str
    keep_images: bool
    executor: str
    budget: Any

    def open_reader(self):
        """Return the reader, here or spread over a cluster."""
        from ocrtune.machines.spreading import spread
        from ocrtune.params.teachers import Local
        from ocrtune.readers.open import open_reader

        return spread(open_reader(self.profile, self.users), self.executor, has_model=isinstance(self.profile, Local))


def list_prompts(users: dict[str, dict], title: str, own: dict[str, str]) -> None:
    """Print the tasks that a reader can be asked for, its own ones first."""
    print(f"tasks of {title}:" + ("" if own else " none, it is no model that could be asked"))
    for name, words in own.items():
        print(f"  {name} (the model's own): {words or '(no words: the image is enough)'}")
    print("tasks in params.yaml, for any model:")
    for name, prompt in users.items():
        print(f"  {name}: {prompt['user']}" + (f"\n    system: {prompt['system']}" if prompt.get("system") else ""))


def name_sources(any_kind: list[Path], images: list[Path], pdfs: list[Path]) -> list[tuple[Path, str]]:
    """Return the sources, each with the beginning of the media types wanted there; none is a ValueError."""
    paths = [(path, wanted) for group, wanted in ((any_kind, ""), (images, "image/"), (pdfs, "application/pdf")) for path in group]
    if not paths:
        raise ValueError("nothing to read: name PDFs, images or folders of them (see --help)")
    return paths


def check_output(output: Path) -> None:
    """Raise ValueError where no folder can be made of the output's name."""
    place = next(path for path in (output, *output.parents, Path()) if path.exists())
    if output != CONSOLE and not place.is_dir():
        raise ValueError(f"--output {output}: {place} is a file; name a folder")


def transcribe(job: Job, documents: list, outcome, params, files, folder: Path) -> None:
    """Read the documents, write each as it gets done, and fill `outcome`."""
    from tqdm import tqdm

    from ocrtune.infer.transcription import Transcription
    from ocrtune.machines.workers import open_workers
    from ocrtune.pages.plan import plan_pages
    from ocrtune.store.budget import Account
    from ocrtune.store.store import open_store

    def take(transcript) -> None:
        outcome.add(transcript, job.postprocessing)
        if not transcript.is_empty:
            files.write(transcript)

    reader, store = job.open_reader(), open_store()
    store.refresh()
    account = Account(job.budget, reader, store)
    with open_workers(job.executor, params.workers, 2 * len(documents)) as workers:
        planned, lost = plan_pages(documents, params, workers)
        outcome.refused += lost
        num_pages = sum(plan.num_pages for plan in planned)
        print(f"infer: {len(planned)} documents, {num_pages} pages", file=sys.stderr)
        if params.unit == "page" and (estimate := account.estimate(num_pages)):  # of lines nobody knows yet how many there are
            print(f"  {estimate}; less for those in the store", file=sys.stderr)
        with tqdm(total=num_pages, desc="infer", unit=" pages", mininterval=1, bar_format=BAR) as progress:
            run = Transcription(planned, folder, job.keep_images, take, progress.update)
            try:
                run.run(reader, store, workers, params, account)
            finally:
                outcome.refused += run.refused
                files.finish()
                outcome.spent = account.summary() if any(account.tokens) else ""


def infer(job: Job, params) -> int:
    """Do what is asked for and return the exit status: 1 where anything could not be read."""
    import signal
    from contextlib import redirect_stdout
    from tempfile import TemporaryDirectory

    from ocrtune.infer.files import TranscriptFiles
    from ocrtune.infer.outcome import Outcome
    from ocrtune.pages.source_files import find_documents

    to_console = job.output == CONSOLE
    documents, refused = find_documents(job.paths, None if to_console else job.output)
    files = TranscriptFiles(job.output, job.form, job.postprocessing, job.words, sys.stdout if to_console else None)
    outcome = Outcome(refused)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and leaves nothing behind
    try:
        if documents:
            print(f"infer: reader {job.title}, {params.unit} by {params.unit}", file=sys.stderr)
            shared = Path.cwd() if job.executor == "ray" else None  # this machine's own /tmp is nothing that others see
            with TemporaryDirectory(prefix=".ocrtune-", dir=shared) as scratch, redirect_stdout(sys.stderr):  # to stdout go texts alone
                folder = job.output / "images" if job.keep_images else Path(scratch)
                transcribe(job, documents, outcome, params, files, folder)
    except KeyboardInterrupt:
        print("\ninfer: stopped. Whole documents are written, what was read is kept: the same command goes on from there", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
        outcome.report(files.num_left_out, None if to_console else job.output)
    return 1 if refused else 0


def main(
    sources: Annotated[list[Path] | None, typer.Argument(help="PDFs, images, or folders of them")] = None,
    images: Annotated[list[Path] | None, typer.Option(help="an image or a folder of images; {name}_p{page} are pages of one text")] = None,
    pdf: Annotated[list[Path] | None, typer.Option(help="a PDF or a folder of PDFs")] = None,
    image_path: Annotated[Path | None, typer.Option("--image_path", "--image-path", help="one image, its text to stdout")] = None,
    output: Annotated[Path | None, typer.Option(help="folder to write to; - for stdout", show_default="output")] = None,
    form: Annotated[Literal["md", "jsonl", "json"], typer.Option("--format", help="md: a file a document; jsonl: training rows, "
                                                                 "with their images; json: one array of pages")] = "md",
    save_images: Annotated[bool, typer.Option("--save-images", help="keep the images that were read, in the output's images/")] = False,
    reader: Annotated[str | None, typer.Option(help="a name in evaluate.readers, teachers or students of params.yaml; "
                                               "none: models/merged, or the student as it came")] = None,
    model: Annotated[str | None, typer.Option(help="a student's folder; with --base_url the model's name on the server")] = None,
    base_url: Annotated[str | None, typer.Option("--base_url", "--base-url", help="an OpenAI-compatible server; the key stands in "
                                                 "OPENAI_API_KEY")] = None,
    task: Annotated[str | None, typer.Option(help="what the model is asked for, see --list-prompts")] = None,
    prompt: Annotated[str | None, typer.Option(help="what the model is asked for, in words of your own")] = None,
    processing: Annotated[str | None, typer.Option("--postprocess", help="default, deepseek-ocr or deepseek-document", show_default="the "
                                                   "profile's")] = None,
    unit: Annotated[Literal["page", "block", "line"] | None, typer.Option(help="what the reader gets to see at a time", show_default="what "
                                                                          "it was made for")] = None,
    dpi: Annotated[int | None, typer.Option(help="resolution of rendered PDF pages", min=36, max=1200,
                                            show_default="pdf2img.dpi: 200")] = None,
    start_page: Annotated[int, typer.Option("--start-page", "--start_page", help="first page, from 1", min=1)] = 1,
    end_page: Annotated[int | None, typer.Option("--end-page", "--end_page", help="last page", show_default="all", min=1)] = None,
    max_pages: Annotated[int | None, typer.Option("--max-pages", "--max_pages", help="stop when the reader was asked for so many pages, "
                                                  "or lines where it reads lines; what is in the store is free", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", "--max_tokens", help="stop before prompts and answers take more "
                                                   "tokens", min=0)] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", "--max_cost", help="stop before it costs more, in the currency of the "
                                                   "profile's prices", min=0)] = None,
    config: Annotated[Path, typer.Option(help="file of readers, prompts and settings")] = Path("params.yaml"),
    show_prompts: Annotated[bool, typer.Option("--list-prompts", help="list the tasks and exit")] = False,
) -> None:
    """Read documents with any reader."""
    from ocrtune.infer.named_readers import ask_for, choose_profile, own_prompts, usual_unit
    from ocrtune.params.load import load_section, read_params, report_errors
    from ocrtune.params.pdf2img import Pdf2imgParams
    from ocrtune.readers.postprocess import postprocess
    from ocrtune.store.budget import Budget

    with report_errors():
        values = read_params(config)
        settings = load_section("pdf2img", Pdf2imgParams, values)
        users = values["prompts"] | ({FREE: {"user": prompt}} if prompt else {})
        if task and prompt:
            raise ValueError("give --task or --prompt, not both")
        pictures = [*(images or ()), *([image_path] if image_path else ())]
        paths = [] if show_prompts else name_sources(sources or [], pictures, pdf or [])
        title, profile = choose_profile(values, reader, model, base_url)
        if show_prompts:
            list_prompts(values["prompts"], title, own_prompts(profile))
            return
        profile, words = ask_for(profile, FREE if prompt else task, users)
        postprocess(processing or profile.postprocess, "")  # an unknown name is told now
        output = output or (CONSOLE if image_path else Path("output"))
        if output == CONSOLE and (form != "md" or save_images):
            raise ValueError("--output -: text alone goes to stdout; name a folder for rows and images")
        check_output(output)
        asked = {"dpi": dpi or settings.dpi, "start_page": start_page, "end_page": end_page, "unit": unit or usual_unit(profile)}
        job = Job(paths, title, profile, users, words.user, processing or profile.postprocess, output, form, save_images or form == "jsonl",
                  values["executor"], Budget(max_pages, max_tokens, max_cost))
        raise SystemExit(infer(job, settings.model_copy(update=asked)))


if __name__ == "__main__":
    typer.run(main)
