"""The words of what is reported of risk and coverage, in English and Korean."""

from __future__ import annotations

RISK_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "area": "Area ↓",
        "errors_at": "Errors at {share} %",
        "risks": "errors among the answers, {}",
        "answered": "texts answered, the surest first (%)",
        "errors": "errors (%)",
        "mean_line": "mean over the seeds, 95 % interval",
        "linear_line": "TF-IDF + logistic regression",
        "least_line": "the least that its accuracy allows",
        "promised": "with its promise (--max_error)",
        "many_seeds": "{} seeds",
        "finding": "Area under risk and coverage, {question}: {estimate} points {answer}",
        "note": "Who answers only the texts of which a model is surest makes fewer errors: the share of errors, in "
        "percent, where 50, 80 and 100 % of the test texts are answered, and the mean over all shares, which is the "
        "area under the curve of risk over coverage (El-Yaniv & Wiener 2010; Geifman et al. 2019), with 95 % "
        "intervals over seeds and test texts. A model is as sure as the probability of its likeliest label says; "
        "lower is better.",
        "findings_note": "Mean differences of the area over models that differ in nothing else, uncertain by seeds "
        "and test texts; below 0 is better. {verdicts} The questions about the baseline and about the models are a "
        "family each. {seeds}",
    },
    "ko": {
        "area": "면적 ↓",
        "errors_at": "{share} % 답할 때 오류",
        "risks": "답한 문장 가운데 오류, {}",
        "answered": "확신이 큰 순서로 답한 문장(%)",
        "errors": "오류(%)",
        "mean_line": "시드 평균, 95 % 신뢰구간",
        "linear_line": "TF-IDF + 로지스틱 회귀",
        "least_line": "그 정확도에서 가능한 가장 낮은 값",
        "promised": "약속한 문턱값(--max_error)",
        "many_seeds": "시드 {}개",
        "finding": "위험-응답률 곡선의 면적, {question}: {estimate}점 {answer}",
        "note": "모델이 가장 확신하는 문장에만 답하면 오류가 줄어든다. 테스트 문장의 50, 80, 100 %에 답할 때의 오류 "
        "비율(%)과, 모든 응답률에 걸친 평균, 곧 위험-응답률 곡선 아래의 면적(El-Yaniv & Wiener 2010; Geifman et al. "
        "2019)이며, 시드와 테스트 문장에 대한 95 % 신뢰구간을 함께 적었다. 확신은 가장 그럴듯한 라벨의 확률이다. "
        "낮을수록 좋다.",
        "findings_note": "나머지 조건이 같은 모델끼리 비교한 면적의 평균 차이이며, 시드와 테스트 문장에 따른 "
        "불확실성을 담았다. 0보다 작으면 더 낫다. {verdicts} 비교 기준에 대한 질문과 모델끼리의 질문을 각각 한 "
        "묶음으로 보정했다. {seeds}",
    },
}
