"""Settings of all stages by name of a data set; a preset holds only differences to the defaults."""
