"""The mixed model of any table: names of factors, covariates and groups come from a formula, not from a study.

It declares no QUESTION, because it is not asked of the runs of a study: its command is ``heatdrift stats model``, its
function `heatdrift.questions.model.analysis.fit_model`.
"""
