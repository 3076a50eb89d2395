"""Fetch a student's weights on first use: from one commit, data alone, whole or not at all."""

import os
import shutil
from pathlib import Path

from ocrtune.params.students import StudentProfile
from ocrtune.workspace import main_root

SETTINGS = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*", "NOTICE*")
WEIGHTS = ("*.safetensors",)
CODE = ("*.py",)
SOURCE = "SOURCE"  # beside the weights: repository and commit that they came from
LAST = "config.json"  # its being there says that all is there


def fetch_student(folder: Path, profile: StudentProfile) -> None:
    """Fill `models/base/<name>` from the profile's repository where it has no model yet; a folder elsewhere is left alone.

    An experiment's own workspace takes the main workspace's files. What can't be fetched is a `ValueError` that says why.
    """
    if (folder / LAST).is_file() or folder.parent.name != "base":
        return
    kept = main_root() / "models" / "base" / folder.name
    if (kept / LAST).is_file():
        take(kept, folder, os.link)
    elif profile.repository:
        commit = find_commit(folder, profile)
        fetched = fetch(folder, profile, commit, (*SETTINGS, *WEIGHTS, *(CODE if profile.trust_remote_code else ())))
        (fetched / SOURCE).write_text(f"{profile.repository}\n{commit}\n")
        take(fetched, folder, shutil.move)
        shutil.rmtree(fetched)


def fetch_settings(folder: Path, profile: StudentProfile) -> Path:
    """Return a folder with the student's settings (config, tokenizer, processor): its own, or one fetched without weights."""
    if (folder / LAST).is_file() or folder.parent.name != "base" or not profile.repository:
        return folder
    return fetch(folder, profile, find_commit(folder, profile), SETTINGS)


def check_commit(folder: Path, profile: StudentProfile) -> None:
    """Raise a `ValueError` where code beside the weights would be run, and is of another commit than the trusted one."""
    origin = origin_of(folder)
    if profile.trust_remote_code and origin and origin[1:] != [profile.revision]:
        raise ValueError(f"{folder}: came from commit {origin[1]}, its profile trusts the code of {profile.revision}")


def origin_of(folder: Path) -> list[str] | None:
    """Return the repository and the commit that a model was fetched from; None where it was not fetched."""
    source = folder / SOURCE
    return source.read_text(encoding="utf-8").split() if source.is_file() else None


def find_commit(folder: Path, profile: StudentProfile) -> str:
    """Return the commit that the profile's revision means, after checking that the disk holds its files."""
    from huggingface_hub import HfApi

    with plain_errors(folder, profile):
        info = HfApi().model_info(profile.repository, revision=profile.revision, files_metadata=True)
    size = sum(file.size or 0 for file in info.siblings if Path(file.rfilename).match(WEIGHTS[0]))
    room = shutil.disk_usage(folder if folder.is_dir() else ".").free
    if size > room:
        raise ValueError(f"{folder}: {profile.repository} takes {size / 2**30:.1f} GiB and {room / 2**30:.1f} are free; make room")
    if info.sha != profile.revision:
        print(f"{folder}: {profile.repository} at {profile.revision} is commit {info.sha}; set students.{folder.name}.revision to it, "
              "for a branch may move", flush=True)
    return info.sha


def fetch(folder: Path, profile: StudentProfile, commit: str, patterns: tuple[str, ...]) -> Path:
    """Return the folder under .downloads with the files of a commit; a transfer broken off goes on where it was."""
    from huggingface_hub import snapshot_download

    place = main_root() / ".downloads" / f"{folder.name}@{commit[:12]}"
    print(f"{folder}: fetching {profile.repository} at {commit}", flush=True)
    with plain_errors(folder, profile):
        snapshot_download(profile.repository, revision=commit, local_dir=place, allow_patterns=list(patterns), ignore_patterns=["*/*"])
    if not (place / LAST).is_file():
        raise ValueError(f"{profile.repository}: has no {LAST} at {commit}; is it a model of transformers?")
    return place


def take(source: Path, folder: Path, how) -> None:
    """Bring a model's files from one folder to another with `how` (move or link), config.json last; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [path for path in source.iterdir() if path.is_file() and not (folder / path.name).exists()]
    for path in sorted(files, key=lambda path: (path.name == LAST, path.name)):
        try:
            how(path, folder / path.name)
        except OSError:  # a link to another disk
            shutil.copy2(path, folder / path.name)


def plain_errors(folder: Path, profile: StudentProfile):
    """Return a context in which what the hub says becomes a `ValueError` for the user; no token is ever part of it."""
    from contextlib import contextmanager

    import httpx
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    place = f"{profile.repository} at {profile.revision}"

    @contextmanager
    def context():
        try:
            yield
        except GatedRepoError:
            raise ValueError(f"{folder}: {place} wants an account that accepted its terms: put its token into HF_TOKEN") from None
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else "no"
            token = "with the HF_TOKEN given" if os.environ.get("HF_TOKEN") else "without HF_TOKEN, which private models want"
            raise ValueError(f"{folder}: {place} can't be fetched {token}: the hub answered {status}") from None
        except (OfflineModeIsEnabled, LocalEntryNotFoundError, httpx.HTTPError) as error:
            raise ValueError(f"{folder}: no model there, and {place} can't be reached ({type(error).__name__}); go online, or put the "
                             "model's files there") from None

    return context()
