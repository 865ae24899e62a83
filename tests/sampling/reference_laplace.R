# Makes reference_laplace.json: small data and what lme4 and MASS say of them (maximum likelihood, Laplace approximation).
# Run in this folder: Rscript reference_laplace.R
library(lme4)
library(jsonlite)

set.seed(20)
n <- 240
a <- sample(rep(1:20, 12))
b <- sample(rep(1:12, 20))
d <- data.frame(a = a, b = b, c = (a - 1) %/% 4 + 1, x = round(rnorm(n), 3), t = round(rnorm(n) / 3, 3),
                trials = sample(1:6, n, TRUE))
eta <- 0.2 + 0.5 * d$x + rnorm(20, 0, 0.7)[a] + rnorm(20, 0, 0.5)[a] * d$x + rnorm(12, 0, 0.6)[b]
d$yes <- rbinom(n, d$trials, plogis(eta))
d$event <- rbinom(n, d$trials, 1 - exp(-exp(eta - 0.8)))
d$count <- rpois(n, exp(d$t + eta - 0.3))
d$more <- rpois(n, exp(eta) * rgamma(n, 2, 2))

tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9), tolPwrss = 1e-9)
told <- function(fit) {
  list(beta = unname(fixef(fit)), beta_se = unname(sqrt(diag(as.matrix(vcov(fit))))), deviance = -2 * as.numeric(logLik(fit)),
       omega = lapply(VarCorr(fit), function(v) unname(as.matrix(v)[, , drop = FALSE])),
       first_modes = lapply(ranef(fit), function(u) unname(as.matrix(u)[1:3, , drop = FALSE])))
}
size <- cbind(d$yes, d$trials - d$yes)
events <- cbind(d$event, d$trials - d$event)
# glmer.nb searches theta to some three digits only, so it is searched here
at <- function(l) glmer(more ~ x + (1 | a) + (1 | b), d, family = MASS::negative.binomial(exp(l)), control = tight)
profile <- optimize(function(l) -as.numeric(logLik(at(l))), log(2) + c(-1, 1), tol = 1e-5)
best <- at(profile$minimum)
plain <- MASS::glm.nb(more ~ x, d, control = glm.control(epsilon = 1e-12, maxit = 100))
fits <- list(
  logit = told(glmer(size ~ x + (x | a) + (1 | b), d, binomial, control = tight)),
  probit = told(glmer(size ~ x + (1 | a) + (1 | b), d, binomial("probit"), control = tight)),
  cloglog = told(glmer(events ~ x + (1 | a) + (1 | c), d, binomial("cloglog"), control = tight)),
  poisson = told(glmer(count ~ x + offset(t) + (x | a) + (1 | b), d, poisson, control = tight)),
  negative_binomial = c(told(best), list(alpha = exp(-profile$minimum))),
  negative_binomial_alone = list(beta = unname(coef(plain)), deviance = -2 * as.numeric(logLik(plain)), alpha = 1 / plain$theta,
                                 alpha_se = plain$SE.theta / plain$theta^2)
)
write(toJSON(list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))), data = d, fits = fits),
             dataframe = "columns", digits = 10, auto_unbox = TRUE, pretty = FALSE), "reference_laplace.json")
