# lme4's glmer on one file: Rscript lme4_glmer.R DATA CREATORS OUT. No priors: maximum likelihood with the Laplace
# approximation. Tiers and regions are iid Normal around the intercept. Standard deviations of contrasts hold the fixed
# effects and scales at their estimates; lme4 gives no standard error for a scale.

# R writes a blank in a path as ~+~.
script <- gsub("~+~", " ", sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)), fixed = TRUE)
source(file.path(dirname(script), "protocol.R"))
suppressPackageStartupMessages(library(lme4))

call <- read_call()
posts <- read_posts(call$data)
clock <- proc.time()
fit <- suppressMessages(suppressWarnings(glmer(write_formula(call), data = posts, family = binomial)))
spent <- proc.time() - clock

# Conditional covariance of the effects: Lambda (Lambda' Z' W Z Lambda + I)^-1 Lambda'.
lambda <- t(getME(fit, "Lambdat"))
estimate_sd <- function(weights) {
  u <- as.numeric(crossprod(lambda, weights))
  sqrt(sum(u * as.numeric(solve(getME(fit, "L"), u, system = "A"))))
}
mean <- setNames(fixef(fit)[-1], c("slope[Story_Views]", "slope[Swipe_Ups]"))
sd <- setNames(sqrt(diag(as.matrix(vcov(fit))))[-1], names(mean))
for (group in c("Influencer_Tier", "Audience_Region")) {
  contrasts <- list_contrasts(posts, group)
  modes <- ranef(fit, condVar = FALSE)[[group]][rownames(contrasts), 1]
  place <- getME(fit, "Gp")[match(group, names(getME(fit, "cnms")))] + seq_along(modes)
  for (name in colnames(contrasts)) {
    weights <- numeric(nrow(lambda))
    weights[place] <- contrasts[, name]
    mean[name] <- sum(contrasts[, name] * modes)
    sd[name] <- estimate_sd(weights)
  }
}
for (group in list_groups(call)) mean[paste0("scale_", group)] <- attr(VarCorr(fit)[[group]], "stddev")
write_summary(call, mean, sd)
cpu <- sum(spent[c("user.self", "sys.self")])
write_figures(call, list(fit_seconds = spent[["elapsed"]], fit_cpu_seconds = cpu, version = name_version("lme4")))
