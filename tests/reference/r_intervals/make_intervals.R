# Profile and bootstrap intervals from lme4 and restricted likelihood-ratio tests from RLRsim, on the data of ../r.
# Run in this folder: Rscript make_intervals.R
#   (Debian: apt-get install r-base-core r-cran-lme4 r-cran-rlrsim r-cran-jsonlite)
# confint(lmer) profiles the ML likelihood also of a REML fit. It interpolates the profile by splines, which costs about
# 1e-4 of an interval's length. RLRsim's p are simulated: 200,000 draws, a standard error of at most 0.0011.
suppressMessages({library(lme4); library(RLRsim); library(jsonlite)})
draws <- 200000
read <- function(name) {
  d <- read.csv(file.path("..", "r", name), stringsAsFactors = TRUE)
  for (v in c("seed", "lr_f", "batch")) if (v %in% names(d)) d[[v]] <- factor(d[[v]])
  d
}
one <- function(data, response, fixed, group, boot = 0) {
  d <- read(data)
  m <- suppressMessages(lmer(as.formula(paste(response, "~", fixed, "+ (1 |", group, ")")), d))
  ci <- as.data.frame(suppressMessages(confint(m, quiet = TRUE, oldNames = FALSE)))
  test <- suppressMessages(exactRLRT(m, seed = 1, nsim = draws))
  null <- if (is.null(test$sample)) suppressMessages(RLRTSim(getME(m, "X"), as.matrix(getME(m, "Z")),
            qr(getME(m, "X")), diag(ncol(getME(m, "Z"))), nsim = draws, seed = 1)) else test$sample
  out <- list(data = data, response = response, fixed = fixed, group = group, names = rownames(ci),
              low = ci[[1]], high = ci[[2]], rlrt = unname(test$statistic), rlrt_p = test$p.value, draws = draws,
              null_quantiles = unname(quantile(null, c(.8, .9, .95, .99))), null_at_zero = mean(null < 1e-9))
  if (boot > 0) {
    # lme4 1.1-31's refit(), which confint(method = "boot") uses, stops far from the optimum on these data (first draw:
    # seed variance 0.490 by refit, 0.374 by lmer on the same response), so every draw is fitted by lmer itself.
    set.seed(1)
    draws_y <- simulate(m, boot)
    est <- sapply(draws_y, function(v) {
      d$y_new <- v
      r <- suppressMessages(lmer(as.formula(paste("y_new ~", fixed, "+ (1 |", group, ")")), d))
      c(sqrt(unlist(VarCorr(r))[1]), sigma(r), fixef(r))
    })
    ends <- apply(est, 1, quantile, c(.025, .975))
    out$boot <- list(nsim = boot, low = unname(ends[1, ]), high = unname(ends[2, ]))
  }
  out
}
full <- "lr_f * method * dataset"
results <- list(
  one("sim_balanced_80.csv", "drift_pct", full, "seed"),
  one("sim_unbalanced_68.csv", "drift_pct", full, "seed", boot = 1000),
  one("sim_hetero_80.csv", "drift_pct", full, "seed"),
  one("vitb16_18runs.csv", "delta_entropy_pct", "lr_f * method", "seed"),
  one("dyestuff.csv", "yield", "1", "batch"),
  one("dyestuff2.csv", "yield", "1", "batch"))
versions <- list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                 RLRsim = as.character(packageVersion("RLRsim")))
write(toJSON(list(versions = versions, models = results), digits = NA, auto_unbox = TRUE, pretty = TRUE, na = "null"),
      "intervals.json")
