"""EF regressors trained on synthetic videos and tested on real ones."""
