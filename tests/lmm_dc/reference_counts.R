# Rscript tests/lmm_dc/reference_counts.R FOLDER > tests/lmm_dc/lme4_counts.json
# FOLDER: holds schools.csv and seeds.csv, written by cases.py. By glmer (Laplace approximation).
library(lme4)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
schools <- read.csv(file.path(folder, "schools.csv"))
seeds <- read.csv(file.path(folder, "seeds.csv"))
found <- function(fit) {
  # the errors of the variances from those of the standard deviations, by the Hessian that glmer leaves
  sds <- fit@theta
  covariance <- solve(fit@optinfo$derivs$Hessian / 2)
  list(
    criterion = unbox(-2 * as.numeric(logLik(fit))), beta = unname(fixef(fit)), se = unname(sqrt(diag(as.matrix(vcov(fit))))),
    variances = as.data.frame(VarCorr(fit))$vcov, variances_se = 2 * sds * sqrt(diag(covariance))[seq_along(sds)]
  )
}
control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), tolPwrss = 1e-12)
cases <- list(
  absences = found(glmer(absences ~ verbal + offset(logdays) + (1 | primary) + (1 | second), schools, poisson, control)),
  seeds = found(glmer(cbind(came, sown - came) ~ warmth + (1 | lot) + (1 | bench), seeds, binomial("probit"), control))
)
cat(toJSON(cases, digits = NA, pretty = TRUE), "\n")
