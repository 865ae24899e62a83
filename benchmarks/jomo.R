# jomo on the worked example: CPU seconds per iteration. Arguments: the data (csv), iterations.
# The model is the published one, but for the predictors: jomo has one design, so vrband enters for every level 1 response.
suppressMessages(library(jomo))
arguments <- commandArgs(trailingOnly = TRUE)
d <- read.csv(arguments[1])
n <- as.integer(arguments[2])
Y <- data.frame(normexam = d$normexam, standlrtmiss = d$standlrtmiss, girlmiss = factor(d$girlmiss))
Y2 <- data.frame(schgendmiss = factor(d$schgendmiss))
X <- data.frame(cons = 1, vb1 = as.numeric(d$vrband == 1), vb2 = as.numeric(d$vrband == 2))
set.seed(1)
spent <- system.time(
  jomo(Y = Y, Y2 = Y2, X = X, X2 = data.frame(cons = rep(1, nrow(d))), clus = d$school,
       nburn = n, nbetween = 1, nimp = 2, meth = "common", output = 0, out.iter = 1000000)
)
cat("cpu_seconds", sum(spent[1:2]), "iterations", n + 1, "version", as.character(packageVersion("jomo")), "\n")
