"""A report opened in a real browser: what people see, point at, search, sort and switch."""

import itertools
import re

import numpy as np
import pytest

from report.conftest import EVIL, NAMES

READY = "Object.keys(charts).every(n => document.querySelector(`#${n} .marks`))"


@pytest.fixture(scope="module")
def opened(browser, path):
    """The page at a desk, with all that went wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.trouble = []
    page.on("console", lambda message: page.trouble.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("dialog", lambda dialog: page.trouble.append(f"dialog: {dialog.message}"))
    page.asked = []
    page.route(re.compile("^(?!file:|data:)"), lambda route: (page.asked.append(1), route.abort()))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function(READY)
    yield page
    context.close()


@pytest.fixture
def page(opened):
    """The page as it was opened."""
    opened.reload()
    opened.wait_for_function(READY)
    return opened


def dots(page):
    """Centres of the levels' estimates, from the left."""
    found = page.locator("#levels0 .mark-symbol path:visible").evaluate_all(
        "all => all.filter(one => one.getAttribute('fill') === '#0072B2')"
        ".map(one => one.getBoundingClientRect()).map(r => [r.x + r.width / 2, r.y + r.height / 2])"
    )
    return np.array(sorted(found))


def choose(page, pooling):
    page.get_by_label(pooling, exact=True).check()
    page.wait_for_timeout(150)


def test_nothing_goes_wrong_and_nothing_is_asked_for(opened, path):
    assert opened.trouble == []
    assert set(opened.asked) == {path.as_uri()}


def test_a_script_that_gets_in_does_not_run_and_no_request_leaves(page):
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{textContent: 'window.ran = true'}))"
    )
    assert page.evaluate("window.ran") is None
    sent = "fetch('https://example.org/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(sent) == "refused"
    page.trouble.clear()


def test_pointing_at_a_level_tells_its_name_rows_and_estimates(page, comparison):
    """From the left: the level with the lowest estimate, and that of the script."""
    fit = comparison.fits["partial"]
    group, estimates = fit.model.groups[0], comparison.estimates
    order = np.argsort(estimates["partial"][:, 0])
    script = int(np.flatnonzero(group.levels[order] == EVIL)[0])
    figure = page.locator("#levels0 svg")
    figure.scroll_into_view_if_needed()
    for place in (0, script):
        level = order[place]
        page.mouse.move(*dots(page)[place])
        tip = page.locator("#vg-tooltip-element.visible")
        tip.wait_for()
        told = tip.inner_text().replace("−", "-")
        assert str(group.levels[level]) in told
        assert re.search(rf"rows\s+{group.counts[level]}\b", told)
        for pooling, name in (("partial", "partial pooling"), ("complete", "complete pooling")):
            assert re.search(rf"{name}\s+{estimates[pooling][level, 0]:.2f}"[:-1], told)
        page.mouse.move(5, 5)


def test_poolings_switch(page, comparison):
    """Without pooling some levels have no estimate; pooled completely all have the same."""
    estimates = comparison.estimates
    order = np.argsort(estimates["partial"][:, 0])
    for label, pooling in (
        ("No pooling", "none"),
        ("Complete pooling", "complete"),
        ("Partial pooling", "partial"),
    ):
        choose(page, label)
        wanted = estimates[pooling][order, 0]
        wanted = wanted[np.isfinite(wanted)]
        heights = -dots(page)[:, 1]
        assert len(heights) == len(wanted)
        if pooling == "complete":
            assert np.ptp(heights) < 0.5
        else:
            slope, middle = np.polyfit(wanted, heights, 1)
            assert slope > 0
            assert np.allclose(slope * wanted + middle, heights, atol=1)


def test_coefficients_and_orders_switch(page, comparison):
    estimates = comparison.estimates["partial"]
    page.get_by_label("Coefficient").select_option("floor")
    page.get_by_label("Order by").select_option("most rows")
    page.wait_for_timeout(150)
    counts = comparison.fits["partial"].model.groups[0].counts
    wanted = estimates[np.argsort(-counts, kind="stable"), 1]
    heights = -dots(page)[:, 1]
    slope, middle = np.polyfit(wanted, heights, 1)
    assert slope > 0
    assert np.allclose(slope * wanted + middle, heights, atol=1)


def test_a_level_is_found_by_its_name(page):
    field = page.get_by_label("Find county")
    for text in ("alert(", "日本"):
        field.fill(text)
        page.wait_for_timeout(150)
        names = page.locator("#levels0 .mark-text.role-mark text").all_text_contents()
        assert len(names) == 1
        assert text in names[0]
        faint = page.locator("#levels0 .mark-symbol path[opacity='0.12']")
        assert faint.count() >= 84


def test_the_table_filters(page):
    page.get_by_label("Filter by county").fill("COUNTY 2")
    rows = page.locator("#table0 tbody tr:visible")
    assert all("county 2" in text for text in rows.all_text_contents())
    assert rows.count() == 10
    assert page.locator("output").inner_text() == "10 of 85"
    page.get_by_label("Filter by county").fill("<script>")
    assert rows.count() == 2


def test_the_table_sorts_and_says_so(page, comparison):
    estimates = comparison.estimates["none"][:, 0]
    levels = comparison.fits["partial"].model.groups[0].levels
    head = page.locator("#table0 thead th").nth(4)
    known = np.flatnonzero(np.isfinite(estimates))
    for way, sign in (("ascending", 1), ("descending", -1)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == way
        names = page.locator("#table0 tbody th").all_text_contents()
        wanted = [str(levels[k]) for k in known[np.argsort(sign * estimates[known])]]
        assert names[: len(wanted)] == wanted
        assert len(names) == 85
    page.locator("#table0 thead th").first.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "none"
    names = page.locator("#table0 tbody th").all_text_contents()
    assert names.index("county 9") < names.index("county 10")
    assert set(NAMES.values()) <= set(names)


def test_every_control_has_a_name_and_every_picture_words(page):
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, nav, [role=region]')]
        .filter(one => !(one.getAttribute('aria-label') || one.textContent.trim() ||
                         [...(one.labels || [])].some(label => label.textContent.trim())))
        .map(one => one.outerHTML)"""
    )
    assert unnamed == []
    assert page.evaluate("[...document.images].every(one => one.alt.length > 10)")
    assert page.evaluate("[...document.querySelectorAll('.chart')].every(one => one.ariaLabel)")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("[...document.querySelectorAll('th')].every(one => one.scope)")


def test_headings_are_in_order(page):
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_words_stand_out_from_what_is_behind_them(page):
    """A contrast of 4.5 or more (WCAG 2.1), for all text of the page."""
    worst = page.evaluate(
        """() => {
          const light = rgb => rgb.map(c => c / 255)
            .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
            .reduce((sum, c, k) => sum + c * [.2126, .7152, .0722][k], 0);
          const rgb = text => text.match(/[\\d.]+/g).map(Number);
          const behind = one => {
            const own = rgb(getComputedStyle(one).backgroundColor);
            return own.length === 3 || own[3] > 0 ? own.slice(0, 3)
              : one.parentElement ? behind(one.parentElement) : [255, 255, 255];
          };
          return Math.min(...[...document.querySelectorAll('body *')]
            .filter(one => one.checkVisibility() && !one.closest('svg') &&
              [...one.childNodes].some(c => c.nodeType === 3 && c.textContent.trim()))
            .map(one => {
              const own = rgb(getComputedStyle(one).color).slice(0, 3);
              const pair = [light(own), light(behind(one))];
              return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
            }));
        }"""
    )
    assert worst >= 4.5


def test_the_methods_are_copied(page, path):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy text")
    button.click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("We fitted a Bayesian multilevel model (log_radon ~ floor")
    assert "919 rows" in copied
    assert "seed 1" in copied


@pytest.mark.parametrize("width", [1280, 400, 320])
def test_nothing_sticks_out(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#levels0 svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.set_viewport_size({"width": 1280, "height": 900})


def test_without_scripts_there_are_pictures_and_no_dead_controls(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    for picture in page.locator(".chart img").all():
        picture.scroll_into_view_if_needed()
        assert picture.bounding_box()["height"] > 100
    assert page.locator("input:visible, select:visible, .copy:visible").count() == 0
    assert page.get_by_text(EVIL).first.is_visible()
    context.close()


def test_on_paper_there_are_figures_and_no_controls(page):
    page.emulate_media(media="print")
    assert page.locator("#levels0 svg").is_visible()
    assert page.locator("input:visible, select:visible, nav:visible, button:visible").count() == 0
    assert len(page.pdf(format="A4")) > 50_000
    page.emulate_media(media="screen")
