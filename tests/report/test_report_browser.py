"""A page in a real browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drone_sim.report.html import render_page
from tests.conftest import Need
from tests.report import nights
from tests.report.pages import Element, body_of, lane, of_class, words

Dump = Callable[[str], Element]
VOID = re.compile(r"<(br|input)\b([^>]*)>")
"""Elements that a browser writes without an end."""

NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"


@pytest.fixture
def dump(need: Need, tmp_path: Path) -> Dump:
    """Return a function that loads a page, runs its script, and returns what became of it."""
    chromium = need("chromium")

    def load(page: str) -> Element:
        file = tmp_path / "page.html"
        file.write_text(page, encoding="utf-8")
        done = subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=5000",
                NO_NETWORK,
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                file.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        return body_of(VOID.sub(r"<\1\2/>", done.stdout))

    return load


def test_a_browser_shows_the_lanes_and_runs_the_script(dump: Dump) -> None:
    """
    Chromium has all lanes in its document; the page's policy lets its script run, which shows
    the controls and draws the ticks anew.
    """
    body = dump(render_page([nights.played(12, violated=True)], title="in a browser"))
    near, whole = of_class(body, "chart")
    assert [12, 12] == [len(of_class(chart, "device")) for chart in (near, whole)]
    assert "holds: in doubt" in words(lane(whole, "d-05"))
    assert [None] == [one.get("hidden") for one in of_class(body, "tools")]
    assert of_class(lane(whole, "time"), "ticks")[0].findall("{*}text")


PRESSED = """
const press = (name) => [...document.querySelectorAll(".zoom")].
  find((one) => one.textContent === name).click();
press("txn 2 commit");
const who = document.querySelector(".who");
who.value = "d-02";
who.dispatchEvent(new Event("change"));
"""


def test_a_button_zooms_and_a_device_is_picked(dump: Dump) -> None:
    """
    A transaction's button shows its time and nothing else; the others' lanes and events go; a
    band that began before has its label where it is seen.
    """
    page = render_page([nights.played(3)], title="pressed")
    without_policy = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    body = dump(without_policy.replace("</body>", f"<script>{PRESSED}</script></body>"))
    (chart,) = of_class(body, "chart")
    assert ["d-02"] == [
        one.get("data-who") for one in of_class(chart, "device") if one.get("hidden") is None
    ]
    rows = of_class(body, "events")[0].findall("{*}tbody/{*}tr")
    shown = {one.get("data-who") for one in rows if one.get("hidden") is None}
    assert {None, "d-02"} == shown
    window = of_class(lane(chart, "d-02"), "win")[0]
    assert float(window.get("width", "").rstrip("%")) > 150.0
    label = of_class(lane(chart, "d-02"), "band")[0].find("{*}text")
    assert label is not None
    assert float(label.get("x", "").rstrip("%")) > 0.0
