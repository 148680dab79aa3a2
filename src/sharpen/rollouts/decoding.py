"""Decoding methods as hooks (`core.Hook`): functions of a step's logits, and of those of other models and contexts.

    shut           words that may not be begun at the first place
    trusting       CK-PLUG: how far the context is believed where it contradicts what the model knows
    fused          dynamic logit fusion: a small expert's change, per token as much as moves the large model as far
    guided         GeDi: tokens that a class-conditional model takes for the wanted class
    nudged         a mixture of prompts, whose weights follow a discriminator's gradient from token to token
    reflected      SRGen: where entropy jumps, the last hidden state is corrected before a token is drawn

Each treats every row by itself. Logits come in, logits or log-probabilities go out: a constant of a row changes nothing.
Dimensions: B rows, V vocabulary, D width, T tokens written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sharpen.core import Step

if TYPE_CHECKING:
    from torch import Tensor

BITS = 0.6931471805599453  # nats


def entropy(logp: Tensor) -> Tensor:
    """(…,) nats of log-probabilities (…, V); tokens that cannot be drawn add nothing."""
    return -(logp.exp() * logp.clamp(min=-1e4)).sum(-1)


def shut(step: Step, words: Sequence[str]) -> Tensor:
    """The first token cannot be one that begins a word, in either case, behind a space, a line's end or nothing; where that
    would leave nothing, all can."""
    if step.number or step.spell is None:
        return step.logits
    forms = [f"{before}{form}" for word in words for form in (word, word.lower()) for before in ("", " ", "\n")]
    spelt = [step.spell(form) for form in forms]
    first = {
        int(ids[0]) for form, ids in zip(forms, spelt, strict=True) if len(ids) and (form[0] not in " \n" or len(ids) == 1)
    }
    logits = step.logits.clone()
    logits[:, sorted(first)] = -float("inf")
    return logits if bool((logits > -float("inf")).any(1).all()) else step.logits


def trusting(step: Step, alpha: float = -1.0, k: int = 10, threshold: float = 0.0) -> Tensor:
    """CK-PLUG (arXiv 2503.15888, section 3): the model's own logits are those with the context, `beside` those without.

    Where the context makes the model less sure (entropy without - entropy with < threshold, in bits), the next token is drawn
    from alpha log p_without + (1 - alpha) (log p_with - log p_without), among the k likeliest of either; elsewhere from
    p_with as it is.

    alpha  0 believes the context, 1 what the model knows; below 0: adaptive, H_with / (H_without + H_with)
    k      the paper's is in its appendix, which nobody here has read
    """
    import torch

    known, told = (logits.log_softmax(-1) for logits in (step.beside[0], step.logits))
    h_known, h_told = entropy(known), entropy(told)
    a = h_told / (h_known + h_told).clamp(min=1e-9) if alpha < 0 else torch.full_like(h_told, alpha)
    change = told - known
    mixed = a[:, None] * known + (1 - a[:, None]) * change
    kept = torch.zeros_like(mixed, dtype=torch.bool)
    for by in (known, change):
        kept.scatter_(1, by.topk(min(k, by.shape[1]), dim=1).indices, True)
    doubtful = (h_known - h_told) / BITS < threshold
    return torch.where(doubtful[:, None], mixed.masked_fill(~kept, -float("inf")), told)


def fused(step: Step, most: float = 2.0, steps: int = 21) -> Tensor:
    """Dynamic logit fusion (arXiv 2406.15480, section 3): logits + a (expert - base), `beside` being (expert, base).

    a is chosen for each token, on a grid of `steps` values from 0 to `most`: it moves the large model as far as tuning moved
    the small one, least [KL(mixed || large) - KL(expert || base)]^2 + [KL(large || mixed) - KL(base || expert)]^2.
    """
    import torch

    large = step.logits.log_softmax(-1)
    expert, base = (logits.log_softmax(-1) for logits in step.beside)
    there, back = divergence(expert, base), divergence(base, expert)
    least, best = torch.full_like(there, float("inf")), large
    for a in torch.linspace(0, most, steps):
        mixed = (large + a * (expert - base)).log_softmax(-1)
        gap = (divergence(mixed, large) - there) ** 2 + (divergence(large, mixed) - back) ** 2
        better = gap < least
        least, best = torch.where(better, gap, least), torch.where(better[:, None], mixed, best)
    return best


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """(B,) KL(p || q) of log-probabilities."""
    return (p.exp() * (p - q)).sum(-1)


def guided(
    step: Step, omega: float = 30.0, keep: float = 0.8, target: float = 0.8, scale: float = 1.0, bias: float = 0.0
) -> Tensor:
    """GeDi (arXiv 2009.06367, section 3): log p + omega * log P(wanted class | text, token), `beside` being (wanted, other).

    P is a softmax over the two of scale * log-likelihood of the text and the token / tokens. Then tokens are dropped, the
    least of the class first, while what was dropped has less than `keep` of the mass and a token's P is below `target`.
    """
    import torch

    now = torch.stack([logits.log_softmax(-1) for logits in step.beside], dim=1)  # (B, 2, V)
    before = step.notes.get("before")
    so_far = now.new_zeros(now.shape[:2]) if before is None else step.notes["so_far"]
    if before is not None:
        so_far = so_far + before.gather(2, step.tokens[:, None, -1:].expand(-1, 2, 1)).squeeze(2)
    step.notes["before"], step.notes["so_far"] = now, so_far
    score = scale * (so_far[:, :, None] + now) / (step.number + 1)
    score[:, 0] += bias
    of_class = score.log_softmax(dim=1)[:, 0]  # (B, V)
    weighted = (step.logits.log_softmax(-1) + omega * of_class).log_softmax(-1)
    order = of_class.argsort(dim=1)
    mass = weighted.exp().gather(1, order).cumsum(1)
    dropped = (mass < keep) & (of_class.exp().gather(1, order) < target)
    dropped[:, -1] = False  # the likeliest of the class is always left
    return weighted.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -float("inf"))


def nudged(step: Step, rate: float = 1.0) -> Tensor:
    """A mixture of prompts that follows a discriminator: the controller of prompt-PPC (arXiv 2402.04160), as far as its
    abstract says; a stand-in, for its prefix is a tensor and ours a mixture of texts.

    `beside` are (wanted class, other class, prompt 1, …). log p = sum_k w_k log p_k, w = softmax(u) over the model's own prompt
    and the others; before each token u takes one step up the gradient of E_p[log p_wanted - log p_other]. At first the others
    have little weight; at rate 0 the model's own logits are left as they are.
    """
    import torch

    wanted, other = (logits.log_softmax(-1) for logits in step.beside[:2])
    prompts = torch.stack([logits.log_softmax(-1) for logits in (step.logits, *step.beside[2:])], dim=1)  # (B, K, V)
    with torch.inference_mode(False), torch.enable_grad():
        start = torch.tensor([0.0] + [-4.0] * (prompts.shape[1] - 1), device=prompts.device).expand(prompts.shape[:2])
        u = step.notes.get("u", start).clone().requires_grad_()
        parts, gap = prompts.clone(), (wanted - other).clone()
        if rate:
            mixed = mixture(u, parts)
            (gradient,) = torch.autograd.grad((mixed.exp() * gap).sum(), u)
            u = u + rate * gradient
        step.notes["u"] = u.detach()
        return mixture(u, parts).detach() if rate else step.logits


def mixture(u: Tensor, parts: Tensor) -> Tensor:
    """(B, V) log-probabilities: the geometric mean of parts (B, K, V) with weights softmax(u), normalised."""
    return (u.softmax(-1)[:, :, None] * parts).sum(1).log_softmax(-1)


def reflected(step: Step, window: int = 25, k: float = 4.0, share: float = 0.5, steps: int = 3, lr: float = 0.01) -> Tensor:
    """SRGen (arXiv 2510.02919, section 3): where the entropy is over mean + k * deviation of the last `window`, a vector is
    added to the last hidden state, found by a few gradient steps on (1 - share) * (NLL of what was written, with the vector) +
    share * entropy (with it); then it is dropped. `share` is the paper's lambda, whose value nobody here has read.

    Needs `Hook(hidden=True)`. Where too little was written to have a deviation, nothing happens.
    """
    import torch

    h = entropy(step.logits.log_softmax(-1))
    seen, states = step.notes.get("entropies"), step.notes.get("states")
    step.notes["entropies"] = h[:, None] if seen is None else torch.cat((seen, h[:, None]), dim=1)[:, -window:]
    step.notes["states"] = step.hidden[:, None] if states is None else torch.cat((states, step.hidden[:, None]), dim=1)
    if seen is None or states is None or seen.shape[1] < window:
        return step.logits
    sudden = (h > seen.mean(1) + k * seen.std(1, correction=0)).nonzero().squeeze(1)
    if not len(sudden) or step.head is None:
        return step.logits
    logits = step.logits.clone()
    logits[sudden] = corrected(step.head, states[sudden], step.tokens[sudden], step.hidden[sudden], share, steps, lr)
    return logits


def corrected(
    head: Callable[[Tensor], Tensor],
    states: Tensor,
    tokens: Tensor,
    last: Tensor,
    share: float,
    steps: int,
    lr: float,
) -> Tensor:
    """(B, V) logits of last (B, D) with the vector that lowers both losses; states (B, T, D) are those that tokens (B, T) were
    drawn from."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        states, tokens, last = states.clone(), tokens.clone(), last.clone()
        delta = torch.zeros_like(last, requires_grad=True)
        for _ in range(steps):
            (gradient,) = torch.autograd.grad(reflection(head, states, tokens, last, delta, share), delta)
            delta = (delta - lr * gradient).detach().requires_grad_()
        return head(last + delta).detach()


def reflection(
    head: Callable[[Tensor], Tensor], states: Tensor, tokens: Tensor, last: Tensor, delta: Tensor, share: float
) -> Tensor:
    """SRGen's loss: sums over rows and tokens, as the paper's."""
    written = head((states + delta[:, None]).flatten(0, 1)).log_softmax(-1)
    fit = -written.gather(1, tokens.flatten()[:, None]).sum()
    return (1 - share) * fit + share * entropy(head(last + delta).log_softmax(-1)).sum()
