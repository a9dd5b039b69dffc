"""The runner of the documentation's blocks: no block is overlooked, and one that fails is told with its place."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from tests.docs_blocks import BlockFailedError, PageError, blocks_of, run_page


def told(text: str) -> list[tuple[int, str, str]]:
    """Line, language and code of each block."""
    return [(block.line, block.language, block.code) for block in blocks_of(text)]


def test_blocks_in_their_order_and_by_their_lines() -> None:
    text = "# T\n```bash\na\n\nb\n```\n```toml\nx = 1\n```\n~~~python title='x'\nc\n~~~\n```\nnot code\n```\n"
    assert told(text) == [(3, "bash", "a\n\nb"), (11, "python", "c")]


def test_a_longer_fence_holds_shorter_ones() -> None:
    text = "````markdown\n```bash\nno\n```\n````\n````bash\necho '```'\n```\n~~~\n````\n"
    assert told(text) == [(7, "bash", "echo '```'\n```\n~~~")]


def test_a_marker_inside_a_block_is_code() -> None:
    assert told("```bash\n<!-- not run: x -->\n```\n") == [(2, "bash", "<!-- not run: x -->")]


def test_an_indented_block_loses_its_indent_only() -> None:
    text = '1. Do\n\n    ```python\n    if 1:\n        x\n    ```\n\n=== "tab"\n\n\t```bash\n\ty\n\t```\n'
    assert told(text) == [(4, "python", "if 1:\n    x"), (11, "bash", "y")]


def test_of_a_console_block_the_commands_are_run() -> None:
    text = "```console\n$ a \\\n    --b \\\n> --c\nout\n$ d\n$$ no\n```\n"
    assert told(text) == [(2, "console", "a \\\n    --b \\\n--c\n\nd\n")]


def test_markers() -> None:
    text = (
        "<!-- not run: needs a GPU -->\n```bash\na\n```\n<!-- exits with: 1 -->\n```bash\nb\n```\n"
        "<!-- set-up: main job -->\n```bash\nc\n```\n<!-- file: x.toml -->\n```toml\nd\n```\n"
    )
    found = [(block.code, block.marker, block.says, block.is_run) for block in blocks_of(text)]
    assert found == [
        ("a", "not run", "needs a GPU", False),
        ("b", "exits with", "1", True),
        ("c", "set-up", "main job", False),
        ("d", "file", "x.toml", True),
    ]


def test_hidden_set_up_keeps_its_place() -> None:
    text = "```bash\na\n```\n<!-- before\nb\n  c\n-->\n```bash\nd\n```\n<!-- before\ne\n-->\n"
    assert told(text) == [(2, "bash", "a"), (5, "bash", "b\n  c"), (9, "bash", "d"), (12, "bash", "e")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# T\n```bash\na\n", "line 2: the block is never closed"),
        ("````bash\na\n```\n", "line 1: the block is never closed"),
        ("```bash\na\n``` b\n", "line 1: the block is never closed"),
        ("<!-- before\na\n", "line 1: the set-up is never closed"),
        ("<!-- not run: x -->\n\n```bash\na\n```\n", "line 1: no block on the line after the marker 'not run'"),
        ("<!-- not run: x -->\n<!-- not run: y -->\n```bash\na\n```\n", "line 1: no block"),
        ("text\n<!-- not run: x -->", "line 2: no block"),
        ("<!-- not run: -->\n```bash\na\n```\n", "'not run:' and nothing after it"),
        ("<!-- not run: x -->\n```toml\na\n```\n", "not run anyway ('toml')"),
        ("<!-- run -->\n```bash\na\n```\n", "unknown comment '<!-- run -->'"),
        ("<!-- not ran: x -->\n```bash\na\n```\n", "unknown comment"),
        ("<!-- before -->\n", "unknown comment"),
        ("<!-- not run: x\n-->\n```bash\na\n```\n", "unknown comment"),
        ("```sh\na\n```\n", "'sh' would not be run"),
        ("<!-- not run: x -->\n```py\na\n```\n", "'py' would not be run"),
        ("```console\nout only\n```\n", "line 2: a console block without a line that begins with '$ '"),
    ],
)
def test_what_cannot_be_told_for_certain_is_an_error(text: str, words: str) -> None:
    with pytest.raises(PageError) as error:
        blocks_of(text)
    assert words in str(error.value)


def run(text: str, folder: Path) -> int:
    """Run a page; how many blocks it had."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return len(list(run_page(page, folder)))


def test_a_page_is_run_as_a_reader_would(tmp_path: Path) -> None:
    text = (
        "<!-- before\nmkdir sub\nexport WHO='a b'\n-->\n```bash\ncd sub\n[ \"$WHO\" = 'a b' ]\n```\n"
        "<!-- not run: x -->\n```bash\nexit 9\n```\n<!-- file: f.toml -->\n```toml\nx = 1\n```\n"
        "```python\nimport os\nassert os.environ['WHO'] == 'a b' and os.path.basename(os.getcwd()) == 'sub'\n```\n"
        "<!-- exits with: 3 -->\n```console\n$ grep -q 'x = 1' ../f.toml && exit 3\nshown\n```\n"
    )
    assert run(text, tmp_path) == 5


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("```bash\necho said\nfalse\necho not reached\n```\n", ("page.md:4: exit code 1", "said\n")),
        ("```bash\nfalse | cat\n```\n", ("page.md:4: exit code 1",)),
        ("```bash\necho $UNSET_NAME\n```\n", ("UNSET_NAME: unbound variable", "line 4")),
        ("```python\n\n1 / 0\n```\n", ("page.md:4: exit code 1", "line 5", "ZeroDivisionError")),
        ("```console\n$ true\n$ false\n```\n", ("page.md:4: exit code 1",)),
    ],
)
def test_a_block_that_fails_is_told_with_page_line_and_output(
    block: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(BlockFailedError) as error:
        run(f"# Title\n\n{block}", tmp_path)
    message = str(error.value)
    for word in words:
        assert word in message
    assert "not reached\n--" in message or "not reached" not in message.split("--\n")[1]


def test_a_block_that_should_have_failed(tmp_path: Path) -> None:
    with pytest.raises(BlockFailedError, match=r"page.md:3: exit code 0"):
        run("<!-- exits with: 1 -->\n```bash\ntrue\n```\n", tmp_path)


def test_servers_of_a_set_up_end_with_the_page(tmp_path: Path) -> None:
    assert run('<!-- before\nsleep 600 &\necho $! > "$HF_HOME.pid"\n-->\n```bash\ntrue\n```\n', tmp_path) == 2
    server = int((tmp_path / "hf.pid").read_text())
    ends = time.monotonic() + 10
    while psutil.pid_exists(server) and psutil.Process(server).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends, "it still runs"
