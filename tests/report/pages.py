"""Pages taken apart: their elements, and what a reader sees of them."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

Element = ET.Element


def body_of(page: str) -> Element:
    """The main part of a page, which is well-formed XML as well."""
    return ET.fromstring(page[page.index("<main>") : page.index("</main>") + len("</main>")])


def of_class(element: Element, name: str) -> list[Element]:
    """All elements of a class, in order."""
    return [one for one in element.iter() if name in one.get("class", "").split()]


def words(element: Element) -> str:
    """All text in an element, tooltips too."""
    return " ".join(" ".join(element.itertext()).split())


def lane(chart: Element, name: str) -> Element:
    """The lane of that name in a chart."""
    found = [one for one in of_class(chart, "lane") if words(one.findall(".//b")[0]) == name]
    assert found, f"no lane {name}"
    return found[0]


def charts(page: str) -> list[Element]:
    """The charts of a page, in order."""
    return of_class(body_of(page), "chart")


def tooltips(element: Element) -> list[str]:
    """The tooltips in an element."""
    return ["".join(title.itertext()) for title in element.iter("title")]


class Links(HTMLParser):
    """Collects everything by which a page could ask for something."""

    ASKING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in self.ASKING]


def links(page: str) -> Iterator[str]:
    """Yield every address that a page has, those within itself too."""
    parser = Links()
    parser.feed(page)
    yield from parser.found


def tags(page: str) -> set[str]:
    """The names of all elements of a page."""
    parser = Links()
    parser.feed(page)
    return set(parser.tags)
