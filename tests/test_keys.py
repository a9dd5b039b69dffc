from __future__ import annotations

from pathlib import Path

import pytest

from noisyweb.errors import CrawlError
from noisyweb.keys import default_path, provider_keys, variable

SECRET = "s3cret-value"
WANTED = {"client_id": False, "client_secret": False}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_names_of_variables() -> None:
    assert variable("openverse", "client_id") == "NOISYWEB_OPENVERSE_CLIENT_ID"
    assert variable("url-list", "api-key") == "NOISYWEB_URL_LIST_API_KEY"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "k.toml", '[openverse]\nclient_id = "file"\nclient_secret = "both"\nother = 1\n[else]\n')
    environ = {"NOISYWEB_OPENVERSE_CLIENT_ID": " env ", "NOISYWEB_FLICKR_API_KEY": "x"}
    assert provider_keys("openverse", WANTED, file, environ) == {"client_id": "env", "client_secret": "both"}
    assert provider_keys("openverse", WANTED, file, {"NOISYWEB_OPENVERSE_CLIENT_ID": ""})["client_id"] == "file"


def test_the_usual_file(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert default_path({}) == Path("~/.config/noisyweb/keys.toml").expanduser()
    assert provider_keys("openverse", WANTED, None, environ) == {}
    write(default_path(environ), f'[openverse]\nclient_id = "{SECRET}"')
    assert provider_keys("openverse", WANTED, None, environ) == {"client_id": SECRET}
    assert provider_keys("flickr", {}, None, environ) == {}


def test_a_file_that_is_not_needed_is_not_read(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "NOISYWEB_BRAVE_API_KEY": "k"}
    write(default_path(environ), "not TOML")
    assert provider_keys("brave", {"api_key": True}, None, environ) == {"api_key": "k"}


def test_a_missing_key_names_the_variable_and_the_file(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "NOISYWEB_GOOGLE_API_KEY": SECRET}
    with pytest.raises(CrawlError, match="needs a key, cx; set NOISYWEB_GOOGLE_CX, or write cx = ") as caught:
        provider_keys("google", {"api_key": True, "cx": True}, None, environ)
    assert f"[google] into {default_path(environ)}" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'[flickr]\napi_key = "{SECRET}', r"not TOML \(line 2, column 24\)|not TOML \(end of document\)|not TOML"),
        (f"[flickr]\napi_key = {SECRET}", r"not TOML \(line 2, column 11\)"),
        (f'flickr = "{SECRET}"', r"flickr is no section; expected \[flickr\]"),
        ("[flickr]\napi_key = 12345", r"api_key of \[flickr\] is no text"),
        (f'[flickr]\napi_key = "{SECRET} x"', "its api_key has spaces"),
        (f'[flickr]\napi_key = "{SECRET}\\u0000"', "its api_key has spaces or characters"),
        (f'[flickr]\n"{SECRET}" = 1', "needs a key, api_key"),
        ("[flickr]\napi_key = ''", "needs a key, api_key"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    file = write(tmp_path / "keys.toml", content)
    with pytest.raises(CrawlError, match=message) as caught:
        provider_keys("flickr", {"api_key": True}, file, {})
    assert SECRET not in str(caught.value)
    assert "12345" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CrawlError, match=r"none\.toml: cannot be read \(No such file"):
        provider_keys("flickr", {"api_key": True}, tmp_path / "none.toml", {"NOISYWEB_FLICKR_API_KEY": SECRET})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CrawlError, match="not TOML"):
        provider_keys("flickr", {"api_key": True}, tmp_path / "binary", {})
