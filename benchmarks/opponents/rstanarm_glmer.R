# rstanarm's stan_glmer on one file: Rscript rstanarm_glmer.R DATA CREATORS OUT [CORES]. Precompiled Stan, 4 chains of
# 1,000 + 1,000. Tiers and regions are iid Normal around the intercept; its decov prior makes each scale Exponential(1)
# and not half-Normal(1).

# R writes a blank in a path as ~+~.
script <- gsub("~+~", " ", sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)), fixed = TRUE)
source(file.path(dirname(script), "protocol.R"))
suppressWarnings(suppressPackageStartupMessages(library(rstanarm)))

call <- read_call()
posts <- read_posts(call$data)
clock <- proc.time()
fit <- suppressMessages(suppressWarnings(stan_glmer(
  write_formula(call), data = posts, family = binomial, prior = normal(0, 1), prior_intercept = normal(0, 1.5),
  prior_covariance = decov(1, 1, 1, 1), chains = 4, iter = 2000, warmup = 1000, cores = call$cores, seed = 1,
  adapt_delta = 0.95, refresh = 0
)))
spent <- proc.time() - clock

draws <- as.array(fit)
seen <- dimnames(draws)[[3]]
flat <- function(name) as.numeric(draws[, , name])
table <- list(chain = rep(seq_len(dim(draws)[2]), each = dim(draws)[1]), intercept = flat("(Intercept)"))
for (column in c("Story_Views", "Swipe_Ups")) table[[paste0("slope[", column, "]")]] <- flat(paste0("z_", column))
for (group in c("Influencer_Tier", "Audience_Region")) {
  short <- c(Influencer_Tier = "tier", Audience_Region = "region")[[group]]
  for (level in levels(posts[[group]])) {
    table[[paste0(short, "[", level, "]")]] <- flat(paste0("b[(Intercept) ", group, ":", gsub(" ", "_", level), "]"))
  }
}
for (group in list_groups(call)) {
  table[[paste0("scale_", group)]] <- sqrt(flat(paste0("Sigma[", group, ":(Intercept),(Intercept)]")))
}
write.csv(as.data.frame(table, check.names = FALSE), file.path(call$out, "draws.csv"), row.names = FALSE)
steps <- rstan::get_sampler_params(fit$stanfit, inc_warmup = FALSE)
write_figures(call, list(
  fit_seconds = spent[["elapsed"]], divergences = sum(sapply(steps, function(chain) sum(chain[, "divergent__"]))),
  version = name_version("rstanarm")
))
