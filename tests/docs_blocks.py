"""Code blocks of the documentation: found, and run as a reader would, top to bottom in one fresh folder a page.

Blocks in bash and python are run, and the ``$ `` lines of console blocks; the output that they show is an illustration.
A bash block's variables and folder are those of the next one; a python block is a program of its own. On the line
before a block may stand

* ``<!-- not run: why -->``: it needs the network, hours, ...
* ``<!-- exits with: 1 -->``: that is what it shows.
* ``<!-- file: pets.toml -->``: not run but saved under this name, whatever its language.
* ``<!-- set-up: ... -->``: the README's two commands, which .ci/run runs.

What a page presupposes is made by bash that a reader does not see::

    <!-- before
    python "$REPO/tests/stand_ins.py" photographs photos
    -->

``python -m tests.docs_blocks PAGE...`` runs pages by hand, with seconds of CPU.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[1]
LANGUAGES = ("bash", "python", "console")
ALIASES = ("sh", "shell", "zsh", "shell-session", "py", "python3", "pycon", "ipython")
TIMEOUT_S = 280.0
SHARED = "noisyweb build --dataset cars --noise 0.4"
"""How several pages begin; dear, and the same bytes whoever calls it."""

FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
COMMENT = re.compile(r"^[ \t]*<!--")
BEFORE = re.compile(r"^[ \t]*<!-- before$")
MARKERS = ("not run", "exits with", "file", "set-up")
MARKER = re.compile(rf"^[ \t]*<!-- ({'|'.join(MARKERS)}): *(.*?) *-->$")


class PageError(Exception):
    """A page whose blocks cannot be told for certain: says the page's line and what is wrong there."""


class BlockFailedError(AssertionError):
    """A block that a reader could not run: the page, its line, the code and what came out."""


@dataclass(frozen=True)
class Block:
    """A piece of code of a page."""

    line: int
    """Of its first line of code, from 1."""
    language: str
    """One of `LANGUAGES`; any if it is a file."""
    code: str
    """What is run, a line of the page a line."""
    marker: str = ""
    """Empty or one of `MARKERS`."""
    says: str = ""
    """What stands after the marker."""

    @property
    def is_run(self) -> bool:
        return self.marker not in ("not run", "set-up")


def pages() -> list[Path]:
    """All pages of the documentation but the generated reference of commands."""
    found = sorted((REPO / "docs").rglob("*.md"))
    return [REPO / "README.md", *(page for page in found if page != REPO / "docs/cli.md")]


def blocks_of(text: str) -> list[Block]:
    """All blocks of a page in `LANGUAGES` and its hidden set-ups, in order.

    Raises:
        PageError: a fence or comment that is never closed, a comment of another kind, a marker without a reason or
            without a block in `LANGUAGES` on the next line, a language by another name.
    """
    found: list[Block] = []
    lines = text.splitlines()
    nothing = ("", "", 0)
    marker = nothing  # its name, what it says, its line
    at = 0
    while at < len(lines):
        line, number = lines[at], at + 1
        fence = FENCE.match(line)
        if marker[0] and not fence:
            raise PageError(f"line {marker[2]}: no block on the line after the marker '{marker[0]}'")
        if fence:
            end = _closing(lines, at, fence)
            language = (fence[3].split() or [""])[0]
            is_file = marker[0] == "file"
            if language in ALIASES:
                raise PageError(f"line {number}: '{language}' would not be run; call it one of {', '.join(LANGUAGES)}")
            if marker[0] and language not in LANGUAGES and not is_file:
                raise PageError(f"line {marker[2]}: '{marker[0]}' before a block that is not run anyway ('{language}')")
            if language in LANGUAGES or is_file:
                code = "\n".join(line.removeprefix(fence[1]) for line in lines[at + 1 : end])
                code = _commands(code, number + 1) if language == "console" and not is_file else code
                found.append(Block(number + 1, language, code, *marker[:2]))
            marker, at = nothing, end
        elif BEFORE.match(line):
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == "-->"), 0)
            if not end:
                raise PageError(f"line {number}: the set-up is never closed by a line '-->'")
            found.append(Block(number + 1, "bash", textwrap.dedent("\n".join(lines[at + 1 : end]))))
            at = end
        elif COMMENT.match(line):
            known = MARKER.match(line)
            if not known:
                raise PageError(
                    f"line {number}: unknown comment '{line.strip()}'; known: before, {': , '.join(MARKERS)}:"
                )
            if not known[2]:
                raise PageError(f"line {number}: '{known[1]}:' and nothing after it")
            marker = (known[1], known[2], number)
        at += 1
    if marker[0]:
        raise PageError(f"line {marker[2]}: no block on the line after the marker '{marker[0]}'")
    return found


def _closing(lines: list[str], start: int, fence: re.Match[str]) -> int:
    """The line that ends a block: as many of the same sign, or more, and nothing else."""
    for at in range(start + 1, len(lines)):
        end = lines[at].strip()
        if len(end) >= len(fence[2]) and set(end) == {fence[2][0]}:
            return at
    raise PageError(f"line {start + 1}: the block is never closed")


def _commands(text: str, first: int) -> str:
    """The ``$ `` lines of a console block and what continues them; empty lines in place of output."""
    kept: list[str] = []
    going_on = False
    for line in text.splitlines():
        command = line.removeprefix("> " if going_on else "$ ")
        is_command = going_on or line.startswith("$ ")
        kept.append(command if is_command else "")
        going_on = is_command and command.endswith("\\")
    if not any(kept):
        raise PageError(f"line {first}: a console block without a line that begins with '$ '")
    return "\n".join(kept)


def run_page(page: Path, folder: Path, kept: Path | None = None) -> Iterator[tuple[Block, float]]:
    """Run a page's blocks in an empty folder; gives each block that was run and its seconds of CPU.

    Args:
        page: a Markdown file.
        folder: an empty folder, for what the blocks make and what the runner needs.
        kept: where files made by `SHARED` are kept, so that only the first page that begins with it has to make them.

    Raises:
        PageError: see `blocks_of`.
        BlockFailedError: a block does not end with 0, or not within `TIMEOUT_S`.
    """
    work = folder / "reader"
    work.mkdir()
    groups: list[int] = []
    try:
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if block.is_run:
                start = _cpu_s()
                if kept and block.code == SHARED and not any(work.iterdir()):
                    if not kept.exists():
                        _run(block, page, folder, work, groups)
                        shutil.copytree(work, kept)
                    shutil.copytree(kept, work, dirs_exist_ok=True)
                else:
                    _run(block, page, folder, work, groups)
                yield block, _cpu_s() - start
    finally:
        for group in groups:  # servers that a set-up left running
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(block: Block, page: Path, folder: Path, work: Path, groups: list[int]) -> None:
    if block.marker == "file":
        (work / block.says).write_text(block.code + "\n", encoding="utf-8")
        return
    state, output = folder / "state", folder / "output"
    state.touch()
    lines = "\n" * (block.line - 1)  # so that errors name the page's own line
    if block.language == "python":
        script, arguments = f'. "{state}"; exec python -c "$1"', [lines + block.code]
    else:
        save = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > "{state}"'
        script, arguments = f". \"{state}\"; set -euo pipefail; trap '{save}' EXIT {lines}{block.code}", []
    with output.open("wb") as file:  # not a pipe: one that a server inherits is never closed
        started = subprocess.Popen(
            ["bash", "-c", script, page.name, *arguments],
            cwd=work,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = f"exit code {started.wait(TIMEOUT_S)}"
        except subprocess.TimeoutExpired:
            code = f"not done after {TIMEOUT_S:.0f} s"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, 0)
        groups.append(started.pid)  # something of it goes on, so that the number stays its own
    if code != f"exit code {block.says or 0}":
        said = output.read_text(encoding="utf-8", errors="replace")
        place = page.relative_to(REPO) if page.is_relative_to(REPO) else page
        raise BlockFailedError(f"{place}:{block.line}: {code}\n{block.code.strip()}\n--\n{said}")


def _environment(folder: Path) -> dict[str, str]:
    """A reader's: the environment's programs, no settings of noisyweb's, no network for models."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOISYWEB_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REPO": str(REPO),
        "NOISYWEB_HOME": str(folder / "home"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for number, name in enumerate(sys.argv[1:]):
            Path(place, str(number)).mkdir()
            for ran, seconds in run_page(Path(name).resolve(), Path(place, str(number)), Path(place, "shared")):
                print(f"{name}:{ran.line}: {ran.language}, {seconds:.1f} s", flush=True)
