"""The loopback web over the drawn edition: search API, image host, slow host."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from noisyweb.drawn.hosting import FATES, TRUTH
from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.server import DrawnWeb, serve
from noisyweb.errors import UnknownNameError

CLASSES = ["Audi S4 Sedan 2012", "Audi S4 Sedan 2007", "Volvo 240 Sedan 1993"]
RESULT_FIELDS = {
    "id", "title", "url", "thumbnail", "foreign_landing_url", "creator", "creator_url", "license", "license_version",
    "license_url", "attribution", "provider", "source", "filesize", "filetype", "width", "height", "mature", "tags",
}  # fmt: skip


@pytest.fixture(scope="module")
def web() -> Iterator[DrawnWeb]:
    with serve(CLASSES, delay_s=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as running:
        yield running


def _pages(web: DrawnWeb, client: httpx.Client, **parameters: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for page in range(1, 21):
        answer = client.get(web.search_url, params={**parameters, "page": str(page)}).json()
        found += answer["results"]
        if page >= answer["page_count"]:
            assert len(found) == answer["result_count"]
            break
    return found


def test_a_search_finds_the_hits_of_the_class_in_order(web: DrawnWeb, client: httpx.Client) -> None:
    found = _pages(web, client, q="Audi S4 Sedan 2007 car")
    assert [result["url"] for result in found] == [one.url for one in web.served if one.label == 1]
    assert set(found[0]) >= RESULT_FIELDS
    one = web.by_url[str(found[0]["url"])]
    assert found[0]["title"] == one.hit.title
    assert found[0]["license"] == one.hit.license
    assert len({result["id"] for result in found}) == len(found)


def test_an_answer_says_how_much_there_is(web: DrawnWeb, client: httpx.Client) -> None:
    answer = client.get(web.search_url, params={"q": CLASSES[2], "page": 2, "page_size": 7}).json()
    total = sum(one.label == 2 for one in web.served)
    assert (answer["page"], answer["page_size"], len(answer["results"])) == (2, 7, 7)
    assert (answer["result_count"], answer["page_count"]) == (total, min(20, -(-total // 7)))
    beyond = client.get(web.search_url, params={"q": CLASSES[2], "page": 20}).json()
    assert beyond["results"] == []


def test_words_of_several_classes_find_them_all(web: DrawnWeb, client: httpx.Client) -> None:
    labels = {web.by_url[str(result["url"])].label for result in _pages(web, client, q="audi sedan")}
    assert labels == {0, 1}
    assert _pages(web, client, q="zeppelin") == []
    assert _pages(web, client, q="") == []


def test_licences_are_filtered(web: DrawnWeb, client: httpx.Client) -> None:
    found = {result["license"] for result in _pages(web, client, q=CLASSES[0], license="by,cc0")}
    assert found == {"by", "cc0"}
    commercial = {result["license"] for result in _pages(web, client, q=CLASSES[0], license_type="commercial")}
    assert commercial
    assert not any("nc" in str(name) for name in commercial)


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"page_size": "21"}, 401, None),
        ({"page": "21"}, 400, "page"),
        ({"page": "0"}, 400, "page"),
        ({"page_size": "many"}, 400, "page_size"),
        ({"q": "x" * 201}, 400, "q"),
    ],
)
def test_what_the_api_refuses(
    web: DrawnWeb, client: httpx.Client, parameters: dict[str, str], status: int, field: str | None
) -> None:
    answer = client.get(web.search_url, params={"q": CLASSES[0], **parameters})
    assert answer.status_code == status
    body = answer.json()
    assert body["detail"]
    if field:
        assert (body["error"], body["fields"]) == ("InputError", [field])


def test_every_fate_is_there(web: DrawnWeb, client: httpx.Client) -> None:
    assert {one.fate for one in web.served} == set(FATES)
    examples = {one.fate: one for one in web.served}
    served = examples["served"]
    answer = client.get(served.url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content == draw_hit(served.hit, CLASSES[served.label])
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert client.head(served.url).headers["content-length"] == str(len(answer.content))
    assert client.get(examples["missing"].url).status_code == 404
    page = client.get(examples["page"].url)
    assert (page.status_code, page.headers["content-type"]) == (200, "image/jpeg")
    assert page.content.startswith(b"<!DOCTYPE html>")
    begin = time.monotonic()
    assert client.get(examples["slow"].url).status_code == 200
    assert time.monotonic() - begin >= 0.2
    with pytest.raises(httpx.ReadTimeout):
        client.get(examples["stalled"].url, timeout=0.3)


def test_robots_may_fetch_and_nothing_else_is_there(web: DrawnWeb, client: httpx.Client) -> None:
    for host in (web.api_url, web.image_url, web.slow_url):
        assert "Allow: /" in client.get(f"{host}/robots.txt").text
        assert client.get(f"{host}/secret").status_code == 404


def test_the_truth_is_about_what_is_served(web: DrawnWeb) -> None:
    truth = web.truth()
    assert truth.schema.equals(TRUTH)
    assert truth.num_rows == len(web.served)
    for row, one in zip(truth.to_pylist(), web.served, strict=True):
        assert row["url"] == one.url
        assert row["is_right"] == (one.hit.true_label == one.hit.label)
        assert row["label"] == one.label


def test_the_end_comes_at_once_though_an_answer_stalls() -> None:
    with httpx.Client(trust_env=False) as client:
        with serve(CLASSES[:1], stall_s=60) as web:
            stalled = next(one for one in web.served if one.fate == "stalled")
            with pytest.raises(httpx.ReadTimeout):
                client.get(stalled.url, timeout=0.2)
            begin = time.monotonic()
        assert time.monotonic() - begin < 5
        with pytest.raises(httpx.ConnectError):
            client.get(web.search_url)


def test_only_classes_of_the_vocabulary_are_served() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Volvo 240 Sedan 1993'"), serve(["Volvo 240 Sedan 1999"]):
        pass
