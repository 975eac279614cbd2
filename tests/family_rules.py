"""What every family of methods must do, as checks that name the rule: for ours, and for one that breaks it."""

import copy
import inspect

import torch

from heatdrift.methods import Family

OFF_LIMIT = 1e-5
SWITCHED_OFF = "a family must be able to be switched off"
STARTS_AS_BASE = "a family must leave the tower as the base computes it until something is trained"
RESTORES = "a family that was switched off must come back exactly as it was"
MERGES = "a family must merge into weights that embed the same"
UPDATES = "a family must name the update of every weight that it changed"


def check_complete(family: type[Family]) -> None:
    """Everything that the interface asks for is there, with words for people who read it."""
    missing = sorted(getattr(family, "__abstractmethods__", ()))
    assert "switched_off" not in missing, f"{SWITCHED_OFF}: {family.__name__} has no switched_off"
    assert missing == [], f"{family.__name__} lacks {', '.join(missing)}"
    assert family.kind == family.kind.lower().strip()
    assert inspect.getdoc(family)


def embedded(tower, pixels):
    """What the tower gives before and after its projection."""
    seen = []
    handle = tower.ln_post.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        after = tower(pixels)
    handle.remove()
    return seen[0], after


def put_on(family: Family, base, pixels):
    """A fresh tower with the family on it, in evaluation mode; it must compute what the base does."""
    tower = copy.deepcopy(base)
    before = torch.get_rng_state()
    family.put_on(tower, 4)
    assert torch.equal(torch.get_rng_state(), before)
    tower.eval()
    assert all(map(torch.equal, embedded(tower, pixels), embedded(base, pixels))), STARTS_AS_BASE
    assert all(not update.any() for update in family.updates(tower, base).values()), STARTS_AS_BASE
    return tower


def train(tower, seed=5, size=0.1):
    """Stand-in for training: everything trained has moved."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tower.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def difference(tower, other, pixels):
    return max(
        float((a - b).abs().max()) for a, b in zip(embedded(tower, pixels), embedded(other, pixels), strict=True)
    )


def check_switches_off(family: Family, base, pixels) -> None:
    """Off it computes what the base does; before and afterwards what was trained, also after an error."""
    tower = put_on(family, base, pixels)
    train(tower)
    state = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    grads = {name: p.requires_grad for name, p in tower.named_parameters()}
    live = difference(tower, base, pixels)
    assert (live > 1e-3) == family.changes_encoder
    with family.switched_off(tower, base):
        off = difference(tower, base, pixels)
        assert off <= OFF_LIMIT, f"{SWITCHED_OFF}: {family} differs from the base by {off:.3g} then"
    try:
        with family.switched_off(tower, base):
            raise KeyError
    except KeyError:
        pass
    assert difference(tower, base, pixels) == live, RESTORES
    assert all(torch.equal(tensor, state[name]) for name, tensor in tower.state_dict().items()), RESTORES
    assert {name: p.requires_grad for name, p in tower.named_parameters()} == grads, RESTORES


def check_merges(family: Family, base, pixels) -> None:
    """Merged weights, and the base with the updates added, embed as the trained tower does."""
    tower = put_on(family, base, pixels)
    train(tower)
    merged, added = copy.deepcopy(base), copy.deepcopy(base)
    merged.load_state_dict(family.merged(tower), strict=True)
    assert difference(merged, tower, pixels) <= OFF_LIMIT, MERGES
    updates = family.updates(tower, base)
    with torch.no_grad():
        for name, update in updates.items():
            added.get_parameter(name).add_(update)
    assert difference(added, tower, pixels) <= OFF_LIMIT, UPDATES
    for name, parameter in merged.named_parameters():
        moved = parameter - base.get_parameter(name)
        torch.testing.assert_close(updates.get(name, torch.zeros_like(moved)), moved.detach(), atol=1e-6, rtol=1e-4)
