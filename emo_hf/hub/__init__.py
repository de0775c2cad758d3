"""From a run's folder to the Hub: the check before training, the card, the push."""

from emo_hf.hub.card import model_card
from emo_hf.hub.upload import check_access, collect, push

__all__ = ["check_access", "collect", "model_card", "push"]
