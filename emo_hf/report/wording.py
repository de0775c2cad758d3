"""The words that stand in tables and pictures, in English and Korean."""

from __future__ import annotations

LANGUAGES = ("en", "ko")
BASELINE_NAMES = {"TF-IDF + logistic regression": "TF-IDF + 로지스틱 회귀", "majority class": "최다 클래스"}

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
        "seeds": "Seeds",
        "cross_entropy": "cross-entropy",
        "epoch": "epoch",
        "train": "train",
        "validation": "validation",
        "true": "true",
        "predicted": "predicted",
        "class": "class",
        "history": "training history, {}",
        "embeddings": "{method} of {n} test embeddings, seed of median macro-F1",
        "sampled": "{method} of {n} of {total} test embeddings, seed of median macro-F1",
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
        "cluster_findings_note": "Mean differences over models that differ in nothing else, with 95 % intervals over "
        "seeds (Welch's t); p-values corrected by Holm's method for each score.",
        "settings": "Settings",
        "interval": "95 % interval",
        "difference": "Difference",
        "sweep": "macro-F1 over {name}, {seeds} with 95 % intervals",
        "sweep_one_seed": "macro-F1 over {name}, {seeds}",
        "many_seeds_mean_only": "mean of {} seeds",
        "sweep_note": "Macro-F1 in percent, mean ± standard deviation (n − 1) over seeds. Differences are to the same "
        "encoder and pooling without auxiliary loss or, where the setting is not the loss's own, to its first value. "
        "Intervals and p-values by the multi-bootstrap over test texts and seeds (Sellam et al. 2022), p-values "
        "corrected by Holm's method.",
        "sweep_one_seed_note": "Macro-F1 in percent. Differences are to the same encoder and pooling without "
        "auxiliary loss or, where the setting is not the loss's own, to its first value. One run a model says nothing "
        "of how runs vary: give two seeds or more for intervals.",
        "over": "{level} over {baseline}",
        "under": "{question}, more under {upper} than under {lower}",
        "finding": "{question}: {estimate} points of macro-F1 [{low}, {high}], {p}: {verdict}",
        "cluster_finding": "{question}: {score} {estimate} [{low}, {high}], {p}: {verdict}",
        "shown": "a difference",
        "not_shown": "no difference shown",
        "single": "{alike}: {question}: {estimate} points of accuracy, McNemar {p}",
        "findings_note": "Mean differences over all pairs of models that differ in nothing else; 95 % intervals and "
        "p-values by the multi-bootstrap over test texts and seeds (Sellam et al. 2022), p-values corrected by Holm's "
        "method, for the effects and for their interactions, and in a sweep for each setting.",
        "uncorrected": "Each interval stands for its own question alone and is not corrected for the number of "
        "questions; the p-value is. So an interval may leave out 0 where no difference is shown: the p-value decides.",
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
        "one_seed_note": "One run a model says nothing of how runs vary: give two seeds or more for intervals.",
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
        "seeds": "시드 수",
        "cross_entropy": "교차 엔트로피",
        "epoch": "에폭",
        "train": "학습",
        "validation": "검증",
        "true": "실제",
        "predicted": "예측",
        "class": "클래스",
        "history": "학습 과정, {}",
        "embeddings": "테스트 임베딩 {n}개의 {method}, 매크로 F1이 중앙값인 시드",
        "sampled": "테스트 임베딩 {total}개 중 {n}개의 {method}, 매크로 F1이 중앙값인 시드",
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
        "cluster_findings_note": "나머지 조건이 같은 모델 사이의 평균 차이와 시드에 대한 95 % 구간(Welch의 t). "
        "p값은 점수마다 Holm 방법으로 보정했다.",
        "settings": "설정",
        "interval": "95 % 구간",
        "difference": "차이",
        "sweep": "{name}에 따른 매크로 F1, {seeds}과 95 % 구간",
        "sweep_one_seed": "{name}에 따른 매크로 F1, {seeds}",
        "many_seeds_mean_only": "시드 {}개의 평균",
        "sweep_note": "매크로 F1(%), 시드별 결과의 평균 ± 표준편차(n − 1). 차이는 같은 인코더와 풀링에 보조 손실이 "
        "없는 모델과의 차이이며, 손실의 설정이 아닌 경우에는 첫 번째 값과의 차이이다. 구간과 p값은 테스트 "
        "문장과 시드에 대한 다중 부트스트랩(Sellam et al. 2022)으로 구했고, p값은 Holm 방법으로 보정했다.",
        "sweep_one_seed_note": "매크로 F1(%). 차이는 같은 인코더와 풀링에 보조 손실이 없는 모델과의 차이이며, "
        "손실의 설정이 아닌 경우에는 첫 번째 값과의 차이이다. 모델당 한 번의 실행으로는 실행 간 편차를 알 수 없다. "
        "구간을 구하려면 시드를 둘 이상 준다.",
        "over": "{baseline} 대비 {level}",
        "under": "{question}, {lower}보다 {upper}에서 더",
        "finding": "{question}: 매크로 F1 {estimate}점 [{low}, {high}], {p}: {verdict}",
        "cluster_finding": "{question}: {score} {estimate} [{low}, {high}], {p}: {verdict}",
        "shown": "차이 있음",
        "not_shown": "차이가 확인되지 않음",
        "single": "{alike}: {question}: 정확도 {estimate}점, McNemar {p}",
        "findings_note": "나머지 조건이 같은 모델 쌍 전체의 평균 차이. 95 % 구간과 p값은 테스트 문장과 시드에 대한 "
        "다중 부트스트랩(Sellam et al. 2022)으로 구했고, p값은 주효과와 상호작용, 탐색에서는 설정 각각에 대해 "
        "Holm 방법으로 보정했다.",
        "uncorrected": "구간은 질문 하나하나에 대한 것으로 질문의 수에 대해 보정하지 않았고, p값만 보정했다. 그래서 "
        "구간에 0이 없어도 차이가 확인되지 않을 수 있다. 판단은 p값으로 한다.",
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
        "one_seed_note": "모델당 한 번의 실행으로는 실행 간 편차를 알 수 없다. 구간을 구하려면 시드를 둘 이상 준다.",
        "no_findings": "비교할 수 있는 모델이 없다.",
        "different_rows": "실행마다 테스트 행이 달라 아무것도 비교하지 않았다.",
    },
}


def p_value(p: float) -> str:
    """ "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def baseline_name(name: str, lang: str) -> str:
    """The name of a baseline as records have it, in the language of the report."""
    return BASELINE_NAMES.get(name, name) if lang == "ko" else name
