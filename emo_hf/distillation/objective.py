"""What a student learns from: the teacher's probabilities, softened, and the direction of its embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_hf.models.modeling import EmotionModel


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float, *, several: bool) -> Tensor:
    """The mean (scalar) over the rows of KL(teacher ‖ student) at a temperature T, times T² (Hinton et al. 2015).

    T² keeps the size of the gradients as it is at T = 1. Of labels that are decisions of their own, each has two
    outcomes, and the divergences are summed over the labels.

    Args:
        student: logits (B, C).
        teacher: logits (B, C).
        temperature: T, above 0.
        several: whether a row may have several labels.
    """
    student, teacher = student / temperature, teacher / temperature
    if several:
        known = teacher.sigmoid()
        of_yes = known * (nn.functional.logsigmoid(teacher) - nn.functional.logsigmoid(student))
        of_no = (1 - known) * (nn.functional.logsigmoid(-teacher) - nn.functional.logsigmoid(-student))
        divergence = (of_yes + of_no).sum(-1)
    else:
        log_student, log_teacher = student.log_softmax(-1), teacher.log_softmax(-1)
        divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)
    return temperature**2 * divergence.mean()


class Pupil(nn.Module):
    """A student with its loss: the divergence of its logits, and `weight` × (1 - cosine) of its embeddings.

    Embeddings of another size than the teacher's (D' instead of D) pass through a matrix that is learned with the
    student and thrown away with this module.

    Args:
        student: the model that is trained.
        embedding_size: D', of the teacher's embeddings.
        temperature: T of `softened_divergence`.
        weight: of the embeddings' part.
    """

    def __init__(self, student: EmotionModel, embedding_size: int, *, temperature: float, weight: float):
        super().__init__()
        self.student, self.temperature, self.weight = student, temperature, weight
        own: int = student.config.embedding_size
        self.projection: nn.Module = (
            nn.Identity() if own == embedding_size else nn.Linear(own, embedding_size, bias=False)
        )

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, teacher_logits: Tensor, teacher_embeddings: Tensor
    ) -> dict[str, Tensor]:
        """input_ids and attention_mask (B, L), teacher_logits (B, C), teacher_embeddings (B, D') -> loss (scalar)."""
        found = self.student(input_ids=input_ids, attention_mask=attention_mask)
        several = self.student.config.multi_label
        loss = softened_divergence(found.logits.float(), teacher_logits, self.temperature, several=several)
        cosine = torch.cosine_similarity(self.projection(found.embeddings).float(), teacher_embeddings, dim=-1)
        return {"loss": loss + self.weight * (1 - cosine).mean()}
