"""The names of priors, which questions, equation and sampler share."""

GAMMA = "Gamma(0.001, 0.001)"
WISHART = "Inverse Wishart"
UNIFORM = "Uniform"
