from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cam.errors import LONGEST_MESSAGE, one_line


@given(st.text(max_size=5000))
def test_a_message_is_one_bounded_line_that_no_terminal_obeys(text: str) -> None:
    line = one_line(text)
    assert len(line) <= LONGEST_MESSAGE + 2
    assert line.isprintable()


def test_a_short_message_stays_as_it_is_and_a_long_one_says_that_it_goes_on() -> None:
    assert one_line("cannot read ä.png: not a picture") == "cannot read ä.png: not a picture"
    assert one_line("x" * 10**6) == "x" * LONGEST_MESSAGE + " …"
    assert one_line("a" + " " * 10**6 + "b") == "a …"
