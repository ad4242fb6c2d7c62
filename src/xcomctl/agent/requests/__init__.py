"""The requests, one file each and thin: parameters in, work of the packages below, items and an answer out."""
