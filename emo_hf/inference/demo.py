"""What the demo shows of a sentence: probabilities, neighbours and a map, in HTML that no sentence breaks out of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from emo_hf.evaluation.abstaining import UNKNOWN
from emo_hf.inference.explaining import Explanation, explain
from emo_hf.inference.neighbours import NO_LABEL, Neighbours
from emo_hf.inference.predictor import Predictor

NEAREST = 5
LONGEST = 2000  # characters: far beyond what a model reads, and little to send
# Okabe & Ito 2008 as far as they are legible on white and on black, and two more; of more classes than that, the map
# tells apart those of the neighbours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7570B3")
OTHERS = "#9a9a9a"
WIDTH, HEIGHT, MARGIN = 640, 480, 20
STAR = "M0 -11L3.2 -3.6 10.8 -3.1 4.9 1.9 6.6 9.4 0 5.4 -6.6 9.4 -4.9 1.9 -10.8 -3.1 -3.2 -3.6Z"
RING = '<circle r="7" fill="none" stroke="currentColor" stroke-width="2.5"/>'
WORDS = {
    "en": {
        "title": "Which emotion does a Korean sentence speak of?",
        "sentence": "Sentence", "type": "Type a Korean sentence", "go": "Show", "examples": "Examples",
        "probabilities": "Probabilities", "empty": "Type a sentence first.",
        "cut": "The model reads the first {max} tokens of a sentence; the rest of this one was left out.",
        "nearest": "Nearest training sentences", "label": "Label", "distance": "Distance", "new": "your sentence",
        "near": "nearest", "others": "other labels",
        "map": "{n} training sentences on the two main axes of the {d}-d embedding space, which hold "
        "{share:.0f}\u00a0% of its variance. Distances are Euclidean, in all {d} dimensions.",
        "picture": "Map of the training sentences with the place of the new one",
        "none": "No map and no neighbours: {why}.",
        "unknown": "모름: the model is not sure enough to keep its promise of at most {share:.0%} of errors.",
        "set": "May be: {labels}.",
        "why": "What speaks for “{label}” and, struck through, against it: the stronger the colour, the more.",
        "weight": "log odds {weight:+.1f}",
        "no_label": "no label", "threshold": "threshold {least:.0%}",
        "sets": "✓ reaches the threshold of its label, the line in the bar. It was chosen on validation rows.",
        "colour": " A sentence has the colour of its likeliest label.",
    },
    "ko": {
        "title": "이 문장에는 어떤 감정이 담겨 있을까요?",
        "sentence": "문장", "type": "한국어 문장을 입력하세요", "go": "보기", "examples": "예문",
        "probabilities": "확률", "empty": "문장을 먼저 입력하세요.",
        "cut": "모델은 문장의 처음 {max}토큰까지만 읽습니다. 이 문장의 나머지는 쓰이지 않았습니다.",
        "nearest": "가장 가까운 학습 문장", "label": "감정", "distance": "거리", "new": "입력한 문장",
        "near": "가까운 문장", "others": "그 밖의 감정",
        "map": "학습 문장 {n}개를 {d}차원 임베딩 공간의 두 주축에 놓은 지도입니다(분산의 {share:.0f}\u00a0%). "
        "거리는 {d}차원 전체에서 잰 유클리드 거리입니다.",
        "picture": "학습 문장들과 입력한 문장의 자리를 보여 주는 지도",
        "none": "지도와 가까운 문장을 보일 수 없습니다: {why}.",
        "unknown": "모름: 오류 {share:.0%} 이하라는 약속을 지킬 만큼 확실하지 않습니다.",
        "set": "가능한 감정: {labels}.",
        "why": "‘{label}’ 쪽으로 본 까닭: 색이 진할수록 크게 작용한 어절이고, 줄을 그은 어절은 반대쪽입니다.",
        "weight": "로그 오즈 {weight:+.1f}",
        "no_label": "감정 없음", "threshold": "기준 {least:.0%}",
        "sets": "✓는 확률이 그 감정의 기준(막대 안의 선) 이상이라는 뜻입니다. 기준은 검증 문장으로 정했습니다.",
        "colour": " 문장의 색은 그 문장의 감정 가운데 확률이 가장 높은 것입니다.",
    },
}  # fmt: skip
STYLE = """
.emo svg { width: 100%; height: auto; display: block; }
.html-container:has(> .prose .emo), .html-container:has(> .emo) { padding: 0; }
.emo { word-break: keep-all; overflow-wrap: anywhere; }
.emo h1 { margin: 0; font-size: 1.4rem; font-weight: 600; }
.emo table, .emo thead, .emo tr { border: 0; }
.emo table { width: 100%; border-collapse: collapse; font-size: 0.95rem; }
.emo th, .emo td { text-align: left; padding: 0.35rem 0.6rem 0.35rem 0; vertical-align: top; border: 0; }
.emo th { font-weight: 600; opacity: 0.75; white-space: nowrap; }
.emo tbody tr { border-top: 1px solid var(--border-color-primary); background: none; }
.emo td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.emo td.label { white-space: nowrap; }
.emo td.text { width: 100%; }
.emo td.labels { min-width: min(10rem, 28vw); }
.emo td.labels span { display: inline-block; }
.emo h2 { margin: 0.2rem 0; font-size: 1.4rem; font-weight: 600; }
.emo ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.4rem 1.2rem; }
.emo ol, .emo li { list-style: none; margin: 0; padding: 0; font-size: 0.9rem; }
.emo li { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 0.5rem; opacity: 0.75; }
.emo li.reached { font-weight: 600; opacity: 1; }
.emo li b { font-weight: inherit; font-variant-numeric: tabular-nums; white-space: nowrap; }
.emo .bar { width: 100%; height: 0.5rem; position: relative; background: var(--border-color-primary); }
.emo .bar * { position: absolute; top: 0; bottom: 0; }
.emo .bar span { left: 0; background: currentColor; opacity: 0.4; }
.emo .reached .bar span { opacity: 0.85; }
.emo .bar u { width: 2px; top: -3px; bottom: -3px; margin-left: -1px; background: currentColor;
  outline: 1px solid var(--body-background-fill); }
.emo i { display: inline-block; width: 0.7em; height: 0.7em; border-radius: 50%; margin-right: 0.35em; }
.emo #new { fill: currentColor; stroke: var(--body-background-fill); stroke-width: 3; paint-order: stroke; }
.emo .legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; }
.emo .legend svg { display: inline-block; width: 1em; height: 1em; margin-right: 0.25em; vertical-align: -0.1em; }
.emo p, .emo .legend { margin: 0.4rem 0; font-size: 0.9rem; }
.emo p { opacity: 0.8; }
.emo p.words { font-size: 1.05rem; line-height: 1.9; opacity: 1; }
.emo .words span { padding: 0.15em 0.3em; border-radius: 0.3em;
  background: color-mix(in srgb, #0072B2 calc(var(--share) * 0.55), transparent); }
.emo .words .against { text-decoration: line-through;
  background: color-mix(in srgb, #D55E00 calc(var(--share) * 0.55), transparent); }
.emo h3 { margin: 0 0 0.4rem; font-size: 1rem; font-weight: 600; }
"""


class Demo:
    """What stands behind the page: `answer` turns a sentence into its three parts.

    Args:
        predictor: the model.
        neighbours: training sentences, or None.
        why: without neighbours, the reason in a few words.
        lang: "en" or "ko".
    """

    def __init__(self, predictor: Predictor, neighbours: Neighbours | None, *, why: str = "", lang: str = "en"):
        self.predictor, self.neighbours, self.words = predictor, neighbours, WORDS[lang]
        self.why = why

    def answer(self, sentence: str) -> tuple[dict[str, float] | str | None, str, str]:
        """Probabilities by label, and the HTML of notes with neighbours, and of the map; no sentence, no numbers.

        Where a sentence may have several labels, its probabilities are HTML too, with the thresholds.
        """
        sentence = sentence.strip()
        if not sentence:
            return None, self.note(self.words["empty"]), self.drawn()
        scores, embeddings = self.predictor.outputs([sentence[:LONGEST]])
        probabilities = (
            dict(zip(self.predictor.labels, scores[0].tolist(), strict=True))
            if self.predictor.thresholds is None
            else self.bars(scores[0].tolist(), self.predictor.thresholds)
        )
        words = [self.words["cut"].format(max=self.predictor.max_length)] if self.is_cut(sentence) else []
        notes = "".join(map(self.note, [*self.promised(scores.numpy()), *words]))
        notes += self.why_so(next(explain(self.predictor, [sentence[:LONGEST]])))
        if self.neighbours is None:
            return probabilities, notes, self.drawn()
        embedding = embeddings[0].numpy()
        nearest = self.neighbours.nearest(embedding, NEAREST)
        shown = [int(scores[0].argmax()), *(int(self.neighbours.labels[row]) for row, _ in nearest)]
        coloured = self.coloured([label for label in shown if label != NO_LABEL])
        return (
            probabilities,
            notes + self.table(self.neighbours, nearest, coloured),
            self.drawn(coloured, embedding, nearest),
        )

    def promised(self, scores: np.ndarray) -> list[str]:
        """What is said of a sentence, of probabilities (1, C), by a model that promises something of its answers."""
        said = []
        abstention = self.predictor.promises.get("abstention")
        if abstention and self.predictor.named(scores[0].tolist()) == [UNKNOWN]:
            said.append(self.words["unknown"].format(share=abstention["max_error"]))
        if sets := self.predictor.label_sets(scores):
            said.append(self.words["set"].format(labels=", ".join(sets[0])))
        return said

    def why_so(self, found: Explanation) -> str:
        """The words of a sentence as HTML, coloured by how much each carried the likeliest label."""
        most = max(map(abs, found.weights), default=0.0) or 1.0
        words = []
        for word, weight in zip(found.words, found.weights, strict=True):
            kind, share = ("for" if weight >= 0 else "against"), round(100 * abs(weight) / most)
            title = markup(self.words["weight"].format(weight=weight))
            words.append(f'<span class="{kind}" style="--share:{share}%" title="{title}">{markup(word)}</span>')
        said = markup(self.words["why"].format(label=found.label))
        return f'<div class="emo" id="why"><p>{said}</p><p class="words">{" ".join(words)}</p></div>'

    def is_cut(self, sentence: str) -> bool:
        """Whether a sentence has more tokens than the model reads."""
        return len(sentence) > LONGEST or self.predictor.length(sentence[:LONGEST]) > self.predictor.max_length

    def note(self, text: str) -> str:
        """A line of HTML."""
        return f'<div class="emo"><p>{markup(text)}</p></div>'

    def bars(self, scores: list[float], thresholds: list[float]) -> str:
        """All labels as HTML, those that reach their thresholds first: names, probabilities (C,), and bars of them."""
        ranked = sorted(range(len(scores)), key=lambda label: (scores[label] < thresholds[label], -scores[label]))
        bars = "".join(self.bar(label, scores[label], thresholds[label]) for label in ranked)
        reached = [self.predictor.labels[label] for label in ranked if scores[label] >= thresholds[label]]
        names = markup(", ".join(reached) or self.words["no_label"])
        return (
            f'<div class="emo" id="labels"><h3>{markup(self.words["probabilities"])}</h3><h2>{names}</h2>'
            f"<p>{markup(self.words['sets'])}</p><ol>{bars}</ol></div>"
        )

    def bar(self, label: int, score: float, least: float) -> str:
        """A label as an entry of the list of all, with its probability and its threshold."""
        name, threshold = markup(self.predictor.labels[label]), markup(self.words["threshold"].format(least=least))
        start, sign = ('<li class="reached">', "✓ ") if score >= least else ("<li>", "")
        return (
            f'{start}<span>{name}</span><b title="{threshold}">{sign}{score:.0%}</b><div class="bar">'
            f'<span style="width:{score:.1%}"></span><u style="left:{least:.1%}"></u></div></li>'
        )

    def table(self, near: Neighbours, nearest: list[tuple[int, float]], coloured: dict[int, str]) -> str:
        """The neighbours as an HTML table."""
        rows = "".join(
            f'<tr><td class="number">{place}</td>{self.cell(near.sets[row], coloured)}'
            f'<td class="number">{distance:.2f}</td><td class="text">{markup(near.texts[row])}</td></tr>'
            for place, (row, distance) in enumerate(nearest, 1)
        )
        heads = "".join(f"<th>{markup(self.words[word])}</th>" for word in ("label", "distance", "sentence"))
        return (
            f'<div class="emo" id="nearest"><h3>{markup(self.words["nearest"])}</h3>'
            f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def cell(self, labels: Sequence[int], coloured: dict[int, str]) -> str:
        """The labels of a neighbour as a cell of its table."""
        if len(labels) == 1:
            return f'<td class="label">{self.named(labels[0], coloured)}</td>'
        names = [self.named(label, coloured) for label in labels] or [markup(self.words["no_label"])]
        return f'<td class="labels"><span>{",</span> <span>".join(names)}</span></td>'

    def drawn(
        self,
        coloured: dict[int, str] | None = None,
        embedding: np.ndarray | None = None,
        nearest: Sequence[tuple[int, float]] = (),
    ) -> str:
        """The map as HTML: training sentences, and the new one among its neighbours if there is one."""
        if self.neighbours is None:
            return self.note(self.words["none"].format(why=self.why))
        near, coloured = self.neighbours, coloured or self.coloured([])
        new = np.empty((0, 2)) if embedding is None else near.place(embedding[None])
        points, new = fitted(near.points, new)
        dots = ""
        for label, rows in layers(near.labels):
            places = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points[rows])
            dots += f'<path d="{places}" stroke="{coloured.get(label, OTHERS)}"/>'
        lines, rings, star = "", "", ""
        for place, (row, _) in reversed(list(enumerate(nearest, 1))):  # the nearest lies on top
            x, y = points[row]
            lines += f'<line x1="{new[0, 0]:.1f}" y1="{new[0, 1]:.1f}" x2="{x:.1f}" y2="{y:.1f}"/>'
            title = f"<title>{place}. {markup(near.texts[row])}</title>"
            colour = coloured.get(near.labels[row], OTHERS)
            rings += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}">{title}</circle>'
        for x, y in new:
            star = f'<path id="new" d="{STAR}" transform="translate({x:.1f} {y:.1f})"/>'
        caption = self.words["map"].format(
            n=f"{len(near.texts):,}", d=near.embeddings.shape[1], share=100 * near.shown
        )
        if any(len(labels) != 1 for labels in near.sets):
            caption += self.words["colour"]
        return (
            f'<div class="emo" id="map"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{markup(self.words["picture"])}"><g fill="none" stroke-width="6" stroke-linecap="round" '
            f'stroke-opacity="0.4">{dots}</g><g stroke="currentColor" stroke-opacity="0.6">{lines}</g>'
            f'<g stroke="currentColor" stroke-width="1.5">{rings}</g>{star}</svg>'
            f'<div class="legend">{self.legend(coloured, bool(len(new)))}</div><p>{markup(caption)}</p></div>'
        )

    def coloured(self, shown: Sequence[int]) -> dict[int, str]:
        """The colour of each class that has one of its own: all of a few classes, else those that are shown."""
        count = len(self.predictor.labels)
        return dict(zip(range(count) if count <= len(COLOURS) else dict.fromkeys(shown), COLOURS, strict=False))

    def legend(self, coloured: dict[int, str], new: bool) -> str:
        """What the signs of the map mean."""
        entries = [self.named(label, coloured) for label in coloured]
        if len(coloured) < len(self.predictor.labels):
            entries.append(f'<i style="background:{OTHERS}"></i>{markup(self.words["others"])}')
        if new:
            signs = {"new": f'<path d="{STAR}" fill="currentColor"/>', "near": RING}
            signs = {word: f'<svg viewBox="-12 -12 24 24">{sign}</svg>' for word, sign in signs.items()}
            entries = [*(sign + markup(self.words[word]) for word, sign in signs.items()), *entries]
        return "".join(f"<span>{entry}</span>" for entry in entries)

    def named(self, label: int, coloured: dict[int, str]) -> str:
        """A class as HTML, with its colour, if it has one."""
        sign = f'<i style="background:{coloured[label]}"></i>' if label in coloured else ""
        return sign + markup(self.predictor.labels[label])


def markup(text: str) -> str:
    """Text as it may stand in HTML, and in the templates that Gradio takes HTML for: a sentence stays a sentence."""
    return escape(text).translate({ord(sign): f"&#{ord(sign)};" for sign in "{}$`\\"})


def fitted(points: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) and new ones (M, 2) in the picture's pixels, both axes in one unit."""
    together = np.concatenate([points, new])
    low, high = together.min(axis=0), together.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    pixels = (together - (low + high) / 2) * [scale, -scale] + np.array([WIDTH, HEIGHT]) / 2
    return pixels[: len(points)], pixels[len(points) :]


def layers(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Class and rows, in shuffled layers, so that no class lies on top of all others."""
    for layer in np.array_split(np.random.default_rng(0).permutation(len(labels)), 6):
        for label in np.unique(labels[layer]):
            yield int(label), layer[labels[layer] == label]
