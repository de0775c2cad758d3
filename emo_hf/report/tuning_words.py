"""The words of what is reported of tuning, in English and Korean."""

from __future__ import annotations

TUNING_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "best_of": "Best of {n}",
        "draw": "Draw",
        "draws": "draws",
        "chosen": "Chosen",
        "expected_best": "expected best validation macro-F1 over the number of draws",
        "rung": "{draws} to epoch {epochs}",
        "failed": "{model}: {n} failed, which count as 0.",
        "note": "Each model was tuned with {n} draws of its settings, on validation data alone; what was chosen was "
        "then trained over the seeds. The first draw is the settings without tuning, trained to the end; "
        "the others are random, and the same for all models that vary the same argument. After each rung "
        "the better half of these went on (successive halving, Jamieson & Talwalkar 2016; draws trained: "
        "{rungs}); a draw that was stopped counts with its best score until then, so the best of some of "
        "the draws is rather better than shown. Best of n: the validation macro-F1 (%) to be expected of "
        "the first and n − 1 random draws (Dodge et al. 2019, 2021). A model that is ahead at every number "
        "of draws is not ahead for having been tuned longer. The best of many validation scores is "
        "optimistic; test scores stand in the table of results. Tuning took {cost} in all.",
    },
    "ko": {
        "best_of": "{n}회 중 최고",
        "draw": "고른 시도",
        "draws": "시도 횟수",
        "chosen": "고른 설정",
        "expected_best": "시도 횟수에 따른 최고 검증 매크로 F1의 기댓값",
        "rung": "{draws}개는 {epochs}에폭까지",
        "failed": "{model}: {n}회 실패, 0점으로 계산했다.",
        "note": "모델마다 설정을 {n}번씩 시도해 검증 데이터만으로 고르고, 고른 설정으로 시드별 학습을 했다. 첫 시도는 "
        "조정하지 않은 설정으로 끝까지 학습했고, 나머지는 무작위이며, 같은 인자를 바꾸는 모델은 모두 같은 값을 "
        "시도했다. 무작위 시도는 단계마다 나은 절반만 이어서 학습했다(successive halving, Jamieson & Talwalkar 2016; "
        "학습한 시도: {rungs}). 도중에 멈춘 시도는 그때까지의 최고 점수로 계산하므로, 시도를 일부만 했을 때의 실제 "
        "값은 표시된 것보다 조금 높다. n회 중 최고: 첫 시도와 무작위 시도 n − 1번에서 기대되는 최고 검증 매크로 F1(%) "
        "(Dodge et al. 2019, 2021). 시도 횟수가 몇이든 앞선 모델은 더 오래 조정해서 앞선 것이 아니다. 여러 검증 "
        "점수 중 가장 좋은 값은 실제보다 높게 보인다. 테스트 점수는 결과 표에 있다. 조정에 걸린 시간은 모두 {cost}.",
    },
}
