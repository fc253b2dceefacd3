"""Sessions to credit: journeys, rules, Markov chains, Shapley values, intervals, and a baseline that is checked."""
