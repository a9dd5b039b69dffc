from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.errors import CrawlError
from noisyweb.licenses import SLUGS, TYPES, from_text, from_url, parse_filter

some_slugs = st.lists(st.sampled_from(SLUGS), min_size=1, unique=True)
CC = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")


@given(some_slugs)
def test_a_filter_is_what_was_named_in_one_order(slugs: list[str]) -> None:
    parsed = parse_filter(" , ".join(slugs).upper(), "")
    assert set(parsed) == set(slugs)
    assert parsed == tuple(sorted(parsed, key=SLUGS.index))
    assert parse_filter(",".join(parsed), "") == parsed


@given(some_slugs, st.lists(st.sampled_from(sorted(TYPES)), min_size=1))
def test_types_only_take_away(slugs: list[str], types: list[str]) -> None:
    wanted = {slug for slug in slugs if all(slug in TYPES[name] for name in types)}
    if wanted:
        assert set(parse_filter(",".join(slugs), ",".join(types))) == wanted
    else:
        with pytest.raises(CrawlError, match="none of them allows"):  # "nothing" must not become "anything"
            parse_filter(",".join(slugs), ",".join(types))


def test_types_by_themselves() -> None:
    assert parse_filter("", "") == ()
    assert parse_filter(" ", "") == ()
    assert parse_filter("", "commercial") == ("by", "by-sa", "by-nd", "cc0", "pdm")
    assert parse_filter("", "modification") == ("by", "by-sa", "by-nc", "by-nc-sa", "cc0", "pdm")
    assert parse_filter("", "commercial, Modification") == ("by", "by-sa", "cc0", "pdm")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("gpl", "", "unknown licence 'gpl'; expected some of by, by-sa, "),
        ("by,,cc0", "", "unknown licence ''"),
        ("", "free", "unknown licence type 'free'; expected some of commercial, modification"),
    ],
)
def test_unknown_names(text: str, kind: str, message: str) -> None:
    with pytest.raises(CrawlError, match=message):
        parse_filter(text, kind)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_slug_names_itself(slug: str) -> None:
    assert from_text(slug) == slug
    assert from_text(slug.upper()) == slug


@pytest.mark.parametrize("version", ["", "-4.0", " 2.0", " 3.0 de", "-3.0-igo", " 4.0 International", " 2.5,2.0,1.0"])
@pytest.mark.parametrize("slug", CC)
def test_short_names(slug: str, version: str) -> None:
    assert from_text(f"CC {slug.upper()}{version}") == slug
    assert from_text(f"cc-{slug}{version}") == slug


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Creative Commons Attribution-Share Alike 4.0 International", "by-sa"),
        ("Attribution-NonCommercial-NoDerivs License", "by-nc-nd"),
        ("Attribution 4.0 International (CC BY 4.0)", "by"),
        ("CC BY-NoDerivatives 4.0", "by-nd"),
        ("by-nd-nc", "by-nc-nd"),
        ("CC0", "cc0"),
        ("CC0 1.0 Universal", "cc0"),
        ("cc-zero", "cc0"),
        ("Public Domain Dedication (CC0)", "cc0"),
        ("Public domain", "pdm"),
        ("pd", "pdm"),
        ("PD-US", "pdm"),
        ("Public Domain Mark 1.0", "pdm"),
        ("CC Sampling+ 1.0", "sampling+"),
        ("NC Sampling Plus 1.0", "nc-sampling+"),
        ("All rights reserved", "all-rights-reserved"),
        ("United States Government Work", "us-gov"),
        ("GFDL", None),
        ("photo by Sa", None),
        ("CC SA 1.0", None),
        ("by-nd-sa", None),
        ("by Anna", None),
        ("CC BY 4.0 except where noted", None),
        ("", None),
        ("(" * 1000, None),
    ],
)
def test_names_in_the_wild(text: str, slug: str | None) -> None:
    assert from_text(text) == slug


@pytest.mark.parametrize(("slug", "scheme"), list(itertools.product(CC, ["https://", "http://www.", "//", ""])))
def test_addresses(slug: str, scheme: str) -> None:
    for end in ("4.0/", "2.0", "3.0/de/", "4.0/deed.en", ""):
        assert from_url(f"{scheme}creativecommons.org/licenses/{slug}/{end}") == slug


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "pdm"),
        ("https://creativecommons.org/licenses/publicdomain/", "pdm"),
        ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "by-nc-nd"),
        ("https://creativecommons.org/licenses/sampling+/1.0/", "sampling+"),
        ("https://creativecommons.org/licenses/sa/1.0/", None),
        ("https://creativecommons.org/", None),
        ("https://creativecommons.org.example/licenses/by/4.0/", None),
        ("https://example.org/licenses/by/4.0/", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_addresses_in_the_wild(url: str, slug: str | None) -> None:
    assert from_url(url) == slug


@given(st.text())
def test_any_text_is_a_known_licence_or_none(text: str) -> None:
    assert from_text(text) in (*SLUGS, None)
    assert from_url(text) in (*SLUGS, None)
    assert from_url(f"https://creativecommons.org/licenses/{text}") in (*SLUGS, None)
