# Two one-sided t tests (TOST), intervals of a standardised difference and of a share, and detectable differences by R.
# Run in this folder: Rscript make_margins.R   (Debian: apt-get install r-base-core; base R only)
# Data: R's own data set `sleep` (Cushny and Peebles 1905; Student 1908), extra hours of sleep under two drugs, ten
# patients. TOST is two calls of t.test, as TOSTER does it.
num <- function(x) paste0("[", paste(sprintf("%.17g", x), collapse = ", "), "]")
a <- sleep$extra[sleep$group == 2]; b <- sleep$extra[sleep$group == 1]
tost <- function(paired, low, high) {
  above <- t.test(a, b, paired = paired, mu = low, alternative = "greater")
  below <- t.test(a, b, paired = paired, mu = high, alternative = "less")
  both <- t.test(a, b, paired = paired, conf.level = 0.90)
  sprintf('{"paired": %s, "low": %g, "high": %g, "p_low": %.17g, "p_high": %.17g, "interval90": %s, "df": %.17g}',
          tolower(paired), low, high, above$p.value, below$p.value, num(both$conf.int), both$parameter)
}
# noncentrality at which the observed t is a quantile of the noncentral t (Steiger and Fouladi 1997)
nct <- function(t, df) sapply(c(.975, .025), function(p)
  uniroot(function(d) pt(t, df, d) - p, c(-30, 37), tol = 1e-12)$root)
noncentral <- function(t, df) sprintf('{"t": %.17g, "df": %g, "interval95": %s}', t, df, num(nct(t, df)))
paired_t <- t.test(a, b, paired = TRUE)
share <- function(hits, n) sprintf('{"hits": %d, "n": %d, "interval95": %s}', hits, n, num(binom.test(hits, n)$conf.int))
plan <- function(n, type) sprintf('{"n": %d, "type": "%s", "delta": %.17g}', n, type,
  power.t.test(n = n, sd = 2, power = .8, type = type, strict = TRUE, tol = 1e-10)$delta)
need <- function(delta, type) sprintf('{"delta": %g, "type": "%s", "n": %.17g}', delta, type,
  power.t.test(delta = delta, sd = 2, power = .8, type = type, strict = TRUE, tol = 1e-10)$n)
one <- t.test(100 - a, mu = 100)  # retention against 100: one sample
rows <- function(...) paste0("[", paste(c(...), collapse = ",\n  "), "]")
cat(sprintf('{"R": "%s",\n "a": %s,\n "b": %s,\n "tost": %s,\n "noncentral": %s,\n "share": %s,\n "detectable": %s,\n',
  R.version.string, num(a), num(b),
  rows(tost(TRUE, -1, 3), tost(TRUE, -3, 3), tost(FALSE, -3, 3), tost(FALSE, -1, 1)),
  rows(noncentral(unname(paired_t$statistic), 9), noncentral(2, 4), noncentral(-4.6, 4), noncentral(0.5, 2),
       noncentral(12, 5)),
  rows(share(7L, 10L), share(3L, 3L), share(0L, 5L), share(9L, 9L)),
  rows(plan(3L, "one.sample"), plan(5L, "one.sample"), plan(5L, "two.sample"), plan(12L, "two.sample"))),
  file = "margins.json")
cat(sprintf(' "needed": %s,\n "one_sample": {"t": %.17g, "p": %.17g, "interval95": %s}\n}\n',
  rows(need(2, "one.sample"), need(1, "one.sample"), need(2, "two.sample"), need(0.5, "two.sample")),
  one$statistic, one$p.value, num(one$conf.int)), file = "margins.json", append = TRUE)
