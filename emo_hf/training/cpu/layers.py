"""Transformer layers of BERT's kind as one step of autograd, for training on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers.activations import GELUActivation
from transformers.models.bert.modeling_bert import BertLayer
from transformers.models.electra.modeling_electra import ElectraLayer
from transformers.models.roberta.modeling_roberta import RobertaLayer
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaLayer

from emo_hf.training.cpu.dropout import dropped, multipliers


@dataclass(frozen=True)
class _How:
    """How a layer is computed; rates of dropout are those of attention, after attention, after feed-forward.

    Products have the type `dtype`; the residual stream and normalisation have that of the parameters.
    """

    heads: int
    scale: float
    eps: tuple[float, float]
    rates: tuple[float, float, float]
    first_only: bool
    dtype: torch.dtype


class FusedLayer(nn.Module):
    """A faster forward and backward, on a CPU, for a layer of transformers' BERT or of those built like it.

    The same function of the same parameters: self-attention and feed-forward with normalisation after each (Vaswani
    et al. 2017), but written out, forward and backward, so that little is spent beside the matrix products, which are
    most of the work of a small encoder. Under autocast the products have its type; the residual stream, normalisation
    and softmax stay in fp32. What it does not know, as another device or attention than SDPA, goes to the layer as it
    was; so do large batches of long texts in evaluation.
    """

    # What a layer of transformers has; those of its models are classes of their own, with the same parts.
    attention: Any
    intermediate: Any
    output: Any
    first_only = False  # while training, give the state of the first token alone, (B, 1, H)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """hidden_states (B, L, H) and SDPA's attention_mask, broadcast to (B, 1, L, L), or None -> (B, L, H)."""
        attention, after_attention, after = self.attention.self, self.attention.output, self.output
        autocast = torch.is_autocast_enabled("cpu")
        stored = attention.query.weight.dtype
        dtype = torch.get_autocast_dtype("cpu") if autocast else stored
        unknown = (*args, *(kwargs.get(name) for name in ("past_key_values", "encoder_hidden_states")))
        if (
            hidden_states.device.type != "cpu"
            or attention.config._attn_implementation != "sdpa"
            or any(value is not None for value in unknown)
            or not (autocast or hidden_states.dtype == stored)
            # Never by gradients alone: a pass that is run again with them, as by a gradient cache, has to draw alike.
            or (not (self.training or torch.is_grad_enabled()) and _scores(hidden_states, attention) > _MOST_SCORES)
            or torch.jit.is_tracing()
            or torch.compiler.is_compiling()
        ):
            return super().forward(hidden_states, attention_mask, *args, **kwargs)
        how = _How(
            heads=attention.num_attention_heads,
            scale=attention.scaling,
            eps=(after_attention.LayerNorm.eps, after.LayerNorm.eps),
            rates=(attention.dropout.p, after_attention.dropout.p, after.dropout.p) if self.training else (0.0,) * 3,
            first_only=self.first_only and self.training and _begin_at_once(attention_mask),
            dtype=dtype,
        )
        parts = (
            *(attention.query, attention.key, attention.value, after_attention.dense, after_attention.LayerNorm),
            *(self.intermediate.dense, after.dense, after.LayerNorm),
        )
        parameters = [parameter for part in parts for parameter in (part.weight, part.bias)]
        with torch.autocast("cpu", enabled=False):
            return _Layer.apply(hidden_states.to(stored), _bias(attention_mask, dtype), how, *parameters)


class FusedBertLayer(FusedLayer, BertLayer):
    """A layer of BERT in the fused form."""


class FusedElectraLayer(FusedLayer, ElectraLayer):
    """A layer of ELECTRA in the fused form."""


class FusedRobertaLayer(FusedLayer, RobertaLayer):
    """A layer of RoBERTa in the fused form."""


class FusedXLMRobertaLayer(FusedLayer, XLMRobertaLayer):
    """A layer of XLM-RoBERTa in the fused form."""


# Beyond that, in evaluation, attention that makes no matrix of all scores is faster and far smaller.
_MOST_SCORES = 2**23
_PARTS = {
    **dict.fromkeys((f"attention.self.{name}" for name in ("query", "key", "value")), nn.Linear),
    **dict.fromkeys(("attention.output.dense", "intermediate.dense", "output.dense"), nn.Linear),
    **dict.fromkeys(("attention.output.LayerNorm", "output.LayerNorm"), nn.LayerNorm),
    "intermediate.intermediate_act_fn": GELUActivation,
}
_FUSED = {fused.__bases__[1]: fused for fused in FusedLayer.__subclasses__()}


def use_fused_layers(model: nn.Module) -> nn.Module:
    """Give the layers of an `EmotionModel` that are of a known kind the fused form, in place; nothing saved changes.

    Where sentences are pooled by their first token, the last layer computes that one alone while it trains on batches
    that are padded on the right, and a last hidden state that is asked for then has no other.
    """
    for layer in [layer for layer in model.modules() if type(layer) in _FUSED and _is_plain(layer)]:
        layer.__class__ = _FUSED[type(layer)]
    config: Any = model.config
    stack = list(getattr(getattr(model.encoder, "encoder", None), "layer", ()))
    if config.pooling == "cls" and stack and isinstance(stack[-1], FusedLayer):
        stack[-1].first_only = stack[-1] not in stack[:-1]  # a layer that stands twice feeds itself
    return model


def _scores(hidden_states: Tensor, attention: Any) -> int:
    """How many scores of attention there are."""
    batch, length, _ = hidden_states.shape
    return batch * attention.num_attention_heads * length**2


def _is_plain(layer: nn.Module) -> bool:
    """Whether a layer is what transformers makes for an encoder, without adapters or another activation."""
    attention: Any = layer.get_submodule("attention.self")
    parts = {name: type(part) for name, part in layer.named_modules() if not any(part.children())}
    parts = {name: kind for name, kind in parts.items() if not issubclass(kind, nn.Dropout)}
    return bool(
        parts == _PARTS
        and attention.query.in_features == attention.query.out_features
        and layer.chunk_size_feed_forward == 0
        and not attention.is_causal
    )


def _bias(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What to add to the scores of attention, from a mask that is boolean, True at real tokens, or that already."""
    if mask is None or mask.dtype != torch.bool:
        return mask if mask is None else mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def _begin_at_once(mask: Tensor | None) -> bool:
    """Whether the first token of each text, by a mask as `_bias` takes it, is real, and so stands first."""
    if mask is None:
        return True
    first = mask[:, 0, 0, 0]
    return bool(first.all() if mask.dtype == torch.bool else (first == 0).all())


def _split(rows: Tensor, batch: int, heads: int) -> Tensor:
    """(B * N, H) -> (B * heads, N, H / heads)."""
    parts = rows.view(batch, -1, heads, rows.shape[1] // heads).transpose(1, 2)
    return parts.reshape(batch * heads, -1, parts.shape[-1])


def _join(parts: Tensor, batch: int) -> Tensor:
    """(B * heads, N, H / heads) -> (B * N, H)."""
    rows = parts.view(batch, -1, *parts.shape[1:]).transpose(1, 2)
    return rows.reshape(batch * rows.shape[1], -1)


class _Layer(torch.autograd.Function):
    """All of a layer. Rows are tokens; gradients are named as their values, with a d before.

    In half precision, torch's softmax of a CPU is slower than one in fp32 with both conversions.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, how: _How, *parameters: Tensor) -> Tensor:
        query_w, query_b, key_w, key_b, value_w, value_b, out_w, out_b, scale1, shift1, *rest = parameters
        up_w, up_b, down_w, down_b, scale2, shift2 = rest
        batch, length, width = x.shape
        dtype, stored, heads = how.dtype, x.dtype, how.heads
        precise = torch.promote_types(dtype, torch.float32)
        stream = x.reshape(-1, width)
        flat = stream.to(dtype)
        every = length if how.first_only else 1  # which tokens ask
        asked = flat[::every]
        pair_w, pair_b = torch.cat((key_w, value_w)).to(dtype), torch.cat((key_b, value_b)).to(dtype)
        query_w, out_w, up_w, down_w = (weight.to(dtype) for weight in (query_w, out_w, up_w, down_w))

        query = _split(F.linear(asked, query_w, query_b.to(dtype)), batch, heads)
        pair = F.linear(flat, pair_w, pair_b).view(batch, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        key, value = pair.reshape(2, batch * heads, length, -1)
        scores = torch.bmm(query, key.mT).mul_(how.scale)
        if bias is not None:
            scores.view(batch, heads, -1, length).add_(bias[:, :, : scores.shape[1]])
        share = torch.softmax(scores.to(precise), -1).to(dtype)
        kept0 = multipliers(share, how.rates[0])
        kept_share = dropped(share, kept0)
        context = _join(torch.bmm(kept_share, value), batch)

        first = F.linear(context, out_w, out_b.to(dtype))
        kept1 = multipliers(first, how.rates[1])
        first = dropped(first, kept1).to(stored).add_(stream[::every])
        after, mean1, rstd1 = torch.native_layer_norm(first, (width,), scale1, shift1, how.eps[0])
        middle = after.to(dtype)
        up = F.linear(middle, up_w, up_b.to(dtype))
        active = F.gelu(up)
        second = F.linear(active, down_w, down_b.to(dtype))
        kept2 = multipliers(second, how.rates[2])
        second = dropped(second, kept2).to(stored).add_(after)
        states, mean2, rstd2 = torch.native_layer_norm(second, (width,), scale2, shift2, how.eps[1])

        ctx.how, ctx.shape = how, (batch, length, width)
        ctx.save_for_backward(
            *(flat, asked, query, key, value, share, kept0, kept_share, context, first, kept1, middle, mean1, rstd1),
            *(up, active, second, kept2, mean2, rstd2, query_w, pair_w, out_w, scale1, shift1, up_w, down_w, scale2),
            shift2,
        )
        return states.view(batch, -1, width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dstates: Tensor) -> tuple[Tensor | None, ...]:
        flat, asked, query, key, value, share, kept0, kept_share, context, first, kept1, *rest = ctx.saved_tensors
        middle, mean1, rstd1, up, active, second, kept2, mean2, rstd2, query_w, pair_w, *rest = rest
        out_w, scale1, shift1, up_w, down_w, scale2, shift2 = rest
        how, (batch, length, width) = ctx.how, ctx.shape
        heads, dtype, stored, needed = how.heads, how.dtype, scale1.dtype, [True, True, True]
        precise = torch.promote_types(dtype, torch.float32)

        dsecond, dscale2, dshift2 = torch.ops.aten.native_layer_norm_backward(
            dstates.reshape(-1, width), second, (width,), mean2, rstd2, scale2, shift2, needed
        )
        ddown = dropped(dsecond.to(dtype), kept2)
        dup = torch.ops.aten.gelu_backward(ddown @ down_w, up)
        dmiddle = (dup @ up_w).to(stored).add_(dsecond)
        dfirst, dscale1, dshift1 = torch.ops.aten.native_layer_norm_backward(
            dmiddle, first, (width,), mean1, rstd1, scale1, shift1, needed
        )
        dout = dropped(dfirst.to(dtype), kept1)
        dcontext = _split(dout @ out_w, batch, heads)
        dshare = dropped(torch.bmm(dcontext, value.mT), kept0)
        dscores = torch.ops.aten._softmax_backward_data(dshare.to(precise), share.to(precise), -1, precise)
        dscores = dscores.mul_(how.scale).to(dtype)
        dpair = torch.empty(2, *key.shape, dtype=dtype)
        torch.bmm(dscores.mT, query, out=dpair[0])
        torch.bmm(kept_share.mT, dcontext, out=dpair[1])
        dpair = dpair.view(2, batch, heads, length, -1).permute(1, 3, 0, 2, 4).reshape(-1, 2 * width)
        dquery = _join(torch.bmm(dscores, key), batch)
        dx = (dpair @ pair_w).to(stored)
        dx[:: length if how.first_only else 1] += (dquery @ query_w).to(stored).add_(dfirst)

        def of(gradient: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
            return (gradient.mT @ inputs).to(stored), gradient.sum(0, dtype=stored)

        dpair_w, dpair_b = of(dpair, flat)
        return (
            dx.view(batch, length, width),
            None,
            None,
            *of(dquery, asked),
            *(dpair_w[:width], dpair_b[:width], dpair_w[width:], dpair_b[width:]),
            *of(dout, context),
            *(dscale1, dshift1),
            *of(dup, middle),
            *of(ddown, active),
            *(dscale2, dshift2),
        )
