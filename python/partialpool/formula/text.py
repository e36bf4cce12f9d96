"""The text of a formula: its two sides, and which bracket closes which."""

from __future__ import annotations

import re

from partialpool.errors import InputError

MAX_LENGTH = 20_000
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
# Calls around a formula that is to be given by itself.
_WRAPPER = re.compile(
    r"\s*(@?formula|as\.formula|bf|mvbf|brmsformula|brm|lmer|glmer|nlmer|lm|glm|glmmTMB)\s*\("
)
# What documents set in place of the plain characters.
_TYPOGRAPHY = {"∼": "~", "˜": "~", "～": "~", "−": "-", "∗": "*", "\u00a0": " "}


def check_length(text: str) -> None:
    """Refuse a formula that is too long to be meant."""
    if len(text) > MAX_LENGTH:
        raise InputError(f"the formula has more than {MAX_LENGTH} characters")


def plain(text: str) -> str:
    """Return a formula with plain characters for tildes and signs, names and strings untouched.

    Examples
    --------
    >>> plain("y ∼ x − `a − b`")
    'y ~ x - `a − b`'
    """
    out: list[str] = []
    i = 0
    while i < len(text):
        end = _passed(text, i)
        out.append(text[i:end] if end > i + 1 else _TYPOGRAPHY.get(text[i], text[i]))
        i = end
    return "".join(out)


def split_sides(text: str, no_tilde: str) -> tuple[str, str, int]:
    """Return what stands left and right of the first ``~``, and its position, counted from 0.

    Parameters
    ----------
    text : str
        A formula.
    no_tilde : str
        What to do if there is none.

    Examples
    --------
    >>> split_sides("{~b} ~ x", "write one")
    ('{~b} ', ' x', 5)
    """
    at = top_level(text, "~")
    if at:
        return text[: at[0]], text[at[0] + 1 :], at[0]
    _check_brackets(text)
    wrapper = _WRAPPER.match(text)
    if wrapper:
        raise InputError(f"`{wrapper[1]}(…)` stands around a formula", remedy="give what is in it")
    inside = top_level(text, "~", within=True)
    if inside:
        raise InputError("`~` stands inside brackets", where=f"at character {inside[0] + 1}")
    single = top_level(text, "=")
    if len(single) == 1:
        no_tilde = f"write `~` in place of `=` at character {single[0] + 1}"
    raise InputError("the formula has no `~`", remedy=no_tilde)


def top_level(text: str, wanted: str, *, within: bool = False) -> list[int]:
    """Return where a character stands outside brackets (or `within` them), strings and backticks.

    Examples
    --------
    >>> top_level("f(a | b) | c", "|")
    [9]
    """
    found, depth, i = [], 0, 0
    while i < len(text):
        end = _passed(text, i)
        if end == i + 1:
            if text[i] in _CLOSERS:
                depth += 1
            elif text[i] in ")]}":
                depth = max(depth - 1, 0)
            elif text[i] == wanted and (depth == 0 or within):
                found.append(i)
        i = end
    return found


def closing(text: str, opening: int, offset: int = 1) -> int:
    """Return where the bracket at ``opening`` closes, passing over strings and backticks.

    Parameters
    ----------
    text : str
        The text.
    opening : int
        The position of the bracket in it.
    offset : int
        What to add to positions in messages.

    Examples
    --------
    >>> closing("f(')')", 1)
    5
    """
    stack: list[str] = []
    i = opening
    while i < len(text):
        end = _passed(text, i, offset)
        if end == i + 1:
            char = text[i]
            if char in _CLOSERS:
                stack.append(_CLOSERS[char])
            elif char in ")]}":
                if stack.pop() != char:
                    raise InputError(
                        "the brackets do not match", where=f"at character {i + offset}, `{char}`"
                    )
                if not stack:
                    return i
        i = end
    raise InputError(
        f"the bracket `{text[opening]}` is not closed",
        where=f"at character {opening + offset}",
        remedy=f"add `{_CLOSERS[text[opening]]}`",
    )


def _check_brackets(text: str) -> None:
    stack: list[int] = []
    i = 0
    while i < len(text):
        end = _passed(text, i)
        if end == i + 1 and text[i] in _CLOSERS:
            stack.append(i)
        elif end == i + 1 and text[i] in ")]}":
            if not stack:
                raise InputError(
                    "a bracket closes that was never opened", where=f"at character {i + 1}"
                )
            stack.pop()
        i = end
    if stack:
        raise InputError(
            "a bracket is not closed", where=f"at character {stack[-1] + 1}", remedy="add `)`"
        )


def _passed(text: str, i: int, offset: int = 1) -> int:
    """Return where the string or name that starts here ends, or the next position."""
    if text[i] not in "'\"`":
        return i + 1
    j = i + 1
    while j < len(text):
        if text[j] == text[i]:
            return j + 1
        j += 2 if text[j] == "\\" and text[i] != "`" else 1
    what = "backtick" if text[i] == "`" else "quote"
    raise InputError(f"a {what} is not closed", where=f"at character {i + offset}")
