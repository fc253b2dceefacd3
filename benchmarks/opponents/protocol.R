# What every R opponent shares: the call, the table, and what it hands back. Base R only.
#
# Call: Rscript OPPONENT.R DATA CREATORS OUT [CORES]. CREATORS 0 leaves the creators out of the model. Hands back, in the
# folder OUT, figures.csv (name, value) and either draws.csv (chain, then a column a parameter) or summary.csv (name,
# mean, sd; an empty sd where the program gives none).

read_call <- function() {
  words <- commandArgs(trailingOnly = TRUE)
  if (length(words) < 3) stop("Call: Rscript OPPONENT.R DATA CREATORS OUT [CORES]", call. = FALSE)
  cores <- if (length(words) > 3) as.integer(words[4]) else 1L
  list(data = words[1], creators = as.integer(words[2]) > 0, out = words[3], cores = cores)
}

read_posts <- function(path) {
  # na.strings: a region called NA is a region.
  posts <- read.csv(path, na.strings = "", stringsAsFactors = FALSE)
  standardise <- function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2))
  posts$z_Story_Views <- standardise(posts$Story_Views)
  posts$z_Swipe_Ups <- standardise(posts$Swipe_Ups)
  for (name in c("Influencer_Tier", "Audience_Region", "Creator_ID")) posts[[name]] <- factor(posts[[name]])
  posts
}

list_groups <- function(call) c("Influencer_Tier", "Audience_Region", if (call$creators) "Creator_ID")

write_formula <- function(call) {
  terms <- paste0("(1 | ", list_groups(call), ")", collapse = " + ")
  as.formula(paste("Converted ~ 1 + z_Story_Views + z_Swipe_Ups +", terms))
}

# The comparisons with the reference level, as names and as weights over the levels of a factor.
list_contrasts <- function(posts, group) {
  short <- c(Influencer_Tier = "tier", Audience_Region = "region")[[group]]
  reference <- c(Influencer_Tier = "Mega", Audience_Region = "US")[[group]]
  names <- levels(posts[[group]])
  others <- setdiff(names, reference)
  weights <- sapply(others, function(level) (names == level) - (names == reference))
  colnames(weights) <- paste0(short, "[", others, "]-", short, "[", reference, "]")
  rownames(weights) <- names
  weights
}

write_figures <- function(call, figures) {
  values <- vapply(figures, function(value) format(value, digits = 15), "")
  write.csv(data.frame(name = names(figures), value = values),
            file.path(call$out, "figures.csv"), row.names = FALSE)
}

write_summary <- function(call, mean, sd) {
  write.csv(data.frame(name = names(mean), mean = mean, sd = sd[names(mean)]),
            file.path(call$out, "summary.csv"), row.names = FALSE, na = "")
}

name_version <- function(package) paste(package, packageVersion(package), "R", getRversion())
