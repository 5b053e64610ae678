"""The process and its surroundings: clock, signals, standard streams, log lines."""
