"""Words for a study's own methods, from what its runs carry and the titles that its kept plan gives."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.cli.workspace import KeptPlan


def name_methods(*studies: "tuple[pl.DataFrame, KeptPlan | None]") -> None:
    """Let sentences, charts and tables of this command call the methods of these runs (view ``runs``) by words."""
    from heatdrift.methods import own_titles, stored_method, use_titles
    from heatdrift.methods.between import parent_name

    found = []
    for runs, plan in studies:
        titles = own_titles(plan.study.methods) if plan else {}
        methods = [stored_method(text) for text in runs["method_spec"].drop_nulls().unique().sort().to_list()]
        found += [(method, titles.get(parent_name(method.name))) for method in methods if method is not None]
    use_titles(found)
