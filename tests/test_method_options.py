"""Options of methods as users write them: types are checked before values are compared."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import pytest

from noisyweb import plugins
from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.facts import Facts
from noisyweb.training.method import PACKAGE, load_method, parse_option, resolve_options

FACTS = Facts("toy", "drawn", "red", 0.4, 10, 1000, 100, 32, "digest")
METHODS = plugins.names(PACKAGE)
WRONG: dict[type, list[Any]] = {
    float: ["abc", True, [1.0], b"1"],
    int: ["10", 10.5, True, {}],
    bool: ["yes", 1, 0.0],
    str: [3, True, ["hard"]],
}


@pytest.mark.parametrize("name", METHODS)
def test_a_value_of_another_type_is_one_clear_line(name: str) -> None:
    for key, kind in get_type_hints(load_method(name).Options).items():
        for value in WRONG[kind]:
            with pytest.raises(TrainingError) as error:
                resolve_options(name, {key: value}, FACTS)
            assert str(error.value).startswith(f"{key} {value!r} is ")
            assert str(error.value).endswith(f", as method {name!r} takes it")
            assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("gce", {"q": "abc"}, "q 'abc' is not a number, as method 'gce' takes it"),
        ("mentornet", {"percentile": "x"}, "percentile 'x' is not a number, as method 'mentornet' takes it"),
        ("mixup", {"alpha": True}, "alpha True is out of range; expected a number, as method 'mixup' takes it"),
        ("mentormix", {"burn_in": 9.5}, "burn_in 9.5 is out of range; expected a whole number, as method 'mentormix'"),
        ("mentormix", {"preset": 40}, "preset 40 is out of range; expected text, as method 'mentormix' takes it"),
        ("mentormix", {"mixing": []}, "mixing [] is not text"),
        ("mixup", {"alpha": 10**400}, f"alpha {10**400} is out of range; expected 0 < alpha <= 1000"),
    ],
)
def test_messages(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError) as error:
        resolve_options(name, given, FACTS)
    assert str(error.value).startswith(message)


def test_a_whole_number_is_a_number_and_none_is_left_open() -> None:
    assert resolve_options("mixup", {"alpha": 2}, FACTS) == {"alpha": 2}
    assert resolve_options("gce", {"q": None}, FACTS) == {"q": 0.7}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("mixup", "alpha=2", ("alpha", 2.0)),
        ("mixup", " alpha = 1e-1 ", ("alpha", 0.1)),
        ("mentormix", "burn-in=12", ("burn_in", 12)),
        ("mentormix", "second_weighting=True", ("second_weighting", True)),
        ("mentormix", "second-weighting=false", ("second_weighting", False)),
        ("mentormix", "preset=cifar100-40", ("preset", "cifar100-40")),
        ("mentornet", "mentor=a=b.safetensors", ("mentor", "a=b.safetensors")),
    ],
)
def test_parsed_by_declared_type(name: str, text: str, expected: tuple[str, Any]) -> None:
    key, value = parse_option(name, text)
    assert (key, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mixup", "alpha", "option 'alpha' is not NAME=VALUE; expected one such as alpha=8"),
        ("mixup", "=2", "option '=2' is not NAME=VALUE"),
        ("mixup", "", "option '' is not NAME=VALUE"),
        ("mixup", "alpha=", "alpha '' is not a number, as method 'mixup' takes it"),
        ("mixup", "alpha=two", "alpha 'two' is not a number"),
        ("mixup", "beta=2", "method 'mixup' has no option 'beta'; it has alpha"),
        ("standard", "alpha=2", "method 'standard' has no option 'alpha'; it has no options"),
        ("mentormix", "burn_in=9.5", "burn_in '9.5' is not a whole number, as method 'mentormix' takes it"),
        ("mentormix", "burn_in=" + "9" * 5000, "burn_in '999"),
        ("mentormix", "second_weighting=1", "second_weighting '1' is not true or false, as method 'mentormix'"),
    ],
)
def test_bad_texts_are_one_line(name: str, text: str, message: str) -> None:
    with pytest.raises(TrainingError) as error:
        parse_option(name, text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unknown_method() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mixup'"):
        parse_option("mixpu", "alpha=2")


@pytest.mark.parametrize("name", METHODS)
def test_resolved_options_are_read_back_from_their_text(name: str) -> None:
    for key, value in resolve_options(name, {}, FACTS).items():
        assert parse_option(name, f"{key}={value}") == (key, value)


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_a_type_that_can_be_checked(name: str) -> None:
    options = load_method(name).Options
    hints = get_type_hints(options)
    assert {hints[field.name] for field in dataclasses.fields(options)} <= {float, int, bool, str}
