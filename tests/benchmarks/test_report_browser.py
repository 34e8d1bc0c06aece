"""The page in a browser: tables work, nothing complains, everybody can use it."""

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)
PATIENCE = 180_000  # ms; on a machine that is busy with other work a page takes long, which is no fault of the page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        assert not os.environ.get("GSSL_EXPECT_BROWSER"), "GSSL_EXPECT_BROWSER is set, but there is no chromium"
        pytest.skip("there is no chromium here: apt-get install chromium")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab on a desktop; anything that goes to the console as an error fails the test."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith("file:") else complaints.append(request.url))
    yield tab
    context.close()
    assert complaints == []


def one_of_each(site: Path) -> list[str]:
    """A page of each kind; of runs and boards those that show the most."""
    largest = [
        max((site / kind).iterdir(), key=lambda path: path.stat().st_size).relative_to(site).as_posix()
        for kind in ("runs", "boards", "methods", "environments")
    ]
    most = [path for path in (site / "boards").iterdir() if path.name.startswith("digits")]
    front = [
        "index.html",
        "results.html",
        "methods.html",
        "about.html",
        "samplers.html",
        "searches.html",
        "unfinished.html",
    ]
    return [*front, *largest, most[0].relative_to(site).as_posix()]


def column(page: Page, table: str, index: int, body: str = "own") -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"#{table} tbody.{body} tr > *:nth-child({index})",
        "cells => cells.map(cell => (cell.querySelector('a') ?? cell).textContent)",
    )
    return found


def test_a_table_sorts_both_ways_and_keeps_the_references_below(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    head = page.locator("#protocol-0 thead th", has_text="digits")
    index = 1 + page.locator("#protocol-0 thead th").evaluate_all(
        "heads => heads.findIndex(h => h.dataset.title === 'digits')"
    )
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    scores = [float(text.split(" ")[0]) for text in column(page, "protocol-0", index) if text != "–"]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert column(page, "protocol-0", 1)[0] == "GRACE"
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    again = [float(text.split(" ")[0]) for text in column(page, "protocol-0", index) if text != "–"]
    assert again == sorted(scores)
    references = column(page, "protocol-0", index, "references")
    assert len(references) == 3
    assert column(page, "protocol-0", index)[-1] == "–"  # what is missing comes last both ways


def test_a_table_is_filtered_by_words_and_by_columns(site: Path, page: Page) -> None:
    page.goto((site / "results.html").as_uri())
    count = page.locator("#results .count")
    assert count.text_content() == "169 of 169 rows"
    page.get_by_role("searchbox").fill("grace cora")
    assert count.text_content() == "1 of 169 rows"
    assert column(page, "results", 1) == ["GRACE"]
    page.get_by_role("searchbox").fill("")
    page.locator("select[data-column=dataset]").select_option("CiteSeer")
    assert count.text_content() == "7 of 169 rows"
    page.locator("select[data-column=method]").select_option("raw")
    assert (column(page, "results", 1), column(page, "results", 1, "references")) == ([], ["raw"])


def test_a_long_table_has_pages(site: Path, page: Page) -> None:
    page.goto(next((site / "boards").glob("many-*")).as_uri())
    assert len(column(page, "results", 1)) == 100
    assert page.get_by_role("button", name="Previous").is_disabled()
    page.get_by_role("button", name="Next").click()
    assert len(column(page, "results", 1)) == 30
    assert page.locator(".pager span").text_content() == "page 2 of 2"
    page.locator("#results thead button", has_text="test").click()
    assert column(page, "results", 2)[0] == "62.90"  # sorting looks at all pages and goes back to the first


def test_the_address_keeps_what_a_table_shows(site: Path, page: Page) -> None:
    page.goto((site / "results.html").as_uri())
    page.get_by_role("searchbox").fill("grace")
    page.locator("select[data-column=dataset]").select_option("digits")
    page.locator("#results thead button", has_text="test").click()
    shown = column(page, "results", 4)
    assert "q=grace&dataset=digits&sort=-test" in page.url
    page.goto("about:blank")
    page.go_back()
    assert column(page, "results", 4) == shown
    assert page.get_by_role("searchbox").input_value() == "grace"
    assert page.locator("select[data-column=dataset]").input_value() == "digits"
    page.get_by_role("searchbox").fill("")
    page.locator("select[data-column=dataset]").select_option("")
    assert page.url.endswith("results.html?sort=-test")
    page.goto((site / "results.html").as_uri() + "?dataset=nowhere&sort=nothing&page=x&q=cora")  # from another version
    assert page.locator("#results .count").text_content() == "7 of 169 rows"
    page.goto(next((site / "boards").glob("many-*")).as_uri() + "?page=2")
    assert page.locator(".pager span").text_content() == "page 2 of 2"
    page.goto((site / "index.html").as_uri() + "?protocol-0.q=bgrl")
    assert column(page, "protocol-0", 1) == ["BGRL"]
    assert len(column(page, "protocol-2", 1)) == 4  # each table has its own
    page.goto((site / "index.html").as_uri())
    page.locator(".tile", has_text="with a warning").locator("a").click()
    page.wait_for_url("**/results.html?q=*")
    assert column(page, "results", 1) == ["MVGRL"]


def test_the_rows_that_are_shown_can_be_saved(site: Path, page: Page) -> None:
    page.goto((site / "results.html").as_uri() + "?dataset=ESOL")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of these rows").click()
    with open(download.value.path(), newline="") as file:  # noqa: PTH123  # a path of playwright
        lines = list(csv.DictReader(file))
    assert sorted(line["method"] for line in lines) == ["'=cmd|' /C calc'!A0", "GraphCL", "raw"]
    assert [line["test"] for line in lines if line["method"] == "GraphCL"] == ["0.7500"]


def test_a_number_leads_to_its_run_and_on_to_the_rest(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.locator("#protocol-0 tbody tr", has_text="GRACE").locator("td a").last.click()
    assert "GRACE on digits" in (page.get_by_role("heading", level=1).text_content() or "")
    assert page.locator("pre.command").text_content() is not None
    page.locator("td a code").first.click()
    assert "Environment" in (page.get_by_role("heading", level=1).text_content() or "")
    page.go_back()
    page.locator("h1 a").click()
    assert page.get_by_role("heading", level=1).text_content() == "GRACE"
    assert page.get_by_role("heading", name="search space").count() == 1


def test_the_theme_can_be_changed_and_is_kept(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(colour)
    assert dark != light
    page.goto((site / "about.html").as_uri())
    assert page.evaluate(colour) == dark
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(colour) == light


def test_the_keyboard_reaches_everything(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(e => e.className || e.dataset.filter || e.tagName)(document.activeElement)"))
    assert {"sort", "theme", "INPUT", "A"} <= reached


def test_hostile_text_does_not_run(site: Path, page: Page) -> None:
    for name in (*one_of_each(site), *(f"runs/{path.name}" for path in (site / "runs").glob("*.html"))):
        if name.startswith("runs/") and "owned" not in (site / name).read_text():
            continue
        page.goto((site / name).as_uri())
        assert page.evaluate("window.owned") is None, name


# Texts that stick out of their picture, pictures that must be scrolled, hidden things that are seen.
FAULTS = """() => {
  const found = [];
  for (const chart of document.querySelectorAll("svg.chart")) {
    const frame = chart.getBoundingClientRect();
    if (frame.width === 0) continue;
    for (const text of chart.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const across = [frame.left - box.left, box.right - frame.right];
      const up = [frame.top - box.top, box.bottom - frame.bottom];
      const out = Math.max(...across, ...up);
      if (out > 1) found.push(`${text.textContent} is cut by ${Math.round(out)} pixels`);
    }
    if (Number.parseFloat(getComputedStyle(chart.querySelector("text") ?? chart).fontSize) * frame.width
      / chart.viewBox.baseVal.width < 9.5) found.push(`${chart.ariaLabel} is too small to read`);
  }
  for (const figure of document.querySelectorAll(".figure")) {
    if (figure.scrollWidth > figure.clientWidth + 1) found.push(`${figure.ariaLabel} does not fit`);
    const seen = [...figure.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().width > 0);
    if (seen.length === 0) found.push(`${figure.ariaLabel} shows nothing`);
    if (new Set(seen.map((svg) => svg.ariaLabel)).size < seen.length) found.push(`${figure.ariaLabel} is there twice`);
  }
  for (const hidden of document.querySelectorAll("[hidden]")) {
    if (getComputedStyle(hidden).display !== "none") found.push(`${hidden.outerHTML.slice(0, 80)} is not hidden`);
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_every_kind_of_page_is_accessible_and_fits(
    site: Path, browser: Browser, tmp_path: Path, device: str, theme: str
) -> None:
    context = browser.new_context(viewport=PHONE if device == "phone" else DESKTOP, color_scheme=theme)  # type: ignore[arg-type]  # literals
    context.set_default_timeout(PATIENCE)
    shots = Path(os.environ.get("GSSL_SCREENSHOTS") or tmp_path)
    tab, axe, found = context.new_page(), Axe(), []
    for name in one_of_each(site):
        tab.goto((site / name).as_uri())
        wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{name} is {wide} pixels too wide")
        found += [f"{name}: {fault}" for fault in tab.evaluate(FAULTS)]
        if (device, theme) in (("desktop", "light"), ("phone", "dark")):  # its rules see one of the two each time
            found += [f"{name}: {v['id']}: {v['nodes'][0]['html'][:150]}" for v in axe.run(tab).response["violations"]]
        shot = shots / f"{name.replace('/', '-').removesuffix('.html')}-{device}-{theme}.png"
        tab.screenshot(path=shot, full_page=True)
        assert shot.stat().st_size > 10_000
    context.close()
    assert not found, "\n".join(found)
