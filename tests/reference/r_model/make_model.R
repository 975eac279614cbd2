# R's answers to mixed models of published tables, with any number of random intercepts.
# Run in this folder: Rscript make_model.R   (Debian: apt-get install r-base-core r-cran-lme4 r-cran-lmertest
#   r-cran-emmeans r-cran-pbkrtest r-cran-nlme r-cran-jsonlite r-cran-numderiv). Writes DATA.csv and model.json.
# lme4 stops within about 1e-5 of the optimum by default. Its optimiser sees values of the deviance alone, whose rounding
# leaves theta uncertain to 1e-6 however long it runs; so here it runs to 1e-14, and Newton steps on numDeriv's derivatives
# take its theta to where the gradient is 0 (test_exact_variances.py compares both with exact arithmetic).
# Data: tables of measurements from the publications named in README.md, as lme4 and nlme give them.
suppressMessages({library(lme4); library(lmerTest); library(emmeans); library(jsonlite)})
data(Machines, package = "nlme")
tight <- lmerControl(optimizer = "nloptwrap", check.rankX = "silent.drop.cols", check.conv.singular = "ignore",
  optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-14, ftol_abs = 1e-14, xtol_rel = 0, ftol_rel = 0,
  maxeval = 100000))
fitted_here <- function(formula, d, reml) {
  m <- suppressMessages(suppressWarnings(lmer(formula, d, REML = reml, control = tight)))
  deviance_at <- suppressMessages(lme4::lmer(formula, d, REML = reml, control = tight, devFunOnly = TRUE))
  theta <- getME(m, "theta"); free <- theta > 1e-4
  along <- function(some) { all <- theta; all[free] <- some; deviance_at(all) }
  if (any(free)) for (i in 1:6)
    theta[free] <- theta[free] - solve(numDeriv::hessian(along, theta[free]), numDeriv::grad(along, theta[free]))
  stay <- function(fn, par, lower, upper, control) list(par = par, fval = fn(par), conv = 0, message = "")
  there <- lmerControl(optimizer = stay, check.rankX = "silent.drop.cols", check.conv.singular = "ignore")
  list(fit = suppressMessages(suppressWarnings(lmer(formula, d, REML = reml, start = unname(theta), control = there))),
    by_values = as.data.frame(VarCorr(m))$vcov)
}
plain <- function(d) as.data.frame(lapply(as.data.frame(d), function(v)
  if (is.factor(v)) factor(as.character(v), levels = sort(unique(as.character(v)))) else v))
cake2 <- plain(cake); cake2$temp <- cake2$temp; cake2$temperature <- factor(paste0("t", cake2$temp))
cake2$block <- factor(paste0(cake2$recipe, "/", cake2$replicate))
machines <- plain(Machines)
lost <- machines[-c(1, 2, 3, 8, 20, 21, 33, 47, 48), ]                        # unbalanced: nine rows lost
hole <- machines[!(machines$Machine == "C" & machines$Worker %in% c("1", "4")), ]
hole$shift <- factor(ifelse(as.integer(hole$Worker) <= 3, "day", "night"))
gap <- cake2[!(cake2$recipe == "C" & cake2$temperature %in% c("t215", "t225")), ]  # an empty cell: rank-deficient
rownames(gap) <- NULL
tables <- list(dyestuff_ = plain(Dyestuff), dyestuff2_ = plain(Dyestuff2), penicillin_ = plain(Penicillin),
  sleepstudy = plain(sleepstudy), cake = cake2, machines = machines, machines_lost = lost, machines_hole = hole,
  cake_gap = gap, pastes = plain(Pastes))
cases <- list(
  list("dyestuff_", "Yield ~ 1 + (1 | Batch)"), list("dyestuff2_", "Yield ~ 1 + (1 | Batch)"),
  list("penicillin_", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
  list("sleepstudy", "Reaction ~ Days + (1 | Subject)"),
  list("cake", "angle ~ recipe * temperature + (1 | block)", c("recipe", "temperature", "recipe|temperature")),
  list("cake", "angle ~ recipe * temp + (1 | replicate) + (1 | replicate:recipe)", c("recipe")),
  list("cake", "angle ~ recipe + temperature + (1 | block)", c("recipe", "temperature")),
  list("machines", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", c("Machine")),
  list("machines_lost", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", c("Machine")),
  list("machines_lost", "score ~ Machine + (1 | Worker)", c("Machine")),
  list("machines_hole", "score ~ Machine * shift + (1 | Worker) + (1 | Worker:Machine)", c("Machine", "Machine|shift")),
  list("cake_gap", "angle ~ recipe * temperature + (1 | block)", c("recipe|temperature")),
  list("cake_gap", "angle ~ recipe * temperature + (1 | replicate) + (1 | block)", c("recipe|temperature")),
  list("pastes", "strength ~ 1 + (1 | batch) + (1 | batch:cask)"),
  list("pastes", "strength ~ cask + (1 | batch) + (1 | sample)", c("cask")))
tab <- function(x) { x <- as.data.frame(x); cbind(term = rownames(x), x) }
one <- function(case) {
  d <- tables[[case[[1]]]]
  found <- fitted_here(as.formula(case[[2]]), d, TRUE); m <- found$fit
  ml <- fitted_here(as.formula(case[[2]]), d, FALSE)$fit
  out <- list(data = case[[1]], formula = case[[2]], n = nobs(m), singular = isSingular(m),
    reml_loglik = as.numeric(logLik(m)), ml_loglik = as.numeric(logLik(ml)),
    random = as.data.frame(VarCorr(m))[, c("grp", "vcov")], vcov_by_values = I(found$by_values),
    dropped = I(as.character(names(attr(getME(m, "X"), "col.dropped")))),
    fixed = tab(summary(m)$coefficients), fixed_kr = tab(coef(summary(m, ddf = "Kenward-Roger"))))
  if (length(fixef(m)) > 1) {
    out$type3_satterthwaite <- tab(anova(m, type = 3, ddf = "Satterthwaite"))
    out$type3_kenward_roger <- tab(anova(m, type = 3, ddf = "Kenward-Roger"))
  }
  v <- as.data.frame(VarCorr(m)); g <- sum(head(v$vcov, -1)); e <- tail(v$vcov, 1); f <- var(as.vector(getME(m, "X") %*% fixef(m)))
  out$icc <- g / (g + e); out$r2_marginal <- f / (f + g + e); out$r2_conditional <- (f + g) / (f + g + e)
  emm_options(lmer.df = "kenward-roger", pbkrtest.limit = 1e5)
  if (length(case) > 2) out$means <- lapply(case[[3]], function(spec) {
    e <- emmeans(m, as.formula(paste("~", spec)))
    p <- as.data.frame(summary(pairs(e, adjust = "none"), infer = TRUE)); p$p_holm <- p.adjust(p$p.value, "holm")
    list(spec = spec, means = as.data.frame(summary(e)), pairs = p)
  })
  out
}
for (name in names(tables)) write.csv(tables[[name]], paste0(name, ".csv"), row.names = FALSE)
result <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
  lmerTest = as.character(packageVersion("lmerTest")), pbkrtest = as.character(packageVersion("pbkrtest")),
  emmeans = as.character(packageVersion("emmeans"))), cases = lapply(cases, one))
write(toJSON(result, dataframe = "rows", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE), "model.json")
