# Makes lme4_classifications.json: fits of several classifications, and profile intervals, by lme4.
#   .venv/bin/python tests/lmm_dc/cases.py FOLDER && Rscript tests/lmm_dc/reference.R FOLDER LMM_DATA OUT.json
# LMM_DATA: the folder with sleepstudy.csv and cbpp.csv.
suppressMessages(library(lme4))
options(digits = 15)
given <- commandArgs(trailingOnly = TRUE)
read <- function(name) read.csv(file.path(given[1], paste0(name, ".csv")))
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 50000))

numbers <- function(x) paste0("[", paste(ifelse(is.na(x), "null", format(x, digits = 12)), collapse = ", "), "]")

summed <- function(fit, profile = NULL) {
  v <- as.data.frame(VarCorr(fit), order = "lower.tri")
  named <- paste0('"', v$grp, ".", v$var1, ifelse(is.na(v$var2), "", paste0(".", v$var2)), '": ',
                  format(v$vcov, digits = 12), collapse = ", ")
  parts <- c(paste0('"beta": ', numbers(fixef(fit))),
             paste0('"se": ', numbers(sqrt(diag(as.matrix(vcov(fit)))))),
             paste0('"varcov": {', named, "}"),
             paste0('"criterion": ', format(if (isREML(fit)) REMLcrit(fit) else -2 * c(logLik(fit)), digits = 14)))
  if (!is.null(profile)) {
    at <- suppressWarnings(confint(profile, level = 0.95))
    rows <- paste0('"', rownames(at), '": ', apply(at, 1, numbers), collapse = ", ")
    parts <- c(parts, paste0('"profile": {', rows, "}"))
  }
  paste0("{", paste(parts, collapse = ", "), "}")
}

both <- function(formula, data, profiled = FALSE) {
  ml <- lmer(formula, data, REML = FALSE, control = tight)
  reml <- lmer(formula, data, REML = TRUE, control = tight)
  p <- if (profiled) suppressWarnings(profile(ml, signames = FALSE)) else NULL
  paste0('{"ml": ', summed(ml, p), ', "reml": ', summed(reml), "}")
}

sleep <- read.csv(file.path(given[2], "sleepstudy.csv"))
cbpp <- read.csv(file.path(given[2], "cbpp.csv"))
cbpp$period <- relevel(factor(cbpp$period), ref = "4")
binomial25 <- function() {
  fit <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, nAGQ = 25)
  at <- suppressWarnings(confint(profile(fit, signames = FALSE, which = c(1, 2)), level = 0.95))
  rows <- paste0('"', rownames(at), '": ', apply(at, 1, numbers), collapse = ", ")
  paste0('{"ml": {"profile": {', rows, "}}}")
}
schools <- read("schools")
found <- c(
  nested = both(strength ~ 1 + (1 | cask) + (1 | batch), read("nested"), TRUE),
  crossed = both(diameter ~ hours + (hours | plate) + (1 | sample), read("crossed"), TRUE),
  schools = both(attain ~ verbal + girl + (verbal | primary) + (1 | second), schools),
  three = both(attain ~ verbal + (1 | primary) + (1 | second) + (1 | district), schools),
  sleepstudy = both(Reaction ~ Days + (Days | Subject), sleep, TRUE),
  cbpp = binomial25()
)
head <- paste0('"made": "', R.version.string, ", lme4 ", packageVersion("lme4"), ", ", Sys.Date(), '"')
body <- paste0('"', names(found), '": ', found, collapse = ",\n")
writeLines(paste0("{", head, ",\n", body, "}"), given[3])
