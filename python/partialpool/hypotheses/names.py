"""Names of parameters inside a text: the longest that the fit has, wherever brackets stand in it.

Names are made of terms and levels, so they hold whatever these hold: ``b[arm[T.b]:year]``,
``coef_id[a, b,x]``. So a name is what the fit calls so, not what looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from partialpool import called
from partialpool.data.labels import as_given, label
from partialpool.errors import InputError, did_you_mean, short
from partialpool.model import Group, Model

# Blanks that may stand in a name, or not.
_BLANKS = re.compile(r"\s*([\[\],])\s*")
# A bare name, which is all word: nothing in it could be arithmetic.
_PART = r"[^\W\d][\w.]*(?:\[[^\[\]]*\])?"
_BARE = re.compile(rf"{_PART}(?::{_PART})*")
_UNKNOWN = re.compile(rf"{_BARE.pattern}(?:\[[^\[\]]*\]?)?")
MOST_SEARCHED = 20_000
"""Names among which the nearest to a wrong one is looked for."""


class OfLevel(NamedTuple):
    """What one level has: which kind of the group at which position, and where in it."""

    kind: str
    group: int
    level: int
    term: int


class Found(Struct, frozen=True):
    """A parameter that a text names: its full name, and where it ends."""

    name: str
    end: int
    level: OfLevel | None = None


class Names:
    """All names of a fit's parameters, and what else users call them.

    Parameters
    ----------
    labels : sequence of str
        Full names of all parameters but those of levels.
    model : Model
        Whose groups have parameters of levels.
    of_levels : mapping
        Arrays over levels, such as ``coef_county``: which kind of the group at which position.
    """

    def __init__(
        self, labels: Sequence[str], model: Model, of_levels: dict[str, tuple[str, int]]
    ) -> None:
        self.labels = tuple(labels)
        self._written = set(labels)
        self._groups = model.groups
        self._of_levels = of_levels
        self._exact: dict[str, set[str]] = {}
        for name in labels:
            self._exact.setdefault(tidy(name), set()).add(name)
        self._aliases: dict[str, set[str]] = {}
        for name in labels:
            for other in map(tidy, called.aliases(name)):
                if _BARE.fullmatch(other):
                    self._aliases.setdefault(other, set()).add(name)
        # With room for blanks.
        self._longest = 20 + 2 * max(map(len, (*self._exact, *self._aliases)), default=0)
        arrays: dict[str, list[str]] = {}
        for name in labels:
            arrays.setdefault(called.array_of(name), []).append(name)
        self._arrays = arrays
        for array, elements in arrays.items():
            if len(elements) == 1:  # `sd_county` of one term, as priors are called
                self._aliases.setdefault(array, set()).update(elements)

    def find(self, text: str, i: int) -> Found | None:
        """Return the longest name that starts at a position of a text, if there is any.

        Raises
        ------
        InputError
            If what stands there may be several parameters.
        """
        for end in reversed(list(self._ends(text, i))):
            found = self.named(text[i:end], i, end)
            if found is not None:
                return found
        return None

    def named(self, written: str, i: int, end: int) -> Found | None:
        """Return the parameter that is called so; where it stands is for messages."""
        name = tidy(written)
        exact = {written} & self._written or self._exact.get(name)
        found = exact or self._aliases.get(name, set())
        places = [Found(one, end) for one in found]
        # As it stands first: levels may differ in blanks alone.
        places = (
            places or self._levels_called(written, end, str) or self._levels_called(name, end, tidy)
        )
        if len(places) > 1:
            options = " or ".join(f"`{place.name}`" for place in places[:4])
            if len({place.name for place in places}) == 1:
                options = "parameters that share this name"
            raise InputError(
                f"`{short(written)}` may be {options}",
                where=f"at character {i + 1}",
                remedy="write the full name"
                if len({place.name for place in places}) > 1
                else "rename a column or a level",
            )
        return places[0] if places else None

    def _ends(self, text: str, i: int) -> Iterable[int]:
        """Positions where a name that starts here may end: behind a word or a bracket."""
        of_level = any(text.startswith(array, i) for array in self._of_levels)
        last = len(text) if of_level else min(len(text), i + self._longest)
        for end in range(i + 1, last + 1):
            before, after = text[end - 1], text[end : end + 1]
            word = before.isalnum() or before == "_"
            if not (word or before == "]") or after in (":", "["):
                continue
            if word and after and (after.isalnum() or after == "_"):
                continue
            if after == "." and text[end + 1 : end + 2].isalnum():
                continue
            yield end

    @cached_property
    def _places(self) -> list[dict[str, list[int]]]:
        return [_positions(group, tidy) for group in self._groups]

    @cached_property
    def _exact_places(self) -> list[dict[str, list[int]]]:
        return [_positions(group, str) for group in self._groups]

    def _levels_called(self, name: str, end: int, spell: Callable[[str], str]) -> list[Found]:
        """Parameters of single levels that have this name, as it stands or with blanks aside."""
        places = self._places if spell is tidy else self._exact_places
        found = []
        for array, (kind, k) in self._of_levels.items():
            if called.array_of(name) != array or not name.endswith("]"):
                continue
            group, inside = self._groups[k], called.place_of(name)
            for j, term in enumerate(group.terms):
                level = inside.removesuffix(called.pair("", spell(term)))
                sole = len(group.terms) == 1
                if level == inside and not sole:
                    continue
                for position in places[k].get(level, []):
                    full = called.at_level(array, group.levels[position], term)
                    place = OfLevel(kind, k, position, j)
                    found.append(Found(full, end, place))
        return found

    def unknown(self, text: str, i: int) -> InputError:
        """Return what to say of a name that the fit does not have."""
        match = _UNKNOWN.match(text, i)
        assert match is not None
        written = match[0]
        array, place = called.array_of(tidy(written)), called.place_of(tidy(written))
        where = f"at character {i + 1}"
        if array in self._of_levels:
            return self._unknown_level(written, array, place, where)
        if array in self._arrays and not place:
            elements = " or ".join(f"`{name}`" for name in self._arrays[array][:4])
            remedy = f"name one, such as {elements}"
            return InputError(f"`{array}` is several parameters", where=where, remedy=remedy)
        known = [*self.labels, *(name for name in self._aliases if "__" not in name)]
        names = known if place else [*known, *self._of_levels]
        remedy = did_you_mean(written, names[:MOST_SEARCHED])
        if remedy.startswith("choose"):
            arrays = [f"{name}[…]" for name in self._of_levels]
            remedy = did_you_mean("", [*self.labels, *arrays])
        return InputError(f"no parameter `{short(written)}`", where=where, remedy=remedy)

    def _unknown_level(self, written: str, array: str, place: str, where: str) -> InputError:
        group = self._groups[self._of_levels[array][1]]
        example = called.at_level(array, group.levels[0], group.terms[0])
        level, comma, term = place.rpartition(",")
        known = [label(one) for one in group.levels[:MOST_SEARCHED].tolist()]
        if not place or (not comma and place in self._places[self._of_levels[array][1]]):
            what = f"`{short(written)}` names no level and term"
            return InputError(what, where=where, remedy=f"write it like `{short(example, 100)}`")
        if term in map(tidy, group.terms) or not comma:
            unknown = level if comma else place
            what = f"`{short(unknown)}` is no level of `{group.name}`"
            return InputError(what, where=where, remedy=did_you_mean(unknown, known))
        what = f"`{short(term)}` is no coefficient of the levels of `{group.name}`"
        return InputError(what, where=where, remedy=did_you_mean(term, group.terms))


def tidy(name: str) -> str:
    """Return a name without the blanks around its brackets and commas.

    Examples
    --------
    >>> tidy(" cor_id[ Intercept, x ]")
    'cor_id[Intercept,x]'
    """
    return _BLANKS.sub(r"\1", name).strip()


def _positions(group: Group, spell: Callable[[str], str]) -> dict[str, list[int]]:
    """Positions of levels by what they are called."""
    places: dict[str, list[int]] = {}
    for position, level in enumerate(as_given(group.levels)):
        for name in {spell(str(level)), spell(label(level)), spell(str(group.levels[position]))}:
            places.setdefault(name, []).append(position)
    return places
