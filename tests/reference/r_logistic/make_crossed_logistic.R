# Reference numbers for heatdrift/stats/crossed_logistic.py: lme4::glmer, Laplace's approximation (nAGQ = 1).
# cbpp is the example of ?glmer (Lesnoff and others 2004); crossed_hits.csv is simulated: hits of 60 images under two
# methods and four seeds. Standard errors are those given the standard deviations (use.hessian = FALSE), as heatdrift
# has them. Run in this folder: Rscript make_crossed_logistic.R
suppressMessages(library(lme4))
tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), tolPwrss = 1e-12)
said <- function(m) {
  sds <- as.data.frame(VarCorr(m))
  list(beta = unname(fixef(m)), se = unname(sqrt(diag(as.matrix(vcov(m, use.hessian = FALSE))))),
       sds = as.list(setNames(sds$sdcor, sds$grp)))
}
hits <- read.csv("crossed_hits.csv")
hits$method <- factor(hits$method, levels = c("full_ft", "lora_r8"))
hits$run <- interaction(hits$method, hits$seed)
found <- list(
  R = R.version.string, lme4 = as.character(packageVersion("lme4")),
  cbpp = said(glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight)),
  crossed = said(glmer(hit ~ method + (1 | image) + (1 | seed), hits, binomial, control = tight)),
  crossed_run = said(glmer(hit ~ method + (1 | image) + (1 | seed) + (1 | run), hits, binomial, control = tight))
)
number <- function(x) paste0("[", paste(sprintf("%.8g", x), collapse = ", "), "]")
lines <- c()
for (name in c("cbpp", "crossed", "crossed_run")) {
  f <- found[[name]]
  sds <- paste(sprintf('"%s": %.8g', names(f$sds), unlist(f$sds)), collapse = ", ")
  lines <- c(lines, sprintf(' "%s": {"beta": %s, "se": %s, "sds": {%s}}', name, number(f$beta), number(f$se), sds))
}
writeLines(c("{", sprintf(' "R": "%s", "lme4": "%s",', found$R, found$lme4), paste(lines, collapse = ",\n"), "}"),
           "crossed_logistic.json")
