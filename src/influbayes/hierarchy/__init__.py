"""A checked table and a specification become a model: design, priors, draws and predictions."""
