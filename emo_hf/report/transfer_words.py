"""The words of what is written about a study of transfer, in English and Korean."""

from __future__ import annotations

TRANSFER_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Trained on one corpus, tested on another",
        "about": "{model}, {seeds} a model. Macro-F1 in percent with its 95 % interval.",
        "some_seeds": "{n} seeds",
        "one_seed": "one seed",
        "matrix": "As it comes",
        "matrix_note": "A row is what a model was trained on, a column what it was tested on; on the diagonal stands "
        "the target's own model. In parentheses: TF-IDF + logistic regression, trained on the same rows.",
        "trained_on": "trained on",
        "tested_on": "tested on",
        "losses": "What is lost against the target's own model",
        "target": "Target",
        "source": "Source",
        "own": "its own",
        "rows": "Rows of the target",
        "macro_f1": "Macro-F1",
        "linear": "TF-IDF",
        "over_linear": "Model less TF-IDF",
        "own_less": "Own less transferred",
        "gain": "More than the rows alone",
        "alone": "none, these rows alone",
        "alone_short": "no source",
        "all_rows": "own model, all rows",
        "curves": "After some rows of the target",
        "curves_note": "A source's model trained further on so many rows of the target for {epochs} epochs, its last "
        "epoch taken, beside a model that had these rows alone. The rows are a stratified draw, the same for all "
        "sources, and those of a smaller number are part of a larger one. 0 rows: as it comes.",
        "heat": "macro-F1 on a target (column) of what was trained on a source (row), in %",
        "heat_linear": "TF-IDF {score}",
        "curve": "macro-F1 after rows of the target, {seeds} with 95 % intervals",
        "curve_one_seed": "macro-F1 after rows of the target, one seed",
        "corpora": "The corpora",
        "corpus": "Corpus",
        "train": "Training rows",
        "validation": "Validation rows",
        "test": "Test rows",
        "removed": "Left out",
        "removed_note": "Left out: training and validation rows of a corpus whose texts are held out of another "
        "target ({pairs}). They leave the side that trains, so that all models of a column answer the same test rows.",
        "none_removed": "No text of a corpus's training or validation rows is held out of another target.",
        "removed_pair": "{source} has {n} of {target}",
        "note": "Intervals and verdicts by the multi-bootstrap over the target's test texts and the seeds (Sellam et "
        "al. 2022). {verdicts} The losses, the gains and the differences to TF-IDF are each one family. One model a "
        "corpus is scored on all targets.",
        "one_seed_note": "One run a model says nothing of how runs vary: give three seeds or more (--seeds 1 2 3).",
        "contents": "Contents",
        "labels": "Labels",
    },
    "ko": {
        "title": "한 말뭉치로 학습해 다른 말뭉치로 평가하기",
        "about": "{model}, 모델마다 {seeds}. 매크로 F1은 퍼센트이며 95 % 신뢰구간을 함께 적었다.",
        "some_seeds": "시드 {n}개",
        "one_seed": "시드 1개",
        "matrix": "추가 학습 없이",
        "matrix_note": "행은 학습한 말뭉치, 열은 평가한 말뭉치이다. 대각선은 그 말뭉치로 학습한 모델이다. 괄호 "
        "안은 같은 문장으로 학습한 TF-IDF + 로지스틱 회귀이다.",
        "trained_on": "학습",
        "tested_on": "평가",
        "losses": "자기 말뭉치로 학습한 모델보다 얼마나 낮은가",
        "target": "평가 말뭉치",
        "source": "학습 말뭉치",
        "own": "자기 자신",
        "rows": "추가 학습 문장 수",
        "macro_f1": "매크로 F1",
        "linear": "TF-IDF",
        "over_linear": "모델 − TF-IDF",
        "own_less": "자기 모델 − 옮긴 모델",
        "gain": "이 문장들만 쓴 모델과의 차이",
        "alone": "없음, 이 문장들만",
        "alone_short": "학습 말뭉치 없음",
        "all_rows": "자기 모델, 모든 문장",
        "curves": "평가 말뭉치의 문장을 조금 더 학습하면",
        "curves_note": "학습 말뭉치의 모델을 평가 말뭉치의 문장 몇 개로 {epochs} 에폭 더 학습하고 마지막 에폭을 "
        "쓴다. 그 문장들만으로 학습한 모델과 나란히 적었다. 문장은 라벨 비율대로 뽑으며 모든 학습 말뭉치에 같고, "
        "적은 수의 문장은 많은 수의 문장에 포함된다. 0은 추가 학습이 없다는 뜻이다.",
        "heat": "학습 말뭉치(행)의 모델을 평가 말뭉치(열)에서 잰 매크로 F1 (%)",
        "heat_linear": "TF-IDF {score}",
        "curve": "평가 말뭉치 문장 수에 따른 매크로 F1, {seeds}, 95 % 신뢰구간",
        "curve_one_seed": "평가 말뭉치 문장 수에 따른 매크로 F1, 시드 1개",
        "corpora": "말뭉치",
        "corpus": "말뭉치",
        "train": "학습 문장",
        "validation": "검증 문장",
        "test": "테스트 문장",
        "removed": "제외",
        "removed_note": "제외: 다른 평가 말뭉치의 검증·테스트 문장과 같은 학습·검증 문장({pairs}). 학습하는 쪽에서 "
        "빼므로 한 열의 모든 모델이 같은 테스트 문장으로 평가된다.",
        "none_removed": "다른 평가 말뭉치의 검증·테스트 문장과 같은 학습·검증 문장은 없다.",
        "removed_pair": "{source}에 {target}의 문장 {n}개",
        "note": "신뢰구간과 판정은 평가 말뭉치의 테스트 문장과 시드에 대한 다중 부트스트랩으로 구했다(Sellam et al. "
        "2022). {verdicts} 자기 모델과의 차이, 추가 학습의 차이, TF-IDF와의 차이를 각각 한 묶음으로 보정했다. "
        "말뭉치마다 모델 하나를 모든 평가 말뭉치에서 쟀다.",
        "one_seed_note": "모델마다 한 번만 학습하면 학습마다의 차이를 알 수 없다. 시드를 3개 이상 주면 된다(--seeds "
        "1 2 3).",
        "contents": "차례",
        "labels": "라벨",
    },
}
