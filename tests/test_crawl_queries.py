"""In which words classes are searched for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.crawl_queries import SYNONYMS, Wording, read_names
from noisyweb.errors import CrawlError

CAR = "Volkswagen Golf Hatchback 2012"
NAMES = {
    CAR: {SYNONYMS: ["VW Golf 6"], "de": ["VW Golf VI Schrägheck", "Golf sechs"], "fr": ["Golf VI à hayon"]},
    "Audi A4": {"de": ["Audi A4 Limousine"]},
}
plain = st.text(st.characters(exclude_characters="{}:"), min_size=1, max_size=12)


def test_without_anything_a_class_is_searched_for_by_its_name() -> None:
    assert Wording().queries("ant") == ["ant"]
    assert Wording(templates=()).queries("ant") == ["ant"]


def test_templates_come_in_their_order() -> None:
    assert Wording(["{name} car", "photo of {name}", "{name}, {name}"]).queries("ant") == [
        "ant car",
        "photo of ant",
        "ant, ant",
    ]


@given(st.lists(plain, max_size=4), st.lists(plain, max_size=4), plain)
def test_every_name_meets_every_template_once(ends: list[str], synonyms: list[str], name: str) -> None:
    templates = ["{name} " + end for end in ends] or ["{name}"]
    queries = Wording(templates, {name: {SYNONYMS: synonyms}}).queries(name)
    assert set(queries) == {t.replace("{name}", one) for t in templates for one in [name, *synonyms]}
    assert len(queries) == len(set(queries))
    assert queries[0] == templates[0].replace("{name}", name)


@given(st.text(max_size=20))
def test_any_name_is_put_in_as_it_is(name: str) -> None:
    assert Wording(["a {name} b"]).queries(name) == [f"a {name} b"]


def test_names_of_all_languages_are_used_and_the_classs_own_comes_first() -> None:
    wording = Wording(names=NAMES)
    assert wording.queries(CAR) == [CAR, "VW Golf 6", "VW Golf VI Schrägheck", "Golf sechs", "Golf VI à hayon"]
    assert wording.queries("Audi A4") == ["Audi A4", "Audi A4 Limousine"]
    assert wording.queries("ant") == ["ant"]


def test_languages_leave_out_the_others_but_never_the_name_and_its_synonyms() -> None:
    assert Wording(names=NAMES, languages=["fr"]).queries(CAR) == [CAR, "VW Golf 6", "Golf VI à hayon"]
    assert Wording(names=NAMES, languages=["fr"]).queries("Audi A4") == ["Audi A4"]


def test_a_languages_own_templates_are_for_its_names_only() -> None:
    wording = Wording(["{name} car", "de:{name} Auto", "de:Foto {name}"], NAMES, ["de"])
    assert wording.queries(CAR) == [
        f"{CAR} car",
        "VW Golf 6 car",
        "VW Golf VI Schrägheck Auto",
        "Foto VW Golf VI Schrägheck",
        "Golf sechs Auto",
        "Foto Golf sechs",
    ]


def test_a_language_without_templates_of_its_own_uses_the_plain_ones() -> None:
    assert Wording(["{name} car", "de:{name} Auto"], NAMES, ["fr"]).queries(CAR)[-1] == "Golf VI à hayon car"


def test_templates_of_one_language_only_leave_the_other_names_bare() -> None:
    assert Wording(["de:{name} Auto"], NAMES).queries("Audi A4") == ["Audi A4", "Audi A4 Limousine Auto"]


@pytest.mark.parametrize("template", ["Photo: {name}", "{name}: red", "a:{name}", "DE:{name}", "http:{name}"])
def test_a_colon_alone_makes_no_language(template: str) -> None:
    assert Wording([template], NAMES).queries("ant") == [template.replace("{name}", "ant")]


def test_the_same_query_is_asked_once() -> None:
    names = {"ant": {SYNONYMS: ["ant", "emmet"], "fr": ["emmet"]}}
    assert Wording(names=names).queries("ant") == ["ant", "emmet"]


@pytest.mark.parametrize("template", ["", "car", "{Name}", "{}", "de:Auto"])
def test_a_template_without_a_name_is_refused(template: str) -> None:
    with pytest.raises(CrawlError, match=r"it has no \{name\}; write, say, '\{name\} car'"):
        Wording(["{name}", template])


def test_a_language_that_no_class_has_is_refused() -> None:
    with pytest.raises(CrawlError, match="language 'xx': no class has names in it; known: de, fr, synonyms"):
        Wording(names=NAMES, languages=["de", "xx"])
    with pytest.raises(CrawlError, match="known: none; give names with --names FILE"):
        Wording(languages=["de"])


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "names.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_names_are_read_from_a_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f'["{CAR}"]\nsynonyms = ["VW Golf 6"]\nde = ["VW Golf VI Schrägheck", "Golf sechs"]\nfr = ["Golf VI à hayon"]\n'
        '["Audi A4"]\nde = ["Audi A4 Limousine"]\n',
    )
    assert read_names(path, [CAR, "Audi A4", "ant"]) == NAMES
    assert read_names(write(tmp_path, ""), ["ant"]) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ant", "cannot be read as names in TOML"),
        (b"[ant]\nde = ['\xff']", "cannot be read as names in TOML"),
        ('[bee]\nde = ["Biene"]', "'bee' is none of the 1 classes"),
        ('de = ["Biene"]', "'de' is none of the 1 classes"),
        ("ant = 3", "expected lists of names by language"),
        ('ant = ["emmet"]', "expected lists of names by language"),
        ('[ant]\nde = "Ameise"', "expected lists of names by language"),
        ("[ant]\nde = [1]", "expected lists of names by language"),
        ('[ant]\nde = [" "]', "expected lists of names by language"),
        ('[ant.de]\nmore = ["Ameise"]', "expected lists of names by language"),
        ("[ant]\nde = 1\n[ant]\nde = 2", "cannot be read as names in TOML"),
    ],
)
def test_a_file_that_holds_no_names_is_refused_in_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CrawlError, match=words) as caught:
        read_names(path, ["ant"])
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(CrawlError, match="cannot be read as names in TOML"):
            read_names(path, ["ant"])
