# glmmTMB on one file: Rscript glmmtmb_fit.R DATA CREATORS OUT. No priors: maximum likelihood with the Laplace
# approximation. Tiers and regions are iid Normal around the intercept. Standard deviations come from its joint
# precision; those of scales by the delta method from the log scale.

# R writes a blank in a path as ~+~.
script <- gsub("~+~", " ", sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)), fixed = TRUE)
source(file.path(dirname(script), "protocol.R"))
suppressWarnings(suppressPackageStartupMessages(library(glmmTMB)))

call <- read_call()
posts <- read_posts(call$data)
clock <- proc.time()
fit <- suppressWarnings(glmmTMB(write_formula(call), data = posts, family = binomial))
spent <- proc.time() - clock

precision <- TMB::sdreport(fit$obj, getJointPrecision = TRUE)$jointPrecision
best <- fit$obj$env$last.par.best
estimate_sd <- function(weights) {
  variance <- if (is.null(precision)) NA else tryCatch(
    sum(weights * as.numeric(Matrix::solve(precision, weights))), error = function(e) NA
  )
  if (is.finite(variance) && variance > 0) sqrt(variance) else NA
}
pick <- function(places, values) replace(numeric(length(best)), places, values)
kinds <- names(best)
mean <- c("slope[Story_Views]" = best[kinds == "beta"][[2]], "slope[Swipe_Ups]" = best[kinds == "beta"][[3]])
sd <- setNames(sapply(2:3, function(k) estimate_sd(pick(which(kinds == "beta")[k], 1))), names(mean))
sizes <- sapply(list_groups(call), function(group) nlevels(posts[[group]]))
starts <- cumsum(c(0, sizes))
for (k in 1:2) {
  contrasts <- list_contrasts(posts, list_groups(call)[k])
  places <- which(kinds == "b")[starts[k] + seq_len(sizes[k])]
  for (name in colnames(contrasts)) {
    mean[name] <- sum(contrasts[, name] * best[places])
    sd[name] <- estimate_sd(pick(places, contrasts[, name]))
  }
}
for (k in seq_along(sizes)) {
  name <- paste0("scale_", list_groups(call)[k])
  place <- which(kinds == "theta")[k]
  mean[name] <- exp(best[[place]])
  sd[name] <- mean[[name]] * estimate_sd(pick(place, 1))
}
write_summary(call, mean, sd)
cpu <- sum(spent[c("user.self", "sys.self")])
write_figures(call, list(fit_seconds = spent[["elapsed"]], fit_cpu_seconds = cpu, version = name_version("glmmTMB")))
