"""The words that stand in tables and pictures, in English and Korean."""

from __future__ import annotations

from emo_hf.report.set_words import SET_WORDS

LANGUAGES = ("en", "ko")
BASELINE_NAMES = {
    "TF-IDF + logistic regression": "TF-IDF + 로지스틱 회귀",
    "majority class": "최다 클래스",
    "label priors": "라벨 비율",
}

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "model": "Model",
        "encoder": "Encoder",
        "pooling": "Pooling",
        "aux": "Loss",
        "accuracy": "Accuracy",
        "macro_f1": "Macro-F1",
        "f1": "F1",
        "test_loss": "Test loss",
        "ece": "ECE",
        "test_loss_before": "Test loss before",
        "ece_before": "ECE before",
        "before_note": "Loss and ECE before: without the temperature that was fitted on the validation rows (Guo et "
        "al. 2017), by which no answer changes.",
        "before_line": "before the temperature",
        "ece_was": " (before {})",
        "seeds": "Seeds",
        "cross_entropy": "cross-entropy",
        "epoch": "epoch",
        "train": "train",
        "validation": "validation",
        "true": "true",
        "predicted": "predicted",
        "class": "class",
        "history": "training history, {}",
        "embeddings": "{method} of {n} test embeddings",
        "sampled": "{method} of {n} of {total} test embeddings",
        "median_seed": "seed of median macro-F1",
        "confusion": "test confusion, {}: % of the true class",
        "calibration": "calibration on the test set, {}",
        "confidence": "confidence (%)",
        "ideal": "accuracy = confidence",
        "share": "share of the texts",
        "with_counts": " (count)",
        "no_embeddings": "no embeddings to show",
        "one_seed": "seed {}",
        "many_seeds_mean": "mean ± sd of {} seeds",
        "many_seeds_sum": "sum of {} seeds",
        "note": "{rows}Accuracy, F1 and ECE (expected calibration error) in percent, loss is cross-entropy; mean ± "
        "standard deviation (n − 1) over seeds, bold where the mean is the best of the models. The rows below the "
        "models are baselines.",
        "rows": "Test set of {n} texts. ",
        "classifier_loss": "Every classifier is trained with {}.",
        "absent": "The test set holds no text of {}: macro-F1 is the mean over the other classes.",
        "silhouette": "Silhouette ↑",
        "davies_bouldin": "Davies–Bouldin ↓",
        "knn_accuracy": "5-NN accuracy ↑",
        "probe_accuracy": "Linear probe ↑",
        "nmi": "NMI ↑",
        "ari": "ARI ↑",
        "alignment": "Alignment ↓",
        "uniformity": "Uniformity ↓",
        "clusters_note": "The test embeddings of each model, mean ± standard deviation (n − 1) over seeds: "
        "silhouette and Davies–Bouldin of the true classes, accuracy of the 5 nearest neighbours and of a "
        "cross-validated linear probe in percent, agreement of k-means with the classes, alignment and uniformity "
        "(Wang & Isola 2020).",
        "cluster_findings_note": "Mean differences over models that differ in nothing else, uncertain by the seeds "
        "alone. {verdicts} The questions about each score are a family. Of a score without a unit only a "
        "difference is judged.",
        "settings": "Settings",
        "interval": "95 % interval",
        "difference": "Difference",
        "deciding": "Interval that decides",
        "p_different": "p, different",
        "p_equal": "p, equal",
        "verdict": "Verdict",
        "sweep": "macro-F1 over {name}, {seeds} with 95 % intervals",
        "sweep_one_seed": "macro-F1 over {name}, {seeds}",
        "many_seeds_mean_only": "mean of {} seeds",
        "sweep_note": "Macro-F1 in percent, mean ± standard deviation (n − 1) over seeds. Differences are to the same "
        "encoder and pooling without auxiliary loss or, where the setting is not the loss's own, to its first value. "
        "Intervals and p-values by the multi-bootstrap over test texts and seeds (Sellam et al. 2022). {verdicts} "
        "All differences of the table are one family. {seeds}",
        "sweep_one_seed_note": "Macro-F1 in percent. Differences are to the same encoder and pooling without "
        "auxiliary loss or, where the setting is not the loss's own, to its first value. One run a model says nothing "
        "of how runs vary: give three seeds or more (--seeds 1 2 3).",
        "over": "{level} over {baseline}",
        "over_on_rows": "{level} over {baseline} on the same rows",
        "under": "{question}, more under {upper} than under {lower}",
        "models_over": "models over {baseline}",
        "mean_of": "{question} (mean of {n})",
        "mean_of_some": "{question} (mean of {n} of {asked}; {why})",
        "best_over": "best model over {baseline} ({model}, corrected for having been chosen)",
        "finding": "{question}: {estimate} points of macro-F1 {answer}",
        "cluster_finding": "{question}: {score} {estimate} {answer}",
        "answer": "{intervals} ({levels} {interval}; different {p}, equal {p_equal}): {verdict}",
        "answer_unbounded": "{intervals} ({levels} {interval}; {p}): {verdict}",
        "interval_one": "interval",
        "interval_two": "intervals",
        "and": " and ",
        "different": "different",
        "equal": "equal",
        "small": "different but small",
        "undecided": "undecided",
        "within": " (within ±{within} points)",
        "could_show": "; this study could have shown {detectable} points (80 % power)",
        "shows_nothing": "; this study could have shown no difference at all",
        "would_take": "; {within} would take {ways}",
        "beyond_reach": "; {within} would take more than {seeds} seeds and {sentences} sentences",
        "more_seeds": "{seeds} seeds of these {sentences} sentences",
        "more_sentences": "{seeds} seeds of {sentences} sentences",
        "or": ", or ",
        "single": "{alike}: {question}: {estimate} points of accuracy, McNemar {p}",
        "findings_note": "Mean differences over all pairs of models that differ in nothing else, by the "
        "multi-bootstrap over test texts and seeds (Sellam et al. 2022). {verdicts} {families} {seeds}",
        "verdicts": "Different: no difference at all is ruled out (p below 0.05). Equal: a difference beyond "
        "±{within} points is ruled out (two one-sided tests, Schuirmann 1987; p below 0.05). Different but small: "
        "both. Undecided: neither; the study is too small to say. The printed interval is the one that decides; its "
        "level is what Holm's correction of the p-values leaves to its question.",
        "families": "Each family of questions is corrected by itself: the baseline, the effects, the interactions, "
        "and in a sweep each setting.",
        "pooled": "The variance over seeds is pooled over the models, which a test of equal variances allows.",
        "not_pooled": "The variance over seeds is each model's own, because a test finds that the models' variances "
        "differ.",
        "partly": "{question} (over {answered} of {asked} pairs of models; {why})",
        "unanswered": "{question}: no answer, because {why}",
        "models": "{n} models",
        "single_seed": "{models} has one seed",
        "single_seed_many": "{models} have one seed each",
        "no_run": "{models} has no completed run",
        "no_run_many": "{models} have no completed run",
        "unreadable": "{models} has predictions of fewer than two seeds",
        "unreadable_many": "{models} have predictions of fewer than two seeds each",
        "no_score": "{models} has fewer than two seeds with this score",
        "no_score_many": "{models} have fewer than two seeds each with this score",
        "no_predictions": "{models} has no predictions that can be read",
        "other_rows": "{models} was tested on other rows",
        "one_seed_note": "One run a model says nothing of how runs vary: give three seeds or more (--seeds 1 2 3).",
        "no_findings": "No models that can be compared.",
        "different_rows": "The runs were tested on different rows, so nothing is compared.",
    },
    "ko": {
        "model": "모델",
        "encoder": "인코더",
        "pooling": "풀링",
        "aux": "손실 함수",
        "accuracy": "정확도",
        "macro_f1": "매크로 F1",
        "f1": "F1",
        "test_loss": "테스트 손실",
        "ece": "ECE",
        "test_loss_before": "보정 전 손실",
        "ece_before": "보정 전 ECE",
        "before_note": "보정 전 손실과 ECE는 검증 문장에 맞춘 온도(Guo et al. 2017)를 쓰기 전의 값이다. 온도는 어떤 "
        "답도 바꾸지 않는다.",
        "before_line": "온도를 쓰기 전",
        "ece_was": " (보정 전 {})",
        "seeds": "시드 수",
        "cross_entropy": "교차 엔트로피",
        "epoch": "에폭",
        "train": "학습",
        "validation": "검증",
        "true": "실제",
        "predicted": "예측",
        "class": "클래스",
        "history": "학습 과정, {}",
        "embeddings": "테스트 임베딩 {n}개의 {method}",
        "sampled": "테스트 임베딩 {total}개 중 {n}개의 {method}",
        "median_seed": "매크로 F1이 중앙값인 시드",
        "confusion": "테스트 혼동 행렬, {}: 실제 클래스 기준 %",
        "calibration": "테스트 보정도, {}",
        "confidence": "확신도 (%)",
        "ideal": "정확도 = 확신도",
        "share": "문장 비율",
        "with_counts": "(개수)",
        "no_embeddings": "표시할 임베딩 없음",
        "one_seed": "시드 {}",
        "many_seeds_mean": "시드 {}개의 평균 ± 표준편차",
        "many_seeds_sum": "시드 {}개의 합",
        "note": "{rows}정확도, F1, ECE(기대 보정 오차)는 퍼센트, 손실은 교차 엔트로피이며, 시드별 결과의 평균 ± "
        "표준편차(n − 1)이다. 굵은 글씨는 모델 가운데 가장 좋은 평균이다. 모델 아래의 행은 비교 기준이다.",
        "rows": "테스트 문장 {n}개. ",
        "classifier_loss": "모든 분류기의 학습 손실: {}.",
        "absent": "테스트 세트에 {} 문장이 없어, 매크로 F1은 나머지 클래스의 평균이다.",
        "silhouette": "실루엣 ↑",
        "davies_bouldin": "데이비스–볼딘 ↓",
        "knn_accuracy": "5-NN 정확도 ↑",
        "probe_accuracy": "선형 프로브 ↑",
        "nmi": "NMI ↑",
        "ari": "ARI ↑",
        "alignment": "정렬도 ↓",
        "uniformity": "균일도 ↓",
        "clusters_note": "모델별 테스트 임베딩, 시드별 결과의 평균 ± 표준편차(n − 1). 실제 클래스의 실루엣과 "
        "데이비스–볼딘 지수, 가장 가까운 이웃 5개와 교차 검증한 선형 프로브의 정확도(%), "
        "k-평균 군집과 클래스의 일치도, 정렬도와 균일도(Wang & Isola 2020).",
        "cluster_findings_note": "나머지 조건이 같은 모델 사이의 평균 차이. 시드에 따른 변동만 고려했다. {verdicts} "
        "점수마다 따로 보정했다. 단위가 없는 점수는 다른지만 판단한다.",
        "settings": "설정",
        "interval": "95 % 구간",
        "difference": "차이",
        "deciding": "판단의 구간",
        "p_different": "p, 다름",
        "p_equal": "p, 같음",
        "verdict": "판단",
        "sweep": "{name}에 따른 매크로 F1, {seeds}과 95 % 구간",
        "sweep_one_seed": "{name}에 따른 매크로 F1, {seeds}",
        "many_seeds_mean_only": "시드 {}개의 평균",
        "sweep_note": "매크로 F1(%), 시드별 결과의 평균 ± 표준편차(n − 1). 차이는 같은 인코더와 풀링에 보조 손실이 "
        "없는 모델과의 차이이며, 손실의 설정이 아닌 경우에는 첫 번째 값과의 차이이다. 구간과 p값은 테스트 "
        "문장과 시드에 대한 다중 부트스트랩(Sellam et al. 2022)으로 구했다. {verdicts} 표의 모든 차이를 한 묶음으로 "
        "보정했다. {seeds}",
        "sweep_one_seed_note": "매크로 F1(%). 차이는 같은 인코더와 풀링에 보조 손실이 없는 모델과의 차이이며, "
        "손실의 설정이 아닌 경우에는 첫 번째 값과의 차이이다. 모델당 한 번의 실행으로는 실행 간 편차를 알 수 없다. "
        "시드를 셋 이상 준다(--seeds 1 2 3).",
        "over": "{baseline} 대비 {level}",
        "over_on_rows": "같은 행으로 학습한 {baseline} 대비 {level}",
        "under": "{question}, {lower}보다 {upper}에서 더",
        "models_over": "{baseline} 대비 모델들",
        "mean_of": "{question} ({n}개 평균)",
        "mean_of_some": "{question} ({asked}개 중 {n}개 평균, {why})",
        "best_over": "{baseline} 대비 가장 좋은 모델 ({model}, 골랐다는 점을 보정)",
        "finding": "{question}: 매크로 F1 {estimate}점 {answer}",
        "cluster_finding": "{question}: {score} {estimate} {answer}",
        "answer": "{intervals} ({levels} {interval}, 다름 {p}, 같음 {p_equal}): {verdict}",
        "answer_unbounded": "{intervals} ({levels} {interval}, {p}): {verdict}",
        "interval_one": "구간",
        "interval_two": "구간",
        "and": "와 ",
        "different": "다르다",
        "equal": "같다",
        "small": "다르지만 작다",
        "undecided": "판단 보류",
        "within": "(±{within}점 이내)",
        "could_show": "; 이 실험으로 확인할 수 있었던 가장 작은 차이는 {detectable}점(검정력 80 %)",
        "shows_nothing": "; 이 실험으로는 어떤 차이도 확인할 수 없었음",
        "would_take": "; {within}점을 확인하려면 {ways}",
        "beyond_reach": "; {within}점을 확인하려면 시드 {seeds}개와 문장 {sentences}개로도 모자람",
        "more_seeds": "이 문장 {sentences}개로 시드 {seeds}개",
        "more_sentences": "문장 {sentences}개로 시드 {seeds}개",
        "or": ", 또는 ",
        "single": "{alike}: {question}: 정확도 {estimate}점, McNemar {p}",
        "findings_note": "나머지 조건이 같은 모델 쌍 전체의 평균 차이를 테스트 문장과 시드에 대한 다중 "
        "부트스트랩(Sellam et al. 2022)으로 구했다. {verdicts} {families} {seeds}",
        "verdicts": "다르다: 차이가 전혀 없다고 볼 수 없다(p가 0.05 미만). 같다: 차이가 ±{within}점을 넘는다고 볼 수 "
        "없다(두 번의 단측 검정, Schuirmann 1987, p가 0.05 미만). 다르지만 작다: 둘 다. 판단 보류: 둘 다 아니며, "
        "판단하기에는 실험이 작다. 적힌 구간이 판단의 근거이며, 그 수준은 p값을 Holm 방법으로 보정한 뒤 그 질문에 "
        "남은 것이다.",
        "families": "비교 기준, 주효과, 상호작용에 대한 질문을 각각 한 묶음으로 보정했고, 설정 바꿔 보기에서는 "
        "설정마다 따로 보정했다.",
        "pooled": "시드에 따른 분산은 모든 모델을 합쳐 구했다. 등분산 검정에서 차이가 확인되지 않았기 때문이다.",
        "not_pooled": "시드에 따른 분산은 모델마다 따로 구했다. 등분산 검정에서 차이가 확인되었기 때문이다.",
        "partly": "{question} (모델 {asked}쌍 중 {answered}쌍으로 비교, {why})",
        "unanswered": "{question}: 답할 수 없음, {why}",
        "models": "모델 {n}개",
        "single_seed": "{models}: 시드가 하나뿐임",
        "single_seed_many": "{models}: 각각 시드가 하나뿐임",
        "no_run": "{models}: 완료된 실행이 없음",
        "no_run_many": "{models}: 완료된 실행이 없음",
        "unreadable": "{models}: 예측을 읽을 수 있는 시드가 둘보다 적음",
        "unreadable_many": "{models}: 예측을 읽을 수 있는 시드가 각각 둘보다 적음",
        "no_score": "{models}: 이 점수가 있는 시드가 둘보다 적음",
        "no_score_many": "{models}: 이 점수가 있는 시드가 각각 둘보다 적음",
        "no_predictions": "{models}: 읽을 수 있는 예측이 없음",
        "other_rows": "{models}: 다른 테스트 행에서 평가됨",
        "one_seed_note": "모델당 한 번의 실행으로는 실행 간 편차를 알 수 없다. 시드를 셋 이상 준다(--seeds 1 2 3).",
        "no_findings": "비교할 수 있는 모델이 없다.",
        "different_rows": "실행마다 테스트 행이 달라 아무것도 비교하지 않았다.",
    },
}
for _lang, _words in WORDS.items():
    _words |= SET_WORDS[_lang]


def p_value(p: float) -> str:
    """ "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def baseline_name(name: str, lang: str) -> str:
    """The name of a baseline as records have it, in the language of the report."""
    return BASELINE_NAMES.get(name, name) if lang == "ko" else name
