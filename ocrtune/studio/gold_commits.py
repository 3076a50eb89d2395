"""Commit data/gold.jsonl, what each person decided under that person's name."""

import json

from ocrtune.labels.gold import MOST_COMMITTED, locked, read_decisions, read_gold, write_decisions
from ocrtune.rows import index_rows
from ocrtune.studio.git_state import commit_file, commit_text, read_committed
from ocrtune.studio.project import Project

Gold = dict[str, dict]


def split_by_author(before: Gold, now: Gold, decisions: list[dict], asking: str | None) -> dict[str | None, set[str]]:
    """Return the images whose rows changed by who changed them, in the order in which they began.

    A row that nobody decided on here, as one that was written by hand, belongs to who is `asking` for the commit.
    """
    changed = {digest for digest in before.keys() | now.keys() if before.get(digest) != now.get(digest)}
    last = {decision["row"]["sha256"]: decision for decision in decisions}
    parts: dict[str | None, set[str]] = {}
    for digest, decision in last.items():
        if digest in changed and now.get(digest) == decision["row"]:
            parts.setdefault(decision["author"], set()).add(digest)
    rest = changed.difference(*parts.values())
    if rest:
        parts.setdefault(asking, set()).update(rest)
    return parts


def commit_gold(project: Project, asking: str | None) -> list[str]:
    """Commit data/gold.jsonl, one commit an author, and return the commits' titles; none where git holds everything.

    `asking`: who is logged in, None: who git says. Only the last commit runs git's hooks: the earlier ones hold the file
    as it never stood on disk.
    """
    path = project.gold_file
    with locked(path):
        text, committed = path.read_text(encoding="utf-8") if path.is_file() else "", read_committed(project.root, path)
        if text == committed:
            return []
        now, decisions = read_gold(path), read_decisions(path)
        before = index_rows(map(json.loads, committed.splitlines()), "sha256", "data/gold.jsonl in the last commit")
        *first, (author, last) = split_by_author(before, now, decisions, asking).items() or [(asking, set())]
        titles = []
        for other, digests in first:
            before = {digest: row for digest, row in before.items() if digest not in digests}
            before |= {digest: now[digest] for digest in digests if digest in now}
            rows = sorted(before.values(), key=lambda row: row["page_id"])
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            titles.append(commit_text(project.root, path, content, say(len(digests)), other))
        titles.append(commit_file(project.root, path, say(len(last)), author))
        write_decisions(path, decisions[-MOST_COMMITTED:])
    return titles


def say(number: int) -> str:
    """Return the title of a commit."""
    return f"Gold: {number} {'row' if number == 1 else 'rows'} checked"
