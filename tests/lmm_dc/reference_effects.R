# Rscript tests/lmm_dc/reference_effects.R FOLDER LMM_DATA > tests/lmm_dc/lme4_effects.json
# FOLDER: holds schools.csv and seeds.csv, written by cases.py; LMM_DATA: sleepstudy.csv. By lme4: conditional modes with
# their standard deviations at the estimates, and profile intervals, of counts of crossed units (Laplace approximation);
# likelihood-ratio statistics of leaving out random slopes of Normal models.
suppressMessages({library(lme4); library(jsonlite)})
given <- commandArgs(trailingOnly = TRUE)
read <- function(name) read.csv(file.path(given[1], paste0(name, ".csv")))
schools <- read("schools")
seeds <- read("seeds")
sleep <- read.csv(file.path(given[2], "sleepstudy.csv"))
crossed <- read("crossed")
control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), tolPwrss = 1e-12)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 50000))

counted <- function(fit) {
  effects <- ranef(fit, condVar = TRUE)
  modes <- lapply(effects, function(u) u[[1]])
  sds <- lapply(effects, function(u) sqrt(c(attr(u, "postVar"))))
  at <- suppressWarnings(confint(profile(fit, signames = FALSE), level = 0.95))
  list(beta = unname(fixef(fit)), variances = as.data.frame(VarCorr(fit))$vcov, names = names(effects),
       modes = unname(modes), sds = unname(sds), profile = setNames(split(unname(at), row(at)), rownames(at)))
}
ratio <- function(large, small, data) {
  fits <- lapply(list(large, small), function(f) lmer(f, data, REML = FALSE, control = tight))
  2 * as.numeric(logLik(fits[[1]]) - logLik(fits[[2]]))
}
found <- list(
  made = unbox(paste0(R.version.string, ", lme4 ", packageVersion("lme4"), ", ", Sys.Date())),
  absences = counted(glmer(absences ~ verbal + offset(logdays) + (1 | primary) + (1 | second), schools, poisson, control)),
  seeds = counted(glmer(cbind(came, sown - came) ~ warmth + (1 | lot) + (1 | bench), seeds, binomial("probit"), control)),
  sleepstudy = unbox(ratio(Reaction ~ Days + (Days | Subject), Reaction ~ Days + (1 | Subject), sleep)),
  crossed = unbox(ratio(diameter ~ hours + (hours | plate) + (1 | sample), diameter ~ hours + (1 | plate) + (1 | sample),
                        crossed))
)
cat(toJSON(found, digits = NA, pretty = FALSE), "\n")
