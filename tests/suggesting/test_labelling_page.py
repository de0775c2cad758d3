"""The page for labelling, worked through in a browser: keys, undo, a closed tab, the saved CSV, and odd texts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Page, browser

from emo_hf.data.labelled import read_labelled
from emo_hf.data.reading import read_sources
from emo_hf.data.sources.tables import Layout
from emo_hf.errors import UserError
from emo_hf.suggesting.page_words import LABELLING_WORDS
from emo_hf.suggesting.suggesting import PAGE_FILE, Suggestions, write_suggestions

LABELS = ["불안", "슬픔", "기쁨"]
MANY = [*LABELS, *(f"감정 {number}" for number in range(4, 14)), "기대감"]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
TEXTS = [
    "내일 발표라 잠이 안 와", EVIL, '그는 "괜찮아", 라고\n말했어', "=1+1", "드디어 합격했어", "할머니가 그리워",
]  # fmt: skip

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")


def written(
    folder: Path, labels: list[str], *, several: bool, texts: list[str] = TEXTS, lang: str = "en"
) -> tuple[Path, str]:
    """The page of some texts, and the name of the file that it saves."""
    found = Suggestions(
        texts,
        [("pool.csv", row + 2) for row in range(len(texts))],
        np.full((len(texts), len(labels)), 0.25),
        [[labels[-1]] for _ in texts],
        np.zeros(len(texts)),
    )
    paths, name = write_suggestions(
        folder, found, labels, {}, several=several, columns=("sentence", "label"), lang=lang
    )
    return paths[-1], name


@contextmanager
def opened(path: Path, profile: Path, downloads: Path) -> Iterator[Page]:
    """The page in a browser of its own, which saves files in a folder."""
    with browser(profile) as page:
        page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        visit(page, path)
        yield page
        assert not page.errors
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requested)


def visit(page: Page, path: Path) -> None:
    """Open the page, or open it again."""
    page.call("Page.navigate", url=path.as_uri())
    page.wait("document.querySelectorAll('#labels button').length > 0")


def shown(page: Page, name: str) -> str:
    return page.evaluate(f"document.getElementById('{name}').textContent")


def digit(page: Page, number: int) -> None:
    page.press(str(number), f"Digit{number}")


def letter(page: Page, name: str, **more: bool) -> None:
    page.press(name, f"Key{name.upper()}", **more)


def saved(page: Page, path: Path) -> Path:
    """Save by the keyboard and wait for the file."""
    path.unlink(missing_ok=True)
    letter(page, "s", ctrl=True)
    end = time.monotonic() + 30
    while not path.exists() or not path.stat().st_size:
        assert time.monotonic() < end, "no file was saved"
        time.sleep(0.1)
    return path


@needs_browser
def test_one_label_a_text_by_the_keyboard(tmp_path):
    path, name = written(tmp_path / "out", LABELS, several=False)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        assert shown(page, "text") == TEXTS[0] and shown(page, "place") == "1 of 6"
        digit(page, 1)
        assert shown(page, "text") == EVIL and shown(page, "status") == "Labelled 불안."
        assert page.evaluate("document.title") == "Label 6 texts" and not page.evaluate("document.images.length")
        page.press("ㅕ", "KeyU")  # the key U, with Korean input switched on
        assert shown(page, "text") == TEXTS[0] and shown(page, "count") == "0 of 6 labelled"
        for key in (2, 3, 1):
            digit(page, key)
        digit(page, 7)  # there is no such label
        digit(page, 0)
        page.press("3", "Digit3", repeat=True)  # a key that lies down
        assert shown(page, "text") == TEXTS[3]
        letter(page, "s")
        digit(page, 2)
        assert shown(page, "count") == "4 of 6 labelled · 1 skipped · not in a file yet"
        page.press("Backspace", "Backspace")
        letter(page, "z", ctrl=True)
        assert shown(page, "text") == TEXTS[3] and shown(page, "count") == "3 of 6 labelled · not in a file yet"
        letter(page, "s")
        page.press("ArrowLeft", "ArrowLeft")
        page.press("ArrowLeft", "ArrowLeft")
        assert shown(page, "text") == TEXTS[2] and shown(page, "mark") == "불안"
        digit(page, 3)
        # The next one that waits, not one that is done or skipped.
        assert shown(page, "text") == TEXTS[4] and not page.dialogs
        visit(page, path)
        assert page.dialogs == ["beforeunload"], "what is in no file yet is asked about"
        assert shown(page, "text") == TEXTS[4]
        assert shown(page, "count") == "3 of 6 labelled · 1 skipped · not in a file yet"
        letter(page, "u")
        assert shown(page, "text") == TEXTS[2] and shown(page, "mark") == "불안", "steps are kept too"
        file = saved(page, tmp_path / name)
        assert shown(page, "status") == f"Saved 3 rows in {name}." and "all saved" in shown(page, "count")
        visit(page, path)
        assert page.dialogs == ["beforeunload"], "all is in a file now"
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    found = read_labelled([str(file)], LABELS, several=False)
    assert dict(zip(found.texts, found.labels, strict=True)) == {
        TEXTS[0]: ("슬픔",), EVIL: ("기쁨",), TEXTS[2]: ("불안",),
    }  # fmt: skip


@needs_browser
def test_a_closed_tab_loses_nothing(tmp_path):
    """The browser ends and begins again: labels, what is begun, and the place are there."""
    path, name = written(tmp_path / "out", LABELS, several=True)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        digit(page, 1)
        digit(page, 3)
        page.press("Enter", "Enter")
        digit(page, 2)
        page.call("Browser.close")  # as its window is closed: at once
    (tmp_path / "profile" / "DevToolsActivePort").unlink(missing_ok=True)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        assert shown(page, "count") == "1 of 6 labelled · 1 begun, not done yet · not in a file yet"
        assert shown(page, "text") == EVIL
        assert page.evaluate("document.querySelector('[aria-pressed=true]').textContent") == "2슬픔"
        page.press("Enter", "Enter")
        file = saved(page, tmp_path / name)
    found = read_labelled([str(file)], LABELS, several=True)
    assert found.labels == [("불안", "기쁨"), ("슬픔",)]


@needs_browser
def test_several_labels_a_text_and_more_than_nine(tmp_path):
    path, name = written(tmp_path / "out", MANY, several=True)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        page.press("Enter", "Enter")
        assert shown(page, "status").startswith("No label is chosen") and shown(page, "text") == TEXTS[0]
        digit(page, 2)
        digit(page, 3)
        digit(page, 2)  # off again
        digit(page, 4)
        page.press("Enter", "Enter")
        assert shown(page, "status") == "Labelled 기쁨, 감정 4."
        digit(page, 0)
        assert shown(page, "text") == TEXTS[2] and shown(page, "status") == "Labelled: none of them."
        page.press("/", "Slash")
        for text in ("ㄱ", "기", "긷"):  # as it looks while 기대 is being typed
            page.evaluate(f"document.getElementById('filter').value = '{text}'")
            page.evaluate("document.getElementById('filter').dispatchEvent(new Event('input'))")
            labels = page.evaluate("[...document.querySelectorAll('#labels button')].map(one => one.textContent)")
            assert labels[-1].endswith("기대감") and all("기" in one or text == "ㄱ" for one in labels)
        assert labels == ["1기대감"]
        digit(page, 1)  # a number is a label there, too
        assert page.evaluate("document.activeElement.id") == "filter"
        page.call("Input.insertText", text="감정 12")
        page.press("Enter", "Enter")
        page.press("Enter", "Enter")
        assert shown(page, "status") == "Labelled 감정 12, 기대감."
        page.press("Escape", "Escape")
        letter(page, "u")
        letter(page, "u")
        assert shown(page, "status") == "Undone." and shown(page, "text") == TEXTS[2]
        pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(one => one.textContent)"
        assert page.evaluate(pressed) == ["기대감"]
        page.press("Enter", "Enter")
        button = "[...document.querySelectorAll('#labels button')].find(one => one.textContent.endsWith('감정 13'))"
        place = page.evaluate(f"{button}.scrollIntoView(), JSON.stringify({button}.getBoundingClientRect())")
        x, y = (float(re.search(rf'"{side}":([\d.]+)', place)[1]) + 5 for side in "xy")
        page.tap(x, y, finger=False)
        page.press("Enter", "Enter")  # for the text, not for the button that was clicked
        assert shown(page, "status") == "Labelled 감정 13."
        file = saved(page, tmp_path / name)
    found = read_labelled([str(file)], MANY, several=True)
    assert found.labels == [("기쁨", "감정 4"), (), ("기대감",), ("감정 13",)]
    rows = read_sources([str(file)], Layout(), None, None)[1][0][1].frame
    assert rows["label"].tolist() == ['["기쁨","감정 4"]', "[]", '["기대감"]', '["감정 13"]']


@needs_browser
def test_what_the_model_says_is_hidden_until_it_is_asked_for(tmp_path):
    path, _ = written(tmp_path / "out", LABELS, several=False)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        assert "기쁨" not in page.evaluate("document.querySelector('.card').innerText")
        letter(page, "h")
        assert "The model says: 기쁨" in page.evaluate("document.querySelector('.card').innerText")
        digit(page, 1)
        assert "기쁨" not in page.evaluate("document.querySelector('.card').innerText")


@needs_browser
def test_a_browser_that_keeps_nothing_says_so(tmp_path):
    path, name = written(tmp_path / "out", LABELS, several=False)
    with browser(tmp_path / "profile") as page:
        page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        full = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }"
        page.call("Page.addScriptToEvaluateOnNewDocument", source=full)
        visit(page, path)
        assert page.evaluate("document.getElementById('broken').checkVisibility()")
        assert not page.evaluate("document.getElementById('kept').checkVisibility()")
        digit(page, 2)
        content = saved(page, tmp_path / name).read_bytes().decode("utf-8-sig")
        assert content == f'"sentence","label"\r\n"{TEXTS[0]}","슬픔"\r\n'


@needs_browser
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_it_fits_a_narrow_screen(lang, tmp_path):
    path, _ = written(tmp_path / "out", MANY, several=True, lang=lang)
    with opened(path, tmp_path / "profile", tmp_path) as page:
        page.size(360, 740)
        visit(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        sizes = page.evaluate("[...document.querySelectorAll('button')].map(one => one.offsetHeight)")
        assert all(size >= 24 for size in sizes)
        x, y = page.evaluate(
            "(({ x, y }) => [x + 5, y + 5])(document.querySelector('#labels button').getBoundingClientRect())"
        )
        page.tap(x, y, finger=True)
        page.wait("document.querySelector('#labels button').ariaPressed === 'true'")
        assert page.evaluate("document.getElementById('confirm').getBoundingClientRect().bottom") <= 740


def test_both_languages_say_the_same_things(tmp_path):
    english, korean = LABELLING_WORDS["en"], LABELLING_WORDS["ko"]
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert text.count("{") == korean[key].count("{"), key
        assert not re.search("[a-z]{3,}", re.sub("Enter|CSV|JavaScript|{[a-z]+}", "", korean[key])), key
    templates = Path(__file__).parents[2] / "emo_hf" / "suggesting" / "templates"
    used = "".join(path.read_text(encoding="utf-8") for path in templates.iterdir())
    for key in english:
        assert re.search(rf"words(\.{key}\b|\[\"{key}\"\])", used), f"{key} is said nowhere"


def test_a_page_of_other_rows_is_not_overwritten(tmp_path):
    path, name = written(tmp_path / "out", LABELS, several=False)
    before = path.read_bytes()
    assert written(tmp_path / "out", LABELS, several=False)[1] == name
    with pytest.raises(UserError, match=rf"{PAGE_FILE} holds other rows, whose labels may not be saved yet"):
        written(tmp_path / "out", LABELS, several=False, texts=TEXTS[1:])
    assert path.read_bytes() == before
    page = re.sub(r'(?s)<script type="application.*?</script>', "", path.read_text(encoding="utf-8"))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
