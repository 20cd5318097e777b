"""Multipart forms. The client chooses the boundary, and a boundary of one character is valid."""

from __future__ import annotations

from .registry import body, repeat

_FORM = "multipart/form-data; boundary=b"
_FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="p.jpg"\r\n\r\n'
_END = b"\r\n--b--\r\n"


@body("form-delimiters", _FORM)
def form_delimiters(size: int) -> bytes:
    """Delimiters without a line break before them: text, which a search for heads may take for parts."""
    return repeat(b"--bx" * 4000 + b"\n\n", size)


@body("form-delimiters-in-a-file", _FORM)
def form_delimiters_in_a_file(size: int) -> bytes:
    return _FILE + repeat(b"\r\n--bx", size) + _END


@body("form-spaces-after-delimiters", _FORM)
def form_spaces_after_delimiters(size: int) -> bytes:
    """RFC 2046 allows spaces behind a delimiter: a regular expression looks through them again and again."""
    return _FILE + repeat(b"\r\n--b" + b" " * 4000 + b"x", size) + _END


@body("form-one-delimiter-and-spaces", _FORM)
def form_one_delimiter_and_spaces(size: int) -> bytes:
    return _FILE + b"\r\n--b" + b" " * size + b"x" + _END


@body("form-line-breaks", _FORM)
def form_line_breaks(size: int) -> bytes:
    return _FILE + repeat(b"\r\n", size) + _END


@body("form-many-parts", _FORM)
def form_many_parts(size: int) -> bytes:
    return repeat(_FILE + b"x\r\n", size) + _END[2:]


@body("form-empty-parts", _FORM)
def form_empty_parts(size: int) -> bytes:
    return repeat(b"--b\r\n\r\n\r\n", size) + _END[2:]


@body("form-endless-headers", _FORM)
def form_endless_headers(size: int) -> bytes:
    return _FILE[:-2] + repeat(b"A: b\r\n", size) + b"\r\nx" + _END


@body("form-continued-headers", _FORM)
def form_continued_headers(size: int) -> bytes:
    return _FILE[:-2] + b"A: b\r\n" + repeat(b"\t\r\n", size) + b"\r\nx" + _END


@body("form-many-parameters", _FORM)
def form_many_parameters(size: int) -> bytes:
    """A Content-Disposition header with thousands of parameters, some of them continued (RFC 2231)."""
    parameters = repeat(b';a*0="b"', size)
    return b'--b\r\nContent-Disposition: form-data; filename="f"' + parameters + b"\r\n\r\nx" + _END


@body("form-parameters-in-each-part", _FORM)
def form_parameters_in_each_part(size: int) -> bytes:
    """As many as pass for the headers of one part."""
    part = b'--b\r\nContent-Disposition: form-data; filename="f"' + b';a*0="b"' * 490 + b"\r\n\r\nx\r\n"
    return repeat(part, size) + _END[2:]


@body("form-long-preamble", _FORM)
def form_long_preamble(size: int) -> bytes:
    return repeat(b"--a\r\n", size) + _FILE + b"x" + _END


@body("form-long-epilogue", _FORM)
def form_long_epilogue(size: int) -> bytes:
    return _FILE + b"x" + _END + repeat(b"--b\r\n\r\n", size)


@body("form-boundary-that-nearly-matches", "multipart/form-data; boundary=" + "-" * 69 + "b")
def form_nearly_matching_boundary(size: int) -> bytes:
    return b"--" + b"-" * 69 + b"b" + _FILE[3:] + b"\r\n" + b"-" * size + b"\r\n--" + b"-" * 69 + b"b--\r\n"


@body("form-cut-off", _FORM)
def form_cut_off(size: int) -> bytes:
    return _FILE + bytes(size)


@body("form-two-files", _FORM)
def form_two_files(size: int) -> bytes:
    half = bytes(size // 2)
    return _FILE + half + b"\r\n" + _FILE + half + _END
