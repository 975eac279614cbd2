# make_reference.R with one change: lme4's optimiser runs to 1e-14 instead of stopping at its default tolerance.
# lme4's default leaves models with two variances up to 5e-5 (relative) short of the optimum; these files hold R's answer there.
# Run: sh make_tight.sh   (Debian: apt-get install r-base-core r-cran-lme4 r-cran-lmertest r-cran-emmeans r-cran-pbkrtest r-cran-jsonlite)
suppressMessages(library(lme4))
tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(
  algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-14, ftol_abs = 1e-14, xtol_rel = 0, ftol_rel = 0, maxeval = 100000))
code <- sub("lmer(f, d, REML = TRUE)", "lmer(f, d, REML = TRUE, control = tight)", readLines("make_reference.R"), fixed = TRUE)
stopifnot(any(grepl("control = tight", code, fixed = TRUE)))
eval(parse(text = code))
