"""The statistics engine: arrays in, numbers out. It imports NumPy, SciPy, ``errors`` and itself, and no more.

``design`` (columns, hypotheses) -> ``mixed_model`` (REML and ML over ``deviance``) with ``satterthwaite`` and
``kenward_roger``; ``cluster_robust`` (CR2) -> ``cluster_tests`` (seed-level tests, the headline), ``two_samples`` and
``cell_average`` (over ``welch``), with ``sphericity`` (Box) and ``homoscedasticity``; ``equivalence``,
``effect_sizes``, ``sign_flip`` and ``detectable`` for what a difference of seeds amounts to; ``variance_ratio``,
``profile_likelihood`` and ``parametric_bootstrap`` for intervals of a mixed model; ``cell_correlation``,
``rank_scores``, ``blocked_spearman`` and ``matched_curves`` for associations, permuted by ``arrangements``;
``distributions``, ``intervals``, ``multiplicity``, ``ranks`` and ``group_means`` under all of them. What is asked of
runs is in ``heatdrift.questions``.
"""
