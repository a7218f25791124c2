"""Each mutant is caught, by what it is said to break, within so many seeds."""

from __future__ import annotations

import re
from functools import cache

import pytest

from drone_sim.explore.runs import Case, play
from drone_sim.mutants import (
    MUTANTS,
    answering,
    confirming,
    deciding,
    following,
    holding,
    joining,
    locks,
    reseeding,
    shells,
    voting,
)
from drone_sim.mutants.hunting import Hunt, hunt
from tests.mutants.stated import STATED

FAMILIES = (
    *(voting, following, confirming, deciding, answering, joining, reseeding),
    *(locks, holding, shells),
)
"""The modules that the mutants stand in."""


@cache
def hunted(name: str) -> Hunt:
    """The hunt of a mutant, from its stated first seed on."""
    return hunt(name, STATED[name].first, STATED[name].within)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_within_its_stated_number_of_seeds(name: str) -> None:
    """Some seed shows a violation of what the mutant breaks, and of nothing else first."""
    caught = hunted(name).caught
    assert caught is not None
    assert caught.id in MUTANTS[name].breaks


@pytest.mark.parametrize("name", MUTANTS)
def test_the_product_holds_where_the_mutant_does_not(name: str) -> None:
    """The very seed that catches a mutant shows nothing at all without it."""
    last = hunted(name).first + hunted(name).seeds - 1
    assert () == play(Case(seed=last, speed=MUTANTS[name].speed)).violations


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_on_only_while_it_is_applied(name: str) -> None:
    """Every attribute is the mutant's within the context, and the product's again after it."""
    patches = MUTANTS[name].patches
    product = [vars(one.owner())[one.name] for one in patches]
    with MUTANTS[name].applied():
        during = [vars(one.owner())[one.name] for one in patches]
    assert [one.value for one in patches] == during
    assert product == [vars(one.owner())[one.name] for one in patches]
    assert all(before is not mutated for before, mutated in zip(product, during, strict=True))


def test_a_mutant_is_off_again_after_an_error() -> None:
    """A run that raises leaves no mutant behind."""
    (patch,) = MUTANTS["keeps-the-epoch"].patches
    product = vars(patch.owner())[patch.name]
    with pytest.raises(ZeroDivisionError), MUTANTS["keeps-the-epoch"].applied():
        raise ZeroDivisionError
    assert product is vars(patch.owner())[patch.name]


def test_names_are_unique() -> None:
    """No mutant hides another one of the same name."""
    names = [mutant.name for family in FAMILIES for mutant in family.MUTANTS]
    assert sorted(MUTANTS) == sorted(names)


def test_names_are_kebab_case() -> None:
    """A name can be typed after --mutant as it stands."""
    assert [] == [name for name in MUTANTS if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)]


def test_mutants_break_known_rules() -> None:
    """What a mutant breaks is an invariant of DESIGN §8, or the program itself."""
    known = {"X", *(f"I{number}" for number in range(1, 31))}
    assert [] == [one.name for one in MUTANTS.values() if not set(one.breaks) <= known]
    assert [] == [one.name for one in MUTANTS.values() if not one.breaks]


def test_every_mutant_says_what_it_does() -> None:
    """What stands in the product's place has a docstring of its own."""
    values = [(one.name, patch.value) for one in MUTANTS.values() for patch in one.patches]
    assert [] == [name for name, value in values if not vars(value).get("__doc__", value.__doc__)]


def test_every_mutant_has_a_stated_number() -> None:
    """The table of stated numbers is of these mutants."""
    assert sorted(MUTANTS) == sorted(STATED)
