"""The words of rows with several labels each, in English and Korean: in tables and pictures, and on the page."""

from __future__ import annotations

SET_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "micro_f1": "Micro-F1",
        "sample_f1": "Sample-F1",
        "mean_average_precision": "mAP",
        "lrap": "LRAP",
        "coverage_error": "Coverage error",
        "note_sets": "{rows}F1 at the thresholds chosen on the validation rows, mAP (mean average precision over the "
        "labels), LRAP (label ranking average precision) and ECE (expected calibration error, over all labels of all "
        "texts) in percent. Coverage error: how many labels down a text's ranking all of its own are found. Loss is "
        "binary cross-entropy, summed over the labels. Mean ± standard deviation (n − 1) over seeds, bold where the "
        "mean is the best of the models. The rows below the models are baselines.",
        "labels_in_csv": "The F1 of each of the {n} labels stands in table.csv.",
        "absent_sets": "No test text has {}: macro-F1 and mAP are means over the other labels.",
        "single_sets": "{alike}: {question}: {estimate} points of macro-F1",
        "sets_left_out": "Texts have several labels each: there are no confusion matrices, no scores of clusters and "
        "no McNemar tests, which are of one class a text.",
        "binary_cross_entropy": "binary cross-entropy",
        "with_label": "{}",
        "without_label": "without {}",
        "embeddings_sets": "{method} of {n} test embeddings by {label}",
        "sampled_sets": "{method} of {n} of {total} test embeddings by {label}",
        "probability": "probability of a label (%)",
        "having": "texts that have it (%)",
        "having_line": "texts that have it",
        "ideal_sets": "share = probability",
        "share_sets": "share of all probabilities",
        "thresholds": "macro-F1 of the test set over one threshold for all labels, {}",
        "threshold": "threshold",
        "over_threshold": "one threshold for all labels",
        "at_chosen": "with the chosen thresholds",
        "chosen": "chosen thresholds",
        "labels": "F1 of each label on the test set, {}",
        "interval_both": "95 % interval over texts and seeds",
        "interval_texts": "95 % interval over texts",
        "other_models": "the other models",
        "cooccurrence": "% of the test texts of a label (row) that also have another (column)",
        "commonest": "the {n} commonest of {total} labels",
        "texts": "{n} texts",
        "texts_of_label": "{label} ({n})",
    },
    "ko": {
        "micro_f1": "마이크로 F1",
        "sample_f1": "문장별 F1",
        "mean_average_precision": "mAP",
        "lrap": "LRAP",
        "coverage_error": "커버리지 오차",
        "note_sets": "{rows}검증 문장에서 정한 임곗값에서의 F1, mAP(라벨별 평균 정밀도의 평균), LRAP(라벨 순위 평균 "
        "정밀도), ECE(모든 문장의 모든 라벨에 대한 기대 보정 오차)는 퍼센트이다. 커버리지 오차는 문장의 라벨이 모두 "
        "나오려면 순위를 몇 개까지 내려가야 하는지이고, 손실은 라벨별 이진 교차 엔트로피의 합이다. 시드별 결과의 평균 "
        "± 표준편차(n − 1)이며, 굵은 글씨는 모델 가운데 가장 좋은 평균이다. 모델 아래의 행은 비교 기준이다.",
        "labels_in_csv": "라벨 {n}개의 F1은 table.csv에 있다.",
        "absent_sets": "테스트 세트에 {} 문장이 없어, 매크로 F1과 mAP는 나머지 라벨의 평균이다.",
        "single_sets": "{alike}: {question}: 매크로 F1 {estimate}점",
        "sets_left_out": "한 문장에 라벨이 여럿이므로, 문장마다 클래스가 하나일 때의 혼동 행렬, 군집 점수, McNemar "
        "검정은 없다.",
        "binary_cross_entropy": "이진 교차 엔트로피",
        "with_label": "{} 있음",
        "without_label": "{} 없음",
        "embeddings_sets": "테스트 임베딩 {n}개의 {method}, {label} 여부",
        "sampled_sets": "테스트 임베딩 {total}개 중 {n}개의 {method}, {label} 여부",
        "probability": "라벨의 확률 (%)",
        "having": "라벨이 있는 문장 (%)",
        "having_line": "라벨이 있는 문장",
        "ideal_sets": "비율 = 확률",
        "share_sets": "전체 확률 가운데 비율",
        "thresholds": "모든 라벨에 같은 임곗값을 쓸 때 테스트 매크로 F1, {}",
        "threshold": "임곗값",
        "over_threshold": "모든 라벨에 같은 임곗값",
        "at_chosen": "정해진 임곗값",
        "chosen": "라벨마다 정해진 임곗값",
        "labels": "테스트 라벨별 F1, {}",
        "interval_both": "문장과 시드에 대한 95 % 구간",
        "interval_texts": "문장에 대한 95 % 구간",
        "other_models": "다른 모델",
        "cooccurrence": "한 라벨(행)의 테스트 문장 중 다른 라벨(열)도 있는 비율(%)",
        "commonest": "라벨 {total}개 중 가장 많은 {n}개",
        "texts": "문장 {n}개",
        "texts_of_label": "{label} ({n})",
    },
}

# What the page says in place of its other words.
PAGE_SET_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "table_note": "Mean ± standard deviation over seeds; F1, mAP, LRAP and ECE in percent. Click a heading to "
        "sort, the best first. The best model of each column is bold; grey rows are baselines.",
        "maps_note": "t-SNE of the embeddings, the seed of median macro-F1 (beside the title), coloured by one label "
        "(--map_label). Point at a sentence, or tap it, to see it in all models; a cross is a mistake about that "
        "label.",
        "hardest_note": "The lowest F1 of the sentence's own labels first, the mean over all runs.",
        "probability_hardest": "F1 of the sentence (%)",
        "disputed_note": "The most divided votes first, over all labels; the votes shown are the divided ones.",
        "probability_disputed": "F1 of the sentence (%)",
        "suspected": "Suspected missing labels",
        "suspected_note": "Labels that a sentence lacks, the highest mean probability over all runs first. A "
        "suspicion, not a verdict.",
        "likely": "Missing?",
        "probability_suspected": "Probability of it (%)",
        "label": "Labels",
        "accuracy": "Sample-F1",
        "groups_note": "F1 of the sentences in percent, the mean over all runs; the bar goes from the worst model to "
        "the best.",
    },
    "ko": {
        "table_note": "시드별 결과의 평균 ± 표준편차. F1, mAP, LRAP, ECE는 퍼센트. 제목을 누르면 좋은 것부터 "
        "정렬된다. 열마다 가장 좋은 모델은 굵은 글씨, 회색 행은 비교 기준.",
        "maps_note": "임베딩의 t-SNE, 매크로 F1(제목 옆)이 중앙값인 시드. 색은 라벨 하나의 유무(--map_label)이다. "
        "점을 가리키거나 누르면 같은 문장이 모든 모델에서 표시된다. 가위표는 그 라벨을 틀린 예측.",
        "hardest_note": "모든 실행의 평균으로 문장별 F1이 낮은 순서.",
        "probability_hardest": "문장별 F1 (%)",
        "disputed_note": "모든 라벨에 대한 표가 가장 갈린 순서. 문장마다 표가 갈린 라벨을 보인다.",
        "probability_disputed": "문장별 F1 (%)",
        "suspected": "빠진 것으로 의심되는 라벨",
        "suspected_note": "문장에 없는 라벨 가운데 모든 실행의 평균 확률이 높은 순서. 의심일 뿐 판정은 아니다.",
        "likely": "빠졌을 라벨",
        "probability_suspected": "그 확률 (%)",
        "label": "라벨",
        "accuracy": "문장별 F1",
        "groups_note": "모든 실행의 문장별 F1 평균(%). 막대는 가장 나쁜 모델에서 가장 좋은 모델까지.",
    },
}
