"""Say whether a measured device learns: fit it, train on it beside known ones, hold it to controls, say what fails."""
