"""Pictures of a report: maps of embeddings, and letters that the fonts at hand have."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from synthetic import LABELS, write_run
from threadpoolctl import threadpool_limits

from emo_hf.errors import UserError
from emo_hf.report.analysis import Analysis
from emo_hf.report.plots import embeddings, fonts, layout, projection
from emo_hf.report.plots.embeddings import draw_embeddings
from emo_hf.report.plots.projection import project
from emo_hf.report.report import map_encoder, write_report


@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_maps_of_few_rows(rows: int) -> None:
    cloud = np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float16)
    [points] = project([cloud], "t-SNE")
    assert points.shape == (rows, 2)
    assert np.isfinite(points).all()


def test_map_of_equal_embeddings_is_finite() -> None:
    [points] = project([np.ones((20, 8), dtype=np.float16)], "t-SNE")
    assert np.isfinite(points).all()


def test_maps_are_the_same_each_time_and_alike_for_equal_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)  # side by side
    cloud = np.random.default_rng(0).normal(size=(30, 8))
    first, second = project([cloud, cloud], "t-SNE")
    np.testing.assert_array_equal(first, second)


def test_maps_do_not_depend_on_the_threads_of_the_caller() -> None:
    cloud = np.random.default_rng(0).normal(size=(300, 256)).astype(np.float16)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found += project([cloud], "t-SNE")
    np.testing.assert_array_equal(*found)


def test_missing_or_infinite_embeddings_leave_an_empty_panel(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path, aux="none")
    write_run(tmp_path, aux="triplet")
    (tmp_path / "tiny-bert_cls_none_seed42" / "predictions.npz").write_bytes(b"PK damaged")
    path = tmp_path / "tiny-bert_cls_triplet_seed42" / "predictions.npz"
    np.savez(path, labels=np.arange(6) % 3, logits=np.eye(3)[np.arange(6) % 3], embeddings=np.full((6, 4), np.inf))
    with caplog.at_level(logging.WARNING):
        assert draw_embeddings(Analysis.read(tmp_path), tmp_path / "embeddings.png").exists()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_map_is_drawn_again_when_its_input_changes(tmp_path: Path) -> None:
    write_run(tmp_path, rows=12)
    path = draw_embeddings(Analysis.read(tmp_path), tmp_path / "embeddings_tiny-bert.png")
    before = path.read_bytes()
    write_run(tmp_path, rows=15)
    after = draw_embeddings(Analysis.read(tmp_path), path).read_bytes()
    assert after != before
    path.write_bytes(after[:2000])
    assert draw_embeddings(Analysis.read(tmp_path), path).read_bytes() == after


def test_a_heading_names_the_median_where_there_are_several_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headings = []
    monkeypatch.setattr(embeddings, "set_heading", lambda figure, encoder, phrase: headings.append(phrase))
    for seed in (1, 2):
        write_run(tmp_path, rows=12, seed=seed)
        draw_embeddings(Analysis.read(tmp_path), tmp_path / "embeddings.png")
    assert headings == ["t-SNE of 12 test embeddings", "t-SNE of 12 test embeddings, seed of median macro-F1"]


def test_a_heading_that_is_too_long_is_broken() -> None:
    figure = Figure(figsize=(6.5, 4))
    for phrase, shown in {
        "short, seed 1": "tiny · short, seed 1",
        f"{'t-SNE ' * 8}by 슬픔, seed 1": f"tiny\n{'t-SNE ' * 8}by 슬픔, seed 1",
        f"{'슬픔 ' * 20}, seed of median macro-F1": f"tiny\n{'슬픔 ' * 20},\nseed of median macro-F1",
    }.items():
        layout.set_heading(figure, "tiny", phrase)
        assert figure.get_suptitle() == shown


def test_maps_made_early_are_those_of_the_report(
    reported: tuple[Path, list[Path]], copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    early = copied("early")
    map_encoder(early, "klue/bert-base")
    assert [path.name for path in early.glob("*.npz")] == ["embeddings_klue--bert-base.npz"]
    projected = []
    monkeypatch.setattr(projection, "project", lambda clouds, method: projected.append(1) or project(clouds, method))
    for stem, sheet in Analysis.read(early).sheets().items():
        picture = draw_embeddings(sheet, early / f"embeddings_{stem}.png")
        assert picture.read_bytes() == (reported[0] / picture.name).read_bytes()
    assert len(projected) == 1


@pytest.fixture
def no_hangul_font(monkeypatch: pytest.MonkeyPatch):
    fonts.hangul_font.cache_clear()
    monkeypatch.setattr(fonts, "FAMILIES", ())
    monkeypatch.setattr(fonts, "PACKAGE", "no-such-font-package")
    yield
    fonts.hangul_font.cache_clear()


def test_hangul_is_drawn_with_a_font_that_has_it() -> None:
    assert Path(font_manager.findfont(fonts.hangul_font(), fallback_to_default=False)).is_file()
    assert fonts.drawable("불안 Anxiety ± · –…")
    assert fonts.drawable_labels([*LABELS, "\ua000"]) == [*LABELS, "class 4"]


def test_without_a_font_labels_are_english_and_one_warning_names_the_package(
    no_hangul_font: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = ["불안", "슬픔", "기쁨", "분노", "상처", "당황", "평온", "calm"]
    english = ["Anxiety", "Sadness", "Joy", "Anger", "Hurt", "Embarrassment", "class 7", "calm"]
    write_run(tmp_path, labels=labels, encoder="내 모델")
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        assert fonts.drawable_labels(labels) == english
        write_report(tmp_path, lang="ko")
    [warning] = caplog.records
    assert "pip install no-such-font-package" in warning.getMessage()


def test_korean_report_is_korean(tmp_path: Path) -> None:
    write_run(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        write_report(tmp_path, lang="ko")
    assert "| 모델 | 인코더 |" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_umap_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match="pip install"):
        project([np.ones((20, 8))], "UMAP")


@pytest.mark.slow
def test_umap_sheet_is_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, rows=5)
    write_run(tmp_path, rows=40, aux="triplet")
    assert tmp_path / "umap_tiny-bert.png" in write_report(tmp_path, umap=True)
