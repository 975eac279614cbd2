"""Claims of the model of all factors, under this question's own keys."""

from collections.abc import Sequence

from msgspec.structs import replace

from heatdrift.questions.claims import Claim


def factor_claims(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the claims of a model, named for this question."""
    return tuple(replace(claim, key=f"factors/{claim.key.removeprefix('model/')}") for claim in claims)
