"""A multipart form's files come out as they went in, and a form that is none says what is wrong with it."""

import random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.sansio.multipart import Data, Epilogue, File, MultipartDecoder

from imageclassifier_gateway.api import forms
from imageclassifier_gateway.api.forms import read_form
from imageclassifier_gateway.api.payload import Picture
from imageclassifier_gateway.problems import Problem

BOUNDARY = "----WebKitFormBoundaryXyZ"
MAX_PICTURES = 8

# Parsers of forms fail most often at line breaks and dashes.
CONTENTS = st.one_of(st.binary(max_size=300), st.text("\r\n-Xy", max_size=200).map(str.encode))
PIECES = [
    *(b"--b", b"--b--", b"\r\n", b"\n", b"\r", b" ", b"x", b"-", b"Content-Disposition: form-data;"),
    *(b'name="f"', b'; filename="p"', b"--b\r\nContent-Disposition: form-data; filename=p\r\n\r\n"),
]


def form(*parts: tuple[bytes, bytes], end: bytes = b"--\r\n") -> bytes:
    """A body of such parts: what follows `form-data; `, and the content."""
    delimiter = b"--" + BOUNDARY.encode()
    written = b"".join(
        b"%s\r\nContent-Disposition: form-data; %s\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n"
        % (delimiter, disposition, content)
        for disposition, content in parts
    )
    return written + delimiter + end


def file(content: bytes, name: bytes = b"a.jpg") -> tuple[bytes, bytes]:
    return b'name="f"; filename="%s"' % name, content


@given(contents=st.lists(CONTENTS, min_size=1, max_size=MAX_PICTURES), field=CONTENTS)
def test_each_file_comes_out_as_it_went_in(contents: list[bytes], field: bytes) -> None:
    parts = [file(content, b"%d.jpg" % index) for index, content in enumerate(contents)]
    payload = read_form(form(*parts, (b'name="note"', field)), BOUNDARY, MAX_PICTURES)
    assert [each.data for each in payload.sources] == contents
    assert [each.name for each in payload.sources] == [f"{index}.jpg" for index in range(len(contents))]
    assert payload.many == (len(contents) > 1)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_a_form_has_the_parts_that_werkzeugs_decoder_finds_in_it(body: bytes) -> None:
    try:
        found = [each.data for each in read_form(body, "b", 32).sources if isinstance(each, Picture)]
    except Problem:
        found = []
    assert found == files_by_werkzeug(body)


def files_by_werkzeug(body: bytes) -> list[bytes]:
    decoder = MultipartDecoder(b"b")
    decoder.receive_data(body)
    decoder.receive_data(None)
    files: list[bytes] = []
    is_file = False
    try:
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, Data) and is_file:
                files.append(event.data)
            elif not isinstance(event, Data):
                is_file = isinstance(event, File)
    except ValueError:
        return []
    return files


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 300_000, 5_000_000])
def test_a_file_of_any_size_and_content_is_read(size: int) -> None:
    content = random.Random(size).randbytes(size)
    [picture] = read_form(form(file(content)), BOUNDARY, MAX_PICTURES).sources
    assert picture.data == content


def test_a_name_in_utf_8_is_kept() -> None:
    [picture] = read_form(form(file(b"x", "Müller 写真.jpg".encode())), BOUNDARY, MAX_PICTURES).sources
    assert picture.name == "Müller 写真.jpg"


@pytest.mark.parametrize(
    ("body", "boundary", "sentence"),
    [
        (form(file(b"x")), None, "has no boundary"),
        (form(file(b"x")), "another", "does not contain the boundary"),
        (form(file(b"x")), "ü", "does not contain the boundary"),
        (b"", BOUNDARY, "does not contain the boundary"),
        (form(file(b"x"), end=b""), BOUNDARY, "cut off or malformed"),
        (form(file(b"x"))[:-20], BOUNDARY, "cut off or malformed"),
        (form(file(b"x")).replace(b"Content-Disposition", b"X"), BOUNDARY, "Content-Disposition"),
        (form(file(b"x", "Müller.jpg".encode("latin-1"))), BOUNDARY, "not UTF-8"),
        (form((b'name="f"', b"x" * 500_000)), BOUNDARY, "has no file"),
        (form(), BOUNDARY, "has no file"),
        (form(*[file(b"x")] * (MAX_PICTURES + 1)), BOUNDARY, f"send at most {MAX_PICTURES} at once"),
        (form(*[(b'name="f"', b"x")] * 1000), BOUNDARY, f"more than {2 * MAX_PICTURES} parts"),
    ],
)
def test_a_malformed_form_is_refused_with_its_reason(
    body: bytes, boundary: str | None, sentence: str
) -> None:
    with pytest.raises(Problem) as caught:
        read_form(body, boundary, MAX_PICTURES)
    assert sentence in caught.value.detail
    assert caught.value.status in (400, 413)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_reading(junk: bytes) -> None:
    for body in (junk, b"--%s\r\n%s" % (BOUNDARY.encode(), junk), form(file(b"x")) + junk):
        try:
            read_form(body, BOUNDARY, MAX_PICTURES)
        except Problem as problem:
            assert problem.status in (400, 413)  # noqa: PT017 - it may, but need not, be refused


@given(contents=st.lists(CONTENTS, min_size=1, max_size=MAX_PICTURES), step=st.integers(1, 120))
def test_the_steps_of_the_search_change_no_file(contents: list[bytes], step: int) -> None:
    body = form(*(file(content) for content in contents))
    with patch.object(forms, "_SEARCH_STEP", step):
        assert [each.data for each in read_form(body, BOUNDARY, MAX_PICTURES).sources] == contents


@given(body=st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), step=st.integers(1, 40))
def test_the_steps_of_the_search_change_no_outcome(body: bytes, step: int) -> None:
    with patch.object(forms, "_SEARCH_STEP", step):
        in_steps = outcome(body)
    assert in_steps == outcome(body)


def outcome(body: bytes) -> object:
    """The files of a form, or why it is refused."""
    try:
        return read_form(body, "b", 32)
    except Problem as problem:
        return str(problem)


def test_the_headers_of_all_parts_together_have_a_limit() -> None:
    field = b'name="f"' + b"; a=b" * 700  # below the limit for one part
    assert len(read_form(form(*8 * [(field, b"x")], file(b"y")), BOUNDARY, MAX_PICTURES).sources) == 1
    with pytest.raises(Problem, match="headers of all parts of the form exceed 32,768 bytes"):
        read_form(form(*10 * [(field, b"x")], file(b"y")), BOUNDARY, MAX_PICTURES)


def test_a_delimiter_may_have_some_white_space_behind_it_and_not_much() -> None:
    def with_padding(count: int) -> bytes:
        return form(file(b"x")).replace(b"XyZ\r\n", b"XyZ" + b" " * count + b"\r\n", 1)

    assert read_form(with_padding(256), BOUNDARY, MAX_PICTURES).sources == [Picture(b"x", "a.jpg")]
    with pytest.raises(Problem, match="has no file"):
        read_form(with_padding(257), BOUNDARY, MAX_PICTURES)
