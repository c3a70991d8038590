"""What the page of a detection report shows, in a browser."""

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from reading import data as read

from mmroad.bdd100k.eval.analysis import confusion_matrix, taken_for
from mmroad.bdd100k.eval.matching import match_boxes
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.report.disagreement import disagreement
from mmroad.report.errors import KINDS, TRUTH_MISSED, classify, loss_by_image


def errors_of(result):
    data = result.data
    (match,) = match_boxes(data, result.pairs, data.gt_crowd, result.rank, np.array([0.5]))
    return classify(data, result.pairs, result.rank, match, data.gt_crowd)


def listed(browser):
    """The images that the page lists, in order, all pages."""
    return browser.until(
        'return document.querySelector("#gallery[data-drawn]") && '
        'Gallery.rows.map((row) => Report.data.images.names[row])'
    )


def test_first_part_opens_from_disk(report, browser):
    browser.go(report)
    browser.until('return document.querySelectorAll(".headline .number").length === 7')
    shown = read(report, 'report')['headline'][0]
    text = browser.run('return document.querySelector(".headline .number").innerText')
    assert f'{shown["values"][0]:.1f}' in text and f'{shown["values"][1]:.1f}' in text
    rows = browser.run(
        'const rows = document.querySelectorAll("#scores tbody[data-group=weather] tr:not(.group)");'
        'return [...rows].map((row) => row.innerText)'
    )
    assert [row.split('\t')[0] for row in rows] == ['a, "b" | c', 'clear', 'rainy']
    assert browser.console() == []


@pytest.mark.parametrize(
    'tab', ['scores', 'curves', 'errors', 'confusion', 'images', 'images&image=drive+one/004.jpg']
)
def test_parts_fit_narrow_windows_and_zoom(report, browser, tab):
    for width, scale in ((360, 1), (640, 2)):  # a phone; a window of 1280 pixels at 200 %
        browser.devtools(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=700,
            deviceScaleFactor=scale,
            mobile=False,
        )
        browser.go(report, f'tab={tab}')
        browser.until('return document.getElementById("main").children.length > 0')
        assert browser.run('return document.documentElement.scrollWidth') <= width
    browser.devtools('Emulation.clearDeviceMetricsOverride')
    assert browser.console() == []


def test_slider_changes_the_number_of_boxes(world, report, browser):
    frames = {f['name']: f for f in json.loads((world / 'first/det.json').read_text())}
    frame = max(frames.values(), key=lambda f: len(f['labels']))
    browser.go(report, f'tab=images&off=r1&image={frame["name"]}')
    counts = []
    for threshold in (0, 30, 57, 90):
        browser.until('return document.querySelector("#viewer-score")')
        browser.run(
            'const s = document.querySelector("#viewer-score"); s.value = arguments[0];'
            's.dispatchEvent(new Event("input"))', threshold
        )  # fmt: skip
        shown = browser.run('return document.querySelectorAll(".stage .box[data-of=\'0\']").length')
        assert shown == sum(label['score'] >= threshold / 100 for label in frame['labels'])
        assert browser.run('return Number(document.querySelector("#viewer-count").dataset.boxes)') == shown
        counts.append(shown)
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]
    assert browser.console() == []


def expected_cell(result, names, i, j, threshold):
    """Images in a cell of the confusion matrix, from the matching itself."""
    data, none = result.data, len(DET_CLASSES)
    match, on_crowd = taken_for(data, result.pairs)
    kept = (data.dt_score >= threshold) & ~on_crowd
    if j == none:
        missed = ~data.gt_crowd & (data.gt_category == i + 1)
        missed[match[kept & (match >= 0)]] = False
        rows = data.gt_image[missed]
    else:
        true = np.append(data.gt_category - 1, none)[match]
        rows = data.dt_image[kept & (true == i) & (data.dt_category == j + 1)]
    return {names[row - 1] for row in rows}


def test_confusion_cells_open_their_images(report, browser, results, names):
    none = len(DET_CLASSES)
    for r, threshold in ((0, 30), (1, 62)):
        browser.go(report, f'tab=confusion&of={r}&counts=number&score={threshold}')
        browser.until('return document.querySelector("#matrix td a")')
        shown = browser.run(
            'return [...document.querySelectorAll("#matrix tbody tr")].map(row => [...row.querySelectorAll("td")]'
            '.map(cell => cell.querySelector("a") ? Number(cell.querySelector("a").textContent) : 0))'
        )
        matrix = confusion_matrix(results[1][r].data, threshold / 100)
        assert shown == matrix.tolist()
        off = matrix - np.diag(np.diag(matrix))
        largest = np.unravel_index(off[:none, :none].argmax(), (none, none))
        for i, j in (largest, (int(off[:none, none].argmax()), none), (none, int(off[none].argmax()))):
            browser.go(report, f'tab=confusion&of={r}&counts=number&score={threshold}')
            selector = f'#matrix tbody tr:nth-child({i + 1}) td:nth-child({j + 2}) a'
            browser.until('return document.querySelector(arguments[0])', selector)
            browser.click(selector)
            want = expected_cell(results[1][r], names, i, j, threshold / 100)
            assert want and set(listed(browser)) == want
    assert browser.console() == []


def test_sorts_and_filters_give_pythons_lists(report, browser, results, names):
    gt, found = results
    loss = [loss_by_image(result.sizes['all']) for result in found]
    browser.go(report, 'tab=images')
    assert listed(browser) == [names[i] for i in np.argsort(-np.round(loss[0], 5), kind='stable')]
    titles = [column['title'] for column in read(report, 'images')['columns']]
    disagree = np.round(disagreement(found[0].data, found[1].data), 3)
    browser.go(report, f'tab=images&sort={titles.index("Disagreement of first and second")}')
    assert listed(browser) == [names[i] for i in np.argsort(-disagree, kind='stable')]
    browser.go(report, f'tab=images&sort={titles.index("second worse than first")}&order=turned')
    assert listed(browser) == [names[i] for i in np.argsort(np.round(loss[1] - loss[0], 5), kind='stable')]

    weather = [gt.attribute_values['weather'][gt.attributes['weather'][row]] for row in found[0].data.frames]
    browser.go(report, 'tab=images&sort=name&weather=a%2C+%22b%22+%7C+c&class=car')
    data = found[0].data
    cars = {names[k - 1] for k in data.gt_image[(data.gt_category == 3) & ~data.gt_crowd]}
    assert listed(browser) == [n for n, w in zip(names, weather) if w == 'a, "b" | c' and n in cars]

    for kind in ('loc', 'bkg', 'miss'):
        browser.go(report, f'tab=images&sort=name&kind=1:{kind}&class=car&score=25')
        errors, data = errors_of(found[1]), found[1].data
        if kind == 'miss':
            rows = data.gt_image[(errors.truth == TRUTH_MISSED) & (data.gt_category == 3)]
        else:
            code = next(code for key, code, *_ in KINDS if key == kind)
            wrong = (errors.prediction == code) & (data.dt_category == 3) & (data.dt_score >= 0.25)
            rows = data.dt_image[wrong]
        want = {names[row - 1] for row in rows}
        assert want and listed(browser) == sorted(want)
    assert browser.console() == []


def test_layers_are_switched(report, browser):
    browser.go(report, 'tab=images&sort=name&score=0')
    browser.until('return document.querySelector("#gallery[data-drawn] .picture[data-boxes]")')
    before = browser.run('return Number(document.querySelector(".picture").dataset.boxes)')
    images = read(report, 'images-0')
    assert before == sum(len(rows) // 8 for rows in images[0]['results'])
    browser.click('#list-layer-r1')
    browser.until('return Number(document.querySelector("#gallery").dataset.drawn) > 1')
    assert (
        browser.run('return Number(document.querySelector(".picture").dataset.boxes)')
        == len(images[0]['results'][0]) // 8
    )
    browser.click('#list-only-right')
    browser.until('return Number(document.querySelector("#gallery").dataset.drawn) > 2')
    kinds = images[0]['results'][0][2::8]
    assert browser.run('return Number(document.querySelector(".picture").dataset.boxes)') == kinds.count(0)
    assert 'off=r1' in browser.run('return location.hash')


def test_a_link_names_an_image_and_keys_go_on(report, browser):
    browser.go(report, 'tab=images&sort=name')
    browser.until('return document.querySelector("#gallery[data-drawn]")')
    browser.click('.picture[data-name="drive one/002.jpg"]')
    browser.until('return document.getElementById("viewer").open')
    address = browser.run('return location.hash')
    browser.go(report, address[1:])
    title = 'return document.querySelector("#viewer h2")?.textContent'
    assert browser.until(title) == 'drive one/002.jpg'
    browser.press('ArrowRight')
    browser.until(f'{title} === "drive one/003.jpg"')
    browser.until('return document.querySelector("#viewer-count")?.textContent')
    browser.press('+', '.stage')
    browser.until('return Math.abs(Number(document.querySelector(".stage").dataset.zoom) - 1.5) < 0.01')
    browser.press('t')
    browser.until('return !document.querySelector(".stage .box[data-of=truth]")')
    browser.press('Escape')
    browser.until('return !document.getElementById("viewer").open')
    assert 'image=' not in browser.run('return location.hash')
    browser.go(report, 'image=gone.jpg')
    browser.until('return document.querySelector("#viewer .missing")?.textContent.includes("gone.jpg")')
    assert browser.console() == []


def test_curves_answer_to_pointer_and_keys(report, browser):
    browser.go(report, 'tab=curves')
    browser.until('return document.querySelectorAll(".plot svg").length === 4')
    browser.run(
        'const plot = document.querySelector("#chart-pr .plot"); const box = plot.getBoundingClientRect();'
        'const at = {clientX: box.left + box.width / 2, clientY: box.top + 50};'
        'plot.dispatchEvent(new PointerEvent("pointermove", at))'
    )
    text = browser.run('return document.getElementById("tip").innerText')
    assert 'first: recall' in text and 'second: recall' in text and 'precision' in text
    browser.press('ArrowRight', '#chart-f1 .plot')
    assert 'F1' in browser.run('return document.getElementById("tip").innerText')
    browser.run(
        'const s = document.getElementById("pr-0"); s.selectedIndex = 1; s.dispatchEvent(new Event("change"))'
    )
    note = browser.run('return document.querySelector("#chart-pr .notes").innerText')
    chart = read(report, 'report')['charts'][0]
    assert chart['series']['1,1'][0]['note'] in note
    assert browser.console() == []


CONTRAST = """
const rgb = (color) => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  c.fillStyle = color; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const light = (color) => { const [r, g, b] = rgb(color).map((v) => { v /= 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const style = getComputedStyle(document.documentElement);
const get = (name) => light(style.getPropertyValue(name));
return ['--ink', '--soft', '--accent', '--better', '--worse', '--result-0', '--result-1', '--result-2', '--result-3']
  .map((name) => { const [a, b] = [get(name), get('--card')];
    return [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
"""


def test_light_and_dark_can_be_read(report, browser):
    browser.go(report)
    browser.until('return document.querySelector(".headline")')
    themes = set()
    for _ in range(2):
        themes.add(browser.run('return document.documentElement.dataset.theme'))
        for name, contrast in browser.run(CONTRAST):  # of text and of lines (WCAG 2.2, 1.4.3 and 1.4.11)
            assert contrast >= (3 if 'result' in name else 4.5), name
        browser.press('d', '#main')
    assert themes == {'light', 'dark'}


def test_everything_is_reached_by_keys(report, browser):
    browser.go(report, 'tab=images&sort=name')
    browser.until('return document.querySelector("#gallery[data-drawn]")')
    seen = set()
    for _ in range(40):
        browser.press('Tab')
        seen.add(
            browser.run('const e = document.activeElement; return e.id || e.dataset.name || e.className')
        )
    assert {'skip', 'theme', 'tab-scores', 'find', 'sort', 'kind', 'list-score', 'list-layer-truth'} <= seen
    assert any(str(name).startswith('drive one/') for name in seen)


def test_a_static_server_shows_it_too(report, browser):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(report)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        browser.go(f'http://127.0.0.1:{server.server_port}/index.html', 'tab=images&sort=name')
        browser.until(
            'return document.querySelector("#gallery[data-drawn] .picture img")?.naturalWidth === 100'
        )
        assert browser.console() == []
    finally:
        server.shutdown()
        server.server_close()


def test_a_report_that_is_not_whole_says_so(report, browser, tmp_path):
    broken = tmp_path / 'broken'
    shutil.copytree(report, broken)
    (broken / 'data' / 'images-1.js').unlink()
    browser.go(broken, 'tab=images&sort=name&page=1')
    assert 'images-1.js cannot be loaded' in browser.until(
        'return document.querySelector(".missing")?.textContent'
    )
    browser.console()
